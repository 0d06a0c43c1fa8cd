package commandtest_test

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/riversegment"
)

// TestRun hands a plan to River by the command, and finds there what a worker takes.
func TestRun(t *testing.T) {
	d := newDesk(t, buildCommand(t), enginetest.PostgreSQL.New(t))
	d.fill()
	all := segment.ID{SiteGroup: "site-a", Name: "all"}
	var jobs []segment.Job
	for _, name := range []string{"boats", "books", "cars", "movies"} {
		jobs = append(jobs, segment.Copy(segment.ID{SiteGroup: "site-b", Name: name}, all))
	}
	jobs = append(jobs, segment.Copy(hostile, all), segment.Copy(segment.ID{SiteGroup: "site-c", Name: "cars"}, segment.ID{SiteGroup: "site-b", Name: "cars"}))
	require.NoError(t, d.ledger.KeepJobs(t.Context(), jobs))

	require.Contains(t, d.says(0, "plan", "--keep", "tonight", "--why", "mended"), "Next: segmentguard run tonight")
	require.Contains(t, d.fails("run", "tonight"), "River's tables are not in the ledger's database")
	require.Contains(t, d.fails("run", "--dry-run", "tonight"), "River's tables are not in the ledger's database")

	pool, err := pgxpool.New(t.Context(), d.database.DSN)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	inRiver := func() (steps []riversegment.StepArgs) {
		rows, err := pool.Query(t.Context(), "SELECT args FROM river_job WHERE queue = $1 ORDER BY id", riversegment.Queue)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var text []byte
			var step riversegment.StepArgs
			require.NoError(t, rows.Scan(&text))
			require.NoError(t, json.Unmarshal(text, &step))
			steps = append(steps, step)
		}
		require.NoError(t, rows.Err())
		return steps
	}
	require.Contains(t, d.says(0, "run", "--dry-run", "tonight"), "This would hand over 6 of 6 steps")
	require.Empty(t, inRiver(), "it is a dry run")
	require.Contains(t, d.says(0, "run", "tonight"), "Handed over 6 of 6 steps")
	first := inRiver()
	require.Len(t, first, 5, "the copy of site-b/cars waits for it")
	for _, step := range first {
		require.Equal(t, "tonight", step.Plan)
	}
	require.Contains(t, d.says(0, "run", "tonight"), "Handed over 6 of 6 steps")
	require.Equal(t, first, inRiver(), "what River has in hand stays there")
	require.Contains(t, d.says(1, "progress"), "0 of 6 steps done, 6 waiting")
}
