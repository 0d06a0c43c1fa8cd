package segment

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errTelling says that somebody else is telling the alerter of an incident for the
// first time.
var errTelling = errors.New("another process is telling people of the incident")

// form makes the segment of an alert a member of the incident that goes on for its
// cause, or of a new one if there are surprisingly many.
func (n *notifier) form(ctx context.Context, a *Alert) error {
	return n.formOf(ctx, Cause{JobKind: a.Job.Kind, Build: a.Build, Store: a.Store}, a)
}

func (n *notifier) formOf(ctx context.Context, cause Cause, a *Alert) error {
	now := n.now()
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Cause: cause, Since: now.Add(-formsWithin)}) {
		if err != nil {
			return wrap("reading the incidents", err)
		}
		if i.Over.IsZero() {
			return n.join(ctx, i.ID, []ID{a.Segment}, a)
		}
	}
	onsets, err := n.onsets(ctx, cause, now)
	if err != nil || len(onsets) < 3 {
		return err
	}
	first := onsets[0].Alert.Open.Since
	for _, s := range onsets {
		if s.Alert.Open.Since.Before(first) {
			first = s.Alert.Open.Since
		}
	}
	few, err := n.usual(ctx, cause, first)
	if err != nil || !many(onsets, few) {
		return err
	}
	i := newIncident(cause, first)
	ids := make([]ID, len(onsets))
	for k := range onsets {
		ids[k] = onsets[k].Segment
	}
	err = n.ledger.ChangeIncident(ctx, i.ID, func(known *Incident) error {
		if known.Begun.IsZero() {
			known.Cause, known.Begun, known.Last = i.Cause, i.Begun, i.Last
		}
		return nil
	})
	return join(wrap("writing down the incident", err), n.join(ctx, i.ID, ids, a))
}

// many reports whether so many onsets are more than usual.
func many(onsets []SegmentState, usual []time.Time) bool {
	pages := 0
	for i := range onsets {
		if onsets[i].Alert.Open.Urgency == Page {
			pages++
		}
	}
	return len(onsets) >= surprising(usual, false) || pages >= surprising(usual, true)
}

// onsets returns the open alerts of a cause that began within the last six hours
// and are of no incident.
func (n *notifier) onsets(ctx context.Context, c Cause, now time.Time) (found []SegmentState, err error) {
	f := SegmentFilter{Affected: true, JobKind: c.JobKind, Build: c.Build, SiteGroup: c.SiteGroup}
	for s, err := range n.ledger.Segments(ctx, f) {
		if err != nil {
			return nil, wrap("reading the alerts", err)
		}
		if open := s.Alert.Open; open != nil && s.Alert.Incident == "" && now.Sub(open.Since) < formsWithin {
			found = append(found, s)
		}
	}
	return found, nil
}

// usual returns the onsets of the last 28 days before a time that were of no
// incident, of the job kind or the site group of a cause, in order of time.
func (n *notifier) usual(ctx context.Context, c Cause, until time.Time) (found []time.Time, err error) {
	from := until.Add(-surprisesFrom)
	var incidents []Incident
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Since: from}) {
		if err != nil {
			return nil, wrap("reading the incidents", err)
		}
		if i.Cause.JobKind == c.JobKind && i.Cause.SiteGroup == c.SiteGroup {
			incidents = append(incidents, i)
		}
	}
	f := LogFilter{Action: ActionOpened, JobKind: c.JobKind, SiteGroup: c.SiteGroup, Since: from, Until: until}
	for e, err := range n.ledger.Log(ctx, f) {
		if err != nil {
			return nil, wrap("reading the log", err)
		}
		within := slices.ContainsFunc(incidents, func(i Incident) bool { d := e.At.Sub(i.Begun); return d >= 0 && d < formsWithin })
		if e.Incident == "" && !e.Segment.IsZero() && !within {
			found = append(found, e.At)
		}
	}
	slices.SortFunc(found, time.Time.Compare)
	return found, nil
}

// join makes segments members of an incident, and keeps what people are told of
// the one with the most users.
func (n *notifier) join(ctx context.Context, incident string, ids []ID, a *Alert) error {
	for chunk := range slices.Chunk(ids, tellAtOnce) {
		_, err := n.change(ctx, chunk, func(*SegmentState) []observation {
			return []observation{{event: aMembership, at: n.now(), incident: incident, rung: n.groupWait}}
		})
		if err != nil {
			return err
		}
	}
	return wrap("writing down the incident", n.ledger.ChangeIncident(ctx, incident, func(i *Incident) error {
		i.describe(a)
		return nil
	}))
}

// describe keeps what was found at the member with the most users.
func (i *Incident) describe(a *Alert) {
	if i.Likely != "" && a.Users <= i.Most {
		return
	}
	i.Likely, i.Most, i.Good, i.Upstream = causeOf(a), a.Users, a.Good, a.Upstream
	if i.Runbook == "" {
		i.Runbook = a.Runbook
	}
	if i.Link == "" {
		i.Link = a.Link
	}
}

// placeDownstream makes the alert of a segment that was made from an affected one a
// member of the incident that its source is a member of.
func (n *notifier) placeDownstream(ctx context.Context, a *Alert) {
	for _, from := range a.Job.From {
		for s, err := range n.ledger.Segments(ctx, SegmentFilter{Segment: from, Affected: true}) {
			if err != nil || s.Alert.Open == nil || tooMany(s.Alert.Open.Kind) != tooMany(a.Kind) {
				continue // it is told by itself
			}
			a.Upstream = from
			a.Incident = s.Alert.Incident
			return
		}
	}
}
