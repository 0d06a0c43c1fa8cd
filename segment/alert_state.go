package segment

import (
	"slices"
	"strings"
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
func (s *AlertState) Pending() bool {
	return slices.ContainsFunc(s.Marks, s.isFresh) || len(s.Told)+len(s.Trying) > 0 && len(s.outdated()) > 0
}

// fresh returns the marks that the alerter is to be told.
func (s *AlertState) fresh() (marks []Mark) {
	for _, m := range s.Marks {
		if s.isFresh(m) {
			marks = append(marks, m)
		}
	}
	return marks
}

func (s *AlertState) isFresh(m Mark) bool { return !s.told(m) && (s.Muted == nil || m.worse(s.Muted)) }

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
	for _, m := range s.outdated() { // also that something is over: if it comes back, people are told again
		if s.told(m) {
			s.Trying = append(s.Trying, m)
		}
	}
	s.Told = slices.DeleteFunc(slices.Clone(s.Told), func(t Told) bool { return !slices.Contains(s.Marks, t.Mark) })
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
func (s *AlertState) alert(key Key, m Mark) Alert {
	a := Alert{Segment: key.Segment, Store: key.Store, Text: s.Over}
	if s.Open != nil {
		a = *s.Open
	}
	a.Urgency, a.Kind, a.Level, a.Job.Kind, a.Build, a.Incident = m.Urgency, m.Kind, m.Level, m.JobKind, m.Build, m.Incident
	if len(s.Told) > 0 {
		a.Told = s.Told[0].At
	}
	return a
}

// An observation is what a guard, a sweep or a person has to say of a segment's
// alert. The table of what follows from it is in alert_table_test.go.
type observation struct {
	event event
	at    time.Time
	alert Alert  // of aFault: what was found
	why   string // of aClosing and anExcuse: why it is over

	number int64 // of aPass, and of anExcuse that a run brings: the run's; 0: it has none
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
	anExcuse                   // a size off its history is excused for a while
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
		return s.excused(&o)
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
func offHistory(k validate.Kind) bool {
	return k == validate.Dropped || k == validate.Risen || k == validate.Leaking
}

// suspected reports whether nothing but a warning, or a size that the history does
// not allow, was found.
func (a *Alert) suspected() bool {
	warned := len(a.Report.Findings) > 0
	for i := range a.Report.Findings {
		warned = warned && a.Report.Findings[i].Severity == validate.Warn
	}
	return !a.Missing && a.Kind != validate.Unverified && (warned || offHistory(a.Kind))
}

// proven reports whether users are missing or not the right ones, as far as was seen.
func (a *Alert) proven() bool {
	return a.Missing || a.Kind != validate.Unverified && a.Kind != validate.Stale && !a.suspected()
}

// fault takes in what was found now. A fault that stands keeps the time at which
// it came, and the build that brought it.
func (s *AlertState) fault(a Alert) []Action {
	switch {
	case s.Open == nil:
		return s.open(a)
	case s.outweighs(&a):
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

// outweighs reports whether what was found now changes nothing beside what is open, or
// only its text.
func (s *AlertState) outweighs(a *Alert) bool {
	switch {
	case a.bySweep() && a.Kind == validate.Unverified && !a.Missing: // it could not count: that is neither better nor worse
		return true
	case a.Kind == validate.Stale && a.Kind.Compare(s.Open.Kind) > 0:
		s.beside(a)
		return true
	}
	return s.Swept && s.Open.proven() && a.suspected() // whether that is over is for a sweep to say
}

// beside says in the text of a graver alert that there was no good run for too long.
func (s *AlertState) beside(stale *Alert) {
	before, _, _ := strings.Cut(s.Open.Text, besideGraver)
	for _, f := range stale.Report.Findings {
		if f.Kind == validate.Stale {
			s.Open.Text, s.Open.At, s.Reworded = before+besideGraver+f.Detail, stale.At, true
		}
	}
}

const besideGraver = "; moreover, "

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
	case s.levelled(o.report):
		return s.over(normal(o.report))
	case offHistory(s.Open.Kind):
		if slices.ContainsFunc(o.report.Findings, func(f validate.Finding) bool { return offHistory(f.Kind) && !f.Explains }) {
			return nil
		}
		return s.rightSize(o)
	case s.Swept:
		s.Passed = true
		return nil
	case s.Open.suspected() && slices.ContainsFunc(o.report.Findings, func(f validate.Finding) bool { return f.Kind == s.Open.Kind }):
		return nil // it passed with the same warning again
	}
	return s.ends(o, "a later run passed")
}

// levelled reports whether a level became normal that stood for days, which ends all
// but a warning that the run passed with again.
func (s *AlertState) levelled(r *validate.Report) bool {
	again := func(f validate.Finding) bool { return f.Kind == s.Open.Kind && !f.Explains && !offHistory(f.Kind) }
	return r.Level == validate.LevelNew && r.Excuse == nil && !slices.ContainsFunc(r.Findings, again)
}

// excused takes in that a size off its history was planned, which excuses nothing of
// what a run found that began later.
func (s *AlertState) excused(o *observation) []Action {
	if s.Open == nil || !offHistory(s.Open.Kind) || o.number != 0 && s.Open.Number > o.number {
		return nil
	}
	return s.over(o.why)
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
	case s.Unsettled, s.Swept && !size, byGuard && (!o.known || !o.later):
		return nil
	case size:
		return s.rightSize(o)
	}
	return s.ends(o, "the store holds the right users")
}

// ends closes the alert, unless it is flapping and a day without a finding is not
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
