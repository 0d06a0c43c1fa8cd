package segment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// reject records that the output failed, tells people, and drops it. The verdict
// comes first, whatever fails or hangs after it.
func (r *guardedRun) reject(ctx context.Context) error {
	verdict := error(&validate.Error{Report: r.report})
	if r.unprotected() {
		verdict = fmt.Errorf("%w (live already: the segment is not protected)", verdict)
	}
	return join(verdict, r.drop(ctx, RunRejected, func(ctx context.Context) {
		if r.run.nameless() || errors.Is(ctx.Err(), context.Canceled) && !r.report.Proven() && !r.unprotected() {
			return // the job was told to stop, which is no news about a segment that keeps its users
		}
		r.alert(ctx, RunRejected, r.text())
	}))
}

// inTheWay is how long a ledger may take to record a verdict while the job's
// transaction still has the commit row. Those who wait for the row may have all
// connections of the pool, also the one that the ledger wants.
const inTheWay = time.Second

// drop records and tells what is wrong, gives the segment's turn to others, and
// discards the output. Where the job's transaction keeps others from writing into the
// ledger, or may be what the ledger waited for in vain, it must be over first; where
// that was not known, what failed is tried again. One that made way has no verdict that
// must not be lost. What becomes of discarding is told, too.
func (r *guardedRun) drop(ctx context.Context, state RunState, tell func(context.Context)) error {
	r.lookout.reached(known)
	r.dropped = true
	recorded, told, said := errors.New("not recorded"), false, ""
	again := r.run.Staging.Tx != nil
	tellNow := func(ctx context.Context) {
		if recorded != nil && (!told || again) {
			recorded = r.recordAfter(ctx, state)
		}
		switch left := fmt.Sprint(r.leftover); {
		case recorded != nil && hurried(ctx):
		case !told, r.untold != nil && again:
			told, said = true, left
			tell(ctx)
		case left != said && r.toldOf():
			r.alert(ctx, RunRejected, r.text())
			said = left
		}
	}
	switch {
	case r.letsGoFirst():
	case again:
		tellNow(hurry(ctx, inTheWay))
	default:
		tellNow(ctx)
		r.release(ctx)
	}
	r.discard(ctx, func() { tellNow(ctx) })
	r.release(ctx)
	return join(r.leftover, recorded)
}

// toldOf reports whether people were told of the output, and are told what became of
// discarding it.
func (r *guardedRun) toldOf() bool {
	return r.guard.config.Ledger != nil && !r.run.nameless() && !r.yielded && !r.report.Passed()
}

// letsGoFirst reports whether the output is discarded before anything is recorded.
func (r *guardedRun) letsGoFirst() bool {
	alone, ok := r.run.Staging.Tx.(interface{ Exclusive() bool })
	busy := slices.ContainsFunc(r.report.Findings, func(f validate.Finding) bool { return errors.Is(f.Cause, ErrBusy) })
	return r.wrote || busy || ok && alone.Exclusive() || r.yielded && r.run.Staging.Tx != nil
}

var errHangs = errors.New("discarding does not return")

// discard drops the output once, even if the job was told to stop. What is live
// already is not dropped: that would take its users from the segment. It calls then,
// also where Discard panics or ends the goroutine. Where it does not return in time, then is called beside it, and again
// when it returns.
func (r *guardedRun) discard(ctx context.Context, then func()) {
	if r.run.Staging.Discard == nil || r.run.Live || r.discarded {
		then()
		return
	}
	r.discarded = true
	over := make(chan struct{})
	hangs := time.AfterFunc(r.guard.config.Timeout+graceful, func() {
		defer close(over)
		r.leftover = errHangs
		then()
	})
	left := errEnded // unless it returns
	defer func() {
		if !hangs.Stop() {
			<-over
		}
		r.leftover = left
		then()
	}()
	left = wrap("discarding", afterwards(ctx, r.guard.config.Timeout, r.run.Staging.Discard))
}

