package segment

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// errTelling says that somebody else is telling the alerter: what it is not told by
// then, the next one tells.
var errTelling = errors.New("another process is telling people")

// deliver tells the alerter what it does not know of some segments: of the
// incidents that they are members of first, in a call of its own, then of them.
// A guard leaves the members of an incident to a sweep, where the alerter does not
// keep together what belongs together.
func (n *notifier) deliver(ctx context.Context, keys []Key, sweeping bool) error {
	if len(keys) == 0 {
		return nil
	}
	name, err := n.identity(ctx)
	if err != nil {
		return err
	}
	mutes, err := n.ledger.Mutes(ctx)
	if err != nil {
		return wrap("reading the mutes", err)
	}
	due, incidents, now := map[Key]AlertState{}, map[string]Mark{}, n.now()
	err = n.ledger.Change(ctx, keys, func(s *SegmentState) error {
		delete(due, s.Key())
		if !s.hasAlert() {
			return nil
		}
		if len(mutes) > 0 || s.Alert.Muted != nil {
			s.mute(mutes, now)
		}
		if s.Alert.Incident != "" && s.Alert.Pending() {
			worst := incidents[s.Alert.Incident]
			incidents[s.Alert.Incident] = worst.worst(&Alert{Urgency: s.Alert.worst().Urgency, Level: s.Alert.worst().Level})
		}
		if was := s.Alert; n.due(&was, sweeping) && s.Alert.claim(now, now.Add(claimFor)) {
			was.Claimed = s.Alert.Claimed
			due[s.Key()] = was.clone()
		}
		return nil
	})
	if err != nil {
		return wrap("claiming the telling", err)
	}
	var failures []error
	for _, id := range slices.Sorted(maps.Keys(incidents)) {
		failures = append(failures, n.ring(ctx, id, incidents[id]))
	}
	if err := joinFew(failures); err != nil { // without it, its members would ring
		return join(err, n.written(ctx, due, false))
	}
	firing, resolved := dueAlerts(due, name, n.keeps() != nil)
	stop := n.renew(ctx, due)
	err = n.say(ctx, firing, resolved)
	stop()
	return join(wrap("telling", err), n.written(ctx, due, err == nil))
}

