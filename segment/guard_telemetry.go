package segment

import (
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

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

// kinds returns the kinds of all findings, each once.
func kinds(r *validate.Report) (found []string) {
	for _, f := range r.Findings {
		if kind := string(f.Kind); !slices.Contains(found, kind) {
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
	case errors.Is(err, ErrSuperseded):
		return "superseded"
	case refused(err):
		return "breaker"
	case errors.Is(err, ErrOvertaken):
		return "overtaken"
	}
	return string(r.Gravest())
}
