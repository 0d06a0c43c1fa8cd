package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestLedger proves that a segment.Ledger keeps what its interface promises, one
// subtest a rule, those of TestHistory among them. Each takes segments of its
// own, as ledgers may share a database; open is called for each, and closes what
// it opened when its test ends.
func TestLedger(t *testing.T, open func(*testing.T) segment.Ledger) {
	t.Helper()
	t.Run("history", func(t *testing.T) { TestHistory(t, func(t *testing.T) segment.History { return open(t) }) })
	for _, rule := range []struct {
		name string
		test func(*testing.T, segment.Ledger)
	}{
		{"segments", testSegments},
		{"segments while writing", testWritable},
		{"last attempt", testLastAttempt},
		{"what is live", testLive},
		{"accept", testAccept},
		{"accept refuses", testAcceptRefuses},
		{"suspect", testSuspect},
		{"import", testImport},
		{"import is all or nothing", testImportRefuses},
		{"forget", testForget},
		{"attempts", testAttempts},
		{"alerts", testAlerts},
		{"alerts of many segments", testManyAlerts},
		{"alerts changed at once", testAlertsAtOnce},
		{"recorded at once", testRecordedAtOnce},
		{"cancelled", testCancelled},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

// own is a segment of this test alone.
func own(t *testing.T, name string) segment.ID { return segment.ID{SiteGroup: t.Name(), Name: name} }

// put records a size that is live.
func put(t *testing.T, l segment.History, id segment.ID, run string, n int64, change ...func(*segment.Record)) segment.Record {
	t.Helper()
	r := with(rec(run, 1, segment.RunCommitted, n), func(r *segment.Record) { r.Segment = id })
	for _, c := range change {
		c(&r)
	}
	require.NoError(t, l.Record(t.Context(), r))
	return r
}

// mine are the items of a sequence that are about this test's segments, in order.
func mine[T any](t *testing.T, items iter.Seq2[T, error], id func(T) segment.ID) (found []T) {
	t.Helper()
	var before segment.ID
	begun := false
	for item, err := range items {
		require.NoError(t, err)
		at := id(item)
		require.False(t, begun && before.Compare(at) > 0, "%s came before %s: want byte order of the ids' texts", before, at)
		before, begun = at, true
		if at.SiteGroup == t.Name() {
			found = append(found, item)
		}
	}
	return found
}

func tracked(t *testing.T, l segment.Ledger) []segment.SegmentState {
	t.Helper()
	return mine(t, l.Segments(t.Context()), func(t segment.SegmentState) segment.ID { return t.Segment })
}

// known is what the ledger has at hand of one segment.
func known(t *testing.T, l segment.Ledger, id segment.ID) segment.SegmentState {
	t.Helper()
	for _, found := range tracked(t, l) {
		if found.Segment == id {
			return found
		}
	}
	t.Fatalf("%s is not among the segments", id)
	return segment.SegmentState{}
}

func alerts(t *testing.T, l segment.Ledger) []segment.AlertState {
	t.Helper()
	return mine(t, l.Alerts(t.Context()), func(s segment.AlertState) segment.ID { return s.Segment })
}

func testSegments(t *testing.T, l segment.Ledger) {
	require.Empty(t, tracked(t, l), "a segment that nobody recorded is not known")
	var ids []segment.ID
	for _, name := range []string{"b", "a", "A", "a/", "a b", "a\u00e9", "aa", "", "\U0001f697"} {
		ids = append(ids, own(t, name))
		put(t, l, own(t, name), "r", 1)
	}
	slices.SortFunc(ids, segment.ID.Compare)
	var found []segment.ID
	for _, s := range tracked(t, l) {
		found = append(found, s.Segment)
		require.Len(t, s.Sizes, 1)
	}
	require.Equal(t, ids, found, "every segment once, in byte order: a sweep merges them with a store's listing")
	for s, err := range l.Segments(t.Context()) {
		require.NoError(t, err)
		require.NotEmpty(t, s.Segment)
		break // whoever leaves early must not leave anything open
	}
	put(t, l, own(t, "zz"), "r", 1)
}

// A sweep writes while it reads.
func testWritable(t *testing.T, l segment.Ledger) {
	for i := range 20 {
		put(t, l, own(t, fmt.Sprintf("%02d", i)), "r", 1)
	}
	n := 0
	for s, err := range l.Segments(t.Context()) {
		require.NoError(t, err)
		if s.Segment.SiteGroup == t.Name() && n < 20 {
			put(t, l, s.Segment, "again", 2)
			n++
		}
	}
	require.Equal(t, 20, n)
}

func testLastAttempt(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "good", 5)
	r := put(t, l, id, "bad", 6, func(r *segment.Record) { r.State, r.Attempt, r.Counter = segment.RunRejected, 3, "index" })
	s := known(t, l, id)
	require.Len(t, s.Sizes, 1, "what was rejected is no size to judge by")
	require.WithinDuration(t, r.At, s.Last.At, time.Microsecond)
	s.Last.At = r.At
	require.Equal(t, segment.Attempt{
		RunID: "bad", Attempt: 3, State: segment.RunRejected, JobID: r.JobID, JobKind: r.JobKind, Build: r.Build, Users: 6, Read: 7, Counter: "index", At: r.At,
	}, s.Last, "a sweep must know how the last run ended")
}

// A sweep holds the store against what the last run left live there.
func testLive(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	var r segment.Record
	holds := func(want *validate.Size, reason string) {
		live := known(t, l, id).Live
		require.Equal(t, want == nil, live == nil, reason)
		if live != nil {
			require.WithinDuration(t, r.At, live.At, time.Microsecond)
			live.At = want.At
			require.Equal(t, want, live, reason)
		}
	}
	put(t, l, id, "accepted", 3, func(r *segment.Record) { r.State = segment.RunPassed })
	holds(nil, "what was accepted is not live yet")
	r = put(t, l, id, "good", 5, func(r *segment.Record) { r.Counter = "index" })
	size := r.Size()
	holds(&size, "what was committed is live, and who counted it is known")
	sizes, err := l.Sizes(t.Context(), id, 1)
	require.NoError(t, err)
	require.Len(t, sizes, 1)
	require.Equal(t, "index", sizes[0].Counter, "a size is compared with those of its own counter")
	put(t, l, id, "bad", 6, func(r *segment.Record) { r.State = segment.RunRejected })
	holds(&size, "what was rejected leaves live what was there")
	put(t, l, id, "lost", 7, func(r *segment.Record) { r.State = segment.RunUnknown })
	holds(nil, "whether a commit worked that was not answered, nobody knows")
}

func testAccept(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	for n := range int64(5) {
		put(t, l, id, fmt.Sprint("r", n), n)
	}
	r := put(t, l, id, "off", 77, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, report(false) })
	openAlert(t, l, id)
	a := segment.Acceptance{RunID: "off", By: "ann", Why: "the rule was changed", At: start.AddDate(0, 1, 0)}
	require.NoError(t, l.Accept(t.Context(), id, a))
	require.Equal(t, []int64{77}, sizesOf(t, l, id, 60), "the baseline starts anew from the accepted size")
	s := known(t, l, id)
	require.NotNil(t, s.Accepted, "who accepted what, and why, is kept")
	require.Equal(t, a, *s.Accepted)
	require.Equal(t, r.RunID, s.Last.RunID, "accepting is no run")
	states := alerts(t, l)
	require.Len(t, states, 1, "the alerter is still to be told")
	require.Nil(t, states[0].Open, "what a human called right is no longer wrong")
	require.NotNil(t, states[0].Told)
	put(t, l, id, "next", 80)
	require.Equal(t, []int64{77, 80}, sizesOf(t, l, id, 60))
	require.NoError(t, l.Import(t.Context(), []segment.SizeImport{{Segment: id, Sizes: []validate.Size{{Users: 5, At: start.AddDate(-1, 0, 0)}}}}))
	require.Equal(t, []int64{77, 80}, sizesOf(t, l, id, 60), "what the acceptance put an end to does not come back")
	// Zero, too: from then on zero is right.
	put(t, l, id, "empty", 0, func(r *segment.Record) { r.State, r.At = segment.RunRejected, start.AddDate(0, 2, 0) })
	require.NoError(t, l.Accept(t.Context(), id, segment.Acceptance{RunID: "empty", By: "ann", Why: "sold out", At: a.At}))
	require.Equal(t, []int64{0}, sizesOf(t, l, id, 60))
}

