package ledgertest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// affected gives a segment an alert, as a guard's.
func affected(t *testing.T, l segment.Ledger, id segment.ID, change ...func(*segment.SegmentState)) {
	t.Helper()
	require.NoError(t, l.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
		a := segment.Alert{
			Segment: id, Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelProtected, Users: 100, RunID: "r", Number: 7, State: segment.RunRejected,
			Job: segment.Job{ID: "copy", Kind: segment.JobKindCopy, To: id}, Build: "7", Since: start, At: start, Text: "too few",
		}
		s.Alert = segment.AlertState{Open: &a, Marks: []segment.Mark{{Urgency: a.Urgency, Kind: a.Kind, Level: a.Level, JobKind: a.Job.Kind, Build: a.Build}}}
		for _, c := range change {
			c(s)
		}
		return nil
	}))
}

func testIdentity(t *testing.T, l segment.Ledger) {
	name, err := l.Identity(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, name, "by it an alerter tells the alerts of two ledgers apart")
	again, err := l.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, name, again, "the next process would end the alerts of this one")
}

// All of an alert comes back.
func testAlertState(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	want := segment.AlertState{
		Open: &segment.Alert{
			Segment: id, Store: "main", Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelLost10, Incident: "i", Text: "a limit",
			Job: segment.Copy(id, own(t, "source")), RunID: "r", Attempt: 2, Number: 9, State: segment.RunUnknown, Build: "7", Rule: "rule",
			Runbook: "book", Link: "link", Since: start, At: start.Add(time.Hour), Told: start.Add(time.Minute), Users: 1 << 40,
			Good: &validate.Size{Users: 5, At: start}, Upstream: own(t, "source"), Missing: true,
		},
		Marks:    []segment.Mark{{Urgency: segment.Ticket, Kind: validate.Dropped}, {Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelLost10, JobKind: "copy", Build: "7", Incident: "i"}},
		Incident: "i",
		Told:     []segment.Told{{Mark: segment.Mark{Urgency: segment.Ticket, Kind: validate.Dropped}, At: start}},
		Trying:   []segment.Mark{{Urgency: segment.Page, Kind: validate.Capped}},
		Claimed:  start.Add(time.Minute), Swept: true, Unsettled: true, Passed: true, Healthy: 1, Days: []time.Time{start}, Opened: []time.Time{start, start},
		Flapping: true, Muted: &segment.Mark{Urgency: segment.Ticket}, Heard: start, Reworded: true, Over: "why",
	}
	require.NoError(t, l.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error { s.Alert = want; return nil }))
	got := known(t, l, id).Alert
	require.True(t, want.Claimed.Equal(got.Claimed))
	require.True(t, want.Open.At.Equal(got.Open.At))
	require.Equal(t, want.Open.Good.Users, got.Open.Good.Users)
	require.Len(t, got.Opened, 2)
	require.True(t, got.Days[0].Equal(start) && got.Heard.Equal(start) && got.Told[0].At.Equal(start) && got.Open.Since.Equal(start) && got.Open.Told.Equal(want.Open.Told))
	for _, a := range []*segment.AlertState{&want, &got} { // what of it is no time
		open := *a.Open
		open.Since, open.At, open.Told, open.Good, open.Report = time.Time{}, time.Time{}, time.Time{}, nil, validate.Report{}
		a.Open, a.Claimed, a.Heard, a.Days, a.Opened = &open, time.Time{}, time.Time{}, nil, nil
		a.Told = []segment.Told{{Mark: a.Told[0].Mark}}
	}
	require.Equal(t, want, got)
}

// manyAlerts gives segments alerts of all sorts, and returns their names.
func manyAlerts(t *testing.T, l segment.Ledger) []string {
	t.Helper()
	tell := func(s *segment.SegmentState) { s.Alert.Told = []segment.Told{{Mark: s.Alert.Marks[0], At: start}} }
	affected(t, l, own(t, "new"))
	affected(t, l, own(t, "told"), tell)
	affected(t, l, own(t, "over"), tell, func(s *segment.SegmentState) { s.Alert.Open, s.Alert.Marks = nil, nil })
	affected(t, l, own(t, "maybe"), func(s *segment.SegmentState) {
		s.Alert.Trying, s.Alert.Open, s.Alert.Marks = s.Alert.Marks, nil, nil
	})
	affected(t, l, own(t, "muted"), func(s *segment.SegmentState) { s.Alert.Muted = &s.Alert.Marks[0] })
	affected(t, l, own(t, "member"), tell, func(s *segment.SegmentState) { s.Alert.Incident = t.Name() + " i" })
	affected(t, l, own(t, "other build"), tell, func(s *segment.SegmentState) { s.Alert.Open.Build = "8" })
	affected(t, l, own(t, "other kind"), tell, func(s *segment.SegmentState) { s.Alert.Open.Job.Kind = "upload" })
	affected(t, l, own(t, "later"), tell, func(s *segment.SegmentState) { s.Alert.Open.Since = start.Add(time.Hour) })
	affected(t, l, own(t, "flapping"), tell, func(s *segment.SegmentState) {
		s.Alert.Open.Since, s.Alert.Flapping = start.Add(time.Hour), true
	})
	put(t, l, own(t, "well"), "r", 1)
	return []string{"flapping", "later", "maybe", "member", "muted", "new", "other build", "other kind", "over", "told"}
}

