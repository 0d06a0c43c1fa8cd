package validate

import (
	"cmp"
	"math/bits"
	"slices"
)

// A sample holds the users with the highest hashes: which users are in it
// depends on nothing else, so that the samples of two sides hold the same users
// as far as both sides do. Each has its multiplicity and the position at which
// it first came. As long as no user was dropped, it is the whole side.
//
// It is a bottom-k sketch turned upside down, so that the zero floor keeps all;
// Cohen and Kaplan, "Summarizing Data using Bottom-k Sketches" (PODC 2007).
type sample struct {
	floor uint64 // users whose hash's high half is at least this are in it
	users []sampled
	slots []uint16 // a hash table of places in users, from 1 on; 0 is empty
}

type sampled struct {
	hash  hash128
	count int64 // how often the user came
	first int64 // how many users came before it
}

// sampleSize is how many users are kept at least, once some were dropped. Twice
// as many are collected before the next are, so that dropping costs little.
const sampleSize = 4096

// add takes in a user, not below the floor, that came count times.
func (s *sample) add(h hash128, count, first int64) {
	slot, found := s.find(h)
	if found {
		u := &s.users[s.slots[slot]-1]
		u.count += count
		u.first = min(u.first, first)
		return
	}
	s.users = append(s.users, sampled{h, count, first})
	if 2*len(s.users) > len(s.slots) {
		s.index()
		return
	}
	s.slots[slot] = uint16(len(s.users)) //nolint:gosec // at most 4 × sampleSize, in a merge
}

// find returns the slot of a user, or the empty one where it belongs.
func (s *sample) find(h hash128) (slot int, found bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	mask := len(s.slots) - 1
	for slot = int(h.high) & mask; s.slots[slot] != 0; slot = (slot + 1) & mask { //nolint:gosec // masked
		if s.users[s.slots[slot]-1].hash == h {
			return slot, true
		}
	}
	return slot, false
}

// index makes the hash table anew, of a power of two that is at most half full.
func (s *sample) index() {
	size := max(16, 1<<bits.Len(uint(2*len(s.users)-1)))
	if cap(s.slots) < size {
		s.slots = make([]uint16, size)
	}
	s.slots = s.slots[:size]
	clear(s.slots)
	for i, u := range s.users {
		slot, _ := s.find(u.hash)
		s.slots[slot] = uint16(i + 1)
	}
}

func (s *sample) full() bool { return len(s.users) >= 2*sampleSize }

// shrink drops all but the sampleSize users with the highest hashes.
func (s *sample) shrink() {
	slices.SortFunc(s.users, func(a, b sampled) int { return cmp.Compare(b.hash.high, a.hash.high) })
	n := sampleSize
	s.floor = s.users[n-1].hash.high
	for n < len(s.users) && s.users[n].hash.high == s.floor {
		n++
	}
	s.users = s.users[:n]
	s.index()
}

// raise drops the users below a floor.
func (s *sample) raise(floor uint64) {
	if floor <= s.floor {
		return
	}
	s.floor = floor
	s.users = slices.DeleteFunc(s.users, func(u sampled) bool { return u.hash.high < floor })
	s.index()
}

// merge adds a sample whose users came after so many others.
func (s *sample) merge(next *sample, after int64) {
	s.raise(next.floor)
	for _, u := range next.users {
		if u.hash.high >= s.floor {
			s.add(u.hash, u.count, after+u.first)
		}
	}
}

// count is how often a user came, of those not below the floor.
func (s *sample) count(h hash128) int64 {
	if slot, found := s.find(h); found {
		return s.users[s.slots[slot]-1].count
	}
	return 0
}

func (s *sample) clone() sample {
	return sample{s.floor, slices.Clone(s.users), slices.Clone(s.slots)}
}
