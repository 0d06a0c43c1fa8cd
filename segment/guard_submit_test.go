package segment_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A later is a segment at a store that answers hours later, with all around it.
type later struct {
	t      *testing.T
	ledger *segment.Memory
	now    time.Time
	rule   segment.Rule
	held   validate.Summary // what the store says that it holds
	failed error            // why it does not
	alerts []segment.Alert
	config segment.GuardConfig
}

func newLater(t *testing.T) *later {
	l := &later{t: t, ledger: segment.NewMemory(), now: time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC), held: validate.Count(0)}
	l.config = segment.GuardConfig{
		Ledger: l.ledger, Alerter: l, Now: func() time.Time { return l.now },
		Rules: func(context.Context, segment.Job) (segment.Rule, error) { return l.rule, nil },
	}
	return l
}

func (l *later) Tell(_ context.Context, firing, _ []segment.Alert) error {
	l.alerts = append(l.alerts, firing...)
	return nil
}

func (l *later) guard() *segment.Guard {
	g, err := segment.NewGuard(l.config)
	require.NoError(l.t, err)
	return g
}

func (l *later) run(id string, users int64) segment.Run {
	return segment.Run{ID: id, Build: "v1", Job: copyCars, Live: true, Expected: validate.Count(users)}
}

func (l *later) begin(id string, users int64) segment.Run {
	run := l.run(id, users)
	require.NoError(l.t, l.guard().Begin(l.t.Context(), &run))
	return run
}

// submit has a run begin, and submits it for six hours.
func (l *later) submit(id string, users int64) segment.Run {
	run := l.begin(id, users)
	require.NoError(l.t, l.guard().Submit(l.t.Context(), run, l.now.Add(6*time.Hour)))
	return run
}

// commit has a run go live at once.
func (l *later) commit(id string, users int64) {
	run := l.begin(id, users)
	run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(users), nil }
	_, err := l.guard().Commit(l.t.Context(), run)
	require.NoError(l.t, err)
	l.held = validate.Count(users)
}

func (l *later) look(context.Context, segment.Submitted) (validate.Summary, error) {
	return l.held, l.failed
}

func (l *later) settle() (segment.Settlement, error) {
	return l.guard().Settle(l.t.Context(), l.look)
}

// waits has nothing be settled.
func (l *later) waits(why string) {
	l.t.Helper()
	settled, err := l.settle()
	require.NoError(l.t, err, why)
	require.Equal(l.t, segment.Settlement{Waiting: 1}, settled, why)
	require.Equal(l.t, segment.RunSubmitted, l.state().Last.State, why)
	require.Nil(l.t, l.state().Live, why)
	require.Nil(l.t, l.state().Alert.Open, why)
}

func (l *later) passes(why string) {
	l.t.Helper()
	settled, err := l.settle()
	require.NoError(l.t, err, why)
	require.Equal(l.t, segment.Settlement{Passed: 1}, settled, why)
	require.Equal(l.t, segment.RunCommitted, l.state().Last.State, why)
	require.Nil(l.t, l.state().Submitted, why)
	require.Nil(l.t, l.state().Alert.Open, why)
}

func (l *later) fails(kind validate.Kind, why string) {
	l.t.Helper()
	settled, err := l.settle()
	require.ErrorIs(l.t, err, kind, why)
	require.Equal(l.t, segment.Settlement{Failed: 1}, settled, why)
	l.told(kind)
}

// told has the run be rejected, and people be told of a page.
func (l *later) told(kind validate.Kind) {
	l.t.Helper()
	s := l.state()
	require.Nil(l.t, s.Submitted)
	require.Nil(l.t, s.Live)
	require.Equal(l.t, segment.RunRejected, s.Last.State)
	require.True(l.t, s.Last.Live)
	require.NotNil(l.t, s.Alert.Open)
	require.Equal(l.t, kind, s.Alert.Open.Kind)
	require.Equal(l.t, segment.Page, s.Alert.Open.Urgency)
	require.NotEqual(l.t, segment.LevelProtected, s.Alert.Open.Level)
	require.Len(l.t, l.alerts, 1)
}

