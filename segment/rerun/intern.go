package rerun

import (
	"iter"
	"math/bits"
)

// numbered gives equal keys the same number, in the order in which they first
// come, and returns the number of each key and the keys by number. It is what a
// map would do. But a plan may have millions of keys, every one of them
// somewhere else in memory, and a map waits for one after the other; short loops
// over all keys fetch many at a time, which takes half the time.
//
// The loops are: take the hashes; find the numbers by hash; compare the keys. If
// two keys share a hash, which next to never happens, all begins anew with
// another one. hash returns a new hash function with each call.
func numbered[K comparable](keys iter.Seq[*K], count int, hash func() func(*K) uint64) (numbers []int32, distinct []K) {
	hashes := make([]uint64, 0, count)
	numbers = make([]int32, count)
	for {
		of := hash()
		hashes = hashes[:0]
		for key := range keys {
			hashes = append(hashes, of(key))
		}
		distinct = make([]K, numberHashes(hashes, numbers))
		if fill(distinct, keys, numbers) {
			return numbers, distinct
		}
	}
}

// fill sets the keys by number, and reports whether each number has only one.
func fill[K comparable](distinct []K, keys iter.Seq[*K], numbers []int32) bool {
	i, filled := 0, 0
	for key := range keys {
		n := int(numbers[i])
		i++
		if n == filled {
			distinct[n] = *key
			filled++
		} else if distinct[n] != *key {
			return false
		}
	}
	return true
}

// numberHashes writes the number of each hash, and returns how many numbers there
// are. Its table is open and at most half full; a slot is the upper half of a
// hash and a number above 0.
func numberHashes(hashes []uint64, numbers []int32) int {
	slots := make([]uint64, 1<<bits.Len(uint(len(hashes)/2)))
	var first []uint64 // the hash that each number was given for
	for i, h := range hashes {
		if 2*len(first) >= len(slots) {
			slots = make([]uint64, 4*len(slots))
			for n, known := range first {
				*slot(slots, known) = known&upperHalf | uint64(n+1)
			}
		}
		s := slot(slots, h)
		if *s == 0 {
			first = append(first, h)
			*s = h&upperHalf | uint64(len(first))
		}
		numbers[i] = int32(*s&^upperHalf) - 1 //nolint:gosec // the ids of 2^31 segments fill 64 GiB
	}
	return len(first)
}

const upperHalf = 0xffffffff << 32

// slot is where the upper half of a hash is, or is to be.
func slot(slots []uint64, h uint64) *uint64 {
	mask := uint64(len(slots) - 1) //nolint:gosec // there is at least one slot
	at := h & mask
	for slots[at] != 0 && (slots[at]^h)&upperHalf != 0 {
		at = (at + 1) & mask
	}
	return &slots[at]
}
