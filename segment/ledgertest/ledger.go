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

// ledgerRules are those of TestLedger.
var ledgerRules = []struct {
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
	{"candidates", testCandidates},
	{"plans", testPlans},
	{"runs of a segment", testRuns},
	{"submitted", testSubmitted},
	{"rename", testRename},
	{"import", testImport},
	{"forget", testForget},
	{"selected segments", testSelected},
	{"log", testLog},
	{"log of decisions", testLogOfDecisions},
	{"change", testChange},
	{"change of many segments", testChangeMany},
	{"change is all or nothing", testChangeFails},
	{"changed at once", testChangedAtOnce},
	{"recorded at once", testRecordedAtOnce},
	{"numbers", testNumbers},
	{"commit row", testRow},
	{"locked at once", testLockedAtOnce},
	{"goes live", testGoesLive},
	{"goes live refuses", testGoesLiveRefuses},
	{"overlapped", testOverlapped},
	{"cancelled", testCancelled},
	{"identity", testIdentity},
	{"alert", testAlertState},
	{"selected alerts", testSelectedAlerts},
	{"incidents", testIncidents},
	{"members of an incident", testMembers},
	{"incident changed at once", testIncidentChangedAtOnce},
	{"mutes", testMutes},
	{"log of alerts", testLogOfAlerts},
	{"alerts, cancelled", testAlertsCancelled},
	{"alert counts", testAlertCounts},
	{"sweeps", testSweeps},
	{"jobs", testJobs},
	{"tools, cancelled", testToolsCancelled},
	{"plan written at once", testWrittenAtOnce},
	{"steps changed at once", testStepsChangedAtOnce},
	{"stores", testStores},
	{"commit row of a store", testRowOfStore},
	{"segments of stores", testSegmentsOfStores},
	{"log of stores", testLogOfStores},
	{"change of stores", testChangeOfStores},
	{"incidents of stores", testIncidentsOfStores},
}

