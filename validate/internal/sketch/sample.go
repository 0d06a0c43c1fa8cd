package sketch

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// A Sample holds the users with the highest hashes: which users are in it
// depends on nothing else, so that the samples of two sides hold the same users
// as far as both sides do. Each has its multiplicity and the position at which
// it first came. As long as no user was dropped, it is the whole side.
//
// It is a bottom-k sketch turned upside down, so that the zero floor keeps all;
// Cohen and Kaplan, "Summarizing Data using Bottom-k Sketches" (PODC 2007).
type Sample struct {
	Floor uint64 // users whose hash's high half is at least this are in it
	Users []Sampled
	slots []uint16 // a hash table of places in Users, from 1 on; 0 is empty
}

// A Sampled is a user in a sample.
type Sampled struct {
	Hash  Hash
	Count int64 // how often the user came
	First int64 // how many users came before it
}

// SampleSize is how many users are kept at least, once some were dropped. Twice
// as many are collected before the next are, so that dropping costs little.
const SampleSize = 4096

// Whole reports whether the sample holds every user.
func (s *Sample) Whole() bool { return s.Floor == 0 }

// Add takes in a user, not below the floor, that came count times.
func (s *Sample) Add(h Hash, count, first int64) {
	slot, found := s.find(h)
	if found {
		u := &s.Users[s.slots[slot]-1]
		u.Count += count
		u.First = min(u.First, first)
		return
	}
	s.Users = append(s.Users, Sampled{h, count, first})
	if 2*len(s.Users) > len(s.slots) {
		s.index()
		return
	}
	s.slots[slot] = uint16(len(s.Users)) //nolint:gosec // at most 4 × SampleSize, in a merge
}

// find returns the slot of a user, or the empty one where it belongs.
func (s *Sample) find(h Hash) (slot int, found bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	mask := len(s.slots) - 1
	for slot = int(h.High) & mask; s.slots[slot] != 0; slot = (slot + 1) & mask { //nolint:gosec // masked
		if s.Users[s.slots[slot]-1].Hash == h {
			return slot, true
		}
	}
	return slot, false
}

// index makes the hash table anew, of a power of two that is at most half full.
func (s *Sample) index() {
	size := max(16, 1<<bits.Len(uint(2*len(s.Users)-1)))
	if cap(s.slots) < size {
		s.slots = make([]uint16, size)
	}
	s.slots = s.slots[:size]
	clear(s.slots)
	for i, u := range s.Users {
		slot, _ := s.find(u.Hash)
		s.slots[slot] = uint16(i + 1)
	}
}

// Full reports whether the sample must shrink before the next user.
func (s *Sample) Full() bool { return len(s.Users) >= 2*SampleSize }

// Shrink drops all but the SampleSize users with the highest hashes.
func (s *Sample) Shrink() {
	slices.SortFunc(s.Users, func(a, b Sampled) int { return cmp.Compare(b.Hash.High, a.Hash.High) })
	n := SampleSize
	s.Floor = s.Users[n-1].Hash.High
	for n < len(s.Users) && s.Users[n].Hash.High == s.Floor {
		n++
	}
	s.Users = s.Users[:n]
	s.index()
}

// raise drops the users below a floor.
func (s *Sample) raise(floor uint64) {
	if floor <= s.Floor {
		return
	}
	s.Floor = floor
	s.Users = slices.DeleteFunc(s.Users, func(u Sampled) bool { return u.Hash.High < floor })
	s.index()
}

// Merge adds a sample whose users came after so many others.
func (s *Sample) Merge(next *Sample, after int64) {
	s.raise(next.Floor)
	for _, u := range next.Users {
		if u.Hash.High >= s.Floor {
			s.Add(u.Hash, u.Count, after+u.First)
		}
	}
}

// Count returns how often a user came, of those not below the floor.
func (s *Sample) Count(h Hash) int64 {
	if slot, found := s.find(h); found {
		return s.Users[s.slots[slot]-1].Count
	}
	return 0
}

// DistinctError is the relative standard error of Distinct once users were
// dropped, as Cohen and Kaplan give it: 1.6%.
var DistinctError = 1 / math.Sqrt(SampleSize-2)

// Distinct returns how many of so many users are different ones: exactly as long as all are
// held, and then an estimate by how densely the sampled ones lie above the floor.
func (s *Sample) Distinct(users int64) (distinct int64, exact bool) {
	if s.Whole() {
		return int64(len(s.Users)), true
	}
	above := math.Ldexp(float64(-s.Floor), -64) // the share of all hashes that are not below it
	return min(ceil(float64(len(s.Users)-1)/above), users), false
}

// ByPosition returns the users in the order in which they first came.
func (s *Sample) ByPosition() []Sampled {
	return slices.SortedFunc(slices.Values(s.Users), func(a, b Sampled) int { return cmp.Compare(a.First, b.First) })
}

// Table returns the difference table of a sample that holds every user.
func (s *Sample) Table(size int) *Table {
	t := NewTable(size)
	s.AddTo(t)
	return t
}

// AddTo adds the users to a table.
func (s *Sample) AddTo(t *Table) {
	for _, u := range s.Users {
		t.AddTimes(u.Hash.Key(), u.Count)
	}
}

// Clone returns a copy that shares nothing.
func (s *Sample) Clone() Sample {
	return Sample{s.Floor, slices.Clone(s.Users), slices.Clone(s.slots)}
}
