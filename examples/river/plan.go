package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// The reruns' own queue: their priorities are not to compete with other jobs'.
const queue = "reruns"

//go:embed schema.sql
var schema string

// stepArgs is a step of a plan, as a River job.
type stepArgs struct {
	Plan   int64       `json:"plan"`
	Number int         `json:"number"`
	Job    segment.Job `json:"job"`
}

func (stepArgs) Kind() string { return "rerun" }

// migrate makes River's tables and the plan's.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	_, err = pool.Exec(ctx, schema)
	return err
}

// start stores a plan and inserts the steps that wait for none. It is there as
// a whole or not at all.
func start(ctx context.Context, pool *pgxpool.Pool, p rerun.Plan) (id int64, err error) {
	text, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	client, err := inserter(pool)
	if err != nil {
		return 0, err
	}
	err = transact(ctx, pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "INSERT INTO rerun_plan (plan) VALUES ($1) RETURNING id", text).Scan(&id); err != nil {
			return err
		}
		if err := store(ctx, tx, id, p.Steps); err != nil {
			return err
		}
		return insertReady(ctx, tx, client, id)
	})
	return id, err
}

// inserter returns a client that inserts jobs and works on none.
func inserter(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(pool), &river.Config{})
}

// load reads a plan back.
func load(ctx context.Context, pool *pgxpool.Pool, id int64) (p rerun.Plan, err error) {
	if err := pool.QueryRow(ctx, "SELECT plan FROM rerun_plan WHERE id = $1", id).Scan(&p); err != nil {
		return p, fmt.Errorf("plan %d: %w", id, err)
	}
	return p, nil
}

// transact asks for the level at which a statement sees what was committed
// before it, as finish needs it.
func transact(ctx context.Context, pool *pgxpool.Pool, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
}

func store(ctx context.Context, tx pgx.Tx, plan int64, steps []rerun.Step) error {
	first := priorities(steps)
	numbers := make(map[string]int, len(steps))
	var rows, next [][]any
	for i, s := range steps {
		numbers[s.Job.ID] = i + 1 // as the plan's text counts
		rows = append(rows, []any{plan, i + 1, s.Job, first[s.Job.Priority], len(s.After)})
		for _, before := range s.After {
			next = append(next, []any{plan, numbers[before], i + 1})
		}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"rerun_step"}, []string{"plan", "number", "job", "priority", "waits"}, pgx.CopyFromRows(rows))
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"rerun_next"}, []string{"plan", "number", "next"}, pgx.CopyFromRows(next))
	return err
}

// priorities returns River's, by the plan's. River has four and 1 comes first: the
// highest that the plan has becomes 1, the next one 2, and if there are more
// than four, neighbours share one. None ever comes before a higher one.
func priorities(steps []rerun.Step) map[int]int {
	rivers := map[int]int{}
	for _, s := range steps {
		rivers[s.Job.Priority] = 0
	}
	descending := slices.Sorted(maps.Keys(rivers))
	slices.Reverse(descending)
	for rank, p := range descending {
		rivers[p] = 1 + rank*4/max(len(descending), 4)
	}
	return rivers
}

// insertReady inserts the steps that wait for none and were not inserted yet, in
// the plan's order, which is River's too among jobs of one priority.
func insertReady(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], plan int64) error {
	rows, err := tx.Query(ctx, `SELECT number, job, priority FROM rerun_step
		WHERE plan = $1 AND waits = 0 AND river_job IS NULL ORDER BY number`, plan)
	if err != nil {
		return err
	}
	var numbers []int
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (river.InsertManyParams, error) {
		step, opts := stepArgs{Plan: plan}, &river.InsertOpts{Queue: queue}
		err := row.Scan(&step.Number, &step.Job, &opts.Priority)
		numbers = append(numbers, step.Number)
		return river.InsertManyParams{Args: step, InsertOpts: opts}, err
	})
	if err != nil || len(jobs) == 0 {
		return err
	}
	inserted, err := client.InsertManyTx(ctx, tx, jobs)
	if err != nil {
		return err
	}
	ids := make([]int64, len(inserted))
	for i, r := range inserted {
		ids[i] = r.Job.ID
	}
	_, err = tx.Exec(ctx, `UPDATE rerun_step s SET river_job = i.id FROM unnest($2::int[], $3::bigint[]) i (number, id)
		WHERE s.plan = $1 AND s.number = i.number`, plan, numbers, ids)
	return err
}

// claim locks a step for the rest of the transaction: a second attempt at it, of
// a worker that was given up too early, waits here. done tells that there is
// nothing left to do.
func claim(ctx context.Context, tx pgx.Tx, step stepArgs) (done bool, err error) {
	err = tx.QueryRow(ctx, "SELECT done_at IS NOT NULL FROM rerun_step WHERE plan = $1 AND number = $2 FOR UPDATE", step.Plan, step.Number).Scan(&done)
	return done, err
}

// finish marks a step as done and inserts what waited for it and nothing else.
//
// Of two steps that finish at the same moment, the second waits at the first
// one's successors until that has committed or rolled back. Then it sees what
// they wait for still, so exactly one of the two finds that they wait for none.
// All lock in the order of the numbers, so no two wait for each other.
func finish(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], step stepArgs) error {
	const next = "plan = $1 AND number IN (SELECT next FROM rerun_next WHERE plan = $1 AND number = $2)"
	for _, statement := range []string{
		"UPDATE rerun_step SET done_at = clock_timestamp() WHERE plan = $1 AND number = $2",
		"SELECT FROM rerun_step WHERE " + next + " ORDER BY number FOR UPDATE",
		"UPDATE rerun_step SET waits = waits - 1 WHERE " + next,
	} {
		if _, err := tx.Exec(ctx, statement, step.Plan, step.Number); err != nil {
			return err
		}
	}
	return insertReady(ctx, tx, client, step.Plan)
}

// A state is how far a step is: a row of the view rerun_state.
type state struct {
	Number         int
	Job            string
	State          segment.StepState
	Attempt        int
	Worker         string // the last one that tried
	Started, Ended time.Time
	BlockedBy      string
	Error          string
}

// states returns those of all steps, in the plan's order.
func states(ctx context.Context, pool *pgxpool.Pool, plan int64) ([]state, error) {
	rows, err := pool.Query(ctx, `SELECT number, job, state, coalesce(attempt, 0), coalesce(worker, ''),
			coalesce(started, '0001-01-01Z'), coalesce(ended, '0001-01-01Z'), coalesce(blocked_by, ''), coalesce(error, '')
		FROM rerun_state WHERE plan = $1 ORDER BY number`, plan)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[state])
}

// outcome returns what became of the steps, as rerun.Plan.Run does, and whether no step
// is to come.
func outcome(steps []state) (o rerun.Outcome, ended bool) {
	ended = true
	for _, s := range steps {
		result := rerun.Result{JobID: s.Job, Started: s.Started, Ended: s.Ended}
		switch s.State {
		case segment.StepDone:
			o.Done = append(o.Done, result)
		case segment.StepFailed:
			result.Err = errors.New(s.Error)
			o.Failed = append(o.Failed, result)
		case segment.StepCancelled:
			o.Blocked = append(o.Blocked, rerun.Blocked{JobID: s.Job, By: s.BlockedBy})
		case segment.StepWaiting, segment.StepRunning:
			fallthrough
		default: // a state that a newer view may have is not an end
			o.NeverStarted = append(o.NeverStarted, s.Job)
			ended = false
		}
	}
	return o, ended
}
