package rerun

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// keepFor bounds how long a ledger may take to keep what became of a step, which it is
// told of also where the run was stopped.
const keepFor = 30 * time.Second

// A keeper keeps in a ledger how far the steps of a plan are. nil keeps nothing.
type keeper struct {
	ledger segment.PlanLedger
	plan   string
}

func newKeeper(o *RunOptions) *keeper {
	if o.Ledger == nil {
		return nil
	}
	return &keeper{o.Ledger, o.PlanID}
}

// resumeKept has o resume what its ledger says is done, and has all other steps wait
// there: whoever ran them does not run any more.
func resumeKept(ctx context.Context, p *Plan, o *RunOptions) error {
	switch resumes := len(o.Resume.Done)+len(o.Resume.Failed)+len(o.Resume.Blocked)+len(o.Resume.NeverStarted) > 0; {
	case o.Ledger == nil && o.PlanID != "":
		return badInput("RunOptions.PlanID", o.PlanID, "a Ledger with it")
	case o.Ledger == nil:
		return nil
	case resumes:
		return badInput("RunOptions.Resume", o.Resume.summary(), "none with Ledger, which knows what is done")
	case !p.made:
		return errNoPlan()
	}
	kept, outcome, err := load(ctx, o.Ledger, o.PlanID)
	if err != nil {
		return err
	}
	if err := stepsDiffer("Plan.Steps", p.Steps, kept.Steps); err != nil {
		return fmt.Errorf("not the plan that the ledger has as %q: %w", o.PlanID, err)
	}
	o.Resume = Outcome{Done: outcome.Done}
	return restart(ctx, o.Ledger, o.PlanID, segment.StepFailed, segment.StepCancelled, segment.StepUnverified, segment.StepRunning)
}

// start keeps that a step starts.
func (k *keeper) start(ctx context.Context, number int, at time.Time) (segment.PlanStep, error) {
	if k == nil {
		return segment.PlanStep{}, nil
	}
	return StartStep(ctx, k.ledger, k.plan, number, segment.StepProgress{RunID: fmt.Sprintf("plan %s step %d", k.plan, number), Started: at})
}

// end keeps what became of a step, and returns why it failed.
func (k *keeper) end(ctx context.Context, step segment.PlanStep, at time.Time, err error) error {
	if k == nil || step.Number == 0 { // it did not start
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	if err == nil {
		if _, err := EndStep(ctx, k.ledger, step, at); err != nil {
			return fmt.Errorf("it is done, and the ledger did not keep that: %w", err)
		}
		return nil
	}
	if failed := FailStep(ctx, k.ledger, step, at, err, Proven(err)); failed != nil {
		return fmt.Errorf("%w; the ledger did not keep that: %w", err, failed)
	}
	return err
}
