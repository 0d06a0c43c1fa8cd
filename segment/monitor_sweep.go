package segment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A CurrentSize is the size of one segment as the store holds it now.
type CurrentSize struct {
	Segment ID
	Stored  validate.Summary // counted in the store
	At      time.Time        // when it was counted; zero: when the sweep began
}

// A Sweep is what a monitor found when it went over all segments.
type Sweep struct {
	At time.Time `json:"at"`
	// Complete says that every current size was judged, and every segment of
	// the ledger looked for. If it is not set, the rest may be anything but fine.
	Complete  bool `json:"complete"`
	Segments  int  `json:"segments"`  // in the store
	Healthy   int  `json:"healthy"`   // judged, and nothing found
	Unwatched int  `json:"unwatched"` // in the store, and nothing known to judge them by
	Missing   int  `json:"missing"`   // known, and not in the store; they are affected
	// Submitted counts segments with a run that waits for its store (Guard.Submit): what
	// is there meanwhile is no finding. The sweep settled those that it could.
	Submitted int `json:"submitted"`
	// AgeUnknown counts segments with too few runs to say how old the last good one may
	// be, where Rule.MaxAge does not.
	AgeUnknown int `json:"age_unknown"`
	// Unused counts what was planned (AcceptWithin), and ended without a size that it
	// excused. The log says what.
	Unused int `json:"unused"`

	Affected  []Affected       `json:"affected"`  // all segments with a finding, gravest first, as rerun.New takes them
	Findings  []SegmentFinding `json:"findings"`  // of the first 1,000 of them; the ledger has the others' alerts
	Incidents []Incident       `json:"incidents"` // over the alerts that are open now, also those of guards
}

// A SegmentFinding is an affected segment and what was found.
type SegmentFinding struct {
	Segment  ID              `json:"segment"`
	Urgency  Urgency         `json:"severity"`
	Kind     validate.Kind   `json:"kind"`              // the gravest
	Text     string          `json:"text"`              // what was found, on one line
	Users    int64           `json:"users"`             // at stake: as many as the segment should hold
	Upstream ID              `json:"upstream,omitzero"` // the affected segment that this one was made from, if any explains it
	Last     Record          `json:"last,omitzero"`     // the last attempt at it
	Sizes    []validate.Size `json:"sizes,omitempty"`   // its baseline, oldest first
	Report   validate.Report `json:"report"`            // with the band that its history allows

	missing bool // from the store's listing
	refused bool // the last run was, and is live
}

// An OrderError says that a sequence of segments, which must come in byte order
// of the ids' texts, did not.
type OrderError struct {
	Sequence      string // "current sizes" or "ledger"
	Before, After ID     // as they came
}

func (e *OrderError) Error() string {
	if e.Before == e.After {
		return fmt.Sprintf("%s out of order: %s came twice", e.Sequence, e.Before)
	}
	return fmt.Sprintf("%s out of order: %s came before %s; want byte order of the ids' texts (COLLATE \"C\", BINARY)", e.Sequence, e.Before, e.After)
}

// newFinding returns the finding of a segment whose report is not without any.
func newFinding(t *SegmentState, id ID, r validate.Report) SegmentFinding {
	r.Name = id.In(t.Store).String() // not before: it costs as much as judging a healthy segment
	c := SegmentFinding{Segment: id, Last: t.Last, Sizes: t.Sizes, Report: r}
	c.judge()
	return c
}

// judge reads the report again, after a finding was added. A segment that is gone
// is proven to be: its users are at stake that it had. So are those of one in which
// a refused run is live.
func (c *SegmentFinding) judge() {
	c.Urgency, c.Kind = urgencyOf(&c.Report), c.Report.Gravest()
	c.Text = (&validate.Error{Report: c.Report}).Error()
	if c.Report.Passed() {
		c.Text = c.Report.Name + ": " + warnings(&c.Report)
	}
	c.Users = atStake(&c.Report)
	if c.missing || c.refused {
		c.Urgency = Page
	}
}

// add adds what was found beside what the check of the segment alone found.
func (c *SegmentFinding) add(f validate.Finding) {
	c.Report.Findings = append(c.Report.Findings, f)
	slices.SortStableFunc(c.Report.Findings, func(a, b validate.Finding) int { return a.Kind.Compare(b.Kind) })
	c.judge()
}

// alert returns the finding as an alert. A segment that could not be counted may
// have lost its users or not.
func (c *SegmentFinding) alert(at time.Time, counter string, rule *Rule, job Job) Alert {
	a := Alert{
		Segment:  c.Segment,
		Store:    rule.Store,
		Urgency:  c.Urgency,
		Kind:     c.Kind,
		Level:    LevelLive,
		Users:    c.Users,
		Job:      job,
		Build:    c.Last.Build,
		Number:   c.Last.Number, // only a later run's pass says anything about it
		Rule:     rule.Name,
		Runbook:  rule.Runbook,
		Link:     rule.Link,
		Since:    at,
		At:       at,
		Report:   c.Report,
		Upstream: c.Upstream,
		Missing:  c.missing,
	}
	a.Good = lastRight(c.Sizes, c.Report.Stored.Users()) // the last run may have brought what was found
	if counts(c.Report.Stored) {
		a.Size = &validate.Size{Users: c.Report.Stored.Users(), At: at, Counter: counter}
		a.Level = levelOf(c.Users, c.Report.Stored.Users())
	}
	if c.missing {
		a.Level = LevelLost100
	}
	if 0 < c.Users && c.Users < rule.PageFrom {
		a.Urgency = Ticket
	}
	a.say(c.Text)
	return a
}

// String returns the sweep as text for an on-call engineer: the numbers, the
// incidents, and a line for each affected segment, gravest first.
func (s Sweep) String() string {
	var b strings.Builder
	if !s.Complete {
		b.WriteString("Incomplete: what is not listed may be anything but fine.\n")
	}
	fmt.Fprintf(&b, "%s: %s healthy, %s affected", text.Count(s.Segments, "segment"), text.Thousands(int64(s.Healthy)), text.Thousands(int64(len(s.Affected))))
	if s.Missing > 0 {
		fmt.Fprintf(&b, " (of which %s missing)", text.Thousands(int64(s.Missing)))
	}
	if s.Unwatched > 0 {
		fmt.Fprintf(&b, ", %s with nothing to judge them by", text.Thousands(int64(s.Unwatched)))
	}
	if s.Submitted > 0 {
		fmt.Fprintf(&b, ", %s waiting for its store", text.Thousands(int64(s.Submitted)))
	}
	b.WriteString(".\n")
	if s.Unused > 0 {
		fmt.Fprintf(&b, "%s ended, and no size was excused by it.\n", text.Count(s.Unused, "plan"))
	}
	for i := range s.Incidents {
		fmt.Fprintf(&b, "%s: %s\n", s.Incidents[i].Urgency(), &s.Incidents[i])
	}
	for i := range s.Findings {
		fmt.Fprintf(&b, "%s: %s%s\n", s.Findings[i].Urgency, text.Printable(s.Findings[i].Text), s.Findings[i].origin())
	}
	if more := len(s.Affected) - len(s.Findings); more > 0 {
		fmt.Fprintf(&b, "… and %s, not as grave.\n", text.Count(more, "more segment"))
	}
	return b.String()
}

// origin says which segment explains the finding, where one does.
func (c *SegmentFinding) origin() string {
	if c.Upstream.IsZero() {
		return ""
	}
	return "; it is made from " + text.Printable(c.Upstream.String()) + ", which is affected itself"
}
