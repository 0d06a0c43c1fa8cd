package enginetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	loadVariable    = "SEGMENTGUARD_LOAD" // how long to go on, such as "1m"
	loadCommits     = 512                 // a process, where it is not set
	loadGoroutines  = 64                  // a process, all on one guard, one history and one pool
	loadConnections = 16                  // too few for all: who held one while waiting for another would wait for ever
	loadAttempts    = 2                   // of each run
	loadShared      = 4                   // segments that many runs write at the same time
	loadOwn         = 500                 // segments that seldom have two at a time
)

// A loadJob is one commit: its number says all else.
type loadJob struct {
	Number, Run, Attempt int
	Segment              segment.ID
	Staged               bool // goes live by a transaction of its own, and not in one with its record
	Lossy                bool // a user was lost on the way: it must not go live
}

// newLoadJob makes jobs of one run neighbours, out of order, and starts the last
// attempt twice, as a queue may.
func newLoadJob(number int) loadJob {
	const starts = loadAttempts + 1
	j := loadJob{Number: number, Run: number / starts}
	random := rand.New(rand.NewPCG(3, uint64(j.Run)))
	name := "own" + strconv.Itoa(random.IntN(loadOwn))
	if random.IntN(4) == 0 {
		name = sharedName(random.IntN(loadShared))
	}
	j.Segment = segment.ID{SiteGroup: "g", Name: name}
	place := number % starts
	j.Attempt = min(random.Perm(starts)[place]+1, loadAttempts)
	j.Staged = random.Uint64()>>place&1 == 0
	j.Lossy = (j.Run+j.Attempt)%16 == 0
	return j
}

func sharedName(n int) string { return "shared" + strconv.Itoa(n) }

// users are a size that no other job has, and no history is surprised by.
func (j *loadJob) users() int64 { return 1_300_000 + 2*int64(j.Number) }

// stored is what a reader finds.
func (j *loadJob) stored() int64 {
	if j.Lossy {
		return j.users() - 1
	}
	return j.users()
}

// A loadResult is what a caller was told, and how long that took.
type loadResult struct {
	Job  loadJob
	Told string
	Took time.Duration
}

// What a caller may be told.
const (
	toldLive       = "live"
	toldRejected   = "rejected"
	toldSuperseded = "superseded"
	toldOvertaken  = "live, but superseded while it was committed"
	toldMet        = "overtaken by another run of the segment"
)

// told is one of those, or an error that none should see. Nothing else may have
// gone wrong beside it: what did is joined to it by a semicolon.
func told(j *loadJob, err error) string {
	live, isLive := errors.AsType[*segment.LiveError](err)
	failed, isFailed := errors.AsType[*validate.Error](err)
	switch {
	case err == nil && !j.Lossy:
		return toldLive
	case err == nil:
		return "live, though a user was lost"
	case !isLive && !isFailed && errors.Is(err, segment.ErrOvertaken): // on MariaDB by a deadlock, whose text has a semicolon
		return toldMet
	case strings.Contains(err.Error(), "; "):
	case isLive && j.Staged && errors.Is(live, segment.ErrSuperseded):
		return toldOvertaken
	case isFailed && j.Lossy && len(failed.Report.Findings) == 1 && failed.Report.Findings[0].Kind == validate.Short:
		return toldRejected
	case !isLive && !isFailed && errors.Is(err, segment.ErrSuperseded):
		return toldSuperseded
	}
	return err.Error()
}

// A loader is a process of the load test: one guard, one history, one pool.
type loader struct {
	place, processes int
	database         enginetest.Database
	db               *sql.DB
	history          *sqlsegment.Ledger
	guard            *segment.Guard
}

// loadChild does its share of the jobs, first with bare transactions, then with
// guarded ones, and says what each was told.
func loadChild(c *enginetest.Child) error {
	l, err := newLoader(c)
	if err != nil {
		return err
	}
	duration, err := loadDuration()
	if err != nil {
		return err
	}
	if err := l.phase(c, 0, l.bare); err != nil {
		return err
	}
	return l.phase(c, duration, l.guarded)
}

