package enginetest_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// inDatabase runs a test on each engine that compares users where they are, by each
// method.
func inDatabase(t *testing.T, test func(*testing.T, enginetest.Database, sqlsegment.Method)) {
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.ClickHouse} {
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
			t.Run(e.Name+"/"+string(m), func(t *testing.T) { test(t, e.New(t), m) })
		}
	}
}

func usersOf(d enginetest.Database, m sqlsegment.Method, query string) sqlsegment.Users {
	return sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: query}
}

// differing returns what two multisets do not hold equally often, one by one.
func differing(expected, stored []string) (found []sqlsegment.Differing) {
	counts := map[string]*sqlsegment.Differing{}
	of := func(id string) *sqlsegment.Differing {
		if counts[id] == nil {
			counts[id] = &sqlsegment.Differing{ID: id}
		}
		return counts[id]
	}
	for _, id := range expected {
		of(id).Expected++
	}
	for _, id := range stored {
		of(id).Stored++
	}
	for _, d := range counts {
		if d.Expected != d.Stored {
			found = append(found, *d)
		}
	}
	slices.SortFunc(found, func(a, b sqlsegment.Differing) int { return strings.Compare(a.ID, b.ID) })
	return found
}

// Each difference is told by its ids, with how often each side has them, and judged by
// exact numbers; and no users are streamed for it.
func TestDiffering(t *testing.T) {
	all := oddIDs()
	ids := slices.Concat(all[:27_000], all[:3_000]) // some are there twice
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.ClickHouse} {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			db := d.Open(t)
			create(t, d, db, "source", ids)
			for i, c := range []struct {
				reason string
				stored []string
			}{
				{"one is missing", ids[1:]},
				{"one in place of another", append([]string{"a stranger"}, ids[1:]...)},
				{"some missing, some strangers, some repeated", slices.Concat([]string{"A  ", "日本", "ümlaut "}, ids[700:], ids[5000:5300], ids[5000:5300])},
				{"more than a small table tells", slices.Concat(ids[:20_000], ids[23_500:])},
				{"as many in place of others", slices.Concat(ids[4000:], strangers(4000))},
				{"one of them 1,024 times more", slices.Concat(ids, slices.Repeat([]string{"ß"}, 1024))},
				{"none", ids},
			} {
				table := fmt.Sprintf("stored%d", i)
				create(t, d, db, table, backwards(c.stored))
				want := differing(ids, c.stored)
				for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
					q := &asked{Queryer: db}
					source, stored := usersOf(d, m, "SELECT id FROM source"), usersOf(d, m, "SELECT id FROM "+table+" -- stored")
					found, err := source.Differing(t.Context(), q, stored, q)
					require.NoError(t, err, c.reason)
					require.Equal(t, want, found, c.reason)
					requireJudged(t, q, source, stored, want)
				}
			}
		})
	}
}

func strangers(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("stranger %d", i))
	}
	return ids
}

// requireJudged checks two sides twice: with what differs allowed, and with one less.
func requireJudged(t *testing.T, q *asked, source, stored sqlsegment.Users, want []sqlsegment.Differing) {
	t.Helper()
	var missing, foreign int64
	for _, u := range want {
		missing += max(0, u.Expected-u.Stored)
		foreign += max(0, u.Stored-u.Expected)
	}
	expected, err := source.Summarize(t.Context(), q)
	require.NoError(t, err)
	there, err := stored.Summarize(t.Context(), q)
	require.NoError(t, err)
	output := validate.Output{Expected: expected, Stored: there}
	for _, less := range []int64{0, 1} {
		p := validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: missing - less*min(1, missing)}, Surplus: validate.Margin{Users: foreign}}}
		q.streamed = 0
		report, err := validate.Check(t.Context(), p, output)
		require.Zero(t, q.streamed, "users were streamed")
		if less == 0 || missing == 0 {
			require.NoError(t, err)
		} else {
			require.True(t, report.Proven(), report.String())
			require.NotContains(t, report.String(), "could not be looked at")
		}
	}
}

// The keys of integers, UUIDs and bytes are of another hash than those of text.
func TestDifferingTypes(t *testing.T) {
	d := postgreSQL(t)
	db := d.Open(t)
	for i, kind := range []string{"i::integer", "i::bigint", "md5(i::text)::uuid", "decode(md5(i::text), 'hex')", "i::text::varchar(20)", "md5(i::text)::char(32)"} {
		source := fmt.Sprintf("source%d", i)
		execute(t, db, "CREATE TABLE "+source+" AS SELECT "+kind+" AS id, i FROM generate_series(1, 50000) AS i")
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
			stored := usersOf(d, m, "SELECT id FROM "+source+" WHERE i > 1500")
			found, err := usersOf(d, m, "SELECT id FROM "+source).Differing(t.Context(), db, stored, db)
			require.NoError(t, err, kind)
			want := texts(t, db, "SELECT "+map[bool]string{true: "encode(id, 'hex')", false: "id::text"}[strings.HasPrefix(kind, "decode")]+" FROM "+source+" WHERE i <= 1500")
			var got []string
			for _, u := range found {
				require.Equal(t, [2]int64{1, 0}, [2]int64{u.Expected, u.Stored})
				got = append(got, u.ID)
			}
			require.Equal(t, want, got, kind)
		}
	}
}

