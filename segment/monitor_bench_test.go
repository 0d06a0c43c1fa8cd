package segment_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A still ledger holds n segments with 30 sizes each, which share one array.
type still struct {
	*segment.Memory
	ids   []segment.ID
	sizes []validate.Size
}

func newStill(n int) *still {
	l := &still{Memory: segment.NewMemory()}
	for i := range n {
		l.ids = append(l.ids, segment.ID{SiteGroup: fmt.Sprintf("site-%02d", i*50/n), Name: fmt.Sprintf("segment-%07d", i)})
	}
	for i := range int64(30) {
		l.sizes = append(l.sizes, validate.Size{Users: 100_000 + 777*(i%7), At: time.Now().UTC().Add(-time.Hour).AddDate(0, 0, int(i-29))})
	}
	return l
}

func (l *still) Segments(_ context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	if f.Affected {
		return func(func(segment.SegmentState, error) bool) {}
	}
	last := l.sizes[len(l.sizes)-1]
	return func(yield func(segment.SegmentState, error) bool) {
		for _, id := range l.ids {
			if !yield(segment.SegmentState{Segment: id, Baseline: validate.Baseline{Sizes: l.sizes}, Last: segment.Record{
				RunID: "r", State: segment.RunCommitted, JobKind: segment.JobKindCopy, Users: last.Users, At: last.At,
			}}, nil) {
				return
			}
		}
	}
}

func (l *still) current() iter.Seq2[segment.CurrentSize, error] {
	stored := validate.Count(l.sizes[len(l.sizes)-1].Users)
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range l.ids {
			if !yield(segment.CurrentSize{Segment: id, Stored: stored}, nil) {
				return
			}
		}
	}
}

// BenchmarkSweep sweeps over a million segments of 30 sizes in memory. ns/segment
// is what one of them costs; cores-x how much faster two cores are than one.
func BenchmarkSweep(b *testing.B) {
	const n = 1_000_000
	ledger := newStill(n)
	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger})
	require.NoError(b, err)
	sweep := func(cores int) time.Duration {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		start := time.Now()
		s, err := m.Sweep(b.Context(), ledger.current())
		require.NoError(b, err)
		require.Equal(b, n, s.Healthy)
		return time.Since(start)
	}
	var one, two time.Duration
	for b.Loop() {
		one += sweep(1)
		two += sweep(2)
	}
	b.ReportMetric(float64(one.Nanoseconds())/float64(b.N)/n, "ns/segment")
	b.ReportMetric(one.Seconds()/two.Seconds(), "cores-x")
}