func testSelectedAlerts(t *testing.T, l segment.Ledger) {
	all, group := manyAlerts(t, l), t.Name()
	but := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) })
	}
	for _, c := range []struct {
		reason string
		filter segment.SegmentFilter
		want   []string
	}{
		{"also what the alerter only may have heard", segment.SegmentFilter{Affected: true}, all},
		{"of which it is to be told", segment.SegmentFilter{Pending: true}, []string{"maybe", "new", "over"}},
		{"so many of them", segment.SegmentFilter{Pending: true, Limit: 2}, []string{"maybe", "new"}},
		{"the next ones", segment.SegmentFilter{Pending: true, After: own(t, "new").In("")}, []string{"over"}},
		{"members", segment.SegmentFilter{Incident: group + " i"}, []string{"member"}},
		{"of a build", segment.SegmentFilter{Build: "8"}, []string{"other build"}},
		{"of a job kind, open", segment.SegmentFilter{JobKind: segment.JobKindCopy}, but("over", "maybe", "other kind")},
		{"of no incident, since a time", segment.SegmentFilter{Alone: start}, but("over", "maybe", "member", "flapping")},
		{"that time included", segment.SegmentFilter{Alone: start.Add(time.Hour)}, []string{"later"}},
		{"one", segment.SegmentFilter{Segment: own(t, "told"), Affected: true}, []string{"told"}},
		{"one that has none", segment.SegmentFilter{Segment: own(t, "well"), Affected: true}, nil},
	} {
		var names []string
		if c.filter.SiteGroup = group; !c.filter.Segment.IsZero() {
			c.filter.SiteGroup = ""
		}
		for s, err := range l.Segments(t.Context(), c.filter) {
			require.NoError(t, err)
			require.Equal(t, group, s.Segment.SiteGroup, c.reason)
			names = append(names, s.Segment.Name)
		}
		require.Equal(t, c.want, names, c.reason)
	}
}

// incidents returns the IDs of this test's incidents that f selects.
func incidents(t *testing.T, l segment.Ledger, f segment.IncidentFilter) (found []segment.Incident) {
	t.Helper()
	for i, err := range l.Incidents(t.Context(), f) {
		require.NoError(t, err)
		if i.Cause.Store == t.Name() {
			found = append(found, i)
		}
	}
	return found
}

func begin(t *testing.T, l segment.Ledger, name string, hours int, change ...func(*segment.Incident)) string {
	t.Helper()
	id := t.Name() + " " + name
	require.NoError(t, l.ChangeIncident(t.Context(), id, func(i *segment.Incident) error {
		require.Equal(t, id, i.ID)
		require.Zero(t, i.Begun, "it is not known")
		i.Cause = segment.Cause{JobKind: segment.JobKindCopy, Build: name, Store: t.Name()}
		i.Begun, i.Last = start.Add(time.Duration(hours)*time.Hour), start
		for _, c := range change {
			c(i)
		}
		return nil
	}))
	return id
}

