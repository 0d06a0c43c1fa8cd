package segment

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// judge reads back what is stored and judges the output by it.
func (a *attempt) judge(ctx context.Context) {
	out := a.output()
	if a.rule.Settle.isZero() {
		out.Stored = a.readBack(ctx)
		a.report, _ = a.guard.validator.Check(ctx, a.rule.Policy, out)
		return
	}
	agreed := a.settle(ctx, &out)
	a.report, _ = a.guard.validator.Check(ctx, a.rule.Policy, out)
	if a.report.Passed() && !agreed {
		a.unverified(fmt.Errorf("no two readings in a row passed and agreed within %v of the last write: %w", a.rule.Settle.Max, validate.ErrLagging))
	}
}

// readBack asks the store what it holds. Without an answer the side is
// unmeasured, never empty.
func (a *attempt) readBack(ctx context.Context) validate.Summary {
	stored, err := a.run.Stored(ctx)
	if err != nil {
		return validate.Unmeasured(&outage{"reading back what is stored", err})
	}
	return stored
}

// settle reads a lagging store until two readings in a row pass and agree, and
// reports whether they did. out holds the last reading. However late it starts,
// it reads twice.
func (a *attempt) settle(ctx context.Context, out *validate.Output) (agreed bool) {
	s := a.rule.Settle
	deadline := a.run.WrittenAt.Add(s.Max)
	if err := sleep(ctx, time.Until(a.run.WrittenAt.Add(s.Min))); err != nil {
		out.Stored = validate.Unmeasured(&outage{"waiting for the store to settle", err})
		return false
	}
	var before *validate.Summary // the reading before, if it passed
	for readings := 1; ; readings++ {
		reading := a.readBack(ctx)
		out.Stored = reading.OnDifference(nil) // why they differ is asked of the last reading only
		_, err := a.guard.quiet.Check(ctx, a.rule.Policy, *out)
		out.Stored = reading
		switch {
		case err != nil:
			before = nil
		case before != nil && agree(before, &reading):
			return true
		default:
			before = &reading
		}
		if readings >= 2 && time.Now().Add(s.Every).After(deadline) || sleep(ctx, s.Every) != nil {
			return false
		}
	}
}

func agree(a, b *validate.Summary) bool {
	aLower, aUpper := a.Range()
	bLower, bUpper := b.Range()
	return aLower == bLower && aUpper == bUpper && a.Fingerprint() == b.Fingerprint()
}

// sleep waits, and returns why the context ended if that came first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
