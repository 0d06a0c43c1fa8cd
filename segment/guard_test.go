package segment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	cars     = segment.ID{SiteGroup: "site-b", Name: "cars"}
	copyCars = segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"})
	errDown  = errors.New("connection refused")
)

// A bench is one guarded job with everything around it that the test can break.
// It writes down what happens, in order.
type bench struct {
	t      *testing.T
	mu     sync.Mutex
	events []string

	staged, live int64 // a store with staging
	ledger       *segment.Memory
	fail         map[string]error // what is to fail, by event
	end          func(string)     // ends the goroutine, by event
	alerts       []segment.Alert
	config       segment.GuardConfig
	run          segment.Run
}

// newBench has a job that was to store 5,300 users, and did; 4,800 were live.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, staged: 5300, live: 4800, ledger: segment.NewMemory(), fail: map[string]error{}, end: func(string) {}}
	b.config = segment.GuardConfig{Ledger: b, Alerter: b}
	b.told(segment.Alert{Segment: cars, Urgency: segment.Ticket, Kind: validate.Unverified, RunID: "sunday", Build: "v0"}) // and of what level was not known
	b.run = segment.Run{
		ID: "monday", Attempt: 1, Build: "v1", Job: copyCars,
		Expected: validate.Count(5300),
		Stored:   b.stored,
		Staging:  segment.Staging{Commit: func(context.Context) error { b.end("commit"); b.live = b.staged; return b.event("commit") }, Discard: func(context.Context) error { b.staged = 0; return b.event("discard") }},
	}
	return b
}

// told makes an alert one that is open, and that the alerter was told of.
func (b *bench) told(a segment.Alert) {
	require.NoError(b.t, b.ledger.Change(b.t.Context(), []segment.Key{a.Segment.In("")}, func(s *segment.SegmentState) error {
		opened(s, a)
		return nil
	}))
}

// opened makes an alert one that is open, and that the alerter was told of.
func opened(s *segment.SegmentState, a segment.Alert) {
	m := segment.Mark{Urgency: a.Urgency, Kind: a.Kind, Level: a.Level, JobKind: a.Job.Kind, Build: a.Build}
	s.Alert = segment.AlertState{
		Open: &a, Marks: []segment.Mark{m}, Told: []segment.Told{{Mark: m}}, Swept: a.RunID == "", Unsettled: a.State == segment.RunUnknown,
	}
}

// open returns the alert that is open, if there is one.
func (b *bench) open() *segment.Alert {
	for s, err := range b.ledger.Segments(b.t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(b.t, err)
		return s.Alert.Open
	}
	return nil
}

func (b *bench) event(name string) error {
	b.end(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, name)
	return b.fail[name]
}

func (b *bench) stored(context.Context) (validate.Summary, error) {
	return validate.Count(b.staged), b.event("stored")
}

func (b *bench) State(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
	if err := b.event("sizes"); err != nil {
		return segment.SegmentState{}, err
	}
	return b.ledger.State(ctx, key)
}

func (b *bench) Record(ctx context.Context, r segment.Record) error {
	if err := b.event(string(r.State)); err != nil {
		return err
	}
	require.NoError(b.t, ctx.Err(), "what must be recorded is recorded though the job was cancelled")
	return b.ledger.Record(ctx, r)
}

func (b *bench) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	b.mu.Lock()
	err := b.fail["lock"]
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.ledger.Lock(ctx, key, change)
}

func (b *bench) Next(ctx context.Context, key segment.Key) (segment.Start, error) {
	if err := b.fail["next"]; err != nil {
		return segment.Start{}, err
	}
	return b.ledger.Next(ctx, key)
}

func (b *bench) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	return b.ledger.Change(ctx, keys, change)
}

func (b *bench) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return b.ledger.Segments(ctx, f)
}

func (b *bench) Log(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	return b.ledger.Log(ctx, f)
}

func (b *bench) Identity(ctx context.Context) (string, error) { return b.ledger.Identity(ctx) }

func (b *bench) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	return b.ledger.Incidents(ctx, f)
}

func (b *bench) ChangeIncident(ctx context.Context, id string, change func(*segment.Incident) error) error {
	return b.ledger.ChangeIncident(ctx, id, change)
}

func (b *bench) Mutes(ctx context.Context) ([]segment.Mute, error) { return b.ledger.Mutes(ctx) }

func (b *bench) ChangeMutes(ctx context.Context, change func([]segment.Mute) ([]segment.Mute, error)) error {
	return b.ledger.ChangeMutes(ctx, change)
}

func (b *bench) CountAlerts(ctx context.Context) ([]segment.AlertCount, error) {
	return b.ledger.CountAlerts(ctx)
}

func (b *bench) Sweeps(ctx context.Context, n int) ([]segment.SweepNumbers, error) {
	return b.ledger.Sweeps(ctx, n)
}

func (b *bench) KeepSweep(ctx context.Context, s segment.SweepNumbers) error {
	return b.ledger.KeepSweep(ctx, s)
}

func (b *bench) Jobs(ctx context.Context, f segment.JobFilter) iter.Seq2[segment.Job, error] {
	return b.ledger.Jobs(ctx, f)
}

func (b *bench) Plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	return b.ledger.Plans(ctx, f)
}

func (b *bench) KeepPlan(ctx context.Context, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	return b.ledger.KeepPlan(ctx, p, steps)
}

func (b *bench) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	return b.ledger.Steps(ctx, f)
}

func (b *bench) CountSteps(ctx context.Context, plan string) (map[segment.StepState]int, error) {
	return b.ledger.CountSteps(ctx, plan)
}

func (b *bench) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	return b.ledger.ChangeSteps(ctx, plan, numbers, change)
}