// TestLedger checks that a segment.Ledger does what its interface promises, one
// subtest a rule, those of TestRecorder and TestPlanLedger among them. Each takes segments of its
// own, as ledgers may share a database; open is called for each, and closes what
// it opened when its test ends.
func TestLedger(t *testing.T, open func(*testing.T) segment.Ledger) {
	t.Helper()
	t.Run("recorder", func(t *testing.T) { TestRecorder(t, func(t *testing.T) segment.Recorder { return open(t) }) })
	t.Run("plans of reruns", func(t *testing.T) { TestPlanLedger(t, func(t *testing.T) segment.PlanLedger { return open(t) }) })
	for _, rule := range ledgerRules {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

// own returns a segment of this test alone.
func own(t *testing.T, name string) segment.ID { return segment.ID{SiteGroup: t.Name(), Name: name} }

// put records a size that is live.
func put(t *testing.T, l segment.Recorder, id segment.ID, run string, n int64, change ...func(*segment.Record)) segment.Record {
	t.Helper()
	r := with(rec(run, 1, segment.RunCommitted, n), func(r *segment.Record) { r.Segment = id })
	for _, c := range change {
		c(&r)
	}
	require.NoError(t, l.Record(t.Context(), r))
	return r
}

// mine returns the items of a sequence that are about this test's segments, and
// requires the sequence to be in order.
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
	return mine(t, l.Segments(t.Context(), segment.SegmentFilter{}), func(s segment.SegmentState) segment.ID { return s.Segment })
}

// known returns what the ledger has at hand of one segment.
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

// alerts returns the states of the segments of which an alert is kept.
func alerts(t *testing.T, l segment.Ledger) []segment.SegmentState {
	t.Helper()
	return mine(t, l.Segments(t.Context(), segment.SegmentFilter{Affected: true}), func(s segment.SegmentState) segment.ID { return s.Segment })
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
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{}) {
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
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{}) {
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
	require.Equal(t, segment.Record{
		Segment: id, RunID: "bad", Attempt: 3, State: segment.RunRejected, JobID: r.JobID, JobKind: r.JobKind, Build: r.Build, Users: 6, Read: 7, Counter: "index", At: r.At,
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
	put(t, l, id, "passed", 3, func(r *segment.Record) { r.State = segment.RunPassed })
	holds(nil, "what passed is not live yet")
	r = put(t, l, id, "good", 5, func(r *segment.Record) { r.Counter = "index" })
	size := r.Size()
	holds(&size, "what was committed is live, and who counted it is known")
	s, err := l.State(t.Context(), id.In(""))
	require.NoError(t, err)
	sizes := s.Sizes
	require.Len(t, sizes, 1)
	require.Equal(t, "index", sizes[0].Counter, "a size is compared with those of its own counter")
	put(t, l, id, "bad", 6, func(r *segment.Record) { r.State = segment.RunRejected })
	holds(&size, "what was rejected leaves live what was there")
	put(t, l, id, "died", 7, func(r *segment.Record) { r.State = segment.RunPassed })
	holds(&size, "what passed is not live yet")
	put(t, l, id, "bad", 8, func(r *segment.Record) { r.State = segment.RunRejected })
	holds(nil, "nobody heard what became of the run before, which had passed")
	r = put(t, l, id, "good again", 9)
	size = r.Size()
	holds(&size, "what was committed is live")
	put(t, l, id, "lost", 10, func(r *segment.Record) { r.State = segment.RunUnknown })
	holds(nil, "whether a commit worked that was not answered, nobody knows")
}

// ofRun selects the size of a run of a segment.
func ofRun(id segment.ID, run string) segment.Selection {
	return segment.Selection{Keys: []segment.Key{id.In("")}, RunID: run}
}

func accept(t *testing.T, l segment.Ledger, which segment.Selection, d segment.Decision) []segment.Affected {
	t.Helper()
	rerun, err := segment.Accept(t.Context(), l, which, d)
	require.NoError(t, err)
	return rerun
}

func testAccept(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	for n := range int64(5) {
		put(t, l, id, fmt.Sprint("r", n), n)
	}
	r := put(t, l, id, "off", 77, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, new(report(false)) })
	openAlert(t, l, id)
	d := segment.Decision{By: "ann", Why: "the rule was changed", At: start.AddDate(0, 1, 0)}
	require.Equal(t, []segment.Affected{{Segment: id, Users: 77}}, accept(t, l, ofRun(id, "off"), d), "what was discarded is to be made again")
	require.Equal(t, []int64{0, 1, 2, 3, 4, 77}, sizesOf(t, l, id, 60), "what is accepted is added, and nothing taken out")
	s := known(t, l, id)
	require.Equal(t, validate.LevelNew, s.Sizes[5].Level, "it is a level of its own")
	require.NotNil(t, s.Accepted, "who accepted what, and why, is kept")
	require.Equal(t, d.By+d.Why, s.Accepted.By+s.Accepted.Why)
	require.True(t, d.At.Equal(s.Accepted.At))
	require.Equal(t, r.RunID, s.Last.RunID, "accepting is no run")
	states := alerts(t, l)
	require.Len(t, states, 1, "the alerter is still to be told")
	require.Nil(t, states[0].Alert.Open, "what a human called right is no longer wrong")
	require.NotNil(t, states[0].Alert.Told)
	put(t, l, id, "next", 80)
	put(t, l, id, "empty", 0, func(r *segment.Record) {
		r.State, r.At, r.Report = segment.RunRejected, start.AddDate(0, 2, 0), new(report(false))
		r.Report.Stored = validate.Count(0)
	})
	accept(t, l, ofRun(id, "empty"), segment.Decision{By: "ann", Why: "sold out", At: d.At})
	require.Contains(t, sizesOf(t, l, id, 60), int64(0), "zero, too")
}

func openAlert(t *testing.T, l segment.Ledger, id segment.ID) {
	t.Helper()
	require.NoError(t, l.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
		s.Alert.Open = &segment.Alert{Segment: id, Urgency: segment.Page, Kind: validate.Short, Text: "text", Since: start, At: start, Report: report(false)}
		mark := segment.Mark{Urgency: segment.Page, Kind: validate.Short}
		s.Alert.Marks, s.Alert.Told = []segment.Mark{mark}, []segment.Told{{Mark: mark, At: start}}
		return nil
	}))
}

