package segment_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// begin returns the bench's run under another ID, with a number.
func (b *bench) begin(id string) segment.Run {
	run := b.run
	run.ID = id
	require.NoError(b.t, b.guard().Begin(b.t.Context(), &run))
	return run
}

func (b *bench) failLock(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail["lock"] = err
}

// state returns what the ledger has at hand of the segment.
func (b *bench) state() segment.SegmentState {
	for s, err := range b.ledger.Segments(b.t.Context(), segment.SegmentFilter{}) {
		require.NoError(b.t, err)
		return s
	}
	b.t.Fatal("nothing is known of the segment")
	return segment.SegmentState{}
}

// TestSupersededByNumber: a run that began earlier does not go live over one that
// began later, whichever clock is ahead; one that began later does.
func TestSupersededByNumber(t *testing.T) {
	b := newBench(t)
	nightly, manual := b.begin("nightly"), b.begin("manual")
	_, err := b.guard().Commit(t.Context(), manual)
	require.NoError(t, err)
	b.config.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	_, err = b.guard().Commit(t.Context(), nightly)
	require.ErrorIs(t, err, segment.ErrSuperseded)
	require.ErrorContains(t, err, "one that began later is live")
	require.False(t, segment.Retryable(err))
	require.Equal(t, "manual", b.state().Last.RunID)
	require.Equal(t, segment.RunOvertaken, b.last().State)
	require.Equal(t, []string{"overtaken", "discard"}, b.events[len(b.events)-2:], "nobody is told")
	b.staged = 5300

	early, late := b.begin("early"), b.begin("late")
	for _, run := range []segment.Run{early, late} {
		_, err = b.guard().Commit(t.Context(), run)
		require.NoError(t, err, "one after the other, both go live")
	}
	unnumbered := b.run
	unnumbered.ID = "unnumbered"
	_, err = b.guard().Commit(t.Context(), unnumbered)
	require.NoError(t, err, "a run without a number is superseded by none")
}

// TestOlderRunFails: that a run failed which began before the one that is live is
// no news about the segment.
func TestOlderRunFails(t *testing.T) {
	b := newBench(t)
	older := b.begin("older")
	later := b.begin("later")
	_, err := b.guard().Commit(t.Context(), later)
	require.NoError(t, err)
	b.events, older.Read = nil, validate.Count(10)
	_, err = b.guard().Admit(t.Context(), older)
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, []string{"sizes", "rejected", "discard"}, b.events)
	require.Equal(t, "later", b.state().Last.RunID)
	require.Nil(t, b.state().Alert.Open)
}

// TestLaterAlertStands: a run that passed closes no alert about one that began
// after it.
func TestLaterAlertStands(t *testing.T) {
	b := newBench(t)
	older, later := b.begin("older"), b.begin("later")
	b.staged = 4100
	_, err := b.guard().Commit(t.Context(), later)
	require.ErrorIs(t, err, validate.Short)
	b.staged = 5300
	_, err = b.guard().Commit(t.Context(), older)
	require.NoError(t, err)
	require.Equal(t, "later", b.state().Alert.Open.RunID)
	b.staged = 5300
	_, err = b.guard().Commit(t.Context(), b.begin("repair"))
	require.NoError(t, err)
	require.Nil(t, b.state().Alert.Open)
}

// TestLaterFailureStands: of two that failed the later one decides when the alert
// is over, in whichever order they ended.
func TestLaterFailureStands(t *testing.T) {
	b := newBench(t)
	first, between, last := b.begin("first"), b.begin("between"), b.begin("last")
	for _, run := range []segment.Run{last, first} {
		b.staged = 4100
		_, err := b.guard().Commit(t.Context(), run)
		require.ErrorIs(t, err, validate.Short)
	}
	b.staged = 5300
	_, err := b.guard().Commit(t.Context(), between)
	require.NoError(t, err)
	require.NotNil(t, b.state().Alert.Open)
}

// TestUnknownIsClosedBySweepsAlone: another run's pass does not tell what became of
// a commit.
func TestUnknownIsClosedBySweepsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fail["commit"] = errDown
		_, err := b.commit()
		require.ErrorIs(t, err, errDown)
		delete(b.fail, "commit")
		time.Sleep(2 * time.Minute) // the lease of the unknown commit runs out
		_, err = b.guard().Commit(t.Context(), b.begin("next"))
		require.NoError(t, err)
		require.Equal(t, segment.RunUnknown, b.state().Alert.Open.State)
		require.Nil(t, b.state().Live, "the unknown commit may still land")
	})
}

