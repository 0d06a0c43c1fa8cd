package segment

import (
	"math/bits"
)

// numbered gives equal keys the same number, in the order in which they first
// come, and returns the number of each key and the keys by number. It is what a
// map would do. But a plan may have millions of keys, every one of them
// somewhere else in memory, and a map waits for one after the other; short loops
// over all keys fetch many at a time. That is three to four times as fast.
//
// The loops are: take the hashes; find the numbers by hash; compare the keys. If
// two keys share a hash, which next to never happens, all begins anew with
// another one. hash returns a new hash function with each call.
func numbered[K comparable](keys []K, hash func() func(*K) uint64) (numbers []int32, distinct []K) {
	hashes := make([]uint64, len(keys))
	numbers = make([]int32, len(keys))
	for {
		of := hash()
		for i := range keys {
			hashes[i] = of(&keys[i])
		}
		first := numberHashes(hashes, numbers)
		distinct = make([]K, len(first))
		for n, i := range first {
			distinct[n] = keys[i]
		}
		if allEqual(keys, numbers, distinct) {
			return numbers, distinct
		}
	}
}

func allEqual[K comparable](keys []K, numbers []int32, distinct []K) bool {
	for i := range keys {
		if keys[i] != distinct[numbers[i]] {
			return false
		}
	}
	return true
}

// numberHashes writes the number of each hash, and returns where each number
// first came. Its table is open and at most half full; a slot is the upper half
// of a hash and a number above 0.
func numberHashes(hashes []uint64, numbers []int32) (first []int32) {
	const upper = 0xffffffff << 32
	slots := make([]uint64, 1<<bits.Len(uint(len(hashes)/2)))
	for i, h := range hashes {
		if 2*len(first) >= len(slots) {
			slots = spreadOut(slots, first, hashes)
		}
		mask := uint64(len(slots) - 1)
		at := h & mask
		for slots[at] != 0 && slots[at]&upper != h&upper {
			at = (at + 1) & mask
		}
		if slots[at] == 0 {
			first = append(first, int32(i)) //nolint:gosec // the ids of 2^31 segments fill 64 GiB
			slots[at] = h&upper | uint64(len(first))
		}
		numbers[i] = int32(slots[at]&^upper) - 1 //nolint:gosec // see above
	}
	return first
}

// spreadOut is the table at four times its size.
func spreadOut(slots []uint64, first []int32, hashes []uint64) []uint64 {
	larger := make([]uint64, 4*len(slots))
	mask := uint64(len(larger) - 1)
	for n, i := range first {
		at := hashes[i] & mask
		for larger[at] != 0 {
			at = (at + 1) & mask
		}
		const upper = 0xffffffff << 32
		larger[at] = hashes[i]&upper | uint64(n+1)
	}
	return larger
}
