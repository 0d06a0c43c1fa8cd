package segment

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// affectedBounds are explicit, as the SDK's default ones end at 10,000.
var affectedBounds = []float64{0, 1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 1e5, 1e6}

func affectedHistogram(meters metric.MeterProvider) (metric.Int64Histogram, error) {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	return meters.Meter(scope, metric.WithInstrumentationVersion(version)).Int64Histogram(
		"segmentguard.segments.affected", metric.WithUnit("{segment}"),
		metric.WithDescription("Segments that a sweep found affected, by job kind and gravest kind of failure."),
		metric.WithExplicitBucketBoundaries(affectedBounds...))
}

// report puts what a sweep found on its span, and into the metric: a sweep that
// found nothing counts 0 once.
func (w *sweeper) report(ctx context.Context, span trace.Span, err error) {
	m, s := w.monitor, &w.sweep
	counts := map[[2]string]int64{}
	for _, f := range w.findings {
		counts[[2]string{string(f.jobKind), string(f.kind)}]++
	}
	if len(counts) == 0 {
		m.affected.Record(ctx, 0, metric.WithAttributes(attribute.String("segmentguard.verdict", sweepVerdict(s, err))))
	}
	for key, n := range counts {
		m.affected.Record(ctx, n, metric.WithAttributes(
			attribute.String("segmentguard.verdict", sweepVerdict(s, err)),
			attribute.String("segmentguard.job.kind", key[0]),
			attribute.String("error.type", key[1]),
		))
	}
	span.SetAttributes(
		attribute.Int("segmentguard.segments", s.Segments),
		attribute.Int("segmentguard.segments.healthy", s.Healthy),
		attribute.Int("segmentguard.segments.unwatched", s.Unwatched),
		attribute.Int("segmentguard.segments.missing", s.Missing),
		attribute.Int("segmentguard.segments.affected", len(s.Affected)),
		attribute.String("segmentguard.verdict", sweepVerdict(s, err)),
	)
	switch {
	case err != nil:
		span.SetAttributes(attribute.String("error.type", "incomplete"))
		span.SetStatus(codes.Error, err.Error())
	case len(s.Findings) > 0:
		span.SetAttributes(attribute.String("error.type", string(s.Findings[0].Kind)))
		span.SetStatus(codes.Error, strconv.Itoa(len(s.Affected))+" segments affected")
	}
}

// sweepVerdict tells what was not looked at apart from what is fine.
func sweepVerdict(s *Sweep, err error) string {
	switch {
	case len(s.Affected) > 0:
		return "failed"
	case err != nil || !s.Complete:
		return "unverified"
	}
	return "passed"
}