func openAlert(t *testing.T, l segment.Ledger, id segment.ID) {
	t.Helper()
	require.NoError(t, l.ChangeAlerts(t.Context(), []segment.ID{id}, func(s *segment.AlertState) {
		s.Open = &segment.Alert{Segment: id, Urgency: segment.Page, Kind: validate.Short, Text: "text", Since: start, At: start, Report: report(false)}
		s.Told = s.Open
	}))
}

func testAcceptRefuses(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "good", 5)
	put(t, l, id, "unread", 0, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, validate.Report{} })
	good := segment.Acceptance{RunID: "good", By: "ann", Why: "it is right", At: start}
	for _, c := range []struct {
		reason string
		id     segment.ID
		change func(*segment.Acceptance)
		want   string
	}{
		{"a run that was never recorded has no size", id, func(a *segment.Acceptance) { a.RunID = "never" }, "never"},
		{"nor has a segment that nobody knows", own(t, "unknown"), func(*segment.Acceptance) {}, "good"},
		{"zero that was never read back is not zero", id, func(a *segment.Acceptance) { a.RunID = "unread" }, "unread"},
		{"a word has a run", id, func(a *segment.Acceptance) { a.RunID = "" }, "Acceptance.Run"},
		{"and an author", id, func(a *segment.Acceptance) { a.By = "" }, "Acceptance.By"},
		{"and a reason", id, func(a *segment.Acceptance) { a.Why = "" }, "Acceptance.Why"},
		{"and a time", id, func(a *segment.Acceptance) { a.At = time.Time{} }, "Acceptance.At"},
	} {
		a := good
		c.change(&a)
		require.ErrorContains(t, l.Accept(t.Context(), c.id, a), c.want, c.reason)
	}
	require.Equal(t, []int64{5}, sizesOf(t, l, id, 60), "what was refused changed nothing")
	require.Nil(t, known(t, l, id).Accepted)
	require.Len(t, tracked(t, l), 1)
}

