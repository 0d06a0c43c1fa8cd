package segment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// attempted is the record of one attempt, so many hours before tonight.
func attempted(run string, attempt int, state RunState, users int64, hours int) Record {
	return Record{
		RunID: run, Attempt: attempt, State: state, Users: users, At: tonight.Add(-time.Duration(hours) * time.Hour),
		Report: &validate.Report{Stored: validate.Count(users)},
	}
}

// numbered is the record of a run with a number.
func numbered(run string, number int64, state RunState, users int64) Record {
	r := attempted(run, 1, state, users, 1)
	r.Number = number
	return r
}

func overlapped(r Record) Record  { r.Overlapped = true; return r }
func settled(r Record) Record     { r.Settled = true; return r }
func halfWritten(r Record) Record { r.Live = true; return r }

// TestWhatIsLast: what is live goes by the order of the records, as runs go live
// one after another, whatever clocks say; what an older run says of itself, and is
// not live, is a line of the log.
func TestWhatIsLast(t *testing.T) {
	for _, c := range []struct {
		reason       string
		first, then  Record
		last         string
		users, liveN int64 // -1: nobody knows what is live
	}{
		{"live later, by a clock that is behind", attempted("b", 1, RunCommitted, 5, 1), attempted("a", 1, RunCommitted, 4, 2), "a", 4, 4},
		{"observed by a clock that is ahead", attempted("b", 1, RunObserved, 5, -2), attempted("a", 1, RunCommitted, 4, 2), "a", 4, 4},
		{"an older run is rejected", numbered("b", 2, RunCommitted, 5), numbered("a", 1, RunRejected, 4), "b", 5, 5},
		{"an older run passed", numbered("b", 2, RunCommitted, 5), numbered("a", 1, RunPassed, 4), "b", 5, 5},
		{"a later run is rejected", numbered("a", 1, RunCommitted, 5), numbered("b", 2, RunRejected, 4), "b", 4, 5},
		{"nobody knows whether an older run is live", numbered("b", 2, RunCommitted, 5), numbered("a", 1, RunUnknown, 4), "a", 4, -1},
		{"an older run is live all the same", numbered("b", 2, RunCommitted, 5), overlapped(numbered("a", 1, RunCommitted, 4)), "a", 4, -1},
		{"live at the same time", numbered("a", 1, RunCommitted, 5), overlapped(numbered("b", 2, RunCommitted, 4)), "b", 4, -1},
		{"begun", attempted("a", 1, RunCommitted, 5, 1), attempted("b", 1, RunStarted, 0, 0), "a", 5, 5},
		{"overtaken", attempted("a", 1, RunCommitted, 5, 1), attempted("b", 1, RunOvertaken, 4, 0), "a", 5, 5},
		{"a write that failed", attempted("a", 1, RunCommitted, 5, 1), attempted("b", 1, RunFailed, 0, 0), "a", 5, 5},
		{"one that was live", attempted("a", 1, RunCommitted, 5, 1), halfWritten(attempted("b", 1, RunFailed, 0, 0)), "b", 0, -1},
		{"settled", attempted("a", 1, RunUnknown, 5, 1), settled(attempted("a", 1, RunCommitted, 5, 1)), "a", 5, 5},
		{"settled after another run", attempted("b", 1, RunCommitted, 4, 1), settled(attempted("a", 1, RunCommitted, 5, 1)), "b", 4, 4},
		{"live later", attempted("a", 1, RunCommitted, 4, 2), attempted("b", 1, RunCommitted, 5, 1), "b", 5, 5},
		{"rejected by a clock that is behind", attempted("b", 1, RunCommitted, 5, 1), attempted("a", 1, RunRejected, 4, 2), "a", 4, 5},
		{"live after a rejected one of a clock ahead", attempted("b", 1, RunRejected, 4, 1), attempted("a", 1, RunCommitted, 5, 2), "a", 5, 5},
		{"the same attempt again", attempted("a", 1, RunCommitted, 4, 1), attempted("a", 1, RunCommitted, 5, 2), "a", 5, 5},
		{"an older attempt", attempted("a", 2, RunCommitted, 5, 2), attempted("a", 1, RunCommitted, 4, 1), "a", 5, 5},
		{"observed", attempted("a", 1, RunCommitted, 4, 2), attempted("b", 1, RunObserved, 5, 1), "b", 5, 5},
		{"unknown", attempted("a", 1, RunCommitted, 4, 2), attempted("b", 1, RunUnknown, 5, 1), "b", 5, -1},
	} {
		var state SegmentState
		state.Record(c.first)
		state.Record(c.then)
		require.Equal(t, c.last, state.Last.RunID, c.reason)
		require.Equal(t, c.users, state.Last.Users, c.reason)
		if c.liveN < 0 {
			require.Nil(t, state.Live, c.reason)
			continue
		}
		require.NotNil(t, state.Live, c.reason)
		require.Equal(t, c.liveN, state.Live.Users, c.reason)
	}
	unread := attempted("b", 1, RunObserved, 0, 1)
	unread.Report = &validate.Report{}
	state := SegmentState{}
	state.Record(attempted("a", 1, RunCommitted, 4, 2))
	state.Record(unread)
	require.Nil(t, state.Live, "live, and never read back")
}

