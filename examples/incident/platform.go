package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A platform keeps each output of a job as a generation of its segment. One
// generation is live; the others are staged, or garbage.
const schema = `
CREATE TABLE users (id TEXT PRIMARY KEY, i0 REAL, i1 REAL, i2 REAL, i3 REAL) WITHOUT ROWID;
CREATE TABLE generations (id INTEGER PRIMARY KEY, segment TEXT NOT NULL, run TEXT NOT NULL);
CREATE TABLE members (generation INTEGER, user TEXT, PRIMARY KEY (generation, user)) WITHOUT ROWID;
CREATE TABLE live (segment TEXT PRIMARY KEY, generation INTEGER NOT NULL);

CREATE TABLE results (hour INTEGER, job TEXT, error TEXT);            -- error NULL: success
CREATE TABLE alerts ( -- those that are open, since an hour; alert is its JSON
	segment TEXT, store TEXT, severity TEXT, kind TEXT, level TEXT, job_kind TEXT, build TEXT, incident TEXT, ring INTEGER, ledger TEXT,
	hour INTEGER, alert TEXT,
	PRIMARY KEY (segment, store, severity, kind, level, job_kind, build, incident, ring, ledger)
) WITHOUT ROWID;

-- What only the replay knows: who was live before the deployment, how many of
-- them are missing at an hour; how many users are live in the segments that jobs
-- write, how many of those are short, how many have alerts, and how many
-- alerts are open, those of incidents too.
CREATE TABLE whole (segment TEXT, user TEXT, PRIMARY KEY (segment, user)) WITHOUT ROWID;
CREATE TABLE missing (hour INTEGER, segment TEXT, users INTEGER);
CREATE TABLE looks (hour INTEGER PRIMARY KEY, live INTEGER, short INTEGER, affected INTEGER, alerts INTEGER);`

const pageSize = 1000

const uploaded = "upload" // the run of a segment that no job writes

// A platform stores segments and runs jobs. What stands between a job's output
// and its going live is the one thing that differs between the replays.
type platform struct {
	db         *sql.DB
	similarity map[segment.ID]float64
	build      build
	commit     func(context.Context, segment.Run) error
	ledger     segment.Ledger   // of the guard; nil without one
	monitor    *segment.Monitor // beside the guard; nil without one
	hour       int              // since the deployment
}

// now returns the time of the replay.
func (p *platform) now() time.Time { return time.Date(2024, time.March, 18, p.hour, 0, 0, 0, time.UTC) }

// connect opens a database that may be there already.
func connect(file string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-65536)")
}

// open makes a database.
func open(ctx context.Context, file string) (*sql.DB, error) {
	db, err := connect(file)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, schema)
	return db, err
}

// unguarded does what was done before: what a job stored goes live.
func unguarded(ctx context.Context, run segment.Run) error { return run.Staging.Commit(ctx) }

// run runs a job. How that ended is kept, and whether it fails is the job's own
// word; err is the replay's.
func (p *platform) run(ctx context.Context, job segment.Job) (failure, err error) {
	do := p.segmentCopy
	if job.Kind == segment.JobKindLookalike {
		do = p.lookalike
	}
	failure = do(ctx, job, fmt.Sprintf("hour %d", p.hour))
	var text any
	if failure != nil {
		text = failure.Error()
	}
	_, err = p.db.ExecContext(ctx, "INSERT INTO results VALUES (?, ?, ?)", p.hour, job.ID, text)
	return failure, errors.Join(err, ctx.Err())
}

// pages yields the users of a segment as it is live, a page at a time.
func (p *platform) pages(ctx context.Context, from segment.ID) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		after, read := "", 0
		for {
			if p.build.readStops > 0 && read >= p.build.readStops {
				return // the bug
			}
			page, err := p.page(ctx, from, after)
			if err != nil {
				yield(nil, fmt.Errorf("reading %s after %q: %w", from, after, err))
				return
			}
			if len(page) == 0 || !yield(page, nil) {
				return
			}
			after, read = page[len(page)-1], read+len(page)
		}
	}
}

