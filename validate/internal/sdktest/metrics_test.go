package sdktest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// values are the data points of a metric, by their attributes: "state=healthy
// kind=copy", without what all attributes' names begin with.
type values map[string]float64

// segmentMetrics are the metrics of package segment: by name, instrument and unit.
func (b *bench) segmentMetrics(t *testing.T) map[string]values {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &data))
	found := map[string]values{}
	for _, scope := range data.ScopeMetrics {
		if scope.Scope.Name != "github.com/segmentguard/segmentguard/segment" {
			continue
		}
		for _, m := range scope.Metrics {
			require.NotEmpty(t, m.Description, m.Name)
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				require.True(t, data.IsMonotonic)
				found[m.Name+" counter "+m.Unit] = pointsOf(data.DataPoints)
			case metricdata.Gauge[int64]:
				found[m.Name+" gauge "+m.Unit] = pointsOf(data.DataPoints)
			case metricdata.Gauge[float64]:
				found[m.Name+" gauge "+m.Unit] = pointsOf(data.DataPoints)
			case metricdata.Histogram[float64]:
				found[m.Name+" histogram "+m.Unit] = countsOf(data.DataPoints)
			default:
				require.Failf(t, "no such instrument is documented", "%s: %T", m.Name, data)
			}
		}
	}
	return found
}

func pointsOf[N int64 | float64](points []metricdata.DataPoint[N]) values {
	v := values{}
	for _, p := range points {
		v[textOf(p.Attributes)] = float64(p.Value)
	}
	return v
}

// countsOf are how many values a histogram took in.
func countsOf(points []metricdata.HistogramDataPoint[float64]) values {
	v := values{}
	for _, p := range points {
		v[textOf(p.Attributes)] = float64(p.Count)
	}
	return v
}

func textOf(set attribute.Set) string {
	var attrs []string
	for _, kv := range set.ToSlice() { // in order of their keys
		attrs = append(attrs, strings.TrimPrefix(string(kv.Key), "segmentguard.")+"="+kv.Value.AsString())
	}
	return strings.Join(attrs, " ")
}

// nonzero are the values that are not 0.
func (v values) nonzero() values {
	found := values{}
	for attrs, n := range v {
		if n != 0 {
			found[attrs] = n
		}
	}
	return found
}

// Names of the metrics, as segmentMetrics has them.
const (
	runs         = "segmentguard.runs counter {run}"
	segments     = "segmentguard.segment.count gauge {segment}"
	alerts       = "segmentguard.alert.count gauge {alert}"
	duration     = "segmentguard.sweep.duration gauge s"
	lastComplete = "segmentguard.sweep.last_complete_timestamp gauge s"
)

// A week of four guarded segments, and a sweep each morning.
type week struct {
	*bench

	now     time.Time
	ledger  *segment.Memory
	guard   *segment.Guard
	monitor *segment.Monitor
	jobs    []segment.Job
	stored  map[segment.ID]int64
}

func newWeek(t *testing.T) *week {
	t.Helper()
	w := &week{bench: newBench(t), now: time.Date(2024, 3, 4, 3, 0, 0, 0, time.UTC), ledger: segment.NewMemory(), stored: map[segment.ID]int64{}}
	now := func() time.Time { return w.now }
	source := segment.ID{SiteGroup: "site-a", Name: "all"}
	for _, name := range []string{"1", "2"} {
		w.jobs = append(w.jobs, segment.Copy(segment.ID{SiteGroup: "site-b", Name: "copy-" + name}, source),
			segment.Lookalike(segment.ID{SiteGroup: "site-b", Name: "like-" + name}, source))
	}
	var err error
	w.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: w.ledger, Alerter: quiet{}, Now: now, TracerProvider: w.traces, MeterProvider: w.meters})
	require.NoError(t, err)
	w.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: w.ledger, Alerter: quiet{}, Now: now, TracerProvider: w.traces, MeterProvider: w.meters})
	require.NoError(t, err)
	for _, job := range w.jobs {
		history := segment.SizeImport{Segment: job.To}
		for day := range 10 {
			history.Sizes = append(history.Sizes, validate.Size{Users: 1000, At: w.now.AddDate(0, 0, day-10)})
		}
		require.NoError(t, segment.Import(t.Context(), w.ledger, []segment.SizeImport{history}))
		w.stored[job.To] = 1000
	}
	return w
}

