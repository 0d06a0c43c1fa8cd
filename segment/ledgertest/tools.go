package ledgertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// Of open alerts each counts once, with those that are like it.
func testAlertCounts(t *testing.T, l segment.Ledger) {
	counts := func() (mine []segment.AlertCount) {
		all, err := l.CountAlerts(t.Context())
		require.NoError(t, err)
		for _, c := range all {
			if c.SiteGroup == t.Name() {
				mine = append(mine, c)
			}
		}
		return mine
	}
	require.Empty(t, counts(), "nothing is open")
	like := segment.AlertCount{
		SiteGroup: t.Name(), Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelProtected, JobKind: segment.JobKindCopy, Build: "7",
		Alerts: 2, Users: 200,
	}
	affected(t, l, own(t, "a"))
	affected(t, l, own(t, "b"))
	affected(t, l, own(t, "over"), func(s *segment.SegmentState) { s.Alert.Open = nil })
	require.Equal(t, []segment.AlertCount{like}, counts(), "what is over and still to be told does not count")
	affected(t, l, own(t, "c"), func(s *segment.SegmentState) {
		s.Alert.Incident = "i"
		s.Alert.Open.Level = segment.LevelLive
		s.Alert.Marks = append(s.Alert.Marks, segment.Mark{Urgency: segment.Page, Kind: validate.Empty, Level: segment.LevelLost100})
	})
	worst := like
	worst.Kind, worst.Level, worst.Incident, worst.Alerts, worst.Users = validate.Empty, segment.LevelLost100, "i", 1, 100
	require.ElementsMatch(t, []segment.AlertCount{like, worst}, counts(), "kind and level are the worst that people were told")
	requireMarked(t, l)
}

// requireMarked selects by what people were told.
func requireMarked(t *testing.T, l segment.Ledger) {
	t.Helper()
	for _, f := range []struct {
		filter segment.SegmentFilter
		want   []string
	}{
		{segment.SegmentFilter{Kind: validate.Short}, []string{"a", "b"}},
		{segment.SegmentFilter{Kind: validate.Empty}, []string{"c"}},
		{segment.SegmentFilter{Level: segment.LevelLost100}, []string{"c"}},
		{segment.SegmentFilter{Urgency: segment.Page}, []string{"a", "b", "c"}},
		{segment.SegmentFilter{Urgency: segment.Ticket}, nil},
		{segment.SegmentFilter{Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelProtected, Limit: 1}, []string{"a"}},
	} {
		var got []string
		f.filter.SiteGroup = t.Name()
		for s, err := range l.Segments(t.Context(), f.filter) {
			require.NoError(t, err)
			got = append(got, s.Segment.Name)
		}
		require.Equal(t, f.want, got, "%+v", f.filter)
	}
}

// The numbers of sweeps come back, the latest first.
func testSweeps(t *testing.T, l segment.Ledger) {
	far := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) // after those of other tests
	first := segment.SweepNumbers{Store: t.Name(), At: far, Complete: true, Segments: 10, Healthy: 5, Affected: 3, Unwatched: 2, Missing: 1}
	later := segment.SweepNumbers{Store: t.Name(), At: far.Add(time.Hour)}
	require.NoError(t, l.KeepSweep(t.Context(), later))
	require.NoError(t, l.KeepSweep(t.Context(), first))
	got, err := l.Sweeps(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for i := range got {
		got[i].At = got[i].At.UTC()
	}
	require.Equal(t, []segment.SweepNumbers{later, first}, got)
	first.Healthy = 6
	require.NoError(t, l.KeepSweep(t.Context(), first))
	got, err = l.Sweeps(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, 6, got[1].Healthy, "the same sweep once more takes its place")
	require.False(t, len(got) > 2 && got[2].Store == t.Name())
	got, err = l.Sweeps(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, got, 1)
}

// Jobs come back whole, and those that are gone do not.
func testJobs(t *testing.T, l segment.Ledger) {
	a, b, c := own(t, "a"), own(t, "b"), own(t, "c")
	like, copied := segment.Lookalike(b, a, c, a), segment.Copy(c, b)
	like.Priority = 3
	jobs := func(f segment.JobFilter) (found []segment.Job) {
		for j, err := range l.Jobs(t.Context(), f) {
			require.NoError(t, err)
			found = append(found, j)
		}
		return found
	}
	require.NoError(t, l.KeepJobs(t.Context(), []segment.Job{like, copied, like}))
	require.ElementsMatch(t, []segment.Job{copied, like}, jobs(segment.JobFilter{}), "each once, with all that is in them")
	require.Equal(t, []segment.Job{copied}, jobs(segment.JobFilter{To: c}))
	require.Equal(t, []segment.Job{like}, jobs(segment.JobFilter{From: a}), "one that reads a segment twice reads it")
	require.Len(t, jobs(segment.JobFilter{Limit: 1}), 1)
	require.Empty(t, jobs(segment.JobFilter{To: a}))
	copied.From = []segment.ID{a}
	require.NoError(t, l.KeepJobs(t.Context(), []segment.Job{copied}))
	require.Equal(t, []segment.Job{copied}, jobs(segment.JobFilter{}), "what changed is changed, what is gone is gone")
	require.Equal(t, []segment.Job{copied}, jobs(segment.JobFilter{From: a}))
	require.Empty(t, jobs(segment.JobFilter{From: b}))
	many := make([]segment.Job, 1500)
	for i := range many {
		many[i] = segment.Copy(own(t, "m"+string(rune('a'+i%26))+time.Duration(i).String()), a)
	}
	require.NoError(t, l.KeepJobs(t.Context(), many))
	require.Len(t, jobs(segment.JobFilter{From: a}), len(many))
	long := segment.Lookalike(own(t, strings.Repeat("x", 500)), many[0].To, own(t, strings.Repeat("y", 500)), own(t, strings.Repeat("z", 500)))
	require.NoError(t, l.KeepJobs(t.Context(), []segment.Job{long}))
	require.Equal(t, []segment.Job{long}, jobs(segment.JobFilter{}), "an ID is as long as all that it names")
	require.NoError(t, l.KeepJobs(t.Context(), nil))
	require.Empty(t, jobs(segment.JobFilter{}))
}

// Nothing of it is answered after the end.
func testToolsCancelled(t *testing.T, l segment.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.CountAlerts(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Sweeps(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, l.KeepSweep(ctx, segment.SweepNumbers{At: start}), context.Canceled)
	require.ErrorIs(t, l.KeepJobs(ctx, []segment.Job{segment.Copy(own(t, "a"), own(t, "b"))}), context.Canceled)
	ended := false
	for _, err := range l.Jobs(ctx, segment.JobFilter{}) {
		require.ErrorIs(t, err, context.Canceled)
		ended = true
	}
	require.True(t, ended)
}
