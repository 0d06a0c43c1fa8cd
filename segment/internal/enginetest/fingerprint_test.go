package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// oddIDs are 100,000: plain ones, non-ASCII, case-differing, space-ended,
// repeated ones, and an empty one.
func oddIDs() []string {
	ids := []string{"", "Ümlaut", "ümlaut", "U\u0308mlaut", "日本語", "🚗", "a", "A", "a ", " a", "a  ", "it's", `back\slash`, "percent%", "tab\t", "ß", "ss"}
	for i := len(ids); i < 90_000; i++ {
		ids = append(ids, fmt.Sprintf("User %d é", i))
	}
	return append(ids, ids[:10_000]...)
}

func backwards(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	return ids
}

// everywhere runs a test on every engine, those without a History too. How SQLite
// keeps its journal is nothing to who only reads.
func everywhere(t *testing.T, test func(*testing.T, enginetest.Database)) {
	for _, e := range enginetest.All() {
		if e.Name == "sqlite-wal" {
			continue
		}
		t.Run(e.Name, func(t *testing.T) { test(t, e.New(t)) })
	}
}

// create makes a table of one column of text with ids, and fills it.
func create(t testing.TB, d enginetest.Database, db *sql.DB, table string, ids []string) {
	t.Helper()
	execute(t, db, map[sqlsegment.Dialect]string{
		sqlsegment.PostgreSQL: "CREATE TABLE " + table + " (id text)",
		sqlsegment.MySQL:      "CREATE TABLE " + table + " (id varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci)",
		sqlsegment.SQLite:     "CREATE TABLE " + table + " (id text)",
		sqlsegment.ClickHouse: "CREATE TABLE " + table + " (id String) ENGINE = Memory",
	}[d.Dialect])
	fill(t, d, db, table, ids)
}

func execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	require.NoError(t, err, statement)
}

func fill(t testing.TB, d enginetest.Database, db *sql.DB, table string, ids []string) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	if d.Dialect == sqlsegment.ClickHouse { // its driver makes a block of a prepared INSERT
		insert, err := tx.PrepareContext(t.Context(), "INSERT INTO "+table+" (id) VALUES")
		require.NoError(t, err)
		defer insert.Close()
		for _, id := range ids {
			_, err := insert.ExecContext(t.Context(), id)
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())
		return
	}
	for page := range slices.Chunk(ids, 1000) {
		args := make([]any, len(page))
		for i, id := range page {
			args[i] = id
		}
		_, err := tx.ExecContext(t.Context(), d.Bind("INSERT INTO "+table+" VALUES "+strings.TrimSuffix(strings.Repeat("(?),", len(page)), ",")), args...)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
}

func summarize(t testing.TB, d enginetest.Database, q sqlsegment.Queryer, m sqlsegment.Method, query string) validate.Summary {
	t.Helper()
	s, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: query}.Summarize(t.Context(), q)
	require.NoError(t, err)
	return s
}

func digestOf(hash validate.Hash, ids []string) validate.Summary {
	d := validate.NewDigest(hash)
	d.AddStrings(ids)
	return d.Summary()
}

// Every method of every engine, over the same ids: equal to Go bit for bit where
// the hash is one that Go has, and telling every change.
func TestUsersFingerprints(t *testing.T) {
	ids := oddIDs()
	changed := slices.Clone(ids)
	changed[77] += " "
	md5, xxh3 := digestOf(validate.MD5, ids).Fingerprint(), digestOf(validate.XXH3, ids).Fingerprint()
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		create(t, d, db, "ids", ids)
		create(t, d, db, "copied", backwards(ids))
		create(t, d, db, "changed", changed)
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable, sqlsegment.Stream} {
			s := summarize(t, d, db, m, "SELECT id FROM ids")
			require.Equal(t, int64(len(ids)), s.Users(), m)
			switch {
			case s.Fingerprint().Hash == validate.MD5:
				require.Equal(t, md5, s.Fingerprint(), m)
			case s.Fingerprint().Hash == validate.XXH3:
				require.Equal(t, xxh3, s.Fingerprint(), m)
			default:
				require.Equal(t, sqlsegment.Native, m)
			}
			_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: s, Stored: summarize(t, d, db, m, "SELECT id FROM copied")})
			require.NoError(t, err, "%s: another order is the same", m)
			_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: s, Stored: summarize(t, d, db, m, "SELECT id FROM changed -- one")})
			require.ErrorIs(t, err, validate.Different, m)
		}
		_, err := sqlsegment.Users{Dialect: d.Dialect, Method: sqlsegment.Portable, Query: "SELECT CASE WHEN id = 'a' THEN NULL ELSE id END FROM ids"}.Summarize(t.Context(), db)
		require.ErrorContains(t, err, "ids are NULL, want none")
	})
}