func testAcceptRefuses(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "unread", 0, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, &validate.Report{} })
	put(t, l, id, "good", 5)
	good := segment.Decision{By: "ann", Why: "it is right", At: start}
	for _, c := range []struct {
		reason   string
		id       segment.ID
		runID    string
		decision segment.Decision
		want     string
	}{
		{"a run that was never recorded has no size", id, "never", good, "never"},
		{"nor has a segment that is not known", own(t, "unknown"), "good", good, "good"},
		{"zero that was never read back is not zero", id, "unread", good, "unread"},
		{"without a run it is about what an alert is about", id, "", good, "no alert is open"},
		{"and has an author", id, "good", segment.Decision{Why: good.Why, At: start}, "Decision.By"},
		{"and a reason", id, "good", segment.Decision{By: good.By, At: start}, "Decision.Why"},
		{"and a time", id, "good", segment.Decision{By: good.By, Why: good.Why}, "Decision.At"},
	} {
		_, err := segment.Accept(t.Context(), l, ofRun(c.id, c.runID), c.decision)
		require.ErrorContains(t, err, c.want, c.reason)
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
	d := segment.Decision{By: "sweep", Why: "a limit", At: start}
	suspect := func(which segment.Selection, d segment.Decision) error {
		_, err := segment.Suspect(t.Context(), l, which, d)
		return err
	}
	require.NoError(t, suspect(ofRun(id, "r1"), d))
	require.Equal(t, []int64{0, 2}, sizesOf(t, l, id, 60), "a size that is called wrong is no measure for others")
	require.NoError(t, suspect(ofRun(id, "r1"), d), "calling it wrong again changes nothing")
	require.Equal(t, []int64{0, 2}, sizesOf(t, l, id, 60))
	require.ErrorContains(t, suspect(ofRun(id, "never"), d), "never")
	require.ErrorContains(t, suspect(ofRun(id, "r2"), segment.Decision{Why: "w", At: start}), "Decision.By")
	require.Equal(t, "r2", known(t, l, id).Last.RunID, "a suspicion is no run")
}

func testImport(t *testing.T, l segment.Ledger) {
	refuseImports(t, l)
	id, fresh := own(t, "s"), own(t, "fresh")
	put(t, l, id, "r", 5)
	size := func(day int, users int64) validate.Size {
		return validate.Size{Users: users, At: start.AddDate(0, 0, day)}
	}
	sizes := []segment.SizeImport{
		{Segment: fresh, Sizes: []validate.Size{size(1, 7)}},
		{Segment: id, Sizes: []validate.Size{size(9, 9), size(-3, 3), size(-2, 4), size(5, 1000)}},
	}
	require.NoError(t, segment.Import(t.Context(), l, sizes))
	require.NoError(t, segment.Import(t.Context(), l, sizes), "again, as after a program that was stopped")
	require.Equal(t, []int64{3, 4, 5, 9}, sizesOf(t, l, id, 60), "in order of time, each once; at a time that has a size that one stays")
	require.Equal(t, []int64{7}, sizesOf(t, l, fresh, 60), "also of segments that nobody recorded")
	var unguarded []bool
	for _, s := range known(t, l, id).Sizes {
		unguarded = append(unguarded, s.Unguarded)
	}
	require.Equal(t, []bool{true, true, false, true}, unguarded, "what no guard passed is marked")
	require.NoError(t, segment.Import(t.Context(), l, []segment.SizeImport{{Segment: id, Sizes: []validate.Size{{Users: 6, Read: 8, At: start.AddDate(0, 0, 5), Counter: "index"}}}}))
	require.Contains(t, known(t, l, id).Sizes, validate.Size{Users: 6, Read: 8, At: start.AddDate(0, 0, 5), Counter: "index", Unguarded: true}, "another counter's size of the same time is another one")
	odd := []segment.SizeImport{{Segment: own(t, "odd"), Sizes: []validate.Size{{Users: 1, At: start.Add(1500 * time.Nanosecond)}}}}
	require.NoError(t, segment.Import(t.Context(), l, odd))
	require.NoError(t, segment.Import(t.Context(), l, odd))
	require.Equal(t, []int64{1}, sizesOf(t, l, own(t, "odd"), 60), "once, too, at a time that the ledger does not keep to the nanosecond")
	require.NoError(t, segment.Import(t.Context(), l, nil))
	var many []validate.Size
	for n := range 100 {
		many = append(many, size(n-200, int64(n)))
	}
	require.NoError(t, segment.Import(t.Context(), l, []segment.SizeImport{{Segment: own(t, "many"), Sizes: many}}))
	require.Equal(t, []int64{99}, sizesOf(t, l, own(t, "many"), 1), "of more than are kept, the last")
}

