package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// Records and what became of alerts are pruned by age; what people decided, and the
// state of a segment, stay.
func TestPrune(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Record(t.Context(), rec("old", 1, segment.RunCommitted, 1)))
		const columns = "segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report"
		for range 13 { // more than are deleted at a time
			execute(t, db, "INSERT INTO segmentguard_log ("+columns+") SELECT "+columns+" FROM segmentguard_log")
		}
		require.NoError(t, h.Record(t.Context(), rec("new", 1, segment.RunCommitted, 5)))
		_, err := segment.Suspect(t.Context(), h, segment.Selection{Keys: []segment.Key{idS.In("")}, RunID: "new"}, segment.Decision{By: "b", Why: "w", At: start.AddDate(0, 0, -1)})
		require.NoError(t, err)
		require.NoError(t, changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) {
			s.Alert.Open = &segment.Alert{Segment: idS, RunID: "old"}
			for _, action := range []segment.Action{segment.ActionOpened, segment.ActionWorse, segment.ActionTold, segment.ActionOver, segment.ActionMuted, segment.ActionFalseAlarm} {
				s.Log = append(s.Log, segment.LogEntry{Segment: idS, At: start, Action: action})
			}
		}))
		n, err := h.Prune(t.Context(), start.AddDate(0, 0, 5))
		require.NoError(t, err)
		require.Equal(t, int64(1<<13+4), n)
		require.Equal(t, int64(4), number(t, db, "SELECT count(*) FROM segmentguard_log"))
		require.Equal(t, []int64{1}, users(t, h, idS, 60), "the baseline is not made of the log")
		require.Equal(t, []segment.ID{idS}, affected(t, h))
		_, err = segment.Accept(t.Context(), h, segment.Selection{Keys: []segment.Key{idS.In("")}, RunID: "old"}, segment.Decision{By: "b", Why: "w", At: start})
		require.ErrorContains(t, err, `no record of run "old"`)
		n, err = h.Prune(t.Context(), start.AddDate(0, 0, 5))
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// Plans are pruned as a whole, and only when all of it was done before the time.
func TestPrunePlans(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		done := func(day int) segment.StepProgress {
			return segment.StepProgress{State: segment.StepDone, Ended: start.AddDate(0, 0, day)}
		}
		for id, plan := range map[string]struct {
			day   int
			steps []segment.StepProgress
		}{
			"done":             {0, []segment.StepProgress{done(1), done(2)}},
			"one is to be run": {0, []segment.StepProgress{done(1), {State: segment.StepWaiting}}},
			"one failed":       {0, []segment.StepProgress{{State: segment.StepFailed, Ended: start}, done(1)}},
			"done later":       {0, []segment.StepProgress{done(1), done(5)}},
			"planned later":    {5, []segment.StepProgress{done(5)}},
		} {
			var steps []segment.PlanStep
			for i, p := range plan.steps {
				steps = append(steps, segment.PlanStep{Number: i + 1, Job: segment.Copy(idS, idS), Progress: p})
			}
			decided := segment.Decision{By: "b", Why: "w", At: start.AddDate(0, 0, plan.day)}
			require.NoError(t, h.KeepPlan(t.Context(), segment.PlanRecord{ID: id, Planned: decided, Steps: len(steps)}, slices.Values(steps)))
		}
		for range 2 {
			n, err := h.Prune(t.Context(), start.AddDate(0, 0, 5))
			require.NoError(t, err)
			require.Zero(t, n)
			var left []string
			for p, err := range h.Plans(t.Context(), segment.PlanFilter{}) {
				require.NoError(t, err)
				left = append(left, p.ID)
			}
			require.Equal(t, []string{"planned later", "done later", "one failed", "one is to be run"}, left)
			require.Equal(t, int64(7), number(t, db, "SELECT count(*) FROM segmentguard_steps"))
		}
	})
}

func changeAlert(t *testing.T, l segment.Ledger, keys []segment.Key, change func(*segment.SegmentState)) error {
	t.Helper()
	return l.Change(t.Context(), keys, func(s *segment.SegmentState) error {
		change(s)
		return nil
	})
}

// affected returns the segments that have an alert.
func affected(t *testing.T, l segment.Ledger) (found []segment.ID) {
	t.Helper()
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		found = append(found, s.Segment)
	}
	return found
}

