package enginetest_test

import (
	"database/sql"
	"database/sql/driver"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/simulationtest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// askBubble has SQLite ask the bubble of synctest for the time, and not the machine: a
// lease runs out by the ledger's clock, which must be that of the world.
var askBubble = sync.OnceFunc(func() {
	const unix = 2440587.5 // the Julian day of 1970
	sqlite.MustRegisterScalarFunction("julianday", 1, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return unix + float64(time.Now().UnixMicro())/(24*60*60*1e6), nil
	})
})

// TestWorldsInSQLite tries worlds of the simulator over a real ledger in a database: as
// many as SEGMENTGUARD_WORLDS says, from the seed in SEGMENTGUARD_SEED or else from 1.
// Each is, step by step, the world that there is over a Memory.
func TestWorldsInSQLite(t *testing.T) {
	askBubble()
	sim, err := simulationtest.New(func(t *testing.T) segment.Ledger {
		db, err := sql.Open("sqlite", ":memory:?_pragma=synchronous(0)")
		require.NoError(t, err)
		db.SetMaxOpenConns(1) // as each has a database of its own
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		l, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
		require.NoError(t, err)
		require.NoError(t, l.Migrate(t.Context()))
		return l
	})
	require.NoError(t, err)
	n, first := 100, 1
	if testing.Short() || underRace {
		n = 20
	}
	for variable, number := range map[string]*int{"SEGMENTGUARD_WORLDS": &n, "SEGMENTGUARD_SEED": &first} {
		if text := os.Getenv(variable); text != "" {
			*number, err = strconv.Atoi(text)
			require.NoError(t, err)
		}
	}
	memory, err := simulationtest.New(nil)
	require.NoError(t, err)
	for seed := uint64(first); seed < uint64(first+n); seed++ {
		violation, steps := sim.Violation(t, seed)
		require.Empty(t, violation, "seed %d", seed)
		_, want := memory.Violation(t, seed)
		require.Equal(t, want, steps, "seed %d", seed)
	}
}
