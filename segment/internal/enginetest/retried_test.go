package enginetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// TestRecordIsTriedAgain: a record that met another transaction in a deadlock, and is
// tried again, gives back the lease that its run had, as if nothing had been.
func TestRecordIsTriedAgain(t *testing.T) {
	d := postgreSQL(t)
	d.DSN += " options='-c deadlock_timeout=2s'"
	p := newPlatform(t, d)
	var hold segment.Hold
	require.NoError(t, p.history.Lock(t.Context(), idS.In(""), func(c *segment.CommitRow) error {
		c.RunID, c.Attempt, c.Since, c.Until = "r", 1, c.Now, c.Now.Add(time.Minute)
		c.Token++
		hold = segment.Hold{Token: c.Token, Generation: c.Generation}
		return nil
	}))
	tx, err := p.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "SET LOCAL deadlock_timeout = '1h'") // so that the record is the one to begin again
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "SELECT 1 FROM segmentguard_segments WHERE segment = 'g/s' FOR UPDATE")
	require.NoError(t, err)

	recorded := make(chan error)
	go func() {
		recorded <- p.history.Record(t.Context(), segment.Record{
			Segment: idS, RunID: "r", Attempt: 1, State: segment.RunCommitted, Users: 41, At: time.Now(), Hold: hold,
		})
	}()
	await(t.Context(), t, p.db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	_, err = tx.ExecContext(t.Context(), "SELECT 1 FROM segmentguard_commits WHERE segment = 'g/s' FOR UPDATE")
	require.NoError(t, err, "it has the row only once the record was undone")
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-recorded)
	require.NoError(t, p.history.Lock(t.Context(), idS.In(""), func(c *segment.CommitRow) error {
		require.Empty(t, c.RunID, "the lease is given back")
		require.Equal(t, hold.Generation+1, c.Generation)
		return nil
	}))
}
