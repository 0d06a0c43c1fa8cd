package segment

import (
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An AlertState is what a ledger keeps of a segment's alert: what is wrong, by
// which marks people are told of it, and which of those the alerter has. As long
// as the two differ, somebody has to tell the alerter; nothing is lost if that
// fails, or if the process dies over it.
type AlertState struct {
	Open *Alert `json:"open,omitempty"` // what is wrong; nil: nothing
	// Marks are the marks of this onset, in the order in which they came. Each
	// is at least as bad as those before it.
	Marks []Mark `json:"marks,omitempty"`
	// Incident is the ID of the incident that the segment is a member of. Its
	// marks only have it where it had not rung before.
	Incident string `json:"incident,omitempty"`
	Told     []Told `json:"told,omitempty"` // what the alerter was told, and not yet that it is over
	// Trying is what somebody began to tell the alerter, and what it may have heard
	// or not. It is told again, or that it is over.
	Trying []Mark `json:"trying,omitempty"`
	// Claimed is until when somebody is telling the alerter. A claim runs out, so
	// that the next one takes over from a process that died.
	Claimed time.Time `json:"claimed,omitzero"`

	Swept     bool        `json:"swept,omitempty"`     // a sweep found it, or found it worse than the guard had
	Unsettled bool        `json:"unsettled,omitempty"` // nobody knows what became of a commit; only a sweep that sees the store does
	Passed    bool        `json:"passed,omitempty"`    // a later run passed, and a sweep has yet to agree
	Healthy   int         `json:"healthy,omitempty"`   // how many sweeps in a row found nothing
	Days      []time.Time `json:"days,omitempty"`      // the UTC days on which the size was found right
	Opened    []time.Time `json:"opened,omitempty"`    // the last openings, three at most
	Flapping  bool        `json:"flapping,omitempty"`  // it opened three times within a day
	Muted     *Mark       `json:"muted,omitempty"`     // the worst mark when it was muted; nil: it is not
	Heard     time.Time   `json:"heard,omitzero"`      // when the alerter was told its text last
	Reworded  bool        `json:"reworded,omitempty"`  // its text changed since
	Over      string      `json:"over,omitempty"`      // why the last onset is over, until the alerter was told
}

// A Mark is by what people are told of an affected segment. What becomes worse is
// a further alert beside those that were told before, and all end together.
type Mark struct {
	Urgency  Urgency       `json:"severity"`
	Kind     validate.Kind `json:"kind"`
	Level    Level         `json:"level,omitempty"`
	JobKind  JobKind       `json:"job_kind,omitempty"`
	Build    string        `json:"build,omitempty"`
	Incident string        `json:"incident,omitempty"` // the ID of the incident that tells for it; empty: none
}

// A Told is a mark and when the alerter was first told of it.
type Told struct {
	Mark

	At time.Time `json:"at"`
}

// worst returns the worse of each of urgency, kind and level. The rest is that of
// m, which came first.
func (m Mark) worst(a *Alert) Mark {
	if a.Urgency == Page {
		m.Urgency = Page
	}
	if a.Kind.Compare(m.Kind) < 0 {
		m.Kind = a.Kind
	}
	if a.Level.Compare(m.Level) > 0 {
		m.Level = a.Level
	}
	return m
}

// IsZero reports whether there is nothing to keep.
func (s *AlertState) IsZero() bool { return !s.Affected() && len(s.Opened) == 0 }

// Affected reports whether the segment has an alert, or the alerter may believe so.
func (s *AlertState) Affected() bool {
	return s.Open != nil || len(s.Told) > 0 || len(s.Trying) > 0
}

// Pending reports whether the alerter is to be told of something.
func (s *AlertState) Pending() bool { return len(s.fresh()) > 0 || len(s.outdated()) > 0 }

// fresh returns the marks that the alerter is to be told.
func (s *AlertState) fresh() (marks []Mark) {
	for _, m := range s.Marks {
		if !s.told(m) && (s.Muted == nil || m.worse(s.Muted)) {
			marks = append(marks, m)
		}
	}
	return marks
}

// worse reports whether any of urgency, kind and level is worse.
func (m *Mark) worse(than *Mark) bool {
	return m.Urgency == Page && than.Urgency != Page || m.Kind.Compare(than.Kind) < 0 || m.Level.Compare(than.Level) > 0
}

func (s *AlertState) told(m Mark) bool {
	return slices.ContainsFunc(s.Told, func(t Told) bool { return t.Mark == m })
}

// outdated returns what the alerter was told, or may have heard, and is over.
func (s *AlertState) outdated() (over []Mark) {
	for _, t := range s.Told {
		if !slices.Contains(s.Marks, t.Mark) {
			over = append(over, t.Mark)
		}
	}
	for _, m := range s.Trying {
		if !slices.Contains(s.Marks, m) && !slices.Contains(over, m) {
			over = append(over, m)
		}
	}
	return over
}

// claim reserves telling the alerter for the caller until a time, and reports
// whether it did: not where another one is at it.
func (s *AlertState) claim(now, until time.Time) bool {
	if claimed(s.Claimed, now) {
		return false
	}
	s.Claimed = until
	for _, m := range s.fresh() {
		if !slices.Contains(s.Trying, m) {
			s.Trying = append(s.Trying, m)
		}
	}
	return true
}

// claimed reports whether a claim stands. One that ends later than any claim does
// is of a clock that is ahead, and holds nobody up.
func claimed(until, now time.Time) bool { return now.Before(until) && until.Sub(now) <= claimFor }

// rung reports whether people may have been told of this onset by now, whichever
// clock is ahead.
func (s *AlertState) rung(now time.Time, groupWait time.Duration) bool {
	return slices.ContainsFunc(s.Told, func(t Told) bool {
		return slices.Contains(s.Marks, t.Mark) && now.Sub(t.At).Abs() >= groupWait
	})
}

// clone returns a copy that shares nothing with s that anybody changes.
func (s *AlertState) clone() AlertState {
	c := *s
	if s.Open != nil {
		c.Open = new(*s.Open)
	}
	if s.Muted != nil {
		c.Muted = new(*s.Muted)
	}
	c.Trying = slices.Clone(s.Trying)
	c.Marks, c.Told, c.Days, c.Opened = slices.Clone(s.Marks), slices.Clone(s.Told), slices.Clone(s.Days), slices.Clone(s.Opened)
	return c
}

// alert returns what the alerter is told by a mark. over says that it is over.
func (s *AlertState) alert(id ID, m Mark) Alert {
	a := Alert{Segment: id, Text: s.Over}
	if s.Open != nil {
		a = *s.Open
	}
	a.Urgency, a.Kind, a.Level, a.Job.Kind, a.Build, a.Incident = m.Urgency, m.Kind, m.Level, m.JobKind, m.Build, m.Incident
	if len(s.Told) > 0 {
		a.Told = s.Told[0].At
	}
	return a
}
