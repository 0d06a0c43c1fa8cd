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
	if a.rule.Lag.isZero() {
		out.Stored = a.readBack(ctx)
		a.report, _ = a.guard.validator.Check(ctx, a.rule.Policy, out)
		return
	}
	agreed := a.settle(ctx, &out)
	a.report, _ = a.guard.validator.Check(ctx, a.rule.Policy, out)
	if a.report.Passed() && !agreed {
		a.unverified(fmt.Errorf("no two readings in a row passed and agreed within %v of the last write: %w", a.rule.Lag.Max, validate.ErrLagging))
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
	s := a.rule.Lag
	written := a.run.WrittenAt
	if now := time.Now(); written.After(now) { // by a clock that is ahead of ours
		written = now
	}
	deadline := written.Add(s.Max)
	if a.interrupted(ctx, out, time.Until(written.Add(s.Min))) {
		return false
	}
	var before *validate.Summary // the reading before, if it passed
	for readings := 1; ; readings++ {
		reading := a.readBack(ctx)
		out.Stored = reading
		switch {
		case !a.passes(ctx, *out):
			before = nil
		case before != nil && agree(before, &reading):
			return true
		default:
			before = &reading
		}
		if readings >= 2 && time.Now().Add(s.Every).After(deadline) || a.interrupted(ctx, out, s.Every) {
			return false
		}
	}
}

// passes judges one reading. Why users differ is looked at only where that may
// decide: it may cost as much as the whole check.
func (a *attempt) passes(ctx context.Context, out validate.Output) bool {
	report, err := a.guard.quiet.Check(ctx, a.rule.Policy, unexplained(out))
	if err == nil || proven(&report) {
		return err == nil
	}
	_, err = a.guard.quiet.Check(ctx, a.rule.Policy, out)
	return err == nil
}

// unexplained is the output without the means to look closer at its sides.
func unexplained(out validate.Output) validate.Output {
	for _, side := range []*validate.Summary{&out.Expected, &out.Read, &out.Written, &out.Stored} {
		*side = side.WithRemeasure(nil)
	}
	return out
}

// interrupted waits, and reports whether the job was told to stop meanwhile. A
// store that had no time to settle proves nothing: what it showed is no verdict.
func (a *attempt) interrupted(ctx context.Context, out *validate.Output, wait time.Duration) bool {
	err := sleep(ctx, wait)
	if err != nil {
		out.Stored = validate.Unmeasured(&outage{"waiting for the store to settle", err})
	}
	return err != nil
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
