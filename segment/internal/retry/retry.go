// Package retry calls functions again after errors that pass by themselves.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Policy says how often and how soon a function is called again.
type Policy struct {
	Tries     int                  // calls in all; fewer than 2: one
	Wait      time.Duration        // the longest wait before the second call, twice as long before each further one
	Retryable func(err error) bool // whether calling again may help
}

// Do calls do until it returns nil, or an error after which no further call may
// help, and returns what the last call returned. Before each further call it waits
// for a random part of the policy's wait, so that two callers who were in each
// other's way do not meet again. Once ctx has ended it calls do no more.
func (p Policy) Do(ctx context.Context, do func() error) error {
	longest := p.Wait
	for tries := 1; ; tries++ {
		err := do()
		if err == nil || tries >= p.Tries || !p.Retryable(err) || !sleep(ctx, longest) {
			return err
		}
		longest *= 2
	}
}

// sleep waits for a random part of longest, and reports whether ctx is still alive
// then.
func sleep(ctx context.Context, longest time.Duration) bool {
	timer := time.NewTimer(rand.N(max(longest, 1))) //nolint:gosec // it keeps no secret
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
