package dashboard

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// An incidentRow is an incident among others.
type incidentRow struct {
	Incident        ref
	Urgency         segment.Urgency
	Live, Protected int
	Kinds           string
	Since           stamp
	Over            bool
}

// mostIncidents is how many incidents the fleet lists.
const mostIncidents = 20

// openIncidents returns the incidents that go on, the latest first.
func (s *source) openIncidents(ctx context.Context) ([]incidentRow, error) {
	var found []segment.Incident
	for i, err := range s.ledger.Incidents(ctx, segment.IncidentFilter{Open: true}) {
		if err != nil {
			return nil, fmt.Errorf("reading the incidents: %w", err)
		}
		if i.Over.IsZero() {
			found = append(found, i)
		}
	}
	slices.Reverse(found)
	var rows []incidentRow
	for k := range found[:min(len(found), mostIncidents)] {
		rows = append(rows, s.incidentRow(&found[k]))
	}
	return rows, nil
}

func (s *source) incidentRow(i *segment.Incident) incidentRow {
	m := &i.Members
	return incidentRow{
		Incident: refTo(i.Cause.String(), s.links.incident(i.ID, "")), Urgency: i.Urgency(),
		Live: m.Live, Protected: m.Segments - m.Live, Kinds: kindsOf(m), Since: s.stamp(i.Begun), Over: !i.Over.IsZero(),
	}
}

// kindsOf returns how many members have which kind.
func kindsOf(m *segment.Members) string {
	var parts []string
	for _, k := range slices.SortedFunc(maps.Keys(m.Kinds), validate.Kind.Compare) {
		parts = append(parts, text.Thousands(int64(m.Kinds[k]))+" "+string(k))
	}
	return strings.Join(parts, ", ")
}

// An incidentView is the page of one incident.
type incidentView struct {
	common

	ID       string
	Tone     fleet.Tone
	Lead     string
	Facts    []fact
	Next     string
	Table    table
	Trees    []node
	Log      []entryRow
	Commands []command
}

// A fact is a name and what is known of it.
type fact struct {
	Name, Text string
	Ref        ref
	Stamp      stamp
}

func (s *source) incidentPage(ctx context.Context, q url.Values) (any, error) {
	after, err := parsePlace(q.Get("after"))
	if err != nil {
		return nil, err
	}
	return s.incident(ctx, q.Get("id"), after)
}

func (s *source) incident(ctx context.Context, id string, after *fleet.Place) (*incidentView, error) {
	i, err := s.readIncident(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := fleet.TakeCensus(ctx, s.ledger, fleet.Filter{Incident: id, After: after}, rowsOfPage)
	if err != nil {
		return nil, err
	}
	v := &incidentView{common: s.common("Incident: "+text.Visible(i.Cause.String()), ""), ID: text.Visible(id)}
	v.Lead, v.Tone = incidentLead(i, &c.Chosen)
	v.Facts = s.incidentFacts(i)
	v.Next = "Mend the cause first: the segments that nothing upstream explains. Then run everything affected again, in order."
	if i.Runbook != "" {
		v.Next += " The runbook says more."
	}
	v.Table = s.table(c, func(_ fleet.Filter, after string) string { return s.links.incident(id, after) })
	if v.Trees, err = s.incidentTrees(ctx, c.Rows); err != nil {
		return nil, err
	}
	v.Commands = []command{
		s.commands.of("orders the jobs that must run again", "", "plan"),
		s.commands.of("keeps that as a plan to run", "", "plan", "--keep", "NAME", "--why", "WHY"),
	}
	return v, nil
}

func (s *source) readIncident(ctx context.Context, id string) (*segment.Incident, error) {
	if id == "" {
		return nil, badRequest("id", "")
	}
	for i, err := range s.ledger.Incidents(ctx, segment.IncidentFilter{ID: id}) {
		if err != nil {
			return nil, fmt.Errorf("reading the incident: %w", err)
		}
		return &i, nil
	}
	return nil, notFound("incident", id)
}

func incidentLead(i *segment.Incident, members *fleet.Counts) (string, fleet.Tone) {
	if !i.Over.IsZero() {
		return "It is over. It ended " + i.Over.UTC().Format("2006-01-02 15:04") + ".", fleet.Fine
	}
	if members.Segments == 0 {
		return "No segment is affected any more. It ends a day after the last one was.", fleet.Fine
	}
	return members.Lead()
}

func (s *source) incidentFacts(i *segment.Incident) []fact {
	facts := []fact{
		{Name: "Cause", Text: text.Visible(i.Cause.String())},
		{Name: "Began", Stamp: s.stamp(i.Begun)},
		{Name: "Found", Text: kindsOf(&i.Members)},
		{Name: "Site groups", Text: text.Thousands(int64(i.Members.SiteGroups))},
		{Name: "Users at stake", Text: text.Thousands(i.Members.Users)},
		{Name: "Likely cause", Text: text.Visible(i.Likely)},
	}
	if i.Good != nil {
		facts = append(facts, fact{Name: "The largest was right last", Text: "with " + text.Thousands(i.Good.Users) + " users", Stamp: s.stamp(i.Good.At)})
	}
	if !i.Upstream.IsZero() {
		facts = append(facts, fact{Name: "Made from", Ref: s.ref(i.Upstream.In(i.Cause.Store))})
	}
	if !i.First.IsZero() {
		facts = append(facts, fact{Name: "People were told", Stamp: s.stamp(i.First)})
	}
	if i.Runbook != "" {
		facts = append(facts, fact{Name: "Runbook", Ref: outside(i.Runbook)})
	}
	if i.Link != "" {
		facts = append(facts, fact{Name: "See", Ref: outside(i.Link)})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Text == "" && f.Ref.Text == "" && f.Stamp.Text == "" })
}

// incidentTrees returns where the trouble begins, each with what is made from it.
func (s *source) incidentTrees(ctx context.Context, rows []segment.SegmentState) ([]node, error) {
	const most = 6
	t := s.newTree(rows)
	roots, err := t.roots(ctx, rows, most)
	if err != nil {
		return nil, err
	}
	var trees []node
	for _, root := range roots {
		if t.room <= 0 {
			break
		}
		n, err := t.grow(ctx, root, "", 0, t.downstream)
		if err != nil {
			return nil, err
		}
		trees = append(trees, n)
	}
	return trees, nil
}
