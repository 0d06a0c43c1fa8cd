package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A guardedRun is a run on its way through the guard.
type guardedRun struct {
	guard  *Guard
	run    Run
	rule   Rule
	state  SegmentState // what is known of the segment
	at     time.Time
	out    validate.Output
	report validate.Report
	turn

	admitting  bool              // nothing is written yet
	submitting bool              // all is written, and the store answers later
	settling   bool              // it may have answered
	last       *validate.Summary // what the segment held before it changed it; nil: what is live
	until      time.Time
	wrote      bool  // into the ledger, in the job's transaction
	leftover   error // why discarding failed
	discarded  bool
	dropped    bool // told, or about to be
	yielded    bool // to another run: what failed is no verdict
	committing bool // Commit was called: what it did cannot be taken back
	live       bool
	untold     error // why people could not be told: the next guard or sweep tells them
}

// key returns the key of the segment that the run writes.
func (r *guardedRun) key() Key { return r.run.Job.To.In(r.store) }

// decide judges the run, and makes it live or rejects it.
func (r *guardedRun) decide(ctx context.Context) error {
	err := r.prepare(ctx)
	if r.admitting && refused(err) {
		return err
	}
	if err == nil && !r.admitting {
		if err = r.lock(ctx); yields(err) && !r.unprotected() {
			return r.yield(ctx, err)
		}
		if errors.Is(err, ErrTxEnded) && ctx.Err() == nil { // it would be rolled back where the context ended
			return r.unknown(ctx, fmt.Errorf("nothing was verified: %w; leave its commit and its rollback to the guard", err))
		}
		if err != nil {
			err = &outage{"waiting for the segment's turn", err}
		}
	}
	if err != nil {
		r.unverified(err)
	} else {
		r.judge(ctx)
	}
	if r.unprotected() && r.start.Number == 0 && r.moved { // with Begin the segment was its own meanwhile
		r.unverified(fmt.Errorf("%w: another run went live meanwhile, into the same segment", ErrOvertaken))
	}
	return r.conclude(ctx)
}

// conclude makes what was judged live, or rejects it.
func (r *guardedRun) conclude(ctx context.Context) error {
	switch {
	case !r.report.Passed() && r.rule.Mode != Observe:
		if r.overtaken(ctx) {
			return r.yield(ctx, r.noVerdict())
		}
		return r.reject(ctx)
	case r.admitting:
		return nil
	}
	return r.publish(ctx)
}

// prepare finds the rule that the run is judged by. An error is why there is none, or
// why the run is not admitted.
func (r *guardedRun) prepare(ctx context.Context) error {
	r.at = r.guard.now()
	bad := r.run.check(!r.admitting && !r.submitting)
	if bad != nil && r.run.nameless() {
		return bad
	}
	rule, err := r.findRule(ctx)
	if bad != nil || err != nil {
		return cmp.Or(bad, err)
	}
	r.rule = rule
	if err := r.rule.check(); err != nil {
		return err
	}
	if !r.admitting && r.rule.Lag != (Lag{}) && r.run.WrittenAt.IsZero() {
		return badInput("Run.WrittenAt", "missing", "the last acknowledged write, as the rule has a Lag")
	}
	switch {
	case r.admitting:
		return r.admitBuild(ctx)
	case r.submitting:
		return r.checkSubmission()
	}
	return nil
}

// findRule returns the rule that the run is judged by, and notes the store that it writes
// to.
func (r *guardedRun) findRule(ctx context.Context) (rule Rule, err error) {
	find := r.guard.config.Rules
	if find == nil {
		return rule, nil
	}
	if rule, err = find(ctx, r.run.Job); err != nil {
		var unknown error
		r.store, unknown = r.storeBefore(ctx)
		return Rule{}, &outage{"finding the rule", join(err, wrap("finding the store that the job wrote to before", unknown))}
	}
	r.store = rule.Store
	return rule, nil
}

// storeBefore returns the store that the job wrote to before, for a run whose rule
// cannot be found: its alert must be over when a later run passes.
func (r *guardedRun) storeBefore(ctx context.Context) (store string, err error) {
	ledger := r.guard.config.Ledger
	if r.store != "" || ledger == nil {
		return r.store, nil
	}
	err = afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		for s, err := range ledger.Segments(ctx, SegmentFilter{Segment: r.run.Job.To}) {
			if err != nil {
				return err
			}
			if s.Last.JobID == r.run.Job.ID {
				store = s.Store
			}
		}
		return nil
	})
	return store, err
}

