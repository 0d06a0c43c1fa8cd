package validate

import (
	"crypto/md5" //nolint:gosec // a fingerprint that every SQL engine can make, not a secret
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// A sum is the sum of a hash of every user: one number of 128 bits under XXH3,
// four of 64 bits under MD5.
type sum [4]uint64

// hash128 is what all but the sum keeps of a user.
type hash128 struct{ high, low uint64 }

func (a algorithm) add(x, y sum) sum {
	var carry uint64
	x[0], carry = bits.Add64(x[0], y[0], 0)
	x[1] += y[1]
	if a == xxh3Sum {
		x[1] += carry
	}
	x[2] += y[2]
	x[3] += y[3]
	return x
}

// subtract is exact as add is: what add did, it takes back.
func (a algorithm) subtract(x, y sum) sum {
	var borrow uint64
	x[0], borrow = bits.Sub64(x[0], y[0], 0)
	x[1] -= y[1]
	if a == xxh3Sum {
		x[1] -= borrow
	}
	x[2] -= y[2]
	x[3] -= y[3]
	return x
}

// times is x added up n times, or taken away where n is negative.
func (a algorithm) times(n int64, x sum) sum {
	u := uint64(max(n, -n)) //nolint:gosec // the magnitude, also of the least n
	over, low := bits.Mul64(x[0], u)
	high := x[1] * u
	if a == xxh3Sum {
		high += over
	}
	product := sum{low, high, x[2] * u, x[3] * u}
	if n < 0 {
		return a.subtract(sum{}, product)
	}
	return product
}

// md5Hash is what a user adds to the four lanes, and the same as a hash.
func md5Hash(user string) (sum, hash128) {
	h := md5.Sum(unsafe.Slice(unsafe.StringData(user), len(user))) //nolint:gosec // as above; Sum only reads
	high, low := binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:])
	return sum{high >> 32, high & 0xffffffff, low >> 32, low & 0xffffffff}, hash128{high, low}
}

// asString is the bytes of a user as a string, without a copy. Nothing here
// keeps it longer than the call to which the user was given.
func asString[U ~string | ~[]byte](user U) string {
	return *(*string)(unsafe.Pointer(&user)) //nolint:gosec // a slice begins with what a string is: pointer and length
}
