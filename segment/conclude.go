package segment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/segmentguard/segmentguard/validate"
)

// conclude looks at all segments at once, writes down what was found, and tells
// people. complete says that all segments were seen.
func (w *watch) conclude(ctx context.Context, complete bool) error {
	if w.sweep.Complete = complete; !complete {
		w.dropMissing()
	}
	asked := w.askAgain(ctx)
	suspicious := w.signatures()
	w.trace()
	for _, id := range sorted(w.cases) {
		w.sweep.Findings = append(w.sweep.Findings, *w.cases[id])
	}
	slices.SortFunc(w.sweep.Findings, gravestFirst)
	return join(w.alert(ctx), w.remember(ctx, suspicious), w.keep(ctx), asked)
}

// askAgain takes back cases that a later run explains: the ledger is read before
// the store is counted, so a run may go live between the two. Where the store holds
// as many users as that run's guard passed, the next sweep judges the segment.
// Very many cases have another reason, and must be told without asking for each.
func (w *watch) askAgain(ctx context.Context) error {
	if len(w.cases) > mostAsked {
		return nil
	}
	var failures []error
	for id, c := range w.cases {
		stored := &c.Report.Stored
		if c.missing || c.twice || stored.IsUnknown() || stored.RelErr() > 0 {
			continue
		}
		sizes, err := w.monitor.config.Ledger.Sizes(ctx, id, 1)
		failures = append(failures, err)
		for _, size := range sizes {
			if size.At.After(c.Last.At) && !size.Unguarded && size.Counter == w.monitor.config.Counter && size.Users == stored.Users() {
				delete(w.cases, id)
				w.sweep.Healthy++
			}
		}
	}
	return wrap("asking for runs that went live meanwhile", first(failures))
}

// mostAsked is for how many cases the ledger is asked once more, one by one.
const mostAsked = 1000

// keep has sizes kept of segments that no guard stands before, so that there is a
// history to judge the next ones by. It waits until the store was listed: in one
// database, or on one connection, the listing may stand in the way of writing.
// By then it is known, too, which of them a limit brought about.
func (w *watch) keep(ctx context.Context) error {
	var failures []error
	w.seen = slices.DeleteFunc(w.seen, func(s sighting) bool { return w.cases[s.segment] != nil })
	for chunk := range slices.Chunk(longestUnknown(w.seen), batchSize) {
		sizes := make([]SizeImport, len(chunk))
		for i, s := range chunk {
			sizes[i] = SizeImport{Segment: s.segment, Sizes: []validate.Size{s.size}}
		}
		err := w.monitor.config.Ledger.Import(ctx, sizes)
		if _, bad := errors.AsType[*validate.InputError](err); bad { // one of them: the others are kept
			for i := range sizes {
				failures = append(failures, w.monitor.config.Ledger.Import(ctx, sizes[i:i+1]))
			}
			continue
		}
		failures = append(failures, err)
	}
	return wrap("keeping sizes of segments that no guard stands before", first(failures))
}

// dropMissing takes back what was said to be missing from a listing that did not
// end well: out of order, it may still have come.
func (w *watch) dropMissing() {
	w.sweep.Missing = 0
	maps.DeleteFunc(w.cases, func(_ ID, c *SegmentFinding) bool { return c.missing })
}

// signatures makes cases of segments that share a size with others that were
// larger. It returns those whose last run brought that size.
func (w *watch) signatures() (suspicious []fall) {
	for _, side := range []struct {
		step, did string
		falls     []fall
		size      func(*Attempt) int64
	}{
		{"store", "", w.stored, func(a *Attempt) int64 { return a.Users }},
		{"read", "read ", w.read, func(a *Attempt) int64 { return a.Read }},
	} {
		for _, group := range signature(side.falls, w.sweep.Segments) {
			finding := validate.Finding{
				Kind: validate.Capped, Severity: validate.Fail, Step: side.step, Hint: limit(group[0].now),
				Detail: fmt.Sprintf("%sexactly %s, as %d other segments that were larger, too: a limit at work", side.did, validate.Count(group[0].now), len(group)-1),
			}
			for _, f := range group {
				w.shared(f, finding)
				if f.kept && side.size(&f.last) == f.now {
					suspicious = append(suspicious, f)
				}
			}
		}
	}
	return suspicious
}

// limit names a known limit at just that number.
func limit(users int64) string {
	for _, c := range validate.KnownCaps() {
		if c.Users == users {
			return "a known limit (" + c.Origin + ", …)"
		}
	}
	return ""
}

func (w *watch) shared(f fall, finding validate.Finding) {
	c, ok := w.cases[f.segment]
	if !ok {
		w.sweep.Healthy--
		fresh := newCase(&SegmentState{Segment: f.segment, Last: f.last}, f.segment, validate.Report{
			Expected: validate.Count(f.was), Stored: validate.Count(f.now),
		})
		c = &fresh
		w.cases[f.segment] = c
	}
	c.add(finding)
}

