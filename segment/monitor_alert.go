package segment

import (
	"context"
	"maps"
	"slices"
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
		w.sweep.Affected = append(w.sweep.Affected, Affected{Segment: f.current.Segment, Users: f.users})
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
			f.details.Upstream = f.upstream.current.Segment
		}
		rule, err := w.monitor.rule(ctx, id, &f.details.Last)
		failures = append(failures, err)
		alerts[id] = f.details.alert(w.sweep.At, &rule, w.monitor.job(id, &f.details.Last))
	}
	err := w.monitor.config.Ledger.Change(ctx, ids, func(s *SegmentState) error {
		if alert, ok := alerts[s.Segment]; ok {
			if !s.hasAlert() {
				w.untold[s.Segment] = alert
			}
			s.Alert.open(alert)
			w.suspect(s)
		} else if w.healthy[s.Segment] {
			w.close(s)
		}
		return nil
	})
	return joinFew(append(failures, wrap("writing alerts down", err)))
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

// close ends an alert that this sweep found to be over, if it still is the one
// that stood when it began.
func (w *sweeper) close(s *SegmentState) {
	open, seen := s.Alert.Open, w.open[s.Segment]
	if open != nil && open.RunID == seen.run && open.Attempt == seen.attempt && (!open.bySweep() || open.At.Before(w.sweep.At)) {
		s.Alert.Open = nil
	}
}

// suspect takes the size of the last run out of the baseline where a limit brought
// it about.
func (w *sweeper) suspect(s *SegmentState) {
	f := w.findings[s.Segment]
	if f.limited == nil || f.limited.brought == "" || s.Last.RunID != f.limited.brought {
		return
	}
	before := len(s.Sizes)
	if s.suspect(s.Last.Size()); len(s.Sizes) < before {
		s.Log = append(s.Log, LogEntry{
			Segment: s.Segment, At: w.sweep.At, Action: ActionSuspected, RunID: s.Last.RunID, By: "sweep", Why: "several segments stopped at this size",
		})
	}
}

// tell opens the incidents there are, ends those that are over, and tells the
// alerter what it does not know: incidents first, so that they hold back their
// segments' pages. The ledger knows best by now what is open: guards wrote, too.
func (w *sweeper) tell(ctx context.Context) error {
	stood := map[ID]AlertState{}
	groups := incidentGroups{}
	for s, err := range w.monitor.config.Ledger.Segments(ctx, SegmentFilter{Affected: true}) {
		switch a := s.Alert.Open; {
		case err != nil:
			return wrap("reading the alerts", err)
		case a != nil && a.Incident == nil:
			groups.add(a)
		case a != nil:
			stood[s.Segment] = s.Alert
		}
	}
	w.sweep.Incidents = append(w.sweep.Incidents, groups.incidents(stood)...)
	changes := map[ID]func(*AlertState){}
	for id := range stood {
		changes[id] = func(s *AlertState) { s.Open = nil }
	}
	var standing []Alert // of which the alerter was told, and that go on
	for _, i := range w.sweep.Incidents {
		alert := i.alert(w.sweep.At)
		changes[alert.Segment] = func(s *AlertState) { s.open(alert) }
		if s := stood[alert.Segment]; s.Open != nil && !s.pending() && faultOf(s.Open) == faultOf(&alert) {
			standing = append(standing, *s.Open)
		}
	}
	_, err := w.monitor.notifier.change(ctx, sorted(changes), func(s *SegmentState) { changes[s.Segment](&s.Alert) }, standing...)
	if err != nil { // without its incident each segment would ring
		return err
	}
	return join(w.tellUntold(ctx), w.monitor.notifier.tellAll(ctx, standing))
}
