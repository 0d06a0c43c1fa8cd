package sqlsegment

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Dialect names a kind of database. There is no default: an unknown one is an
// error.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "postgresql"
	MySQL      Dialect = "mysql" // and MariaDB
	SQLite     Dialect = "sqlite"
	ClickHouse Dialect = "clickhouse" // Users only
)

// dialects is where a Dialect gets its SQL: each has a file of its own, and nothing
// else tells them apart. One without a ledger has Users only.
var dialects = []struct {
	name   Dialect
	users  usersDialect
	ledger ledgerDialect
}{
	{PostgreSQL, postgreSQL{}, postgreSQL{}},
	{MySQL, mySQL{}, mySQL{}},
	{SQLite, sqLite{}, sqLite{}},
	{ClickHouse, clickHouse{}, nil},
}

// A usersDialect is what Users needs to know of a database.
type usersDialect interface { //nolint:interfacebloat // as a language
	// canonical returns the SQL that makes the canonical text of the column id of
	// a type, as the driver names it; "" for a type that holds no ids.
	canonical(kind string) string
	// count returns the query that yields how many rows there are, how many ids,
	// and the condition fresh.
	count(u *Users, c column, fresh string) string
	// sum returns the query that yields the same and each sum of a formula.
	sum(u *Users, f formula, c column, fresh string) string
	// read returns the query that yields each id and what is wrong with it.
	read(u *Users, c column) string
	// cells returns the query of a difference table with so many cells in each part:
	// of each cell that is not empty its number, count and sums of A, B and Check,
	// each sum in as many lanes as sums says. It is empty where users are not compared
	// in the database.
	cells(u *Users, f formula, c column, size int) (query string, lanes []lane)
	// find returns the query of the users whose A is one of some: id, A, B and how
	// often it is there.
	find(u *Users, f formula, c column, among string) string
	// native returns the fastest formula for ids of a type, portable the one that
	// gives the same in every engine. One without sums has the ids streamed.
	native(kind string) formula
	portable() formula
	// list returns the query of a listing whose columns are called so: each name of a
	// segment's id as bytes, users, whether any of them is NULL, and the condition fresh;
	// in byte order of the ids' texts.
	list(l *Listing, columns []string, fresh string) string
	// fresh returns the SQL of whether a query sees all that was acknowledged
	// before it began. alone says that each query is a transaction of its own.
	fresh(alone bool) string
	// checkSession returns an error if the session's settings may end a query
	// early without a word.
	checkSession(ctx context.Context, q reader) error
}

// A ledgerDialect is what a Ledger needs to know of a database.
type ledgerDialect interface {
	transactor
	language
}

// A transactor runs transactions and makes tables.
type transactor interface { //nolint:interfacebloat // as a language
	// connect calls do with what waits for the locks of others.
	connect(ctx context.Context, pool Pool, do func(Beginner) error) error
	// exclusive calls do while no other process migrates this database. Where
	// definitions are part of transactions all of it is kept, or nothing.
	exclusive(ctx context.Context, pool Pool, do func(Conn) error) error
	// write calls do in a transaction of our own.
	write(ctx context.Context, b Beginner, do func(Conn) error) error
	// conflict reports whether only a lock, or the order of transactions, was against
	// a transaction that failed.
	conflict(err error) bool
	// oneWriter reports whether transactions that write wait for each other, whatever
	// they write.
	oneWriter() bool
	// busy reports whether a statement waited for a lock for as long as it may.
	busy(err error) bool
	// unfit reports whether a right or a table is missing.
	unfit(err error) bool
	// holder says, as far as it is known, who holds a segment's commit row and since
	// when; "": nobody, or it is not known.
	holder(ctx context.Context, s Conn, key []any) string
	// overtaken reports whether a job's transaction failed as it met another one.
	overtaken(err error) bool
	// migrations returns what makes the schema, in order of versions.
	migrations() []migration
	// columns yields the table and the name of each column of our tables.
	columns(ctx context.Context, s Conn, each func(scanner) error) error
}

// A language is how the statements of a ledger are written.
type language interface { //nolint:interfacebloat // one method for each thing that dialects say differently
	// bind writes a query's ? the way the database wants them. There must be none
	// in its literals.
	bind(query string) string
	// lock makes everybody else who changes the rows of these segments of a store wait,
	// makes those that are not there, of the value fresh, and yields the columns of
	// each. It writes with its first statement: on SQLite a transaction that
	// begins with a write never fails for having read too early.
	lock(ctx context.Context, s Conn, store string, texts []any, fresh []byte, each func(scanner) error) error
	// lockCommit locks the commit row of a segment, and makes it if it is not there
	// with what stands behind INSERT. It leaves one that is there as it is.
	lockCommit(ctx context.Context, s Conn, key []any, insert string, fresh []any) error
	// beforeLock prepares a job's transaction for holding the commit row.
	beforeLock(ctx context.Context, s Conn) error
	// now returns the SQL of the database's clock, as time makes times.
	now() string
	// after returns the condition of the rows after a key, and its arguments.
	after(store, segment string) (condition string, args []any)
	// latest has a query see what others committed since the transaction began.
	latest(query string) string
	// forUpdate has a query lock the rows that it yields, so that whoever would change them
	// waits until the transaction ends.
	forUpdate(query string) string
	// unlimited ends a query that has no LIMIT.
	unlimited() string
	// overwrite ends an INSERT whose rows take the place of those that are there.
	overwrite(key string, columns []string) string
	// prune returns the statement that deletes so many entries before a time.
	prune() string
	// time returns t as it is stored, cut to microseconds: a database that rounds
	// would give back sizes later than they were.
	time(t time.Time) any
	// storable returns an error for a text that the database would not take, or
	// not give back unchanged; storableKey, for one that rows are found by.
	storable(field, text string) error
	storableKey(field, text string) error
}

// users returns what d needs for Users.
func (d Dialect) users(field string) (usersDialect, error) {
	var names []string
	for _, known := range dialects {
		if known.name == d {
			return known.users, nil
		}
		names = append(names, string(known.name))
	}
	return nil, badInput(field, string(d), alternatives(names))
}

// ledger returns what d needs for a Ledger.
func (d Dialect) ledger(field string) (ledgerDialect, error) {
	var names []string
	for _, known := range dialects {
		switch {
		case known.ledger == nil:
			continue
		case known.name == d:
			return known.ledger, nil
		}
		names = append(names, string(known.name))
	}
	return nil, badInput(field, string(d), alternatives(names))
}

// alternatives joins names in quotes: "a", "b" or "c".
func alternatives(names []string) string {
	last := len(names) - 1
	return `"` + strings.Join(names[:last], `", "`) + `" or "` + names[last] + `"`
}

// microseconds returns t as it is stored where the database has no type for it.
func microseconds(t time.Time) any { return t.UnixMicro() }

// An instant reads what ledgerDialect.time made.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(from any) error {
	switch v := from.(type) {
	case time.Time:
		i.Time = v.UTC()
	case int64:
		i.Time = time.UnixMicro(v).UTC()
	default:
		return badInput("a column of times", fmt.Sprintf("of type %T", from), "a time")
	}
	return nil
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