func (l *later) state() segment.SegmentState {
	s, err := l.ledger.State(l.t.Context(), cars.In(""))
	require.NoError(l.t, err)
	return s
}

func (l *later) states() (states []segment.RunState) {
	for e, err := range l.ledger.Log(l.t.Context(), segment.LogFilter{Action: segment.ActionRecorded}) {
		require.NoError(l.t, err)
		states = append(states, e.Record.State)
	}
	return states
}

func TestSubmit(t *testing.T) {
	l := newLater(t)
	l.commit("sunday", 4800)
	run := l.submit("monday", 5300)
	s := l.state()
	require.Nil(t, s.Live, "nobody knows what is live")
	require.Equal(t, int64(4800), s.Submitted.Before.Users)
	require.True(t, s.Submitted.Until.Equal(l.now.Add(6*time.Hour)))
	require.Equal(t, l.now.Add(6*time.Hour), s.Submitted.Until)
	require.Equal(t, copyCars, s.Submitted.Job)
	require.Len(t, s.Sizes, 1, "the baseline holds what was verified")
	l.waits("4,800 are there yet")

	l.now = l.now.Add(time.Hour)
	l.held = validate.Count(2000)
	l.waits("it is at it")
	l.failed = errDown
	settled, err := l.settle()
	require.ErrorIs(t, err, errDown)
	require.ErrorContains(t, err, "run monday of site-b/cars")
	require.Equal(t, segment.Settlement{Waiting: 1}, settled)
	require.Nil(t, l.state().Alert.Open)

	l.failed, l.held = nil, validate.Count(5300)
	l.passes("before its time")
	require.Equal(t, int64(5300), l.state().Live.Users)
	require.Len(t, l.state().Sizes, 2)
	require.Equal(t, []segment.RunState{"started", "committed", "started", "submitted", "committed"}, l.states())
	settled, err = l.settle()
	require.NoError(t, err)
	require.Zero(t, settled, "it is settled")
	require.ErrorIs(t, l.guard().Submit(t.Context(), run, l.now.Add(time.Hour)), segment.ErrSuperseded, "it is live")
}

// TestSubmitInAnotherProcess: whoever settles has nothing but the ledger.
func TestSubmitInAnotherProcess(t *testing.T) {
	l := newLater(t)
	var digest validate.Digest
	for _, user := range []string{"a", "b", "c"} {
		digest.AddString(user)
	}
	run := l.begin("monday", 3)
	run.Expected = digest.Summary()
	require.NoError(t, l.guard().Submit(t.Context(), run, l.now.Add(time.Hour)))
	var stored validate.Digest
	for _, user := range []string{"a", "b", "d"} {
		stored.AddString(user)
	}
	l.now, l.held = l.now.Add(time.Hour), stored.Summary()
	l.fails(validate.Different, "by the fingerprint that the ledger holds")
}

func TestSettleAtUntil(t *testing.T) {
	for _, c := range []struct {
		reason string
		held   validate.Summary
		failed error
		kind   validate.Kind
	}{
		{"some were lost", validate.Count(5299), nil, validate.Short},
		{"none came", validate.Count(0), nil, validate.Empty},
		{"the store is down", validate.Summary{}, errDown, validate.Unverified},
		{"the function forgets to say anything", validate.Summary{}, nil, validate.Unverified},
		{"it withholds the size", validate.Bounded(0, 9999), nil, validate.Unverified},
		{"it answers by the time before", validate.Count(5300).AsOf(time.Date(2024, 3, 18, 1, 0, 0, 0, time.UTC)), nil, validate.Unverified},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := newLater(t)
			l.submit("monday", 5300)
			l.now = l.now.Add(6*time.Hour - time.Second)
			l.held, l.failed = c.held, c.failed
			settled, err := l.settle()
			require.ErrorIs(t, err, c.failed)
			require.Equal(t, segment.Settlement{Waiting: 1}, settled)
			require.Nil(t, l.state().Alert.Open)
			l.now = l.now.Add(time.Second)
			l.fails(c.kind, c.reason)
			require.Equal(t, "monday", l.alerts[0].RunID)
			settled, err = l.settle()
			require.NoError(t, err)
			require.Zero(t, settled, "it is told once")
		})
	}
}

