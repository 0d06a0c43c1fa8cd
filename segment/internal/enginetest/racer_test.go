package enginetest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A racer is a run of one segment beside another one. It stands still before each
// of its steps, until the test lets it go on.
type racer struct {
	*platform

	id    string
	way   string // staged, or inside a transaction of its own
	level sql.IsolationLevel
	guard *segment.Guard

	steps chan struct{} // one for each step that it may take; closed: it goes on to its end
	there chan string   // the step before which it stands
	held  chan struct{} // it waits for a lease
	open  atomic.Bool   // it is in a transaction that writes
	done  chan error

	standing, ended bool // as the test knows
	err             error
	number          int64 // by which it began, if it passed
	conn            *sql.Conn
	tx              *sql.Tx
}

// The steps of a run. What it is in the midst of, when it stands before one of them,
// is what went before.
const (
	toBegin  = "begin"
	toRead   = "read"
	toWrite  = "write"
	toCommit = "commit" // the guard's
	toCount  = "count"  // it has the segment's turn
	toLand   = "land"   // it passed
	toRecord = "record" // it is live
)

var steps = []string{toBegin, toRead, toWrite, toCommit, toCount, toLand, toRecord}

func newRacer(p *platform, id, way string, level sql.IsolationLevel, tells segment.Alerter) (*racer, error) {
	r := &racer{
		platform: p, id: id, way: way, level: level, steps: make(chan struct{}), there: make(chan string, 1), held: make(chan struct{}, 1), done: make(chan error, 1),
	}
	var err error
	// On a machine that does much else, the usual half minute is no sign that a run waits in vain.
	r.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: &noticed{p.history, r.held}, Alerter: tells, Timeout: 5 * time.Minute})
	return r, err
}

// into returns an alerter that writes what it is told.
func into(alerts *bytes.Buffer) segment.Alerter {
	return segment.LogAlerter(slog.New(slog.NewTextHandler(alerts, nil)))
}

// A noticed ledger says when a lease is waited for.
type noticed struct {
	segment.Ledger

	held chan struct{}
}

func (n *noticed) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	return n.Ledger.Lock(ctx, key, func(c *segment.CommitRow) error {
		err := change(c)
		if err != nil && strings.Contains(err.Error(), "is about to go live") {
			select {
			case n.held <- struct{}{}:
			default:
			}
		}
		return err
	})
}

// before stands still before a step.
func (r *racer) before(step string) {
	r.there <- step
	<-r.steps
}

func (r *racer) start(ctx context.Context) { go func() { r.done <- r.run(ctx) }() }

// run takes out what it saw to be live, and puts the source in its place, with its own
// mark. What its own statements meet of another run is for the job to do again.
func (r *racer) run(ctx context.Context) error {
	run, err := r.platform.run(ctx, r.id, 1)
	if err != nil {
		return err
	}
	r.before(toBegin)
	if err := r.guard.Begin(ctx, &run); err != nil {
		return err
	}
	r.before(toRead)
	if r.way == "staged" {
		r.before(toWrite)
		err = r.stage(ctx, &run)
	} else {
		err = r.writeInside(ctx, &run)
	}
	if err != nil {
		return err
	}
	r.before(toCommit)
	_, err = r.guard.Commit(ctx, run)
	return err
}

func (r *racer) stage(ctx context.Context, run *segment.Run) error {
	run.Stored = func(ctx context.Context) (validate.Summary, error) {
		r.before(toCount)
		return r.count(ctx, r.db, "SELECT id FROM staged WHERE tag = ?", r.id)
	}
	run.Staging.Discard = func(ctx context.Context) error {
		return r.exec(ctx, r.db, "DELETE FROM staged WHERE tag = ?", r.id)
	}
	run.Staging.Commit = func(ctx context.Context) error {
		r.number = segment.NumberFrom(ctx)
		r.before(toLand)
		err := r.transaction(ctx, func(tx *sql.Tx) error {
			return errors.Join(
				r.exec(ctx, tx, "DELETE FROM live"),
				r.exec(ctx, tx, "INSERT INTO live SELECT id, tag FROM staged WHERE tag = ?", r.id))
		})
		r.before(toRecord)
		return err
	}
	return r.exec(ctx, r.db, "INSERT INTO staged SELECT ?, id FROM source", r.id)
}