// TestLiveAfterOnePassed: of a run that passed, and was not heard of again, nobody
// knows whether it went live; the next run's record takes the place of the one that
// says so.
func TestLiveAfterOnePassed(t *testing.T) {
	for _, c := range []struct {
		reason string
		then   Record
		live   int64 // -1: nobody knows
	}{
		{"another run passed", attempted("b", 1, RunPassed, 6, 1), -1},
		{"another run is rejected", attempted("b", 1, RunRejected, 6, 1), -1},
		{"another attempt passed", attempted("a", 2, RunPassed, 6, 1), -1},
		{"another run is live", attempted("b", 1, RunCommitted, 6, 1), 6},
		{"it passed once more", attempted("a", 1, RunPassed, 5, 1), 4},
		{"it was not committed", attempted("a", 1, RunRejected, 5, 1), 4},
		{"it is live", attempted("a", 1, RunCommitted, 5, 1), 5},
	} {
		var state SegmentState
		state.Record(attempted("z", 1, RunCommitted, 4, 3))
		state.Record(attempted("a", 1, RunPassed, 5, 2))
		require.EqualValues(t, 4, state.Live.Users, "until another run may have written over it, it is one of two")
		state.Record(c.then)
		if c.live < 0 {
			require.Nil(t, state.Live, c.reason)
			continue
		}
		require.NotNil(t, state.Live, c.reason)
		require.Equal(t, c.live, state.Live.Users, c.reason)
	}
}

// TestOneSizeIsTakenOut: of sizes that are alike in all but one thing, only the
// one that is meant.
func TestOneSizeIsTakenOut(t *testing.T) {
	bad := validate.Size{Users: 5, Read: 6, At: tonight, Counter: "x"}
	others := []validate.Size{
		{Users: 4, Read: 6, At: tonight, Counter: "x"},
		{Users: 5, Read: 7, At: tonight, Counter: "x"},
		{Users: 5, Read: 6, At: tonight.Add(time.Microsecond), Counter: "x"},
		{Users: 5, Read: 6, At: tonight, Counter: "y"},
	}
	state := SegmentState{Baseline: validate.Baseline{Sizes: append([]validate.Size{bad}, others...)}}
	state.suspect(func(size validate.Size) bool {
		return same(size, validate.Size{Users: 5, Read: 6, At: tonight.UTC(), Counter: "x", Level: validate.LevelNew})
	})
	require.Equal(t, others, state.Sizes)
}

// TestImportedOnce: a size is known by its time and counter.
func TestImportedOnce(t *testing.T) {
	var state SegmentState
	for range 2 {
		state.add([]validate.Size{{Users: 5, At: tonight}, {Users: 6, At: tonight, Counter: "x"}, {Users: 5, At: tonight.Add(time.Microsecond)}})
	}
	require.Len(t, state.Sizes, 3)
}

// TestStates: which attempts are live or about to be.
func TestStates(t *testing.T) {
	for state, goes := range map[RunState]bool{RunPassed: true, RunCommitted: true, RunObserved: true, RunRejected: false, RunUnknown: false} {
		require.Equal(t, goes, state.GoesLive(), state)
	}
}
