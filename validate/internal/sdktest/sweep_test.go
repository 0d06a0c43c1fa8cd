package sdktest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestSweepTelemetry: one span a sweep with numbers and no names.
func TestSweepTelemetry(t *testing.T) {
	broken := errors.New("connection reset")
	for _, c := range []struct {
		name      string
		users     int64 // of 10 that the last run left live
		ends      error
		verdict   string
		errorType any
		affected  int64
	}{
		{name: "healthy", users: 10, verdict: "passed"},
		{name: "affected", users: 7, verdict: "failed", errorType: "short", affected: 3},
		{name: "incomplete", users: 10, ends: broken, verdict: "unverified", errorType: "incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			ledger := segment.NewMemory()
			m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: quiet{}, TracerProvider: b.traces, MeterProvider: b.meters})
			require.NoError(t, err)
			ids := []segment.ID{{SiteGroup: "a", Name: "1"}, {SiteGroup: "a", Name: "2"}, {SiteGroup: "a", Name: "3"}}
			for _, id := range ids {
				require.NoError(t, ledger.Record(t.Context(), segment.Record{
					Segment: id, RunID: "r", State: segment.RunCommitted, JobKind: segment.JobKindCopy, Users: 10, At: time.Now().Add(-time.Hour),
				}))
			}
			_, err = m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				for _, id := range ids {
					if !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(c.users)}, nil) {
						return
					}
				}
				if c.ends != nil {
					yield(segment.CurrentSize{}, c.ends)
				}
			})
			require.ErrorIs(t, err, c.ends)

			spans := b.spans.Ended()
			require.Len(t, spans, 1, "a span for each of a million segments would cost more than the sweep")
			require.Equal(t, "sweep segments", spans[0].Name())
			want := map[string]any{
				"segmentguard.segments": int64(3), "segmentguard.segments.healthy": 3 - c.affected, "segmentguard.segments.unwatched": int64(0),
				"segmentguard.segments.missing": int64(0), "segmentguard.segments.affected": c.affected, "segmentguard.verdict": c.verdict,
			}
			if c.errorType != nil {
				want["error.type"] = c.errorType
				require.Equal(t, codes.Error, spans[0].Status().Code)
			} else {
				require.Equal(t, codes.Unset, spans[0].Status().Code)
			}
			require.Equal(t, want, attributes(spans[0]))
		})
	}
}
