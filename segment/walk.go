package segment

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// walk goes through the sizes and the ledger side by side. One goroutine reads,
// the others judge, and finish what was read even if the reading fails.
func (w *watch) walk(ctx context.Context, sizes iter.Seq2[CurrentSize, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group errgroup.Group
	var ended atomic.Int64 // of those who judge, how many did not return
	judges := runtime.GOMAXPROCS(0)
	pairs := newBatches[pair](judges)
	for range judges {
		ended.Add(1)
		group.Go(func() error {
			err := errEnded // unless it returns
			defer func() {
				if err != nil {
					cancel(err)
				}
			}()
			err = w.judgeEach(ctx, pairs)
			ended.Add(-1)
			return err
		})
	}
	err := w.feed(ctx, sizes, pairs)
	if err := group.Wait(); err != nil {
		return err
	}
	if ended.Load() > 0 {
		return errEnded
	}
	return err
}

func (w *watch) judgeEach(ctx context.Context, pairs *batches[pair]) error {
	for batch := range pairs.full {
		if err := w.judgeAll(ctx, batch); err != nil {
			return err
		}
		pairs.giveBack(batch)
	}
	return nil
}