func refuseImports(t *testing.T, l segment.Ledger) {
	t.Helper()
	good := segment.SizeImport{Segment: own(t, "a"), Sizes: []validate.Size{{Users: 1, At: start}}}
	for _, c := range []struct {
		bad  segment.SizeImport
		want string
	}{
		{segment.SizeImport{Sizes: good.Sizes}, "SizeImport.Segment"},
		{segment.SizeImport{Segment: own(t, "b"), Sizes: []validate.Size{{Users: 1}}}, "At"},
		{segment.SizeImport{Segment: own(t, "b"), Sizes: []validate.Size{{Users: -1, At: start}}}, "Sizes"},
	} {
		require.ErrorContains(t, segment.Import(t.Context(), l, []segment.SizeImport{good, c.bad}), c.want)
	}
	require.Empty(t, tracked(t, l), "nothing is half imported")
}

func testForget(t *testing.T, l segment.Ledger) {
	gone, stays := own(t, "gone"), own(t, "stays")
	put(t, l, gone, "r", 5)
	put(t, l, stays, "r", 6)
	openAlert(t, l, gone)
	openAlert(t, l, stays)
	d := segment.Decision{By: "ann", Why: "it was deleted", At: start}
	require.NoError(t, segment.Forget(t.Context(), l, segment.Selection{Keys: []segment.Key{gone.In(""), own(t, "never known").In("")}}, d))
	require.ErrorContains(t, segment.Forget(t.Context(), l, segment.Selection{}, d), "Selection.Keys")
	require.Empty(t, sizesOf(t, l, gone, 60))
	told := known(t, l, gone)
	require.NotNil(t, told.Alert.Told, "the alerter is still to be told that it is over")
	told.Alert.Told = nil
	require.True(t, told.IsZero(), "and nothing else is known of a segment that was deleted on purpose")
	require.NotNil(t, known(t, l, stays).Alert.Open)
	require.NoError(t, l.Change(t.Context(), []segment.Key{gone.In("")}, func(s *segment.SegmentState) error {
		s.Alert.Told = nil
		return nil
	}))
	require.Len(t, tracked(t, l), 1, "once it was told, the segment is not missed for ever")
	require.ErrorIs(t, l.Record(t.Context(), with(rec("r", 1, segment.RunPassed, 7), func(r *segment.Record) { r.Segment = gone })),
		segment.ErrSuperseded, "the log of its attempts stays")
}

// A page of segments, those of one site group, or with an alert.
func testSelected(t *testing.T, l segment.Ledger) {
	for _, name := range []string{"a", "b", "c", "d"} {
		put(t, l, own(t, name), "r", 1)
	}
	other := segment.ID{SiteGroup: t.Name() + " other", Name: "a"}
	put(t, l, other, "r", 1)
	openAlert(t, l, own(t, "b"))
	openAlert(t, l, own(t, "d"))
	require.NoError(t, l.Change(t.Context(), []segment.Key{own(t, "d").In("")}, func(s *segment.SegmentState) error {
		s.Alert.Open = nil
		return nil
	}))
	group := t.Name()
	for _, c := range []struct {
		reason string
		filter segment.SegmentFilter
		want   []string
	}{
		{"a site group has its own segments", segment.SegmentFilter{SiteGroup: group}, []string{"a", "b", "c", "d"}},
		{"an alert is of interest until the alerter knows that it is over", segment.SegmentFilter{SiteGroup: group, Affected: true}, []string{"b", "d"}},
		{"a page begins after the last segment of the one before", segment.SegmentFilter{SiteGroup: group, After: own(t, "b").In("")}, []string{"c", "d"}},
		{"and has so many", segment.SegmentFilter{SiteGroup: group, After: own(t, "a").In(""), Limit: 2}, []string{"b", "c"}},
		{"a limit above what there is takes all", segment.SegmentFilter{SiteGroup: group, Limit: 1000}, []string{"a", "b", "c", "d"}},
		{"all that is asked for must hold", segment.SegmentFilter{SiteGroup: group, Affected: true, After: own(t, "b").In(""), Limit: 1}, []string{"d"}},
		{"a site group that is not known has none", segment.SegmentFilter{SiteGroup: group + " none"}, nil},
	} {
		var names []string
		for s, err := range l.Segments(t.Context(), c.filter) {
			require.NoError(t, err)
			require.Equal(t, group, s.Segment.SiteGroup, c.reason)
			names = append(names, s.Segment.Name)
		}
		require.Equal(t, c.want, names, c.reason)
	}
}

