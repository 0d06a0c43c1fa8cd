package rivertest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/segment/riversegment"
	"github.com/segmentguard/segmentguard/validate"
)

// platform returns ten chains of two jobs that meet in diamonds: lookalikes, copies, and
// lookalikes and copies of each two of these.
func platform() (jobs []segment.Job) {
	const seeds = 10
	for i := range seeds {
		n := func(name string, i int) string { return fmt.Sprint(name, i%seeds) }
		jobs = append(jobs,
			job(n("like", i), n("seed", i), n("seed", i+1)),
			job(n("copy", i), n("like", i)),
			job(n("wide", i), n("copy", i), n("copy", i+1)),
			job(n("last", i), n("wide", i)),
		)
	}
	for i := range jobs {
		jobs[i].Priority = i % 3
	}
	return jobs
}

// Of three processes one is killed in the middle of a step: it has written users, and
// waits for a lock that the test holds.
func TestKilled(t *testing.T) {
	b := newBench(t)
	p := b.insert(t, "night", platform()...)
	victim := p.Steps[len(p.Steps)/2].Job
	b.exec(t, "INSERT INTO lock VALUES ($1)", victim.To.String())
	lock, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "SELECT FROM lock FOR UPDATE")
	require.NoError(t, err)
	workers := map[string]*enginetest.Process{}
	for _, name := range []string{"one", "two", "three"} {
		workers[name] = b.database.Start(t, "worker", name)
	}
	killed := b.waiting(t, lock)
	require.Equal(t, segment.StepRunning, b.steps(t, "night")[victim.ID].Progress.State)
	workers[killed].Kill(t)
	require.NoError(t, lock.Rollback(t.Context()))
	delete(workers, killed)

	by := map[string]int{}
	for _, s := range b.ended(t, "night") {
		require.Equal(t, segment.StepDone, s.Progress.State, s.Job.ID)
		by[s.Progress.Worker]++
		if s.Job.ID == victim.ID {
			require.Greater(t, s.Progress.Attempt, 1)
			require.NotEqual(t, killed, s.Progress.Worker)
		}
	}
	t.Log("steps by worker:", by, "killed:", killed)
	b.requireOnce(t, len(p.Steps))
	require.Equal(t, len(p.Steps), b.ask(t, "SELECT count(*) FROM river_job"), "each step was inserted once")
	for _, w := range workers {
		w.Say(t, "end")
	}
	for _, w := range workers {
		w.End(t)
	}
}

// Each way for a step to go wrong, with a step that waits for it, and a diamond.
func TestFailures(t *testing.T) {
	b := newBench(t)
	broken := func(err error) func(segment.Run) (validate.Summary, error) {
		return func(segment.Run) (validate.Summary, error) { return validate.Unknown(), err }
	}
	stores := func(s validate.Summary) func(segment.Run) (validate.Summary, error) {
		return func(segment.Run) (validate.Summary, error) { return s, nil }
	}
	first := map[string]func(segment.Run) (validate.Summary, error){
		"unverified": broken(errors.New("out of reach")),
		"undecided":  stores(validate.Estimate(9, 0.1)),
		"proven":     stores(validate.Count(5)),
	}
	good := b.guarded(t, ten)
	bad := b.guarded(t, func(run segment.Run) (validate.Summary, error) { return first[run.Job.ID](run) })
	// diamond: top ← proven, other; both ← bottom; alone reads other.
	jobs := []segment.Job{job("top"), job("proven", "top"), job("other", "top"), job("bottom", "proven", "other"), job("below", "bottom"), job("alone", "other")}
	for _, name := range []string{"unverified", "undecided", "broken", "panics", "forgets"} {
		jobs = append(jobs, job(name), job("after "+name, name))
	}
	b.insert(t, "night", jobs...)
	b.inProcess(t, 4, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		switch {
		case run.Attempt > 1 && run.Job.ID != "proven":
			for s, err := range b.ledger.Steps(ctx, segment.StepFilter{Plan: "night", State: segment.StepCancelled}) {
				if err != nil || s.Job.ID == "after "+run.Job.ID {
					t.Errorf("%s is cancelled by what may be mended: %v", s.Job.ID, err)
				}
			}
			return good(ctx, tx, run)
		case first[run.Job.ID] != nil:
			return bad(ctx, tx, run)
		case run.Job.ID == "broken":
			return errors.New("broken")
		case run.Job.ID == "panics":
			panic("a bug")
		case run.Job.ID == "forgets":
			return nil
		}
		return good(ctx, tx, run)
	})
	steps := b.ended(t, "night")
	number := steps["proven"].Number
	for name, s := range steps {
		p := s.Progress
		switch name {
		case "proven":
			require.Equal(t, []any{segment.StepFailed, 1}, []any{p.State, p.Attempt}, "it would store 5 again")
			require.Contains(t, p.Err, "site-a/proven: stored 5 of 10 users")
		case "bottom", "below":
			require.Equal(t, []any{segment.StepCancelled, number}, []any{p.State, p.Blocker}, name)
		case "unverified", "undecided", "broken", "panics", "forgets":
			require.Equal(t, []any{segment.StepDone, 2}, []any{p.State, p.Attempt}, "%s: another attempt helps", name)
			require.Empty(t, p.Err)
		default:
			require.Equal(t, []any{segment.StepDone, 1, 0}, []any{p.State, p.Attempt, p.Blocker}, name)
		}
	}
	b.requireOnce(t, len(jobs)-3)
	var state string
	var report validate.Report
	require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT state, metadata -> 'report' FROM river_job WHERE metadata ? 'report'").Scan(&state, &report), "there is one")
	require.Equal(t, "cancelled", state)
	require.Equal(t, validate.Short, report.Findings[0].Kind)
	require.Zero(t, b.ask(t, "SELECT count(*) FROM river_job WHERE args ->> 'job' IN ('bottom', 'below')"), "what is cancelled never was in River")

	plan, outcome, err := rerun.Load(t.Context(), b.ledger, "night")
	require.NoError(t, err)
	require.Error(t, plan.Incomplete(outcome))
	require.Len(t, outcome.Blocked, 2)
}