func newLoader(c *enginetest.Child) (*loader, error) {
	place, errPlace := strconv.Atoi(c.Args[0])
	processes, errProcesses := strconv.Atoi(c.Args[1])
	db, h, err := c.Open()
	if err := errors.Join(errPlace, errProcesses, err); err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(loadConnections)
	db.SetMaxIdleConns(loadConnections)
	// Of 128 jobs at once, some 30 want the same four segments: that none of them is
	// told to come back later takes more than the usual half minute.
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler)), Timeout: 5 * time.Minute})
	return &loader{place, processes, c.Database, db, h, g}, err
}

// loadDuration is 0 where no time is asked for, but a number of commits.
func loadDuration() (time.Duration, error) {
	text := os.Getenv(loadVariable)
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

// phase begins with all other processes, and does one job after the other in
// each goroutine.
func (l *loader) phase(c *enginetest.Child, duration time.Duration, do func(context.Context, loadJob) (string, error)) error {
	if err := ready(c); err != nil {
		return err
	}
	begun := time.Now()
	enough := func(started int64) bool {
		if duration == 0 {
			return started >= loadCommits
		}
		return time.Since(begun) >= duration
	}
	var next atomic.Int64
	results := make([][]loadResult, loadGoroutines)
	var group errgroup.Group
	for g := range results {
		group.Go(func() error {
			for n := next.Add(1) - 1; !enough(n); n = next.Add(1) - 1 {
				job := newLoadJob(int(n)*l.processes + l.place)
				asked := time.Now()
				told, err := do(context.Background(), job)
				if err != nil {
					return err
				}
				results[g] = append(results[g], loadResult{job, told, time.Since(asked)})
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	text, err := json.Marshal(slices.Concat(results...))
	if err != nil {
		return err
	}
	return c.Say(string(text))
}

// bare is what a job does without a guard.
func (l *loader) bare(ctx context.Context, j loadJob) (string, error) {
	return "", l.transaction(ctx, "bare", j)
}

// begin does not leave the isolation to MySQL, as sqlsegment asks of jobs.
func (l *loader) begin(ctx context.Context) (*sql.Tx, error) {
	if l.database.Dialect == sqlsegment.SQLite {
		return l.db.BeginTx(ctx, nil)
	}
	return l.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
}

func (l *loader) transaction(ctx context.Context, table string, j loadJob) error {
	tx, err := l.begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(l.write(ctx, tx, table, j), tx.Commit())
}

func (l *loader) write(ctx context.Context, tx *sql.Tx, table string, j loadJob) error {
	_, err := tx.ExecContext(ctx, l.database.Bind("INSERT INTO "+table+" (number) VALUES (?)"), j.Number)
	return err
}

// guarded does the same with a guard, and again, as a queue would, where another
// run was in the way.
func (l *loader) guarded(ctx context.Context, j loadJob) (told string, err error) {
	for {
		told, err = l.guardedOnce(ctx, j)
		if told != toldMet || ctx.Err() != nil {
			return told, err
		}
	}
}

// guardedOnce is the same transaction, and the guard's say in it.
func (l *loader) guardedOnce(ctx context.Context, j loadJob) (string, error) {
	run := segment.Run{
		ID: strconv.Itoa(j.Run), Attempt: j.Attempt, Build: "v1",
		Job:      segment.Copy(j.Segment, segment.ID{SiteGroup: "source", Name: j.Segment.Name}),
		Expected: validate.Count(j.users()),
		Stored:   func(context.Context) (validate.Summary, error) { return validate.Count(j.stored()), nil },
		Staging:  segment.Staging{Commit: func(ctx context.Context) error { return l.transaction(ctx, "live", j) }},
	}
	if !j.Staged {
		tx, err := l.begin(ctx)
		if err != nil {
			return "", err
		}
		if err := l.write(ctx, tx, "live", j); err != nil {
			return "", errors.Join(err, tx.Rollback())
		}
		run.Staging.Tx = l.history.Tx(tx)
		run.Staging.Commit = func(context.Context) error { return tx.Commit() }
		run.Staging.Discard = func(context.Context) error { return tx.Rollback() }
	}
	_, err := l.guard.Commit(ctx, run)
	return told(&j, err), nil
}
