// Package difference reads from two tables of sums, which a database computed, which
// users the one holds more often than the other.
package difference

import (
	"fmt"
	"math/big"
)

// A Table is a difference table that SQL can compute. Each user is known by two
// numbers of 64 bits, A and B, that a database makes of its id. The bits of B place
// it into one cell of each of three parts, and a cell adds up what falls into it: how
// many there are, their A, their B, and the Check of their A. So a table less another
// holds only the users that the two sides do not share: where these are few enough,
// Decode reads all of them from it.
//
// The tables of package validate do the same for users that pass through a process.
// Their checks multiply modulo 2^64, which SQL cannot; here squares do that, and sums
// are exact.
type Table struct {
	size  int
	cells []cell // of one part after the other
}

// parts is how many cells a user falls into.
const parts = 3

// PositionBits is the distance, in bits of B, between the positions of a user.
const PositionBits = 20

type cell struct {
	count       int64
	a, b, check big.Int
}

// A Key is what a user is known by.
type Key struct{ A, B int64 }

// Check returns x(x+1) + y(y+1) for the upper half x of a, which has a sign, and its
// lower half less 2^31. Twice that and one is the square of the distance between the
// point (x, y) and (-½, -½): the sum for users at several places is that of their
// mean, so many times, only if they are all at one place, or by chance where counts
// have both signs. It fits into 63 bits.
func Check(a int64) int64 {
	x, y := a>>32, a&(1<<32-1)-1<<31
	return x*(x+1) + y*(y+1)
}

// New returns an empty table with so many cells in each part, a power of two up to
// 2^PositionBits.
func New(size int) *Table { return &Table{size: size, cells: make([]cell, parts*size)} }

// Cells returns the number of cells of all parts.
func (t *Table) Cells() int { return len(t.cells) }

// Set puts sums into a cell: of the first part, then of the second, then of the
// third. No cell may be set twice.
func (t *Table) Set(at int64, count int64, a, b, check *big.Int) error {
	if at < 0 || at >= int64(len(t.cells)) || count <= 0 || t.cells[at].count != 0 {
		return fmt.Errorf("cell %d of %d holds %d users, want one not told of before and 1 or more", at, len(t.cells), count)
	}
	c := &t.cells[at]
	c.count = count
	c.a.Set(a)
	c.b.Set(b)
	c.check.Set(check)
	return nil
}

// Totals returns how many users each part holds, and the sums of their A and their B
// modulo 2^64; ok is false if the parts contradict each other.
func (t *Table) Totals() (count int64, a, b uint64, ok bool) {
	var sums [parts]cell
	for i := range t.cells {
		sums[i/t.size].add(&t.cells[i], 1)
	}
	count, a, b = sums[0].count, modulo64(&sums[0].a), modulo64(&sums[0].b)
	for part := 1; part < parts; part++ {
		sums[part].add(&sums[0], -1)
		if !sums[part].empty() {
			return 0, 0, 0, false
		}
	}
	return count, a, b, true
}

func modulo64(n *big.Int) uint64 {
	var m big.Int
	return m.And(n, new(big.Int).SetUint64(^uint64(0))).Uint64()
}

// Less returns a table that holds what t holds more, or less, often than other, which
// must be of the same size.
func (t *Table) Less(other *Table) *Table {
	d := New(t.size)
	for i := range d.cells {
		d.cells[i].add(&t.cells[i], 1)
		d.cells[i].add(&other.cells[i], -1)
	}
	return d
}

// Add takes in a user so many times, or takes it out where times is negative.
func (t *Table) Add(k Key, times int64) {
	c := one(k)
	for part := range parts {
		t.cells[t.place(k, part)].add(&c, times)
	}
}

// place returns the cell of a user in a part.
func (t *Table) place(k Key, part int) int {
	return part*t.size + int(k.B>>(PositionBits*part))&(t.size-1)
}

func one(k Key) (c cell) {
	c.count = 1
	c.a.SetInt64(k.A)
	c.b.SetInt64(k.B)
	c.check.SetInt64(Check(k.A))
	return c
}

// add adds another cell so many times.
func (c *cell) add(other *cell, times int64) {
	c.count += times * other.count
	n := big.NewInt(times)
	for _, s := range [...]struct{ to, from *big.Int }{{&c.a, &other.a}, {&c.b, &other.b}, {&c.check, &other.check}} {
		var product big.Int
		s.to.Add(s.to, product.Mul(n, s.from))
	}
}

func (c *cell) empty() bool {
	return c.count == 0 && c.a.Sign() == 0 && c.b.Sign() == 0 && c.check.Sign() == 0
}
