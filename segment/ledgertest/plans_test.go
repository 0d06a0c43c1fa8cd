package ledgertest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

type changingStep = func(*segment.PlanStep) error

// A badPlans is what a bad ledger does in place of what keeps plans.
type badPlans struct {
	plans    func(*segment.PlanFilter)
	keep     func(*memory, segment.PlanRecord, iter.Seq[segment.PlanStep]) error
	kept     func(*segment.PlanStep) // of a plan that is kept
	steps    func(*segment.StepFilter)
	change   func(*memory, string, []int, changingStep) error
	progress func(*segment.StepProgress) // as a change leaves it
}

func (b *badLedger) Plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	if b.plans.plans != nil {
		b.plans.plans(&f)
	}
	return b.memory.Plans(b.heard(ctx, "Plans"), f)
}

func (b *badLedger) KeepPlan(ctx context.Context, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	if b.plans.keep != nil && ctx.Err() == nil {
		return b.plans.keep(b.memory, p, steps)
	}
	return b.memory.KeepPlan(b.heard(ctx, "KeepPlan"), p, func(yield func(segment.PlanStep) bool) {
		for s := range steps {
			if b.plans.kept != nil {
				b.plans.kept(&s)
			}
			if !yield(s) {
				return
			}
		}
	})
}

func (b *badLedger) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	if b.plans.steps != nil {
		b.plans.steps(&f)
	}
	return b.memory.Steps(b.heard(ctx, "Steps"), f)
}

func (b *badLedger) CountSteps(ctx context.Context, plan string) (map[segment.StepState]int, error) {
	return b.memory.CountSteps(b.heard(ctx, "CountSteps"), plan)
}

func (b *badLedger) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	if b.plans.change != nil && ctx.Err() == nil {
		return b.plans.change(b.memory, plan, numbers, change)
	}
	return b.memory.ChangeSteps(b.heard(ctx, "ChangeSteps"), plan, numbers, func(s *segment.PlanStep) error {
		err := change(s)
		if b.plans.progress != nil {
			b.plans.progress(&s.Progress)
		}
		return err
	})
}

// anew keeps another plan under a name that is known, without a word.
func anew(m *memory, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	for ; ; p.ID += "'" {
		if err := m.KeepPlan(background, p, steps); !errors.Is(err, segment.ErrPlanKnown) {
			return err
		}
	}
}

// lookAndKeep keeps a plan over one that it did not see before.
func lookAndKeep(both *meeting) func(*memory, segment.PlanRecord, iter.Seq[segment.PlanStep]) error {
	return func(m *memory, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
		known := false
		for range m.Plans(background, segment.PlanFilter{ID: p.ID}) {
			known = true
		}
		if strings.Contains(p.ID, "/plan_written_at_once") {
			both.attend()
		}
		if known {
			return segment.ErrPlanKnown
		}
		return anew(m, p, steps)
	}
}

// eachAlone changes steps each by itself.
func eachAlone(m *memory, plan string, numbers []int, change changingStep) error {
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		if err := m.ChangeSteps(background, plan, []int{n}, change); err != nil {
			return err
		}
	}
	return nil
}

// readAndWrite changes steps, and writes down later what it read before. Two of a test
// that meet in it lose one change.
func readAndWrite(both *meeting) func(*memory, string, []int, changingStep) error {
	return func(m *memory, plan string, numbers []int, change changingStep) error {
		if !strings.Contains(plan, "/steps_changed_at_once") {
			return m.ChangeSteps(background, plan, numbers, change)
		}
		read := map[int]segment.StepProgress{}
		err := m.ChangeSteps(background, plan, numbers, func(s *segment.PlanStep) error {
			before := s.Progress
			err := change(s)
			read[s.Number], s.Progress = s.Progress, before
			return err
		})
		if err != nil {
			return err
		}
		both.attend()
		return m.ChangeSteps(background, plan, numbers, func(s *segment.PlanStep) error {
			s.Progress = read[s.Number]
			return nil
		})
	}
}

