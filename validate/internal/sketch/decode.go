package sketch

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A User is one that two sides do not hold equally often.
type User struct {
	Key   uint64
	Times int64 // how many times more the one side has it; negative: the other
}

// A Decoded tells what the difference of two tables holds, in rows: a user counts
// as often as one side has it more than the other.
type Decoded struct {
	// Complete says that Users are all there are, and that More and Fewer are
	// exact.
	Complete bool
	// Users were read from the table, ascending by key, none twice. Where the
	// decoding is not complete they are some of all, or none.
	Users []User
	// More and Fewer are the rows that the one side has beyond the other, and the
	// other beyond the one: at least so many where it is not complete.
	More, Fewer int64
	// Most is no less than More and Fewer together. Where the decoding is not
	// complete, it allows for five standard errors of an estimate.
	Most int64
}

// Decode reads users from the difference of two tables for as long as there is a
// cell in which one is left, and takes each from its other cells. It ends after at
// most as many users as there are cells. One user too many, or one that is read
// twice, shows that what was read is wrong: then no user counts, and the cells as
// they were give the bounds. The table stays as it is.
func (t *Table) Decode() Decoded {
	left := t.Clone()
	users, sound := left.peel()
	if !sound {
		more, fewer := t.atLeast(1)
		return Decoded{More: more, Fewer: fewer, Most: max(t.atMost(), plus(more, fewer))}
	}
	// A cell with one user in it would have been read: those left hold two or more.
	more, fewer := left.atLeast(2)
	for _, u := range users {
		more, fewer = plus(more, max(0, u.Times)), plus(fewer, max(0, -u.Times))
	}
	d := Decoded{Complete: left.empty(), Users: users, More: more, Fewer: fewer, Most: plus(more, fewer)}
	if !d.Complete {
		d.Most = max(d.Most, t.atMost())
	}
	return d
}

// peel takes users out of the table, ascending by key, until no cell holds just
// one. It reports whether they can all be right.
func (t *Table) peel() (users []User, sound bool) {
	type place struct{ part, cell int }
	var next []place
	size := t.Size()
	for i := range len(t.parts) * size {
		next = append(next, place{i / size, i % size})
		for len(next) > 0 {
			at := next[len(next)-1]
			next = next[:len(next)-1]
			u, ok := t.single(at.part, at.cell)
			if !ok {
				continue
			}
			if len(users) == len(t.parts)*size {
				return nil, false
			}
			users = append(users, u)
			positions, _ := mix(u.Key)
			removed := multiple(u.Key, u.Times)
			for part := range t.parts {
				cell := int(positions & mask(t.parts[part])) //nolint:gosec // below size
				t.parts[part][cell].subtract(&removed)
				next = append(next, place{part, cell})
				positions >>= PositionBits
			}
		}
	}
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.Key, b.Key) })
	for i := 1; i < len(users); i++ {
		if users[i].Key == users[i-1].Key {
			return nil, false
		}
	}
	return users, true
}

// single returns the user of a cell that holds just one: the mean of its keys is
// a key that belongs there and whose check, so many times, is the sum of checks.
func (t *Table) single(part, at int) (u User, ok bool) {
	c := &t.parts[part][at]
	n, low, high := uint64(c.count), c.low, c.high //nolint:gosec // a magnitude, below
	if c.count < 0 {
		n = -n
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	if high >= n { // also where n is 0, or the sum has another sign
		return User{}, false
	}
	key, rest := bits.Div64(high, low, n)
	positions, check := mix(key)
	if rest != 0 || check*uint64(c.count) != c.check { //nolint:gosec // in two's complement
		return User{}, false
	}
	belongs := positions>>(PositionBits*part)&mask(t.parts[part]) == uint64(at) //nolint:gosec // not negative
	return User{key, c.count}, belongs
}

func (t *Table) empty() bool {
	for _, part := range t.parts {
		for i := range part {
			if part[i] != (cell{}) {
				return false
			}
		}
	}
	return true
}

// atLeast returns the fewest rows that each side can have beyond the other. In
// every part, users of the two sides cancel out at most within their cells; and
// each cell that is not empty holds so many users, of one row or more.
func (t *Table) atLeast(users int64) (more, fewer int64) {
	for _, part := range t.parts {
		var above, below, filled int64
		for i := range part {
			above += max(0, part[i].count)
			below += max(0, -part[i].count)
			if part[i] != (cell{}) {
				filled++
			}
		}
		if unseen := users*filled - above - below; unseen > 0 {
			above, below = above+(unseen+1)/2, below+(unseen+1)/2
		}
		more, fewer = max(more, above), max(fewer, below)
	}
	return more, fewer
}

// atMost returns an upper bound on the rows that the two sides have beyond each
// other. The variance of a part's counts estimates the sum of the squares of all
// differences, which is no less than the sum of their magnitudes, with a relative
// standard error of at most √(2/size) in each part. The bound allows for five of
// the mean of the parts, 4.5% at TableSize.
func (t *Table) atMost() int64 {
	size, squares := float64(t.Size()), 0.0
	for _, part := range t.parts {
		var net int64
		for i := range part {
			net += part[i].count
		}
		mean := float64(net) / size
		for i := range part {
			off := float64(part[i].count) - mean
			squares += off * off
		}
	}
	parts := float64(len(t.parts))
	estimate := squares / parts / (1 - 1/size)
	return ceil(estimate / max(0, 1-5*math.Sqrt(2/(parts*size))))
}

// ceil returns x rounded up, or the largest number of rows there can be.
func ceil(x float64) int64 {
	if !(x < math.MaxInt64) { // also NaN, of a part of one cell
		return math.MaxInt64
	}
	return int64(math.Ceil(x))
}

// plus adds rows, up to the largest number there is.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
