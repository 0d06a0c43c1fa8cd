package segment

import (
	"context"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A watch is one sweep on its way.
type watch struct {
	monitor *Monitor
	sweep   Sweep
	states  map[ID]AlertState // the alerts, as they were when it began

	mu      sync.Mutex
	cases   map[ID]*SegmentFinding
	healthy map[ID]bool // of the segments with an alert
	stored  []fall
	read    []fall
	settled []Record // commits of which nobody knew whether they worked
	seen    []sighting
}

func (m *Monitor) watch(ctx context.Context) (*watch, error) {
	w := &watch{
		monitor: m,
		sweep:   Sweep{At: time.Now().UTC(), Findings: []SegmentFinding{}, Incidents: []Incident{}},
		states:  map[ID]AlertState{},
		cases:   map[ID]*SegmentFinding{},
		healthy: map[ID]bool{},
	}
	for s, err := range m.config.Ledger.Alerts(ctx) {
		if err != nil {
			return w, wrap("reading the alerts", err)
		}
		w.states[s.Segment] = s
	}
	return w, nil
}

// A tally is what was found in one batch of segments.
type tally struct {
	segments, healthy, unwatched, missing int

	cases        []SegmentFinding
	well         []ID
	stored, read []fall
	settled      []Record
	seen         []sighting
}

// judgeAll judges a batch and adds up what it found.
func (w *watch) judgeAll(ctx context.Context, batch []pair) (err error) {
	var t tally
	for i := 0; i < len(batch) && err == nil; i++ {
		err = w.judge(ctx, &batch[i], &t)
	}
	w.add(&t)
	return err
}

func (w *watch) add(t *tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep.Segments += t.segments
	w.sweep.Healthy += t.healthy
	w.sweep.Unwatched += t.unwatched
	w.sweep.Missing += t.missing
	w.stored = append(w.stored, t.stored...)
	w.read = append(w.read, t.read...)
	w.settled = append(w.settled, t.settled...)
	if w.seen = append(w.seen, t.seen...); len(w.seen) > 2*mostKept {
		w.seen = longestUnknown(w.seen)
	}
	for i := range t.cases {
		w.cases[t.cases[i].Segment] = &t.cases[i]
	}
	for _, id := range t.well {
		w.healthy[id] = true
	}
}

// judge judges one segment.
func (w *watch) judge(ctx context.Context, p *pair, t *tally) error {
	if p.listed == 0 {
		if p.tracked.everLive() && !w.new(&p.tracked) {
			t.missing++
			t.cases = append(t.cases, missing(&p.tracked))
		}
		return nil
	}
	t.segments++
	rule, err := w.monitor.rule(ctx, p.current.Segment, &p.tracked.Last)
	if err != nil {
		return err
	}
	e := w.examine(p, &rule)
	e.settle(t)
	if e.unwatched() && p.listed == 1 {
		t.unwatched++
		e.keep(t)
		return nil
	}
	e.falls(t)
	if p.listed > 1 || !validate.NoFindings(&e.policy, &e.out) {
		c := newCase(&p.tracked, p.current.Segment, e.check(ctx, w.monitor.validator))
		c.twice = p.listed > 1
		t.cases = append(t.cases, c)
		return nil
	}
	t.healthy++
	if _, alerted := w.states[p.current.Segment]; alerted {
		t.well = append(t.well, p.current.Segment)
	}
	e.keep(t)
	return nil
}

// everLive reports whether the segment should be in the store: of one whose
// first run was rejected nothing is.
func (t *SegmentState) everLive() bool {
	return len(t.Sizes) > 0 || t.Last.live() || t.Last.State == RunUnknown
}

// new reports whether the segment came to be so late that the store may have been
// listed before.
func (w *watch) new(t *SegmentState) bool {
	return len(t.Sizes) <= 1 && t.Last.At.After(w.sweep.At.Add(-uncertain))
}

func missing(t *SegmentState) SegmentFinding {
	c := newCase(t, t.Segment, validate.Report{Findings: []validate.Finding{{
		Kind: validate.Unverified, Severity: validate.Fail,
		Detail: "it is not among the current sizes: deleted, or empty in a listing that leaves empty segments out",
	}}})
	c.missing = true
	return c
}