func testSuspect(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	for n := range int64(3) {
		put(t, l, id, fmt.Sprint("r", n), n)
	}
	s := segment.Suspicion{RunID: "r1", By: "sweep", Why: "a limit", At: start}
	require.NoError(t, l.Suspect(t.Context(), id, s))
	require.Equal(t, []int64{0, 2}, sizesOf(t, l, id, 60), "a size that is called wrong is no measure for others")
	require.NoError(t, l.Suspect(t.Context(), id, s), "calling it wrong again changes nothing")
	require.Equal(t, []int64{0, 2}, sizesOf(t, l, id, 60))
	require.ErrorContains(t, l.Suspect(t.Context(), id, segment.Suspicion{RunID: "never", By: "b", Why: "w", At: start}), "never")
	require.ErrorContains(t, l.Suspect(t.Context(), id, segment.Suspicion{RunID: "r2", Why: "w", At: start}), "Suspicion.By")
	require.Equal(t, "r2", known(t, l, id).Last.RunID, "a suspicion is no run")
}

func testImport(t *testing.T, l segment.Ledger) {
	id, fresh := own(t, "s"), own(t, "fresh")
	put(t, l, id, "r", 5)
	size := func(day int, users int64) validate.Size {
		return validate.Size{Users: users, At: start.AddDate(0, 0, day)}
	}
	sizes := []segment.SizeImport{
		{Segment: fresh, Sizes: []validate.Size{size(1, 7)}},
		{Segment: id, Sizes: []validate.Size{size(9, 9), size(-3, 3), size(-2, 4), size(5, 1000)}},
	}
	require.NoError(t, l.Import(t.Context(), sizes))
	require.NoError(t, l.Import(t.Context(), sizes), "again, as after a program that was stopped")
	require.Equal(t, []int64{3, 4, 5, 9}, sizesOf(t, l, id, 60), "in order of time, each once; at a time that has a size that one stays")
	require.Equal(t, []int64{7}, sizesOf(t, l, fresh, 60), "also of segments that nobody recorded")
	var unguarded []bool
	for _, s := range known(t, l, id).Sizes {
		unguarded = append(unguarded, s.Unguarded)
	}
	require.Equal(t, []bool{true, true, false, true}, unguarded, "what no guard passed is marked")
	require.NoError(t, l.Import(t.Context(), []segment.SizeImport{{Segment: id, Sizes: []validate.Size{{Users: 6, Read: 8, At: start.AddDate(0, 0, 5), Counter: "index"}}}}))
	require.Contains(t, known(t, l, id).Sizes, validate.Size{Users: 6, Read: 8, At: start.AddDate(0, 0, 5), Counter: "index", Unguarded: true}, "another counter's size of the same time is another one")
	odd := []segment.SizeImport{{Segment: own(t, "odd"), Sizes: []validate.Size{{Users: 1, At: start.Add(1500 * time.Nanosecond)}}}}
	require.NoError(t, l.Import(t.Context(), odd))
	require.NoError(t, l.Import(t.Context(), odd))
	require.Equal(t, []int64{1}, sizesOf(t, l, own(t, "odd"), 60), "once, too, at a time that the ledger does not keep to the nanosecond")
	require.NoError(t, l.Import(t.Context(), nil))
	var many []validate.Size
	for n := range 100 {
		many = append(many, size(n-200, int64(n)))
	}
	require.NoError(t, l.Import(t.Context(), []segment.SizeImport{{Segment: own(t, "many"), Sizes: many}}))
	require.Equal(t, []int64{99}, sizesOf(t, l, own(t, "many"), 1), "of more than are kept, the last")
}