// TestSettleEarly: before its time a run is settled only by what the store cannot have
// held before.
func TestSettleEarly(t *testing.T) {
	at := time.Date(2024, 3, 18, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		reason string
		before int64 // live; 0: nobody knows
		rule   validate.Policy
		held   validate.Summary
		want   segment.Settlement
	}{
		{"the right number, and another than before", 4800, validate.Policy{}, validate.Count(5300), segment.Settlement{Passed: 1}},
		{"the right number, and nobody knows what was there", 0, validate.Policy{}, validate.Count(5300), segment.Settlement{Waiting: 1}},
		{"the same number as before may be from before", 5300, validate.Policy{}, validate.Count(5300), segment.Settlement{Waiting: 1}},
		{"but not where it is complete", 5300, validate.Policy{}, validate.Count(5300).AsOf(at), segment.Settlement{Passed: 1}},
		{"complete up to before the run is from before", 5300, validate.Policy{}, validate.Count(5300).AsOf(at.Add(-2 * time.Hour)), segment.Settlement{Waiting: 1}},
		{"what is complete and wrong stays wrong", 4800, validate.Policy{}, validate.Count(5200).AsOf(at), segment.Settlement{Failed: 1}},
		{"bounds that hold the number from before", 5100, validate.Policy{AllowPossible: true}, validate.Bounded(5000, 5999), segment.Settlement{Waiting: 1}},
		{"bounds that do not", 4800, validate.Policy{AllowPossible: true}, validate.Bounded(5000, 5999), segment.Settlement{Passed: 1}},
		{"bounds that do not, where nothing may be in doubt", 4800, validate.Policy{}, validate.Bounded(5000, 5999), segment.Settlement{Waiting: 1}},
		{"withheld, where nothing was: it may be nothing still", 0, validate.Policy{AllowPossible: true}, validate.Bounded(0, 9999), segment.Settlement{Waiting: 1}},
		{"an estimate that is near what was before", 5200, validate.Policy{Tolerance: validate.Within(0.05)}, validate.Estimate(5300, 0.01), segment.Settlement{Waiting: 1}},
		{"an estimate that is not", 4000, validate.Policy{Tolerance: validate.Within(0.05)}, validate.Estimate(5300, 0.01), segment.Settlement{Passed: 1}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := newLater(t)
			if c.before > 0 {
				l.commit("sunday", c.before)
			}
			l.rule.Policy = c.rule
			l.submit("monday", 5300)
			l.now, l.held = at, c.held
			settled, err := l.settle()
			require.Equal(t, c.want, settled)
			require.Equal(t, c.want.Failed > 0, err != nil)
		})
	}
}

// TestSettleAfterFirstLook: where nobody knows what was live before, what was there at
// the first look is a measure.
func TestSettleAfterFirstLook(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	l.waits("nobody is there")
	require.Equal(t, int64(0), l.state().Submitted.Before.Users)
	l.held = validate.Count(100)
	l.waits("some are")
	require.Equal(t, int64(0), l.state().Submitted.Before.Users, "the first look counts")
	l.held = validate.Count(5300)
	l.passes("it moved, and is right")
}

// TestSettleAfterUnknown: where nobody knows what was live before, no number is a sign.
func TestSettleAfterUnknown(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	l.now = l.now.Add(time.Hour)
	l.submit("tuesday", 5300)
	require.Nil(t, l.state().Submitted.Before)
	l.held = validate.Count(5300)
	l.now = l.now.Add(time.Hour)
	settled, err := l.settle()
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Waiting: 1}, settled, "it may be monday's")
	l.now = l.now.Add(5 * time.Hour)
	l.passes("its time is over, and the number is right")
}

func TestSubmitJudgesWhatIsKnown(t *testing.T) {
	l := newLater(t)
	run := l.begin("monday", 812_345)
	run.Read = validate.Count(10_000)
	require.ErrorIs(t, l.guard().Submit(t.Context(), run, l.now.Add(time.Hour)), validate.Capped)
	l.told(validate.Capped)
}

