package enginetest_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// members is a table of 100,000 users in the segment "cars", ten with three ids
// missing in "gaps" and nobody in "empty".
func members(t testing.TB, d enginetest.Database) *sql.DB {
	t.Helper()
	db := d.Open(t)
	for _, statement := range []string{
		"CREATE TABLE members (segment text NOT NULL, id text, at text)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO members SELECT 'cars', 'user ' || i, 'today' FROM n",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) INSERT INTO members SELECT 'gaps', CASE WHEN i > 3 THEN 'user ' || i END, 'today' FROM n",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	return db
}

// eachStandard is for statements that MySQL does not take: its || makes no text,
// and it defers no constraint. What it does take is tested elsewhere.
func eachStandard(t *testing.T, test func(*testing.T, enginetest.Database)) {
	for _, e := range enginetest.Engines() {
		if e.Dialect != sqlsegment.MySQL {
			t.Run(e.Name, func(t *testing.T) { test(t, e.New(t)) })
		}
	}
}

func TestUsersCount(t *testing.T) {
	eachStandard(t, func(t *testing.T, d enginetest.Database) {
		db := members(t, d)
		for _, c := range []struct {
			reason, query string
			args          []any
			want          int64
		}{
			{"a plain query", "SELECT id FROM members WHERE segment = 'cars'", nil, 100_000},
			{"arguments", d.Bind("SELECT id FROM members WHERE segment = ?"), []any{"cars"}, 100_000},
			{"an argument that is no SQL", d.Bind("SELECT id FROM members WHERE segment = ?"), []any{"cars' OR '1' = '1"}, 0},
			{"nobody is a count, too", "SELECT id FROM members WHERE segment = 'empty'", nil, 0},
			{"exact off round numbers", "SELECT id FROM members WHERE segment = 'cars' AND id <> 'user 77'", nil, 99_999},
			{"a column of any name", "SELECT id || 'x' FROM members WHERE segment = 'cars'", nil, 100_000},
			{"a column named as the table", "SELECT segment AS t FROM members WHERE segment = 'cars'", nil, 100_000},
			{"repeated users count each time", "SELECT id FROM members WHERE segment = 'cars' UNION ALL SELECT id FROM members WHERE id = 'user 7'", nil, 100_002},
			{"distinct ones once", "SELECT DISTINCT segment FROM members", nil, 2},
			{"a limit is part of the query", "SELECT id FROM members WHERE segment = 'cars' ORDER BY id LIMIT 10000", nil, 10_000},
			{"a query with its own WITH", "WITH x AS (SELECT id FROM members WHERE segment = 'cars') SELECT id FROM x", nil, 100_000},
			{"a comment at its end", "SELECT id FROM members WHERE segment = 'cars' -- all of them", nil, 100_000},
			{"a comment around nothing", "/* why */ SELECT id FROM members WHERE segment = 'cars' /* ; */", nil, 100_000},
			{"white space", "\n\tSELECT id FROM members WHERE segment = 'cars'\n", nil, 100_000},
			{"numbers as ids", "SELECT 1 UNION ALL SELECT 2", nil, 2},
			{"VALUES", "VALUES ('a'), ('b'), ('c')", nil, 3},
		} {
			u := sqlsegment.Users{Dialect: d.Dialect, Query: c.query, Args: c.args, Method: sqlsegment.Count}
			before := time.Now()
			s, err := u.Summarize(t.Context(), db)
			require.NoError(t, err, c.reason)
			require.Equal(t, c.want, s.Users(), c.reason)
			require.Zero(t, s.RelErr(), c.reason)
			require.False(t, s.CompleteUpTo().Before(before) || s.CompleteUpTo().After(time.Now()), c.reason)
		}
	})
}

