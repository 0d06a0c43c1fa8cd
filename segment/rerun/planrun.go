package rerun

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
)

const (
	scope   = "github.com/segmentguard/segmentguard/segment/rerun"
	version = "0.1.0"
)

// RunOptions say how a plan is run.
type RunOptions struct {
	// Limit is how many steps run at the same time at most. 0: one, so that they
	// run in the plan's order.
	Limit int
	// Resume is what an earlier run came to: what is done there is not done again.
	Resume Outcome
	// Progress is told when a step starts and when it ends. It is called by the
	// goroutine that called Run, so never twice at a time; steps wait for it.
	Progress func(Progress)

	TracerProvider trace.TracerProvider // nil: the global one
}

// Progress is how far a plan is.
type Progress struct {
	Job   segment.Job
	State StepState // of this job
	Err   error     // why it failed

	Steps, Done, Failed, Blocked, Running int // of the plan
}

// A StepState is how far a step is.
type StepState string

// The states of a step. Progress is told of those that run, are done or failed.
const (
	StepWaiting StepState = "waiting"
	StepRunning StepState = "running"
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepBlocked StepState = "blocked" // one that it waits for, directly or through others, failed
)

// Ready returns the steps that a run with Resume: done would begin with: those
// not done whose predecessors are, failed ones among them. It is for a queue of
// your own. An outcome that Run would refuse, or a plan, has none: that nothing
// is ready says that all is done only if done.Done is as long as Steps.
func (p Plan) Ready(done Outcome) []Step {
	t, err := newTracks(&p, &done)
	if err != nil {
		return nil
	}
	var ready []Step
	for i := range p.Steps {
		if t.state[i] == StepWaiting && t.waits[i] == 0 {
			ready = append(ready, p.Steps[i])
		}
	}
	return ready
}

// Run runs the steps that are not done yet, each as soon as all it waits for is
// done; where Limit makes them queue, in the plan's order. run is the job: let
// it commit through a [Guard], so that a rerun that makes the same mistake
// fails. A step whose run returns an error, panics or exits its goroutine failed
// and blocks what depends on it, and nothing else. With Resume it runs again;
// where its output is live all the same, as a [*LiveError] says, move its result
// to Outcome.Done and clear its Err.
//
// When ctx ends no further step is started; those that run are told by their
// context, and Run waits for them. The outcome says what became of every step.
//
// err is nil if and only if everything affected was made again. Otherwise it is
// an *IncompleteError, also where a conflict or a segment that no job writes is
// all that is missing; or a *validate.InputError, and nothing was run.
func (p Plan) Run(ctx context.Context, o RunOptions, run func(context.Context, segment.Job) error) (Outcome, error) {
	switch {
	case o.Limit < 0:
		return Outcome{}, badInput("RunOptions.Limit", o.Limit, "0 or more")
	case run == nil:
		return Outcome{}, badInput("run", "nil", "a function that runs a job")
	}
	t, err := newTracks(&p, &o.Resume)
	if err != nil {
		return Outcome{}, err
	}
	tracers := o.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	ctx, span := tracers.Tracer(scope, trace.WithInstrumentationVersion(version)).Start(ctx, "run rerun plan")
	defer span.End()
	r := &runner{tracks: t, limit: max(o.Limit, 1), progress: o.Progress, run: run}
	r.all(ctx)
	outcome := r.outcome()
	err = p.incomplete(ctx, outcome)
	annotateRun(span, &p, &outcome, err)
	return outcome, err
}

// incomplete is what is missing, nil if nothing is.
func (p Plan) incomplete(ctx context.Context, o Outcome) error {
	if len(o.Done) == len(p.Steps) && len(p.Conflicts) == 0 && len(p.NoWriter) == 0 {
		return nil
	}
	err := &IncompleteError{Outcome: o, Conflicts: len(p.Conflicts), NoWriter: len(p.NoWriter)}
	if len(o.Done) < len(p.Steps) && ctx.Err() != nil {
		err.Err = context.Cause(ctx)
	}
	return err
}

func annotateRun(span trace.Span, p *Plan, o *Outcome, err error) {
	span.SetAttributes(
		attribute.Int("segmentguard.plan.steps", len(p.Steps)),
		attribute.Int("segmentguard.plan.conflicts", len(p.Conflicts)),
		attribute.Int("segmentguard.plan.unwritten", len(p.NoWriter)),
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
		kind = string(StepFailed)
	case len(o.NeverStarted) > 0:
		kind = "cancelled"
	}
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}

// A runner runs the steps of a plan. One goroutine decides, the others run
// steps and report their numbers.
type runner struct {
	*tracks

	limit    int
	progress func(Progress)
	run      func(context.Context, segment.Job) error

	ready    queue
	ended    chan int32
	running  int
	failures int
	blocked  int
}

// all starts steps until there is nothing left to start, and leaves none
// running, even where the progress callback panics.
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
		if r.state[i] == StepWaiting && r.waits[i] == 0 {
			r.ready.push(int32(i))
		}
	}
	for {
		for len(r.ready) > 0 && r.running < r.limit && ctx.Err() == nil {
			i := r.ready.pop()
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

// step runs one step. However that ends, it is reported.
func (r *runner) step(ctx context.Context, i int32) {
	err := errExited
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
		r.results[i].Ended, r.results[i].Err = time.Now().UTC(), err
		r.ended <- i
	}()
	err = r.run(ctx, r.plan.Steps[i].Job)
}

func (r *runner) start(i int32) {
	r.state[i] = StepRunning
	r.running++
	r.results[i].Started = time.Now().UTC()
	r.tell(i)
}

// end takes in what became of a step: what waits for it comes nearer to its
// start, or is blocked.
func (r *runner) end(i int32) {
	r.running--
	if r.results[i].Err != nil {
		r.state[i] = StepFailed
		r.failures++
		r.block(i)
		r.tell(i)
		return
	}
	r.state[i] = StepDone
	r.finished++
	for _, next := range r.next.of(i) {
		r.waits[next]--
		if r.waits[next] == 0 {
			r.ready.push(next)
		}
	}
	r.tell(i)
}

// block marks everything that depends on a step, once.
func (r *runner) block(i int32) {
	for todo := []int32{i}; len(todo) > 0; {
		last := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range r.next.of(last) {
			if r.state[next] == StepWaiting {
				r.state[next] = StepBlocked
				r.blocked++
				todo = append(todo, next)
			}
		}
	}
}

func (r *runner) tell(i int32) {
	if r.progress == nil {
		return
	}
	r.progress(Progress{
		Job: r.plan.Steps[i].Job, State: r.state[i], Err: r.results[i].Err,
		Steps: len(r.plan.Steps), Done: r.finished, Failed: r.failures, Blocked: r.blocked, Running: r.running,
	})
}
