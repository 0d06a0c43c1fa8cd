package segment

import (
	"context"
	"fmt"

	"github.com/segmentguard/segmentguard/validate"
)

// A Delta says that a run adds users to the live segment and removes others, and how to
// see that it did. The sides of its Run are about the users that it adds: Expected is
// how many there are to add, and Stored reads back who of them is there afterwards. What
// they are judged by is said at [validate.Delta].
type Delta struct {
	// Removed is how many users were to be removed; validate.Count(0) where none were.
	Removed validate.Summary
	// Remaining reads back who of them is still there. Nil only where none were to be removed.
	Remaining func(context.Context) (validate.Summary, error)
	// Whole reads back the segment afterwards. It is the size that is kept, by which the
	// next ones are judged.
	Whole func(context.Context) (validate.Summary, error)
}

// check returns what keeps the change from being judged.
func (d *Delta) check() error {
	switch {
	case d.Removed.IsZero():
		return badInput("Run.Delta.Removed", "not measured", "the users that were to be removed, validate.Count(0) where there are none")
	case d.Whole == nil:
		return badInput("Run.Delta.Whole", "nil", "a function that reads back the segment afterwards")
	case d.Remaining == nil && d.Removed != validate.Count(0):
		return badInput("Run.Delta.Remaining", "nil", "a function that reads back who of the removed is still there")
	}
	return nil
}

// change returns what is known of the change before anything is read back. What the
// segment held before is what was live, as the last run or sweep left it, by the same
// counter.
func (r *guardedRun) change() *validate.Delta {
	d := &validate.Delta{Last: validate.Unknown(), Removed: r.run.Delta.Removed, Drift: r.rule.Drift}
	if r.last != nil {
		d.Last = *r.last
	} else if live := r.state.Live; live != nil && live.Counter == r.run.Counter {
		d.Last = validate.Count(live.Users)
	}
	return d
}

// readChange reads back what the segment holds of the change, and the whole of it.
func (r *guardedRun) readChange(ctx context.Context) {
	read := func(doing string, side func(context.Context) (validate.Summary, error)) validate.Summary {
		s, err := side(ctx)
		if err != nil {
			return validate.Unmeasured(&outage{doing, err})
		}
		return s
	}
	d := *r.out.Delta
	if r.run.Delta.Remaining != nil {
		d.Remaining = read("reading back who of the removed is there", r.run.Delta.Remaining)
	}
	d.Whole = read("reading back the whole segment", r.run.Delta.Whole)
	r.out.Delta = &d
}

// beside returns an error where the change cannot be told from what another run is
// yet to bring.
func (r *guardedRun) beside(s *SegmentState) error {
	if r.run.Delta == nil || r.settling || s.Submitted == nil || s.Submitted.RunID == r.run.ID {
		return nil
	}
	return &outage{"judging a change", fmt.Errorf("%w: run %s is submitted until %s and not settled (Guard.Settle), so that nobody knows what the segment held before",
		ErrBusy, s.Submitted.RunID, s.Submitted.Until.UTC().Format("2006-01-02 15:04:05"))}
}
