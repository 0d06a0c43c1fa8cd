package enginetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestNewLedgerRefuses(t *testing.T) {
	db := enginetest.SQLite.New(t).Open(t)
	for _, c := range []struct {
		reason  string
		db      *sql.DB
		dialect sqlsegment.Dialect
		want    string
	}{
		{"no dialect is the default", db, "", `sqlsegment: NewLedger: dialect is empty, want "postgresql", "mysql" or "sqlite"`},
		{"one for Users only", db, "clickhouse", `sqlsegment: NewLedger: dialect is clickhouse, want "postgresql", "mysql" or "sqlite"`},
		{"no database", nil, sqlsegment.SQLite, "sqlsegment: NewLedger: db is nil, want an open *sql.DB"},
	} {
		h, err := sqlsegment.NewLedger(c.db, c.dialect)
		require.EqualError(t, err, c.want, c.reason)
		require.Nil(t, h)
	}
}

func TestLedgerNeedsItsTables(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
		require.NoError(t, err)
		require.ErrorContains(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)), "call Ledger.Migrate")
		_, err = h.State(t.Context(), idS.In(""))
		require.ErrorContains(t, err, "call Ledger.Migrate")
	})
}

func TestRecordRefuses(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		for i, c := range []struct {
			reason string
			change func(*segment.Record)
			want   string
			only   sqlsegment.Dialect
		}{
			{"a state that nobody knows might go live unseen", func(r *segment.Record) { r.State = "gone" }, "Record.State is gone", ""},
			{"nor is there a default", func(r *segment.Record) { r.State = "" }, "Record.State is empty", ""},
			{"no database gives it back as it was", func(r *segment.Record) { r.Segment.Name = "a\xff" }, "want UTF-8", ""},
			{"every later size would be bad input", func(r *segment.Record) { r.At = time.Time{} }, "Record.At is missing", ""},
			{"the same", func(r *segment.Record) { r.Users = -1 }, "-1 users", ""},
			{"the same", func(r *segment.Record) { r.Read = -1 }, "-1 read", ""},
			{"no NUL in a text of PostgreSQL", func(r *segment.Record) { r.Segment.Name = "a\x00" }, `segment id is "g/a\x00", want no NUL`, sqlsegment.PostgreSQL},
			{"the same", func(r *segment.Record) { r.RunID = "a\x00" }, "Record.RunID", sqlsegment.PostgreSQL},
			{"the same", func(r *segment.Record) { r.JobID = "a\x00" }, "Record.JobID", sqlsegment.PostgreSQL},
			{"the same", func(r *segment.Record) { r.Build = "a\x00" }, "Record.Build", sqlsegment.PostgreSQL},
			{"the same", func(r *segment.Record) { r.JobKind = "a\xff" }, "Record.JobKind", sqlsegment.PostgreSQL},
		} {
			err := h.Record(t.Context(), with(rec("r", i, segment.RunCommitted, 1), c.change))
			if c.only != "" && c.only != d.Dialect {
				require.NoError(t, err, c.reason)
				continue
			}
			require.ErrorContains(t, err, c.want, c.reason)
			_, ok := errors.AsType[*validate.InputError](err)
			require.True(t, ok || strings.Contains(c.want, "UTF-8"), c.reason)
			require.NotContains(t, err.Error(), "\n")
		}
	})
}

// What is wrong with a run is a fact worth keeping, whatever its report holds.
func TestRecordKeepsTheReport(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		r := rec("r", 1, segment.RunRejected, 4)
		r.At, r.Users = time.Time{}, -1 // a run that could not be judged has no time
		r.Report = new(report(false))
		r.Report.Name = "NUL \x00, no UTF-8 \xff, quotes '\""
		require.NoError(t, d.History(t).Record(t.Context(), r))
		var text string
		require.NoError(t, d.Open(t).QueryRowContext(t.Context(), "SELECT report FROM segmentguard_log").Scan(&text))
		var read validate.Report
		require.NoError(t, json.Unmarshal([]byte(text), &read))
		require.Equal(t, "NUL \x00, no UTF-8 \ufffd, quotes '\"", read.Name)
		require.ErrorIs(t, &validate.Error{Report: read}, validate.Short)
	})
}

