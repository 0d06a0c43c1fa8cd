package enginetest_test

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// An id has one canonical form, whatever the type of its column.
func TestUsersOfEachType(t *testing.T) {
	const uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	type column struct {
		dialect      sqlsegment.Dialect
		kind, values string
	}
	cases := []struct {
		reason  string
		columns []column
		want    []string
	}{
		{"integers are decimal", []column{
			{sqlsegment.PostgreSQL, "bigint", "7, -12"},
			{sqlsegment.PostgreSQL, "text", "'7', '-12'"},
			{sqlsegment.MySQL, "bigint", "7, -12"},
			{sqlsegment.SQLite, "integer", "7, -12"},
			{sqlsegment.ClickHouse, "Int64", "7, -12"},
			{sqlsegment.ClickHouse, "Nullable(Int64)", "7, -12"},
		}, []string{"7", "-12"}},
		{"small ones as well", []column{
			{sqlsegment.PostgreSQL, "smallint", "7, 12"},
			{sqlsegment.PostgreSQL, "integer", "7, 12"},
			{sqlsegment.MySQL, "tinyint unsigned", "7, 12"},
			{sqlsegment.MySQL, "mediumint", "7, 12"},
			{sqlsegment.ClickHouse, "UInt8", "7, 12"},
		}, []string{"7", "12"}},
		{"to the last", []column{
			{sqlsegment.PostgreSQL, "bigint", "9223372036854775807"},
			{sqlsegment.MySQL, "bigint", "9223372036854775807"},
			{sqlsegment.SQLite, "integer", "9223372036854775807"},
			{sqlsegment.ClickHouse, "Int64", "9223372036854775807"},
		}, []string{"9223372036854775807"}},
		{"unsigned ones as well", []column{
			{sqlsegment.MySQL, "bigint unsigned", "18446744073709551615"},
			{sqlsegment.ClickHouse, "UInt64", "18446744073709551615"},
		}, []string{"18446744073709551615"}},
		{"zeros that fill a column are none of the id's", []column{
			{sqlsegment.MySQL, "integer(5) ZEROFILL", "7"},
			{sqlsegment.SQLite, "numeric", "'007'"},
		}, []string{"7"}},
		{"those of a text are", []column{
			{sqlsegment.PostgreSQL, "text", "'007'"},
			{sqlsegment.MySQL, "varchar(9)", "'007'"},
			{sqlsegment.SQLite, "text", "'007'"},
			{sqlsegment.ClickHouse, "String", "'007'"},
		}, []string{"007"}},
		{"UUIDs are in lower case", []column{
			{sqlsegment.PostgreSQL, "uuid", "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'"},
			{sqlsegment.MySQL, "uuid", "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'"},
			{sqlsegment.ClickHouse, "UUID", "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'"},
		}, []string{uuid}},
		{"of a text the case is the id's", []column{
			{sqlsegment.PostgreSQL, "varchar(36)", "'6BA7', '6ba7'"},
			{sqlsegment.MySQL, "varchar(36)", "'6BA7', '6ba7'"},
			{sqlsegment.SQLite, "text COLLATE NOCASE", "'6BA7', '6ba7'"},
			{sqlsegment.ClickHouse, "Nullable(String)", "'6BA7', '6ba7'"},
		}, []string{"6BA7", "6ba7"}},
		{"bytes are hexadecimal", []column{
			{sqlsegment.PostgreSQL, "bytea", `'\x00ff10'`},
			{sqlsegment.MySQL, "varbinary(9)", "x'00ff10'"},
			{sqlsegment.MySQL, "binary(3)", "x'00ff10'"},
			{sqlsegment.MySQL, "blob", "x'00ff10'"},
			{sqlsegment.MySQL, "longblob", "x'00ff10'"},
			{sqlsegment.SQLite, "blob", "x'00ff10'"},
		}, []string{"00ff10"}},
		{"text is UTF-8, whatever it is stored as", []column{
			{sqlsegment.PostgreSQL, "text", "'Köln'"},
			{sqlsegment.MySQL, "varchar(9) CHARACTER SET latin1", "'Köln'"},
			{sqlsegment.MySQL, "varchar(9) CHARACTER SET utf16", "'Köln'"},
			{sqlsegment.MySQL, "text CHARACTER SET utf8mb4", "'Köln'"},
			{sqlsegment.SQLite, "text", "'Köln'"},
			{sqlsegment.ClickHouse, "String", "'Köln'"},
		}, []string{"Köln"}},
		{"spaces at the end are the id's", []column{
			{sqlsegment.PostgreSQL, "varchar(9)", "'a', 'a '"},
			{sqlsegment.MySQL, "varchar(9)", "'a', 'a '"},
			{sqlsegment.SQLite, "char(9)", "'a', 'a '"},
			{sqlsegment.ClickHouse, "String", "'a', 'a '"},
		}, []string{"a", "a "}},
		{"unless the column fills up with them: the database cannot tell these two", []column{
			{sqlsegment.PostgreSQL, "char(9)", "'a', 'a '"},
			{sqlsegment.MySQL, "char(9)", "'a', 'a '"},
			{sqlsegment.ClickHouse, "FixedString(9)", `'a', 'a\0'`},
		}, []string{"a", "a"}},
	}
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		for i, c := range cases {
			for j, column := range c.columns {
				if column.dialect != d.Dialect {
					continue
				}
				table := fmt.Sprintf("t%d_%d", i, j)
				if d.Dialect == sqlsegment.ClickHouse {
					execute(t, db, "CREATE TABLE "+table+" (id "+column.kind+") ENGINE = Memory")
					execute(t, db, "INSERT INTO "+table+" SELECT arrayJoin(["+column.values+"])")
				} else {
					execute(t, db, "CREATE TABLE "+table+" (id "+column.kind+")")
					execute(t, db, "INSERT INTO "+table+" VALUES ("+strings.ReplaceAll(column.values, ", ", "), (")+")")
				}
				for m, hash := range map[sqlsegment.Method]validate.Hash{sqlsegment.Portable: validate.MD5, sqlsegment.Stream: validate.XXH3} {
					require.Equal(t, digestOf(hash, c.want).Fingerprint(), summarize(t, d, db, m, "SELECT id FROM "+table).Fingerprint(), "%s, %s: %s", c.reason, column.kind, m)
				}
				require.Equal(t, int64(len(c.want)), summarize(t, d, db, sqlsegment.Native, "SELECT id FROM "+table).Users())
			}
		}
	})
}