func (b *bench) KeepJobs(ctx context.Context, jobs []segment.Job) error {
	return b.ledger.KeepJobs(ctx, jobs)
}

func (b *bench) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	b.alerts = append(b.alerts, firing...)
	if len(firing) > 0 {
		return b.event("fire")
	}
	require.NotEmpty(b.t, resolved, "nothing was told")
	return b.event("resolve")
}

func (b *bench) guard() *segment.Guard {
	g, err := segment.NewGuard(b.config)
	require.NoError(b.t, err)
	return g
}

func (b *bench) commit() (validate.Report, error) { return b.guard().Commit(b.t.Context(), b.run) }

func (b *bench) rule(r segment.Rule) {
	b.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return r, nil }
}

// past puts sizes into the ledger, one an hour, the last one an hour ago.
func (b *bench) past(sizes ...int64) {
	for i, users := range sizes {
		require.NoError(b.t, b.ledger.Record(b.t.Context(), segment.Record{
			Segment: cars, RunID: fmt.Sprint("past", i), State: segment.RunCommitted, Users: users,
			At: time.Now().Add(time.Duration(i-len(sizes)) * time.Hour),
		}))
	}
}

func (b *bench) baseline() []int64 {
	sizes := sizesOf(b.t, b.ledger, cars)
	users := []int64{}
	for _, s := range sizes {
		users = append(users, s.Users)
	}
	return users
}

// recorded returns all that was recorded of runs, oldest first.
func (b *bench) records() (all []segment.Record) {
	for e, err := range b.ledger.Log(b.t.Context(), segment.LogFilter{}) {
		require.NoError(b.t, err)
		if e.Record != nil {
			all = append(all, *e.Record)
		}
	}
	return all
}

func (b *bench) recorded() bool { return len(b.records()) > 0 }

func (b *bench) last() segment.Record {
	all := b.records()
	require.NotEmpty(b.t, all, "nothing recorded")
	return all[len(all)-1]
}

