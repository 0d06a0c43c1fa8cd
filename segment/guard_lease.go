package segment

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
)

// A turn is what a run knows and holds of its segment's commit row. How runs go
// live one after another is argued at CommitRow.
type turn struct {
	store      string // that the run writes to, as its rule names it
	begun      bool   // start is known
	start      Start
	hold       Hold
	lease      *lease // nil: none, as in a job's own transaction
	moved      bool   // a run went live since this one began
	overlapped bool   // whoever had the row before may still go live
	before     string // the run that had it

	lookout *lookout // nil: none stands beside
}

// A lookout stands beside a job whose callbacks may hang: they run on the caller's
// goroutine, always, and whoever hangs there cannot say so. Some time after the
// job's deadline it records the run, and tells people.
type lookout struct {
	stage atomic.Int32
	err   error // of Submit
}

type stage int32

const (
	committing stage = 1 + iota // Staging.Commit was called
	known                       // the guard itself records the run, and tells of it
	submitted                   // Submit was called, and has done so
)

// reached notes how far the run came.
func (l *lookout) reached(s stage) {
	if l != nil {
		l.stage.Store(int32(s))
	}
}

// submission returns what Submit came to, and whether it was called.
func (l *lookout) submission() (err error, called bool) { //nolint:revive // the error is a result, not the failure of this
	return l.err, stage(l.stage.Load()) == submitted
}

// lock takes the commit row, before the output is read back. A run that is only
// observed is held back by nothing.
func (r *guardedRun) lock(ctx context.Context) error {
	tx := r.run.Staging.Tx
	switch {
	case r.rule.Mode == Observe, r.lease != nil, tx == nil && r.guard.config.Ledger == nil:
		r.observe(ctx)
		return nil
	case tx == nil:
		return r.waiting(ctx, "lease", r.takeLease)
	}
	return r.waiting(ctx, "transaction", func(ctx context.Context) error {
		ctx, cancel := timeout(ctx, r.guard.config.Timeout)
		defer cancel()
		err := tx.Lock(ctx, r.key(), r.enter)
		if _, held := errors.AsType[*heldError](err); held { // who has the lease needs the row that we hold now
			err = fmt.Errorf("%w: %w", ErrOvertaken, err)
		}
		return r.waitedFor(ctx, err)
	})
}

// mostNamed is how many runs are named that may hold a row.
const mostNamed = 3

// waitedFor adds to an error, where nobody has a lease and the wait for the commit row
// was in vain, which runs may hold the row in a transaction of theirs, whose changes
// nobody can read: those that began within a day and did not end.
func (r *guardedRun) waitedFor(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil && !errors.Is(err, ErrBusy) || r.guard.config.Ledger == nil {
		return err
	}
	var began []string
	_ = afterwards(ctx, min(r.guard.config.Timeout, 2*time.Second), func(ctx context.Context) error {
		runs, err := r.onTheirWay(ctx)
		for _, b := range runs[max(0, len(runs)-mostNamed):] {
			began = append(began, fmt.Sprintf("run %s, attempt %d, since %s", b.RunID, b.Attempt, b.At.UTC().Format(time.RFC3339)))
		}
		return err
	})
	if len(began) == 0 {
		return err
	}
	return fmt.Errorf("%w (on their way: %s)", err, strings.Join(began, "; "))
}

// onTheirWay returns what is recorded of other runs of the segment that began and did
// not end.
func (r *guardedRun) onTheirWay(ctx context.Context) (began []*Record, _ error) {
	for e, err := range r.guard.config.Ledger.Log(ctx, LogFilter{Segment: r.run.Job.To, Store: &r.store, Since: r.at.AddDate(0, 0, -1)}) {
		if err != nil {
			return began, err
		}
		if e.Record == nil || e.RunID == r.run.ID && e.Record.Attempt == r.run.Attempt {
			continue
		}
		began = slices.DeleteFunc(began, func(b *Record) bool { return b.RunID == e.RunID && b.Attempt == e.Record.Attempt })
		if e.Record.State == RunStarted {
			began = append(began, e.Record)
		}
	}
	return began, nil
}

// observe reads the generation of a run that is only observed, plainly: such a run takes
// no lock, and its record tells whether another one went live since.
func (r *guardedRun) observe(ctx context.Context) {
	if r.rule.Mode != Observe || r.guard.config.Ledger == nil {
		return
	}
	r.overlapped = within(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		now, err := r.guard.config.Ledger.Next(ctx, r.key())
		r.hold = Hold{Generation: now.Generation, Observed: true}
		return err
	}) != nil
}

