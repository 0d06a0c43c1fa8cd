package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A buildsOutput says how the builds do.
type buildsOutput struct {
	Since  time.Time     `json:"since"`
	Until  time.Time     `json:"until"`
	Builds []buildOutput `json:"builds"`
}

// A buildOutput says how a build does.
type buildOutput struct {
	JobKind  segment.JobKind `json:"job_kind"`
	Build    string          `json:"build"`
	Runs     int             `json:"runs"`
	Failed   int             `json:"failed"`
	Share    float64         `json:"share"`
	First    time.Time       `json:"first,omitzero"`
	Last     time.Time       `json:"last,omitzero"`
	Affected int             `json:"affected"`
	Live     int             `json:"live"`
	Refused  time.Time       `json:"refused,omitzero"`
	Why      string          `json:"why,omitempty"`
}

func buildsCommand(a *app) *cobra.Command {
	var f segment.LogFilter
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "builds",
		Short:   "Say which builds fail, and what share of their runs",
		Long: `Builds says of each build and kind of job how many runs it had and what share of them
failed, were rejected or could not be verified; how many segments are affected by it
now; and whether guards refuse it, as it damaged too many.`,
		Example: `  segmentguard builds
  segmentguard builds --since -3d --job-kind copy`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.JobKind), "job-kind", "", "of jobs of this kind")
	momentFlag(a, flags, &f.Since, "since", "count runs from this time on; none: of the last 24 hours")
	momentFlag(a, flags, &f.Until, "until", "count runs up to before this time")
	cmd.RunE = a.connected(func(ctx context.Context, _ []string) error {
		now := a.now().UTC()
		f.Since, f.Until = cmp.Or(f.Since, now.Add(-24*time.Hour)), cmp.Or(f.Until, now)
		builds, err := a.readBuilds(ctx, f)
		if err != nil {
			return err
		}
		out := buildsOutput{f.Since, f.Until, builds}
		if a.json {
			return a.out.json(out)
		}
		a.printBuilds(&out)
		return nil
	})
	return cmd
}

// A buildKey is a build of one kind of jobs.
type buildKey struct {
	kind  segment.JobKind
	build string
}

// An attemptKey is one run of a segment, however often it was tried.
type attemptKey struct {
	key segment.Key
	run string
}

func (a *app) readBuilds(ctx context.Context, f segment.LogFilter) ([]buildOutput, error) {
	builds := map[buildKey]*buildOutput{}
	of := func(kind segment.JobKind, build string) *buildOutput {
		b := builds[buildKey{kind, build}]
		if b == nil {
			b = &buildOutput{JobKind: kind, Build: build}
			builds[buildKey{kind, build}] = b
		}
		return b
	}
	last, errLog := a.lastStates(ctx, f)
	alerts, errAlerts := a.alertsByBuild(ctx)
	tripped, errTripped := a.refusedBuilds(ctx)
	if err := joined(errLog, errAlerts, errTripped); err != nil {
		return nil, err
	}
	for _, r := range last {
		of(r.kind, r.build).add(r)
	}
	for _, c := range alerts {
		if f.JobKind == "" || f.JobKind == c.JobKind {
			b := of(c.JobKind, c.Build)
			b.Affected, b.Live = c.Segments, c.Live
		}
	}
	for key, e := range tripped {
		if f.JobKind == "" || f.JobKind == key.kind {
			b := of(key.kind, key.build)
			b.Refused, b.Why = e.At, e.Text
		}
	}
	all := []buildOutput{}
	for _, b := range builds {
		if b.Runs > 0 {
			b.Share = float64(b.Failed) / float64(b.Runs)
		}
		all = append(all, *b)
	}
	slices.SortFunc(all, func(x, y buildOutput) int {
		return cmp.Or(cmp.Compare(x.JobKind, y.JobKind), y.Last.Compare(x.Last), cmp.Compare(y.Build, x.Build))
	})
	return all, nil
}

// A lastState is what a run has come to.
type lastState struct {
	buildKey

	state segment.RunState
	at    time.Time
}

// lastStates returns what each run has come to, by the last entry of its last attempt.
func (a *app) lastStates(ctx context.Context, f segment.LogFilter) (map[attemptKey]lastState, error) {
	f.Action, f.Bare = segment.ActionRecorded, true
	var read atomic.Int64
	defer a.progress("Reading runs", read.Load)()
	last := map[attemptKey]lastState{}
	for e, err := range a.ledger.Log(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		read.Add(1)
		if r := e.Record; r != nil {
			last[attemptKey{r.Key(), r.RunID}] = lastState{buildKey{r.JobKind, r.Build}, r.State, r.At}
		}
	}
	return last, nil
}

func (b *buildOutput) add(r lastState) {
	if r.state == segment.RunStarted || r.state == segment.RunPassed || r.state == segment.RunOvertaken || r.state == segment.RunSubmitted {
		return // on its way, or in another one's favour
	}
	b.Runs++
	if r.state == segment.RunRejected || r.state == segment.RunFailed || r.state == segment.RunUnknown {
		b.Failed++
	}
	if b.First.IsZero() || r.at.Before(b.First) {
		b.First = r.at
	}
	if r.at.After(b.Last) {
		b.Last = r.at
	}
}

// refusedBuilds returns the builds that guards refuse, and what the log says of each.
func (a *app) refusedBuilds(ctx context.Context) (map[buildKey]segment.LogEntry, error) {
	refused := map[buildKey]segment.LogEntry{}
	for _, action := range []segment.Action{segment.ActionTripped, segment.ActionResumed} {
		for e, err := range a.ledger.Log(ctx, segment.LogFilter{Action: action}) {
			if err != nil {
				return nil, fmt.Errorf("reading the log: %w", err)
			}
			if e.Mark == nil {
				continue
			}
			key := buildKey{e.Mark.JobKind, e.Mark.Build}
			switch known, is := refused[key]; {
			case action == segment.ActionTripped:
				refused[key] = e
			case is && !e.At.Before(known.At):
				delete(refused, key)
			}
		}
	}
	return refused, nil
}

func (a *app) printBuilds(out *buildsOutput) {
	a.out.printf("Runs from %s to %s, UTC:\n", stamp(out.Since), stamp(out.Until))
	t := table.Table{Head: []string{"JOBS", "BUILD", "RUNS", "FAILED", "SHARE", "LAST", "AFFECTED", "LIVE", "REFUSED"}}
	for _, b := range out.Builds {
		share, refused := "", ""
		tone := fleet.Fine
		if b.Runs > 0 {
			share = fmt.Sprintf("%.1f%%", 100*b.Share)
		}
		if b.Failed > 0 {
			tone = fleet.Warned
		}
		if !b.Refused.IsZero() {
			tone, refused = fleet.Bad, "since "+stamp(b.Refused)+": "+b.Why
		}
		t.Add(string(b.JobKind), cmp.Or(b.Build, "(none named)"), thousands(b.Runs), thousands(b.Failed), share, stamp(b.Last), thousands(b.Affected), thousands(b.Live), refused)
		t.Tone(4, tone)
	}
	if len(t.Rows) == 0 {
		a.out.printf("None.\n")
		return
	}
	a.out.table(&t)
	for _, b := range out.Builds {
		if !b.Refused.IsZero() {
			a.out.printf("Once it is mended: segmentguard resume --why WHY --job-kind %s %s\n", text.Shell(string(b.JobKind)), text.Shell(b.Build))
		}
	}
}
