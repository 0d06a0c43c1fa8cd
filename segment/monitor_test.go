package segment_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A fleet is a ledger with segments in it, the sizes that a store shows of them,
// and a monitor that watches them.
type fleet struct {
	t       *testing.T
	ledger  *segment.Memory
	alerter *recorder
	config  segment.MonitorConfig
	now     time.Time
	sizes   map[segment.ID]validate.Summary
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, ledger: segment.NewMemory(), alerter: newRecorder(), now: time.Now().UTC(), sizes: map[segment.ID]validate.Summary{}}
	f.config = segment.MonitorConfig{Ledger: f.ledger, Alerter: f.alerter, Now: func() time.Time { return f.now }}
	return f
}

// runs records one run a day, the last one two hours ago, and leaves the last
// size in the store.
func (f *fleet) runs(id segment.ID, sizes ...int64) {
	for i, users := range sizes {
		f.run(id, fmt.Sprint("run ", i), users, f.now.Add(-2*time.Hour).AddDate(0, 0, i+1-len(sizes)))
	}
}

func (f *fleet) run(id segment.ID, run string, users int64, at time.Time) {
	f.record(segment.Record{Segment: id, RunID: run, State: segment.RunCommitted, Users: users, At: at})
	f.sizes[id] = validate.Count(users)
}

func (f *fleet) record(r segment.Record) {
	r.JobKind, r.JobID, r.Build = segment.JobKindCopy, "copy to "+r.Segment.String(), "build-7"
	if r.Report == nil {
		r.Report = &validate.Report{}
	}
	r.Report.Stored = validate.Count(r.Users)
	require.NoError(f.t, f.ledger.Record(f.t.Context(), r))
}

// listing is what the store shows, in the right order.
func (f *fleet) listing() []segment.CurrentSize {
	var all []segment.CurrentSize
	for id, stored := range f.sizes {
		all = append(all, segment.CurrentSize{Segment: id, Stored: stored, At: f.now})
	}
	slices.SortFunc(all, func(a, b segment.CurrentSize) int { return a.Segment.Compare(b.Segment) })
	return all
}

func listed(all []segment.CurrentSize, last error) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, c := range all {
			if !yield(c, nil) {
				return
			}
		}
		if last != nil {
			yield(segment.CurrentSize{}, last)
		}
	}
}

func (f *fleet) sweep() segment.Sweep {
	f.t.Helper()
	s, err := f.trySweep(f.listing(), nil)
	require.NoError(f.t, err)
	require.True(f.t, s.Complete)
	return s
}

func (f *fleet) trySweep(all []segment.CurrentSize, last error) (segment.Sweep, error) {
	f.t.Helper()
	m, err := segment.NewMonitor(f.config)
	require.NoError(f.t, err)
	return m.Sweep(f.t.Context(), listed(all, last))
}

// A recorder keeps what it was told, and fails when it is told to.
type recorder struct {
	mu     sync.Mutex
	fail   error
	firing map[segment.ID]segment.Alert
	events []string
}

func newRecorder() *recorder { return &recorder{firing: map[segment.ID]segment.Alert{}} }

func (r *recorder) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	for _, a := range resolved {
		delete(r.firing, a.Segment)
	}
	replaced := map[segment.ID]bool{}
	for _, a := range firing {
		replaced[a.Segment] = true
		r.firing[a.Segment] = a
		if a.About != nil {
			r.events = append(r.events, fmt.Sprintf("fire %s %s, %d members", a.Urgency, a.About.Cause, a.Ring))
			continue
		}
		r.events = append(r.events, fmt.Sprintf("fire %s %s %s", a.Urgency, a.Kind, a.Segment))
	}
	for _, a := range resolved {
		switch {
		case replaced[a.Segment]:
		case a.About != nil:
			r.events = append(r.events, fmt.Sprintf("resolve %s, %d members", a.About.Cause, a.Ring))
		default:
			r.events = append(r.events, "resolve "+a.Segment.String())
		}
		replaced[a.Segment] = a.About == nil // its other marks end with it
	}
	return nil
}

// news is what was told since the last call.
func (r *recorder) news() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.events
	r.events = nil
	return news
}

func seg(name string) segment.ID { return segment.ID{SiteGroup: "site-a", Name: name} }

