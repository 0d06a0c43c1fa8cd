package segment

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// judgeLagging reads a lagging store until two readings in a row pass and agree,
// and judges the last one. However late it starts, it reads twice.
func (r *guardedRun) judgeLagging(ctx context.Context, out *validate.Output) {
	agreed := r.readTwice(ctx, out)
	r.report, _ = r.guard.validator.Check(ctx, r.rule.Policy, *out)
	if r.report.Passed() && !agreed {
		r.unverified(fmt.Errorf("no two readings in a row passed and agreed within %v of the last write: %w", r.rule.Lag.Max, validate.ErrLagging))
	}
}

// readTwice sets out.Stored to the last reading, and reports whether it and the
// one before passed and agreed.
func (r *guardedRun) readTwice(ctx context.Context, out *validate.Output) bool {
	lag, written := r.rule.Lag, r.run.WrittenAt
	if now := time.Now(); written.After(now) { // by a clock that is ahead of ours
		written = now
	}
	deadline := written.Add(lag.Max)
	if r.interrupted(ctx, out, time.Until(written.Add(lag.Min))) {
		return false
	}
	var before, whole *validate.Summary // the reading before, if it passed
	for readings := 1; ; readings++ {
		reading := r.readBack(ctx)
		out.Stored = reading
		switch {
		case !r.passes(ctx, *out):
			before = nil
		case before != nil && agree(before, &reading) && (out.Delta == nil || agree(whole, &out.Delta.Whole)):
			return true
		default:
			before = &reading
			if out.Delta != nil {
				whole = &out.Delta.Whole
			}
		}
		if readings >= 2 && time.Now().Add(lag.Every).After(deadline) || r.interrupted(ctx, out, lag.Every) {
			return false
		}
	}
}

// passes judges one reading. Why users differ is looked at only where that may
// decide: it may cost as much as the whole check.
func (r *guardedRun) passes(ctx context.Context, out validate.Output) bool {
	report, err := r.guard.silent.Check(ctx, r.rule.Policy, withoutRemeasure(out))
	if err == nil || report.Proven() {
		return err == nil
	}
	_, err = r.guard.silent.Check(ctx, r.rule.Policy, out)
	return err == nil
}

// withoutRemeasure returns the output without the means to look closer at its
// sides.
func withoutRemeasure(out validate.Output) validate.Output {
	for _, side := range []*validate.Summary{&out.Expected, &out.Read, &out.Written, &out.Stored} {
		*side = side.WithRemeasure(nil)
	}
	return out
}

// interrupted waits, and reports whether the job was told to stop meanwhile. A
// store that had no time to catch up proves nothing: what it showed is no verdict.
func (r *guardedRun) interrupted(ctx context.Context, out *validate.Output, wait time.Duration) bool {
	err := sleep(ctx, wait)
	if err != nil {
		out.Stored = validate.Unmeasured(&outage{"waiting for the store to catch up", err})
	}
	return err != nil
}

func agree(a, b *validate.Summary) bool {
	aLower, aUpper := a.Range()
	bLower, bUpper := b.Range()
	return aLower == bLower && aUpper == bUpper && a.Fingerprint() == b.Fingerprint()
}
