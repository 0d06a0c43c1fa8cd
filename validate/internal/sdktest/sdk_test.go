package sdktest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var count = validate.Count

// A bench records the spans and metrics of a test.
type bench struct {
	spans  *tracetest.SpanRecorder
	traces *trace.TracerProvider
	reader *metric.ManualReader
	meters *metric.MeterProvider
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	b.traces = trace.NewTracerProvider(trace.WithSpanProcessor(b.spans))
	b.meters = metric.NewMeterProvider(metric.WithReader(b.reader))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, b.traces.Shutdown(ctx))
		require.NoError(t, b.meters.Shutdown(ctx))
	})
	return b
}

func (b *bench) validator(t *testing.T) *validate.Validator {
	t.Helper()
	v, err := validate.New(validate.Config{TracerProvider: b.traces, MeterProvider: b.meters})
	require.NoError(t, err)
	return v
}

// metrics are all histograms by name: their bounds and data points.
func (b *bench) metrics(t *testing.T) map[string]any {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &data))
	found := map[string]any{}
	for _, scope := range data.ScopeMetrics {
		require.Contains(t, []string{"github.com/segmentguard/segmentguard/validate", "github.com/segmentguard/segmentguard/segment"}, scope.Scope.Name)
		require.NotEmpty(t, scope.Scope.Version)
		for _, m := range scope.Metrics {
			found[m.Name+" "+m.Unit] = m.Data
		}
	}
	return found
}

func attributes(span trace.ReadOnlySpan) map[string]any {
	found := map[string]any{}
	for _, kv := range span.Attributes() {
		found[string(kv.Key)] = kv.Value.AsInterface()
	}
	return found
}

func TestCheckSpans(t *testing.T) {
	b := newBench(t)
	v := b.validator(t)
	_, err := v.Check(t.Context(), validate.Policy{}, validate.Output{Name: "site-b/cars", JobKind: "copy", Expected: count(5), Stored: count(5)})
	require.NoError(t, err)
	_, err = v.Check(t.Context(), validate.Policy{}, validate.Output{Name: "site-b/cars", JobKind: "copy", Expected: count(812345), Read: count(10000), Stored: count(10000)})
	require.Error(t, err)
	_, unverified := v.Admit(t.Context(), validate.Policy{}, validate.Output{})
	require.Error(t, unverified)

	spans := b.spans.Ended()
	require.Len(t, spans, 3)
	for _, span := range spans {
		scope := span.InstrumentationScope()
		require.Equal(t, instrumentation.Scope{Name: "github.com/segmentguard/segmentguard/validate", Version: scope.Version}, scope)
		require.NotEmpty(t, scope.Version)
		require.Empty(t, span.Events(), "RecordError is not used")
	}
	require.Equal(t, "check output", spans[0].Name())
	require.Equal(t, codes.Unset, spans[0].Status().Code)
	require.Equal(t, map[string]any{
		"segmentguard.output": "site-b/cars", "segmentguard.job.kind": "copy", "segmentguard.verdict": "passed",
		"segmentguard.users.expected": int64(5), "segmentguard.users.stored": int64(5),
	}, attributes(spans[0]))
	require.Equal(t, trace.Status{Code: codes.Error, Description: err.Error()}, spans[1].Status())
	require.Equal(t, map[string]any{
		"segmentguard.output": "site-b/cars", "segmentguard.job.kind": "copy", "segmentguard.verdict": "failed",
		"segmentguard.users.expected": int64(812345), "segmentguard.users.stored": int64(10000),
		"segmentguard.findings": []string{"capped", "short"}, "error.type": "capped",
	}, attributes(spans[1]))
	require.Equal(t, "admit output", spans[2].Name())
	require.Equal(t, map[string]any{
		"segmentguard.output": "", "segmentguard.verdict": "unverified",
		"segmentguard.findings": []string{"unverified"}, "error.type": "unverified",
	}, attributes(spans[2]))
}

