package sketch

import (
	"math/bits"
)

// A Table is a difference table. Each user, known by a key of 64 bits, falls into
// one cell of each of three parts, and a cell adds up what falls into it. So
// tables of shards add up to that of the whole, and a table less another holds
// only the users that the two sides do not share: where these are few enough,
// Decode reads all of them from it, each with how many times more one side has
// it than the other.
//
// It is an invertible Bloom lookup table for multisets: Goodrich and
// Mitzenmacher, "Invertible Bloom Lookup Tables" (2011); Eppstein, Goodrich,
// Uyeda and Varghese, "What's the Difference?" (2011). It detects faults, not
// attackers: whoever chooses the keys can make a table that does not decode.
type Table struct {
	parts [3][]cell // of one size, a power of two
}

// A cell adds up the users that fall into it. Sums of keys have 128 bits: smaller
// ones wrap, and users whose counts share powers of two then look like others.
type cell struct {
	count     int64
	low, high uint64 // the sum of the keys, in two's complement
	check     uint64 // the sum of the checks, modulo 2^64
}

// TableSize is the number of cells in each part, unless more are asked for. A
// table of that size has 768 KiB and decodes some DefaultReach differing users.
const (
	TableSize    = 8192
	DefaultReach = 19_000
)

// MaxTableSize limits the cells of a part: three positions in a part are read from
// one hash of 64 bits. Such a table has 192 MiB.
const (
	PositionBits = 21
	MaxTableSize = 1 << PositionBits
	MaxReach     = MaxTableSize / TableSize * DefaultReach
)

// SizeFor returns the least number of cells a part, TableSize or more, of a table
// that decodes so many differing users, MaxReach at most.
func SizeFor(users int64) int {
	size := TableSize
	for int64(size/TableSize)*DefaultReach < users && size < MaxTableSize {
		size *= 2
	}
	return size
}

// NewTable returns an empty table with so many cells in each part, a power of two
// up to MaxTableSize.
func NewTable(size int) *Table {
	t := &Table{}
	cells := make([]cell, len(t.parts)*size)
	for i := range t.parts {
		t.parts[i] = cells[i*size : (i+1)*size : (i+1)*size]
	}
	return t
}

// Size returns the number of cells in each part.
func (t *Table) Size() int { return len(t.parts[0]) }

// mask returns the bits of a position in a part.
func mask(part []cell) uint64 { return uint64(len(part) - 1) } //nolint:gosec // none is empty

// mix returns the positions of a user in the three parts, PositionBits for each, and
// its check. The positions are MurmurHash3's finalizer, and the check shares the
// first of its two rounds: each bit of the key changes half of the bits of either.
// Parts of the key itself would not do, as users whose keys add up to that of
// another would have its check.
func mix(key uint64) (positions, check uint64) {
	key = (key ^ key>>33) * 0xff51afd7ed558ccd
	key ^= key >> 33
	positions, check = key*0xc4ceb9fe1a85ec53, key*0x9e3779b97f4a7c15
	return positions ^ positions>>33, check ^ check>>32
}

// AddKeys takes in users, each once. Digests spend most of their time here, and so
// parts of the usual size have a loop without bounds to check.
func (t *Table) AddKeys(keys []uint64) {
	if t.Size() != TableSize {
		for _, key := range keys {
			at, check := mix(key)
			for i := range t.parts {
				t.parts[i][at&mask(t.parts[i])].once(key, check)
				at >>= PositionBits
			}
		}
		return
	}
	part0, part1, part2 := (*[TableSize]cell)(t.parts[0]), (*[TableSize]cell)(t.parts[1]), (*[TableSize]cell)(t.parts[2])
	for _, key := range keys {
		at, check := mix(key)
		part0[at%TableSize].once(key, check)
		part1[at>>PositionBits%TableSize].once(key, check)
		part2[at>>(2*PositionBits)%TableSize].once(key, check)
	}
}

// once adds a user to a cell.
func (c *cell) once(key, check uint64) {
	var carry uint64
	c.count++
	c.low, carry = bits.Add64(c.low, key, 0)
	c.high += carry
	c.check += check
}

// AddTimes takes in a user so many times, or takes it out where times is negative.
func (t *Table) AddTimes(key uint64, times int64) {
	at, _ := mix(key)
	added := multiple(key, times)
	for i := range t.parts {
		t.parts[i][at&mask(t.parts[i])].add(&added)
		at >>= PositionBits
	}
}

// multiple returns what a user adds to its cells that comes so many times.
func multiple(key uint64, times int64) cell {
	n := uint64(times) //nolint:gosec // in two's complement
	high, low := bits.Mul64(key, n)
	if times < 0 {
		high -= key
	}
	_, check := mix(key)
	return cell{count: times, low: low, high: high, check: check * n}
}

func (c *cell) add(other *cell) {
	var carry uint64
	c.count += other.count
	c.low, carry = bits.Add64(c.low, other.low, 0)
	c.high += other.high + carry
	c.check += other.check
}

func (c *cell) subtract(other *cell) {
	var borrow uint64
	c.count -= other.count
	c.low, borrow = bits.Sub64(c.low, other.low, 0)
	c.high -= other.high + borrow
	c.check -= other.check
}

// Clone returns a copy that shares nothing.
func (t *Table) Clone() *Table {
	if t == nil {
		return nil
	}
	c := NewTable(t.Size())
	for i := range t.parts {
		copy(c.parts[i], t.parts[i])
	}
	return c
}

// Fold returns the table of the same users with fewer cells in each part, a power
// of two. It returns t itself where it is no larger than that.
func (t *Table) Fold(size int) *Table {
	if t.Size() <= size {
		return t
	}
	folded := NewTable(size)
	for i, part := range t.parts {
		for j := range part {
			folded.parts[i][j&(size-1)].add(&part[j])
		}
	}
	return folded
}

// Merge returns t with the users of other in it. Where the two differ in size, it
// has the smaller one.
func (t *Table) Merge(other *Table) *Table {
	t, other = t.Fold(other.Size()), other.Fold(t.Size())
	for i, part := range other.parts {
		for j := range part {
			t.parts[i][j].add(&part[j])
		}
	}
	return t
}

// Less returns a new table that holds what t holds more, or less, often than
// other. Where the two differ in size, it has the smaller one.
func (t *Table) Less(other *Table) *Table {
	d := t.Fold(other.Size())
	if d == t {
		d = t.Clone()
	}
	other = other.Fold(d.Size())
	for i, part := range other.parts {
		for j := range part {
			d.parts[i][j].subtract(&part[j])
		}
	}
	return d
}

// Lacks reports whether the user certainly is not in a table that is the
// difference of two: one of its cells is empty.
func (t *Table) Lacks(key uint64) bool {
	at, _ := mix(key)
	for _, part := range t.parts {
		if part[at&mask(part)] == (cell{}) {
			return true
		}
		at >>= PositionBits
	}
	return false
}
