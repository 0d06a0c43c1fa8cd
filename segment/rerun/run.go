package rerun

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
)

const (
	scope   = "github.com/segmentguard/segmentguard/segment/rerun"
	version = "0.1.0"
)

// RunOptions configure [Plan.Run]. The zero value runs one step at a time.
type RunOptions struct {
	// Limit is the largest number of steps that run at the same time. 0 means 1:
	// the steps run in the plan's order.
	Limit int
	// Resume is the outcome of an earlier run. What is done there is not run again.
	Resume Outcome
	// Ledger keeps how far each step is of the plan that [Keep] wrote there, and PlanID
	// names it. Run resumes what the ledger says is done, so Resume must be zero. Only
	// one Run of a plan may run at a time. A step of which the ledger cannot keep that it
	// starts does not start; one of which it cannot keep that it is done has failed. nil:
	// nothing is kept.
	Ledger segment.PlanLedger
	PlanID string
	// Progress is called when a step starts and when it ends, by the goroutine that
	// called Run, so never twice at the same time. No step starts while it runs.
	// nil: nothing is called.
	Progress func(Progress)

	TracerProvider trace.TracerProvider // nil: the global one
}

// Progress reports a step that started or ended, and how far the plan is.
type Progress struct {
	Job   segment.Job
	State segment.StepState // of this job: running, done, failed or unverified
	Err   error             // why it failed

	Steps, Done, Failed, Blocked, Running int // of the plan
}

// Ready returns the steps that Run with Resume: done would start first: those that
// are not done while all they wait for is, steps that failed among them. A queue
// that runs the steps itself asks for the next ones here. That none is ready does not
// mean that all is well: [Plan.Incomplete] says what is missing.
//
// The error wraps a *validate.InputError, where p is the zero Plan or done is the
// outcome of another one.
func (p Plan) Ready(done Outcome) ([]Step, error) {
	g, err := newProgress(&p, &done)
	if err != nil {
		return nil, fmt.Errorf("rerun: ready steps: %w", err)
	}
	var ready []Step
	for i := range p.Steps {
		if g.ready(i) {
			ready = append(ready, p.Steps[i])
		}
	}
	return ready, nil
}

// Incomplete returns nil if and only if o, the outcome of running p by Run or by a
// queue, says that everything affected was made again. Otherwise it returns an
// [*IncompleteError]; or an error that wraps a *validate.InputError, where p is the
// zero Plan or o is the outcome of another one.
func (p Plan) Incomplete(o Outcome) error {
	if _, err := newProgress(&p, &o); err != nil {
		return fmt.Errorf("rerun: incomplete: %w", err)
	}
	return p.incomplete(o, nil)
}

// incomplete takes an outcome that is known to be of this plan, and why its run was
// stopped.
func (p *Plan) incomplete(o Outcome, stopped error) error {
	if len(o.Done) == len(p.Steps) && len(p.Conflicts) == 0 && len(p.NoWriter) == 0 {
		return nil
	}
	e := &IncompleteError{Outcome: o, Conflicts: len(p.Conflicts), NoWriter: len(p.NoWriter)}
	if len(o.Done) < len(p.Steps) {
		e.Err = stopped
	}
	return e
}

// Run runs the steps that are not done yet by calling run for each job, as soon as
// all that the step waits for is done. While Limit keeps several from starting, the
// first in the plan's order starts next. Let run commit through a [segment.Guard], so
// that a rerun that makes the same mistake fails. A step fails if run returns an
// error, panics or exits its goroutine; then the steps that wait for it, directly or
// through others, are blocked, and no others. With Resume a failed step runs again.
// If its error is a [*segment.LiveError], its output is live: move its result to
// Outcome.Done and clear its Err.
//
// When ctx ends, no further step starts. Run waits for those that are running, which
// see the end of their context. The outcome says what became of every step.
//
// The error is nil if and only if everything affected was made again. Otherwise it is
// an [*IncompleteError], also where all steps are done and only conflicts or segments
// that no job writes are left; or it wraps a *validate.InputError, and nothing was
// run; or it is the ledger's, and nothing was run either.
func (p Plan) Run(ctx context.Context, o RunOptions, run func(context.Context, segment.Job) error) (Outcome, error) {
	err := resumeKept(ctx, &p, &o)
	var r *runner
	if err == nil {
		r, err = newRunner(&p, &o, run)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("rerun: run: %w", err)
	}
	ctx, span := r.tracer.Start(ctx, "run rerun plan")
	defer span.End()
	r.all(ctx)
	outcome := r.outcome()
	err = p.incomplete(outcome, context.Cause(ctx))
	annotate(span, &p, &outcome, err)
	return outcome, err
}

// annotate writes the numbers of a run to its span.
func annotate(span trace.Span, p *Plan, o *Outcome, err error) {
	span.SetAttributes(
		attribute.Int("segmentguard.plan.steps", len(p.Steps)),
		attribute.Int("segmentguard.plan.conflicts", len(p.Conflicts)),
		attribute.Int("segmentguard.plan.no_writer", len(p.NoWriter)),
		attribute.Int("segmentguard.plan.done", len(o.Done)),
		attribute.Int("segmentguard.plan.failed", len(o.Failed)),
		attribute.Int("segmentguard.plan.blocked", len(o.Blocked)),
		attribute.Int("segmentguard.plan.never_started", len(o.NeverStarted)),
	)
	if err == nil {
		return
	}
	kind := "incomplete"
	switch {
	case len(o.Failed) > 0:
		kind = "failed"
	case len(o.NeverStarted) > 0:
		kind = "cancelled"
	}
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}

