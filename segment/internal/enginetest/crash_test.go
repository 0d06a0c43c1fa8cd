package enginetest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

// What a job is told when the server is gone.
const (
	unverified = "unverified" // nothing went live, it may try again
	unknown    = "unknown"    // its commit failed, somebody has to look
)

// A server killed with all its sessions, at any point of a guarded job, leaves
// the live segment as it was or as it should be. The job is told which it does
// not know, the alert is out although no record can be made, and after a restart
// the history agrees with the live segment, once the job ran again at the latest.
func TestGuardWhoseServerIsKilled(t *testing.T) {
	server := enginetest.NewMortal(t)
	for _, c := range []struct {
		way, at, reason string
		told            string
		live            int64    // users after the restart
		states          []string // of the run, after the restart
		sizes           []int64  // recorded after the restart
		again           error    // what the same attempt is told then
	}{
		{way: "staged", at: "Stored", reason: "nothing was live yet", told: unverified, live: 40, sizes: []int64{40}},
		{way: "staged", at: "record", reason: "nothing may go live unannounced", told: unverified, live: 40, sizes: []int64{40}},
		{way: "staged", at: "Commit", reason: "announced, and not live", told: unknown, live: 40, states: []string{"1 passed"}, sizes: []int64{40}},
		{way: "staged", at: "COMMIT", reason: "the database had not committed", told: unknown, live: 40, states: []string{"1 passed"}, sizes: []int64{40}},
		{way: "staged", at: "answer", reason: "it had, and the history does not know until the job ran again", told: unknown, live: 50, states: []string{"1 passed"}, sizes: []int64{40}},
		{way: "in transaction", at: "Stored", reason: "the transaction is gone", told: unverified, live: 40, sizes: []int64{40}},
		{way: "in transaction", at: "record", reason: "the same", told: unverified, live: 40, sizes: []int64{40}},
		{way: "in transaction", at: "Commit", reason: "the record is gone with the data", told: unknown, live: 40, sizes: []int64{40}},
		{way: "in transaction", at: "COMMIT", reason: "the same", told: unknown, live: 40, sizes: []int64{40}},
		{way: "in transaction", at: "answer", reason: "the record is live with the data", told: unknown, live: 50, states: []string{"1 committed"}, sizes: []int64{40, 50}, again: segment.ErrSuperseded},
	} {
		t.Run(c.way+", killed at "+c.at, func(t *testing.T) {
			p := newPlatform(t, server.New(t))
			alerts := p.alerts(t)
			hold(t, p, c.at)
			_, err := p.way(c.way)(t.Context(), "r", 1, killedAt(t, p, c.at, server.Kill))
			requireTold(t, c.told, err)
			require.Contains(t, alerts.String(), "segment=g/s", c.reason)

			server.Restart(t)
			p, err = openPlatform(p.database)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, p.db.Close()) })
			require.Equal(t, c.live, p.live(t), c.reason)
			require.Equal(t, c.states, p.states(t, "r"), c.reason)
			require.Equal(t, c.sizes, users(t, p.history, idS, 60), c.reason)

			execute(t, p.db, "DROP TRIGGER IF EXISTS hold ON live")
			p.expire(t)
			_, err = p.way(c.way)(t.Context(), "r", 1)
			require.ErrorIs(t, err, c.again)
			p.requireAgreement(t, 40, 50)
		})
	}
}

func requireTold(t *testing.T, told string, err error) {
	t.Helper()
	failed, judged := errors.AsType[*validate.Error](err)
	_, lost := errors.AsType[*segment.UnknownError](err)
	switch told {
	case unverified:
		require.True(t, judged && !lost, "%v", err)
		require.ErrorIs(t, failed, validate.Unverified)
		require.True(t, segment.Retryable(err), "%v", err)
	case unknown:
		require.True(t, lost && !judged, "%v", err)
		require.False(t, segment.Retryable(err), "%v", err)
	}
}

// alerts are what the platform's guard tells people from now on.
func (p *platform) alerts(t *testing.T) *bytes.Buffer {
	t.Helper()
	var alerts bytes.Buffer
	var err error
	p.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: p.history, Alerter: segment.LogAlerter(slog.New(slog.NewTextHandler(&alerts, nil)))})
	require.NoError(t, err)
	return &alerts
}

func (p *platform) way(name string) func(context.Context, string, int, ...func(*segment.Run)) (validate.Report, error) {
	for _, way := range p.ways() {
		if way.name == name {
			return way.do
		}
	}
	return nil
}

// hold makes the live segment's next transaction stand still: before the
// database commits it, or after that and before it answers.
func hold(t *testing.T, p *platform, at string) {
	t.Helper()
	conn, err := p.db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // killed with the server
	_, err = conn.ExecContext(t.Context(), "SELECT pg_advisory_lock(1)")
	require.NoError(t, err)
	does := map[string]string{
		"COMMIT": "PERFORM pg_advisory_lock_shared(1)",
		"answer": "PERFORM set_config('synchronous_commit', 'on', true)",
	}[at]
	if does == "" {
		return
	}
	execute(t, p.db, "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "+strings.ReplaceAll(does, "'", "''")+"; RETURN NULL; END'")
	execute(t, p.db, "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON live DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()")
}

// killedAt has the server killed at a point of a run.
func killedAt(t *testing.T, p *platform, at string, kill func() error) func(*segment.Run) {
	return func(r *segment.Run) {
		stored, commit := r.Stored, r.Staging.Commit
		switch at {
		case "Stored":
			r.Stored = func(ctx context.Context) (s validate.Summary, err error) {
				p.gate = "CASE WHEN id = 25 THEN pg_advisory_lock_shared(1) IS NOT NULL ELSE true END"
				killedWhile(ctx, t, p, "wait_event_type = 'Lock'", kill, func() { s, err = stored(ctx) })
				return s, err
			}
		case "record":
			r.Stored = func(ctx context.Context) (validate.Summary, error) {
				s, err := stored(ctx)
				require.NoError(t, errors.Join(err, kill()))
				return s, nil
			}
		case "Commit":
			r.Staging.Commit = func(ctx context.Context) error {
				require.NoError(t, kill())
				return commit(ctx)
			}
		default:
			waits := map[string]string{"COMMIT": "wait_event_type = 'Lock'", "answer": "wait_event = 'SyncRep'"}[at]
			r.Staging.Commit = func(ctx context.Context) (err error) {
				killedWhile(ctx, t, p, waits, kill, func() { err = commit(ctx) })
				return err
			}
		}
	}
}

// killedWhile does something that stands still in the database, where it is
// killed.
func killedWhile(ctx context.Context, t *testing.T, p *platform, waits string, kill func() error, do func()) {
	var over sync.WaitGroup
	over.Go(do)
	await(ctx, t, p.db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "+waits)
	require.NoError(t, kill())
	over.Wait()
}
