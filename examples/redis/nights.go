package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/redis/go-redis/v9"

	"github.com/segmentguard/segmentguard/segment"
)

// interests are those of the site's users, as angles.
func interests() map[string]float64 {
	all := map[string]float64{}
	for i := range 40_000 {
		all[fmt.Sprint("user-", i)] = float64(i)
	}
	return all
}

// nearest returns a model that finds the users whose interests point where cars do.
func nearest(all map[string]float64) model {
	return func(seed []string) (found []string) {
		var x, y float64
		for _, user := range seed {
			sin, cos := math.Sincos(all[user])
			x, y = x+cos, y+sin
		}
		direction := math.Atan2(y, x)
		for user, angle := range all {
			if len(seed) > 0 && math.Cos(angle-direction) > 0.9 {
				found = append(found, user)
			}
		}
		return found
	}
}

func nobody([]string) []string { return nil } // the bug

// visit has the site note who looks at cars: in the set, and in its own count.
func (s *store) visit(ctx context.Context, all map[string]float64) error {
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for user, angle := range all {
			if math.Cos(angle) > 0.98 {
				p.SAdd(ctx, liveKey(seed), user)
				p.PFAdd(ctx, visitorsKey(seed), user)
			}
		}
		return nil
	})
	return err
}

// nights plays three nights and a sweep, and tells what is live after each.
func nights(ctx context.Context, client *redis.Client, broken bool, out io.Writer) error {
	s, all, ledger := &store{client}, interests(), segment.NewMemory()
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Rules: rules})
	if err != nil {
		return err
	}
	monitor, err := segment.NewMonitor(segment.MonitorConfig{
		Ledger: ledger, Rules: rules, Jobs: []segment.Job{extend}, AbsentIsEmpty: true,
	})
	if err != nil {
		return err
	}
	if err := s.visit(ctx, all); err != nil {
		return err
	}
	similar := nearest(all)
	for _, night := range []string{"monday", "tuesday", "wednesday"} {
		if broken && night == "wednesday" {
			similar = nobody
		}
		failed := lookalike(ctx, guard, s, similar, segment.Run{ID: night, Job: extend})
		live, err := client.SCard(ctx, liveKey(extend.To)).Result()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d users live\n", night, live)
		if failed != nil {
			return failed
		}
	}
	sweep, err := monitor.Sweep(ctx, s.sizes(ctx))
	fmt.Fprintf(out, "sweep: %d segments, %d affected\n", sweep.Segments, len(sweep.Affected))
	return err
}
