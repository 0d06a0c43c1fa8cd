package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// statesOf returns what makes the state of the segments of a condition unreadable.
func statesOf(d enginetest.Database) map[string]string {
	cut := map[sqlsegment.Dialect]string{
		sqlsegment.PostgreSQL: "substring(state FROM 1 FOR length(state) - 3)", sqlsegment.SQLite: "substr(state, 1, length(state) - 3)", sqlsegment.MySQL: "substring(state, 1, length(state) - 3)",
	}[d.Dialect]
	hex := func(digits string) string { return d.SQL(`'\x`+digits+`'`, "x'"+digits+"'") }
	return map[string]string{
		"state of nothing":             "state = " + hex(""),
		"a state of the future":        "state = " + hex("05"),
		"a state cut off":              "state = " + cut,
		"a state of other bytes":       "state = " + hex("03ffffffffffffffffff"),
		"a state without its checksum": "state = " + hex("0400000000"),
	}
}

var alertsOf = map[string]string{
	"an alert of another shape": `alert = '[]'`,
	"an alert of other types":   `alert = '{"open": 7}'`,
}

// Of a damaged segment nothing is taken for nothing, and it stays damaged until
// somebody repairs it.
func TestDamagedLedger(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		for _, damages := range []map[string]string{statesOf(d), alertsOf} {
			for name, set := range damages {
				t.Run(name, func(t *testing.T) {
					ledgertest.TestDamaged(t, h, func(t *testing.T, id segment.ID) {
						t.Helper()
						result, err := db.ExecContext(t.Context(), d.Bind("UPDATE segmentguard_segments SET "+set+" WHERE segment = ?"), id.String())
						require.NoError(t, err)
						n, err := result.RowsAffected()
						require.NoError(t, err)
						require.Equal(t, int64(1), n)
					})
				})
			}
		}
	})
}

// fleetOf records a day of n segments.
func fleetOf(t *testing.T, h segment.Ledger, n int, now time.Time) []segment.CurrentSize {
	t.Helper()
	var sizes []segment.CurrentSize
	for i := range n {
		sizes = append(sizes, segment.CurrentSize{Segment: segment.ID{SiteGroup: "site/a", Name: fmt.Sprintf("%04d", i)}, Stored: validate.Count(1000)})
	}
	for chunk := range slices.Chunk(sizes, 1000) {
		var keys []segment.Key
		for _, c := range chunk {
			keys = append(keys, c.Segment.In(""))
		}
		require.NoError(t, h.Change(t.Context(), keys, func(s *segment.SegmentState) error {
			s.Record(segment.Record{RunID: "r", State: segment.RunCommitted, Users: 1000, JobKind: segment.JobKindCopy, At: now.Add(-2 * time.Hour)})
			return nil
		}))
	}
	return sizes
}

// One damaged row among 5,000 is one finding, which names it; 4,999 are judged. It is
// told once, and over when it was repaired.
func TestSweepOverDamage(t *testing.T) {
	const n = 5000
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		now := time.Now().UTC()
		sizes := fleetOf(t, h, n, now)
		told := &teller{}
		m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h, Alerter: told})
		require.NoError(t, err)
		sweep := func() segment.Sweep {
			t.Helper()
			s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				for _, c := range sizes {
					if !yield(c, nil) {
						return
					}
				}
			})
			require.NoError(t, err)
			require.True(t, s.Complete)
			return s
		}
		require.Equal(t, n, sweep().Healthy)
		id := sizes[1234].Segment
		decision := segment.Decision{By: "ann", Why: "the disk was full", At: now}
		for name, set := range map[string]string{"state": statesOf(d)["a state cut off"], "alert": alertsOf["an alert of other types"]} {
			var before []byte
			require.NoError(t, db.QueryRowContext(t.Context(), d.Bind("SELECT state FROM segmentguard_segments WHERE segment = ?"), id.String()).Scan(&before))
			_, err := db.ExecContext(t.Context(), d.Bind("UPDATE segmentguard_segments SET "+set+" WHERE segment = ?"), id.String())
			require.NoError(t, err)
			s := sweep()
			require.Equal(t, n-1, s.Healthy, name)
			require.Len(t, s.Findings, 1, name)
			for _, want := range []string{id.String(), "segmentguard_segments", name} {
				require.Contains(t, s.Findings[0].Text, want)
			}
			require.Equal(t, []int{1, 0}, told.news(), name)
			sweep()
			if name == "state" {
				require.Equal(t, []int{0, 0}, told.news(), "it is told once")
			} else {
				require.Equal(t, []int{1, 0}, told.news(), "until an alert can be kept")
			}
			require.NoError(t, segment.Repair(t.Context(), h, id.In(""), decision))
			_, err = db.ExecContext(t.Context(), d.Bind("UPDATE segmentguard_segments SET state = ? WHERE segment = ?"), before, id.String())
			require.NoError(t, err) // as it was, to go on
			for range 2 {           // in a row
				require.Equal(t, n, sweep().Healthy)
			}
			require.Equal(t, []int{0, 1}, told.news(), "it is over")
		}
	})
}