// judge reads earlier sizes and what is stored, and judges the output by them.
// That sizes could not be read is told beside what was judged without them: it is
// the least grave, so it comes last.
func (r *guardedRun) judge(ctx context.Context) { //nolint:cyclop // one condition after the other
	outage := r.readState(ctx)
	r.at = r.after()
	r.out = validate.Output{
		Name:         r.key().String(),
		JobKind:      string(r.run.Job.Kind),
		Expected:     r.run.Expected,
		SelfReported: r.run.Job.Kind == JobKindLookalike,
		Read:         r.run.Read,
		Written:      r.run.Written,
		WrittenAt:    r.run.WrittenAt,
		Sizes:        r.state.Sizes,
		Counter:      r.run.Counter,
		At:           r.at,
		Candidates:   r.state.Candidates,
		Excuses:      r.state.excuses(),
		Apart:        len(r.state.Candidates) > 0 && r.apart(ctx),
	}
	if r.run.Delta != nil {
		r.out.Delta = r.change()
	}
	switch {
	case r.admitting, r.submitting:
		r.report, _ = r.guard.validator.Admit(ctx, r.rule.Policy, r.out)
	case r.rule.Lag != (Lag{}):
		r.judgeLagging(ctx, &r.out)
	default:
		r.out.Stored = r.readBack(ctx)
		r.report, _ = r.guard.validator.Check(ctx, r.rule.Policy, r.out)
	}
	if r.report.Level == validate.LevelOff && !r.out.Apart && r.apart(ctx) { // its first day
		r.report.Level = validate.LevelApart
	}
	if r.run.Delta != nil {
		if err := r.beside(&r.state); err != nil {
			r.unverified(err)
		}
	}
	if outage != nil {
		r.report.Findings = append(r.report.Findings, *outage)
	}
	if r.start.Number == 0 && r.guard.config.Ledger != nil && !r.admitting && r.rule.Mode != Observe && r.report.Passed() {
		r.report.Findings = append(r.report.Findings, validate.Finding{
			Kind: validate.Unverified, Severity: validate.Warn, Cause: errNumberless, Detail: errNumberless.Error(),
		})
	}
}

// errNumberless only explains: it is no news about the segment.
var errNumberless = errors.New("the run has no number, so that a later run of the segment does not hold it back: take Guard.Do, or call Guard.Begin before the job reads its source")

// readState reads what is known of the segment in the job's transaction, if there is
// one, and returns the finding where its sizes cannot be read.
func (r *guardedRun) readState(ctx context.Context) *validate.Finding {
	err := r.read(ctx, r.key(), &r.state)
	if err == nil {
		err = r.state.unreadable("state")
	}
	if err == nil {
		return nil
	}
	severity := validate.Fail
	if r.guard.config.BestEffortSizes {
		severity = validate.Warn
	}
	cause := &outage{"reading earlier sizes", err}
	return &validate.Finding{Kind: validate.Unverified, Severity: severity, Detail: cause.Error(), Cause: cause}
}

// read reads what is known of a segment, in the job's transaction if there is one.
func (r *guardedRun) read(ctx context.Context, key Key, state *SegmentState) error {
	from := r.run.Staging.Tx
	if from == nil {
		if r.guard.config.Ledger == nil {
			return nil
		}
		from = r.guard.config.Ledger
	}
	return within(ctx, r.guard.config.Timeout, func(ctx context.Context) (err error) {
		*state, err = from.State(ctx, key)
		return err
	})
}

// readBack asks the store what it holds. Without an answer the side is
// unmeasured, never empty.
func (r *guardedRun) readBack(ctx context.Context) validate.Summary {
	stored, err := r.run.Stored(ctx)
	if r.run.Delta != nil {
		r.readChange(ctx)
	}
	if err != nil {
		return validate.Unmeasured(&outage{"reading back what is stored", err})
	}
	return stored
}

// publish makes the output live and keeps the ledger in step with it. In the
// job's transaction the size is recorded for good before the commit, and goes live
// with the data or not at all; outside, the attempt is announced. A run that is
// only observed is never held back.
func (r *guardedRun) publish(ctx context.Context) error {
	if r.submitting {
		return r.submit(ctx)
	}
	if r.run.Live {
		r.live = true
		return r.published(ctx)
	}
	if ctx.Err() != nil {
		return r.cancelled(ctx)
	}
	r.at = r.after() // counting took its time: runs are ordered by when they went live
	err := within(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		switch {
		case r.rule.Mode == Observe:
			return nil
		case r.run.Staging.Tx != nil:
			r.wrote = true
			return r.run.Staging.Tx.Record(ctx, r.record(RunCommitted))
		}
		return r.recordOutside(ctx, RunPassed)
	})
	switch {
	case yields(err):
		return r.yield(ctx, err)
	case err != nil:
		r.unverified(&outage{"recording the run", err})
		return r.reject(ctx)
	case ctx.Err() != nil:
		return r.cancelled(ctx)
	}
	r.committing = true
	r.lookout.reached(committing)
	err = r.run.Staging.Commit(context.WithValue(ctx, numberKey{}, r.start.Number))
	if r.lookout.reached(known); err != nil {
		return r.commitFailed(ctx, err)
	}
	r.live = true
	return r.published(ctx)
}

