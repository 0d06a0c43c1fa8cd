package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

const (
	processes = 4
	writers   = 3 // goroutines a process
	records   = 20
)

// startAll lets so many children begin at the same time.
func startAll(t *testing.T, d enginetest.Database, processes int, child string) []*enginetest.Process {
	t.Helper()
	var all []*enginetest.Process
	for i := range processes {
		all = append(all, d.Start(t, child, strconv.Itoa(i), strconv.Itoa(processes)))
	}
	release(t, all)
	return all
}

// release lets children that wait for each other go on.
func release(t *testing.T, all []*enginetest.Process) {
	t.Helper()
	for _, p := range all {
		p.Expect(t, "ready")
	}
	for _, p := range all {
		p.Say(t, "go")
	}
}

// ready waits for the others.
func ready(c *enginetest.Child) error {
	err := c.Say("ready")
	if err == nil {
		_, err = c.Listen()
	}
	return err
}

// On an empty database, and again on one that is there.
func TestMigrateInManyProcesses(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		for range 3 {
			for _, p := range startAll(t, d, processes, "migrate") {
				p.End(t)
			}
		}
		require.Empty(t, users(t, d.History(t), segment.ID{Name: "s"}, 1))
	})
}

func migrateChild(c *enginetest.Child) error {
	_, h, err := c.Open()
	if err := errors.Join(err, ready(c)); err != nil {
		return err
	}
	var group errgroup.Group
	for range writers {
		group.Go(func() error { return h.Migrate(context.Background()) })
	}
	return group.Wait()
}

// Every record is kept, and nobody is told that the database is busy, while
// others migrate and read.
func TestRecordInManyProcesses(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		all := startAll(t, d, processes, "record")
		for range records {
			require.NoError(t, h.Migrate(t.Context()))
			users(t, h, segment.ID{SiteGroup: "g", Name: "s"}, 60)
		}
		for _, p := range all {
			p.End(t)
		}
		require.Len(t, users(t, h, segment.ID{SiteGroup: "g", Name: "s"}, 10_000), records-1+8, "one of each day, and the last 8")
		require.Equal(t, int64(2*processes*writers*records), number(t, d.Open(t), "SELECT count(*) FROM segmentguard_log"))
	})
}

func recordChild(c *enginetest.Child) error {
	_, h, err := c.Open()
	if err := errors.Join(err, ready(c)); err != nil {
		return err
	}
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for n := range records {
				run := fmt.Sprintf("%s/%d/%d", c.Args[0], w, n)
				_, err := h.State(context.Background(), segment.ID{SiteGroup: "g", Name: "s"}.In(""))
				err = errors.Join(err,
					h.Record(context.Background(), rec(run, 1, segment.RunPassed, int64(n))),
					h.Record(context.Background(), rec(run, 1, segment.RunCommitted, int64(n))))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// Attempts that overtake each other, each in many processes at once: of those
// that go live none follows a newer one, each is live at most once, and the
// newest is not held back by anything.
func TestAttemptsRaceInManyProcesses(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		said := map[string]int{}
		var mu sync.Mutex
		var listeners sync.WaitGroup
		for _, p := range startAll(t, d, processes, "race") {
			listeners.Go(func() {
				for line := p.Listen(t); line != "end"; line = p.Listen(t) {
					mu.Lock()
					said[line]++
					mu.Unlock()
				}
				p.End(t)
			})
		}
		listeners.Wait()
		for run := range records {
			for state, wins := range map[segment.RunState]int{segment.RunCommitted: 1, segment.RunObserved: 0} {
				require.Equal(t, wins, said[fmt.Sprintf("%d %d %s", run, attempts, state)], "run %d: the newest attempt in state %s: %v", run, state, said)
			}
			for attempt := range attempts {
				require.LessOrEqual(t, said[fmt.Sprintf("%d %d %s", run, attempt, segment.RunCommitted)], 1, "run %d, attempt %d", run, attempt)
			}
			requireInOrder(t, d, db, strconv.Itoa(run))
		}
		total := 0
		for line, n := range said {
			if line[len(line)-len(segment.RunCommitted):] == string(segment.RunCommitted) {
				total += n
			}
		}
		require.Equal(t, int64(total), number(t, d.Open(t), "SELECT count(*) FROM segmentguard_log WHERE state = 'committed'"), "what the ledger knows, commits that were told")
		require.Len(t, users(t, h, segment.ID{SiteGroup: "g", Name: "s"}, 10_000), min(total, 8), "all on one day: the last 8")
	})
}

