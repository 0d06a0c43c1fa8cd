package validate

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

const (
	scope   = "github.com/segmentguard/segmentguard/validate"
	version = "0.1.0"
)

// telemetry is made once for a Validator: tracers and instruments are not free.
type telemetry struct {
	tracer    trace.Tracer
	global    bool // the tracer is the global provider's
	duration  metric.Float64Histogram
	shortfall metric.Int64Histogram
	logger    *slog.Logger
}

// Explicit boundaries: the SDK's default ones end at 10,000, where the
// interesting shortfalls begin, and begin at 5, where checks have long ended.
var (
	durationBounds  = []float64{1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1}
	shortfallBounds = []float64{0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}
)

func newTelemetry(c Config) (*telemetry, error) {
	tracers, meters := c.TracerProvider, c.MeterProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	meter := meters.Meter(scope, metric.WithInstrumentationVersion(version))
	duration, errDuration := meter.Float64Histogram("segmentguard.check.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to judge an output, its measurements not included."),
		metric.WithExplicitBucketBoundaries(durationBounds...))
	shortfall, errShortfall := meter.Int64Histogram("segmentguard.check.shortfall", metric.WithUnit("{user}"),
		metric.WithDescription("Users expected and not stored."),
		metric.WithExplicitBucketBoundaries(shortfallBounds...))
	return &telemetry{
		global:    c.TracerProvider == nil,
		tracer:    tracers.Tracer(scope, trace.WithInstrumentationVersion(version)),
		duration:  duration,
		shortfall: shortfall,
		logger:    c.Logger,
	}, errors.Join(errDuration, errShortfall)
}

// nobody reports whether all that a Validator records goes nowhere.
func nobody(c Config) bool {
	_, noTracer := c.TracerProvider.(tracenoop.TracerProvider)
	_, noMeter := c.MeterProvider.(noop.MeterProvider)
	return noTracer && noMeter && c.Logger == nil
}

// unset is OpenTelemetry's global provider as long as nobody has set one, nil if
// somebody set one before this package was initialised.
var unset = silent(otel.GetTracerProvider())

// silent returns tp if its spans reach nobody, and nil if they do. The span that it
// starts to find out is never ended, so that no exporter sees it.
func silent(tp trace.TracerProvider) trace.TracerProvider {
	if !reflect.TypeOf(tp).Comparable() {
		return nil
	}
	_, span := tp.Tracer(scope).Start(context.Background(), "probe")
	if span.IsRecording() || span.SpanContext().IsValid() {
		return nil
	}
	return tp
}

func annotate(span trace.Span, r *Report) {
	attrs := []attribute.KeyValue{
		attribute.String("segmentguard.output", r.Name),
		attribute.String("segmentguard.verdict", string(r.Verdict())),
	}
	if r.JobKind != "" {
		attrs = append(attrs, attribute.String("segmentguard.job.kind", r.JobKind))
	}
	if r.Expected.usable() {
		attrs = append(attrs, attribute.Int64("segmentguard.users.expected", r.Expected.lower))
	}
	if r.Stored.usable() {
		attrs = append(attrs, attribute.Int64("segmentguard.users.stored", r.Stored.lower))
	}
	if kinds := r.kinds(); len(kinds) > 0 {
		attrs = append(attrs, attribute.StringSlice("segmentguard.findings", kinds))
	}
	if !r.Passed() {
		attrs = append(attrs, attribute.String("error.type", string(r.Gravest())))
		span.SetStatus(codes.Error, r.oneLine())
	}
	span.SetAttributes(attrs...)
}

// measure leaves segment names out: the SDK folds everything past 2,000
// attribute sets into one.
func (t *telemetry) measure(ctx context.Context, r *Report, took time.Duration) {
	attrs := []attribute.KeyValue{attribute.String("segmentguard.verdict", string(r.Verdict()))}
	if r.JobKind != "" {
		attrs = append(attrs, attribute.String("segmentguard.job.kind", r.JobKind))
	}
	if !r.Passed() {
		attrs = append(attrs, attribute.String("error.type", string(r.Gravest())))
	}
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	t.duration.Record(ctx, took.Seconds(), set)
	if r.Expected.usable() && r.Stored.usable() {
		t.shortfall.Record(ctx, max(0, r.Expected.lower-r.Stored.upper), set)
	}
}

func (t *telemetry) log(ctx context.Context, r *Report) {
	level := slog.LevelInfo
	switch {
	case !r.Passed():
		level = slog.LevelError
	case len(r.Findings) > 0:
		level = slog.LevelWarn
	}
	t.logger.LogAttrs(ctx, level, "output checked", slog.Any("report", *r))
}
