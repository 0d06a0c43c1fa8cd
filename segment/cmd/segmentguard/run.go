package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/riversegment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A handedOutput says which steps of a plan the workers were given.
type handedOutput struct {
	Name   string                    `json:"name"`
	DryRun bool                      `json:"dry_run"`
	Steps  int                       `json:"steps"`
	States map[segment.StepState]int `json:"states"`
}

func runCommand(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "run PLAN",
		Short:   "Hand a plan of reruns to the workers, or what of it failed",
		Long: `Run hands a plan that was kept to River, whose tables are in the ledger's PostgreSQL: its
first steps, and each later one once all that it waits for is done. Your workers run
them (package riversegment). Given again, it hands over what failed, what was cancelled
by that, and whatever River lost. What is done is not run again.`,
		Example: `  segmentguard run --dry-run march-18
  segmentguard run march-18`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be handed over, and hand over nothing")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		p, _, err := a.findPlan(ctx, args[0])
		if err != nil {
			return err
		}
		out := &handedOutput{Name: p.ID, DryRun: dryRun, Steps: p.Steps}
		if out.States, err = a.ledger.CountSteps(ctx, p.ID); err != nil {
			return fmt.Errorf("counting the steps: %w", err)
		}
		if out.States[segment.StepDone] == p.Steps {
			return fmt.Errorf("nothing was handed over: all %s of plan %s are done", text.Count(p.Steps, "step"), p.ID)
		}
		if err := a.handOver(ctx, p.ID, dryRun); err != nil {
			return err
		}
		if a.json {
			return a.out.json(out)
		}
		a.printRun(out)
		return nil
	})
	return cmd
}

// handOver has River run what of a plan can run now.
func (a *app) handOver(ctx context.Context, plan string, dryRun bool) error {
	if _, dialect := kindOf(a.dsn); dialect != sqlsegment.PostgreSQL {
		return errors.New("the ledger is not in PostgreSQL, where River's tables are: let a worker of yours run the plan by rerun.Plan.Run")
	}
	pool, err := pgxpool.New(ctx, a.dsn)
	if err != nil {
		return unreadable("PostgreSQL", "postgres://user:password@host:5432/database")
	}
	defer pool.Close()
	ledger, err := pgxsegment.NewLedger(pool)
	if err != nil {
		return err
	}
	reruns, err := riversegment.New(riversegment.Config{Pool: pool, Ledger: ledger})
	if err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{}) // which only inserts
	if err != nil {
		return err
	}
	if dryRun {
		return withoutRiver(riverReady(ctx, pool))
	}
	return withoutRiver(reruns.Resume(ctx, client, plan))
}

// riverReady asks whether River's tables are there.
func riverReady(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT FROM river_job LIMIT 0")
		return err
	})
}

// withoutRiver says of tables that are not there whose they are.
func withoutRiver(err error) error {
	const noTable = "42P01"
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == noTable {
		return fmt.Errorf("nothing was handed over: River's tables are not in the ledger's database (river migrate-up makes them): %w", err)
	}
	return err
}

func (a *app) printRun(out *handedOutput) {
	left := out.Steps - out.States[segment.StepDone]
	if out.DryRun {
		a.out.printf("This would hand over %s of %s.\nNothing was changed: it is a dry run.\n", thousands(left), text.Count(out.Steps, "step"))
		return
	}
	a.out.printf("Handed over %s of %s, in their order.\nNext: segmentguard progress %s\n", thousands(left), text.Count(out.Steps, "step"), text.Shell(out.Name))
}
