package rerun_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

var planning = segment.Decision{By: "ann", Why: "the night's bug", At: time.Date(2024, 3, 20, 8, 0, 0, 0, time.UTC)}

// kept keeps a plan in a ledger in memory, as "p".
func kept(t *testing.T, p rerun.Plan) *segment.Memory {
	t.Helper()
	l := segment.NewMemory()
	require.NoError(t, rerun.Keep(t.Context(), l, "p", p, planning))
	return l
}

// proven is the error of a step that would store 5 of 10 users again.
func proven(t *testing.T) error {
	t.Helper()
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Count(10), Stored: validate.Count(5)})
	require.True(t, rerun.Proven(err))
	return err
}

// states returns the state of each step of "p", in order: "done waiting cancelled by 1".
func states(t *testing.T, l segment.PlanLedger) string {
	t.Helper()
	var words []string
	for s, err := range l.Steps(t.Context(), segment.StepFilter{Plan: "p"}) {
		require.NoError(t, err)
		word := string(s.Progress.State)
		if s.Progress.Blocker > 0 {
			word += fmt.Sprint(" by ", s.Progress.Blocker)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// A plan that a ledger keeps comes back as it was, with conflicts and without.
func TestLoadWhatWasKept(t *testing.T) {
	conflicts := 0
	for seed := range uint64(2000) {
		w := draw(rand.New(rand.NewPCG(seed, 1)), nature{cycles: true, writers: true})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		conflicts += len(p.Conflicts)
		l := kept(t, p)
		got, outcome, err := rerun.Load(t.Context(), l, "p")
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, p, got, "seed %d", seed)
		require.Len(t, outcome.NeverStarted, len(p.Steps))
	}
	require.Greater(t, conflicts, 100)
}

func TestKeepRefuses(t *testing.T) {
	p := planned(t, nil, []int{0})
	l := kept(t, p)
	require.ErrorIs(t, rerun.Keep(t.Context(), l, "p", p, planning), segment.ErrPlanKnown)
	for _, c := range []struct {
		ledger segment.PlanLedger
		id     string
		plan   rerun.Plan
		by     segment.Decision
		field  string
	}{
		{nil, "q", p, planning, "Keep: ledger"},
		{l, "", p, planning, "Keep: id"},
		{l, "q", rerun.Plan{}, planning, "Plan"},
		{l, "q", p, segment.Decision{Why: "w", At: planning.At}, "Decision.By"},
	} {
		bad, ok := errors.AsType[*validate.InputError](rerun.Keep(t.Context(), c.ledger, c.id, c.plan, c.by))
		require.True(t, ok, c.field)
		require.Equal(t, c.field, bad.Field)
	}
	for _, id := range []string{"", "nobody's"} {
		_, _, err := rerun.Load(t.Context(), l, id)
		_, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, "%v", err)
	}
}

// A losing ledger is one whose steps are not all there, or not as they were.
type losing struct {
	*segment.Memory

	lose func(*segment.PlanStep) (there bool)
}

func (l losing) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	return func(yield func(segment.PlanStep, error) bool) {
		for s, err := range l.Memory.Steps(ctx, f) {
			if l.lose(&s) && !yield(s, err) {
				return
			}
		}
	}
}

func TestLoadRefusesWhatIsNotWhole(t *testing.T) {
	l := kept(t, planned(t, nil, []int{0}, []int{0, 1}))
	for name, lose := range map[string]func(*segment.PlanStep) bool{
		"the last step": func(s *segment.PlanStep) bool { return s.Number < 3 },
		"the first":     func(s *segment.PlanStep) bool { return s.Number > 1 },
		"what it waits for": func(s *segment.PlanStep) bool {
			s.After = nil
			return true
		},
		"another job": func(s *segment.PlanStep) bool {
			if s.Number == 2 {
				s.Job.From = nil
			}
			return true
		},
		"its place": func(s *segment.PlanStep) bool {
			s.Number += s.Number / 3
			return true
		},
	} {
		_, _, err := rerun.Load(t.Context(), losing{l, lose}, "p")
		_, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, "%s: %v", name, err)
	}
}

