package enginetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// lossy is a job whose output lost a user on its way.
func lossy(r *segment.Run) {
	stored := r.Stored
	r.Stored = func(ctx context.Context) (validate.Summary, error) {
		s, err := stored(ctx)
		return validate.Count(s.Users() - 1), err
	}
}

func TestGuardOverItsOwnHistory(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		p := newPlatform(t, d)
		_, err := p.staged(t.Context(), "bad", 1, lossy)
		require.ErrorIs(t, err, validate.Short)
		p.requireAgreement(t, 40)
		require.Equal(t, []string{"1 rejected"}, p.states(t, "bad"))
		require.Zero(t, number(t, p.db, "SELECT count(*) FROM staged"), "discarded")

		report, err := p.staged(t.Context(), "good", 2)
		require.NoError(t, err)
		require.False(t, report.Band.IsZero(), "judged by its history, too")
		p.requireAgreement(t, 40, 50)

		_, err = p.staged(t.Context(), "good", 1)
		require.ErrorIs(t, err, segment.ErrSuperseded)
		_, err = p.staged(t.Context(), "good", 2)
		require.ErrorIs(t, err, segment.ErrSuperseded, "it is live already")
		p.requireAgreement(t, 40, 50)
		require.Zero(t, number(t, p.db, "SELECT count(*) FROM staged"), "discarded")
	})
}

// The record goes live with the data or not at all. The guard's own history is
// on the same pool: with one connection only, and on SQLite with any number, it
// would wait for ever if it were used before the transaction is over.
func TestGuardInTheJobsTransaction(t *testing.T) {
	for name, connections := range map[string]int{"one connection": 1, "many connections": 0} {
		t.Run(name, func(t *testing.T) {
			enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
				p := newPlatform(t, d)
				p.db.SetMaxOpenConns(connections)
				_, err := p.inTransaction(t.Context(), "bad", 1, lossy)
				require.ErrorIs(t, err, validate.Short)
				p.requireAgreement(t, 40)
				require.Equal(t, []string{"1 rejected"}, p.states(t, "bad"))

				report, err := p.inTransaction(t.Context(), "good", 2)
				require.NoError(t, err)
				require.False(t, report.Band.IsZero(), "judged by its history, too")
				p.requireAgreement(t, 40, 50)
				require.Equal(t, []string{"2 committed"}, p.states(t, "good"))

				_, err = p.inTransaction(t.Context(), "good", 1)
				require.ErrorIs(t, err, segment.ErrSuperseded)
				_, err = p.inTransaction(t.Context(), "good", 2)
				require.ErrorIs(t, err, segment.ErrSuperseded, "it is live already")
				p.requireAgreement(t, 40, 50)
			})
		})
	}
}

// A commit that fails in the database itself: a constraint that is only looked
// at in the end, and a connection that is lost.
func TestGuardWhoseCommitFails(t *testing.T) {
	eachStandard(t, func(t *testing.T, d enginetest.Database) {
		p := newPlatform(t, d)
		if d.Dialect == sqlsegment.SQLite {
			p.db.SetMaxOpenConns(1) // foreign_keys holds for a connection
			require.NoError(t, p.exec(t.Context(), p.db, "PRAGMA foreign_keys = 1"))
		}
		require.NoError(t, p.exec(t.Context(), p.db, "CREATE TABLE strict (id integer REFERENCES live (id) DEFERRABLE INITIALLY DEFERRED)"))
		require.NoError(t, p.exec(t.Context(), p.db, "INSERT INTO strict VALUES (7)"))
		require.NoError(t, p.exec(t.Context(), p.db, "DELETE FROM source WHERE id = 7"))
		for _, way := range p.ways() {
			_, err := way.do(t.Context(), way.name, 1)
			_, unknown := errors.AsType[*segment.UnknownError](err)
			states := p.states(t, way.name)
			if way.name == "staged" {
				require.True(t, unknown, "%v", err)
				require.False(t, segment.Retryable(err))
				require.Equal(t, "1 unknown", states[len(states)-1])
			} else { // the ledger tells
				require.ErrorIs(t, err, validate.Unverified)
				require.True(t, segment.Retryable(err))
				require.Equal(t, []string{"1 rejected"}, states)
			}
			p.requireAgreement(t, 40)
			p.expire(t)
		}
	})
}

