package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A Mortal is a PostgreSQL of a test's own, which the test kills and starts
// again. A transaction that sets synchronous_commit to on waits for ever when it
// commits: it is durable, and a standby that is not there would have to say so.
type Mortal struct{ host *host }

// NewMortal starts one. It is stopped when the test ends.
func NewMortal(t testing.TB) *Mortal {
	t.Helper()
	only(t, PostgreSQL.Name)
	s, err := servertest.StartPostgreSQL("synchronous_standby_names=nobody", "synchronous_commit=local")
	return &Mortal{ownPostgreSQL(t, s, err)}
}

// New makes an empty database in it.
func (m *Mortal) New(t testing.TB) Database {
	t.Helper()
	return Database{sqlsegment.PostgreSQL, "pgx", m.host.dsn(m.host.create(t))}
}

// Kill ends the server and the processes of all its sessions at once.
func (m *Mortal) Kill() error { return m.host.KillWithChildren() }

// Restart starts it again over the same data.
func (m *Mortal) Restart(t testing.TB) {
	t.Helper()
	require.NoError(t, m.host.Restart())
}
