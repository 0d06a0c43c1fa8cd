package segment

import (
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestSweepVerdict: a sweep that did not see all is no pass.
func TestSweepVerdict(t *testing.T) {
	broken := errors.New("broken")
	require.Equal(t, "passed", sweepVerdict(&Sweep{Complete: true}, nil))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{Complete: true}, broken))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{}, nil))
	require.Equal(t, "failed", sweepVerdict(&Sweep{Complete: true, Affected: []Affected{{}}}, nil))
}

// TestSweepLog: one line a sweep, with what the metrics say; a warning where not all
// was seen.
func TestSweepLog(t *testing.T) {
	var out strings.Builder
	ledger := NewMemory()
	m, err := NewMonitor(MonitorConfig{
		Ledger: ledger, Alerter: LogAlerter(slog.New(slog.DiscardHandler)),
		Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" && a.Value.Duration() > 0 {
				return slog.Attr{}
			}
			return a
		}})),
	})
	require.NoError(t, err)
	id := func(name string) ID { return ID{SiteGroup: "a", Name: name} }
	for _, name := range []string{"1", "2", "3", "4"} {
		require.NoError(t, ledger.Record(t.Context(), Record{
			Segment: id(name), RunID: "r", State: RunCommitted, JobKind: JobKindCopy, Users: 10, At: time.Now().Add(-2 * time.Hour),
		}))
	}
	listing := func(ends error) iter.Seq2[CurrentSize, error] {
		return func(yield func(CurrentSize, error) bool) {
			sizes := []CurrentSize{
				{Segment: id("1"), Stored: validate.Count(10)}, {Segment: id("2"), Stored: validate.Count(10)},
				{Segment: id("3"), Stored: validate.Count(7)}, {Segment: id("5"), Stored: validate.Count(5)},
			}
			for _, size := range sizes {
				if !yield(size, nil) {
					return
				}
			}
			if ends != nil {
				yield(CurrentSize{}, ends)
			}
		}
	}
	_, err = m.Sweep(t.Context(), listing(nil))
	require.NoError(t, err)
	require.Equal(t, `level=INFO msg="swept all segments" segments=4 affected=1 healthy=2 missing=1 submitted=0 unwatched=1 incidents=0 open_pages=2 open_tickets=0`+"\n", out.String())

	out.Reset()
	_, err = m.Sweep(t.Context(), listing(errors.New("connection reset")))
	require.Error(t, err)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Regexp(t, `^level=WARN msg="sweep is incomplete: .*" segments=4 affected=1 healthy=3 missing=0 submitted=0 unwatched=0 incidents=0 open_pages=2 open_tickets=0 error=".*connection reset"\n$`, out.String())
}