// night runs all jobs with a build; those that are broken store so many users.
func (w *week) night(t *testing.T, build string, broken map[segment.JobKind]int64) {
	t.Helper()
	w.now = w.now.Truncate(24 * time.Hour).Add(27 * time.Hour)
	for _, job := range w.jobs {
		writes := int64(1000)
		if users, ok := broken[job.Kind]; ok {
			writes = users
		}
		_, err := w.guard.Commit(t.Context(), segment.Run{
			ID: w.now.Format(time.DateOnly), Build: build, Job: job, Expected: count(1000),
			Stored: func(context.Context) (validate.Summary, error) { return count(writes), nil },
			Staging: segment.Staging{Commit: func(context.Context) error {
				w.stored[job.To] = writes
				return nil
			}},
		})
		if writes == 1000 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, validate.Short)
		}
	}
}

// sweep lists what is stored, in order, up to an error if there is one.
func (w *week) sweep(t *testing.T, ends error) error {
	t.Helper()
	w.now = w.now.Add(3 * time.Hour)
	_, err := w.monitor.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range []string{"site-b/copy-1", "site-b/copy-2", "site-b/like-1", "site-b/like-2", "site-b/new"} {
			parsed, err := segment.ParseID(id)
			if users, there := w.stored[parsed]; there && !yield(segment.CurrentSize{Segment: parsed, Stored: count(users)}, err) {
				return
			}
		}
		if ends != nil {
			yield(segment.CurrentSize{}, ends)
		}
	})
	return err
}