// trace finds, for each case, the affected segment farthest upstream that it was
// made from and that may explain it.
func (w *watch) trace() {
	for id, c := range w.cases {
		seen := map[ID]bool{id: true}
		for at := id; ; {
			up, ok := w.upstream(at, c, seen)
			if !ok {
				break
			}
			seen[up], at, c.Upstream = true, up, up
		}
	}
}

func (w *watch) upstream(id ID, c *SegmentFinding, seen map[ID]bool) (ID, bool) {
	job, ok := w.monitor.jobs[id]
	if !ok {
		return ID{}, false
	}
	for _, from := range job.From {
		if source, affected := w.cases[from]; affected && !seen[from] && source.Kind != validate.Unverified && more(source.Kind) == more(c.Kind) {
			return from, true
		}
	}
	return ID{}, false
}

// more reports whether a kind of failure means too many users.
func more(k validate.Kind) bool {
	return k == validate.Surplus || k == validate.Risen || k == validate.Repeated
}

// remember takes sizes out of the baselines that a limit brought about, and
// writes down what became of commits that nobody knew of.
func (w *watch) remember(ctx context.Context, suspicious []fall) error {
	var failures []error
	ledger := w.monitor.config.Ledger
	for _, f := range suspicious {
		failures = append(failures, wrap("taking a size out of the baseline", ledger.Suspect(ctx, f.segment, Suspicion{
			RunID: f.last.RunID, By: "sweep", Why: "several segments stopped at this size", At: w.sweep.At,
		})))
	}
	for _, r := range w.settled {
		err := ledger.Record(ctx, r)
		if errors.Is(err, ErrSuperseded) { // somebody else knew better meanwhile
			err = nil
		}
		failures = append(failures, wrap("recording what became of a run", err))
	}
	return first(failures)
}

// alert brings the alerts in line with what was found, and tells the alerter
// what it does not know.
func (w *watch) alert(ctx context.Context) error {
	changes, failed := w.changes(ctx)
	after := maps.Clone(w.states)
	for id, change := range changes {
		s := after[id]
		s.Segment = id
		change(&s)
		after[id] = s
	}
	w.sweep.Incidents = append(w.sweep.Incidents, incidents(after)...)
	w.incidentChanges(after, changes)
	_, err := w.monitor.alerts.change(ctx, sorted(changes), func(s *AlertState) { changes[s.Segment](s) }, w.standing()...)
	return join(failed, err, w.monitor.alerts.remind(ctx, w.states))
}

// standing are the incidents that the alerter was told of, and that go on.
func (w *watch) standing() (alerts []Alert) {
	for _, i := range w.sweep.Incidents {
		alert := i.alert(w.sweep.At)
		if s := w.states[alert.Segment]; s.Open != nil && !s.pending() && faultOf(s.Open) == faultOf(&alert) {
			alerts = append(alerts, *s.Open)
		}
	}
	return alerts
}

// changes are the alerts to change: those of the cases, those of segments that
// the last sweep found affected and this one healthy, and those of which the
// alerter was not told yet.
func (w *watch) changes(ctx context.Context) (map[ID]func(*AlertState), error) {
	changes := map[ID]func(*AlertState){}
	var failures []error
	for id, s := range w.states {
		switch {
		case w.healthy[id]:
			changes[id] = func(s *AlertState) {
				if s.Open != nil && (s.Open.bySweep() && s.Open.At.Before(w.sweep.At) || w.came(s.Open)) {
					s.Open = nil
				}
			}
		case s.pending():
			changes[id] = func(*AlertState) {}
		}
	}
	for i := range w.sweep.Findings {
		c := &w.sweep.Findings[i]
		rule, err := w.monitor.rule(ctx, c.Segment, &c.Last)
		if err != nil {
			failures = append(failures, err)
		}
		alert := c.alert(w.sweep.At, &rule, w.monitor.job(c.Segment, &c.Last))
		changes[c.Segment] = func(s *AlertState) { s.open(alert) }
	}
	return changes, first(failures)
}

// came reports whether an alert was about a run of unknown outcome, and the
// sweep found it live.
func (w *watch) came(a *Alert) bool {
	return slices.ContainsFunc(w.settled, func(r Record) bool {
		return r.State == RunCommitted && r.Segment == a.Segment && r.RunID == a.RunID && r.Attempt == a.Attempt
	})
}

// incidentChanges opens the incidents there are, and closes those that are over.
func (w *watch) incidentChanges(after map[ID]AlertState, changes map[ID]func(*AlertState)) {
	for id, s := range after {
		if s.Open != nil && s.Open.Incident != nil {
			changes[id] = func(s *AlertState) { s.Open = nil }
		}
	}
	for _, i := range w.sweep.Incidents {
		alert := i.alert(w.sweep.At)
		changes[alert.Segment] = func(s *AlertState) { s.open(alert) }
	}
}