func TestSubmitBadInput(t *testing.T) {
	for _, c := range []struct {
		field, reason string
		edit          func(*later, *segment.Run)
		until         time.Duration
	}{
		{"Run.Live", "what is staged is committed", func(_ *later, r *segment.Run) {
			r.Live, r.Staging.Commit = false, func(context.Context) error { return errors.New("called") }
		}, time.Hour},
		{"Run.Live", "both", func(_ *later, r *segment.Run) {
			r.Staging.Commit = func(context.Context) error { return errors.New("called") }
		}, time.Hour},
		{"Run.Stored", "it would not be called", func(_ *later, r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5300), nil }
		}, time.Hour},
		{"until", "now", func(*later, *segment.Run) {}, 0},
		{"until", "before now", func(*later, *segment.Run) {}, -time.Second},
		{"until", "for ever", func(*later, *segment.Run) {}, 31*24*time.Hour + 1},
		{"Run", "not begun", func(l *later, r *segment.Run) { *r = l.run("monday", 5300) }, time.Hour},
		{"GuardConfig.Ledger", "nobody would remember", func(l *later, _ *segment.Run) { l.config.Ledger = nil }, time.Hour},
		{"Run.ID", "no name to file it under", func(_ *later, r *segment.Run) { r.ID = "" }, time.Hour},
		{"Output.Expected", "nothing to settle it by", func(_ *later, r *segment.Run) { r.Expected = validate.Summary{} }, time.Hour},
	} {
		t.Run(c.field+", "+c.reason, func(t *testing.T) {
			l := newLater(t)
			run := l.begin("monday", 5300)
			c.edit(l, &run)
			err := l.guard().Submit(t.Context(), run, l.now.Add(c.until))
			var bad *validate.InputError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.field, bad.Field)
			require.False(t, segment.Retryable(err))
			require.Nil(t, l.state().Submitted)
			if run.ID != "" {
				require.Len(t, l.alerts, 1, "it is live, and nobody would judge it")
			}
		})
	}
	l := newLater(t)
	run := l.begin("monday", 5300)
	require.Error(t, l.guard().Submit(t.Context(), run, time.Time{}), "zero is never for ever")
	_, err := l.guard().Settle(t.Context(), nil)
	var bad *validate.InputError
	require.ErrorAs(t, err, &bad)
	l.config.Ledger = nil
	_, err = l.settle()
	require.ErrorAs(t, err, &bad)
}

// TestSubmittedIsSuperseded: what a later run left is that run's to answer for.
func TestSubmittedIsSuperseded(t *testing.T) {
	for _, c := range []struct {
		reason string
		next   func(l *later)
		alerts int // of the next run
	}{
		{"a later run is live", func(l *later) { l.commit("tuesday", 5400) }, 0},
		{"a later run is submitted", func(l *later) { l.submit("tuesday", 5400) }, 0},
		{"a later run was rejected, and is live", func(l *later) {
			run := l.begin("tuesday", 5400)
			run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(100), nil }
			_, err := l.guard().Commit(l.t.Context(), run)
			require.ErrorIs(l.t, err, validate.Short)
		}, 1},
		{"a later run failed half-way", func(l *later) {
			_, err := l.guard().Do(l.t.Context(), l.run("tuesday", 5400), func(context.Context, *segment.Run) error { return errDown })
			require.ErrorIs(l.t, err, errDown)
		}, 1},
		{"its own later attempt", func(l *later) {
			run := l.run("monday", 5400)
			run.Attempt = 1
			require.NoError(l.t, l.guard().Begin(l.t.Context(), &run))
			require.NoError(l.t, l.guard().Submit(l.t.Context(), run, l.now.Add(6*time.Hour)))
		}, 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := newLater(t)
			l.submit("monday", 5300)
			l.now = l.now.Add(time.Hour)
			c.next(l)
			require.Len(t, l.alerts, c.alerts)
			require.False(t, l.state().Submitted != nil && l.state().Submitted.RunID == "monday" && l.state().Submitted.Attempt == 0)
			var why string
			for e, err := range l.ledger.Log(t.Context(), segment.LogFilter{RunID: "monday", Action: segment.ActionRecorded}) {
				require.NoError(t, err)
				if e.Record.State == segment.RunOvertaken {
					why = e.Why
				}
			}
			require.Contains(t, why, "took its place")
			l.now = l.now.Add(5 * time.Hour) // monday's until
			l.held = validate.Count(1)
			_, err := l.settle()
			require.NoError(t, err)
			require.Len(t, l.alerts, c.alerts, "never an alert on what the later run brought")
		})
	}
}

