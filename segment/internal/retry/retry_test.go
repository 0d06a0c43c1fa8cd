package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/retry"
)

var (
	errBusy  = errors.New("busy")
	errFatal = errors.New("fatal")
)

func policy(tries int) retry.Policy {
	return retry.Policy{Tries: tries, Wait: time.Second, Retryable: func(err error) bool { return errors.Is(err, errBusy) }}
}

func TestDo(t *testing.T) {
	for _, c := range []struct {
		reason  string
		tries   int
		results []error // of one call after the other; the last one is to be returned
	}{
		{"what worked is not done again", 5, []error{nil}},
		{"what may help is tried", 5, []error{errBusy, errBusy, nil}},
		{"what cannot help is not", 5, []error{errBusy, errFatal}},
		{"no more often than asked", 3, []error{errBusy, errBusy, errBusy}},
		{"the zero number is one call", 0, []error{errBusy}},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			err := policy(c.tries).Do(t.Context(), func() error {
				calls++
				return c.results[min(calls, len(c.results))-1]
			})
			require.Equal(t, c.results[len(c.results)-1], err, c.reason)
			require.Equal(t, len(c.results), calls, c.reason)
		})
	}
}

// Waits have an end, grow, and differ between callers.
func TestDoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 20 {
			start := time.Now()
			var at []time.Duration
			_ = policy(4).Do(t.Context(), func() error {
				at = append(at, time.Since(start))
				return errBusy
			})
			require.Len(t, at, 4)
			for i := 1; i < len(at); i++ {
				require.Less(t, at[i]-at[i-1], time.Second<<(i-1))
			}
			seen[at[1]] = true
		}
		require.Greater(t, len(seen), 1, "two callers in each other's way would meet again")
	})
}

// A context that has ended is no reason to say so instead of what went wrong.
func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := policy(5).Do(ctx, func() error {
			calls++
			cancel()
			return errBusy
		})
		require.Equal(t, errBusy, err)
		require.Equal(t, 1, calls)
	})
}
