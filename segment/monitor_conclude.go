package segment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// conclude looks at all segments at once, writes down what was found, and tells
// people. complete says that all segments were seen.
func (w *sweeper) conclude(ctx context.Context, complete bool) error {
	var others error
	if complete {
		if sweep := w.monitor.sweeps.Add(1); slices.ContainsFunc(w.unlisted, func(u unlisted) bool { return u.missing }) {
			others = w.compareListings(ctx, sweep)
		}
	}
	if w.sweep.Complete = complete && !errors.Is(others, errTwoMonitors); !w.sweep.Complete {
		w.dropMissing()
	}
	var settled error
	if len(w.answers) > 0 {
		settled = w.settleSubmitted(ctx)
	}
	w.findDamage()
	asked := w.askAgain(ctx)
	w.findLimits()
	unread := w.traceUpstream(ctx)
	return join(others, settled, unread, w.writeDown(ctx), w.tell(ctx), w.remember(ctx), w.keep(ctx), w.keepPlans(ctx), w.countOpen(ctx), asked)
}

// damagedRows is where rows of the ledger have an alert of which nobody knows whose
// they are.
const damagedRows = "damaged"

// findDamage adds findings for such rows. Those of an earlier sweep are over where it
// found the row no more.
func (w *sweeper) findDamage() {
	for _, d := range w.damaged {
		s := SegmentState{Segment: ID{SiteGroup: damagedRows, Name: strconv.QuoteToASCII(d.Row)}, Store: w.monitor.config.Store, Damaged: d}
		f := newFound(CurrentSize{}, 0, new(damagedFinding(&s)))
		f.damaged = d
		w.hold(f)
	}
	for id, open := range w.open {
		if id.SiteGroup == damagedRows && open.run == "" && w.findings[id] == nil && w.sweep.Complete {
			w.healthy[id] = wellness{inside: true}
		}
	}
}

// dropMissing takes back what was said to be missing from a listing that did not
// end well: out of order, it may still have come.
func (w *sweeper) dropMissing() {
	w.sweep.Missing = 0
	maps.DeleteFunc(w.findings, func(_ ID, f *found) bool { return f.listed == 0 })
	w.answers = slices.DeleteFunc(w.answers, func(a answer) bool { return !a.listed })
}

// mostAsked is for how many findings the ledger is asked once more, one by one.
const mostAsked = 1000

// askAgain takes back findings that a later run explains: the ledger is read
// before the store is counted, so a run may go live between the two. Where the
// store holds as many users as that run's guard passed, the next sweep judges the
// segment. Which sizes are new is told by what the ledger held before, as a clock
// may be ahead or behind. Very many findings have another reason, and must be told
// without asking for each.
func (w *sweeper) askAgain(ctx context.Context) error {
	if len(w.findings) > mostAsked {
		return nil
	}
	var failures []error
	for id, f := range w.findings {
		stored := f.current().Stored
		if f.listed != 1 || f.details == nil || stored.IsUnknown() || !exact(&stored) {
			continue
		}
		now, err := w.monitor.config.Ledger.State(ctx, w.monitor.key(id))
		failures = append(failures, err)
		explains := func(size validate.Size) bool {
			known := slices.ContainsFunc(f.details.Sizes, func(before validate.Size) bool { return same(before, size) })
			return !known && !size.Unguarded && size.Counter == w.monitor.config.Counter && size.Users == stored.Users()
		}
		if slices.ContainsFunc(now.Sizes, explains) { // of one that is damaged there are none
			delete(w.findings, id)
			w.sweep.Healthy++
		}
	}
	return wrap("asking for runs that went live meanwhile", joinFew(failures))
}

// findLimits adds findings for segments that share a size with others that were
// larger, and notes those whose last run brought that size.
func (w *sweeper) findLimits() {
	for _, side := range []struct {
		step, did string
		falls     []fall
	}{{"store", "", w.stored}, {"read", "read ", w.read}} {
		for _, group := range sharedSizes(side.falls, w.sweep.Segments) {
			finding := validate.Finding{
				Kind: validate.Capped, Severity: validate.Fail, Step: side.step, Hint: knownLimit(group[0].now),
				Detail: fmt.Sprintf("%sexactly %s, as %d other segments that were larger, too: a limit at work", side.did, validate.Count(group[0].now), len(group)-1),
			}
			for i := range group {
				f := w.fallen(&group[i])
				if f.limit(finding); group[i].kept && group[i].brought {
					f.limited.brought = group[i].run
				}
			}
		}
	}
	w.stored, w.read = nil, nil
}

// knownLimit names a known limit at just that number.
func knownLimit(users int64) string {
	for _, c := range validate.KnownCaps() {
		if c.Users == users {
			return "a known limit (" + c.Origin + ", …)"
		}
	}
	return ""
}

// fallen returns the finding of a segment that fell, a new one if nothing else was
// found of it.
func (w *sweeper) fallen(f *fall) *found {
	if known, ok := w.findings[f.segment]; ok {
		return known
	}
	w.sweep.Healthy--
	delete(w.healthy, f.segment)
	details := newFinding(&SegmentState{Store: w.monitor.config.Store, Last: Record{RunID: f.run}}, f.segment, f.report())
	fresh := newFound(CurrentSize{Stored: validate.Count(f.now)}, 1, &details)
	fresh.details, fresh.limited = nil, &limited{fell: new(*f)}
	w.findings[f.segment] = fresh
	return fresh
}

