package segment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

// reject drops the output, records that, and tells people. The verdict comes
// first, whatever fails after it.
func (a *attempt) reject(ctx context.Context) error {
	verdict := error(&validate.Error{Report: a.report})
	if a.unprotected() {
		verdict = fmt.Errorf("%w (live already: the segment is not protected)", verdict)
	}
	a.leftover = a.discard(ctx)
	err := join(verdict, a.leftover, a.recordAfter(ctx, RunRejected))
	if a.stopped(ctx) && !a.unprotected() {
		return err
	}
	return join(err, a.fire(ctx, a.text()))
}

// unknown is the way out after a commit that failed: the output may be live, so
// nothing is discarded.
func (a *attempt) unknown(ctx context.Context, failure error) error {
	err := &UnknownError{Segment: a.run.Job.To, RunID: a.run.ID, Err: failure}
	return join(err, a.recordAfter(ctx, RunUnknown), a.fire(ctx, err.Error()))
}

// abandon tidies up after a callback that panicked or ended its goroutine, and
// lets that go on.
func (a *attempt) abandon(ctx context.Context, span trace.Span) {
	if a.settled {
		return
	}
	a.outcome(ctx, span, a.abandoned(ctx))
}

// outcome goes to the span and the log: what was checked went there before, and
// does not tell what became of it.
func (a *attempt) outcome(ctx context.Context, span trace.Span, err error) {
	annotate(span, a, err)
	a.log(ctx, "run failed", err)
}

var errEnded = errors.New("a callback panicked or ended its goroutine")

func (a *attempt) abandoned(ctx context.Context) error {
	switch {
	case a.live:
		return &LiveError{Segment: a.run.Job.To, RunID: a.run.ID, Err: errEnded}
	case a.committing:
		return a.unknown(ctx, errEnded)
	}
	return join(errEnded, a.discard(ctx))
}

// unprotected reports that the output is live, whatever is judged.
func (a *attempt) unprotected() bool { return a.run.Live && !a.admitting }

// stopped reports that nothing was found but that the job was told to stop,
// which is no news about a segment that keeps its users.
func (a *attempt) stopped(ctx context.Context) bool {
	return ctx.Err() != nil && !proven(&a.report)
}

// proven reports whether anything was found beyond not being able to check.
func proven(r *validate.Report) bool {
	return slices.ContainsFunc(r.Findings, func(f validate.Finding) bool {
		return f.Severity != validate.Warn && f.Kind != validate.Unverified
	})
}

// text is what an alert says of the report.
func (a *attempt) text() string {
	text := (&validate.Error{Report: a.report}).Error()
	switch {
	case a.report.Passed():
		return a.report.Name + ": live, with a warning: " + warnings(&a.report)
	case a.live || a.unprotected():
		return text + " (live: the segment is not protected)"
	case a.leftover != nil:
		return text + " (not live: the segment keeps its users; the output is left over: " + a.leftover.Error() + ")"
	case a.admitting:
		return text + " (before the first write: the live segment keeps its users)"
	}
	return text + " (discarded: the live segment keeps its users)"
}

func warnings(r *validate.Report) string {
	texts := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		texts[i] = string(f.Kind) + ": " + f.Detail
	}
	return strings.Join(texts, "; ")
}

func (a *attempt) fire(ctx context.Context, text string) error {
	if a.run.nameless() {
		return nil
	}
	return wrap("alerting", a.guard.alerts.fire(ctx, Alert{
		Segment:   a.run.Job.To,
		Urgency:   urgencyOf(&a.report),
		Kind:      gravest(&a.report),
		Text:      next(text, a.rule.Runbook),
		Protected: !a.unprotected() && !a.committing,
		Job:       a.run.Job,
		RunID:     a.run.ID,
		Attempt:   a.run.Attempt,
		Build:     a.run.Build,
		Rule:      a.rule.Name,
		Runbook:   a.rule.Runbook,
		Since:     a.at,
		At:        a.at,
		Report:    a.report,
	}))
}

func (a *attempt) record(state RunState) Record {
	return Record{
		Segment: a.run.Job.To,
		RunID:   a.run.ID,
		Attempt: a.run.Attempt,
		State:   state,
		JobID:   a.run.Job.ID,
		JobKind: a.run.Job.Kind,
		Build:   a.run.Build,
		Users:   a.report.Stored.Users(),
		Read:    a.report.Read.Users(),
		Counter: a.run.Counter,
		Live:    state == RunRejected && a.unprotected(),
		At:      a.at,
		Report:  a.report,
	}
}

// recordOutside records in the guard's own history, never in the job's
// transaction.
func (a *attempt) recordOutside(ctx context.Context, state RunState) error {
	if a.guard.config.History == nil || a.run.nameless() {
		return nil
	}
	return wrap("recording it as "+string(state), a.guard.config.History.Record(ctx, a.record(state)))
}

// recordAfter records what became of the run, even if the job was told to stop.
func (a *attempt) recordAfter(ctx context.Context, state RunState) error {
	return afterwards(ctx, func(ctx context.Context) error { return a.recordOutside(ctx, state) })
}

// discard drops the output once, even if the job was told to stop. What is live
// already is not dropped: that would take its users from the segment.
func (a *attempt) discard(ctx context.Context) error {
	if a.run.Staging.Discard == nil || a.run.Live || a.discarded {
		return nil
	}
	a.discarded = true
	return wrap("discarding", afterwards(ctx, a.run.Staging.Discard))
}

func (a *attempt) log(ctx context.Context, message string, err error) {
	if err == nil || a.guard.config.Logger == nil {
		return
	}
	a.guard.config.Logger.LogAttrs(ctx, slog.LevelError, message,
		slog.String("segment", a.run.Job.To.String()),
		slog.String("run", a.run.ID),
		slog.Any("error", err))
}

// patience bounds what must be done even after the job was told to stop.
const patience = 30 * time.Second

var errPatience = errors.New("segment: gave up tidying up after " + patience.String())

// afterwards does what must be done even if the job's context is cancelled. Each
// such thing has a bound of its own: where one hangs, the next is done all the
// same.
func afterwards(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errPatience)
	defer cancel()
	return do(ctx)
}
