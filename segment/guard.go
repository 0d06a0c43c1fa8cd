package segment

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/segmentguard/segmentguard/validate"
)

// A Config says what a Guard judges by and where it reports to. The zero Config
// judges every job by the strictest rule, remembers nothing and logs alerts.
type GuardConfig struct {
	// Rules finds what holds for a job, per segment, client or kind. nil: the
	// zero Rule for all. An error leaves the run unverified.
	Rules func(context.Context, Job) (Rule, error)
	// History remembers sizes and attempts. nil: none, and sizes are judged by
	// Expected alone. A Ledger also remembers alerts: each fault of a segment is
	// then told once, by whichever guard or monitor finds it.
	History History
	// BestEffortHistory judges without a history while its sizes cannot be read,
	// and says so with a warning. Otherwise such a run is unverified. Recording
	// is never best effort.
	BestEffortHistory bool
	// Alerter tells people. nil: LogAlerter(Logger).
	Alerter Alerter

	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	Logger         *slog.Logger         // nil: no logs, but for alerts without an Alerter
}

// A Guard stands between a job's output and its going live. It is safe for
// concurrent use, and guards on many machines may share one history.
type Guard struct {
	config    GuardConfig
	validator *validate.Validator
	quiet     *validate.Validator // judges readings of a store that settles; only the last one counts
	tracer    trace.Tracer
	alerts    notifier
}

const (
	scope   = "github.com/segmentguard/segmentguard/segment"
	version = "0.1.0"
)

// NewGuard returns a Guard, or an error if an instrument cannot be created.
func NewGuard(c GuardConfig) (*Guard, error) {
	validator, err := validate.New(validate.Config{TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger})
	if err != nil {
		return nil, fmt.Errorf("segment: new guard: %w", err)
	}
	quiet, err := silent()
	if err != nil {
		return nil, fmt.Errorf("segment: new guard: %w", err)
	}
	if c.Alerter == nil {
		c.Alerter = LogAlerter(c.Logger)
	}
	tracers := c.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	ledger, _ := c.History.(Ledger)
	return &Guard{
		config:    c,
		validator: validator,
		quiet:     quiet,
		tracer:    tracers.Tracer(scope, trace.WithInstrumentationVersion(version)),
		alerts:    notifier{ledger, c.Alerter},
	}, nil
}

// silent is a validator that tells nobody.
func silent() (*validate.Validator, error) {
	return validate.New(validate.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider()})
}

// Admit judges a run before its first write by what is known then: Expected,
// what was read so far, the history. On a store without staging this is what
// keeps a capped read from touching the live segment at all. Admitting a run
// does not replace its Commit. If it returns an error, the run was discarded.
func (g *Guard) Admit(ctx context.Context, run Run) (validate.Report, error) {
	return g.guarded(ctx, "admit segment", run, (*attempt).admit)
}

// Commit judges a run after its last write and makes it live if it passed: err
// is nil if and only if the output was verified, is live and is recorded. Where
// the rule only observes, the report tells what was not, and err is nil if the
// output is live. Otherwise err is or wraps
//
//   - *validate.Error: judged and failed, or not verifiable; the output was
//     discarded and the live segment kept its users (not if it was Live);
//   - ErrSuperseded: a newer attempt took over; discarded;
//   - *UnknownError: the commit failed, live or not;
//   - *LiveError: live, but not recorded, or its alert not resolved.
//
// If discarding, recording or alerting fails after a failed check, the error
// says so and is still a *validate.Error. A callback that panics before the
// commit has the output discarded, and the panic goes on.
func (g *Guard) Commit(ctx context.Context, run Run) (validate.Report, error) {
	return g.guarded(ctx, "commit segment", run, (*attempt).commit)
}

// guarded runs one of the two, in a span, and leaves nothing behind if a
// callback panics or ends the goroutine.
func (g *Guard) guarded(ctx context.Context, name string, run Run, do func(*attempt, context.Context) error) (validate.Report, error) {
	ctx, span := g.tracer.Start(ctx, name)
	defer span.End()
	a := &attempt{guard: g, run: run, report: unjudged(&run)}
	defer a.abandon(ctx, span)
	err := do(a, ctx)
	a.settled = true
	a.outcome(ctx, span, err)
	return a.report, err
}

// unjudged is the report as long as nothing is found out.
func unjudged(run *Run) validate.Report {
	r := validate.Report{JobKind: string(run.Job.Kind), Expected: run.Expected, Read: run.Read, Written: run.Written}
	if !run.Job.To.IsZero() {
		r.Name = run.Job.To.String()
	}
	return r
}

// now is the time of a size. It is after the last one, though the clock of the
// machine that committed that may be ahead of ours: a size of the same time would
// not be judged by it. A ledger keeps microseconds.
func now(sizes []validate.Size) time.Time {
	t := time.Now().UTC()
	if n := len(sizes); n > 0 && sizes[n-1].At.After(t) {
		return sizes[n-1].At.Add(time.Microsecond)
	}
	return t
}