// published records what is live, where the job's transaction has not, and tells
// whether anything is wrong with it. An output that is live though another run
// took its place is recorded all the same: nobody knows what is live.
func (r *guardedRun) published(ctx context.Context) error {
	state := RunCommitted
	if r.rule.Mode == Observe {
		state = RunObserved
	}
	r.lookout.reached(known)
	var err error
	if !r.wrote {
		err = r.recordAfter(ctx, state)
	}
	if yields(err) {
		r.overlapped, r.hold.Live = true, false
		if again := r.recordAfter(ctx, state); !yields(again) {
			err = join(err, again)
		}
	}
	r.tellOfLive(ctx, state, err)
	if err != nil && r.rule.Mode == Observe { // a job that is only observed must not fail by it
		r.log(ctx, "segment is live, but", err)
		r.report.Findings = append(r.report.Findings, validate.Finding{
			Kind: validate.Unverified, Severity: validate.Warn, Detail: err.Error(), Cause: err,
		})
		return nil
	}
	if err != nil {
		return &LiveError{Segment: r.run.Job.To, RunID: r.run.ID, Err: err}
	}
	return nil
}

// tellOfLive tells people what is wrong with an output that is live, or that nothing
// is any more. recorded is why it was not recorded.
func (r *guardedRun) tellOfLive(ctx context.Context, state RunState, recorded error) {
	switch {
	case yields(recorded) && r.run.Live && r.rule.Mode != Observe:
		r.unverified(recorded)
		r.alert(ctx, RunUnknown, r.text()) // until a sweep has seen what is live
	case yields(recorded):
	case r.rule.Mode == Observe && !r.report.Passed():
		r.alert(ctx, state, r.text())
	default:
		var warning *Alert
		if slices.ContainsFunc(r.report.Findings, func(f validate.Finding) bool { return !errors.Is(f.Cause, errNumberless) }) {
			warning = r.warning(state)
		}
		r.untold = wrap("telling that it passed", r.guard.notifier.passed(ctx, r.key(), r.start.Number, &r.report, warning))
	}
}

// recordAfter records what became of the run, even if the job was told to stop.
func (r *guardedRun) recordAfter(ctx context.Context, state RunState) error {
	return afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error { return r.recordOutside(ctx, state) })
}

// recordOutside records in the guard's own ledger, never in the job's
// transaction.
func (r *guardedRun) recordOutside(ctx context.Context, state RunState) error {
	if r.guard.config.Ledger == nil || r.run.nameless() {
		return nil
	}
	err := r.guard.config.Ledger.Record(ctx, r.record(state))
	if state == RunOvertaken && errors.Is(err, ErrSuperseded) { // this attempt is live already
		return nil
	}
	return wrap("recording it as "+string(state), err)
}

func (r *guardedRun) record(state RunState) Record {
	report := r.report
	whole := report.Whole()
	users, most := whole.Range()
	if users < most { // a lower bound would read as what is there
		users = 0
	}
	read, most := report.Read.Range()
	if read < most || r.run.Delta != nil { // who was read to be added is no measure of the whole
		read = 0
	}
	return Record{
		Segment: r.run.Job.To,
		Store:   r.store,
		RunID:   r.run.ID,
		Attempt: r.run.Attempt,
		Number:  r.start.Number,
		State:   state,
		JobID:   r.run.Job.ID,
		JobKind: r.run.Job.Kind,
		Build:   r.run.Build,
		Users:   users,
		Read:    read,
		Counter: r.run.Counter,
		Live:    (state == RunRejected || state == RunFailed || state == RunOvertaken) && r.unprotected(),
		At:      r.at,
		Report:  &report,

		Overlapped: r.overlapped,
		Hold:       r.hold,
	}
}

// after returns the time of a size: now, or just after the last size, as the clock
// of the machine that committed that may be ahead of ours. A size of the same time
// would not be judged by it. A ledger keeps microseconds.
func (r *guardedRun) after() time.Time {
	t := r.guard.now()
	for _, sizes := range [][]validate.Size{r.state.Sizes, r.state.Candidates} {
		if n := len(sizes); n > 0 && sizes[n-1].At.After(t) {
			t = sizes[n-1].At.Add(time.Microsecond)
		}
	}
	return t
}

// yields reports whether another run of the segment is in the way.
func yields(err error) bool { return errors.Is(err, ErrSuperseded) || errors.Is(err, ErrOvertaken) }

// unprotected reports that the output is live, whatever is judged.
func (r *guardedRun) unprotected() bool { return r.run.Live && !r.admitting }
