package segment_test

import (
	"context"
	"fmt"
	"math/bits"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A racer is one attempt at a run, which waits for its turn before each step.
type racer struct {
	attempt   int
	turn      chan struct{}
	ended     bool
	committed int
	discarded int
	err       error
}

func (r *racer) step() { <-r.turn }

// A race is two attempts at one run, on two machines that share a ledger.
type race struct {
	ledger *segment.Memory
	live   int // the attempt whose users are live
	racers [2]*racer
}

func newRace() *race {
	r := &race{ledger: segment.NewMemory()}
	for i := range r.racers {
		r.racers[i] = &racer{attempt: i + 1, turn: make(chan struct{})}
	}
	return r
}

// users are how many an attempt stores: none has as many as another.
func users(attempt int) int64 { return int64(5300 + attempt) }

func (r *race) commit(ctx context.Context, me *racer) error {
	ledger := history{r.ledger, r.ledger.State, func(ctx context.Context, record segment.Record) error {
		me.step()
		return r.ledger.Record(ctx, record)
	}}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: quiet})
	if err != nil {
		return err
	}
	_, err = guard.Commit(ctx, segment.Run{
		ID: "monday", Attempt: me.attempt, Job: copyCars, Expected: validate.Count(users(me.attempt)),
		Stored: func(context.Context) (validate.Summary, error) {
			me.step()
			return validate.Count(users(me.attempt)), nil
		},
		Staging: segment.Staging{Commit: func(context.Context) error { me.step(); me.committed++; r.live = me.attempt; return nil }, Discard: func(context.Context) error { me.discarded++; return nil }},
	})
	return err
}

// run lets the attempts take their steps in the order of the bits, as far as they
// are ready for one, and then one after another.
func (r *race) run(ctx context.Context, order uint) {
	for _, me := range r.racers {
		go func() { me.err, me.ended = r.commit(ctx, me), true }()
	}
	for i := range 40 {
		synctest.Wait()
		me := r.racers[order>>(i%8)&1]
		select {
		case me.turn <- struct{}{}:
		default:
			time.Sleep(time.Second) // it has ended, or waits for the other one
		}
	}
	synctest.Wait()
}

// TestAttemptsInAllOrders: two attempts at one run meet in each of the orders that
// their steps (read back, pass, commit, record) can have. They go live one after
// the other, or the older one is superseded and goes live at no moment.
func TestAttemptsInAllOrders(t *testing.T) {
	for order := range uint(256) {
		if bits.OnesCount(order) != 4 {
			continue
		}
		t.Run(fmt.Sprintf("%08b", order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRace()
				r.run(t.Context(), order)
				older, newer := r.racers[0], r.racers[1]
				require.True(t, older.ended && newer.ended)
				require.NoError(t, newer.err)
				require.Equal(t, []int{1, 0}, []int{newer.committed, newer.discarded})
				require.Equal(t, newer.attempt, r.live)
				if older.err == nil {
					require.Equal(t, []int{1, 0}, []int{older.committed, older.discarded})
				} else {
					require.ErrorIs(t, older.err, segment.ErrSuperseded)
					require.False(t, segment.Retryable(older.err))
					require.Equal(t, []int{0, 1}, []int{older.committed, older.discarded}, "nothing went live, nothing is left")
				}
				sizes := sizesOf(t, r.ledger, cars)
				want := map[bool]int{true: 2, false: 1}[older.err == nil]
				require.Len(t, sizes, want, "who was told of no error is recorded, once")
				for tracked, err := range r.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
					require.NoError(t, err)
					require.Equal(t, users(newer.attempt), tracked.Live.Users)
				}
			})
		})
	}
}
