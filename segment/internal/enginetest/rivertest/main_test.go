package rivertest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/segment/riversegment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestMain(m *testing.M) {
	enginetest.Main(m, map[string]func(*enginetest.Child) error{"worker": workerChild})
}

// A bench is a database with River's tables, the ledger's, and what the jobs of a test
// write: a row for each segment that was made again, with what it reads. too_early stays
// empty.
type bench struct {
	database enginetest.Database
	pool     *pgxpool.Pool
	ledger   *pgxsegment.Ledger
	reruns   *riversegment.Reruns
	client   *river.Client[pgx.Tx]
}

const tables = `CREATE TABLE made (segment text, attempt int, plan text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE too_early (segment text, reads text);
CREATE TABLE lock (segment text PRIMARY KEY)`

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{database: enginetest.PostgreSQL.New(t)}
	var err error
	b.pool, err = pgxpool.New(t.Context(), b.database.DSN)
	require.NoError(t, err)
	t.Cleanup(b.pool.Close)
	migrator, err := rivermigrate.New(riverpgxv5.New(b.pool), nil)
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	_, err = b.pool.Exec(t.Context(), tables)
	require.NoError(t, err)
	b.ledger, err = pgxsegment.NewLedger(b.pool)
	require.NoError(t, err)
	require.NoError(t, b.ledger.Migrate(t.Context()))
	b.reruns, err = riversegment.New(riversegment.Config{Pool: b.pool, Ledger: b.ledger})
	require.NoError(t, err)
	b.client, err = river.NewClient(riverpgxv5.New(b.pool), &river.Config{})
	require.NoError(t, err)
	return b
}

func id(name string) segment.ID { return segment.ID{SiteGroup: "site-a", Name: name} }

// job reads from others by their names.
func job(name string, from ...string) segment.Job {
	j := segment.Job{ID: name, Kind: segment.JobKindCopy, To: id(name)}
	for _, f := range from {
		j.From = append(j.From, id(f))
	}
	return j
}

var planning = segment.Decision{By: "ann", Why: "the truncated night", At: time.Date(2024, 3, 20, 8, 0, 0, 0, time.UTC)}

// insert plans all of the jobs, and hands them to River.
func (b *bench) insert(t *testing.T, name string, jobs ...segment.Job) rerun.Plan {
	t.Helper()
	var affected []segment.Affected
	for _, j := range jobs {
		affected = append(affected, segment.Affected{Segment: j.To})
	}
	p, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	require.NoError(t, b.reruns.Insert(t.Context(), b.client, name, p, planning))
	return p
}

// steps returns the steps of a plan by their jobs.
func (b *bench) steps(t *testing.T, plan string) map[string]segment.PlanStep {
	t.Helper()
	found := map[string]segment.PlanStep{}
	for s, err := range b.ledger.Steps(t.Context(), segment.StepFilter{Plan: plan}) {
		require.NoError(t, err)
		found[s.Job.ID] = s
	}
	return found
}

// ended waits until no step of a plan is to come, and returns them.
func (b *bench) ended(t *testing.T, plan string) map[string]segment.PlanStep {
	t.Helper()
	defer func() {
		if t.Failed() {
			for name, s := range b.steps(t, plan) {
				t.Logf("%s: %+v", name, s.Progress)
			}
		}
	}()
	eventually(t, "plan "+plan+" has ended", func() bool {
		counts, err := b.ledger.CountSteps(t.Context(), plan)
		require.NoError(t, err)
		return counts[segment.StepWaiting]+counts[segment.StepRunning]+counts[segment.StepUnverified] == 0
	})
	return b.steps(t, plan)
}

// ask returns the number that a query yields.
func (b *bench) ask(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), query).Scan(&n), query)
	return n
}

func (b *bench) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), statement, args...)
	require.NoError(t, err, statement)
}

// waiting returns the process that waits for a lock of tx.
func (b *bench) waiting(t *testing.T, tx pgx.Tx) (worker string) {
	t.Helper()
	eventually(t, "somebody waits for the lock", func() bool {
		err := b.pool.QueryRow(t.Context(), "SELECT application_name FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", tx.Conn().PgConn().PID()).Scan(&worker)
		if !errors.Is(err, pgx.ErrNoRows) {
			require.NoError(t, err)
		}
		return err == nil
	})
	return worker
}