// TestOvertaken: where another run went live since this one began, a check of the
// store that fails is no verdict, one that passes is, and so is what failed before
// the store was read.
func TestOvertaken(t *testing.T) {
	for _, c := range []struct {
		reason string
		read   int64
		stored int64
		want   error
		told   bool
	}{
		{"the users of both are there", 5300, 10600, segment.ErrOvertaken, false},
		{"what is there is right", 5300, 5300, nil, false},
		{"lost while reading, whoever else was there", 5000, 5000, validate.Short, true},
	} {
		b := newBench(t)
		other, run := b.begin("other"), b.begin("run")
		_, err := b.guard().Commit(t.Context(), other)
		require.NoError(t, err)
		b.alerts, b.staged, run.Read = nil, c.stored, validate.Count(c.read)
		_, err = b.guard().Commit(t.Context(), run)
		require.ErrorIs(t, err, c.want, c.reason)
		require.Equal(t, c.told, len(b.alerts) > 0, c.reason)
		if errors.Is(c.want, segment.ErrOvertaken) {
			require.True(t, segment.Retryable(err))
			require.Equal(t, segment.RunOvertaken, b.last().State)
			require.Zero(t, b.staged, "discarded")
			require.Equal(t, "other", b.state().Last.RunID)
			b.staged = 5300
			_, err = b.guard().Commit(t.Context(), b.begin("again"))
			require.NoError(t, err)
		}
	}
}

// TestOneAfterAnother: a run waits for one that is about to go live, but not for
// ever, and says for whom.
func TestOneAfterAnother(t *testing.T) {
	for slow, want := range map[time.Duration]error{20 * time.Second: nil, 10 * time.Minute: validate.Unverified} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			first := b.begin("first")
			second := b.begin("second")
			first.Stored = func(context.Context) (validate.Summary, error) { time.Sleep(slow); return validate.Count(5300), nil }
			done := make(chan error)
			go func() { _, err := b.guard().Commit(t.Context(), first); done <- err }()
			time.Sleep(time.Second)
			began := time.Now()
			_, err := b.guard().Commit(t.Context(), second)
			require.ErrorIs(t, err, want)
			require.LessOrEqual(t, time.Since(began), 31*time.Second)
			if want != nil {
				require.ErrorContains(t, err, "run first, attempt 1, is about to go live, since ")
				require.True(t, segment.Retryable(err))
			}
			require.NoError(t, <-done, "the lease is renewed while it is needed, and nobody takes it over")
			require.NotNil(t, b.state().Live)
		})
	}
}

// TestLeaseTakenOver: whoever held the segment and did not answer for too long
// finds that another took over. If it is live all the same, nobody knows what is.
func TestLeaseTakenOver(t *testing.T) {
	for at, events := range map[string][]string{
		"stored": {"stored", "passed", "overtaken", "discard"},
		"commit": {"stored", "passed", "commit", "committed", "committed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			paused := b.begin("paused")
			takeOver := func(event string) {
				if event != at {
					return
				}
				b.end = func(string) {}
				b.failLock(errDown)                       // renewing fails
				time.Sleep(5*time.Minute + 5*time.Second) // between two renewals
				b.failLock(nil)
				_, err := b.guard().Commit(t.Context(), b.begin("other"))
				require.NoError(t, err)
				require.Nil(t, b.state().Live, "who held the segment before may still go live")
				b.events = nil
			}
			b.end = takeOver
			_, err := b.guard().Commit(t.Context(), paused)
			require.Equal(t, events, append(map[string][]string{"commit": {"stored", "passed"}}[at], b.events...))
			require.Error(t, err)
			_, live := errors.AsType[*segment.LiveError](err)
			require.Equal(t, at == "commit", live)
			require.Equal(t, at != "commit", segment.Retryable(err) || errors.Is(err, segment.ErrSuperseded))
			require.Nil(t, b.state().Live)
		})
	}
}

// TestDo stands around a whole job: what its write comes to, and what is left.
func TestDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*bench)
		write  func(context.Context, *segment.Run) error
		events []string
		last   segment.RunState
		urgent segment.Urgency
	}{
		{"writes", func(*bench) {}, func(context.Context, *segment.Run) error { return nil }, []string{"started", "sizes", "stored", "passed", "commit", "committed", "resolve"}, segment.RunCommitted, ""},
		{"fails", func(*bench) {}, func(context.Context, *segment.Run) error { return errDown }, []string{"started", "failed", "discard"}, segment.RunFailed, ""},
		{"panics", func(*bench) {}, func(context.Context, *segment.Run) error { panic("boom") }, []string{"started", "failed", "discard"}, segment.RunFailed, ""},
		{"exits", func(*bench) {}, func(context.Context, *segment.Run) error { runtime.Goexit(); return nil }, []string{"started", "failed", "discard"}, segment.RunFailed, ""},
		{"runs out of time", func(*bench) {}, func(ctx context.Context, _ *segment.Run) error { <-ctx.Done(); return context.Cause(ctx) }, []string{"started", "failed", "fire", "discard"}, segment.RunFailed, segment.Ticket},
		{"fails half-way through what is live", func(b *bench) { b.run.Live, b.run.Staging = true, segment.Staging{} }, func(context.Context, *segment.Run) error { return errDown }, []string{"started", "failed", "fire"}, segment.RunFailed, segment.Page},
		{"no ledger to begin with", func(b *bench) { b.fail["next"] = errDown }, func(context.Context, *segment.Run) error { panic("nothing may be written") }, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				c.set(b)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var err error
				done := make(chan any)
				go func() {
					defer func() { done <- recover() }()
					_, err = b.guard().Do(ctx, b.run, c.write)
				}()
				got := <-done
				require.Equal(t, c.name == "panics", got == "boom", "a panic goes on: %v", got)
				require.Equal(t, c.events, b.events)
				if c.last == "" {
					require.ErrorIs(t, err, errDown)
					require.True(t, segment.Retryable(err))
					return
				}
				require.Equal(t, c.last, b.last().State)
				require.Equal(t, c.urgent != "", len(b.alerts) > 0)
				if c.urgent != "" {
					require.Equal(t, c.urgent, b.alerts[0].Urgency)
					require.Equal(t, !b.run.Live, b.alerts[0].Protected())
				}
				_, err = b.ledger.Next(t.Context(), cars.In(""))
				require.NoError(t, err)
			})
		})
	}
}