// TestSubmittedIsNotSuperseded by what did not change what is there.
func TestSubmittedIsNotSuperseded(t *testing.T) {
	for _, c := range []struct {
		reason string
		next   func(l *later)
	}{
		{"a later run began, and its process is gone", func(l *later) {
			ctx, killed := context.WithCancel(l.t.Context())
			run := l.run("tuesday", 5400)
			require.NoError(l.t, l.guard().Begin(ctx, &run))
			killed()
		}},
		{"a later run that is staged was rejected", func(l *later) {
			_, err := l.guard().Commit(l.t.Context(), segment.Run{
				ID: "tuesday", Job: copyCars, Expected: validate.Count(5400),
				Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(0), nil },
				Staging: segment.Staging{Commit: func(context.Context) error { return errDown }},
			})
			require.ErrorIs(l.t, err, validate.Empty)
			require.NoError(l.t, segment.FalseAlarm(l.t.Context(), l.ledger, cars.In(""), segment.Decision{By: "me", Why: "test", At: l.now}))
			l.alerts = nil
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLater(t)
				l.config.Now = nil
				l.now = time.Now()
				l.submit("monday", 5300)
				time.Sleep(time.Hour)
				l.now = time.Now()
				c.next(l)
				time.Sleep(6 * time.Hour)
				l.held = validate.Count(1)
				settled, err := l.settle()
				require.ErrorIs(t, err, validate.Short)
				require.Equal(t, segment.Settlement{Failed: 1}, settled)
				require.Equal(t, "monday", l.alerts[0].RunID)
			})
		})
	}
}

// TestSettleBesideNextRun: as long as a run has the segment, what is there may be its.
// Once its process is gone, what it left is told as the last one's that is known.
func TestSettleBesideNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t)
		l.config.Now = nil
		l.now = time.Now()
		l.submit("monday", 5300)
		time.Sleep(7 * time.Hour)
		ctx, killed := context.WithCancel(t.Context())
		run := l.run("tuesday", 5400)
		require.NoError(t, l.guard().Begin(ctx, &run))
		l.held = validate.Count(100)
		settled, err := l.settle()
		require.NoError(t, err)
		require.Equal(t, segment.Settlement{Waiting: 1}, settled)
		killed() // its lease is renewed no more
		time.Sleep(2 * time.Minute)
		settled, err = l.settle()
		require.ErrorIs(t, err, validate.Short)
		require.Equal(t, segment.Settlement{Failed: 1}, settled)
	})
}

// TestSettleTwice: two that settle at the same time tell once.
func TestSettleTwice(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5100)
	settled, err := l.guard().Settle(t.Context(), func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
		other, err := l.guard().Settle(ctx, l.look) // amid the reading of the first
		require.NoError(t, err)
		require.Equal(t, segment.Settlement{Waiting: 1}, other)
		return l.look(ctx, s)
	})
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, segment.Settlement{Failed: 1}, settled)
	l.told(validate.Short)
	require.Equal(t, []segment.RunState{"started", "submitted", "rejected"}, l.states())
}

// TestSettlerDies: what one that was killed left is settled by the next.
func TestSettlerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t)
		l.config.Now = nil
		l.now = time.Now()
		l.submit("monday", 5300)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = l.guard().Settle(t.Context(), func(context.Context, segment.Submitted) (validate.Summary, error) {
				runtime.Goexit()
				return validate.Summary{}, nil
			})
		}()
		<-done
		time.Sleep(time.Hour)
		l.waits("the segment was given back")
		l.held = validate.Count(5300)
		l.passes("and is settled")
		require.NotNil(t, l.state().Live)
	})
}

