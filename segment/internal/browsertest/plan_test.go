package browsertest

import (
	"context"
	"errors"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

const night = "2024-03-18 night"

// config is a dashboard's.
func config() dashboard.Config {
	return dashboard.Config{Now: func() time.Time { return fleettest.Now }}
}

// keepHalfway runs a plan until some of it is done and one step failed.
func keepHalfway(ctx context.Context, l segment.Ledger, f *fleettest.Fleet) error {
	affected, err := segment.AffectedByAlerts(ctx, l)
	if err != nil {
		return err
	}
	p, err := rerun.New(f.Jobs, affected)
	if err != nil {
		return err
	}
	d := segment.Decision{By: "ann", Why: "SegmentCopy read 10,000 users", At: fleettest.Now.Add(-10 * time.Minute)}
	if err := rerun.Keep(ctx, l, night, p, d); err != nil {
		return err
	}
	_, wrong := validate.Check(ctx, validate.Policy{}, validate.Output{Expected: validate.Count(84117), Stored: validate.Count(10000)})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n := 0
	_, _ = p.Run(ctx, rerun.RunOptions{Ledger: l, PlanID: night}, func(context.Context, segment.Job) error { // it is not complete
		switch n++; n {
		case 4:
			return wrong
		case 6:
			return errors.New("connection refused")
		case 20:
			stop()
		}
		return nil
	})
	return nil
}