// texts returns the one column of a query, in the order of bytes.
func texts(t testing.TB, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		all = append(all, text)
	}
	require.NoError(t, rows.Err())
	slices.Sort(all)
	return all
}

// By the portable hash two engines are compared, each where its users are.
func TestDifferingAcrossEngines(t *testing.T) {
	p, ch := postgreSQL(t), clickHouse(t)
	source, target := p.Open(t), ch.Open(t)
	ids := oddIDs()
	create(t, p, source, "ids", ids)
	create(t, ch, target, "ids", ids[1200:])
	found, err := usersOf(p, sqlsegment.Portable, "SELECT id FROM ids").Differing(t.Context(), source, usersOf(ch, sqlsegment.Portable, "SELECT id FROM ids"), target)
	require.NoError(t, err)
	require.Equal(t, differing(ids, ids[1200:]), found)
	_, err = usersOf(p, sqlsegment.Native, "SELECT id FROM ids").Differing(t.Context(), source, usersOf(ch, sqlsegment.Native, "SELECT id FROM ids"), target)
	require.ErrorContains(t, err, "stored.Method is clickhouse/sipHash64,cityHash64, want a fingerprint by")
}

// More than a table tells is an error, or a stream where a check needs it.
func TestDifferingTooMany(t *testing.T) {
	inDatabase(t, func(t *testing.T, d enginetest.Database, m sqlsegment.Method) {
		db := d.Open(t)
		ids := oddIDs()
		create(t, d, db, "source", ids)
		create(t, d, db, "stored", slices.Concat(ids[:60_000], strangers(40_000)))
		source, stored := usersOf(d, m, "SELECT id FROM source"), usersOf(d, m, "SELECT id FROM stored")
		_, err := source.Differing(t.Context(), db, stored, db)
		require.ErrorIs(t, err, sqlsegment.ErrTooMany)
		q := &asked{Queryer: db}
		_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: summarize(t, d, q, m, source.Query), Stored: summarize(t, d, q, m, stored.Query),
		})
		require.ErrorIs(t, err, validate.Different)
		require.Equal(t, 2, q.streamed)
	})
}

// Users that are not those who were fingerprinted are never judged by a table.
func TestDifferingOfUsersThatChange(t *testing.T) {
	inDatabase(t, func(t *testing.T, d enginetest.Database, m sqlsegment.Method) {
		db := d.Open(t)
		ids := oddIDs()[:20_000]
		create(t, d, db, "source", ids)
		create(t, d, db, "stored", ids[10:])
		expected, stored := summarize(t, d, db, m, "SELECT id FROM source"), summarize(t, d, db, m, "SELECT id FROM stored")
		fill(t, d, db, "stored", ids[:10])
		p := validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 100}}}
		report, err := validate.Check(t.Context(), p, validate.Output{Expected: expected, Stored: stored})
		require.ErrorIs(t, err, validate.Unverified)
		require.Contains(t, report.String(), "the users changed while they were compared")
	})
}

// What cannot be compared in the database is refused, and not streamed unasked.
func TestDifferingRefuses(t *testing.T) {
	for _, e := range []enginetest.Engine{enginetest.SQLite, enginetest.MariaDB} {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			db := d.Open(t)
			create(t, d, db, "ids", []string{"a", "b"})
			_, err := usersOf(d, sqlsegment.Native, "SELECT id FROM ids").Differing(t.Context(), db, usersOf(d, sqlsegment.Native, "SELECT id FROM ids"), db)
			require.ErrorContains(t, err, "want PostgreSQL or ClickHouse, and Native or Portable")
		})
	}
	d := postgreSQL(t)
	db := d.Open(t)
	for _, m := range []sqlsegment.Method{sqlsegment.Count, sqlsegment.Stream} {
		_, err := usersOf(d, m, "SELECT 'a'").Differing(t.Context(), db, usersOf(d, m, "SELECT 'b'"), db)
		require.ErrorContains(t, err, "want PostgreSQL or ClickHouse, and Native or Portable")
	}
	_, err := sqlsegment.Users{}.Differing(t.Context(), db, sqlsegment.Users{}, db)
	require.ErrorContains(t, err, "sqlsegment: differing: expected: Users.Dialect is empty")
}

// Random differences of all counts, by both engines' own arithmetic.
func TestDifferingAtRandom(t *testing.T) {
	inDatabase(t, func(t *testing.T, d enginetest.Database, m sqlsegment.Method) {
		db := d.Open(t)
		var expected, stored []string
		r := rand.New(rand.NewPCG(7, 7))
		counts := []int{1, 2, 3, 4, 8, 16, 32, 64, 128}
		for i := range 3000 {
			id := fmt.Sprintf("user %d", i)
			expected = append(expected, slices.Repeat([]string{id}, counts[r.IntN(4)])...)
			stored = append(stored, slices.Repeat([]string{id}, counts[r.IntN(4)])...)
			if i%200 == 0 {
				stored = append(stored, slices.Repeat([]string{id}, counts[r.IntN(len(counts))])...)
			}
		}
		create(t, d, db, "source", expected)
		create(t, d, db, "stored", stored)
		found, err := usersOf(d, m, "SELECT id FROM source").Differing(t.Context(), db, usersOf(d, m, "SELECT id FROM stored"), db)
		require.NoError(t, err)
		require.Equal(t, differing(expected, stored), found)
	})
}
