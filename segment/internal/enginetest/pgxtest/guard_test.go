package pgxtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var cars = segment.ID{SiteGroup: "site-b", Name: "cars"}

// A store holds the live users of one segment, in a table that keeps nobody out.
type store struct {
	pool   *pgxpool.Pool
	ledger *pgxsegment.Ledger
	guard  *segment.Guard
	level  pgx.TxIsoLevel
	alerts bytes.Buffer

	written func(id string) // is called by each run once it has written
}

func newStore(t *testing.T, pool *pgxpool.Pool) *store {
	t.Helper()
	s := &store{pool: pool, ledger: migrated(t, pool), written: func(string) {}}
	exec(t, pool, "CREATE TABLE IF NOT EXISTS live (id int, tag text)")
	s.newGuard(t, 0)
	return s
}

func (s *store) newGuard(t *testing.T, timeout time.Duration) {
	t.Helper()
	var err error
	s.guard, err = segment.NewGuard(segment.GuardConfig{
		Ledger: s.ledger, Timeout: timeout, Alerter: segment.LogAlerter(slog.New(slog.NewTextHandler(&s.alerts, nil))),
	})
	require.NoError(t, err)
}

// run puts n users in the place of those that are live, in a transaction with its record.
// It should be 50.
func (s *store) run(ctx context.Context, id string, n int) error {
	run := segment.Run{ID: id, Job: segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"})}
	_, err := s.guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
		tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: s.level})
		if err != nil {
			return err
		}
		run.Staging = s.ledger.Staging(tx)
		run.Expected = validate.Count(50)
		run.Stored = func(ctx context.Context) (validate.Summary, error) {
			return pgxsegment.Users{Query: "SELECT id FROM live", Method: "count"}.Summarize(ctx, tx)
		}
		if _, err := tx.Exec(ctx, "DELETE FROM live"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO live SELECT i, $1::text FROM generate_series(1, $2::int) AS i", id, n)
		s.written(id)
		return err
	})
	return err
}

// requireLive wants 50 users live, of one run, as the ledger says.
func (s *store) requireLive(t *testing.T, id string) {
	t.Helper()
	var tags string
	var users int64
	require.NoError(t, s.pool.QueryRow(t.Context(), "SELECT string_agg(DISTINCT tag, ', '), count(*) FROM live").Scan(&tags, &users))
	require.Equal(t, id, tags)
	require.EqualValues(t, 50, users)
	known, err := s.ledger.State(t.Context(), cars.In(""))
	require.NoError(t, err)
	require.NotNil(t, known.Live)
	require.Equal(t, users, known.Live.Users)
}

// Two runs that overlap in their own transactions, at each level and in each order: at
// least one goes live, nobody is told, and what is live is of the last that did.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			s := newStore(t, open(t, direct(t), pgx.QueryExecModeCacheStatement, 8))
			s.level = level
			for i, order := range []string{"ab", "ba", ""} {
				require.NoError(t, s.twoRuns(t, order, i))
				exec(t, s.pool, "TRUNCATE live")
			}
			exec(t, s.pool, "INSERT INTO live SELECT i, 'before' FROM generate_series(1, 50) AS i")
			s.written = func(string) {}
			require.NoError(t, s.meet(t, "", 9), "who deletes what is live waits for the other one")
		})
	}
}

// twoRuns has both write before either commits, in an order; "": in none.
func (s *store) twoRuns(t *testing.T, order string, n int) error {
	t.Helper()
	var both sync.WaitGroup
	both.Add(2)
	first := make(chan struct{})
	s.written = func(id string) {
		both.Done()
		both.Wait()
		if order != "" && !strings.HasSuffix(id, order[:1]) {
			<-first
		}
	}
	return s.meet(t, order, n, first)
}

func (s *store) meet(t *testing.T, order string, n int, first ...chan struct{}) error {
	t.Helper()
	ids, errs := []string{fmt.Sprint(n, "a"), fmt.Sprint(n, "b")}, make([]error, 2)
	var runs sync.WaitGroup
	for i, id := range ids {
		runs.Go(func() {
			errs[i] = s.run(t.Context(), id, 50)
			if order != "" && strings.HasSuffix(id, order[:1]) {
				close(first[0])
			}
		})
	}
	runs.Wait()
	var live []string
	for i, err := range errs {
		switch {
		case err == nil:
			live = append(live, ids[i])
		case strings.Contains(err.Error(), "writing: ERROR: could not serialize access"): // the job's own, to begin anew
		case !errors.Is(err, segment.ErrOvertaken) && !errors.Is(err, segment.ErrSuperseded):
			return fmt.Errorf("order %s: neither overtaken nor superseded: %w", order, err)
		}
	}
	if len(live) == 0 {
		return fmt.Errorf("order %s: none of two healthy runs went live: %w", order, errors.Join(errs...))
	}
	require.Empty(t, s.alerts.String(), "order %s", order)
	last := live[0]
	if len(live) == 2 { // either may have begun later
		require.NoError(t, s.pool.QueryRow(t.Context(), "SELECT min(tag) FROM live").Scan(&last))
	}
	s.requireLive(t, last)
	return nil
}

