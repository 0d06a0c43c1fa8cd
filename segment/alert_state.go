package segment

import (
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An AlertState is what a ledger keeps of a segment's alert: what is wrong, and
// what the alerter knows of it. As long as the two differ, somebody has to tell
// the alerter; nothing is lost if that fails, or if the process dies over it.
type AlertState struct {
	Open *Alert `json:"open,omitempty"` // what is wrong; nil: nothing
	Told *Alert `json:"told,omitempty"` // what the alerter was told last; nil: nothing, or that it is over
	// Claimed is until when somebody else is telling the alerter. A claim runs
	// out, so that the next one takes over from a process that died. As long as
	// there is one, nobody knows what the alerter heard.
	Claimed time.Time `json:"claimed,omitzero"`
}

// IsZero reports whether there is nothing to keep.
func (s AlertState) IsZero() bool { return s.Open == nil && s.Told == nil && s.Claimed.IsZero() }

// A fault is what an alert is about. As long as it is the same, the alert is a
// standing one, and nobody is told again.
type fault struct {
	kind     validate.Kind
	severity Urgency
	job      JobKind
}

func faultOf(a *Alert) fault {
	if a == nil {
		return fault{}
	}
	return fault{a.Kind, a.Urgency, a.Job.Kind}
}

// pending reports whether the alerter is to be told. What was being told, and
// never written down as told, may have been heard or not.
func (s *AlertState) pending() bool { return faultOf(s.Open) != faultOf(s.Told) || !s.Claimed.IsZero() }

// claim reserves telling the alerter for the caller until a time, and reports
// whether it did: not where nothing is to be told, or another one is at it.
func (s *AlertState) claim(now, until time.Time) bool {
	if s.IsZero() || !s.pending() || now.Before(s.Claimed) {
		return false
	}
	s.Claimed = until
	return true
}

// open takes in what was found now. A fault that stands keeps the time at which
// it came, and the build that brought it. A sweep does not know as much as the
// guard of a job: what that found stands until something graver is found.
func (s *AlertState) open(a Alert) {
	if s.Open != nil && a.bySweep() && !s.Open.bySweep() && !a.graver(s.Open) {
		return
	}
	for _, known := range []*Alert{s.Told, s.Open} {
		if known != nil && faultOf(&a) == faultOf(known) {
			a.Since, a.Build = known.Since, known.Build
			break
		}
	}
	if s.Open != nil { // only a run that began after all that failed makes it over
		a.Number = max(a.Number, s.Open.Number)
	}
	if s.Open != nil && a.bySweep() { // the guard's fault stands below it, until a run passes
		a.RunID, a.Attempt, a.State = s.Open.RunID, s.Open.Attempt, s.Open.State
	}
	s.Open = &a
}

// passed closes the alert after a run that passed, as far as one run can tell: not
// what a run that began later found, and not that a commit's outcome is unknown,
// which only a sweep can see in the store.
func (s *AlertState) passed(number int64, r *validate.Report) {
	if s.Open != nil && s.Open.State != RunUnknown && (number == 0 || s.Open.Number <= number) && !s.Open.beyond(r) {
		s.Open = nil
	}
}

// bySweep reports that no run of a job was found to be wrong, but what is live.
func (a *Alert) bySweep() bool { return a.RunID == "" }

// beyond reports whether a run that passed leaves the alert standing: it brought
// the very number of users again that a sweep found to be wrong, by looking at
// more than one run can. The next sweep tells whether it still is.
func (a *Alert) beyond(r *validate.Report) bool {
	wrong := a.Report.Stored
	again := func(s validate.Summary) bool { return counts(s) && counts(wrong) && s.Users() == wrong.Users() }
	return a.bySweep() && (again(r.Stored) || again(r.Read))
}

func counts(s validate.Summary) bool { return !s.IsZero() && !s.IsUnknown() }

func (a *Alert) graver(than *Alert) bool {
	if a.Urgency != than.Urgency {
		return a.Urgency == Page
	}
	return a.Kind.Compare(than.Kind) < 0
}
