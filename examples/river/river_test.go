package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// TestMain lets the test's own program be the workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping postgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Of three processes one is killed in the middle of a step: it has written users,
// and waits for a lock that the test holds.
func TestKilled(t *testing.T) {
	dsn, pool := newDatabase(t)
	require.NoError(t, createPlatform(t.Context(), pool))
	plan, id := planned(t, pool)
	victim := plan.Steps[len(plan.Steps)/2].Job

	lock, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "SELECT FROM segment WHERE id = $1 FOR UPDATE", victim.To.String())
	require.NoError(t, err)
	var c crew
	defer c.stop()
	for range 3 {
		require.NoError(t, c.add(t.Context(), options{dsn: dsn, timeout: 5 * time.Second}))
	}
	killed := waiting(t, pool, lock)
	kill(t, &c, killed)
	require.NoError(t, lock.Rollback(t.Context()))

	steps := finished(t, pool, id)
	by := map[string]int{}
	for _, s := range steps {
		require.Equal(t, segment.StepDone, s.State, s)
		by[s.Worker]++
		if s.Job == victim.ID {
			require.Greater(t, s.Attempt, 1)
			require.NotEqual(t, killed, s.Worker)
		}
	}
	require.Len(t, steps, len(plan.Steps))
	require.Equal(t, len(plan.Steps), ask(t, pool, "SELECT count(*) FROM river_job"), "each step was inserted once")
	t.Log("steps by worker:", by, "killed:", killed)
	rows, err := pool.Query(t.Context(), "SELECT id, made, (SELECT count(*) FROM segment_user u WHERE u.segment = s.id) FROM segment s ORDER BY id")
	require.NoError(t, err)
	var name string
	var made, users int
	_, err = pgx.ForEachRow(rows, []any{&name, &made, &users}, func() error {
		want := 1
		if strings.HasPrefix(name, "site-a/seed-") {
			want = 0
		}
		require.Equal(t, want, made, "how often %s was made", name)
		require.GreaterOrEqual(t, users, usersPerSeed, name)
		return nil
	})
	require.NoError(t, err)
}

// kill ends a worker with SIGKILL, and returns when it is gone.
func kill(t *testing.T, c *crew, worker string) {
	t.Helper()
	i := slices.IndexFunc(c.processes, func(process *exec.Cmd) bool {
		name, err := workerName(process.Process.Pid)
		return err == nil && name == worker
	})
	require.GreaterOrEqual(t, i, 0, worker)
	require.NoError(t, c.processes[i].Process.Kill())
	eventually(t, "the worker is gone", func() bool {
		return errors.Is(c.processes[i].Process.Signal(syscall.Signal(0)), os.ErrProcessDone)
	})
}

// waiting is the worker that waits for a lock of tx.
func waiting(t *testing.T, pool *pgxpool.Pool, tx pgx.Tx) (worker string) {
	t.Helper()
	eventually(t, "a worker waits for the lock", func() bool {
		err := pool.QueryRow(t.Context(), "SELECT application_name FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))",
			tx.Conn().PgConn().PID()).Scan(&worker)
		if !errors.Is(err, pgx.ErrNoRows) {
			require.NoError(t, err)
		}
		return err == nil
	})
	return worker
}

// planned starts the plan of jobs, or of the platform.
func planned(t *testing.T, pool *pgxpool.Pool, jobs ...segment.Job) (rerun.Plan, int64) {
	t.Helper()
	var affected []segment.Affected
	for _, j := range jobs {
		affected = append(affected, segment.Affected{Segment: j.To})
	}
	if jobs == nil {
		jobs, affected = platform()
	}
	plan, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	id, err := start(t.Context(), pool, plan)
	require.NoError(t, err)
	return plan, id
}

func finished(t *testing.T, pool *pgxpool.Pool, id int64) (steps []state) {
	t.Helper()
	eventually(t, "the plan has ended", func() bool {
		var err error
		steps, err = states(t.Context(), pool, id)
		require.NoError(t, err)
		_, ended := outcome(steps)
		return ended
	})
	return steps
}