// What people query of an alert stands in columns, as long as it is open.
func TestAlertColumns(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		columns := func() (affected bool, kind, severity sql.NullString) {
			query := "SELECT affected, alert_kind, alert_severity FROM segmentguard_segments WHERE alert_since IS NULL OR alert_since = " +
				d.SQL("'2024-03-18 10:44:00+00'", strconv.FormatInt(start.UnixMicro(), 10))
			require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&affected, &kind, &severity))
			return affected, kind, severity
		}
		on, kind, severity := columns()
		require.Equal(t, []any{false, sql.NullString{}, sql.NullString{}}, []any{on, kind, severity})
		alert := &segment.Alert{Segment: idS, Kind: validate.Short, Urgency: segment.Page, Since: start}
		require.NoError(t, changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) { s.Alert.Open, s.Alert.Told = alert, []segment.Told{{At: start}} }))
		on, kind, severity = columns()
		require.Equal(t, []any{true, "short", "page"}, []any{on, kind.String, severity.String})
		require.NoError(t, changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) { s.Alert.Open = nil }))
		on, kind, severity = columns()
		require.Equal(t, []any{true, sql.NullString{}, sql.NullString{}}, []any{on, kind, severity}, "the alerter is still to be told")
	})
}

// What is asked for often has an index, also where the planner has to be shown.
func TestQueriesUseIndexes(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		var imports []segment.SizeImport
		for i := range 2000 {
			imports = append(imports, segment.SizeImport{Segment: segment.ID{Name: strconv.Itoa(i)}, Sizes: []validate.Size{{Users: 1, At: start}}})
		}
		require.NoError(t, segment.Import(t.Context(), h, imports))
		for i := range 100 {
			run := strconv.Itoa(i)
			require.NoError(t, h.Record(t.Context(), with(rec(run, 1, segment.RunPassed, int64(i)), func(r *segment.Record) { r.Build, r.Segment.Name = run, run })))
		}
		const columns = "segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report"
		for range 5 { // most of a log are records
			execute(t, db, "INSERT INTO segmentguard_log ("+columns+") SELECT "+columns+" FROM segmentguard_log")
		}
		manyIncidents(t, d, h)
		fillAlerts(t, h)
		if d.Dialect == sqlsegment.MySQL {
			execute(t, db, "ANALYZE TABLE segmentguard_incidents")
			execute(t, db, "ANALYZE TABLE segmentguard_segments")
			execute(t, db, "ANALYZE TABLE segmentguard_log")
		} else {
			execute(t, db, "ANALYZE")
		}
		for query, index := range map[string]string{
			"SELECT segment FROM segmentguard_segments WHERE store = '' AND segment > '' AND affected = TRUE ORDER BY segment LIMIT 1000":                                                                   "segmentguard_segments_affected",
			"SELECT state FROM segmentguard_segments WHERE store = '' AND segment > '' AND alert_pending = TRUE ORDER BY segment LIMIT 1000":                                                                "segmentguard_segments_pending",
			"SELECT state FROM segmentguard_segments WHERE store = '' AND segment > '' AND alert_incident = 'none' ORDER BY segment LIMIT 1000":                                                             "segmentguard_segments_incident",
			"SELECT state FROM segmentguard_segments WHERE store = '' AND segment > '' AND alert_job_kind = 'copy' AND alert_build = 'v' ORDER BY segment LIMIT 1000":                                       "segmentguard_segments_build",
			"SELECT alert_site_group, alert_kind, count(*), sum(alert_users) FROM segmentguard_segments WHERE alert_incident = 'none' AND alert_severity IS NOT NULL GROUP BY alert_site_group, alert_kind": "segmentguard_segments_incident",
			"SELECT alert_incident FROM segmentguard_segments WHERE alert_incident IN ('none', 'nor') GROUP BY alert_incident":                                                                              "segmentguard_segments_incident",
			"SELECT segment FROM segmentguard_open_alerts WHERE severity = 'page'":                                                                                                                          "segmentguard_segments_",
			"SELECT report FROM segmentguard_log WHERE id > 0 AND action = 'opened' AND action <> 'recorded' AND at >= " + d.SQL("'2000-01-01'", "0") + " ORDER BY id LIMIT 1000":                           "segmentguard_log_action",
			"SELECT incident FROM segmentguard_incidents WHERE begun >= " + d.SQL("'2030-01-01'", "9999999999999999") + " ORDER BY begun, id LIMIT 1000":                                                    "segmentguard_incidents_begun",
			"SELECT incident FROM segmentguard_incidents WHERE active = TRUE ORDER BY begun, id LIMIT 1000":                                                                                                 "segmentguard_incidents_active",
			"SELECT report FROM segmentguard_log WHERE id > 0 AND build = '7' ORDER BY id LIMIT 1000":                                                                                                       "segmentguard_log_build",
			"SELECT report FROM segmentguard_log WHERE id > 0 AND run = '7' ORDER BY id LIMIT 1000":                                                                                                         "segmentguard_log_run",
			"SELECT report FROM segmentguard_log WHERE id > 0 AND segment = 'g/7' ORDER BY id LIMIT 1000":                                                                                                   "segmentguard_log_segment",
			"SELECT max(attempt) FROM segmentguard_log WHERE segment = 'g/7' AND run = '7'":                                                                                                                 "segmentguard_log_",
			"SELECT count(*) FROM segmentguard_log WHERE at < " + d.SQL("'2020-01-01'", "0"):                                                                                                                "segmentguard_log_at",
			"SELECT min(id + 0), max(id + 0) FROM segmentguard_log WHERE at >= " + d.SQL("'2030-01-01'", "2000000000000000"):                                                                                "segmentguard_log_at",
		} {
			require.Contains(t, explained(t, d, db, query), index, query)
		}
	})
}

