package segment

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// stale returns a finding if there was no good run for too long.
func (r *Runs) stale(at time.Time, maxAge time.Duration) (f *validate.Finding, judged bool) {
	runs := r.Runs
	runs.MaxAge = maxAge
	return runs.Stale(at)
}

// age counts segments of whose age nothing can be said yet, and notes those that a
// job should write and never did.
func (w *sweeper) age(e *examination, rule *Rule, t *tally) {
	s := &e.pair.state
	if !e.aged && len(s.Runs.Times) > 0 {
		t.ageUnknown++
	}
	if e.pair.listed > 0 && len(e.out.Excuses) > 0 {
		w.lapsed(s, t)
	}
	if rule.MaxAge > 0 && rule.Store == w.monitor.config.Store && s.Runs.isZero() && s.Last.RunID == "" && w.monitor.jobs[e.pair.current.Segment] != nil {
		t.first = append(t.first, e.pair.current.Segment)
	}
}

// judgeNeverRun judges a segment that neither the store lists nor a run wrote, and
// that a job should write.
func (w *sweeper) judgeNeverRun(ctx context.Context, p *pair, t *tally) error {
	s := &p.state
	if _, ok := w.monitor.jobs[s.Segment]; !ok || s.everLive() {
		return nil
	}
	rule, err := w.monitor.rule(ctx, s.Segment, &s.Last)
	if err != nil || rule.MaxAge == 0 || rule.Store != w.monitor.config.Store {
		return err
	}
	if s.Runs.isZero() {
		t.first = append(t.first, s.Segment)
		return nil
	}
	if c, stale := neverRan(s, w.sweep.At, rule.MaxAge); stale {
		t.findings = append(t.findings, newFound(p.current, 0, &c))
	}
	return nil
}

// neverRan returns the finding of a segment that no run brought into the store.
func neverRan(s *SegmentState, at time.Time, maxAge time.Duration) (SegmentFinding, bool) {
	f, _ := s.Runs.stale(at, maxAge)
	if f == nil {
		return SegmentFinding{}, false
	}
	return newFinding(s, s.Segment, validate.Report{Expected: validate.Unknown(), Findings: []validate.Finding{*f}}), true
}

// withJobs adds the segments that jobs write, and of which the ledger knows nothing,
// to what it knows.
func (m *Monitor) withJobs(ledger iter.Seq2[SegmentState, error]) iter.Seq2[SegmentState, error] {
	if len(m.jobs) == 0 || m.config.Rules == nil { // which alone say how old a segment may be
		return ledger
	}
	return func(yield func(SegmentState, error) bool) {
		ids := sorted(m.jobs)
		upTo := func(s *SegmentState) bool {
			for len(ids) > 0 && (s == nil || ids[0].Compare(s.Segment) < 0) {
				if !yield(SegmentState{Segment: ids[0], Store: m.config.Store}, nil) {
					return false
				}
				ids = ids[1:]
			}
			if s != nil && len(ids) > 0 && ids[0] == s.Segment {
				ids = ids[1:]
			}
			return true
		}
		for s, err := range ledger {
			if err == nil && !s.Segment.IsZero() && !upTo(&s) || !yield(s, err) {
				return
			}
		}
		upTo(nil)
	}
}

// A planned segment is one whose excuses a sweep has something to say of.
type planned struct {
	segment ID
	size    validate.Size
	excuse  *validate.Excuse // what excuses the size; nil: one ended
	up      bool             // it is used up by that
	first   bool             // no run wrote the segment, and no sweep saw it before
}

// excused notes what excuses a size that no run told.
func (e *examination) excused(t *tally, r *validate.Report) {
	s := &e.pair.state
	if r.Excuse == nil || s.guarded(e.out.Counter) || !r.Passed() {
		return
	}
	for i := range s.Excuses {
		if up := r.Level == validate.LevelNew; sameExcuse(&s.Excuses[i].Excuse, r.Excuse) && (up || !s.Excuses[i].Used) {
			size := validate.Size{Users: e.out.Stored.Users(), At: e.at, Counter: e.out.Counter}
			t.plans = append(t.plans, planned{segment: s.Segment, size: size, excuse: r.Excuse, up: up})
		}
	}
}

// lapsed notes whether an excuse of the segment ended.
func (w *sweeper) lapsed(s *SegmentState, t *tally) {
	if slices.ContainsFunc(s.Excuses, func(e Excuse) bool { return !w.sweep.At.Before(e.Until) }) {
		t.plans = append(t.plans, planned{segment: s.Segment})
	}
}

// keepPlans writes down which excuses were used, which have ended, and which of those
// without a use; and when segments were first seen that no run wrote.
func (w *sweeper) keepPlans(ctx context.Context) error {
	plans, unused := map[ID][]planned{}, map[ID]int{}
	for _, p := range w.plans {
		plans[p.segment] = append(plans[p.segment], p)
	}
	for _, id := range w.first {
		plans[id] = append(plans[id], planned{segment: id, first: true})
	}
	var failures []error
	for chunk := range slices.Chunk(sorted(plans), mostAtOnce) {
		failures = append(failures, w.monitor.config.Ledger.Change(ctx, w.monitor.keys(chunk), func(s *SegmentState) error {
			if s.Damaged == nil {
				unused[s.Segment] = s.keepPlans(plans[s.Segment], w.sweep.At)
			}
			return nil
		}))
	}
	for _, n := range unused {
		w.sweep.Unused += n
	}
	return wrap("keeping what became of what was planned", joinFew(failures))
}

// keepPlans takes in what a sweep has to say of the segment's excuses, and returns how
// many ended unused.
func (s *SegmentState) keepPlans(plans []planned, at time.Time) (unused int) {
	for _, p := range plans {
		i := slices.IndexFunc(s.Excuses, func(e Excuse) bool { return p.excuse != nil && sameExcuse(&e.Excuse, p.excuse) })
		switch {
		case i >= 0:
			s.use(i, p.size.At, "", p.size.Users, p.up)
		case p.first && s.Runs.isZero():
			s.Runs.Since = at
		}
	}
	var going []Excuse
	for _, e := range s.Excuses {
		switch {
		case at.Before(e.Until):
			going = append(going, e)
		case !e.Used:
			unused++
			s.Log = append(s.Log, LogEntry{
				Segment: s.Segment, Store: s.Store, At: at, Action: ActionUnused, By: e.By, Why: e.Why,
				Text: fmt.Sprintf("until %s no size was excused", e.Until.UTC().Format(time.RFC3339)),
			})
		}
	}
	s.Excuses = going
	return unused
}
