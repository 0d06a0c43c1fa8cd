package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// planRules are those of TestPlanLedger.
var planRules = []struct {
	name string
	test func(*testing.T, segment.PlanLedger)
}{
	{"plan", testPlan},
	{"written once", testWrittenOnce},
	{"latest plans", testLatestPlans},
	{"progress", testProgress},
	{"pages of steps", testPagesOfSteps},
	{"selected steps", testSelectedSteps},
	{"change of steps", testChangeSteps},
	{"change of steps is all or nothing", testChangeStepsFails},
	{"plans, cancelled", testPlansCancelled},
}

// TestPlanLedger checks that a segment.PlanLedger does what its interface promises, one
// subtest a rule, also in a job's transaction. Each takes plans of its own, as ledgers may
// share a database; open is called for each, and closes what it opened when its test ends.
func TestPlanLedger(t *testing.T, open func(*testing.T) segment.PlanLedger) {
	t.Helper()
	for _, rule := range planRules {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

// diamond returns the steps of a plan of this test: one, two that read it, and one that
// reads these.
func diamond(t *testing.T) []segment.PlanStep {
	a, b, c, d := own(t, "a"), own(t, "b"), own(t, "c"), own(t, "d")
	waiting := func(waits int) segment.StepProgress {
		return segment.StepProgress{State: segment.StepWaiting, Waits: waits}
	}
	like := segment.Lookalike(d, b, c)
	like.Priority = -3
	return []segment.PlanStep{
		{Number: 1, Job: segment.Copy(a, own(t, "source")), Next: []int{2, 3}, Affected: true, Users: 1 << 40, Progress: waiting(0)},
		{Number: 2, Job: segment.Copy(b, a), After: []int{1}, Next: []int{4}, Progress: waiting(1)},
		{Number: 3, Job: segment.Copy(c, a), After: []int{1}, Next: []int{4}, Progress: waiting(1)},
		{Number: 4, Job: like, After: []int{2, 3}, Progress: waiting(2)},
	}
}

// keepDiamond keeps a plan of four steps.
func keepDiamond(t *testing.T, l segment.PlanLedger, id string) segment.PlanRecord {
	t.Helper()
	p := segment.PlanRecord{
		ID: t.Name() + id, Planned: segment.Decision{By: "ann", Why: "the night's\n\"bug\"", At: start}, Steps: 4,
		Rest: json.RawMessage(`{"no_writer":[{"segment":"a/b","users":7}]}`),
	}
	require.NoError(t, l.KeepPlan(t.Context(), p, slices.Values(diamond(t))))
	return p
}

// plansOf returns the plans that f selects.
func plansOf(t *testing.T, l segment.PlanLedger, f segment.PlanFilter) (found []segment.PlanRecord) {
	t.Helper()
	for p, err := range l.Plans(t.Context(), f) {
		require.NoError(t, err)
		p.Planned.At = p.Planned.At.UTC()
		found = append(found, p)
	}
	return found
}

// stepsOf returns the steps that f selects, and requires them to be in order.
func stepsOf(t *testing.T, l segment.PlanLedger, f segment.StepFilter) (found []segment.PlanStep) {
	t.Helper()
	for s, err := range l.Steps(t.Context(), f) {
		require.NoError(t, err)
		require.False(t, len(found) > 0 && found[len(found)-1].Number >= s.Number, "step %d comes too late", s.Number)
		if p := &s.Progress; !p.Started.IsZero() {
			p.Started = p.Started.UTC()
		}
		if p := &s.Progress; !p.Ended.IsZero() {
			p.Ended = p.Ended.UTC()
		}
		found = append(found, s)
	}
	return found
}

func numbersOf(steps []segment.PlanStep) (numbers []int) {
	for i := range steps {
		numbers = append(numbers, steps[i].Number)
	}
	return numbers
}

// A plan comes back whole, and so do its steps.
func testPlan(t *testing.T, l segment.PlanLedger) {
	require.Empty(t, plansOf(t, l, segment.PlanFilter{ID: t.Name() + "p"}), "of a plan that nobody wrote nothing is known")
	require.Empty(t, stepsOf(t, l, segment.StepFilter{Plan: t.Name() + "p"}))
	p := keepDiamond(t, l, "p")
	require.Equal(t, []segment.PlanRecord{p}, plansOf(t, l, segment.PlanFilter{ID: p.ID}))
	want := diamond(t)
	for i := range want {
		want[i].Plan = p.ID
	}
	require.Equal(t, want, stepsOf(t, l, segment.StepFilter{Plan: p.ID}))
	bare := segment.PlanRecord{ID: t.Name() + "bare", Planned: segment.Decision{By: "bob", Why: "w", At: start}}
	require.NoError(t, l.KeepPlan(t.Context(), bare, slices.Values([]segment.PlanStep(nil))))
	require.Equal(t, []segment.PlanRecord{bare}, plansOf(t, l, segment.PlanFilter{ID: bare.ID}), "one without steps is a plan")
}

// Whoever writes a plan again, or another one of its ID, changes nothing.
func testWrittenOnce(t *testing.T, l segment.PlanLedger) {
	p := keepDiamond(t, l, "p")
	require.NoError(t, l.ChangeSteps(t.Context(), p.ID, []int{1}, func(s *segment.PlanStep) error {
		s.Progress.State = segment.StepDone
		return nil
	}))
	other := segment.PlanRecord{ID: p.ID, Planned: segment.Decision{By: "bob", Why: "mine", At: start.Add(time.Hour)}, Steps: 5}
	five := append(diamond(t), segment.PlanStep{Number: 5, Job: segment.Copy(own(t, "e"), own(t, "d")), Progress: segment.StepProgress{State: segment.StepWaiting}})
	require.ErrorIs(t, l.KeepPlan(t.Context(), other, slices.Values(five)), segment.ErrPlanKnown)
	require.Equal(t, []segment.PlanRecord{p}, plansOf(t, l, segment.PlanFilter{ID: p.ID}))
	steps := stepsOf(t, l, segment.StepFilter{Plan: p.ID})
	require.Len(t, steps, 4)
	require.Equal(t, segment.StepDone, steps[0].Progress.State, "what is done stays done")
}

// Of those who write a plan at the same time one does.
func testWrittenAtOnce(t *testing.T, l segment.Ledger) {
	var wg sync.WaitGroup
	var kept, known sync.Map
	for i := range 8 {
		wg.Go(func() {
			one := segment.PlanRecord{ID: t.Name() + "raced", Planned: segment.Decision{By: strconv.Itoa(i), Why: "w", At: start}, Steps: 4}
			switch err := l.KeepPlan(t.Context(), one, slices.Values(diamond(t))); {
			case err == nil:
				kept.Store(i, err)
			case errors.Is(err, segment.ErrPlanKnown):
				known.Store(i, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, []int{1, 7}, []int{size(&kept), size(&known)}, "of eight who write it at once one does")
	require.Len(t, stepsOf(t, l, segment.StepFilter{Plan: t.Name() + "raced"}), 4)
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// The latest plans come first.
func testLatestPlans(t *testing.T, l segment.PlanLedger) {
	far := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) // after those of other tests
	var want []segment.PlanRecord
	for i, at := range []time.Time{far, far.Add(2 * time.Hour), far.Add(time.Hour), far.Add(time.Hour)} {
		p := segment.PlanRecord{ID: fmt.Sprint(t.Name(), i), Planned: segment.Decision{By: "ann", Why: "w", At: at}}
		require.NoError(t, l.KeepPlan(t.Context(), p, slices.Values([]segment.PlanStep(nil))))
		want = append(want, p)
	}
	want = []segment.PlanRecord{want[1], want[2], want[3], want[0]}
	var got []segment.PlanRecord
	for _, p := range plansOf(t, l, segment.PlanFilter{}) {
		if strings.HasPrefix(p.ID, t.Name()) {
			got = append(got, p)
		}
	}
	require.Equal(t, want, got, "those of one time in the order of their IDs")
	require.Len(t, plansOf(t, l, segment.PlanFilter{Limit: 3}), 3)
}

// All that is known of a step's progress comes back, in each state.
func testProgress(t *testing.T, l segment.PlanLedger) {
	p := keepDiamond(t, l, "p")
	for _, want := range []segment.StepProgress{
		{State: segment.StepRunning, RunID: "plan p step 2", Attempt: 1, Worker: "host-7", Started: start},
		{State: segment.StepUnverified, RunID: "plan p step 2", Attempt: 2, Worker: "host-8", Started: start.Add(time.Microsecond), Ended: start.Add(time.Minute), Err: strings.Repeat("ü\n'\"", 5000)},
		{State: segment.StepFailed, Waits: 1, RunID: strings.Repeat("r", 200), Attempt: 1 << 30, Started: start, Ended: start, Err: "stored 5 of 10"},
		{State: segment.StepCancelled, Waits: 1, Blocker: 1},
		{State: segment.StepDone, RunID: "r", Attempt: 3, Worker: "w", Started: start, Ended: start.Add(time.Hour)},
		{State: segment.StepWaiting, Waits: 2},
	} {
		require.NoError(t, l.ChangeSteps(t.Context(), p.ID, []int{2}, func(s *segment.PlanStep) error {
			s.Progress = want
			return nil
		}))
		require.Equal(t, want, stepsOf(t, l, segment.StepFilter{Plan: p.ID})[1].Progress)
		counts, err := l.CountSteps(t.Context(), p.ID)
		require.NoError(t, err)
		others := make(map[segment.StepState]int)
		others[segment.StepWaiting] = 3
		others[want.State]++
		require.Equal(t, others, counts)
	}
	counts, err := l.CountSteps(t.Context(), t.Name()+"nobody's")
	require.NoError(t, err)
	require.Empty(t, counts)
}

// A plan of many steps is read page by page.
func testPagesOfSteps(t *testing.T, l segment.PlanLedger) {
	const many = 2500
	p := segment.PlanRecord{ID: t.Name(), Planned: segment.Decision{By: "ann", Why: "w", At: start}, Steps: many}
	require.NoError(t, l.KeepPlan(t.Context(), p, func(yield func(segment.PlanStep) bool) {
		for n := 1; n <= many; n++ {
			s := segment.PlanStep{Number: n, Job: segment.Copy(own(t, fmt.Sprint("to", n)), own(t, "from")), Progress: segment.StepProgress{State: segment.StepWaiting}}
			if n%100 == 0 {
				s.Progress.State = segment.StepDone
			}
			if !yield(s) {
				return
			}
		}
	}))
	require.Len(t, stepsOf(t, l, segment.StepFilter{Plan: p.ID}), many)
	var seen []int
	for after, pages := 0, 0; ; pages++ {
		page := numbersOf(stepsOf(t, l, segment.StepFilter{Plan: p.ID, After: after, Limit: 999}))
		if len(page) == 0 {
			require.Equal(t, 3, pages)
			break
		}
		require.Greater(t, page[0], after, "a page begins behind the one before")
		seen, after = append(seen, page...), page[len(page)-1]
	}
	require.Len(t, seen, many)
	require.Equal(t, many, seen[many-1])
	require.Equal(t, []int{1100, 1200, 1300}, numbersOf(stepsOf(t, l, segment.StepFilter{Plan: p.ID, State: segment.StepDone, After: 1000, Limit: 3})))
	first := 0
	for s, err := range l.Steps(t.Context(), segment.StepFilter{Plan: p.ID}) { // whoever breaks off holds nothing
		require.NoError(t, err)
		first = s.Number
		break
	}
	require.Equal(t, 1, first)
}

// Steps are selected by all that a filter has.
func testSelectedSteps(t *testing.T, l segment.PlanLedger) {
	p, other := keepDiamond(t, l, "p"), keepDiamond(t, l, "other")
	require.NoError(t, l.ChangeSteps(t.Context(), p.ID, []int{1, 2}, func(s *segment.PlanStep) error {
		s.Progress.State, s.Progress.Waits = segment.StepDone, 0
		return nil
	}))
	for _, c := range []struct {
		filter segment.StepFilter
		want   []int
	}{
		{segment.StepFilter{Plan: p.ID}, []int{1, 2, 3, 4}},
		{segment.StepFilter{Plan: p.ID, State: segment.StepDone}, []int{1, 2}},
		{segment.StepFilter{Plan: other.ID, State: segment.StepDone}, nil},
		{segment.StepFilter{Plan: other.ID, Ready: true}, []int{1}},
		{segment.StepFilter{Plan: p.ID, Ready: true}, []int{1, 2}},
		{segment.StepFilter{Plan: p.ID, Ready: true, State: segment.StepWaiting}, nil},
		{segment.StepFilter{Plan: p.ID, Numbers: []int{4, 2, 4, 9}}, []int{2, 4}},
		{segment.StepFilter{Plan: p.ID, Numbers: []int{}}, nil},
		{segment.StepFilter{Plan: p.ID, Numbers: []int{1, 3, 4}, After: 1, Limit: 1}, []int{3}},
		{segment.StepFilter{Numbers: []int{1}}, nil},
	} {
		require.Equal(t, c.want, numbersOf(stepsOf(t, l, c.filter)), "%+v", c.filter)
	}
}

// A change sees each step once and in order, and changes no more than its progress.
func testChangeSteps(t *testing.T, l segment.PlanLedger) {
	p, other := keepDiamond(t, l, "p"), keepDiamond(t, l, "other")
	var seen []int
	require.NoError(t, l.ChangeSteps(t.Context(), p.ID, []int{4, 1, 4, 3}, func(s *segment.PlanStep) error {
		if len(seen) > 0 && s.Number <= seen[len(seen)-1] {
			seen = nil // called again
		}
		seen = append(seen, s.Number)
		want := diamond(t)[s.Number-1]
		want.Plan = p.ID
		require.Equal(t, want, *s)
		s.Progress.State, s.Progress.Attempt = segment.StepRunning, s.Number
		s.Users, s.Affected = 99, false
		return nil
	}))
	require.Equal(t, []int{1, 3, 4}, seen)
	for _, s := range stepsOf(t, l, segment.StepFilter{Plan: p.ID}) {
		want := diamond(t)[s.Number-1]
		want.Plan = p.ID
		if s.Number != 2 {
			want.Progress.State, want.Progress.Attempt = segment.StepRunning, s.Number
		}
		require.Equal(t, want, s, "what a plan says stays as it was written")
	}
	require.Len(t, stepsOf(t, l, segment.StepFilter{Plan: other.ID, State: segment.StepWaiting}), 4, "another plan is another plan")
	require.NoError(t, l.ChangeSteps(t.Context(), p.ID, nil, func(*segment.PlanStep) error { return errors.New("no step was named") }))
}

// A change that fails keeps nothing.
func testChangeStepsFails(t *testing.T, l segment.PlanLedger) {
	p := keepDiamond(t, l, "p")
	run := func(s *segment.PlanStep) error {
		s.Progress.State = segment.StepRunning
		return nil
	}
	for _, numbers := range [][]int{{1, 5}, {0, 1}} {
		err := l.ChangeSteps(t.Context(), p.ID, numbers, run)
		bad, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, "%v: the plan lacks a step of %v", err, numbers)
		require.NotEqual(t, 1, bad.Value, "step 1 is there")
	}
	refused := errors.New("refused")
	require.ErrorIs(t, l.ChangeSteps(t.Context(), p.ID, []int{1, 2}, func(s *segment.PlanStep) error {
		if s.Number == 2 {
			return refused
		}
		return run(s)
	}), refused)
	require.Empty(t, stepsOf(t, l, segment.StepFilter{Plan: p.ID, State: segment.StepRunning}))
	require.Error(t, l.ChangeSteps(t.Context(), t.Name()+"nobody's", []int{1}, run), "of a plan that nobody wrote nothing can change")
}

// Those who change steps at the same time do it one after another.
func testStepsChangedAtOnce(t *testing.T, l segment.Ledger) {
	const goroutines, changes = 4, 5
	p := keepDiamond(t, l, "p")
	var wg sync.WaitGroup
	errs := make(chan error, goroutines*changes)
	for i := range goroutines {
		wg.Go(func() {
			for range changes {
				errs <- l.ChangeSteps(t.Context(), p.ID, []int{1 + i%2, 4}, func(s *segment.PlanStep) error {
					s.Progress.Attempt++
					return nil
				})
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	steps := stepsOf(t, l, segment.StepFilter{Plan: p.ID})
	require.Equal(t, goroutines*changes, steps[3].Progress.Attempt)
	require.Equal(t, goroutines*changes, steps[0].Progress.Attempt+steps[1].Progress.Attempt)
}

// Nothing of it is answered after the end.
func testPlansCancelled(t *testing.T, l segment.PlanLedger) {
	p := keepDiamond(t, l, "p")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late := segment.PlanRecord{ID: t.Name() + "late", Planned: segment.Decision{By: "ann", Why: "w", At: start}}
	require.ErrorIs(t, l.KeepPlan(ctx, late, slices.Values(diamond(t))), context.Canceled)
	require.Empty(t, plansOf(t, l, segment.PlanFilter{ID: late.ID}))
	_, err := l.CountSteps(ctx, p.ID)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, l.ChangeSteps(ctx, p.ID, []int{1}, func(*segment.PlanStep) error { return nil }), context.Canceled)
	ended := 0
	for _, err := range l.Steps(ctx, segment.StepFilter{Plan: p.ID}) {
		require.ErrorIs(t, err, context.Canceled)
		ended++
	}
	for _, err := range l.Plans(ctx, segment.PlanFilter{ID: p.ID}) {
		require.ErrorIs(t, err, context.Canceled)
		ended++
	}
	require.Equal(t, 2, ended)
}