// A run with a ledger keeps what becomes of each step, and the next one resumes it.
func TestRunKeepsProgress(t *testing.T) {
	// 0 ← 1 ← 3, 0 ← 2, and 4 alone.
	p := planned(t, nil, []int{0}, []int{0}, []int{1}, nil)
	l := kept(t, p)
	o := rerun.RunOptions{Ledger: l, PlanID: "p"}
	ran := func(fail map[string]error) (jobs []string, outcome rerun.Outcome, err error) {
		outcome, err = p.Run(t.Context(), o, func(ctx context.Context, j segment.Job) error {
			jobs = append(jobs, j.ID)
			running := steps(ctx, t, l, segment.StepFilter{Plan: "p", State: segment.StepRunning})
			require.Len(t, running, 1)
			require.Equal(t, j, running[0].Job, "what runs is running there")
			require.Equal(t, "plan p step "+fmt.Sprint(running[0].Number), running[0].Progress.RunID)
			if fail[j.ID] != nil {
				return fail[j.ID]
			}
			return nil
		})
		return jobs, outcome, err
	}

	jobs, _, err := ran(map[string]error{"1": proven(t), "2": errBoom})
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, []string{"0", "1", "2", "4"}, jobs)
	require.Equal(t, "done, failed, unverified, cancelled by 2, done", states(t, l), "what waits for a proven failure is cancelled, and nothing else")
	_, loaded, err := rerun.Load(t.Context(), l, "p")
	require.NoError(t, err)
	require.Equal(t, []string{"0", "4"}, results(loaded.Done))
	require.Equal(t, []string{"1", "2"}, results(loaded.Failed))
	require.EqualError(t, loaded.Failed[1].Err, "boom")
	require.Equal(t, []rerun.Blocked{{JobID: "3", By: "1"}}, loaded.Blocked)

	jobs, outcome, err := ran(map[string]error{"1": errBoom})
	require.Error(t, err)
	require.Equal(t, []string{"1", "2"}, jobs, "what is done is not run again")
	require.Equal(t, []rerun.Blocked{{JobID: "3", By: "1"}}, outcome.Blocked)
	require.Equal(t, "done, unverified, done, waiting, done", states(t, l), "what waits for a failure that another attempt may mend waits on")

	jobs, outcome, err = ran(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3"}, jobs)
	require.Len(t, outcome.Done, 5)
	require.Equal(t, "done, done, done, done, done", states(t, l))
	second := steps(t.Context(), t, l, segment.StepFilter{Plan: "p", Numbers: []int{2}})
	require.Len(t, second, 1)
	require.Equal(t, 3, second[0].Progress.Attempt)
	require.Empty(t, second[0].Progress.Err)
	require.False(t, second[0].Progress.Ended.Before(second[0].Progress.Started))
	jobs, _, err = ran(nil)
	require.NoError(t, err)
	require.Empty(t, jobs)
}

// A run that is stopped tells the ledger what became of the steps that ran.
func TestRunKeepsProgressWhenStopped(t *testing.T) {
	p := planned(t, nil, nil, []int{0})
	l := kept(t, p)
	ctx, stop := context.WithCancel(t.Context())
	_, err := p.Run(ctx, rerun.RunOptions{Ledger: l, PlanID: "p"}, func(context.Context, segment.Job) error {
		stop()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "done, waiting, waiting", states(t, l))

	// One that is killed tells nothing: its steps run for ever, until the next one.
	_, err = rerun.StartStep(t.Context(), l, "p", 2, segment.StepProgress{RunID: "killed"})
	require.NoError(t, err)
	var ran []string
	_, err = p.Run(t.Context(), rerun.RunOptions{Ledger: l, PlanID: "p"}, func(_ context.Context, j segment.Job) error {
		ran = append(ran, j.ID)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, ran)
}

// A failing ledger fails to change a step's state to what it is told.
type failing struct {
	*segment.Memory

	state segment.StepState
}

func (l failing) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	return l.Memory.ChangeSteps(ctx, plan, numbers, func(s *segment.PlanStep) error {
		if err := change(s); err != nil || s.Progress.State != l.state {
			return err
		}
		return errDown
	})
}

// A step of which nobody knows that it runs does not run; one of which nobody knows that
// it is done is not.
func TestRunWithoutItsLedger(t *testing.T) {
	for state, want := range map[segment.StepState]string{
		segment.StepRunning:    "waiting, waiting; ran 0",
		segment.StepDone:       "running, waiting; ran 1",
		segment.StepUnverified: "running, waiting; ran 1",
	} {
		p := planned(t, nil, []int{0})
		l := kept(t, p)
		ran := 0
		_, err := p.Run(t.Context(), rerun.RunOptions{Ledger: failing{l, state}, PlanID: "p"}, func(context.Context, segment.Job) error {
			ran++
			if state == segment.StepUnverified {
				return errBoom
			}
			return nil
		})
		require.ErrorIs(t, err, errDown, state)
		require.Equal(t, state == segment.StepUnverified, errors.Is(err, errBoom))
		got := fmt.Sprintf("%s; ran %d", states(t, l), ran)
		require.Equal(t, want, got, state)
	}
}

func TestRunRefusesAnotherPlan(t *testing.T) {
	p, other := planned(t, nil, []int{0}), planned(t, nil, nil)
	l := kept(t, p)
	for _, c := range []struct {
		plan  rerun.Plan
		o     rerun.RunOptions
		field string
	}{
		{other, rerun.RunOptions{Ledger: l, PlanID: "p"}, "Plan.Steps[1].job"},
		{p, rerun.RunOptions{Ledger: l, PlanID: "q"}, "id"},
		{p, rerun.RunOptions{Ledger: l}, "Load: id"},
		{p, rerun.RunOptions{PlanID: "p"}, "RunOptions.PlanID"},
		{rerun.Plan{}, rerun.RunOptions{Ledger: l, PlanID: "p"}, "Plan"},
		{p, rerun.RunOptions{Ledger: l, PlanID: "p", Resume: rerun.Outcome{NeverStarted: []string{"0"}}}, "RunOptions.Resume"},
	} {
		_, err := c.plan.Run(t.Context(), c.o, succeed)
		bad, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, "%s: %v", c.field, err)
		require.Equal(t, c.field, bad.Field)
	}
	require.Equal(t, "waiting, waiting", states(t, l), "nothing was run")
}

