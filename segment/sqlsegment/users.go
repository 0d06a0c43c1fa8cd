package sqlsegment

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A Method is how Users measures.
type Method string

// The methods.
const (
	// Native is a fingerprint by the engine's own fast hash: the cheapest way to
	// know which users there are, where both sides are in one engine, and in
	// PostgreSQL all text, all integers or all UUIDs: of two kinds, cast one to
	// text in its query, or they are unverified. SQLite has none, and streams;
	// MySQL takes the portable one.
	Native Method = ""
	// Count counts the users, exactly. It tells how many there are, not which.
	Count Method = "count"
	// Portable is a fingerprint by validate.MD5, the same in every engine and in
	// a Digest made with it in Go. In PostgreSQL it costs some twenty-five times
	// Native, in ClickHouse three times. SQLite streams.
	Portable Method = "portable"
	// Stream reads the users into a validate.Digest: which they are and, where
	// they differ from those of another digest, how. It moves every id.
	Stream Method = "stream"
)

// Users are those that a query yields: the users of a source, or those that a job
// has stored.
type Users struct {
	Dialect Dialect
	Query   string // one SELECT of one column, the ids: text, integers, UUIDs or bytes; none may be NULL
	Args    []any  // for the query's placeholders, in the database's own style
	Method  Method // Native where it is not set
}

// Summarize measures the users. If it returns an error, the summary is not
// measured.
//
// The summary says that it is complete (AsOf) up to the time before the query was
// sent, by this process's clock, where the database saw the data as of the start of
// the query: on a *sql.DB, and in PostgreSQL in a transaction that reads committed.
// It does not say so on a standby, which lags behind, or in a transaction that may
// see an older state; a caller who wrote all that counts in that transaction may add
// AsOf. Replicas that PostgreSQL does not know as such (logical ones, a proxy's) are
// not told apart: measure on the primary.
func (u Users) Summarize(ctx context.Context, q Queryer) (validate.Summary, error) {
	return u.summarize(ctx, over(q))
}

// SummarizeOver does as Summarize does, over a connection that is none of
// database/sql's.
func (u Users) SummarizeOver(ctx context.Context, c Conn) (validate.Summary, error) {
	return u.summarize(ctx, c)
}

func (u *Users) summarize(ctx context.Context, q reader) (validate.Summary, error) {
	summary, _, err := u.measured(ctx, q)
	if err != nil {
		if u.overtaken(q, err) {
			err = fmt.Errorf("%w: %w", segment.ErrOvertaken, err)
		}
		return validate.Summary{}, fmt.Errorf("sqlsegment: users: %w", err)
	}
	return summary, nil
}

// overtaken reports whether the transaction that the users were read in met another
// one, so that all of it begins anew.
func (u *Users) overtaken(q reader, err error) bool {
	_, inside := q.(Tx)
	d, without := u.Dialect.ledger("")
	return inside && without == nil && d.overtaken(err)
}

// measured also returns the users as the database fingerprinted them, nil where it did
// not.
func (u *Users) measured(ctx context.Context, q reader) (s validate.Summary, p *printed, err error) {
	m, err := u.measurement(ctx, q)
	if err != nil {
		return validate.Summary{}, nil, err
	}
	switch {
	case u.Method == Count:
		s, err = m.count(ctx)
		return s, nil, err
	case m.column.canonical == "":
		return s, nil, m.noText()
	case u.Method == Stream:
		s, err = m.streamed(ctx, validate.XXH3)
		return s, nil, err
	case u.Method == Portable:
		return m.fingerprint(ctx, m.dialect.portable())
	}
	return m.fingerprint(ctx, m.dialect.native(m.column.kind))
}

// A measurement is of users whose query was understood.
type measurement struct {
	users   Users
	conn    reader
	dialect usersDialect
	column  column
}

func (u *Users) measurement(ctx context.Context, q reader) (*measurement, error) {
	d, err := u.Dialect.users("Users.Dialect")
	if err := cmp.Or(err, u.validate(), unopened("Summarize: q", q)); err != nil {
		return nil, err
	}
	if err := d.checkSession(ctx, q); err != nil {
		return nil, err
	}
	c, err := u.findColumn(ctx, q, d)
	return &measurement{users: *u, conn: q, dialect: d, column: c}, err
}

// noText refuses a column whose type has no text that is the same in every engine.
func (m *measurement) noText() error {
	return badInput("Users.Query", "a column of type "+m.column.kind, "text, integers, UUIDs or bytes: cast it to text as the other side does")
}

// fresh returns the SQL that tells whether a query sees all that was acknowledged
// before it began.
func (m *measurement) fresh() string {
	_, alone := m.conn.(Pool) // each query its own transaction
	return m.dialect.fresh(alone)
}

// again streams the users of a side whose fingerprint differs, by the hash that
// others may have digested it with.
func (m *measurement) again(hash validate.Hash) func(context.Context) (validate.Summary, error) {
	if hash != validate.MD5 {
		hash = validate.XXH3 // of two sides by one engine's own hash, both are streamed
	}
	later := m.later()
	return func(ctx context.Context) (validate.Summary, error) {
		s, err := later.stream(ctx, hash)
		if err != nil {
			return validate.Summary{}, fmt.Errorf("sqlsegment: users: %w", err)
		}
		return s, nil
	}
}

// later returns the measurement for another time: the caller may go on with the
// arguments.
func (m *measurement) later() measurement {
	later := *m
	later.users.Args = slices.Clone(m.users.Args)
	return later
}

// unopened refuses what was never opened, or begun.
func unopened(field string, q reader) error {
	if q == nil {
		return badInput(field, "nil", "an open database, connection or transaction")
	}
	return nil
}

func (u *Users) validate() error {
	switch u.Method {
	case Native, Count, Portable, Stream:
	default:
		return badInput("Users.Method", string(u.Method), `"", "count", "portable" or "stream"`)
	}
	return selectOf("Users.Query", u.Query, "a SELECT of one column, the ids")
}

// selectOf refuses what cannot be part of another query.
func selectOf(field, query, want string) error {
	query = strings.TrimSpace(query)
	switch {
	case query == "":
		return badInput(field, "", want)
	case strings.HasSuffix(query, ";"):
		return badInput(field, `ended by ";"`, "one SELECT without it, as it becomes part of another")
	}
	return nil
}

// count counts rows and ids.
func (m *measurement) count(ctx context.Context) (validate.Summary, error) {
	var rows, ids int64
	var fresh bool
	at := time.Now().UTC()
	err := one(ctx, m.conn, m.dialect.count(&m.users, m.column, m.fresh()), m.users.Args, &rows, &ids, &fresh)
	switch {
	case err != nil:
		return validate.Summary{}, fmt.Errorf("counting: %w", err)
	case ids != rows:
		return validate.Summary{}, nullIDs(rows-ids, rows)
	}
	return asOf(validate.Count(rows), at, fresh), nil
}

func asOf(s validate.Summary, at time.Time, fresh bool) validate.Summary {
	if fresh {
		return s.AsOf(at)
	}
	return s
}

func nullIDs(nulls, rows int64) error {
	return fmt.Errorf("%d of %d ids are NULL, want none: a user without an id cannot be told from another", nulls, rows)
}