func testImportRefuses(t *testing.T, l segment.Ledger) {
	good := segment.SizeImport{Segment: own(t, "a"), Sizes: []validate.Size{{Users: 1, At: start}}}
	for _, c := range []struct {
		bad  segment.SizeImport
		want string
	}{
		{segment.SizeImport{Sizes: good.Sizes}, "Imported.Segment"},
		{segment.SizeImport{Segment: own(t, "b"), Sizes: []validate.Size{{Users: 1}}}, "At"},
		{segment.SizeImport{Segment: own(t, "b"), Sizes: []validate.Size{{Users: -1, At: start}}}, "Sizes"},
	} {
		require.ErrorContains(t, l.Import(t.Context(), []segment.SizeImport{good, c.bad}), c.want)
	}
	require.Empty(t, tracked(t, l), "nothing is half imported")
}

func testForget(t *testing.T, l segment.Ledger) {
	gone, stays := own(t, "gone"), own(t, "stays")
	put(t, l, gone, "r", 5)
	put(t, l, stays, "r", 6)
	openAlert(t, l, gone)
	openAlert(t, l, stays)
	require.NoError(t, l.Forget(t.Context(), gone, own(t, "never known")))
	require.NoError(t, l.Forget(t.Context()))
	require.Len(t, tracked(t, l), 1, "a segment that was deleted on purpose is not missed for ever")
	require.Empty(t, sizesOf(t, l, gone, 60))
	for _, s := range alerts(t, l) {
		require.Equal(t, s.Segment == stays, s.Open != nil, "and nothing is wrong with it any more")
	}
	require.ErrorIs(t, l.Record(t.Context(), with(rec("r", 1, segment.RunPassed, 7), func(r *segment.Record) { r.Segment = gone })),
		segment.ErrSuperseded, "the log of its attempts stays")
}

