package enginetest_test

import (
	"cmp"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	benchmarkIDs   = flag.Int("ids", 10_000_000, "how many ids BenchmarkEngines fingerprints")
	benchmarkUsers = flag.Int("users", 1_000_000, "how many users BenchmarkEngines copies, and BenchmarkMethods measures")
)

// BenchmarkEngines prints what checking costs inside the engines, as ratios of
// two times measured in turns in one run, the median of all rounds:
//
//	go test -run '^$' -bench Engines -benchtime 9x -timeout 1h ./segment/internal/enginetest
func BenchmarkEngines(b *testing.B) {
	b.Run("copy of UUIDs", func(b *testing.B) { benchmarkCopy(b, "uuid") })
	b.Run("copy of text", func(b *testing.B) { benchmarkCopy(b, "text") })
	b.Run("postgresql", func(b *testing.B) {
		d := enginetest.Durable(b)
		benchmarkFingerprints(b, d, []string{
			"CREATE TABLE ids AS SELECT gen_random_uuid() AS id FROM generate_series(1, %d)", "CREATE TABLE texts AS SELECT id::text FROM ids", "VACUUM ANALYZE ids", "VACUUM ANALYZE texts",
		}, "SELECT count(*) FROM %s", []fingerprinted{
			{"native, UUIDs", "ids", sqlsegment.Native, "3"},
			{"native, UUIDs as text", "texts", sqlsegment.Native, "3"},
		})
	})
	b.Run("clickhouse", func(b *testing.B) {
		benchmarkFingerprints(b, clickHouse(b), []string{
			"CREATE TABLE ids (id String) ENGINE = MergeTree ORDER BY tuple()", "INSERT INTO ids SELECT toString(generateUUIDv4()) FROM numbers(%d)",
		}, "SELECT count() FROM (SELECT id FROM %s)", []fingerprinted{
			{"native", "ids", sqlsegment.Native, ""},
			{"portable", "ids", sqlsegment.Portable, "25"},
		})
	})
}

// BenchmarkMethods prints what each method costs in each engine, a user:
//
//	go test -run '^$' -bench Methods -benchtime 5x -users 1000000 ./segment/internal/enginetest
func BenchmarkMethods(b *testing.B) {
	fill := map[sqlsegment.Dialect][]string{
		sqlsegment.PostgreSQL: {"CREATE TABLE ids AS SELECT gen_random_uuid()::text AS id FROM generate_series(1, %d)", "ANALYZE ids"},
		sqlsegment.MySQL:      {"CREATE TABLE ids AS SELECT CONVERT(UUID() USING utf8mb4) AS id FROM seq_1_to_%d"},
		sqlsegment.SQLite:     {"CREATE TABLE ids AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT lower(hex(randomblob(18))) AS id FROM n"},
		sqlsegment.ClickHouse: {"CREATE TABLE ids (id String) ENGINE = MergeTree ORDER BY tuple()", "INSERT INTO ids SELECT toString(generateUUIDv4()) FROM numbers(%d)"},
	}
	for _, e := range enginetest.All() {
		b.Run(e.Name, func(b *testing.B) {
			d := e.New(b)
			db := d.Open(b)
			for _, statement := range fill[d.Dialect] {
				execute(b, db, strings.ReplaceAll(statement, "%d", strconv.Itoa(*benchmarkUsers)))
			}
			took := map[sqlsegment.Method][]float64{}
			for b.Loop() {
				for m := range methods {
					start := time.Now()
					require.Equal(b, int64(*benchmarkUsers), summarize(b, d, db, m, "SELECT id FROM ids").Users())
					took[m] = append(took[m], time.Since(start).Seconds())
				}
			}
			b.ReportMetric(0, "ns/op") // of all methods, which tells nothing
			for m, seconds := range took {
				b.ReportMetric(median(seconds)*1e9/float64(*benchmarkUsers), "ns/user-"+cmp.Or(string(m), "native"))
			}
		})
	}
}

// A row is a line of the table: a time against another, round by round.
type row struct {
	what, target string
	base, ratios []float64 // seconds, and how many times as long it took
}