func TestSweepFindsWhatNoJobSees(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		set          func(*fleet)
		segments     int
		healthy      int
		unwatched    int
		missing      int
		cases        []string
	}{
		{
			name: "all well", reason: "sizes that last runs left live are no news",
			set:      func(f *fleet) { f.runs(seg("cars"), 100, 110, 105); f.runs(seg("travel"), 7) },
			segments: 2, healthy: 2,
		},
		{
			name: "shrank with no job running", reason: "one user less than the last run stored, and nobody took it away",
			set:      func(f *fleet) { f.runs(seg("cars"), 1000, 1000); f.sizes[seg("cars")] = validate.Count(999) },
			segments: 1, cases: []string{"page short site-a/cars: stored 999 of 1,000 users (0.1% short, 0 allowed)"},
		},
		{
			name: "drifts as far as it may", reason: "the rule knows of users that leave by themselves",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1000, 1000)
				f.sizes[seg("cars")] = validate.Count(990)
				f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
					return segment.Rule{Drift: validate.Within(0.01)}, nil
				}
			},
			segments: 1, healthy: 1,
		},
		{
			name: "grew with no job running", reason: "users came from elsewhere than the guarded job",
			set:      func(f *fleet) { f.runs(seg("cars"), 1000, 1000); f.sizes[seg("cars")] = validate.Count(1001) },
			segments: 1, cases: []string{"page surplus site-a/cars: stored 1,001 users where 1,000 were expected (0.1% surplus, 0 allowed)"},
		},
		{
			name: "emptied", reason: "the incident's lookalikes",
			set:      func(f *fleet) { f.runs(seg("cars"), 1000, 1000, 1000); f.sizes[seg("cars")] = validate.Count(0) },
			segments: 1, cases: []string{"page empty site-a/cars: stored 0 of 1,000 users (100% short, 0 allowed)"},
		},
		{
			name: "the last run passed with half the users", reason: "a job's own check was told to expect them, the history was not",
			set:      func(f *fleet) { f.runs(seg("cars"), 1000, 1010, 990, 1000, 480) },
			segments: 1, cases: []string{"ticket dropped site-a/cars: off its history: 480 users, 52% below its lowest of the last week (1,000); in 4 sizes it never moved by more than 2.0%, so 665 to 1,630 are allowed"},
		},
		{
			name: "the last run stopped at a known limit", reason: "a size must not vouch for itself, though the ledger holds it by now",
			set:      func(f *fleet) { f.runs(seg("cars"), 60000, 60000, 60000, 10000) },
			segments: 1, cases: []string{"page capped site-a/cars: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …); off its history: 10,000 users, 83% below its lowest of the last week (60,000); in 3 sizes it never moved, so 39,000 to 101,000 are allowed"},
		},
		{
			name: "not in the store", reason: "a segment that is not listed is said, it may be empty",
			set:     func(f *fleet) { f.runs(seg("cars"), 1000); f.runs(seg("z"), 5); delete(f.sizes, seg("cars")) },
			missing: 1, segments: 1, healthy: 1,
			cases: []string{"page unverified site-a/cars: could not be verified: it is not among the current sizes: deleted, or empty in a listing that leaves empty segments out"},
		},
		{
			name: "never was in the store", reason: "its first run was rejected, so there is nothing to miss",
			set: func(f *fleet) {
				f.record(segment.Record{Segment: seg("cars"), RunID: "r", State: segment.RunRejected, Users: 10, At: f.now})
			},
		},
		{
			name: "not in the ledger", reason: "nothing to judge by is said, and is not healthy",
			set:      func(f *fleet) { f.sizes[seg("cars")] = validate.Count(10) },
			segments: 1, unwatched: 1,
		},
		{
			name: "not counted", reason: "a size that is not known is no pass",
			set:      func(f *fleet) { f.runs(seg("cars"), 10); f.sizes[seg("cars")] = validate.Unknown() },
			segments: 1, cases: []string{"ticket unverified site-a/cars: could not be verified: stored is unknown: nothing was read back"},
		},
		{
			name: "a size nobody measured", reason: "a forgotten field is no pass",
			set:      func(f *fleet) { f.runs(seg("cars"), 10); f.sizes[seg("cars")] = validate.Summary{} },
			segments: 1, cases: []string{"ticket unverified site-a/cars: could not be verified: Output.Stored is not measured, want what is stored, read back"},
		},
		{
			name: "rejected since", reason: "a run that was discarded left live what was there before",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1000, 1000)
				f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunRejected, Users: 10, At: f.now.Add(-time.Hour)})
			},
			segments: 1, healthy: 1,
		},
		{
			name: "live, and would have failed", reason: "what only observes leaves a broken segment live: it is off its history",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1000, 1000)
				f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunObserved, Users: 13, At: f.now.Add(-time.Hour)})
				f.sizes[seg("cars")] = validate.Count(13)
			},
			segments: 1, cases: []string{"ticket dropped site-a/cars: off its history: 13 users, 99% below its lowest of the last week (1,000); in 2 sizes it never moved, so 635 to 1,730 are allowed"},
		},
		{
			name: "listed before the last run went live", reason: "a run has the time at which it was judged, a little before it went live",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1000, 1000)
				f.run(seg("cars"), "just now", 1050, f.now.Add(-time.Minute))
				f.sizes[seg("cars")] = validate.Count(1000)
			},
			segments: 1, healthy: 1,
		},
		{
			name: "still the size of before, hours later", reason: "by then the run's users should be there",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001, 1050)
				f.sizes[seg("cars")] = validate.Count(1001)
			},
			segments: 1, cases: []string{"page short site-a/cars: stored 1,001 of 1,050 users (4.7% short, 0 allowed)"},
		},
		{
			name: "a store that settles", reason: "its counts may lag behind the last run that long",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001, 1051) // two hours ago
				f.sizes[seg("cars")] = validate.Count(1030)
				f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
					return segment.Rule{Lag: segment.Lag{Min: time.Hour, Every: time.Minute, Max: 3 * time.Hour}}, nil
				}
			},
			segments: 1, healthy: 1,
		},
		{
			name: "accepted, and not live", reason: "a human called the size of a discarded run right: what is live is the one of before",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				f.record(segment.Record{Segment: seg("cars"), RunID: "less", State: segment.RunRejected, Users: 903, At: f.now.Add(-time.Hour)})
				accepted(f.t, f.ledger, which("less", seg("cars")), ann(f.now))
			},
			segments: 1, healthy: 1,
		},
		{
			name: "rejected, and other sizes since", reason: "what a run left live is what is expected, not what somebody saw",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				require.NoError(f.t, segment.Import(f.t.Context(), f.ledger, []segment.SizeImport{{Segment: seg("cars"), Sizes: []validate.Size{{Users: 1003, At: f.now.Add(-time.Hour)}}}}))
				f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunRejected, Users: 13, At: f.now.Add(-time.Minute)})
			},
			segments: 1, healthy: 1,
		},
		{
			name: "only ever empty", reason: "nothing says how many users there should be",
			set: func(f *fleet) {
				require.NoError(f.t, segment.Import(f.t.Context(), f.ledger, []segment.SizeImport{{Segment: seg("cars"), Sizes: []validate.Size{{At: f.now.Add(-time.Hour)}}}}))
				f.sizes[seg("cars")] = validate.Count(13)
			},
			segments: 1, unwatched: 1,
		},
		{
			name: "left empty by the last run", reason: "its policy allowed that, and it is what is expected",
			set:      func(f *fleet) { f.runs(seg("cars"), 0) },
			segments: 1, healthy: 1,
		},
		{
			name: "off its history, where that is only a warning", reason: "a warning is told, too",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001, 1001, 480)
				f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
					return segment.Rule{Policy: validate.Policy{OffHistory: validate.OffHistoryWarns}}, nil
				}
			},
			segments: 1, cases: []string{"ticket dropped site-a/cars: dropped: 480 users, 52% below its lowest of the last week (1,001); in 3 sizes it never moved, so 651 to 1,680 are allowed"},
		},
		{
			name: "what somebody saw is off its history", reason: "no guard passed that size: its being known explains nothing",
			set: func(f *fleet) {
				var sizes []validate.Size
				for i, users := range []int64{1001, 1001, 1001, 480} {
					sizes = append(sizes, validate.Size{Users: users, At: f.now.Add(-25*time.Hour).AddDate(0, 0, i-3)})
				}
				require.NoError(f.t, segment.Import(f.t.Context(), f.ledger, []segment.SizeImport{{Segment: seg("cars"), Sizes: sizes}}))
				f.sizes[seg("cars")] = validate.Count(480)
				f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
					return segment.Rule{Policy: validate.Policy{Caps: []validate.Cap{{Users: 480, Origin: "ours"}}}}, nil
				}
			},
			segments: 1, cases: []string{"page capped site-a/cars: capped at 480, a known limit (ours); off its history: 480 users, 52% below its lowest of the last week (1,001); in 3 sizes it never moved, so 550 to 1,920 are allowed"},
		},
		{
			name: "imported, and not in the store", reason: "no guard is needed to miss it",
			set: func(f *fleet) {
				require.NoError(f.t, segment.Import(f.t.Context(), f.ledger, []segment.SizeImport{{Segment: seg("cars"), Sizes: []validate.Size{{Users: 5, At: f.now.Add(-time.Hour)}}}}))
			},
			missing: 1, cases: []string{"page unverified site-a/cars: could not be verified: it is not among the current sizes: deleted, or empty in a listing that leaves empty segments out"},
		},
		{
			name: "not in the store after a commit that failed", reason: "it may have been live",
			set: func(f *fleet) {
				f.record(segment.Record{Segment: seg("cars"), RunID: "r", State: segment.RunUnknown, Users: 10, At: f.now.Add(-2 * time.Hour)})
			},
			missing: 1, cases: []string{"page unverified site-a/cars: could not be verified: it is not among the current sizes: deleted, or empty in a listing that leaves empty segments out"},
		},
		{
			name: "observed, and not read back", reason: "zero users that nobody counted are not expected",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				r := segment.Record{Segment: seg("cars"), RunID: "observed", State: segment.RunObserved, At: f.now.Add(-time.Hour)}
				require.NoError(f.t, f.ledger.Record(f.t.Context(), r))
			},
			segments: 1, healthy: 1,
		},
		{
			name: "unknown, then rejected", reason: "the first of them may be live",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				f.record(segment.Record{Segment: seg("cars"), RunID: "lost", State: segment.RunUnknown, Users: 1050, At: f.now.Add(-80 * time.Minute)})
				f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunRejected, Users: 3, At: f.now.Add(-70 * time.Minute)})
				f.sizes[seg("cars")] = validate.Count(1050)
			},
			segments: 1, healthy: 1,
		},
		{
			name: "rejected, and live all the same", reason: "without staging the guard discards nothing, and it could alert nobody: TestRefusedAndLive",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunRejected, Live: true, Users: 1050, At: f.now.Add(-70 * time.Minute)})
				f.sizes[seg("cars")] = validate.Count(1050)
			},
			segments: 1, cases: []string{"page unverified site-a/cars: could not be verified: run bad, attempt 0, is recorded as rejected, is live all the same, as the store has no staging, and no alert says so; next: its report in the log, then run it again, or accept its size"},
		},
		{
			name: "stored as an estimate", reason: "an estimate is no exact number for later ones",
			set: func(f *fleet) {
				f.runs(seg("cars"), 1001, 1001)
				r := segment.Record{Segment: seg("cars"), RunID: "about", State: segment.RunCommitted, Users: 1050, At: f.now.Add(-70 * time.Minute)}
				r.Report = &validate.Report{Stored: validate.Estimate(1050, 0.01)}
				require.NoError(f.t, f.ledger.Record(f.t.Context(), r))
				f.sizes[seg("cars")] = validate.Estimate(1040, 0.01)
			},
			segments: 1, healthy: 1,
		},
		{
			name: "an estimate", reason: "a counter that may be off by more than the segment may drift decides nothing",
			set:      func(f *fleet) { f.runs(seg("cars"), 1000, 1000); f.sizes[seg("cars")] = validate.Estimate(1000, 0.01) },
			segments: 1, cases: []string{"ticket unverified site-a/cars: could not be verified: stored about 1,000 users ± 1% where 1,000 were expected: the counters' error of 30 users (three standard errors) is too wide where exactly 1,000 are allowed; an exact count or a tolerance of 3.0% would decide it"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			c.set(f)
			s := f.sweep()
			require.Equal(t, []int{c.segments, c.healthy, c.unwatched, c.missing}, []int{s.Segments, s.Healthy, s.Unwatched, s.Missing}, c.reason)
			var cases []string
			for _, k := range s.Findings {
				cases = append(cases, fmt.Sprintf("%s %s %s", k.Urgency, k.Kind, k.Text))
			}
			require.Equal(t, c.cases, cases, c.reason)
			require.Len(t, f.alerter.firing, len(c.cases), "each case is alerted")
		})
	}
}