// A row of which nobody knows whose it is, and an entry of the log, stop nothing;
// somebody can drop them.
func TestDropDamagedRows(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		now := time.Now().UTC()
		sizes := fleetOf(t, h, 3, now)
		told := &teller{}
		m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h, Alerter: told})
		require.NoError(t, err)
		sweep := func() segment.Sweep {
			t.Helper()
			s, err := m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				for _, c := range sizes[:2] {
					if !yield(c, nil) {
						return
					}
				}
			})
			require.NoError(t, err)
			return s
		}
		execute(t, db, d.Bind("UPDATE segmentguard_segments SET segment = 'lost' WHERE segment = 'site%2Fa/0002'"))
		for range 2 {
			s := sweep()
			require.True(t, s.Complete)
			require.Equal(t, 2, s.Healthy)
			require.Len(t, s.Affected, 1)
			require.Contains(t, s.Findings[0].Text, `row "lost"`)
		}
		require.Equal(t, []int{1, 0}, told.news())
		_, err = segment.AffectedByAlerts(t.Context(), h)
		require.NoError(t, err)
		decision := segment.Decision{By: "ann", Why: "nobody knows it", At: now}
		var damaged *segment.Damage
		for s, err := range h.Segments(t.Context(), segment.SegmentFilter{}) {
			require.NoError(t, err)
			if s.Damaged != nil {
				damaged = s.Damaged
				require.True(t, s.Segment.IsZero())
			}
		}
		require.NotNil(t, damaged)
		require.NoError(t, h.Drop(t.Context(), *damaged, decision))
		require.ErrorContains(t, h.Drop(t.Context(), *damaged, decision), "is not there, or can be read")
		require.ErrorContains(t, h.Drop(t.Context(), segment.Damage{Table: "segmentguard_segments", Row: sizes[0].Segment.String()}, decision), "can be read")
		require.ErrorContains(t, h.Drop(t.Context(), segment.Damage{Table: "users", Row: "1"}, decision), "Damage.Table")
		require.ErrorContains(t, h.Drop(t.Context(), *damaged, segment.Decision{}), "Decision.By")
		for range 2 { // in a row
			require.Empty(t, sweep().Affected)
		}
		require.Equal(t, []int{0, 1}, told.news())
		require.Equal(t, int64(1), number(t, db, "SELECT count(*) FROM segmentguard_log WHERE action = 'repaired' AND by_whom = 'ann'"))
	})
}

// An entry of the log that cannot be read is one entry.
func TestDamagedLog(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		damages := map[string]string{"report": `report = '[]'`, "segment": `segment = 'lost'`}
		if d.Dialect == sqlsegment.SQLite { // where any column takes any type
			damages["attempt"], damages["at"] = `attempt = 'x'`, `at = 'x'`
		}
		for _, column := range []string{"report", "segment", "attempt", "at"} {
			set, ok := damages[column]
			if !ok {
				continue
			}
			for i := range 3 {
				require.NoError(t, h.Record(t.Context(), rec(fmt.Sprint(column, i), 1, segment.RunRejected, 1)))
			}
			execute(t, db, "UPDATE segmentguard_log SET "+set+" WHERE run = '"+column+"1'")
			var read, broken []segment.LogEntry
			for e, err := range h.Log(t.Context(), segment.LogFilter{Build: "v1"}) {
				require.NoError(t, err)
				if e.Damaged == nil {
					read = append(read, e)
				} else {
					broken = append(broken, e)
				}
			}
			require.Len(t, broken, 1, column)
			require.ErrorContains(t, broken[0].Damaged, "segmentguard_log")
			require.Equal(t, column != "segment", broken[0].Segment == idS)
			require.Equal(t, "r2", map[bool]string{true: "r2"}[read[len(read)-1].RunID == column+"2"])
			found, err := segment.AffectedByLog(t.Context(), h, segment.LogFilter{Build: "v1"})
			require.Len(t, found, 1, "a rerun leaves none out")
			if column == "segment" {
				require.ErrorContains(t, err, "lost", "but for one of which nobody knows")
			} else {
				require.NoError(t, err)
			}
			if column != "segment" {
				_, err := segment.Accept(t.Context(), h, segment.Selection{Keys: []segment.Key{idS.In("")}, RunID: column + "1"}, segment.Decision{By: "ann", Why: "right", At: start})
				var damage *segment.Damage
				require.ErrorAs(t, err, &damage, "what cannot be read is not accepted")
			}
			require.NoError(t, h.Drop(t.Context(), *broken[0].Damaged, segment.Decision{By: "ann", Why: "gone", At: start}))
		}
	})
}

