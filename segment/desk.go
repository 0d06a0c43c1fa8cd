package segment

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A desk brings alerts to the alerter, each fault of a segment once. With a
// ledger that holds for all desks that share it: what is wrong is written down
// first, and then one of them tells the alerter.
type notifier struct {
	ledger  Ledger // nil: nobody remembers what was told
	alerter Alerter
}

// claim is how long a desk has for telling the alerter before another one tries.
const claim = 2 * patience

// fire says what a run found to be wrong with a segment.
func (d notifier) fire(ctx context.Context, a Alert) error {
	fire := func(ctx context.Context) error { return d.alerter.Fire(ctx, a) }
	if d.ledger == nil {
		return afterwards(ctx, fire)
	}
	written := false
	err := afterwards(ctx, func(ctx context.Context) (err error) {
		written, err = d.change(ctx, []ID{a.Segment}, func(s *AlertState) { s.open(a) })
		return err
	})
	if !written { // people must know all the same
		return join(err, afterwards(ctx, fire))
	}
	return err
}

// resolve says that a run of a segment passed, so that nothing is wrong with it
// any more, as far as one run can tell.
func (d notifier) resolve(ctx context.Context, id ID, passed *validate.Report) error {
	return afterwards(ctx, func(ctx context.Context) error {
		if d.ledger == nil {
			return d.alerter.Resolve(ctx, id)
		}
		_, err := d.change(ctx, []ID{id}, func(s *AlertState) {
			if s.Open != nil && !s.Open.beyond(passed) {
				s.Open = nil
			}
		})
		return err
	})
}

// change writes down what is wrong with segments, or no longer, and tells the
// alerter what it does not know. The incidents that stand are told with it: of
// an alerter that forgot them they could not hold their segments' pages back.
func (d notifier) change(ctx context.Context, ids []ID, change func(*AlertState), standing ...Alert) (written bool, err error) {
	due := map[ID]AlertState{}
	now := time.Now()
	err = d.ledger.ChangeAlerts(ctx, ids, func(s *AlertState) {
		change(s)
		delete(due, s.Segment)
		if s.pending() && !now.Before(s.Claimed) {
			s.Claimed = now.Add(claim)
			due[s.Segment] = *s
		}
	})
	if err != nil {
		return false, wrap("writing the alert down", err)
	}
	return true, d.tell(ctx, due, standing)
}

// tell tells the alerter of what is due, and writes down what it knows now.
func (d notifier) tell(ctx context.Context, due map[ID]AlertState, standing []Alert) error {
	if len(due) == 0 {
		return nil
	}
	told, err := d.deliver(ctx, due, standing)
	again := map[ID]AlertState{}
	written := d.ledger.ChangeAlerts(ctx, sorted(due), func(s *AlertState) {
		s.Claimed = time.Time{}
		delete(again, s.Segment)
		if told[s.Segment] {
			s.Told = due[s.Segment].Open
			if s.pending() { // changed while we told
				s.Claimed = time.Now().Add(claim)
				again[s.Segment] = *s
			}
		}
	})
	if written != nil {
		return join(err, wrap("writing down what the alerter was told", written))
	}
	return join(err, d.tell(ctx, again, nil))
}

// deliver returns which of what is due the alerter took.
func (d notifier) deliver(ctx context.Context, due map[ID]AlertState, standing []Alert) (told map[ID]bool, err error) {
	told = map[ID]bool{}
	if batch, ok := d.alerter.(BatchAlerter); ok {
		firing, resolved := dueAlerts(due)
		if err := batch.Tell(ctx, append(standing, firing...), resolved); err != nil {
			return told, err
		}
		for id := range due {
			told[id] = true
		}
		return told, nil
	}
	var failures []error
	for _, id := range inTurn(due) {
		state := due[id]
		failed := d.deliverOne(ctx, &state)
		told[id] = failed == nil
		failures = append(failures, failed)
	}
	return told, first(failures)
}

func (d notifier) deliverOne(ctx context.Context, s *AlertState) error {
	if s.Open == nil {
		return d.alerter.Resolve(ctx, s.Segment)
	}
	return d.alerter.Fire(ctx, *s.Open)
}

// batches are the alerts to fire, and those to resolve: also where another
// fault took its place.
func dueAlerts(due map[ID]AlertState) (firing, resolved []Alert) {
	for _, id := range inTurn(due) {
		s := due[id]
		if s.Open != nil {
			firing = append(firing, *s.Open)
		}
		if s.Told != nil && s.pending() {
			resolved = append(resolved, *s.Told)
		}
	}
	return firing, resolved
}

// inTurn has incidents come first, so that they hold back their segments' pages.
func inTurn(due map[ID]AlertState) []ID {
	ids := sorted(due)
	slices.SortStableFunc(ids, func(a, b ID) int { return cmp.Compare(later(due[a]), later(due[b])) })
	return ids
}

func later(s AlertState) int {
	if s.Open != nil && s.Open.Incident != nil {
		return 0
	}
	return 1
}

// remind tells an alerter that keeps alerts by itself of those that stand, in
// case it forgot.
func (d notifier) remind(ctx context.Context, before map[ID]AlertState) error {
	batch, ok := d.alerter.(BatchAlerter)
	if !ok {
		return nil
	}
	var standing []Alert
	for s, err := range d.ledger.Alerts(ctx) {
		if err != nil {
			return wrap("reading the alerts", err)
		}
		if known := before[s.Segment].Told; known != nil && faultOf(known) == faultOf(s.Open) && !s.pending() {
			standing = append(standing, *s.Open)
		}
	}
	if len(standing) == 0 {
		return nil
	}
	return wrap("reminding of standing alerts", batch.Tell(ctx, standing, nil))
}

// first joins the first few of many failures: an alerter that is out of reach
// fails for each segment.
func first(failures []error) error {
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	return join(failures[:min(len(failures), 3)]...)
}
