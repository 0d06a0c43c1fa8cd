package segment_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestSweepOfOldCounts: a listing that stands still counts the store before it was to
// have answered, for ever. An hour after that time people are told.
func TestSweepOfOldCounts(t *testing.T) {
	for _, counted := range []time.Duration{-time.Hour, 5 * time.Hour} {
		l := newLater(t)
		l.commit("sunday", 4800)
		l.submit("monday", 5300)
		at := l.now.Add(counted)
		l.now = l.now.Add(7*time.Hour - time.Second)
		l.sweep(at, validate.Count(4800))
		require.NotNil(t, l.state().Submitted)
		require.Empty(t, l.alerts)
		l.now = l.now.Add(time.Second)
		l.sweep(at, validate.Count(4800))
		l.told(validate.Unverified)
		require.Contains(t, l.alerts[0].Text, "before the store was to have answered")
	}
	l := newLater(t)
	l.commit("sunday", 4800)
	l.submit("monday", 5300)
	at := l.now.Add(5 * time.Hour)
	l.now = l.now.Add(8 * time.Hour)
	l.sweep(at, validate.Count(5300))
	require.Equal(t, segment.RunCommitted, l.state().Last.State, "it had answered by then")
	require.Empty(t, l.alerts)
}

// TestSettleChangeInPart: that one side is complete says nothing about another that could
// not be read, or that is not complete.
func TestSettleChangeInPart(t *testing.T) {
	for name, added := range map[string]func(c *changing) (validate.Summary, error){
		"cannot be read": func(*changing) (validate.Summary, error) { return validate.Summary{}, errDown },
		"is not complete": func(c *changing) (validate.Summary, error) {
			return validate.Count(c.there).AsOf(c.now.Add(-time.Hour)), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			c.submitDelta("delta")
			settle := func() segment.Settlement {
				settled, _ := c.guard().Settle(t.Context(), func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
					if s.Side == segment.SideStored {
						return added(c)
					}
					stored, err := c.sides(ctx, s)
					return stored.AsOf(c.now), err
				})
				return settled
			}
			c.now = c.now.Add(time.Minute)
			require.Equal(t, segment.Settlement{Waiting: 1}, settle())
			require.NotNil(t, c.state().Submitted)
			require.Empty(t, c.alerts)
			if name == "cannot be read" {
				c.left = 50 // and that is proven
				require.Equal(t, segment.Settlement{Failed: 1}, settle())
			}
		})
	}
}

// An oddLedger has a row, behind all others, of which nobody knows whose it is, and may
// keep some changes to itself.
type oddLedger struct {
	*segment.Memory

	lost   bool
	change error
	slow   segment.RunState // recording it takes long
}

func (o *oddLedger) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) {
		for s, err := range o.Memory.Segments(ctx, f) {
			if !yield(s, err) {
				return
			}
		}
		if o.lost {
			yield(segment.SegmentState{Damaged: &segment.Damage{Row: "?"}, Submitted: &segment.Submitted{RunID: "?"}}, nil)
		}
	}
}

func (o *oddLedger) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	if o.change != nil {
		return o.change
	}
	return o.Memory.Change(ctx, keys, change)
}

func (o *oddLedger) Record(ctx context.Context, r segment.Record) error {
	if r.State == o.slow {
		time.Sleep(10 * time.Second)
	}
	return o.Memory.Record(ctx, r)
}

// TestSettleBesideDamage: a row of which nobody knows whose it is ends no page early.
func TestSettleBesideDamage(t *testing.T) {
	l := newLater(t)
	const many = 250
	for i := range many {
		run := l.run("monday", 5300)
		run.Job = segment.Copy(segment.ID{SiteGroup: "b", Name: time.Duration(i).String()}, segment.ID{SiteGroup: "a", Name: "x"})
		require.NoError(t, l.guard().Begin(t.Context(), &run))
		require.NoError(t, l.guard().Submit(t.Context(), run, l.now.Add(time.Hour)))
	}
	l.now, l.held = l.now.Add(time.Hour), validate.Count(5300)
	l.config.Ledger = &oddLedger{Memory: l.ledger, lost: true}
	settled, err := l.settle()
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Passed: many}, settled)
}

// TestSettleCannotGiveUp: a run that is to be dropped, and is not, is no settled one.
func TestSettleCannotGiveUp(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	require.NoError(t, l.ledger.Lock(t.Context(), cars.In(""), func(c *segment.CommitRow) error {
		c.Number = 1000 // of a run that the state knows nothing of
		return nil
	}))
	odd := &oddLedger{Memory: l.ledger, change: errDown}
	l.config.Ledger = odd
	settled, err := l.settle()
	require.ErrorIs(t, err, errDown)
	require.Equal(t, segment.Settlement{Waiting: 1}, settled)
	odd.change = nil
	settled, err = l.settle()
	require.NoError(t, err)
	require.Zero(t, settled)
	require.Nil(t, l.state().Submitted)
}

// TestRecordingTakesLong: the guard is about to record a run whose deadline passes then,
// so that it did return.
func TestRecordingTakesLong(t *testing.T) {
	for _, state := range []segment.RunState{segment.RunSubmitted, segment.RunCommitted} {
		t.Run(string(state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLater(t)
				l.config.Now, l.config.Ledger = nil, &oddLedger{Memory: l.ledger, slow: state}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				g := l.guard()
				_, err := g.Do(ctx, l.run("monday", 5300), func(ctx context.Context, run *segment.Run) error {
					if state == segment.RunSubmitted {
						return g.Submit(ctx, *run, time.Now().Add(time.Hour))
					}
					run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5300), nil }
					return nil
				})
				require.NoError(t, err)
				require.Equal(t, []segment.RunState{segment.RunStarted, state}, l.states())
				require.Empty(t, l.alerts)
			})
		})
	}
}

// TestRecordedOnce: that people could not be told in the transaction is no reason to
// record the verdict once more behind it.
func TestRecordedOnce(t *testing.T) {
	b := newBench(t)
	b.staged, b.fail["fire"] = 4100, errDown
	b.run.Staging.Tx = b.ledger
	_, err := b.commit()
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, []string{"stored", "rejected", "fire", "discard", "fire"}, b.events)
	require.Len(t, b.records(), 1)
}

// TestRenameOntoAnotherRun: a run that waits, and that is given up for what is known
// under the new name, does not vanish.
func TestRenameOntoAnotherRun(t *testing.T) {
	l := newLater(t)
	l.submit("monday", 5300)
	boats := segment.ID{SiteGroup: "site-b", Name: "boats"}
	run := l.run("quick", 5300)
	run.Job.To = boats
	require.NoError(t, l.guard().Begin(t.Context(), &run))
	require.NoError(t, l.guard().Submit(t.Context(), run, l.now.Add(6*time.Hour)))
	require.NoError(t, segment.Rename(t.Context(), l.ledger, []segment.Renaming{{From: cars.In(""), To: boats.In("")}}, segment.Decision{By: "me", Why: "test", At: l.now}))
	s, err := l.ledger.State(t.Context(), boats.In(""))
	require.NoError(t, err)
	require.Equal(t, "quick", s.Submitted.RunID)
	var given []string
	for e, err := range l.ledger.Log(t.Context(), segment.LogFilter{RunID: "monday", Action: segment.ActionRecorded}) {
		require.NoError(t, err)
		if e.Record.State == segment.RunOvertaken {
			given = append(given, e.Why)
		}
	}
	require.Equal(t, []string{"another run is known under the segment's new name"}, given)
}