// A guard reads no damaged history as none.
func TestGuardOverDamage(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		execute(t, db, "UPDATE segmentguard_segments SET "+statesOf(d)["a state cut off"])
		told := &teller{}
		for _, bestEffort := range []bool{false, true} {
			g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: told, BestEffortSizes: bestEffort})
			require.NoError(t, err)
			discarded := false
			_, err = g.Commit(t.Context(), segment.Run{
				ID: fmt.Sprint("tonight", bestEffort), Job: segment.Copy(idS, segment.ID{Name: "from"}), Expected: validate.Count(5),
				Stored: func(context.Context) (validate.Summary, error) { return validate.Count(5), nil },
				Staging: segment.Staging{
					Commit:  func(context.Context) error { t.Error("it must not go live"); return nil },
					Discard: func(context.Context) error { discarded = true; return nil },
				},
			})
			require.ErrorIs(t, err, validate.Unverified)
			require.ErrorContains(t, err, `row "g/s", column state`)
			require.True(t, discarded)
			require.False(t, segment.Retryable(err), "no retry mends it")
		}
		require.Equal(t, []int{1, 0}, told.news(), "once")
		var states []string
		for e, err := range h.Log(t.Context(), segment.LogFilter{Segment: idS}) {
			require.NoError(t, err)
			if e.Record != nil { // else it is of the alert
				states = append(states, e.RunID+" "+string(e.Record.State))
			}
		}
		require.Equal(t, []string{"r committed", "tonightfalse rejected", "tonighttrue rejected"}, states)
		require.NoError(t, segment.Repair(t.Context(), h, idS.In(""), segment.Decision{By: "ann", Why: "w", At: start}))
		require.Empty(t, users(t, h, idS, 60))
		require.NoError(t, h.Record(t.Context(), rec("r2", 1, segment.RunCommitted, 2)))
		var none sql.NullString
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT alert FROM segmentguard_segments").Scan(&none))
		require.True(t, none.Valid, "its alert is open until a run passes or a sweep sees it")
	})
}

// A commit row that cannot be read keeps its segment from going live, and no other one;
// a human can have it made anew. What was live is not known, then.
func TestDamagedCommitRow(t *testing.T) {
	damages := map[string]string{"token": "token = -1", "generation": "generation = -7"}
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		sets := maps.Clone(damages)
		if d.Dialect == sqlsegment.SQLite { // where any column takes any type
			for _, column := range []string{"attempt", "since", "until", "token", "passed", "generation", "number"} {
				sets[column] = column + " = 'x'"
			}
		}
		for column, set := range sets {
			t.Run(column, func(t *testing.T) {
				id, other := segment.ID{SiteGroup: "g", Name: column}, segment.ID{SiteGroup: "g", Name: column + " too"}
				for _, id := range []segment.ID{id, other} {
					require.NoError(t, h.Record(t.Context(), with(rec("r", 1, segment.RunCommitted, 1), func(r *segment.Record) { r.Segment, r.Number = id, 7 })))
				}
				commit := func(id segment.ID, run string) error {
					r := fiveUsers(run, segment.Staging{Commit: func(context.Context) error { return nil }})
					r.Job.To = id
					_, err := impatient(t, h, &teller{}).Commit(t.Context(), r)
					return err
				}
				decision := segment.Decision{By: "ann", Why: "the disk was full", At: start}
				require.ErrorContains(t, segment.Repair(t.Context(), h, id.In(""), decision), "nothing of it is damaged")
				execute(t, db, d.Bind("UPDATE segmentguard_commits SET "+set+" WHERE segment = '"+id.String()+"'"))

				err := commit(id, "next")
				require.ErrorIs(t, err, validate.Unverified)
				require.ErrorContains(t, err, `damaged: table segmentguard_commits, row "g/`+column+`", column `+column)
				require.False(t, segment.Retryable(err), "no retry mends it")
				require.NoError(t, commit(other, "next"))
				require.ErrorContains(t, h.Record(t.Context(), with(rec("bare", 1, segment.RunCommitted, 2), func(r *segment.Record) { r.Segment = id })), "segmentguard_commits")

				require.NoError(t, segment.Repair(t.Context(), h, id.In(""), decision))
				require.Equal(t, int64(1), number(t, db, d.Bind("SELECT count(*) FROM segmentguard_log WHERE action = 'repaired' AND segment = '"+id.String()+"'")))
				err = h.Record(t.Context(), with(rec("older", 1, segment.RunCommitted, 2), func(r *segment.Record) { r.Segment, r.Number = id, 6 }))
				require.ErrorIs(t, err, segment.ErrSuperseded, "the number of what is live is known")
				live := func() (size *validate.Size) {
					require.NoError(t, h.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error { size = s.Live; return nil }))
					return size
				}
				require.Nil(t, live())
				require.NoError(t, commit(id, "again"))
				require.Nil(t, live(), "who held the row may still go live")
				require.NoError(t, commit(id, "and again"))
				require.NotNil(t, live())
			})
		}
	})
}