// The two steps that a third one waits for end at the same moment, on two
// connections as on two machines.
func TestTogether(t *testing.T) {
	_, pool := newDatabase(t)
	for _, test := range []struct {
		name     string
		end      func(pgx.Tx, context.Context) error
		inserted int
		reason   string
	}{
		{"both commit", pgx.Tx.Commit, 1, "the second sees that the first is done"},
		{"the first rolls back", pgx.Tx.Rollback, 0, "the second sees that the first is not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, id := planned(t, pool, job("one"), job("two"), job("last", "one", "two"))
			client, err := inserter(pool)
			require.NoError(t, err)
			first, second := begin(t, pool), begin(t, pool)
			require.NoError(t, finish(t.Context(), first, client, stepArgs{Plan: id, Number: 1}))
			done := make(chan error, 1)
			go func() { done <- finish(t.Context(), second, client, stepArgs{Plan: id, Number: 2}) }()
			waiting(t, pool, first)
			require.NoError(t, test.end(first, t.Context()))
			require.NoError(t, <-done)
			require.NoError(t, second.Commit(t.Context()))
			require.Equal(t, test.inserted, insertions(t, pool, id, 3), test.reason)
			if test.inserted > 0 {
				return
			}
			again := begin(t, pool)
			require.NoError(t, finish(t.Context(), again, client, stepArgs{Plan: id, Number: 1}))
			require.NoError(t, again.Commit(t.Context()))
			require.Equal(t, 1, insertions(t, pool, id, 3), "the first is done now")
		})
	}
}

func begin(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // for a test that failed
	return tx
}

func insertions(t *testing.T, pool *pgxpool.Pool, plan int64, number int) int {
	t.Helper()
	return ask(t, pool, "SELECT count(*) FROM river_job WHERE args @> jsonb_build_object('plan', $1::bigint, 'number', $2::int)", plan, number)
}

// ask is the number that a query returns.
func ask(t *testing.T, pool *pgxpool.Pool, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), query, args...).Scan(&n), query)
	return n
}

// job reads from others by their names.
func job(name string, from ...string) segment.Job {
	j := segment.Job{ID: name, Kind: segment.JobKindCopy, To: named("site-a", name, 0)}
	for _, f := range from {
		j.From = append(j.From, named("site-a", f, 0))
	}
	return j
}

// Each way for a step to go wrong, with one step that waits for it.
func TestFailures(t *testing.T) {
	dsn, pool := newDatabase(t)
	tests := []struct {
		name   string
		first  func(*attempt) error
		then   segment.StepState
		reason string
	}{
		{"proven", func(a *attempt) error { return a.stores(validate.Count(5), nil) }, segment.StepFailed, "it would store 5 again"},
		{"unverified", func(a *attempt) error { return a.stores(validate.Unknown(), errors.New("out of reach")) }, segment.StepDone, "the next time it may be read back"},
		{"undecided", func(a *attempt) error { return a.stores(validate.Estimate(9, 0.1), nil) }, segment.StepDone, "the estimate may be closer the next time"},
		{"broken", func(*attempt) error { return errors.New("broken") }, segment.StepDone, "nothing is proven"},
		{"panics", func(*attempt) error { panic("a bug") }, segment.StepDone, "nothing is proven"},
		{"forgets", func(*attempt) error { return nil }, segment.StepDone, "what did not commit is not done"},
	}
	first := map[string]func(*attempt) error{}
	var jobs []segment.Job
	for _, test := range tests {
		first[test.name] = test.first
		jobs = append(jobs, job(test.name), job("after "+test.name, test.name))
	}
	_, id := planned(t, pool, jobs...)
	inProcess(t, dsn, 4, func(a *attempt) error {
		if fail := first[a.run.Job.ID]; fail != nil && a.run.Attempt == 1 {
			return fail(a)
		}
		return a.stores(validate.Count(10), nil)
	})
	by := map[string]state{}
	for _, s := range finished(t, pool, id) {
		by[s.Job] = s
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, after := by[test.name], by["after "+test.name]
			require.Equal(t, test.then, got.State, test.reason)
			if test.then == segment.StepDone {
				require.Equal(t, 2, got.Attempt)
				require.Equal(t, segment.StepDone, after.State)
				return
			}
			require.Equal(t, 1, got.Attempt)
			require.Contains(t, got.Error, "site-a/proven-0: stored 5 of 10 users")
			require.Equal(t, segment.StepCancelled, after.State)
			require.Equal(t, test.name, after.BlockedBy)
			require.Zero(t, insertions(t, pool, id, after.Number))
		})
	}

	var job string
	var report validate.Report
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT state, metadata -> 'report' FROM river_job WHERE metadata ? 'report'").Scan(&job, &report), "there is one")
	require.Equal(t, "cancelled", job)
	require.False(t, report.Passed())
	require.Equal(t, validate.Short, report.Findings[0].Kind)

	_, err := pool.Exec(t.Context(), "DELETE FROM river_job WHERE state <> 'running'")
	require.NoError(t, err)
	o, _ := outcome(finished(t, pool, id))
	require.Len(t, o.Done, 10)
	require.Len(t, o.Blocked, 1)
	require.EqualError(t, o.Failed[0].Err, "its River job is gone", "River's cleaner makes nothing done")
}