// The life of a step as a queue tells of it.
func TestStepOfAQueue(t *testing.T) {
	l := kept(t, planned(t, nil, []int{0}, []int{0}, []int{1, 2}))
	ctx, at := t.Context(), planning.At
	start := func(number, attempt int) (segment.PlanStep, error) {
		return rerun.StartStep(ctx, l, "p", number, segment.StepProgress{RunID: "r", Attempt: attempt, Worker: "w", Started: at})
	}
	_, err := start(2, 1)
	require.ErrorContains(t, err, "it waits for 1 steps that are not done")
	_, err = start(7, 1)
	require.ErrorContains(t, err, "want a step of plan")

	first, err := start(1, 1)
	require.NoError(t, err)
	require.NoError(t, rerun.HoldStep(ctx, l, first))
	second, err := start(1, 2) // the first was given up too early
	require.NoError(t, err)
	_, err = start(1, 1)
	require.ErrorIs(t, err, rerun.ErrStepTaken)
	require.ErrorIs(t, rerun.HoldStep(ctx, l, first), rerun.ErrStepTaken)
	require.NoError(t, rerun.FailStep(ctx, l, first, at, errBoom, true))
	require.Equal(t, "running, waiting, waiting, waiting", states(t, l), "the first has nothing to say any more")
	_, err = rerun.EndStep(ctx, l, first, at)
	require.ErrorIs(t, err, rerun.ErrStepTaken)
	ready, err := rerun.EndStep(ctx, l, second, at)
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, []int{ready[0].Number, ready[1].Number})
	_, err = rerun.EndStep(ctx, l, second, at)
	require.ErrorIs(t, err, rerun.ErrStepDone, "what waits for it waits for it once")
	_, err = start(1, 3)
	require.ErrorIs(t, err, rerun.ErrStepDone)
	require.NoError(t, rerun.FailStep(ctx, l, second, at, errBoom, true))
	require.Equal(t, "done, waiting, waiting, waiting", states(t, l), "what is done stays done")

	two, err := start(2, 1)
	require.NoError(t, err)
	require.NoError(t, rerun.FailStep(ctx, l, two, at, errors.New("bad\x00\xff"), true))
	require.Equal(t, "done, failed, waiting, cancelled by 2", states(t, l))
	three, err := start(3, 1)
	require.NoError(t, err)
	ready, err = rerun.EndStep(ctx, l, three, at)
	require.NoError(t, err)
	require.Empty(t, ready, "the fourth waits for the second, too")
	require.Equal(t, "done, failed, done, cancelled by 2", states(t, l))

	// The second is run again by hand.
	two, err = start(2, 2)
	require.NoError(t, err)
	ready, err = rerun.EndStep(ctx, l, two, at)
	require.NoError(t, err)
	require.Len(t, ready, 1)
	require.Equal(t, "done, done, done, waiting", states(t, l), "nothing keeps the fourth any more")
}

// Resume lets all wait again that failed, and what was cancelled by it.
func TestResumeInALedger(t *testing.T) {
	l := kept(t, planned(t, nil, []int{0}, nil, nil))
	for number, final := range map[int]bool{1: true, 3: false} {
		s, err := rerun.StartStep(t.Context(), l, "p", number, segment.StepProgress{})
		require.NoError(t, err)
		require.NoError(t, rerun.FailStep(t.Context(), l, s, planning.At, errBoom, final))
	}
	_, err := rerun.StartStep(t.Context(), l, "p", 4, segment.StepProgress{})
	require.NoError(t, err)
	require.Equal(t, "failed, cancelled by 1, unverified, running", states(t, l))
	require.NoError(t, rerun.Resume(t.Context(), l, "p"))
	require.Equal(t, "waiting, waiting, waiting, running", states(t, l), "what runs is left alone")
}

