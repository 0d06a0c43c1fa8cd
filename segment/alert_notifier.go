package segment

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A notifier brings alerts to the alerter. What is wrong is written down in the
// ledger first, and then one of the notifiers that share it tells the alerter; what
// was not told is told by the next one.
type notifier struct {
	ledger    Ledger  // nil: nobody remembers what was told
	store     *string // of a monitor; nil: those of a guard's rules
	alerter   Alerter
	timeout   time.Duration // of each wait for the ledger
	patience  time.Duration // of each wait for the alerter, in a job's way; 0: as long as the context lasts
	groupWait time.Duration // of the alerter: what was told that long ago has rung
	now       func() time.Time

	others atomic.Int64 // when it was last looked for what others did not tell, in seconds
	mu     sync.Mutex
	name   string                 // of the ledger; empty: not asked yet
	counts map[string]memberCount // of incidents, as this process counted them last
}

// newNotifier returns a notifier, whose times are as a ledger keeps them. What a
// plain alerter is told rings at once; one that keeps alerts waits for more of a kind
// first.
func newNotifier(ledger Ledger, alerter Alerter, timeout, patience time.Duration, now func() time.Time) *notifier {
	n := &notifier{ledger: ledger, alerter: alerter, timeout: timeout, patience: patience, now: func() time.Time { return now().UTC().Truncate(time.Microsecond) }}
	n.others.Store(now().Unix())
	if n.keeps() != nil {
		n.groupWait = time.Minute
	}
	if waits, ok := alerter.(interface{ GroupWait() time.Duration }); ok {
		n.groupWait = waits.GroupWait()
	}
	return n
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
	what := a.Text
	if n.ledger == nil {
		a.say(what)
		return n.say(context.WithoutCancel(ctx), []Alert{a}, nil)
	}
	var found news
	kept := true
	err := afterwards(ctx, n.timeout, func(ctx context.Context) (err error) {
		n.placeDownstream(ctx, &a)
		a.say(what)
		found, err = n.change(ctx, []Key{a.key()}, func(s *SegmentState) []observation {
			if kept = s.hasAlert(); a.Protected() && s.older(a.Number) {
				return nil
			}
			if a.unsettled = s.Alert.Unsettled; a.unsettled {
				a.say(what)
			}
			return []observation{{event: aFault, at: a.At, alert: a}}
		})
		return err
	})
	if err == nil && kept {
		return n.tell(ctx, a.Store, found)
	}
	if err != nil && hurried(ctx) {
		return err
	}
	told := a // what is written down late must not say so
	n.mu.Lock()
	told.Unconfirmed, told.Ledger = true, n.name // people must know all the same
	n.mu.Unlock()
	told.say(what + notConfirmed)
	return join(err, n.say(context.WithoutCancel(ctx), []Alert{told}, nil))
}

// notConfirmed is what an alert says that the ledger does not hold.
const notConfirmed = "; not confirmed, as the ledger does not keep it now: this alert ends by itself, unless a sweep finds the fault"

// passed says that a run of a segment passed, as far as one run can tell; warning
// is what it passed with, if people are told of that.
func (n *notifier) passed(ctx context.Context, key Key, number int64, r *validate.Report, warning *Alert) error {
	if n.ledger == nil {
		if warning != nil {
			warning.say(warning.Text)
			return n.say(context.WithoutCancel(ctx), []Alert{*warning}, nil)
		}
		return n.say(context.WithoutCancel(ctx), nil, []Alert{{Segment: key.Segment, Store: key.Store}})
	}
	var found news
	err := afterwards(ctx, n.timeout, func(ctx context.Context) (err error) {
		seen := []observation{{event: aPass, at: n.now(), number: number, report: r}}
		if r.Excuse != nil {
			seen = append(seen, observation{event: anExcuse, at: n.now(), why: normal(r), number: number})
		}
		if warning != nil {
			n.placeDownstream(ctx, warning)
			warning.say(warning.Text)
			seen = append(seen, observation{event: aFault, at: warning.At, alert: *warning})
		}
		found, err = n.change(ctx, []Key{key}, func(s *SegmentState) []observation {
			if warning == nil && len(s.Alert.Marks)+len(s.Alert.Told)+len(s.Alert.Trying) == 0 {
				return nil // as nearly always
			}
			return seen
		})
		return err
	})
	if len(found.pending) == 0 && n.now().Unix()-n.others.Load() < int64(claimFor/time.Second) {
		return err // no claim ran out since others were looked for
	}
	return join(err, n.tell(ctx, key.Store, found))
}