func TestSweepOfABrokenListing(t *testing.T) {
	failed := errors.New("connection reset")
	for _, c := range []struct {
		name, reason string
		set          func(*fleet) ([]segment.CurrentSize, error)
		cases        int
		check        func(*testing.T, error)
	}{
		{
			name: "ends in an error", reason: "what was read is judged, the rest is not called missing or fine",
			set: func(f *fleet) ([]segment.CurrentSize, error) {
				f.sizes[seg("a")] = validate.Count(9)
				return f.listing()[:1], failed
			},
			cases: 1,
			check: func(t *testing.T, err error) { require.ErrorIs(t, err, failed) },
		},
		{
			name: "out of order", reason: "a segment passed over would be called missing",
			set: func(f *fleet) ([]segment.CurrentSize, error) {
				all := f.listing()
				all[1], all[2] = all[2], all[1]
				return all, nil
			},
			check: func(t *testing.T, err error) {
				order, ok := errors.AsType[*segment.OrderError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, segment.OrderError{Sequence: "current sizes", Before: seg("c"), After: seg("b")}, *order)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			for _, name := range []string{"a", "b", "c"} {
				f.runs(seg(name), 10, 10)
			}
			s, err := f.trySweep(c.set(f))
			c.check(t, err)
			require.False(t, s.Complete)
			require.Len(t, s.Findings, c.cases, c.reason)
			require.Zero(t, s.Missing, c.reason)
			require.Len(t, f.alerter.firing, c.cases, "what was found is told all the same")
		})
	}
}