func (r *racer) writeInside(ctx context.Context, run *segment.Run) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: r.level})
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	r.conn, r.tx = conn, tx
	r.open.Store(true)
	ends := func(end func() error) func(context.Context) error {
		return func(context.Context) error {
			defer func() { _ = conn.Close() }() // that it is lost is known by then
			defer r.open.Store(false)
			return end()
		}
	}
	run.Staging.Tx = r.history.Tx(tx)
	run.Stored = func(ctx context.Context) (validate.Summary, error) {
		r.before(toCount)
		return r.count(ctx, tx, "SELECT id FROM live")
	}
	commit := ends(tx.Commit)
	run.Staging.Commit = func(ctx context.Context) error {
		r.number = segment.NumberFrom(ctx)
		r.before(toLand)
		err := commit(ctx)
		r.before(toRecord)
		return err
	}
	run.Staging.Discard = ends(tx.Rollback)
	marks, _, err := marks(ctx, tx)
	if err == nil {
		r.before(toWrite)
	}
	for _, mark := range marks {
		err = errors.Join(err, r.exec(ctx, tx, "DELETE FROM live WHERE tag = ?", mark))
	}
	if err == nil {
		err = r.exec(ctx, tx, "INSERT INTO live SELECT id, ? FROM source", r.id)
	}
	if err != nil { // one of the databases that end a transaction which met another one
		return errors.Join(segment.ErrOvertaken, err, run.Staging.Discard(ctx))
	}
	return nil
}

// arrive waits until the racer stands before its next step, or has ended, or can do
// neither before the other one goes on.
func (r *racer) arrive(ctx context.Context, other *racer, waiting func(context.Context) int) {
	for tick := time.Millisecond; ; tick = min(2*tick, 100*time.Millisecond) {
		if r.database.Dialect == sqlsegment.SQLite && other.open.Load() { // which has one writer
			tick = 0
		}
		select {
		case <-r.there:
			r.standing = true
			return
		case r.err = <-r.done:
			r.ended = true
			return
		case <-r.held:
			return
		case <-time.After(tick):
		}
		if tick == 0 || waiting(ctx) > 0 {
			return
		}
	}
}

// step lets the racer take one step, if it stands before one.
func (r *racer) step(ctx context.Context, other *racer, waiting func(context.Context) int) {
	if !r.standing && !r.ended {
		select {
		case <-r.there:
			r.standing = true
		case r.err = <-r.done:
			r.ended = true
		default: // it waits for the other one still
			return
		}
	}
	if r.ended {
		return
	}
	select { // of before
	case <-r.held:
	default:
	}
	r.standing = false
	r.steps <- struct{}{}
	r.arrive(ctx, other, waiting)
}

// release lets the racer go on to its end.
func (r *racer) release() { close(r.steps) }

// finish waits for its end.
func (r *racer) finish() {
	for !r.ended {
		select {
		case <-r.there:
		case r.err = <-r.done:
			r.ended = true
		}
	}
}

// waiting returns how many sessions of the database wait for a lock of the engine's.
// MariaDB tells only at times what its transactions wait for; a statement that takes
// a while may wait, and if it does not, it comes to its next step all the same.
func (p *platform) waiting(ctx context.Context) (n int) {
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	switch p.database.Dialect { //nolint:exhaustive // PostgreSQL is left
	case sqlsegment.SQLite:
		return 0
	case sqlsegment.MySQL:
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id() AND command <> 'Sleep' AND time_ms > 100"
	}
	_ = p.db.QueryRowContext(ctx, query).Scan(&n) // nobody, where the test is over
	return n
}

// newMarked returns a platform whose live users bear the mark of who wrote them, in
// a table that keeps nobody's apart.
func newMarked(t *testing.T, p *platform) *platform {
	t.Helper()
	execute(t, p.db, "DROP TABLE live")
	execute(t, p.db, "CREATE TABLE live (id bigint, tag varchar(100))")
	execute(t, p.db, "INSERT INTO live SELECT id, 'day 0' FROM source WHERE id <= 40")
	return p
}

// marks returns who wrote the users that are live, and how many those are.
func marks(ctx context.Context, q sqlsegment.Queryer) (marks []string, users int64, err error) {
	rows, err := q.QueryContext(ctx, "SELECT tag, count(*) FROM live GROUP BY tag ORDER BY tag")
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var mark string
		var n int64
		if err := rows.Scan(&mark, &n); err != nil {
			return nil, 0, err
		}
		marks, users = append(marks, mark), users+n
	}
	return marks, users, rows.Err()
}

// requireMarked wants 50 users live, of one run.
func (p *platform) requireMarked(t *testing.T, mark string) {
	t.Helper()
	marks, users, err := marks(t.Context(), p.db)
	require.NoError(t, err)
	require.Equal(t, []string{mark}, marks)
	require.Equal(t, int64(50), users)
}

// ledgerLive returns what the ledger says is live; -1: it does not know.
func (p *platform) ledgerLive(ctx context.Context) (int64, error) {
	for s, err := range p.history.Segments(ctx, segment.SegmentFilter{}) {
		switch {
		case err != nil:
			return 0, err
		case s.Segment != idS:
		case s.Live == nil:
			return -1, nil
		default:
			return s.Live.Users, nil
		}
	}
	return 0, fmt.Errorf("the ledger does not know %s", idS)
}

func requireNoAlert(t *testing.T, alerts *bytes.Buffer) {
	t.Helper()
	require.Empty(t, alerts.String(), "people are told, though all is well")
}
