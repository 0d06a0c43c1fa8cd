package segment

import (
	"context"
	"slices"
	"time"
)

// deliver tells the alerter what it does not know of some segments: of the
// incidents that they are members of first, in a call of its own, then of them.
func (n *notifier) deliver(ctx context.Context, ids []ID) error {
	name, err := n.name(ctx)
	if err != nil {
		return err
	}
	due := map[ID]AlertState{}
	incidents := map[string]bool{}
	now := n.now()
	err = n.ledger.Change(ctx, ids, func(s *SegmentState) error {
		delete(due, s.Segment)
		if s.Alert.claim(now, now.Add(claimFor)) {
			due[s.Segment] = s.Alert.clone()
			if s.Alert.Incident != "" {
				incidents[s.Alert.Incident] = true
			}
		}
		return nil
	})
	if err != nil {
		return wrap("claiming the telling", err)
	}
	var failures []error
	for id := range incidents {
		failures = append(failures, n.ring(ctx, id))
	}
	if err := joinFew(failures); err != nil { // without it, its members would ring
		return join(err, n.written(ctx, due, false))
	}
	firing, resolved := dueAlerts(due, name)
	err = n.say(ctx, firing, resolved)
	return join(wrap("telling", err), n.written(ctx, due, err == nil))
}

// deliverAll tells the alerter what it does not know of incidents and segments.
func (n *notifier) deliverAll(ctx context.Context) error {
	var failures []error
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Open: true}) {
		if err != nil {
			return wrap("reading the incidents", err)
		}
		failures = append(failures, n.ring(ctx, i.ID))
	}
	f := SegmentFilter{Pending: true, Limit: tellAtOnce}
	for {
		var ids []ID
		for s, err := range n.ledger.Segments(ctx, f) {
			if err != nil {
				return join(joinFew(failures), wrap("reading the alerts", err))
			}
			ids = append(ids, s.Segment)
		}
		if len(ids) == 0 {
			return joinFew(failures)
		}
		failures = append(failures, n.deliver(ctx, ids))
		f.After = ids[len(ids)-1]
	}
}

// dueAlerts returns what the alerter is to be told.
func dueAlerts(due map[ID]AlertState, ledger string) (firing, resolved []Alert) {
	for _, id := range sorted(due) {
		s := due[id]
		for _, m := range s.fresh() {
			firing = append(firing, s.alert(id, m))
			firing[len(firing)-1].Ledger = ledger
		}
		for _, t := range s.outdated() {
			resolved = append(resolved, s.alert(id, t.Mark))
			resolved[len(resolved)-1].Ledger = ledger
		}
	}
	return firing, resolved
}

// written writes down what the alerter knows now. Where it was not told, the next
// one need not wait for the claim to run out.
func (n *notifier) written(ctx context.Context, due map[ID]AlertState, told bool) error {
	if len(due) == 0 {
		return nil
	}
	now := n.now()
	return wrap("writing down what the alerter was told", n.ledger.Change(ctx, sorted(due), func(s *SegmentState) error {
		s.Alert.Claimed = time.Time{}
		was := due[s.Segment]
		if !told {
			if !s.Alert.Pending() { // it may have heard of it all the same
				s.Alert.Claimed = now
			}
			return nil
		}
		over := was.outdated()
		s.Alert.Told = slices.DeleteFunc(s.Alert.Told, func(t Told) bool { return slices.Contains(over, t) })
		for _, m := range was.fresh() {
			s.Alert.Told = append(s.Alert.Told, Told{m, now})
			s.Log = append(s.Log, LogEntry{Segment: s.Segment, At: now, Action: ActionTold, RunID: was.Open.RunID, Mark: &m, Incident: was.Incident})
		}
		return nil
	}))
}

// ring tells the alerter of an incident what it does not know. Another one may be
// telling it: then its members wait until it was told once.
func (n *notifier) ring(ctx context.Context, id string) error {
	name, err := n.name(ctx)
	if err != nil {
		return err
	}
	var due *Incident
	now := n.now()
	err = n.ledger.ChangeIncident(ctx, id, func(i *Incident) error {
		due = nil
		i.note(i.observe(i.Members, now), now)
		i.note(i.end(now), now)
		if i.claim(now, now.Add(claimFor)) {
			due = new(*i)
		} else if len(i.Told) == 0 && i.Over.IsZero() {
			return errTelling
		}
		return nil
	})
	if err != nil || due == nil {
		return wrap("writing down the incident", err)
	}
	var firing, resolved []Alert
	for _, r := range due.standing() {
		firing = append(firing, due.alert(r))
		firing[len(firing)-1].Ledger = name
	}
	if len(firing) == 0 {
		for _, r := range due.Told {
			resolved = append(resolved, due.alert(r))
			resolved[len(resolved)-1].Ledger = name
		}
	}
	told := n.say(ctx, firing, resolved)
	return join(wrap("telling of an incident", told), wrap("writing down that the incident was told", n.ledger.ChangeIncident(ctx, id, func(i *Incident) error {
		if i.Claimed = n.now(); told != nil {
			return nil
		}
		i.Claimed, i.Told = time.Time{}, due.standing()
		if i.First.IsZero() {
			i.First = now
		}
		return nil
	})))
}

// note adds to the log what became of the incident.
func (i *Incident) note(actions []Action, now time.Time) {
	for _, action := range actions {
		i.Log = append(i.Log, LogEntry{At: now, Action: action, Incident: i.ID, Text: i.String()})
	}
}
