package segment

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// An Incident is many segments that became affected within hours, by what is
// likely one cause. It is told before the alerts of its members, and rings for
// them.
type Incident struct {
	ID       string         `json:"id"` // its cause and its beginning
	Cause    Cause          `json:"cause"`
	Begun    time.Time      `json:"begun"`             // when the first of its members became affected
	Last     time.Time      `json:"last"`              // when a member was affected last
	Empty    time.Time      `json:"empty,omitzero"`    // when it was first found to have no member any more; zero: it has
	Over     time.Time      `json:"over,omitzero"`     // when it ended; zero: it goes on
	Rings    []Ring         `json:"rings,omitempty"`   // in the order in which they came, each at least as bad as those before it
	Told     []Ring         `json:"told,omitempty"`    // what the alerter was told, and not yet that it is over
	Claimed  time.Time      `json:"claimed,omitzero"`  // until when somebody else is telling the alerter
	First    time.Time      `json:"first,omitzero"`    // when the alerter was first told
	Likely   string         `json:"likely,omitempty"`  // what was found at the member with the most users
	Most     int64          `json:"most,omitempty"`    // that member's users
	Good     *validate.Size `json:"good,omitempty"`    // that member's last size that was right; nil: not known
	Upstream ID             `json:"upstream,omitzero"` // what that member was made from, if that is affected itself
	Runbook  string         `json:"runbook,omitempty"`
	Link     string         `json:"link,omitempty"`

	// Members is counted by the ledger each time; it is not kept.
	Members Members `json:"-"`
	// Log is for the function that Ledger.ChangeIncident calls: what it appends is
	// added to the log.
	Log []LogEntry `json:"-"`
}

// A Cause is what the members of an incident share: a job kind and a build; a
// site group that one sweep found; a listing that lacks them; a job kind that
// brings nothing any more; or that the alerter lost what it had been told.
type Cause struct {
	JobKind   JobKind `json:"job_kind,omitempty"`
	Build     string  `json:"build,omitempty"`
	SiteGroup string  `json:"site_group,omitempty"`
	Listing   bool    `json:"listing,omitempty"` // the listing of Store lacks them
	Stale     bool    `json:"stale,omitempty"`   // no good run of JobKind for too long
	Lost      bool    `json:"lost,omitempty"`    // the alerter lost what it had been told of them
	Store     string  `json:"store,omitempty"`
}

// Members says what the members of an incident have come to.
type Members struct {
	Segments   int
	Pages      int
	Live       int // of which the live segment is hit; the others are protected
	SiteGroups int
	SiteGroup  string // where there is only one
	Users      int64  // at stake
	Level      Level  // the worst
	Kinds      map[validate.Kind]int

	groups map[string]bool // of Add
}

// Add counts a member. A Ledger that cannot count calls it for each.
func (m *Members) Add(s *SegmentState) {
	a := s.Alert.Open
	if a == nil {
		return
	}
	worst := s.Alert.worst()
	m.Segments++
	m.Users += a.Users
	if worst.Urgency == Page {
		m.Pages++
	}
	if worst.Level.Compare(LevelProtected) > 0 {
		m.Live++
	}
	if worst.Level.Compare(m.Level) > 0 {
		m.Level = worst.Level
	}
	if m.groups == nil {
		m.Kinds, m.groups = make(map[validate.Kind]int), make(map[string]bool)
	}
	m.Kinds[worst.Kind]++
	m.groups[s.Segment.SiteGroup] = true
	if m.SiteGroups = len(m.groups); m.SiteGroups == 1 {
		m.SiteGroup = s.Segment.SiteGroup
	} else {
		m.SiteGroup = ""
	}
}

// A Ring is by what people are told of an incident.
type Ring struct {
	Members int     `json:"members"` // 3, 10, 100, 1,000, 10,000
	Urgency Urgency `json:"severity"`
	Level   Level   `json:"level,omitempty"`
	// SiteGroup is that of all members, where they had only one when it rang.
	SiteGroup string `json:"site_group,omitempty"`
}

// ringAt returns the most members for which so many ring; 0: too few do.
func ringAt(members int) int {
	ring := 0
	for _, n := range []int{3, 10, 100, 1_000, 10_000} {
		if members >= n {
			ring = n
		}
	}
	return ring
}

