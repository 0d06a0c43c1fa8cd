package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// judged records a run of the n-th day as its guard does, judged by what is known of the
// segment.
func judged(t *testing.T, l segment.Ledger, id segment.ID, run string, users int64, n int) validate.Report {
	t.Helper()
	s := known(t, l, id)
	out := validate.Output{
		Expected: validate.Unknown(), Stored: validate.Count(users), Sizes: s.Sizes, Candidates: s.Candidates, Counter: "index", At: start.AddDate(0, 0, n),
	}
	for _, e := range s.Excuses {
		out.Excuses = append(out.Excuses, e.Excuse)
	}
	report, _ := validate.Check(t.Context(), validate.Policy{Relearn: 7}, out) // the report says all
	state := segment.RunRejected
	if report.Passed() {
		state = segment.RunCommitted
	}
	r := rec(run, 1, state, users)
	r.Segment, r.Read, r.Counter, r.At, r.Report = id, 2*users, "index", out.At, &report
	require.NoError(t, l.Record(t.Context(), r))
	return report
}

// grown imports sizes of thirty days before the first.
func grown(t *testing.T, l segment.Ledger, id segment.ID) {
	t.Helper()
	i := segment.SizeImport{Segment: id}
	for n := -30; n < 0; n++ {
		i.Sizes = append(i.Sizes, validate.Size{Users: 100_000 + int64(n), At: start.AddDate(0, 0, n), Counter: "index"})
	}
	require.NoError(t, segment.Import(t.Context(), l, []segment.SizeImport{i}))
}

// A level that stood for seven days is learned by what the ledger kept of them.
func testCandidates(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	grown(t, l, id)
	for n := range 7 {
		require.False(t, judged(t, l, id, "off", 67_000+int64(n), n).Passed())
	}
	s := known(t, l, id)
	require.Len(t, s.Candidates, 7, "what was off its history is a candidate for a new level")
	require.Equal(t, validate.Size{
		Users: 67_006, Read: 134_012, At: start.AddDate(0, 0, 6).Truncate(time.Microsecond), Counter: "index", Level: validate.LevelOff,
	}, s.Candidates[6], "with all that it is judged by")
	require.Equal(t, validate.LevelNew, judged(t, l, id, "learned", 67_007, 7).Level)
	s = known(t, l, id)
	require.Empty(t, s.Candidates, "a size that passed ends them")
	for i, size := range s.Sizes {
		require.Equal(t, i >= len(s.Sizes)-8, size.Level == validate.LevelNew, "the days that were learned from are sizes as others are")
	}
	put(t, l, own(t, "broken"), "r", 5, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, new(report(false)) })
	require.Len(t, known(t, l, own(t, "broken")).Candidates, 1, "what is proven wrong is kept, too: it is no steady level")
}

// What was planned is kept with who planned it, and what became of it is in the log.
func testPlans(t *testing.T, l segment.Ledger) {
	id, other := own(t, "s"), own(t, "other")
	grown(t, l, id)
	grown(t, l, other)
	d := segment.Decision{By: "ann", Why: "a move\n", At: start}
	plan := func(which segment.Selection, e validate.Excuse) {
		t.Helper()
		_, err := segment.AcceptWithin(t.Context(), l, which, e, d)
		require.NoError(t, err)
	}
	once := validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: start.UTC(), Until: start.UTC().AddDate(0, 0, 3)}
	good := validate.Excuse{Low: 100, High: 200, From: start.UTC(), Until: start.UTC().AddDate(0, 0, 31), ForGood: true}
	plan(segment.Selection{SiteGroup: t.Name()}, once)
	plan(segment.Selection{Keys: []segment.Key{id.In("")}}, good)
	s := known(t, l, id)
	require.Len(t, s.Excuses, 2)
	require.Len(t, known(t, l, other).Excuses, 1)
	for i, want := range []validate.Excuse{once, good} {
		got := s.Excuses[i]
		require.True(t, want.From.Equal(got.From) && want.Until.Equal(got.Until) && d.At.Equal(got.At))
		require.Equal(t, []any{want.LowShare, want.HighShare, want.Low, want.High, want.ForGood, d.By, d.Why, false},
			[]any{got.LowShare, got.HighShare, got.Low, got.High, got.ForGood, got.By, got.Why, got.Used})
	}
	require.True(t, judged(t, l, id, "half", 50_000-3, 1).Passed())
	s = known(t, l, id)
	require.True(t, s.Excuses[0].Used)
	require.Len(t, s.Sizes, 30, "the baseline goes on without what was excused")
	require.True(t, judged(t, l, id, "good", 150, 2).Passed())
	s = known(t, l, id)
	require.Len(t, s.Excuses, 1, "the first size within was for good")
	require.Equal(t, validate.LevelNew, s.Sizes[30].Level)
	require.Equal(t, []string{"s  planned by ann: a move\n", "s  planned by ann: a move\n", "s half recorded", "s half excused by ann: a move\n", "s good recorded", "s good excused by ann: a move\n"},
		actions(t, l, id))
}

