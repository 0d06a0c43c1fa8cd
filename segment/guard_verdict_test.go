package segment_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func (b *bench) makeLive() { b.run.Live, b.run.Staging = true, segment.Staging{} }

// TestDiscardThatPanics: the verdict was told, and its text says what is left over.
func TestDiscardThatPanics(t *testing.T) {
	b := newBench(t)
	b.staged = 4100
	b.run.Staging.Discard = func(context.Context) error { panic("boom") }
	require.PanicsWithValue(t, "boom", func() { _, _ = b.commit() })
	require.Equal(t, segment.RunRejected, b.last().State)
	require.Contains(t, b.open().Text, "the output is left over: a callback panicked")
}

// exclusive is a recorder in a transaction beside which nobody can write.
type exclusive struct{ *segment.Memory }

func (exclusive) Exclusive() bool { return true }

// TestDiscardFirst: where the transaction keeps others from writing, it ends first, and
// the record comes after it, whatever became of it.
func TestDiscardFirst(t *testing.T) {
	for name, discard := range map[string]func(context.Context) error{
		"fails":  func(context.Context) error { return errDown },
		"panics": func(context.Context) error { panic("boom") },
		"exits":  func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.staged = 4100
			b.run.Staging.Tx = exclusive{b.ledger}
			b.run.Staging.Discard = func(ctx context.Context) error {
				_ = b.event("discard")
				return discard(ctx)
			}
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_, _ = b.commit()
			}()
			<-done
			require.Equal(t, []string{"stored", "discard", "rejected", "fire"}, b.events)
			require.Contains(t, b.open().Text, "the output is left over: ")
		})
	}
}

// TestDiscardThatHangs: that it does not return is told beside it, and how it ended
// when it returns after all.
func TestDiscardThatHangs(t *testing.T) {
	for _, failure := range []error{nil, errDown} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.staged = 4100
			hang := make(chan struct{})
			b.run.Staging.Discard = func(context.Context) error { <-hang; return failure }
			returned := make(chan error)
			go func() { _, err := b.commit(); returned <- err }()
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Equal(t, segment.RunRejected, b.last().State)
			require.Contains(t, b.open().Text, "the output is left over: discarding does not return")
			close(hang)
			err := <-returned
			require.ErrorIs(t, err, validate.Short)
			require.NotContains(t, b.open().Text, "does not return")
			if failure == nil {
				require.NotContains(t, b.open().Text, "left over")
			} else {
				require.ErrorIs(t, err, failure)
				require.Contains(t, b.open().Text, "left over: discarding: connection refused")
			}
			require.Len(t, b.records(), 1)
		})
	}
}

// TestOvertakenIsNotTold: nobody is told of a check that was no verdict, also where
// discarding fails.
func TestOvertakenIsNotTold(t *testing.T) {
	b := newBench(t)
	other, run := b.begin("other"), b.begin("run")
	_, err := b.guard().Commit(t.Context(), other)
	require.NoError(t, err)
	b.alerts, b.staged, b.fail["discard"] = nil, 10600, errDown
	_, err = b.guard().Commit(t.Context(), run)
	require.ErrorIs(t, err, segment.ErrOvertaken)
	require.ErrorIs(t, err, errDown)
	require.Empty(t, b.alerts)
	require.Nil(t, b.open())
}

// TestDatabaseSaysOvertaken: what a database says of a transaction that met another
// one is no verdict, wherever the job meets it.
func TestDatabaseSaysOvertaken(t *testing.T) {
	met := fmt.Errorf("%w: could not serialize access", segment.ErrOvertaken)
	for name, set := range map[string]func(*bench){
		"reading sizes": func(b *bench) { b.fail["sizes"] = met },
		"reading back": func(b *bench) {
			b.run.Stored = func(context.Context) (validate.Summary, error) { return validate.Summary{}, met }
		},
		"committing": func(b *bench) {
			b.run.Staging.Tx = rolledBack{b.ledger}
			b.run.Staging.Commit = func(context.Context) error { return met }
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			set(b)
			_, err := b.commit()
			require.ErrorIs(t, err, segment.ErrOvertaken)
			require.True(t, segment.Retryable(err))
			require.Equal(t, segment.RunOvertaken, b.last().State)
			require.Empty(t, b.alerts)
		})
	}
}

// rolledBack records nothing, as a transaction that is not committed.
type rolledBack struct{ *segment.Memory }

func (rolledBack) Record(context.Context, segment.Record) error { return nil }

