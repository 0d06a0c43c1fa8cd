package segment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

	discarded  bool
	committing bool // Commit was called: what it did cannot be taken back
	live       bool
	settled    bool // admit or commit returned, so nothing is left to tidy
}

func (a *attempt) admit(ctx context.Context) error {
	if !a.prepare(ctx, false) {
		return a.reject(ctx)
	}
	a.report, _ = a.guard.validator.Admit(ctx, a.rule.Policy, a.output())
	a.tellOutage()
	if a.report.Passed() || a.rule.Mode == Observe {
		return nil
	}
	return a.reject(ctx)
}

func (a *attempt) commit(ctx context.Context) error {
	if !a.prepare(ctx, true) {
		return a.reject(ctx)
	}
	a.judge(ctx)
	a.tellOutage()
	if !a.report.Passed() && a.rule.Mode == Enforce {
		return a.reject(ctx)
	}
	return a.publish(ctx)
}

// prepare finds what the run is judged by. Without that it reports false, and
// the report says why.
func (a *attempt) prepare(ctx context.Context, stored bool) bool {
	if err := a.run.problem(stored); err != nil {
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
	if stored && !a.rule.Settle.isZero() && a.run.WrittenAt.IsZero() {
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
	if a.run.History != nil {
		return a.run.History
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
		SelfReported: a.run.Job.Kind == KindLookalike,
		Read:         a.run.Read,
		Written:      a.run.Written,
		WrittenAt:    a.run.WrittenAt,
		History:      a.sizes,
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
	if err := a.run.Commit(ctx); err != nil {
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
	case a.run.History != nil:
		return a.run.History.Record(ctx, a.record(Committed))
	}
	return a.recordOutside(ctx, Accepted)
}

// published records what is live and tells whether anything is wrong with it.
func (a *attempt) published(ctx context.Context) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	var recorded error
	switch {
	case a.rule.Mode == Observe:
		recorded = a.recordOutside(ctx, Observed)
	case a.run.History == nil:
		recorded = a.recordOutside(ctx, Committed)
	}
	err := join(recorded, a.tell(ctx))
	switch {
	case err == nil:
		return nil
	case a.rule.Mode == Observe: // a job that is only observed must not fail by it
		a.log(ctx, "segment is live, but", err)
		return nil
	}
	return &LiveError{Segment: a.run.Job.To, Run: a.run.ID, Err: err}
}

// tell fires or resolves the segment's alert.
func (a *attempt) tell(ctx context.Context) error {
	if len(a.report.Findings) == 0 {
		return wrap("resolving its alert", a.guard.alerts.resolve(ctx, a.run.Job.To, &a.report))
	}
	return a.fire(ctx, a.text())
}

// unknown is the way out after a commit that failed: the output may be live, so
// nothing is discarded.
func (a *attempt) unknown(ctx context.Context, failure error) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	err := &UnknownError{Segment: a.run.Job.To, Run: a.run.ID, Err: failure}
	recorded := a.recordOutside(ctx, Unknown)
	return join(err, recorded, a.fire(ctx, err.Error()))
}

// reject drops the output, records that, and tells people. The verdict comes
// first, whatever fails after it.
func (a *attempt) reject(ctx context.Context) error {
	verdict := error(&validate.Error{Report: a.report})
	if a.run.Live {
		verdict = fmt.Errorf("%w (live already: the segment is not protected)", verdict)
	}
	discarded := a.discard(ctx)
	quiet := a.stopped(ctx)
	ctx, cancel := afterwards(ctx)
	defer cancel()
	err := join(verdict, discarded, a.recordOutside(ctx, Rejected))
	if quiet {
		return err
	}
	return join(err, a.fire(ctx, a.text()))
}

// stopped reports that nothing was found but that the job was told to stop,
// which is no news about the segment.
func (a *attempt) stopped(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	for _, f := range a.report.Findings {
		if f.Severity != validate.Warn && f.Kind != validate.Unverified {
			return false
		}
	}
	return true
}

// text is what an alert says of the report.
func (a *attempt) text() string {
	text := (&validate.Error{Report: a.report}).Error()
	switch {
	case a.report.Passed():
		return a.report.Name + ": live, with a warning: " + warnings(&a.report)
	case a.live || a.run.Live:
		return text + " (live: the segment is not protected)"
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
	return wrap("alerting", a.guard.alerts.fire(ctx, Alert{
		Segment:   a.run.Job.To,
		Severity:  severity(&a.report),
		Kind:      gravest(&a.report),
		Text:      next(text, a.rule.Runbook),
		Protected: !a.run.Live && !a.committing,
		Job:       a.run.Job,
		Run:       a.run.ID,
		Attempt:   a.run.Attempt,
		Build:     a.run.Build,
		Rule:      a.rule.Name,
		Runbook:   a.rule.Runbook,
		Since:     a.at,
		At:        a.at,
		Report:    a.report,
	}))
}

func (a *attempt) record(state State) Record {
	return Record{
		Segment: a.run.Job.To,
		Run:     a.run.ID,
		Attempt: a.run.Attempt,
		State:   state,
		Job:     a.run.Job.ID,
		Kind:    a.run.Job.Kind,
		Build:   a.run.Build,
		Users:   a.report.Stored.Users(),
		Read:    a.report.Read.Users(),
		Counter: a.run.Counter,
		Live:    state == Rejected && a.run.Live,
		At:      a.at,
		Report:  a.report,
	}
}

// recordOutside records in the guard's own history, never in the job's
// transaction.
func (a *attempt) recordOutside(ctx context.Context, state State) error {
	if a.guard.config.History == nil {
		return nil
	}
	return wrap("recording it as "+string(state), a.guard.config.History.Record(ctx, a.record(state)))
}

// discard drops the output once, even if the job was told to stop.
func (a *attempt) discard(ctx context.Context) error {
	if a.run.Discard == nil || a.discarded {
		return nil
	}
	a.discarded = true
	ctx, cancel := afterwards(ctx)
	defer cancel()
	return wrap("discarding", a.run.Discard(ctx))
}

// abandon tidies up after a callback that panicked or ended its goroutine, and
// lets that go on.
func (a *attempt) abandon(ctx context.Context) {
	switch {
	case a.settled || a.live:
		return
	case a.committing:
		a.log(ctx, "commit ended by a panic", a.unknown(ctx, errors.New("it panicked or ended its goroutine")))
	default:
		a.log(ctx, "ended by a panic before the commit", a.discard(ctx))
	}
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

// afterwards is a context for what must be done even if the job's is cancelled.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errPatience)
}

// join keeps errors on one line, the first one first; nil if there is none.
func join(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