func TestCheckMetrics(t *testing.T) {
	b := newBench(t)
	v := b.validator(t)
	for i := range 3000 { // more outputs than the SDK keeps attribute sets for
		_, err := v.Check(t.Context(), validate.Policy{}, validate.Output{Name: string(rune(i)), JobKind: "copy", Expected: count(50000), Stored: count(20001)})
		require.Error(t, err)
	}
	_, err := v.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5)})
	require.NoError(t, err)

	metrics := b.metrics(t)
	require.Len(t, metrics, 2)
	duration, ok := metrics["segmentguard.check.duration s"].(metricdata.Histogram[float64])
	require.True(t, ok)
	require.Len(t, duration.DataPoints, 2, "names of outputs are no attributes")
	shortfall, ok := metrics["segmentguard.check.shortfall {user}"].(metricdata.Histogram[int64])
	require.True(t, ok)
	points := map[attribute.Distinct]metricdata.HistogramDataPoint[int64]{}
	for _, p := range shortfall.DataPoints {
		points[p.Attributes.Equivalent()] = p
		require.Greater(t, p.Bounds[len(p.Bounds)-1], 1e6, "the SDK's default bounds end at 10,000")
	}
	failed := attribute.NewSet(attribute.String("segmentguard.verdict", "failed"), attribute.String("segmentguard.job.kind", "copy"), attribute.String("error.type", "short"))
	passed := attribute.NewSet(attribute.String("segmentguard.verdict", "passed"))
	require.Equal(t, int64(3000*29999), points[failed.Equivalent()].Sum)
	require.Equal(t, uint64(3000), points[failed.Equivalent()].Count)
	require.Equal(t, uint64(1), points[passed.Equivalent()].Count)
}

// commit guards a run that stored so many of 5,300 users.
func commit(t *testing.T, b *bench, stored int64, edit func(*segment.GuardConfig, *segment.Run)) error {
	t.Helper()
	config := segment.GuardConfig{TracerProvider: b.traces, MeterProvider: b.meters, Alerter: quiet{}, Ledger: segment.NewMemory()}
	run := segment.Run{
		ID: "monday", Attempt: 2, Build: "v1", Job: segment.Copy(segment.ID{SiteGroup: "site-b", Name: "cars"}, segment.ID{SiteGroup: "site-a", Name: "cars"}),
		Expected: count(5300),
		Stored:   func(context.Context) (validate.Summary, error) { return count(stored), nil },
		Staging:  segment.Staging{Commit: func(context.Context) error { return nil }},
	}
	edit(&config, &run)
	guard, err := segment.NewGuard(config)
	require.NoError(t, err)
	_, err = guard.Commit(t.Context(), run)
	return err
}

type quiet struct{}

func (quiet) Tell(context.Context, []segment.Alert, []segment.Alert) error { return nil }

func TestGuardSpans(t *testing.T) {
	down := errors.New("connection refused")
	for _, c := range []struct {
		name      string
		stored    int64
		edit      func(*segment.GuardConfig, *segment.Run)
		verdict   string
		errorType any // nil: passes
		checks    int
		users     []int64  // expected and stored, as far as they were measured
		findings  []string // kinds
	}{
		{"passed", 5300, func(*segment.GuardConfig, *segment.Run) {}, "passed", nil, 1, []int64{5300, 5300}, nil},
		{"short", 5200, func(*segment.GuardConfig, *segment.Run) {}, "failed", "short", 1, []int64{5300, 5200}, []string{"short"}},
		{"not read back", 0, func(_ *segment.GuardConfig, r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { return validate.Summary{}, down }
		}, "unverified", "unverified", 1, []int64{5300}, []string{"unverified"}},
		{"no rule", 5300, func(c *segment.GuardConfig, _ *segment.Run) {
			c.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{}, down }
		}, "unverified", "unverified", 0, []int64{5300}, []string{"unverified"}},
		{"commit failed", 5300, func(_ *segment.GuardConfig, r *segment.Run) {
			r.Staging.Commit = func(context.Context) error { return down }
		}, "passed", "unknown", 1, []int64{5300, 5300}, nil},
		{"superseded", 5300, func(c *segment.GuardConfig, r *segment.Run) {
			require.NoError(t, c.Ledger.Record(t.Context(), segment.Record{Segment: r.Job.To, RunID: r.ID, Attempt: 3, State: segment.RunPassed}))
		}, "passed", "superseded", 1, []int64{5300, 5300}, nil},
		{"lagging", 5300, func(c *segment.GuardConfig, r *segment.Run) {
			c.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
				return segment.Rule{Lag: segment.Lag{Max: time.Minute, Every: time.Nanosecond}}, nil
			}
			r.WrittenAt = time.Now()
			r.Stored = func(context.Context) (validate.Summary, error) { return count(5300).AsOf(time.Now()), nil }
		}, "passed", nil, 1, []int64{5300, 5300}, nil},
		{"ledger out of reach", 5300, func(c *segment.GuardConfig, _ *segment.Run) { c.Ledger = outOfReach{segment.NewMemory()} }, "unverified", "unverified", 1, []int64{5300, 5300}, []string{"unverified"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			err := commit(t, b, c.stored, c.edit)
			spans := slices.DeleteFunc(b.spans.Ended(), func(s trace.ReadOnlySpan) bool { return s.Name() == "wait for segment" })
			require.Len(t, spans, c.checks+1, "readings of a store that lags are no checks of their own")
			outer := spans[len(spans)-1]
			require.Equal(t, "commit segment", outer.Name())
			require.Equal(t, "github.com/segmentguard/segmentguard/segment", outer.InstrumentationScope().Name)
			for _, inner := range spans[:c.checks] {
				require.Equal(t, outer.SpanContext().SpanID(), inner.Parent().SpanID())
			}
			want := map[string]any{
				"segmentguard.segment": "site-b/cars", "segmentguard.site_group": "site-b", "segmentguard.job.kind": "copy",
				"segmentguard.job.id": "copy site-a/cars to site-b/cars", "segmentguard.run.id": "monday", "segmentguard.run.attempt": int64(2),
				"segmentguard.build": "v1", "segmentguard.verdict": c.verdict,
			}
			for i, side := range []string{"expected", "stored"}[:len(c.users)] {
				want["segmentguard.users."+side] = c.users[i]
			}
			if c.findings != nil {
				want["segmentguard.findings"] = c.findings
			}
			if c.errorType == nil {
				require.NoError(t, err)
				require.Equal(t, codes.Unset, outer.Status().Code)
			} else {
				want["error.type"] = c.errorType
				require.Equal(t, trace.Status{Code: codes.Error, Description: err.Error()}, outer.Status())
			}
			require.Equal(t, want, attributes(outer))
		})
	}
}

