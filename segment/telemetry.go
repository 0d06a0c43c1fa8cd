package segment

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
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
