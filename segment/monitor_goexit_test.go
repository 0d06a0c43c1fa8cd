package segment_test

import (
	"context"
	"iter"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// A rule or a ledger that ends its goroutine, as a failed assertion does, leaves
// segments unseen: that is no sweep of all.
func TestSweepWhoseCallbackEndsItsGoroutine(t *testing.T) {
	fleet := func(t *testing.T, segments int) *fleet {
		f := newFleet(t)
		for n := range segments {
			f.runs(segment.ID{SiteGroup: "s", Name: strconv.Itoa(n)}, 5300, 5300, 5300)
		}
		return f
	}
	for name, procs := range map[string]int{"one judge": 1, "two judges": 2} {
		t.Run(name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			f := fleet(t, 8000) // more than wait for a judge, or reading would end anyway
			f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
				runtime.Goexit()
				return segment.Rule{}, nil
			}
			s, err := f.trySweep(f.listing(), nil)
			require.ErrorContains(t, err, "ended its goroutine")
			require.False(t, s.Complete)
		})
	}
	t.Run("ledger", func(t *testing.T) {
		f := fleet(t, 10)
		f.config.Ledger = endsReading{f.ledger}
		s, err := f.trySweep(f.listing(), nil)
		require.ErrorContains(t, err, "ended its goroutine")
		require.False(t, s.Complete)
	})
}

type endsReading struct{ *segment.Memory }

func (l endsReading) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) {
		n := 0
		for s, err := range l.Memory.Segments(ctx, f) {
			if n++; n == 5 {
				runtime.Goexit()
			}
			if !yield(s, err) {
				return
			}
		}
	}
}
