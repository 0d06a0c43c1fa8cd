package sqlsegment

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// A scanner reads the columns of a row.
type scanner func(dest ...any) error

// A reader is where queries run: a session, or a Queryer.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls do for every row of a query. An error in the middle is one: rows
// that did not come are never taken for rows that are not there.
func each(ctx context.Context, s reader, query string, args []any, do func(scanner) error) (err error) {
	rows, err := s.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the one row of a query. More are an error: the first might be the
// answer for a part.
func one(ctx context.Context, s reader, query string, args []any, dest ...any) error {
	rows := 0
	err := each(ctx, s, query, args, func(scan scanner) error {
		rows++
		return scan(dest...)
	})
	if err == nil && rows != 1 {
		err = fmt.Errorf("%d rows where one was asked for: %w", rows, sql.ErrNoRows)
	}
	return err
}

// A row is a segment's row in a table with one more column.
type row struct {
	segment segment.ID
	value   []byte
}

// lockRows locks the rows of some segments, makes those that are not there, and
// yields what they hold.
func lockRows(ctx context.Context, s session, d Dialect, table, column string, fresh []byte, ids []segment.ID, do func(segment.ID, []byte) error) error {
	for ids := range slices.Chunk(inOrder(ids), chunk) {
		keys, err := texts(d, ids)
		if err != nil {
			return err
		}
		args := make([]any, 0, 2*len(ids))
		for _, key := range keys {
			args = append(args, key, d.blob(column, fresh))
		}
		insert := "INSERT INTO " + table + " (segment, " + column + ") VALUES " + list("(?, ?)", len(ids))
		var locked string
		if d == MySQL { // which gives back nothing from an INSERT
			if _, err := s.ExecContext(ctx, insert+" ON DUPLICATE KEY UPDATE segment = VALUES(segment)", args...); err != nil {
				return err
			}
			args = keys
			locked = "SELECT segment, " + column + " FROM " + table + " WHERE segment IN (" + list("?", len(ids)) + ")" + noLimit + " FOR UPDATE"
		} else {
			locked = insert + " ON CONFLICT (segment) DO UPDATE SET segment = excluded.segment RETURNING segment, " + column
		}
		seen := 0
		err = each(ctx, s, d.bind(locked), args, func(scan scanner) error {
			seen++
			id, value, err := scanRow(scan)
			if err != nil {
				return err
			}
			return do(id, value)
		})
		if err == nil && seen != len(ids) {
			err = fmt.Errorf("locked %d rows of %s, want %d", seen, table, len(ids))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func scanRow(scan scanner) (id segment.ID, value []byte, err error) {
	var key []byte
	if err := scan(&key, &value); err != nil {
		return id, nil, err
	}
	id, err = segment.ParseID(string(key))
	return id, value, err
}

// saveRows writes rows that are there already, as they were locked.
func saveRows(ctx context.Context, s session, d Dialect, table, column string, rows []row) error {
	slices.SortFunc(rows, func(a, b row) int { return a.segment.Compare(b.segment) })
	onConflict := " ON CONFLICT (segment) DO UPDATE SET " + column + " = excluded." + column
	if d == MySQL {
		onConflict = " ON DUPLICATE KEY UPDATE " + column + " = VALUES(" + column + ")"
	}
	for rows := range slices.Chunk(rows, chunk) {
		args := make([]any, 0, 2*len(rows))
		for _, r := range rows {
			args = append(args, r.segment.String(), d.blob(column, r.value))
		}
		insert := "INSERT INTO " + table + " (segment, " + column + ") VALUES " + list("(?, ?)", len(rows)) + onConflict
		if _, err := s.ExecContext(ctx, d.bind(insert), args...); err != nil {
			return err
		}
	}
	return nil
}

// dropRows deletes the rows of some segments.
func dropRows(ctx context.Context, s session, d Dialect, table string, ids []segment.ID) error {
	for ids := range slices.Chunk(inOrder(ids), chunk) {
		keys, err := texts(d, ids)
		if err != nil {
			return err
		}
		if _, err := s.ExecContext(ctx, d.bind("DELETE FROM "+table+" WHERE segment IN ("+list("?", len(ids))+")"), keys...); err != nil {
			return err
		}
	}
	return nil
}

func texts(d Dialect, ids []segment.ID) ([]any, error) {
	keys := make([]any, len(ids))
	for i, id := range ids {
		key, err := text(d, id)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// list is n times an item, with commas.
func list(item string, n int) string {
	return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ")
}
