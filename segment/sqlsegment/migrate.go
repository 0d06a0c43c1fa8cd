package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Migrate makes the tables that are not there yet. It can run again, in many
// processes at once, and while jobs run.
func (h *Ledger) Migrate(ctx context.Context) error {
	migrate := map[Dialect]func(context.Context, *sql.DB) error{
		PostgreSQL: migratePostgreSQL, MySQL: migrateMySQL, SQLite: migrateSQLite,
	}[h.dialect]
	if err := migrate(ctx, h.db); err != nil {
		return fmt.Errorf("sqlsegment: migrating: %w", err)
	}
	return nil
}

// migration is the key under which migrations wait for each other: without it,
// two CREATE TABLE IF NOT EXISTS at once fail on the system catalog.
const migration int64 = 0x7365676d67756172 // "segmguar"

// migratePostgreSQL makes all or nothing. CREATE INDEX IF NOT EXISTS would wait
// for every job that has recorded and not committed, and hold up the others
// meanwhile, though the index is there: so it looks first.
func migratePostgreSQL(ctx context.Context, db *sql.DB) error {
	return transaction(ctx, db, PostgreSQL.write(), func(s session) error {
		if _, err := s.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", migration); err != nil {
			return err
		}
		there, err := exists(ctx, s, lastTable)
		if err != nil || there {
			return err
		}
		return execute(ctx, s, schemas[PostgreSQL])
	})
}

// exists reports whether PostgreSQL knows a table by its name alone.
func exists(ctx context.Context, s session, table string) (there bool, err error) {
	rows, err := s.QueryContext(ctx, "SELECT to_regclass($1) IS NOT NULL", table)
	if err != nil {
		return false, err
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	if !rows.Next() {
		return false, errors.Join(rows.Err(), errors.New("no answer from to_regclass"))
	}
	return there, rows.Scan(&there)
}

// migrateSQLite takes each statement by itself. A transaction around them would
// begin as a reader where a table is there already, and a reader that wants to
// write cannot wait for another writer.
func migrateSQLite(ctx context.Context, db *sql.DB) error {
	return patiently(ctx, db, func(conn *sql.Conn) error { return execute(ctx, conn, schemas[SQLite]) })
}

// migrateMySQL takes each statement by itself, as MySQL would anyway.
func migrateMySQL(ctx context.Context, db *sql.DB) error { return execute(ctx, db, schemas[MySQL]) }

func execute(ctx context.Context, s session, statements []string) error {
	for _, statement := range statements {
		if _, err := s.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
