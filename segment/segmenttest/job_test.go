package segmenttest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var strict = segment.Rule{Settle: settles}

// problems tries a job with each fault and without any.
func problems(t *testing.T, job Job, faults ...Fault) map[string]string {
	found := map[string]string{}
	for _, f := range append([]Fault{healthy}, faults...) {
		synctest.Test(t, func(t *testing.T) {
			if problem := try(t.Context(), job, f); problem != "" {
				found[f.String()] = problem
			}
		})
	}
	return found
}

func TestWrongJobs(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		job          variant
	}{
		{"staged", "", variant{rule: strict}},
		{"in place", "", variant{rule: strict, inPlace: byAttempt}},
		{"mapped", "", variant{rule: segment.Rule{Settle: settles, Policy: validate.Policy{Mapping: validate.Share{Min: 0.7, Max: 0.95}}}, mapped: true}},
		{"forgot the guard", "", variant{settle: func(ctx context.Context, _ segment.Run, _ *segment.Guard, t *Target) error { return t.Publish(ctx) }}},
		{"expected from read", "", variant{rule: strict, expects: func(d *validate.Digest) validate.Summary { return validate.Count(d.Users()) }}},
		{"no read back", "", variant{rule: strict, edit: func(r *segment.Run, w *written) {
			r.Stored = func(context.Context) (validate.Summary, error) { return w.Summary(), nil }
		}}},
		{"no read back, says as of", "", variant{edit: func(r *segment.Run, w *written) {
			r.Stored = func(context.Context) (validate.Summary, error) { return w.Summary().AsOf(r.WrittenAt), nil }
		}}},
		{"ignores the error", "", variant{rule: strict, settle: func(ctx context.Context, r segment.Run, g *segment.Guard, _ *Target) error {
			_, _ = g.Commit(ctx, r)
			return nil
		}}},
		{"deaf", "", variant{rule: strict, deaf: true}},
		{"counted", "", variant{rule: strict, counted: true}},
		{"no settle", "", variant{}},
		{"counted, no WrittenAt", "", variant{counted: true, edit: func(r *segment.Run, _ *written) { r.WrittenAt = r.WrittenAt.Truncate(1 << 62) }}},
		{"loose", "", variant{counted: true, mapped: true, rule: segment.Rule{Settle: settles, Policy: validate.Policy{Tolerance: validate.Within(0.3)}}, edit: func(r *segment.Run, _ *written) {
			r.Read, r.Written = validate.Summary{}, validate.Summary{}
		}}},
		{"own run", "", variant{rule: strict, run: func() func() string { n := 0; return func() string { n++; return fmt.Sprint("run ", n) } }()}},
		{"shared stamp", "", variant{rule: strict, inPlace: func(r segment.Run) string { return r.ID }}},
		{"in place, no discard", "", variant{rule: strict, inPlace: byAttempt, edit: func(r *segment.Run, _ *written) { r.Discard = nil }}},
		{"publishes first", "", variant{rule: strict, settle: func(ctx context.Context, r segment.Run, g *segment.Guard, t *Target) error {
			if err := t.Publish(ctx); err != nil {
				return err
			}
			r.Commit = func(context.Context) error { return nil }
			_, err := g.Commit(ctx, r)
			return err
		}}},
		{"discards after commit", "", variant{rule: strict, settle: func(ctx context.Context, r segment.Run, g *segment.Guard, t *Target) error {
			_, err := g.Commit(ctx, r)
			if err != nil {
				_ = t.Discard(ctx)
			}
			return err
		}}},
		{"observes", "", variant{rule: segment.Rule{Mode: segment.Observe}}},
		{"never writes", "", variant{settle: func(ctx context.Context, r segment.Run, g *segment.Guard, t *Target) error { return context.Canceled }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, p := range problems(t, c.job.job, Faults()...) {
				fmt.Printf("%s\t%s\t%s\n", c.name, name, p)
			}
		})
	}
}
