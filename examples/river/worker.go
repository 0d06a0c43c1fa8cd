package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A remake makes the segment of run.Job again. All that it writes goes into tx,
// so that it is there exactly once, and run's Commit and Discard end tx: what is
// left to fill in is what a [segment.Guard] judges.
type remake func(ctx context.Context, tx pgx.Tx, run segment.Run) error

// A worker runs steps.
type worker struct {
	river.WorkerDefaults[stepArgs]

	pool   *pgxpool.Pool
	remake remake
}

// Work runs a step in one transaction with its completion and the insertion of
// what waited for it. A worker that dies takes all of that with it.
func (w *worker) Work(ctx context.Context, job *river.Job[stepArgs]) error {
	tx, err := w.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // a committed one stays so
	done, err := claim(ctx, tx, job.Args)
	if err != nil || done {
		return err
	}
	committed := false
	err = w.remake(ctx, tx, segment.Run{
		ID: fmt.Sprintf("plan %d step %d", job.Args.Plan, job.Args.Number), Attempt: job.Attempt, Job: job.Args.Job,
		Staging: segment.Staging{
			Commit: func(ctx context.Context) error {
				err := commit(ctx, tx, job)
				committed = err == nil
				return err
			},
			Discard: tx.Rollback,
		},
	})
	if err == nil && !committed {
		return errors.New("the step returned no error, but did not commit")
	}
	return verdict(ctx, err)
}

// commit ends a step, in the plan and in River.
func commit(ctx context.Context, tx pgx.Tx, job *river.Job[stepArgs]) error {
	if err := finish(ctx, tx, river.ClientFromContext[pgx.Tx](ctx), job.Args); err != nil {
		return err
	}
	completed, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
	if err != nil {
		return err
	}
	if completed.State != rivertype.JobStateCompleted { // River leaves a job alone that does not run
		return fmt.Errorf("job %d: %s, want running: it was taken from this worker", job.ID, completed.State)
	}
	return tx.Commit(ctx)
}

// verdict tells River whether to try again. A proven failure would be the same
// the next time: it is cancelled, with its report. What could not be verified,
// or broke, is tried again.
func verdict(ctx context.Context, err error) error {
	failed, judged := errors.AsType[*validate.Error](err)
	if !judged || !slices.ContainsFunc(failed.Report.Findings, proven) {
		return err
	}
	return river.JobCancel(errors.Join(err, river.MetadataSet(ctx, "report", failed.Report)))
}

// proven reports whether a finding makes the step fail, and not for want of an
// answer.
func proven(f validate.Finding) bool {
	return f.Severity != validate.Warn && f.Kind != validate.Unverified
}

// work runs steps until ctx ends, then those that it began. A step has timeout;
// a worker that died is noticed not before that.
func work(ctx context.Context, dsn string, atOnce int, timeout time.Duration, remake remake) error {
	name, err := workerName(os.Getpid())
	if err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["application_name"] = name
	config.MaxConns = int32(atOnce) + 4 // River's own
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()

	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{pool: pool, remake: remake})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		ID:                   name,
		Queues:               map[string]river.QueueConfig{queue: {MaxWorkers: atOnce}},
		Workers:              workers,
		JobTimeout:           timeout,
		RescueStuckJobsAfter: timeout, // none runs longer, and claim keeps two attempts apart
		Logger:               slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it began
		}
		return err
	}
	<-client.Stopped()
	return nil
}

// workerName returns that of a process, among those of all machines.
func workerName(pid int) (string, error) {
	host, err := os.Hostname()
	return fmt.Sprintf("%s-%d", host, pid), err
}