var badForPlans = []badLedgerOf{
	{"forgets for whom a step waits", "nobody would wait", &badLedger{plans: badPlans{kept: func(s *segment.PlanStep) { s.After = nil }}}, "plans_of_reruns/plan"},
	{"forgets priorities", "what is urgent would wait", &badLedger{plans: badPlans{kept: func(s *segment.PlanStep) { s.Job.Priority = 0 }}}, "plans_of_reruns/plan"},
	{"takes a plan for written", "its steps would never run", &badLedger{plans: badPlans{keep: func(*memory, segment.PlanRecord, iter.Seq[segment.PlanStep]) error { return nil }}}, "plans_of_reruns/plan"},
	{"says nothing of a plan that is known", "whoever wrote it thinks that his is run", &badLedger{plans: badPlans{keep: func(m *memory, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
		return anew(m, p, steps)
	}}}, "plans_of_reruns/written_once"},
	{"looks for a plan before it writes one", "both of two who write it think that theirs is run", &badLedger{plans: badPlans{keep: lookAndKeep(newMeeting())}}, "plan_written_at_once"},
	{"selects no plan", "one is asked for", &badLedger{plans: badPlans{plans: func(f *segment.PlanFilter) { f.ID = "" }}}, "plans_of_reruns/plan"},
	{"lists all plans", "a page has room for a few", &badLedger{plans: badPlans{plans: func(f *segment.PlanFilter) { f.Limit = 0 }}}, "plans_of_reruns/latest_plans"},
	{"cuts errors", "the end says why", &badLedger{plans: badPlans{progress: func(p *segment.StepProgress) { p.Err = p.Err[:min(len(p.Err), 1000)] }}}, "plans_of_reruns/progress"},
	{"knows no worker", "whose machine it was is asked for", &badLedger{plans: badPlans{progress: func(p *segment.StepProgress) { p.Worker = "" }}}, "plans_of_reruns/progress"},
	{"begins each page anew", "nobody would come to the end", &badLedger{plans: badPlans{steps: func(f *segment.StepFilter) {
		if f.After > 0 && f.Limit > 0 && f.State == "" {
			f.After--
		}
	}}}, "plans_of_reruns/pages_of_steps"},
	{"selects steps of any state", "those that are done would run again", &badLedger{plans: badPlans{steps: func(f *segment.StepFilter) { f.State = "" }}}, "plans_of_reruns/selected_steps"},
	{"takes all steps for ready", "they would run before those they wait for", &badLedger{plans: badPlans{steps: func(f *segment.StepFilter) { f.Ready = false }}}, "plans_of_reruns/selected_steps"},
	{"changes some of the steps", "half of it is worse than nothing", &badLedger{plans: badPlans{change: eachAlone}}, "plans_of_reruns/change_of_steps_is_all_or_nothing"},
	{"changes steps twice", "what is counted is counted twice", &badLedger{plans: badPlans{change: func(m *memory, plan string, numbers []int, change changingStep) error {
		return m.ChangeSteps(background, plan, numbers, func(s *segment.PlanStep) error {
			attempt := s.Progress.Attempt
			err := change(s)
			s.Progress.Attempt += s.Progress.Attempt - attempt
			return err
		})
	}}}, "plans_of_reruns/change_of_steps"},
	{"changes steps by what it read before", "a step that is done by two is done once", &badLedger{plans: badPlans{change: readAndWrite(newMeeting())}}, "steps_changed_at_once"},
	{"lists plans after the end", "who was told to stop says so", &badLedger{deaf: "Plans"}, "plans_of_reruns/plans,_cancelled"},
	{"keeps plans after the end", "who was told to stop says so", &badLedger{deaf: "KeepPlan"}, "plans_of_reruns/plans,_cancelled"},
	{"lists steps after the end", "who was told to stop says so", &badLedger{deaf: "Steps"}, "plans_of_reruns/plans,_cancelled"},
	{"counts steps after the end", "who was told to stop says so", &badLedger{deaf: "CountSteps"}, "plans_of_reruns/plans,_cancelled"},
	{"changes steps after the end", "who was told to stop says so", &badLedger{deaf: "ChangeSteps"}, "plans_of_reruns/plans,_cancelled"},
}