// observe takes in what the members have come to. It rings when there are many
// more of them, when the first page joins, and when one of them reaches a level
// that none had; what came at once is one ring. Nothing rings on the way down.
func (i *Incident) observe(m Members, now time.Time) []Action {
	i.Members = m
	switch {
	case m.Segments > 0:
		i.Last, i.Empty = now, time.Time{}
	case i.Empty.IsZero():
		i.Empty = now
	}
	if !i.Over.IsZero() || m.Segments == 0 {
		return nil
	}
	is := Ring{Members: max(ringAt(m.Segments), fewest), Urgency: Ticket, Level: m.Level, SiteGroup: m.SiteGroup}
	if m.Pages > 0 {
		is.Urgency = Page
	}
	if len(i.Rings) == 0 {
		i.Rings = append(i.Rings, is)
		return []Action{ActionOpened}
	}
	was := i.Rings[len(i.Rings)-1]
	is.Members = max(is.Members, was.Members)
	if was.Urgency == Page {
		is.Urgency = Page
	}
	if was.Level.Compare(is.Level) > 0 {
		is.Level = was.Level
	}
	if same := is; same.SiteGroup == m.SiteGroup { // which alone is no news
		if same.SiteGroup = was.SiteGroup; same == was {
			return nil
		}
	}
	i.Rings = append(i.Rings, is)
	return []Action{ActionWorse}
}

// end ends the incident a day after its last member, however far apart sweeps are: what
// comes back meanwhile does not ring again.
func (i *Incident) end(now time.Time) []Action {
	if !i.Over.IsZero() || i.Empty.IsZero() || now.Sub(i.Empty) < day {
		return nil
	}
	i.Over = now
	return []Action{ActionOver}
}

// Pending reports whether the alerter is to be told of something.
func (i *Incident) Pending() bool {
	return !i.Claimed.IsZero() || !slices.Equal(i.standing(), i.Told)
}

// standing returns the rings that the alerter should have.
func (i *Incident) standing() []Ring {
	if !i.Over.IsZero() {
		return nil
	}
	return i.Rings
}

// claim reserves telling the alerter for the caller until a time, and reports
// whether it did.
func (i *Incident) claim(now, until time.Time) bool {
	if !i.Pending() || claimed(i.Claimed, now) {
		return false
	}
	i.Claimed = until
	return true
}

// fewest is how many onsets an incident takes at least.
const fewest = 3

// formsWithin is how far apart the onsets of an incident's members may lie: what
// becomes affected later rings by itself, or in another incident.
const formsWithin = 6 * time.Hour

// surprisesFrom is how far back the log is asked for how many onsets are usual.
const surprisesFrom = 28 * day

// newIncident returns the incident of a cause, whose first member became affected
// at a time.
func newIncident(c Cause, begun time.Time) Incident {
	return Incident{ID: c.String() + " since " + begun.UTC().Format(time.RFC3339), Cause: c, Begun: begun, Last: begun}
}

// surprising returns from how many onsets on within 6 hours it is an incident:
// three, or more than there were at most in any 6 hours of the last 28 days,
// outside incidents. usual are those onsets, in order of time. For pages it is
// never above 10.
func surprising(usual []time.Time, pages bool) int {
	most, first := 0, 0
	for last := range usual {
		for usual[last].Sub(usual[first]) >= formsWithin {
			first++
		}
		most = max(most, last-first+1)
	}
	if n := max(fewest, 1+most); !pages || n < 10 {
		return n
	}
	return 10
}

// String returns the cause in a few words.
func (c Cause) String() string {
	if c.Listing {
		return strings.TrimSpace("listing " + c.Store)
	}
	if store := c.Store; store != "" {
		c.Store = ""
		return c.String() + " in " + store
	}
	switch {
	case c.Lost:
		return "alerts that people had been told of, and that were lost"
	case c.Stale:
		return "stale " + string(cmp.Or(c.JobKind, "unknown")) + " jobs"
	case c.SiteGroup != "":
		return "site group " + c.SiteGroup
	case c.Build != "":
		return string(cmp.Or(c.JobKind, "unknown")) + " jobs of build " + c.Build
	}
	return string(cmp.Or(c.JobKind, "unknown")) + " jobs"
}