func (p *platform) page(ctx context.Context, from segment.ID, after string) (page []string, err error) {
	rows, err := p.db.QueryContext(ctx, `SELECT m.user FROM live l JOIN members m ON m.generation = l.generation
		WHERE l.segment = ? AND m.user > ? ORDER BY m.user LIMIT ?`, from.String(), after, pageSize)
	return collect(rows, err)
}

// collect reads a query of one column of text to its end.
func collect(rows *sql.Rows, err error) (texts []string, _ error) {
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		texts = append(texts, text)
	}
	return texts, errors.Join(rows.Err(), rows.Close())
}

// A staged output is a generation that is not live yet.
type staged struct {
	db         *sql.DB
	generation int64
	segment    segment.ID
}

// stage begins a new generation.
func (p *platform) stage(ctx context.Context, to segment.ID, run string) (*staged, error) {
	result, err := p.db.ExecContext(ctx, "INSERT INTO generations (segment, run) VALUES (?, ?)", to.String(), run)
	if err != nil {
		return nil, fmt.Errorf("staging %s: %w", to, err)
	}
	generation, err := result.LastInsertId()
	return &staged{p.db, generation, to}, err
}

// write adds a page of users.
func (s *staged) write(ctx context.Context, users []string) error {
	args := []any{s.generation}
	for _, user := range users {
		args = append(args, user)
	}
	values := strings.TrimSuffix(strings.Repeat("(?1, ?),", len(users)), ",")
	if _, err := s.db.ExecContext(ctx, "INSERT INTO members (generation, user) VALUES "+values, args...); err != nil {
		return fmt.Errorf("writing to %s: %w", s.segment, err)
	}
	return nil
}

// stored reads back which users the generation holds.
func (s *staged) stored(ctx context.Context) (validate.Summary, error) {
	return sqlsegment.Users{
		Dialect: sqlsegment.SQLite, Method: sqlsegment.Stream,
		Query: "SELECT user FROM members WHERE generation = ?", Args: []any{s.generation},
	}.Summarize(ctx, s.db)
}

// publish makes the generation live and drops the one before.
func (s *staged) publish(ctx context.Context) error {
	return transact(ctx, s.db, []statement{
		{"INSERT INTO live VALUES (?1, ?2) ON CONFLICT (segment) DO UPDATE SET generation = ?2", []any{s.segment.String(), s.generation}},
		{"DELETE FROM members WHERE generation IN (SELECT id FROM generations WHERE segment = ? AND id <> ?)", []any{s.segment.String(), s.generation}},
		{"DELETE FROM generations WHERE segment = ? AND id <> ?", []any{s.segment.String(), s.generation}},
	})
}

// discard drops the generation.
func (s *staged) discard(ctx context.Context) error {
	return transact(ctx, s.db, []statement{
		{"DELETE FROM members WHERE generation = ?", []any{s.generation}},
		{"DELETE FROM generations WHERE id = ?", []any{s.generation}},
	})
}

type statement struct {
	query string
	args  []any
}

func transact(ctx context.Context, db *sql.DB, statements []statement) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// fill brings the users and the uploaded segments in.
func (p *platform) fill(ctx context.Context, w world, people []user) error {
	for page := range slices.Chunk(people, pageSize) {
		var args []any
		for _, u := range page {
			args = append(args, u.id, u.interest[0], u.interest[1], u.interest[2], u.interest[3])
		}
		values := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?),", len(page)), ",")
		if _, err := p.db.ExecContext(ctx, "INSERT INTO users VALUES "+values, args...); err != nil {
			return fmt.Errorf("filling users: %w", err)
		}
	}
	for _, u := range w.uploads {
		if err := p.upload(ctx, u.id, u.members(people)); err != nil {
			return err
		}
	}
	return nil
}

func (p *platform) upload(ctx context.Context, to segment.ID, users []string) error {
	out, err := p.stage(ctx, to, uploaded)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(users, pageSize) {
		if err := out.write(ctx, page); err != nil {
			return err
		}
	}
	return out.publish(ctx)
}
