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
	a, b  string   // SQL of two numbers of 64 bits, with a sign, that a user is known by in a difference table
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
func (m *measurement) fingerprint(ctx context.Context, f formula) (s validate.Summary, p *printed, err error) {
	if len(f.sums) == 0 {
		s, err = m.streamed(ctx, f.hash)
		return s, nil, err
	}
	var rows, ids int64
	var fresh bool
	sums := make([]string, len(f.sums))
	into := []any{&rows, &ids, &fresh}
	for i := range sums {
		into = append(into, &sums[i])
	}
	at := time.Now().UTC()
	if err := one(ctx, m.conn, m.dialect.sum(&m.users, f, m.column, m.fresh()), m.users.Args, into...); err != nil {
		return s, nil, fmt.Errorf("fingerprinting: %w", err)
	}
	if ids != rows {
		return s, nil, nullIDs(rows-ids, rows)
	}
	sum := validate.Fingerprint{Hash: f.hash}
	for i, text := range sums {
		lane, err := modulo64(text)
		if err != nil {
			return s, nil, fmt.Errorf("fingerprinting: lane %d: %w", i+1, err)
		}
		sum.Sum[i] = lane
	}
	s = validate.Fingerprinted(rows, sum).WithRemeasure(m.again(f.hash))
	p = &printed{measurement: m.later(), formula: f, rows: rows, sum: sum}
	if p.tabled() {
		s = s.WithComparer(p)
	}
	return asOf(s, at, fresh), p, nil
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
