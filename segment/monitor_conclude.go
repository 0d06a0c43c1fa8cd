package segment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// conclude looks at all segments at once, writes down what was found, and tells
// people. complete says that all segments were seen.
func (w *sweeper) conclude(ctx context.Context, complete bool) error {
	if w.sweep.Complete = complete; !complete {
		w.dropMissing()
	}
	asked := w.askAgain(ctx)
	suspicious := w.findLimits()
	w.traceUpstream()
	for _, id := range sorted(w.findings) {
		w.sweep.Findings = append(w.sweep.Findings, *w.findings[id])
	}
	slices.SortFunc(w.sweep.Findings, gravestFirst)
	return join(w.alert(ctx), w.remember(ctx, suspicious), w.keep(ctx), asked)
}

// dropMissing takes back what was said to be missing from a listing that did not
// end well: out of order, it may still have come.
func (w *sweeper) dropMissing() {
	w.sweep.Missing = 0
	maps.DeleteFunc(w.findings, func(_ ID, f *SegmentFinding) bool { return f.missing })
}

// mostAsked is for how many findings the ledger is asked once more, one by one.
const mostAsked = 1000

// askAgain takes back findings that a later run explains: the ledger is read
// before the store is counted, so a run may go live between the two. Where the
// store holds as many users as that run's guard passed, the next sweep judges the
// segment. Very many findings have another reason, and must be told without asking
// for each.
func (w *sweeper) askAgain(ctx context.Context) error {
	if len(w.findings) > mostAsked {
		return nil
	}
	var failures []error
	for id, f := range w.findings {
		stored := &f.Report.Stored
		if f.missing || f.twice || stored.IsUnknown() || stored.RelErr() > 0 {
			continue
		}
		sizes, err := w.monitor.config.Ledger.Sizes(ctx, id, 1)
		failures = append(failures, err)
		for _, size := range sizes {
			if size.At.After(f.Last.At) && !size.Unguarded && size.Counter == w.monitor.config.Counter && size.Users == stored.Users() {
				delete(w.findings, id)
				w.sweep.Healthy++
			}
		}
	}
	return wrap("asking for runs that went live meanwhile", joinFew(failures))
}