// explained returns how a query would be answered. The table is small, so
// PostgreSQL is asked how it would do without reading all of it.
func explained(t *testing.T, d enginetest.Database, db *sql.DB, query string) string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	explain := "EXPLAIN "
	switch d.Dialect {
	case sqlsegment.PostgreSQL:
		_, err = conn.ExecContext(t.Context(), "SET enable_seqscan = off")
		require.NoError(t, err)
	case sqlsegment.SQLite:
		explain = "EXPLAIN QUERY PLAN "
	case sqlsegment.MySQL, sqlsegment.ClickHouse:
	}
	rows, err := conn.QueryContext(t.Context(), explain+query)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var text strings.Builder
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		for i, v := range values {
			if columns[i] != "possible_keys" {
				text.WriteString(v.String + " ")
			}
		}
	}
	require.NoError(t, rows.Err())
	return text.String()
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
		const named = `damaged: table segmentguard_segments, row "g/s", column state: `
		for state, want := range map[string]string{d.SQL(`'\x06'`, "x'06'"): "packed in version 6, and this program knows versions 1 to 5", "''": "it ends too early"} {
			execute(t, db, "UPDATE segmentguard_segments SET state = "+state)
			read, err := h.State(t.Context(), idS.In(""))
			require.NoError(t, err)
			require.ErrorContains(t, read.Damaged, named+want)
			require.ErrorContains(t, h.Record(t.Context(), rec("r2", 1, segment.RunCommitted, 1)), named+want, "nor does it become one")
		}
	})
}

// sql_select_limit must not make alerts look as if they were not there.
func TestChangeOverrulesSQLSelectLimit(t *testing.T) {
	d := mariaDB(t)
	d.DSN += "?sql_select_limit=1"
	h := d.History(t)
	keys := []segment.Key{segment.ID{Name: "a"}.In(""), segment.ID{Name: "b"}.In(""), segment.ID{Name: "c"}.In("")}
	require.NoError(t, changeAlert(t, h, keys, func(s *segment.SegmentState) { s.Alert.Open = &segment.Alert{Segment: s.Segment} }))
	require.NoError(t, changeAlert(t, h, keys, func(s *segment.SegmentState) {
		if s.Segment.Name != "a" {
			s.Alert.Open = nil
		}
	}))
	require.Equal(t, []segment.ID{keys[0].Segment}, affected(t, h))
}

// A function of the caller's that panics leaves nothing locked and no connection
// open.
func TestChangeThatPanics(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		db.SetMaxOpenConns(1)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, h.Migrate(t.Context()))
		other := d.History(t)
		calls := 0
		require.PanicsWithValue(t, "boom", func() {
			_ = changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) {
				if calls++; calls == 2 {
					panic("boom") // with its row locked
				}
				s.Alert.Open = &segment.Alert{Segment: idS, Text: "mine"}
				err = changeAlert(t, other, []segment.Key{idS.In("")}, func(s *segment.SegmentState) { s.Alert.Open = &segment.Alert{Segment: idS, Text: "other"} })
			})
		})
		require.NoError(t, err)
		require.NoError(t, changeAlert(t, other, []segment.Key{idS.In("")}, func(s *segment.SegmentState) {
			require.Equal(t, "other", s.Alert.Open.Text, "nothing was changed")
			s.Alert.Open = nil
		}))
		require.Empty(t, affected(t, h))
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
		require.Equal(t, []int{0, 0}, told.news(), "one sweep is not enough")
		require.Equal(t, n, sweep(size).Healthy)
		require.Equal(t, []int{0, n / 100}, told.news(), "the incident ends a day later")
	})
}

// A teller counts what it is told.
type teller struct{ fired, resolved int }

func (a *teller) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	a.fired += len(firing)
	a.resolved += len(resolved)
	return nil
}

func (a *teller) news() []int {
	news := []int{a.fired, a.resolved}
	*a = teller{}
	return news
}
