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
func (u *Users) stream(ctx context.Context, q Queryer, c column, hash validate.Hash) (validate.Summary, error) {
	var fresh bool
	at := time.Now().UTC()
	if err := q.QueryRowContext(ctx, "SELECT "+u.Dialect.fresh(q)).Scan(&fresh); err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	rows, err := q.QueryContext(ctx, u.reading(c), u.Args...)
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

// reading yields each id and what is wrong with it.
func (u *Users) reading(c column) string {
	with, from := u.source(c)
	wrong := "CASE WHEN id IS NULL THEN 1 ELSE 0 END"
	if u.Dialect == SQLite {
		wrong = "CASE typeof(id) WHEN 'null' THEN 1 WHEN 'real' THEN 2 ELSE 0 END"
	}
	return with + "SELECT " + c.canonical + ", " + wrong + " FROM " + from + u.Dialect.unlimited() + u.Dialect.settings()
}

var errReal = errors.New("an id is a floating-point number, want text, an integer or bytes")

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
