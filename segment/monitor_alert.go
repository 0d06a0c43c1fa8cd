package segment

import (
	"context"
	"maps"
	"slices"

	"github.com/segmentguard/segmentguard/validate"
)

// mostAtOnce is how many segments a sweep changes in one transaction, so that no
// guard waits for long: some hundredths of a second.
const mostAtOnce = 1000

// writeDown brings the alerts in line with what was found, takes sizes out of the
// baselines that a limit brought about, and puts the gravest findings into the sweep.
// Nobody is told yet.
func (w *sweeper) writeDown(ctx context.Context) error {
	shown := w.show()
	ids := slices.Concat(slices.Collect(maps.Keys(w.findings)), slices.Collect(maps.Keys(w.healthy)))
	slices.SortFunc(ids, ID.Compare)
	ids = slices.Compact(ids) // what is suspected may be well of what was proven
	var failures []error
	for chunk := range slices.Chunk(ids, mostAtOnce) {
		failures = append(failures, w.detail(ctx, chunk), w.writeSome(ctx, chunk))
		for _, id := range chunk {
			if f := w.findings[id]; f != nil && !shown[f] {
				f.details = nil
			}
		}
	}
	for _, a := range w.sweep.Affected[:min(len(w.sweep.Affected), mostShown)] {
		f := w.findings[a.Segment]
		if f.details == nil {
			w.sweep.Findings = append(w.sweep.Findings, f.undetailed())
		} else {
			w.sweep.Findings = append(w.sweep.Findings, *f.details)
		}
	}
	return joinFew(failures)
}

// show puts what was found into the sweep. It returns the findings whose details
// the sweep shows.
func (w *sweeper) show() map[*found]bool {
	shown := map[*found]bool{}
	for _, f := range slices.SortedFunc(maps.Values(w.findings), gravestFirst) {
		w.sweep.Affected = append(w.sweep.Affected, Affected{Segment: f.segment, Users: f.users})
		if len(shown) < mostShown {
			shown[f] = true
		}
	}
	return shown
}

// writeSome writes down what was found of some segments.
func (w *sweeper) writeSome(ctx context.Context, ids []ID) error {
	alerts := map[ID]Alert{}
	var failures []error
	for _, id := range ids {
		f := w.findings[id]
		if f == nil || f.details == nil {
			continue
		}
		if f.upstream != nil {
			f.details.Upstream = f.upstream.segment
		}
		rule, err := w.monitor.rule(ctx, id, &f.details.Last)
		failures = append(failures, err)
		rule.Store = w.monitor.config.Store
		alerts[id] = f.details.alert(w.sweep.At, w.monitor.config.Counter, &rule, w.monitor.job(id, &f.details.Last))
	}
	_, err := w.monitor.notifier.change(ctx, w.monitor.keys(ids), func(s *SegmentState) []observation {
		alert, affected := alerts[s.Segment]
		if !affected {
			return w.wellness(s)
		}
		return w.affect(s, &alert)
	})
	return joinFew(append(failures, err))
}

// affect takes what was found into a segment's state, and returns what of it is to be
// observed.
func (w *sweeper) affect(s *SegmentState, alert *Alert) []observation {
	w.suspect(s)
	switch {
	case !s.hasAlert():
		w.untold[s.Segment] = *alert
		return nil
	case w.seenByGuard(s, alert),
		w.findings[s.Segment].refused && !s.untold(), // its guard told of it meanwhile
		alert.Missing && !s.everLive():               // it was forgotten, or renamed
		return nil
	}
	w.reject(s, alert)
	seen := []observation{{event: aFault, at: w.sweep.At, alert: *alert}}
	if open := s.Alert.Open; open != nil && s.Alert.Swept && open.proven() && alert.suspected() {
		return append(w.wellness(s), seen...)
	}
	return seen
}

// seenByGuard reports whether a guard passed the run that brought the size, with a
// warning of which people know: what it judged right by itself is no worse for being
// seen again. A number that other segments stopped at, too, is.
func (w *sweeper) seenByGuard(s *SegmentState, a *Alert) bool {
	open := s.Alert.Open
	return open != nil && open.State.live() && open.RunID == s.Last.RunID && open.Attempt == s.Last.Attempt &&
		w.findings[s.Segment].limited == nil && (offHistory(a.Kind) || a.Kind == validate.Capped || a.Kind == validate.Frozen) && a.Report.Stored.Users() == s.Last.Users
}