// TestSettleIsToldToStop: a process that shuts down is no news of a segment.
func TestSettleIsToldToStop(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	l.now = l.now.Add(6 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := l.guard().Settle(ctx, func(ctx context.Context, _ segment.Submitted) (validate.Summary, error) {
		cancel()
		return validate.Summary{}, ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, l.alerts)
	require.NotNil(t, l.state().Submitted)
	l.held = validate.Count(5300)
	l.passes("and the next one settles it")
}

// TestSettleMany: one that fails does not keep it from the others, and all are
// read, some at a time.
func TestSettleMany(t *testing.T) {
	l := newLater(t)
	const many = 250
	for i := range many {
		run := l.run("monday", 5300)
		run.Job = segment.Copy(segment.ID{SiteGroup: "b", Name: string(rune('a'+i%26)) + time.Duration(i).String()}, segment.ID{SiteGroup: "a", Name: "x"})
		require.NoError(t, l.guard().Begin(t.Context(), &run))
		require.NoError(t, l.guard().Submit(t.Context(), run, l.now.Add(time.Hour)))
	}
	read := map[segment.ID]bool{}
	settled, err := l.guard().Settle(t.Context(), func(_ context.Context, s segment.Submitted) (validate.Summary, error) {
		require.False(t, read[s.Segment])
		read[s.Segment] = true
		require.Equal(t, s.Segment, s.Job.To)
		if len(read)%10 == 0 {
			return validate.Summary{}, errDown
		}
		return validate.Count(5300).AsOf(l.now), nil
	})
	require.ErrorIs(t, err, errDown)
	require.Equal(t, segment.Settlement{Passed: many - many/10, Waiting: many / 10}, settled)
	require.Len(t, read, many)
}

// TestSettleObserves: a rule that only observes refuses nothing, and tells.
func TestSettleObserves(t *testing.T) {
	l := newLater(t)
	l.rule.Mode = segment.Observe
	l.submit("monday", 5300)
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5100)
	settled, err := l.settle()
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Failed: 1}, settled, "the store does not hold what it should")
	require.Equal(t, segment.RunObserved, l.state().Last.State)
	require.Equal(t, int64(5100), l.state().Live.Users)
	require.Empty(t, l.state().Sizes, "it was not right")
	require.Len(t, l.alerts, 1)
	require.Equal(t, validate.Short, l.alerts[0].Kind)
}

// TestSettleEndsAlert: a run that is settled well ends what was wrong before, as any
// run that passes.
func TestSettleEndsAlert(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5100)
	l.fails(validate.Short, "broken")
	l.now = l.now.Add(time.Hour)
	l.submit("repair", 5300)
	require.NotNil(t, l.state().Alert.Open, "nobody knows yet")
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5300)
	l.passes("repaired")
}

// TestSettleBreaks: what a build damaged counts, whenever it was seen.
func TestSettleBreaks(t *testing.T) {
	l := newLater(t)
	l.config.Breaker = 1
	l.submit("monday", 5300)
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5100)
	l.fails(validate.Short, "broken")
	next := l.run("tuesday", 5300)
	var refused *segment.BreakerError
	require.ErrorAs(t, l.guard().Begin(t.Context(), &next), &refused)
}

// TestSettleLearns: sizes off the history that are settled on seven days become normal,
// as those of any run that the source vouches for.
func TestSettleLearns(t *testing.T) {
	l := newLater(t)
	l.rule.Policy.OffHistory = validate.OffHistoryFails
	l.rule.Policy.Relearn = 7
	for day := range 20 {
		l.commit("before "+time.Duration(day).String(), 5300)
		l.now = l.now.Add(24 * time.Hour)
	}
	var kinds []string
	for day := range 9 {
		run := l.begin("after "+time.Duration(day).String(), 3900)
		err := l.guard().Submit(t.Context(), run, l.now.Add(6*time.Hour))
		if err == nil {
			l.now, l.held = l.now.Add(6*time.Hour), validate.Count(3900)
			_, err = l.settle()
			l.now = l.now.Add(-6 * time.Hour)
		}
		kinds = append(kinds, string(l.state().Last.State))
		require.Equal(t, day < 7, err != nil, "day %d: %v", day, err)
		l.now = l.now.Add(24 * time.Hour)
	}
	require.Equal(t, []string{"rejected", "committed"}, slices.Compact(kinds))
}