func TestSweepOfASegmentListedTwice(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 10, 10)
	f.runs(seg("b"), 10, 10)
	all := f.listing()
	s, err := f.trySweep([]segment.CurrentSize{all[0], all[0], all[1]}, nil)
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{s.Segments, s.Healthy})
	require.Len(t, s.Findings, 1)
	require.Equal(t, "site-a/a: could not be verified: it is listed 2 times among the current sizes, the first time with 10 users", s.Findings[0].Text)
	fresh := newFleet(t)
	all[0].Segment = seg("fresh")
	s, err = fresh.trySweep([]segment.CurrentSize{all[0], all[0]}, nil)
	require.NoError(t, err)
	require.Len(t, s.Findings, 1, "also where there is nothing else to judge it by")
	require.Zero(t, s.Unwatched)
}

func TestSweepTellsOfAFaultOnce(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	f.sizes[seg("cars")] = validate.Count(900)
	f.sweep()
	require.Equal(t, []string{"fire page short site-a/cars"}, f.alerter.news())
	f.sizes[seg("cars")] = validate.Count(800)
	f.sweep()
	require.Empty(t, f.alerter.news(), "the fault stands")
	f.sizes[seg("cars")] = validate.Count(0)
	f.sweep()
	require.Equal(t, []string{"fire page empty site-a/cars"}, f.alerter.news(), "another fault is news")
	f.sizes[seg("cars")] = validate.Count(1000)
	f.sweep()
	require.Empty(t, f.alerter.news(), "one sweep that finds nothing may be in error")
	f.sweep()
	require.Equal(t, []string{"resolve site-a/cars"}, f.alerter.news())
	f.sweep()
	require.Empty(t, f.alerter.news())
}

// An alerter that fails loses nothing, and is not asked twice for what it took.
func TestSweepRetriesAnAlerterThatFails(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	f.sizes[seg("cars")] = validate.Count(900)
	f.alerter.fail = errors.New("no route to host")
	s, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, f.alerter.fail)
	require.Len(t, s.Findings, 1, "the verdict does not depend on the alerter")
	f.alerter.fail = nil
	f.sweep()
	require.Equal(t, []string{"fire page short site-a/cars"}, f.alerter.news())
	f.sizes[seg("cars")] = validate.Count(1000)
	f.sweep()
	f.alerter.fail = errors.New("no route to host")
	_, err = f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, f.alerter.fail)
	f.alerter.fail = nil
	f.sweep()
	require.Equal(t, []string{"resolve site-a/cars"}, f.alerter.news())
}

// What a guard found stands until a run passes: the store's old users look
// healthy all the while.
func TestSweepLeavesTheGuardsAlertOpen(t *testing.T) {
	f := newFleet(t)
	f.runs(cars, 5, 5)
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: f.ledger, Alerter: f.alerter})
	require.NoError(t, err)
	run := segment.Run{
		ID: "tonight", Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(4), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	}
	_, err = g.Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, []string{"fire page short " + cars.String()}, f.alerter.news())
	s := f.sweep()
	require.Equal(t, 1, s.Healthy)
	require.Empty(t, f.alerter.news())
	_, err = g.Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Short)
	require.Empty(t, f.alerter.news(), "the same fault in the next attempt is a standing one")
	run.Attempt, run.Stored = 1, func(context.Context) (validate.Summary, error) { return validate.Count(5), nil }
	_, err = g.Commit(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"resolve " + cars.String()}, f.alerter.news())
}

// A source that was truncated before the job read it is no fault of the job: each
// night's run passes, and nobody is told again as long as the number is the same.
func TestGuardLeavesStandingWhatOnlyASweepSees(t *testing.T) {
	f := newFleet(t)
	for i := range 10 {
		f.runs(seg(fmt.Sprint(i)), 12_600+int64(i), 12_700+int64(i), 9_999)
	}
	f.sweep()
	require.Len(t, f.alerter.news(), 11, "the segments and their incident")
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: f.ledger, Alerter: f.alerter})
	require.NoError(t, err)
	pass := func(id string, read validate.Summary, users int64) {
		_, err := g.Commit(t.Context(), segment.Run{
			ID: fmt.Sprint("night of ", users), Job: segment.Copy(seg(id), seg("source")), Expected: validate.Count(users), Read: read,
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(users), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
		require.NoError(t, err)
	}
	pass("1", validate.Summary{}, 9_999)
	require.Empty(t, f.alerter.news(), "it is still the number that ten segments stopped at")
	f.sweep()
	pass("1", validate.Summary{}, 12_800)
	require.Empty(t, f.alerter.news(), "it waits for a sweep that agrees")
	f.sizes[seg("1")], f.now = validate.Count(12_800), time.Now().Add(time.Minute)
	f.sweep()
	require.Equal(t, []string{"resolve site-a/1"}, f.alerter.news())
}

// A guard's fault is not over because what a sweep found beside it is.
func TestSweepLeavesTheGuardsFaultBelowItsOwn(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{seg("cars").In("")}, func(s *segment.SegmentState) error {
		opened(s, segment.Alert{Segment: seg("cars"), RunID: "tonight", Urgency: segment.Page, Kind: validate.Short})
		return nil
	}))
	f.sizes[seg("cars")] = validate.Count(0)
	f.sweep()
	require.Equal(t, []string{"fire page empty site-a/cars"}, f.alerter.news())
	f.sizes[seg("cars")] = validate.Count(1000)
	require.Equal(t, 1, f.sweep().Healthy)
	require.Empty(t, f.alerter.news(), "the job's run has still failed")
}

// A commit that became known late does not hide a later run.
func TestLateKnowledgeIsNotTheLastRun(t *testing.T) {
	f := newFleet(t)
	f.run(seg("cars"), "later", 1200, f.now.Add(-2*time.Hour))
	f.record(segment.Record{Segment: seg("cars"), RunID: "lost", State: segment.RunCommitted, Settled: true, Users: 1100, At: f.now.Add(-3 * time.Hour)})
	require.Equal(t, 1, f.sweep().Healthy)
}

// Two attempts of a run commit on machines whose clocks differ.
func TestNewerAttemptIsTheLastWhateverClocksSay(t *testing.T) {
	f := newFleet(t)
	f.run(seg("cars"), "yesterday", 1200, f.now.Add(-24*time.Hour))
	f.sizes[seg("cars")] = validate.Count(1180)
	for attempt, users := range []int64{1200, 1180} {
		f.record(segment.Record{
			Segment: seg("cars"), RunID: "today", Attempt: attempt, State: segment.RunCommitted,
			Users: users, At: f.now.Add(-time.Duration(2+attempt) * time.Hour),
		})
	}
	require.Equal(t, 1, f.sweep().Healthy)
}

