package segment

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

// annotate puts what became of a run on its span. Names of segments go here and
// never into metrics.
func annotate(span trace.Span, a *attempt, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("segmentguard.segment", a.run.Job.To.String()),
		attribute.String("segmentguard.site_group", a.run.Job.To.SiteGroup),
		attribute.String("segmentguard.job.kind", string(a.run.Job.Kind)),
		attribute.String("segmentguard.job.id", a.run.Job.ID),
		attribute.String("segmentguard.run.id", a.run.ID),
		attribute.Int("segmentguard.run.attempt", a.run.Attempt),
		attribute.String("segmentguard.verdict", verdict(&a.report)),
	)
	if a.run.Build != "" {
		span.SetAttributes(attribute.String("segmentguard.build", a.run.Build))
	}
	if counts(a.report.Expected) {
		span.SetAttributes(attribute.Int64("segmentguard.users.expected", a.report.Expected.Users()))
	}
	if counts(a.report.Stored) {
		span.SetAttributes(attribute.Int64("segmentguard.users.stored", a.report.Stored.Users()))
	}
	if found := kinds(&a.report); len(found) > 0 {
		span.SetAttributes(attribute.StringSlice("segmentguard.findings", found))
	}
	if err == nil {
		return
	}
	span.SetAttributes(attribute.String("error.type", errorType(&a.report, err)))
	span.SetStatus(codes.Error, err.Error())
}

// verdict tells what is proven wrong apart from what could not be checked.
func verdict(r *validate.Report) string {
	switch kind := gravest(r); {
	case r.Passed():
		return "passed"
	case kind == validate.Unverified:
		return "unverified"
	}
	return "failed"
}

// kinds are the kinds of all findings, each once.
func kinds(r *validate.Report) (found []string) {
	for _, f := range r.Findings {
		if kind := string(f.Kind); !slices.Contains(found, kind) {
			found = append(found, kind)
		}
	}
	return found
}

// gravest is the kind of the gravest finding: one that fails, if there is any.
func gravest(r *validate.Report) validate.Kind {
	for _, f := range r.Findings {
		if f.Severity != validate.Warn {
			return f.Kind
		}
	}
	if len(r.Findings) > 0 {
		return r.Findings[0].Kind
	}
	return validate.Unverified
}

func errorType(r *validate.Report, err error) string {
	var live *LiveError
	var unknown *UnknownError
	switch {
	case errors.As(err, &unknown):
		return "unknown"
	case errors.As(err, &live):
		return "live"
	case errors.Is(err, ErrSuperseded):
		return "superseded"
	}
	return string(gravest(r))
}

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

// tell puts what a sweep found on its span, and into the metric: a sweep that
// found nothing counts 0 once.
func (m *Monitor) tell(ctx context.Context, span trace.Span, s *Sweep, err error) {
	counts := map[[2]string]int64{}
	for _, c := range s.Findings {
		counts[[2]string{string(c.Last.JobKind), string(c.Kind)}]++
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
		attribute.Int("segmentguard.segments.affected", len(s.Findings)),
		attribute.String("segmentguard.verdict", sweepVerdict(s, err)),
	)
	switch {
	case err != nil:
		span.SetAttributes(attribute.String("error.type", "incomplete"))
		span.SetStatus(codes.Error, err.Error())
	case len(s.Findings) > 0:
		span.SetAttributes(attribute.String("error.type", string(s.Findings[0].Kind)))
		span.SetStatus(codes.Error, strconv.Itoa(len(s.Findings))+" segments affected")
	}
}

// sweepVerdict tells what was not looked at apart from what is fine.
func sweepVerdict(s *Sweep, err error) string {
	switch {
	case len(s.Findings) > 0:
		return "failed"
	case err != nil || !s.Complete:
		return "unverified"
	}
	return "passed"
}
