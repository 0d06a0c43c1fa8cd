package segment

import (
	"cmp"
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

// A GuardConfig says what a Guard judges by and where it reports to. The zero
// GuardConfig judges every job by the strictest rule, remembers nothing and logs
// alerts.
type GuardConfig struct {
	// Rules returns the rule for a job, per segment, client or kind. nil: the
	// zero Rule for all. ReadRules reads them from a file. An error leaves the run unverified.
	Rules func(context.Context, Job) (Rule, error)
	// Ledger remembers sizes, attempts and alerts: each fault of a segment is
	// told once, by whichever guard or monitor finds it. nil: nothing is
	// remembered, and sizes are judged by Expected alone.
	Ledger Ledger
	// BestEffortSizes judges without earlier sizes while they cannot be read, and
	// says so with a warning. Otherwise such a run is unverified. Recording is
	// never best effort.
	BestEffortSizes bool
	// Alerter tells people. nil: LogAlerter(Logger).
	Alerter Alerter

	// Timeout bounds each wait for the ledger, for a run of the segment that is
	// about to go live, and for Discard. 0: 30 seconds.
	Timeout time.Duration
	// AlertTimeout bounds the wait for the Alerter in a job's way: what it was not
	// told by then, the next guard or sweep tells it. 0: 2 seconds.
	AlertTimeout time.Duration
	// Breaker is from how many segments on that a build damaged no more of its Live
	// runs are admitted: where there is no staging, people are told when it is too
	// late. They are those with an open alert of the same job kind and build about a
	// proven fault. Begin, Admit and Do then return a *BreakerError, until somebody
	// calls Resume. 0: off.
	Breaker int
	// Now returns the time that sizes are judged and recorded by. nil: time.Now.
	Now func() time.Time

	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	Logger         *slog.Logger         // nil: no logs, but for alerts without an Alerter
}

// A Guard stands between a job's output and its going live. It is safe for
// concurrent use, and guards on many machines may share one ledger.
type Guard struct {
	config    GuardConfig
	validator *validate.Validator
	silent    *validate.Validator // judges readings of a store that lags; only the last one counts
	tracer    trace.Tracer
	waits     metric.Float64Histogram
	runs      metric.Int64Counter
	notifier  *notifier
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
	silent, err := newSilent()
	if err != nil {
		return nil, fmt.Errorf("segment: new guard: %w", err)
	}
	runs, err := runCounter(c.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("segment: new guard: %w", err)
	}
	if c.Timeout < 0 || c.AlertTimeout < 0 {
		return nil, fmt.Errorf("segment: new guard: %w", badInput("GuardConfig.Timeout", min(c.Timeout, c.AlertTimeout), "0 or more"))
	}
	if c.Breaker < 0 {
		return nil, fmt.Errorf("segment: new guard: %w", badInput("GuardConfig.Breaker", c.Breaker, "0 or more"))
	}
	c.Timeout, c.AlertTimeout = cmp.Or(c.Timeout, defaultTimeout), cmp.Or(c.AlertTimeout, defaultAlertTimeout)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Alerter == nil {
		c.Alerter = LogAlerter(c.Logger)
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	waits, err := waitHistogram(c.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("segment: new guard: %w", err)
	}
	return &Guard{
		config:    c,
		validator: validator,
		silent:    silent,
		tracer:    c.TracerProvider.Tracer(scope, trace.WithInstrumentationVersion(version)),
		waits:     waits,
		runs:      runs,
		notifier:  newNotifier(c.Ledger, c.Alerter, c.Timeout, c.AlertTimeout, c.Now),
	}, nil
}

// newSilent returns a validator that reports nowhere.
func newSilent() (*validate.Validator, error) {
	return validate.New(validate.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider()})
}

// Admit judges a run before its first write by what is known then: Expected,
// what was read so far, the earlier sizes. On a store without staging this is what
// keeps a capped read from touching the live segment at all. Admitting a run
// does not replace its Commit. If it returns an error, the run was discarded.
func (g *Guard) Admit(ctx context.Context, run Run) (validate.Report, error) {
	return g.guarded(ctx, "admit segment", &guardedRun{guard: g, run: run, turn: run.turn, admitting: true})
}

// Commit judges a run after its last write and makes it live if it passed: err
// is nil if and only if the output was verified, is live and is recorded. Where
// the rule only observes, the report tells what was not, and err is nil if the
// output is live. Otherwise err is or wraps
//
//   - *validate.Error: judged and failed, or not verifiable; the output was
//     discarded and the live segment kept its users (not if it was Live);
//   - ErrSuperseded: a newer attempt took over, or a run that began later is live;
//     discarded;
//   - ErrOvertaken: another run of the segment went live meanwhile, so that what
//     was read back is no verdict; discarded, and nobody is told; run it again;
//   - *UnknownError: the commit failed, live or not;
//   - *LiveError: live, but not recorded.
//
// Telling people never fails a job: what the Alerter does not hear now, the next
// guard or sweep tells it. If discarding or recording fails after a failed check, the
// error says so and is still a *validate.Error. A callback that panics before the
// commit has the output discarded, and the panic goes on.
func (g *Guard) Commit(ctx context.Context, run Run) (validate.Report, error) {
	return g.guarded(ctx, "commit segment", &guardedRun{guard: g, run: run, turn: run.turn})
}

// guarded takes a run through the guard, in a span, and leaves nothing behind if
// a callback panics or ends the goroutine.
func (g *Guard) guarded(ctx context.Context, name string, r *guardedRun) (_ validate.Report, err error) {
	ctx, span := g.tracer.Start(ctx, name)
	defer span.End()
	r.describe()
	returned := false
	defer func() {
		if !r.admitting {
			defer r.lease.end()
		}
		if !returned {
			err = r.abandoned(ctx)
		}
		if span.IsRecording() {
			annotate(span, r, err)
		}
		if g.runs.Enabled(ctx) && (!r.admitting && !r.submitting || err != nil) { // what was admitted or submitted has yet to end
			r.count(ctx, err)
		}
		if err != nil {
			r.log(ctx, "run failed", err)
		}
		if r.untold != nil {
			r.log(ctx, toldLater, r.untold)
		}
	}()
	err = r.decide(ctx)
	returned = true
	return r.report, err
}

// describe fills in what the report holds of the run before it is judged.
func (r *guardedRun) describe() {
	r.report = validate.Report{JobKind: string(r.run.Job.Kind), Expected: r.run.Expected, Read: r.run.Read, Written: r.run.Written}
	if r.run.Job.To != (ID{}) {
		r.report.Name = r.run.Job.To.String()
	}
}

func (g *Guard) now() time.Time { return g.config.Now().UTC() }