// TestLiveIsNotKnown: whatever keeps a live run from its record as such leaves nobody
// knowing what is live, and is told at once, as a page.
func TestLiveIsNotKnown(t *testing.T) {
	judged := func(b *bench, ctx context.Context) error { _, err := b.guard().Commit(ctx, b.run); return err }
	write := func(do func() error) func(*bench, context.Context) error {
		return func(b *bench, ctx context.Context) error {
			_, err := b.guard().Do(ctx, b.run, func(context.Context, *segment.Run) error { return do() })
			return err
		}
	}
	for name, c := range map[string]struct {
		set   func(*bench)
		do    func(*bench, context.Context) error
		state segment.RunState
	}{
		"its write fails":  {func(*bench) {}, write(func() error { return errDown }), segment.RunFailed},
		"its write panics": {func(*bench) {}, write(func() error { panic("boom") }), segment.RunFailed},
		"its write exits":  {func(*bench) {}, write(func() error { runtime.Goexit(); return nil }), segment.RunFailed},
		"reading back panics": {func(b *bench) {
			b.run.Stored = func(context.Context) (validate.Summary, error) { panic("boom") }
		}, judged, segment.RunRejected},
		"reading back exits, in Do": {func(b *bench) {
			b.run.Stored = func(context.Context) (validate.Summary, error) { runtime.Goexit(); return validate.Summary{}, nil }
		}, write(func() error { return nil }), segment.RunRejected},
		"a newer attempt is about to go live": {func(b *bench) {
			require.NoError(b.t, b.ledger.Lock(b.t.Context(), cars.In(""), func(c *segment.CommitRow) error {
				c.RunID, c.Attempt, c.Since, c.Until, c.Token = b.run.ID, 2, c.Now, c.Now.Add(time.Hour), 9
				return nil
			}))
		}, judged, segment.RunRejected},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.past(4800)
			require.NotNil(t, b.state().Live)
			b.makeLive()
			c.set(b)
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_ = c.do(b, t.Context())
			}()
			<-done
			require.Equal(t, c.state, b.last().State)
			require.True(t, b.last().Live)
			require.Nil(t, b.state().Live)
			require.Len(t, b.alerts, 1)
			require.Equal(t, segment.Page, b.alerts[0].Urgency)
			require.False(t, b.alerts[0].Protected())
		})
	}
}

// TestObserveRefusesNothing: a job that is only observed begins, and goes live, whatever
// becomes of the ledger, and waits for nobody.
func TestObserveRefusesNothing(t *testing.T) {
	b := newBench(t)
	b.rule(segment.Rule{Mode: segment.Observe})
	require.NoError(t, b.ledger.Lock(t.Context(), cars.In(""), func(c *segment.CommitRow) error {
		c.RunID, c.Since, c.Until, c.Token = "another", c.Now, c.Now.Add(time.Hour), 9
		return nil
	}))
	b.failLock(errDown)
	for _, down := range []error{nil, errDown} {
		b.fail["next"], b.live = down, 0
		_, err := b.guard().Do(t.Context(), b.run, func(context.Context, *segment.Run) error { return nil })
		require.NoError(t, err)
		require.Equal(t, int64(5300), b.live)
		b.run.ID += "s"
	}
}

// TestObservedRunsThatOverlap: the ledger knows what is live where observed runs came
// one after the other, and not where another one went live since this one read back.
func TestObservedRunsThatOverlap(t *testing.T) {
	b := newBench(t)
	b.rule(segment.Rule{Mode: segment.Observe})
	for _, id := range []string{"first", "second"} {
		_, err := b.guard().Commit(t.Context(), b.begin(id))
		require.NoError(t, err)
		require.NotNil(t, b.state().Live)
	}
	slow := b.begin("slow")
	slow.Staging.Commit = func(context.Context) error {
		_, err := b.guard().Commit(t.Context(), b.begin("quick")) //nolint:contextcheck // another job's
		require.NotNil(t, b.state().Live)                         //nolint:contextcheck // another job's
		return err
	}
	_, err := b.guard().Commit(t.Context(), slow)
	require.NoError(t, err)
	require.True(t, b.last().Overlapped)
	require.Nil(t, b.state().Live, "who of them came last, nobody knows")
}

// TestNumberInCommit: a store that can compare gets the number of the run.
func TestNumberInCommit(t *testing.T) {
	b := newBench(t)
	for want := range int64(3) {
		run := b.run
		run.ID = fmt.Sprint(want)
		if want > 0 {
			run = b.begin(run.ID)
		}
		var got int64
		run.Staging.Commit = func(ctx context.Context) error { got = segment.NumberFrom(ctx); return nil }
		_, err := b.guard().Commit(t.Context(), run)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Zero(t, segment.NumberFrom(t.Context()))
}
