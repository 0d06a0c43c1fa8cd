package sdktest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A held ledger has each segment held by another run.
type held struct{ *segment.Memory }

func (held) Lock(context.Context, segment.Key, func(*segment.CommitRow) error) error {
	return errors.New("held by another one")
}

// leased returns a ledger in which another run is about to go live.
func leased(t *testing.T) segment.Ledger {
	t.Helper()
	l := segment.NewMemory()
	require.NoError(t, l.Lock(t.Context(), segment.ID{SiteGroup: "site-b", Name: "cars"}.In(""), func(c *segment.CommitRow) error {
		c.RunID, c.Since, c.Until, c.Token = "another", c.Now, c.Now.Add(time.Hour), 1
		return nil
	}))
	return l
}

// TestDoSpans: a whole job is one span with those of its parts inside it, and each
// wait for the segment has a span and a measurement, without names in the latter.
func TestDoSpans(t *testing.T) {
	failing := errors.New("disk full")
	for _, c := range []struct {
		name      string
		write     error
		ledger    segment.Ledger
		live, tx  bool
		spans     []string // as they end
		errorType any      // of the job; nil: passes
		hold      string   // of the wait; empty: there was none
		waitError any
	}{
		{"passes", nil, segment.NewMemory(), false, false, []string{"begin segment", "wait for segment", "check output", "commit segment", "do segment"}, nil, "lease", nil},
		{"live", nil, segment.NewMemory(), true, false, []string{"wait for segment", "begin segment", "check output", "commit segment", "do segment"}, nil, "lease", nil},
		{"write fails", failing, segment.NewMemory(), false, false, []string{"begin segment", "do segment"}, "unverified", "", nil},
		{"waits in vain", nil, held{segment.NewMemory()}, false, false, []string{"begin segment", "wait for segment", "commit segment", "do segment"}, "unverified", "lease", "unverified"},
		{"in its transaction", nil, segment.NewMemory(), false, true, []string{"begin segment", "wait for segment", "check output", "commit segment", "do segment"}, nil, "transaction", nil},
		{"in its transaction, in vain", nil, held{segment.NewMemory()}, false, true, []string{"begin segment", "wait for segment", "commit segment", "do segment"}, "unverified", "transaction", "unverified"},
		{"in its transaction, beside a lease", nil, leased(t), false, true, []string{"begin segment", "wait for segment", "commit segment", "do segment"}, "overtaken", "transaction", "overtaken"},
		{"waits in vain to begin", nil, held{segment.NewMemory()}, true, false, []string{"wait for segment", "begin segment", "do segment"}, "unverified", "lease", "unverified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			guard, err := segment.NewGuard(segment.GuardConfig{TracerProvider: b.traces, MeterProvider: b.meters, Alerter: quiet{}, Ledger: c.ledger})
			require.NoError(t, err)
			run := segment.Run{
				ID: "monday", Job: segment.Copy(segment.ID{SiteGroup: "site-b", Name: "cars"}, segment.ID{SiteGroup: "site-a", Name: "cars"}), Expected: count(5), Live: c.live,
				Stored: func(context.Context) (validate.Summary, error) { return count(5), nil },
			}
			if !c.live {
				run.Staging.Commit = func(context.Context) error { return nil }
			}
			if c.tx {
				run.Staging.Tx, run.Staging.Discard = c.ledger, func(context.Context) error { return nil }
			}
			_, err = guard.Do(t.Context(), run, func(context.Context, *segment.Run) error { return c.write })
			require.Equal(t, c.errorType == nil, err == nil, "%v", err)
			spans := b.spans.Ended()
			outer := spans[len(spans)-1]
			var names []string
			for _, s := range spans {
				names = append(names, s.Name())
				require.Equal(t, outer.SpanContext().TraceID(), s.SpanContext().TraceID())
				if s.Name() == "wait for segment" {
					require.Equal(t, "site-b/cars", attributes(s)["segmentguard.segment"])
					require.Equal(t, c.hold, attributes(s)["segmentguard.hold"])
					require.Equal(t, c.waitError, attributes(s)["error.type"])
				}
			}
			require.Equal(t, c.spans, names)
			require.Equal(t, c.errorType, attributes(outer)["error.type"])
			require.Equal(t, "monday", attributes(outer)["segmentguard.run.id"])
			if c.errorType != nil {
				require.Equal(t, trace.Status{Code: codes.Error, Description: err.Error()}, outer.Status())
			}
			data, measured := b.metrics(t)["segmentguard.wait.duration s"]
			require.Equal(t, c.hold != "", measured)
			if !measured {
				return
			}
			want := []attribute.KeyValue{attribute.String("segmentguard.hold", c.hold), attribute.String("segmentguard.job.kind", "copy")}
			if c.waitError != nil {
				want = append(want, attribute.String("error.type", fmt.Sprint(c.waitError)))
			}
			points := data.(metricdata.Histogram[float64]).DataPoints //nolint:forcetypeassert // of the instrument's own kind
			require.Len(t, points, 1)
			require.Equal(t, attribute.NewSet(want...), points[0].Attributes)
			require.Equal(t, uint64(1), points[0].Count)
		})
	}
}
