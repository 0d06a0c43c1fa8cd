package enginetest_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	pageSegments = flag.Int("dashboard-segments", million, "how many segments BenchmarkDashboard's ledger knows")
	pageAffected = flag.Int("dashboard-affected", 4422, "how many of them are affected")
)

// BenchmarkDashboard makes pages over a ledger of a million segments, and prints of
// each the median time, its bytes, and what was allocated for it.
func BenchmarkDashboard(b *testing.B) {
	for _, e := range enginetest.Engines() {
		if e.Name == "mariadb" {
			continue
		}
		b.Run(e.Name, func(b *testing.B) {
			d := e.New(b)
			h := d.History(b)
			fillDashboard(b, h)
			pages := dashboard.Handler(h, dashboard.Config{})
			for name, address := range map[string]string{
				"fleet":    "/",
				"filtered": "/?kind=empty&build=9",
				"group":    "/?group=site",
				"incident": "/incident?id=" + url.QueryEscape(nightIncident),
				"segment":  "/segment?id=" + url.QueryEscape(fleetID(0).String()),
				"plan":     "/plan",
				"log":      "/log",
				"actions":  "/log?action=opened",
			} {
				b.Run(name, func(b *testing.B) { benchmarkPage(b, pages, name, address) })
			}
		})
	}
}

func benchmarkPage(b *testing.B, pages http.Handler, name, address string) {
	var took []time.Duration
	size := 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		w := httptest.NewRecorder()
		start := time.Now()
		pages.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, address, nil))
		took = append(took, time.Since(start))
		require.Equal(b, http.StatusOK, w.Code, w.Body.String())
		size = w.Body.Len()
	}
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms/median")
	b.ReportMetric(took[0].Seconds()*1e3, "ms/least")
	b.ReportMetric(float64(size)/1e3, "kB")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/1e6/float64(len(took)), "MB-allocated")
	b.Logf("%s: %.0f ms", name, took[len(took)/2].Seconds()*1e3)
}

const nightIncident = "copy jobs of build 9 since 2024-03-18T00:00:00Z"

// fillDashboard keeps thirty sizes of each segment, alerts of some, and an incident.
func fillDashboard(b *testing.B, h *sqlsegment.Ledger) {
	b.Helper()
	now := time.Now().UTC().Add(-2 * time.Hour)
	every := max(1, *pageSegments / *pageAffected)
	for chunk := range slices.Chunk(slices.Collect(numbers(*pageSegments)), 1000) {
		keys := make([]segment.Key, len(chunk))
		for k, i := range chunk {
			keys[k] = fleetID(i).In("")
		}
		require.NoError(b, h.Change(b.Context(), keys, func(s *segment.SegmentState) error {
			i, err := strconv.Atoi(s.Segment.Name)
			i -= 10_000_000
			for day := range 30 {
				s.Record(segment.Record{
					RunID: strconv.Itoa(day), State: segment.RunCommitted, JobID: "copy " + s.Segment.String(), JobKind: segment.JobKindCopy, Build: "8",
					Users: int64(100_000 + 7*day), At: now.AddDate(0, 0, day-30),
				})
			}
			if i%every == 0 {
				affect(s, i/every, now)
			}
			return err
		}))
	}
	require.NoError(b, h.ChangeIncident(b.Context(), nightIncident, func(i *segment.Incident) error {
		i.Cause, i.Begun, i.Last = segment.Cause{JobKind: segment.JobKindCopy, Build: "9"}, now, now
		i.Rings = []segment.Ring{{Members: 1000, Urgency: segment.Page, Level: segment.LevelLost100}}
		return nil
	}))
}

// affect opens an alert as a guard would.
func affect(s *segment.SegmentState, n int, now time.Time) {
	stored, level, kind := int64(10_000), segment.LevelProtected, validate.Capped
	if n%3 == 0 {
		stored, level, kind = 0, segment.LevelLost100, validate.Empty
	}
	r, _ := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: s.Segment.String(), Expected: validate.Count(100_203), Stored: validate.Count(stored), Sizes: s.Sizes, At: now,
	})
	a := &segment.Alert{
		Segment: s.Segment, Urgency: segment.Page, Kind: kind, Level: level, Incident: nightIncident, Job: segment.Copy(s.Segment, fleetID(0)),
		RunID: "31", Build: "9", Since: now, At: now, Users: 100_203 + int64(n%1000), Good: &s.Sizes[len(s.Sizes)-1], Report: r,
		Text: fmt.Sprintf("%s: stored %d of 100,203 users", s.Segment, stored),
	}
	m := segment.Mark{Urgency: a.Urgency, Kind: a.Kind, Level: a.Level, JobKind: a.Job.Kind, Build: a.Build, Incident: nightIncident}
	s.Alert = segment.AlertState{Open: a, Marks: []segment.Mark{m}, Told: []segment.Told{{Mark: m, At: now}}, Incident: nightIncident, Opened: []time.Time{now}}
	s.Log = append(s.Log,
		segment.LogEntry{Segment: s.Segment, At: now, Action: segment.ActionRecorded, RunID: "31", Record: &segment.Record{
			Segment: s.Segment, RunID: "31", State: segment.RunRejected, JobID: a.Job.ID, JobKind: a.Job.Kind, Build: "9", Users: stored, At: now, Report: &r,
		}},
		segment.LogEntry{Segment: s.Segment, At: now, Action: segment.ActionOpened, RunID: "31", Mark: &m, Text: a.Text, Incident: nightIncident})
}