// Sundays have half the users of other days: a sweep in the afternoon compares
// with Sundays, too.
func TestSweepComparesWithTheWeekdayOfTheRun(t *testing.T) {
	f := newFleet(t)
	for f.now = time.Date(2024, 3, 18, 0, 0, 0, 0, time.UTC); f.now.Before(time.Date(2024, 4, 14, 1, 0, 0, 0, time.UTC)); f.now = f.now.AddDate(0, 0, 1) {
		users := int64(50_021)
		if f.now.Weekday() == time.Sunday {
			users = 25_011
		}
		f.run(seg("cars"), f.now.String(), users, f.now)
	}
	for _, hour := range []int{1, 13, 23} {
		f.now = time.Date(2024, 4, 14, hour, 0, 0, 0, time.UTC)
		require.Equal(t, 1, f.sweep().Healthy, "at %d o'clock", hour)
	}
}

// What is gone on purpose, or right whatever it looks like, is resolved by the
// next sweep.
func TestHumansResolveAlerts(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000, 300)
	f.runs(seg("gone"), 1000)
	delete(f.sizes, seg("gone"))
	f.sweep()
	require.Len(t, f.alerter.news(), 2)
	accepted(t, f.ledger, which("run 2", seg("cars")), ann(f.now))
	require.NoError(t, segment.Forget(t.Context(), f.ledger, which("", seg("gone")), ann(f.now)))
	s := f.sweep()
	require.Empty(t, s.Findings)
	require.Equal(t, []string{"resolve site-a/cars", "resolve site-a/gone"}, f.alerter.news())
}

// Segments that no guarded job writes are watched by the sizes of earlier sweeps.
func TestSweepKeepsSizesThatNoGuardKnows(t *testing.T) {
	f := newFleet(t)
	f.sizes[seg("uploaded")] = validate.Count(1000)
	require.Equal(t, 1, f.sweep().Unwatched)
	for range 3 {
		f.now = f.now.AddDate(0, 0, 1)
		require.Equal(t, 1, f.sweep().Healthy)
	}
	f.now = f.now.AddDate(0, 0, 1)
	f.sizes[seg("uploaded")] = validate.Count(300)
	for range 3 {
		s := f.sweep()
		require.Len(t, s.Findings, 1, "the bad size is not kept, so that it stays one")
		require.Equal(t, validate.Dropped, s.Findings[0].Kind)
		f.now = f.now.AddDate(0, 0, 1)
	}
	sizes := sizesOf(t, f.ledger, seg("uploaded"))
	require.Len(t, sizes, 4)
	for _, size := range sizes {
		require.True(t, size.Unguarded)
	}
}

// What a sweep keeps is bounded, however many segments no guard stands before:
// those come first of which nothing was known for longest.
func TestSweepsTakeTurnsInKeeping(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred thousand segments")
	}
	const most, more = 100_000, 7
	f := newFleet(t)
	for i := range most + more {
		f.sizes[seg(strconv.Itoa(i))] = validate.Count(1000)
	}
	known := func() (n int) {
		for range f.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
			n++
		}
		return n
	}
	require.Equal(t, most+more, f.sweep().Unwatched)
	require.Equal(t, most, known())
	f.now = f.now.AddDate(0, 0, 1)
	require.Equal(t, more, f.sweep().Unwatched)
	require.Equal(t, most+more, known(), "what was left out is first the next time")
}

// Counters that count differently are no measure for each other.
func TestSweepComparesOneCounter(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000, 1000)
	f.config.Counter = "search index"
	f.sizes[seg("cars")] = validate.Count(1300) // it counts what was deleted, too
	require.Equal(t, 1, f.sweep().Unwatched, "there is no size by this counter yet")
	f.now = f.now.AddDate(0, 0, 1)
	require.Equal(t, 1, f.sweep().Healthy, "by now there is")
	for range 3 { // several sweeps a day, and the guard's runs in between
		f.now = f.now.Add(time.Hour)
		f.record(segment.Record{Segment: seg("cars"), RunID: f.now.String(), State: segment.RunCommitted, Users: 1000, At: f.now.Add(-time.Minute)})
		require.Equal(t, 1, f.sweep().Healthy)
	}
	sizes := sizesOf(t, f.ledger, seg("cars"))
	require.Len(t, slices.DeleteFunc(sizes, func(s validate.Size) bool { return s.Counter == "" }), 2, "one a day is kept")
	f.now = f.now.AddDate(0, 0, 1)
	f.sizes[seg("cars")] = validate.Count(600)
	require.Equal(t, validate.Dropped, f.sweep().Findings[0].Kind)
}

// A commit that failed left it open whether the segment is live. A sweep sees.
func TestSweepSettlesUnknownCommits(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		stored, live int64
		ago          time.Duration
		state        segment.RunState
		baseline     int
		told         []string
	}{
		{"live", "just as many users are there as the run had stored", 1100, 1100, 90 * time.Minute, segment.RunCommitted, 3, []string{"resolve site-a/cars"}},
		{"not live", "the users of before are there", 1100, 1000, 90 * time.Minute, segment.RunRejected, 2, []string{"resolve site-a/cars"}},
		{"neither", "some other number proves nothing", 1100, 1050, 90 * time.Minute, segment.RunUnknown, 2, nil},
		{"both", "the same number as before tells not whether it is live, but what is", 1000, 1000, 90 * time.Minute, segment.RunUnknown, 2, []string{"resolve site-a/cars"}},
		{"on its way", "the run may still be about to go live", 1100, 1000, 5 * time.Minute, segment.RunUnknown, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			f.runs(seg("cars"), 1000, 1000)
			f.record(segment.Record{Segment: seg("cars"), RunID: "tonight", State: segment.RunUnknown, Users: c.stored, At: f.now.Add(-c.ago)})
			require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{seg("cars").In("")}, func(s *segment.SegmentState) error {
				opened(s, segment.Alert{Segment: seg("cars"), RunID: "tonight", State: segment.RunUnknown, Urgency: segment.Ticket, Kind: validate.Unverified})
				return nil
			}))
			f.sizes[seg("cars")] = validate.Count(c.live)
			f.sweep()
			sizes := sizesOf(t, f.ledger, seg("cars"))
			require.Len(t, sizes, c.baseline, c.reason)
			require.Equal(t, c.told, f.alerter.news(), c.reason)
			for tracked, err := range f.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
				require.NoError(t, err)
				require.Equal(t, c.state, tracked.Last.State, c.reason)
				require.Equal(t, c.told != nil, tracked.Live != nil, "what was seen in the store is known to be live")
			}
		})
	}
}