// After the fix, the failed step's River job is retried, and the plan goes on.
func TestRetried(t *testing.T) {
	dsn, pool := newDatabase(t)
	_, id := planned(t, pool, job("one"), job("two", "one"))
	inProcess(t, dsn, 1, func(a *attempt) error {
		if a.run.Attempt == 1 && a.run.Job.ID == "one" {
			return a.stores(validate.Count(0), nil)
		}
		return a.stores(validate.Count(10), nil)
	})
	require.Equal(t, segment.StepCancelled, finished(t, pool, id)[1].State)
	client, err := inserter(pool)
	require.NoError(t, err)
	_, err = client.JobRetry(t.Context(), int64(ask(t, pool, "SELECT river_job FROM rerun_step WHERE plan = $1 AND number = 1", id)))
	require.NoError(t, err)
	for _, s := range finished(t, pool, id) {
		require.Equal(t, segment.StepDone, s.State)
		require.Empty(t, s.Error)
		require.Equal(t, 1, insertions(t, pool, id, s.Number))
	}
}

// A worker that was given up too early and the one that took over have the
// effect of one.
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
			dsn, pool := newDatabase(t)
			_, err := pool.Exec(t.Context(), "CREATE TABLE effect (step text, attempt int)")
			require.NoError(t, err)
			_, id := planned(t, pool, job("one"), job("two", "one"))
			began, goOn, ended := make(chan pgx.Tx), make(chan struct{}), make(chan error, 1)
			inProcess(t, dsn, 2, func(a *attempt) error {
				if _, err := a.tx.Exec(t.Context(), "INSERT INTO effect VALUES ($1, $2)", a.run.Job.ID, a.run.Attempt); err != nil {
					return err
				}
				if a.run.Job.ID != "one" || a.run.Attempt != 1 {
					return a.stores(validate.Count(10), nil)
				}
				began <- a.tx
				<-goOn
				err := a.stores(validate.Count(10), nil)
				ended <- err
				return err
			})
			first := <-began
			put := func(state, in string) {
				_, err := pool.Exec(t.Context(), "UPDATE river_job SET state = $1, scheduled_at = now() + $2::interval WHERE args ->> 'number' = '1'", state, in)
				require.NoError(t, err)
			}
			if test.effect == 1 {
				put("available", "0")
				waiting(t, pool, first)
				close(goOn)
				require.NoError(t, <-ended, test.reason)
			} else {
				put("retryable", "1 day")
				close(goOn)
				require.ErrorContains(t, <-ended, "retryable, want running", test.reason)
				put("available", "0")
			}
			for _, s := range finished(t, pool, id) {
				require.Equal(t, segment.StepDone, s.State)
				require.Equal(t, 1, insertions(t, pool, id, s.Number))
			}
			rows, err := pool.Query(t.Context(), "SELECT step || ' ' || attempt FROM effect ORDER BY 1")
			require.NoError(t, err)
			effects, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.Equal(t, []string{fmt.Sprint("one ", test.effect), "two 1"}, effects, test.reason)
		})
	}
}

// An attempt is a step that a worker of the test's own process runs.
type attempt struct {
	tx  pgx.Tx
	run segment.Run
	// stores ends the step as if this was read back, of ten users.
	stores func(stored validate.Summary, err error) error
}

