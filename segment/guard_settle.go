package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/segmentguard/segmentguard/validate"
)

// A Settlement is what Settle came to, in numbers of runs.
type Settlement struct {
	Passed  int // the store holds what it should
	Failed  int // it does not, or did not say so in time: people are told
	Waiting int // the store is yet to answer, or the segment is another one's just now
}

// settledAtOnce is of how many submitted runs Settle reads at a time.
const settledAtOnce = 100

// Settle reads back what the stores hold of runs that were submitted, of all of the
// ledger's segments, one after the other, and judges each as Commit would have:
//
//   - One that passes is recorded as live, and its segment's alert is over as by any
//     run that passes. A number of users that the segment may have had before the run,
//     or that was there at the first look after the segment's first run,
//     is no sign that the store took it in: that counts from until on, or where the
//     Summary says by AsOf that it is complete up to after the run was submitted, or
//     shows just the users of Expected by their fingerprint.
//   - One that fails before until waits, as the store may be on its way, unless the
//     Summary says by AsOf that it is complete. From until on it is recorded as
//     rejected, and people are told that it is live, with what look measured or, as
//     Unverified, that it did not.
//
// Each call of look has GuardConfig.Timeout, and the segment meanwhile: the next run
// waits for that. Submitted.Side says what look is to
// read; for a run that is a Delta it is called once for each side. It
// may return bounds (validate.Bounded) where that is all that the store tells: see
// Policy.AllowPossible.
//
// Call it every few minutes, on as many machines as it takes: a run is settled once.
// One that cannot be read or recorded does not keep Settle from the others. The error
// is nil if none failed, and else has the first three reasons: a *validate.Error of a
// run that was settled and failed, and whatever look and the ledger return. What waits
// is no error, nor what fails where the rule only observes.
func (g *Guard) Settle(ctx context.Context, look func(context.Context, Submitted) (validate.Summary, error)) (all Settlement, err error) {
	switch {
	case look == nil:
		return all, wrap("segment: settle", badInput("look", "nil", "a function that reads back what a store holds"))
	case g.config.Ledger == nil:
		return all, wrap("segment: settle", badInput("GuardConfig.Ledger", "nil", "the ledger that remembers what was submitted"))
	}
	ctx, span := g.tracer.Start(ctx, "settle segments")
	defer span.End()
	var failures []error
	for found, err := range g.submitted(ctx) {
		if err != nil {
			failures = append(failures, err)
			break
		}
		at := g.now()
		failures = append(failures, g.settle(ctx, found, at, &all, func(ctx context.Context, side Side) (stored validate.Summary, err error) {
			err = within(ctx, g.config.Timeout, func(ctx context.Context) error {
				asked := *found
				asked.Side = side
				stored, err = look(ctx, asked)
				return err
			})
			return stored, err
		}))
	}
	span.SetAttributes(
		attribute.Int("segmentguard.settled.passed", all.Passed),
		attribute.Int("segmentguard.settled.failed", all.Failed),
		attribute.Int("segmentguard.settled.waiting", all.Waiting),
	)
	if err = wrap("segment: settle", joinFew(failures)); err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return all, err
}

// submitted yields the runs that were submitted, reading some at a time: none of the
// ledger's rows is held while one of them is judged.
func (g *Guard) submitted(ctx context.Context) func(yield func(*Submitted, error) bool) {
	return func(yield func(*Submitted, error) bool) {
		f := SegmentFilter{Submitted: true, Limit: settledAtOnce}
		for {
			found, last, err := g.someSubmitted(ctx, f)
			for _, s := range found {
				if ctx.Err() != nil {
					yield(nil, context.Cause(ctx))
					return
				}
				if !yield(s, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, wrap("reading what was submitted", err))
			}
			if err != nil || last == f.After {
				return
			}
			f.After = last
		}
	}
}

// someSubmitted returns those that f selects, and the key of the last.
func (g *Guard) someSubmitted(ctx context.Context, f SegmentFilter) (found []*Submitted, last Key, err error) {
	last = f.After
	for s, err := range g.config.Ledger.Segments(ctx, f) {
		if err != nil {
			return found, last, err
		}
		if s.Segment.IsZero() { // of which nobody knows whose it is: a sweep tells
			continue
		}
		if last = s.Key(); s.Submitted != nil {
			found = append(found, s.submission())
		}
	}
	return found, last, nil
}

// submission returns the run that waits for its store, with the name that its segment
// has now.
func (s *SegmentState) submission() *Submitted {
	found := *s.Submitted
	found.Segment, found.Store, found.Job.To = s.Segment, s.Store, s.Segment
	return &found
}

// settle judges one run by what look reads, or what was read at a time already, and
// counts what it comes to.
func (g *Guard) settle(ctx context.Context, s *Submitted, at time.Time, all *Settlement, look func(context.Context, Side) (validate.Summary, error)) error {
	ctx, span := g.tracer.Start(ctx, "settle segment")
	defer span.End()
	r := &guardedRun{guard: g, run: s.run(), settling: true, turn: turn{store: s.Store, begun: true, start: Start{s.Number, s.Generation}}}
	r.describe()
	settled := false
	defer func() {
		if r.lease.end(); !settled {
			r.release(ctx)
		}
	}()
	settled, err := r.settle(ctx, s, at, look)
	if span.IsRecording() {
		annotate(span, r, err)
	}
	switch {
	case !settled:
		all.Waiting++
		return wrap(fmt.Sprintf("run %s of %s", s.RunID, s.Segment), err)
	case yields(err) && !r.yielded: // another run took its place
		return nil
	case err == nil && r.report.Passed():
		all.Passed++
	case err == nil: // as the rule only observes
		all.Failed++
	default:
		all.Failed++
		r.log(ctx, "run failed", err)
	}
	if g.runs.Enabled(ctx) {
		r.count(ctx, err)
	}
	if r.untold != nil {
		r.log(ctx, toldLater, r.untold)
	}
	return err
}

