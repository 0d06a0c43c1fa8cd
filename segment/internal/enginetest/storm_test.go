package enginetest_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A keeper keeps the alerts that it is told, by what tells them apart.
type keeper struct {
	mu    sync.Mutex
	calls int
	open  map[string]bool
	rings map[int]bool // of incidents
}

func (k *keeper) Tell(_ context.Context, firing, _ []segment.Alert) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	for _, a := range firing {
		if a.About != nil {
			k.rings[a.Ring] = true
			continue
		}
		k.open[fmt.Sprint(a.Segment, a.Urgency, a.Kind, a.Level, a.Build, a.Incident)] = true
	}
	return nil
}

// Open has a guard leave the members of an incident to Alertmanager.
func (k *keeper) Open(context.Context, string) iter.Seq2[segment.Alert, error] {
	return func(func(segment.Alert, error) bool) {}
}

// fail has guards of several processes find so many segments short, all of one
// build.
func fail(t testing.TB, d enginetest.Database, k *keeper, segments int) {
	t.Helper()
	const processes = 8
	var wg sync.WaitGroup
	for p := range processes {
		h, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
		require.NoError(t, err)
		guard, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: k, Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute})
		require.NoError(t, err)
		wg.Go(func() {
			for n := p; n < segments; n += processes {
				id := segment.ID{SiteGroup: "group " + strconv.Itoa(n%500), Name: strconv.Itoa(n)}
				_, err := guard.Commit(t.Context(), segment.Run{
					ID: "night", Job: segment.Copy(id, segment.ID{SiteGroup: "source", Name: strconv.Itoa(n)}), Build: "v7",
					Expected: validate.Count(1000), Read: validate.Count(1000), Written: validate.Count(900),
					Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(900), nil },
					Staging: segment.Staging{Commit: func(context.Context) error { return nil }, Discard: func(context.Context) error { return nil }},
				})
				if err == nil {
					t.Error("a guard let a short segment pass")
				}
			}
		})
	}
	wg.Wait()
}

// Guards of many processes that fail at once are one incident, and each of their
// segments is told.
func TestGuardsFailAtOnce(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		k := &keeper{open: map[string]bool{}, rings: map[int]bool{}}
		const n = 120
		fail(t, d, k, n)
		found := collect(t, h.Incidents(t.Context(), segment.IncidentFilter{}))
		require.Len(t, found, 1)
		require.Equal(t, n, found[0].Members.Segments)
		require.Equal(t, n, found[0].Members.Pages)
		require.True(t, k.rings[100])
		require.LessOrEqual(t, len(k.rings), 3, "what passes within one telling is one ring")
		require.GreaterOrEqual(t, len(k.open), n)
		require.Empty(t, collect(t, h.Segments(t.Context(), segment.SegmentFilter{Pending: true})), "nothing is left to be told")
		require.Len(t, collect(t, h.Segments(t.Context(), segment.SegmentFilter{Incident: found[0].ID, Build: "v7"})), n)
	})
}

// A night on which thousands of guards fail within minutes.
func BenchmarkGuardsFailAtOnce(b *testing.B) {
	for _, e := range enginetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			for b.Loop() {
				d := e.New(b)
				d.History(b)
				k := &keeper{open: map[string]bool{}, rings: map[int]bool{}}
				fail(b, d, k, 5000)
				b.ReportMetric(float64(k.calls), "calls")
			}
		})
	}
}
