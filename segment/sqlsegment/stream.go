package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// streamed digests the users, and says how to ask for some of them.
func (m *measurement) streamed(ctx context.Context, hash validate.Hash) (validate.Summary, error) {
	s, err := m.stream(ctx, hash)
	return s.WithRemeasure(m.again(hash)), err
}

// stream digests the users as they are read: all, or where a check asks for some
// alone (validate.InQuestion) those.
func (m *measurement) stream(ctx context.Context, hash validate.Hash) (validate.Summary, error) {
	var fresh bool
	at := time.Now().UTC()
	if err := one(ctx, m.conn, "SELECT "+m.fresh(), nil, &fresh); err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	rows, err := m.conn.Query(ctx, m.dialect.read(&m.users, m.column), m.users.Args...)
	if err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	d := validate.NewDigest(hash)
	nulls, err := digest(d, rows, validate.InQuestion(ctx))
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

// digest adds the ids to d that are in question, all where that is nil, and returns
// how many rows have none.
func digest(d *validate.Digest, rows Rows, question *validate.Difference) (nulls int64, err error) {
	defer func() { err = also(err, "closing", rows.Close()) }()
	var id sql.RawBytes
	var wrong int
	into := []any{&id, &wrong} // or each row would make one
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nulls, err
		}
		switch {
		case wrong == isReal:
			return nulls, errReal
		case wrong == isNull:
			nulls++
		case question == nil || isIn(question, string(id)):
			d.Add(id)
		}
	}
	return nulls, rows.Err()
}

func isIn(question *validate.Difference, id string) bool {
	times, _ := question.Of(id)
	return times != 0
}