func testIncidents(t *testing.T, l segment.Ledger) {
	rings := []segment.Ring{{Members: 3, Urgency: segment.Ticket}, {Members: 10, Urgency: segment.Page, Level: segment.LevelLive, SiteGroup: "g"}}
	late := begin(t, l, "late", 5, func(i *segment.Incident) {
		i.Rings, i.Told, i.Claimed, i.First, i.Likely, i.Most = rings, rings[:1], start.Add(time.Minute), start, "a limit", 1<<40
		i.Good, i.Upstream, i.Runbook, i.Link = &validate.Size{Users: 5, At: start}, own(t, "up"), "book", "link"
	})
	begin(t, l, "early", 1, func(i *segment.Incident) { i.Over = start.Add(2 * time.Hour) })
	begin(t, l, "untold", 2, func(i *segment.Incident) { i.Over, i.Rings, i.Told = start.Add(3*time.Hour), rings, rings })
	all := incidents(t, l, segment.IncidentFilter{})
	require.Len(t, all, 3)
	require.Equal(t, []string{"early", "untold", "late"}, []string{all[0].Cause.Build, all[1].Cause.Build, all[2].Cause.Build}, "in the order in which they began")
	got := all[2]
	require.True(t, got.Begun.Equal(start.Add(5*time.Hour)) && got.Last.Equal(start) && got.First.Equal(start) && got.Claimed.Equal(start.Add(time.Minute)) && got.Good.At.Equal(start))
	require.Equal(t, []any{late, rings, rings[:1], "a limit", int64(1 << 40), int64(5), own(t, "up"), "book", "link"},
		[]any{got.ID, got.Rings, got.Told, got.Likely, got.Most, got.Good.Users, got.Upstream, got.Runbook, got.Link})
	for _, c := range []struct {
		reason string
		filter segment.IncidentFilter
		want   int
	}{
		{"one", segment.IncidentFilter{ID: late}, 1},
		{"of a cause", segment.IncidentFilter{Cause: segment.Cause{JobKind: segment.JobKindCopy, Build: "early", Store: t.Name()}}, 1},
		{"that go on, or that the alerter has", segment.IncidentFilter{Open: true}, 2},
		{"since a time, that time included", segment.IncidentFilter{Since: start.Add(2 * time.Hour)}, 2},
		{"not known", segment.IncidentFilter{ID: late + " not"}, 0},
		{"bare", segment.IncidentFilter{Bare: true}, 3},
	} {
		require.Len(t, incidents(t, l, c.filter), c.want, c.reason)
	}
	failed := errors.New("no")
	require.ErrorIs(t, l.ChangeIncident(t.Context(), late, func(i *segment.Incident) error { i.Likely = "spoiled"; return failed }), failed)
	require.Equal(t, "a limit", incidents(t, l, segment.IncidentFilter{ID: late})[0].Likely, "nothing is kept where change returns an error")
}

func testMembers(t *testing.T, l segment.Ledger) {
	id := begin(t, l, "i", 0)
	join := func(s *segment.SegmentState) { s.Alert.Incident = id }
	affected(t, l, own(t, "a"), join)
	affected(t, l, own(t, "b"), join, func(s *segment.SegmentState) {
		s.Alert.Marks = append(s.Alert.Marks, segment.Mark{Urgency: segment.Page, Kind: validate.Empty, Level: segment.LevelLost100})
	})
	affected(t, l, segment.ID{SiteGroup: t.Name() + " other", Name: "c"}, join, func(s *segment.SegmentState) {
		s.Alert.Open.Urgency, s.Alert.Marks[0].Urgency = segment.Ticket, segment.Ticket
	})
	affected(t, l, own(t, "none"))
	counted := func(m segment.Members) {
		t.Helper()
		require.Equal(t, []any{3, 2, 1, 2, int64(300), "", segment.LevelLost100}, []any{m.Segments, m.Pages, m.Live, m.SiteGroups, m.Users, m.SiteGroup, m.Level})
		require.Len(t, m.Kinds, 2)
		require.Equal(t, []int{2, 1}, []int{m.Kinds[validate.Short], m.Kinds[validate.Empty]})
	}
	counted(incidents(t, l, segment.IncidentFilter{ID: id})[0].Members)
	require.NoError(t, l.ChangeIncident(t.Context(), id, func(i *segment.Incident) error { counted(i.Members); return nil }))
	for _, name := range []string{"a", "b"} {
		require.NoError(t, l.Change(t.Context(), []segment.Key{own(t, name).In("")}, func(s *segment.SegmentState) error { s.Alert = segment.AlertState{}; return nil }))
	}
	left := incidents(t, l, segment.IncidentFilter{ID: id})[0].Members
	require.Equal(t, []any{1, 0, t.Name() + " other"}, []any{left.Segments, left.Pages, left.SiteGroup}, "they are counted anew each time")
}

