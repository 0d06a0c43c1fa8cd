package enginetest

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// SQLite is a file, with a journal as it is by default, or a write-ahead log.
var (
	SQLite    = Engine{"sqlite", sqlsegment.SQLite, createSQLite}
	SQLiteWAL = Engine{"sqlite-wal", sqlsegment.SQLite, createSQLiteWAL}
)

// createSQLite leaves busy_timeout at its default, none: a History must not
// depend on it.
func createSQLite(t testing.TB) (driver, dsn string) {
	path := filepath.Join(t.TempDir(), "test.db")
	return "sqlite", "file:" + strings.ReplaceAll(path, "#", "%23") // the name of a subtest that has a namesake
}

// createSQLiteWAL sets the mode once: it stays with the file.
func createSQLiteWAL(t testing.TB) (driver, dsn string) {
	driver, dsn = createSQLite(t)
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "PRAGMA journal_mode = WAL")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return driver, dsn
}
