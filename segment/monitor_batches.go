package segment

import (
	"context"
)

// batchSize is how many items are handed on at a time: enough for that to cost
// nothing. The first batches are smaller, as most sequences in tests are short.
const (
	firstBatch = 4
	batchSize  = 256 // each segment has its sizes with it: some kilobytes
)

// batches hand on items from one goroutine to others, and are given back: making
// new ones, and having them collected, costs more than judging what is in them.
type batches[T any] struct {
	full  chan []T
	spare chan []T
	batch []T // which is being filled
	size  int // of the next new one
}

// newBatches has so many full batches wait, for at most as many takers.
func newBatches[T any](waiting int) *batches[T] {
	return &batches[T]{full: make(chan []T, waiting), spare: make(chan []T, 2*waiting+1), size: firstBatch} // all that there are
}

// add returns the place for one more item. The
// places since the last full batch stay where they are until the next add.
func (r *batches[T]) add(ctx context.Context) (*T, error) {
	if len(r.batch) == cap(r.batch) {
		if err := r.flush(ctx); err != nil {
			return nil, err
		}
		select {
		case r.batch = <-r.spare:
		default:
			r.batch = make([]T, 0, r.size)
			r.size = min(4*r.size, batchSize)
		}
	}
	r.batch = r.batch[:len(r.batch)+1]
	return &r.batch[len(r.batch)-1], nil
}

// flush hands on what was added.
func (r *batches[T]) flush(ctx context.Context) error {
	batch := r.batch
	if r.batch = nil; len(batch) == 0 {
		return nil
	}
	select {
	case r.full <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *batches[T]) giveBack(batch []T) {
	if cap(batch) < batchSize { // one of the first
		return
	}
	clear(batch) // what is in it would be kept in memory
	select {
	case r.spare <- batch[:0]:
	default:
	}
}

// end says that no more will come.
func (r *batches[T]) end() { close(r.full) }