// The copy of a broken lookalike names the lookalike, and has its own alert.
func TestSweepNamesWhatIsUpstream(t *testing.T) {
	f := newFleet(t)
	seed, like, copied, other := seg("seed"), seg("like"), seg("copied"), seg("other")
	f.config.Jobs = []segment.Job{segment.Lookalike(like, seed), segment.Copy(copied, like), segment.Copy(other, seed)}
	f.runs(seed, 1000, 1000)
	f.runs(like, 5000, 5000, 5000, 2000)
	f.runs(copied, 5000, 5000, 5000, 2000)
	f.runs(other, 1000, 1000)
	s := f.sweep()
	require.Len(t, s.Findings, 2)
	for _, c := range s.Findings {
		if c.Segment == copied {
			require.Equal(t, like, c.Upstream)
		} else {
			require.Zero(t, c.Upstream)
		}
	}
	require.ElementsMatch(t, []segment.Affected{{Segment: copied, Users: 5000}, {Segment: like, Users: 5000}}, s.Affected)
	require.Contains(t, f.alerter.firing[copied].Text, "made from site-a/like, which is affected itself")
}

// A copy names what it was made from in another store, too, by what that store's monitor
// found; not a segment whose live users are protected.
func TestSweepNamesWhatIsUpstreamElsewhere(t *testing.T) {
	f := newFleet(t)
	like, copied := seg("like"), seg("copied")
	f.config.Jobs = []segment.Job{segment.Lookalike(like, seg("seed")), segment.Copy(copied, like)}
	runs := func(store string, id segment.ID) {
		for i, n := range []int64{5001, 5001, 5001} {
			f.record(segment.Record{Segment: id, Store: store, RunID: fmt.Sprint("run ", i), State: segment.RunCommitted, Users: n, At: f.now.AddDate(0, 0, i-4)})
		}
	}
	sweeps := func(store string, id segment.ID, users int64) segment.SegmentFinding {
		f.config.Store = store
		clear(f.sizes)
		f.sizes[id] = validate.Count(users)
		s := f.sweep()
		require.Len(t, s.Findings, 1)
		return s.Findings[0]
	}
	runs("redis", copied)
	runs("postgresql", like)
	guard, err := segment.NewGuard(segment.GuardConfig{
		Ledger: f.ledger, Alerter: f.alerter, Now: f.config.Now,
		Rules: func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{Store: "files"}, nil },
	})
	require.NoError(t, err)
	_, err = guard.Commit(t.Context(), segment.Run{
		ID: "protected", Job: f.config.Jobs[0], Expected: validate.Count(5001), Stored: func(context.Context) (validate.Summary, error) { return validate.Count(3), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	})
	require.ErrorIs(t, err, validate.Short)
	require.Zero(t, sweeps("redis", copied, 2001).Upstream)
	sweeps("postgresql", like, 2002)
	found := sweeps("redis", copied, 2001)
	require.Equal(t, like, found.Upstream)
	s, err := f.ledger.State(t.Context(), copied.In("redis"))
	require.NoError(t, err)
	require.Contains(t, s.Alert.Open.Text, "made from site-a/like, which is affected itself")
}

// What was discarded is no sign of a limit at work on what is live.
func TestSweepOfRejectedReads(t *testing.T) {
	f := newFleet(t)
	for i := range int64(9) {
		id := seg(strconv.FormatInt(i, 10))
		f.record(segment.Record{Segment: id, RunID: "good", State: segment.RunCommitted, Users: 20_000 + i, Read: 30_000 + i, At: f.now.AddDate(0, 0, -1)})
		f.record(segment.Record{Segment: id, RunID: "bad", State: segment.RunRejected, Users: 8000 + i, Read: 9_999, At: f.now.Add(-time.Hour)})
		f.sizes[id] = validate.Count(20_000 + i)
	}
	require.Equal(t, 9, f.sweep().Healthy)
}

// Only what went the same way explains what became of a copy, and what is missing
// explains nothing.
func TestSweepNamesNoOtherUpstream(t *testing.T) {
	for _, c := range []struct {
		reason string
		source func(*fleet)
		want   segment.ID
	}{
		{"a source that lost users explains a copy that did", func(f *fleet) { f.runs(seg("source"), 5001, 5001, 5001, 2001) }, seg("source")},
		{"one that gained users does not", func(f *fleet) { f.runs(seg("source"), 5001, 5001, 5001, 20_001) }, segment.ID{}},
		{"nor one that is not listed", func(f *fleet) { f.runs(seg("source"), 5001); delete(f.sizes, seg("source")) }, segment.ID{}},
	} {
		f := newFleet(t)
		f.config.Jobs = []segment.Job{segment.Copy(seg("copied"), seg("source"))}
		f.runs(seg("copied"), 5001, 5001, 5001, 2001)
		c.source(f)
		s := f.sweep()
		require.Len(t, s.Findings, 2)
		for _, found := range s.Findings {
			if found.Segment == seg("copied") {
				require.Equal(t, c.want, found.Upstream, c.reason)
			}
		}
	}
}