func TestUsersRefusesTypesWithoutACanonicalForm(t *testing.T) {
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		query := map[sqlsegment.Dialect]string{
			sqlsegment.PostgreSQL: "SELECT 1.5::float8", sqlsegment.MySQL: "SELECT 1.5e0", sqlsegment.SQLite: "SELECT 1.5", sqlsegment.ClickHouse: "SELECT toFloat64(1.5)",
		}[d.Dialect]
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable, sqlsegment.Stream} {
			_, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: query}.Summarize(t.Context(), db)
			require.ErrorContains(t, err, "want text, ", m)
		}
		require.Equal(t, int64(1), summarize(t, d, db, sqlsegment.Count, query).Users(), "a count needs no form")
	})
}

func mariaDB(t testing.TB) enginetest.Database { return enginetest.MariaDB.New(t) }

func clickHouse(t testing.TB) enginetest.Database { return enginetest.ClickHouse.New(t) }

// Two shards answer as one node does; without one of them there is an error and
// never a smaller count, whatever the settings say.
func TestUsersOverShards(t *testing.T) {
	cluster := enginetest.NewCluster(t)
	front := cluster.Front
	ids := oddIDs()
	for i, d := range cluster.Shards {
		create(t, d, d.Open(t), "ids", ids[i*len(ids)/2:(i+1)*len(ids)/2])
	}
	db := front.Open(t)
	execute(t, db, "CREATE TABLE ids (id String) ENGINE = Distributed(shards, default, ids)")
	for m, want := range map[sqlsegment.Method]validate.Summary{sqlsegment.Portable: digestOf(validate.MD5, ids), sqlsegment.Stream: digestOf(validate.XXH3, ids)} {
		require.Equal(t, want.Fingerprint(), summarize(t, front, db, m, "SELECT id FROM ids").Fingerprint(), m)
	}
	require.Equal(t, int64(len(ids)), summarize(t, front, db, sqlsegment.Count, "SELECT id FROM ids").Users())

	execute(t, db, "CREATE TABLE known (id String) ENGINE = Memory")
	fill(t, front, db, "known", append([]string{"another"}, ids[300:]...))
	for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
		found, err := usersOf(front, m, "SELECT id FROM ids").Differing(t.Context(), db, usersOf(front, m, "SELECT id FROM known"), db)
		require.NoError(t, err)
		require.Equal(t, differing(ids, append([]string{"another"}, ids[300:]...)), found)
	}

	unmerged := connection(t, db)
	_, err := unmerged.ExecContext(t.Context(), "SET distributed_group_by_no_merge = 1")
	require.NoError(t, err)
	require.Equal(t, 2, rowsOf(t, unmerged, "SELECT count() FROM ids"), "what the setting does to a query that does not care")
	for m := range methods {
		require.Equal(t, int64(len(ids)), summarize(t, front, unmerged, m, "SELECT id FROM ids").Users(), m)
	}

	execute(t, db, "CREATE TABLE numbers (number UInt64) ENGINE = Distributed(shards, system, numbers)")
	requireEndless(t, front, "numbers", func() { cluster.Stop(t, 1) })
	lenient, err := sql.Open(front.Driver, front.DSN+"?skip_unavailable_shards=1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lenient.Close()) })
	var half int64
	require.NoError(t, lenient.QueryRowContext(context.WithoutCancel(t.Context()), "SELECT toInt64(count()) FROM ids").Scan(&half))
	require.Equal(t, int64(len(ids)/2), half, "what the setting does to a query that does not care")
	for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Count, sqlsegment.Portable, sqlsegment.Stream} {
		s, err := sqlsegment.Users{Dialect: front.Dialect, Method: m, Query: "SELECT id FROM ids"}.Summarize(t.Context(), lenient)
		require.Error(t, err, m)
		require.True(t, s.IsZero())
	}
	requireEndless(t, cluster.Shards[0], "system.numbers", func() { cluster.Stop(t, 0) }) // the end of a connection is not the end of its rows
}

// Each shard sends a few numbers, however many users it holds, unless the query
// says more than a column and where that comes from.
func TestUsersOverShardsSendFewBytes(t *testing.T) {
	cluster := enginetest.NewCluster(t)
	db := cluster.Front.Open(t)
	for i, shard := range cluster.Shards {
		execute(t, shard.Open(t), "CREATE TABLE ids (id UInt64, segment String, segmentguard_id String) ENGINE = MergeTree ORDER BY id")
		execute(t, shard.Open(t), fmt.Sprintf("INSERT INTO ids SELECT number * 2 + %d, 'cars', '' FROM numbers(500000)", i))
	}
	execute(t, db, "CREATE TABLE ids (id UInt64, segment String, segmentguard_id String) ENGINE = Distributed(metered, default, ids)")
	want := validate.NewDigest(validate.MD5)
	for i := range 1_000_000 {
		want.AddString(strconv.Itoa(i))
	}
	for _, query := range []string{
		"SELECT id FROM ids", "select id\nfrom ids -- all", "SELECT `id` FROM ids WHERE segment = 'cars'", "SELECT x.id FROM ids AS x WHERE x.segment = 'cars'",
		"SELECT id AS segment FROM ids WHERE segment < 1000000", "SELECT id AS segment FROM ids WHERE id NOT IN (SELECT toUInt64(7000000) AS segment) AND segment < 1000000",
	} {
		for _, m := range []sqlsegment.Method{sqlsegment.Count, sqlsegment.Native, sqlsegment.Portable} {
			before := cluster.Sent()
			s := summarize(t, cluster.Front, db, m, query)
			require.Less(t, cluster.Sent()-before, int64(30_000), "%s: %s", m, query)
			require.Equal(t, int64(1_000_000), s.Users(), query)
			if m == sqlsegment.Portable {
				require.Equal(t, want.Summary().Fingerprint(), s.Fingerprint(), query)
			}
		}
	}
	for reason, query := range map[string]string{
		"each shard's distinct users are not all":       "SELECT DISTINCT id FROM ids",
		"nor are its groups":                            "SELECT id FROM ids GROUP BY id",
		"a limit is not one for each shard":             "SELECT id FROM ids LIMIT 2000000",
		"a column of this name would be taken for ours": "SELECT id FROM ids WHERE segmentguard_id = ''",
	} {
		before := cluster.Sent()
		require.Equal(t, want.Summary().Fingerprint(), summarize(t, cluster.Front, db, sqlsegment.Portable, query).Fingerprint(), reason)
		require.Greater(t, cluster.Sent()-before, int64(1_000_000), reason)
	}
}

