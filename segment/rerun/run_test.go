package rerun_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

var errBoom = errors.New("boom")

// planned is the plan of jobs "0", "1", …, each of which waits for those listed,
// in this order.
func planned(t *testing.T, after ...[]int) rerun.Plan {
	t.Helper()
	var jobs []segment.Job
	var affected []segment.Affected
	for i, list := range after {
		j := segment.Job{ID: strconv.Itoa(i), To: name(i)}
		for _, before := range list {
			j.From = append(j.From, name(before))
		}
		jobs = append(jobs, j)
		affected = append(affected, segment.Affected{Segment: name(i), Users: int64(len(after) - i)})
	}
	got, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	require.Empty(t, got.Conflicts)
	for i, s := range got.Steps {
		require.Equal(t, strconv.Itoa(i), s.Job.ID)
	}
	return got
}

func results(list []rerun.Result) (jobs []string) {
	for _, r := range list {
		jobs = append(jobs, r.JobID)
	}
	return jobs
}

func succeed(context.Context, segment.Job) error { return nil }

// TestRunStartsAsSoonAsItCan: a step waits for what it depends on and for
// nothing else; above all not for a stage. 0 never ends before 3 has.
func TestRunStartsAsSoonAsItCan(t *testing.T) {
	p := planned(t, nil, nil, []int{1}, []int{2}, []int{0, 3})
	third := make(chan struct{})
	outcome, err := p.Run(t.Context(), rerun.RunOptions{Limit: 2}, func(_ context.Context, j segment.Job) error {
		switch j.ID {
		case "0":
			<-third
		case "3":
			close(third)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, results(outcome.Done))
	require.Equal(t, "5 done", outcome.String())
}

// TestRunLimit: never more steps at a time than the limit, and as many.
func TestRunLimit(t *testing.T) {
	for limit, want := range map[int]int{0: 1, 1: 1, 3: 3, 100: 10} {
		synctest.Test(t, func(t *testing.T) {
			p := planned(t, make([][]int, 10)...)
			var mu sync.Mutex
			var running, most int
			count := func(change int) {
				mu.Lock()
				defer mu.Unlock()
				running += change
				most = max(most, running)
			}
			_, err := p.Run(t.Context(), rerun.RunOptions{Limit: limit}, func(context.Context, segment.Job) error {
				count(1)
				time.Sleep(time.Second) // by the bubble's clock: until all that can run do
				count(-1)
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, want, most, "limit %d", limit)
		})
	}
}

// TestRunQueue: where the limit makes steps queue, they start in the plan's order.
func TestRunQueue(t *testing.T) {
	for seed := range uint64(200) {
		w := draw(rand.New(rand.NewPCG(seed, 3)), nature{})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		order := []string{}
		_, _ = p.Run(t.Context(), rerun.RunOptions{}, func(_ context.Context, j segment.Job) error {
			order = append(order, j.ID)
			return nil
		})
		require.Equal(t, ids(p.Steps), order)
	}
}

// TestRunFailure: however a step fails, it blocks what depends on it and nothing
// else.
func TestRunFailure(t *testing.T) {
	p := planned(t, nil, nil, []int{1}, []int{0}, []int{2, 3}, nil)
	for _, c := range []struct {
		reason string
		fail   func() error
		is     error
		text   string
	}{
		{"an error", func() error { return errBoom }, errBoom, "boom"},
		{"a panic", func() error { panic("oh no") }, nil, "panicked: oh no"},
		{"a panic with an error, which is found", func() error { panic(errBoom) }, errBoom, "panicked: boom"},
		{"a panic with nil, which looks like none", func() error { panic(nil) }, nil, "panicked: panic called with nil argument"},
		{"a goroutine that ends without a word", func() error { runtime.Goexit(); return nil }, nil, "runtime.Goexit"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			for limit := range 4 {
				outcome, err := p.Run(t.Context(), rerun.RunOptions{Limit: limit}, func(_ context.Context, j segment.Job) error {
					if j.ID == "1" {
						return c.fail()
					}
					return nil
				})
				require.Equal(t, []string{"0", "3", "5"}, results(outcome.Done))
				require.Equal(t, []string{"1"}, results(outcome.Failed))
				require.Equal(t, []rerun.Blocked{{JobID: "2", By: "1"}, {JobID: "4", By: "1"}}, outcome.Blocked)
				require.Empty(t, outcome.NeverStarted)
				require.ErrorContains(t, outcome.Failed[0].Err, c.text)
				require.Contains(t, outcome.String(), "3 done, 1 failed, 2 blocked\n  failed: 1: ")

				incomplete, ok := errors.AsType[*rerun.IncompleteError](err)
				require.True(t, ok)
				require.Equal(t, outcome, incomplete.Outcome)
				require.ErrorContains(t, err, "rerun: 3 done, 1 failed, 2 blocked: 1: ")
				require.ErrorContains(t, err, c.text)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				if panicked, ok := errors.AsType[*rerun.PanicError](err); ok {
					require.Contains(t, string(panicked.Stack), "run_test.go", "where it was")
				}
			}
		})
	}
}

// TestRunFailureOnOneLine: a log keeps a failure together, also one of errors that
// were joined.
func TestRunFailureOnOneLine(t *testing.T) {
	p := planned(t, nil)
	outcome, err := p.Run(t.Context(), rerun.RunOptions{}, func(context.Context, segment.Job) error {
		return errors.Join(errBoom, fmt.Errorf("rolling back:\r\n%w", errBoom))
	})
	require.EqualError(t, err, "rerun: 0 done, 1 failed: 0: boom; rolling back:; boom")
	require.Equal(t, "0 done, 1 failed\n  failed: 0: boom; rolling back:; boom", outcome.String())
}

// TestRunBlockedBy: of several failures that block a step, the first in the plan
// is named, whichever came first.
func TestRunBlockedBy(t *testing.T) {
	p := planned(t, nil, nil, []int{0, 1}, []int{2})
	for _, last := range []string{"0", "1"} {
		other := make(chan struct{})
		outcome, err := p.Run(t.Context(), rerun.RunOptions{Limit: 2}, func(_ context.Context, j segment.Job) error {
			if j.ID == last {
				<-other
			} else {
				close(other)
			}
			return fmt.Errorf("%s: %w", j.ID, errBoom)
		})
		require.Equal(t, []rerun.Blocked{{JobID: "2", By: "0"}, {JobID: "3", By: "0"}}, outcome.Blocked)
		require.EqualError(t, err, "rerun: 0 done, 2 failed, 2 blocked: 0: 0: boom (and 1 more)")
	}
}

// TestRunCancelled: running steps are told by their context and waited for; what
// succeeds all the same is done; nothing else is started, and the outcome says so.
func TestRunCancelled(t *testing.T) {
	p := planned(t, nil, nil, []int{0}, []int{1}, nil, nil)
	why := errors.New("the store goes down for maintenance")
	ctx, cancel := context.WithCancelCause(t.Context())
	var both sync.WaitGroup
	both.Add(2)
	outcome, err := p.Run(ctx, rerun.RunOptions{Limit: 2}, func(ctx context.Context, j segment.Job) error {
		both.Done()
		both.Wait()
		cancel(why)
		<-ctx.Done()
		if j.ID == "0" {
			return nil // it was about to end
		}
		return context.Cause(ctx)
	})
	require.Equal(t, []string{"0"}, results(outcome.Done))
	require.Equal(t, []string{"1"}, results(outcome.Failed))
	require.Equal(t, []rerun.Blocked{{JobID: "3", By: "1"}}, outcome.Blocked)
	require.Equal(t, []string{"2", "4", "5"}, outcome.NeverStarted)
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "1 done, 1 failed, 1 blocked, 3 never started: stopped: the store goes down for maintenance")

	_, err = p.Run(ctx, rerun.RunOptions{Resume: outcome}, func(context.Context, segment.Job) error {
		return errors.New("nothing may start")
	})
	require.ErrorContains(t, err, "1 done, 5 never started", "cancelled before it began")

	outcome, err = p.Run(t.Context(), rerun.RunOptions{Resume: outcome}, succeed)
	require.NoError(t, err)
	_, err = p.Run(ctx, rerun.RunOptions{Resume: outcome}, succeed)
	require.NoError(t, err, "all was done, whatever the context says")
}

// TestRunTimes: results say when a step ran, also those of the run before.
func TestRunTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := planned(t, nil, []int{0})
		start := time.Now()
		work := func(_ context.Context, j segment.Job) error {
			time.Sleep(time.Minute)
			if j.ID == "1" {
				return errBoom
			}
			return nil
		}
		first, err := p.Run(t.Context(), rerun.RunOptions{}, work)
		require.Error(t, err)
		time.Sleep(time.Hour)
		second, err := p.Run(t.Context(), rerun.RunOptions{Resume: first}, func(context.Context, segment.Job) error { return nil })
		require.NoError(t, err)
		at := func(d time.Duration) time.Time { return start.Add(d).UTC() }
		require.Equal(t, []rerun.Result{{JobID: "0", Started: at(0), Ended: at(time.Minute)}}, first.Done)
		require.Equal(t, []rerun.Result{{JobID: "1", Started: at(time.Minute), Ended: at(2 * time.Minute), Err: errBoom}}, first.Failed)
		later := at(time.Hour + 2*time.Minute)
		require.Equal(t, []rerun.Result{first.Done[0], {JobID: "1", Started: later, Ended: later}}, second.Done)
	})
}