// report returns what is judged of a fall by itself.
func (f *fall) report() validate.Report {
	return validate.Report{Expected: validate.Count(f.was), Stored: validate.Count(f.now)}
}

// elsewhere returns what is wrong in other stores with live segments that those in which
// something was found were made from.
func (w *sweeper) elsewhere(ctx context.Context) (map[ID]*found, error) {
	sources := map[ID]*found{}
	for id := range w.findings {
		if job, ok := w.monitor.jobs[id]; ok {
			for _, from := range job.From {
				sources[from] = nil
			}
		}
	}
	if len(sources) == 0 {
		return sources, nil
	}
	for s, err := range w.monitor.config.Ledger.Segments(ctx, SegmentFilter{Affected: true}) {
		if err != nil {
			return map[ID]*found{}, wrap("reading the alerts of other stores", err)
		}
		_, asked := sources[s.Segment]
		if a := s.Alert.Open; asked && a != nil && s.Store != w.monitor.config.Store && !a.Protected() {
			sources[s.Segment] = &found{segment: s.Segment, kind: a.Kind}
		}
	}
	maps.DeleteFunc(sources, func(_ ID, f *found) bool { return f == nil })
	return sources, nil
}

// traceUpstream finds, for each finding, the affected segment farthest upstream
// that the segment was made from and that may explain it, in this store or elsewhere.
func (w *sweeper) traceUpstream(ctx context.Context) error {
	if len(w.findings) == 0 {
		return nil
	}
	elsewhere, err := w.elsewhere(ctx)
	for id, f := range w.findings {
		seen := map[ID]bool{id: true}
		for at := id; ; {
			up := w.upstream(at, f, seen, elsewhere)
			if up == nil {
				break
			}
			seen[up.segment], at, f.upstream = true, up.segment, up
		}
	}
	return err
}

func (w *sweeper) upstream(id ID, f *found, seen map[ID]bool, elsewhere map[ID]*found) *found {
	job, ok := w.monitor.jobs[id]
	if !ok {
		return nil
	}
	for _, from := range job.From {
		for _, source := range []*found{w.findings[from], elsewhere[from]} {
			if source != nil && !seen[from] && source.kind != validate.Unverified && tooMany(source.kind) == tooMany(f.kind) {
				return source
			}
		}
	}
	return nil
}

// tooMany reports whether a kind of failure means too many users.
func tooMany(k validate.Kind) bool {
	return k == validate.Surplus || k == validate.Risen || k == validate.Repeated
}

// remember records what became of commits whose outcome was unknown.
func (w *sweeper) remember(ctx context.Context) error {
	var failures []error
	ledger := w.monitor.config.Ledger
	for _, r := range w.settled {
		if w.goingLive(ctx, r.Segment) {
			continue
		}
		err := within(ctx, defaultTimeout, func(ctx context.Context) error { return ledger.Record(ctx, r) })
		if errors.Is(err, ErrSuperseded) { // somebody else knew better meanwhile
			err = nil
		}
		failures = append(failures, wrap("recording what became of a run", err))
	}
	for _, r := range w.learned {
		if w.goingLive(ctx, r.Segment) {
			continue
		}
		failures = append(failures, wrap("recording what is live", ledger.Change(ctx, []Key{w.monitor.key(r.Segment)}, func(s *SegmentState) error {
			if s.Damaged == nil && s.Live == nil && s.Last.RunID == r.RunID && s.Last.Attempt == r.Attempt && s.Last.State == r.State {
				s.Live = &validate.Size{Users: r.Users, At: r.At, Counter: r.Counter}
			}
			return nil
		})))
	}
	return joinFew(failures)
}

// goingLive reports whether a run of the segment may be about to go live: then it
// knows better than what the store held before. A transaction may hold the commit
// row for ever; a sweep waits a second for it, and for many of them ten in all.
func (w *sweeper) goingLive(ctx context.Context, id ID) bool {
	held, begun := false, time.Now()
	err := within(ctx, max(time.Second-w.waited/10, 10*time.Millisecond), func(ctx context.Context) error {
		return w.monitor.config.Ledger.Lock(ctx, w.monitor.key(id), func(c *CommitRow) error {
			if c.Damaged != nil {
				return c.Damaged
			}
			held = c.held()
			return nil
		})
	})
	if err != nil {
		w.waited += time.Since(begun)
	}
	return err != nil || held
}

// keep imports sizes of segments that no guard stands before, so that there is a
// history to judge the next ones by. It waits until the store was listed: in one
// database, or on one connection, the listing may stand in the way of writing.
// By then it is known, too, which of them a limit brought about.
func (w *sweeper) keep(ctx context.Context) error {
	var failures []error
	w.seen = slices.DeleteFunc(w.seen, func(s seenSize) bool { f := w.findings[s.segment]; return f != nil && f.limited != nil })
	for chunk := range slices.Chunk(longestUnknown(w.seen), mostAtOnce) {
		sizes := make([]SizeImport, len(chunk))
		for i, s := range chunk {
			sizes[i] = SizeImport{Segment: s.segment, Store: w.monitor.config.Store, Sizes: []validate.Size{s.size}}
		}
		err := Import(ctx, w.monitor.config.Ledger, sizes)
		if _, bad := errors.AsType[*validate.InputError](err); bad { // one of them: the others are kept
			for i := range sizes {
				failures = append(failures, Import(ctx, w.monitor.config.Ledger, sizes[i:i+1]))
			}
			continue
		}
		failures = append(failures, err)
	}
	return wrap("keeping sizes of segments that no guard stands before", joinFew(failures))
}
