package pgxtest_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// BenchmarkStream reads a million ids by pgx and by database/sql over pgx, in turns, and
// reports what the first takes of what the second does, as medians: time, in which the
// server has its part, and processor time of this process. The package documentation of
// pgxsegment has them:
//
//	go test -run '^$' -bench Stream -benchtime 9x ./segment/internal/enginetest/pgxtest
func BenchmarkStream(b *testing.B) {
	dsn := direct(b)
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		b.Run(name(m), func(b *testing.B) {
			pool := open(b, dsn, m, 2)
			exec(b, pool, "DROP TABLE IF EXISTS users", "CREATE TABLE users AS SELECT md5(i::text) AS id FROM generate_series(1, 1000000) AS i", "VACUUM ANALYZE users")
			db := stdlib.OpenDBFromPool(pool)
			defer db.Close()
			const query = "SELECT id FROM users"
			var native, standard costs
			for b.Loop() {
				native.measure(b, func() (validate.Summary, error) {
					return pgxsegment.Users{Query: query, Method: sqlsegment.Stream}.Summarize(b.Context(), pool)
				})
				standard.measure(b, func() (validate.Summary, error) {
					return sqlsegment.Users{Dialect: sqlsegment.PostgreSQL, Query: query, Method: sqlsegment.Stream}.Summarize(b.Context(), db)
				})
			}
			b.ReportMetric(median(native.time)/median(standard.time), "time-ratio")
			b.ReportMetric(median(native.cpu)/median(standard.cpu), "cpu-ratio")
		})
	}
}

type costs struct{ time, cpu []time.Duration }

func (c *costs) measure(b *testing.B, summarize func() (validate.Summary, error)) {
	b.Helper()
	start, before := time.Now(), processor(b)
	s, err := summarize()
	c.time, c.cpu = append(c.time, time.Since(start)), append(c.cpu, processor(b)-before)
	require.NoError(b, err)
	require.EqualValues(b, 1_000_000, s.Users())
}

// processor returns how much processor time this process has had.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return times[len(times)/2].Seconds()
}
