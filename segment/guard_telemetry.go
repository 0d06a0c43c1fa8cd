package segment

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

// waitBounds reach from a lock that is free to the longest wait.
var waitBounds = []float64{0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30}

func waitHistogram(meters metric.MeterProvider) (metric.Float64Histogram, error) {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	return meters.Meter(scope, metric.WithInstrumentationVersion(version)).Float64Histogram(
		"segmentguard.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("How long runs waited for their segment's turn, by job kind and how the segment is held."),
		metric.WithExplicitBucketBoundaries(waitBounds...))
}

// storeAttribute returns the attribute of a store, where one is named.
func storeAttribute(store string) []attribute.KeyValue {
	if store == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("segmentguard.store", store)}
}

func waitError(err error) string {
	switch {
	case errors.Is(err, ErrSuperseded):
		return "superseded"
	case errors.Is(err, ErrOvertaken):
		return "overtaken"
	}
	return "unverified"
}

// annotate puts what became of a run on its span. Names of segments go here and
// never into metrics.
func annotate(span trace.Span, r *guardedRun, err error) {
	span.SetAttributes(
		attribute.String("segmentguard.segment", r.run.Job.To.String()),
		attribute.String("segmentguard.site_group", r.run.Job.To.SiteGroup),
		attribute.String("segmentguard.job.kind", string(r.run.Job.Kind)),
		attribute.String("segmentguard.job.id", r.run.Job.ID),
		attribute.String("segmentguard.run.id", r.run.ID),
		attribute.Int("segmentguard.run.attempt", r.run.Attempt),
		attribute.String("segmentguard.verdict", string(r.report.Verdict())),
	)
	span.SetAttributes(storeAttribute(r.store)...)
	if r.run.Build != "" {
		span.SetAttributes(attribute.String("segmentguard.build", r.run.Build))
	}
	if counts(r.report.Expected) {
		span.SetAttributes(attribute.Int64("segmentguard.users.expected", r.report.Expected.Users()))
	}
	if counts(r.report.Stored) {
		span.SetAttributes(attribute.Int64("segmentguard.users.stored", r.report.Stored.Users()))
	}
	if found := kinds(&r.report); len(found) > 0 {
		span.SetAttributes(attribute.StringSlice("segmentguard.findings", found))
	}
	if err == nil {
		return
	}
	span.SetAttributes(attribute.String("error.type", errorType(&r.report, err)))
	span.SetStatus(codes.Error, err.Error())
}

func runCounter(meters metric.MeterProvider) (metric.Int64Counter, error) {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	return meters.Meter(scope, metric.WithInstrumentationVersion(version)).Int64Counter(
		"segmentguard.runs", metric.WithUnit("{run}"),
		metric.WithDescription("Attempts that ended, by what became of them."))
}

// count adds the attempt to those with its outcome. A job's kinds and the builds
// of a process are few, and segments are not.
func (r *guardedRun) count(ctx context.Context, err error) {
	verdict := r.report.Verdict()
	if yields(err) { // what it read back may be another run's
		verdict = validate.VerdictUnverified
	}
	attrs := append(storeAttribute(r.store),
		attribute.String("segmentguard.run.outcome", r.outcome(err)),
		attribute.String("segmentguard.verdict", string(verdict)),
	)
	if r.run.Job.Kind != "" {
		attrs = append(attrs, attribute.String("segmentguard.job.kind", string(r.run.Job.Kind)))
	}
	if r.run.Build != "" {
		attrs = append(attrs, attribute.String("segmentguard.build", r.run.Build))
	}
	r.guard.runs.Add(ctx, 1, metric.WithAttributes(attrs...))
}

// outcome returns what became of the run, in the words of RunState and errorType.
func (r *guardedRun) outcome(err error) string {
	switch kind := errorType(&r.report, err); {
	case errors.Is(err, errWriting): // whatever it did to other segments
		return string(RunFailed)
	case err == nil && r.rule.Mode == Observe:
		return string(RunObserved)
	case err == nil:
		return string(RunCommitted)
	case kind == "unknown" || kind == "live" || yields(err):
		return kind
	case errors.Is(err, errEnded):
		return string(RunFailed)
	}
	return string(RunRejected)
}

// kinds returns the kinds of all findings that are news, each once.
func kinds(r *validate.Report) (found []string) {
	for _, f := range r.Findings {
		if kind := string(f.Kind); !errors.Is(f.Cause, errNumberless) && !slices.Contains(found, kind) {
			found = append(found, kind)
		}
	}
	return found
}

func errorType(r *validate.Report, err error) string {
	var live *LiveError
	var unknown *UnknownError
	switch {
	case errors.As(err, &unknown):
		return "unknown"
	case errors.As(err, &live):
		return "live"
	case refused(err):
		return "breaker"
	case errors.Is(err, ErrSuperseded), errors.Is(err, ErrOvertaken):
		return waitError(err)
	}
	return string(r.Gravest())
}