// Functions make long texts and long bytes of short ones.
func TestUsersMadeByFunctions(t *testing.T) {
	d := mariaDB(t)
	db := d.Open(t)
	execute(t, db, "CREATE TABLE ids (word text, bytes blob)")
	execute(t, db, "INSERT INTO ids VALUES ('Köln', x'00ff')")
	for expression, want := range map[string]string{
		"LOWER(CONCAT(word, word))":             "kölnköln",
		"CONCAT(CAST(word AS CHAR(20000)), '')": "Köln",
		"LOWER(HEX(bytes))":                     "00ff",
		"CONCAT(bytes, bytes, bytes)":           "00ff00ff00ff",
		"GROUP_CONCAT(word)":                    "Köln",
	} {
		for m, hash := range map[sqlsegment.Method]validate.Hash{sqlsegment.Native: validate.MD5, sqlsegment.Portable: validate.MD5, sqlsegment.Stream: validate.XXH3} {
			require.Equal(t, digestOf(hash, []string{want}).Fingerprint(), summarize(t, d, db, m, "SELECT "+expression+" FROM ids").Fingerprint(), "%s: %s", expression, m)
		}
	}
}

// PostgreSQL hashes UUIDs and integers as they are. Whatever is hashed in another
// way is told by its name, and never compared.
func TestUsersOfTwoTypes(t *testing.T) {
	d := postgreSQL(t)
	db := d.Open(t)
	execute(t, db, "CREATE TABLE u AS SELECT ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid AS id FROM generate_series(1, 1000) AS n(i)")
	execute(t, db, "CREATE TABLE n AS SELECT i::bigint AS id FROM generate_series(1, 1000) AS n(i)")
	for _, c := range []struct {
		reason, source, stored string
		want                   error
	}{
		{"the same UUIDs", "SELECT id FROM u", "SELECT id FROM u ORDER BY id DESC", nil},
		{"one of them is another", "SELECT id FROM u", "SELECT CASE WHEN id::text LIKE '%777' THEN '00000000-0000-0000-0000-000000001777'::uuid ELSE id END FROM u", validate.Different},
		{"the same integers", "SELECT id FROM n", "SELECT id::integer FROM n", nil},
		{"one of them is another", "SELECT id FROM n", "SELECT CASE id WHEN 777 THEN -777 ELSE id END FROM n", validate.Different},
		{"UUIDs and their text", "SELECT id FROM u", "SELECT id::text FROM u", validate.Unverified},
		{"both as text", "SELECT id::text FROM u", "SELECT id::varchar(36) FROM u", nil},
		{"integers and their text", "SELECT id FROM n", "SELECT id::text FROM n", validate.Unverified},
	} {
		source, stored := summarize(t, d, db, sqlsegment.Native, c.source), summarize(t, d, db, sqlsegment.Native, c.stored)
		_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: source, Stored: stored})
		require.ErrorIs(t, err, c.want, c.reason)
	}
}

