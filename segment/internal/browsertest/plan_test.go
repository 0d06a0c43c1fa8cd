package browsertest

import (
	"context"
	"errors"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// config is a dashboard's, with a plan of reruns half-way through.
func config(l segment.Ledger, f *fleettest.Fleet) dashboard.Config {
	return dashboard.Config{
		Now:   func() time.Time { return fleettest.Now },
		Plans: func(ctx context.Context) ([]dashboard.Plan, error) { return halfway(ctx, l, f) },
	}
}

// halfway runs a plan until a third of it is done and one step failed.
func halfway(ctx context.Context, l segment.Ledger, f *fleettest.Fleet) ([]dashboard.Plan, error) {
	affected, err := segment.AffectedByAlerts(ctx, l)
	if err != nil {
		return nil, err
	}
	p, err := rerun.New(f.Jobs, affected)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n := 0
	o, _ := p.Run(ctx, rerun.RunOptions{}, func(context.Context, segment.Job) error { // it is not complete
		switch n++; n {
		case 4:
			return errors.New("stored 10,000 of 84,117 users (88.1% short, 0 allowed)")
		case 20:
			stop()
		}
		return nil
	})
	return []dashboard.Plan{{Name: "2024-03-18 night", Made: fleettest.Now.Add(-10 * time.Minute), Plan: p, Outcome: o}}, nil
}
