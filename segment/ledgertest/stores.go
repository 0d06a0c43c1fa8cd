package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// stores returns one segment in three stores, in order.
func stores(t *testing.T) (unnamed, ads, crm segment.Key) {
	t.Helper()
	id := own(t, "s")
	return id.In(""), id.In("ads"), id.In("crm")
}

// in records a run whose size is live in a store.
func in(t *testing.T, l segment.Recorder, key segment.Key, n int64) {
	t.Helper()
	put(t, l, key.Segment, "r", n, func(r *segment.Record) { r.Store = key.Store })
}

// usersIn returns the baseline of a segment in a store.
func usersIn(t *testing.T, l segment.Recorder, key segment.Key) (users []int64) {
	t.Helper()
	state, err := l.State(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, key, state.Key())
	for _, s := range state.Sizes {
		users = append(users, s.Users)
	}
	return users
}

// keysOf returns the keys of this test's segments that f selects, as they come.
func keysOf(t *testing.T, l segment.Ledger, f segment.SegmentFilter) (keys []segment.Key) {
	t.Helper()
	for s, err := range l.Segments(t.Context(), f) {
		require.NoError(t, err)
		if s.Segment.SiteGroup == t.Name() {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// A segment of one name in several stores has a baseline, runs and a live size in each.
func testStores(t *testing.T, l segment.Ledger) {
	unnamed, ads, crm := stores(t)
	in(t, l, unnamed, 1)
	in(t, l, ads, 2)
	in(t, l, crm, 3) // the same attempt, into another store
	for key, n := range map[segment.Key]int64{unnamed: 1, ads: 2, crm: 3} {
		require.Equal(t, []int64{n}, usersIn(t, l, key), key)
	}
	again := with(rec("r", 1, segment.RunCommitted, 3), func(r *segment.Record) { r.Segment, r.Store = crm.Segment, crm.Store })
	require.ErrorIs(t, l.Record(t.Context(), again), segment.ErrSuperseded)
	d := segment.Decision{By: "ann", Why: "a limit", At: start}
	_, err := segment.Suspect(t.Context(), l, segment.Selection{Keys: []segment.Key{ads}, RunID: "r"}, d)
	require.NoError(t, err)
	require.Empty(t, usersIn(t, l, ads))
	require.Equal(t, []int64{3}, usersIn(t, l, crm))
	require.NoError(t, segment.Forget(t.Context(), l, segment.Selection{Keys: []segment.Key{unnamed}}, d))
	require.Equal(t, []segment.Key{ads, crm}, keysOf(t, l, segment.SegmentFilter{}))
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Segment: crm.Segment, Store: &crm.Store}) {
		require.NoError(t, err)
		require.Equal(t, crm, s.Last.Key())
	}
}

// Runs into different stores do not wait for each other.
func testRowOfStore(t *testing.T, l segment.Ledger) {
	_, ads, crm := stores(t)
	require.NoError(t, l.Lock(t.Context(), ads, func(c *segment.CommitRow) error {
		c.RunID, c.Until, c.Token, c.Generation = "r", c.Now.Add(time.Hour), 7, 5
		return nil
	}))
	row := func(key segment.Key) (found segment.CommitRow) {
		require.NoError(t, l.Lock(t.Context(), key, func(c *segment.CommitRow) error { found = *c; return nil }))
		return found
	}
	require.Equal(t, []any{"r", int64(7)}, []any{row(ads).RunID, row(ads).Token})
	require.Equal(t, []any{"", int64(0)}, []any{row(crm).RunID, row(crm).Token})
	for key, generation := range map[segment.Key]int64{ads: 5, crm: 0} {
		began, err := l.Next(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, generation, began.Generation, key)
	}
}

// Segments come in the order of their keys, a page after the other, those of one store
// or of all.
func testSegmentsOfStores(t *testing.T, l segment.Ledger) {
	a, b := own(t, "a"), own(t, "b")
	var all []segment.Key
	for _, store := range []string{"", "ads", "crm"} {
		all = append(all, a.In(store), b.In(store))
	}
	for i, key := range []int{5, 0, 3, 2, 4, 1} {
		in(t, l, all[key], int64(i))
	}
	require.Equal(t, all, keysOf(t, l, segment.SegmentFilter{}))
	none, ads, never := "", "ads", "bought"
	for _, c := range []struct {
		reason string
		filter segment.SegmentFilter
		want   []segment.Key
	}{
		{"a store has its own segments", segment.SegmentFilter{Store: &ads}, all[2:4]},
		{"and so has the one that nobody named", segment.SegmentFilter{Store: &none}, all[:2]},
		{"a store that is not known has none", segment.SegmentFilter{Store: &never}, nil},
		{"a segment is in any store", segment.SegmentFilter{Segment: a}, []segment.Key{all[0], all[2], all[4]}},
		{"or in one", segment.SegmentFilter{Segment: a, Store: &ads}, all[2:3]},
		{"after a key come the rest of its store and the next ones", segment.SegmentFilter{SiteGroup: t.Name(), After: all[2], Limit: 2}, all[3:5]},
		{"in a store, the rest of it", segment.SegmentFilter{Store: &ads, After: all[2]}, all[3:4]},
		{"all of it after a key of a store before", segment.SegmentFilter{Store: &ads, After: all[1]}, all[2:4]},
		{"none of it after a key of one behind", segment.SegmentFilter{Store: &ads, After: all[4]}, nil},
	} {
		require.Equal(t, c.want, keysOf(t, l, c.filter), c.reason)
	}
}

// The log says of which store an entry is.
func testLogOfStores(t *testing.T, l segment.Ledger) {
	_, ads, crm := stores(t)
	in(t, l, ads, 1)
	in(t, l, crm, 2)
	accept(t, l, segment.Selection{Keys: []segment.Key{crm}, RunID: "r"}, segment.Decision{By: "ann", Why: "right", At: start})
	var found []string
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: crm.Segment}) {
		require.NoError(t, err)
		found = append(found, string(e.Action)+" "+e.Segment.In(e.Store).Store)
		require.True(t, e.Record == nil || e.Record.Key() == e.Segment.In(e.Store))
	}
	require.Equal(t, []string{"recorded ads", "recorded crm", "accepted crm"}, found)
	require.Equal(t, []string{"s r/1 committed 1"}, logged(t, l, segment.LogFilter{Segment: ads.Segment, Store: &ads.Store}))
}