// logged returns the entries of this test's segments, each as a line.
func logged(t *testing.T, l segment.Ledger, f segment.LogFilter) (lines []string) {
	t.Helper()
	for e, err := range l.Log(t.Context(), f) {
		require.NoError(t, err)
		switch {
		case e.Segment.SiteGroup != t.Name():
		case e.Record == nil:
			lines = append(lines, fmt.Sprintf("%s %s %s by %s: %s", e.Segment.Name, e.RunID, e.Action, e.By, e.Why))
		default:
			require.Equal(t, segment.ActionRecorded, e.Action)
			require.Equal(t, []any{e.Segment, e.RunID}, []any{e.Record.Segment, e.Record.RunID})
			require.True(t, e.At.Equal(e.Record.At))
			lines = append(lines, fmt.Sprintf("%s %s/%d %s %d", e.Segment.Name, e.RunID, e.Record.Attempt, e.Record.State, e.Record.Users))
		}
	}
	return lines
}

func testLog(t *testing.T, l segment.Ledger) {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	a, b := own(t, "a"), own(t, "b")
	change := func(build string, kind segment.JobKind, hours int, state segment.RunState) func(*segment.Record) {
		return func(r *segment.Record) { r.Build, r.JobKind, r.At, r.State = build, kind, at(hours), state }
	}
	put(t, l, b, "r1", 1, change("7", segment.JobKindCopy, 1, segment.RunCommitted))
	put(t, l, a, "r1", 2, change("7", segment.JobKindCopy, 2, segment.RunPassed))
	put(t, l, a, "r1", 3, change("7", segment.JobKindCopy, 3, segment.RunUnknown))
	put(t, l, a, "r2", 4, change("8", segment.JobKindLookalike, 4, segment.RunRejected), func(r *segment.Record) { r.Report = new(report(false)) })
	put(t, l, a, "r2", 5, change("8", segment.JobKindLookalike, 5, segment.RunObserved), func(r *segment.Record) { r.Attempt = 2 })
	all := []string{"b r1/1 committed 1", "a r1/1 passed 2", "a r1/1 unknown 3", "a r2/1 rejected 4", "a r2/2 observed 5"}
	for _, c := range []struct {
		filter segment.LogFilter
		want   []string
		reason string
	}{
		{segment.LogFilter{}, all, "every state of each attempt, in the order in which they were recorded"},
		{segment.LogFilter{Segment: a}, all[1:], "of a segment"},
		{segment.LogFilter{Segment: a, RunID: "r1"}, all[1:3], "of a run of a segment"},
		{segment.LogFilter{RunID: "r1"}, all[:3], "a run may write several segments"},
		{segment.LogFilter{Build: "7"}, all[:3], "a build with a bug touched runs that looked fine"},
		{segment.LogFilter{JobKind: segment.JobKindLookalike}, all[3:], "of a kind of job"},
		{segment.LogFilter{Since: at(3)}, all[2:], "since a time, that time included"},
		{segment.LogFilter{Until: at(4)}, all[:3], "until a time, that time excluded"},
		{segment.LogFilter{Build: "8", JobKind: segment.JobKindCopy}, nil, "all that is asked for must hold"},
	} {
		require.Equal(t, c.want, logged(t, l, c.filter), c.reason)
	}
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: a, Build: "8", Until: at(5)}) {
		require.NoError(t, err)
		require.NotNil(t, e.Record.Report, "the report is kept")
		require.ErrorIs(t, &validate.Error{Report: *e.Record.Report}, validate.Short, "the report is kept whole")
	}
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: a, Build: "8", Bare: true}) {
		require.NoError(t, err)
		require.Nil(t, e.Record.Report, "who asks for no report gets none")
	}
	require.Equal(t, all, logged(t, l, segment.LogFilter{Bare: true}), "and all else")
	put(t, l, a, "refused", 6)
	require.ErrorIs(t, l.Record(t.Context(), with(rec("refused", 1, segment.RunCommitted, 7), func(r *segment.Record) { r.Segment = a })), segment.ErrSuperseded)
	require.Len(t, logged(t, l, segment.LogFilter{RunID: "refused"}), 1, "what was not kept is not in the log")
}

