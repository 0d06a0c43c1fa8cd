package enginetest

import (
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// PostgreSQL does not write to disk what it answers for: see Durable.
var PostgreSQL = Engine{"postgresql", sqlsegment.PostgreSQL, createPostgreSQL}

var sharedPostgreSQL = shared(func() (*host, error) { return postgreSQL(servertest.StartPostgreSQL()) })

func createPostgreSQL(t testing.TB) (driver, dsn string) {
	t.Helper()
	h, err := sharedPostgreSQL()
	servertest.Require(t, err)
	return h.driver, h.dsn(h.database(t, " WITH (FORCE)"))
}

func postgreSQL(s *servertest.Server, err error) (*host, error) {
	if err != nil {
		return nil, err
	}
	return &host{Server: s, driver: "pgx", dsn: func(database string) string {
		if database == "" {
			database = "postgres"
		}
		return "host=" + s.Folder + " user=postgres dbname=" + database
	}}, nil
}

// ownPostgreSQL takes one of a test's own, gone when the test ends.
func ownPostgreSQL(t testing.TB, s *servertest.Server, err error) *host {
	t.Helper()
	h, err := postgreSQL(s, err)
	servertest.Require(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return h
}

// Standby starts a PostgreSQL that only reads, as a replica does.
func Standby(t testing.TB) Database {
	t.Helper()
	only(t, PostgreSQL.Name)
	s, err := servertest.StartStandby()
	return Database{sqlsegment.PostgreSQL, "pgx", ownPostgreSQL(t, s, err).dsn("")}
}

// Durable starts a PostgreSQL set up as for production: nothing that it answers
// for is lost when the machine goes down.
func Durable(t testing.TB) Database {
	t.Helper()
	only(t, PostgreSQL.Name)
	s, err := servertest.StartPostgreSQL("fsync=on", "full_page_writes=on", "shared_buffers=2GB", "max_wal_size=8GB")
	return Database{sqlsegment.PostgreSQL, "pgx", ownPostgreSQL(t, s, err).dsn("")}
}
