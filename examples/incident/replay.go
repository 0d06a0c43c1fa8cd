package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// The nights of the replay: healthy ones for a history, the last of them at the
// hour of the deployment, and two after it. Then the nightly jobs are held, and
// reruns alone repair what is wrong.
const (
	lastHealthyNight = 3
	lastNight        = 5
)

// customersReport is the hour at which the first ones did.
const customersReport = 46

// A replay is the same days, with the guard or without, and what they left in
// the database.
type replay struct {
	guarded bool
	nights  []night
	said    []string // by the alerts open after the last night
	waves   []wave   // of reruns, without the guard
	short   []shortSegment
	plan    rerun.Plan // of reruns, with it
	outcome rerun.Outcome
	now     time.Time // at the end

	noticed, recovered int // hours: of the first alert or report, and since when no segment is short or affected
	lost, failed       int // live segments that ever lost users, and jobs that failed
}

// A night is what was to be seen after it.
type night struct{ succeeded, failed, live, short, alerts int }

// play plays all days and the recovery on a database of its own.
func play(ctx context.Context, dir string, w world, people []user, guarded bool, s show, progress io.Writer) (_ *replay, err error) {
	db, err := open(ctx, filepath.Join(dir, fmt.Sprintf("guarded-%t.db", guarded)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := &platform{db: db, similarity: w.similarity, commit: unguarded}
	if err := p.fill(ctx, w, people); err != nil {
		return nil, err
	}
	if guarded {
		if err := p.guard(ctx, w.jobs()); err != nil {
			return nil, err
		}
	}
	if err := p.nights(ctx, w, func(n int) {
		fmt.Fprintf(progress, "guarded %t: night %d of %d, %d jobs\n", guarded, n, lastNight, len(w.jobs()))
	}); err != nil {
		return nil, err
	}
	r := &replay{guarded: guarded}
	if r.said, err = collect(db.QueryContext(ctx, "SELECT alert->>'text' FROM alerts ORDER BY ring DESC, segment")); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "guarded %t: reruns\n", guarded)
	if guarded {
		if err := s.write(ctx, p); err != nil {
			return nil, err
		}
		r.plan, r.outcome, err = p.recover(ctx, w)
	} else {
		r.waves, err = p.rerun(ctx, w)
	}
	if err != nil {
		return nil, fmt.Errorf("reruns: %w", err)
	}
	r.now = p.now()
	return r, r.read(ctx, db, w)
}

// guard returns all that a platform needs to be guarded.
func (p *platform) guard(ctx context.Context, jobs []segment.Job) error {
	ledger, err := sqlsegment.NewLedger(p.db, sqlsegment.SQLite)
	if err != nil {
		return err
	}
	if err := ledger.Migrate(ctx); err != nil {
		return err
	}
	alerter := alertTable{p.db, &p.hour}
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter, Now: p.now})
	if err != nil {
		return err
	}
	p.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter, Now: p.now, Jobs: jobs})
	if err != nil {
		return err
	}
	p.ledger = ledger
	p.commit = func(ctx context.Context, run segment.Run) error {
		_, err := g.Commit(ctx, run)
		return err
	}
	return nil
}

// nights run all jobs once a night.
func (p *platform) nights(ctx context.Context, w world, begins func(int)) error {
	p.build = healthy
	for n := 1; n <= lastNight; n++ {
		begins(n)
		p.hour = hourOf(n)
		if p.hour > 0 {
			p.build = broken
		}
		if err := p.runAll(ctx, w.jobs()); err != nil {
			return fmt.Errorf("night %d: %w", n, err)
		}
		if p.hour == 0 {
			if err := p.keepWhole(ctx); err != nil {
				return err
			}
		}
		if err := p.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hourOf a night is counted from the deployment.
func hourOf(night int) int { return 24 * (night - lastHealthyNight) }

// runAll runs jobs one after the other, whether they fail or not.
func (p *platform) runAll(ctx context.Context, jobs []segment.Job) error {
	for _, job := range jobs {
		if _, err := p.run(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// keepWhole keeps who is live in the segments that jobs write: nobody leaves this
// platform by himself.
func (p *platform) keepWhole(ctx context.Context) error {
	_, err := p.db.ExecContext(ctx, `INSERT INTO whole
		SELECT l.segment, m.user FROM live l JOIN generations g ON g.id = l.generation JOIN members m ON m.generation = g.id
		WHERE g.run <> ? ORDER BY 1, 2`, uploaded)
	return err
}

// look keeps what is to be seen at this hour, with the guard after a sweep.
func (p *platform) look(ctx context.Context) error {
	if p.monitor != nil {
		if err := p.sweep(ctx); err != nil {
			return err
		}
	}
	return transact(ctx, p.db, []statement{
		{`INSERT INTO missing SELECT ?, w.segment, count(*) FROM whole w JOIN live l ON l.segment = w.segment
			WHERE NOT EXISTS (SELECT 1 FROM members m WHERE m.generation = l.generation AND m.user = w.user)
			GROUP BY w.segment`, []any{p.hour}},
		{`INSERT INTO looks SELECT ?1,
			(SELECT count(*) FROM live l JOIN generations g ON g.id = l.generation JOIN members m ON m.generation = g.id WHERE g.run <> ?2),
			(SELECT count(*) FROM missing WHERE hour = ?1),
			(SELECT count(DISTINCT segment) FROM alerts WHERE ring = 0), (SELECT count(*) FROM alerts)`, []any{p.hour, uploaded}},
	})
}

// read sums the replay up from what the database holds.
func (r *replay) read(ctx context.Context, db *sql.DB, w world) error {
	r.nights = make([]night, lastNight)
	for i := range r.nights {
		n := &r.nights[i]
		err := db.QueryRowContext(ctx, `SELECT sum(error IS NULL), sum(error IS NOT NULL), live, short, alerts
			FROM results JOIN looks USING (hour) WHERE hour = ?`, hourOf(i+1)).Scan(&n.succeeded, &n.failed, &n.live, &n.short, &n.alerts)
		if err != nil {
			return err
		}
	}
	err := db.QueryRowContext(ctx, `SELECT
		(SELECT coalesce(min(hour), ?) FROM looks WHERE alerts > 0),
		(SELECT min(hour) FROM looks WHERE hour > (SELECT max(hour) FROM looks WHERE short > 0 OR affected > 0)),
		(SELECT count(DISTINCT segment) FROM missing),
		(SELECT count(error) FROM results)`, customersReport).Scan(&r.noticed, &r.recovered, &r.lost, &r.failed)
	if err != nil {
		return err
	}
	for i := range r.waves {
		wave := &r.waves[i]
		if err := db.QueryRowContext(ctx, "SELECT short FROM looks WHERE hour = ?", wave.hour).Scan(&wave.short); err != nil {
			return err
		}
	}
	r.short, err = shortSegments(ctx, db, w, r.waves)
	return err
}
