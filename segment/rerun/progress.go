package rerun

import (
	"fmt"
	"strconv"
)

// tracks are the steps of a plan by number, and how far each is.
type tracks struct {
	plan     *Plan
	next     rows    // by step: those that wait for it
	waits    []int32 // by step: how many of those it waits for are not done
	state    []StepState
	results  []Result
	finished int // steps that are done
}

// newTracks numbers the steps of a plan and takes in what is done already.
func newTracks(p *Plan, resume *Outcome) (*tracks, error) {
	if !p.made {
		return nil, errNoPlan()
	}
	t := &tracks{
		plan:    p,
		waits:   make([]int32, len(p.Steps)),
		state:   make([]StepState, len(p.Steps)),
		results: make([]Result, len(p.Steps)),
	}
	for i := range t.state {
		t.state[i] = StepWaiting
	}
	numbers := make(map[string]int32, len(p.Steps))
	for i := range p.Steps {
		id := p.Steps[i].Job.ID
		if _, known := numbers[id]; known {
			return nil, badInput(fmt.Sprintf("Plan.Steps[%d].Job.ID", i), strconv.Quote(id), "each job once")
		}
		numbers[id] = int32(i)
		t.results[i].JobID = id
	}
	if err := t.link(numbers); err != nil {
		return nil, err
	}
	return t, t.resume(numbers, resume)
}

// link finds who waits for whom, and only for steps that come before: then no
// step waits for itself.
func (t *tracks) link(numbers map[string]int32) error {
	before := rows{at: make([]int, 1, len(t.plan.Steps)+1)}
	t.next.at = make([]int, len(t.plan.Steps)+1)
	for i := range t.plan.Steps {
		for _, id := range t.plan.Steps[i].After {
			n, known := numbers[id]
			if !known || int(n) >= i {
				return badInput(fmt.Sprintf("Plan.Steps[%d].After", i), strconv.Quote(id), "a step that comes before it")
			}
			before.flat = append(before.flat, n)
			t.next.at[n]++
			t.waits[i]++
		}
		before.at = append(before.at, len(before.flat))
	}
	t.next.invert(&before)
	return nil
}

// resume marks what is done. What is not of this plan, or was done before what
// it waits for, belongs to another plan: skipping it could leave it as it is.
func (t *tracks) resume(numbers map[string]int32, o *Outcome) error {
	told := map[string]bool{}
	check := func(field string, place int, id string) (int32, error) {
		n, known := numbers[id]
		field = fmt.Sprintf("Outcome.%s[%d]", field, place)
		switch {
		case !known:
			return 0, badInput(field, strconv.Quote(id), "a step of this plan")
		case told[id]:
			return 0, badInput(field, strconv.Quote(id), "each step once")
		}
		told[id] = true
		return n, nil
	}
	for i, r := range o.Done {
		n, err := check("Done", i, r.JobID)
		if err != nil {
			return err
		}
		if r.Err != nil {
			return badInput(fmt.Sprintf("Outcome.Done[%d].Err", i), strconv.Quote(r.Err.Error()), "no error, or the result in Failed")
		}
		t.state[n], t.results[n] = StepDone, r
	}
	for i, r := range o.Failed {
		if _, err := check("Failed", i, r.JobID); err != nil {
			return err
		}
	}
	for i, b := range o.Blocked {
		if _, err := check("Blocked", i, b.JobID); err != nil {
			return err
		}
	}
	for i, id := range o.NeverStarted {
		if _, err := check("NeverStarted", i, id); err != nil {
			return err
		}
	}
	return t.countDone()
}

func (t *tracks) countDone() error {
	for i, s := range t.state {
		if s != StepDone {
			continue
		}
		if t.waits[i] > 0 { // all before it were counted
			return badInput("Outcome.Done", strconv.Quote(t.results[i].JobID), "a step for which all that it waits for is done too")
		}
		t.finished++
		for _, next := range t.next.of(int32(i)) {
			t.waits[next]--
		}
	}
	return nil
}

// outcome sorts the steps by what became of them.
func (t *tracks) outcome() Outcome {
	var o Outcome
	by := nones(len(t.state)) // by step: the failed one that blocks it
	for i, s := range t.state {
		n := int32(i)
		switch s {
		case StepDone:
			o.Done = append(o.Done, t.results[i])
		case StepFailed:
			o.Failed = append(o.Failed, t.results[i])
			by[i] = n
		case StepBlocked:
			o.Blocked = append(o.Blocked, Blocked{JobID: t.results[i].JobID, By: t.results[by[i]].JobID})
		default:
			o.NeverStarted = append(o.NeverStarted, t.results[i].JobID)
		}
		if by[i] == none {
			continue
		}
		for _, next := range t.next.of(n) {
			if by[next] == none || by[i] < by[next] {
				by[next] = by[i]
			}
		}
	}
	return o
}
