//go:build duckdb

package digestbench

import (
	"context"
	"database/sql"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// BenchmarkAgainstDuckDB digests 10,000,000 ids of 36 bytes held in memory, in
// pages of 1,000, against count, approx_count_distinct and a sum of hashes over
// the same ids in a table of DuckDB in memory, on one thread and on two.
func BenchmarkAgainstDuckDB(b *testing.B) {
	db, err := sql.Open("duckdb", "")
	require.NoError(b, err)
	defer db.Close()
	execute(b, db, "CREATE TABLE ids AS SELECT uuid()::varchar AS id FROM range(10000000)")
	ids := load(b, db)
	for threads, name := range map[string]string{"1": "one thread", "2": "two threads"} {
		b.Run(name, func(b *testing.B) {
			execute(b, db, "SET threads TO "+threads)
			var ratios, took []float64
			for b.Loop() {
				start := time.Now()
				var d validate.Digest
				for page := 0; page < len(ids); page += 1000 {
					d.AddAll(ids[page : page+1000])
				}
				digest := time.Since(start)

				start = time.Now()
				var count, distinct int64
				var sum any
				err := db.QueryRowContext(b.Context(), "SELECT count(*), approx_count_distinct(id), sum(hash(id)::hugeint) FROM ids").Scan(&count, &distinct, &sum)
				require.NoError(b, err)
				ratios = append(ratios, digest.Seconds()/time.Since(start).Seconds())
				took = append(took, float64(digest.Nanoseconds())/users)
				require.Equal(b, count, d.Users())
			}
			b.ReportMetric(0, "ns/op") // of both together, which tells nothing
			b.ReportMetric(median(took), "ns/id")
			b.ReportMetric(median(ratios), "×duckdb")
		})
	}
}

func execute(b *testing.B, db *sql.DB, statement string) {
	b.Helper()
	_, err := db.ExecContext(b.Context(), statement)
	require.NoError(b, err)
}

func load(b *testing.B, db *sql.DB) (ids [][]byte) {
	b.Helper()
	rows, err := db.QueryContext(context.Background(), "SELECT id FROM ids")
	require.NoError(b, err)
	defer rows.Close()
	text := make([]byte, 0, users*36) // one after the other, as in DuckDB and in a page that was read
	for rows.Next() {
		var id string
		require.NoError(b, rows.Scan(&id))
		text = append(text, id...)
		ids = append(ids, text[len(text)-len(id):])
	}
	require.NoError(b, rows.Err())
	return ids
}
