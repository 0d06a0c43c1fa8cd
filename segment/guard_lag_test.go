package segment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

var settles = segment.Lag{Min: time.Minute, Max: 10 * time.Minute, Every: 30 * time.Second}

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
				b.rule(segment.Rule{Lag: settles})
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
		b.rule(segment.Rule{Lag: settles})
		b.run.WrittenAt = time.Now().Add(-time.Hour)
		b.run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5300).AsOf(time.Now()), nil }
		_, err := b.commit()
		require.NoError(t, err)
	})
}

// TestSettleCancelled: waiting ends with the job, and a store that had no time to
// settle is not judged by what it showed.
func TestSettleCancelled(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		users int64
	}{
		"before Min":           {20 * time.Second, 5300},
		"short so far":         {2 * time.Minute, 100},
		"after one right size": {70 * time.Second, 5300},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.rule(segment.Rule{Lag: settles})
				b.run.WrittenAt = time.Now()
				b.run.Stored = func(context.Context) (validate.Summary, error) {
					return validate.Count(c.users).AsOf(time.Now()), b.event("stored")
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), c.after, errors.New("deploying"))
				defer cancel()
				_, err := b.guard().Commit(ctx, b.run)
				require.EqualError(t, err, "site-b/cars: could not be verified: stored: not measured: waiting for the store to catch up: deploying")
				require.True(t, segment.Retryable(err))
				require.Equal(t, c.after > settles.Min, slices.Contains(b.events, "stored"))
				require.Contains(t, b.events, "discard")
				require.Equal(t, segment.Ticket, b.alerts[0].Urgency, "it ran out of time")
				require.Equal(t, int64(4800), b.live)
			})
		})
	}
}

// TestSettleClocks: the clock of the machine that wrote may be ahead, and nobody
// waits for it.
func TestSettleClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.rule(segment.Rule{Lag: settles})
		start := time.Now()
		b.run.WrittenAt = start.Add(365 * 24 * time.Hour)
		b.run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5300).AsOf(time.Now()), nil }
		_, err := b.commit()
		require.ErrorIs(t, err, validate.ErrLagging)
		require.Equal(t, settles.Max, time.Since(start))
	})
}

// TestSettleLooksCloser: why users differ is asked of the reading that decides,
// and of every one where the answer may let it pass.
func TestSettleLooksCloser(t *testing.T) {
	digest := func(users int) validate.Summary {
		var d validate.Digest
		for i := range users {
			d.AddString(fmt.Sprint("user ", i))
		}
		return d.Summary()
	}
	bare := func(s validate.Summary) validate.Summary { // as an engine would tell it
		return validate.Fingerprinted(s.Users(), s.Fingerprint())
	}
	for name, c := range map[string]struct {
		tolerance validate.Tolerance
		looks     int
		want      error
	}{
		"proven":             {validate.Tolerance{}, 1, validate.Short},
		"within a tolerance": {validate.Within(0.1), 3, nil}, // two readings and the check itself
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.rule(segment.Rule{Lag: settles, Policy: validate.Policy{Tolerance: c.tolerance}})
				b.run.WrittenAt = time.Now()
				looks := 0
				b.run.Expected = bare(digest(5300)).WithRemeasure(func(context.Context) (validate.Summary, error) {
					looks++
					return digest(5300), nil
				})
				b.run.Stored = func(context.Context) (validate.Summary, error) {
					return bare(digest(5200)).AsOf(time.Now()).WithRemeasure(func(context.Context) (validate.Summary, error) {
						return digest(5200), nil
					}), nil
				}
				_, err := b.commit()
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.looks, looks)
			})
		})
	}
}

// TestShortestSettle: Max may be just the time that two readings take, and then
// there are two.
func TestShortestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, late := range []time.Duration{0, time.Hour} {
			b := newBench(t)
			b.rule(segment.Rule{Lag: segment.Lag{Min: time.Minute, Max: 90 * time.Second, Every: 30 * time.Second}})
			b.run.WrittenAt = time.Now().Add(-late)
			readings := 0
			b.run.Stored = func(context.Context) (validate.Summary, error) {
				readings++
				return validate.Count(4100).AsOf(time.Now()), nil
			}
			_, err := b.commit()
			require.ErrorIs(t, err, validate.Short)
			require.Equal(t, 2, readings)
		}
	})
}

func TestSettleRules(t *testing.T) {
	for want, s := range map[string]segment.Lag{
		"Rule.Lag.Min is -1s, want 0 or more":             {Min: -time.Second, Max: time.Minute, Every: time.Second},
		"Rule.Lag.Every is 0s, want above 0":              {Max: time.Minute},
		"Rule.Lag.Max is 1m0s, want at least Min + Every": {Min: time.Minute, Max: time.Minute, Every: time.Second},
	} {
		b := newBench(t)
		b.rule(segment.Rule{Lag: s})
		b.run.WrittenAt = time.Now()
		_, err := b.commit()
		require.ErrorContains(t, err, want)
		require.Equal(t, int64(4800), b.live)
	}
}
