package sqlsegment

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A formula is how an engine adds up hashes of ids.
type formula struct {
	hash validate.Hash
	of   string   // SQL of what is hashed, where that is not the id's canonical text
	hold string   // what is made of id, as h
	sums []string // SQL of each lane, as text
	once string   // what keeps a planner from making h anew for each lane, and PostgreSQL from sharing the work among processes
}

// portable is MD5 in four lanes, the same in every engine and in Go.
var portable = map[Dialect]formula{
	PostgreSQL: {
		hash: validate.MD5, hold: "md5(convert_to(id, 'UTF8'))", once: " OFFSET 0",
		sums: lanes("coalesce(sum(('x' || substr(h, %d, 8))::bit(32)::bigint), 0)::text", 1, 9, 17, 25),
	},
	MySQL: {
		hash: validate.MD5, hold: "MD5(id)", once: noLimit,
		sums: lanes("CAST(COALESCE(SUM(CAST(CONV(SUBSTR(h, %d, 8), 16, 10) AS UNSIGNED)), 0) AS CHAR)", 1, 9, 17, 25), // without the inner CAST the sum is a DOUBLE and wrong
	},
	ClickHouse: {
		hash: validate.MD5, hold: "MD5(segmentguard_id)",
		sums: lanes("toString(sum(reinterpretAsUInt32(reverse(substring(segmentguard_hash, %d, 4)))))", 1, 5, 9, 13),
	},
}

// native is the fastest hash of 64 bits that an engine has, twice. MySQL has
// none, and takes the portable one.
func (d Dialect) native(kind string) formula {
	switch {
	case d == ClickHouse:
		return formula{
			hash: "clickhouse/sipHash64,cityHash64", hold: "segmentguard_id",
			sums: []string{"toString(sum(sipHash64(segmentguard_hash)))", "toString(sum(cityHash64(segmentguard_hash)))"},
		}
	case d == MySQL:
		return portable[MySQL]
	case kind == "UUID": // making text of it would cost more than all the rest
		return nativePostgreSQL("uuid_hash_extended", "id", "id")
	case strings.HasPrefix(kind, "INT"):
		return nativePostgreSQL("hashint8extended", "id::bigint", "id")
	}
	return nativePostgreSQL("hashtextextended", "", `id COLLATE "C"`)
}

func nativePostgreSQL(function, of, hold string) formula {
	return formula{
		hash: validate.Hash("postgresql/" + function + "(0,1)"), of: of, hold: hold,
		sums: lanes("coalesce(sum("+function+"(h, %d)), 0)::text", 0, 1),
	}
}

func lanes(sql string, offsets ...any) []string {
	all := make([]string, len(offsets))
	for i, offset := range offsets {
		all[i] = fmt.Sprintf(sql, offset)
	}
	return all
}

// fingerprint has the engine count and add up.
func (u *Users) fingerprint(ctx context.Context, q Queryer, f formula, c column) (validate.Summary, error) {
	var rows, ids int64
	var fresh bool
	sums := make([]string, len(f.sums))
	into := []any{&rows, &ids, &fresh}
	for i := range sums {
		into = append(into, &sums[i])
	}
	at := time.Now().UTC()
	if err := one(ctx, q, u.summing(f, c, u.Dialect.fresh(q)), u.Args, into...); err != nil {
		return validate.Summary{}, fmt.Errorf("fingerprinting: %w", err)
	}
	if ids != rows {
		return validate.Summary{}, nullIDs(rows-ids, rows)
	}
	sum := validate.Fingerprint{Hash: f.hash}
	for i, text := range sums {
		lane, err := modulo64(text)
		if err != nil {
			return validate.Summary{}, fmt.Errorf("fingerprinting: lane %d: %w", i+1, err)
		}
		sum.Sum[i] = lane
	}
	s := validate.Fingerprinted(rows, sum).WithRemeasure(u.closer(q, c, f.hash))
	return asOf(s, at, fresh), nil
}

// summing hashes each id once, and then adds up.
func (u *Users) summing(f formula, c column, fresh string) string {
	if u.Dialect == ClickHouse {
		return u.summingClickHouse(f, c, fresh)
	}
	with, from := u.source(c)
	hashed := fmt.Sprintf("SELECT id, %s AS h FROM (SELECT %s AS id FROM %s) AS c%s", f.hold, cmp.Or(f.of, c.canonical), from, f.once)
	return fmt.Sprintf("%sSELECT count(*), count(id), %s, %s FROM (%s) AS q", with, fresh, strings.Join(f.sums, ", "), hashed)
}

// modulo64 is a sum, exact or not, signed or not, as a lane of 64 bits.
func modulo64(sum string) (uint64, error) {
	n, ok := new(big.Int).SetString(sum, 10)
	if !ok {
		return 0, fmt.Errorf("the engine answered %q, want a sum", sum)
	}
	return n.And(n, new(big.Int).SetUint64(^uint64(0))).Uint64(), nil
}
