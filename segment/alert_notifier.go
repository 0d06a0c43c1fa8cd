package segment

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A notifier brings alerts to the alerter. What is wrong is written down in the
// ledger first, and then one of the notifiers that share it tells the alerter; what
// was not told is told by the next one.
type notifier struct {
	ledger    Ledger // nil: nobody remembers what was told
	alerter   Alerter
	timeout   time.Duration // of the alerter, in a job's way; 0: as long as the context lasts
	groupWait time.Duration // of the alerter: what was told longer ago has rung
	now       func() time.Time

	identity struct {
		sync.Mutex
		name string
	}
}

// newNotifier returns a notifier.
func newNotifier(ledger Ledger, alerter Alerter, timeout time.Duration, now func() time.Time) *notifier {
	return &notifier{ledger: ledger, alerter: alerter, timeout: timeout, groupWait: time.Minute, now: func() time.Time { return now().UTC() }}
}

// claimFor is how long a notifier has for telling the alerter before another one
// tries.
const claimFor = time.Minute

// tellAtOnce is of how many segments the alerter is told in one call, and how many
// are changed in one step.
const tellAtOnce = 1000

// keeps returns the alerter's list of open alerts; nil: it keeps none.
func (n *notifier) keeps() func(ctx context.Context, siteGroup string) iter.Seq2[Alert, error] {
	keeper, ok := n.alerter.(interface {
		Open(ctx context.Context, siteGroup string) iter.Seq2[Alert, error]
	})
	if !ok {
		return nil
	}
	return keeper.Open
}

// fire says what a run found to be wrong with a segment, and tells people within
// the bounds that a job's way allows. That an older run than the live one failed is
// no news, unless it is live.
func (n *notifier) fire(ctx context.Context, a Alert) error {
	if n.ledger == nil {
		return n.say(context.WithoutCancel(ctx), []Alert{a}, nil)
	}
	written := false
	err := afterwards(ctx, defaultTimeout, func(ctx context.Context) (err error) {
		n.placeDownstream(ctx, &a)
		written, err = n.change(ctx, []ID{a.Segment}, func(s *SegmentState) []observation {
			if a.Protected() && s.older(a.Number) {
				return nil
			}
			return []observation{{event: aFault, at: a.At, alert: a}}
		})
		return err
	})
	if written {
		return join(err, afterwards(ctx, defaultTimeout, func(ctx context.Context) error {
			return join(n.form(ctx, &a), n.deliver(ctx, []ID{a.Segment}))
		}))
	}
	a.Unconfirmed = true // people must know all the same
	return join(err, n.say(context.WithoutCancel(ctx), []Alert{a}, nil))
}

// passed says that a run of a segment passed, as far as one run can tell; warning
// is what it passed with, if people are told of that.
func (n *notifier) passed(ctx context.Context, id ID, number int64, r *validate.Report, warning *Alert) error {
	return afterwards(ctx, defaultTimeout, func(ctx context.Context) error {
		if n.ledger == nil {
			if warning != nil {
				return n.say(ctx, []Alert{*warning}, nil)
			}
			return n.say(ctx, nil, []Alert{{Segment: id}})
		}
		_, err := n.change(ctx, []ID{id}, func(s *SegmentState) []observation {
			seen := []observation{{event: aPass, at: n.now(), number: number, report: r}}
			if warning != nil {
				seen = append(seen, observation{event: aFault, at: warning.At, alert: *warning})
			}
			return seen
		})
		if err == nil && warning != nil {
			err = n.form(ctx, warning)
		}
		return join(err, n.deliver(ctx, []ID{id}))
	})
}

// change takes observations in, all of them or none, and writes into the log what
// follows from them. It reports whether it did.
func (n *notifier) change(ctx context.Context, ids []ID, observed func(*SegmentState) []observation) (bool, error) {
	mutes, err := n.ledger.Mutes(ctx)
	if err != nil {
		return false, wrap("reading the mutes", err)
	}
	err = n.ledger.Change(ctx, ids, func(s *SegmentState) error {
		for _, o := range observed(s) {
			s.observe(o)
		}
		s.mute(mutes, n.now())
		return nil
	})
	return err == nil, wrap("writing the alert down", err)
}

// observe takes an observation into the alert, and what follows from it into the
// log.
func (s *SegmentState) observe(o observation) {
	was := s.Alert
	for _, action := range s.Alert.observe(o) {
		about := &s.Alert
		if action == ActionOver {
			about = &was
		}
		mark := about.worst()
		s.Log = append(s.Log, LogEntry{
			Segment: s.Segment, At: o.at, Action: action, RunID: about.Open.RunID,
			Mark: &mark, Incident: about.Incident, Text: about.Open.Text,
		})
	}
}

// mute holds the alert's notifications where a mute is about it, and no longer
// where none is.
func (s *SegmentState) mute(mutes []Mute, now time.Time) {
	held := false
	for i := range mutes {
		held = held || s.Alert.Open != nil && mutes[i].holds(s.Alert.Open, now)
	}
	switch {
	case held:
		s.observe(observation{event: aMute, at: now})
	case s.Alert.Muted != nil:
		s.observe(observation{event: anUnmute, at: now})
	}
}

// say tells the alerter, no longer than it may be in the way.
func (n *notifier) say(ctx context.Context, firing, resolved []Alert) error {
	if len(firing)+len(resolved) == 0 {
		return nil
	}
	if n.timeout == 0 {
		return n.alerter.Tell(ctx, firing, resolved)
	}
	return within(ctx, n.timeout, func(ctx context.Context) error { return n.alerter.Tell(ctx, firing, resolved) })
}

// name returns the identity of the ledger.
func (n *notifier) name(ctx context.Context) (string, error) {
	n.identity.Lock()
	defer n.identity.Unlock()
	if n.identity.name == "" {
		name, err := n.ledger.Identity(ctx)
		if err != nil {
			return "", wrap("reading the ledger's identity", err)
		}
		n.identity.name = name
	}
	return n.identity.name, nil
}