// A monitor merges what a database sorts with what Go sorts.
func TestIDsSortAsInGo(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		ids := randomIDs(500, d.Dialect != sqlsegment.PostgreSQL)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		for _, id := range ids {
			require.NoError(t, h.Tx(tx).Record(t.Context(), with(rec("r", 1, segment.RunPassed, 1), func(r *segment.Record) { r.Segment = id })))
		}
		require.NoError(t, tx.Commit())
		slices.SortFunc(ids, segment.ID.Compare)
		for _, table := range []string{"segmentguard_segments", "segmentguard_log"} {
			require.Equal(t, ids, selectIDs(t, db, "SELECT segment FROM "+table+" ORDER BY segment"), table)
		}
	})
}

func selectIDs(t *testing.T, db *sql.DB, query string) (ids []segment.ID) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		id, err := segment.ParseID(text)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	return ids
}

// randomIDs are different ones, of characters that collations like to reorder
// or ignore.
func randomIDs(n int, nul bool) []segment.ID {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("/%% .-_~aAbBzZ09'\"\\\n\té\u00c9e\u0301ßsS\u200b\u00adïØø日本\u212aKk\ufeff\uffff\U0001f697\U0010ffff\u0001\u007f\u0080")
	if nul {
		alphabet = append(alphabet, 0)
	}
	word := func() string {
		runes := make([]rune, random.IntN(5))
		for i := range runes {
			runes[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(runes)
	}
	seen := map[segment.ID]bool{}
	for len(seen) < n {
		seen[segment.ID{SiteGroup: word(), Name: word()}] = true
	}
	ids := make([]segment.ID, 0, n)
	for id := range seen {
		ids = append(ids, id)
	}
	return ids
}

// The pool is the user's: its settings stay as they were.
func TestLedgerLeavesThePoolAsItWas(t *testing.T) {
	d := enginetest.SQLite.New(t)
	for _, timeout := range []int64{0, 5, 40_000} {
		db := d.Open(t)
		db.SetMaxOpenConns(1)
		_, err := db.ExecContext(t.Context(), map[int64]string{
			0: "PRAGMA busy_timeout = 0", 5: "PRAGMA busy_timeout = 5", 40_000: "PRAGMA busy_timeout = 40000",
		}[timeout])
		require.NoError(t, err)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, h.Migrate(t.Context()))
		require.NoError(t, h.Record(t.Context(), rec("r", int(timeout), segment.RunPassed, 1)))
		require.Equal(t, timeout, number(t, db, "PRAGMA busy_timeout"))
	}
}

// A context that ends while others hold the lock ends the wait, and nothing is
// kept.
func TestRecordGivesUpWithItsContext(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Tx(tx).Record(t.Context(), rec("r", 1, segment.RunPassed, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.Error(t, h.Record(ctx, rec("r", 1, segment.RunCommitted, 2)))
		require.NoError(t, tx.Rollback())
		require.Zero(t, number(t, db, "SELECT count(*) FROM segmentguard_log"))
		require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 3)))
	})
}

// A pool whose server restarted, or whose connections a proxy cut, works again
// at once.
func TestLedgerSurvivesLostConnections(t *testing.T) {
	d := postgreSQL(t)
	h, other := d.History(t), d.Open(t)
	for n := range 3 {
		_, err := other.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		require.NoError(t, err)
		err = h.Record(t.Context(), rec("r", n, segment.RunPassed, 1))
		if err != nil { // the first to find out may be told, the next must not
			require.NoError(t, h.Record(t.Context(), rec("r", n, segment.RunPassed, 1)))
		}
	}
}