func (r *row) add(base, took time.Duration) {
	r.base = append(r.base, base.Seconds())
	r.ratios = append(r.ratios, took.Seconds()/base.Seconds())
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func printTable(b *testing.B, title string, rows []row) {
	b.ReportMetric(0, "ns/op") // of a whole round, which tells nothing
	w := b.Output()
	fmt.Fprintf(w, "%s; %s, %d CPUs, %d rounds\n\n", title, runtime.Version(), runtime.NumCPU(), len(rows[0].ratios))
	fmt.Fprint(w, "| | against, s | median | lowest–highest | at most |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %.3f | **%.2f ×** | %.2f–%.2f | %s |\n", r.what, median(r.base), median(r.ratios), slices.Min(r.ratios), slices.Max(r.ratios), r.target)
	}
}

// versions are the engine's, its settings that matter, and the driver's.
func versions(b *testing.B, d enginetest.Database, db *sql.DB) string {
	var all []string
	ask := func(format, query string) {
		var answer string
		require.NoError(b, db.QueryRowContext(b.Context(), query).Scan(&answer))
		all = append(all, fmt.Sprintf(format, answer))
	}
	if d.Dialect == sqlsegment.ClickHouse {
		ask("ClickHouse %s", "SELECT version()")
	} else {
		ask("PostgreSQL %s", "SHOW server_version")
		for _, setting := range []string{"shared_buffers", "fsync", "synchronous_commit", "full_page_writes", "max_wal_size", "work_mem", "max_parallel_workers_per_gather"} {
			ask(setting+" = %s", "SHOW "+setting)
		}
	}
	driver := map[string]string{"pgx": "github.com/jackc/pgx/v5", "clickhouse": "github.com/ClickHouse/clickhouse-go/v2"}[d.Driver]
	module, err := exec.CommandContext(b.Context(), "go", "list", "-m", driver).Output() // a test binary does not know
	require.NoError(b, err)
	return strings.Join(append(all, strings.TrimSpace(string(module))), ", ")
}

// A fingerprinted table is what is measured against counting it.
type fingerprinted struct {
	what, table string
	method      sqlsegment.Method
	target      string
}

func benchmarkFingerprints(b *testing.B, d enginetest.Database, setup []string, count string, cases []fingerprinted) {
	db := d.Open(b)
	for _, statement := range setup {
		execute(b, db, strings.ReplaceAll(statement, "%d", strconv.Itoa(*benchmarkIDs)))
	}
	rows := make([]row, len(cases))
	for b.Loop() {
		for i, c := range cases {
			start := time.Now()
			var n any
			require.NoError(b, db.QueryRowContext(b.Context(), fmt.Sprintf(count, c.table)).Scan(&n))
			counted := time.Since(start)
			start = time.Now()
			require.Equal(b, int64(*benchmarkIDs), summarize(b, d, db, c.method, "SELECT id FROM "+c.table).Users())
			rows[i].what, rows[i].target = fmt.Sprintf("%s fingerprint of %d ids / count of them", c.what, *benchmarkIDs), c.target
			rows[i].add(counted, time.Since(start))
		}
	}
	printTable(b, versions(b, d, db), rows)
}

