package enginetest_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// metered returns a pool whose bytes are counted, in both directions.
func metered(t testing.TB, d enginetest.Database) (*sql.DB, *atomic.Int64) {
	t.Helper()
	var moved atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return meteredConn{conn, &moved}, err
	}
	var db *sql.DB
	if d.Dialect == sqlsegment.ClickHouse {
		o, err := clickhouse.ParseDSN(d.DSN)
		require.NoError(t, err)
		o.DialContext = func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }
		db = clickhouse.OpenDB(o)
	} else {
		c, err := pgx.ParseConfig(d.DSN)
		require.NoError(t, err)
		c.DialFunc = dial
		db = stdlib.OpenDB(*c)
	}
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, &moved
}

type meteredConn struct {
	net.Conn
	moved *atomic.Int64
}

func (c meteredConn) Read(p []byte) (n int, err error) {
	n, err = c.Conn.Read(p)
	c.moved.Add(int64(n))
	return n, err
}

func (c meteredConn) Write(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	c.moved.Add(int64(n))
	return n, err
}

// losing makes a source of so many UUIDs as text, and a copy that lacks 1,000 of them.
func losing(t testing.TB, d enginetest.Database, db *sql.DB, users int) {
	t.Helper()
	statements := []string{
		"CREATE TABLE source AS SELECT md5(i::text)::uuid::text AS id, i FROM generate_series(1, %d) AS i", "CREATE TABLE stored AS SELECT id FROM source WHERE i % (%d / 1000) <> 0", "VACUUM ANALYZE source", "VACUUM ANALYZE stored",
	}
	if d.Dialect == sqlsegment.ClickHouse {
		statements = []string{
			"CREATE TABLE source (id String, i UInt64) ENGINE = MergeTree ORDER BY i", "INSERT INTO source SELECT lower(hex(MD5(toString(number)))), number FROM numbers(%d)",
			"CREATE TABLE stored (id String) ENGINE = MergeTree ORDER BY tuple()", "INSERT INTO stored SELECT id FROM source WHERE i % (%d / 1000) != 0",
		}
	}
	for _, s := range statements {
		execute(t, db, strings.ReplaceAll(s, "%d", strconv.Itoa(users)))
	}
}

// The ids of 1,000 missing users of a million come with less than a megabyte, both
// directions together. How many users there are is nothing to the bytes: under the race
// detector there are fewer.
func TestDifferingMovesFewBytes(t *testing.T) {
	users := 1_000_000
	if underRace {
		users = 200_000
	}
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.ClickHouse} {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			db, moved := metered(t, d)
			losing(t, d, db, users)
			for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
				before := moved.Load()
				found, err := usersOf(d, m, "SELECT id FROM source").Differing(t.Context(), db, usersOf(d, m, "SELECT id FROM stored"), db)
				require.NoError(t, err)
				require.Len(t, found, 1000)
				require.False(t, slices.ContainsFunc(found, func(u sqlsegment.Differing) bool { return u.Expected != 1 || u.Stored != 0 }))
				t.Logf("%s: %d bytes", m, moved.Load()-before)
				require.Less(t, moved.Load()-before, int64(1_000_000))
			}
		})
	}
}

// BenchmarkDiffering prints what it takes to learn who is missing, as multiples of
// counting both sides, and the bytes moved:
//
//	go test -run '^$' -bench Differing/postgresql/native -benchtime 3x -users 10000000 -timeout 1h ./segment/internal/enginetest
func BenchmarkDiffering(b *testing.B) {
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.ClickHouse} {
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
			name := e.Name + "/" + cmp.Or(string(m), "native")
			b.Run(name, func(b *testing.B) { benchmarkDiffering(b, e.New(b), m, name) })
		}
	}
}

func benchmarkDiffering(b *testing.B, d enginetest.Database, m sqlsegment.Method, name string) {
	const source, stored = "SELECT id FROM source", "SELECT id FROM stored"
	db, moved := metered(b, d)
	losing(b, d, db, *benchmarkUsers)
	ways := map[string]func(){
		"count": func() {
			for _, query := range []string{source, stored} {
				summarize(b, d, db, sqlsegment.Count, query)
			}
		},
		"stream": func() {
			left, right := summarize(b, d, db, sqlsegment.Stream, source), summarize(b, d, db, sqlsegment.Stream, stored)
			difference, err := validate.Diff(left, right)
			require.NoError(b, err)
			least, most := difference.Missing()
			require.Equal(b, [2]int64{1000, 1000}, [2]int64{least, most})
		},
		"differing": func() {
			found, err := usersOf(d, m, source).Differing(b.Context(), db, usersOf(d, m, stored), db)
			require.NoError(b, err)
			require.Len(b, found, 1000)
		},
	}
	took, bytes := map[string][]float64{}, map[string]int64{}
	for b.Loop() {
		for way, do := range ways {
			start, before := time.Now(), moved.Load()
			do()
			took[way], bytes[way] = append(took[way], time.Since(start).Seconds()), moved.Load()-before
		}
	}
	b.ReportMetric(0, "ns/op") // of all ways, which tells nothing
	for way := range ways {
		fmt.Fprintf(b.Output(), "%s, %s: %.1f × count (%.2f s), %d bytes\n", name, way, median(took[way])/median(took["count"]), median(took[way]), bytes[way])
	}
}
