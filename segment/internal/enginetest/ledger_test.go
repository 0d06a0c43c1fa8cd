package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// The log is pruned by age; what is at hand, and what is wrong, stays.
func TestPrune(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Record(t.Context(), rec("old", 1, segment.RunCommitted, 1)))
		for range 13 { // more than are deleted at a time
			execute(t, db, `INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report)
				SELECT segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report FROM segmentguard_attempts`)
		}
		require.NoError(t, h.Record(t.Context(), rec("new", 1, segment.RunCommitted, 5)))
		require.NoError(t, h.ChangeAlerts(t.Context(), []segment.ID{idS}, func(s *segment.AlertState) { s.Open = &segment.Alert{Segment: idS, RunID: "old"} }))
		n, err := h.Prune(t.Context(), start.AddDate(0, 0, 5))
		require.NoError(t, err)
		require.Equal(t, int64(1<<13), n)
		require.Equal(t, int64(1), number(t, db, "SELECT count(*) FROM segmentguard_attempts"))
		require.Equal(t, []int64{1, 5}, users(t, h, idS, 60), "the baseline is not made of the log")
		require.Equal(t, int64(1), number(t, db, "SELECT count(*) FROM segmentguard_alerts"))
		require.ErrorContains(t, h.Accept(t.Context(), idS, segment.Acceptance{RunID: "old", By: "b", Why: "w", At: start}), `no record of run "old"`)
		n, err = h.Prune(t.Context(), start.AddDate(0, 0, 5))
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// What a database cannot find again is refused before anything is written.
func TestKeysTooLong(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		long := strings.Repeat("x", 1025)
		for _, change := range []func(*segment.Record){
			func(r *segment.Record) { r.Segment.Name = long },
			func(r *segment.Record) { r.RunID = long },
		} {
			err := h.Record(t.Context(), with(rec("r", 1, segment.RunCommitted, 1), change))
			if d.Dialect != sqlsegment.MySQL {
				require.NoError(t, err)
				continue
			}
			_, bad := errors.AsType[*validate.InputError](err)
			require.True(t, bad, "%v", err)
			require.ErrorContains(t, err, "1024 bytes at most")
			require.Zero(t, number(t, d.Open(t), "SELECT count(*) FROM segmentguard_segments"))
		}
	})
}

// What is packed is never taken for a segment without a history.
func TestDamagedRow(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		damaged := map[sqlsegment.Dialect]string{sqlsegment.PostgreSQL: `'\x02'`, sqlsegment.SQLite: "x'02'", sqlsegment.MySQL: "x'02'"}[d.Dialect]
		execute(t, db, "UPDATE segmentguard_segments SET packed = "+damaged)
		_, err := h.Sizes(t.Context(), idS, 60)
		require.ErrorContains(t, err, "packed sizes of g/s: version 2, want 1")
		require.ErrorContains(t, h.Record(t.Context(), rec("r2", 1, segment.RunCommitted, 1)), "version 2")
		m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h})
		require.NoError(t, err)
		s, err := m.Sweep(t.Context(), func(func(segment.CurrentSize, error) bool) {})
		require.ErrorContains(t, err, "version 2")
		require.False(t, s.Complete)
		execute(t, db, "UPDATE segmentguard_segments SET packed = ''")
		_, err = h.Sizes(t.Context(), idS, 60)
		require.ErrorContains(t, err, "packed sizes of g/s: damaged: it ends too early", "what was emptied is no segment without a history")
		require.ErrorContains(t, h.Record(t.Context(), rec("r2", 1, segment.RunCommitted, 1)), "too early", "nor does it become one")
	})
}

// sql_select_limit must not make alerts look as if they were not there.
func TestChangeAlertsOverrulesSQLSelectLimit(t *testing.T) {
	d := mariaDB(t)
	d.DSN += "?sql_select_limit=1"
	h := d.History(t)
	ids := []segment.ID{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	require.NoError(t, h.ChangeAlerts(t.Context(), ids, func(s *segment.AlertState) { s.Open = &segment.Alert{Segment: s.Segment} }))
	require.NoError(t, h.ChangeAlerts(t.Context(), ids, func(s *segment.AlertState) {
		if s.Segment.Name != "a" {
			s.Open = nil
		}
	}))
	var open []segment.ID
	for s, err := range h.Alerts(t.Context()) {
		require.NoError(t, err)
		open = append(open, s.Segment)
	}
	require.Equal(t, ids[:1], open)
}

// A function of the caller's that panics leaves nothing locked and no connection
// open.
func TestChangeAlertsThatPanics(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		db.SetMaxOpenConns(1)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, h.Migrate(t.Context()))
		calls := 0
		require.PanicsWithValue(t, "boom", func() {
			_ = h.ChangeAlerts(t.Context(), []segment.ID{idS}, func(s *segment.AlertState) {
				if s.Open = (&segment.Alert{Segment: idS}); calls == 1 {
					panic("boom") // with its row locked
				}
				calls++
			})
		})
		for state, err := range h.Alerts(t.Context()) {
			require.Fail(t, "nothing was changed", "%v %v", state, err)
		}
		require.NoError(t, d.History(t).ChangeAlerts(t.Context(), []segment.ID{idS}, func(s *segment.AlertState) { s.Open = &segment.Alert{Segment: idS} }))
	})
}

// A sweep over a ledger in a database, on one connection: it reads and writes in
// turns, and what it told once it tells no more, after a restart too.
func TestSweepOverADatabase(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		d.History(t)
		told := &teller{}
		now := time.Now().UTC()
		id := func(i int) segment.ID { return segment.ID{SiteGroup: "site/a", Name: fmt.Sprintf("%04d", i)} }
		const n = 2500 // more than are read at a time
		sweep := func(users func(i int) int64) segment.Sweep {
			db := d.Open(t)
			db.SetMaxOpenConns(1)
			h, err := sqlsegment.NewLedger(db, d.Dialect) // as after a restart
			require.NoError(t, err)
			m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h, Alerter: told, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				for i := range n {
					if !yield(segment.CurrentSize{Segment: id(i), Stored: validate.Count(users(i)), At: now}, nil) {
						return
					}
				}
			})
			require.NoError(t, err)
			require.True(t, s.Complete)
			require.Equal(t, n, s.Segments)
			return s
		}
		size := func(i int) int64 { return int64(1000 + i) }
		require.Equal(t, n, sweep(size).Unwatched, "nothing is known yet, and from now on it is")
		now = now.AddDate(0, 0, 1)
		require.Equal(t, n, sweep(size).Healthy)
		now = now.AddDate(0, 0, 1)
		broken := func(i int) int64 {
			if i%100 == 7 {
				return 0
			}
			return size(i)
		}
		s := sweep(broken)
		require.Len(t, s.Findings, n/100)
		require.Equal(t, validate.Empty, s.Findings[0].Kind)
		require.Equal(t, []int{n/100 + 1, 0}, told.news(), "each segment, and one incident")
		sweep(broken)
		require.Equal(t, []int{0, 0}, told.news())
		require.Equal(t, n, sweep(size).Healthy)
		require.Equal(t, []int{0, n/100 + 1}, told.news())
	})
}

// A teller counts what it is told.
type teller struct{ fired, resolved int }

func (a *teller) Fire(context.Context, segment.Alert) error { a.fired++; return nil }
func (a *teller) Resolve(context.Context, segment.ID) error { a.resolved++; return nil }

func (a *teller) news() []int {
	news := []int{a.fired, a.resolved}
	*a = teller{}
	return news
}