// reject keeps, once a day, the size of a segment that no guard stands before and that
// is off its history: the band must not widen by the days that it stands.
func (w *sweeper) reject(s *SegmentState, a *Alert) {
	if a.Report.Level != validate.LevelOff || a.Size == nil || s.guarded(a.Size.Counter) || w.findings[s.Segment].limited != nil {
		return
	}
	if n := len(s.Candidates); n == 0 || a.At.Sub(s.Candidates[n-1].At) >= freshly {
		size := *a.Size
		size.Unguarded = true
		s.Take(&a.Report, size)
	}
}

// tellUntold tells the alerter of segments whose alert cannot be read, so that none
// can be kept: in each sweep until that is repaired.
func (w *sweeper) tellUntold(ctx context.Context) error {
	var alerts []Alert
	for _, id := range sorted(w.untold) {
		alerts = append(alerts, w.untold[id])
	}
	if len(alerts) == 0 {
		return nil
	}
	return wrap("telling of damage", w.monitor.config.Alerter.Tell(ctx, alerts, nil))
}

// wellness returns what the sweep has to say of a segment that it found healthy, if
// it listed all, and the alert still is the one that stood when it began.
func (w *sweeper) wellness(s *SegmentState) []observation {
	well, ok := w.healthy[s.Segment]
	open, seen := s.Alert.Open, w.open[s.Segment]
	if !ok || !w.sweep.Complete || open == nil || open.RunID != seen.run || open.Attempt != seen.attempt || !open.At.Equal(seen.at) {
		return nil
	}
	return []observation{{event: aHealthySweep, at: w.sweep.At, inside: well.inside, known: well.known, later: well.last.after(open)}}
}

// suspect takes the size of the last run out of the baseline where a limit brought
// it about.
func (w *sweeper) suspect(s *SegmentState) {
	f := w.findings[s.Segment]
	if f.limited == nil || f.limited.brought == "" || s.Last.RunID != f.limited.brought {
		return
	}
	last := s.Last.Size()
	if s.suspect(func(size validate.Size) bool { return same(size, last) }) {
		s.Log = append(s.Log, LogEntry{
			Segment: s.Segment, Store: s.Store, At: w.sweep.At, Action: ActionSuspected, RunID: s.Last.RunID, By: "sweep", Why: "several segments stopped at this size",
		})
	}
}

// tell forms the incidents there are, ends those that are over, and tells the
// alerter what it does not know. The ledger knows best by now what is open: guards
// wrote, too.
func (w *sweeper) tell(ctx context.Context) error {
	n := w.monitor.notifier
	var failures []error
	if n.keeps() != nil {
		failures = append(failures, n.reconcile(ctx))
	}
	affected, err := n.keys(ctx, SegmentFilter{Store: n.store, Affected: true, Limit: 1})
	failures = append(failures, err)
	if len(affected) > 0 {
		failures = append(failures, applyMutes(ctx, n.ledger, n.store, n.now()), n.formAll(ctx, w.sweep.At))
	}
	for _, err := range n.ledger.Incidents(ctx, IncidentFilter{Bare: true, Store: n.store, Open: true}) {
		affected, failures = append(affected, Key{}), append(failures, err) // it may be over
	}
	if len(affected) > 0 {
		failures = append(failures, n.deliverAll(ctx), n.remind(ctx))
	}
	failures = append(failures, w.tellUntold(ctx))
	told := joinFew(failures)
	w.sweep.Complete = w.sweep.Complete && told == nil
	return join(told, w.listIncidents(ctx))
}

// listIncidents puts the incidents that go on into the sweep.
func (w *sweeper) listIncidents(ctx context.Context) error {
	for i, err := range w.monitor.config.Ledger.Incidents(ctx, IncidentFilter{Store: &w.monitor.config.Store, Open: true}) {
		if err != nil {
			return wrap("reading the incidents", err)
		}
		if i.Over.IsZero() {
			w.sweep.Incidents = append(w.sweep.Incidents, i)
		}
	}
	return nil
}
