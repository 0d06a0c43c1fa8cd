package segment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestRecordSaysWhatIsLive: a rejected run left nothing live where it was
// discarded, and its own output where that was live already.
func TestRecordSaysWhatIsLive(t *testing.T) {
	for _, c := range []struct {
		live   bool
		staged int64
		state  segment.State
		want   bool
	}{
		{true, 4100, segment.Rejected, true},
		{true, 5300, segment.Committed, false},
		{false, 4100, segment.Rejected, false},
		{false, 5300, segment.Committed, false},
	} {
		b := newBench(t)
		b.staged = c.staged
		if c.live {
			b.run.Live, b.run.Commit, b.run.Discard = true, nil, nil
		}
		_, err := b.commit()
		require.Equal(t, c.state == segment.Rejected, err != nil)
		require.Equal(t, c.state, b.last().State)
		require.Equal(t, c.want, b.last().Live, "live %v, %d users", c.live, c.staged)
	}
}

// TestPanicTellsWhatWentWrongAfterIt: nobody gets the error of a guard that a
// panic goes through, so the log does.
func TestPanicTellsWhatWentWrongAfterIt(t *testing.T) {
	for fail, want := range map[string]string{"discard": "discarding: connection refused", "": ""} {
		var log bytes.Buffer
		b := newBench(t)
		b.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		b.fail[fail] = errDown
		b.run.Stored = func(context.Context) (validate.Summary, error) { panic("boom") }
		require.Panics(t, func() { _, _ = b.commit() })
		require.Contains(t, log.String(), "a callback panicked or ended its goroutine")
		require.Contains(t, log.String(), want)
	}
}

// A forgetful ledger writes alerts down, but not that they were told.
type forgetful struct {
	*segment.Memory

	err     error
	changes int
}

func (l *forgetful) ChangeAlerts(ctx context.Context, ids []segment.ID, change func(*segment.AlertState)) error {
	if l.changes++; l.changes == 2 {
		return l.err
	}
	return l.Memory.ChangeAlerts(ctx, ids, change)
}

// TestToldButNotWrittenDown: whoever told an alerter and could not write that
// down says so.
func TestToldButNotWrittenDown(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 1000, 1000)
	f.sizes[seg("a")] = validate.Count(900)
	down := errors.New("ledger down")
	f.config.Ledger = &forgetful{Memory: f.ledger, err: down}
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "writing down what the alerter was told")
	require.Equal(t, []string{"fire page short site-a/a"}, f.alerter.news())
}

// TestSignatureSpoilsNoGoodSize: a limit that shows in the store, and not in what
// the last runs brought, takes none of their sizes out of the baselines.
func TestSignatureSpoilsNoGoodSize(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		f := newFleet(t)
		for i := range int64(6) {
			id := seg(fmt.Sprint("s", i))
			f.runs(id, 20_000+1000*i, 20_000+1000*i, 20_000+1000*i)
			if recorded { // by a guard in observe mode, or one whose Expected came from what was read
				f.run(id, "tonight", 10_000, f.now.Add(-time.Minute))
			}
			f.sizes[id] = validate.Count(10_000)
		}
		s := f.sweep()
		require.Len(t, s.Cases, 6)
		for _, c := range s.Cases {
			require.Contains(t, c.Report.String(), "a limit at work")
			sizes, err := f.ledger.Sizes(t.Context(), c.Segment, 60)
			require.NoError(t, err)
			require.Len(t, sizes, 3, "recorded: %v", recorded)
		}
	}
}

// TestSweepKeepsSizesBehindABadOne: one size that the ledger does not take keeps
// no other from being kept, however far behind it.
func TestSweepKeepsSizesBehindABadOne(t *testing.T) {
	f := newFleet(t)
	f.sizes[seg("\xff")] = validate.Count(7)
	const many = 3000
	for i := range many {
		f.sizes[seg(fmt.Sprint("s", i))] = validate.Count(7)
	}
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorContains(t, err, "UTF-8")
	kept := 0
	for tracked, err := range f.ledger.Segments(t.Context()) {
		require.NoError(t, err)
		kept += len(tracked.Sizes)
	}
	require.Equal(t, many, kept)
}