// Many workers run the steps of random plans, some of which fail: each is done once, none
// before those it waits for, and a proven failure cancels what is downstream of it by a
// naive walk, and nothing else.
func TestQueueOverRandomPlans(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := draw(r, nature{})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		l := kept(t, p)
		fails := map[string]bool{}
		for i := range p.Steps {
			fails[p.Steps[i].Job.ID] = r.IntN(6) == 0
		}
		q := &queue{ledger: l, fails: fails, done: map[string]int{}, tokens: make(chan int, len(p.Steps)+1)}
		q.run(t, p)
		want := map[string]string{} // by a naive walk in the plan's order
		for _, s := range p.Steps {
			switch {
			case slices.ContainsFunc(s.After, func(id string) bool { return want[id] != "done" }):
				want[s.Job.ID] = "cancelled"
			case fails[s.Job.ID]:
				want[s.Job.ID] = "failed"
			default:
				want[s.Job.ID] = "done"
			}
		}
		all := steps(t.Context(), t, l, segment.StepFilter{Plan: "p"})
		require.Len(t, all, len(p.Steps))
		for _, s := range all {
			require.Equal(t, want[s.Job.ID], string(s.Progress.State), "seed %d step %d", seed, s.Number)
			if s.Progress.State == segment.StepDone {
				require.Equal(t, 1, q.done[s.Job.ID], "seed %d step %d", seed, s.Number)
			}
		}
	}
}

// steps returns those that a filter selects.
func steps(ctx context.Context, t *testing.T, l segment.PlanLedger, f segment.StepFilter) (all []segment.PlanStep) {
	t.Helper()
	for s, err := range l.Steps(ctx, f) {
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// A queue hands the steps that are ready to workers.
type queue struct {
	ledger segment.PlanLedger
	fails  map[string]bool
	mu     sync.Mutex
	done   map[string]int
	tokens chan int // numbers of steps
	open   sync.WaitGroup
}

func (q *queue) run(t *testing.T, p rerun.Plan) {
	t.Helper()
	for s, err := range q.ledger.Steps(t.Context(), segment.StepFilter{Plan: "p", Ready: true}) {
		require.NoError(t, err)
		q.open.Add(1)
		q.tokens <- s.Number
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for number := range q.tokens {
				if err := q.work(t.Context(), p, number); err != nil {
					t.Error(err)
				}
				q.open.Done()
			}
		})
	}
	q.open.Wait()
	close(q.tokens)
	workers.Wait()
}

func (q *queue) work(ctx context.Context, p rerun.Plan, number int) error {
	s, err := rerun.StartStep(ctx, q.ledger, "p", number, segment.StepProgress{})
	if err != nil {
		return err
	}
	if q.fails[s.Job.ID] {
		return rerun.FailStep(ctx, q.ledger, s, time.Now(), errBoom, true)
	}
	q.mu.Lock()
	for _, before := range p.Steps[number-1].After {
		if q.done[before] != 1 {
			err = fmt.Errorf("%s runs before %s", s.Job.ID, before)
		}
	}
	q.done[s.Job.ID]++
	q.mu.Unlock()
	if err != nil {
		return err
	}
	ready, err := rerun.EndStep(ctx, q.ledger, s, time.Now())
	for i := range ready {
		q.open.Add(1)
		q.tokens <- ready[i].Number
	}
	return err
}

// What could not be ordered is told from the plan's record alone.
func TestRest(t *testing.T) {
	jobs := []segment.Job{segment.Copy(name(1), name(2)), segment.Copy(name(2), name(1))}
	p, err := rerun.New(jobs, []segment.Affected{{Segment: name(1), Users: 3}, {Segment: name(9), Users: 7}})
	require.NoError(t, err)
	l := kept(t, p)
	found := 0
	for r, err := range l.Plans(t.Context(), segment.PlanFilter{ID: "p"}) {
		require.NoError(t, err)
		noWriter, conflicts, err := rerun.Rest(r)
		require.NoError(t, err)
		require.Equal(t, p.NoWriter, noWriter)
		require.Equal(t, p.Conflicts, conflicts)
		require.Equal(t, planning, r.Planned)
		found++
	}
	require.Equal(t, 1, found)
	_, _, err = rerun.Rest(segment.PlanRecord{Rest: json.RawMessage(`{"new":1}`)})
	require.Error(t, err, "what a newer program wrote may be what must not run")
}