// TestOrderOfEvents holds the rows of the design's table: what happens, in which
// order, and what is live, recorded, and returned at the end.
func TestOrderOfEvents(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		set          func(*bench)
		events       []string
		live         int64
		baseline     []int64
		check        func(*testing.T, *bench, validate.Report, error)
	}{
		{
			name: "passes", reason: "accepted before it is live, committed after",
			set:    func(*bench) {},
			events: []string{"sizes", "stored", "passed", "commit", "committed", "resolve"},
			live:   5300, baseline: []int64{5300},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.True(t, r.Passed())
			},
		},
		{
			name: "judged short", reason: "discarded, recorded, alerted; the live segment keeps its users",
			set:    func(b *bench) { b.staged = 4100 },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"},
			live:   4800, baseline: []int64{},
			check: func(t *testing.T, b *bench, r validate.Report, err error) {
				require.ErrorIs(t, err, validate.Short)
				require.EqualError(t, err, "site-b/cars: stored 4,100 of 5,300 users (22.6% short, 0 allowed)")
				require.False(t, r.Passed())
				require.False(t, segment.Retryable(err))
				require.Equal(t, segment.Page, b.alerts[0].Urgency)
				require.True(t, b.alerts[0].Protected())
				require.Equal(t, "customers not hit: the live segment keeps its users; "+err.Error()+"; build v1; next: mend the cause, then run the job again and what is made from the segment (rerun.New)", b.alerts[0].Text)
				require.Equal(t, "v0", b.alerts[0].Build, "which brought it first")
			},
		},
		{
			name: "no rule", reason: "what nobody knows how to judge is unverified",
			set: func(b *bench) {
				b.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{}, errDown }
			},
			events: []string{"rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, b *bench, r validate.Report, err error) {
				require.ErrorIs(t, err, validate.Unverified)
				require.ErrorIs(t, err, errDown)
				require.Equal(t, int64(5300), r.Expected.Users(), "the report tells what is known")
				require.True(t, segment.Retryable(err))
				require.Equal(t, segment.Ticket, b.alerts[0].Urgency, "nothing is proven")
			},
		},
		{
			name: "bad rule", reason: "a rule that contradicts itself judges nothing",
			set:    func(b *bench) { b.rule(segment.Rule{Mode: "watch"}) },
			events: []string{"rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				require.ErrorContains(t, err, `Rule.Mode is watch, want "" or "observe"`)
				require.False(t, segment.Retryable(err), "it will be as bad the next time")
			},
		},
		{
			name: "observed, bad rule", reason: "a rule that only observes stops nothing, whatever else is wrong with it",
			set:    func(b *bench) { b.rule(segment.Rule{Mode: segment.Observe, Lag: settles}) }, // and no WrittenAt
			events: []string{"commit", "observed", "fire"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, b *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.False(t, r.Passed())
				require.Contains(t, b.alerts[0].Text, "Run.WrittenAt is missing")
			},
		},
		{
			name: "history out of reach", reason: "unverified, and judged all the same",
			set:    func(b *bench) { b.fail["sizes"] = errDown },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				require.EqualError(t, err, "site-b/cars: could not be verified: reading earlier sizes: connection refused")
				require.True(t, segment.Retryable(err))
			},
		},
		{
			name: "history out of reach, and short", reason: "an outage does not hide what is proven",
			set:    func(b *bench) { b.fail["sizes"], b.staged = errDown, 4100 },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Short)
				require.ErrorIs(t, err, validate.Unverified)
				require.False(t, segment.Retryable(err))
			},
		},
		{
			name: "history best effort", reason: "passes with a warning that only explains, if the configuration says so",
			set:    func(b *bench) { b.fail["sizes"], b.config.BestEffortSizes = errDown, true },
			events: []string{"sizes", "stored", "passed", "commit", "committed", "resolve"}, live: 5300, baseline: []int64{5300},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.Len(t, r.Findings, 2, "and that the run has no number, which only explains")
				require.Equal(t, "reading earlier sizes: connection refused", r.Findings[0].Detail)
			},
		},
		{
			name: "history best effort, size vouched by nothing", reason: "best effort is no blank cheque",
			set: func(b *bench) {
				b.fail["sizes"], b.config.BestEffortSizes = errDown, true
				b.run.Expected = validate.Unknown()
			},
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Unverified)
			},
		},
		{
			name: "read back fails", reason: "a store without an answer is not an empty one",
			set:    func(b *bench) { b.fail["stored"] = errDown },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				require.EqualError(t, err, "site-b/cars: could not be verified: stored: not measured: reading back what is stored: connection refused")
				require.ErrorIs(t, err, errDown)
				require.NotErrorIs(t, err, validate.Empty)
				require.True(t, segment.Retryable(err))
			},
		},
		{
			name: "verdict, and discard fails", reason: "the verdict is told whatever fails after it; then the alert's text is updated, and nobody told again",
			set:    func(b *bench) { b.staged, b.fail["discard"] = 4100, errDown },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Short)
				require.ErrorIs(t, err, errDown)
				require.ErrorContains(t, err, "(22.6% short, 0 allowed); discarding: connection refused")
				require.Contains(t, b.open().Text, "; the output is left over: discarding: connection refused")
			},
		},
		{
			name: "verdict, and record and alert fail", reason: "not recorded is said, on one line; telling fails no job",
			set:    func(b *bench) { b.staged, b.fail["rejected"], b.fail["fire"] = 4100, errDown, errors.New("no route") },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Short)
				require.EqualError(t, err, "site-b/cars: stored 4,100 of 5,300 users (22.6% short, 0 allowed); recording it as rejected: connection refused")
				alert := b.state().Alert
				require.True(t, alert.Pending(), "the next guard or sweep tells it")
			},
		},
		{
			name: "accepting fails", reason: "nothing is live, the job fails",
			set:    func(b *bench) { b.fail["passed"] = errDown },
			events: []string{"sizes", "stored", "passed", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				require.EqualError(t, err, "site-b/cars: could not be verified: recording the run: recording it as passed: connection refused")
				require.True(t, segment.Retryable(err))
				require.False(t, r.Passed())
			},
		},
		{
			name: "commit fails", reason: "never discarded after a commit was attempted",
			set:    func(b *bench) { b.fail["commit"] = errDown },
			events: []string{"sizes", "stored", "passed", "commit", "unknown", "fire"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				unknown, ok := errors.AsType[*segment.UnknownError](err)
				require.True(t, ok)
				require.ErrorIs(t, unknown, errDown)
				require.EqualError(t, err, "site-b/cars: run monday may be live or not: the commit failed: connection refused")
				require.False(t, segment.Retryable(err))
				require.Equal(t, segment.RunUnknown, b.last().State)
				require.Contains(t, b.alerts[0].Text, "customers perhaps hit: nobody knows whether the output is live; "+err.Error())
				require.False(t, b.alerts[0].Protected())
			},
		},
		{
			name: "recording committed fails", reason: "live: not to be run again",
			set:    func(b *bench) { b.fail["committed"] = errDown },
			events: []string{"sizes", "stored", "passed", "commit", "committed", "resolve"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				_, ok := errors.AsType[*segment.LiveError](err)
				require.True(t, ok)
				require.EqualError(t, err, "site-b/cars: run monday is live, do not run it again, but recording it as committed: connection refused")
				require.False(t, segment.Retryable(err))
				require.True(t, r.Passed())
			},
		},
		{
			name: "resolving fails", reason: "telling people fails no job: the next guard or sweep tells it",
			set:    func(b *bench) { b.fail["resolve"] = errDown },
			events: []string{"sizes", "stored", "passed", "commit", "committed", "resolve"}, live: 5300, baseline: []int64{5300},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				require.NoError(t, err)
				require.Nil(t, b.open())
			},
		},
		{
			name: "passes with a warning", reason: "off its history, vouched for by the source: live, and somebody looks upstream",
			set:    func(b *bench) { b.past(20100, 20100, 20100) },
			events: []string{"sizes", "stored", "passed", "commit", "committed", "fire"}, live: 5300, baseline: []int64{20100, 20100, 20100}, // until it was vouched for on seven days
			check: func(t *testing.T, b *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.True(t, r.Passed())
				require.Equal(t, segment.Ticket, b.alerts[0].Urgency)
				require.Equal(t, validate.Dropped, b.alerts[0].Kind)
				require.Contains(t, b.alerts[0].Text, "customers perhaps hit: what passed with a warning is live; site-b/cars: dropped: 5,300 users, 74% below")
			},
		},
		{
			name: "lookalike off its history", reason: "a model's own output does not vouch for its size",
			set:    func(b *bench) { b.past(20100, 20100, 20100); b.run.Job = segment.Lookalike(cars, cars) },
			events: []string{"sizes", "stored", "rejected", "fire", "discard"}, live: 4800, baseline: []int64{20100, 20100, 20100},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Dropped)
				require.Equal(t, segment.Ticket, b.alerts[0].Urgency, "only its history suspects it")
			},
		},
		{
			name: "observed, short", reason: "recorded, alerted, let through; out of the baseline",
			set:    func(b *bench) { b.rule(segment.Rule{Mode: segment.Observe}); b.staged = 4100 },
			events: []string{"sizes", "stored", "commit", "observed", "fire"}, live: 4100, baseline: []int64{},
			check: func(t *testing.T, b *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.False(t, r.Passed())
				require.Contains(t, b.alerts[0].Text, "customers hit: the live segment lost 10% of its users or more; ")
			},
		},
		{
			name: "observed, right", reason: "a size that would have passed is a baseline",
			set:    func(b *bench) { b.rule(segment.Rule{Mode: segment.Observe}) },
			events: []string{"sizes", "stored", "commit", "observed", "resolve"}, live: 5300, baseline: []int64{5300},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) { require.NoError(t, err) },
		},
		{
			name: "observed, everything of ours down", reason: "a job that is only observed does not fail by us",
			set: func(b *bench) {
				b.rule(segment.Rule{Mode: segment.Observe})
				for _, event := range []string{"sizes", "stored", "observed", "fire"} {
					b.fail[event] = errDown
				}
			},
			events: []string{"sizes", "stored", "commit", "observed", "fire"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.False(t, r.Passed())
			},
		},
		{
			name: "observed, not recorded", reason: "the report tells of it, as the error must not",
			set: func(b *bench) {
				b.rule(segment.Rule{Mode: segment.Observe})
				b.fail["observed"] = errDown
			},
			events: []string{"sizes", "stored", "commit", "observed", "resolve"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, _ *bench, r validate.Report, err error) {
				require.NoError(t, err)
				require.True(t, r.Passed())
				require.Len(t, r.Findings, 1)
				require.Equal(t, "recording it as observed: connection refused", r.Findings[0].Detail)
			},
		},
		{
			name: "observed, commit fails", reason: "the job's own failure stays one",
			set:    func(b *bench) { b.rule(segment.Rule{Mode: segment.Observe}); b.fail["commit"] = errDown },
			events: []string{"sizes", "stored", "commit", "unknown", "fire"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) { require.ErrorIs(t, err, errDown) },
		},
		{
			name: "live, right", reason: "a store without staging",
			set:    func(b *bench) { b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil },
			events: []string{"sizes", "stored", "committed", "resolve"}, live: 4800, baseline: []int64{5300},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) { require.NoError(t, err) },
		},
		{
			name: "live, short", reason: "judged, recorded, alerted; error and alert say that nothing is protected",
			set: func(b *bench) {
				b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard, b.staged = true, nil, nil, 4100
			},
			events: []string{"sizes", "stored", "rejected", "fire"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, b *bench, _ validate.Report, err error) {
				require.ErrorIs(t, err, validate.Short)
				require.True(t, b.last().Live)
				require.ErrorContains(t, err, "(live already: the segment is not protected)")
				require.False(t, b.alerts[0].Protected())
				require.Contains(t, b.alerts[0].Text, "customers hit: the live segment lost 10% of its users or more; ")
			},
		},
		{
			name: "live, not recorded", reason: "live is live",
			set: func(b *bench) {
				b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard, b.fail["committed"] = true, nil, nil, errDown
			},
			events: []string{"sizes", "stored", "committed", "resolve"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) {
				_, ok := errors.AsType[*segment.LiveError](err)
				require.True(t, ok)
			},
		},
		{
			name: "nothing to discard", reason: "a nil Discard has nothing to drop",
			set:    func(b *bench) { b.run.Staging.Discard, b.staged = nil, 4100 },
			events: []string{"sizes", "stored", "rejected", "fire"}, live: 4800, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) { require.ErrorIs(t, err, validate.Short) },
		},
		{
			name: "no history", reason: "nil Ledger: none",
			set:    func(b *bench) { b.config.Ledger = nil },
			events: []string{"stored", "commit", "resolve"}, live: 5300, baseline: []int64{},
			check: func(t *testing.T, _ *bench, _ validate.Report, err error) { require.NoError(t, err) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			c.set(b)
			report, err := b.commit()
			require.Equal(t, c.events, b.events, c.reason)
			require.Equal(t, c.live, b.live, c.reason)
			require.Equal(t, c.baseline, b.baseline(), c.reason)
			c.check(t, b, report, err)
		})
	}
}