// TestSubmitCannotBeRecorded: nobody would settle it, so it is told now.
func TestSubmitCannotBeRecorded(t *testing.T) {
	b := newLiveBench(t)
	b.fail["submitted"] = errDown
	run := b.begin("monday")
	run.Stored = nil
	err := b.guard().Submit(t.Context(), run, time.Now().Add(time.Hour))
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, err, validate.Unverified)
	require.True(t, segment.Retryable(err), "running it again may help")
	require.Equal(t, segment.Page, b.open().Urgency)
	require.Equal(t, segment.RunRejected, b.last().State)
}

// TestSubmitOvertaken: a run that stood still for longer than its lease may have written
// over the next one.
func TestSubmitOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLiveBench(t)
		slow := b.begin("slow")
		b.standStill()
		other := b.begin("other")
		slow.Stored, other.Stored = nil, nil
		require.NoError(t, b.guard().Submit(t.Context(), other, time.Now().Add(time.Hour)))
		require.ErrorIs(t, b.guard().Submit(t.Context(), slow, time.Now().Add(time.Hour)), segment.ErrOvertaken)
		require.Equal(t, segment.RunUnknown, b.open().State)
		require.Equal(t, "other", b.state().Submitted.RunID)
	})
}

func TestDoSubmits(t *testing.T) {
	l := newLater(t)
	g := l.guard()
	submits := func(then error) error {
		_, err := g.Do(t.Context(), l.run("monday", 5300), func(ctx context.Context, run *segment.Run) error {
			require.NoError(t, g.Submit(ctx, *run, l.now.Add(time.Hour)))
			return then
		})
		return err
	}
	require.NoError(t, submits(nil))
	require.Equal(t, segment.RunSubmitted, l.state().Last.State)
	require.ErrorIs(t, submits(errDown), errDown)
	require.Equal(t, segment.RunFailed, l.state().Last.State, "it went wrong after all")
	require.Nil(t, l.state().Submitted)
	require.Len(t, l.alerts, 1)

	l = newLater(t)
	g = l.guard()
	for _, swallow := range []bool{false, true} {
		_, err := g.Do(t.Context(), l.run("monday", 5300), func(ctx context.Context, run *segment.Run) error {
			err := g.Submit(ctx, *run, time.Time{})
			require.Error(t, err)
			if swallow {
				return nil
			}
			return err
		})
		require.ErrorIs(t, err, validate.Unverified)
		require.Equal(t, segment.RunRejected, l.state().Last.State)
		require.Len(t, l.alerts, 1, "it was told once")
	}
}

func (l *later) sweep(at time.Time, stored ...validate.Summary) segment.Sweep {
	l.t.Helper()
	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: l.ledger, Alerter: l, Now: l.config.Now, Rules: l.config.Rules})
	require.NoError(l.t, err)
	sweep, err := m.Sweep(l.t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		for _, s := range stored {
			yield(segment.CurrentSize{Segment: cars, Stored: s, At: at}, nil)
		}
	})
	require.NoError(l.t, err)
	return sweep
}

func TestSweepSettles(t *testing.T) {
	l := newLater(t)
	l.commit("sunday", 4800)
	l.submit("monday", 5300)
	l.now = l.now.Add(time.Hour)
	for _, stored := range []int64{4800, 0, 100, 9000} {
		sweep := l.sweep(l.now, validate.Count(stored))
		require.Equal(t, 1, sweep.Submitted)
		require.Zero(t, sweep.Healthy+len(sweep.Affected)+sweep.Unwatched)
		require.Contains(t, sweep.String(), "1 waiting for its store")
		require.NotNil(t, l.state().Submitted)
		require.Empty(t, l.alerts, "the store is at it")
	}
	l.sweep(l.now.Add(-2*time.Hour), validate.Count(5300))
	require.NotNil(t, l.state().Submitted, "it was counted before the run")
	l.sweep(l.now, validate.Count(5300))
	require.Nil(t, l.state().Submitted)
	require.Equal(t, int64(5300), l.state().Live.Users)
	require.Equal(t, 1, l.sweep(l.now.Add(time.Hour), validate.Count(5300)).Healthy)
}