// actions is what the log says of a segment.
func actions(t *testing.T, l segment.Ledger, id segment.ID) (lines []string) {
	t.Helper()
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: id}) {
		require.NoError(t, err)
		line := e.Segment.Name + " " + e.RunID + " " + string(e.Action)
		if e.By != "" {
			line += " by " + e.By + ": " + e.Why
		}
		lines = append(lines, line)
	}
	return lines
}

// The times of a segment's runs, and what became of those since the last good one.
func testRuns(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "r0", 0)
	for n := range int64(14) {
		for attempt := range 3 {
			put(t, l, id, "r"+string(rune('a'+n)), n, func(r *segment.Record) {
				r.Attempt, r.State, r.Report = attempt, segment.RunRejected, new(report(false))
				r.At = r.At.Add(time.Duration(attempt) * time.Minute)
			})
		}
	}
	put(t, l, id, "unread", 20, func(r *segment.Record) { r.State, r.Report = segment.RunRejected, &validate.Report{} })
	put(t, l, id, "late", 21, func(r *segment.Record) { r.State = segment.RunFailed })
	put(t, l, id, "begun", 22, func(r *segment.Record) { r.State = segment.RunStarted })
	runs := known(t, l, id).Runs
	require.Len(t, runs.Times, 11, "as many as a segment's age is judged by")
	require.Equal(t, []time.Time{start.AddDate(0, 0, 13), start.AddDate(0, 0, 20), start.AddDate(0, 0, 21)}, runs.Times[8:], "the attempts of a run count once, as the first one did")
	require.Equal(t, []any{14, 1, 1, "late"}, []any{runs.Rejected, runs.Unverified, runs.Failed, runs.RunID})
	require.True(t, start.Equal(runs.Good) && start.Equal(runs.Since))
	put(t, l, id, "good", 30)
	runs = known(t, l, id).Runs
	require.Equal(t, []any{0, 0, 0, "good"}, []any{runs.Rejected, runs.Unverified, runs.Failed, runs.RunID})
	require.True(t, start.AddDate(0, 0, 30).Equal(runs.Good))
	seen := own(t, "seen")
	require.NoError(t, l.Change(t.Context(), []segment.Key{seen.In("")}, func(s *segment.SegmentState) error {
		s.Runs.Since = start
		return nil
	}))
	require.True(t, start.Equal(known(t, l, seen).Runs.Since), "a segment that no run wrote is known by when it was first seen")
}

// All that is kept of a segment goes along under another name.
func testRename(t *testing.T, l segment.Ledger) {
	from, to := own(t, "z"), own(t, "a")
	grown(t, l, from)
	judged(t, l, from, "good", 100_000, 0)
	judged(t, l, from, "off", 50_003, 1)
	openAlert(t, l, from)
	d := segment.Decision{By: "ann", Why: "as the store has it", At: start}
	_, err := segment.AcceptWithin(t.Context(), l, segment.Selection{Keys: []segment.Key{from.In("")}}, validate.Excuse{High: 5, From: start, Until: start.AddDate(0, 0, 9)}, d)
	require.NoError(t, err)
	before := known(t, l, from)
	require.NoError(t, segment.Rename(t.Context(), l, []segment.Renaming{{From: from.In(""), To: to.In("")}}, d))
	after := known(t, l, to)
	require.Equal(t, to, after.Alert.Open.Segment)
	require.Empty(t, after.Alert.Told, "the alerter is to be told of it under its name")
	require.Equal(t, to, after.Last.Segment)
	require.Equal(t, before.Baseline, after.Baseline)
	require.Equal(t, []any{before.Excuses, before.Runs, before.Live, before.Number}, []any{after.Excuses, after.Runs, after.Live, after.Number})
	left := known(t, l, from)
	require.Nil(t, left.Alert.Open)
	require.NotEmpty(t, left.Alert.Told, "and that it is over under the other")
	left.Alert = segment.AlertState{}
	require.True(t, left.IsZero())
}
