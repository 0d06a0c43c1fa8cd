package commandtest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	fleetSegments = 40_000
	nightlyRuns   = 15_000
	nights        = 30
	hurtSegments  = 2_000
)

// BenchmarkOnCall asks what people on call ask of a ledger in PostgreSQL of 40,000
// segments and 15,000 runs a night for a month, of which 2,000 are affected, and prints
// how long each command takes from its start to its end, the median of five.
func BenchmarkOnCall(b *testing.B) {
	program := buildCommand(b)
	d := enginetest.PostgreSQL.New(b)
	h := d.History(b)
	fillMonth(b, h)
	_, err := d.Open(b).ExecContext(b.Context(), "ANALYZE")
	require.NoError(b, err)
	for name, args := range map[string][]string{
		"version":                     {"--version"},
		"what is affected":            {"status"},
		"of one site group":           {"status", "--group", "site"},
		"since when, live or not":     {"show", member(0).String()},
		"sizes, band, runs of it":     {"show", member(1).String()},
		"what was told when":          {"log", "--action", "opened", "--since", "-12h"},
		"its log":                     {"log", member(0).String()},
		"which builds fail":           {"builds"},
		"what an accept would change": {"accept", "--dry-run", member(0).String()},
		"what a mute would change":    {"mute", "--dry-run", "--until", "+4h", "--group", "site"},
		"what the plan will run":      {"plan"},
		"how far is it":               {"progress", "night"},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				for range 5 {
					c := exec.CommandContext(b.Context(), program, args...)
					c.Env = append(os.Environ(), "SEGMENTGUARD_DSN="+d.DSN, "USER=mira")
					begun := time.Now()
					out, err := c.CombinedOutput()
					took = append(took, time.Since(begun))
					if code := c.ProcessState.ExitCode(); code != 0 && code != 1 {
						b.Fatalf("%v: %v: %s", args, err, out)
					}
				}
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms")
		})
	}
}

func member(i int) segment.ID { return segment.ID{SiteGroup: "site", Name: strconv.Itoa(i)} }

// fillMonth keeps a month of nights, the last of which went wrong.
func fillMonth(b *testing.B, h *sqlsegment.Ledger) {
	b.Helper()
	ctx, now := b.Context(), time.Now().UTC().Truncate(time.Hour).Add(-2*time.Hour)
	good, err := validate.Check(ctx, validate.Policy{}, validate.Output{Name: "x", Expected: validate.Count(100_203), Stored: validate.Count(100_203)})
	require.NoError(b, err)
	for first := 0; first < fleetSegments; first += 1000 {
		keys := make([]segment.Key, 1000)
		at := map[segment.Key]int{}
		for k := range keys {
			keys[k] = member(first + k).In("")
			at[keys[k]] = first + k
		}
		require.NoError(b, h.Change(ctx, keys, func(s *segment.SegmentState) error {
			i := at[s.Key()]
			for night := range nights {
				if (i+night*nightlyRuns)%fleetSegments >= nightlyRuns {
					continue
				}
				r := segment.Record{
					Segment: s.Segment, RunID: strconv.Itoa(night), Attempt: 1, State: segment.RunCommitted, JobID: job(i).ID, JobKind: job(i).Kind, Build: "8",
					Users: int64(100_000 + 7*night), At: now.AddDate(0, 0, night-nights),
				}
				s.Record(r)
				r.Report = &good
				for _, state := range []segment.RunState{segment.RunStarted, segment.RunPassed, segment.RunCommitted} { // as a guard records them
					is := r
					if is.State = state; state == segment.RunStarted {
						is.Report = nil
					}
					s.Log = append(s.Log, segment.LogEntry{Segment: s.Segment, At: r.At, Action: segment.ActionRecorded, RunID: r.RunID, Record: &is})
				}
			}
			if i < hurtSegments {
				hurt(s, i, now)
			}
			return nil
		}))
	}
	jobs := make([]segment.Job, fleetSegments)
	for i := range jobs {
		jobs[i] = job(i)
	}
	require.NoError(b, h.KeepJobs(ctx, jobs))
	require.NoError(b, h.KeepSweep(ctx, segment.SweepNumbers{At: now, Segments: fleetSegments, Healthy: fleetSegments - hurtSegments, Complete: true}))
	require.NoError(b, h.KeepPlan(ctx, segment.PlanRecord{ID: "night", Planned: segment.Decision{By: "ann", Why: "the night", At: now}, Steps: fleetSegments}, func(yield func(segment.PlanStep) bool) {
		for i := range fleetSegments {
			if !yield(segment.PlanStep{Plan: "night", Number: i + 1, Job: job(i), Progress: segment.StepProgress{State: segment.StepWaiting}}) {
				return
			}
		}
	}))
}

// job makes a segment from the one that is half as far, so that a chain is sixteen long.
func job(i int) segment.Job {
	j := segment.Job{ID: fmt.Sprint("copy ", i), Kind: segment.JobKindCopy, To: member(i), From: []segment.ID{{SiteGroup: "source", Name: "all"}}}
	if i > 0 {
		j.From[0] = member(i / 2)
	}
	return j
}

// hurt opens an alert as a guard would.
func hurt(s *segment.SegmentState, i int, now time.Time) {
	level, stored := segment.LevelProtected, int64(10_000)
	if i%3 == 0 {
		level = segment.LevelLost50
	}
	r, _ := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: s.Segment.String(), Expected: validate.Count(100_203), Stored: validate.Count(stored), Sizes: s.Sizes, At: now,
	})
	a := &segment.Alert{
		Segment: s.Segment, Urgency: segment.Page, Kind: validate.Capped, Level: level, Job: job(i), RunID: "30", Build: "9",
		Since: now, At: now, Users: 90_203, Report: r, Text: fmt.Sprintf("%s: stored %d of 100,203 users", s.Segment, stored),
	}
	m := segment.Mark{Urgency: a.Urgency, Kind: a.Kind, Level: a.Level, JobKind: a.Job.Kind, Build: a.Build}
	s.Alert = segment.AlertState{Open: a, Marks: []segment.Mark{m}, Told: []segment.Told{{Mark: m, At: now}}, Opened: []time.Time{now}}
	rejected := segment.Record{
		Segment: s.Segment, RunID: "30", Attempt: 1, State: segment.RunRejected, JobID: a.Job.ID, JobKind: a.Job.Kind, Build: "9", Users: stored, At: now, Report: &r,
	}
	s.Record(rejected)
	s.Log = append(s.Log,
		segment.LogEntry{Segment: s.Segment, At: now, Action: segment.ActionRecorded, RunID: "30", Record: &rejected},
		segment.LogEntry{Segment: s.Segment, At: now, Action: segment.ActionOpened, RunID: "30", Mark: &m, Text: a.Text})
}
