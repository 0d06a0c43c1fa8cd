package enginetest

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// An Engine is a kind of database that tests run on.
type Engine struct {
	Name    string
	Dialect sqlsegment.Dialect
	create  func(testing.TB) (driver, dsn string)
}

// Engines returns all that a ledger can be in.
func Engines() []Engine { return []Engine{PostgreSQL, SQLite, SQLiteWAL, MariaDB} }

// All returns those engines, and the ones on which there are only Users.
func All() []Engine { return append(Engines(), ClickHouse) }

// Each runs a test on every engine, each time on a database of its own.
func Each(t *testing.T, test func(*testing.T, Database)) {
	for _, e := range Engines() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel() // for much of the time each waits for another process, or a disk
			test(t, e.New(t))
		})
	}
}

// New makes an empty database, gone when the test ends.
func (e Engine) New(t testing.TB) Database {
	t.Helper()
	only(t, e.Name)
	driver, dsn := e.create(t)
	return Database{e.Dialect, driver, dsn}
}

// engineVariable asks for the tests of one engine alone.
const engineVariable = "SEGMENTGUARD_ENGINE"

// only skips the tests of engines that were not asked for.
func only(t testing.TB, engine string) {
	t.Helper()
	if asked := os.Getenv(engineVariable); asked != "" && asked != engine {
		t.Skip(engineVariable + " asks for " + asked)
	}
}

// checkAsked refuses to skip all tests for a name that no engine has.
func checkAsked() error {
	asked, names := os.Getenv(engineVariable), []string{"", alertmanagerName}
	for _, e := range All() {
		names = append(names, e.Name)
	}
	if slices.Contains(names, asked) {
		return nil
	}
	return fmt.Errorf("%s is %s, want one of %s", engineVariable, asked, strings.Join(names[1:], ", "))
}

// A Database is what it takes to connect, in this process or a child.
type Database struct {
	Dialect     sqlsegment.Dialect
	Driver, DSN string
}

// Open returns a pool of its own, closed when the test ends.
func (d Database) Open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.Driver, d.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// History returns a migrated history on a pool of its own.
func (d Database) History(t testing.TB) *sqlsegment.Ledger {
	t.Helper()
	h, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
	require.NoError(t, err)
	require.NoError(t, h.Migrate(t.Context()))
	return h
}

// ForJobs returns the same database as sqlsegment asks jobs to open it.
func (d Database) ForJobs() Database {
	if d.Dialect == sqlsegment.SQLite {
		d.DSN += "?_txlock=immediate&_pragma=busy_timeout(30000)"
	}
	return d
}

// SQL picks the statement for the database.
func (d Database) SQL(postgreSQL, sqlite string) string {
	if d.Dialect == sqlsegment.PostgreSQL {
		return postgreSQL
	}
	return sqlite
}

// Bind writes a statement's ? the way the database wants them.
func (d Database) Bind(statement string) string {
	for n := 1; d.Dialect == sqlsegment.PostgreSQL && strings.Contains(statement, "?"); n++ {
		statement = strings.Replace(statement, "?", "$"+strconv.Itoa(n), 1)
	}
	return statement
}