// TestRunProgress: one call for each start and each end, with the plan's
// numbers, and never two at a time.
func TestRunProgress(t *testing.T) {
	p := planned(t, nil, []int{0}, nil, []int{1})
	var told []rerun.Progress
	outcome, err := p.Run(t.Context(), rerun.RunOptions{Progress: func(p rerun.Progress) { told = append(told, p) }}, func(_ context.Context, j segment.Job) error {
		if j.ID == "1" {
			return errBoom
		}
		return nil
	})
	require.Error(t, err)
	var lines []string
	for _, p := range told {
		lines = append(lines, fmt.Sprintf("%s %s: %d of %d done, %d failed, %d blocked, %d running, %v", p.Job.ID, p.State, p.Done, p.Steps, p.Failed, p.Blocked, p.Running, p.Err))
	}
	require.Equal(t, []string{
		"0 running: 0 of 4 done, 0 failed, 0 blocked, 1 running, <nil>",
		"0 done: 1 of 4 done, 0 failed, 0 blocked, 0 running, <nil>",
		"1 running: 1 of 4 done, 0 failed, 0 blocked, 1 running, <nil>",
		"1 unverified: 1 of 4 done, 1 failed, 1 blocked, 0 running, boom",
		"2 running: 1 of 4 done, 1 failed, 1 blocked, 1 running, <nil>",
		"2 done: 2 of 4 done, 1 failed, 1 blocked, 0 running, <nil>",
	}, lines)

	told = nil
	diamond := planned(t, nil, []int{0}, []int{0}, []int{1, 2})
	_, err = diamond.Run(t.Context(), rerun.RunOptions{Progress: func(p rerun.Progress) { told = append(told, p) }}, func(context.Context, segment.Job) error { return errBoom })
	require.Error(t, err)
	require.Len(t, told, 2)
	require.Equal(t, 3, told[1].Blocked, "each once, though there are two ways to the last")

	told = nil
	_, err = p.Run(t.Context(), rerun.RunOptions{Resume: outcome, Limit: 4, Progress: func(p rerun.Progress) { told = append(told, p) }}, succeed)
	require.NoError(t, err)
	require.Len(t, told, 4, "two steps are left")
	require.Equal(t, 2, told[0].Done, "what was done before counts")
}