// tell tells people what a guard's observations led to, and what others left untold
// of the same store.
func (n *notifier) tell(ctx context.Context, store string, found news) error {
	n.others.Store(n.now().Unix())
	return afterwards(ctx, n.timeout, func(ctx context.Context) error {
		for _, a := range found.opened {
			joined, err := n.form(ctx, &a)
			if err != nil {
				return err
			}
			found.pending = append(found.pending, joined...)
		}
		if err := n.deliver(ctx, found.pending, false); err != nil {
			return err
		}
		return n.deliverOthers(ctx, store)
	})
}

// A news is what came of some observations.
type news struct {
	opened  []Alert // onsets
	pending []Key   // of which people are to be told something
}

// change takes observations in, all of them or none, and writes into the log what
// follows from them.
func (n *notifier) change(ctx context.Context, keys []Key, observed func(*SegmentState) []observation) (news, error) {
	if len(keys) == 0 {
		return news{}, nil
	}
	opened, pending := map[Key]Alert{}, map[Key]bool{}
	err := n.ledger.Change(ctx, keys, func(s *SegmentState) error {
		key := s.Key()
		delete(opened, key)
		for _, o := range observed(s) {
			if s.hasAlert() && slices.Contains(s.observe(o), ActionOpened) {
				opened[key] = *s.Alert.Open
			}
			pending[key] = s.Alert.Pending()
		}
		return nil
	})
	if err != nil || len(pending) == 0 {
		return news{}, wrap("writing the alert down", err)
	}
	var found news
	for _, key := range sorted(pending) {
		if a, ok := opened[key]; ok {
			found.opened = append(found.opened, a)
		}
		if pending[key] {
			found.pending = append(found.pending, key)
		}
	}
	return found, nil
}

// observe takes an observation into the alert, and what follows from it into the
// log.
func (s *SegmentState) observe(o observation) []Action {
	was := s.Alert
	actions := s.Alert.observe(o)
	if s.Alert.Incident != "" && was.Incident == "" {
		s.setApart()
	}
	for _, action := range actions {
		about, text := &was, s.Alert.Over
		if action != ActionOver {
			about, text = &s.Alert, s.Alert.Open.Text
		}
		mark := about.worst()
		s.Log = append(s.Log, LogEntry{
			Segment: s.Segment, Store: s.Store, At: o.at, Action: action, RunID: about.Open.RunID,
			Mark: &mark, Incident: about.Incident, Text: text,
		})
	}
	return actions
}

// say tells the alerter, no longer than it may be in the way.
func (n *notifier) say(ctx context.Context, firing, resolved []Alert) error {
	if len(firing)+len(resolved) == 0 {
		return nil
	}
	if n.patience == 0 {
		return n.alerter.Tell(ctx, firing, resolved)
	}
	return within(ctx, n.patience, func(ctx context.Context) error { return n.alerter.Tell(ctx, firing, resolved) })
}

// keys returns those of the segments that f selects.
func (n *notifier) keys(ctx context.Context, f SegmentFilter) (found []Key, err error) {
	for s, err := range n.ledger.Segments(ctx, f) {
		if err != nil {
			return nil, wrap("reading the alerts", err)
		}
		found = append(found, s.Key())
	}
	return found, nil
}

// identity returns the name of the ledger.
func (n *notifier) identity(ctx context.Context) (string, error) {
	n.mu.Lock()
	name := n.name
	n.mu.Unlock()
	if name != "" {
		return name, nil
	}
	name, err := n.ledger.Identity(ctx)
	if err == nil {
		n.mu.Lock()
		n.name = name
		n.mu.Unlock()
	}
	return name, wrap("reading the ledger's identity", err)
}
