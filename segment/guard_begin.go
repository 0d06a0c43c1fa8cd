package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/segmentguard/segmentguard/validate"
)

// Begin gives a run its number, before it reads its source. With a number, a run
// that ends late is superseded by one that began later and is live, and its
// failure is no news where such a one is. Without Begin a run has no number: it
// is never superseded by another one.
//
// For a run that is Live it also waits for the segment, as two that write at once
// leave the users of both; the segment is the run's until its Commit or until ctx
// ends. If Begin returns an error, the job must not write: it is or wraps a
// *validate.Error, or ErrSuperseded where this attempt has a successor or is live
// already, or a *BreakerError.
func (g *Guard) Begin(ctx context.Context, run *Run) error {
	ctx, span := g.tracer.Start(ctx, "begin segment")
	defer span.End()
	r := &guardedRun{guard: g, run: *run, admitting: true}
	r.describe()
	err := r.begin(ctx)
	if err != nil {
		r.release(ctx)
	}
	if err != nil && r.rule.Mode == Observe { // which refuses nothing
		r.log(ctx, "the run has no number", err)
		err = nil
	}
	if err != nil && !errors.Is(err, ErrSuperseded) && !refused(err) {
		r.unverified(&outage{"beginning", err})
		err = &validate.Error{Report: r.report}
	}
	annotate(span, r, err)
	if err != nil {
		r.count(ctx, err)
	}
	run.turn = r.turn
	return err
}

func (r *guardedRun) begin(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil || r.guard.config.Ledger == nil {
		return err
	}
	if r.run.Live && r.rule.Mode != Observe {
		if err := r.waiting(ctx, "lease", r.takeLease); err != nil {
			return err
		}
		lease := r.lease
		context.AfterFunc(ctx, lease.end)
	}
	if r.run.Delta != nil {
		var now SegmentState
		if err := join(r.read(ctx, r.key(), &now), r.beside(&now)); err != nil {
			return err
		}
	}
	return within(ctx, r.guard.config.Timeout, func(ctx context.Context) (err error) {
		if _, err := r.guard.notifier.identity(ctx); err != nil { // a sweep takes over what is told while the ledger is away by this name
			return err
		}
		if r.start, err = r.guard.config.Ledger.Next(ctx, r.key()); err != nil {
			return err
		}
		r.begun, r.moved = true, false // who went live while it waited went live before it began
		return r.guard.config.Ledger.Record(ctx, r.record(RunStarted))
	})
}

// Do takes a whole job through the guard: it begins the run, has write read its
// source, write its output and fill in the sides, and commits. It returns what
// Commit returns.
//
// If write returns an error, panics or ends its goroutine, the output is discarded
// and the run recorded as failed, and Do returns the error, or the panic goes on.
// Of output that is staged people are told only where the job ran out of time. A
// run that is Live and fails half-way leaves nobody knows what: that is told at
// once, as a page.
//
// All that Do calls runs on the caller's goroutine. Where ctx has a deadline, and a
// callback does not return when it passes, Do records the run as failed, or as unknown
// where it hangs in Staging.Commit, and tells people, from beside it.
func (g *Guard) Do(ctx context.Context, run Run, write func(context.Context, *Run) error) (report validate.Report, err error) {
	ctx, span := g.tracer.Start(ctx, "do segment")
	defer span.End()
	defer func() { annotate(span, &guardedRun{run: run, report: report, turn: run.turn}, err) }()
	if err := g.Begin(ctx, &run); err != nil {
		r := guardedRun{guard: g, run: run}
		r.describe()
		if failed, ok := errors.AsType[*validate.Error](err); ok {
			r.report = failed.Report
		}
		return r.report, err
	}
	r := &guardedRun{guard: g, run: run, turn: run.turn}
	defer r.watch(ctx)()
	returned := false
	defer func() {
		if !returned { // the panic goes on, so nobody is returned what else went wrong
			r.log(ctx, "run failed", r.failed(ctx, errEnded))
			if r.untold != nil {
				r.log(ctx, toldLater, r.untold)
			}
		}
	}()
	err = errEnded // unless write returns, and Commit
	r.run.turn = r.turn
	failure := write(ctx, &r.run)
	returned = true
	if told, called := r.lookout.submission(); called && (told != nil || failure == nil) {
		r.describe()
		return r.report, cmp.Or(failure, told)
	}
	if failure != nil {
		err = r.failed(ctx, failure) // which adds to the report
		r.log(ctx, "run failed", err)
		if r.untold != nil {
			r.log(ctx, toldLater, r.untold)
		}
		return r.report, err
	}
	return g.Commit(ctx, r.run)
}

var errWriting = errors.New("writing")

// failed records that the write failed, tells people where that is news, and drops
// what was written.
func (r *guardedRun) failed(ctx context.Context, failure error) error {
	r.lookout.reached(known)
	r.describe()
	r.at = r.guard.now()
	r.unverified(&outage{"writing", failure})
	r.rule, _ = r.findRule(context.WithoutCancel(ctx)) // without one it is judged by the strictest
	err := fmt.Errorf("%s: %w: %w", r.run.Job.To, errWriting, failure)
	r.count(ctx, err)
	return join(err, r.drop(ctx, RunFailed, func(ctx context.Context) {
		if r.run.Live || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			r.alert(ctx, RunFailed, err.Error())
		}
	}))
}