func testLogOfDecisions(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "r1", 5)
	put(t, l, id, "r2", 6)
	_, err := segment.Suspect(t.Context(), l, ofRun(id, "r1"), segment.Decision{By: "ann", Why: "a limit", At: start.AddDate(1, 0, 0)})
	require.NoError(t, err)
	accept(t, l, ofRun(id, "r2"), segment.Decision{By: "bob", Why: "right", At: start.AddDate(2, 0, 0)})
	decisions := []string{"s r1 suspected by ann: a limit", "s r2 accepted by bob: right"}
	require.Equal(t, append([]string{"s r1/1 committed 5", "s r2/1 committed 6"}, decisions...), logged(t, l, segment.LogFilter{Segment: id}))
	require.Equal(t, decisions, logged(t, l, segment.LogFilter{Segment: id, Since: start.AddDate(1, 0, 0)}), "a decision has a time")
	require.Equal(t, []string{"s r2/1 committed 6", decisions[1]}, logged(t, l, segment.LogFilter{RunID: "r2"}), "and is about a run")
	require.Equal(t, []string{"s r1/1 committed 5", "s r2/1 committed 6"}, logged(t, l, segment.LogFilter{Build: "v1"}), "and is of no build")
	require.Empty(t, known(t, l, id).Log, "the log is no part of a state")
}

func testChange(t *testing.T, l segment.Ledger) {
	a, b := own(t, "a"), own(t, "b")
	var seen []segment.ID
	require.NoError(t, l.Change(t.Context(), []segment.Key{b.In(""), a.In(""), b.In("")}, func(s *segment.SegmentState) error {
		require.True(t, s.IsZero(), "nothing is known yet")
		seen = append(seen, s.Segment)
		return nil
	}))
	require.Equal(t, []segment.ID{a, b}, seen, "each once, in byte order, and with its name")
	require.Empty(t, tracked(t, l), "a change that changes nothing leaves nothing behind")
	openAlert(t, l, a)
	openAlert(t, l, b)
	claimed := start.Add(time.Minute)
	require.NoError(t, l.Change(t.Context(), []segment.Key{a.In("")}, func(s *segment.SegmentState) error {
		s.Alert.Told, s.Alert.Trying, s.Alert.Claimed = nil, s.Alert.Marks, claimed
		s.Alert.Open.Job, s.Alert.Open.Build, s.Alert.Open.Upstream = segment.Copy(a, b), "7", b
		s.Alert.Incident, s.Alert.Marks[0].Level = "an incident", segment.LevelLost10
		return nil
	}))
	states := alerts(t, l)
	require.Len(t, states, 2)
	require.Equal(t, a, states[0].Segment)
	require.Nil(t, states[0].Alert.Told)
	require.True(t, claimed.Equal(states[0].Alert.Claimed), "who is telling the alerter is known to all")
	open := states[0].Alert.Open
	require.NotNil(t, open, "an alert is open until it is closed")
	require.Equal(t, []any{"text", "7", segment.Copy(a, b), b, true}, []any{open.Text, open.Build, open.Job, open.Upstream, start.Equal(open.Since)})
	require.Equal(t, "an incident", states[0].Alert.Incident)
	require.Equal(t, []segment.Mark{{Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelLost10}}, states[0].Alert.Marks)
	require.Len(t, states[0].Alert.Trying, 1)
	require.ErrorIs(t, &validate.Error{Report: open.Report}, validate.Short, "an alert is kept whole")
	require.NotNil(t, states[1].Alert.Told, "the other segment's was not asked for")
	require.NoError(t, l.Change(t.Context(), []segment.Key{a.In("")}, func(s *segment.SegmentState) error {
		s.Alert.Open, s.Alert.Marks = nil, nil
		return nil
	}))
	require.Len(t, alerts(t, l), 2, "the alerter may have heard of it: that is to be told yet")
	require.NoError(t, l.Change(t.Context(), []segment.Key{a.In("")}, func(s *segment.SegmentState) error {
		s.Alert.Trying, s.Alert.Claimed = nil, time.Time{}
		return nil
	}))
	require.Len(t, tracked(t, l), 1, "a state with nothing in it is gone")
	require.NoError(t, l.Change(t.Context(), nil, func(*segment.SegmentState) error {
		t.Error("no segment was asked for")
		return nil
	}))
}

