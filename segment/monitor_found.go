package segment

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// mostShown is how many findings a Sweep shows.
const mostShown = 1000

// A found segment is what a sweep holds of a finding until it is written down. Of
// very many it holds no details, and judges them again by then: neither its memory
// nor a transaction may grow with all that is known of each.
type found struct {
	segment  ID
	at       time.Time         // CurrentSize.At
	counted  int64             // what is stored, where it is a bare count
	stored   *validate.Summary // what is stored, where it is more than that
	listed   int               // how often the store's sizes name it; 0: it is missing
	urgency  Urgency
	kind     validate.Kind
	users    int64
	upstream *found          // nil: none explains it
	limited  *limited        // nil: not
	refused  bool            // a run is live that its guard refused
	damaged  *Damage         // a row of which nobody knows whose it is
	details  *SegmentFinding // nil: left out
}

// A limited segment shares its size with others that were larger.
type limited struct {
	findings []validate.Finding
	fell     *fall  // nothing else is wrong with it
	brought  string // the run that brought the size; empty: none
}

func newFound(current CurrentSize, listed int, details *SegmentFinding) *found {
	f := &found{segment: details.Segment, at: current.At, listed: listed, details: details}
	if f.counted = current.Stored.Users(); current.Stored != validate.Count(f.counted) {
		f.stored = new(current.Stored)
	}
	f.urgency, f.kind, f.users = details.Urgency, details.Kind, details.Users
	return f
}

// current returns the size that was found.
func (f *found) current() CurrentSize {
	c := CurrentSize{Segment: f.segment, At: f.at}
	if c.Stored = validate.Count(f.counted); f.stored != nil {
		c.Stored = *f.stored
	}
	return c
}

// gravestFirst puts the gravest finding first: by severity, kind, users at stake, name.
func gravestFirst(a, b *found) int {
	return cmp.Or(
		cmp.Compare(a.urgency, b.urgency), // "page" before "ticket"
		a.kind.Compare(b.kind),
		cmp.Compare(b.users, a.users),
		a.segment.Compare(b.segment),
	)
}

// limit adds that the segment shares a size with others.
func (f *found) limit(finding validate.Finding) {
	if f.limited == nil {
		f.limited = &limited{}
	}
	f.limited.findings = append(f.limited.findings, finding)
	if f.urgency = Page; finding.Kind.Compare(f.kind) < 0 {
		f.kind = finding.Kind
	}
	if f.details != nil {
		f.details.add(finding)
	}
}

// hold takes in what was found, with the details of the gravest.
func (w *sweeper) hold(f *found) {
	w.findings[f.segment] = f
	if w.detailed = append(w.detailed, f); len(w.detailed) < mostShown+mostShown/4 {
		return
	}
	slices.SortFunc(w.detailed, gravestFirst)
	for _, f := range w.detailed[mostShown:] {
		f.details = nil
	}
	w.detailed = w.detailed[:mostShown]
}

// detail fills in the details that were left out of some findings, by what the
// ledger holds of their segments now.
func (w *sweeper) detail(ctx context.Context, some []ID) error {
	bare := slices.DeleteFunc(slices.Clone(some), func(id ID) bool { f := w.findings[id]; return f == nil || f.details != nil })
	if len(bare) == 0 {
		return nil
	}
	states := map[ID]SegmentState{}
	err := w.monitor.config.Ledger.Change(ctx, w.monitor.keys(bare), func(s *SegmentState) error { // which changes nothing
		states[s.Segment] = *s
		return nil
	})
	if err != nil {
		return wrap("reading the segments that were found", err)
	}
	var failures []error
	for _, id := range bare {
		f, s := w.findings[id], states[id]
		details, err := w.examineAgain(ctx, f, &s)
		failures = append(failures, err)
		for _, finding := range f.limits() {
			details.add(finding)
		}
		f.details = &details
	}
	return joinFew(failures)
}

// examineAgain returns the details of what a sweep found.
func (w *sweeper) examineAgain(ctx context.Context, f *found, s *SegmentState) (SegmentFinding, error) {
	switch {
	case f.damaged != nil:
		s.Damaged = f.damaged
		return damagedFinding(s), nil //nolint:nilerr // it is what was found
	case s.Damaged != nil:
		return damagedFinding(s), nil //nolint:nilerr // it is what was found
	case f.limited != nil && f.limited.fell != nil:
		return newFinding(s, s.Segment, f.limited.fell.report()), nil
	case f.listed == 0 && s.everLive() && !w.monitor.config.AbsentIsEmpty:
		return missingFinding(s), nil
	case f.refused:
		return refusedFinding(s, f.current()), nil
	}
	rule, err := w.monitor.rule(ctx, s.Segment, &s.Last)
	if f.listed == 0 && !s.everLive() {
		c, _ := neverRan(s, w.sweep.At, rule.MaxAge)
		return c, err
	}
	e := w.examine(&pair{f.current(), *s, f.listed}, &rule)
	return newFinding(s, s.Segment, e.check(ctx, w.monitor.validator)), err
}

func (f *found) limits() []validate.Finding {
	if f.limited == nil {
		return nil
	}
	return f.limited.findings
}

// undetailed returns what is known of a finding whose details could not be read.
func (f *found) undetailed() SegmentFinding {
	report := validate.Report{Name: f.segment.String(), Stored: f.current().Stored, Findings: f.limits()}
	return SegmentFinding{
		Segment: f.segment, Urgency: f.urgency, Kind: f.kind, Users: f.users, Report: report,
		Text: report.Name + ": " + string(f.kind) + "; the details could not be read",
	}
}
