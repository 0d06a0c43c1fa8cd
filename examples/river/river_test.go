package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestMain lets the test's own program be the workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Of three processes one is killed in the middle of a step: it has written users,
// and waits for a lock that the test holds.
func TestKilled(t *testing.T) {
	dsn, pool := newDatabase(t)
	require.NoError(t, createPlatform(t.Context(), pool))
	plan, id := planned(t, pool)
	victim := plan.Steps[len(plan.Steps)/2].Job

	lock, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "SELECT FROM segment WHERE id = $1 FOR UPDATE", victim.To.String())
	require.NoError(t, err)
	var c crew
	defer c.stop()
	for range 3 {
		require.NoError(t, c.add(options{dsn: dsn, timeout: 5 * time.Second}))
	}
	killed := waiting(t, pool, lock)
	for _, process := range c.processes {
		if name, err := workerName(process.Process.Pid); err == nil && name == killed {
			require.NoError(t, process.Process.Kill())
		}
	}
	require.NoError(t, lock.Rollback(t.Context()))

	steps := finished(t, pool, id)
	by := map[string]int{}
	for _, s := range steps {
		require.Equal(t, segment.StepDone, s.State, s)
		by[s.Worker]++
		if s.Job == victim.ID {
			require.Greater(t, s.Attempt, 1)
			require.NotEqual(t, killed, s.Worker)
		}
	}
	require.Len(t, steps, len(plan.Steps))
	t.Log("steps by worker:", by, "killed:", killed)
	rows, err := pool.Query(t.Context(), "SELECT id, made, (SELECT count(*) FROM segment_user u WHERE u.segment = s.id) FROM segment s ORDER BY id")
	require.NoError(t, err)
	var name string
	var made, users int
	_, err = pgx.ForEachRow(rows, []any{&name, &made, &users}, func() error {
		want := 1
		if to, err := segment.ParseID(name); err != nil || bytes.HasPrefix([]byte(to.Name), []byte("seed")) {
			want = 0
		}
		require.Equal(t, want, made, "how often %s was made", name)
		require.GreaterOrEqual(t, users, usersPerSeed, name)
		return nil
	})
	require.NoError(t, err)
}

// waiting is the worker that waits for a lock of tx.
func waiting(t *testing.T, pool *pgxpool.Pool, tx pgx.Tx) (worker string) {
	t.Helper()
	eventually(t, "a worker waits for the lock", func() bool {
		err := pool.QueryRow(t.Context(), "SELECT application_name FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))",
			tx.Conn().PgConn().PID()).Scan(&worker)
		if !errors.Is(err, pgx.ErrNoRows) {
			require.NoError(t, err)
		}
		return err == nil
	})
	return worker
}

func planned(t *testing.T, pool *pgxpool.Pool) (segment.Plan, int64) {
	t.Helper()
	plan, err := segment.PlanReruns(platform())
	require.NoError(t, err)
	id, err := start(t.Context(), pool, plan)
	require.NoError(t, err)
	return plan, id
}

func finished(t *testing.T, pool *pgxpool.Pool, id int64) (steps []state) {
	t.Helper()
	eventually(t, "the plan has ended", func() bool {
		var err error
		steps, err = states(t.Context(), pool, id)
		require.NoError(t, err)
		_, ended := outcome(steps)
		return ended
	})
	return steps
}

var _ = []any{context.Background, fmt.Sprint, slices.Max[[]int], sync.Mutex{}, atomic.Int64{}, validate.Count}