// TestAdmitGates: what fails before the first write never reaches the store.
func TestAdmitGates(t *testing.T) {
	b := newBench(t)
	b.run.Read = validate.Count(10000)
	b.run.Expected = validate.Count(812345)
	_, err := b.guard().Admit(t.Context(), b.run)
	require.ErrorIs(t, err, validate.Capped)
	require.Equal(t, []string{"sizes", "rejected", "fire", "discard"}, b.events, "and the job need not tidy up")

	b = newBench(t)
	b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil
	b.run.Read = validate.Count(5200)
	_, err = b.guard().Admit(t.Context(), b.run)
	require.EqualError(t, err, "site-b/cars: read 5,200 of 5,300 users (1.9% short, 0 allowed), lost while reading")
	require.True(t, b.alerts[0].Protected(), "nothing was written, so what is live is as it was")
	require.Equal(t, "customers not hit: the live segment keeps its users; "+err.Error()+"; build v1; next: mend the cause, then run the job again and what is made from the segment (rerun.New)", b.alerts[0].Text)
	require.False(t, b.last().Live)

	b = newBench(t)
	b.run.Stored, b.run.Staging.Commit = nil, nil
	_, err = b.guard().Admit(t.Context(), b.run)
	require.NoError(t, err, "what comes later need not be there yet")
	require.Equal(t, []string{"sizes"}, b.events)

	b = newBench(t)
	b.rule(segment.Rule{Mode: segment.Observe})
	b.run.Read = validate.Count(10)
	report, err := b.guard().Admit(t.Context(), b.run)
	require.NoError(t, err, "observed: let through, and alerted once, by Commit")
	require.False(t, report.Passed())
	require.Equal(t, []string{"sizes"}, b.events)
}