func testAttempts(t *testing.T, l segment.Ledger) {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	a, b := own(t, "a"), own(t, "b")
	change := func(build string, kind segment.JobKind, hours int, state segment.RunState) func(*segment.Record) {
		return func(r *segment.Record) { r.Build, r.JobKind, r.At, r.State = build, kind, at(hours), state }
	}
	put(t, l, b, "r1", 1, change("7", segment.JobKindCopy, 1, segment.RunCommitted))
	put(t, l, a, "r1", 2, change("7", segment.JobKindCopy, 2, segment.RunPassed))
	put(t, l, a, "r1", 3, change("7", segment.JobKindCopy, 3, segment.RunUnknown))
	put(t, l, a, "r2", 4, change("8", segment.JobKindLookalike, 4, segment.RunRejected), func(r *segment.Record) { r.Report = report(false) })
	put(t, l, a, "r2", 5, change("8", segment.JobKindLookalike, 5, segment.RunObserved), func(r *segment.Record) { r.Attempt = 2 })
	names := func(f segment.LogFilter) (names []string) {
		for _, r := range mine(t, l.Attempts(t.Context(), f), func(r segment.Record) segment.ID { return r.Segment }) {
			names = append(names, fmt.Sprintf("%s %s/%d %s %d", r.Segment.Name, r.RunID, r.Attempt, r.State, r.Users))
		}
		return names
	}
	all := []string{"a r1/1 unknown 3", "a r2/1 rejected 4", "a r2/2 observed 5", "b r1/1 committed 1"}
	for _, c := range []struct {
		filter segment.LogFilter
		want   []string
		reason string
	}{
		{segment.LogFilter{}, all, "the last record of each attempt, whatever became of it"},
		{segment.LogFilter{Build: "7"}, []string{all[0], all[3]}, "a build with a bug touched runs that looked fine"},
		{segment.LogFilter{JobKind: segment.JobKindLookalike}, all[1:3], "of a kind of job"},
		{segment.LogFilter{Since: at(3)}, all[:3], "since a time, that time included"},
		{segment.LogFilter{Until: at(4)}, []string{all[0], all[3]}, "until a time, that time excluded"},
		{segment.LogFilter{Build: "8", JobKind: segment.JobKindCopy}, nil, "all that is asked for must hold"},
	} {
		require.Equal(t, c.want, names(c.filter), c.reason)
	}
	for r, err := range l.Attempts(t.Context(), segment.LogFilter{Build: "8", Until: at(5)}) {
		require.NoError(t, err)
		if r.Segment == a {
			require.ErrorIs(t, &validate.Error{Report: r.Report}, validate.Short, "the report is kept whole")
		}
	}
}

func testAlerts(t *testing.T, l segment.Ledger) {
	a, b := own(t, "a"), own(t, "b")
	require.NoError(t, l.ChangeAlerts(t.Context(), []segment.ID{b, a}, func(s *segment.AlertState) {
		require.True(t, s.IsZero(), "nothing is known yet")
		require.Contains(t, []segment.ID{a, b}, s.Segment, "but whose alert it is")
	}))
	require.Empty(t, alerts(t, l), "a change that changes nothing leaves nothing behind")
	openAlert(t, l, a)
	openAlert(t, l, b)
	claimed := start.Add(time.Minute)
	require.NoError(t, l.ChangeAlerts(t.Context(), []segment.ID{a}, func(s *segment.AlertState) {
		s.Told, s.Claimed = nil, claimed
		s.Open.Job, s.Open.Build, s.Open.Upstream = segment.Copy(a, b), "7", b
		s.Open.Incident = &segment.Incident{JobKind: segment.JobKindCopy, Segments: 3, Since: start}
	}))
	states := alerts(t, l)
	require.Len(t, states, 2)
	require.Equal(t, a, states[0].Segment)
	require.Nil(t, states[0].Told)
	require.True(t, claimed.Equal(states[0].Claimed), "who is telling the alerter is known to all")
	open := states[0].Open
	require.NotNil(t, open, "an alert is open until it is closed")
	require.NotNil(t, open.Incident, "an alert is kept whole")
	require.Equal(t, []any{"text", "7", segment.Copy(a, b), b, 3, true}, []any{open.Text, open.Build, open.Job, open.Upstream, open.Incident.Segments, start.Equal(open.Since)})
	require.ErrorIs(t, &validate.Error{Report: open.Report}, validate.Short, "an alert is kept whole")
	require.NotNil(t, states[1].Told, "the other segment's was not asked for")
	require.NoError(t, l.ChangeAlerts(t.Context(), []segment.ID{a}, func(s *segment.AlertState) { s.Open = nil }))
	require.Len(t, alerts(t, l), 1, "what is over, and of which the alerter knows nothing, is gone")
	require.NoError(t, l.ChangeAlerts(t.Context(), nil, func(*segment.AlertState) { t.Error("no segment was asked for") }))
}

