package enginetest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A query is whatever yields ids in one column: it becomes a part of ours, and
// nothing in it may be taken for something of ours. Every method, on a pool, a
// connection and a transaction.
func TestUsersOfAnyQuery(t *testing.T) {
	abc, ab := []string{"a", "b", "c"}, []string{"a", "b"}
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		for _, table := range []string{"ids", "t", "c", "q", "h", "id", "segments"} {
			create(t, d, db, table, abc)
		}
		conn := connection(t, db)
		clickHouse := d.Dialect == sqlsegment.ClickHouse
		for _, c := range []struct {
			query string
			args  []any
			want  []string
			not   []sqlsegment.Dialect // do not speak so themselves
		}{
			{query: "SELECT id FROM t", want: abc}, // names that our own SQL might have, too
			{query: "SELECT id FROM c", want: abc},
			{query: "SELECT id FROM q", want: abc},
			{query: "SELECT id FROM h", want: abc},
			{query: "SELECT id FROM id", want: abc},
			{query: "SELECT t.id FROM t AS t WHERE t.id <> 'c'", want: ab},
			{query: "SELECT id AS h FROM ids", want: abc},
			{query: "SELECT id AS q FROM ids WHERE q <> 'c'", want: ab, not: []sqlsegment.Dialect{sqlsegment.PostgreSQL, sqlsegment.MySQL}},
			{query: "SELECT id AS t FROM t AS q WHERE q.id <> 'c'", want: ab},
			{query: "SELECT id FROM ids WHERE id IN (SELECT id FROM t WHERE id <> 'c')", want: ab},
			{query: "SELECT id FROM (SELECT id FROM ids) AS t", want: abc},
			{query: "SELECT id FROM ids WHERE id <> 'SELECT x FROM y GROUP BY z'", want: abc},
			{query: "SELECT id FROM ids WHERE id <> '--'", want: abc},
			{query: "SELECT id FROM ids WHERE id <> '%d %s ?'", want: abc, not: []sqlsegment.Dialect{sqlsegment.ClickHouse}},
			{query: "\n\tselect\tid\nfrom\nids\n", want: abc},
			{query: "/* FROM ids */ SELECT /* x, */ id FROM ids /* ; */", want: abc},
			{query: "SELECT id FROM ids -- ; SELECT", want: abc},
			{query: "SELECT id FROM ids ORDER BY id", want: abc},
			{query: "SELECT id FROM ids ORDER BY id LIMIT 2", want: ab},
			{query: "SELECT id FROM ids ORDER BY id DESC LIMIT 3", want: abc},
			{query: "SELECT DISTINCT id FROM ids", want: abc},
			{query: "SELECT id FROM ids GROUP BY id HAVING id <> 'c'", want: ab},
			{query: "SELECT id FROM ids UNION ALL SELECT id FROM t WHERE id <> 'c'", want: slices.Concat(abc, ab)},
			{query: "SELECT id FROM ids UNION SELECT id FROM t", want: abc, not: []sqlsegment.Dialect{sqlsegment.ClickHouse}},
			{query: "SELECT min(id) FROM ids", want: []string{"a"}},
			{query: "SELECT lower(id) FROM ids", want: abc},
			{query: "SELECT 'a' AS id", want: []string{"a"}},
			{query: "WITH x AS (SELECT id FROM ids) SELECT id FROM x WHERE id <> 'c'", want: ab, not: []sqlsegment.Dialect{sqlsegment.ClickHouse}},
			{query: "WITH t AS (SELECT id FROM ids) SELECT id FROM t", want: abc, not: []sqlsegment.Dialect{sqlsegment.ClickHouse}},
			{query: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n", want: []string{"1", "2", "3"}, not: []sqlsegment.Dialect{sqlsegment.ClickHouse}},
			{query: `SELECT id AS "odd name" FROM ids`, want: abc},
			{query: "SELECT id AS `odd name` FROM ids", want: abc, not: []sqlsegment.Dialect{sqlsegment.PostgreSQL}},
			{query: d.Bind("SELECT id FROM ids WHERE id = ?"), args: []any{"a' OR '1' = '1"}},
			{query: d.Bind("SELECT id FROM ids WHERE id <> ? AND id <> ?"), args: []any{"c", "?"}, want: ab},
			{query: d.Bind("SELECT id FROM ids WHERE id = ? UNION ALL SELECT id FROM t WHERE id = ?"), args: []any{"a", "b"}, want: ab},
			{query: "SELECT id FROM ids WHERE id > 'z'"},
		} {
			if slices.Contains(c.not, d.Dialect) {
				continue
			}
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			readers := []sqlsegment.Queryer{db, conn, tx}
			if clickHouse { // whose driver keeps transactions for inserting
				readers = readers[:2]
			}
			for m, hash := range map[sqlsegment.Method]validate.Hash{sqlsegment.Count: "", sqlsegment.Native: "", sqlsegment.Portable: validate.MD5, sqlsegment.Stream: validate.XXH3} {
				for _, q := range readers {
					s, err := sqlsegment.Users{Dialect: d.Dialect, Query: c.query, Args: c.args, Method: m}.Summarize(t.Context(), q)
					require.NoError(t, err, "%s, %s on %T", c.query, m, q)
					require.Equal(t, int64(len(c.want)), s.Users(), "%s, %s on %T", c.query, m, q)
					if hash != "" {
						require.Equal(t, digestOf(hash, c.want).Fingerprint(), s.Fingerprint(), "%s, %s on %T", c.query, m, q)
					}
				}
			}
			require.NoError(t, tx.Rollback())
		}
	})
}

// Where the first 10,000 of a source are stored, its order is what tells.
func TestUsersInTheOrderOfTheQuery(t *testing.T) {
	ids := oddIDs()[1000:31_000]
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		create(t, d, db, "source", backwards(ids))
		order := " ORDER BY id"
		if d.Dialect == sqlsegment.MySQL {
			order += " LIMIT 18446744073709551615"
		}
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: summarize(t, d, db, sqlsegment.Stream, "SELECT id FROM source"+order),
			Stored:   summarize(t, d, db, sqlsegment.Stream, "SELECT id FROM source ORDER BY id LIMIT 9000"),
		})
		require.ErrorIs(t, err, validate.Truncated)
		require.Contains(t, strings.ToLower(report.String()), "first 9,000")
	})
}