// inProcess works until the test ends.
func inProcess(t *testing.T, dsn string, atOnce int, do func(*attempt) error) {
	t.Helper()
	guard, err := segment.NewGuard(segment.GuardConfig{Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- work(ctx, dsn, atOnce, time.Minute, func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
			return do(&attempt{tx, run, func(stored validate.Summary, err error) error {
				run.Expected = validate.Count(10)
				run.Stored = func(context.Context) (validate.Summary, error) { return stored, err }
				_, err = guard.Commit(ctx, run)
				return err
			}})
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
}

func TestPriorities(t *testing.T) {
	for _, test := range []struct {
		plan   []int
		river  map[int]int
		reason string
	}{
		{[]int{0, 0}, map[int]int{0: 1}, "all are alike"},
		{[]int{-5, 7, 0}, map[int]int{7: 1, 0: 2, -5: 3}, "higher ones first"},
		{[]int{1, 2, 3, 4}, map[int]int{4: 1, 3: 2, 2: 3, 1: 4}, "River's other way round"},
		{[]int{1, 2, 3, 4, 5, 6, 7, 8}, map[int]int{8: 1, 7: 1, 6: 2, 5: 2, 4: 3, 3: 3, 2: 4, 1: 4}, "shared evenly"},
		{[]int{1, 2, 3, 4, 5}, map[int]int{5: 1, 4: 1, 3: 2, 2: 3, 1: 4}, "as evenly as it goes"},
	} {
		var steps []rerun.Step
		for _, p := range test.plan {
			steps = append(steps, rerun.Step{Job: segment.Job{Priority: p}})
		}
		require.Equal(t, test.river, priorities(steps), test.reason)
	}
}

// One worker that runs one step at a time keeps to the plan's order, though what
// has the higher priority is inserted last.
func TestOrder(t *testing.T) {
	dsn, pool := newDatabase(t)
	high := job("high", "first")
	high.Priority = 10
	plan, id := planned(t, pool, job("first"), high, job("low-1"), job("low-2"), job("low-3"))
	require.Equal(t, "high", plan.Steps[1].Job.ID)
	inProcess(t, dsn, 1, func(a *attempt) error { return a.stores(validate.Count(10), nil) })
	steps := finished(t, pool, id)
	slices.SortFunc(steps, func(a, b state) int { return a.Ended.Compare(b.Ended) })
	for i, s := range steps {
		require.Equal(t, plan.Steps[i].Job.ID, s.Job)
	}
}

// The program from its start to its end, and again when all is done.
func TestLead(t *testing.T) {
	dsn, pool := newDatabase(t)
	o := options{dsn: dsn, workers: 2, timeout: time.Minute}
	var out strings.Builder
	require.NoError(t, lead(t.Context(), o, &out))
	require.Contains(t, out.String(), "Rerun 40 jobs for 10 affected segments, 10,000 users at stake.")
	require.Contains(t, out.String(), "\n40 done, 0 running, 0 waiting, 0 failed, 0 blocked\n")

	o.plan = 1
	out.Reset()
	require.NoError(t, lead(t.Context(), o, &out))
	require.Contains(t, out.String(), "\n\n40 done,", "at once")
	require.Equal(t, 40, ask(t, pool, "SELECT sum(attempt) FROM river_job"))

	o.plan = 2
	require.EqualError(t, lead(t.Context(), o, &out), "plan 2: no rows in result set")
	_, err := start(t.Context(), pool, rerun.Plan{})
	require.ErrorContains(t, err, "Plan is empty", "that is no plan by which nothing is to do")
}

// What could not be planned is not forgotten when all steps are done.
func TestIncomplete(t *testing.T) {
	_, pool := newDatabase(t)
	_, id := planned(t, pool, job("one", "two"), job("two", "one"))
	plan, err := load(t.Context(), pool, id)
	require.NoError(t, err)
	steps, err := states(t.Context(), pool, id)
	require.NoError(t, err)
	o, ended := outcome(steps)
	require.True(t, ended)
	require.EqualError(t, plan.Incomplete(o), "rerun: 0 done, 1 conflict to solve")
}