// A user without an id is an error that tells how many there are.
func TestUsersWithoutIDs(t *testing.T) {
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		for m := range methods {
			_, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: map[sqlsegment.Dialect]string{
				sqlsegment.PostgreSQL: "SELECT CASE WHEN i > 3 THEN 'user ' || i END FROM generate_series(1, 10) AS n(i)",
				sqlsegment.MySQL:      "SELECT CASE WHEN seq > 3 THEN CONCAT('user ', seq) END FROM seq_1_to_10",
				sqlsegment.SQLite:     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT CASE WHEN i > 3 THEN 'user ' || i END FROM n",
				sqlsegment.ClickHouse: "SELECT if(number > 2, toString(number), NULL) AS id FROM numbers(10)",
			}[d.Dialect]}.Summarize(t.Context(), db)
			require.ErrorContains(t, err, "3 of 10 ids are NULL, want none", m)
		}
	})
}

// A collation that takes a and A for one decides what is equal in a query, and
// not which users there are.
func TestUsersTellCaseWhateverTheCollation(t *testing.T) {
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		for _, statement := range map[sqlsegment.Dialect][]string{
			sqlsegment.PostgreSQL: {"CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
				"CREATE TABLE ids (id text COLLATE anycase)", "CREATE TABLE upper (id text COLLATE anycase)"},
			sqlsegment.MySQL: {"CREATE TABLE ids (id varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci)",
				"CREATE TABLE upper (id varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci)"},
			sqlsegment.SQLite:     {"CREATE TABLE ids (id text COLLATE NOCASE)", "CREATE TABLE upper (id text COLLATE NOCASE)"},
			sqlsegment.ClickHouse: {"CREATE TABLE ids (id String) ENGINE = Memory", "CREATE TABLE upper (id String) ENGINE = Memory"},
		}[d.Dialect] {
			execute(t, db, statement)
		}
		execute(t, db, "INSERT INTO ids SELECT 'a' UNION ALL SELECT 'b'")
		execute(t, db, "INSERT INTO upper SELECT 'A' UNION ALL SELECT 'b'")
		if d.Dialect != sqlsegment.ClickHouse {
			require.Equal(t, int64(2), number(t, db, "SELECT count(*) FROM ids, upper WHERE ids.id = upper.id"), "what the collation does")
		}
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable, sqlsegment.Stream} {
			require.NotEqual(t, summarize(t, d, db, m, "SELECT id FROM ids").Fingerprint(), summarize(t, d, db, m, "SELECT id FROM upper").Fingerprint(), m)
		}
	})
}

