package segment

import (
	"context"
	"iter"
	"sync"
)

// A pair is what the store and the ledger hold of one segment.
type pair struct {
	current Current
	tracked Tracked
	listed  int // how often the store's sizes name it
}

// pairs joins the current sizes with the ledger. What only one of the two knows
// is a pair, too.
func (w *watch) pairs(ctx context.Context, sizes iter.Seq2[Current, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		ledger := open(ctx, inOrder("ledger", w.monitor.config.Ledger.Segments(ctx), func(t *Tracked) ID { return t.Segment }))
		defer ledger.stop()
		for p, err := range once(inOrder("current sizes", sizes, func(c *Current) ID { return c.Segment })) {
			if err != nil {
				yield(pair{}, err)
				return
			}
			if !ledger.upTo(func(id ID) bool { return id.Compare(p.current.Segment) >= 0 }, yield) {
				return
			}
			p.tracked = ledger.take(p.current.Segment)
			if !yield(p, nil) {
				return
			}
		}
		ledger.upTo(func(ID) bool { return false }, yield)
	}
}

// A cursor is a place in the ledger. Another goroutine reads ahead of it.
type cursor struct {
	batches <-chan []Tracked
	ended   <-chan error // how the reading ended, after the last batch
	stop    func()

	batch []Tracked
	err   error
}

func open(ctx context.Context, ledger iter.Seq2[Tracked, error]) *cursor {
	ctx, cancel := context.WithCancel(ctx)
	batches, ended := make(chan []Tracked, 4), make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(batches)
		ended <- readAhead(ctx, ledger, batches)
	})
	c := &cursor{batches: batches, ended: ended, stop: func() {
		cancel()
		reading.Wait()
	}}
	c.step()
	return c
}

// readAhead hands on the ledger in batches.
func readAhead(ctx context.Context, ledger iter.Seq2[Tracked, error], batches chan<- []Tracked) error {
	batch := make([]Tracked, 0, batchSize)
	for t, err := range ledger {
		if err != nil {
			return join(err, hand(ctx, batches, batch))
		}
		if batch = append(batch, t); len(batch) == batchSize {
			if err := hand(ctx, batches, batch); err != nil {
				return err
			}
			batch = make([]Tracked, 0, batchSize)
		}
	}
	return hand(ctx, batches, batch)
}

// step goes on to the next segment.
func (c *cursor) step() {
	if len(c.batch) > 0 {
		c.batch = c.batch[1:]
	}
	for more := true; len(c.batch) == 0 && more; {
		if c.batch, more = <-c.batches; !more {
			c.err = <-c.ended
		}
	}
}

// upTo yields what only the ledger knows, until a place is reached. It reports
// whether to go on.
func (c *cursor) upTo(reached func(ID) bool, yield func(pair, error) bool) bool {
	for ; len(c.batch) > 0 && !reached(c.batch[0].Segment); c.step() {
		if !yield(pair{tracked: c.batch[0]}, nil) {
			return false
		}
	}
	if c.err != nil {
		yield(pair{}, c.err)
	}
	return c.err == nil
}

// take is what the ledger knows of a segment, if it is there.
func (c *cursor) take(id ID) (found Tracked) {
	if len(c.batch) > 0 && c.batch[0].Segment == id {
		found = c.batch[0]
		c.step()
	}
	return found
}

// once makes one pair of a segment that is listed several times. What came
// before an error is yielded before it.
func once(sizes iter.Seq2[Current, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		var held pair
		for current, err := range sizes {
			if err == nil && held.listed > 0 && held.current.Segment == current.Segment {
				held.listed++
				continue
			}
			if held.listed > 0 && !yield(held, nil) {
				return
			}
			if err != nil {
				yield(pair{}, err)
				return
			}
			held = pair{current: current, listed: 1}
		}
		if held.listed > 0 {
			yield(held, nil)
		}
	}
}

// inOrder ends a sequence of segments with an error where it leaves its order.
// Equal neighbours are let through.
func inOrder[T any](name string, items iter.Seq2[T, error], id func(*T) ID) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var before ID
		begun := false
		for item, err := range items {
			var none T
			if err != nil {
				yield(none, wrap("reading the "+name, err))
				return
			}
			at := id(&item)
			if begun && before.Compare(at) > 0 {
				yield(none, &OrderError{name, before, at})
				return
			}
			if !yield(item, nil) {
				return
			}
			before, begun = at, true
		}
	}
}