// TestMetricsOfAWeek: what the metrics say of passes, rejections, and sweeps,
// complete and not.
func TestMetricsOfAWeek(t *testing.T) {
	w := newWeek(t)
	require.Empty(t, w.segmentMetrics(t), "nothing ran yet")

	w.night(t, "v1", nil)
	m := w.segmentMetrics(t)
	require.NotContains(t, m, lastComplete, "a time that nobody swept at would look like a sweep")
	require.NoError(t, w.sweep(t, nil))
	first := w.now.Unix()
	m = w.segmentMetrics(t)
	require.Equal(t, values{
		"build=v1 job.kind=copy run.outcome=committed verdict=passed":      2,
		"build=v1 job.kind=lookalike run.outcome=committed verdict=passed": 2,
	}, m[runs])
	require.Equal(t, values{"segment.state=healthy": 4, "segment.state=affected": 0, "segment.state=missing": 0, "segment.state=submitted": 0, "segment.state=unwatched": 0}, m[segments])
	require.Empty(t, m[alerts].nonzero())
	require.Len(t, m[alerts], 2*len(validate.Kinds()), "a value that is not there says nothing")
	require.Equal(t, values{"": float64(first)}, m[lastComplete])
	require.Len(t, m[duration], 1)
	require.Positive(t, m[duration][""])

	// A bad build. Its copies are not live, so a sweep finds nothing, and yet
	// their pages are open. A segment of which nothing is known came into the store.
	w.stored[segment.ID{SiteGroup: "site-b", Name: "new"}] = 5
	w.night(t, "v2", map[segment.JobKind]int64{segment.JobKindCopy: 900})
	require.NoError(t, w.sweep(t, nil))
	m = w.segmentMetrics(t)
	require.Equal(t, values{
		"build=v1 job.kind=copy run.outcome=committed verdict=passed":      2,
		"build=v1 job.kind=lookalike run.outcome=committed verdict=passed": 2,
		"build=v2 job.kind=copy run.outcome=rejected verdict=failed":       2,
		"build=v2 job.kind=lookalike run.outcome=committed verdict=passed": 2,
	}, m[runs])
	require.Equal(t, values{"segment.state=healthy": 4, "segment.state=unwatched": 1}, m[segments].nonzero())
	require.Equal(t, values{"alert.kind=short alert.severity=page": 2}, m[alerts].nonzero())
	require.Equal(t, values{"": float64(w.now.Unix())}, m[lastComplete])
	complete := w.now.Unix()

	// One lookalike lost its users, one is gone, and the listing breaks off: what was
	// found is told, and segments and time stay those of the sweep that saw all.
	like1, like2 := w.jobs[1].To, w.jobs[3].To
	w.stored[like1] = 0
	delete(w.stored, like2)
	require.ErrorContains(t, w.sweep(t, errors.New("connection reset")), "connection reset")
	m = w.segmentMetrics(t)
	require.Equal(t, values{"segment.state=healthy": 4, "segment.state=unwatched": 1}, m[segments].nonzero())
	require.Equal(t, values{"alert.kind=short alert.severity=page": 2, "alert.kind=empty alert.severity=page": 1}, m[alerts].nonzero())
	require.Equal(t, values{"": float64(complete)}, m[lastComplete])

	require.NoError(t, w.sweep(t, nil))
	m = w.segmentMetrics(t)
	require.Equal(t, values{"segment.state=healthy": 3, "segment.state=affected": 1, "segment.state=missing": 1, "segment.state=submitted": 0, "segment.state=unwatched": 0}, m[segments],
		"the new one is judged by what an earlier sweep saw")
	require.Equal(t, values{"": float64(w.now.Unix())}, m[lastComplete])
	complete = w.now.Unix()

	// All is well again, for three days.
	w.stored[like1], w.stored[like2] = 1000, 1000
	for range 3 {
		w.night(t, "v3", nil)
		require.NoError(t, w.sweep(t, nil))
	}
	m = w.segmentMetrics(t)
	require.InDelta(t, 6, m[runs]["build=v3 job.kind=copy run.outcome=committed verdict=passed"], 0)
	require.Zero(t, m[segments]["segment.state=affected"]+m[segments]["segment.state=missing"])
	require.Empty(t, m[alerts].nonzero(), "an alert that is over counts 0, not what it was")
	require.Contains(t, m[alerts], "alert.kind=short alert.severity=page")
	require.Greater(t, m[lastComplete][""], float64(complete))
}

// TestMetricsWithoutLedger: what could not be read does not count as read.
func TestMetricsWithoutLedger(t *testing.T) {
	w := newWeek(t)
	w.night(t, "v1", map[segment.JobKind]int64{segment.JobKindCopy: 900})
	ledger := &ending{Ledger: w.ledger}
	var err error
	w.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: quiet{}, Now: func() time.Time { return w.now }, MeterProvider: w.meters})
	require.NoError(t, err)
	ledger.reads = 100
	require.NoError(t, w.sweep(t, nil))
	before := w.segmentMetrics(t)
	require.Equal(t, values{"alert.kind=short alert.severity=page": 2}, before[alerts].nonzero())

	needed := 100 - ledger.reads
	require.GreaterOrEqual(t, needed, 3)
	at := w.now
	for reads := range needed { // fail at the first, the second, … and at last none
		w.now, ledger.reads = at, reads // later on, no incident could form, and less is read
		require.ErrorIs(t, w.sweep(t, nil), errEnding)
		after := w.segmentMetrics(t)
		for _, name := range []string{segments, alerts, lastComplete} {
			require.Equal(t, before[name], after[name], "read %d, %s", reads, name)
		}
	}
	ledger.reads = 100
	require.NoError(t, w.sweep(t, nil))
	require.Greater(t, w.segmentMetrics(t)[lastComplete][""], before[lastComplete][""])
}

