package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// All yields the users as texts, which are the same in every engine: those that
// Summarize digests by Stream, in the order in which the database yields them. It ends
// with its first error. The bytes of a user are overwritten by the next one.
func (u Users) All(ctx context.Context, q Queryer) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		left := false
		err := u.each(ctx, over(q), func(id []byte) bool {
			left = !yield(id, nil)
			return !left
		})
		if err != nil && !left {
			yield(nil, fmt.Errorf("sqlsegment: users: %w", err))
		}
	}
}

// each calls yield with each user, until it returns false.
func (u *Users) each(ctx context.Context, q reader, yield func([]byte) bool) (err error) {
	m, err := u.measurement(ctx, q)
	if err != nil {
		return err
	}
	if m.column.canonical == "" {
		return m.noText()
	}
	rows, err := q.Query(ctx, m.dialect.read(u, m.column), u.Args...)
	if err != nil {
		return fmt.Errorf("streaming: %w", err)
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	for id, err := range ids(rows) {
		if err != nil {
			return fmt.Errorf("streaming: %w", err)
		}
		if !yield(id) {
			return nil
		}
	}
	return nil
}

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

var (
	errReal = errors.New("an id is a floating-point number, want text, an integer or bytes")
	errNull = errors.New("an id is NULL: leave such rows out in the query")
)

// digest adds the ids to d that are in question, all where that is nil, and returns
// how many rows have none.
func digest(d *validate.Digest, rows Rows, question *validate.Difference) (nulls int64, err error) {
	defer func() { err = also(err, "closing", rows.Close()) }()
	for id, err := range ids(rows) {
		switch {
		case errors.Is(err, errNull):
			nulls++
		case err != nil:
			return nulls, err
		case question == nil || isIn(question, string(id)):
			d.Add(id)
		}
	}
	return nulls, nil
}

// ids yields what readIDs selects; errNull for a row without an id, after which there
// may be more.
func ids(rows Rows) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var id sql.RawBytes
		var wrong int
		into := []any{&id, &wrong} // or each row would make one
		for rows.Next() {
			err := rows.Scan(into...)
			switch {
			case err != nil:
			case wrong == isReal:
				err = errReal
			case wrong == isNull:
				err = errNull
			}
			if !yield(id, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func isIn(question *validate.Difference, id string) bool {
	times, _ := question.Of(id)
	return times != 0
}
