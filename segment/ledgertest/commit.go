package ledgertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// row returns a segment's commit row as it is now.
func row(t *testing.T, l segment.Recorder, id segment.ID) (now segment.CommitRow) {
	t.Helper()
	require.NoError(t, l.Lock(t.Context(), id.In(""), func(c *segment.CommitRow) error { now = *c; return nil }))
	return now
}

// leased takes the lease of a segment as a guard does.
func leased(t *testing.T, l segment.Recorder, id segment.ID, run string, d time.Duration) (hold segment.Hold) {
	t.Helper()
	require.NoError(t, l.Lock(t.Context(), id.In(""), func(c *segment.CommitRow) error {
		c.RunID, c.Attempt, c.Since, c.Until = run, 3, c.Now, c.Now.Add(d)
		c.Token++
		hold = segment.Hold{Token: c.Token, Generation: c.Generation}
		return nil
	}))
	return hold
}

// A number decides which run is the later one, over all segments and processes.
func testNumbers(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[int64]bool{}
	for range 8 {
		wg.Go(func() {
			for last := int64(0); last >= 0; {
				start, err := l.Next(t.Context(), id.In(""))
				mu.Lock()
				if err != nil || seen[start.Number] || start.Number <= last || start.Number < 1 {
					t.Errorf("numbers rise, and none comes twice: %d after %d, %v", start.Number, last, err)
				}
				seen[start.Number], last = true, start.Number
				if len(seen) >= 80 {
					last = -1
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	other, err := l.Next(t.Context(), own(t, "other").In(""))
	require.NoError(t, err)
	for number := range seen {
		require.Greater(t, other.Number, number, "the numbers of all segments are one sequence")
	}
	put(t, l, id, "r", 5)
	start, err := l.Next(t.Context(), id.In(""))
	require.NoError(t, err)
	require.Equal(t, row(t, l, id).Generation, start.Generation, "a run must know what went live before it began")
	require.Positive(t, start.Generation)
}

// The row is kept as it was left, for each segment by itself.
func testRow(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	fresh := row(t, l, id)
	require.WithinDuration(t, time.Now(), fresh.Now, time.Hour, "leases run by the ledger's clock")
	fresh.Now = time.Time{}
	require.Equal(t, segment.CommitRow{}, fresh, "no run went live")
	hold := leased(t, l, id, "r1", time.Hour)
	kept := row(t, l, id)
	require.Equal(t, "r1", kept.RunID)
	require.Equal(t, 3, kept.Attempt)
	require.Equal(t, hold.Token, kept.Token)
	require.WithinDuration(t, kept.Since.Add(time.Hour), kept.Until, time.Millisecond)
	require.False(t, kept.Now.Before(kept.Since), "its clock does not go back")
	require.Empty(t, row(t, l, own(t, "other")).RunID, "segments are apart")
	failed := errors.New("somebody has it")
	require.ErrorIs(t, l.Lock(t.Context(), id.In(""), func(c *segment.CommitRow) error { c.RunID = "r2"; return failed }), failed)
	require.Equal(t, "r1", row(t, l, id).RunID, "what failed is not kept")
	require.Empty(t, tracked(t, l), "a lease is no news about a segment")
}

// Two runs must not both find that nobody has the lease.
func testLockedAtOnce(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if err := l.Lock(t.Context(), id.In(""), func(c *segment.CommitRow) error { c.Token++; return nil }); err != nil {
					t.Errorf("locking: %v", err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(40), row(t, l, id).Token)
}

// What goes live moves the generation and gives the lease back, and nothing else
// does.
func testGoesLive(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	hold := leased(t, l, id, "r", 10*time.Second)
	record := func(state segment.RunState) {
		put(t, l, id, "r", 5, func(r *segment.Record) { r.State, r.Number, r.Hold = state, 7, hold })
	}
	before := row(t, l, id)
	record(segment.RunStarted)
	require.Empty(t, tracked(t, l), "that a run began is a line of the log")
	record(segment.RunRejected)
	require.Equal(t, before.Until, row(t, l, id).Until)
	record(segment.RunPassed)
	now := row(t, l, id)
	require.True(t, now.Until.After(before.Until), "who is about to commit has time for it")
	require.Equal(t, int64(0), now.Generation+now.Number, "it is not live yet")
	record(segment.RunCommitted)
	now = row(t, l, id)
	require.Equal(t, segment.CommitRow{Generation: 1, Number: 7, Token: hold.Token}, segment.CommitRow{
		RunID: now.RunID, Generation: now.Generation, Number: now.Number, Token: now.Token,
	}, "live, and the lease is given back")
	require.Equal(t, int64(7), known(t, l, id).Number)
	require.Equal(t, int64(7), known(t, l, id).Last.Number)
	put(t, l, id, "observed", 6, func(r *segment.Record) { r.State = segment.RunObserved })
	require.Equal(t, int64(2), row(t, l, id).Generation, "what is only observed is live, too")
	require.Equal(t, int64(7), row(t, l, id).Number)
}

// Whoever is not the one to go live finds out where it records, and nothing of
// its record is kept.
func testGoesLiveRefuses(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "live", 5, func(r *segment.Record) { r.Number = 7 })
	taken := leased(t, l, id, "first", time.Hour)
	leased(t, l, id, "second", time.Hour)
	for _, state := range []segment.RunState{segment.RunPassed, segment.RunCommitted} {
		err := l.Record(t.Context(), with(rec("older", 1, state, 6), func(r *segment.Record) { r.Segment, r.Number = id, 6 }))
		require.ErrorIs(t, err, segment.ErrSuperseded, "a run that began later is live")
		err = l.Record(t.Context(), with(rec("first", 1, state, 6), func(r *segment.Record) { r.Segment, r.Number, r.Hold = id, 8, taken }))
		require.ErrorIs(t, err, segment.ErrOvertaken, "its lease was taken over")
	}
	now := row(t, l, id)
	require.Equal(t, int64(1), now.Generation)
	require.Equal(t, "second", now.RunID, "and is the other's")
	require.Equal(t, []int64{5}, sizesOf(t, l, id, 60))
	require.Equal(t, "live", known(t, l, id).Last.RunID)
	var runs []string
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: id}) {
		require.NoError(t, err)
		runs = append(runs, e.RunID)
	}
	require.Equal(t, []string{"live"}, runs)
}

// Where two may have gone live at the same time, nobody knows what is.
func testOverlapped(t *testing.T, l segment.Ledger) {
	id := own(t, "s")
	put(t, l, id, "live", 5, func(r *segment.Record) { r.Number = 7 })
	put(t, l, id, "older", 6, func(r *segment.Record) { r.Number, r.Overlapped = 6, true })
	s := known(t, l, id)
	require.Nil(t, s.Live)
	require.Equal(t, "older", s.Last.RunID, "it is live, whatever came before")
	require.True(t, s.Last.Overlapped)
	require.Equal(t, int64(7), s.Number, "the latest number does not go back")
	leased(t, l, id, "first", time.Hour)
	put(t, l, id, "observed", 6, func(r *segment.Record) { r.State = segment.RunObserved })
	require.Nil(t, known(t, l, id).Live, "while another one was about to go live")
	alone := own(t, "alone")
	for generation := range 2 {
		put(t, l, alone, "observed", 6, func(r *segment.Record) {
			r.Attempt, r.State, r.Hold = generation, segment.RunObserved, segment.Hold{Generation: int64(generation), Observed: true}
		})
		require.NotNil(t, known(t, l, alone).Live, "no other one went live since it read back")
	}
	put(t, l, alone, "slow", 6, func(r *segment.Record) {
		r.State, r.Hold = segment.RunObserved, segment.Hold{Generation: 1, Observed: true}
	})
	require.Nil(t, known(t, l, alone).Live, "another one went live since it read back")
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: id, RunID: "observed"}) {
		require.NoError(t, err)
		require.True(t, e.Record.Overlapped)
	}
}
