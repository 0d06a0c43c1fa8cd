package sqlsegment

import (
	"regexp"
	"strings"
)

// Over a Distributed table each shard counts and adds up by itself only if the table
// is asked directly. If it stands in a subquery, the shards send every id, and the
// server that was asked does all the work. So where the user's query is plain, our
// sums take the place of its column, in front of its own FROM.

// plain is SELECT column [AS alias] FROM rest: it captures the three.
var plain = regexp.MustCompile("(?is)^\\s*SELECT\\s+([a-z_][\\w.]*|`[^`\\\\]+`)(?:\\s+AS\\s+([a-z_]\\w*))?\\s+FROM\\b(.*)$")

// shaping are the clauses that shape the rows of the result, and would then shape our
// one row of sums; and names that we use ourselves. Where such a word is something
// else, such as a column called format, only speed is lost.
var shaping = regexp.MustCompile(`(?i)\b(GROUP|HAVING|ORDER|LIMIT|OFFSET|FETCH|UNION|EXCEPT|INTERSECT|WINDOW|QUALIFY|SETTINGS|FORMAT|INTO|segmentguard_\w+)\b`)

// ids is how to ask for the ids of a query: the id; the same with the query's own
// alias, by which its rest may call it; and what comes after FROM.
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

// summingClickHouse names what is hashed, and its hash, as no column is called: in
// ClickHouse such a name hides a column's.
func (u *Users) summingClickHouse(f formula, c column, fresh string) string {
	id, named, from := u.ids(c)
	return "WITH " + canonicalClickHouse(c.kind, id) + " AS segmentguard_id, " + f.hold + " AS segmentguard_hash " +
		"SELECT toInt64(count()), toInt64(count(" + named + ")), " + fresh + ", " + strings.Join(f.sums, ", ") + " FROM " + from + ClickHouse.settings()
}