func TestIncidents(t *testing.T) {
	f := newFleet(t)
	f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
		return segment.Rule{Runbook: "https://runbooks.example/copies"}, nil
	}
	for i := range 4 {
		id := segment.ID{SiteGroup: fmt.Sprint("site-", i%2), Name: fmt.Sprint("s", i)}
		f.runs(id, 1000, 1000)
		f.sizes[id] = validate.Count(900)
	}
	s := f.sweep()
	require.Len(t, s.Incidents, 1)
	incident := s.Incidents[0]
	require.Equal(t, segment.Cause{JobKind: segment.JobKindCopy, Build: "build-7"}, incident.Cause)
	require.Equal(t, []int{4, 4, 4, 2}, []int{incident.Members.Segments, incident.Members.Pages, incident.Members.Live, incident.Members.SiteGroups})
	require.EqualValues(t, 4000, incident.Members.Users)
	require.Equal(t, map[validate.Kind]int{validate.Short: 4}, incident.Members.Kinds)
	require.Equal(t, "stored 900 of 1,000 users (10.0% short, 0 allowed)", incident.Likely)
	require.Equal(t, "https://runbooks.example/copies", incident.Runbook)
	news := f.alerter.news()
	require.Len(t, news, 5)
	require.Equal(t, "fire page copy jobs of build build-7, 3 members", news[0], "it comes first, to hold back its segments' pages")
	require.Empty(t, f.sweep().Findings[0].Upstream)
	require.Empty(t, f.alerter.news(), "it stands, like its segments' alerts")
	for id := range f.sizes {
		if id.Name != "s0" {
			f.sizes[id] = validate.Count(1000)
		}
	}
	f.sweep()
	require.Empty(t, f.alerter.news(), "one sweep that finds nothing may be in error")
	require.Len(t, f.sweep().Incidents, 1, "the last ones of it must not ring again")
	require.Len(t, f.alerter.news(), 3)
	f.sizes[segment.ID{SiteGroup: "site-0", Name: "s0"}] = validate.Count(1000)
	f.sweep()
	require.Len(t, f.sweep().Incidents, 1)
	require.Equal(t, []string{"resolve site-0/s0"}, f.alerter.news())
	f.now = f.now.Add(24 * time.Hour)
	require.Empty(t, f.sweep().Incidents, "a day after its last member")
	require.Equal(t, []string{"resolve copy jobs of build build-7, 3 members"}, f.alerter.news())
}

// Two monitors on two machines tell of a fault once.
func TestSweepsSideBySide(t *testing.T) {
	f := newFleet(t)
	for i := range 50 {
		f.runs(seg(fmt.Sprint("s", i)), 1000, 1000)
		f.sizes[seg(fmt.Sprint("s", i))] = validate.Count(int64(900 + i))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { f.sweep() })
	}
	wg.Wait()
	require.Len(t, f.alerter.news(), 51, "50 segments and their incident")
}

func TestSweepAsJSON(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	f.sizes[seg("cars")] = validate.Count(900)
	s := f.sweep()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	var back segment.Sweep
	require.NoError(t, json.Unmarshal(data, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(data), string(again))
	require.False(t, back.Findings[0].Report.Passed())
	require.Equal(t, s.Findings[0].Text, back.Findings[0].Text)
}

// Ids are mapped on the way, so that a limit on the reading leaves no two stored
// sizes alike: what was read tells.
func TestSweepFindsALimitOnTheReading(t *testing.T) {
	f := newFleet(t)
	random := rand.New(rand.NewPCG(1, 1))
	day := func(id segment.ID, days int, read int64) {
		stored := int64((0.7 + 0.25*random.Float64()) * float64(read))
		f.record(segment.Record{Segment: id, RunID: fmt.Sprint(days), State: segment.RunCommitted, Users: stored, Read: read, At: f.now.Add(-time.Hour).AddDate(0, 0, -days)})
		f.sizes[id] = validate.Count(stored)
	}
	for i := range 40_000 {
		id := seg(fmt.Sprintf("%05d", i))
		users := int64(math.Exp(math.Log(50) + 10*random.Float64()))
		today := int64(float64(users) * math.Exp(0.03*random.NormFloat64()))
		if i < 50 {
			users = 12_600 + int64(random.IntN(900)) // so little above that the history alone says nothing
			today = 9_999                            // no known limit
		}
		day(id, 1, users)
		day(id, 0, today)
	}
	// A few others are exactly on small known limits by chance.
	hit := func(s segment.Sweep) (names []string) {
		for _, c := range s.Findings {
			if strings.Contains(c.Text, "read exactly 9,999 users, as 49 other segments that were larger, too: a limit at work") {
				require.Equal(t, validate.Capped, c.Kind)
				names = append(names, c.Segment.Name)
			}
		}
		slices.Sort(names)
		return names
	}
	s := f.sweep()
	names := hit(s)
	require.Len(t, names, 50)
	require.Equal(t, "00049", names[49])
	require.Equal(t, s.Segments, s.Healthy+len(s.Findings))
	sizes := sizesOf(t, f.ledger, seg("00007"))
	require.Len(t, sizes, 1, "a size that a limit brought about is no baseline")
	require.Len(t, s.Incidents, 1)
	f.alerter.news()
	require.Equal(t, names, hit(f.sweep()), "sizes that a limit brought about are no baseline: it is still found")
	require.Empty(t, f.alerter.news())
}

// Sizes that no guard stands before are kept, but not those that a limit brought
// about: the next sweep would take them for what there was.
func TestSweepKeepsNoSizeThatALimitBroughtAbout(t *testing.T) {
	f := newFleet(t)
	for i := range int64(50) {
		id := seg(fmt.Sprintf("%05d", i))
		require.NoError(t, segment.Import(t.Context(), f.ledger, []segment.SizeImport{{Segment: id, Sizes: []validate.Size{{Users: 12_600 + 17*i, At: f.now.AddDate(0, 0, -3)}}}}))
		f.sizes[id] = validate.Count(9_999)
	}
	today := f.now
	for _, f.now = range []time.Time{today.AddDate(0, 0, -1), today} {
		s := f.sweep()
		require.Len(t, s.Findings, 50)
		require.Equal(t, validate.Capped, s.Findings[0].Kind)
	}
	require.Len(t, f.alerter.firing, 51, "and an incident")
}

// A run goes live after the ledger was read and before the store comes to its
// segment: what is there is what that run stored.
func TestSweepOfARunThatGoesLiveMeanwhile(t *testing.T) {
	for _, c := range []struct {
		reason         string
		users, stored  int64
		state          segment.RunState
		cases, healthy int
	}{
		{"it passed, and just its users are there", 1203, 1203, segment.RunCommitted, 0, 1},
		{"others are there", 1203, 1202, segment.RunCommitted, 1, 0},
		{"it was discarded, and its users are there all the same", 1203, 1203, segment.RunRejected, 1, 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			f := newFleet(t)
			f.runs(seg("cars"), 1000, 1000)
			m, err := segment.NewMonitor(f.config)
			require.NoError(t, err)
			s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				f.record(segment.Record{Segment: seg("cars"), RunID: "meanwhile", State: c.state, Users: c.users, At: time.Now()})
				yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(c.stored), At: time.Now()}, nil)
			})
			require.NoError(t, err)
			require.Len(t, s.Findings, c.cases, c.reason)
			require.Equal(t, c.healthy, s.Healthy)
			require.Len(t, f.alerter.firing, c.cases)
		})
	}
}

