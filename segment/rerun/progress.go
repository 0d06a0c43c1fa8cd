package rerun

import (
	"fmt"
	"strconv"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
)

// progress numbers the steps of a plan and says how far each is.
type progress struct {
	plan    *Plan
	next    graph.Rows // by step: those that wait for it
	waits   []int32    // by step: how many of those it waits for are not done
	state   []segment.StepState
	results []Result
	done    int // steps
}

// newProgress checks a plan and the outcome that it resumes.
func newProgress(p *Plan, resume *Outcome) (*progress, error) {
	if !p.made {
		return nil, errNoPlan()
	}
	g := &progress{
		plan:    p,
		waits:   make([]int32, len(p.Steps)),
		state:   make([]segment.StepState, len(p.Steps)),
		results: make([]Result, len(p.Steps)),
	}
	numbers := make(map[string]int32, len(p.Steps))
	for i := range p.Steps {
		id := p.Steps[i].Job.ID
		if _, known := numbers[id]; known {
			return nil, badInput(fmt.Sprintf("Plan.Steps[%d].Job.ID", i), strconv.Quote(id), "each job once")
		}
		numbers[id] = int32(i)
		g.state[i], g.results[i].JobID = segment.StepWaiting, id
	}
	if err := g.link(numbers); err != nil {
		return nil, err
	}
	if err := g.resume(numbers, resume); err != nil {
		return nil, err
	}
	return g, g.countDone()
}

// link finds which steps wait for which. A step may wait only for those before it,
// so none waits for itself.
func (g *progress) link(numbers map[string]int32) error {
	before := graph.NewRows(len(g.plan.Steps), len(g.plan.Steps))
	for i := range g.plan.Steps {
		for _, id := range g.plan.Steps[i].After {
			n, known := numbers[id]
			if !known || int(n) >= i {
				return badInput(fmt.Sprintf("Plan.Steps[%d].After", i), strconv.Quote(id), "a step that comes before it")
			}
			before.Add(n)
			g.waits[i]++
		}
		before.End()
	}
	g.next = before.Inverted(len(g.plan.Steps))
	return nil
}

// resume marks the steps that are done. An outcome that names a step which the plan
// does not have belongs to another plan: a step of the same name may be another.
func (g *progress) resume(numbers map[string]int32, o *Outcome) error {
	named := make([]bool, len(g.state))
	number := func(field string, place int, id string) (int32, error) {
		n, known := numbers[id]
		field = fmt.Sprintf("Outcome.%s[%d]", field, place)
		switch {
		case !known:
			return 0, badInput(field, strconv.Quote(id), "a step of this plan")
		case named[n]:
			return 0, badInput(field, strconv.Quote(id), "each step once")
		}
		named[n] = true
		return n, nil
	}
	for i, r := range o.Done {
		n, err := number("Done", i, r.JobID)
		if err != nil {
			return err
		}
		if r.Err != nil {
			return badInput(fmt.Sprintf("Outcome.Done[%d].Err", i), strconv.Quote(r.Err.Error()), "no error, or the result in Failed")
		}
		g.state[n], g.results[n] = segment.StepDone, r
	}
	for i, r := range o.Failed {
		if _, err := number("Failed", i, r.JobID); err != nil {
			return err
		}
	}
	for i, b := range o.Blocked {
		if _, err := number("Blocked", i, b.JobID); err != nil {
			return err
		}
	}
	for i, id := range o.NeverStarted {
		if _, err := number("NeverStarted", i, id); err != nil {
			return err
		}
	}
	return nil
}

// countDone refuses a step that was done before what it waits for.
func (g *progress) countDone() error {
	for i, s := range g.state {
		if s != segment.StepDone {
			continue
		}
		if g.waits[i] > 0 { // all before it were counted
			return badInput("Outcome.Done", strconv.Quote(g.results[i].JobID), "a step for which all that it waits for is done too")
		}
		g.done++
		for _, next := range g.next.Row(int32(i)) {
			g.waits[next]--
		}
	}
	return nil
}

// ready reports whether a step can start.
func (g *progress) ready(i int) bool { return g.state[i] == segment.StepWaiting && g.waits[i] == 0 }

// outcome sorts the steps by what became of them.
func (g *progress) outcome() Outcome {
	var o Outcome
	by := graph.Nones(len(g.state)) // by step: the first failed one that blocks it
	for i, s := range g.state {
		switch s {
		case segment.StepDone:
			o.Done = append(o.Done, g.results[i])
		case segment.StepFailed, segment.StepUnverified:
			o.Failed = append(o.Failed, g.results[i])
			by[i] = int32(i)
		case segment.StepCancelled:
			o.Blocked = append(o.Blocked, Blocked{JobID: g.results[i].JobID, By: g.results[by[i]].JobID})
		case segment.StepWaiting, segment.StepRunning:
			o.NeverStarted = append(o.NeverStarted, g.results[i].JobID)
		}
		if by[i] == none {
			continue
		}
		for _, next := range g.next.Row(int32(i)) {
			if by[next] == none || by[i] < by[next] {
				by[next] = by[i]
			}
		}
	}
	return o
}
