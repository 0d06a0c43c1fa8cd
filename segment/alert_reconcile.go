package segment

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// labels are what tells the alerts of an alerter that keeps them apart.
type labels struct {
	key      Key
	urgency  Urgency
	kind     validate.Kind
	level    Level
	jobKind  JobKind
	build    string
	incident string
	ring     int
}

// labels returns those of an alert. The segment of an incident's is a name only,
// and its kind changes.
func (a *Alert) labels() labels {
	l := labels{a.key(), a.Urgency, a.Kind, a.Level, a.Job.Kind, a.Build, a.Incident, a.Ring}
	if a.Ring > 0 {
		l.key.Segment.Name, l.kind = "", ""
	}
	return l
}

// heard is what an alerter has of this ledger's alerts, by the hashes of their
// labels.
type heard struct {
	seed  maphash.Seed
	has   map[uint64]bool
	begun time.Time // when it was asked: what it was told since is not lost
}

func (h *heard) hash(a *Alert) uint64 { return maphash.Comparable(h.seed, a.labels()) }

// takes reports whether the alerter has an alert, and takes it off the list.
func (h *heard) takes(a *Alert) bool {
	hash := h.hash(a)
	found := h.has[hash]
	delete(h.has, hash)
	return found
}

// reconcile compares what an alerter keeps with what the ledger knows that it was
// told. What it lost is to be told again. What only the alerter has is over, as long
// as it is of this ledger, and not of a moment ago: whoever told it may not have
// written that down yet.
func (n *notifier) reconcile(ctx context.Context) error {
	open := n.keeps()
	if open == nil {
		return nil
	}
	name, err := n.identity(ctx)
	if err != nil {
		return err
	}
	h := &heard{maphash.MakeSeed(), map[uint64]bool{}, n.now()}
	for a, err := range open(ctx, "") { // the alerter first: what is told meanwhile is in the ledger only
		if err != nil {
			return wrap("reading the alerter's alerts", err)
		}
		if n.owns(&a, name) {
			h.has[h.hash(&a)] = true
		}
	}
	if err := join(n.lostIncidents(ctx, h), n.lostSegments(ctx, h)); err != nil || len(h.has) == 0 {
		return err
	}
	var orphans []Alert
	for a, err := range open(ctx, "") {
		if err != nil {
			return wrap("reading the alerter's alerts", err)
		}
		if n.owns(&a, name) && h.has[h.hash(&a)] && n.now().Sub(a.Told) > 2*claimFor {
			orphans = append(orphans, a)
		}
		if len(orphans) == tellAtOnce {
			if err := n.settleOrphans(ctx, orphans); err != nil {
				return err
			}
			orphans = nil
		}
	}
	return n.settleOrphans(ctx, orphans)
}

// owns reports whether an alert is of this ledger and of the monitor's store.
func (n *notifier) owns(a *Alert, ledger string) bool {
	return a.Ledger == ledger && a.Store == *n.store
}

// settleOrphans takes alerts over into the ledger that were told while it was away, and
// ends the others.
func (n *notifier) settleOrphans(ctx context.Context, orphans []Alert) error {
	adopted := map[Key][]Alert{}
	for _, a := range orphans {
		if a.adoptable() {
			adopted[a.key()] = append(adopted[a.key()], a)
		}
	}
	if err := n.adopt(ctx, adopted); err != nil {
		return err
	}
	return n.endOrphans(ctx, orphans) // which asks the ledger
}

// adoptable reports whether nobody else finds the fault that an alert was told for while
// the ledger was away: the live segment keeps its users, and what was not verified then
// is by the next run.
func (a *Alert) adoptable() bool {
	return a.Unconfirmed && a.About == nil && a.Protected() && a.Kind != validate.Unverified && a.RunID != ""
}

// adopt takes alerts over into the ledger, as told, but for those of segments that a run
// has repaired since.
func (n *notifier) adopt(ctx context.Context, alerts map[Key][]Alert) error {
	if len(alerts) == 0 {
		return nil
	}
	return wrap("taking over what was told while the ledger was away", n.ledger.Change(ctx, sorted(alerts), func(s *SegmentState) error {
		for _, a := range alerts[s.Key()] {
			if !s.hasAlert() || s.Last.State.live() && s.Last.At.After(a.Since) {
				continue
			}
			told := Told{a.mark(), a.Told}
			a.Unconfirmed, a.At, a.Told = false, a.Since, time.Time{}
			a.Text = strings.Replace(a.Text, notConfirmed, "", 1)
			s.observe(observation{event: aFault, at: a.At, alert: a})
			if slices.Contains(s.Alert.Marks, told.Mark) && !s.Alert.told(told.Mark) {
				s.Alert.Told, s.Alert.Reworded = append(s.Alert.Told, told), true // people hear that it stands
			}
		}
		return nil
	}))
}