// TestLiveRunsOneAfterAnother: two runs of a store without staging do not write at
// once, if they begin.
func TestLiveRunsOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run.Live, b.run.Staging = true, segment.Staging{}
		first := b.begin("first")
		second := b.run
		second.ID = "second"
		require.ErrorContains(t, b.guard().Begin(t.Context(), &second), "run first, attempt 1, is about to go live")
		_, err := b.guard().Commit(t.Context(), first)
		require.NoError(t, err)
		require.NoError(t, b.guard().Begin(t.Context(), &second), "the first has given the segment back")
		b.staged = 10
		_, err = b.guard().Commit(t.Context(), second)
		require.ErrorIs(t, err, validate.Short, "its own, whoever came before")
	})
}

// TestDoSaysWhatElseFailed: the report of a write that failed has that as a
// finding, and what fails after a panic is in the log, as nobody is returned it.
// TestRunWithoutANumber: its report says so, which is no news about the segment.
func TestRunWithoutANumber(t *testing.T) {
	b := newBench(t)
	report, err := b.commit()
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	require.Equal(t, validate.Warn, report.Findings[0].Severity)
	require.Contains(t, report.Findings[0].Detail, "the run has no number")
	require.Empty(t, b.alerts)
	b = newBench(t)
	report, err = b.guard().Commit(t.Context(), b.begin("with one"))
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	b.config.Ledger = nil
	report, err = b.commit()
	require.NoError(t, err)
	require.Empty(t, report.Findings, "nobody gives numbers")
}

// A callback that hangs when the job's time is over is recorded and told from
// beside it; what it does later is judged as always.
func TestDoThatHangs(t *testing.T) {
	for _, c := range []struct {
		name, where string
		live        bool
		state       segment.RunState
		urgent      segment.Urgency
		last        segment.RunState
	}{
		{"write", "write", false, segment.RunFailed, segment.Ticket, segment.RunRejected},
		{"write of what is live", "write", true, segment.RunFailed, segment.Page, segment.RunRejected},
		{"reading back", "stored", false, segment.RunFailed, segment.Ticket, segment.RunRejected},
		{"commit", "commit", false, segment.RunUnknown, segment.Ticket, segment.RunCommitted},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				hang := make(chan struct{})
				at := func(place string) {
					if place == c.where {
						<-hang
					}
				}
				stored, commit := b.run.Stored, b.run.Staging.Commit
				b.run.Stored = func(ctx context.Context) (validate.Summary, error) {
					at("stored")
					return stored(ctx)
				}
				b.run.Staging.Commit = func(ctx context.Context) error {
					at("commit")
					return commit(ctx)
				}
				if b.run.Live = c.live; c.live {
					b.run.Staging = segment.Staging{}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				returned := make(chan error)
				go func() {
					_, err := b.guard().Do(ctx, b.run, func(context.Context, *segment.Run) error {
						at("write")
						return nil
					})
					returned <- err
				}()
				time.Sleep(time.Hour + time.Minute)
				synctest.Wait()
				require.Equal(t, c.state, b.last().State, "while it hangs")
				require.Len(t, b.alerts, 1)
				require.Equal(t, c.urgent, b.alerts[0].Urgency)
				require.Equal(t, !c.live && c.where != "commit", b.alerts[0].Protected())
				require.Contains(t, b.alerts[0].Text, "did not return when its time was over")
				close(hang)
				require.Equal(t, c.last == segment.RunCommitted, <-returned == nil)
				require.Equal(t, c.last, b.last().State)
			})
		})
	}
}

func TestDoSaysWhatElseFailed(t *testing.T) {
	b := newBench(t)
	report, err := b.guard().Do(t.Context(), b.run, func(context.Context, *segment.Run) error { return errDown })
	require.ErrorIs(t, err, errDown)
	require.False(t, report.Passed())
	require.Equal(t, validate.Unverified, report.Gravest())
	require.Len(t, report.Findings, 1)

	var log bytes.Buffer
	b = newBench(t)
	b.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b.fail["discard"] = errors.New("the store is gone")
	require.PanicsWithValue(t, "boom", func() {
		_, _ = b.guard().Do(t.Context(), b.run, func(context.Context, *segment.Run) error { panic("boom") })
	})
	require.Contains(t, log.String(), "the store is gone")
}