// annotateStep writes what became of a step to its span.
func annotateStep(span trace.Span, j *segment.Job, number int, err error) {
	span.SetAttributes(
		attribute.Int("segmentguard.step.number", number),
		attribute.String("segmentguard.segment", j.To.String()),
		attribute.String("segmentguard.site_group", j.To.SiteGroup),
		attribute.String("segmentguard.job.kind", string(j.Kind)),
		attribute.String("segmentguard.job.id", j.ID),
	)
	if err == nil {
		return
	}
	kind := string(segment.StepUnverified)
	if Proven(err) {
		kind = string(segment.StepFailed)
	}
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}

// A runner runs the steps of a plan. One goroutine decides which, and the others run
// one step each and send its number when it ended.
type runner struct {
	*progress

	limit  int
	report func(Progress)
	run    func(context.Context, segment.Job) error
	keeper *keeper
	tracer trace.Tracer

	queue   graph.Queue // of the steps that can start
	ended   chan int32
	running int
	failed  int
	blocked int
}

func newRunner(p *Plan, o *RunOptions, run func(context.Context, segment.Job) error) (*runner, error) {
	switch {
	case o.Limit < 0:
		return nil, badInput("RunOptions.Limit", o.Limit, "0 or more")
	case run == nil:
		return nil, badInput("run", "nil", "a function that runs a job")
	}
	tracers := o.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	g, err := newProgress(p, &o.Resume)
	return &runner{
		progress: g, limit: max(o.Limit, 1), report: o.Progress, run: run,
		keeper: newKeeper(o), tracer: tracers.Tracer(scope, trace.WithInstrumentationVersion(version)),
	}, err
}

// all starts steps until none can start. It leaves none running, even where the
// callback for progress panics.
func (r *runner) all(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	defer func() {
		cancel()
		_ = group.Wait() // the steps' errors are in their results
	}()
	group.SetLimit(r.limit)
	r.ended = make(chan int32, min(r.limit, len(r.plan.Steps))) // never full: a step can always report
	for i := range r.plan.Steps {
		if r.ready(i) {
			r.queue.Push(int32(i))
		}
	}
	for {
		for r.queue.Len() > 0 && r.running < r.limit && ctx.Err() == nil {
			i := r.queue.Pop()
			r.start(i)
			group.Go(func() error {
				r.step(ctx, i)
				return nil
			})
		}
		if r.running == 0 {
			return
		}
		r.end(<-r.ended)
	}
}

// step runs one step. However that ends, its number is sent.
func (r *runner) step(ctx context.Context, i int32) {
	job := r.plan.Steps[i].Job
	ctx, span := r.tracer.Start(ctx, "run rerun step")
	var kept segment.PlanStep
	err := errExited
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
		result := &r.results[i]
		result.Ended = time.Now().UTC()
		result.Err = r.keeper.end(ctx, kept, result.Ended, err)
		annotateStep(span, &job, int(i)+1, result.Err)
		span.End()
		r.ended <- i
	}()
	var failed error
	if kept, failed = r.keeper.start(ctx, int(i)+1, r.results[i].Started); failed != nil {
		err = failed
		return
	}
	err = r.run(ctx, job)
}

func (r *runner) start(i int32) {
	r.state[i] = segment.StepRunning
	r.running++
	r.results[i].Started = time.Now().UTC()
	r.tell(i)
}

// end records what became of a step, and queues or blocks the steps that wait for it.
func (r *runner) end(i int32) {
	r.running--
	if r.results[i].Err != nil {
		r.state[i] = segment.StepUnverified
		if Proven(r.results[i].Err) {
			r.state[i] = segment.StepFailed
		}
		r.failed++
		r.block(i)
		r.tell(i)
		return
	}
	r.state[i] = segment.StepDone
	r.done++
	for _, next := range r.next.Row(i) {
		r.waits[next]--
		if r.waits[next] == 0 {
			r.queue.Push(next)
		}
	}
	r.tell(i)
}

// block marks every step that waits for i, directly or through others, and counts
// each once.
func (r *runner) block(i int32) {
	for todo := []int32{i}; len(todo) > 0; { // no recursion: a chain may be long
		last := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range r.next.Row(last) {
			if r.state[next] == segment.StepWaiting {
				r.state[next] = segment.StepCancelled
				r.blocked++
				todo = append(todo, next)
			}
		}
	}
}

func (r *runner) tell(i int32) {
	if r.report == nil {
		return
	}
	r.report(Progress{
		Job: r.plan.Steps[i].Job, State: r.state[i], Err: r.results[i].Err,
		Steps: len(r.plan.Steps), Done: r.done, Failed: r.failed, Blocked: r.blocked, Running: r.running,
	})
}