// TestBadRuns: a run that cannot be guarded is not committed.
func TestBadRuns(t *testing.T) {
	for field, edit := range map[string]func(*segment.Run){
		"Run.ID":      func(r *segment.Run) { r.ID = "" },
		"Run.Attempt": func(r *segment.Run) { r.Attempt = -1 },
		"output: could not be verified: Run.Job.To is /": func(r *segment.Run) { r.Job = segment.Job{} },
		"Run.Job.To is site-b/, want the segment":        func(r *segment.Run) { r.Job.To.Name = "" },
		"want UTF-8":         func(r *segment.Run) { r.Job.To.Name = "\xff" },
		"Run.Live":           func(r *segment.Run) { r.Live = true },
		"Run.Stored":         func(r *segment.Run) { r.Stored = nil },
		"Run.Staging.Commit": func(r *segment.Run) { r.Staging.Commit = nil },
		"Run.WrittenAt":      func(*segment.Run) {}, // the rule below settles
		"no Staging.Tx with it": func(r *segment.Run) {
			r.Live, r.Staging.Commit, r.Staging.Discard, r.Staging.Tx = true, nil, nil, segment.NewMemory()
		},
		"Output.Expected": func(r *segment.Run) { r.Expected = validate.Summary{} },
		"Output.Stored": func(r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { return validate.Summary{}, nil }
		},
	} {
		t.Run(field, func(t *testing.T) {
			b := newBench(t)
			if field == "Run.WrittenAt" {
				b.rule(segment.Rule{Lag: segment.Lag{Max: time.Minute, Every: time.Second}})
			}
			edit(&b.run)
			_, err := b.commit()
			require.ErrorContains(t, err, field)
			require.ErrorIs(t, err, validate.Unverified)
			require.False(t, segment.Retryable(err))
			require.Equal(t, int64(4800), b.live)
			require.NotContains(t, b.events, "commit")
			for _, a := range b.alerts {
				require.WithinDuration(t, time.Now(), a.At, time.Hour)
				require.WithinDuration(t, time.Now(), b.last().At, time.Hour)
			}
			switch {
			case b.run.ID == "", strings.Contains(field, "Run.Job.To"), field == "want UTF-8":
				require.Equal(t, []string{"discard"}, b.events, "nothing to record it under, and nothing to alert about")
			case b.run.Live:
				require.NotContains(t, b.events, "discard", "what is live must not be dropped")
				require.NotEmpty(t, b.alerts)
			default:
				require.NotEmpty(t, b.alerts)
			}
		})
	}
}

// TestLiveSuperseded: an older attempt that is live all the same went over what
// the newer one left: nobody knows what is live, and people are told.
func TestLiveSuperseded(t *testing.T) {
	b := newBench(t)
	b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil
	newer := b.run
	newer.Attempt, newer.Expected = 2, validate.Count(5400)
	_, err := b.guard().Commit(t.Context(), newer)
	require.ErrorIs(t, err, validate.Short)
	b.events = nil
	_, err = b.commit()
	require.ErrorIs(t, err, segment.ErrSuperseded)
	_, live := errors.AsType[*segment.LiveError](err)
	require.True(t, live)
	require.Equal(t, []string{"sizes", "stored", "committed", "committed"}, b.events, "recorded as live, over the newer attempt's output; a page stands")
	require.True(t, b.state().Alert.Unsettled)
	require.Contains(t, b.open().Text, "superseded by attempt 2")
	require.True(t, b.last().Overlapped)
}

// TestAfterUnknown: a run that was kept away after one of which nobody knows whether it is
// live says nothing of what is.
func TestAfterUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fail["commit"] = errDown
		_, err := b.commit()
		require.ErrorAs(t, err, new(*segment.UnknownError))
		require.Contains(t, b.open().Text, "perhaps hit: nobody knows whether the output is live")
		b.fail, b.run.ID, b.staged = map[string]error{}, "tuesday", 5000
		time.Sleep(2 * time.Minute) // its lease has run out
		_, err = b.commit()
		require.ErrorIs(t, err, validate.Short)
		require.Contains(t, b.open().Text, "perhaps hit: nobody knows what an earlier run left live; this one changed nothing")
	})
}

// TestObservedSuperseded: an attempt that is only observed goes live, as it would
// without a guard, and the report says that a newer one was there.
func TestObservedSuperseded(t *testing.T) {
	b := newBench(t)
	b.rule(segment.Rule{Mode: segment.Observe})
	newer := b.run
	newer.Attempt = 2
	_, err := b.guard().Commit(t.Context(), newer)
	require.NoError(t, err)
	report, err := b.commit()
	require.NoError(t, err)
	require.ErrorIs(t, report.Findings[0].Cause, segment.ErrSuperseded)
	require.Equal(t, 1, b.last().Attempt)
	require.True(t, b.last().Overlapped, "it went over the newer one")
}

// TestAttemptsOvertake: an older attempt finds itself superseded before it goes
// live; an attempt goes live once.
func TestAttemptsOvertake(t *testing.T) {
	b := newBench(t)
	newer := b.run
	newer.Attempt = 2
	b.config.Rules = func(ctx context.Context, _ segment.Job) (segment.Rule, error) { // the newer one overtakes here
		b.config.Rules = nil
		_, err := b.guard().Commit(ctx, newer)
		require.NoError(t, err)
		b.staged = 5300
		return segment.Rule{}, nil
	}
	_, err := b.commit()
	require.ErrorIs(t, err, segment.ErrSuperseded)
	require.EqualError(t, err, "recording it as passed: site-b/cars: attempt 1 of run monday is superseded by attempt 2")
	require.False(t, segment.Retryable(err))
	require.Equal(t, []string{"passed", "overtaken", "discard"}, b.events[len(b.events)-3:], "discarded, and no alert: the newer attempt speaks for the segment")
	require.Equal(t, []int64{5300}, b.baseline())

	b.run.Attempt = 2
	_, err = b.commit()
	require.ErrorIs(t, err, segment.ErrSuperseded, "the same attempt a second time")
}

