package enginetest_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
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

// listed are segments whose texts sort otherwise by languages, by UTF-16, by their two
// columns, or without escapes; each with its number of users.
func listed() map[segment.ID]int64 {
	all := map[segment.ID]int64{}
	for i, group := range []string{"a", "A", "a/b", "a%b", "a-b", "a.b", "a0", "ab", "b", "B", "ä", "z", "é", "\uffee", "𝔸", "a b", "_"} {
		for k, name := range []string{"x", "X", "x/y", "x%y", "ß", "\uffee", "𝔸", " x", "x ", "-"} {
			all[segment.ID{SiteGroup: group, Name: name}] = int64((i + k) % 3)
		}
	}
	return all
}

// listings makes tables of segments and of their users.
func listings(t *testing.T, d enginetest.Database) *sql.DB {
	t.Helper()
	db := d.Open(t)
	text, end := "text", ""
	switch d.Dialect {
	case sqlsegment.MySQL:
		text = "varchar(100) CHARACTER SET utf8mb4"
	case sqlsegment.ClickHouse:
		end = " ENGINE = Memory"
	case sqlsegment.PostgreSQL, sqlsegment.SQLite:
	}
	var segments, members []string
	for id, users := range listed() {
		n := len(segments)
		segments = append(segments, fmt.Sprintf("SELECT %d, '%s', '%s', '%s'", n, id.SiteGroup, id.Name, id))
		for user := range users {
			members = append(members, fmt.Sprintf("SELECT %d, 'user-%d'", n, user))
		}
	}
	for _, statement := range []string{
		fmt.Sprintf("CREATE TABLE segments (id integer, site_group %s, name %[1]s, whole %[1]s)%s", text, end),
		fmt.Sprintf("CREATE TABLE users (segment integer, user_id %s)%s", text, end),
		"INSERT INTO segments (id, site_group, name, whole) " + strings.Join(segments, " UNION ALL "),
		"INSERT INTO users (segment, user_id) " + strings.Join(members, " UNION ALL "),
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	return db
}

const (
	fromBoth = "FROM segments s LEFT JOIN users u ON u.segment = s.id GROUP BY s.id, s.site_group, s.name, s.whole"
	joined   = "SELECT s.site_group AS g, s.name AS n, count(u.user_id) AS users " + fromBoth
	whole    = "SELECT s.whole AS id, count(u.user_id) AS users " + fromBoth
	grouped  = "SELECT s.site_group AS g, s.name AS n, count(*) AS users FROM segments s JOIN users u ON u.segment = s.id GROUP BY s.id, s.site_group, s.name"
)

func eachListing(t *testing.T, test func(*testing.T, enginetest.Database)) {
	for _, e := range enginetest.All() {
		t.Run(e.Name, func(t *testing.T) { test(t, e.New(t)) })
	}
}

func TestListing(t *testing.T) {
	eachListing(t, func(t *testing.T, d enginetest.Database) {
		db := listings(t, d)
		for _, c := range []struct {
			reason, query string
			empties       bool
		}{
			{"site group and name, with empty ones", joined, true},
			{"their text, with empty ones", whole, true},
			{"those that have users", grouped, false},
			{"a comment at its end, and an order of its own", joined + " ORDER BY users DESC -- by size", true},
		} {
			want := listed()
			for id, users := range want {
				if users == 0 && !c.empties {
					delete(want, id)
				}
			}
			var texts []string
			before := time.Now()
			for size, err := range (sqlsegment.Listing{Dialect: d.Dialect, Query: c.query}).Sizes(t.Context(), db) {
				require.NoError(t, err, c.reason)
				texts = append(texts, size.Segment.String())
				users, known := want[size.Segment]
				require.True(t, known, size.Segment)
				require.Equal(t, users, size.Stored.Users(), size.Segment)
				require.False(t, size.At.Before(before) || size.At.After(time.Now()))
				require.Equal(t, d.Dialect != sqlsegment.ClickHouse, !size.Stored.CompleteUpTo().IsZero())
			}
			require.Len(t, texts, len(want), c.reason)
			require.True(t, slices.IsSorted(texts), c.reason) // by bytes, as Go compares
			require.Len(t, slices.Compact(texts), len(want))
		}
	})
}

// TestListingIsSwept: a monitor takes it as it is, and the ledger may be in the same
// pool.
func TestListingIsSwept(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		db := listings(t, d)
		ledger, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, ledger.Migrate(t.Context()))
		m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
		require.NoError(t, err)
		listing := sqlsegment.Listing{Dialect: d.Dialect, Query: joined}
		for range 2 {
			s, err := m.Sweep(t.Context(), listing.Sizes(t.Context(), db))
			require.NoError(t, err)
			require.True(t, s.Complete)
			require.Equal(t, len(listed()), s.Segments)
		}
	})
}