// renew renews the claims on some segments as long as a sweep tells the alerter of
// them, until stop is called: a slow alerter is asked by one. A guard is done long
// before they run out.
func (n *notifier) renew(ctx context.Context, due map[Key]AlertState) (stop func()) {
	if n.patience > 0 || len(due) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var tried time.Time // of a renewal without an answer, which may be there
		for sleep(ctx, claimFor/3) == nil {
			until, renewed := n.now().Add(claimFor), map[Key]bool{}
			err := n.ledger.Change(ctx, sorted(due), func(s *SegmentState) error {
				is := s.Alert.Claimed
				if renewed[s.Key()] = is.Equal(due[s.Key()].Claimed) || !tried.IsZero() && is.Equal(tried); renewed[s.Key()] {
					s.Alert.Claimed = until
				}
				return nil
			})
			if tried = until; err != nil { // the claims stand for two more tries
				continue
			}
			for key, ok := range renewed {
				if was := due[key]; ok {
					was.Claimed = until
					due[key] = was
				}
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// due reports whether the alerter is to be told something of a segment, by a guard
// or by a sweep.
func (n *notifier) due(s *AlertState, sweeping bool) bool {
	keeps := n.keeps() != nil
	if sweeping || keeps {
		return s.Pending() || sweeping && keeps && s.outworn(n.now())
	}
	return len(s.outdated()) > 0 || slices.ContainsFunc(s.fresh(), func(m Mark) bool { return m.Incident == "" })
}

// mostOthers is of how many segments a guard tells what others did not.
const mostOthers = 100

// deliverOthers tells what others left untold, as far as a job's way allows. Who
// found something a moment ago is about to see whether it is of an incident, and
// tells it then; who died over that leaves it to the next one.
func (n *notifier) deliverOthers(ctx context.Context, store string) error {
	var keys []Key
	var unformed []*Alert
	for s, err := range n.ledger.Segments(ctx, SegmentFilter{Store: &store, Pending: true, Limit: mostOthers}) {
		if err != nil {
			return wrap("reading the alerts", err)
		}
		if claimed(s.Alert.Claimed, n.now()) { // nobody waits for those who are at it
			continue
		}
		if s.Alert.unformed() {
			if n.now().Sub(s.Alert.Open.Since).Abs() < claimFor {
				continue
			}
			unformed = append(unformed, s.Alert.Open)
		}
		keys = append(keys, s.Key())
	}
	for _, a := range unformed {
		joined, err := n.form(ctx, a)
		if err != nil {
			return err
		}
		keys = append(keys, joined...)
	}
	return n.deliver(ctx, keys, false)
}

// unformed reports whether nobody was told of this onset, and it is of no incident:
// who found it may not have looked for one.
func (s *AlertState) unformed() bool {
	return s.Open != nil && s.Incident == "" && len(s.Told)+len(s.Trying) == 0
}

// deliverAll tells the alerter what it does not know of incidents and segments. It
// waits for others who are at it: what they do not tell, it tells when their claims
// ran out.
func (n *notifier) deliverAll(ctx context.Context) error {
	for waited := time.Duration(0); ; waited += time.Second {
		if err := n.deliverOnce(ctx); err != nil && !errors.Is(err, errTelling) {
			return err
		}
		left, err := n.untold(ctx)
		switch {
		case err != nil || !left:
			return err
		case waited >= 2*claimFor:
			return errTelling
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// untold reports whether the alerter is to be told of anything.
func (n *notifier) untold(ctx context.Context) (bool, error) {
	keys, err := n.keys(ctx, SegmentFilter{Store: n.store, Pending: true, Limit: 1})
	left := len(keys) > 0
	for i, failure := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, Store: n.store, Open: true}) {
		left, err = left || i.Pending(), join(err, failure)
	}
	return left, err
}

// deliverOnce tells the alerter what it does not know, but what others are telling.
func (n *notifier) deliverOnce(ctx context.Context) error {
	var failures []error
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, Store: n.store, Open: true}) {
		if err != nil {
			return wrap("reading the incidents", err)
		}
		failures = append(failures, n.ring(ctx, i.ID, Mark{}))
	}
	f := SegmentFilter{Store: n.store, Pending: true, Limit: tellAtOnce}
	for {
		keys, err := n.keys(ctx, f)
		if err != nil || len(keys) == 0 {
			return join(joinFew(failures), err)
		}
		failures = append(failures, n.deliver(ctx, keys, true))
		f.After = keys[len(keys)-1]
	}
}

// dueAlerts returns what the alerter is to be told. One that keeps alerts is told
// again of what it knows, as the text may be another.
func dueAlerts(due map[Key]AlertState, ledger string, keeps bool) (firing, resolved []Alert) {
	for _, key := range sorted(due) {
		s := due[key]
		fires := s.fresh()
		for _, t := range s.Told {
			if keeps && slices.Contains(s.Marks, t.Mark) {
				fires = append(fires, t.Mark)
			}
		}
		for _, m := range fires {
			firing = append(firing, s.alert(key, m))
			firing[len(firing)-1].Ledger = ledger
		}
		for _, m := range s.outdated() {
			resolved = append(resolved, s.alert(key, m))
			resolved[len(resolved)-1].Ledger = ledger
		}
	}
	return firing, resolved
}

// written writes down what the alerter knows now. Where it was not told, the next
// one need not wait for the claim to run out.
func (n *notifier) written(ctx context.Context, due map[Key]AlertState, told bool) error {
	if len(due) == 0 {
		return nil
	}
	now := n.now()
	return wrap("writing down what the alerter was told", n.ledger.Change(ctx, sorted(due), func(s *SegmentState) error {
		was := due[s.Key()]
		overtaken := !s.Alert.Claimed.Equal(was.Claimed)
		if !overtaken {
			s.Alert.Claimed = time.Time{}
		}
		switch {
		case told && overtaken:
			s.Alert.doubt(&was)
		case told:
			s.told(&was, now)
		}
		return nil
	}))
}

// told takes in that the alerter was told what there was to tell.
func (s *SegmentState) told(was *AlertState, now time.Time) {
	over, fresh := was.outdated(), was.fresh()
	s.Alert.Heard = now
	s.Alert.Reworded = s.Alert.Open != nil && was.Open != nil && s.Alert.Open.Text != was.Open.Text
	s.Alert.Told = slices.DeleteFunc(s.Alert.Told, func(t Told) bool { return slices.Contains(over, t.Mark) })
	s.Alert.Trying = slices.DeleteFunc(s.Alert.Trying, func(m Mark) bool { return slices.Contains(over, m) || slices.Contains(fresh, m) })
	for _, m := range fresh {
		if s.Alert.told(m) {
			continue
		}
		s.Alert.Told = append(s.Alert.Told, Told{m, now})
		s.Log = append(s.Log, LogEntry{Segment: s.Segment, Store: s.Store, At: now, Action: ActionTold, RunID: was.Open.RunID, Mark: &m, Incident: was.Incident})
	}
	if len(s.Alert.Told)+len(s.Alert.Trying) == 0 {
		s.Alert.Over = ""
	}
}

// doubt takes in that the alerter was told what there was to tell, and somebody else
// claimed the telling meanwhile: nobody knows which of the two it heard last. Where what
// they said differs, it is told again.
func (s *AlertState) doubt(was *AlertState) {
	over := was.outdated()
	for _, m := range slices.Concat(over, was.fresh()) {
		if s.told(m) != slices.Contains(over, m) { // as the other one said
			continue
		}
		s.Told = slices.DeleteFunc(s.Told, func(t Told) bool { return t.Mark == m })
		if !slices.Contains(s.Trying, m) {
			s.Trying = append(s.Trying, m)
		}
	}
}

// ring tells the alerter of an incident what it does not know. Another one may be
// telling it: then its members wait until it was told once. joined is the worst mark of
// those members that a guard is about.
func (n *notifier) ring(ctx context.Context, id string, joined Mark) error {
	name, err := n.identity(ctx)
	if err != nil {
		return err
	}
	var due *Incident
	now := n.now()
	if same, err := n.same(ctx, id, joined, now); err != nil || same {
		return err
	}
	err = n.ledger.ChangeIncident(ctx, id, func(i *Incident) error {
		due = nil
		n.counted(i, now)
		i.note(i.observe(i.Members, now), now)
		i.note(i.end(now), now)
		if i.claim(now, now.Add(claimFor)) {
			due = new(*i)
		} else if len(i.Told) == 0 && i.Over.IsZero() && len(i.Rings) > 0 {
			return errTelling
		}
		return nil
	})
	if err != nil || due == nil {
		return wrap("writing down the incident", err)
	}
	firing, resolved := due.alerts(name, n.keeps() != nil)
	told := within(ctx, claimFor/2, func(ctx context.Context) error { return n.say(ctx, firing, resolved) })
	return join(wrap("telling of an incident", told), wrap("writing down that the incident was told", n.ledger.ChangeIncident(ctx, id, func(i *Incident) error {
		if told != nil {
			i.Claimed = n.now()
			return nil //nolint:nilerr // that it may have heard is what is kept
		}
		i.Claimed, i.Told = time.Time{}, due.standing()
		if i.First.IsZero() {
			i.First = now
		}
		return nil
	})))
}

// alerts returns what the alerter is to be told of an incident: that all its rings are
// over, also those that it may have heard of, or else of all of them, as the text may be
// another. One that does not keep alerts hears of the latest, once.
func (i *Incident) alerts(ledger string, keeps bool) (firing, resolved []Alert) {
	var alerts []Alert
	for _, r := range i.Rings {
		alerts = append(alerts, i.alert(r))
		alerts[len(alerts)-1].Ledger = ledger
	}
	switch {
	case !i.Over.IsZero():
		return nil, alerts
	case keeps:
		return alerts, nil
	case len(alerts) == 0 || slices.Contains(i.Told, i.Rings[len(i.Rings)-1]):
		return nil, nil
	}
	return alerts[len(alerts)-1:], nil
}

// same reports whether there is nothing to write down of an incident: very many
// guards ask at once.
func (n *notifier) same(ctx context.Context, id string, joined Mark, now time.Time) (bool, error) {
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, ID: id}) {
		if err == nil && n.needsNoCount(&i, joined, now) {
			return true, nil
		}
	}
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{ID: id}) {
		if err != nil {
			return false, wrap("reading the incident", err)
		}
		n.counted(&i, now)
		was := i
		rings := len(i.observe(i.Members, now)) > 0 || i.Pending()
		return !rings && len(i.end(now)) == 0 && i.Empty.Equal(was.Empty) && now.Sub(was.Last).Abs() < time.Hour/2, nil
	}
	return false, nil
}