// TestInTransaction: with the job's own history, the size is recorded there and
// nowhere else, just before the commit.
func TestInTransaction(t *testing.T) {
	inside := func(b *bench) {
		tx := &bench{t: b.t, ledger: segment.NewMemory(), fail: map[string]error{}}
		b.run.Staging.Tx = history{tx.ledger, func(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
			b.events = append(b.events, "tx sizes")
			return tx.ledger.State(ctx, key)
		}, func(ctx context.Context, r segment.Record) error {
			b.events = append(b.events, "tx "+string(r.State))
			if err := b.fail["tx "+string(r.State)]; err != nil {
				return err
			}
			return tx.ledger.Record(ctx, r)
		}}
	}
	t.Run("passes", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		_, err := b.commit()
		require.NoError(t, err)
		require.Equal(t, []string{"tx sizes", "stored", "tx committed", "commit", "resolve"}, b.events)
	})
	t.Run("fails", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.staged = 10
		_, err := b.commit()
		require.ErrorIs(t, err, validate.Short)
		require.Equal(t, []string{"tx sizes", "stored", "rejected", "fire", "discard"}, b.events, "the transaction is over before another connection writes")
	})
	t.Run("admit fails", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.run.Read = validate.Count(10)
		_, err := b.guard().Admit(t.Context(), b.run)
		require.ErrorIs(t, err, validate.Short)
		require.Equal(t, []string{"tx sizes", "rejected", "fire", "discard"}, b.events)
	})
	t.Run("recording fails", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.fail["tx committed"] = errDown
		_, err := b.commit()
		require.ErrorIs(t, err, validate.Unverified)
		require.Equal(t, []string{"tx sizes", "stored", "tx committed", "discard", "rejected", "fire"}, b.events)
		require.Equal(t, int64(4800), b.live)
	})
	t.Run("commit fails", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.run.Staging.Commit = func(context.Context) error { return b.event("commit") } // and nothing of it is there
		b.fail["commit"] = errDown
		_, err := b.commit()
		require.ErrorIs(t, err, validate.Unverified)
		require.ErrorIs(t, err, errDown)
		require.True(t, segment.Retryable(err))
		require.Equal(t, []string{"tx sizes", "stored", "tx committed", "commit", "rejected", "fire"}, b.events, "the ledger says that it is not live")
		require.True(t, b.alerts[0].Protected())
	})
	t.Run("commit fails, and the ledger does not answer", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.fail["commit"], b.fail["lock"] = errDown, errDown
		_, err := b.commit()
		_, ok := errors.AsType[*segment.UnknownError](err)
		require.True(t, ok)
		require.Equal(t, []string{"tx sizes", "stored", "tx committed", "commit", "unknown", "fire"}, b.events)
	})
	t.Run("commit works, and its answer is lost", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.run.Staging.Commit = func(ctx context.Context) error {
			require.NoError(t, b.ledger.Record(ctx, segment.Record{Segment: cars, RunID: "monday", Attempt: 1, State: segment.RunCommitted, Users: 5300}))
			return b.event("commit")
		}
		b.fail["commit"] = errDown
		_, err := b.commit()
		require.NoError(t, err, "the ledger says that it is live")
		require.Equal(t, []string{"tx sizes", "stored", "tx committed", "commit", "resolve"}, b.events)
	})
	t.Run("observed", func(t *testing.T) {
		b := newBench(t)
		inside(b)
		b.rule(segment.Rule{Mode: segment.Observe})
		_, err := b.commit()
		require.NoError(t, err)
		require.Equal(t, []string{"tx sizes", "stored", "commit", "observed", "resolve"}, b.events)
	})
}

// A history is a ledger that reads sizes and records in another way.
type history struct {
	*segment.Memory

	state  func(context.Context, segment.Key) (segment.SegmentState, error)
	record func(context.Context, segment.Record) error
}

func (h history) State(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
	return h.state(ctx, key)
}
func (h history) Record(ctx context.Context, r segment.Record) error { return h.record(ctx, r) }