func testManyAlerts(t *testing.T, l segment.Ledger) {
	const n = 1000
	var ids []segment.ID
	for i := range n {
		ids = append(ids, own(t, strconv.Itoa(i)))
	}
	change := func(change func(*segment.AlertState)) {
		seen := map[segment.ID]bool{}
		require.NoError(t, l.ChangeAlerts(t.Context(), ids, func(s *segment.AlertState) {
			seen[s.Segment] = true
			change(s)
		}))
		require.Len(t, seen, n, "each segment's state is asked about")
	}
	change(func(s *segment.AlertState) { s.Open = &segment.Alert{Segment: s.Segment, Text: s.Segment.Name} })
	states := alerts(t, l)
	require.Len(t, states, n)
	for _, s := range states {
		require.NotNil(t, s.Open)
		require.Equal(t, s.Segment.Name, s.Open.Text)
	}
	change(func(s *segment.AlertState) { s.Open = nil })
	require.Empty(t, alerts(t, l))
}

// Guards on many machines change alerts at the same moment.
func testAlertsAtOnce(t *testing.T, l segment.Ledger) {
	const goroutines, times = 8, 10
	ids := []segment.ID{own(t, "a"), own(t, "b"), own(t, "c")}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			mixed := append(slices.Clone(ids[g%3:]), ids[:g%3]...) // in any order
			for range times {
				err := l.ChangeAlerts(t.Context(), mixed, func(s *segment.AlertState) {
					if s.Open == nil {
						s.Open = &segment.Alert{Segment: s.Segment}
					}
					s.Open.Attempt++
				})
				if err != nil {
					t.Errorf("changing alerts: %v", err)
				}
			}
		})
	}
	wg.Wait()
	states := alerts(t, l)
	require.Len(t, states, len(ids))
	for _, s := range states {
		require.NotNil(t, s.Open)
		require.Equal(t, goroutines*times, s.Open.Attempt, "a change that another one overwrote is an alert lost")
	}
}

// One attempt goes live once, whoever records it.
func testRecordedAtOnce(t *testing.T, l segment.Ledger) {
	const goroutines = 8
	var kept atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			err := l.Record(t.Context(), with(rec("r", 1, segment.RunCommitted, 5), func(r *segment.Record) { r.Segment = own(t, "s") }))
			switch {
			case err == nil:
				kept.Add(1)
			case !errors.Is(err, segment.ErrSuperseded):
				t.Errorf("recording: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(1), kept.Load(), "comparing and keeping are one step")
	require.Equal(t, []int64{5}, sizesOf(t, l, own(t, "s"), 60))
}

// What was told to stop says so, instead of an answer that looks like "nothing".
func testCancelled(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "r", 5)
	openAlert(t, l, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Sizes(ctx, id, 5)
	require.ErrorIs(t, err, context.Canceled)
	for name, err := range map[string]error{
		"Record":       l.Record(ctx, with(rec("r2", 1, segment.RunCommitted, 6), func(r *segment.Record) { r.Segment = id })),
		"Accept":       l.Accept(ctx, id, segment.Acceptance{RunID: "r", By: "b", Why: "w", At: start}),
		"Suspect":      l.Suspect(ctx, id, segment.Suspicion{RunID: "r", By: "b", Why: "w", At: start}),
		"Import":       l.Import(ctx, []segment.SizeImport{{Segment: id, Sizes: []validate.Size{{Users: 1, At: start}}}}),
		"Forget":       l.Forget(ctx, id),
		"ChangeAlerts": l.ChangeAlerts(ctx, []segment.ID{id}, func(s *segment.AlertState) { s.Open = nil }),
		"Segments":     end(l.Segments(ctx)),
		"Attempts":     end(l.Attempts(ctx, segment.LogFilter{})),
		"Alerts":       end(l.Alerts(ctx)),
	} {
		require.ErrorIs(t, err, context.Canceled, strings.TrimSpace(name))
	}
	require.Equal(t, []int64{5}, sizesOf(t, l, id, 60), "and nothing is half done")
	states := alerts(t, l)
	require.Len(t, states, 1)
	require.NotNil(t, states[0].Open)
}

// end is the error with which a sequence ends.
func end[T any](items iter.Seq2[T, error]) (last error) {
	for _, err := range items {
		last = err
	}
	return last
}