// One change may be of segments in several stores; each has an alert of its own.
func testChangeOfStores(t *testing.T, l segment.Ledger) {
	unnamed, ads, crm := stores(t)
	var order []segment.Key
	require.NoError(t, l.Change(t.Context(), []segment.Key{crm, unnamed, ads}, func(s *segment.SegmentState) error {
		order = append(order, s.Key())
		if s.Store != "ads" {
			s.Alert.Open = &segment.Alert{Segment: s.Segment, Store: s.Store, Urgency: segment.Page, Kind: validate.Short, Text: "in " + s.Store}
		}
		return nil
	}))
	require.Equal(t, []segment.Key{unnamed, ads, crm}, order[:3])
	require.Equal(t, []segment.Key{unnamed, crm}, keysOf(t, l, segment.SegmentFilter{Affected: true}))
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Store: &crm.Store, Affected: true}) {
		require.NoError(t, err)
		require.Equal(t, "in crm", s.Alert.Open.Text)
	}
	mute := segment.Mute{Segment: crm.Segment, Store: "crm", Until: start.AddDate(0, 0, 1), Decision: segment.Decision{By: "ann", Why: "moving", At: start}}
	require.NoError(t, segment.MuteAlerts(t.Context(), l, mute))
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Segment: crm.Segment}) {
		require.NoError(t, err)
		require.Equal(t, s.Store == "crm", s.Alert.Muted != nil, s.Store)
	}
	mutes, err := l.Mutes(t.Context())
	require.NoError(t, err)
	require.Contains(t, mutes, mute)
}

// Incidents are of a store.
func testIncidentsOfStores(t *testing.T, l segment.Ledger) {
	for _, store := range []string{"", "crm"} {
		require.NoError(t, l.ChangeIncident(t.Context(), t.Name()+store, func(i *segment.Incident) error {
			i.Cause, i.Begun = segment.Cause{JobKind: segment.JobKindCopy, Store: store}, start
			return nil
		}))
	}
	for _, store := range []string{"", "crm"} {
		var found []string
		for i, err := range l.Incidents(t.Context(), segment.IncidentFilter{Store: &store}) {
			require.NoError(t, err)
			require.Equal(t, store, i.Cause.Store)
			if i.ID == t.Name()+store {
				found = append(found, i.ID)
			}
		}
		require.Len(t, found, 1)
	}
}
