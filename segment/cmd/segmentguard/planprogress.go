package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A progressOutput is how far a plan of reruns is.
type progressOutput struct {
	Name      string                    `json:"name"`
	By        string                    `json:"by"`
	Why       string                    `json:"why"`
	At        time.Time                 `json:"at"`
	Steps     int                       `json:"steps"`
	States    map[segment.StepState]int `json:"states"`
	NoWriter  int                       `json:"no_writer"`
	Conflicts int                       `json:"conflicts"`
	Complete  bool                      `json:"complete"`
	Shown     []stepOutput              `json:"shown"`
	Others    []string                  `json:"others"`
}

// A stepOutput is a step of a plan that is not simply waiting or done.
type stepOutput struct {
	Number  int               `json:"number"`
	Segment segment.ID        `json:"segment"`
	JobID   string            `json:"job_id"`
	JobKind segment.JobKind   `json:"job_kind"`
	State   segment.StepState `json:"state"`
	Attempt int               `json:"attempt,omitempty"`
	Worker  string            `json:"worker,omitempty"`
	Started time.Time         `json:"started,omitzero"`
	Ended   time.Time         `json:"ended,omitzero"`
	Error   string            `json:"error,omitempty"`
}

// othersShown is how many other plans are named.
const othersShown = 10

func progressCommand(a *app) *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "progress [PLAN]",
		Short:   "Say how far a plan of reruns is, and what failed",
		Long: `Progress says how many steps of a plan are done, running, failed and waiting, and lists
those that failed, could not be verified or are running. Without a name it is about the
latest plan that somebody kept.

It exits with status 0 where all is done, and 1 where something is left to do.`,
		Example: `  segmentguard progress
  segmentguard progress march-18 --limit 100`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "list so many of each; 0: all")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		if limit < 0 {
			return fmt.Errorf("--limit is %d, want 0 or more", limit)
		}
		out, err := a.readProgress(ctx, append(args, "")[0], limit)
		if err != nil {
			return err
		}
		if !out.Complete {
			a.status = affected
		}
		if a.json {
			return a.out.json(out)
		}
		a.printProgress(out)
		return nil
	})
	return cmd
}

// findPlan returns a plan by its name, the latest where that is empty, and the names of
// some others.
func (a *app) findPlan(ctx context.Context, name string) (found segment.PlanRecord, others []string, err error) {
	for p, err := range a.ledger.Plans(ctx, segment.PlanFilter{}) {
		switch {
		case err != nil:
			return found, nil, fmt.Errorf("reading the plans: %w", err)
		case found.ID == "" && (name == "" || p.ID == name):
			found = p
		case len(others) < othersShown:
			others = append(others, p.ID)
		}
	}
	switch {
	case found.ID != "":
		return found, others, nil
	case name == "":
		return found, nil, errors.New("the ledger has no plan: segmentguard plan --keep NAME makes one")
	}
	return found, nil, fmt.Errorf("the ledger has no plan %q: segmentguard plan --keep %s makes it", name, text.Shell(name))
}

func (a *app) readProgress(ctx context.Context, name string, limit int) (*progressOutput, error) {
	p, others, err := a.findPlan(ctx, name)
	if err != nil {
		return nil, err
	}
	noWriter, conflicts, err := rerun.Rest(p)
	if err != nil {
		return nil, err
	}
	out := &progressOutput{
		Name: p.ID, By: p.Planned.By, Why: p.Planned.Why, At: p.Planned.At, Steps: p.Steps,
		NoWriter: len(noWriter), Conflicts: len(conflicts), Shown: []stepOutput{}, Others: append([]string{}, others...),
	}
	if out.States, err = a.ledger.CountSteps(ctx, p.ID); err != nil {
		return nil, fmt.Errorf("counting the steps: %w", err)
	}
	for _, state := range []segment.StepState{segment.StepFailed, segment.StepUnverified, segment.StepRunning} {
		for s, err := range a.ledger.Steps(ctx, segment.StepFilter{Plan: p.ID, State: state, Limit: limit}) {
			if err != nil {
				return nil, fmt.Errorf("reading the steps: %w", err)
			}
			out.Shown = append(out.Shown, stepOf(&s))
		}
	}
	out.Complete = out.plan().Complete()
	return out, nil
}

func stepOf(s *segment.PlanStep) stepOutput {
	p := &s.Progress
	return stepOutput{
		Number: s.Number, Segment: s.Job.To, JobID: s.Job.ID, JobKind: s.Job.Kind, State: p.State,
		Attempt: p.Attempt, Worker: p.Worker, Started: p.Started, Ended: p.Ended, Error: p.Err,
	}
}

func (p *progressOutput) plan() *fleet.Plan {
	return &fleet.Plan{Steps: p.Steps, States: p.States, NoWriter: p.NoWriter, Conflicts: p.Conflicts}
}

func (a *app) printProgress(p *progressOutput) {
	a.out.printf("Plan %s, by %s, %s: %s\n", text.Visible(p.Name), text.Visible(p.By), stamp(p.At), text.Visible(p.Why))
	lead, tone := p.plan().Lead()
	a.out.printf("%s\n", a.toned(lead, tone))
	t := table.Table{Head: []string{"STEP", "SEGMENT", "JOB", "STATE", "SINCE", "ATTEMPT", "WORKER", "WHY"}}
	for i := range p.Shown {
		s := &p.Shown[i]
		t.Add(thousands(s.Number), nameOf(s.Segment), text.Short(s.JobID), string(s.State), stamp(cmp.Or(s.Ended, s.Started)), thousands(s.Attempt), s.Worker, text.Short(text.Visible(s.Error)))
	}
	if len(t.Rows) > 0 {
		a.out.printf("\n")
		a.out.table(&t)
	}
	if len(p.Others) > 0 {
		a.out.printf("\nOther plans:\n")
	}
	for _, name := range p.Others {
		a.out.printf("  %s\n", text.Visible(name))
	}
}