// TestRunProgressPanics: a callback's panic is the caller's, and leaves no step
// running behind.
func TestRunProgressPanics(t *testing.T) {
	p := planned(t, nil, nil, nil)
	var running atomic.Int64
	leave := func(t *testing.T, how func()) {
		t.Helper()
		_, _ = p.Run(t.Context(), rerun.RunOptions{Limit: 3, Progress: func(p rerun.Progress) {
			if p.Running == 3 {
				how()
			}
		}}, func(ctx context.Context, _ segment.Job) error {
			running.Add(1)
			<-ctx.Done()
			time.Sleep(time.Minute) // by the bubble's clock: it tidies up
			running.Add(-1)
			return ctx.Err()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		require.PanicsWithValue(t, "printer on fire", func() { leave(t, func() { panic("printer on fire") }) })
		require.Zero(t, running.Load())
		var wg sync.WaitGroup
		wg.Go(func() { leave(t, runtime.Goexit) })
		wg.Wait()
		require.Zero(t, running.Load())
	})
}

// TestRunIncomplete: steps that are all done are not everything that is affected.
func TestRunIncomplete(t *testing.T) {
	fine, twice := segment.Copy(name(1), name(0)), segment.Lookalike(name(2), name(0))
	for _, c := range []struct {
		reason   string
		jobs     []segment.Job
		affected []segment.Affected
		want     string
	}{
		{"a segment that nothing makes again", []segment.Job{fine}, []segment.Affected{{Segment: name(0)}}, "rerun: 1 done, 1 affected segment that no job writes"},
		{"a conflict", []segment.Job{fine, twice, segment.Copy(name(2), name(1))}, []segment.Affected{{Segment: name(1)}}, "rerun: 1 done, 1 conflict to solve"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			p, err := rerun.New(c.jobs, c.affected)
			require.NoError(t, err)
			outcome, err := p.Run(t.Context(), rerun.RunOptions{}, succeed)
			require.EqualError(t, err, c.want)
			require.Len(t, outcome.Done, 1)
			require.NotErrorIs(t, err, context.Canceled)
		})
	}
	p, err := rerun.New([]segment.Job{fine, twice}, nil)
	require.NoError(t, err)
	outcome, err := p.Run(t.Context(), rerun.RunOptions{}, succeed)
	require.NoError(t, err, "nothing is affected")
	require.Equal(t, rerun.Outcome{}, outcome)
}