func TestUsersRefuses(t *testing.T) {
	eachStandard(t, func(t *testing.T, d enginetest.Database) {
		db := members(t, d)
		good := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT id FROM members WHERE segment = 'cars'", Method: sqlsegment.Count}
		for _, c := range []struct {
			reason string
			change func(*sqlsegment.Users)
			want   string
		}{
			{"no dialect is the default", func(u *sqlsegment.Users) { u.Dialect = "" }, `Users.Dialect is empty, want "postgresql", "mysql", "sqlite" or "clickhouse"`},
			{"a dialect that nobody speaks", func(u *sqlsegment.Users) { u.Dialect = "oracle" }, "Users.Dialect is oracle"},
			{"a method that nobody knows, and never silently a count", func(u *sqlsegment.Users) { u.Method = "guess" }, `Users.Method is guess, want "", "count", "portable" or "stream"`},
			{"no query", func(u *sqlsegment.Users) { u.Query = " \n" }, "Users.Query is empty"},
			{"a second statement might follow", func(u *sqlsegment.Users) { u.Query += " ;\n" }, `Users.Query is ended by ";"`},
			{"a second statement", func(u *sqlsegment.Users) { u.Query += "; DROP TABLE members" }, "syntax error"},
			{"which of them is the id?", func(u *sqlsegment.Users) { u.Query = "SELECT id, at FROM members" }, "one of 2 columns (id, at), want one column"},
			{"the same", func(u *sqlsegment.Users) { u.Query = "SELECT * FROM members" }, "3 columns"},
			{"no SQL", func(u *sqlsegment.Users) { u.Query = "SELEKT id" }, d.SQL("syntax error", "no such table")},
			{"an open parenthesis", func(u *sqlsegment.Users) { u.Query += " AND (1 = 1" }, "syntax error"},
			{"one too many", func(u *sqlsegment.Users) { u.Query += ")" }, d.SQL("must have an alias", "syntax error")},
			{"no such table", func(u *sqlsegment.Users) { u.Query = "SELECT id FROM nobody" }, "nobody"},
			{"an argument is missing", func(u *sqlsegment.Users) {
				u.Query = d.Bind("SELECT id FROM members WHERE segment = ?")
			}, "arg"},
			{"a write that yields ids", func(u *sqlsegment.Users) { u.Query = "DELETE FROM members RETURNING id" }, "syntax error"},
			{"users without an id", func(u *sqlsegment.Users) { u.Query = "SELECT id FROM members WHERE segment = 'gaps'" }, "3 of 10 ids are NULL"},
			{"nothing but NULL", func(u *sqlsegment.Users) { u.Query = "SELECT NULL" }, "1 of 1 ids are NULL"},
			{"an error in the midst of the rows", func(u *sqlsegment.Users) {
				u.Query = d.SQL("SELECT 1 / (length(id) - 9) FROM members", "SELECT json(CASE WHEN id = 'user 9000' THEN 'x' ELSE '1' END) FROM members")
			}, d.SQL("division by zero", "malformed JSON")},
		} {
			u := good
			c.change(&u)
			s, err := u.Summarize(t.Context(), db)
			require.ErrorContains(t, err, c.want, c.reason)
			require.ErrorContains(t, err, "sqlsegment: users: ")
			require.NotContains(t, err.Error(), "\n")
			require.True(t, s.IsZero(), "%s: %v", c.reason, s)
		}
		s, err := good.Summarize(t.Context(), db)
		require.NoError(t, err)
		require.Equal(t, int64(100_000), s.Users(), "no refused query changed anything")
	})
}

// What was never opened, as a transaction whose error was not looked at, is an
// error and no panic in the midst of a job.
func TestNothingOpen(t *testing.T) {
	d := enginetest.SQLite.New(t)
	h := d.History(t)
	u := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT 'a'"}
	for _, q := range []sqlsegment.Queryer{nil, (*sql.DB)(nil), (*sql.Tx)(nil), (*sql.Conn)(nil)} {
		_, err := u.Summarize(t.Context(), q)
		require.ErrorContains(t, err, "sqlsegment: users: Summarize: q is nil, want an open database, connection or transaction")
	}
	require.ErrorContains(t, h.Tx(nil).Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)), "Tx: tx is nil")
	_, err := h.Tx(nil).State(t.Context(), idS.In(""))
	require.ErrorContains(t, err, "Tx: tx is nil")
}

// What a job wrote and not yet committed is what its own transaction counts.
func TestUsersInTransactions(t *testing.T) {
	eachStandard(t, func(t *testing.T, d enginetest.Database) {
		db := members(t, d)
		u := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT id FROM members WHERE segment = 'copy'", Method: sqlsegment.Count}
		conn := connection(t, db)
		tx := begin(t, db, sql.LevelDefault)
		_, err := tx.ExecContext(t.Context(), "INSERT INTO members SELECT 'copy', id, at FROM members WHERE segment = 'cars' LIMIT 1000")
		require.NoError(t, err)
		for reader, want := range map[sqlsegment.Queryer]int64{tx: 1000, conn: 0, db: 0} {
			s, err := u.Summarize(t.Context(), reader)
			require.NoError(t, err)
			require.Equal(t, want, s.Users(), "%T", reader)
		}
		require.NoError(t, tx.Commit())
		for _, reader := range []sqlsegment.Queryer{conn, db} {
			s, err := u.Summarize(t.Context(), reader)
			require.NoError(t, err)
			require.Equal(t, int64(1000), s.Users(), "%T", reader)
		}
	})
}

