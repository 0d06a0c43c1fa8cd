package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/segmentguard/segmentguard/validate"
)

// clickHouse is the dialect of ClickHouse.
//
// Over a Distributed table each shard counts and adds up by itself only if the
// table is asked directly. If it stands in a subquery, the shards send every id, and
// the server that was asked does all the work. So where the user's query is plain,
// our sums take the place of its column, in front of its own FROM.
type clickHouse struct{}

func (clickHouse) canonical(kind string) string { return canonicalClickHouse(kind, "id") }

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

func (clickHouse) count(u *Users, c column, fresh string) string {
	_, named, from := plainIDs(u, c)
	return "SELECT toInt64(count()), toInt64(count(" + named + ")), " + fresh + " FROM " + from + wholeAnswers
}

// sum names what is hashed, and its hash, as no column is called: in ClickHouse
// such a name hides a column's.
func (clickHouse) sum(u *Users, f formula, c column, fresh string) string {
	id, named, from := plainIDs(u, c)
	return "WITH " + canonicalClickHouse(c.kind, id) + " AS segmentguard_id, " + f.hold + " AS segmentguard_hash " +
		"SELECT toInt64(count()), toInt64(count(" + named + ")), " + fresh + ", " + strings.Join(f.sums, ", ") + " FROM " + from + wholeAnswers
}

func (clickHouse) read(u *Users, c column) string {
	return "SELECT " + c.canonical + ", CASE WHEN id IS NULL THEN 1 ELSE 0 END FROM " + subquery(u, c) + wholeAnswers
}

func (clickHouse) native(string) formula {
	return formula{
		hash: "clickhouse/sipHash64,cityHash64", hold: "segmentguard_id",
		sums: []string{"toString(sum(sipHash64(segmentguard_hash)))", "toString(sum(cityHash64(segmentguard_hash)))"},
	}
}

func (clickHouse) portable() formula {
	return formula{
		hash: validate.MD5, hold: "MD5(segmentguard_id)",
		sums: lanes("toString(sum(reinterpretAsUInt32(reverse(substring(segmentguard_hash, %d, 4)))))", 1, 5, 9, 13),
	}
}

// fresh returns false: what was acknowledged may not have reached every replica.
func (clickHouse) fresh(bool) string { return "toUInt8(0)" }

// wholeAnswers overrules settings that would make ClickHouse answer for a part of
// the users without a word.
const wholeAnswers = "\nSETTINGS skip_unavailable_shards = 0, distributed_group_by_no_merge = 0, read_overflow_mode = 'throw', timeout_overflow_mode = 'throw'," +
	" distinct_overflow_mode = 'throw', set_overflow_mode = 'throw', group_by_overflow_mode = 'throw'," +
	" join_overflow_mode = 'throw', sort_overflow_mode = 'throw', transfer_overflow_mode = 'throw'"

// partial yields settings of the same kind that a query's own do not overrule, as
// they hold for its result, or that older versions do not know.
const partial = `SELECT name, value FROM system.settings
WHERE (name = 'result_overflow_mode' OR name LIKE '%overflow_mode_leaf') AND value != 'throw'
	OR name IN ('limit', 'offset') AND value != '0'
ORDER BY name LIMIT 1`

func (clickHouse) checkSession(ctx context.Context, q Queryer) error {
	var name, value string
	err := q.QueryRowContext(ctx, partial).Scan(&name, &value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("asking for settings: %w", err)
	}
	return badInput("the session's "+name, value, "its default, as it may end a query early without a word")
}

// plain is SELECT column [AS alias] FROM rest: it captures the three.
var plain = regexp.MustCompile("(?is)^\\s*SELECT\\s+([a-z_][\\w.]*|`[^`\\\\]+`)(?:\\s+AS\\s+([a-z_]\\w*))?\\s+FROM\\b(.*)$")

// shaping are the clauses that shape the rows of the result, and would then shape our
// one row of sums; and names that we use ourselves. Where such a word is something
// else, such as a column called format, only speed is lost.
var shaping = regexp.MustCompile(`(?i)\b(GROUP|HAVING|ORDER|LIMIT|OFFSET|FETCH|UNION|EXCEPT|INTERSECT|WINDOW|QUALIFY|SETTINGS|FORMAT|INTO|segmentguard_\w+)\b`)

// plainIDs returns how to ask for the ids of a query: the id; the same with the
// query's own alias, by which its rest may call it; and what comes after FROM.
func plainIDs(u *Users, c column) (id, named, from string) {
	found := plain.FindStringSubmatch(u.Query)
	switch {
	case found == nil || shaping.MatchString(found[3]):
		return "id", "id", subquery(u, c)
	case found[2] != "":
		return found[1], found[1] + " AS " + found[2], found[3]
	}
	return found[1], found[1], found[3]
}

// subquery returns the query as a table with the column id. A table in WITH has no
// list of columns in ClickHouse.
func subquery(u *Users, c column) string {
	name := "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(c.name) + "`"
	return "(SELECT " + name + " AS id FROM (\n" + u.Query + "\n)) AS t"
}
