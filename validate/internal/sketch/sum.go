package sketch

import (
	"crypto/md5" //nolint:gosec // a fingerprint that every SQL engine can make, not a secret
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// An Algorithm tells how users are hashed and how their hashes are added up.
type Algorithm uint8

// The algorithms. Under None users are only counted.
const (
	XXH3 Algorithm = iota
	MD5
	None
)

// A Sum adds up a hash of every user: one number of 128 bits under XXH3, four of
// 64 bits under MD5.
type Sum [4]uint64

// A Hash is what all but the sum keeps of a user.
type Hash struct{ High, Low uint64 }

// Key returns the half of the hash by which a Table knows the user. A Sample goes
// by the other half.
func (h Hash) Key() uint64 { return h.Low }

// Add returns x + y.
func (a Algorithm) Add(x, y Sum) Sum {
	var carry uint64
	x[0], carry = bits.Add64(x[0], y[0], 0)
	x[1] += y[1]
	if a == XXH3 {
		x[1] += carry
	}
	x[2] += y[2]
	x[3] += y[3]
	return x
}

// Subtract returns x - y. It is exact as Add is: what Add did, it takes back.
func (a Algorithm) Subtract(x, y Sum) Sum {
	var borrow uint64
	x[0], borrow = bits.Sub64(x[0], y[0], 0)
	x[1] -= y[1]
	if a == XXH3 {
		x[1] -= borrow
	}
	x[2] -= y[2]
	x[3] -= y[3]
	return x
}

// Times returns x added up n times, or taken away where n is negative.
func (a Algorithm) Times(n int64, x Sum) Sum {
	u := uint64(max(n, -n)) //nolint:gosec // the magnitude, also of the least n
	over, low := bits.Mul64(x[0], u)
	high := x[1] * u
	if a == XXH3 {
		high += over
	}
	product := Sum{low, high, x[2] * u, x[3] * u}
	if n < 0 {
		return a.Subtract(Sum{}, product)
	}
	return product
}

// Sum returns what one user with this hash adds.
func (a Algorithm) Sum(h Hash) Sum {
	if a == XXH3 {
		return Sum{h.Low, h.High}
	}
	return Sum{h.High >> 32, h.High & 0xffffffff, h.Low >> 32, h.Low & 0xffffffff}
}

// Keys returns the sum modulo 2^64 of the keys of all users whose hashes add up
// to x.
func (a Algorithm) Keys(x Sum) uint64 {
	if a == XXH3 {
		return x[0]
	}
	return x[2]<<32 + x[3]
}

// Hash returns the hash of a user.
func (a Algorithm) Hash(user string) Hash {
	if a == XXH3 {
		h := xxh3.HashString128(user)
		return Hash{h.Hi, h.Lo}
	}
	h := md5.Sum(unsafe.Slice(unsafe.StringData(user), len(user))) //nolint:gosec // as above; Sum only reads
	return Hash{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:])}
}