// TestRunRefuses: nothing runs on bad input.
func TestRunRefuses(t *testing.T) {
	p := planned(t, nil, []int{0}, []int{1})
	other := planned(t, nil, []int{0}, []int{1})
	other.Steps[0].After = []string{"2"}
	lost := planned(t, nil, []int{0}, []int{1})
	lost.Steps = lost.Steps[1:]
	double := planned(t, nil, []int{0}, []int{1})
	double.Steps = append(double.Steps, double.Steps[2])
	done := func(jobs ...string) (o rerun.Outcome) {
		for _, j := range jobs {
			o.Done = append(o.Done, rerun.Result{JobID: j})
		}
		return o
	}
	for _, c := range []struct {
		reason, field string
		plan          rerun.Plan
		options       rerun.RunOptions
	}{
		{"the plan that an error came with, which has no steps", "Plan", rerun.Plan{}, rerun.RunOptions{}},
		{"a limit below none", "RunOptions.Limit", p, rerun.RunOptions{Limit: -1}},
		{"a step that waits for a later one would wait forever", "Plan.Steps[0].After", other, rerun.RunOptions{}},
		{"a step was taken out that others wait for", "Plan.Steps[0].After", lost, rerun.RunOptions{}},
		{"a step was added twice", "Plan.Steps[3].Job.ID", double, rerun.RunOptions{}},
		{"the outcome of another plan: done", "Outcome.Done[1]", p, rerun.RunOptions{Resume: done("0", "7")}},
		{"the outcome of another plan: failed", "Outcome.Failed[0]", p, rerun.RunOptions{Resume: rerun.Outcome{Failed: []rerun.Result{{JobID: "7"}}}}},
		{"the outcome of another plan: blocked", "Outcome.Blocked[0]", p, rerun.RunOptions{Resume: rerun.Outcome{Blocked: []rerun.Blocked{{JobID: "7"}}}}},
		{"the outcome of another plan: never started", "Outcome.NeverStarted[0]", p, rerun.RunOptions{Resume: rerun.Outcome{NeverStarted: []string{"7"}}}},
		{"what failed is not done, wherever a queue of one's own lists it", "Outcome.Done[1].Err", p, rerun.RunOptions{Resume: rerun.Outcome{Done: []rerun.Result{{JobID: "0"}, {JobID: "1", Err: errBoom}}}}},
		{"one outcome for each step", "Outcome.NeverStarted[0]", p, rerun.RunOptions{Resume: rerun.Outcome{Done: done("0").Done, NeverStarted: []string{"0"}}}},
		{"done before what it waits for was made again", "Outcome.Done", p, rerun.RunOptions{Resume: done("0", "2")}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			outcome, err := c.plan.Run(t.Context(), c.options, func(context.Context, segment.Job) error {
				panic("nothing may run")
			})
			requireInputError(t, c.field, err)
			require.Equal(t, rerun.Outcome{}, outcome)
			if c.options.Limit == 0 {
				_, err = c.plan.Ready(c.options.Resume)
				requireInputError(t, c.field, err)
				requireInputError(t, c.field, c.plan.Incomplete(c.options.Resume))
			}
		})
	}
	_, err := p.Run(t.Context(), rerun.RunOptions{}, nil)
	requireInputError(t, "run", err)
}