// TestSweepOfARunThatGoesLiveMeanwhileByAnotherClock: a run explains what is there
// because it is new to the ledger, not because its clock says so.
func TestSweepOfARunThatGoesLiveMeanwhileByAnotherClock(t *testing.T) {
	for _, c := range []struct {
		reason    string
		meanwhile bool // the run of 1,203 users went live while the store was listed
		at        time.Duration
		counter   string
		findings  int
	}{
		{"by a clock that is behind", true, -3 * time.Hour, "", 0},
		{"by a clock that is ahead", true, time.Hour, "", 0},
		{"counted otherwise", true, -3 * time.Hour, "index", 1},
		{"long before, by a clock that is ahead", false, time.Hour, "", 1},
		{"long before", false, -4 * time.Hour, "", 1},
	} {
		f := newFleet(t)
		f.runs(seg("cars"), 1000, 1000)
		other := segment.Record{Segment: seg("cars"), RunID: "other", State: segment.RunCommitted, Users: 1203, At: f.now.Add(c.at), Counter: c.counter}
		if !c.meanwhile {
			f.record(other)
		}
		// Whatever is there after this one was found wrong.
		f.record(segment.Record{Segment: seg("cars"), RunID: "bad", State: segment.RunRejected, Live: true, Users: 1203, At: f.now.Add(-2 * time.Hour)})
		m, err := segment.NewMonitor(f.config)
		require.NoError(t, err)
		s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
			if c.meanwhile {
				f.record(other)
			}
			yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(1203), At: f.now}, nil)
		})
		require.NoError(t, err)
		require.Len(t, s.Findings, c.findings, c.reason)
	}
}

// Cases that no run can explain do not keep others from being asked for.
func TestSweepOfARunThatGoesLiveMeanwhileAmongMissing(t *testing.T) {
	f := newFleet(t)
	for i := range 50 {
		f.runs(seg(fmt.Sprint("gone ", i)), 1000, 1000)
	}
	f.runs(seg("cars"), 1000, 1000)
	m, err := segment.NewMonitor(f.config)
	require.NoError(t, err)
	s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		f.record(segment.Record{Segment: seg("cars"), RunID: "meanwhile", State: segment.RunCommitted, Users: 1203, At: time.Now()})
		yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(1203), At: time.Now()}, nil)
	})
	require.NoError(t, err)
	require.Len(t, s.Findings, 50)
	require.Equal(t, 1, s.Healthy)
}

// A ledger that refuses a size, and whatever comes with it.
type refusing struct {
	*segment.Memory
	segment segment.ID
}

func (r refusing) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	if slices.Contains(keys, r.segment.In("")) {
		return &validate.InputError{Field: "SizeImport.Segment", Value: r.segment, Want: "another"}
	}
	return r.Memory.Change(ctx, keys, change)
}

// One size that cannot be kept costs no other.
func TestSweepKeepsWhatCanBeKept(t *testing.T) {
	f := newFleet(t)
	const segments = 3000 // more than are handed to a ledger at once
	for i := range segments {
		f.sizes[seg(fmt.Sprint(i))] = validate.Count(int64(1000 + i))
	}
	f.config.Ledger = refusing{f.ledger, seg("0")}
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorContains(t, err, "keeping sizes of segments that no guard stands before")
	kept := 0
	for tracked, err := range f.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		kept += len(tracked.Sizes)
	}
	require.Equal(t, segments-1, kept)
}

// A segment that is listed twice is no run's doing.
func TestSweepOfARunThatGoesLiveMeanwhileListedTwice(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	m, err := segment.NewMonitor(f.config)
	require.NoError(t, err)
	s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		f.record(segment.Record{Segment: seg("cars"), RunID: "meanwhile", State: segment.RunCommitted, Users: 1203, At: time.Now()})
		_ = yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(1203), At: time.Now()}, nil) &&
			yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(17), At: time.Now()}, nil)
	})
	require.NoError(t, err)
	require.Len(t, s.Findings, 1)
}

// A ledger that counts how often it is asked for the sizes of one segment.
type asked struct {
	*segment.Memory
	times int
}

func (a *asked) State(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
	a.times++
	return a.Memory.State(ctx, key)
}

// Where very many segments are affected, asking for each would hold up the alerts.
func TestSweepOfVeryManyCasesAsksForNone(t *testing.T) {
	for cases, want := range map[int]int{1000: 1000, 1001: 0} {
		f := newFleet(t)
		for i := range cases {
			f.runs(seg(fmt.Sprint(i)), 1000)
			f.sizes[seg(fmt.Sprint(i))] = validate.Count(int64(100 + i%300))
		}
		ledger := &asked{Memory: f.ledger}
		f.config.Ledger = ledger
		require.Len(t, f.sweep().Affected, cases)
		require.Equal(t, want, ledger.times)
	}
}

func TestSweepOfNoListing(t *testing.T) {
	f := newFleet(t)
	m, err := segment.NewMonitor(f.config)
	require.NoError(t, err)
	s, err := m.Sweep(t.Context(), nil)
	require.EqualError(t, err, "segment: sweep: sizes is nil, want the current sizes of all segments")
	require.False(t, s.Complete)
}

// A ledger that yields a segment twice would have it missing from the store.
func TestSweepOverALedgerThatRepeats(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 1000, 1000)
	f.runs(seg("b"), 1000, 1000)
	f.config.Ledger = repeating{f.ledger}
	s, err := f.trySweep(f.listing(), nil)
	order, ok := errors.AsType[*segment.OrderError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "ledger out of order: site-a/a came twice", order.Error())
	require.False(t, s.Complete)
	require.Empty(t, s.Findings)
}

// A repeating ledger yields its first segment twice.
type repeating struct{ *segment.Memory }

// TestListingFailsWithinASegment: an error that comes with a segment is an
// error, also where that segment was listed before.
func TestListingFailsWithinASegment(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 10, 10)
	m, err := segment.NewMonitor(f.config)
	require.NoError(t, err)
	broken := errors.New("broken")
	current := f.listing()[0]
	s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		_ = yield(current, nil) && yield(current, broken)
	})
	require.ErrorIs(t, err, broken)
	require.False(t, s.Complete)
}

func (r repeating) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) {
		first := true
		for t, err := range r.Memory.Segments(ctx, f) {
			if first && !yield(t, err) || !yield(t, err) {
				return
			}
			first = false
		}
	}
}
