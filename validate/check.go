package validate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// Config says where a Validator reports to. The zero Config uses OpenTelemetry's
// global providers and logs nothing.
type Config struct {
	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	Logger         *slog.Logger         // nil: no logs
}

// A Validator judges outputs and reports each check in spans, metrics and logs. It
// is safe for concurrent use. The zero Validator judges and reports nothing.
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
	return globally().run(ctx, "check output", false, &p, &out)
}

// Admit judges, before anything is written, what is known of an output by then:
// Expected, Read and Written as far as they are measured, and the history. Stored
// must not be measured. It is a gate for stores without staging, never a
// substitute for Check.
func Admit(ctx context.Context, p Policy, out Output) (Report, error) {
	return globally().run(ctx, "admit output", true, &p, &out)
}

// globally returns the validator that reports to the global providers. Handing it
// pointers, and no method to call, saves copying a report and all that it is of.
func globally() *Validator {
	v, err := global()
	if err != nil { // the outcome must not depend on telemetry, so judge without it
		return &Validator{}
	}
	return v
}

// Check does what the package's Check does, with v's telemetry.
func (v *Validator) Check(ctx context.Context, p Policy, out Output) (Report, error) {
	return v.run(ctx, "check output", false, &p, &out)
}

// Admit does what the package's Admit does, with v's telemetry.
func (v *Validator) Admit(ctx context.Context, p Policy, out Output) (Report, error) {
	return v.run(ctx, "admit output", true, &p, &out)
}

func (v *Validator) run(ctx context.Context, name string, admitting bool, p *Policy, out *Output) (report Report, err error) {
	if v == nil {
		return refused(out, badInput("Validator", "nil", "one that New returned, or the zero one"))
	}
	if v.telemetry == nil {
		judged(ctx, admitting, p, out, &report)
	} else {
		ctx, span := v.telemetry.start(ctx, name)
		defer span.End()
		start := time.Now()
		judged(ctx, admitting, p, out, &report)
		v.telemetry.record(ctx, span, &report, time.Since(start))
	}
	if report.Passed() {
		return report, nil
	}
	return report, &Error{Report: report}
}

// start begins a span. While no provider is set and no span is around, nobody
// can see it, and starting it anyway would be most of what a check allocates.
func (t *telemetry) start(ctx context.Context, name string) (context.Context, trace.Span) {
	if t.global && unset != nil && otel.GetTracerProvider() == unset && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, tracenoop.Span{}
	}
	return t.tracer.Start(ctx, name)
}

// record reports a check. Where nobody listens it costs next to nothing.
func (t *telemetry) record(ctx context.Context, span trace.Span, r *Report, took time.Duration) {
	if span.IsRecording() {
		annotate(span, r)
	}
	if t.duration.Enabled(ctx) || t.shortfall.Enabled(ctx) {
		t.measure(ctx, r, took)
	}
	if t.logger != nil {
		t.log(ctx, r)
	}
}

// refused returns what a check comes to that cannot begin.
func refused(out *Output, why *InputError) (Report, error) {
	j := judge{policy: &Policy{}, out: out, report: &Report{Name: out.Name, JobKind: out.JobKind}}
	j.add(Finding{Kind: Unverified, Detail: why.Error(), Cause: why})
	j.finish()
	return *j.report, &Error{Report: *j.report}
}

// judged fills the report, with a second look where that says more.
func judged(ctx context.Context, admitting bool, p *Policy, out *Output, report *Report) {
	j := judge{policy: p, out: out, report: report, admitting: admitting}
	j.output()
	switch {
	case report.Passed() || !j.again && j.ask == nil && j.places == nil:
	case !j.again && j.ask == nil && compareInPlace(ctx, p, out, report, admitting, j.places):
	case j.ask != nil:
		lookAgain(ctx, p, out, report, admitting, *j.ask)
	default:
		lookAgain(ctx, p, out, report, admitting, Difference{})
	}
}

// NoFindings reports whether Check would pass out and find nothing at all, not even
// something to warn of. It makes no report and records nothing, in a third of the
// time: for going over a million outputs to check the few that have findings. It
// takes no second look ([Summary.WithRemeasure]), after which Check may pass more.
func NoFindings(p *Policy, out *Output) bool {
	var r Report
	j := judge{policy: p, out: out, report: &r, brief: true}
	j.output()
	return len(r.Findings) == 0
}

// lookAgain measures again, in more detail, the sides that say how, and judges
// that. It decides what could not be verified before; but what was proven stands if
// the second look does not find it, as then the sides have changed in between. What
// users the digests of a first look leave in doubt, a second one asks for.
func lookAgain(ctx context.Context, p *Policy, out *Output, report *Report, admitting bool, ask Difference) {
	closer := *out
	for range 2 {
		var present []sketch.User
		var err error
		if ask.exact {
			present, err = closer.Stored.those(ctx, &ask)
		} else {
			err = closer.remeasure(ctx)
		}
		if err != nil {
			report.unlooked(err)
			return
		}
		var next Report
		j := judge{policy: p, out: &closer, report: &next, admitting: admitting, present: present}
		j.output()
		if next.Proven() || !report.Proven() {
			*report = next
		}
		if ask.exact || j.ask == nil || report.Passed() {
			return
		}
		ask = *j.ask
	}
}

type inQuestion struct{}

// InQuestion returns the users for whom alone a look is asked that was given to
// [Summary.WithRemeasure]; nil where it is asked for all. Where a store keeps a user
// once, a difference of digests tells that a user came more often than it is stored,
// and not if it is stored: a Digest of those users in the store for whom
// [Difference.Of] returns another number than 0 does. A look that does not ask for
// InQuestion measures all users, which decides nothing more.
func InQuestion(ctx context.Context) *Difference {
	d, _ := ctx.Value(inQuestion{}).(*Difference)
	return d
}

// those asks a side which of the users of a difference it holds. The answer is in the
// order of their keys, and nil if the side was measured as a whole.
func (s *Summary) those(ctx context.Context, ask *Difference) ([]sketch.User, error) {
	found, err := s.remeasure.look(context.WithValue(ctx, inQuestion{}, ask))
	switch {
	case err != nil:
		return nil, err
	case !found.usable() || found.digest == nil || found.digest.hash != s.digest.hash:
		return nil, fmt.Errorf("of the users in question were measured %s, want the Summary of a Digest by %q", found, s.digest.hash)
	}
	d := diff(found.digest, &snapshot{hash: s.digest.hash})
	if !d.exact || len(d.users) > len(ask.users) {
		return nil, nil
	}
	for _, u := range d.users {
		if ask.times(u.Key) == 0 {
			return nil, nil
		}
	}
	for _, u := range ask.users {
		if u.Times+d.times(u.Key) < 0 {
			return nil, errors.New("the store was asked for users of whom it held more before")
		}
	}
	return append([]sketch.User{}, d.users...), nil
}

// remeasure measures the sides again that say how, and of which nobody knows more than
// a number and a fingerprint.
func (out *Output) remeasure(ctx context.Context) error {
	for _, side := range []*Summary{&out.Expected, &out.Read, &out.Written, &out.Stored} {
		if side.remeasure == nil || side.digest != nil {
			continue
		}
		s, err := side.remeasure.look(ctx)
		if err != nil {
			return err
		}
		if !s.usable() || s.lower != side.lower || s.upper != side.upper {
			return fmt.Errorf("%s were measured, and then %s", side, s)
		}
		if !s.identified() {
			return fmt.Errorf("%s were counted again, and not which they are", side)
		}
		s.asOf, s.remeasure = side.asOf, side.remeasure
		*side = s
	}
	return nil
}