// overtaken reports whether the check may have failed by another run of the
// segment, which went live while this one was on its way. What failed before the
// store was read back did not.
func (r *guardedRun) overtaken(ctx context.Context) bool {
	met := slices.ContainsFunc(r.report.Findings, func(f validate.Finding) bool { return errors.Is(f.Cause, ErrOvertaken) })
	if met && !r.unprotected() { // says the database of the job's transaction
		return true
	}
	if r.admitting || !r.moved && !r.lease.mayBeGone(ctx) {
		return false
	}
	before := r.out
	before.Stored = validate.Summary{}
	_, err := r.guard.silent.Admit(ctx, r.rule.Policy, before)
	return err == nil
}

// noVerdict says what overtook the run.
func (r *guardedRun) noVerdict() error {
	for _, f := range r.report.Findings {
		if errors.Is(f.Cause, ErrOvertaken) {
			return fmt.Errorf("%s: run %s: %w", r.run.Job.To, r.run.ID, f.Cause)
		}
	}
	return fmt.Errorf("%s: run %s is %w by another run of the segment: what it read back is no verdict", r.run.Job.To, r.run.ID, ErrOvertaken)
}

// yield drops the output of a run that another one superseded or overtook. That
// is no news about the segment, unless it was live before anybody knew.
func (r *guardedRun) yield(ctx context.Context, why error) error {
	r.yielded = true
	return join(why, r.drop(ctx, RunOvertaken, func(ctx context.Context) {
		if r.unprotected() {
			r.unverified(why)
			r.alert(ctx, RunUnknown, r.text()) // until a sweep has seen what is live
		}
	}))
}

// commitFailed finds out what became of a commit that failed. In the job's own
// transaction the ledger tells: whoever gets the commit row knows that the
// transaction is over, and the record is there or not.
func (r *guardedRun) commitFailed(ctx context.Context, failure error) error {
	ledger := r.guard.config.Ledger
	if !r.wrote || ledger == nil {
		return r.unknown(ctx, failure)
	}
	landed := false
	err := afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		if err := ledger.Lock(ctx, r.key(), func(*CommitRow) error { return nil }); err != nil {
			return err
		}
		for e, err := range ledger.Log(ctx, LogFilter{Segment: r.run.Job.To, Store: &r.store, RunID: r.run.ID}) {
			if err != nil {
				return err
			}
			if e.Damaged != nil && e.Record == nil {
				return e.Damaged
			}
			landed = landed || e.Record != nil && e.Record.Attempt == r.run.Attempt && e.Record.State == RunCommitted
		}
		return nil
	})
	switch {
	case err != nil:
		return r.unknown(ctx, failure)
	case landed:
		r.live = true
		return r.published(ctx)
	}
	r.committing, r.discarded = false, true
	if errors.Is(failure, ErrOvertaken) {
		return r.yield(ctx, fmt.Errorf("%s: run %s: committing: %w", r.run.Job.To, r.run.ID, failure))
	}
	r.unverified(&outage{"committing", failure})
	return r.reject(ctx)
}

// unknown records and alerts after a commit that failed: the output may be live,
// so nothing is discarded, and the lease is left to run out.
func (r *guardedRun) unknown(ctx context.Context, failure error) error {
	r.lease.end()
	err := &UnknownError{Segment: r.run.Job.To, RunID: r.run.ID, Err: failure}
	recorded := r.recordAfter(ctx, RunUnknown)
	r.alert(ctx, RunUnknown, err.Error())
	return join(err, recorded)
}

var errEnded = errors.New("a callback panicked or ended its goroutine")

