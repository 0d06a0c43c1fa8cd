// Command river recovers from an incident with many processes: the rerun plan
// as River jobs on PostgreSQL. Give it an empty database. Kill any of its workers
// while it runs, or stop it and go on with -plan: every step has its effect
// exactly once. A step that failed is tried again, and what waits for it goes on,
// when its River job is retried, as with River's JobRetry or in its UI.
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

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

type options struct {
	dsn     string
	plan    int64
	workers int
	timeout time.Duration
	worker  bool
}

func main() {
	var o options
	flag.StringVar(&o.dsn, "dsn", "", "the PostgreSQL database, as in \"host=/tmp user=me dbname=reruns\"")
	flag.Int64Var(&o.plan, "plan", 0, "go on with this plan; 0: make a new one")
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
	if err := errors.Join(migrate(ctx, pool), createPlatform(ctx, pool)); err != nil {
		return err
	}
	if o.plan == 0 {
		plan, err := rerun.New(platform())
		if err != nil {
			return err
		}
		if o.plan, err = start(ctx, pool, plan); err != nil {
			return err
		}
	}
	plan, err := load(ctx, pool, o.plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Plan %d\n%s\n", o.plan, plan)
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
		cancel(fmt.Errorf("all workers ended; go on with -plan %d", o.plan))
	}()
	return watch(ctx, pool, o.plan, plan, out)
}

// watch shows the plan's state until it has ended.
func watch(ctx context.Context, pool *pgxpool.Pool, id int64, plan rerun.Plan, out io.Writer) error {
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for shown := ""; ; {
		steps, err := states(ctx, pool, id)
		if err != nil {
			return err
		}
		if line := summary(steps); line != shown {
			shown = line
			fmt.Fprintln(out, line)
		}
		if outcome, ended := outcome(steps); ended {
			return errors.Join(table(out, steps), plan.Incomplete(outcome))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
		}
	}
}

func summary(steps []state) string {
	in := make(map[segment.StepState]int)
	for _, s := range steps {
		in[s.State]++
	}
	return fmt.Sprintf("%d done, %d running, %d waiting, %d failed, %d blocked", in[segment.StepDone], in[segment.StepRunning],
		in[segment.StepWaiting], in[segment.StepFailed], in[segment.StepCancelled])
}

func table(out io.Writer, steps []state) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nstep\tstate\tattempts\tworker\tjob")
	for _, s := range steps {
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\n", s.Number, s.State, s.Attempt, s.Worker, s.Job)
	}
	return w.Flush()
}

// follow works as a worker.
func follow(ctx context.Context, o options, _ io.Writer) error {
	guard, err := segment.NewGuard(segment.GuardConfig{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, nobody leads any more
		stop()
	}()
	return work(ctx, o.dsn, 4, o.timeout, remakeSegment(guard))
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
