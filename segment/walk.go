package segment

import (
	"cmp"
	"context"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// walk goes through the sizes and the ledger side by side. One goroutine reads,
// the others judge, and finish what was read even if the reading fails.
func (w *watch) walk(ctx context.Context, sizes iter.Seq2[Current, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group errgroup.Group
	judges := runtime.GOMAXPROCS(0)
	pairs := newRelay[pair](judges)
	for range judges {
		group.Go(func() error {
			for batch := range pairs.full {
				if err := w.judgeAll(ctx, batch); err != nil {
					cancel(err)
					return err
				}
				pairs.giveBack(batch)
			}
			return nil
		})
	}
	err := w.feed(ctx, sizes, pairs)
	return cmp.Or(group.Wait(), err)
}
