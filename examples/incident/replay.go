package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// The days of the replay: a history of healthy nights, then the nights after
// the deployment.
const (
	lastHealthyDay = 3
	lastDay        = 5
)

// A replay is the same days, with the guard or without, and what they left in
// the database.
type replay struct {
	guarded bool
	days    []day
	lost    int      // live segments that ever lost users
	failed  int      // jobs that failed
	said    []string // what some failed jobs said
}

// A day is what was to be seen on its evening.
type day struct{ succeeded, failed, affected, alerts int }

// play runs all days on a database of its own.
func play(ctx context.Context, dir string, w world, people []user, guarded bool, progress io.Writer) (_ *replay, err error) {
	db, err := open(ctx, filepath.Join(dir, fmt.Sprintf("guarded-%t.db", guarded)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	today := 0
	p := &platform{db: db, build: healthy, commit: unguarded}
	if err := p.fill(ctx, w, people); err != nil {
		return nil, err
	}
	if guarded {
		if p.commit, err = guard(ctx, db, &today); err != nil {
			return nil, err
		}
	}
	for today = 1; today <= lastDay; today++ {
		fmt.Fprintf(progress, "guarded %t: night %d of %d, %d jobs\n", guarded, today, lastDay, w.jobs())
		if today > lastHealthyDay {
			p.build = broken
		}
		if err := p.night(ctx, w, today); err != nil {
			return nil, fmt.Errorf("night %d: %w", today, err)
		}
	}
	return read(ctx, db, guarded)
}

// guard is all that a platform needs to be guarded.
func guard(ctx context.Context, db *sql.DB, today *int) (func(context.Context, segment.Run) error, error) {
	history, err := sqlsegment.NewHistory(db, sqlsegment.SQLite)
	if err != nil {
		return nil, err
	}
	if err := history.Migrate(ctx); err != nil {
		return nil, err
	}
	g, err := segment.NewGuard(segment.Config{History: history, Alerter: alertTable{db, today}})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, run segment.Run) error {
		_, err := g.Commit(ctx, run)
		return err
	}, nil
}

// night runs all jobs once, each after those it reads from.
func (p *platform) night(ctx context.Context, w world, today int) error {
	run := fmt.Sprintf("day %d", today)
	for _, job := range w.copies {
		if err := p.result(ctx, today, job, p.segmentCopy(ctx, job, run)); err != nil {
			return err
		}
	}
	for _, l := range w.lookalikes {
		if err := p.result(ctx, today, l.job, p.lookalike(ctx, l, run)); err != nil {
			return err
		}
	}
	for _, job := range w.chained {
		if err := p.result(ctx, today, job, p.segmentCopy(ctx, job, run)); err != nil {
			return err
		}
	}
	_, err := p.db.ExecContext(ctx, `INSERT INTO sizes SELECT ?, l.segment,
		(SELECT count(*) FROM members m WHERE m.generation = l.generation) FROM live l`, today)
	return err
}

// result keeps how a job ended.
func (p *platform) result(ctx context.Context, today int, job segment.Job, failure error) error {
	var text any
	if failure != nil {
		text = failure.Error()
	}
	_, err := p.db.ExecContext(ctx, "INSERT INTO results VALUES (?, ?, ?)", today, job.ID, text)
	return errors.Join(err, ctx.Err())
}

// lostUsers are the live segments that were smaller on a day than on the last
// one before the deployment: nobody leaves this platform by himself.
const lostUsers = `FROM sizes s JOIN sizes before ON before.segment = s.segment AND before.day = ?
	WHERE s.day > before.day AND s.users < before.users`

// read sums the replay up from what the database holds.
func read(ctx context.Context, db *sql.DB, guarded bool) (*replay, error) {
	r := &replay{guarded: guarded, days: make([]day, lastDay)}
	for i := range r.days {
		d := &r.days[i]
		err := db.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM results WHERE day = ?1 AND error IS NULL),
			(SELECT count(*) FROM results WHERE day = ?1 AND error IS NOT NULL),
			(SELECT count(*) `+lostUsers+` AND s.day = ?1),
			(SELECT count(*) FROM alerts WHERE day <= ?1)`, i+1, lastHealthyDay).
			Scan(&d.succeeded, &d.failed, &d.affected, &d.alerts)
		if err != nil {
			return nil, err
		}
	}
	err := db.QueryRowContext(ctx, `SELECT (SELECT count(DISTINCT s.segment) `+lostUsers+`),
		(SELECT count(*) FROM results WHERE error IS NOT NULL)`, lastHealthyDay).Scan(&r.lost, &r.failed)
	if err != nil {
		return nil, err
	}
	r.said, err = collect(db.QueryContext(ctx, `SELECT text FROM alerts ORDER BY segment`))
	return r, err
}
