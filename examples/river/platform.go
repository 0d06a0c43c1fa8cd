package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	seeds        = 10    // of site-a; each begins two chains of two jobs
	usersPerSeed = 1_000 // the first half of them are the seed's before, too
)

//go:embed platform.sql
var platformSchema string

// platform returns what runs on it: lookalikes of each two seeds in site-a, copied to
// site-b; lookalikes of each two of these copies, copied to site-c. The bug
// emptied the first ones.
func platform() (jobs []segment.Job, affected []segment.Affected) {
	for i := range seeds {
		like, copied := func(i int) segment.ID { return named("site-a", "like", i) }, func(i int) segment.ID { return named("site-b", "like", i) }
		wide := named("site-b", "wide", i)
		affected = append(affected, segment.Affected{Segment: like(i), Users: usersPerSeed})
		jobs = append(jobs,
			segment.Lookalike(like(i), named("site-a", "seed", i), named("site-a", "seed", i+1)),
			segment.Copy(copied(i), like(i)),
			segment.Lookalike(wide, copied(i), copied(i+1)),
			segment.Copy(named("site-c", "wide", i), wide),
		)
	}
	for i := range jobs {
		jobs[i].Priority = i % 3
	}
	return jobs, affected
}

func named(group, name string, i int) segment.ID {
	return segment.ID{SiteGroup: group, Name: fmt.Sprintf("%s-%d", name, i%seeds)}
}

// createPlatform fills the seeds and leaves everything else empty.
func createPlatform(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, platformSchema); err != nil {
		return err
	}
	jobs, _ := platform()
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, j := range jobs {
			if _, err := tx.Exec(ctx, "INSERT INTO segment (id) VALUES ($1) ON CONFLICT DO NOTHING", j.To.String()); err != nil {
				return err
			}
		}
		for i := range seeds {
			_, err := tx.Exec(ctx, `WITH seed AS (INSERT INTO segment (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id)
				INSERT INTO segment_user SELECT seed.id, g FROM seed, generate_series($2::int, $3::int) g`,
				named("site-a", "seed", i).String(), i*usersPerSeed/2, i*usersPerSeed/2+usersPerSeed-1)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// remakeSegment runs a job of the platform: users of all that it reads.
func remakeSegment(guard *segment.Guard) func(context.Context, pgx.Tx, segment.Run) error {
	return func(ctx context.Context, tx pgx.Tx, run segment.Run) error {
		to, from := run.Job.To.String(), make([]string, len(run.Job.From))
		for i, id := range run.Job.From {
			from[i] = id.String()
		}
		expected, err := count(ctx, tx, from...)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM segment_user WHERE segment = $1", to); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO segment_user SELECT DISTINCT $1, id FROM segment_user WHERE segment = ANY($2)", to, from)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE segment SET made = made + 1 WHERE id = $1", to); err != nil {
			return err
		}
		run.Expected = expected
		run.Stored = func(ctx context.Context) (validate.Summary, error) { return count(ctx, tx, to) }
		_, err = guard.Commit(ctx, run)
		return err
	}
}

// count asks for the users of segments, each once.
func count(ctx context.Context, tx pgx.Tx, segments ...string) (validate.Summary, error) {
	var users int64
	if err := tx.QueryRow(ctx, "SELECT count(DISTINCT id) FROM segment_user WHERE segment = ANY($1)", segments).Scan(&users); err != nil {
		return validate.Unknown(), err
	}
	return validate.Count(users), nil
}
