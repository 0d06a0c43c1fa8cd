// Command river recovers from an incident with many processes: a rerun plan as River jobs
// on PostgreSQL, by package riversegment. Give it an empty database. Kill any of its
// workers while it runs, or stop it and start it again: every step has its effect exactly
// once, and what failed runs again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/segment/riversegment"
)

type options struct {
	dsn     string
	plan    string
	workers int
	timeout time.Duration
	worker  bool
}

func main() {
	var o options
	flag.StringVar(&o.dsn, "dsn", "", "the PostgreSQL database, as in \"host=/tmp user=me dbname=reruns\"")
	flag.StringVar(&o.plan, "plan", "night", "the name of the plan; one that is there goes on")
	flag.IntVar(&o.workers, "workers", 3, "how many processes work")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Second, "of a step; that a worker died is noticed after it")
	flag.BoolVar(&o.worker, "worker", false, "be one of the workers, until standard input ends")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	do := lead
	if o.worker {
		do = follow
	}
	err := do(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// lead makes the plan, starts the workers, and shows how far they are.
func lead(ctx context.Context, o options, out io.Writer) error {
	pool, err := pgxpool.New(ctx, o.dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	ledger, err := migrate(ctx, pool)
	if err := errors.Join(err, createPlatform(ctx, pool)); err != nil {
		return err
	}
	plan, err := insert(ctx, pool, ledger, o.plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Plan %s\n%s\n", o.plan, plan)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var crew crew
	defer crew.stop()
	for range o.workers {
		if err := crew.add(ctx, o); err != nil {
			return err
		}
	}
	go func() {
		crew.Wait()
		cancel(errors.New("all workers ended; start it again to go on"))
	}()
	return watch(ctx, ledger, o.plan, out)
}

// insert makes the plan, or has the one that is there go on.
func insert(ctx context.Context, pool *pgxpool.Pool, ledger *pgxsegment.Ledger, name string) (rerun.Plan, error) {
	reruns, err := riversegment.New(riversegment.Config{Pool: pool, Ledger: ledger})
	if err != nil {
		return rerun.Plan{}, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{}) // it works on nothing
	if err != nil {
		return rerun.Plan{}, err
	}
	plan, err := rerun.New(platform())
	if err != nil {
		return rerun.Plan{}, err
	}
	err = reruns.Insert(ctx, client, name, plan, segment.Decision{By: "on call", Why: "empty lookalikes", At: time.Now()})
	if errors.Is(err, segment.ErrPlanKnown) {
		if err = reruns.Resume(ctx, client, name); err == nil {
			plan, _, err = rerun.Load(ctx, ledger, name)
		}
	}
	return plan, err
}

// watch shows how far the plan is, until it has ended.
func watch(ctx context.Context, ledger *pgxsegment.Ledger, name string, out io.Writer) error {
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for shown := ""; ; {
		in, err := ledger.CountSteps(ctx, name)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%d done, %d running, %d waiting, %d unverified, %d failed, %d cancelled", in[segment.StepDone], in[segment.StepRunning],
			in[segment.StepWaiting], in[segment.StepUnverified], in[segment.StepFailed], in[segment.StepCancelled])
		if line != shown {
			shown = line
			fmt.Fprintln(out, line)
		}
		if in[segment.StepRunning]+in[segment.StepWaiting]+in[segment.StepUnverified] == 0 {
			plan, outcome, err := rerun.Load(ctx, ledger, name)
			return errors.Join(err, table(ctx, ledger, name, out), plan.Incomplete(outcome))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
		}
	}
}

func table(ctx context.Context, ledger *pgxsegment.Ledger, name string, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nstep\tstate\tattempts\tworker\tjob")
	for s, err := range ledger.Steps(ctx, segment.StepFilter{Plan: name}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\n", s.Number, s.Progress.State, s.Progress.Attempt, s.Progress.Worker, s.Job.ID)
	}
	return w.Flush()
}

// follow works as a worker.
func follow(ctx context.Context, o options, _ io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, nobody leads any more
		stop()
	}()
	return work(ctx, o.dsn, 4, o.timeout)
}

// A crew is the workers of a lead. Their standard input ends when they are to
// stop, also by the lead's own death.
type crew struct {
	sync.WaitGroup

	processes []*exec.Cmd
	inputs    []io.Closer
}

func (c *crew) add(ctx context.Context, o options) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	// A context that ends would kill it in the middle of its steps.
	process := exec.CommandContext(context.WithoutCancel(ctx), program, "-worker", "-dsn", o.dsn, "-timeout", o.timeout.String())
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	c.processes, c.inputs = append(c.processes, process), append(c.inputs, input)
	c.Go(func() {
		if err := process.Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "worker %d: %v\n", process.Process.Pid, err)
		}
	})
	return nil
}

// stop returns when all workers have finished what they run.
func (c *crew) stop() {
	for _, input := range c.inputs {
		_ = input.Close() // one that is dead is stopped
	}
	c.Wait()
}