type outOfReach struct{ *segment.Memory }

func (outOfReach) State(context.Context, segment.Key) (segment.SegmentState, error) {
	return segment.SegmentState{}, errors.New("connection refused")
}

// A callback that panics leaves a span that says so.
func TestGuardSpansOfPanics(t *testing.T) {
	for name, c := range map[string]struct {
		edit      func(*segment.GuardConfig, *segment.Run)
		errorType string
	}{
		"before the commit": {func(_ *segment.GuardConfig, r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { panic("boom") }
		}, "unverified"},
		"in the commit": {func(_ *segment.GuardConfig, r *segment.Run) {
			r.Staging.Commit = func(context.Context) error { panic("boom") }
		}, "unknown"},
		"after the commit": {func(c *segment.GuardConfig, _ *segment.Run) { c.Ledger, c.Alerter = nil, panicking{} }, "live"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			require.PanicsWithValue(t, "boom", func() { _ = commit(t, b, 5300, c.edit) })
			spans := b.spans.Ended()
			outer := spans[len(spans)-1]
			require.Equal(t, "commit segment", outer.Name())
			require.Equal(t, codes.Error, outer.Status().Code)
			require.Equal(t, c.errorType, attributes(outer)["error.type"])
			require.Equal(t, "site-b/cars", attributes(outer)["segmentguard.segment"])
		})
	}
}

type panicking struct{}

func (panicking) Tell(context.Context, []segment.Alert, []segment.Alert) error { panic("boom") }

// TestNewRefuses: an instrument that cannot be created is an error, not silence.
func TestNewRefuses(t *testing.T) {
	meters := newBench(t).meters
	for _, name := range []string{"segmentguard.check.duration", "segmentguard.check.shortfall"} {
		_, err := validate.New(validate.Config{MeterProvider: refusing{meters, name}})
		require.ErrorIs(t, err, errRefused, name)
		_, err = segment.NewGuard(segment.GuardConfig{MeterProvider: refusing{meters, name}})
		require.ErrorIs(t, err, errRefused, name)
	}
	_, err := segment.NewGuard(segment.GuardConfig{MeterProvider: refusing{meters, "segmentguard.runs"}})
	require.ErrorIs(t, err, errRefused)
	for _, name := range []string{
		"segmentguard.segment.count", "segmentguard.alert.count", "segmentguard.sweep.duration", "segmentguard.sweep.last_complete_timestamp",
	} {
		_, err := segment.NewMonitor(segment.MonitorConfig{Ledger: segment.NewMemory(), MeterProvider: refusing{meters, name}})
		require.ErrorIs(t, err, errRefused, name)
	}
}