// A count that may be older than the query must not say that it is complete up
// to the query: yesterday's users look like any others.
func TestUsersAsOf(t *testing.T) {
	p, s, standby, m, ch := postgreSQL(t), enginetest.SQLite.New(t), enginetest.Standby(t), mariaDB(t), clickHouse(t)
	manual := m
	manual.DSN += "?autocommit=0"
	pool := func(db *sql.DB) sqlsegment.Queryer { return db }
	single := func(db *sql.DB) sqlsegment.Queryer { return connection(t, db) }
	committed := func(db *sql.DB) sqlsegment.Queryer { return begin(t, db, sql.LevelReadCommitted) }
	plain := func(db *sql.DB) sqlsegment.Queryer { return begin(t, db, sql.LevelDefault) }
	for _, c := range []struct {
		reason string
		d      enginetest.Database
		on     func(*sql.DB) sqlsegment.Queryer
		fresh  bool
	}{
		{"each query of a pool sees what was there when it began", p, pool, true},
		{"the same", s, pool, true},
		{"each query of the transaction sees what is committed", p, committed, true},
		{"that is PostgreSQL's default", p, plain, true},
		{"the transaction sees what was there when it began", p, func(db *sql.DB) sqlsegment.Queryer { return begin(t, db, sql.LevelRepeatableRead) }, false},
		{"the same", p, func(db *sql.DB) sqlsegment.Queryer { return begin(t, db, sql.LevelSerializable) }, false},
		{"in WAL mode the same", s, plain, false},
		{"a transaction may be open on a connection", s, single, false},
		{"nothing happens there without the server's knowledge", p, single, true},
		{"each query of a pool sees what was there when it began", m, pool, true},
		{"the transaction sees what was there when it began", m, plain, false},
		{"a transaction may be open on a connection", m, single, false},
		{"each connection of the pool stays in a transaction", manual, pool, false},
		{"what was acknowledged may not have reached each replica", ch, pool, false},
		{"a standby lags behind", standby, pool, false},
		{"the same", standby, committed, false},
	} {
		u := sqlsegment.Users{Dialect: c.d.Dialect, Query: "SELECT 'a' AS id UNION ALL SELECT 'b' AS id", Method: sqlsegment.Count}
		summary, err := u.Summarize(t.Context(), c.on(c.d.Open(t)))
		require.NoError(t, err, c.reason)
		require.Equal(t, int64(2), summary.Users())
		require.Equal(t, c.fresh, !summary.CompleteUpTo().IsZero(), c.reason)
	}
}

func begin(t *testing.T, db *sql.DB, level sql.IsolationLevel) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

func connection(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// All yields just what Summarize digests by Stream, whatever the type of the ids.
func TestUsersAll(t *testing.T) {
	for _, e := range enginetest.All() {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			db := d.Open(t)
			queries := []string{"SELECT 'b' AS id UNION ALL SELECT 'a' UNION ALL SELECT 'a'", "SELECT -7 AS id UNION ALL SELECT 12", "SELECT 'x' AS id WHERE 1 = 0"}
			if d.Dialect == sqlsegment.PostgreSQL {
				queries = append(queries, "SELECT '9D2F8E00-0000-4000-8000-00000000000A'::uuid AS id", `SELECT '\xff00'::bytea AS id`)
			}
			for _, query := range queries {
				u := sqlsegment.Users{Dialect: d.Dialect, Query: query, Method: sqlsegment.Stream}
				want, err := u.Summarize(t.Context(), db)
				require.NoError(t, err, query)
				var got validate.Digest
				for id, err := range u.All(t.Context(), db) {
					require.NoError(t, err, query)
					got.Add(id)
				}
				require.Equal(t, want.Users(), got.Users(), query)
				diff, err := validate.Diff(want, got.Summary())
				require.NoError(t, err, query)
				_, missing := diff.Missing()
				_, foreign := diff.Foreign()
				require.Zero(t, missing+foreign, query)
			}
			for query, want := range map[string]string{
				"SELECT 'a' AS id UNION ALL SELECT NULL": "an id is NULL",
				"SELECT 1 AS id, 2 AS other":             "one of 2 columns (id, other)",
				"SELECT id FROM nowhere":                 "nowhere",
			} {
				var last error
				for _, err := range (sqlsegment.Users{Dialect: d.Dialect, Query: query}).All(t.Context(), db) {
					last = err
				}
				require.ErrorContains(t, last, want, query)
			}
			for range (sqlsegment.Users{Dialect: d.Dialect, Query: queries[0]}).All(t.Context(), db) {
				break // and nothing is left open
			}
			require.Zero(t, db.Stats().InUse)
		})
	}
}