func TestListingRefused(t *testing.T) {
	eachListing(t, func(t *testing.T, d enginetest.Database) {
		db := listings(t, d)
		db.SetMaxOpenConns(1) // each leaves it free for the next
		for _, c := range []struct {
			reason, query, want string
			dialect             sqlsegment.Dialect
		}{
			{"no dialect is the default", joined, "Listing.Dialect is empty", ""},
			{"no query", " ", "Listing.Query is empty, want a SELECT of site group, name and users", d.Dialect},
			{"a second statement might follow", joined + ";", `Listing.Query is ended by ";"`, d.Dialect},
			{"one column", "SELECT name AS n FROM segments", "one of 1 columns (n), want site group, name and users, or the id and users", d.Dialect},
			{"four columns", "SELECT * FROM segments", "one of 4 columns (id, site_group, name, whole)", d.Dialect},
			{"a segment without a name", "SELECT 'a' AS g, NULL AS n, 7 AS users", "has a NULL", d.Dialect},
			{"a segment without a number", "SELECT 'a' AS g, 'b' AS n, NULL AS users", "has a NULL", d.Dialect},
			{"fewer than none", "SELECT 'a' AS g, 'b' AS n, -1 AS users", `the row of "a" "b" has -1 users`, d.Dialect},
			{"a text that is no id", "SELECT 'cars' AS id, 7 AS users", `no "/"`, d.Dialect},
			{"a number that is none", "SELECT 'a' AS g, 'b' AS n, 'many' AS users", "many", d.Dialect},
			{"no such table", "SELECT g, n, users FROM nobody", "nobody", d.Dialect},
		} {
			sizes := 0
			var failed error
			for _, err := range (sqlsegment.Listing{Dialect: c.dialect, Query: c.query}).Sizes(t.Context(), db) {
				require.NoError(t, failed, "an error ends the sequence")
				if failed = err; err == nil {
					sizes++
				}
			}
			require.ErrorContains(t, failed, c.want, c.reason)
			require.ErrorContains(t, failed, "sqlsegment: ")
			require.Zero(t, sizes, c.reason)
		}
		for _, err := range (sqlsegment.Listing{Dialect: d.Dialect, Query: joined}).Sizes(t.Context(), nil) {
			require.ErrorContains(t, err, "Sizes: q is nil")
		}
		for size, err := range (sqlsegment.Listing{Dialect: d.Dialect, Query: joined}).Sizes(t.Context(), db) {
			require.NoError(t, err)
			require.NotZero(t, size)
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range (sqlsegment.Listing{Dialect: d.Dialect, Query: joined}).Sizes(ctx, db) {
			require.ErrorIs(t, err, context.Canceled)
		}
		require.NoError(t, db.PingContext(t.Context()))
	})
}

// TestListingIsWhole: what would end a query early without a word does not end a
// listing.
func TestListingIsWhole(t *testing.T) {
	db := listings(t, enginetest.MariaDB.New(t))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "SET sql_select_limit = 10")
	require.NoError(t, err)
	n := 0
	for _, err := range (sqlsegment.Listing{Dialect: sqlsegment.MySQL, Query: joined}).Sizes(t.Context(), conn) {
		require.NoError(t, err)
		n++
	}
	require.Len(t, listed(), n)
}

// A listing takes arguments, in the database's own style.
func ExampleListing() {
	db := openExample()
	defer db.Close()
	listing := sqlsegment.Listing{
		Dialect: sqlsegment.SQLite,
		Query:   "SELECT ?, 'source', count(*) FROM source UNION ALL SELECT 'site-a', 'copy', count(*) FROM copy",
		Args:    []any{"site-a"},
	}
	for size, err := range listing.Sizes(context.Background(), db) {
		fmt.Println(size.Segment, cmp.Or(err, error(nil)), size.Stored == validate.Count(size.Stored.Users()).AsOf(size.At))
	}
	// Output:
	// site-a/copy <nil> true
	// site-a/source <nil> true
}
