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

// column asks for no rows at all, only for the columns: PostgreSQL would count
// the first of several without a word.
func (u *Users) column(ctx context.Context, q Queryer) (c column, err error) {
	rows, err := q.QueryContext(ctx, "SELECT * FROM (\n"+u.Query+"\n) AS t LIMIT 0", u.Args...)
	if err != nil {
		return c, fmt.Errorf("preparing the query: %w", err)
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return c, fmt.Errorf("preparing the query: %w", err)
	}
	if len(columns) != 1 {
		return c, badInput("Users.Query", fmt.Sprintf("one of %d columns (%s)", len(columns), strings.Join(columns, ", ")), "one column, the ids")
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return c, fmt.Errorf("preparing the query: %w", err)
	}
	c.name, c.kind = columns[0], types[0].DatabaseTypeName()
	c.canonical = u.Dialect.canonical(c.kind)
	rows.Next() // some drivers tell of an error as late as here
	return c, rows.Err()
}

// canonical is an id as text: integers in decimal, UUIDs in lower case with
// hyphens, bytes in lower-case hexadecimal, text as UTF-8, unchanged.
func (d Dialect) canonical(kind string) string {
	switch d {
	case PostgreSQL:
		return canonicalPostgreSQL(kind)
	case MySQL:
		return canonicalMySQL(kind)
	case ClickHouse:
		return canonicalClickHouse(kind, "id")
	}
	return "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE id END" // a value of SQLite has a type, a column does not
}

func canonicalPostgreSQL(kind string) string {
	switch kind {
	case "BYTEA":
		return "encode(id, 'hex')"
	case "TEXT", "VARCHAR", "BPCHAR", "NAME", "UUID", "INT2", "INT4", "INT8":
		return "id::text"
	}
	return ""
}

func canonicalMySQL(kind string) string {
	switch kind = strings.TrimPrefix(kind, "UNSIGNED "); kind {
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB":
		return "LOWER(HEX(id))"
	case "CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT": // functions make long ones of any text
		return "CAST(CONVERT(id USING utf8mb4) AS BINARY)" // as bytes, which no connection's character set turns into ????
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT":
		return "CONVERT(id + 0 USING utf8mb4)" // 0007 of a ZEROFILL column is 7
	}
	return ""
}

func canonicalClickHouse(kind, id string) string {
	for _, wrapper := range []string{"LowCardinality(", "Nullable("} {
		if inner, wrapped := strings.CutPrefix(kind, wrapper); wrapped {
			kind = strings.TrimSuffix(inner, ")")
		}
	}
	name, _, _ := strings.Cut(kind, "(")
	switch {
	case name == "String":
		return id
	case name == "FixedString", name == "UUID", strings.HasPrefix(strings.TrimPrefix(name, "U"), "Int"):
		return "toString(" + id + ")"
	}
	return ""
}

// source is the query as a table with the column id: what to put before a
// SELECT, and what to select from. The line breaks are there because the query
// may end in a comment. The name is one that no table has: in SQLite a name in WITH
// also hides a table of the query itself.
func (u *Users) source(c column) (with, from string) {
	if u.Dialect == ClickHouse { // its tables in WITH have no list of columns
		return "", "(SELECT " + quotedClickHouse(c.name) + " AS id FROM (\n" + u.Query + "\n)) AS t"
	}
	return "WITH segmentguard_users(id) AS (\n" + u.Query + "\n) ", "segmentguard_users"
}

func quotedClickHouse(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}
