package sqlsegment

import (
	"database/sql"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/validate"
)

// A Dialect is how a database is spoken to. There is no default: an unknown one
// is an error.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "postgresql"
	MySQL      Dialect = "mysql" // and MariaDB; Users only
	SQLite     Dialect = "sqlite"
	ClickHouse Dialect = "clickhouse" // Users only
)

func (d Dialect) problem(field string) error {
	switch d {
	case PostgreSQL, MySQL, SQLite, ClickHouse:
		return nil
	}
	return badInput(field, string(d), `"postgresql", "mysql", "sqlite" or "clickhouse"`)
}

// historyProblem refuses the dialects that have no History.
func (d Dialect) historyProblem(field string) error {
	switch d {
	case PostgreSQL, SQLite:
		return nil
	}
	return badInput(field, string(d), `"postgresql" or "sqlite"`)
}

// bind writes a query's ? the way the database wants them. There must be none
// in its literals.
func (d Dialect) bind(query string) string {
	if d != PostgreSQL {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// write is how our own transactions write. PostgreSQL is told, as a stricter
// default of the database would let them fail where they should wait.
func (d Dialect) write() *sql.TxOptions {
	if d == PostgreSQL {
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

// time is t as it is stored, cut to microseconds beforehand: a database that
// rounds would give back sizes later than they were.
func (d Dialect) time(t time.Time) any {
	if d == SQLite {
		return t.UnixMicro()
	}
	return t.UTC().Truncate(time.Microsecond)
}

// An instant reads what Dialect.time wrote.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(from any) error {
	switch v := from.(type) {
	case time.Time:
		i.Time = v.UTC()
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	default:
		return badInput("column at", from, "a time")
	}
	return nil
}

// storable refuses a text that the database would not take, or not give back
// unchanged.
func (d Dialect) storable(field, text string) error {
	switch {
	case d != PostgreSQL:
		return nil
	case !utf8.ValidString(text):
		return badInput(field, strconv.QuoteToASCII(text), "UTF-8, as PostgreSQL takes no other text")
	case strings.ContainsRune(text, 0):
		return badInput(field, strconv.QuoteToASCII(text), "no NUL in it, as PostgreSQL takes none in a text")
	}
	return nil
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
