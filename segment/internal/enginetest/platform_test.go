package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A platform holds one live segment, what is staged for it, and the source that
// it is a copy of. Each of its jobs writes in one of two ways: staged, and
// swapped in by the commit; or in one transaction, the commit's own.
type platform struct {
	database enginetest.Database
	db       *sql.DB
	history  *sqlsegment.Ledger
	guard    *segment.Guard
	gate     string // a condition under which users are counted, to hold that up
}

// newPlatform has 40 users live and recorded, 50 in the source.
func newPlatform(t *testing.T, d enginetest.Database) *platform {
	t.Helper()
	d.History(t)
	p, err := openPlatform(d.ForJobs())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.db.Close()) })
	for _, statement := range []string{
		"CREATE TABLE source (id integer PRIMARY KEY)",
		"CREATE TABLE staged (tag varchar(100), id integer, PRIMARY KEY (tag, id))",
		"CREATE TABLE live (id integer PRIMARY KEY)",
	} {
		require.NoError(t, p.exec(t.Context(), p.db, statement))
	}
	p.fill(t, 1, 40)
	_, err = p.staged(t.Context(), "day 0", 1)
	require.NoError(t, err)
	p.fill(t, 41, 50)
	require.Equal(t, int64(40), p.live(t))
	return p
}

func openPlatform(d enginetest.Database) (*platform, error) {
	db, err := sql.Open(d.Driver, d.DSN)
	if err != nil {
		return nil, err
	}
	h, errHistory := sqlsegment.NewLedger(db, d.Dialect)
	g, errGuard := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	return &platform{database: d, db: db, history: h, guard: g}, errors.Join(errHistory, errGuard)
}

type executor interface {
	sqlsegment.Queryer
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (p *platform) exec(ctx context.Context, e executor, statement string, args ...any) error {
	_, err := e.ExecContext(ctx, p.database.Bind(statement), args...)
	return err
}

// fill adds users to the source.
func (p *platform) fill(t *testing.T, from, to int) {
	t.Helper()
	require.NoError(t, p.exec(t.Context(), p.db, `INSERT INTO source WITH RECURSIVE n(i) AS
		(SELECT `+fmt.Sprint(from)+` UNION ALL SELECT i + 1 FROM n WHERE i < `+fmt.Sprint(to)+`) SELECT i FROM n`))
}

func (p *platform) live(t *testing.T) int64 {
	t.Helper()
	return number(t, p.db, "SELECT count(*) FROM live")
}

func (p *platform) count(ctx context.Context, q sqlsegment.Queryer, query string, args ...any) (validate.Summary, error) {
	if p.gate != "" {
		query = "SELECT id FROM (" + query + ") AS counted WHERE " + p.gate
	}
	u := sqlsegment.Users{Dialect: p.database.Dialect, Query: p.database.Bind(query), Args: args, Method: sqlsegment.Count}
	return u.Summarize(ctx, q)
}

// run is what both ways have in common.
func (p *platform) run(ctx context.Context, id string, attempt int) (segment.Run, error) {
	expected, err := p.count(ctx, p.db, "SELECT id FROM source")
	return segment.Run{
		ID: id, Attempt: attempt, Build: "v1", Expected: expected,
		Job: segment.Copy(idS, segment.ID{SiteGroup: "g", Name: "source"}),
	}, err
}

// staged writes beside the live segment.
func (p *platform) staged(ctx context.Context, id string, attempt int, changes ...func(*segment.Run)) (validate.Report, error) {
	run, err := p.run(ctx, id, attempt)
	if err != nil {
		return validate.Report{}, err
	}
	tag := fmt.Sprintf("%s/%d", id, attempt)
	drop := func(ctx context.Context, e executor) error {
		return p.exec(ctx, e, "DELETE FROM staged WHERE tag = ?", tag)
	}
	run.Stored = func(ctx context.Context) (validate.Summary, error) {
		return p.count(ctx, p.db, "SELECT id FROM staged WHERE tag = ?", tag)
	}
	run.Staging.Discard = func(ctx context.Context) error { return drop(ctx, p.db) }
	run.Staging.Commit = func(ctx context.Context) error {
		return p.transaction(ctx, func(tx *sql.Tx) error {
			return errors.Join(
				p.exec(ctx, tx, "DELETE FROM live"),
				p.exec(ctx, tx, "INSERT INTO live SELECT id FROM staged WHERE tag = ?", tag),
				drop(ctx, tx))
		})
	}
	for _, change := range changes {
		change(&run)
	}
	err = p.transaction(ctx, func(tx *sql.Tx) error {
		return errors.Join(drop(ctx, tx), p.exec(ctx, tx, "INSERT INTO staged SELECT ?, id FROM source", tag))
	})
	if err != nil {
		return validate.Report{}, err
	}
	return p.guard.Commit(ctx, run)
}

func (p *platform) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// inTransaction writes the live segment itself, and nobody sees it before the
// commit.
func (p *platform) inTransaction(ctx context.Context, id string, attempt int, changes ...func(*segment.Run)) (validate.Report, error) {
	run, err := p.run(ctx, id, attempt)
	if err != nil {
		return validate.Report{}, err
	}
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return validate.Report{}, err
	}
	run.Staging.Tx = p.history.Tx(tx)
	run.Stored = func(ctx context.Context) (validate.Summary, error) { return p.count(ctx, tx, "SELECT id FROM live") }
	run.Staging.Commit = func(context.Context) error { return tx.Commit() }
	run.Staging.Discard = func(context.Context) error { return tx.Rollback() }
	for _, change := range changes {
		change(&run)
	}
	err = errors.Join(p.exec(ctx, tx, "DELETE FROM live"), p.exec(ctx, tx, "INSERT INTO live SELECT id FROM source"))
	if err != nil {
		return validate.Report{}, errors.Join(err, tx.Rollback())
	}
	return p.guard.Commit(ctx, run)
}

// expire lets the leases of processes that are gone run out, which takes a minute.
func (p *platform) expire(t *testing.T) {
	t.Helper()
	require.NoError(t, p.exec(t.Context(), p.db, "UPDATE segmentguard_commits SET until = since"))
}

// states are what the history knows of a run, in order.
func (p *platform) states(t *testing.T, run string) (states []string) {
	t.Helper()
	rows, err := p.db.QueryContext(t.Context(), p.database.Bind("SELECT attempt, state FROM segmentguard_log WHERE run = ? AND action = 'recorded' ORDER BY id"), run)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var attempt, state string
		require.NoError(t, rows.Scan(&attempt, &state))
		states = append(states, attempt+" "+state)
	}
	require.NoError(t, rows.Err())
	return states
}

// requireAgreement is what all this is for: the history's last size is that of
// the live segment.
func (p *platform) requireAgreement(t *testing.T, sizes ...int64) {
	t.Helper()
	require.Equal(t, sizes, users(t, p.history, idS, 60))
	require.Equal(t, sizes[len(sizes)-1], p.live(t))
}
