package segment

import (
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An observation is what a guard, a sweep or a person has to say of a segment's
// alert. The table of what follows from it is in alert_observe_test.go.
type observation struct {
	event event
	at    time.Time
	alert Alert  // of aFault: what was found
	why   string // of aClosing and anExcuse: why it is over

	number int64 // of aPass: the run's; 0: it has none
	report *validate.Report

	inside bool // of aHealthySweep: not only within what is allowed, but half-way inside
	known  bool // of aHealthySweep: the store holds what the last run left live
	later  bool // of aHealthySweep: a run that began after the alert's is live

	incident  string        // of aMembership: the ID of the incident
	groupWait time.Duration // of aMembership: what was told that long ago has rung
}

// An event is the kind of an observation.
type event int

const (
	aFault        event = iota // a run failed, could not be verified, or passed with a warning of a kind; or a sweep found the segment affected
	aPass                      // a run passed, without a warning or with one that only explains
	aHealthySweep              // a sweep found the segment healthy
	aClosing                   // somebody's word ends the alert: accepted, forgotten, a false alarm
	anExcuse                   // a size off its history is accepted for a while
	aMembership                // an incident formed that the segment is a member of
	aMute                      // notifications are held from now on
	anUnmute                   // they are no longer
	aLoss                      // the alerter does not have what it was told
)

// observe takes in an observation, and returns what the log is to say of it.
func (s *AlertState) observe(o observation) []Action {
	switch o.event {
	case aFault:
		return s.fault(o.alert)
	case aPass:
		return s.pass(&o)
	case aHealthySweep:
		return s.healthy(&o)
	case aClosing:
		return s.over(o.why)
	case anExcuse:
		if s.Open != nil && offHistory(s.Open.Kind) {
			return s.over(o.why)
		}
	case aMembership:
		s.join(&o)
	case aMute:
		if s.Open != nil && s.Muted == nil {
			s.Muted = new(s.worst())
		}
	case anUnmute:
		s.Muted = nil
	case aLoss:
		s.Told = slices.DeleteFunc(slices.Clone(s.Told), func(t Told) bool { return slices.Contains(s.Marks, t.Mark) })
	}
	return nil
}

// offHistory reports whether a kind is about a size that the history does not
// allow. Nothing is proven by that.
func offHistory(k validate.Kind) bool { return k == validate.Dropped || k == validate.Risen }

// fault takes in what was found now. A fault that stands keeps the time at which
// it came, and the build that brought it.
func (s *AlertState) fault(a Alert) []Action {
	switch {
	case s.Open == nil:
		return s.open(a)
	case a.bySweep() && a.Kind == validate.Unverified && !a.Missing: // it could not count: that is neither better nor worse
		return nil
	}
	s.Healthy, s.Days, s.Passed, s.Unsettled = 0, nil, false, s.Unsettled || a.State == RunUnknown
	if a.bySweep() && !s.Open.bySweep() && !s.graver(&a) {
		s.Open.At = a.At // a sweep does not know as much as the guard
		return nil
	}
	was := s.worst()
	a.Since, a.Build, a.Job.Kind = s.Open.Since, s.Open.Build, s.Open.Job.Kind
	a.Number = max(a.Number, s.Open.Number) // only a run that began after all that failed makes it over
	if a.bySweep() {                        // the guard's fault stands below it, until a run passes
		a.RunID, a.Attempt, a.State, s.Swept = s.Open.RunID, s.Open.Attempt, s.Open.State, true
	}
	s.Reworded = s.Reworded || a.Text != s.Open.Text
	s.Open = &a
	is := was.worst(&a)
	if is == was || s.Flapping && a.Urgency != Page {
		return nil
	}
	s.Marks = append(s.Marks, is)
	return []Action{ActionWorse}
}

// open opens the alert. The third opening within a day is flapping.
func (s *AlertState) open(a Alert) []Action {
	s.Opened = slices.DeleteFunc(slices.Clone(s.Opened), func(t time.Time) bool { return a.At.Sub(t).Abs() >= day })
	s.Opened = append(s.Opened[max(0, len(s.Opened)-flappingOpenings+1):], a.At)
	s.Flapping = len(s.Opened) == flappingOpenings
	if s.Flapping {
		a.Text += "; it came back twice within a day, and stays open until a day without a finding is over"
	}
	s.Open, s.Incident, s.Over = &a, a.Incident, ""
	s.Swept, s.Unsettled = a.bySweep(), a.State == RunUnknown
	s.Marks = []Mark{a.mark()}
	return []Action{ActionOpened}
}

const (
	day              = 24 * time.Hour
	flappingOpenings = 3
)

// worst returns the worst mark of this onset; the zero Mark if nothing is open.
func (s *AlertState) worst() Mark {
	if len(s.Marks) == 0 {
		return Mark{}
	}
	return s.Marks[len(s.Marks)-1]
}

// graver reports whether a is worse than what is open.
func (s *AlertState) graver(a *Alert) bool {
	m := a.mark()
	return m.worse(&Mark{Urgency: s.Open.Urgency, Kind: s.Open.Kind, Level: s.Open.Level})
}

// pass takes in a run that passed, as far as one run can tell: not what a run that
// began later found, and not that a commit's outcome is unknown, which only a sweep
// can see in the store.
func (s *AlertState) pass(o *observation) []Action {
	switch {
	case s.Open == nil, s.Unsettled, o.number != 0 && s.Open.Number > o.number:
		return nil
	case offHistory(s.Open.Kind):
		if slices.ContainsFunc(o.report.Findings, func(f validate.Finding) bool { return offHistory(f.Kind) }) {
			return nil
		}
		return s.rightSize(o)
	case s.Swept:
		s.Passed = true
		return nil
	}
	return s.ends(o, "a later run passed")
}

// rightSize takes in a size that its history allows. Two UTC days of them are as
// good as it was before.
func (s *AlertState) rightSize(o *observation) []Action {
	date := o.at.UTC().Truncate(day)
	if !slices.ContainsFunc(s.Days, date.Equal) {
		s.Days = append(s.Days, date)
	}
	if len(s.Days) < rightDays {
		return nil
	}
	return s.ends(o, "its size was right on two days")
}

const (
	rightDays     = 2 // UTC days on which a size must be right
	healthySweeps = 2 // sweeps in a row that must find nothing
)

// healthy takes in a sweep that found nothing wrong with the segment. What a guard
// found is over only by a later run, whose users the store holds.
func (s *AlertState) healthy(o *observation) []Action {
	if s.Open == nil || !o.inside {
		return nil
	}
	s.Unsettled = s.Unsettled && !o.known
	byGuard := !s.Open.bySweep() && s.Open.State != RunUnknown
	size := offHistory(s.Open.Kind)
	if s.Swept && !size {
		s.Healthy++
		s.Swept = s.Healthy < healthySweeps && !s.Passed
	}
	switch {
	case s.Unsettled, s.Swept && !size, byGuard && !(o.known && o.later):
		return nil
	case size:
		return s.rightSize(o)
	}
	return s.ends(o, "the store holds the right users")
}

// ends ends the alert, unless it is flapping and a day without a finding is not
// over.
func (s *AlertState) ends(o *observation, why string) []Action {
	if s.Flapping && o.at.Sub(s.Open.At) < day {
		return nil
	}
	return s.over(why)
}

// over ends the alert and all its marks.
func (s *AlertState) over(why string) []Action {
	if s.Open == nil {
		return nil
	}
	*s = AlertState{Told: s.Told, Trying: s.Trying, Claimed: s.Claimed, Opened: s.Opened, Over: why}
	return []Action{ActionOver}
}

// join makes the segment a member of an incident. What has rung keeps its labels:
// the alerter would say that it is over, while it is not.
func (s *AlertState) join(o *observation) {
	if s.Open == nil || s.Flapping || s.Incident != "" {
		return
	}
	s.Incident = o.incident
	if s.rung(o.at, o.groupWait) {
		return
	}
	for i := range s.Marks {
		s.Marks[i].Incident = o.incident
	}
}
