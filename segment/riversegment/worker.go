package riversegment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// failFor bounds how long it may take to write down why a step failed, also where its
// context has ended.
const failFor = 30 * time.Second

// Worker returns the worker of steps, for river.AddWorker. Give River's client the queue
// [Queue].
func (r *Reruns) Worker() river.Worker[StepArgs] { return &worker{Reruns: r} }

type worker struct {
	river.WorkerDefaults[StepArgs]
	*Reruns
}

// An attempt is one at a step.
type attempt struct {
	*worker

	job  *river.Job[StepArgs]
	step segment.PlanStep
}

// Work implements river.Worker. It writes down that the step runs, runs it, and writes
// down why it failed, each in a transaction of its own.
func (w *worker) Work(ctx context.Context, job *river.Job[StepArgs]) (err error) {
	ctx, span := w.tracer.Start(ctx, "run rerun step")
	defer span.End()
	a := &attempt{worker: w, job: job}
	if a.step, err = w.start(ctx, job); errors.Is(err, rerun.ErrStepDone) {
		return nil
	}
	if err != nil {
		a.annotate(span, err, false)
		return err
	}
	defer func() {
		if p := recover(); p != nil { // River tells of it
			err := fmt.Errorf("panicked: %v", p)
			a.annotate(span, err, a.last())
			if failed := a.fail(ctx, err, a.last()); failed != nil {
				panic(fmt.Sprintf("%v; the ledger did not keep that: %v", p, failed))
			}
			panic(p)
		}
	}()
	err = a.run(ctx)
	if errors.Is(err, rerun.ErrStepDone) { // by an attempt that was given up too early
		err = nil
	}
	final := err != nil && (rerun.Proven(err) || a.last())
	a.annotate(span, err, final)
	if err == nil {
		return nil
	}
	if failed := a.fail(ctx, err, final); failed != nil {
		return fmt.Errorf("%w; the ledger did not keep that: %w", err, failed)
	}
	return verdict(ctx, err)
}

// start writes down that the step runs. It waits for another attempt that works.
func (w *worker) start(ctx context.Context, job *river.Job[StepArgs]) (step segment.PlanStep, err error) {
	now := segment.StepProgress{
		RunID: fmt.Sprintf("plan %s step %d", job.Args.Plan, job.Args.Number), Worker: w.name(job), Started: time.Now().UTC(),
	}
	err = w.transact(ctx, func(tx pgx.Tx) error {
		step, err = rerun.StartStep(ctx, w.config.Ledger.Tx(tx), job.Args.Plan, job.Args.Number, now)
		return err
	})
	return step, err
}

// name returns that of this process.
func (w *worker) name(job *river.Job[StepArgs]) string {
	var last string
	if n := len(job.AttemptedBy); n > 0 {
		last = job.AttemptedBy[n-1]
	}
	return cmp.Or(w.config.Worker, last)
}

// last reports whether River tries no more.
func (a *attempt) last() bool { return a.job.Attempt >= a.job.MaxAttempts }

// run runs the step in one transaction with all that ends it.
func (a *attempt) run(ctx context.Context) error {
	switch {
	case a.config.Remake == nil:
		return &validate.InputError{Field: "Config.Remake", Value: "nil", Want: "a function that makes a segment again"}
	case a.config.Guard == nil:
		return &validate.InputError{Field: "Config.Guard", Value: "nil", Want: "a guard over the ledger"}
	}
	run := segment.Run{ID: a.step.Progress.RunID, Attempt: a.step.Progress.Attempt, Build: a.config.Build, Job: a.step.Job}
	if err := a.config.Guard.Begin(ctx, &run); err != nil {
		return err
	}
	tx, err := a.config.Pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // a committed one stays so
	ledger := a.config.Ledger.Tx(tx)
	if err := rerun.HoldStep(ctx, ledger, a.step); err != nil {
		return err
	}
	committed := false
	run.Staging = a.config.Ledger.Staging(tx)
	commit := run.Staging.Commit
	run.Staging.Commit = func(ctx context.Context) error {
		if err := a.end(ctx, tx, ledger); err != nil { // before the commit: nothing went live, and the guard is to know
			return errors.Join(fmt.Errorf("%w: %w", segment.ErrOvertaken, err), run.Staging.Discard(ctx))
		}
		err := commit(ctx)
		committed = err == nil
		return err
	}
	err = a.config.Remake(ctx, tx, run)
	if err == nil && !committed {
		return errors.New("the step returned no error, but did not commit")
	}
	return err
}

// end ends the step in the ledger and in River, and inserts what waited for it alone.
func (a *attempt) end(ctx context.Context, tx pgx.Tx, ledger segment.PlanLedger) error {
	ready, err := rerun.EndStep(ctx, ledger, a.step, time.Now().UTC())
	if err != nil {
		return err
	}
	if err := insert(ctx, tx, river.ClientFromContext[pgx.Tx](ctx), a.job.Args.Bounds, ready, nil); err != nil {
		return err
	}
	completed, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, a.job)
	if err != nil {
		return err
	}
	if completed.State != rivertype.JobStateCompleted { // River leaves a job alone that does not run
		return fmt.Errorf("job %d: %s, want running: it was taken from this worker", a.job.ID, completed.State)
	}
	return nil
}

// fail writes down why the step is not done.
func (a *attempt) fail(ctx context.Context, cause error, final bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failFor)
	defer cancel()
	return a.transact(ctx, func(tx pgx.Tx) error {
		return rerun.FailStep(ctx, a.config.Ledger.Tx(tx), a.step, time.Now().UTC(), cause, final)
	})
}

// verdict tells River whether to try again. What is proven would be the same: it is
// cancelled, with its report.
func verdict(ctx context.Context, err error) error {
	if !rerun.Proven(err) {
		return err
	}
	failed, _ := errors.AsType[*validate.Error](err)
	return river.JobCancel(errors.Join(err, river.MetadataSet(ctx, "report", failed.Report)))
}

// annotate writes the attempt, and what became of it, to its span.
func (a *attempt) annotate(span trace.Span, err error, final bool) {
	s := &a.step
	span.SetAttributes(
		attribute.String("segmentguard.plan.id", a.job.Args.Plan),
		attribute.Int("segmentguard.step.number", a.job.Args.Number),
		attribute.String("segmentguard.run.id", s.Progress.RunID),
		attribute.Int("segmentguard.run.attempt", s.Progress.Attempt),
		attribute.String("segmentguard.segment", s.Job.To.String()),
		attribute.String("segmentguard.site_group", s.Job.To.SiteGroup),
		attribute.String("segmentguard.job.kind", string(s.Job.Kind)),
		attribute.String("segmentguard.job.id", s.Job.ID),
	)
	if err == nil {
		return
	}
	kind := segment.StepUnverified
	if final {
		kind = segment.StepFailed
	}
	span.SetAttributes(attribute.String("error.type", string(kind)))
	span.SetStatus(codes.Error, err.Error())
}