// TestResume: for every way in which a run can stop, it and the one that resumes
// it do each step once between them, also by way of JSON.
func TestResume(t *testing.T) {
	for seed := range uint64(150) {
		w := draw(rand.New(rand.NewPCG(seed, 4)), nature{cycles: true, writers: true})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		for prefix := range len(p.Steps) + 1 {
			for _, stop := range []string{"cancelled", "failing"} {
				times := map[string]int{}
				var mu sync.Mutex
				ctx, cancel := context.WithCancel(t.Context())
				first, _ := p.Run(ctx, rerun.RunOptions{Limit: prefix % 4}, func(_ context.Context, j segment.Job) error {
					mu.Lock()
					defer mu.Unlock()
					if len(times) >= prefix {
						if stop == "cancelled" {
							cancel()
						}
						return errBoom
					}
					times[j.ID]++
					return nil
				})
				cancel()
				require.Len(t, first.Done, len(times))
				require.Equal(t, len(p.Steps), len(first.Done)+len(first.Failed)+len(first.Blocked)+len(first.NeverStarted), "every step is accounted for")
				second, err := p.Run(t.Context(), rerun.RunOptions{Limit: 3, Resume: throughJSON(t, first)}, func(_ context.Context, j segment.Job) error {
					mu.Lock()
					defer mu.Unlock()
					times[j.ID]++
					return nil
				})
				require.Equal(t, len(p.Conflicts) == 0 && len(p.NoWriter) == 0, err == nil)
				require.Equal(t, ids(p.Steps), append([]string{}, results(second.Done)...))
				for _, s := range p.Steps {
					require.Equal(t, 1, times[s.Job.ID], "%s, seed %d, stopped after %d", s.Job.ID, seed, prefix)
				}
				require.Len(t, times, len(p.Steps))
			}
		}
	}
}

func throughJSON(t *testing.T, o rerun.Outcome) (back rerun.Outcome) {
	t.Helper()
	data, err := json.Marshal(o)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &back))
	for _, list := range []struct{ want, got []rerun.Result }{{o.Done, back.Done}, {o.Failed, back.Failed}} {
		require.Len(t, list.got, len(list.want))
		for i, want := range list.want {
			got := list.got[i]
			if want.Err != nil {
				require.EqualError(t, got.Err, want.Err.Error())
			}
			want.Err, got.Err = nil, nil
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, o.Blocked, back.Blocked)
	require.Equal(t, o.NeverStarted, back.NeverStarted)
	return back
}

