package ledgertest

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestDamaged checks what a segment.Ledger does with a segment of which something
// cannot be read: damage makes it so, in the ledger's own store.
func TestDamaged(t *testing.T, l segment.Ledger, damage func(*testing.T, segment.ID)) {
	t.Helper()
	for _, rule := range []struct {
		name string
		test func(*testing.T, segment.Ledger, segment.ID)
	}{
		{"is told", testDamageIsTold},
		{"stays", testDamageStays},
		{"records", testDamageRecords},
		{"refuses decisions", testDamageRefuses},
		{"repaired", testRepaired},
		{"forgotten", testDamageForgotten},
	} {
		t.Run(rule.name, func(t *testing.T) {
			before, id, after := own(t, "a"), own(t, "b"), own(t, "c")
			for _, id := range []segment.ID{before, id, after} {
				put(t, l, id, "r", 5)
				openAlert(t, l, id)
			}
			damage(t, id)
			rule.test(t, l, id)
			for _, id := range []segment.ID{before, after} {
				require.Equal(t, []int64{5}, sizesOf(t, l, id, 60), "the others are as they were")
				require.NotNil(t, known(t, l, id).Alert.Open)
			}
		})
	}
}

// isDamage requires an error that names what cannot be read.
func isDamage(t *testing.T, err error, id segment.ID, reason string) {
	t.Helper()
	var damage *segment.Damage
	require.ErrorAs(t, err, &damage, reason)
	require.Contains(t, damage.Row, id.Name, reason)
	require.NotEmpty(t, damage.Table, reason)
	require.NotEmpty(t, damage.Columns, reason)
	require.NotEmpty(t, damage.What, reason)
}

// sizesLost reports whether the segment's sizes are what cannot be read.
func sizesLost(t *testing.T, l segment.Ledger, id segment.ID) bool {
	t.Helper()
	s, err := l.State(t.Context(), id.In(""))
	require.NoError(t, err)
	isDamage(t, s.Damaged, id, "what cannot be read is no segment without sizes")
	if !slices.Contains(s.Damaged.Columns, "state") {
		require.Len(t, s.Sizes, 1, "what can be read is read")
		return false
	}
	return true
}

func testDamageIsTold(t *testing.T, l segment.Ledger, id segment.ID) {
	s := known(t, l, id)
	require.NotNil(t, s.Damaged)
	isDamage(t, s.Damaged, id, "it comes in its place")
	require.Len(t, tracked(t, l), 3)
	require.Len(t, alerts(t, l), 3, "with an alert, whether that can be read or not")
	require.False(t, s.IsZero())
	require.Equal(t, sizesLost(t, l, id), len(s.Sizes) == 0)
	affected, err := segment.AffectedByAlerts(t.Context(), l)
	require.NoError(t, err)
	require.Contains(t, segmentsOf(affected), id, "and is left out of no rerun")
}

func segmentsOf(affected []segment.Affected) (ids []segment.ID) {
	for _, a := range affected {
		ids = append(ids, a.Segment)
	}
	return ids
}

func testDamageStays(t *testing.T, l segment.Ledger, id segment.ID) {
	lost := sizesLost(t, l, id)
	require.NoError(t, l.Change(t.Context(), []segment.Key{own(t, "a").In(""), id.In("")}, func(s *segment.SegmentState) error {
		s.Sizes = append(s.Sizes[:0:0], validate.Size{Users: 5, At: start.AddDate(0, 0, 5)})
		if s.Segment == id {
			s.Alert.Open = &segment.Alert{Segment: id, Text: "changed"}
		}
		return nil
	}), "a damaged segment is in nobody's way")
	s := known(t, l, id)
	require.NotNil(t, s.Damaged, "no change makes it look whole")
	require.Equal(t, lost, sizesLost(t, l, id))
	if lost {
		require.Equal(t, "changed", s.Alert.Open.Text, "what can be read can be changed")
	} else {
		require.Nil(t, s.Alert.Open)
	}
}

func testDamageRecords(t *testing.T, l segment.Ledger, id segment.ID) {
	lost := sizesLost(t, l, id)
	rejected := with(rec("tonight", 1, segment.RunRejected, 6), func(r *segment.Record) { r.Segment = id })
	require.NoError(t, l.Record(t.Context(), rejected), "what was rejected is known all the same")
	passed := with(rejected, func(r *segment.Record) { r.RunID, r.State = "again", segment.RunCommitted })
	err := l.Record(t.Context(), passed)
	want := []string{"b r/1 committed 5", "b tonight/1 rejected 6"}
	if lost {
		isDamage(t, err, id, "nothing goes live over sizes that cannot be read")
	} else {
		require.NoError(t, err)
		want = append(want, "b again/1 committed 6")
	}
	require.Equal(t, want, logged(t, l, segment.LogFilter{Segment: id}))
	require.NotNil(t, known(t, l, id).Damaged)
}

func testDamageRefuses(t *testing.T, l segment.Ledger, id segment.ID) {
	d := segment.Decision{By: "ann", Why: "right", At: start}
	run := segment.Selection{Keys: []segment.Key{id.In("")}, RunID: "r"}
	_, err := segment.Accept(t.Context(), l, run, d)
	isDamage(t, err, id, "what would not be kept is refused")
	_, err = segment.Suspect(t.Context(), l, run, d)
	isDamage(t, err, id, "what would not be kept is refused")
	sizes := []validate.Size{{Users: 1, At: start.AddDate(1, 0, 0)}}
	isDamage(t, segment.Import(t.Context(), l, []segment.SizeImport{{Segment: id, Sizes: sizes}}), id, "what would not be kept is refused")
	no := errors.New("no")
	require.ErrorIs(t, l.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
		s.Damaged = nil
		return no
	}), no)
	require.NotNil(t, known(t, l, id).Damaged)
}

func testRepaired(t *testing.T, l segment.Ledger, id segment.ID) {
	lost := sizesLost(t, l, id)
	d := segment.Decision{By: "ann", Why: "the disk was full", At: start}
	require.ErrorContains(t, segment.Repair(t.Context(), l, id.In(""), segment.Decision{}), "Decision.By")
	require.NoError(t, segment.Repair(t.Context(), l, id.In(""), d))
	s := known(t, l, id)
	require.Nil(t, s.Damaged)
	if lost {
		require.Empty(t, sizesOf(t, l, id, 60))
		require.NotNil(t, s.Alert.Open, "what could be read stays")
	} else {
		require.Equal(t, []int64{5}, sizesOf(t, l, id, 60), "what could be read stays")
		require.NotEmpty(t, s.Alert.Trying, "nobody knows what the alerter heard")
	}
	put(t, l, id, "again", 5)
	lines := logged(t, l, segment.LogFilter{Segment: id})
	require.Contains(t, lines[1], "repaired by ann: the disk was full (dropped what was damaged: ")
	require.ErrorContains(t, segment.Repair(t.Context(), l, id.In(""), d), "nothing of it is damaged")
}

func testDamageForgotten(t *testing.T, l segment.Ledger, id segment.ID) {
	gone := segment.Decision{By: "ann", Why: "it was deleted", At: start}
	require.NoError(t, segment.Forget(t.Context(), l, segment.Selection{Keys: []segment.Key{id.In("")}}, gone))
	s := known(t, l, id)
	require.Nil(t, s.Damaged)
	require.Empty(t, s.Sizes)
	require.Nil(t, s.Alert.Open)
}
