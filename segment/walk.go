package segment

import (
	"cmp"
	"context"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// batchSize is how many segments are judged at a time: enough for handing them
// on to cost nothing.
const batchSize = 1024

// walk goes through the sizes and the ledger side by side. One goroutine reads,
// the others judge, and finish what was read even if the reading fails.
func (w *watch) walk(ctx context.Context, sizes iter.Seq2[Current, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group errgroup.Group
	judges := runtime.GOMAXPROCS(0)
	batches, spare := make(chan []pair, judges), make(chan []pair, 2*judges+1)
	for range judges {
		group.Go(func() error {
			for batch := range batches {
				if err := w.judgeAll(ctx, batch); err != nil {
					cancel(err)
					return err
				}
				spare <- batch[:0]
			}
			return nil
		})
	}
	for range cap(spare) {
		spare <- make([]pair, 0, batchSize)
	}
	err := w.feed(ctx, sizes, batches, spare)
	return cmp.Or(group.Wait(), err)
}

// feed hands what it reads to those who judge, in batches that they give back.
// If reading panics, they end all the same.
func (w *watch) feed(ctx context.Context, sizes iter.Seq2[Current, error], batches chan<- []pair, spare <-chan []pair) error {
	defer close(batches)
	batch := <-spare
	for p, err := range w.pairs(ctx, sizes) {
		if err != nil {
			return join(err, hand(ctx, batches, batch))
		}
		if batch = append(batch, p); len(batch) == batchSize {
			if err := hand(ctx, batches, batch); err != nil {
				return err
			}
			batch = <-spare
		}
	}
	return hand(ctx, batches, batch)
}

// hand gives a batch to whoever takes it next.
func hand[T any](ctx context.Context, batches chan<- []T, batch []T) error {
	select {
	case batches <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
