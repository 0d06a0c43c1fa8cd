package enginetest_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// servers are the engines on which others go on while a transaction stands still: in
// SQLite one that writes keeps everybody from writing.
var servers = []enginetest.Engine{enginetest.PostgreSQL, enginetest.MariaDB}

// vanishChild takes a run in its own transaction to a step, says so, and goes no
// further.
func vanishChild(c *enginetest.Child) error {
	p, err := openPlatform(c.Database)
	if err != nil {
		return err
	}
	r, err := newRacer(p, "slow", "inside", sql.LevelReadCommitted, into(&bytes.Buffer{}))
	if err != nil {
		return err
	}
	r.start(context.Background())
	for at := range r.there {
		if at == c.Args[0] {
			break
		}
		r.steps <- struct{}{}
	}
	if err := c.Say(c.Args[0]); err != nil {
		return err
	}
	_, err = c.Listen()
	return err
}

// TestVanishedClient: a client that holds the segment's commit row, and is gone without
// a word, keeps nobody but the segment's next run, which fails within its bound and
// says for whom it waited. Once the server knows that the client is gone all is well.
func TestVanishedClient(t *testing.T) {
	for _, e := range servers {
		for _, at := range []string{toCount, toLand} {
			t.Run(e.Name+", before it would "+at, func(t *testing.T) {
				p := newMarked(t, newPlatform(t, e.New(t)))
				child := p.database.Start(t, "vanish", at)
				child.Expect(t, at)
				child.Stop(t)
				requireOthersGoOn(t, p, at == toCount)
				next := requireNextNamesHolder(t, p)
				child.Kill(t)
				_, err := next(t.Context())
				require.NoError(t, err)
				p.requireMarked(t, "next")
				alert := p.state(t).Alert
				require.Equal(t, at == toCount, alert.Flapping, "its third onset within a day")
				require.Equal(t, alert.Flapping, alert.Open != nil, "which stays open for a day")
			})
		}
	}
}

// bounded returns a context that ends long before a lock would be given up.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// requireOthersGoOn has the others do what they do. What the transaction recorded,
// with its data, is locked for those who write about the same segment.
func requireOthersGoOn(t *testing.T, p *platform, unrecorded bool) {
	t.Helper()
	ctx := bounded(t)
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: p.history, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	run := func(id string, to segment.ID) segment.Run {
		return segment.Run{
			ID: id, Attempt: 2, Build: "v1", Job: segment.Copy(to, segment.ID{SiteGroup: "g", Name: "source"}), Expected: validate.Count(50), Read: validate.Count(50),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(50), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		}
	}
	other := run("other", segment.ID{SiteGroup: "g", Name: "other"})
	require.NoError(t, g.Begin(ctx, &other))
	_, err = g.Commit(ctx, other)
	require.NoError(t, err, "another segment")

	same := run("slow", idS)
	require.NoError(t, g.Begin(ctx, &same), "another attempt at the same run begins")
	if !unrecorded {
		return
	}
	same.Read = validate.Count(3)
	_, err = g.Admit(ctx, same)
	require.ErrorIs(t, err, validate.Short, "one is rejected")
	require.Equal(t, []string{"1 started", "2 started", "2 rejected"}, p.states(t, "slow"), "and recorded")
	require.Equal(t, 2, p.state(t).Alert.Open.Attempt, "and told of")
	_, err = segment.Accept(ctx, p.history, segment.Selection{Keys: []segment.Key{idS.In("")}, RunID: "day 0"}, segment.Decision{By: "a", Why: "b", At: time.Now()})
	require.NoError(t, err)
	require.Nil(t, p.state(t).Alert.Open)

	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: p.history, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	for n, users := range []int64{3, 40, 40} {
		sweep, err := m.Sweep(ctx, listing(users))
		require.NoError(t, err)
		require.True(t, sweep.Complete)
		require.Equal(t, n < 2, p.state(t).Alert.Open != nil, "a sweep opens an alert, and two healthy ones end it")
	}
}

func listing(users int64) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		_ = yield(segment.CurrentSize{Segment: segment.ID{SiteGroup: "g", Name: "other"}, Stored: validate.Count(50)}, nil) &&
			yield(segment.CurrentSize{Segment: idS, Stored: validate.Count(users)}, nil)
	}
}

// state returns what is at hand of the segment.
func (p *platform) state(t *testing.T) (state segment.SegmentState) {
	t.Helper()
	for s, err := range p.history.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		if s.Segment == idS {
			state = s
		}
	}
	return state
}

// requireNextNamesHolder wants runs of the segment to fail, and returns how to try once
// more.
func requireNextNamesHolder(t *testing.T, p *platform) func(context.Context) (validate.Report, error) {
	t.Helper()
	alerts := p.alerts(t)
	again := p.guard
	var err error
	p.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: p.history, Timeout: time.Second, Alerter: segment.LogAlerter(slog.New(slog.NewTextHandler(alerts, nil)))})
	require.NoError(t, err)
	next := func(ctx context.Context) (validate.Report, error) {
		run, err := p.run(ctx, "next", 1)
		if err != nil {
			return validate.Report{}, err
		}
		r := racer{platform: p, id: "next", way: "staged", guard: p.guard, steps: make(chan struct{}), there: make(chan string, len(steps))}
		close(r.steps)
		return p.guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
			if err := p.exec(ctx, p.db, "DELETE FROM staged"); err != nil {
				return err
			}
			return r.stage(ctx, run)
		})
	}
	_, err = next(bounded(t))
	require.ErrorIs(t, err, validate.Unverified)
	require.True(t, segment.Retryable(err))
	require.ErrorContains(t, err, "(on their way: run slow, attempt 1, since 20")
	require.NotContains(t, alerts.String(), "severity=page")
	p.guard = again
	return next
}

