package enginetest_test

import (
	"context"
	"database/sql"
	"iter"
	"math/rand/v2"
	"runtime"
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

// million is how many segments BenchmarkSweep goes over, each with 30 sizes.
const million = 1_000_000

func fleetID(i int) segment.ID {
	return segment.ID{SiteGroup: "site", Name: strconv.Itoa(10_000_000 + i)} // quickly made
}

// BenchmarkSweep sweeps over a ledger of a million segments, which it fills
// first, and compares that with reading the same rows and doing nothing: x-read
// is the median ratio, MB the most that the heap held.
func BenchmarkSweep(b *testing.B) {
	for _, e := range enginetest.Engines() {
		if e.Name == "sqlite" || e.Name == "mariadb" {
			continue
		}
		b.Run(e.Name, func(b *testing.B) {
			d := e.New(b)
			h := d.History(b)
			latest := fillFleet(b, h)
			quiet := segment.LogAlerter(nil)
			m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h, Alerter: quiet})
			require.NoError(b, err)
			db := d.Open(b)
			var ratios []float64
			var read, swept time.Duration
			var peak uint64
			for b.Loop() {
				start := time.Now()
				require.Equal(b, million, readStates(b, db))
				read = time.Since(start)
				start = time.Now()
				s, err := m.Sweep(b.Context(), watched(&peak, latest))
				swept = time.Since(start)
				require.NoError(b, err)
				require.Equal(b, million, s.Healthy)
				ratios = append(ratios, swept.Seconds()/read.Seconds())
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-read")
			b.ReportMetric(swept.Seconds(), "s/sweep")
			b.ReportMetric(float64(peak)/1e6, "MB")
		})
	}
}

// BenchmarkSweepAffected finds 100,000 segments affected, while a guard's ledger
// is asked to record for another segment again and again: s/wait is the longest that
// one record took, MB the most that the heap held.
func BenchmarkSweepAffected(b *testing.B) {
	const affected = 100_000
	for _, e := range enginetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			d := e.New(b)
			h, guards := d.History(b), d.History(b)
			fillAffected(b, h, affected)
			m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h, Alerter: &teller{}})
			require.NoError(b, err)
			stop, waited, peak := make(chan struct{}), make(chan time.Duration), make(chan uint64)
			go recordUntil(b.Context(), guards, rec("", 1, segment.RunCommitted, 1), stop, waited)
			go heapUntil(stop, peak)
			var swept time.Duration
			for b.Loop() {
				start := time.Now()
				s, err := m.Sweep(b.Context(), func(yield func(segment.CurrentSize, error) bool) {
					for i := range affected {
						if !yield(segment.CurrentSize{Segment: fleetID(i), Stored: validate.Count(int64(i % 70))}, nil) {
							return
						}
					}
				})
				swept = time.Since(start)
				require.NoError(b, err)
				require.GreaterOrEqual(b, len(s.Affected), affected)
			}
			close(stop)
			b.ReportMetric((<-waited).Seconds(), "s/wait")
			b.ReportMetric(float64(<-peak)/1e6, "MB")
			b.ReportMetric(swept.Seconds(), "s/sweep")
		})
	}
}

// fillAffected records three days of some segments.
func fillAffected(b *testing.B, h *sqlsegment.Ledger, n int) {
	b.Helper()
	now := time.Now().UTC().Add(-2 * time.Hour)
	for chunk := range slices.Chunk(slices.Collect(numbers(n)), 1000) {
		var keys []segment.Key
		for _, i := range chunk {
			keys = append(keys, fleetID(i).In(""))
		}
		require.NoError(b, h.Change(b.Context(), keys, func(s *segment.SegmentState) error {
			for day := range 30 {
				s.Record(segment.Record{
					RunID: strconv.Itoa(day), State: segment.RunCommitted, JobID: "copy " + s.Segment.String(), JobKind: segment.JobKindCopy, Build: "7",
					Users: int64(100_000 + 7*day), At: now.AddDate(0, 0, day-29),
				})
			}
			return nil
		}))
	}
}

// recordUntil records r as that of ever other runs, and tells how long that took at most.
func recordUntil(ctx context.Context, h *sqlsegment.Ledger, r segment.Record, stop <-chan struct{}, longest chan<- time.Duration) {
	var most time.Duration
	for i := 0; ; i++ {
		select {
		case <-stop:
			longest <- most
			return
		case <-time.After(10 * time.Millisecond):
		}
		start := time.Now()
		r.RunID, r.At = strconv.Itoa(i), start
		if err := h.Record(ctx, r); err != nil {
			panic(err)
		}
		most = max(most, time.Since(start))
	}
}

// heapUntil looks at the heap now and then, and tells the most that it held.
func heapUntil(stop <-chan struct{}, peak chan<- uint64) {
	var most uint64
	var m runtime.MemStats
	for {
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-stop:
			peak <- most
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fillFleet imports the segments, and returns each segment's last size.
func fillFleet(b *testing.B, h *sqlsegment.Ledger) (latest []int64) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	now := time.Now().UTC().Add(-time.Hour)
	latest = make([]int64, million)
	for chunk := range slices.Chunk(slices.Collect(numbers(million)), 10_000) {
		imported := make([]segment.SizeImport, len(chunk))
		for k, i := range chunk {
			imported[k].Segment = fleetID(i)
			base := 100 + random.Int64N(1_000_000)
			for day := range 30 {
				latest[i] = base + random.Int64N(1+base/50)
				imported[k].Sizes = append(imported[k].Sizes, validate.Size{Users: latest[i], At: now.AddDate(0, 0, day-29)})
			}
		}
		require.NoError(b, segment.Import(b.Context(), h, imported))
	}
	return latest
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func readStates(b *testing.B, db *sql.DB) (n int) {
	b.Helper()
	rows, err := db.QueryContext(b.Context(), "SELECT segment, state FROM segmentguard_segments ORDER BY segment")
	require.NoError(b, err)
	defer rows.Close()
	var id, state sql.RawBytes
	for rows.Next() {
		require.NoError(b, rows.Scan(&id, &state))
		n++
	}
	require.NoError(b, rows.Err())
	return n
}

// watched lists the segments, and looks at the heap now and then.
func watched(peak *uint64, latest []int64) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		var m runtime.MemStats
		for i := range million {
			if i%20_000 == 0 {
				runtime.ReadMemStats(&m)
				*peak = max(*peak, m.HeapInuse)
			}
			if !yield(segment.CurrentSize{Segment: fleetID(i), Stored: validate.Count(latest[i])}, nil) {
				return
			}
		}
	}
}