// requireEndless measures users without end by every method at once, stops a
// server and requires that each be told.
func requireEndless(t *testing.T, d enginetest.Database, numbers string, stop func()) {
	t.Helper()
	db, other := d.Open(t), d.Open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := map[sqlsegment.Method]chan error{}
	for m := range methods {
		answer := make(chan error, 1)
		told[m] = answer
		go func() {
			s, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: "SELECT number FROM " + numbers + " WHERE number % 1000 = 0 -- scan " + string(m) + "."}.Summarize(ctx, db)
			if !s.IsZero() {
				err = fmt.Errorf("measured %v", s)
			}
			answer <- err
		}()
		awaitScan(t, other, "scan "+string(m)+".")
	}
	stop()
	for m := range methods {
		err := <-told[m]
		require.ErrorContains(t, err, methods[m])
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
}

// Fingerprints say that users differ; what differs is looked up then, and only
// then.
func TestUsersExplainADifference(t *testing.T) {
	ids := oddIDs()[:90_000]
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		create(t, d, db, "source", ids)
		create(t, d, db, "stored", slices.Concat(ids[:40_000], ids[41_000:], ids[3000:4000]))
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
			source, stored := summarize(t, d, db, m, "SELECT id FROM source"), summarize(t, d, db, m, "SELECT id FROM stored")
			_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: source, Stored: stored})
			require.ErrorIs(t, err, validate.Different, m)
			require.ErrorIs(t, err, validate.Repeated, m)
			require.ErrorContains(t, err, "1,000 are missing (0 allowed) and 1,000 are stored that should not be", m)
		}
		if d.Dialect == sqlsegment.SQLite {
			return // it streams at once
		}
		stored := summarize(t, d, db, sqlsegment.Portable, "SELECT id FROM stored")
		execute(t, db, "DROP TABLE stored")
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: digestOf(validate.MD5, ids), Stored: stored})
		require.ErrorIs(t, err, validate.Different, "the verdict stands")
		require.Contains(t, report.String(), "why the users differ could not be looked at")
	})
}

// An asked is a Queryer that counts what it is asked.
type asked struct {
	sqlsegment.Queryer
	times    int
	streamed int // of these, how many asked for each id
}

func (a *asked) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	a.times++
	if strings.Contains(query, "CASE WHEN id IS NULL") {
		a.streamed++
	}
	return a.Queryer.QueryContext(ctx, query, args...)
}

// A closer look asks what was asked before, of the same transaction, and a check
// that passes asks nothing.
func TestUsersExplainOnlyADifference(t *testing.T) {
	d := postgreSQL(t)
	db := d.Open(t)
	create(t, d, db, "ids", []string{"a", "b", "c", "d"})
	for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
		tx := begin(t, db, sql.LevelDefault)
		q := &asked{Queryer: tx}
		args := []any{"d"}
		users := func() validate.Summary {
			s, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: "SELECT id FROM ids WHERE id <> $1", Args: args}.Summarize(t.Context(), q)
			require.NoError(t, err)
			return s
		}
		source, copied := users(), users()
		args[0] = "c"
		changed := users()
		args[0] = "none"
		times := q.times

		_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: source, Stored: copied})
		require.NoError(t, err)
		require.Equal(t, times, q.times, "it passed")

		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: source, Stored: changed})
		require.ErrorIs(t, err, validate.Different)
		require.ErrorContains(t, err, "1 is missing (0 allowed) and 1 is stored that should not be")
		require.Greater(t, q.times, times)
		require.NotContains(t, report.String(), "could not be looked at")

		require.NoError(t, tx.Rollback())
		report, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: source, Stored: changed})
		require.ErrorIs(t, err, validate.Different, "the verdict stands when the transaction is gone")
		require.Contains(t, report.String(), "why the users differ could not be looked at: sqlsegment: users: making a difference table: sql: transaction has already been committed or rolled back")
	}
}
