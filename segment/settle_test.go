package segment_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A reading is what a lagging store answers from a time on.
type reading struct {
	after time.Duration
	users int64
	asOf  time.Duration // complete up to, after the write
	err   error
}

var settles = segment.Settle{Min: time.Minute, Max: 10 * time.Minute, Every: 30 * time.Second}

// TestSettle: stores that settle, never do, or still show yesterday's size.
func TestSettle(t *testing.T) {
	fresh := time.Hour
	for _, c := range []struct {
		name, reason string
		readings     []reading
		want         error // nil: passes
		retry        bool
		took         time.Duration
	}{
		{
			name: "settled at once", reason: "no verdict before Min, and a pass needs two readings",
			readings: []reading{{0, 5300, fresh, nil}},
			took:     time.Minute + 30*time.Second,
		},
		{
			name: "settles", reason: "read again until it passes",
			readings: []reading{{0, 100, 0, nil}, {2 * time.Minute, 3000, fresh, nil}, {4 * time.Minute, 5300, fresh, nil}},
			took:     4*time.Minute + 30*time.Second,
		},
		{
			name: "yesterday's size", reason: "the right number, but not of this write: lagging, not verified",
			readings: []reading{{0, 5300, -time.Hour, nil}},
			want:     validate.Unverified, retry: true, took: 10 * time.Minute,
		},
		{
			name: "yesterday's size, then today's", reason: "the number never changes, its time does",
			readings: []reading{{0, 5300, -time.Hour, nil}, {5 * time.Minute, 5300, fresh, nil}},
			took:     5*time.Minute + 30*time.Second,
		},
		{
			name: "never settles", reason: "still short when Max is over, and complete: judged",
			readings: []reading{{0, 4100, fresh, nil}},
			want:     validate.Short, took: 10 * time.Minute,
		},
		{
			name: "passes once, at the end", reason: "one reading is no two",
			readings: []reading{{0, 4100, fresh, nil}, {9*time.Minute + 45*time.Second, 5300, fresh, nil}},
			want:     validate.Unverified, retry: true, took: 10 * time.Minute,
		},
		{
			name: "flaps", reason: "two readings in a row",
			readings: []reading{{0, 5300, fresh, nil}, {80 * time.Second, 4100, fresh, nil}, {110 * time.Second, 5300, fresh, nil}, {140 * time.Second, 5300, fresh, nil}},
			took:     150 * time.Second,
		},
		{
			name: "down for a while", reason: "a reading that failed is read again",
			readings: []reading{{0, 0, 0, errDown}, {3 * time.Minute, 5300, fresh, nil}},
			took:     3*time.Minute + 30*time.Second,
		},
		{
			name: "down", reason: "no answer is not verified",
			readings: []reading{{0, 0, 0, errDown}},
			want:     errDown, retry: true, took: 10 * time.Minute,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.rule(segment.Rule{Settle: settles})
				written := time.Now()
				b.run.WrittenAt = written
				b.run.Stored = func(context.Context) (validate.Summary, error) {
					last := reading{}
					for _, r := range c.readings {
						if time.Since(written) >= r.after {
							last = r
						}
					}
					return validate.Count(last.users).AsOf(written.Add(last.asOf)), last.err
				}
				_, err := b.commit()
				require.Equal(t, c.took, time.Since(written), c.reason)
				require.Equal(t, c.retry, segment.Retryable(err), c.reason)
				if c.want == nil {
					require.NoError(t, err, c.reason)
					require.Equal(t, int64(5300), b.live)
					return
				}
				require.ErrorIs(t, err, c.want, c.reason)
				require.Equal(t, int64(4800), b.live, "nothing goes live")
			})
		})
	}
}

// TestSettleLate: a guard that comes long after the write reads twice all the
// same.
func TestSettleLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.rule(segment.Rule{Settle: settles})
		b.run.WrittenAt = time.Now().Add(-time.Hour)
		b.run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5300).AsOf(time.Now()), nil }
		_, err := b.commit()
		require.NoError(t, err)
	})
}

// TestSettleCancelled: waiting ends with the job.
func TestSettleCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.rule(segment.Rule{Settle: settles})
		b.run.WrittenAt = time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("deploying"))
		defer cancel()
		_, err := b.guard().Commit(ctx, b.run)
		require.ErrorContains(t, err, "waiting for the store to settle: deploying")
		require.NotContains(t, b.events, "stored")
		require.Contains(t, b.events, "discard")
		require.Equal(t, int64(4800), b.live)
	})
}

func TestSettleRules(t *testing.T) {
	for want, s := range map[string]segment.Settle{
		"Rule.Settle.Min is -1s, want 0 or more":             {Min: -time.Second, Max: time.Minute, Every: time.Second},
		"Rule.Settle.Every is 0s, want above 0":              {Max: time.Minute},
		"Rule.Settle.Max is 1m0s, want at least Min + Every": {Min: time.Minute, Max: time.Minute, Every: time.Second},
	} {
		b := newBench(t)
		b.rule(segment.Rule{Settle: s})
		b.run.WrittenAt = time.Now()
		_, err := b.commit()
		require.ErrorContains(t, err, want)
		require.Equal(t, int64(4800), b.live)
	}
}