// TestClientThatEndsWithoutAWord: the server ends the transaction of a client that is
// gone by itself, and the next run, which waits, goes live.
func TestClientThatEndsWithoutAWord(t *testing.T) {
	p := newMarked(t, newPlatform(t, postgreSQL(t)))
	d := p.database
	d.DSN += " options='-c idle_in_transaction_session_timeout=500ms'"
	child := d.Start(t, "vanish", toLand)
	child.Expect(t, toLand)
	child.Stop(t)
	_, err := p.staged(bounded(t), "next", 1, func(r *segment.Run) { r.Staging.Commit = func(context.Context) error { return nil } })
	require.NoError(t, err)

	tx, err := p.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, p.history.Tx(tx).Lock(t.Context(), idS.In(""), func(*segment.CommitRow) error { return nil }))
	var bound string
	require.NoError(t, tx.QueryRowContext(t.Context(), "SELECT current_setting('idle_in_transaction_session_timeout')").Scan(&bound))
	require.Equal(t, "5min", bound, "where the job has no bound of its own")
	require.NoError(t, tx.Rollback())
}

// TestLostConnections: the server ends the session of a run, or its connection is
// closed, before each of its steps: it does not go live, and is told so; the next run
// does.
func TestLostConnections(t *testing.T) {
	for _, e := range servers {
		for _, lose := range []string{"the server ends it", "it is closed"} {
			for _, at := range []string{toCommit, toCount, toLand} {
				t.Run(e.Name+", "+lose+" before it would "+at, func(t *testing.T) {
					p := newMarked(t, newPlatform(t, e.New(t)))
					var alerts bytes.Buffer
					r, err := newRacer(p, "lost", "inside", sql.LevelDefault, into(&alerts))
					require.NoError(t, err)
					r.start(t.Context())
					for on := range r.there {
						if on == at {
							break
						}
						r.steps <- struct{}{}
					}
					p.lose(t, r, lose)
					r.release()
					r.finish()
					require.Error(t, r.err)
					require.True(t, segment.Retryable(r.err), "%v", r.err)
					require.NotContains(t, alerts.String(), "severity=page", "the segment is healthy")
					live, _, err := marks(t.Context(), p.db)
					require.NoError(t, err)
					require.Equal(t, []string{"day 0"}, live)

					next, err := newRacer(p, "next", "inside", sql.LevelDefault, into(&alerts))
					require.NoError(t, err)
					next.start(t.Context())
					next.release()
					next.finish()
					require.NoError(t, next.err)
					p.requireMarked(t, "next")
					known, err := p.ledgerLive(t.Context())
					require.NoError(t, err)
					require.Equal(t, int64(50), known)
					require.Nil(t, p.state(t).Alert.Open)
				})
			}
		}
	}
}

// lose ends the connection of a run's transaction.
func (p *platform) lose(t *testing.T, r *racer, how string) {
	t.Helper()
	if how == "it is closed" {
		require.NoError(t, r.conn.Raw(func(c any) error {
			if c, ok := c.(driver.Conn); ok {
				return c.Close()
			}
			return errors.New("no connection of a driver")
		}))
		return
	}
	var id int64
	if p.database.Dialect == sqlsegment.PostgreSQL {
		require.NoError(t, r.tx.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&id))
		execute(t, p.db, "SELECT pg_terminate_backend("+strconv.FormatInt(id, 10)+", 10000)")
		return
	}
	require.NoError(t, r.tx.QueryRowContext(t.Context(), "SELECT connection_id()").Scan(&id))
	execute(t, p.db, "KILL "+strconv.FormatInt(id, 10))
}

// TestRunsThatTakeLongerThanTheirHour: an hourly job of 70 minutes goes live every
// hour, staged and in transactions: each run begins before the one before ends.
func TestRunsThatTakeLongerThanTheirHour(t *testing.T) {
	for _, e := range enginetest.Engines() {
		for _, way := range []string{"staged", "inside"} {
			t.Run(e.Name+", "+way, func(t *testing.T) {
				p := newMarked(t, newPlatform(t, e.New(t)))
				var alerts bytes.Buffer
				var before *racer
				for hour := range 8 {
					r, err := newRacer(p, strconv.Itoa(hour), way, sql.LevelDefault, into(&alerts))
					require.NoError(t, err)
					r.start(t.Context())
					<-r.there
					r.steps <- struct{}{}
					require.Equal(t, toRead, <-r.there, "it has begun, and reads for 70 minutes")
					requireLands(t, before)
					before = r
				}
				requireLands(t, before)
				requireNoAlert(t, &alerts)
			})
		}
	}
}

// requireLands lets a run go on to its end, and wants it live.
func requireLands(t *testing.T, r *racer) {
	t.Helper()
	if r == nil { // before the first
		return
	}
	r.release()
	r.finish()
	require.NoError(t, r.err)
	r.requireMarked(t, r.id)
}
