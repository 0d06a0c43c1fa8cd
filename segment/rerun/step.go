package rerun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// ErrStepDone says that a step of a plan is done already: nothing is left to do.
var ErrStepDone = errors.New("the step is done already")

// ErrStepTaken says that a later attempt at a step has begun.
var ErrStepTaken = errors.New("a later attempt at the step has begun")

// A queue that runs the steps of a plan itself calls StartStep, EndStep and FailStep, as
// Plan.Run does where it has a ledger. They take the ledger, or its part in the
// transaction in which the step works.

// StartStep writes down that a step of a plan runs, and returns it. now says by which
// attempt, where and since when; if now.Attempt is 0, it is the one after the last. Where
// the step is done, the error is ErrStepDone; where a later attempt has begun, it is
// ErrStepTaken. A step that waits for others is refused.
func StartStep(ctx context.Context, l segment.PlanLedger, plan string, number int, now segment.StepProgress) (step segment.PlanStep, err error) {
	err = l.ChangeSteps(ctx, plan, []int{number}, func(s *segment.PlanStep) error {
		p, attempt := &s.Progress, now.Attempt // this may be called again
		if attempt == 0 {
			attempt = p.Attempt + 1
		}
		switch {
		case p.State == segment.StepDone:
			return ErrStepDone
		case p.Attempt > attempt:
			return ErrStepTaken
		case p.Waits > 0:
			return fmt.Errorf("it waits for %d steps that are not done", p.Waits)
		}
		*p = segment.StepProgress{State: segment.StepRunning, RunID: now.RunID, Attempt: attempt, Worker: now.Worker, Started: now.Started}
		step = *s
		return nil
	})
	if err != nil { // also where the ledger failed after that
		return segment.PlanStep{}, stepError("starting", plan, number, err)
	}
	return step, nil
}

// HoldStep keeps others from the step until the transaction of l ends, and returns an
// error unless the attempt that StartStep returned is the last one and not done:
// ErrStepDone or ErrStepTaken.
func HoldStep(ctx context.Context, l segment.PlanLedger, step segment.PlanStep) error {
	err := l.ChangeSteps(ctx, step.Plan, []int{step.Number}, func(s *segment.PlanStep) error { return mine(&step, s) })
	return stepError("holding", step.Plan, step.Number, err)
}

// EndStep writes down that a step is done, and returns those that wait for no other step
// any more: they may start. The errors are those of HoldStep.
func EndStep(ctx context.Context, l segment.PlanLedger, step segment.PlanStep, at time.Time) (ready []segment.PlanStep, err error) {
	err = l.ChangeSteps(ctx, step.Plan, append([]int{step.Number}, step.Next...), func(s *segment.PlanStep) error {
		p := &s.Progress
		if s.Number == step.Number {
			ready = nil // it may be called again
			if err := mine(&step, s); err != nil {
				return err
			}
			p.State, p.Ended, p.Err, p.Blocker = segment.StepDone, at, "", 0
			return nil
		}
		if p.Waits == 0 {
			return fmt.Errorf("step %d waits for none, also not for this one", s.Number)
		}
		if p.Waits--; p.Waits == 0 {
			p.State, p.Blocker = segment.StepWaiting, 0 // also if another failure had cancelled it
			ready = append(ready, *s)
		}
		return nil
	})
	if err != nil {
		return nil, stepError("ending", step.Plan, step.Number, err)
	}
	return ready, nil
}

// mine returns an error unless the attempt that was started is the last one of a step
// that is not done.
func mine(started, s *segment.PlanStep) error {
	switch p := &s.Progress; {
	case p.State == segment.StepDone:
		return ErrStepDone
	case p.Attempt > started.Progress.Attempt:
		return ErrStepTaken
	}
	return nil
}

// FailStep writes down why a step is not done. If final is true, as for a failure that is
// [Proven], it has failed, and all that waits for it, directly or through others, is
// cancelled; otherwise it is unverified, and may be tried again. Of a step that is done,
// or of which a later attempt has begun, nothing changes.
func FailStep(ctx context.Context, l segment.PlanLedger, step segment.PlanStep, at time.Time, cause error, final bool) error {
	numbers := []int{step.Number}
	if final {
		downstream, err := downstream(ctx, l, &step)
		if err != nil {
			return stepError("failing", step.Plan, step.Number, err)
		}
		numbers = append(numbers, downstream...)
	}
	err := l.ChangeSteps(ctx, step.Plan, numbers, func(s *segment.PlanStep) error {
		p := &s.Progress
		if s.Number != step.Number {
			if p.State == segment.StepWaiting {
				p.State, p.Blocker = segment.StepCancelled, step.Number
			}
			return nil
		}
		if err := mine(&step, s); err != nil {
			return err
		}
		p.State, p.Ended, p.Err = segment.StepUnverified, at, storable(cause)
		if final {
			p.State = segment.StepFailed
		}
		return nil
	})
	if errors.Is(err, ErrStepDone) || errors.Is(err, ErrStepTaken) {
		return nil
	}
	return stepError("failing", step.Plan, step.Number, err)
}

// downstream returns the numbers of the steps that wait for a step, directly or through
// others. What waits for what never changes.
func downstream(ctx context.Context, l segment.PlanLedger, step *segment.PlanStep) (numbers []int, err error) {
	const most = 1000 // that a filter takes
	seen := map[int]bool{}
	for level := step.Next; len(level) > 0; {
		var fresh []int
		for _, n := range level {
			if !seen[n] {
				seen[n] = true
				fresh = append(fresh, n)
			}
		}
		numbers, level = append(numbers, fresh...), nil
		for some := range slices.Chunk(fresh, most) {
			for s, err := range l.Steps(ctx, segment.StepFilter{Plan: step.Plan, Numbers: some}) {
				if err != nil {
					return nil, err
				}
				level = append(level, s.Next...)
			}
		}
	}
	return numbers, nil
}

// Resume makes the steps of a plan that failed, were cancelled or could not be verified
// wait again. What is done stays done. The first to run are those that wait for no other
// step (segment.StepFilter.Ready).
func Resume(ctx context.Context, l segment.PlanLedger, plan string) error {
	return restart(ctx, l, plan, segment.StepFailed, segment.StepCancelled, segment.StepUnverified)
}

// restart makes the steps in some states wait.
func restart(ctx context.Context, l segment.PlanLedger, plan string, states ...segment.StepState) error {
	var numbers []int
	for _, state := range states {
		for s, err := range l.Steps(ctx, segment.StepFilter{Plan: plan, State: state}) {
			if err != nil {
				return fmt.Errorf("rerun: resuming plan %q: %w", plan, err)
			}
			numbers = append(numbers, s.Number)
		}
	}
	err := l.ChangeSteps(ctx, plan, numbers, func(s *segment.PlanStep) error {
		if p := &s.Progress; slices.Contains(states, p.State) { // it may have changed
			p.State, p.Blocker = segment.StepWaiting, 0
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rerun: resuming plan %q: %w", plan, err)
	}
	return nil
}

// Proven reports whether err says that the output of a step is proven wrong: run again,
// it would be the same.
func Proven(err error) bool {
	failed, judged := errors.AsType[*validate.Error](err)
	return judged && failed.Report.Proven()
}

// storable returns the text of an error as any database takes it.
func storable(err error) string {
	return strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
}

func stepError(doing, plan string, number int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rerun: %s step %d of plan %q: %w", doing, number, plan, err)
}
