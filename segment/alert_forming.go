package segment

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// cause returns the cause that an alert may have in common with others.
func (a *Alert) cause() Cause {
	if a.Missing {
		return Cause{Listing: true, Store: a.Store}
	}
	if a.Kind == validate.Stale {
		return Cause{Stale: true, JobKind: a.Job.Kind, Store: a.Store}
	}
	return Cause{JobKind: a.Job.Kind, Build: a.Build, Store: a.Store}
}

// form makes the segment of an alert that began a member of the incident that goes
// on for its cause, or of a new one if there are surprisingly many. It returns the
// segments that became members.
func (n *notifier) form(ctx context.Context, a *Alert) ([]Key, error) {
	if a.Incident != "" {
		return nil, nil
	}
	c := a.cause()
	i, err := n.going(ctx, c)
	if err != nil {
		return nil, err
	}
	if i != nil {
		return []Key{a.key()}, n.join(ctx, i, []Key{a.key()}, a)
	}
	found, err := n.onsets(ctx, SegmentFilter{Store: &c.Store, JobKind: c.JobKind, Build: c.Build}, func(a *Alert) bool { return a.cause() == c })
	if err != nil {
		return nil, err
	}
	return n.formOf(ctx, c, &found)
}

// onsets are alerts that began within the last six hours and are of no incident.
type onsets struct {
	keys  []Key
	begun time.Time // the first
	pages int
	most  Alert // of the segment with the most users
}

func (o *onsets) add(a *Alert) {
	if len(o.keys) == 0 || a.Since.Before(o.begun) {
		o.begun = a.Since
	}
	if len(o.keys) == 0 || a.Users > o.most.Users {
		o.most = *a
	}
	if a.Urgency == Page {
		o.pages++
	}
	o.keys = append(o.keys, a.key())
}

// onsets returns those that f and match select.
func (n *notifier) onsets(ctx context.Context, f SegmentFilter, match func(*Alert) bool) (found onsets, err error) {
	f.Affected, f.Alone = true, n.now().Add(-formsWithin)
	for s, err := range n.ledger.Segments(ctx, f) {
		if err != nil {
			return found, wrap("reading the alerts", err)
		}
		if s.Alert.alone(f.Alone) && match(s.Alert.Open) {
			found.add(s.Alert.Open)
		}
	}
	return found, nil
}

// alone reports whether an alert is open that began at a time or later, and is of
// no incident.
func (s *AlertState) alone(since time.Time) bool {
	return s.Open != nil && s.Incident == "" && !s.Flapping && !s.Open.Since.Before(since)
}

// formOf makes onsets members of a new incident, if there are surprisingly many.
func (n *notifier) formOf(ctx context.Context, c Cause, found *onsets) ([]Key, error) {
	if len(found.keys) < fewest {
		return nil, nil
	}
	usual, err := n.usual(ctx, c, found.begun)
	if err != nil || len(found.keys) < surprising(usual, false) && found.pages < surprising(usual, true) {
		return nil, err
	}
	return n.begin(ctx, c, found)
}

// begin makes onsets members of a new incident, or of one that somebody else began
// meanwhile.
func (n *notifier) begin(ctx context.Context, c Cause, found *onsets) ([]Key, error) {
	i, err := n.going(ctx, c)
	if err == nil && i == nil {
		i = new(newIncident(c, found.begun))
		err = wrap("writing down the incident", n.ledger.ChangeIncident(ctx, i.ID, func(known *Incident) error {
			if known.Begun.IsZero() {
				known.Cause, known.Begun, known.Last = i.Cause, i.Begun, i.Last
			}
			return nil
		}))
	}
	if err != nil {
		return nil, err
	}
	return found.keys, n.join(ctx, i, found.keys, &found.most)
}

// going returns the incident that goes on for a cause and began within six hours;
// nil: there is none.
func (n *notifier) going(ctx context.Context, c Cause) (*Incident, error) {
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, Cause: c, Open: true, Since: n.now().Add(-formsWithin)}) {
		if err != nil {
			return nil, wrap("reading the incidents", err)
		}
		if i.Cause == c && i.Over.IsZero() {
			return &i, nil
		}
	}
	return nil, nil //nolint:nilnil // none is no error
}

// like returns what causes have in common whose onsets are counted together.
func (c Cause) like() Cause {
	c.Build, c.Lost, c.Store = "", false, ""
	return c
}

// opened reports whether an entry is of an onset of the cause's job kind or site group,
// outside of incidents.
func (c Cause) opened(e *LogEntry) bool {
	stale := e.Mark != nil && e.Mark.Kind == validate.Stale
	return e.Incident == "" && !e.Segment.IsZero() && stale == c.Stale && (c.SiteGroup != "" || c.Listing || e.jobKind() == c.JobKind)
}

