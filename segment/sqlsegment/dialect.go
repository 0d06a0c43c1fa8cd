package sqlsegment

import (
	"database/sql"
	"fmt"
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
	MySQL      Dialect = "mysql" // and MariaDB
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
	case PostgreSQL, MySQL, SQLite:
		return nil
	}
	return badInput(field, string(d), `"postgresql", "mysql" or "sqlite"`)
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

// write is how our own transactions write. The servers are told, as a stricter
// default of the database would let them fail where they should wait.
func (d Dialect) write() *sql.TxOptions {
	if d == SQLite {
		return nil
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// locked has a query see what others committed since the transaction began. On
// MySQL only reading with a lock does, in a job's transaction that read before.
func (d Dialect) locked(query string) string {
	if d == MySQL {
		return query + " FOR UPDATE"
	}
	return query
}

// blob is a value for a column of bytes, or of text.
func (d Dialect) blob(column string, value []byte) any {
	if column == "packed" || d == MySQL {
		return value
	}
	return string(value)
}

// time is t as it is stored, cut to microseconds beforehand: a database that
// rounds would give back sizes later than they were.
func (d Dialect) time(t time.Time) any {
	if d != PostgreSQL {
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

// longestKey is as long as two keys and a number can be in an index of InnoDB.
const longestKey = 1024

// storableKey is for what rows are found by.
func (d Dialect) storableKey(field, text string) error {
	if d == MySQL && len(text) > longestKey {
		return badInput(field, fmt.Sprintf("of %d bytes", len(text)), fmt.Sprintf("%d bytes at most, as MySQL indexes no more", longestKey))
	}
	return d.storable(field, text)
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
