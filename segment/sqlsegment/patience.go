package sqlsegment

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// patience is how long a History waits for the locks of others on SQLite, which
// does not queue them by itself.
const patience = 30 * time.Second

// patiently does something on a connection that waits at least as long, and
// gives it back as it was: the pool is the user's.
func patiently(ctx context.Context, db *sql.DB, do func(*sql.Conn) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = also(err, "giving back the connection", conn.Close()) }()
	var timeout int64
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout); err != nil {
		return fmt.Errorf("reading busy_timeout: %w", err)
	}
	if timeout >= patience.Milliseconds() {
		return do(conn)
	}
	defer func() { err = also(err, "restoring busy_timeout", wait(context.WithoutCancel(ctx), conn, timeout)) }()
	if err := wait(ctx, conn, patience.Milliseconds()); err != nil {
		return fmt.Errorf("setting busy_timeout: %w", err)
	}
	return do(conn)
}

// wait sets the timeout. A PRAGMA takes no arguments, so it is spliced.
func wait(ctx context.Context, conn *sql.Conn, milliseconds int64) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", milliseconds))
	return err
}

// also adds what went wrong on the way out to what went wrong before.
func also(err error, doing string, next error) error {
	switch {
	case next == nil:
		return err
	case err == nil:
		return fmt.Errorf("%s: %w", doing, next)
	}
	return fmt.Errorf("%w; %s: %w", err, doing, next)
}
