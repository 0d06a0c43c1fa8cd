package enginetest

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// createSQLite leaves busy_timeout at its default, none: a History must not
// depend on it.
func createSQLite(t testing.TB) (driver, dsn string) {
	return "sqlite", "file:" + filepath.Join(t.TempDir(), "test.db")
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
