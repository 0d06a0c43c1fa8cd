package commandtest_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
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

var (
	benchSegments = flag.Int("segments", 40_000, "how many segments BenchmarkOnCall's ledger knows")
	benchRuns     = flag.Int("runs", 15_000, "how many of them run each night")
	benchAffected = flag.Int("affected", 1_500, "how many of the last night's runs fail")
)

// nights is how many the log has.
const nights = 30

// BenchmarkOnCall asks what people on call ask, by the command as they run it, of a
// ledger on PostgreSQL with a month of nights, and prints the median time of each.
func BenchmarkOnCall(b *testing.B) {
	program := buildCommand(b)
	d := enginetest.PostgreSQL.New(b)
	ledger, err := sqlsegment.NewLedger(d.Open(b), d.Dialect)
	require.NoError(b, err)
	require.NoError(b, ledger.Migrate(b.Context()))
	fillMonth(b, d, ledger)
	report := filepath.Join(b.TempDir(), "report.html")
	broken, fine := monthID(0).String(), monthID(1).String()
	for i, args := range [][]string{
		{"status"},
		{"status", "--kind", "capped", "--build", "9"},
		{"status", "--group", monthID(0).SiteGroup, "--limit", "0"},
		{"show", broken},
		{"show", fine},
		{"log"},
		{"log", "--action", "opened", "--since", "-12h"},
		{"log", "--build", "9"},
		{"log", broken},
		{"builds"},
		{"accept", "--dry-run", broken},
		{"accept", "--dry-run", "--group", monthID(0).SiteGroup},
		{"mute", "--dry-run", "--until", "+1h", "--group", monthID(0).SiteGroup},
		{"false-alarm", "--dry-run", broken},
		{"report", report},
		{"check"},
	} {
		b.Run(fmt.Sprint(args[0], i), func(b *testing.B) {
			desk := &desk{t: b, program: program, dsn: d.DSN}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				code, _, errs := desk.run("", args...)
				took = append(took, time.Since(start))
				require.Empty(b, errs)
				require.Less(b, code, 2)
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms/median")
			b.Logf("%q: %d ms", args, took[len(took)/2].Milliseconds())
		})
	}
}

func monthID(i int) segment.ID {
	return segment.ID{SiteGroup: fmt.Sprintf("site-%02d", i%40), Name: fmt.Sprintf("segment %05d", i)}
}

// fillMonth keeps a month of nights: sizes as a sweep reads them, and the log of each run,
// which is that of one that a guard made, many times over.
func fillMonth(b *testing.B, d enginetest.Database, l *sqlsegment.Ledger) {
	b.Helper()
	ctx, now := b.Context(), time.Now().UTC().Add(-2*time.Hour)
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: l, Alerter: quiet{}, Now: func() time.Time { return now }})
	require.NoError(b, err)
	done := func(context.Context) error { return nil }
	run := func(id segment.ID, build string, stored int64) error {
		r := segment.Run{
			ID: "night 30", Build: build, Job: segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}), Expected: validate.Count(100_203),
			Stored: func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil }, Staging: segment.Staging{Commit: done, Discard: done},
		}
		return errors.Join(guard.Begin(ctx, &r), second(guard.Commit(ctx, r)))
	}
	template := segment.ID{SiteGroup: "template", Name: "of the log"}
	require.NoError(b, run(template, "8", 100_203))
	db := d.Open(b)
	copyLog(b, db, template, now)
	for chunk := range slices.Chunk(monthIDs(), 1000) {
		keys := make([]segment.Key, len(chunk))
		for i, id := range chunk {
			keys[i] = id.In("")
		}
		require.NoError(b, l.Change(ctx, keys, func(s *segment.SegmentState) error {
			for day := range nights {
				s.Record(segment.Record{
					RunID: fmt.Sprint("night ", day), State: segment.RunCommitted, JobID: "copy", JobKind: segment.JobKindCopy, Build: "8",
					Users: int64(100_000 + 7*day), At: now.AddDate(0, 0, day-nights),
				})
			}
			return nil
		}))
	}
	for i := range *benchAffected {
		require.Error(b, run(monthID(i*2), "9", 10_000))
	}
	jobs := make([]segment.Job, 0, *benchSegments)
	for _, id := range monthIDs() {
		jobs = append(jobs, segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}))
	}
	require.NoError(b, l.KeepJobs(ctx, jobs))
	require.NoError(b, l.KeepSweep(ctx, segment.SweepNumbers{At: now.Add(time.Hour), Complete: true, Segments: *benchSegments, Healthy: *benchSegments - *benchAffected, Affected: *benchAffected}))
	_, err = db.ExecContext(ctx, "ANALYZE")
	require.NoError(b, err)
}

func second[T any](_ T, err error) error { return err }

func monthIDs() []segment.ID {
	ids := make([]segment.ID, *benchSegments)
	for i := range ids {
		ids[i] = monthID(i)
	}
	return ids
}

// copyLog makes the entries of one run those of all runs of all nights.
func copyLog(b *testing.B, db *sql.DB, template segment.ID, now time.Time) {
	b.Helper()
	ctx := b.Context()
	rows, err := db.QueryContext(ctx, "SELECT column_name FROM information_schema.columns WHERE table_name = 'segmentguard_log' AND column_name <> 'id'")
	require.NoError(b, err)
	var into, from []string
	for rows.Next() {
		var column string
		require.NoError(b, rows.Scan(&column))
		into = append(into, column)
		switch column {
		case "segment":
			column = "'site-' || lpad((n % 40)::text, 2, '0') || '/segment ' || lpad(n::text, 5, '0')"
		case "run":
			column = "'night ' || night"
		case "at":
			column = "at - make_interval(days => 29 - night)" // the last one is tonight
		}
		from = append(from, column)
	}
	require.NoError(b, errors.Join(rows.Err(), rows.Close()))
	_, err = db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO segmentguard_log (%s) SELECT %s FROM segmentguard_log, generate_series(0, %d) AS night, generate_series(0, %d) AS n
		WHERE segment = '%s' ORDER BY night, n, id`, strings.Join(into, ", "), strings.Join(from, ", "), nights-1, *benchRuns-1, template))
	require.NoError(b, err)
	var entries int64
	require.NoError(b, db.QueryRowContext(ctx, "SELECT count(*) FROM segmentguard_log").Scan(&entries))
	b.Logf("the log has %d entries", entries)
}