// alert returns a ring of the incident as an alerter takes it.
func (i *Incident) alert(r Ring) Alert {
	return Alert{
		Segment: ID{SiteGroup: r.SiteGroup, Name: i.ID},
		Store:   i.Cause.Store,
		Urgency: r.Urgency, Kind: i.gravest(), Level: r.Level,
		Incident: i.ID,
		Text:     i.String(), Customers: i.Members.customers(), Next: i.next(),
		Job: Job{Kind: i.Cause.JobKind}, Build: i.Cause.Build,
		Since: i.Begun, At: i.Last, Told: i.First,
		Users: i.Members.Users, Good: i.Good,
		Runbook: i.Runbook, Link: i.Link, Upstream: i.Upstream,
		About: i, Ring: r.Members,
	}
}

// Urgency returns the worst urgency that the incident rang with.
func (i *Incident) Urgency() Urgency {
	if len(i.Rings) == 0 {
		return Ticket
	}
	return i.Rings[len(i.Rings)-1].Urgency
}

// gravest returns the gravest kind of failure among the members.
func (i *Incident) gravest() (gravest validate.Kind) {
	for kind := range i.Members.Kinds {
		if gravest == "" || kind.Compare(gravest) < 0 {
			gravest = kind
		}
	}
	return gravest
}

// String returns the incident on one line: first whether customers are hit, at the
// end what to do.
func (i *Incident) String() string {
	m := &i.Members
	var b strings.Builder
	if m.Segments == 0 {
		fmt.Fprintf(&b, "no segment is affected any more; %s, since %s", i.Cause, i.Begun.UTC().Format(time.RFC3339))
		return b.String()
	}
	fmt.Fprintf(&b, "customers %s (%s)", m.customers(), text.Count(m.SiteGroups, "site group"))
	for _, kind := range slices.SortedFunc(maps.Keys(m.Kinds), validate.Kind.Compare) {
		fmt.Fprintf(&b, "; %s %s", text.Thousands(int64(m.Kinds[kind])), kind)
	}
	fmt.Fprintf(&b, "; %s, since %s", i.Cause, i.Begun.UTC().Format(time.RFC3339))
	if m.Users > 0 {
		fmt.Fprintf(&b, ", %s at stake", validate.Count(m.Users))
	}
	if i.Likely != "" {
		fmt.Fprintf(&b, "; likely cause: %s", i.Likely)
	}
	if !i.Upstream.IsZero() {
		fmt.Fprintf(&b, "; made from %s, which is affected itself", i.Upstream)
	}
	if i.Good != nil {
		fmt.Fprintf(&b, "; the largest was right with %s at %s", validate.Count(i.Good.Users), i.Good.At.UTC().Format(time.RFC3339))
	}
	if i.Link != "" {
		b.WriteString("; see " + text.Printable(i.Link))
	}
	b.WriteString("; next: " + i.next())
	if i.Runbook != "" {
		b.WriteString("; runbook: " + text.Printable(i.Runbook))
	}
	return b.String()
}

// customers says whether customers are hit.
func (m *Members) customers() string {
	switch protected := text.Thousands(int64(m.Segments - m.Live)); {
	case m.Segments == 0:
		return "not hit any more"
	case m.Live == 0:
		return "not hit: " + text.Count(m.Segments, "segment") + " affected, all protected: the live ones keep their users"
	case m.Pages == 0:
		return "perhaps hit: " + text.Count(m.Live, "live segment") + " affected, " + protected + " protected"
	default:
		return "hit: " + text.Count(m.Live, "live segment") + " affected, " + protected + " protected"
	}
}

// next says what to do.
func (i *Incident) next() string {
	const rerun = "plan the reruns of everything affected (rerun.New)"
	switch c := &i.Cause; {
	case i.Members.Segments == 0:
		return ""
	case c.Listing:
		return "see whether the listing reads the right store, and all of it, before anything runs again"
	case c.Stale:
		return "see why these jobs bring nothing any more"
	case c.Lost:
		return "look at each of its segments; the alerter had lost their alerts"
	case c.Build != "":
		return "roll back or mend build " + text.Printable(c.Build) + ", then " + rerun
	}
	return "mend the cause, then " + rerun
}
