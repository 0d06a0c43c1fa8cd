package segment

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
)

// A memoryPlan is a plan in a Memory. Its steps are in the order of their numbers.
type memoryPlan struct {
	PlanRecord

	steps []PlanStep
}

// Plans implements PlanLedger. It yields what is known when it begins.
func (m *Memory) Plans(ctx context.Context, f PlanFilter) iter.Seq2[PlanRecord, error] {
	return yieldAll(ctx, func() (found []PlanRecord) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for id, p := range m.plans {
			if allows(f.ID, id) {
				found = append(found, p.PlanRecord)
			}
		}
		slices.SortFunc(found, func(a, b PlanRecord) int { return cmp.Or(b.Planned.At.Compare(a.Planned.At), cmp.Compare(a.ID, b.ID)) })
		return found[:min(len(found), cmp.Or(f.Limit, len(found)))]
	})
}

// KeepPlan implements PlanLedger.
func (m *Memory) KeepPlan(ctx context.Context, p PlanRecord, steps iter.Seq[PlanStep]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plans[p.ID] != nil {
		return fmt.Errorf("plan %q: %w", p.ID, ErrPlanKnown)
	}
	kept := &memoryPlan{PlanRecord: p}
	for s := range steps {
		s.Plan = p.ID
		kept.steps = append(kept.steps, s)
	}
	m.plans[p.ID] = kept
	return nil
}

// Steps implements PlanLedger. It yields what is known when it begins.
func (m *Memory) Steps(ctx context.Context, f StepFilter) iter.Seq2[PlanStep, error] {
	return yieldAll(ctx, func() (found []PlanStep) {
		m.mu.Lock()
		defer m.mu.Unlock()
		p := m.plans[f.Plan]
		if p == nil {
			return nil
		}
		for i := p.place(f.After + 1); i < len(p.steps) && (f.Limit == 0 || len(found) < f.Limit); i++ {
			if f.Match(&p.steps[i]) {
				found = append(found, p.steps[i])
			}
		}
		return found
	})
}

// place returns where the step of a number stands, or would.
func (p *memoryPlan) place(number int) int {
	return sort.Search(len(p.steps), func(i int) bool { return p.steps[i].Number >= number })
}

// CountSteps implements PlanLedger.
func (m *Memory) CountSteps(ctx context.Context, plan string) (map[StepState]int, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make(map[StepState]int)
	if p := m.plans[plan]; p != nil {
		for i := range p.steps {
			counts[p.steps[i].Progress.State]++
		}
	}
	return counts, nil
}

// ChangeSteps implements PlanLedger.
func (m *Memory) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*PlanStep) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	changed := make([]PlanStep, len(numbers))
	places := make([]int, len(numbers))
	p := cmp.Or(m.plans[plan], &memoryPlan{})
	for i, n := range numbers {
		places[i] = p.place(n)
		if places[i] == len(p.steps) || p.steps[places[i]].Number != n {
			return badInput("ChangeSteps: numbers", n, fmt.Sprintf("a step of plan %q", plan))
		}
		changed[i] = p.steps[places[i]]
		if err := change(&changed[i]); err != nil {
			return err
		}
	}
	for i, place := range places {
		p.steps[place].Progress = changed[i].Progress
	}
	return nil
}
