package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/riversegment"
)

// migrate makes the tables of River and of the ledger.
func migrate(ctx context.Context, pool *pgxpool.Pool) (*pgxsegment.Ledger, error) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	ledger, err := pgxsegment.NewLedger(pool)
	if err != nil {
		return nil, err
	}
	return ledger, ledger.Migrate(ctx)
}

// work runs steps until ctx ends, then those that it began. A step has timeout; a worker
// that died is noticed not before that.
func work(ctx context.Context, dsn string, atOnce int, timeout time.Duration) error {
	name, err := workerName()
	if err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.MaxConns = int32(atOnce) + 4 // River's own
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	ledger, err := pgxsegment.NewLedger(pool)
	if err != nil {
		return err
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
	if err != nil {
		return err
	}
	reruns, err := riversegment.New(riversegment.Config{Pool: pool, Ledger: ledger, Guard: guard, Remake: remakeSegment(guard), Worker: name})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, reruns.Worker())
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:               map[string]river.QueueConfig{riversegment.Queue: {MaxWorkers: atOnce}},
		Workers:              workers,
		JobTimeout:           timeout,
		RescueStuckJobsAfter: timeout, // none runs longer, and two attempts never work at the same time
		Logger:               slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil // told to stop before it began
		}
		return err
	}
	<-client.Stopped()
	return nil
}

// workerName returns that of this process, among those of all machines.
func workerName() (string, error) {
	host, err := os.Hostname()
	return fmt.Sprintf("%s-%d", host, os.Getpid()), err
}