// A guard and its ledger share a small pool with jobs that hold all of it: nobody waits
// for ever, and who waited is told what to do.
func TestSmallPool(t *testing.T) {
	t.Parallel()
	s := newStore(t, open(t, direct(t), pgx.QueryExecModeCacheStatement, 4))
	var held []pgx.Tx
	for range 4 {
		tx, err := s.pool.Begin(t.Context())
		require.NoError(t, err)
		held = append(held, tx)
	}
	s.newGuard(t, time.Second)
	const want = "4 of 4 connections are in use; give the ledger a pool of its own"
	run := segment.Run{ID: "r", Job: segment.Copy(cars, segment.ID{Name: "from"}), Expected: validate.Count(5), Staging: pgxsegment.Staging(held[0])}
	run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(5), nil }
	err := s.guard.Begin(t.Context(), &run)
	require.ErrorIs(t, err, segment.ErrBusy)
	require.ErrorContains(t, err, want)
	_, err = s.guard.Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Unverified)
	require.ErrorContains(t, err, want)
	for _, tx := range held[1:] {
		require.NoError(t, tx.Rollback(t.Context()))
	}
	require.Zero(t, s.pool.Stat().AcquiredConns())
	s.newGuard(t, 0)
	require.NoError(t, s.run(t.Context(), "next", 50))
	s.requireLive(t, "next")
}

// Eight jobs at once share a pool of four with their ledger, which records in their
// transactions. Every other one loses a user.
func TestJobsOnASmallPool(t *testing.T) {
	t.Parallel()
	s := newStore(t, open(t, direct(t), pgx.QueryExecModeCacheStatement, 4))
	exec(t, s.pool, "CREATE TABLE many (segment int, id int)")
	var jobs sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		jobs.Go(func() { errs[i] = s.one(t.Context(), i) })
	}
	jobs.Wait()
	for i, err := range errs {
		known, errState := s.ledger.State(t.Context(), segment.ID{SiteGroup: "many", Name: fmt.Sprint(i)}.In(""))
		require.NoError(t, errState)
		if i%2 == 0 {
			require.NoError(t, err)
			require.EqualValues(t, 10, known.Live.Users)
		} else {
			require.ErrorIs(t, err, validate.Short)
			require.NotErrorIs(t, err, segment.ErrBusy)
			require.Nil(t, known.Live)
		}
	}
	require.Zero(t, s.pool.Stat().AcquiredConns())
}

func (s *store) one(ctx context.Context, i int) error {
	run := segment.Run{ID: "r", Job: segment.Copy(segment.ID{SiteGroup: "many", Name: fmt.Sprint(i)}, segment.ID{Name: "from"})}
	_, err := s.guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		run.Staging, run.Expected = s.ledger.Staging(tx), validate.Count(10+int64(i%2))
		run.Stored = func(ctx context.Context) (validate.Summary, error) {
			return pgxsegment.Users{Query: "SELECT id FROM many WHERE segment = $1", Args: []any{i}}.Summarize(ctx, tx)
		}
		_, err = tx.Exec(ctx, "INSERT INTO many SELECT $1::int, n FROM generate_series(1, 10) AS n", i)
		return err
	})
	return err
}

// What was rejected leaves no trace in the store, and a record; so does a run whose
// context ends in the middle, by which pgx closes the connection.
func TestRejected(t *testing.T) {
	t.Parallel()
	s := newStore(t, open(t, direct(t), pgx.QueryExecModeCacheStatement, 4))
	require.NoError(t, s.run(t.Context(), "good", 50))
	require.ErrorIs(t, s.run(t.Context(), "cut", 49), validate.Short)
	s.requireLive(t, "good")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.written = func(string) { cancel() }
	require.ErrorIs(t, s.run(ctx, "canceled", 50), context.Canceled)
	s.requireLive(t, "good")
	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	staging := pgxsegment.Staging(tx)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = tx.Exec(ctx, "SELECT pg_sleep_for('1 hour')")
	require.Error(t, err)
	require.NoError(t, staging.Discard(t.Context()), "the server has rolled it back")
	require.NoError(t, staging.Discard(t.Context()), "once more")
	require.Error(t, staging.Commit(t.Context()))

	tx, err = s.pool.Begin(t.Context())
	require.NoError(t, err)
	staging = s.ledger.Staging(tx)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, staging.Discard(t.Context()), "it has ended already")
	require.ErrorIs(t, staging.Commit(t.Context()), pgx.ErrTxClosed)
}

// A commit row that cannot be read is named, with its column.
func TestDamagedCommitRow(t *testing.T) {
	t.Parallel()
	dsn := direct(t)
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		s := newStore(t, open(t, dsn, m, 4))
		require.NoError(t, s.run(t.Context(), name(m), 50))
		exec(t, s.pool, "UPDATE segmentguard_commits SET since = 'infinity'")
		err := s.run(t.Context(), "next", 50)
		require.ErrorIs(t, err, validate.Unverified)
		require.ErrorContains(t, err, `damaged: table segmentguard_commits, row "site-b/cars", column since`)
		exec(t, s.pool, "TRUNCATE segmentguard_segments, segmentguard_log, segmentguard_commits")
	}
}

// What is recorded behind a savepoint goes with it: a nested transaction is no place
// for a record that must stay, as the documentation says.
func TestSavepoints(t *testing.T) {
	t.Parallel()
	s := newStore(t, open(t, direct(t), pgx.QueryExecModeCacheStatement, 4))
	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	nested, err := tx.Begin(t.Context())
	require.NoError(t, err)
	exec(t, nested, "INSERT INTO live SELECT i, 'nested' FROM generate_series(1, 50) AS i")
	run := segment.Run{
		ID: "nested", Job: segment.Copy(cars, segment.ID{Name: "from"}), Expected: validate.Count(50), Staging: s.ledger.Staging(nested),
		Stored: func(ctx context.Context) (validate.Summary, error) {
			return pgxsegment.Users{Query: "SELECT id FROM live"}.Summarize(ctx, nested)
		},
	}
	_, err = s.guard.Commit(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
	known, err := s.ledger.State(t.Context(), cars.In(""))
	require.NoError(t, err)
	require.Nil(t, known.Live, "data and record went together")
	require.NoError(t, s.run(t.Context(), "next", 50))
	s.requireLive(t, "next")
}
