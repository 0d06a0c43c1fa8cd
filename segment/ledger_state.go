package segment

import (
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// KeptSizes is how many sizes of a segment's baseline a ledger keeps at hand:
// twice what a size is judged by.
const KeptSizes = 60

// A SegmentState is all that a ledger keeps at hand of a segment, in one place:
// a sweep over all segments reads nothing else.
type SegmentState struct {
	Segment  ID              `json:"segment"`
	Sizes    []validate.Size `json:"sizes"`              // its baseline, oldest first, the last KeptSizes
	Last     Record          `json:"last,omitzero"`      // what was recorded last, without its report; zero: nothing was
	Live     *validate.Size  `json:"live,omitempty"`     // what is live after the last run; nil: not known
	Accepted *Decision       `json:"accepted,omitempty"` // the last one; nil: none
	Alert    AlertState      `json:"alert,omitzero"`

	// Log is for the function that Ledger.Change calls: what it appends is added
	// to the log.
	Log []LogEntry `json:"-"`
}

// IsZero reports whether nothing is known of the segment.
func (s *SegmentState) IsZero() bool {
	return len(s.Sizes) == 0 && s.Last.State == "" && s.Live == nil && s.Accepted == nil && s.Alert.IsZero()
}

// Record takes in an attempt's new state. A Ledger calls it where it records.
func (s *SegmentState) Record(r Record) {
	if r.InBaseline() {
		s.keep(r.Size())
	}
	if s.Last.State.live() && r.State.GoesLive() && r.before(&s.Last) {
		return
	}
	s.setLive(&r)
	s.Last = r
	s.Last.Report = nil
}

// before reports whether it went live before another attempt and became known
// after it. Of one run's attempts the newer is the later, whatever clocks say.
func (r *Record) before(last *Record) bool {
	if r.RunID == last.RunID {
		return r.Attempt < last.Attempt
	}
	return r.At.Before(last.At)
}

// setLive keeps what is live after an attempt. A run that was rejected leaves
// what was live before; what was estimated, or not counted, is not known.
func (s *SegmentState) setLive(r *Record) {
	switch {
	case r.State == RunRejected && !r.Live, r.State == RunPassed:
	case (r.State == RunCommitted || r.State == RunObserved && r.measured()) && (r.Report == nil || r.Report.Stored.RelErr() == 0):
		size := r.Size()
		s.Live = &size
	default:
		s.Live = nil
	}
}

// keep adds a size to the baseline, in order of time: a guard whose clock is
// behind must not make the history bad input.
func (s *SegmentState) keep(size validate.Size) {
	i, _ := slices.BinarySearchFunc(s.Sizes, size, func(a, b validate.Size) int {
		if a.At.After(b.At) {
			return 1
		}
		return -1
	})
	s.Sizes = slices.Insert(s.Sizes, i, size)
	s.Sizes = s.Sizes[max(0, len(s.Sizes)-KeptSizes):]
}

// accept starts the baseline anew from a size, and closes the alert.
func (s *SegmentState) accept(size validate.Size, d Decision) {
	s.Sizes, s.Accepted, s.Alert.Open = []validate.Size{size}, &d, nil
}

// suspect takes a size out of the baseline.
func (s *SegmentState) suspect(size validate.Size) {
	s.Sizes = slices.DeleteFunc(s.Sizes, func(kept validate.Size) bool { return same(kept, size) })
}

// add adds sizes that no guard recorded. What an acceptance put an end to does
// not come back. A ledger keeps microseconds, so a size is known by those.
func (s *SegmentState) add(sizes []validate.Size) {
	for _, size := range sizes {
		size.At, size.Unguarded = time.UnixMicro(size.At.UnixMicro()).UTC(), true
		over := s.Accepted != nil && len(s.Sizes) > 0 && size.At.Before(s.Sizes[0].At)
		known := func(kept validate.Size) bool { return kept.At.Equal(size.At) && kept.Counter == size.Counter }
		if !over && !slices.ContainsFunc(s.Sizes, known) {
			s.keep(size)
		}
	}
}

// forget drops all but what the alerter was told, so that it learns that it is
// over.
func (s *SegmentState) forget() {
	*s = SegmentState{Segment: s.Segment, Alert: AlertState{Told: s.Alert.Told, Claimed: s.Alert.Claimed}}
}

func same(a, b validate.Size) bool {
	return a.Users == b.Users && a.Read == b.Read && a.At.Equal(b.At) && a.Counter == b.Counter
}