// TestMetricsOfDamage: an alert that the ledger cannot keep is told, and counts.
func TestMetricsOfDamage(t *testing.T) {
	w := newWeek(t)
	w.night(t, "v1", nil)
	var err error
	w.monitor, err = segment.NewMonitor(segment.MonitorConfig{
		Ledger: damaged{w.ledger, w.jobs[0].To}, Alerter: quiet{}, Now: func() time.Time { return w.now }, MeterProvider: w.meters,
	})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, w.sweep(t, nil))
		m := w.segmentMetrics(t)
		require.Equal(t, values{"alert.kind=unverified alert.severity=ticket": 1}, m[alerts].nonzero())
		require.Equal(t, values{"segment.state=healthy": 3, "segment.state=affected": 1}, m[segments].nonzero())
	}
}

// A damaged ledger can neither read nor keep the alert of one segment.
type damaged struct {
	*segment.Memory

	id segment.ID
}

func (d damaged) damage(s *segment.SegmentState) {
	if s.Segment == d.id {
		s.Alert, s.Damaged = segment.AlertState{}, &segment.Damage{Table: "segments", Columns: []string{"alert"}, Row: d.id.String(), What: "no JSON"}
	}
}

func (d damaged) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) {
		for s, err := range d.Memory.Segments(ctx, f) {
			if d.damage(&s); !yield(s, err) {
				return
			}
		}
	}
}

func (d damaged) Change(ctx context.Context, ids []segment.Key, change func(*segment.SegmentState) error) error {
	return d.Memory.Change(ctx, ids, func(s *segment.SegmentState) error {
		d.damage(s)
		err := change(s)
		if d.damage(s); s.Segment == d.id {
			s.Damaged = nil
		}
		return err
	})
}

var errEnding = errors.New("connection refused")

// An ending ledger lists segments so many times, and then no more.
type ending struct {
	segment.Ledger

	reads int
}

func (e *ending) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	if e.reads--; e.reads < 0 {
		return func(yield func(segment.SegmentState, error) bool) { yield(segment.SegmentState{}, errEnding) }
	}
	return e.Ledger.Segments(ctx, f)
}

// TestMetricsAreDocumented: the table of the package's documentation has each
// metric, and nothing else.
func TestMetricsAreDocumented(t *testing.T) {
	w := newWeek(t)
	w.night(t, "v1", nil)
	require.NoError(t, w.sweep(t, nil))
	seen := map[string][]string{}
	for name, points := range w.segmentMetrics(t) {
		attrs := map[string]bool{}
		for point := range points {
			for attr := range strings.FieldsSeq(point) {
				key, _, _ := strings.Cut(attr, "=")
				attrs[key] = true
			}
		}
		seen[name] = slices.Sorted(maps.Keys(attrs))
	}

	text, err := os.ReadFile("../../../segment/doc.go")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "//	name  ")
	require.True(t, found)
	documented := map[string][]string{}
	for _, row := range regexp.MustCompile(`(?m)^//\t(segmentguard\S+) +(counter|gauge|histogram) +(\S+) *(.*)$`).FindAllStringSubmatch(table, -1) {
		attrs := map[string]bool{}
		for attr := range strings.FieldsSeq(row[4]) {
			attrs[strings.TrimPrefix(attr, "segmentguard.")] = true
		}
		delete(attrs, "error.type") // only what fails has it
		documented[row[1]+" "+row[2]+" "+row[3]] = slices.Sorted(maps.Keys(attrs))
	}
	require.GreaterOrEqual(t, len(documented), 5)
	require.Equal(t, documented, seen)
}

// TestBuildLeftOut: a view of the SDK drops builds, as documented.
func TestBuildLeftOut(t *testing.T) {
	b := &bench{reader: metric.NewManualReader()}
	b.meters = metric.NewMeterProvider(metric.WithReader(b.reader), metric.WithView(metric.NewView(
		metric.Instrument{Name: "segmentguard.runs"}, metric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("segmentguard.build")},
	)))
	b.traces = newBench(t).traces
	for _, build := range []string{"one", "two"} {
		require.NoError(t, commit(t, b, 5300, func(_ *segment.GuardConfig, r *segment.Run) { r.Build = build }))
	}
	require.Equal(t, values{"job.kind=copy run.outcome=committed verdict=passed": 2}, b.segmentMetrics(t)[runs])
}
