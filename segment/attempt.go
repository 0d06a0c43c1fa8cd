package segment

import (
	"context"
	"errors"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An attempt is a run on its way through the guard.
type attempt struct {
	guard  *Guard
	run    Run
	rule   Rule
	sizes  []validate.Size
	at     time.Time
	outage *validate.Finding // the history's, to be told beside what was judged without it
	report validate.Report

	admitting  bool  // nothing is written yet
	leftover   error // why discarding failed
	discarded  bool
	committing bool // Commit was called: what it did cannot be taken back
	live       bool
	settled    bool // admit or commit returned, so nothing is left to tidy
}

func (a *attempt) admit(ctx context.Context) error {
	a.admitting = true
	if a.prepare(ctx) {
		a.report, _ = a.guard.validator.Admit(ctx, a.rule.Policy, a.output())
		a.tellOutage()
	}
	if a.report.Passed() || a.rule.Mode == Observe {
		return nil
	}
	return a.reject(ctx)
}

func (a *attempt) commit(ctx context.Context) error {
	if a.prepare(ctx) {
		a.judge(ctx)
		a.tellOutage()
	}
	if !a.report.Passed() && a.rule.Mode != Observe {
		return a.reject(ctx)
	}
	return a.publish(ctx)
}

// prepare finds what the run is judged by. Without that it reports false, and
// the report says why.
func (a *attempt) prepare(ctx context.Context) bool {
	a.at = now(nil)
	if err := a.run.problem(!a.admitting); err != nil {
		return a.refuse(err)
	}
	if find := a.guard.config.Rules; find != nil {
		rule, err := find(ctx, a.run.Job)
		if err != nil {
			return a.refuse(&outage{"finding the rule", err})
		}
		a.rule = rule
	}
	if err := a.rule.problem(); err != nil {
		return a.refuse(err)
	}
	if !a.admitting && !a.rule.Lag.isZero() && a.run.WrittenAt.IsZero() {
		return a.refuse(badInput("Run.WrittenAt", "missing", "the last acknowledged write, as the rule lets the store settle"))
	}
	a.readHistory(ctx)
	a.at = now(a.sizes)
	return true
}

func (a *attempt) refuse(cause error) bool {
	a.unverified(cause)
	return false
}

func (a *attempt) unverified(cause error) {
	a.report.Findings = append(a.report.Findings, validate.Finding{
		Kind: validate.Unverified, Severity: validate.Fail, Detail: cause.Error(), Cause: cause,
	})
}

// history is where the run's sizes are read: in its transaction, if there is one.
func (a *attempt) history() History {
	if a.run.Staging.Tx != nil {
		return a.run.Staging.Tx
	}
	return a.guard.config.History
}

func (a *attempt) readHistory(ctx context.Context) {
	history := a.history()
	if history == nil {
		return
	}
	sizes, err := history.Sizes(ctx, a.run.Job.To, KeptSizes)
	if err == nil {
		a.sizes = sizes
		return
	}
	cause := &outage{"reading the history", err}
	a.outage = &validate.Finding{Kind: validate.Unverified, Severity: validate.Fail, Detail: cause.Error(), Cause: cause}
	if a.guard.config.BestEffortHistory {
		a.outage.Severity = validate.Warn
	}
}

// tellOutage adds the history's outage to what was judged without it: it is the
// least grave, so it comes last.
func (a *attempt) tellOutage() {
	if a.outage != nil {
		a.report.Findings = append(a.report.Findings, *a.outage)
	}
}

func (a *attempt) output() validate.Output {
	return validate.Output{
		Name:         a.run.Job.To.String(),
		JobKind:      string(a.run.Job.Kind),
		Expected:     a.run.Expected,
		SelfReported: a.run.Job.Kind == JobKindLookalike,
		Read:         a.run.Read,
		Written:      a.run.Written,
		WrittenAt:    a.run.WrittenAt,
		Sizes:        a.sizes,
		Counter:      a.run.Counter,
		At:           a.at,
	}
}

// cancelled turns a job that was told to stop into an unverified one.
func (a *attempt) cancelled(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	a.unverified(&outage{"the job was cancelled before its commit", context.Cause(ctx)})
	return true
}

// publish makes the output live and keeps the history in step with it.
func (a *attempt) publish(ctx context.Context) error {
	if a.run.Live {
		a.live = true
		return a.published(ctx)
	}
	if a.cancelled(ctx) {
		return a.reject(ctx)
	}
	a.at = now(a.sizes) // counting took its time: runs are ordered by when they went live
	if err := a.recordBefore(ctx); err != nil {
		if errors.Is(err, ErrSuperseded) {
			return join(err, a.discard(ctx))
		}
		a.unverified(&outage{"recording the run", err})
		return a.reject(ctx)
	}
	if a.cancelled(ctx) {
		return a.reject(ctx)
	}
	a.committing = true
	if err := a.run.Staging.Commit(ctx); err != nil {
		return a.unknown(ctx, err)
	}
	a.live = true
	return a.published(ctx)
}

// recordBefore is the last gate. In the job's transaction the size is recorded
// for good, and goes live with the data or not at all; outside, the attempt is
// announced. What only observes has no gates.
func (a *attempt) recordBefore(ctx context.Context) error {
	switch {
	case a.rule.Mode == Observe:
		return nil
	case a.run.Staging.Tx != nil:
		return a.run.Staging.Tx.Record(ctx, a.record(RunCommitted))
	}
	return a.recordOutside(ctx, RunPassed)
}

// published records what is live and tells whether anything is wrong with it.
func (a *attempt) published(ctx context.Context) error {
	recorded := a.recordLive(ctx)
	err := join(recorded, a.tell(ctx, recorded))
	switch {
	case err == nil:
		return nil
	case a.rule.Mode == Observe: // a job that is only observed must not fail by it
		a.log(ctx, "segment is live, but", err)
		a.report.Findings = append(a.report.Findings, validate.Finding{
			Kind: validate.Unverified, Severity: validate.Warn, Detail: err.Error(), Cause: err,
		})
		return nil
	}
	return &LiveError{Segment: a.run.Job.To, RunID: a.run.ID, Err: err}
}

// recordLive records outside what was not recorded in the job's transaction.
func (a *attempt) recordLive(ctx context.Context) error {
	switch {
	case a.rule.Mode == Observe:
		return a.recordAfter(ctx, RunObserved)
	case a.run.Staging.Tx == nil:
		return a.recordAfter(ctx, RunCommitted)
	}
	return nil
}

// tell fires or resolves the segment's alert. That an attempt passed resolves
// nothing if it is superseded: the newer one speaks for the segment.
func (a *attempt) tell(ctx context.Context, recorded error) error {
	switch {
	case len(a.report.Findings) > 0:
		return a.fire(ctx, a.text())
	case errors.Is(recorded, ErrSuperseded):
		return nil
	}
	return wrap("resolving its alert", a.guard.alerts.resolve(ctx, a.run.Job.To, &a.report))
}
