package segment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// An Incident is many segments with one fault: the same kind of job, the same
// build, and the same kind of failure. It is told once, over the alerts of its
// segments.
type Incident struct {
	JobKind    JobKind       `json:"job_kind"`
	Kind       validate.Kind `json:"kind"`
	Build      string        `json:"build,omitempty"`
	Urgency    Urgency       `json:"severity"`
	Segments   int           `json:"segments"`
	SiteGroups int           `json:"site_groups"`
	Users      int64         `json:"users"` // at stake in them
	Since      time.Time     `json:"since"`
	Cause      string        `json:"cause"` // the likely one, as it was found at the segment with the most users
	Next       string        `json:"next"`  // what to do
}

// manySegments is from how many segments on one thing is the likelier story than
// a few that happen to be affected alike.
const manySegments = 3

// A sameness is what alerts of one incident share.
type sameness struct {
	job   JobKind
	kind  validate.Kind
	build string
}

// id returns a name for the incident, where an alert has its segment.
func (s sameness) id() ID {
	name := string(cmp.Or(s.job, "unknown job")) + " " + string(s.kind)
	if s.build != "" {
		name += " " + s.build
	}
	return ID{SiteGroup: "incident", Name: name}
}

// An incidentGroup is alerts that share a fault.
type incidentGroup struct {
	incident             Incident
	siteGroups, runbooks map[string]bool
	most                 int64 // users of one of them
}

// incidentGroups are those of all alerts that are open.
type incidentGroups map[sameness]*incidentGroup

func (g incidentGroups) add(a *Alert) {
	key := sameness{a.Job.Kind, a.Kind, a.Build}
	group, ok := g[key]
	if !ok {
		group = &incidentGroup{
			incident:   Incident{JobKind: key.job, Kind: key.kind, Build: key.build, Urgency: Ticket},
			siteGroups: map[string]bool{}, runbooks: map[string]bool{}, most: -1,
		}
		g[key] = group
	}
	group.add(a)
}

func (g *incidentGroup) add(a *Alert) {
	i := &g.incident
	i.Segments++
	g.siteGroups[a.Segment.SiteGroup] = true
	g.runbooks[a.Runbook] = true
	i.SiteGroups, i.Urgency = len(g.siteGroups), min(i.Urgency, a.Urgency) // "page" before "ticket"
	if i.Since.IsZero() || a.Since.Before(i.Since) {
		i.Since = a.Since
	}
	users := atStake(&a.Report)
	i.Users += users
	if users > g.most {
		g.most, i.Cause = users, causeOf(a)
	}
	i.Next = "plan the reruns of everything affected (rerun.New)"
	if len(g.runbooks) == 1 && !g.runbooks[""] {
		i.Next = a.Runbook
	}
}

// incidents returns the groups that are one. One that stood goes on as long as any
// alert of it is open: else its last ones would ring again.
func (g incidentGroups) incidents(stood map[ID]AlertState) (found []Incident) {
	for key, group := range g {
		if group.incident.Segments >= manySegments || stood[key.id()].Open != nil {
			found = append(found, group.incident)
		}
	}
	slices.SortFunc(found, func(a, b Incident) int {
		return cmp.Or(
			cmp.Compare(a.Urgency, b.Urgency), a.Kind.Compare(b.Kind), cmp.Compare(b.Segments, a.Segments),
			cmp.Compare(a.JobKind, b.JobKind), cmp.Compare(a.Build, b.Build),
		)
	})
	return found
}

// atStake returns how many users a segment should hold, by its report.
func atStake(r *validate.Report) int64 {
	return max(r.Expected.Users(), r.Stored.Users(), r.Band.Previous)
}

// causeOf returns the clause of an alert's gravest finding. Of many limits at one
// number it names the likeliest.
func causeOf(a *Alert) string {
	if !a.Upstream.IsZero() {
		return "made from " + a.Upstream.String() + ", which is affected itself"
	}
	for _, f := range a.Report.Findings {
		switch {
		case f.Kind != a.Kind:
		case len(f.Caps) > 0:
			return fmt.Sprintf("stopped at %s, a known limit (%s, …)", validate.Count(f.Caps[0].Users), f.Caps[0].Origin)
		default:
			return f.Detail
		}
	}
	return a.Text
}

// alert returns the incident as an alerter takes it.
func (i *Incident) alert(at time.Time) Alert {
	key := sameness{i.JobKind, i.Kind, i.Build}
	return Alert{
		Segment:  key.id(),
		Urgency:  i.Urgency,
		Kind:     i.Kind,
		Text:     i.String(),
		Job:      Job{Kind: i.JobKind},
		Build:    i.Build,
		Since:    i.Since,
		At:       at,
		Incident: i,
	}
}

// String returns the incident on one line.
func (i *Incident) String() string {
	var b strings.Builder
	alike := " alike"
	if i.Segments == 1 { // the others are well again
		alike = ""
	}
	fmt.Fprintf(&b, "%s of %s affected%s (%s", text.Count(i.Segments, "segment"), text.Count(i.SiteGroups, "site group"), alike, i.Kind)
	if i.JobKind != "" {
		fmt.Fprintf(&b, ", %s jobs", i.JobKind)
	}
	if i.Build != "" {
		fmt.Fprintf(&b, ", build %s", i.Build)
	}
	fmt.Fprintf(&b, ") since %s, %s at stake; likely cause: %s; next: %s", i.Since.UTC().Format(time.RFC3339), validate.Count(i.Users), i.Cause, i.Next)
	return b.String()
}