// A memberCount is how many members an incident had.
type memberCount struct {
	members int
	at      time.Time
}

// mostJoin is how many segments a second a guard takes to become members at most: it
// counts them only where so many could reach the next ring. Counting thousands takes as
// long as all else that a failing run does. A sweep counts always.
const mostJoin = 1000

// counted remembers how many members an incident has.
func (n *notifier) counted(i *Incident, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counts == nil || len(n.counts) > mostOthers {
		n.counts = map[string]memberCount{}
	}
	n.counts[i.ID] = memberCount{i.Members.Segments, now}
}

// needsNoCount reports whether an incident cannot ring, whoever joined since its members
// were counted last. joined is the worst mark of those who did here.
func (n *notifier) needsNoCount(i *Incident, joined Mark, now time.Time) bool {
	if n.patience == 0 || len(i.Rings) == 0 || i.Pending() || !i.Over.IsZero() || !i.Empty.IsZero() || now.Sub(i.Last).Abs() >= time.Hour/2 {
		return false
	}
	if last := i.Rings[len(i.Rings)-1]; joined.Urgency == Page && last.Urgency != Page || joined.Level.Compare(last.Level) > 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c, known := n.counts[i.ID]
	since := now.Sub(c.at)
	if !known || since < 0 || ringAt(c.members+1+int(since.Seconds()*mostJoin)) != ringAt(c.members) {
		return false
	}
	n.counts[i.ID] = memberCount{c.members + 1, c.at} // by this guard
	return true
}

// note adds to the log what became of the incident.
func (i *Incident) note(actions []Action, now time.Time) {
	for _, action := range actions {
		i.Log = append(i.Log, LogEntry{Store: i.Cause.Store, At: now, Action: action, Incident: i.ID, Text: i.String()})
	}
}