// remake makes a segment again: ten users, of which as many are stored as it is told.
func remake(guard *segment.Guard, plan func(segment.Run) string, stored func(segment.Run) (validate.Summary, error)) func(context.Context, pgx.Tx, segment.Run) error {
	return func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		to := run.Job.To.String()
		if _, err := tx.Exec(ctx, "SELECT FROM lock WHERE segment = $1 FOR UPDATE", to); err != nil {
			return err
		}
		for _, from := range run.Job.From {
			_, err := tx.Exec(ctx, `INSERT INTO too_early SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM made WHERE segment = $2)
				AND EXISTS (SELECT FROM segmentguard_steps WHERE segment = $2)`, to, from.String())
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "INSERT INTO made (segment, attempt, plan) VALUES ($1, $2, $3)", to, run.Attempt, plan(run)); err != nil {
			return err
		}
		run.Expected = validate.Count(10)
		run.Stored = func(context.Context) (validate.Summary, error) { return stored(run) }
		_, err := guard.Commit(ctx, run)
		return err
	}
}

func newGuard(l segment.Ledger) (*segment.Guard, error) {
	return segment.NewGuard(segment.GuardConfig{Ledger: l, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
}

// nameOf returns the plan of a run.
func nameOf(run segment.Run) (plan string) {
	_, _ = fmt.Sscanf(run.ID, "plan %s step", &plan)
	return plan
}

func ten(segment.Run) (validate.Summary, error) { return validate.Count(10), nil }

// work runs steps until ctx ends, then those that it began.
func work(ctx context.Context, pool *pgxpool.Pool, c riversegment.Config, config river.Config) error {
	reruns, err := riversegment.New(c)
	if err != nil {
		return err
	}
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, reruns.Worker())
	config.Logger = slog.New(slog.DiscardHandler)
	client, err := river.NewClient(riverpgxv5.New(pool), &config)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-client.Stopped()
	return nil
}

// workerChild works until its parent speaks, or is gone.
func workerChild(c *enginetest.Child) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	config, err := pgxpool.ParseConfig(c.Database.DSN)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["application_name"] = c.Args[0]
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	ledger, err := pgxsegment.NewLedger(pool)
	if err != nil {
		return err
	}
	guard, err := newGuard(ledger)
	if err != nil {
		return err
	}
	go func() {
		_, _ = c.Listen() // however it ends
		stop()
	}()
	const stuck = 3 * time.Second
	return work(ctx, pool, riversegment.Config{Pool: pool, Ledger: ledger, Worker: c.Args[0], Guard: guard, Remake: remake(guard, nameOf, ten)}, river.Config{
		Queues: map[string]river.QueueConfig{riversegment.Queue: {MaxWorkers: 4}}, JobTimeout: stuck, RescueStuckJobsAfter: stuck,
	})
}

// inProcess works until the test ends.
func (b *bench) inProcess(t *testing.T, atOnce int, do func(ctx context.Context, tx pgx.Tx, run segment.Run) error, change ...func(*riversegment.Config)) {
	t.Helper()
	guard, err := newGuard(b.ledger)
	require.NoError(t, err)
	c := riversegment.Config{Pool: b.pool, Ledger: b.ledger, Guard: guard, Remake: do}
	for _, edit := range change {
		edit(&c)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- work(ctx, b.pool, c, river.Config{Queues: map[string]river.QueueConfig{riversegment.Queue: {MaxWorkers: atOnce}}, RetryPolicy: soon{}})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
}

// soon has River try again at once.
type soon struct{}

func (soon) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// guarded returns what makes segments again as told.
func (b *bench) guarded(t *testing.T, stored func(segment.Run) (validate.Summary, error)) func(context.Context, pgx.Tx, segment.Run) error {
	t.Helper()
	guard, err := newGuard(b.ledger)
	require.NoError(t, err)
	return remake(guard, nameOf, stored)
}

// requireOnce wants each segment to be made just once by each plan, and none before those
// that it reads.
func (b *bench) requireOnce(t *testing.T, segments int) {
	t.Helper()
	require.Equal(t, segments, b.ask(t, "SELECT count(*) FROM made"))
	require.Zero(t, b.ask(t, "SELECT count(*) FROM (SELECT FROM made GROUP BY segment, plan HAVING count(*) > 1) AS twice"))
	require.Zero(t, b.ask(t, "SELECT count(*) FROM too_early"))
	require.Equal(t, segments, b.ask(t, "SELECT count(*) FROM segmentguard_log WHERE action = 'recorded' AND state = 'committed'"), "the ledger's record is of the same transaction")
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("never: "+what))
	defer cancel()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		case <-ticks.C:
		}
	}
}
