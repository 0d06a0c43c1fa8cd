package enginetest_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// changes are those who join and leave a platform's segment: 41 to 50 come, 36 to 40
// go, of its 1 to 40.
func changes(t *testing.T, p *platform) {
	t.Helper()
	for _, statement := range []string{
		"CREATE TABLE joining (id integer PRIMARY KEY)", "CREATE TABLE leaving (id integer PRIMARY KEY)",
		"INSERT INTO joining SELECT id FROM source WHERE id > 40", "INSERT INTO leaving SELECT id FROM source WHERE id BETWEEN 36 AND 40",
	} {
		require.NoError(t, p.exec(t.Context(), p.db, statement))
	}
}

const (
	join  = "INSERT INTO live SELECT id FROM joining"
	leave = "DELETE FROM live WHERE id IN (SELECT id FROM leaving)"
)

// change has users join and leave in the transaction of the job.
func (p *platform) change(ctx context.Context, id string, statements ...string) (validate.Report, error) {
	run := segment.Run{ID: id, Build: "v1", Job: segment.Copy(idS, segment.ID{SiteGroup: "g", Name: "source"}), Delta: &segment.Delta{}}
	if err := p.guard.Begin(ctx, &run); err != nil {
		return validate.Report{}, err
	}
	var errs [2]error
	run.Expected, errs[0] = p.count(ctx, p.db, "SELECT id FROM joining")
	run.Delta.Removed, errs[1] = p.count(ctx, p.db, "SELECT id FROM leaving")
	tx, err := p.db.BeginTx(ctx, nil)
	if err := errors.Join(append(errs[:], err)...); err != nil {
		return validate.Report{}, err
	}
	reads := func(query string) func(context.Context) (validate.Summary, error) {
		return func(ctx context.Context) (validate.Summary, error) { return p.count(ctx, tx, query) }
	}
	run.Stored = reads("SELECT id FROM live WHERE id IN (SELECT id FROM joining)")
	run.Delta.Remaining = reads("SELECT id FROM live WHERE id IN (SELECT id FROM leaving)")
	run.Delta.Whole = reads("SELECT id FROM live")
	run.Staging = segment.Staging{
		Tx:     p.history.Tx(tx),
		Commit: func(context.Context) error { return tx.Commit() }, Discard: func(context.Context) error { return tx.Rollback() },
	}
	for _, statement := range statements {
		if err := p.exec(ctx, tx, statement); err != nil {
			return validate.Report{}, errors.Join(err, tx.Rollback())
		}
	}
	return p.guard.Commit(ctx, run)
}

// TestDeltaInTheJobsTransaction adds and removes users with their record, or not at all.
func TestDeltaInTheJobsTransaction(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		p := newPlatform(t, d)
		changes(t, p)
		for _, c := range []struct {
			reason     string
			statements []string
			kind       validate.Kind
		}{
			{"removes nobody", []string{join}, validate.Surplus},
			{"removes one too few", []string{join, leave + " AND id < 40"}, validate.Surplus},
			{"adds nobody", []string{leave}, validate.Short},
			{"adds one too few", []string{join + " WHERE id < 50", leave}, validate.Short},
			{"removes all but those who join", []string{"DELETE FROM live", join}, validate.Short},
			{"removes others, too", []string{join, leave, "DELETE FROM live WHERE id BETWEEN 1 AND 20"}, validate.Short},
		} {
			_, err := p.change(t.Context(), c.reason, c.statements...)
			require.ErrorIs(t, err, c.kind, c.reason)
			require.Equal(t, int64(40), p.live(t), c.reason)
			require.Equal(t, int64(40), p.state(t).Live.Users, c.reason)
		}
		r, err := p.change(t.Context(), "right", join, leave)
		require.NoError(t, err)
		require.Equal(t, validate.Count(40), r.Delta.Last)
		p.requireAgreement(t, 40, 45)
		require.Nil(t, p.state(t).Alert.Open, "it is over")

		for _, table := range []string{"joining", "leaving"} {
			require.NoError(t, p.exec(t.Context(), p.db, "DELETE FROM "+table))
		}
		_, err = p.change(t.Context(), "nothing")
		require.NoError(t, err, "nothing changed, and nothing was to")
		_, err = p.change(t.Context(), "nothing, and one is lost", "DELETE FROM live WHERE id = 1")
		require.ErrorIs(t, err, validate.Short)
		p.requireAgreement(t, 40, 45, 45)
	})
}

// TestSubmitOverSQL has one process submit a run and end, and others settle it.
func TestSubmitOverSQL(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		now := time.Now()
		guard := func() (*segment.Guard, *sqlsegment.Ledger) {
			l, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
			require.NoError(t, err)
			g, err := segment.NewGuard(segment.GuardConfig{
				Ledger: l, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler)), Now: func() time.Time { return now },
			})
			require.NoError(t, err)
			return g, l
		}
		d.History(t)
		submit := func(name string) {
			g, _ := guard()
			run := segment.Run{ID: "monday", Job: segment.Copy(segment.ID{SiteGroup: "api", Name: name}, idS), Live: true}
			require.NoError(t, g.Begin(t.Context(), &run))
			run.Expected = validate.Count(5300)
			require.NoError(t, g.Submit(t.Context(), run, now.Add(time.Hour)))
		}
		held := map[string]int64{"right": 0, "wrong": 0, "silent": 0}
		for name := range held {
			submit(name)
		}
		look := func(_ context.Context, s segment.Submitted) (validate.Summary, error) {
			if s.Segment.Name == "silent" {
				return validate.Summary{}, errors.New("connection refused")
			}
			return validate.Count(held[s.Segment.Name]), nil
		}
		g, _ := guard()
		settled, err := g.Settle(t.Context(), look)
		require.ErrorContains(t, err, "connection refused")
		require.Equal(t, segment.Settlement{Waiting: 3}, settled)

		now, held["right"], held["wrong"] = now.Add(30*time.Minute), 5300, 5200
		var all segment.Settlement
		var mu sync.Mutex
		settle := func() {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					g, _ := guard()
					settled, _ := g.Settle(t.Context(), look)
					mu.Lock()
					defer mu.Unlock()
					all.Passed, all.Failed = all.Passed+settled.Passed, all.Failed+settled.Failed
				})
			}
			wg.Wait()
		}
		settle()
		require.Equal(t, segment.Settlement{Passed: 1}, all, "by one of four")
		now = now.Add(30 * time.Minute)
		settle()
		require.Equal(t, segment.Settlement{Passed: 1, Failed: 2}, all)

		_, l := guard()
		for name, want := range map[string]segment.RunState{"right": segment.RunCommitted, "wrong": segment.RunRejected, "silent": segment.RunRejected} {
			s, err := l.State(t.Context(), segment.ID{SiteGroup: "api", Name: name}.In(""))
			require.NoError(t, err)
			require.Equal(t, want, s.Last.State, name)
			require.Nil(t, s.Submitted, name)
			require.Equal(t, want == segment.RunRejected, s.Alert.Open != nil, name)
		}
		require.Zero(t, number(t, d.Open(t), "SELECT count(*) FROM segmentguard_segments WHERE submitted_until IS NOT NULL"))
	})
}