// lostIncidents finds the incidents that the alerter was told of and does not have.
func (n *notifier) lostIncidents(ctx context.Context, h *heard) error {
	var lost []string
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Store: n.store, Open: true}) {
		if err != nil {
			return wrap("reading the incidents", err)
		}
		misses := false
		for _, r := range i.Rings {
			if !h.takes(new(i.alert(r))) && slices.Contains(i.Told, r) {
				misses = true
			}
		}
		if misses {
			lost = append(lost, i.ID)
		}
	}
	for _, id := range lost {
		err := n.ledger.ChangeIncident(ctx, id, func(i *Incident) error {
			i.Told = nil
			return nil
		})
		if err != nil {
			return wrap("writing down what the alerter lost", err)
		}
	}
	return nil
}

// lostSegments finds the segments that the alerter was told of and does not have.
// Many of them, of which each would ring, come back as one incident.
func (n *notifier) lostSegments(ctx context.Context, h *heard) error {
	var lost []Key
	var alone onsets
	for s, err := range n.ledger.Segments(ctx, SegmentFilter{Store: n.store, Affected: true}) {
		if err != nil {
			return wrap("reading the alerts", err)
		}
		misses := false
		for _, t := range s.Alert.Told {
			if !h.takes(new(s.Alert.alert(s.Key(), t.Mark))) && slices.Contains(s.Alert.Marks, t.Mark) && !t.At.After(h.begun) {
				misses = true
			}
		}
		for _, m := range s.Alert.Trying {
			h.takes(new(s.Alert.alert(s.Key(), m)))
		}
		if !misses {
			continue
		}
		if lost = append(lost, s.Key()); s.Alert.Incident == "" {
			alone.add(s.Alert.Open)
		}
	}
	for chunk := range slices.Chunk(lost, tellAtOnce) {
		_, err := n.change(ctx, chunk, func(*SegmentState) []observation { return []observation{{event: aLoss, at: n.now()}} })
		if err != nil {
			return err
		}
	}
	if len(alone.keys) < fewest {
		return nil
	}
	alone.begun = n.now()
	_, err := n.begin(ctx, Cause{Lost: true, Store: *n.store}, &alone)
	return err
}

// endOrphans ends alerts that the ledger does not know, asking it once more.
func (n *notifier) endOrphans(ctx context.Context, orphans []Alert) error {
	var over []Alert
	for _, a := range orphans {
		known := false
		for s, err := range n.ledger.Segments(ctx, SegmentFilter{Segment: a.Segment, Store: &a.Store, Affected: true}) {
			if err != nil {
				return wrap("reading the alerts", err)
			}
			known = slices.ContainsFunc(slices.Concat(s.Alert.Marks, s.Alert.Trying), func(m Mark) bool { return m == a.mark() })
		}
		for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, ID: a.Incident}) {
			if err != nil {
				return wrap("reading the incidents", err)
			}
			known = known || a.Ring > 0 && i.Over.IsZero()
		}
		if !known {
			a.Text = "the ledger has no such alert"
			over = append(over, a)
		}
	}
	return wrap("ending what the ledger does not know", n.say(ctx, nil, over))
}

// remind tells an alerter that keeps alerts again of those whose text changed, and
// of all twice a day, so that none runs out.
func (n *notifier) remind(ctx context.Context) error {
	if n.keeps() == nil {
		return nil
	}
	var failures []error
	var keys []Key
	for s, err := range n.ledger.Segments(ctx, SegmentFilter{Store: n.store, Affected: true}) {
		if err != nil {
			failures = append(failures, wrap("reading the alerts", err))
			break
		}
		if s.Alert.outworn(n.now()) {
			keys = append(keys, s.Key())
		}
	}
	for chunk := range slices.Chunk(keys, tellAtOnce) {
		failures = append(failures, n.deliver(ctx, chunk, true))
	}
	return joinFew(failures)
}

const remindAfter = 12 * time.Hour

// outworn reports whether an alerter that keeps alerts should be told again of what
// it knows.
func (s *AlertState) outworn(now time.Time) bool {
	return s.Open != nil && len(s.Told) > 0 && (s.Reworded || now.Sub(s.Heard).Abs() >= remindAfter)
}