// Of many who claim a ring at once, one does.
func testIncidentChangedAtOnce(t *testing.T, l segment.Ledger) {
	id := begin(t, l, "i", 0)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := l.ChangeIncident(t.Context(), id, func(i *segment.Incident) error { i.Most++; return nil })
			if err != nil {
				t.Errorf("changing the incident: %v", err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 20, incidents(t, l, segment.IncidentFilter{ID: id})[0].Most)
}

func testMutes(t *testing.T, l segment.Ledger) {
	mute := segment.Mute{
		Segment: own(t, "s"), SiteGroup: t.Name(), Kind: validate.Short, Until: start.Add(time.Hour),
		Decision: segment.Decision{By: "ann", Why: "a migration", At: start},
	}
	of := func() (found []segment.Mute) {
		mutes, err := l.Mutes(t.Context())
		require.NoError(t, err)
		return slices.DeleteFunc(mutes, func(m segment.Mute) bool { return m.SiteGroup != t.Name() })
	}
	require.NoError(t, l.ChangeMutes(t.Context(), func(known []segment.Mute) ([]segment.Mute, error) { return append(known, mute), nil }))
	got := of()
	require.Len(t, got, 1, "also one that has ended")
	require.True(t, got[0].Until.Equal(mute.Until) && got[0].At.Equal(mute.At))
	got[0].Until, got[0].At = mute.Until, mute.At
	require.Equal(t, mute, got[0])
	failed := errors.New("no")
	require.ErrorIs(t, l.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return nil, failed }), failed)
	require.Len(t, of(), 1, "nothing is kept where change returns an error")
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			another := mute
			another.Segment = own(t, strconv.Itoa(i))
			err := l.ChangeMutes(t.Context(), func(known []segment.Mute) ([]segment.Mute, error) { return append(known, another), nil })
			if err != nil {
				t.Errorf("changing the mutes: %v", err)
			}
		})
	}
	wg.Wait()
	require.Len(t, of(), 11, "reading and keeping are one step")
}

func testLogOfAlerts(t *testing.T, l segment.Ledger) {
	mark := segment.Mark{Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelLive, JobKind: segment.JobKindCopy, Build: "7", Incident: "i"}
	for i, action := range []segment.Action{segment.ActionOpened, segment.ActionTold, segment.ActionOver, segment.ActionOpened} {
		require.NoError(t, l.Change(t.Context(), []segment.Key{own(t, strconv.Itoa(i)).In("")}, func(s *segment.SegmentState) error {
			s.Log = append(s.Log, segment.LogEntry{Segment: s.Segment, At: start, Action: action, RunID: "r", Mark: &mark, Incident: "i", Text: "too few"})
			return nil
		}))
	}
	put(t, l, own(t, "5"), "recorded", 1, func(r *segment.Record) { r.Build, r.JobKind = "7", segment.JobKindCopy })
	at := func(f segment.LogFilter) (names []string) {
		f.SiteGroup = t.Name()
		for e, err := range l.Log(t.Context(), f) {
			require.NoError(t, err)
			names = append(names, e.Segment.Name)
			if e.Record == nil {
				require.Equal(t, []any{&mark, "i", "too few", "r"}, []any{e.Mark, e.Incident, e.Text, e.RunID})
			}
		}
		return names
	}
	require.Equal(t, []string{"0", "1", "2", "3", "5"}, at(segment.LogFilter{}), "of a site group")
	require.Equal(t, []string{"0", "3"}, at(segment.LogFilter{Action: segment.ActionOpened}), "what was opened")
	require.Equal(t, []string{"3"}, at(segment.LogFilter{Action: segment.ActionOpened, Limit: 1}), "the latest")
	require.Equal(t, []string{"0", "1", "2", "3", "5"}, at(segment.LogFilter{Build: "7", JobKind: segment.JobKindCopy}), "by what an alert is about, too")
	require.Empty(t, at(segment.LogFilter{Build: "8"}))

	id := begin(t, l, "i", 0, func(i *segment.Incident) {
		i.Log = append(i.Log, segment.LogEntry{At: start, Action: segment.ActionOpened, Incident: i.ID, Text: "many"})
	})
	found := 0
	for e, err := range l.Log(t.Context(), segment.LogFilter{Action: segment.ActionOpened}) {
		require.NoError(t, err)
		if e.Incident == id {
			require.Equal(t, "many", e.Text)
			found++
		}
	}
	require.Equal(t, 1, found, "what became of an incident is in the log, once")
}

// What was told to stop says so.
func testAlertsCancelled(t *testing.T, l segment.Ledger) {
	begin(t, l, "i", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, identity := l.Identity(ctx)
	_, mutes := l.Mutes(ctx)
	for name, err := range map[string]error{
		"Identity": identity, "Mutes": mutes, "Incidents": end(l.Incidents(ctx, segment.IncidentFilter{})),
		"ChangeIncident": l.ChangeIncident(ctx, "i", func(*segment.Incident) error { return nil }),
		"ChangeMutes":    l.ChangeMutes(ctx, func(m []segment.Mute) ([]segment.Mute, error) { return m, nil }),
	} {
		require.ErrorIs(t, err, context.Canceled, name)
	}
}
