package sqlsegment

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/segmentguard/segmentguard/segment/sqlsegment/internal/difference"
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

// cells sums the halves of numbers, as a sum of whole ones wraps around: each is right
// up to 2^32 users in a cell. Of those with a sign the upper half has it.
func (clickHouse) cells(u *Users, f formula, c column, size int) (string, []lane) {
	id, _, from := plainIDs(u, c)
	places := make([]string, 3)
	for i := range places {
		places[i] = fmt.Sprintf("%d + bitAnd(bitShiftRight(segmentguard_b, %d), %d)", i*size, i*difference.PositionBits, size-1)
	}
	var sums []string
	var lanes []lane
	for i, n := range []string{"segmentguard_a", "segmentguard_b", "segmentguard_check"} {
		sums = append(sums, "toString(sum(bitShiftRight("+n+", 32)))", "toString(sum(bitAnd("+n+", 4294967295)))")
		lanes = append(lanes, lane{i, 32}, lane{i, 0})
	}
	return fmt.Sprintf(`WITH %s AS segmentguard_id, %s AS segmentguard_hash, %s AS segmentguard_a, %s AS segmentguard_b,
bitShiftRight(segmentguard_a, 32) AS segmentguard_x, bitAnd(segmentguard_a, 4294967295) - 2147483648 AS segmentguard_y,
segmentguard_x * (segmentguard_x + 1) + segmentguard_y * (segmentguard_y + 1) AS segmentguard_check
SELECT toInt64(arrayJoin([%s])) AS segmentguard_cell, toInt64(count()), %s FROM %s
GROUP BY segmentguard_cell%s`, canonicalClickHouse(c.kind, id), f.hold, f.a, f.b, strings.Join(places, ", "), strings.Join(sums, ", "), from, wholeAnswers), lanes
}

func (clickHouse) find(u *Users, f formula, c column, among string) string {
	return fmt.Sprintf(`WITH %s AS segmentguard_id, %s AS segmentguard_hash, %s AS segmentguard_a, %s AS segmentguard_b
SELECT segmentguard_id, segmentguard_a, segmentguard_b, toInt64(count()) FROM %s
WHERE segmentguard_a IN (%s) GROUP BY segmentguard_id, segmentguard_a, segmentguard_b%s`, c.canonical, f.hold, f.a, f.b, subquery(u, c), among, wholeAnswers)
}

// list has a LEFT JOIN yield NULL where there is no row, as it does everywhere else: count
// would count the empty text that stands there.
func (clickHouse) list(l *Listing, columns []string, fresh string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quoteClickHouse(c)
	}
	s := listingSQL{text: "toString(%s)", id: "concat(replaceAll(replaceAll(%s, '%%', '%%25'), '/', '%%2F'), '/', %s)", bytes: "%s"}
	return s.list(quoted, "(\n"+l.Query+"\n)", fresh) + wholeAnswers + ", join_use_nulls = 1"
}

func (clickHouse) native(string) formula {
	return formula{
		hash: "clickhouse/sipHash64,cityHash64", hold: "segmentguard_id",
		a: "toInt64(sipHash64(segmentguard_hash))", b: "toInt64(cityHash64(segmentguard_hash))",
		sums: []string{"toString(sum(sipHash64(segmentguard_hash)))", "toString(sum(cityHash64(segmentguard_hash)))"},
	}
}

func (clickHouse) portable() formula {
	return formula{
		hash: validate.MD5, hold: "MD5(segmentguard_id)",
		a: "reinterpretAsInt64(reverse(substring(segmentguard_hash, 1, 8)))", b: "reinterpretAsInt64(reverse(substring(segmentguard_hash, 9, 8)))",
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

func (clickHouse) checkSession(ctx context.Context, q reader) error {
	var name, value string
	err := each(ctx, q, partial, nil, func(scan scanner) error { return scan(&name, &value) })
	switch {
	case err != nil:
		return fmt.Errorf("asking for settings: %w", err)
	case name == "":
		return nil
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
	return "(SELECT " + quoteClickHouse(c.name) + " AS id FROM (\n" + u.Query + "\n)) AS t"
}

func quoteClickHouse(column string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(column) + "`"
}