// A connection's character set must not turn ids into question marks on their
// way.
func TestUsersOverruleCharacterSets(t *testing.T) {
	d := mariaDB(t)
	conn := connection(t, d.Open(t))
	_, err := conn.ExecContext(t.Context(), "SET NAMES latin1")
	require.NoError(t, err)
	for m, hash := range map[sqlsegment.Method]validate.Hash{sqlsegment.Portable: validate.MD5, sqlsegment.Stream: validate.XXH3} {
		s := summarize(t, d, conn, m, "SELECT CONVERT(x'e697a5e69cac' USING utf8mb4)")
		require.Equal(t, digestOf(hash, []string{"日本"}).Fingerprint(), s.Fingerprint(), m)
	}
}

// sql_select_limit ends what a client reads early, without a word.
func TestUsersOverruleSQLSelectLimit(t *testing.T) {
	d := mariaDB(t)
	db := d.Open(t)
	ids := oddIDs()
	create(t, d, db, "ids", ids)
	conn := connection(t, db)
	_, err := conn.ExecContext(t.Context(), "SET sql_select_limit = 10000")
	require.NoError(t, err)
	for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Count, sqlsegment.Portable, sqlsegment.Stream} {
		require.Equal(t, int64(len(ids)), summarize(t, d, conn, m, "SELECT id FROM ids").Users(), m)
	}
}

// Sums pass 2^63 and 2^64 after a few users by 64-bit hashes: they are exact, or
// whole modulo 2^64. Lanes of 32 bits pass them after billions of users: of their
// sums only the type is tried here.
func TestUsersSumsDoNotOverflow(t *testing.T) {
	everywhere(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		const many = 100_000
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable, sqlsegment.Stream} {
			one := summarize(t, d, db, m, "SELECT 'user' AS id").Fingerprint()
			all := summarize(t, d, db, m, map[sqlsegment.Dialect]string{
				sqlsegment.PostgreSQL: "SELECT 'user' FROM generate_series(1, 100000)",
				sqlsegment.MySQL:      "SELECT 'user' FROM seq_1_to_100000",
				sqlsegment.SQLite:     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT 'user' FROM n",
				sqlsegment.ClickHouse: "SELECT 'user' AS id FROM numbers(100000)",
			}[d.Dialect]).Fingerprint()
			if one.Hash == validate.XXH3 {
				continue // one sum of 128 bits; the package validate tests it
			}
			for i, lane := range one.Sum {
				_, sum := bits.Mul64(lane, many)
				require.Equal(t, sum, all.Sum[i], "%s: lane %d", m, i+1)
			}
		}
		sum := map[sqlsegment.Dialect]string{
			sqlsegment.PostgreSQL: "SELECT sum(('x' || 'ffffffff')::bit(32)::bigint * 2147483648)::text FROM generate_series(1, 3)",
			sqlsegment.MySQL:      "SELECT CAST(SUM(CAST(CONV('ffffffff', 16, 10) AS UNSIGNED) * 2147483648) AS CHAR) FROM seq_1_to_3",
			sqlsegment.ClickHouse: "SELECT toString(sum(reinterpretAsUInt32('\xff\xff\xff\xff') * toUInt64(2147483648))) FROM numbers(3)",
		}[d.Dialect]
		if sum == "" {
			return // SQLite adds nothing up
		}
		var text string
		require.NoError(t, db.QueryRowContext(t.Context(), sum).Scan(&text))
		want := "27670116104121876480"
		if d.Dialect == sqlsegment.ClickHouse {
			want = "9223372030412324864" // the same modulo 2^64
		}
		require.Equal(t, want, text)
	})
}