func TestOutcomeJSON(t *testing.T) {
	at := time.Date(2024, 3, 22, 9, 0, 0, 0, time.UTC)
	data, err := json.Marshal(rerun.Outcome{
		Done:         []rerun.Result{{JobID: "a", Started: at, Ended: at.Add(time.Second)}},
		Failed:       []rerun.Result{{JobID: "b", Started: at, Ended: at, Err: fmt.Errorf("reading: %w", fs.ErrNotExist)}},
		Blocked:      []rerun.Blocked{{JobID: "c", By: "b"}},
		NeverStarted: []string{"d"},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"done": [{"job_id": "a", "started": "2024-03-22T09:00:00Z", "ended": "2024-03-22T09:00:01Z"}],
		"failed": [{"job_id": "b", "started": "2024-03-22T09:00:00Z", "ended": "2024-03-22T09:00:00Z", "error": "reading: file does not exist"}],
		"blocked": [{"job_id": "c", "by": "b"}],
		"never_started": ["d"]
	}`, string(data))
	var o rerun.Outcome
	require.Error(t, json.Unmarshal([]byte(`{"done": [{"job_id": 1}]}`), &o))
}

// TestReady: a queue that takes what is ready, one step at a time and in any
// order, does each step once, and none before what it waits for.
func TestReady(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		w := draw(r, nature{cycles: true, writers: true})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		var o rerun.Outcome
		order := []string{}
		for range p.Steps {
			ready, err := p.Ready(o)
			require.NoError(t, err)
			require.NotEmpty(t, ready)
			for _, s := range p.Steps {
				can := !slices.Contains(order, s.Job.ID) && !slices.ContainsFunc(s.After, func(id string) bool { return !slices.Contains(order, id) })
				require.Equal(t, can, slices.Contains(ids(ready), s.Job.ID))
			}
			next := ready[r.IntN(len(ready))].Job.ID
			order = append(order, next)
			o.Done = append(o.Done, rerun.Result{JobID: next})
		}
		ready, err := p.Ready(o)
		require.NoError(t, err)
		require.Empty(t, ready)
		require.ElementsMatch(t, ids(p.Steps), order)
	}
	p := planned(t, nil, nil)
	ready, err := p.Ready(rerun.Outcome{Failed: []rerun.Result{{JobID: "0"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, ids(ready), "what failed is left to do")
}

// openAlerts are the alerts that are open, by segment.
type openAlerts struct {
	mu   sync.Mutex
	open map[segment.ID]string
}

func (a *openAlerts) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alert := range resolved {
		delete(a.open, alert.Segment)
	}
	for _, alert := range firing {
		a.open[alert.Segment] = string(alert.Kind)
	}
	return nil
}

// TestStepThatWaitsForItself is no plan: it would never start.
func TestStepThatWaitsForItself(t *testing.T) {
	p, err := rerun.New([]segment.Job{segment.Copy(name(1), name(0))}, []segment.Affected{{Segment: name(1)}})
	require.NoError(t, err)
	p.Steps[0].After = []string{p.Steps[0].Job.ID}
	_, err = p.Run(t.Context(), rerun.RunOptions{}, func(context.Context, segment.Job) error { return nil })
	require.ErrorContains(t, err, "Plan.Steps[0].After")
	require.ErrorContains(t, err, "want a step that comes before it")
}

// TestRunGuarded: a rerun that makes the same mistake fails by its guard and
// keeps back what reads it; one that does not resolves the segment's alert.
func TestRunGuarded(t *testing.T) {
	seed, like, copied := at("site-a", "buyers"), at("site-a", "cars"), at("site-b", "cars")
	jobs := []segment.Job{segment.Copy(copied, like), segment.Lookalike(like, seed)}
	live := map[segment.ID]int64{seed: 5000, like: 9000, copied: 9000}
	alerts := &openAlerts{open: map[segment.ID]string{}}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory(), Alerter: alerts})
	require.NoError(t, err)
	stores := map[segment.JobKind]int64{segment.JobKindLookalike: 0, segment.JobKindCopy: 10_000} // the bugs
	runs := 0
	job := func(ctx context.Context, j segment.Job) error {
		runs++
		expected := int64(20_000)
		if j.Kind == segment.JobKindCopy {
			expected = live[j.From[0]]
		}
		stored := min(expected, stores[j.Kind])
		_, err := guard.Commit(ctx, segment.Run{
			ID: strconv.Itoa(runs), Job: j, Expected: validate.Count(expected),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { live[j.To] = stored; return nil }},
		})
		return err
	}
	require.ErrorIs(t, job(t.Context(), jobs[1]), validate.Empty)
	require.Equal(t, map[segment.ID]string{like: "empty"}, alerts.open)

	plan, err := rerun.New(jobs, []segment.Affected{{Segment: like, Users: live[like]}})
	require.NoError(t, err)
	outcome, err := plan.Run(t.Context(), rerun.RunOptions{Limit: 2}, job)
	require.ErrorIs(t, err, validate.Empty, "nothing was fixed yet")
	require.Equal(t, []rerun.Blocked{{JobID: jobs[0].ID, By: jobs[1].ID}}, outcome.Blocked)
	require.Equal(t, map[segment.ID]string{like: "empty"}, alerts.open)

	stores[segment.JobKindLookalike] = 1_000_000 // one fix is deployed
	outcome, err = plan.Run(t.Context(), rerun.RunOptions{Resume: throughJSON(t, outcome)}, job)
	require.ErrorIs(t, err, validate.Capped)
	require.Equal(t, []string{jobs[1].ID}, results(outcome.Done))
	require.Equal(t, map[segment.ID]string{copied: "capped"}, alerts.open, "the alert of the segment that is whole again is resolved")

	stores[segment.JobKindCopy] = 1_000_000 // and the other
	before := runs
	_, err = plan.Run(t.Context(), rerun.RunOptions{Resume: throughJSON(t, outcome)}, job)
	require.NoError(t, err)
	require.Equal(t, before+1, runs, "only what was left")
	require.Empty(t, alerts.open)
	require.Equal(t, map[segment.ID]int64{seed: 5000, like: 20_000, copied: 20_000}, live)
}
