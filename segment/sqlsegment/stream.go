package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// stream digests the users as they are read.
func (m *measurement) stream(ctx context.Context, hash validate.Hash) (validate.Summary, error) {
	var fresh bool
	at := time.Now().UTC()
	if err := m.queryer.QueryRowContext(ctx, "SELECT "+m.fresh()).Scan(&fresh); err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	rows, err := m.queryer.QueryContext(ctx, m.dialect.read(&m.users, m.column), m.users.Args...)
	if err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	d := validate.NewDigest(hash)
	nulls, err := digest(d, rows)
	switch {
	case err != nil:
		return validate.Summary{}, fmt.Errorf("streaming, after %d users: %w", d.Users(), err)
	case nulls > 0:
		return validate.Summary{}, nullIDs(nulls, d.Users()+nulls)
	}
	return asOf(d.Summary(), at, fresh), nil
}

// What is wrong with an id, as the database says it: a driver may give an empty
// text as nil, too.
const (
	isNull = 1
	isReal = 2
)

var errReal = errors.New("an id is a floating-point number, want text, an integer or bytes")

// digest adds the ids to d, and returns how many rows have none.
func digest(d *validate.Digest, rows *sql.Rows) (nulls int64, err error) {
	defer func() { err = also(err, "closing", rows.Close()) }()
	var id sql.RawBytes
	var wrong int
	for rows.Next() {
		if err := rows.Scan(&id, &wrong); err != nil {
			return nulls, err
		}
		switch wrong {
		case isReal:
			return nulls, errReal
		case isNull:
			nulls++
		default:
			d.Add(id)
		}
	}
	return nulls, rows.Err()
}
