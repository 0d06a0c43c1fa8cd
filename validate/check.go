package validate

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config says where a Validator reports to. The zero Config uses OpenTelemetry's
// global providers and logs nothing.
type Config struct {
	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	Logger         *slog.Logger         // nil: no logs
}

// A Validator judges outputs and tells of it in spans, metrics and logs. It is
// safe for concurrent use. The zero Validator judges and tells nobody.
type Validator struct {
	telemetry *telemetry // nil: nobody can listen, so that a check need not even look at the clock
}

// New returns a Validator, or an error if an instrument cannot be created.
func New(c Config) (*Validator, error) {
	if nobody(c) {
		return &Validator{}, nil
	}
	t, err := newTelemetry(c)
	if err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	return &Validator{telemetry: t}, nil
}

var global = sync.OnceValues(func() (*Validator, error) { return New(Config{}) })

// Check judges out by p. err is nil if and only if the check ran to completion
// and out passed; otherwise it is an *Error. The report is valid either way.
func Check(ctx context.Context, p Policy, out Output) (Report, error) {
	return globally(ctx, p, out, (*Validator).Check)
}

// Admit judges, before anything is written, what is known of an output by then:
// Expected, Read and Written as far as they are measured, and the history. Stored
// must not be measured. It is a gate for stores without staging, never a
// substitute for Check.
func Admit(ctx context.Context, p Policy, out Output) (Report, error) {
	return globally(ctx, p, out, (*Validator).Admit)
}

func globally(ctx context.Context, p Policy, out Output, check func(*Validator, context.Context, Policy, Output) (Report, error)) (Report, error) {
	v, err := global()
	if err != nil { // the outcome must not depend on telemetry, so judge without it
		v = &Validator{}
	}
	return check(v, ctx, p, out)
}

// Check is the package's Check, with v's telemetry.
func (v *Validator) Check(ctx context.Context, p Policy, out Output) (Report, error) {
	return v.run(ctx, "check output", true, &p, &out)
}

// Admit is the package's Admit, with v's telemetry.
func (v *Validator) Admit(ctx context.Context, p Policy, out Output) (Report, error) {
	return v.run(ctx, "admit output", false, &p, &out)
}

func (v *Validator) run(ctx context.Context, name string, stored bool, p *Policy, out *Output) (report Report, err error) {
	if v.telemetry == nil {
		judged(ctx, stored, p, out, &report)
	} else {
		ctx, span := v.telemetry.start(ctx, name)
		defer span.End()
		start := time.Now()
		judged(ctx, stored, p, out, &report)
		v.telemetry.tell(ctx, span, &report, time.Since(start))
	}
	if report.Passed() {
		return report, nil
	}
	return report, &Error{Report: report}
}

// judged fills the report, with a closer look where that tells more.
func judged(ctx context.Context, stored bool, p *Policy, out *Output, report *Report) {
	if !stored {
		judgeInput(p, out, report)
	} else if judgeStored(p, out, report) && !report.Passed() {
		lookCloser(ctx, p, out, report)
	}
}