// A step whose last attempt fails has failed, whatever the reason.
func TestGivenUp(t *testing.T) {
	b := newBench(t)
	b.insert(t, "night", job("one"), job("two", "one"), job("three"))
	b.exec(t, "UPDATE river_job SET max_attempts = 2")
	good := b.guarded(t, ten)
	b.inProcess(t, 2, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		if run.Job.ID == "one" {
			return errors.New("broken")
		}
		return good(ctx, tx, run)
	})
	steps := b.ended(t, "night")
	require.Equal(t, []any{segment.StepFailed, 2, "broken"}, []any{steps["one"].Progress.State, steps["one"].Progress.Attempt, steps["one"].Progress.Err})
	require.Equal(t, segment.StepCancelled, steps["two"].Progress.State)
	require.Equal(t, segment.StepDone, steps["three"].Progress.State)
}

// A plan that stopped half-way goes on where it was, also where River forgot its jobs.
func TestResume(t *testing.T) {
	b := newBench(t)
	b.insert(t, "night", job("one"), job("two", "one"), job("three", "two"), job("other"), job("lost"))
	b.exec(t, "DELETE FROM river_job WHERE args ->> 'job' = 'lost'")
	mended := false
	good, bad := b.guarded(t, ten), b.guarded(t, func(segment.Run) (validate.Summary, error) { return validate.Count(0), nil })
	b.inProcess(t, 1, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		if run.Job.ID == "two" && !mended {
			return bad(ctx, tx, run)
		}
		return good(ctx, tx, run)
	})
	eventually(t, "all has run that can", func() bool {
		counts, err := b.ledger.CountSteps(t.Context(), "night")
		require.NoError(t, err)
		return counts[segment.StepDone] == 2 && counts[segment.StepCancelled] == 1
	})
	b.exec(t, "DELETE FROM river_job WHERE state IN ('completed', 'cancelled')")
	mended = true
	require.NoError(t, b.reruns.Resume(t.Context(), b.client, "night"))
	require.NoError(t, b.reruns.Resume(t.Context(), b.client, "night"), "again is the same")
	for name, s := range b.ended(t, "night") {
		require.Equal(t, segment.StepDone, s.Progress.State, name)
	}
	b.requireOnce(t, 5)
	require.Equal(t, 2, b.steps(t, "night")["two"].Progress.Attempt)
	bad2, ok := errors.AsType[*validate.InputError](b.reruns.Resume(t.Context(), b.client, "nobody's"))
	require.True(t, ok)
	require.Equal(t, "Resume: id", bad2.Field)
}