// run returns the run as it was submitted.
func (s *Submitted) run() Run {
	return Run{
		ID: s.RunID, Attempt: s.Attempt, Build: s.Build, Job: s.Job, Counter: s.Counter, Live: true, WrittenAt: s.WrittenAt,
		Expected: s.Expected, Read: s.Read, Written: s.Written,
	}
}

// settle judges the run, and reports whether that is its verdict.
func (r *guardedRun) settle(ctx context.Context, s *Submitted, at time.Time, look func(context.Context, Side) (validate.Summary, error)) (bool, error) {
	due := !at.Before(s.Until)
	rule, ruleless := r.findRule(ctx)
	if r.store = s.Store; ruleless == nil {
		ruleless = rule.check()
	}
	if ruleless == nil {
		r.rule = rule
		r.rule.Lag = Lag{} // it had its time
	}
	switch mine, err := r.takeOver(ctx, s); {
	case errors.Is(err, ErrSuperseded):
		failed := r.giveUp(ctx, s, err)
		return failed == nil, cmp.Or(failed, err)
	case !mine:
		return false, err
	}
	if ruleless != nil {
		r.at = r.guard.now()
		r.unverified(ruleless)
		if !due {
			return false, ruleless
		}
		return true, r.conclude(ctx)
	}
	var unread error
	side := func(side Side) func(context.Context) (validate.Summary, error) {
		return func(ctx context.Context) (validate.Summary, error) {
			stored, err := look(ctx, side)
			if unread = cmp.Or(unread, err); r.out.WrittenAt.IsZero() && !stored.CompleteUpTo().IsZero() {
				r.out.WrittenAt = s.At
			}
			return stored, err
		}
	}
	if r.run.Stored = side(SideStored); s.Delta != nil {
		r.run.Delta = &Delta{Removed: s.Delta.Removed, Remaining: side(SideRemaining), Whole: side(SideWhole)}
		r.last = &s.Delta.Last
	}
	r.judge(ctx)
	if !due && !s.answered(&r.report) || ctx.Err() != nil {
		return false, join(unread, r.firstSeen(ctx, s), context.Cause(ctx))
	}
	return true, r.conclude(ctx)
}

// takeOver takes the segment for as long as the run is judged, and reports whether it
// did: not where another run has it, nor where somebody else settled this one.
func (r *guardedRun) takeOver(ctx context.Context, s *Submitted) (bool, error) {
	if s.Generation < 0 {
		r.begun = false // as what is known of the segment came under another name
	}
	err := r.takeLease(ctx)
	if _, held := errors.AsType[*heldError](err); held {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.overlapped = r.overlapped && r.before != s.RunID // who settled it before did not write
	var now SegmentState
	if err := r.read(ctx, r.key(), &now); err != nil {
		return false, err
	}
	return now.Submitted.is(s.RunID, s.Attempt), nil
}

// firstSeen keeps what the store showed when it was first read after the first run:
// what it shows later is a sign where it is something else. After other runs it may be
// what one of them is yet to bring.
func (r *guardedRun) firstSeen(ctx context.Context, s *Submitted) error {
	whole := r.report.Whole()
	if !s.First || s.Before != nil || !counts(whole) || !exact(&whole) || ctx.Err() != nil {
		return nil //nolint:nilerr // the caller returns why the context ended
	}
	seen := &validate.Size{Users: whole.Users(), At: r.at, Counter: s.Counter}
	return wrap("writing down what was seen", within(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		return r.guard.config.Ledger.Change(ctx, []Key{r.key()}, func(now *SegmentState) error {
			if now.Submitted.is(s.RunID, s.Attempt) && now.Submitted.Before == nil {
				now.Submitted.Before = seen
			}
			return nil
		})
	}))
}

// giveUp drops a run in whose place another one is live, or may be.
func (r *guardedRun) giveUp(ctx context.Context, s *Submitted, why error) error {
	return afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		return r.guard.config.Ledger.Change(ctx, []Key{r.key()}, func(now *SegmentState) error {
			if now.Submitted.is(s.RunID, s.Attempt) {
				now.supersede(r.guard.now(), why.Error())
			}
			return nil
		})
	})
}

// answered reports whether what was read back says by itself that the store took the
// run in, and that it is on its way no more. What another look may still show is no
// answer.
func (s *Submitted) answered(r *validate.Report) bool {
	written := s.At
	if s.WrittenAt.After(written) {
		written = s.WrittenAt
	}
	stored := r.Whole()
	switch complete := stored.CompleteUpTo(); {
	case !counts(stored):
		return false
	case !complete.IsZero():
		return !complete.Before(written) && (r.Proven() || !slices.ContainsFunc(r.Findings, passing))
	case !r.Passed():
		return false
	case r.SameUsers && s.Delta == nil:
		return true
	case s.Before == nil || s.Before.Counter != s.Counter:
		return false
	}
	lower, upper := stored.Range()
	noise := 3 * stored.RelErr() * float64(upper)
	return float64(s.Before.Users) < float64(lower)-noise || float64(s.Before.Users) > float64(upper)+noise
}
