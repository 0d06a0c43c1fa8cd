package segment

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An Excuse is what somebody planned for a segment.
type Excuse struct {
	validate.Excuse
	Decision

	Used bool `json:"used,omitempty"` // a size was excused by it
}

// Validate returns a *validate.InputError that names what is wrong.
func (e *Excuse) Validate() error {
	if err := e.Excuse.Validate(); err != nil {
		return err
	}
	return e.Decision.Validate()
}

// Runs are a segment's runs in time.
type Runs struct {
	validate.Runs

	RunID string `json:"run_id,omitempty"` // the last of them, whose attempts count once
}

func (r *Runs) isZero() bool { return len(r.Times) == 0 && r.Good.IsZero() && r.Since.IsZero() }

// keptRuns is how many times of runs are kept: ten gaps are judged by.
const keptRuns = 11

// add takes in what a run came to.
func (r *Runs) add(record *Record) {
	switch record.State {
	case RunStarted, RunPassed, RunOvertaken, RunSubmitted:
		return // on its way, or in another one's favour
	case RunCommitted, RunRejected, RunObserved, RunUnknown, RunFailed:
	}
	if r.Since.IsZero() {
		r.Since = record.At
	}
	fresh := record.RunID != r.RunID
	if fresh && !record.Settled {
		r.RunID = record.RunID
		r.Times = append(slices.Clone(r.Times), record.At)
		slices.SortStableFunc(r.Times, time.Time.Compare)
		r.Times = r.Times[max(0, len(r.Times)-keptRuns):]
	}
	switch {
	case record.State == RunCommitted, record.State == RunObserved && record.Report != nil && record.Report.Passed():
		if record.At.After(r.Good) {
			r.Good = record.At
		}
		r.Rejected, r.Unverified, r.Failed = 0, 0, 0
	case !fresh:
	case record.State == RunUnknown, record.State == RunFailed:
		r.Failed++
	case record.Report != nil && !record.Report.Proven():
		r.Unverified++
	default:
		r.Rejected++
	}
}

// remember keeps the size of a run, as its report says.
func (s *SegmentState) remember(r *Record) {
	size := r.Size()
	switch {
	case r.Report == nil, !r.Report.Passed(): // but live and all right, as whoever recorded it says
		if r.InBaseline() {
			s.Add(size)
			s.Candidates = nil
		} else if r.Report != nil && (r.State == RunRejected || r.State == RunObserved) {
			s.reject(r)
		}
	case r.InBaseline():
		s.Take(r.Report, size)
		if r.Report.Excuse != nil {
			s.excused(r)
		}
	}
}

// reject keeps a size that was not all right as a candidate for a new level, unless a
// later run is live.
func (s *SegmentState) reject(r *Record) {
	size := r.Size()
	if d := r.Report.Delta; d != nil && d.Whole.IsZero() {
		return // of the whole nothing is known
	} else if r.Report.Stored.IsZero() { // before the first write
		s.coming(r.Report, &size)
	}
	if !s.older(r.Number) && !size.At.IsZero() && size.Users >= 0 && size.Read >= 0 {
		s.Take(r.Report, size)
	}
}

// coming fills in how many users there would have been of a run that was rejected before
// its first write. Where ids are mapped, and none were yet, that is the last rate of
// those that were read, or that were there to be read.
func (s *SegmentState) coming(r *validate.Report, size *validate.Size) {
	for _, side := range []*validate.Summary{&r.Written, &r.Read, &r.Expected} {
		if !counts(*side) || !exact(side) {
			continue
		}
		size.Users = side.Users()
		if side == &r.Written || r.Policy.Mapping == (validate.Ratio{}) {
			return
		}
		size.Read = side.Users()
		for _, last := range slices.Backward(s.Sizes) {
			if last.Users > 0 && last.Read > 0 && last.Counter == size.Counter {
				size.Users = int64(math.Round(float64(last.Users) / float64(last.Read) * float64(size.Read)))
				return
			}
		}
		return
	}
}

// excused notes that the size of a run that is live was excused, and by what. One that
// is for good is used up by that.
func (s *SegmentState) excused(r *Record) {
	for i := range s.Excuses {
		if !sameExcuse(&s.Excuses[i].Excuse, r.Report.Excuse) {
			continue
		}
		s.use(i, r.At, r.RunID, r.Users, r.Report.Level == validate.LevelNew)
		return
	}
}

// use notes that an excuse excused a size. One that is used up is dropped.
func (s *SegmentState) use(i int, at time.Time, runID string, users int64, up bool) {
	s.Excuses = slices.Clone(s.Excuses)
	e := &s.Excuses[i]
	e.Used = true
	s.Log = append(s.Log, LogEntry{
		Segment: s.Segment, Store: s.Store, At: at, Action: ActionExcused, RunID: runID, By: e.By, Why: e.Why,
		Text: fmt.Sprintf("%s, by what was decided at %s", validate.Count(users), e.At.UTC().Format(time.RFC3339)),
	})
	if up {
		s.Excuses = slices.Delete(s.Excuses, i, i+1)
	}
}

func sameExcuse(a, b *validate.Excuse) bool {
	x, y := *a, *b
	x.From, x.Until, y.From, y.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return x == y && a.From.Equal(b.From) && a.Until.Equal(b.Until)
}

// excuses returns what was planned as a check takes it.
func (s *SegmentState) excuses() (planned []validate.Excuse) {
	for i := range s.Excuses {
		planned = append(planned, s.Excuses[i].Excuse)
	}
	return planned
}

// excuses reports whether an excuse covers what an alert is about: nothing but a size
// off its history, as it was at the time.
func excuses(e *validate.Excuse, a *Alert, sizes []validate.Size) bool {
	if a.Size == nil || a.Size.At.Before(e.From) || !a.Size.At.Before(e.Until) {
		return false
	}
	for _, f := range a.Report.Findings {
		if !offHistory(f.Kind) && !f.Explains && (f.Kind != validate.Empty || !e.Empty) {
			return false
		}
	}
	last := int64(0)
	for _, size := range sizes {
		if size.Users > 0 && size.Counter == a.Size.Counter && size.At.Before(e.From) {
			last = size.Users
		}
	}
	return e.Covers(a.Size.Users, last)
}

// setApart says of the candidates for a new level, since the segment became affected,
// that they are those of an incident: no level is learned from them.
func (s *SegmentState) setApart() {
	s.Candidates = slices.Clone(s.Candidates)
	for i := range s.Candidates {
		if size := &s.Candidates[i]; size.Level == validate.LevelOff && !size.At.Before(s.Alert.Open.Since) {
			size.Level = validate.LevelApart
		}
	}
}
