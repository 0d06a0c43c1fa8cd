package sketch

import (
	"cmp"
	"math/bits"
	"slices"
)

// The sides that are written here have taken in users, whose number and sum each
// sketch must account for. What is read has been through Add, Merge and the like,
// or it is refused.

// Append writes the checkpoints.
func (c *Checkpoints) Append(w *Writer) {
	w.Numbers(int64(c.Doublings), int64(len(c.List)))
	for _, p := range c.List {
		w.Numbers(p.Users, int64(p.At))
		w.Words(p.Sum[:]...)
	}
}

// Checkpoints reads those of so many users, in pages.
func (r *Reader) Checkpoints(users, page int64, a Algorithm, sum Sum) (c Checkpoints) {
	c.Doublings = uint8(r.Number("doublings", 62)) //nolint:gosec // at most 62
	if c.Stride(page)>>c.Doublings != page {
		r.Fail("page: %d doubled %d times is too large", page, c.Doublings)
	}
	n := r.Number("checkpoints", MaxCheckpoints)
	var last int64
	for range n {
		p := Checkpoint{Users: r.Number("checkpoint", users), At: Place(r.Number("place", int64(AtSeam)))} //nolint:gosec // at most AtSeam
		p.Sum = r.Sum(a, p.Users)
		switch {
		case p.Users <= last:
			r.Fail("checkpoint at %d after one at %d, want them in order", p.Users, last)
		case p.Users == users && p.Sum != sum:
			r.Fail("checkpoint at %d, the last user: its sum is not that of all", p.Users)
		}
		if r.err != nil {
			return Checkpoints{}
		}
		last = p.Users
		c.List = append(c.List, p)
	}
	return c
}

// Sum reads what the hashes of so many users add up to.
func (r *Reader) Sum(a Algorithm, users int64) (sum Sum) {
	r.Words(sum[:])
	switch {
	case a == XXH3 && (sum[2] != 0 || sum[3] != 0):
		r.Fail("sum: %d numbers, want 2", len(sum))
	case a == MD5 && users < 1<<32:
		for _, lane := range sum {
			if lane > uint64(users)*(1<<32-1) { //nolint:gosec // not negative
				r.Fail("sum: %d of %d users, each below 2^32", lane, users)
			}
		}
	}
	return sum
}

// Append writes the sample. Equal samples are equal bytes.
func (s *Sample) Append(w *Writer) {
	w.Words(s.Floor)
	w.Numbers(int64(len(s.Users)))
	for _, u := range slices.SortedFunc(slices.Values(s.Users), byHash) {
		w.Words(u.Hash.High, u.Hash.Low)
		w.Numbers(u.Count, u.First)
	}
}

func byHash(a, b Sampled) int {
	return cmp.Or(cmp.Compare(a.Hash.High, b.Hash.High), cmp.Compare(a.Hash.Low, b.Hash.Low))
}

// Sample reads that of so many users with such a sum.
func (r *Reader) Sample(users int64, a Algorithm, sum Sum) (s Sample) {
	s.Floor = r.Word()
	n := r.Number("sample", 2*SampleSize-1)
	var total int64
	var sampled Sum
	var last Hash
	for i := range n {
		u := Sampled{Hash: Hash{r.Word(), r.Word()}, Count: r.Number("count", users-total), First: r.Number("first", users)}
		switch {
		case u.Hash.High < s.Floor || u.Count == 0:
			r.Fail("sample: a user below its floor, or that never came")
		case u.Count > users-u.First:
			r.Fail("sample: a user that came after all")
		case i > 0 && byHash(Sampled{Hash: last}, u) >= 0:
			r.Fail("sample: a user twice, or not in order")
		}
		if r.err != nil {
			return Sample{}
		}
		total, last = total+u.Count, u.Hash
		sampled = a.Add(sampled, a.Times(u.Count, a.Sum(u.Hash)))
		s.Add(u.Hash, u.Count, u.First)
	}
	switch {
	case s.Whole() && (total != users || sampled != sum):
		r.Fail("sample: %d users of %d, or not those of the sum, and none was dropped", total, users)
	case !s.Whole() && (n < SampleSize || total == users || s.Users[0].Hash.High != s.Floor):
		r.Fail("sample: %d users of %d above a floor, want the floor to be that of %d users or more, and others dropped", n, users, SampleSize)
	}
	s.checkPositions(r)
	return s
}

// checkPositions fails where two users came at one place, or, of a sample that holds
// all users, none did.
func (s *Sample) checkPositions(r *Reader) {
	var last, rows int64 = -1, 0
	for _, u := range s.ByPosition() {
		switch {
		case u.First == last:
			r.Fail("sample: two users at place %d", u.First)
		case u.First > rows && s.Whole():
			r.Fail("sample: nobody came at place %d", rows)
		}
		last = u.First
		rows += u.Count
	}
}

// Append writes the table, of users of which none was taken out.
func (t *Table) Append(w *Writer) {
	w.Numbers(int64(bits.TrailingZeros(uint(t.Size()))))
	for _, part := range t.parts {
		for i := range part {
			c := &part[i]
			w.Numbers(c.count)
			if c.count > 0 {
				w.Numbers(int64(c.high)) //nolint:gosec // below count
				w.Words(c.low, c.check)
			}
		}
	}
}

// Table reads that of so many users, whose keys add up to keys modulo 2^64, and of
// which a sample is known.
func (r *Reader) Table(users int64, keys uint64, s *Sample) *Table {
	size := int64(1) << r.Number("table", PositionBits)
	if size < TableSize || size > int64(len(r.left)) { // of which each cell takes a byte
		r.Fail("table: %d cells in each part, want %d or more, and all of them", size, TableSize)
		return nil
	}
	t := NewTable(int(size))
	for _, part := range t.parts {
		left := users
		for i := range part {
			part[i] = r.cell(left)
			left -= part[i].count
		}
		if left != 0 {
			r.Fail("table: a part lacks %d of %d users", left, users)
		}
		if r.err != nil {
			return nil
		}
	}
	t.checkSums(r, keys)
	t.checkSample(r, s)
	return t
}

// cell reads a cell of a part that has room for so many users. The mean of its
// keys is one.
func (r *Reader) cell(users int64) (c cell) {
	c.count = r.Number("cell", users)
	if c.count > 0 {
		c.high = uint64(r.Number("keys", c.count-1)) //nolint:gosec // not negative
		c.low, c.check = r.Word(), r.Word()
	}
	return c
}

// checkSums fails where two parts do not add up to the same users.
func (t *Table) checkSums(r *Reader, keys uint64) {
	var first cell
	for i, part := range t.parts {
		var sum cell
		for j := range part {
			sum.add(&part[j])
		}
		if i == 0 {
			first = sum
		}
		if sum != first || sum.low != keys {
			r.Fail("table: the parts do not hold the same users, or not those of the sum")
		}
	}
}

// checkSample fails where the table lacks users of the sample, or holds a single
// user in a cell where it does not belong.
func (t *Table) checkSample(r *Reader, s *Sample) {
	rest := t.Clone()
	for _, u := range s.Users {
		rest.AddTimes(u.Hash.Key(), -u.Count)
	}
	for i, part := range rest.parts {
		for j := range part {
			c := &part[j]
			_, single := rest.single(i, j)
			switch {
			case c.count < 0 || c.count == 0 && *c != cell{}:
				r.Fail("table: it lacks users of the sample")
			case c.count > 0 && c.high >= uint64(c.count), c.count == 1 && !single:
				r.Fail("table: a user in a cell where it does not belong")
			}
		}
	}
}
