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

// A formula is how an engine adds up hashes of ids. One without sums has no hash of
// the engine's own: the ids are streamed, and hashed here.
type formula struct {
	hash  validate.Hash
	of    string   // SQL of what is hashed, where that is not the id's canonical text
	hold  string   // what is made of id, as h
	sums  []string // SQL of each lane, as text
	fence string   // what keeps a planner from making h anew for each lane
}

// lanes returns the SQL of each sum, which differ by an offset.
func lanes(sql string, offsets ...any) []string {
	all := make([]string, len(offsets))
	for i, offset := range offsets {
		all[i] = fmt.Sprintf(sql, offset)
	}
	return all
}

// fingerprint makes the engine count and add up.
func (m *measurement) fingerprint(ctx context.Context, f formula) (validate.Summary, error) {
	if len(f.sums) == 0 {
		return m.stream(ctx, f.hash)
	}
	var rows, ids int64
	var fresh bool
	sums := make([]string, len(f.sums))
	into := []any{&rows, &ids, &fresh}
	for i := range sums {
		into = append(into, &sums[i])
	}
	at := time.Now().UTC()
	if err := one(ctx, m.queryer, m.dialect.sum(&m.users, f, m.column, m.fresh()), m.users.Args, into...); err != nil {
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
	s := validate.Fingerprinted(rows, sum).WithRemeasure(m.again(f.hash))
	return asOf(s, at, fresh), nil
}

// sumHashes returns the query that hashes each id once, and then adds up.
func sumHashes(u *Users, f formula, c column, fresh string) string {
	with, from := source(u)
	hashed := fmt.Sprintf("SELECT id, %s AS h FROM (SELECT %s AS id FROM %s) AS c%s", f.hold, cmp.Or(f.of, c.canonical), from, f.fence)
	return fmt.Sprintf("%sSELECT count(*), count(id), %s, %s FROM (%s) AS q", with, fresh, strings.Join(f.sums, ", "), hashed)
}

// modulo64 returns a sum, exact or not, signed or not, as a lane of 64 bits.
func modulo64(sum string) (uint64, error) {
	n, ok := new(big.Int).SetString(sum, 10)
	if !ok {
		return 0, fmt.Errorf("the engine answered %q, want a sum", sum)
	}
	return n.And(n, new(big.Int).SetUint64(^uint64(0))).Uint64(), nil
}