const attempts = 5

// raceChild brings each attempt of each run from passed to committed, and says
// what it was allowed to.
func raceChild(c *enginetest.Child) error {
	_, h, err := c.Open()
	if err := errors.Join(err, ready(c)); err != nil {
		return err
	}
	for run := range records {
		var group errgroup.Group
		for attempt := range attempts {
			group.Go(func() error { return advance(c, h, strconv.Itoa(run), attempt+1) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return c.Say("end")
}

func advance(c *enginetest.Child, h segment.Recorder, run string, attempt int) error {
	for _, state := range []segment.RunState{segment.RunPassed, segment.RunCommitted} {
		err := h.Record(context.Background(), rec(run, attempt, state, 1))
		switch {
		case errors.Is(err, segment.ErrSuperseded):
			return nil
		case err != nil:
			return err
		}
		if err := c.Say(fmt.Sprintf("%s %d %s", run, attempt, state)); err != nil {
			return err
		}
	}
	return nil
}

// requireInOrder reads the log of a run.
func requireInOrder(t *testing.T, d enginetest.Database, db *sql.DB, run string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), d.Bind("SELECT attempt FROM segmentguard_log WHERE run = ? ORDER BY id"), run)
	require.NoError(t, err)
	defer rows.Close()
	newest := 0
	for rows.Next() {
		var attempt int
		require.NoError(t, rows.Scan(&attempt))
		require.GreaterOrEqual(t, attempt, newest, "run %s: an older attempt was kept after a newer one", run)
		newest = attempt
	}
	require.NoError(t, rows.Err())
	require.Equal(t, attempts, newest)
}

// Two attempts in transactions of their jobs: the second waits for the first,
// and what it is told depends on how that one ended.
func TestAttemptsWaitForTransactions(t *testing.T) {
	for _, c := range []struct {
		name, reason  string
		first, second int
		commit        bool
		superseded    bool
		sizes         []int64
	}{
		{"newer after older", "the newer attempt may go live after the older", 1, 2, true, false, []int64{1, 2}},
		{"older after newer", "the older attempt was overtaken", 2, 1, true, true, []int64{2}},
		{"older after newer rolled back", "what was rolled back is not known: the older attempt is the newest", 2, 1, false, false, []int64{1}},
		{"twice the same", "an attempt goes live once, even if a queue starts it twice", 1, 1, true, true, []int64{1}},
		{"twice the same, rolled back", "the first one never went live", 1, 1, false, false, []int64{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
				h, db := d.History(t), d.Open(t)
				tx, err := db.BeginTx(t.Context(), nil)
				require.NoError(t, err)
				require.NoError(t, h.Tx(tx).Record(t.Context(), rec("r", c.first, segment.RunCommitted, int64(c.first))))
				second := make(chan error, 1)
				go func() { second <- h.Record(t.Context(), rec("r", c.second, segment.RunCommitted, int64(c.second))) }()
				if d.Dialect == sqlsegment.PostgreSQL {
					awaitBlocked(t, d, 1)
				}
				if c.commit {
					require.NoError(t, tx.Commit())
				} else {
					require.NoError(t, tx.Rollback())
				}
				if err := <-second; c.superseded {
					require.ErrorIs(t, err, segment.ErrSuperseded, c.reason)
				} else {
					require.NoError(t, err, c.reason)
				}
				require.Equal(t, c.sizes, users(t, h, segment.ID{SiteGroup: "g", Name: "s"}, 60), c.reason)
			})
		})
	}
}

// awaitBlocked asks PostgreSQL until so many of its sessions wait for a lock.
func awaitBlocked(t *testing.T, d enginetest.Database, sessions int) {
	t.Helper()
	db := d.Open(t)
	for blocked := -1; blocked != sessions; {
		err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&blocked)
		require.NoError(t, err)
	}
}
