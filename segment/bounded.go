package segment

import (
	"context"
	"errors"
	"time"
)

// tidyUp bounds what must be done even after the job was told to stop.
const tidyUp = 30 * time.Second

var errTidyUp = errors.New("segment: gave up tidying up after " + tidyUp.String())

// afterwards calls do even if the job's context is cancelled. Each call has a
// bound of its own: where one hangs, the next is made all the same.
func afterwards(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), tidyUp, errTidyUp)
	defer cancel()
	return do(ctx)
}

// sleep waits, and returns why the context ended if that came first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