func testChangeMany(t *testing.T, l segment.Ledger) {
	const n = 1000
	var keys []segment.Key
	for i := range n {
		keys = append(keys, own(t, strconv.Itoa(i)).In(""))
	}
	change := func(change func(*segment.SegmentState)) {
		seen := map[segment.ID]bool{}
		require.NoError(t, l.Change(t.Context(), keys, func(s *segment.SegmentState) error {
			seen[s.Segment] = true
			change(s)
			return nil
		}))
		require.Len(t, seen, n, "each segment's state is asked about")
	}
	change(func(s *segment.SegmentState) {
		s.Alert.Open = &segment.Alert{Segment: s.Segment, Text: s.Segment.Name}
	})
	states := alerts(t, l)
	require.Len(t, states, n)
	for _, s := range states {
		require.NotNil(t, s.Alert.Open)
		require.Equal(t, s.Segment.Name, s.Alert.Open.Text)
	}
	change(func(s *segment.SegmentState) { s.Alert.Open = nil })
	require.Empty(t, alerts(t, l))
}

// A change that fails for one segment changes none.
func testChangeFails(t *testing.T, l segment.Ledger) {
	a, b := own(t, "a"), own(t, "b")
	put(t, l, b, "r", 5)
	openAlert(t, l, b)
	no := errors.New("no")
	err := l.Change(t.Context(), []segment.Key{a.In(""), b.In("")}, func(s *segment.SegmentState) error {
		s.Sizes = append(s.Sizes, validate.Size{Users: 1, At: start})
		s.Log = append(s.Log, segment.LogEntry{Segment: s.Segment, At: start, Action: segment.ActionAccepted, By: "ann", Why: "why"})
		if s.Segment == b {
			s.Alert.Open.Text = "changed"
			return no
		}
		return nil
	})
	require.ErrorIs(t, err, no)
	require.Equal(t, []int64{5}, sizesOf(t, l, b, 60))
	require.Equal(t, "text", known(t, l, b).Alert.Open.Text)
	require.Len(t, tracked(t, l), 1, "nothing is half changed")
	require.Equal(t, []string{"b r/1 committed 5"}, logged(t, l, segment.LogFilter{}), "and nothing is logged")
}

// Guards on many machines change the same segments at the same moment.
func testChangedAtOnce(t *testing.T, l segment.Ledger) {
	const goroutines, times = 8, 10
	keys := []segment.Key{own(t, "a").In(""), own(t, "b").In(""), own(t, "c").In("")}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			mixed := append(slices.Clone(keys[g%3:]), keys[:g%3]...) // in any order
			for range times {
				err := l.Change(t.Context(), mixed, func(s *segment.SegmentState) error {
					if s.Alert.Open == nil {
						s.Alert.Open = &segment.Alert{Segment: s.Segment}
					}
					s.Alert.Open.Attempt++
					return nil
				})
				if err != nil {
					t.Errorf("changing segments: %v", err)
				}
			}
		})
	}
	wg.Wait()
	states := alerts(t, l)
	require.Len(t, states, len(keys))
	for _, s := range states {
		require.NotNil(t, s.Alert.Open)
		require.Equal(t, goroutines*times, s.Alert.Open.Attempt, "a change that another one overwrote is an alert lost")
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
	_, err := l.State(ctx, id.In(""))
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Next(ctx, id.In(""))
	require.ErrorIs(t, err, context.Canceled)
	for name, err := range map[string]error{
		"Record": l.Record(ctx, with(rec("r2", 1, segment.RunCommitted, 6), func(r *segment.Record) { r.Segment = id })),
		"Change": l.Change(ctx, []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
			s.Alert.Open = nil
			return nil
		}),
		"Lock":     l.Lock(ctx, id.In(""), func(*segment.CommitRow) error { return nil }),
		"Segments": end(l.Segments(ctx, segment.SegmentFilter{})),
		"Log":      end(l.Log(ctx, segment.LogFilter{})),
	} {
		require.ErrorIs(t, err, context.Canceled, strings.TrimSpace(name))
	}
	require.Equal(t, []int64{5}, sizesOf(t, l, id, 60), "and nothing is half done")
	states := alerts(t, l)
	require.Len(t, states, 1)
	require.NotNil(t, states[0].Alert.Open)
}

// end returns the error with which a sequence ends.
func end[T any](items iter.Seq2[T, error]) (last error) {
	for _, err := range items {
		last = err
	}
	return last
}
