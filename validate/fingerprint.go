package validate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A Hash names how a Fingerprint was made. Fingerprints compare only under the
// same Hash. Besides the two below, an engine's own fast hash may be named by
// engine and function, such as "postgresql/hashtextextended(0,1)": enough to
// compare two sides inside one engine, meaningless across engines.
type Hash string

const (
	// XXH3 is the sum modulo 2^128 of xxh3's 128-bit hash of each user's
	// bytes, made in process; Sum[0] holds the low 64 bits, Sum[1] the high
	// ones. It is the default of a Digest.
	XXH3 Hash = "xxh3-128/v1"
	// MD5 is four sums modulo 2^64 of the big-endian 32-bit words of each
	// user's MD5: the same in Go and in every SQL engine.
	MD5 Hash = "md5x4/v1"
)

// A Fingerprint says which users a side holds, whatever their order: the sum of
// a hash of every user. Sums, unlike XORs, do not cancel repeated users, add up
// over shards and subtract. It detects faults, not attackers: whoever chooses
// the ids can make two sets collide.
type Fingerprint struct {
	Hash Hash
	Sum  [4]uint64
}

// String returns the hash's name, a colon, and the sums in hexadecimal. The
// zero Fingerprint is the empty string.
func (f Fingerprint) String() string {
	if f == (Fingerprint{}) {
		return ""
	}
	return fmt.Sprintf("%s:%016x-%016x-%016x-%016x", f.Hash, f.Sum[0], f.Sum[1], f.Sum[2], f.Sum[3])
}

// MarshalText returns the form of String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the form of String and refuses anything else.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*f = Fingerprint{}
		return nil
	}
	colon := bytes.LastIndexByte(text, ':')
	if colon < 0 {
		return fmt.Errorf("validate: fingerprint %q: want hash:sum-sum-sum-sum", text)
	}
	read := Fingerprint{Hash: Hash(text[:colon])}
	lanes := strings.Split(string(text[colon+1:]), "-")
	if len(lanes) != len(read.Sum) {
		return fmt.Errorf("validate: fingerprint %q: %d sums, want %d", text, len(lanes), len(read.Sum))
	}
	for i, lane := range lanes {
		sum, err := parseLane(lane)
		if err != nil {
			return fmt.Errorf("validate: fingerprint %q: sum %d: %w", text, i+1, err)
		}
		read.Sum[i] = sum
	}
	*f = read
	return nil
}

var errLane = errors.New("want 16 lower-case hexadecimal digits")

func parseLane(lane string) (sum uint64, err error) {
	b, err := hex.DecodeString(lane)
	if err != nil || len(b) != 8 || lane != strings.ToLower(lane) {
		return 0, errLane
	}
	for _, x := range b {
		sum = sum<<8 | uint64(x)
	}
	return sum, nil
}