// findLimits adds findings for segments that share a size with others that were
// larger. It returns those whose last run brought that size.
func (w *sweeper) findLimits() (suspicious []fall) {
	for _, side := range []struct {
		step, did string
		falls     []fall
		size      func(*Record) int64
	}{
		{"store", "", w.stored, func(r *Record) int64 { return r.Users }},
		{"read", "read ", w.read, func(r *Record) int64 { return r.Read }},
	} {
		for _, group := range sharedSizes(side.falls, w.sweep.Segments) {
			finding := validate.Finding{
				Kind: validate.Capped, Severity: validate.Fail, Step: side.step, Hint: knownLimit(group[0].now),
				Detail: fmt.Sprintf("%sexactly %s, as %d other segments that were larger, too: a limit at work", side.did, validate.Count(group[0].now), len(group)-1),
			}
			for _, f := range group {
				w.addFinding(f, finding)
				if f.kept && side.size(&f.last) == f.now {
					suspicious = append(suspicious, f)
				}
			}
		}
	}
	return suspicious
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

func (w *sweeper) addFinding(f fall, finding validate.Finding) {
	found, ok := w.findings[f.segment]
	if !ok {
		w.sweep.Healthy--
		fresh := newFinding(&SegmentState{Segment: f.segment, Last: f.last}, f.segment, validate.Report{
			Expected: validate.Count(f.was), Stored: validate.Count(f.now),
		})
		found = &fresh
		w.findings[f.segment] = found
	}
	found.add(finding)
}

// traceUpstream finds, for each finding, the affected segment farthest upstream
// that the segment was made from and that may explain it.
func (w *sweeper) traceUpstream() {
	for id, f := range w.findings {
		seen := map[ID]bool{id: true}
		for at := id; ; {
			up, ok := w.upstream(at, f, seen)
			if !ok {
				break
			}
			seen[up], at, f.Upstream = true, up, up
		}
	}
}

func (w *sweeper) upstream(id ID, f *SegmentFinding, seen map[ID]bool) (ID, bool) {
	job, ok := w.monitor.jobs[id]
	if !ok {
		return ID{}, false
	}
	for _, from := range job.From {
		if source, affected := w.findings[from]; affected && !seen[from] && source.Kind != validate.Unverified && tooMany(source.Kind) == tooMany(f.Kind) {
			return from, true
		}
	}
	return ID{}, false
}

// tooMany reports whether a kind of failure means too many users.
func tooMany(k validate.Kind) bool {
	return k == validate.Surplus || k == validate.Risen || k == validate.Repeated
}

// remember takes sizes out of the baselines that a limit brought about, and
// records what became of commits whose outcome was unknown.
func (w *sweeper) remember(ctx context.Context, suspicious []fall) error {
	var failures []error
	ledger := w.monitor.config.Ledger
	for _, f := range suspicious {
		d := Decision{By: "sweep", Why: "several segments stopped at this size", At: w.sweep.At}
		failures = append(failures, Suspect(ctx, ledger, f.segment, f.last.RunID, d))
	}
	for _, r := range w.settled {
		if w.goingLive(ctx, r.Segment) {
			continue
		}
		err := ledger.Record(ctx, r)
		if errors.Is(err, ErrSuperseded) { // somebody else knew better meanwhile
			err = nil
		}
		failures = append(failures, wrap("recording what became of a run", err))
	}
	for _, r := range w.learned {
		if w.goingLive(ctx, r.Segment) {
			continue
		}
		failures = append(failures, wrap("recording what is live", ledger.Change(ctx, []ID{r.Segment}, func(s *SegmentState) error {
			if s.Live == nil && s.Last.RunID == r.RunID && s.Last.Attempt == r.Attempt && s.Last.State == r.State {
				s.Live = &validate.Size{Users: r.Users, At: r.At, Counter: r.Counter}
			}
			return nil
		})))
	}
	return joinFew(failures)
}

// goingLive reports whether a run of the segment may be about to go live: then it
// knows better than what the store held before. A transaction may hold the commit
// row for ever; a sweep does not wait for it.
func (w *sweeper) goingLive(ctx context.Context, id ID) bool {
	held := false
	err := within(ctx, time.Second, func(ctx context.Context) error {
		return w.monitor.config.Ledger.Lock(ctx, id, func(c *CommitRow) error { held = c.held(); return nil })
	})
	return err != nil || held
}

// keep imports sizes of segments that no guard stands before, so that there is a
// history to judge the next ones by. It waits until the store was listed: in one
// database, or on one connection, the listing may stand in the way of writing.
// By then it is known, too, which of them a limit brought about.
func (w *sweeper) keep(ctx context.Context) error {
	var failures []error
	w.seen = slices.DeleteFunc(w.seen, func(s seenSize) bool { return w.findings[s.segment] != nil })
	for chunk := range slices.Chunk(longestUnknown(w.seen), batchSize) {
		sizes := make([]SizeImport, len(chunk))
		for i, s := range chunk {
			sizes[i] = SizeImport{Segment: s.segment, Sizes: []validate.Size{s.size}}
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

// alert takes what was found into the alerts, forms incidents, and tells the
// alerter what it does not know.
func (w *sweeper) alert(ctx context.Context) error {
	n := w.monitor.notifier
	var failures []error
	ids := sorted(w.findings)
	for _, id := range sorted(w.healthy) {
		if w.findings[id] == nil {
			ids = append(ids, id)
		}
	}
	found := map[ID]Alert{}
	for id, f := range w.findings {
		rule, err := w.monitor.rule(ctx, id, &f.Last)
		if err != nil {
			failures = append(failures, err)
		}
		found[id] = f.alert(w.sweep.At, &rule, w.monitor.job(id, &f.Last))
	}
	for chunk := range slices.Chunk(ids, tellAtOnce) {
		_, err := n.change(ctx, chunk, func(s *SegmentState) []observation {
			if a, affected := found[s.Segment]; affected {
				return []observation{{event: aFault, at: w.sweep.At, alert: a}}
			}
			return []observation{w.healthy[s.Segment]}
		})
		failures = append(failures, err)
	}
	told := join(n.reconcile(ctx), n.formAll(ctx, w.sweep.At), n.deliverAll(ctx), n.remind(ctx))
	w.sweep.Complete = w.sweep.Complete && joinFew(failures) == nil && told == nil
	failures = append(failures, told)
	for i, err := range n.ledger.Incidents(ctx, IncidentFilter{Open: true}) {
		if err != nil {
			failures = append(failures, err)
			break
		}
		w.sweep.Incidents = append(w.sweep.Incidents, i)
	}
	return joinFew(failures)
}
