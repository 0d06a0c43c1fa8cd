package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// refused is a run of a store without staging that was refused and is live, of a
// size that the segment's history allows, and whose alert the ledger did not keep.
func refused(f *fleet, state segment.RunState) segment.ID {
	id := seg("cars")
	f.runs(id, 1000, 1001)
	f.record(segment.Record{Segment: id, RunID: "tonight", State: state, Live: true, Users: 1000, At: f.now.Add(-90 * time.Minute), Number: 7})
	return id
}

// TestRefusedAndLive: a sweep finds what a guard refused, is live all the same, and
// has no alert, also where its size looks well, until a later run is live.
func TestRefusedAndLive(t *testing.T) {
	for _, state := range []segment.RunState{segment.RunRejected, segment.RunFailed} {
		f := newFleet(t)
		id := refused(f, state)
		for range 4 {
			s := f.sweep()
			require.Len(t, s.Findings, 1, state)
			require.Equal(t, segment.Page, s.Findings[0].Urgency)
			require.Equal(t, validate.Unverified, s.Findings[0].Kind)
			require.EqualValues(t, 1001, s.Findings[0].Users)
			require.Contains(t, s.Findings[0].Text, "run tonight, attempt 0, is recorded as "+string(state)+", is live all the same")
			require.Contains(t, f.alerter.firing, id)
			f.now = f.now.Add(time.Hour)
		}
		f.record(segment.Record{Segment: id, RunID: "repaired", State: segment.RunCommitted, Users: 1002, At: f.now, Number: 8})
		f.sizes[id] = validate.Count(1002)
		for range 2 {
			f.now = f.now.Add(time.Hour)
			require.Empty(t, f.sweep().Findings)
		}
		require.Empty(t, f.alerter.firing)
	}
}

// TestRefusedAndOvertaken: of a run that another one overtook a sweep finds out what
// is live.
func TestRefusedAndOvertaken(t *testing.T) {
	f := newFleet(t)
	refused(f, segment.RunOvertaken)
	require.Empty(t, f.sweep().Findings)
}

// TestRefusedAndVouchedFor: somebody's word that what is live is right ends it.
func TestRefusedAndVouchedFor(t *testing.T) {
	for reason, say := range map[string]func(*fleet, segment.ID, segment.Decision) error{
		"accepted": func(f *fleet, id segment.ID, d segment.Decision) error {
			_, err := segment.Accept(t.Context(), f.ledger, which("tonight", id), d)
			return err
		},
		"a false alarm": func(f *fleet, id segment.ID, d segment.Decision) error {
			return segment.FalseAlarm(t.Context(), f.ledger, id.In(""), d)
		},
	} {
		f := newFleet(t)
		id := refused(f, segment.RunRejected)
		require.Len(t, f.sweep().Findings, 1)
		require.NoError(t, say(f, id, segment.Decision{By: "ada", Why: "looked at it", At: f.now}), reason)
		f.now = f.now.Add(time.Hour)
		require.Empty(t, f.sweep().Findings, reason)
		require.Empty(t, f.alerter.firing, reason)
	}
	f := newFleet(t)
	id := refused(f, segment.RunRejected)
	accepted(t, f.ledger, which("run 1", id), ann(f.now))
	require.Len(t, f.sweep().Findings, 1, "it says nothing of tonight's")
}

// TestRefusedAndTold: the guard's own alert says more, also where it comes while a
// sweep goes on.
func TestRefusedAndTold(t *testing.T) {
	for _, meanwhile := range []bool{false, true} {
		f := newFleet(t)
		id := refused(f, segment.RunRejected)
		tell := func() {
			require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
				a := segment.Alert{Segment: id, RunID: "tonight", State: segment.RunRejected, Urgency: segment.Ticket, Kind: validate.Dropped, At: f.now, Since: f.now}
				s.Alert = segment.AlertState{Open: &a, Marks: []segment.Mark{{Urgency: segment.Ticket, Kind: validate.Dropped}}}
				return nil
			}))
		}
		if !meanwhile {
			tell()
		}
		m, err := segment.NewMonitor(f.config)
		require.NoError(t, err)
		_, err = m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
			yield(segment.CurrentSize{Segment: id, Stored: validate.Count(1000), At: f.now}, nil)
			if meanwhile {
				tell()
			}
		})
		require.NoError(t, err)
		require.Equal(t, []string{"ticket dropped"}, f.told(id), "meanwhile: %v", meanwhile)
	}
}

// told returns by which marks people were told of a segment.
func (f *fleet) told(id segment.ID) (marks []string) {
	for s, err := range f.ledger.Segments(f.t.Context(), segment.SegmentFilter{Segment: id}) {
		require.NoError(f.t, err)
		for _, told := range s.Alert.Told {
			marks = append(marks, string(told.Urgency)+" "+string(told.Kind))
		}
	}
	return marks
}