// River's own retry of a cancelled job goes on with what waits for it.
func TestRetriedByRiver(t *testing.T) {
	b := newBench(t)
	b.insert(t, "night", job("one"), job("two", "one"), job("three", "two"))
	good, bad := b.guarded(t, ten), b.guarded(t, func(segment.Run) (validate.Summary, error) { return validate.Count(0), nil })
	b.inProcess(t, 1, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		if run.Job.ID == "one" && run.Attempt == 1 {
			return bad(ctx, tx, run)
		}
		return good(ctx, tx, run)
	})
	require.Equal(t, segment.StepCancelled, b.ended(t, "night")["three"].Progress.State)
	eventually(t, "River cancelled the job", func() bool { return b.ask(t, "SELECT count(*) FROM river_job WHERE state = 'cancelled'") == 1 })
	_, err := b.client.JobRetry(t.Context(), int64(b.ask(t, "SELECT id FROM river_job")))
	require.NoError(t, err)
	eventually(t, "all is done", func() bool {
		counts, err := b.ledger.CountSteps(t.Context(), "night")
		require.NoError(t, err)
		return counts[segment.StepDone] == 3
	})
	b.requireOnce(t, 3)
}

// Two plans that write the same segments run at the same time: each does all of its steps
// once, and each of them is recorded.
func TestTwoPlans(t *testing.T) {
	b := newBench(t)
	jobs := platform()[:20]
	b.insert(t, "night", jobs...)
	b.insert(t, "morning", jobs[4:16]...)
	b.inProcess(t, 6, b.guarded(t, ten))
	for name, steps := range map[string]int{"night": 20, "morning": 12} {
		done := b.ended(t, name)
		require.Len(t, done, steps)
		for _, s := range done {
			require.Equal(t, segment.StepDone, s.Progress.State, "%s: %s", name, s.Job.ID)
		}
	}
	require.Equal(t, 32, b.ask(t, "SELECT count(*) FROM made"))
	require.Zero(t, b.ask(t, "SELECT count(*) FROM (SELECT FROM made GROUP BY segment, plan HAVING count(*) > 1) AS twice"))
	require.Equal(t, 32, b.ask(t, "SELECT count(*) FROM segmentguard_log WHERE action = 'recorded' AND state = 'committed'"))
}

// A plan is inserted as a whole, once.
func TestInsert(t *testing.T) {
	b := newBench(t)
	p := b.insert(t, "night", job("one"), job("two", "one"), job("three"))
	require.Equal(t, 2, b.ask(t, "SELECT count(*) FROM river_job"), "what waits for none")
	require.ErrorIs(t, b.reruns.Insert(t.Context(), b.client, "night", p, planning), segment.ErrPlanKnown)
	require.Equal(t, 2, b.ask(t, "SELECT count(*) FROM river_job"))
	_, bad := errors.AsType[*validate.InputError](b.reruns.Insert(t.Context(), b.client, "empty", rerun.Plan{}, planning))
	require.True(t, bad, "that is no plan by which nothing is to do")

	b.exec(t, "ALTER TABLE river_job RENAME TO gone")
	require.Error(t, b.reruns.Insert(t.Context(), b.client, "morning", p, planning))
	for range b.ledger.Plans(t.Context(), segment.PlanFilter{ID: "morning"}) {
		t.Fatal("the ledger has a plan of which River knows nothing")
	}
}

// One worker that runs one step at a time keeps to the plan's order, though what has the
// higher priority is inserted last.
func TestOrder(t *testing.T) {
	b := newBench(t)
	high := job("high", "first")
	high.Priority = 10
	p := b.insert(t, "night", job("first"), high, job("low-1"), job("low-2"), job("low-3"))
	require.Equal(t, "high", p.Steps[1].Job.ID)
	b.inProcess(t, 1, b.guarded(t, ten))
	steps := slices.SortedFunc(maps.Values(b.ended(t, "night")), func(a, b segment.PlanStep) int { return a.Progress.Ended.Compare(b.Progress.Ended) })
	for i, s := range steps {
		require.Equal(t, i+1, s.Number)
	}
}

// A worker that was given up too early and the one that took over have the effect of one.
func TestTakenOver(t *testing.T) {
	for _, test := range []struct {
		state  string // into which River's rescuer puts the job that runs
		effect int    // of which attempt
		reason string
	}{
		{"available", 1, "the second attempt waits for the first, and finds the step done"},
		{"retryable", 2, "the first attempt finds that the job is not its own any more"},
	} {
		t.Run(test.state, func(t *testing.T) {
			b := newBench(t)
			b.insert(t, "night", job("one"), job("two", "one"))
			began, goOn, ended := make(chan pgx.Tx), make(chan struct{}), make(chan error, 1)
			good := b.guarded(t, ten)
			b.inProcess(t, 2, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
				if run.Job.ID != "one" || run.Attempt != 1 {
					return good(ctx, tx, run)
				}
				began <- tx
				<-goOn
				err := good(ctx, tx, run)
				ended <- err
				return err
			})
			first := <-began
			put := func(state, in string) {
				b.exec(t, "UPDATE river_job SET state = $1, scheduled_at = now() + $2::interval WHERE args ->> 'number' = '1'", state, in)
			}
			if test.effect == 1 {
				put("available", "0")
				b.waiting(t, first)
				close(goOn)
				require.NoError(t, <-ended, test.reason)
			} else {
				put("retryable", "1 day")
				close(goOn)
				require.ErrorContains(t, <-ended, "retryable, want running", test.reason)
				put("available", "0")
			}
			for name, s := range b.ended(t, "night") {
				require.Equal(t, segment.StepDone, s.Progress.State, name)
			}
			b.requireOnce(t, 2)
			require.Equal(t, test.effect, b.ask(t, "SELECT attempt FROM made WHERE segment = 'site-a/one'"), test.reason)
		})
	}
}

