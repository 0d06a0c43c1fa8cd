package sqlsegment

import (
	"context"
	"database/sql"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// latest reads a baseline from its end. Sizes of the same time stand in the
// order in which they were recorded.
const latest = `
SELECT users, read_users, at FROM segmentguard_attempts
WHERE segment = ? AND in_baseline
ORDER BY at DESC, id DESC
LIMIT ?`

func sizes(ctx context.Context, s session, d Dialect, id segment.ID, n int) ([]validate.Size, error) {
	if n <= 0 { // SQLite takes a negative LIMIT for none
		return nil, nil
	}
	key, err := text(d, id)
	if err != nil {
		return nil, err
	}
	found, err := query(ctx, s, d.bind(latest), key, n)
	slices.Reverse(found)
	return found, err
}

func query(ctx context.Context, s session, query string, args ...any) (found []validate.Size, err error) {
	rows, err := s.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	for rows.Next() {
		size, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, size)
	}
	return found, rows.Err()
}

func scan(rows *sql.Rows) (validate.Size, error) {
	var size validate.Size
	var at instant
	err := rows.Scan(&size.Users, &size.Read, &at)
	size.At = at.Time
	return size, err
}