// usual returns the onsets of the last 28 days before a time that were of no
// incident, of the job kind or the site group of a cause, in order of time.
func (n *notifier) usual(ctx context.Context, c Cause, until time.Time) (found []time.Time, err error) {
	from := until.Add(-surprisesFrom)
	var incidents []Incident
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, Store: &c.Store, Since: from}) {
		if err != nil {
			return nil, wrap("reading the incidents", err)
		}
		if i.Cause.like() == c.like() {
			incidents = append(incidents, i)
		}
	}
	f := LogFilter{Store: &c.Store, Action: ActionOpened, JobKind: c.JobKind, SiteGroup: c.SiteGroup, Since: from, Until: until}
	for e, err := range n.ledger.Log(ctx, f) {
		if err != nil {
			return nil, wrap("reading the log", err)
		}
		within := slices.ContainsFunc(incidents, func(i Incident) bool { d := e.At.Sub(i.Begun); return d >= 0 && d < formsWithin })
		if !within && c.opened(&e) {
			found = append(found, e.At)
		}
	}
	slices.SortFunc(found, time.Time.Compare)
	return found, nil
}

// join makes segments members of an incident, and keeps what people are told of
// the one with the most users.
func (n *notifier) join(ctx context.Context, i *Incident, keys []Key, a *Alert) error {
	for chunk := range slices.Chunk(keys, tellAtOnce) {
		_, err := n.change(ctx, chunk, func(*SegmentState) []observation {
			return []observation{{event: aMembership, at: n.now(), incident: i.ID, groupWait: n.groupWait}}
		})
		if err != nil {
			return err
		}
	}
	if i.Likely != "" && a.Users <= i.Most {
		return nil
	}
	return wrap("writing down the incident", n.ledger.ChangeIncident(ctx, i.ID, func(i *Incident) error {
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
			if err == nil && s.Alert.explains(a) {
				a.Upstream, a.Incident = from, s.Alert.Incident
				if farther := s.Alert.Open.Upstream; !farther.IsZero() {
					a.Upstream = farther
				}
				return
			}
		}
	}
}

// explains reports whether what is wrong with a segment explains what is wrong
// with one that was made from it.
func (s *AlertState) explains(a *Alert) bool {
	return s.Open != nil && s.Open.Kind != validate.Unverified && a.Kind != validate.Unverified && tooMany(s.Open.Kind) == tooMany(a.Kind)
}

// formAll forms incidents over the alerts that began within six hours: of those
// that guards and sweeps found alike, by what they have in common; of what was made
// from a member of one; and of a site group, in which a sweep at a time found many.
func (n *notifier) formAll(ctx context.Context, at time.Time) error {
	causes := map[Cause]bool{}
	_, err := n.onsets(ctx, SegmentFilter{Store: n.store}, func(a *Alert) bool { causes[a.cause()] = true; return false })
	if err != nil {
		return err
	}
	var failures []error
	for _, c := range slices.SortedFunc(maps.Keys(causes), compareCauses) {
		failures = append(failures, n.formCause(ctx, c))
	}
	failures = append(failures, n.joinUpstream(ctx))
	groups := map[string]bool{}
	inSweep := func(a *Alert) bool { return a.bySweep() && a.Since.Equal(at) }
	_, err = n.onsets(ctx, SegmentFilter{Store: n.store}, func(a *Alert) bool {
		groups[a.Segment.SiteGroup] = groups[a.Segment.SiteGroup] || inSweep(a)
		return false
	})
	failures = append(failures, err)
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if !groups[group] {
			continue
		}
		found, err := n.onsets(ctx, SegmentFilter{Store: n.store, SiteGroup: group}, inSweep)
		if err == nil {
			_, err = n.formOf(ctx, Cause{SiteGroup: group, Store: *n.store}, &found)
		}
		failures = append(failures, err)
	}
	return joinFew(failures)
}

func compareCauses(a, b Cause) int { return strings.Compare(a.String(), b.String()) }

// formCause makes the onsets of a cause members of the incident that goes on for
// it, or of a new one.
func (n *notifier) formCause(ctx context.Context, c Cause) error {
	found, err := n.onsets(ctx, SegmentFilter{Store: &c.Store, JobKind: c.JobKind, Build: c.Build}, func(a *Alert) bool { return a.cause() == c })
	if err != nil || len(found.keys) == 0 {
		return err
	}
	i, err := n.going(ctx, c)
	if err != nil {
		return err
	}
	if i != nil {
		return n.join(ctx, i, found.keys, &found.most)
	}
	_, err = n.formOf(ctx, c, &found)
	return err
}

// joinUpstream makes segments that were made from a member of an incident members
// of it.
func (n *notifier) joinUpstream(ctx context.Context) error {
	var made []Alert
	_, err := n.onsets(ctx, SegmentFilter{Store: n.store}, func(a *Alert) bool {
		if !a.Upstream.IsZero() {
			made = append(made, Alert{Segment: a.Segment, Store: a.Store, Upstream: a.Upstream, Kind: a.Kind, Users: a.Users})
		}
		return false
	})
	failures := []error{err}
	for i := range made {
		for s, err := range n.ledger.Segments(ctx, SegmentFilter{Segment: made[i].Upstream, Affected: true}) {
			if err == nil && s.Alert.Incident != "" {
				err = n.join(ctx, &Incident{ID: s.Alert.Incident}, []Key{made[i].key()}, &made[i])
			}
			failures = append(failures, err)
		}
	}
	return joinFew(failures)
}
