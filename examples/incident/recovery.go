package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// The fixes come when they came then. That the guard had named both causes at
// hour 24 does not help it here.
const (
	lookalikeFixedAt = 51
	bothFixedAt      = 74
)

// recover runs the guarded way: one plan of all that the alerts are about and of
// what is downstream, run once.
func (p *platform) recover(ctx context.Context, w world) (rerun.Plan, rerun.Outcome, error) {
	p.hour, p.build = bothFixedAt, bothFixed
	affected, err := segment.AffectedByAlerts(ctx, p.ledger)
	if err != nil {
		return rerun.Plan{}, rerun.Outcome{}, err
	}
	plan, err := rerun.New(w.jobs(), affected)
	if err != nil {
		return plan, rerun.Outcome{}, err
	}
	d := segment.Decision{By: "on call", Why: "what the alerts are about, and all downstream", At: p.now()}
	if err := rerun.Keep(ctx, p.ledger, "recovery", plan, d); err != nil {
		return plan, rerun.Outcome{}, err
	}
	outcome, err := plan.Run(ctx, rerun.RunOptions{Limit: 4, Ledger: p.ledger, PlanID: "recovery"}, func(ctx context.Context, job segment.Job) error {
		failure, err := p.run(ctx, job) // guarded, as every night
		return cmp.Or(failure, err)
	})
	return plan, outcome, errors.Join(err, p.look(ctx))
}

// A wave is jobs that people thought of, and rerun.
type wave struct {
	hour  int
	why   string
	build build
	jobs  []segment.Job
	short int // segments, after it
}

// waves returns those of March 2024. No alert named a segment, so they went by what
// customers reported and by the kind of a job, and chains run both ways.
func waves(w *world) []wave {
	copies := slices.Concat(w.copies, w.chained)
	return []wave{
		{hour: lookalikeFixedAt, why: "lookalike modeling is fixed: some of its jobs", build: lookalikeFixed, jobs: w.lookalikes[:(len(w.lookalikes)+1)/2]},
		{hour: 63, why: "more reports: all lookalike jobs", build: lookalikeFixed, jobs: w.lookalikes},
		{hour: 93, why: "SegmentCopy was fixed at hour 74: all copy jobs", build: bothFixed, jobs: copies},
		{hour: 145, why: "all lookalike jobs again, then all copy jobs", build: bothFixed, jobs: slices.Concat(w.lookalikes, copies)},
	}
}

// rerun runs the unguarded way.
func (p *platform) rerun(ctx context.Context, w world) ([]wave, error) {
	all := waves(&w)
	for _, wave := range all {
		p.hour, p.build = wave.hour, wave.build
		if err := errors.Join(p.runAll(ctx, wave.jobs), p.look(ctx)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A shortSegment is one that lacked users after the last night.
type shortSegment struct {
	job     segment.Job // that writes it
	missing []int       // users, after the last night and after each wave
}

func shortSegments(ctx context.Context, db *sql.DB, w world, waves []wave) (short []shortSegment, err error) {
	hours := []int{hourOf(lastNight)}
	for _, wave := range waves {
		hours = append(hours, wave.hour)
	}
	for _, job := range w.jobs() {
		s := shortSegment{job: job, missing: make([]int, len(hours))}
		for i, hour := range hours {
			err := db.QueryRowContext(ctx, "SELECT coalesce(sum(users), 0) FROM missing WHERE hour = ? AND segment = ?", hour, job.To.String()).Scan(&s.missing[i])
			if err != nil {
				return nil, err
			}
		}
		if slices.Max(s.missing) > 0 {
			short = append(short, s)
		}
	}
	return short, nil
}
