package segment

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A notifier brings alerts to the alerter, each fault of a segment once. With a
// ledger that holds for all notifiers that share it: what is wrong is written down
// first, and then one of them tells the alerter.
type notifier struct {
	ledger  Ledger // nil: nobody remembers what was told
	alerter Alerter
	timeout time.Duration // of the alerter, in a job's way; 0: as long as the context lasts
	bound   time.Duration // of the ledger, in a job's way
}

// claimFor is how long a notifier has for telling the alerter before another one
// tries.
const claimFor = time.Minute

// fire says what a run found to be wrong with a segment. That an older run than
// the live one failed is no news, unless it is live.
func (n notifier) fire(ctx context.Context, a Alert) error {
	if n.ledger == nil {
		return n.say(context.WithoutCancel(ctx), []Alert{a}, nil)
	}
	written, kept := false, true
	err := afterwards(ctx, n.bound, func(ctx context.Context) (err error) {
		written, err = n.change(ctx, []ID{a.Segment}, func(s *SegmentState) {
			if kept = s.hasAlert(); !a.Protected || !s.older(a.Number) {
				s.Alert.open(a)
			}
		})
		return err
	})
	if !written || !kept { // people must know all the same
		return join(err, n.say(context.WithoutCancel(ctx), []Alert{a}, nil))
	}
	return err
}

// say tells the alerter, no longer than it may be in the way.
func (n notifier) say(ctx context.Context, firing, resolved []Alert) error {
	if n.timeout == 0 {
		return n.alerter.Tell(ctx, firing, resolved)
	}
	return within(ctx, n.timeout, func(ctx context.Context) error { return n.alerter.Tell(ctx, firing, resolved) })
}

// passed says that a run of a segment passed, so that nothing is wrong with it
// any more, as far as one run can tell.
func (n notifier) passed(ctx context.Context, id ID, number int64, r *validate.Report) error {
	return afterwards(ctx, n.bound, func(ctx context.Context) error {
		if n.ledger == nil {
			return n.say(ctx, nil, []Alert{{Segment: id}})
		}
		_, err := n.change(ctx, []ID{id}, func(s *SegmentState) { s.Alert.passed(number, r) })
		return err
	})
}

// change writes down what is wrong with segments, or no longer, and tells the
// alerter what it does not know. The incidents that stand are told with it to an
// alerter that may have forgotten them: they could not hold their segments' pages
// back.
func (n notifier) change(ctx context.Context, ids []ID, change func(*SegmentState), standing ...Alert) (written bool, err error) {
	if len(ids) == 0 {
		return true, nil
	}
	due := map[ID]AlertState{}
	now := time.Now()
	err = n.ledger.Change(ctx, ids, func(s *SegmentState) error {
		change(s)
		delete(due, s.Segment)
		if s.hasAlert() && s.Alert.claim(now, now.Add(claimFor)) {
			due[s.Segment] = s.Alert
		}
		return nil
	})
	if err != nil {
		return false, wrap("writing the alert down", err)
	}
	if len(due) == 0 {
		return true, nil
	}
	if !n.keeps() {
		standing = nil
	}
	return true, n.tell(ctx, due, standing)
}

// tell tells the alerter of what is due, and writes down what it knows now.
func (n notifier) tell(ctx context.Context, due map[ID]AlertState, standing []Alert) error {
	firing, resolved := dueAlerts(due)
	err := n.say(ctx, append(standing, firing...), resolved)
	told := err == nil
	again := map[ID]AlertState{}
	written := n.ledger.Change(ctx, sorted(due), func(s *SegmentState) error {
		delete(again, s.Segment)
		if s.Alert.Claimed = time.Now(); !told { // the next one need not wait
			return nil
		}
		s.Alert.Claimed, s.Alert.Told = time.Time{}, due[s.Segment].Open
		if now := time.Now(); s.Alert.claim(now, now.Add(claimFor)) { // changed while we told
			again[s.Segment] = s.Alert
		}
		return nil
	})
	if written != nil {
		return join(err, wrap("writing down what the alerter was told", written))
	}
	if len(again) > 0 {
		err = join(err, n.tell(ctx, again, nil))
	}
	return err
}

// dueAlerts returns the alerts to fire, incidents first so that they hold back
// their segments' pages, and those that are over: also where another fault took
// their place.
func dueAlerts(due map[ID]AlertState) (firing, resolved []Alert) {
	for _, id := range sorted(due) {
		s := due[id]
		if s.Open != nil {
			firing = append(firing, *s.Open)
		}
		switch {
		case s.Told != nil:
			resolved = append(resolved, *s.Told)
		case s.Open == nil: // it may have heard of an alert that is over
			resolved = append(resolved, Alert{Segment: id})
		}
	}
	slices.SortStableFunc(firing, func(a, b Alert) int { return cmp.Compare(a.turn(), b.turn()) })
	return firing, resolved
}

func (a *Alert) turn() int {
	if a.Incident != nil {
		return 0
	}
	return 1
}

// keeps reports whether the alerter keeps alerts by itself, and may forget them.
func (n notifier) keeps() bool {
	_, keeps := n.alerter.(interface {
		Open(ctx context.Context, siteGroup string) iter.Seq2[Alert, error]
	})
	return keeps
}

// tellAll tells the alerter of all that it does not know, and one that keeps alerts
// by itself of those that stand, in case it forgot: standing first, then the others
// of the ledger that are no incidents.
func (n notifier) tellAll(ctx context.Context, standing []Alert) error {
	var failures []error
	var pending []ID
	known := slices.Clip(standing)
	flush := func(atLeast int) {
		if len(pending) >= atLeast {
			_, err := n.change(ctx, pending, func(*SegmentState) {}, standing...)
			failures, pending = append(failures, err), nil
		}
		if n.keeps() && len(known) >= atLeast {
			failures = append(failures, wrap("reminding of standing alerts", n.alerter.Tell(ctx, known, nil)))
			known = nil
		}
	}
	for s, err := range n.ledger.Segments(ctx, SegmentFilter{Affected: true}) {
		switch a := s.Alert.Open; {
		case err != nil:
			failures = append(failures, wrap("reading the alerts", err))
		case s.Alert.pending():
			pending = append(pending, s.Segment)
		case a != nil && a.Incident == nil && n.keeps():
			known = append(known, *a)
		}
		flush(mostAtOnce)
	}
	flush(1)
	return joinFew(failures)
}
