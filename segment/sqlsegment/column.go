package sqlsegment

import (
	"context"
	"fmt"
	"strings"
)

// A column is the one of ids that a query yields.
type column struct {
	name      string
	kind      string // its type as the driver names it
	canonical string // SQL of an id as text, the same in every engine; "" where the type has none
}

// findColumn asks for no rows at all, only for the columns: PostgreSQL would count
// the first of several without a word.
func (u *Users) findColumn(ctx context.Context, q reader, d usersDialect) (c column, err error) {
	columns, err := columnsOf(ctx, q, u.Query, u.Args)
	if err != nil {
		return c, err
	}
	if n := len(columns); n != 1 {
		return c, badInput("Users.Query", fmt.Sprintf("one of %d columns (%s)", n, strings.Join(names(columns), ", ")), "one column, the ids")
	}
	c.name, c.kind = columns[0].Name, columns[0].Type
	c.canonical = d.canonical(c.kind)
	return c, nil
}

// columnsOf returns the columns of a query.
func columnsOf(ctx context.Context, q reader, query string, args []any) (columns []Column, err error) {
	rows, err := q.Query(ctx, "SELECT * FROM (\n"+query+"\n) AS t LIMIT 0", args...)
	if err != nil {
		return nil, fmt.Errorf("preparing the query: %w", err)
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	if columns, err = rows.Columns(); err != nil {
		return nil, fmt.Errorf("preparing the query: %w", err)
	}
	rows.Next() // some drivers tell of an error as late as here, and of no columns before
	return columns, rows.Err()
}

func names(columns []Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// source returns the query as a table with the column id: what to put before a
// SELECT, and what to select from. The line breaks are there because the query
// may end in a comment. The name is one that no table has: in SQLite a name in WITH
// also hides a table of the query itself.
func source(u *Users) (with, from string) {
	return "WITH segmentguard_users(id) AS (\n" + u.Query + "\n) ", "segmentguard_users"
}

// countIDs returns the query that counts rows and ids.
func countIDs(u *Users, fresh string) string {
	with, from := source(u)
	return with + "SELECT count(*), count(id), " + fresh + " FROM " + from
}

// readIDs returns the query of each id and whether it is NULL.
func readIDs(u *Users, c column) string {
	with, from := source(u)
	return with + "SELECT " + c.canonical + ", CASE WHEN id IS NULL THEN 1 ELSE 0 END FROM " + from
}
