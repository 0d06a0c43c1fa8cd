package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An answer is what a sweep's listing says of a segment with a run that was submitted.
type answer struct {
	run    *Submitted
	listed bool
	stored validate.Summary
	at     time.Time
}

var errUnlisted = errors.New("it is not among the current sizes, and nobody settled it (Guard.Settle)")

// answer notes what the listing says of a run that waits for its store. What is there
// meanwhile is no finding: the store may be on its way.
func (w *sweeper) answer(p *pair, t *tally) {
	a := answer{run: p.state.submission(), listed: p.listed > 0, stored: p.current.Stored, at: p.current.At}
	if a.at.IsZero() {
		a.at = w.sweep.At
	}
	switch counter := w.monitor.config.Counter; {
	case p.listed == 0 && w.monitor.config.AbsentIsEmpty:
		a.stored = validate.Count(0)
	case p.listed == 0:
		a.stored = validate.Unmeasured(errUnlisted)
	case a.run.Delta != nil:
		a.stored = validate.Unmeasured(errors.New("of a change the current sizes say too little, and nobody settled it (Guard.Settle)"))
	case p.listed > 1:
		a.stored = validate.Unmeasured(fmt.Errorf("it is listed %d times among the current sizes", p.listed))
	case a.run.Counter != counter:
		a.stored = validate.Unmeasured(fmt.Errorf("the current sizes are counted by %q, and the run's by %q, and nobody settled it (Guard.Settle)", counter, a.run.Counter))
	}
	if a.at.After(a.run.At) {
		t.answers = append(t.answers, a)
	}
	if a.at.Before(a.run.Until) && !w.sweep.At.Before(a.run.Until.Add(uncertain)) { // a listing may stand still
		a.stored = validate.Unmeasured(fmt.Errorf("it was counted at %s, before the store was to have answered, and nobody settled it (Guard.Settle)", a.at.UTC().Format(time.RFC3339)))
		a.at = w.sweep.At
		t.answers = append(t.answers, a)
	}
}

// settleSubmitted judges the runs that wait for their stores by what the listing said.
// Where that is nothing, it leaves them to Guard.Settle for an hour more.
func (w *sweeper) settleSubmitted(ctx context.Context) error {
	c := &w.monitor.config
	guard, err := NewGuard(GuardConfig{
		Rules: c.Rules, Ledger: c.Ledger, Alerter: c.Alerter, Now: c.Now,
		TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
	})
	var all Settlement
	var failures []error
	for _, a := range w.answers {
		if err = cmp.Or(err, context.Cause(ctx)); err != nil {
			return err
		}
		if !counts(a.stored) && a.at.Before(a.run.Until.Add(uncertain)) {
			continue
		}
		err := guard.settle(ctx, a.run, a.at, &all, func(context.Context, Side) (validate.Summary, error) { return a.stored, nil })
		if _, judged := errors.AsType[*validate.Error](err); !judged {
			failures = append(failures, err)
		}
	}
	return wrap("settling what was submitted", joinFew(failures))
}
