package sqlsegment

import (
	"regexp"
	"strings"
)

// Over a Distributed table each shard counts and adds up by itself only what is
// asked of the table. Of a query in parentheses the shards send every id, and
// the server that was asked does all the work. So of a query that is a column
// and where that comes from, the column is asked for, as it stands there.

// plain is such a query: its column, what that is called, and all that comes after
// FROM.
var plain = regexp.MustCompile("(?is)^\\s*SELECT\\s+([a-z_][\\w.]*|`[^`\\\\]+`)(?:\\s+AS\\s+([a-z_]\\w*))?\\s+FROM\\b(.*)$")

// shaping are the clauses that hold for the rows of a result, which would then be
// ours, and the names that are. Where the word is that of something else, nothing
// is lost but time.
var shaping = regexp.MustCompile(`(?i)\b(GROUP|HAVING|ORDER|LIMIT|OFFSET|FETCH|UNION|EXCEPT|INTERSECT|WINDOW|QUALIFY|SETTINGS|FORMAT|INTO|segmentguard_\w+)\b`)

// ids is how to ask for the ids of a query: names to put into WITH, an id, and
// what to select from.
func (u *Users) ids(c column) (with []string, id, from string) {
	found := plain.FindStringSubmatch(u.Query)
	if found == nil || shaping.MatchString(found[3]) {
		_, from := u.source(c)
		return nil, "id", from
	}
	if found[2] != "" { // the rest of the query may call it so
		with = []string{found[1] + " AS " + found[2]}
	}
	return with, found[1], found[3]
}

func (u *Users) countingClickHouse(c column, fresh string) string {
	with, id, from := u.ids(c)
	return askingClickHouse(with, []string{"toInt64(count())", "toInt64(count(" + id + "))", fresh}, from)
}

// summingClickHouse gives names to what is hashed and to its hash, which in
// ClickHouse go before a column's.
func (u *Users) summingClickHouse(f formula, c column, fresh string) string {
	with, id, from := u.ids(c)
	with = append(with, canonicalClickHouse(c.kind, id)+" AS segmentguard_id", f.hold+" AS segmentguard_hash")
	return askingClickHouse(with, append([]string{"toInt64(count())", "toInt64(count(segmentguard_id))", fresh}, f.sums...), from)
}

func askingClickHouse(with, columns []string, from string) string {
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + from + ClickHouse.settings()
	if len(with) > 0 {
		query = "WITH " + strings.Join(with, ", ") + " " + query
	}
	return query
}