// benchmarkCopy copies users inside PostgreSQL into a table with a primary key,
// with INSERT … SELECT: unguarded, with both sides counted, and with both
// fingerprinted. The target is empty, and has the statistics that a table in use
// has: PostgreSQL takes a table that it knows nothing of for a small one.
//
// One copy takes half as long again as the next on a machine that others use, so
// a guarded one is also set against the time that itself took to copy and commit.
func benchmarkCopy(b *testing.B, ids string) {
	c := newCopies(b, ids)
	rows := []row{
		{what: "guarded copy, counted / an unguarded one", target: "1.05"}, {what: "guarded copy, fingerprinted / an unguarded one", target: "1.15"},
		{what: "guarded copy, counted / its own copying", target: "1.05"}, {what: "guarded copy, fingerprinted / its own copying", target: "1.15"},
	}
	ways := []func(*testing.B) (copying time.Duration){
		c.unguarded,
		func(b *testing.B) time.Duration { return c.guarded(b, sqlsegment.Count) },
		func(b *testing.B) time.Duration { return c.guarded(b, sqlsegment.Native) },
	}
	for b.Loop() {
		var took, copying [3]time.Duration
		for i := range ways { // each is the first in turn
			way := (i + c.rounds) % len(ways)
			execute(b, c.db, "TRUNCATE copied")
			execute(b, c.db, "CHECKPOINT")
			start := time.Now()
			copying[way] = ways[way](b)
			took[way] = time.Since(start)
		}
		c.rounds++
		for way := 1; way < len(ways); way++ {
			rows[way-1].add(took[0], took[way])
			rows[way+1].add(copying[way], took[way])
		}
	}
	printTable(b, fmt.Sprintf("%d users, ids of type %s; %s", *benchmarkUsers, ids, versions(b, c.database, c.db)), rows)
}

type copies struct {
	database     enginetest.Database
	db           *sql.DB
	history      *sqlsegment.Ledger
	guard        *segment.Guard
	rounds, runs int
}

func newCopies(b *testing.B, ids string) *copies {
	d := enginetest.Durable(b)
	c := &copies{database: d, db: d.Open(b), history: d.History(b)}
	var err error
	c.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: c.history, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(b, err)
	for _, statement := range []string{
		"CREATE TABLE members (segment integer, id " + ids + ", PRIMARY KEY (segment, id))",
		fmt.Sprintf("INSERT INTO members SELECT 1, gen_random_uuid()::%s FROM generate_series(1, %d)", ids, *benchmarkUsers),
		"VACUUM ANALYZE members",
		"CREATE TABLE copied (segment integer, id " + ids + ", PRIMARY KEY (segment, id)) WITH (autovacuum_enabled = off)",
		copyUsers,
		"ANALYZE copied",
	} {
		execute(b, c.db, statement)
	}
	return c
}

const copyUsers = "INSERT INTO copied SELECT 2, id FROM members WHERE segment = 1"

func (c *copies) unguarded(b *testing.B) time.Duration {
	start := time.Now()
	tx := c.copy(b.Context(), b)
	require.NoError(b, tx.Commit())
	return time.Since(start)
}

func (c *copies) copy(ctx context.Context, b *testing.B) *sql.Tx {
	b.Helper()
	tx, err := c.db.BeginTx(ctx, nil)
	require.NoError(b, err)
	_, err = tx.ExecContext(ctx, copyUsers)
	require.NoError(b, err)
	return tx
}

func (c *copies) guarded(b *testing.B, method sqlsegment.Method) (copying time.Duration) {
	c.runs++
	users := sqlsegment.Users{Dialect: c.database.Dialect, Method: method, Query: "SELECT id FROM members WHERE segment = 1"}
	expected, err := users.Summarize(b.Context(), c.db)
	require.NoError(b, err)
	run := segment.Run{ID: strconv.Itoa(c.runs), Job: segment.Copy(idS, segment.ID{SiteGroup: "g", Name: "source"}), Expected: expected}
	report, err := c.guard.Do(b.Context(), run, func(ctx context.Context, run *segment.Run) error {
		start := time.Now()
		tx := c.copy(ctx, b)
		copying = time.Since(start)
		run.Stored = func(ctx context.Context) (validate.Summary, error) {
			users.Query = "SELECT id FROM copied WHERE segment = 2"
			return users.Summarize(ctx, tx)
		}
		run.Staging = segment.Staging{
			Commit: func(context.Context) error {
				start := time.Now()
				defer func() { copying += time.Since(start) }()
				return tx.Commit()
			},
			Discard: func(context.Context) error { return tx.Rollback() },
			Tx:      c.history.Tx(tx),
		}
		return nil
	})
	require.NoError(b, err)
	require.Equal(b, int64(*benchmarkUsers), report.Stored.Users())
	return copying
}
