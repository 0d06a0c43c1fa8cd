package segment

import (
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// KeptSizes is how many sizes a ledger keeps at hand of a segment's baseline:
// twice what a size is judged by.
const KeptSizes = 60

// A Tracked is what a ledger keeps at hand of a segment, in one place: what a
// sweep over all segments reads. Its methods are how that changes; a ledger
// calls them in the same transaction in which it writes its log.
type SegmentState struct {
	Segment  ID              `json:"segment"`
	Sizes    []validate.Size `json:"sizes"`              // its baseline, oldest first, the last KeptSizes
	Last     Attempt         `json:"last,omitzero"`      // what was recorded last; zero: nothing was
	Live     *validate.Size  `json:"live,omitempty"`     // what the last run left live; nil: nobody knows
	Accepted *Acceptance     `json:"accepted,omitempty"` // the last one, nil if there is none
}

// An Attempt is a record without its report and the segment it is about.
type Attempt struct {
	RunID   string    `json:"run_id"`
	Attempt int       `json:"attempt"`
	State   RunState  `json:"state"`
	JobID   string    `json:"job_id"`
	JobKind JobKind   `json:"job_kind"`
	Build   string    `json:"build,omitempty"`
	Users   int64     `json:"users"`
	Read    int64     `json:"read,omitempty"`
	Counter string    `json:"counter,omitempty"`
	At      time.Time `json:"at"`
}

func (r *Record) attempt() Attempt {
	return Attempt{r.RunID, r.Attempt, r.State, r.JobID, r.JobKind, r.Build, r.Users, r.Read, r.Counter, r.At}
}

// live reports whether its output is live for certain.
func (a *Attempt) live() bool { return a.State == RunCommitted || a.State == RunObserved }

// Record adds an attempt's new state.
func (t *SegmentState) Record(r Record) {
	if r.InBaseline() {
		t.keep(r.Size())
	}
	if t.Last.live() && r.State.goesLive() && r.before(&t.Last) {
		return
	}
	t.Last = r.attempt()
	t.live(&r)
}

// before reports whether it went live before another attempt and became known
// after it. Of one run's attempts the newer is the later, whatever clocks say.
func (r *Record) before(last *Attempt) bool {
	if r.RunID == last.RunID {
		return r.Attempt < last.Attempt
	}
	return r.At.Before(last.At)
}

// live keeps what is live after an attempt. A run that was rejected leaves live
// what was there before; what an estimate counted, or nobody did, is not known.
func (t *SegmentState) live(r *Record) {
	switch {
	case r.State == RunRejected && !r.Live, r.State == RunPassed:
	case (r.State == RunCommitted || r.State == RunObserved && r.sized() == nil) && r.Report.Stored.RelErr() == 0:
		size := r.Size()
		t.Live = &size
	default:
		t.Live = nil
	}
}

// Accept starts the baseline anew from the size of a run's last attempt.
func (t *SegmentState) Accept(r Record, a Acceptance) error {
	if err := r.sized(); err != nil {
		return err
	}
	t.Sizes, t.Accepted = []validate.Size{r.Size()}, &a
	return nil
}

// Suspect takes the size of a run's last attempt out of the baseline.
func (t *SegmentState) Suspect(r Record) {
	size := r.Size()
	t.Sizes = slices.DeleteFunc(t.Sizes, func(s validate.Size) bool { return same(s, size) })
}

// Import adds sizes that no guard recorded. What an acceptance put an end to does
// not come back.
func (t *SegmentState) Import(sizes []validate.Size) {
	for _, size := range sizes {
		over := t.Accepted != nil && len(t.Sizes) > 0 && size.At.Before(t.Sizes[0].At)
		known := func(s validate.Size) bool { return s.At.Equal(size.At) && s.Counter == size.Counter }
		if !over && !slices.ContainsFunc(t.Sizes, known) {
			size.Unguarded = true
			t.keep(size)
		}
	}
}

// keep adds a size to the baseline, in order of time: a guard whose clock is
// behind must not make the history bad input.
func (t *SegmentState) keep(size validate.Size) {
	i, _ := slices.BinarySearchFunc(t.Sizes, size, func(a, b validate.Size) int {
		if a.At.After(b.At) {
			return 1
		}
		return -1
	})
	t.Sizes = slices.Insert(t.Sizes, i, size)
	t.Sizes = t.Sizes[max(0, len(t.Sizes)-KeptSizes):]
}

func same(a, b validate.Size) bool {
	return a.Users == b.Users && a.Read == b.Read && a.At.Equal(b.At) && a.Counter == b.Counter
}