// enter finds out from the row whether the run may go on, and takes it.
func (r *guardedRun) enter(c *CommitRow) error {
	if c.Damaged != nil {
		return c.Damaged
	}
	if !r.begun {
		r.begun, r.start.Generation = true, c.Seen
	}
	switch {
	case r.settling && c.held(): // whoever has it: another run, or who settles this one
		return &heldError{r.key(), *c}
	case r.start.Number != 0 && r.start.Number < c.mayBeLive():
		return c.superseded(r.key(), r.run.ID)
	case c.held() && c.RunID == r.run.ID && c.Attempt > r.run.Attempt:
		return fmt.Errorf("%s: attempt %d of run %s is %w by attempt %d", r.key(), r.run.Attempt, r.run.ID, ErrSuperseded, c.Attempt)
	case c.held():
		return &heldError{r.key(), *c}
	}
	r.moved, r.overlapped, r.before = c.Generation != r.start.Generation, c.RunID != "", c.RunID
	switch {
	case r.run.Staging.Tx == nil:
		c.take(r.run.ID, r.run.Attempt)
	case r.overlapped: // so that whoever it was finds that the lease was taken
		c.take("", 0)
	}
	r.hold = Hold{Token: c.Token, Generation: c.Generation, Live: r.run.Live}
	return nil
}

// waiting calls wait in a span, and measures it: how a run waits for its segment, to
// hold it by "lease" or by "transaction".
func (r *guardedRun) waiting(ctx context.Context, by string, wait func(context.Context) error) error {
	ctx, span := r.guard.tracer.Start(ctx, "wait for segment")
	defer span.End()
	begun := time.Now()
	err := wait(ctx)
	about := append(storeAttribute(r.store), attribute.String("segmentguard.hold", by), attribute.String("segmentguard.job.kind", string(r.run.Job.Kind)))
	if err != nil {
		about = append(about, attribute.String("error.type", waitError(err)))
		span.SetStatus(codes.Error, err.Error())
	}
	r.guard.waits.Record(ctx, time.Since(begun).Seconds(), metric.WithAttributes(about...))
	span.SetAttributes(append(about, attribute.String("segmentguard.segment", r.run.Job.To.String()), attribute.String("segmentguard.run.id", r.run.ID))...)
	return err
}

// takeLease waits for the lease, no longer than the guard's timeout. Who settles a run
// does not wait.
func (r *guardedRun) takeLease(ctx context.Context) error {
	ctx, cancel := timeout(ctx, r.guard.config.Timeout)
	defer cancel()
	var waitsFor error
	for polls := 0; ; polls++ {
		asked := time.Now()
		err := r.guard.config.Ledger.Lock(ctx, r.key(), r.enter)
		if err == nil {
			r.lease = &lease{ledger: r.guard.config.Ledger, key: r.key(), token: r.hold.Token, until: asked.Add(leaseFor)}
			r.lease.renewLater(context.WithoutCancel(ctx))
			return nil
		}
		if _, held := errors.AsType[*heldError](err); !held || r.settling { // who settles comes again
			if ctx.Err() != nil {
				return join(waitsFor, r.waitedFor(ctx, err))
			}
			return err
		}
		waitsFor = err
		if err := sleep(ctx, pause(r.run.ID, polls)); err != nil {
			return join(waitsFor, err)
		}
	}
}

// pause returns how long a guard that waits for a lease waits before it looks
// again: from a quarter to three quarters of a second, for each run at its own
// times, so that those who wait do not come all at once.
func pause(run string, polls int) time.Duration {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, run, polls)
	return 250*time.Millisecond + time.Duration(h.Sum32()%500)*time.Millisecond
}

// A lease is one that a guard has taken, and renews until it ends it.
type lease struct {
	ledger Ledger
	key    Key
	token  int64

	mu    sync.Mutex
	until time.Time   // until when nobody can have taken it over, by this machine's monotonic clock
	timer *time.Timer // of the next renewal
	ended bool
}

// renewLater renews the lease long before it runs out, and again, until it is
// ended or taken over.
func (l *lease) renewLater(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || ctx.Err() != nil {
		return
	}
	l.timer = time.AfterFunc(leaseFor/3, func() {
		if l.renew(ctx) {
			l.renewLater(ctx)
		}
	})
}

// renew renews the lease, and reports whether it may still be there. A ledger that
// cannot be reached is asked again the next time.
func (l *lease) renew(ctx context.Context) bool {
	asked, lost := time.Now(), false
	err := within(ctx, leaseFor/6, func(ctx context.Context) error {
		return l.ledger.Lock(ctx, l.key, func(c *CommitRow) error {
			if c.Damaged != nil {
				return c.Damaged
			}
			if lost = c.Token != l.token || c.RunID == ""; !lost {
				c.Until = c.Now.Add(leaseFor)
			}
			return nil
		})
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && !lost {
		l.until = asked.Add(leaseFor)
	}
	return !lost
}

// end stops renewing.
func (l *lease) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// mayBeGone reports whether another run may have taken the lease over.
func (l *lease) mayBeGone(ctx context.Context) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	sure := time.Now().Before(l.until)
	l.mu.Unlock()
	return !sure && !l.renew(ctx)
}

// release gives the lease back, after the output was found not to go live. A
// commit of unknown outcome keeps it until it runs out.
func (r *guardedRun) release(ctx context.Context) {
	l := r.lease
	if l == nil {
		return
	}
	l.end()
	r.lease = nil
	err := afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		return l.ledger.Lock(ctx, l.key, func(c *CommitRow) error {
			c.release(l.token)
			return nil
		})
	})
	if err != nil {
		r.log(ctx, "the segment's next run waits for a lease to run out", err)
	}
}
