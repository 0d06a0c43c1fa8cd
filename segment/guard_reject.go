package segment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/segmentguard/segmentguard/validate"
)

// reject drops the output, records that, and tells people. The verdict comes
// first, whatever fails after it.
func (r *guardedRun) reject(ctx context.Context) error {
	verdict := error(&validate.Error{Report: r.report})
	if r.unprotected() {
		verdict = fmt.Errorf("%w (live already: the segment is not protected)", verdict)
	}
	r.leftover = r.discard(ctx)
	err := join(verdict, r.leftover)
	if r.run.nameless() {
		return err
	}
	err = join(err, r.recordAfter(ctx, RunRejected))
	if ctx.Err() != nil && !r.report.Proven() && !r.unprotected() {
		return err // the job was told to stop, which is no news about a segment that keeps its users
	}
	return join(err, r.alert(ctx, r.text()))
}

// unknown records and alerts after a commit that failed: the output may be live,
// so nothing is discarded.
func (r *guardedRun) unknown(ctx context.Context, failure error) error {
	err := &UnknownError{Segment: r.run.Job.To, RunID: r.run.ID, Err: failure}
	return join(err, r.recordAfter(ctx, RunUnknown), r.alert(ctx, err.Error()))
}

var errEnded = errors.New("a callback panicked or ended its goroutine")

// abandoned tidies up after a callback that panicked or ended its goroutine.
func (r *guardedRun) abandoned(ctx context.Context) error {
	switch {
	case r.live:
		return &LiveError{Segment: r.run.Job.To, RunID: r.run.ID, Err: errEnded}
	case r.committing:
		return r.unknown(ctx, errEnded)
	}
	return join(errEnded, r.discard(ctx))
}

// discard drops the output once, even if the job was told to stop. What is live
// already is not dropped: that would take its users from the segment.
func (r *guardedRun) discard(ctx context.Context) error {
	if r.run.Staging.Discard == nil || r.run.Live || r.discarded {
		return nil
	}
	r.discarded = true
	return wrap("discarding", afterwards(ctx, r.run.Staging.Discard))
}

// unverified adds a finding: the run could not be checked.
func (r *guardedRun) unverified(cause error) {
	r.report.Findings = append(r.report.Findings, validate.Finding{
		Kind: validate.Unverified, Severity: validate.Fail, Detail: cause.Error(), Cause: cause,
	})
}

// cancelled rejects a run whose job was told to stop: it is unverified.
func (r *guardedRun) cancelled(ctx context.Context) error {
	r.unverified(&outage{"the job was cancelled before its commit", context.Cause(ctx)})
	return r.reject(ctx)
}

// unprotected reports that the output is live, whatever is judged.
func (r *guardedRun) unprotected() bool { return r.run.Live && !r.admitting }

// alert tells people of what was found.
func (r *guardedRun) alert(ctx context.Context, text string) error {
	return wrap("alerting", r.guard.notifier.fire(ctx, Alert{
		Segment:   r.run.Job.To,
		Urgency:   urgencyOf(&r.report),
		Kind:      r.report.Gravest(),
		Text:      next(text, r.rule.Runbook),
		Protected: !r.unprotected() && !r.committing,
		Job:       r.run.Job,
		RunID:     r.run.ID,
		Attempt:   r.run.Attempt,
		Build:     r.run.Build,
		Rule:      r.rule.Name,
		Runbook:   r.rule.Runbook,
		Since:     r.at,
		At:        r.at,
		Report:    r.report,
	}))
}

// text returns what an alert says of the report.
func (r *guardedRun) text() string {
	text := (&validate.Error{Report: r.report}).Error()
	switch {
	case r.report.Passed():
		return r.report.Name + ": live, with a warning: " + warnings(&r.report)
	case r.live || r.unprotected():
		return text + " (live: the segment is not protected)"
	case r.leftover != nil:
		return text + " (not live: the segment keeps its users; the output is left over: " + r.leftover.Error() + ")"
	case r.admitting:
		return text + " (before the first write: the live segment keeps its users)"
	}
	return text + " (discarded: the live segment keeps its users)"
}

func (r *guardedRun) log(ctx context.Context, message string, err error) {
	if r.guard.config.Logger == nil {
		return
	}
	r.guard.config.Logger.LogAttrs(ctx, slog.LevelError, message,
		slog.String("segment", r.run.Job.To.String()),
		slog.String("run", r.run.ID),
		slog.Any("error", err))
}