func TestSweepTellsAtUntil(t *testing.T) {
	for _, c := range []struct {
		reason string
		stored []validate.Summary
		grace  time.Duration
		kind   validate.Kind
	}{
		{"measured, and wrong", []validate.Summary{validate.Count(5100)}, 0, validate.Short},
		{"not listed: Settle has an hour to say more", nil, time.Hour, validate.Unverified},
		{"not counted", []validate.Summary{validate.Unknown()}, time.Hour, validate.Unverified},
	} {
		t.Run(c.reason, func(t *testing.T) {
			l := newLater(t)
			l.submit("monday", 5300)
			l.now = l.now.Add(6*time.Hour + c.grace - time.Second)
			l.sweep(l.now, c.stored...)
			require.Empty(t, l.alerts)
			l.now = l.now.Add(time.Second)
			l.sweep(l.now, c.stored...)
			l.told(c.kind)
			l.sweep(l.now, c.stored...)
			require.Len(t, l.alerts, 1)
		})
	}
}

// TestSweepBreaksOff: what a listing that broke off did not name may be in the store.
func TestSweepBreaksOff(t *testing.T) {
	for _, absentIsEmpty := range []bool{false, true} {
		l := newLater(t)
		l.submit("monday", 5300)
		l.now = l.now.Add(8 * time.Hour)
		m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: l.ledger, Alerter: l, Now: l.config.Now, AbsentIsEmpty: absentIsEmpty})
		require.NoError(t, err)
		later, earlier := segment.ID{SiteGroup: "site-z", Name: "z"}, segment.ID{SiteGroup: "site-z", Name: "a"}
		_, err = m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
			_ = yield(segment.CurrentSize{Segment: later, Stored: validate.Count(1)}, nil) &&
				yield(segment.CurrentSize{Segment: earlier, Stored: validate.Count(1)}, nil)
		})
		var order *segment.OrderError
		require.ErrorAs(t, err, &order)
		require.NotNil(t, l.state().Submitted)
		require.Empty(t, l.alerts)
	}
}

// TestSweepOfMissing: a segment that had users and is listed no more is missing, whoever
// is at it.
func TestSweepOfMissing(t *testing.T) {
	l := newLater(t)
	l.commit("sunday", 4800)
	l.now = l.now.Add(24 * time.Hour)
	l.commit("monday", 4800)
	l.now = l.now.Add(24 * time.Hour)
	l.submit("tuesday", 5300)
	l.now = l.now.Add(2 * time.Hour)
	require.Equal(t, 1, l.sweep(l.now).Missing)
	require.Equal(t, segment.Page, l.alerts[0].Urgency)
	require.NotNil(t, l.state().Submitted)
}

func TestRenameSubmitted(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	boats := segment.ID{SiteGroup: "site-b", Name: "boats"}
	require.NoError(t, segment.Rename(t.Context(), l.ledger, []segment.Renaming{{From: cars.In(""), To: boats.In("")}}, segment.Decision{By: "me", Why: "test", At: l.now}))
	require.Nil(t, l.state().Submitted)
	l.now, l.held = l.now.Add(6*time.Hour), validate.Count(5100)
	settled, err := l.guard().Settle(t.Context(), func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
		require.Equal(t, boats, s.Segment)
		return l.look(ctx, s)
	})
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, segment.Settlement{Failed: 1}, settled)
	require.Equal(t, boats, l.alerts[0].Segment)
}

func TestForgetSubmitted(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	require.NoError(t, segment.Forget(t.Context(), l.ledger, segment.Selection{Keys: []segment.Key{cars.In("")}}, segment.Decision{By: "me", Why: "test", At: l.now}))
	settled, err := l.settle()
	require.NoError(t, err)
	require.Zero(t, settled)
}
