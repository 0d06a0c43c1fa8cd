package enginetest_test

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// BenchmarkGuardedCopy copies 1,000,000 users inside PostgreSQL with INSERT …
// SELECT, guarded and not, in turns, and reports the median of the ratios:
// counting the source, counting what is stored, the history and the record, all
// over the copy alone. A store keeps users under a key; the copy without one is
// the least work that a guard can be compared with.
func BenchmarkGuardedCopy(b *testing.B) {
	const (
		keyed = "CREATE TABLE copied (segment integer, id uuid, PRIMARY KEY (segment, id))"
		bare  = "CREATE TABLE copied (segment integer, id uuid)"
	)
	b.Run("keyed/counted", func(b *testing.B) { benchmarkCopy(b, keyed, sqlsegment.Count) })
	b.Run("keyed/fingerprinted", func(b *testing.B) { benchmarkCopy(b, keyed, sqlsegment.Native) })
	b.Run("bare/counted", func(b *testing.B) { benchmarkCopy(b, bare, sqlsegment.Count) })
}

func benchmarkCopy(b *testing.B, table string, method sqlsegment.Method) {
	b.Helper()
	c := newCopies(b, table)
	c.method = method
	var ratios, plain []float64
	for b.Loop() {
		unguarded, guarded := c.round(b, len(ratios)%2 == 0)
		ratios = append(ratios, guarded.Seconds()/unguarded.Seconds())
		plain = append(plain, unguarded.Seconds())
	}
	b.ReportMetric(median(ratios), "guarded/unguarded")
	b.ReportMetric(median(plain), "s/unguarded")
	b.ReportMetric(0, "ns/op") // of a whole round, which tells nothing
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

type copies struct {
	database enginetest.Database
	db       *sql.DB
	history  *sqlsegment.History
	guard    *segment.Guard
	method   sqlsegment.Method
	done     int
}

const copiedUsers = 1_000_000

func newCopies(b *testing.B, table string) *copies {
	d := postgreSQL(b)
	c := &copies{database: d, db: d.Open(b), history: d.History(b)}
	var err error
	c.guard, err = segment.NewGuard(segment.Config{History: c.history, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(b, err)
	c.exec(b, c.db, "CREATE TABLE members (segment integer, id uuid, PRIMARY KEY (segment, id))")
	c.exec(b, c.db, "INSERT INTO members SELECT 1, gen_random_uuid() FROM generate_series(1, $1::integer)", copiedUsers)
	c.exec(b, c.db, "VACUUM ANALYZE members")
	c.exec(b, c.db, table)
	return c
}

func (c *copies) exec(b *testing.B, e executor, statement string, args ...any) {
	b.Helper()
	_, err := e.ExecContext(b.Context(), statement, args...)
	require.NoError(b, err)
}

// round copies both ways, each into an empty table, none always second.
func (c *copies) round(b *testing.B, guardedFirst bool) (unguarded, guarded time.Duration) {
	if guardedFirst {
		guarded = c.timed(b, c.guarded)
		return c.timed(b, c.unguarded), guarded
	}
	unguarded = c.timed(b, c.unguarded)
	return unguarded, c.timed(b, c.guarded)
}

func (c *copies) timed(b *testing.B, do func(*testing.B)) time.Duration {
	c.exec(b, c.db, "TRUNCATE copied")
	c.exec(b, c.db, "CHECKPOINT")
	start := time.Now()
	do(b)
	return time.Since(start)
}

const copyUsers = "INSERT INTO copied SELECT 2, id FROM members WHERE segment = 1"

func (c *copies) unguarded(b *testing.B) {
	tx, err := c.db.BeginTx(b.Context(), nil)
	require.NoError(b, err)
	c.exec(b, tx, copyUsers)
	require.NoError(b, tx.Commit())
}

func (c *copies) guarded(b *testing.B) {
	c.done++
	expected, err := c.count(b.Context(), c.db, "SELECT id FROM members WHERE segment = 1")
	require.NoError(b, err)
	tx, err := c.db.BeginTx(b.Context(), nil)
	require.NoError(b, err)
	c.exec(b, tx, copyUsers)
	report, err := c.guard.Commit(b.Context(), segment.Run{
		ID: strconv.Itoa(c.done), Job: segment.Copy(idS, segment.ID{SiteGroup: "g", Name: "source"}), Expected: expected,
		Stored: func(ctx context.Context) (validate.Summary, error) {
			return c.count(ctx, tx, "SELECT id FROM copied WHERE segment = 2")
		},
		Commit:  func(context.Context) error { return tx.Commit() },
		Discard: func(context.Context) error { return tx.Rollback() },
		History: c.history.Tx(tx),
	})
	require.NoError(b, err)
	require.Equal(b, int64(copiedUsers), report.Stored.Users())
}

func (c *copies) count(ctx context.Context, q sqlsegment.Queryer, query string) (validate.Summary, error) {
	u := sqlsegment.Users{Dialect: c.database.Dialect, Query: query, Method: c.method}
	return u.Summarize(ctx, q)
}

// BenchmarkFingerprints measures 10,000,000 ids by each method that keeps them
// in the database, against counting them there, and reports the median of the
// ratios.
func BenchmarkFingerprints(b *testing.B) {
	for name, c := range map[string]struct {
		database enginetest.Database
		setup    []string
		count    string
		methods  map[string]sqlsegment.Method
	}{
		"PostgreSQL": {postgreSQL(b), []string{
			"CREATE TABLE ids AS SELECT gen_random_uuid()::text AS id FROM generate_series(1, 10000000)", "VACUUM ANALYZE ids",
		}, "SELECT count(*) FROM ids", map[string]sqlsegment.Method{"native": sqlsegment.Native}},
		"ClickHouse": {clickHouse(b), []string{
			"CREATE TABLE ids (id String) ENGINE = MergeTree ORDER BY tuple()", "INSERT INTO ids SELECT toString(generateUUIDv4()) FROM numbers(10000000)",
		}, "SELECT count(id) FROM (SELECT id FROM ids)", map[string]sqlsegment.Method{"native": sqlsegment.Native, "portable": sqlsegment.Portable}},
	} {
		db := c.database.Open(b)
		for _, statement := range c.setup {
			execute(b, db, statement)
		}
		for method, m := range c.methods {
			b.Run(name+"/"+method, func(b *testing.B) {
				var ratios []float64
				for b.Loop() {
					start := time.Now()
					var n any
					require.NoError(b, db.QueryRowContext(b.Context(), c.count).Scan(&n))
					counted := time.Since(start)
					start = time.Now()
					require.Equal(b, int64(10_000_000), summarize(b, c.database, db, m, "SELECT id FROM ids").Users())
					ratios = append(ratios, time.Since(start).Seconds()/counted.Seconds())
				}
				b.ReportMetric(0, "ns/op") // of both together, which tells nothing
				b.ReportMetric(median(ratios), "×count")
			})
		}
	}
}
