package simulationtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// An alerter keeps what it was told, by its labels, until that is over.
type alerter struct{}

// A plainAlerter does not say what it keeps, so that nothing repairs what was left
// untold.
type plainAlerter struct{}

func (plainAlerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	return alerter{}.Tell(ctx, firing, resolved)
}

// alerterOf returns the alerter of a world.
func alerterOf(seed uint64) segment.Alerter {
	if seed%2 == 0 {
		return plainAlerter{}
	}
	return alerter{}
}

// A held alert is one that the alerter keeps.
type held struct {
	segment.Alert

	onset int // of its segment, when it was told first
}

func (alerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	p := of(ctx)
	bound := 2 * time.Second
	if p.wait() == 0 {
		bound = 0
	}
	return p.call(ctx, "alerter", bound, func() error {
		p.world.hearing.Lock()
		for i := range resolved {
			p.world.over(&resolved[i], firing)
		}
		p.world.hearing.Unlock()
		if p.slow {
			select {
			case <-time.After(90 * time.Second):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		p.world.hearing.Lock()
		defer p.world.hearing.Unlock()
		for _, a := range firing {
			p.world.hears(p, &a)
			if a.Told.IsZero() {
				a.Told = time.Now()
			}
			h := held{a, p.world.onsets[a.Segment]}
			if known, ok := p.world.held[labelsOf(&a)]; ok {
				h.onset, h.Told = known.onset, known.Told
				h.Unconfirmed = h.Unconfirmed && known.Unconfirmed // it stands until the later of two ends
			} else {
				p.say("rings: %s %s", a.Urgency, a.Text)
			}
			p.world.held[labelsOf(&a)] = h
			p.world.told = append(p.world.told, a)
		}
		return nil
	})
}

// hears takes in that people are told. That is once for each mark of an onset, and once
// more for each fault that there was: the answer may have been lost. An alerter that
// keeps alerts is told again, and people are not. Of an incident they hear before they
// hear of its members.
func (w *world) hears(p *process, a *segment.Alert) {
	_, known := w.held[labelsOf(a)]
	if a.Unconfirmed || known && w.keeps() || p.skewed { // by its clock the claim of who is telling ran out
		return
	}
	mark := fmt.Sprint(w.onsets[a.Segment], labelsOf(a))
	if w.tells[mark]++; w.tells[mark] > 1+w.scheduler.faults {
		w.violate("%s tells people for the %d. time: %s", p.name, w.tells[mark], a.Text)
	}
	ofIncident := func(b *segment.Alert) bool { return b.Ring > 0 && b.Incident == a.Incident }
	if a.Incident != "" && a.Ring == 0 && !slices.ContainsFunc(w.told, func(b segment.Alert) bool { return ofIncident(&b) }) {
		w.violate("%s tells people of a member, and nobody of its incident: %s", p.name, a.Text)
	}
}

// keeps reports whether the alerter of this world keeps alerts.
func (w *world) keeps() bool { return w.plan.seed%2 != 0 }

// Open yields what the alerter keeps.
func (alerter) Open(ctx context.Context, _ string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		p := of(ctx)
		var all []segment.Alert
		err := p.call(ctx, "alerter: open", p.wait(), func() error {
			p.world.hearing.Lock()
			defer p.world.hearing.Unlock()
			for _, labels := range slices.Sorted(maps.Keys(p.world.held)) {
				all = append(all, p.world.held[labels].Alert)
			}
			return nil
		})
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
		if err != nil {
			yield(segment.Alert{}, err)
		}
	}
}

// labelsOf returns what tells the alerts of an alerter apart.
func labelsOf(a *segment.Alert) string {
	kind, name := a.Kind, a.Segment.String()
	if a.Ring > 0 {
		kind, name = "", a.Segment.SiteGroup
	}
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%d", name, a.Urgency, kind, a.Level, a.Job.Kind, a.Build, a.Incident, a.Ring)
}

// over takes in that people are told that an alert is over. It must not be one of a
// fault that stands, unless it is told under an incident from now on.
func (w *world) over(a *segment.Alert, firing []segment.Alert) {
	for labels, h := range w.held {
		if all := a.Kind == "" && a.Ring == 0 && h.Segment == a.Segment; !all && labels != labelsOf(a) {
			continue
		}
		relabelled := slices.ContainsFunc(firing, func(b segment.Alert) bool {
			return b.Segment == a.Segment && b.Incident != a.Incident && b.Kind == a.Kind && b.Level == a.Level && b.Urgency == a.Urgency
		})
		if a.Ring == 0 && w.isOpen[a.Segment] && h.onset == w.onsets[a.Segment] && !relabelled && !h.Unconfirmed {
			w.violate("people are told that it is over, and it is not: %s", h.Text)
		}
		delete(w.held, labels)
	}
}

// changed takes in what a process made of a segment's alert.
func (w *world) changed(p *process, before *segment.Alert, s *segment.SegmentState, log []segment.LogEntry) {
	for _, e := range log {
		if e.Action == segment.ActionOpened {
			w.onsets[s.Segment]++
		}
	}
	w.isOpen[s.Segment] = s.Alert.Open != nil
	if before != nil && s.Alert.Open == nil && p.wait() > 0 && p.number != 0 && before.Number > p.number {
		w.violate("%s ended an alert about a run that began later: %s", p.name, before.Text)
	}
	live := w.store.live[s.Segment]
	if before != nil && s.Alert.Open == nil && p.does == "" && !w.well(live) && !w.unsure(s.Segment) {
		w.violate("%s ended an alert, and live is %v: %s", p.name, live, before.Text)
	}
}

// unsure reports whether a segment may change at any time, whatever the guards do: as
// runs write into it without staging, or one may land after it was given up, or people
// decided what is right.
func (w *world) unsure(id segment.ID) bool {
	if w.landsLate(id) {
		return true
	}
	if p := w.plan.weeks; p != nil && w.learned(id, p.users) {
		return true
	}
	return w.writesLive(id) || w.misled(id) || !w.ended[id].IsZero()
}

// landsLate reports whether a run of a segment may land after it was given up.
func (w *world) landsLate(id segment.ID) bool {
	for _, o := range w.outputs {
		if o.id == id && o.tainted {
			return true
		}
	}
	return false
}

// judgeTold holds what the alerter has against what the ledger says that it was told.
func (w *world) judgeTold(s *segment.SegmentState) {
	has := map[string]bool{}
	for labels, h := range w.held {
		if h.Ring == 0 && h.Segment == s.Segment && !h.Unconfirmed {
			has[labels] = true
		}
	}
	a := s.Alert.Open
	for _, told := range s.Alert.Told {
		labels := labelsOf(&segment.Alert{
			Segment: s.Segment, Urgency: told.Urgency, Kind: told.Kind, Level: told.Level, Job: segment.Job{Kind: told.JobKind}, Build: told.Build, Incident: told.Incident,
		})
		if !has[labels] {
			w.violate("%s: the alerter does not have what it was told: %s", s.Segment, labels)
		}
		delete(has, labels)
	}
	switch {
	case len(has) > 0:
		w.violate("%s: the alerter has what nobody knows of: %s", s.Segment, strings.Join(slices.Sorted(maps.Keys(has)), ", "))
	case a == nil && len(s.Alert.Told) > 0, a != nil && len(s.Alert.Told) != len(s.Alert.Marks), s.Alert.Pending():
		w.violate("%s: people were told %v, and %v is so", s.Segment, s.Alert.Told, s.Alert.Marks)
	}
}