func TestGuardWhoseConnectionIsLost(t *testing.T) {
	p := newPlatform(t, postgreSQL(t))
	kill := func(r *segment.Run) {
		commit := r.Staging.Commit
		r.Staging.Commit = func(ctx context.Context) error {
			return errors.Join(p.exec(ctx, p.db, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'idle in transaction'`), commit(ctx))
		}
	}
	_, err := p.inTransaction(t.Context(), "r", 1, kill)
	require.ErrorIs(t, err, validate.Unverified)
	require.Equal(t, []string{"1 rejected"}, p.states(t, "r"), "what the transaction recorded is gone with it, so nothing is live")
	p.requireAgreement(t, 40)
	_, err = p.inTransaction(t.Context(), "r", 2)
	require.NoError(t, err)
	p.requireAgreement(t, 40, 50)
}

// A way is how a job writes.
type way struct {
	name string
	do   func(context.Context, string, int, ...func(*segment.Run)) (validate.Report, error)
}

func (p *platform) ways() []way {
	return []way{{"staged", p.staged}, {"in transaction", p.inTransaction}}
}

// guardChild runs a guarded job and stops where its arguments say, to be killed.
func guardChild(c *enginetest.Child) error {
	p, err := openPlatform(c.Database)
	if err != nil {
		return err
	}
	stop := func(at string) error {
		if c.Args[1] != at {
			return nil
		}
		if err := c.Say(at); err != nil {
			return err
		}
		_, err := c.Listen()
		return err
	}
	for _, way := range p.ways() {
		if way.name != c.Args[0] {
			continue
		}
		_, err = way.do(context.Background(), "r", 1, func(r *segment.Run) {
			commit := r.Staging.Commit
			r.Staging.Commit = func(ctx context.Context) error {
				return errors.Join(stop("passed"), commit(ctx), stop("committed"))
			}
		})
	}
	return err
}

// A process killed with SIGKILL leaves the live segment as it was or as it
// should be, and the next attempt brings the history in step with it.
func TestGuardKilled(t *testing.T) {
	for _, c := range []struct {
		way, at, reason string
		live            int64    // users after the kill
		states          []string // of the run, after the kill
		sizes           []int64  // recorded after the kill
		again           error    // what the same attempt is told if its queue starts it again
		sizesAgain      []int64  // recorded after that
		next            []int64  // and after the next attempt
	}{
		{
			way: "staged", at: "passed", reason: "nothing is live, nothing in the baseline",
			live: 40, states: []string{"1 passed"}, sizes: []int64{40}, sizesAgain: []int64{40, 50}, next: []int64{40, 50, 50},
		},
		{
			way: "staged", at: "committed", reason: "the output is live, and the history does not know it until the job ran again",
			live: 50, states: []string{"1 passed"}, sizes: []int64{40}, sizesAgain: []int64{40, 50}, next: []int64{40, 50, 50},
		},
		{
			way: "in transaction", at: "passed", reason: "the record is gone with the data",
			live: 40, sizes: []int64{40}, sizesAgain: []int64{40, 50}, next: []int64{40, 50, 50},
		},
		{
			way: "in transaction", at: "committed", reason: "the record is live with the data, and the attempt must not run again",
			live: 50, states: []string{"1 committed"}, sizes: []int64{40, 50}, again: segment.ErrSuperseded, sizesAgain: []int64{40, 50}, next: []int64{40, 50, 50},
		},
	} {
		t.Run(c.way+", killed when "+c.at, func(t *testing.T) {
			enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
				p := newPlatform(t, d)
				child := p.database.Start(t, "guard", c.way, c.at)
				child.Expect(t, c.at)
				child.Kill(t)
				require.Equal(t, c.live, p.live(t), c.reason)
				require.Equal(t, c.states, p.states(t, "r"), c.reason)
				require.Equal(t, c.sizes, users(t, p.history, idS, 60), c.reason)
				for _, way := range p.ways() {
					if way.name != c.way {
						continue
					}
					p.expire(t)
					_, err := way.do(t.Context(), "r", 1)
					require.ErrorIs(t, err, c.again)
					p.requireAgreement(t, c.sizesAgain...)
					_, err = way.do(t.Context(), "r", 2)
					require.NoError(t, err)
					p.requireAgreement(t, c.next...)
					_, err = way.do(t.Context(), "r", 1)
					require.ErrorIs(t, err, segment.ErrSuperseded, "the killed attempt was only slow")
					p.requireAgreement(t, c.next...)
				}
				require.Zero(t, number(t, p.db, "SELECT count(*) FROM staged"))
			})
		})
	}
}
