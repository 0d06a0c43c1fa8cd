package segment

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// walk goes through the sizes and the ledger side by side. One goroutine reads,
// the others judge, and finish what was read even if the reading fails.
func (w *sweeper) walk(ctx context.Context, sizes iter.Seq2[CurrentSize, error]) error {
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

// judgeEach judges batches, and adds up what it found in each.
func (w *sweeper) judgeEach(ctx context.Context, pairs *batches[pair]) error {
	for batch := range pairs.full {
		var t tally
		var err error
		for i := 0; i < len(batch) && err == nil; i++ {
			err = w.judge(ctx, &batch[i], &t)
		}
		if w.add(&t); err != nil {
			return err
		}
		pairs.giveBack(batch)
	}
	return nil
}

// A pair is what the store and the ledger hold of one segment.
type pair struct {
	current CurrentSize
	state   SegmentState
	listed  int // how often the store's sizes name it
}

// A feeder joins the current sizes with the ledger, in batches of pairs that it
// hands on and gets back: moving them about costs as much as judging them. What
// only one of the two knows is a pair, too.
type feeder struct {
	store  string
	ledger *cursor
	pairs  *batches[pair]
}

// feed hands on what it reads. If reading panics, those who judge end all the
// same.
func (w *sweeper) feed(ctx context.Context, sizes iter.Seq2[CurrentSize, error], pairs *batches[pair]) error {
	defer pairs.end()
	f := feeder{w.monitor.config.Store, open(ctx, w.monitor.withJobs(w.readable(w.monitor.config.Ledger.Segments(ctx, SegmentFilter{Store: &w.monitor.config.Store})))), pairs}
	defer f.ledger.stop()
	err := f.join(ctx, sizes)
	return join(err, f.pairs.flush(ctx))
}

// readable leaves out, and notes, rows of which nobody knows whose they are: they
// come in any order.
func (w *sweeper) readable(ledger iter.Seq2[SegmentState, error]) iter.Seq2[SegmentState, error] {
	return func(yield func(SegmentState, error) bool) {
		for s, err := range ledger {
			switch {
			case s.Damaged != nil && s.Segment.IsZero():
				w.mu.Lock()
				w.damaged = append(w.damaged, s.Damaged)
				w.mu.Unlock()
			case !yield(s, err):
				return
			}
		}
	}
}

func (f *feeder) join(ctx context.Context, sizes iter.Seq2[CurrentSize, error]) error {
	var last *pair
	for current, err := range sizes {
		if err != nil {
			return wrap("reading the current sizes", err)
		}
		if last != nil {
			switch before := last.current.Segment; before.Compare(current.Segment) {
			case 0:
				last.listed++
				continue
			case 1:
				return &OrderError{"current sizes", before, current.Segment}
			}
		}
		known, err := f.upTo(ctx, &current.Segment)
		if err != nil {
			return err
		}
		if last, err = f.pairs.add(ctx); err != nil {
			return err
		}
		last.current, last.listed = current, 1
		if !known {
			last.state = SegmentState{Store: f.store}
			continue
		}
		last.state = *f.ledger.head
		f.ledger.step()
	}
	_, err := f.upTo(ctx, nil)
	return err
}

// upTo makes pairs of what only the ledger knows, until it comes to a segment,
// or to its own end. It reports whether it knows that segment, too.
func (f *feeder) upTo(ctx context.Context, id *ID) (known bool, err error) {
	for ; f.ledger.head != nil; f.ledger.step() {
		if id != nil {
			if order := f.ledger.head.Segment.Compare(*id); order >= 0 {
				return order == 0, nil
			}
		}
		p, err := f.pairs.add(ctx)
		if err != nil {
			return false, err
		}
		*p = pair{state: *f.ledger.head}
	}
	return false, f.ledger.err
}

// A cursor is a place in the ledger. Another goroutine reads ahead of it.
type cursor struct {
	segments *batches[SegmentState]
	ended    <-chan error // how the reading ended, after the last batch
	stop     func()

	batch []SegmentState
	next  int
	head  *SegmentState // nil at the end
	err   error         // at the end
}

func open(ctx context.Context, ledger iter.Seq2[SegmentState, error]) *cursor {
	ctx, cancel := context.WithCancel(ctx)
	segments, ended := newBatches[SegmentState](2), make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		err := errEnded // unless it returns
		defer func() {
			ended <- err
			segments.end()
		}()
		err = readAhead(ctx, ledger, segments)
	})
	c := &cursor{segments: segments, ended: ended, stop: func() {
		cancel()
		reading.Wait()
	}}
	c.step()
	return c
}

// readAhead hands on the ledger. What came before an error is handed on.
func readAhead(ctx context.Context, ledger iter.Seq2[SegmentState, error], segments *batches[SegmentState]) error {
	var last *SegmentState
	for t, err := range ledger {
		if err != nil {
			return join(wrap("reading the ledger", err), segments.flush(ctx))
		}
		if last != nil && last.Segment.Compare(t.Segment) >= 0 {
			return join(&OrderError{"ledger", last.Segment, t.Segment}, segments.flush(ctx))
		}
		if last, err = segments.add(ctx); err != nil {
			return err
		}
		*last = t
	}
	return segments.flush(ctx)
}

// step goes on to the next segment.
func (c *cursor) step() {
	for c.next == len(c.batch) {
		c.segments.giveBack(c.batch)
		var more bool
		if c.batch, more = <-c.segments.full; !more {
			c.head, c.err = nil, <-c.ended
			return
		}
		c.next = 0
	}
	c.head = &c.batch[c.next]
	c.next++
}