// The two steps that a third one waits for end at the same moment, on two connections as
// on two machines.
func TestTogether(t *testing.T) {
	b := newBench(t)
	for _, test := range []struct {
		name   string
		end    func(pgx.Tx, context.Context) error
		ready  int
		reason string
	}{
		{"both-commit", pgx.Tx.Commit, 1, "the second sees that the first is done"},
		{"the-first-rolls-back", pgx.Tx.Rollback, 0, "the second sees that the first is not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.insert(t, test.name, job("one"), job("two"), job("last", "one", "two"))
			var steps [2]segment.PlanStep
			var txs [2]pgx.Tx
			for i := range txs {
				var err error
				steps[i], err = rerun.StartStep(t.Context(), b.ledger, test.name, i+1, segment.StepProgress{RunID: "r"})
				require.NoError(t, err)
				txs[i], err = b.pool.Begin(t.Context())
				require.NoError(t, err)
				defer func() { _ = txs[i].Rollback(context.WithoutCancel(t.Context())) }()
			}
			_, err := rerun.EndStep(t.Context(), b.ledger.Tx(txs[0]), steps[0], planning.At)
			require.NoError(t, err)
			done := make(chan error, 1)
			var ready []segment.PlanStep
			go func() {
				var err error
				ready, err = rerun.EndStep(t.Context(), b.ledger.Tx(txs[1]), steps[1], planning.At)
				done <- err
			}()
			b.waiting(t, txs[0])
			require.NoError(t, test.end(txs[0], t.Context()))
			require.NoError(t, <-done)
			require.Len(t, ready, test.ready, test.reason)
		})
	}
}

// Each attempt at a step has a span, with the guard's inside it.
func TestSpans(t *testing.T) {
	b := newBench(t)
	b.insert(t, "night", job("one"), job("two", "one"))
	spans := tracetest.NewSpanRecorder()
	good, bad := b.guarded(t, ten), b.guarded(t, func(segment.Run) (validate.Summary, error) { return validate.Count(5), nil })
	b.inProcess(t, 1, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		if run.Job.ID == "two" {
			return bad(ctx, tx, run)
		}
		return good(ctx, tx, run)
	}, func(c *riversegment.Config) {
		c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	})
	b.ended(t, "night")
	eventually(t, "both spans have ended", func() bool { return len(spans.Ended()) == 2 })
	for i, want := range []string{"one", "two"} {
		s := spans.Ended()[i]
		require.Equal(t, "run rerun step", s.Name())
		require.Equal(t, "github.com/segmentguard/segmentguard/segment/riversegment", s.InstrumentationScope().Name)
		got := map[string]any{}
		for _, a := range s.Attributes() {
			got[string(a.Key)] = a.Value.AsInterface()
		}
		attributes := map[string]any{
			"segmentguard.plan.id": "night", "segmentguard.step.number": int64(i + 1), "segmentguard.run.id": fmt.Sprintf("plan night step %d", i+1),
			"segmentguard.run.attempt": int64(1), "segmentguard.segment": "site-a/" + want, "segmentguard.site_group": "site-a",
			"segmentguard.job.kind": "copy", "segmentguard.job.id": want,
		}
		if want == "two" {
			attributes["error.type"] = "failed"
		}
		require.Equal(t, attributes, got)
	}
}

// Nothing works without what it needs.
func TestBadConfigs(t *testing.T) {
	b := newBench(t)
	for field, c := range map[string]riversegment.Config{
		"Config.Pool":   {Ledger: b.ledger},
		"Config.Ledger": {Pool: b.pool},
	} {
		_, err := riversegment.New(c)
		bad, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, field)
		require.Equal(t, field, bad.Field)
	}
	b.insert(t, "night", job("one"))
	b.exec(t, "UPDATE river_job SET max_attempts = 1")
	b.inProcess(t, 1, nil)
	require.Contains(t, b.ended(t, "night")["one"].Progress.Err, "Config.Remake")
}

var _ river.JobArgs = riversegment.StepArgs{}
