package sdktest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestRunsByOutcome: each attempt counts once, whichever way it ends, with what
// became of it and what its check found.
func TestRunsByOutcome(t *testing.T) {
	down := errors.New("connection refused")
	observed := func(c *segment.GuardConfig) {
		c.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
			return segment.Rule{Mode: segment.Observe}, nil
		}
	}
	later := func(t *testing.T, c *segment.GuardConfig, r *segment.Run) {
		require.NoError(t, c.Ledger.Record(t.Context(), segment.Record{Segment: r.Job.To, RunID: r.ID, Attempt: r.Attempt + 1, State: segment.RunPassed}))
	}
	committing := func(ctx context.Context, g *segment.Guard, r segment.Run) error {
		_, err := g.Commit(ctx, r)
		return err
	}
	for _, c := range []struct {
		name   string
		stored int64 // of 100
		edit   func(*testing.T, *segment.GuardConfig, *segment.Run)
		call   func(context.Context, *segment.Guard, segment.Run) error
		want   values
	}{
		{"passes", 100, nil, committing, values{"run.outcome=committed verdict=passed": 1}},
		{"fails", 90, nil, committing, values{"run.outcome=rejected verdict=failed": 1}},
		{"fails and is live already", 90, func(_ *testing.T, _ *segment.GuardConfig, r *segment.Run) {
			r.Live, r.Staging = true, segment.Staging{}
		}, committing, values{"run.outcome=rejected verdict=failed": 1}},
		{"cannot be verified", 100, func(_ *testing.T, _ *segment.GuardConfig, r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { return validate.Summary{}, down }
		}, committing, values{"run.outcome=rejected verdict=unverified": 1}},
		{"passes, and is only observed", 100, func(_ *testing.T, c *segment.GuardConfig, _ *segment.Run) { observed(c) }, committing, values{"run.outcome=observed verdict=passed": 1}},
		{"fails, and is only observed", 90, func(_ *testing.T, c *segment.GuardConfig, _ *segment.Run) { observed(c) }, committing, values{"run.outcome=observed verdict=failed": 1}},
		{"has a newer attempt", 100, later, committing, values{"run.outcome=superseded verdict=unverified": 1}},
		{"has a newer attempt before it begins", 100, later, func(ctx context.Context, g *segment.Guard, r segment.Run) error {
			_, err := g.Do(ctx, r, func(context.Context, *segment.Run) error { return nil })
			return err
		}, values{"run.outcome=superseded verdict=unverified": 1}},
		{"its commit fails", 100, func(_ *testing.T, _ *segment.GuardConfig, r *segment.Run) {
			r.Staging.Commit = func(context.Context) error { return down }
		}, committing, values{"run.outcome=unknown verdict=passed": 1}},
		{"is live and not recorded", 100, func(_ *testing.T, c *segment.GuardConfig, _ *segment.Run) {
			c.Ledger = forgetful{segment.NewMemory()}
		}, committing, values{"run.outcome=live verdict=passed": 1}},
		{"a callback panics", 100, func(_ *testing.T, _ *segment.GuardConfig, r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) { panic(down) }
		}, recovering(committing), values{"run.outcome=failed verdict=unverified": 1}},
		{"is not admitted", 100, func(_ *testing.T, _ *segment.GuardConfig, r *segment.Run) { r.Read = count(10_000) }, admitting, values{"run.outcome=rejected verdict=failed": 1}},
		{"is admitted, and not over", 100, nil, admitting, nil},
		{"cannot begin", 100, func(_ *testing.T, c *segment.GuardConfig, _ *segment.Run) { c.Ledger = numberless{segment.NewMemory()} }, func(ctx context.Context, g *segment.Guard, r segment.Run) error {
			return g.Begin(ctx, &r)
		}, values{"run.outcome=rejected verdict=unverified": 1}},
		{"begins, and is not over", 100, nil, func(ctx context.Context, g *segment.Guard, r segment.Run) error { return g.Begin(ctx, &r) }, nil},
		{"a whole job passes", 100, nil, doing(func(context.Context, *segment.Run) error { return nil }), values{"run.outcome=committed verdict=passed": 1}},
		{"its write fails", 100, nil, doing(func(context.Context, *segment.Run) error { return down }), values{"run.outcome=failed verdict=unverified": 1}},
		{"its write fails, as another segment's commit did", 100, nil, doing(func(context.Context, *segment.Run) error { return &segment.UnknownError{Err: down} }), values{"run.outcome=failed verdict=unverified": 1}},
		{"its write panics", 100, nil, recovering(doing(func(context.Context, *segment.Run) error { panic(down) })), values{"run.outcome=failed verdict=unverified": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			config := segment.GuardConfig{TracerProvider: b.traces, MeterProvider: b.meters, Alerter: quiet{}, Ledger: segment.NewMemory()}
			nothing := func(context.Context) error { return nil }
			run := segment.Run{
				ID: "monday", Attempt: 2, Job: segment.Job{ID: "job", To: segment.ID{SiteGroup: "site-b", Name: "cars"}}, Expected: count(100),
				Stored:  func(context.Context) (validate.Summary, error) { return count(c.stored), nil },
				Staging: segment.Staging{Commit: nothing, Discard: nothing},
			}
			if c.edit != nil {
				c.edit(t, &config, &run)
			}
			guard, err := segment.NewGuard(config)
			require.NoError(t, err)
			_ = c.call(t.Context(), guard, run)
			require.Equal(t, c.want, b.segmentMetrics(t)[runs])
		})
	}
}

func admitting(ctx context.Context, g *segment.Guard, r segment.Run) error {
	_, err := g.Admit(ctx, r)
	return err
}

func doing(write func(context.Context, *segment.Run) error) func(context.Context, *segment.Guard, segment.Run) error {
	return func(ctx context.Context, g *segment.Guard, r segment.Run) error {
		_, err := g.Do(ctx, r, write)
		return err
	}
}

// recovering makes a call that panics return.
func recovering(call func(context.Context, *segment.Guard, segment.Run) error) func(context.Context, *segment.Guard, segment.Run) error {
	return func(ctx context.Context, g *segment.Guard, r segment.Run) (err error) {
		defer func() { err, _ = recover().(error) }()
		return call(ctx, g, r)
	}
}

// A forgetful ledger does not record what is live.
type forgetful struct{ *segment.Memory }

func (f forgetful) Record(ctx context.Context, r segment.Record) error {
	if r.State == segment.RunCommitted {
		return errors.New("connection refused")
	}
	return f.Memory.Record(ctx, r)
}

// A numberless ledger gives no numbers.
type numberless struct{ *segment.Memory }

func (numberless) Next(context.Context, segment.Key) (segment.Start, error) {
	return segment.Start{}, errors.New("connection refused")
}
