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

// ids is how to ask for the ids of a query: an id, once as the rest of the query
// may call it, and what to select from.
func (u *Users) ids(c column) (id, named, from string) {
	found := plain.FindStringSubmatch(u.Query)
	switch {
	case found == nil || shaping.MatchString(found[3]):
		_, from := u.source(c)
		return "id", "id", from
	case found[2] != "":
		return found[1], found[1] + " AS " + found[2], found[3]
	}
	return found[1], found[1], found[3]
}

func (u *Users) countingClickHouse(c column, fresh string) string {
	_, named, from := u.ids(c)
	return "SELECT toInt64(count()), toInt64(count(" + named + ")), " + fresh + " FROM " + from + ClickHouse.settings()
}

// summingClickHouse gives names to what is hashed and to its hash, which in
// ClickHouse go before a column's.
func (u *Users) summingClickHouse(f formula, c column, fresh string) string {
	id, named, from := u.ids(c)
	return "WITH " + canonicalClickHouse(c.kind, id) + " AS segmentguard_id, " + f.hold + " AS segmentguard_hash " +
		"SELECT toInt64(count()), toInt64(count(" + named + ")), " + fresh + ", " + strings.Join(f.sums, ", ") + " FROM " + from + ClickHouse.settings()
}
