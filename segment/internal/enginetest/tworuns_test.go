package enginetest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A racer is a run of one segment beside another one, which stands still where the
// test says until it may go on.
type racer struct {
	number bool // it begins
	at     string
	there  chan struct{}
	goOn   chan struct{}
	done   chan error
}

func newRacer(at string) *racer {
	return &racer{number: true, at: at, there: make(chan struct{}), goOn: make(chan struct{}), done: make(chan error, 1)}
}

func (r *racer) pass(at string) {
	if r.at == at {
		close(r.there)
		<-r.goOn
	}
}

// inside is a job that takes out what is live and writes it anew, in its own
// transaction at a level of isolation.
func (p *platform) inside(ctx context.Context, id string, level sql.IsolationLevel, r *racer) error {
	run, err := p.run(ctx, id, 1)
	if err != nil {
		return err
	}
	if err := p.guard.Begin(ctx, &run); err != nil {
		return err
	}
	r.pass("begun")
	tx, err := p.db.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	run.Staging.Tx = p.history.Tx(tx)
	run.Stored = func(ctx context.Context) (validate.Summary, error) {
		r.pass("stored")
		return p.count(ctx, tx, "SELECT id FROM live")
	}
	run.Staging.Commit = func(context.Context) error { r.pass("commit"); return tx.Commit() }
	run.Staging.Discard = func(context.Context) error { return tx.Rollback() }
	if err := errors.Join(p.exec(ctx, tx, "DELETE FROM live"), p.exec(ctx, tx, "INSERT INTO live SELECT id FROM source")); err != nil {
		return errors.Join(segment.ErrOvertaken, err, tx.Rollback()) // the job's own statements met the other's
	}
	r.pass("written")
	_, err = p.guard.Commit(ctx, run)
	return err
}

// TestTwoRunsInTransactions: two runs of one segment, each in its own transaction,
// meet on real engines, at each level of isolation and with one standing still at
// each of its steps while the other goes on as far as it can. The table of live
// users has no key, so that nothing but the guard keeps the users of both apart.
func TestTwoRunsInTransactions(t *testing.T) {
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.MariaDB} {
		levels := map[string]sql.IsolationLevel{"read committed": sql.LevelReadCommitted, "repeatable read": sql.LevelRepeatableRead}
		if e.Dialect == sqlsegment.PostgreSQL {
			levels["serializable"] = sql.LevelSerializable
		}
		for name, level := range levels {
			for _, at := range []string{"begun", "written", "stored", "commit"} {
				t.Run(e.Name+", "+name+", stands still when "+at, func(t *testing.T) { twoRuns(t, e, level, at) })
			}
		}
	}
}

func twoRuns(t *testing.T, e enginetest.Engine, level sql.IsolationLevel, at string) {
	p := newPlatform(t, e.New(t))
	execute(t, p.db, "DROP TABLE live")
	execute(t, p.db, "CREATE TABLE live (id bigint)")
	execute(t, p.db, "INSERT INTO live SELECT id FROM source WHERE id <= 40")
	var alerts bytes.Buffer
	var err error
	p.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: p.history, Alerter: segment.LogAlerter(slog.New(slog.NewTextHandler(&alerts, nil)))})
	require.NoError(t, err)

	slow, quick := newRacer(at), newRacer("")
	go func() { slow.done <- p.inside(t.Context(), "slow", level, slow) }()
	<-slow.there
	go func() { quick.done <- p.inside(t.Context(), "quick", level, quick) }()
	var errs []error
	select { // where the engine, or the guard, makes the quick one wait for the slow one, that goes on
	case err := <-quick.done:
		errs = append(errs, err)
	case <-waiting(t, p):
	}
	close(slow.goOn)
	errs = append(errs, <-slow.done)
	if len(errs) == 1 {
		errs = append(errs, <-quick.done)
	}
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
			continue
		}
		require.True(t, errors.Is(err, segment.ErrOvertaken) || errors.Is(err, segment.ErrSuperseded), "%v", err)
	}
	require.Positive(t, succeeded, "at least one goes live: %v", errs)
	require.Equal(t, int64(50), p.live(t), "%v", errs)
	require.NotContains(t, alerts.String(), "severity=page", "%v", errs)
	for s, err := range p.history.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		require.NotNil(t, s.Live)
		require.Equal(t, int64(50), s.Live.Users, "ledger and store agree")
	}
}

// waiting returns a channel that is closed when a transaction waits for a lock.
func waiting(t *testing.T, p *platform) <-chan struct{} {
	there := make(chan struct{})
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	if p.database.Dialect == sqlsegment.MySQL {
		query = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		for ctx.Err() == nil {
			var n int
			if p.db.QueryRowContext(ctx, query).Scan(&n) == nil && n > 0 {
				close(there)
				return
			}
		}
	}()
	return there
}
