package rerun

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/segmentguard/segmentguard/segment"
)

// A rest is what of a plan could not be ordered, as a ledger keeps it
// (segment.PlanRecord.Rest).
type rest struct {
	NoWriter  []segment.Affected `json:"no_writer,omitempty"`
	Conflicts []Conflict         `json:"conflicts,omitempty"`
}

// Keep writes a plan into a ledger, under a name that no other plan there has, by whom
// and why. A ledger that has the name returns an error that is segment.ErrPlanKnown: of
// two who write one plan at the same time, one does.
func Keep(ctx context.Context, l segment.PlanLedger, id string, p Plan, d segment.Decision) error {
	if err := keep(ctx, l, id, &p, d); err != nil {
		return fmt.Errorf("rerun: keeping plan %q: %w", id, err)
	}
	return nil
}

func keep(ctx context.Context, l segment.PlanLedger, id string, p *Plan, d segment.Decision) error {
	switch {
	case l == nil:
		return badInput("Keep: ledger", "nil", "a ledger")
	case id == "":
		return badInput("Keep: id", "empty", "a name for the plan")
	}
	g, err := newProgress(p, &Outcome{})
	if err := cmp.Or(err, d.Validate()); err != nil {
		return err
	}
	r := segment.PlanRecord{ID: id, Planned: d, Steps: len(p.Steps)}
	if len(p.NoWriter)+len(p.Conflicts) > 0 {
		if r.Rest, err = json.Marshal(rest{p.NoWriter, p.Conflicts}); err != nil { //nolint:musttag,nolintlint // an ID is a text
			return err
		}
	}
	numbers := make(map[string]int, len(p.Steps))
	for i := range p.Steps {
		numbers[p.Steps[i].Job.ID] = i + 1
	}
	return l.KeepPlan(ctx, r, func(yield func(segment.PlanStep) bool) {
		for i := range p.Steps {
			s := &p.Steps[i]
			k := segment.PlanStep{
				Plan: id, Number: i + 1, Job: s.Job, Affected: s.Affected, Users: s.Users,
				Progress: segment.StepProgress{State: segment.StepWaiting, Waits: int(g.waits[i])},
			}
			for _, before := range s.After {
				k.After = append(k.After, numbers[before])
			}
			for _, next := range g.next.Row(int32(i)) {
				k.Next = append(k.Next, int(next)+1)
			}
			if !yield(k) {
				return
			}
		}
	})
}

// Rest returns what of a plan that a ledger keeps could not be ordered: the affected
// segments that no job writes, and the conflicts.
func Rest(p segment.PlanRecord) ([]segment.Affected, []Conflict, error) {
	if len(p.Rest) == 0 {
		return nil, nil, nil
	}
	var r rest
	known := json.NewDecoder(bytes.NewReader(p.Rest))
	known.DisallowUnknownFields()
	if err := known.Decode(&r); err != nil { //nolint:musttag,nolintlint // an ID is a text
		return nil, nil, fmt.Errorf("rerun: what plan %q could not order: %w", p.ID, err)
	}
	return r.NoWriter, r.Conflicts, nil
}

// Load reads a plan back from a ledger, and what became of its steps. It makes a new plan
// of the jobs and the affected segments there, and returns an error unless that is the
// same: a plan that lost a step is refused.
func Load(ctx context.Context, l segment.PlanLedger, id string) (Plan, Outcome, error) {
	p, o, err := load(ctx, l, id)
	if err != nil {
		return Plan{}, Outcome{}, fmt.Errorf("rerun: reading plan %q: %w", id, err)
	}
	return p, o, nil
}

func load(ctx context.Context, l segment.PlanLedger, id string) (Plan, Outcome, error) {
	if id == "" {
		return Plan{}, Outcome{}, badInput("Load: id", "empty", "the name of a plan")
	}
	record, err := planOf(ctx, l, id)
	if err != nil {
		return Plan{}, Outcome{}, err
	}
	var read Plan
	if read.NoWriter, read.Conflicts, err = Rest(record); err != nil {
		return Plan{}, Outcome{}, err
	}
	var kept []segment.PlanStep
	for s, err := range l.Steps(ctx, segment.StepFilter{Plan: id}) {
		if err != nil {
			return Plan{}, Outcome{}, err
		}
		kept = append(kept, s)
		read.Steps = append(read.Steps, Step{Job: s.Job, Affected: s.Affected, Users: s.Users})
	}
	made, err := newPlan(read.source())
	if err == nil {
		err = lost(&record, kept, &made)
	}
	if err == nil {
		read.Steps = made.Steps
		err = read.differs(made)
	}
	return made, keptOutcome(kept), err
}

// planOf returns a plan of a ledger.
func planOf(ctx context.Context, l segment.PlanLedger, id string) (segment.PlanRecord, error) {
	for p, err := range l.Plans(ctx, segment.PlanFilter{ID: id}) {
		return p, err
	}
	return segment.PlanRecord{}, badInput("id", strconv.Quote(id), "a plan that the ledger has")
}

// lost returns an error that names the first step that is not the one that was made.
func lost(record *segment.PlanRecord, kept []segment.PlanStep, made *Plan) error {
	if record.Steps != len(kept) || len(made.Steps) != len(kept) {
		return badInput("steps", len(kept), fmt.Sprintf("%d, as were written", record.Steps))
	}
	numbers := make(map[string]int, len(kept))
	for i := range kept {
		numbers[kept[i].Job.ID] = i + 1
	}
	for i := range kept {
		k, m := &kept[i], &made.Steps[i]
		after := make([]int, len(m.After))
		for j, id := range m.After {
			after[j] = numbers[id]
		}
		place := fmt.Sprintf("steps[%d]", i)
		switch {
		case k.Number != i+1:
			return badInput(place+".number", k.Number, strconv.Itoa(i+1))
		case !sameJob(&k.Job, &m.Job):
			return badInput(place+".job", k.Job.ID, m.Job.ID)
		case !slices.Equal(k.After, after):
			return badInput(place+".after", fmt.Sprint(k.After), fmt.Sprint(after))
		}
	}
	return nil
}

// keptOutcome returns what became of the steps that a ledger keeps, in their order.
func keptOutcome(steps []segment.PlanStep) (o Outcome) {
	for i := range steps {
		s := &steps[i]
		r := Result{JobID: s.Job.ID, Started: s.Progress.Started, Ended: s.Progress.Ended}
		switch s.Progress.State {
		case segment.StepDone:
			o.Done = append(o.Done, r)
		case segment.StepFailed, segment.StepUnverified:
			r.Err = errors.New(s.Progress.Err)
			o.Failed = append(o.Failed, r)
		case segment.StepCancelled:
			b := Blocked{JobID: s.Job.ID}
			if n := s.Progress.Blocker; n > 0 && n <= len(steps) {
				b.By = steps[n-1].Job.ID
			}
			o.Blocked = append(o.Blocked, b)
		case segment.StepWaiting, segment.StepRunning:
			fallthrough
		default: // what a newer program wrote is not done
			o.NeverStarted = append(o.NeverStarted, s.Job.ID)
		}
	}
	return o
}