// abandoned tidies up after a callback that panicked or ended its goroutine.
func (r *guardedRun) abandoned(ctx context.Context) error {
	switch {
	case r.live:
		return &LiveError{Segment: r.run.Job.To, RunID: r.run.ID, Err: errEnded}
	case r.committing:
		return r.unknown(ctx, errEnded)
	case r.unprotected() && !r.dropped: // nobody knows what is live
		r.unverified(&outage{"judging what is live", errEnded})
		return r.reject(ctx)
	}
	r.release(ctx)
	r.discard(ctx, func() {})
	return join(errEnded, r.leftover)
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

// warning returns what people are told of a run that is live, though not without
// findings; nil: nothing. Some findings explain why it passed, and are no news:
// chance in the mapping, bounds, earlier sizes or a source's lag that are not known,
// an empty output that was expected, the level before, or what was planned.
func (r *guardedRun) warning(state RunState) *Alert {
	news := slices.DeleteFunc(slices.Clone(r.report.Findings), func(f validate.Finding) bool {
		switch f.Kind { //nolint:exhaustive // of the rest people are told
		case validate.Unverified, validate.Short, validate.Surplus:
			return f.Severity == validate.Warn
		}
		return f.Explains
	})
	if len(news) == 0 {
		return nil
	}
	a := r.found(state, r.text())
	a.Kind = slices.MinFunc(news, func(a, b validate.Finding) int { return a.Kind.Compare(b.Kind) }).Kind
	return &a
}

// alert tells people of what was found. What cannot be told is pending, in the
// ledger: that fails no job. In a hurry the alerter has its time all the same.
func (r *guardedRun) alert(ctx context.Context, state RunState, text string) {
	if hurried(ctx) {
		ctx = hurry(ctx, inTheWay+r.guard.config.AlertTimeout)
	}
	r.untold = wrap("telling people", r.guard.notifier.fire(ctx, r.found(state, text)))
}

// found returns what was found as an alert. Its text is what was found; the rest is
// said when it is known what explains it.
func (r *guardedRun) found(state RunState, text string) Alert {
	a := Alert{
		Segment: r.run.Job.To,
		Store:   r.store,
		Urgency: urgencyOf(&r.report),
		Kind:    r.report.Gravest(),
		Text:    text,
		Level:   r.level(),
		Job:     r.run.Job,
		RunID:   r.run.ID,
		Attempt: r.run.Attempt,
		Number:  r.start.Number,
		State:   state,
		Build:   r.run.Build,
		Rule:    r.rule.Name,
		Runbook: r.rule.Runbook,
		Link:    r.rule.Link,
		Since:   r.at,
		At:      r.at,
		Users:   atStake(&r.report),
		Report:  r.report,
	}
	whole := r.report.Whole()
	if lower, upper := whole.Range(); counts(whole) && lower == upper {
		record := r.record(state)
		a.Size = new(record.Size())
	}
	if n := len(r.state.Sizes); n > 0 {
		a.Good = lastRight(r.state.Sizes, -1)
		a.Users = max(a.Users, r.state.Sizes[n-1].Users)
	}
	if r.unprotected() && a.Kind == validate.Unverified && !r.report.Passed() {
		a.Urgency = Page
	}
	if 0 < a.Users && a.Users < r.rule.PageFrom {
		a.Urgency = Ticket
	}
	return a
}

// text returns what an alert says of the report.
func (r *guardedRun) text() string {
	text := (&validate.Error{Report: r.report}).Error()
	if r.report.Passed() {
		text = r.report.Name + ": " + warnings(&r.report)
	}
	if relearned(&r.report) {
		text = r.report.Name + ": a new level became normal by itself: " + warnings(&r.report)
	}
	if r.leftover != nil {
		text += "; the output is left over: " + r.leftover.Error()
	}
	return text
}

const toldLater = "people are told by the next guard or sweep"

func (r *guardedRun) log(ctx context.Context, message string, err error) {
	if r.guard.config.Logger == nil {
		return
	}
	r.guard.config.Logger.LogAttrs(ctx, slog.LevelError, message,
		slog.String("segment", r.run.Job.To.String()),
		slog.String("run", r.run.ID),
		slog.Any("error", err))
}

// level returns how much the live segment has suffered by the run.
func (r *guardedRun) level() Level {
	if !r.unprotected() && !r.committing {
		return LevelProtected
	}
	stored := r.report.Whole()
	if stored.IsZero() || stored.IsUnknown() {
		return LevelLive
	}
	return levelOf(atStake(&r.report), stored.Users())
}