// TestCancelled: a job that was told to stop goes live at no moment, and tidies
// up all the same, without an alert.
func TestCancelled(t *testing.T) {
	for _, at := range []string{"sizes", "stored", "passed"} {
		t.Run(at, func(t *testing.T) {
			b := newBench(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := func() { cancel(errors.New("deploying")) }
			inner := b.run.Stored
			b.run.Stored = func(ctx context.Context) (validate.Summary, error) {
				if at == "stored" {
					stop()
				}
				return inner(ctx)
			}
			b.config.Ledger = history{b.ledger, func(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
				if at == "sizes" {
					stop()
				}
				return b.State(context.WithoutCancel(ctx), key)
			}, func(ctx context.Context, r segment.Record) error {
				if at == "passed" && r.State == segment.RunPassed {
					stop()
					b.events = append(b.events, "passed")
					return nil
				}
				return b.Record(ctx, r)
			}}
			_, err := b.guard().Commit(ctx, b.run)
			require.ErrorContains(t, err, "the job was cancelled before its commit: deploying")
			require.True(t, segment.Retryable(err))
			require.NotContains(t, b.events, "commit")
			require.Contains(t, b.events, "discard")
			require.NotContains(t, b.events, "fire", "that is no news about the segment")
			require.Equal(t, int64(4800), b.live)
		})
	}
}

// TestCancelledLive: what is live and was not verified is news about the segment,
// whoever stopped the job.
func TestCancelledLive(t *testing.T) {
	b := newBench(t)
	b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil
	ctx, cancel := context.WithCancel(t.Context())
	b.run.Stored = func(ctx context.Context) (validate.Summary, error) { cancel(); return validate.Summary{}, ctx.Err() }
	_, err := b.guard().Commit(ctx, b.run)
	require.ErrorIs(t, err, validate.Unverified)
	require.True(t, segment.Retryable(err))
	require.Equal(t, []string{"sizes", "rejected", "fire"}, b.events)
	require.False(t, b.alerts[0].Protected())

	b = newBench(t)
	b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil
	ctx, cancel = context.WithCancel(t.Context())
	b.run.Stored = func(context.Context) (validate.Summary, error) { cancel(); return validate.Count(5300), nil }
	_, err = b.guard().Commit(ctx, b.run)
	require.NoError(t, err, "it is live, and right")
	require.Equal(t, []string{"sizes", "committed", "resolve"}, b.events)
}

// TestCancelledAfterCommit: what is live is recorded, though the job was told to
// stop in between.
func TestCancelledAfterCommit(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	commit := b.run.Staging.Commit
	b.run.Staging.Commit = func(ctx context.Context) error { cancel(); return commit(ctx) }
	_, err := b.guard().Commit(ctx, b.run)
	require.NoError(t, err)
	require.Equal(t, []int64{5300}, b.baseline())
}

// TestPanics: a panic before the commit discards and goes on; one in the commit
// leaves an unknown run behind; neither is swallowed.
func TestPanics(t *testing.T) {
	boom := func() { panic("boom") }
	for name, end := range map[string]func(){"panic": boom, "goexit": runtime.Goexit} {
		for _, c := range []struct {
			at     string
			events []string
			live   int64
		}{
			{"rules", []string{"discard"}, 4800},
			{"sizes", []string{"discard"}, 4800},
			{"stored", []string{"sizes", "discard"}, 4800},
			{"passed", []string{"sizes", "stored", "discard"}, 4800},
			{"commit", []string{"sizes", "stored", "passed", "unknown", "fire"}, 4800},
			{"committed", []string{"sizes", "stored", "passed", "commit"}, 5300},
			{"resolve", []string{"sizes", "stored", "passed", "commit", "committed"}, 5300},
			{"short, discard", []string{"sizes", "stored", "rejected", "fire"}, 4800},
			{"short, rejected", []string{"sizes", "stored", "discard"}, 4800},
			{"short, fire", []string{"sizes", "stored", "rejected", "discard"}, 4800},
		} {
			t.Run(name+" at "+c.at, func(t *testing.T) {
				b := newBench(t)
				at, short := strings.CutPrefix(c.at, "short, ")
				if short {
					b.staged = 5200
				}
				b.end = func(event string) {
					if event == at {
						end()
					}
				}
				b.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { b.end("rules"); return segment.Rule{}, nil }
				returned := false
				done := make(chan any)
				go func() {
					defer func() { done <- recover() }()
					_, _ = b.commit()
					returned = true
				}()
				got := <-done
				require.False(t, returned, "it goes on")
				require.Equal(t, name == "panic", got == "boom")
				require.Equal(t, c.events, b.events)
				require.Equal(t, c.live, b.live)
			})
		}
	}
}

// TestLogs: with a logger, a run that fails is logged, whatever its check found;
// without one, and without an error, nothing is.
func TestLogs(t *testing.T) {
	for event, want := range map[string][]string{
		"":          {"INFO output checked"},
		"commit":    {"INFO output checked", "ERROR run failed"},
		"committed": {"INFO output checked", "ERROR run failed"},
		"stored":    {"ERROR output checked", "ERROR run failed"},
		"panic":     {"ERROR run failed"},
	} {
		t.Run(event, func(t *testing.T) {
			var out bytes.Buffer
			b := newBench(t)
			b.config.Logger = slog.New(slog.NewJSONHandler(&out, nil))
			b.fail[event] = errDown
			if event == "panic" {
				b.run.Stored = func(context.Context) (validate.Summary, error) { panic("boom") }
				require.Panics(t, func() { _, _ = b.commit() })
			} else {
				_, err := b.commit()
				require.Equal(t, event != "", err != nil)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				var l map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &l))
				got = append(got, fmt.Sprint(l["level"], " ", l["msg"]))
				if l["msg"] == "run failed" {
					require.Equal(t, []any{"site-b/cars", "monday"}, []any{l["segment"], l["run"]})
					require.NotEmpty(t, l["error"])
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// TestClocksApart: a guard whose clock is behind another's judges all the same,
// and keeps the history in order.
func TestClocksApart(t *testing.T) {
	b := newBench(t)
	ahead := time.Now().Add(time.Hour)
	require.NoError(t, b.ledger.Record(t.Context(), segment.Record{Segment: cars, RunID: "x", State: segment.RunCommitted, Users: 5300, At: ahead}))
	_, err := b.commit()
	require.NoError(t, err)
	sizes := sizesOf(t, b.ledger, cars)
	require.Len(t, sizes, 2)
	require.True(t, sizes[1].At.After(sizes[0].At))
}

// What a clock ahead of ours committed last is a size to judge by.
func TestClocksApartJudgedByTheLastSize(t *testing.T) {
	b := newBench(t)
	b.past(5300, 5300, 5300)
	ahead := time.Now().Add(time.Hour)
	require.NoError(t, b.ledger.Record(t.Context(), segment.Record{Segment: cars, RunID: "grown", State: segment.RunCommitted, Users: 12_345, At: ahead}))
	b.run.Job = segment.Lookalike(cars, cars)
	b.run.Expected, b.staged = validate.Count(12_345), 12_345
	report, err := b.commit()
	require.NoError(t, err)
	require.Equal(t, int64(12_345), report.Band.Previous)
}

// TestRejectedNeverInBaseline: bad days do not become what good days are judged
// by, however many there are.
func TestRejectedNeverInBaseline(t *testing.T) {
	b := newBench(t)
	b.past(5300, 5300, 5300)
	b.run.Job = segment.Lookalike(cars, cars)
	for day := range 10 {
		b.run.ID, b.run.Expected, b.staged = fmt.Sprint("bad", day), validate.Count(2650), 2650
		_, err := b.commit()
		require.ErrorIs(t, err, validate.Dropped, "day %d", day)
	}
	b.run.ID, b.run.Expected, b.staged = "good", validate.Count(5300), 5300
	_, err := b.commit()
	require.NoError(t, err, "the repair is not flagged")
	require.Equal(t, []int64{5300, 5300, 5300, 5300}, b.baseline())
}

// TestConcurrentCommits: a guard is safe for concurrent use, also for the same
// segment.
func TestConcurrentCommits(t *testing.T) {
	ledger := segment.NewMemory()
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
	require.NoError(t, err)
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = guard.Commit(t.Context(), segment.Run{
				ID: fmt.Sprint("run", i), Job: copyCars, Expected: validate.Count(5300),
				Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(5300), nil },
				Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
			})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	sizes := sizesOf(t, ledger, cars)
	require.Len(t, sizes, 8, "of one day the last eight are kept")
	require.True(t, slices.IsSortedFunc(sizes, func(a, b validate.Size) int { return a.At.Compare(b.At) }))
}

func TestRetryable(t *testing.T) {
	require.False(t, segment.Retryable(nil))
	require.False(t, segment.Retryable(errDown), "not ours to tell")
	require.False(t, segment.Retryable(&validate.Error{}), "nothing says that it will be better the next time")
	bad := &validate.InputError{Field: "Record.Run", Value: "long", Want: "at most 500 bytes"}
	for _, event := range []string{"sizes", "passed"} {
		b := newBench(t)
		b.fail[event] = bad
		_, err := b.commit()
		require.ErrorIs(t, err, validate.Unverified)
		require.False(t, segment.Retryable(err), "a history that refuses what it is given is not out of reach")
		b.fail[event], b.staged = errDown, 5300
		_, err = b.commit()
		require.True(t, segment.Retryable(err))
		require.True(t, segment.Retryable(fmt.Errorf("job 7: %w", err)))
		require.False(t, segment.Retryable(errors.Join(err, &segment.LiveError{})), "live, whatever else")
		require.False(t, segment.Retryable(errors.Join(err, &segment.UnknownError{})))
		require.False(t, segment.Retryable(errors.Join(err, segment.ErrSuperseded)))
	}
}

// A hanging is a ledger and an alerter of which something hangs until it is told
// to stop.
type hanging struct {
	*segment.Memory

	at      string
	alerts  []segment.Alert
	changes int
}

func (h *hanging) hang(ctx context.Context, at string) error {
	if h.at == at {
		<-ctx.Done()
	}
	return context.Cause(ctx)
}

func (h *hanging) Record(ctx context.Context, r segment.Record) error {
	return errors.Join(h.hang(ctx, string(r.State)), h.Memory.Record(ctx, r))
}

func (h *hanging) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	at := "alerts"
	if h.changes++; h.changes > 1 {
		at = "claiming"
	}
	return errors.Join(h.hang(ctx, at), h.Memory.Change(ctx, keys, change))
}

func (h *hanging) Tell(ctx context.Context, firing, _ []segment.Alert) error {
	if err := h.hang(ctx, "fire"); err != nil {
		return err
	}
	h.alerts = append(h.alerts, firing...)
	return nil
}

// TestStoppedJobIsTold: a job that was told to stop and had lost users all the
// same is news; one that could not be verified because of that is none.
func TestStoppedJobIsTold(t *testing.T) {
	for users, fired := range map[int64]bool{5300: false, 4100: true} {
		b := newBench(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		b.run.Stored = func(context.Context) (validate.Summary, error) {
			cancel(errors.New("told to stop"))
			if fired {
				return validate.Count(users), nil
			}
			return validate.Summary{}, context.Cause(ctx)
		}
		_, err := b.guard().Commit(ctx, b.run)
		require.Error(t, err)
		require.Equal(t, fired, errors.Is(err, validate.Short))
		require.Equal(t, fired, len(b.alerts) > 0, "%d users", users)
	}
}

// TestPanicTellsWhatWentWrongAfterIt: nobody gets the error of a guard that a
// panic goes through, so the log does.
func TestPanicTellsWhatWentWrongAfterIt(t *testing.T) {
	for fail, want := range map[string]string{"discard": "discarding: connection refused", "": ""} {
		var log bytes.Buffer
		b := newBench(t)
		b.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		b.fail[fail] = errDown
		b.run.Stored = func(context.Context) (validate.Summary, error) { panic("boom") }
		require.Panics(t, func() { _, _ = b.commit() })
		require.Contains(t, log.String(), "a callback panicked or ended its goroutine")
		require.Contains(t, log.String(), want)
	}
}

// TestHanging: what hangs while the guard tidies up is given up, and does not keep
// people from being told.
func TestHanging(t *testing.T) {
	for at, told := range map[string]bool{"discard": true, "rejected": true, "alerts": true, "claiming": false, "fire": false} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var log bytes.Buffer
				b.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
				h := &hanging{Memory: b.ledger, at: at}
				b.config.Ledger, b.config.Alerter, b.staged, b.config.Timeout = h, h, 4100, 7*time.Second
				b.run.Staging.Discard = func(ctx context.Context) error { return h.hang(ctx, "discard") }
				_, err := b.commit()
				require.ErrorIs(t, err, validate.Short)
				text := err.Error() + log.String()
				require.Contains(t, text, "gave up after "+map[bool]string{true: "2s", false: "7s"}[at == "fire"])
				require.Equal(t, told, len(h.alerts) == 1)
				require.Equal(t, at == "alerts", told && h.alerts[0].Unconfirmed, "nobody wrote it down")
				require.Equal(t, at == "rejected", !b.recorded())
			})
		})
	}
}
