package validate

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
)

// A forged digest is what the binary form of a digest says, right or wrong, under a
// checksum that is right: a digest that a peer made, not one that was damaged.
type forged struct {
	hash, flaw             string
	users, page, doublings int64
	checkpoints            []checkpoint
	floor                  uint64
	sample                 []sampled
	rest                   []byte
}

func (f forged) body() []byte {
	w := writer(digestMagic)
	w.text(f.hash)
	w.text(f.flaw)
	w.number(f.users, f.page, f.doublings)
	w.words(make([]uint64, 4)...)
	w.number(int64(len(f.checkpoints)))
	for _, c := range f.checkpoints {
		w.number(c.users, int64(c.at))
		w.words(c.sum[:]...)
	}
	w.words(f.floor)
	w.number(int64(len(f.sample)))
	for _, u := range f.sample {
		w.words(u.hash.high, u.hash.low)
		w.number(u.count, u.first)
	}
	return append(w, f.rest...)
}

func unmarshal(body []byte) error {
	w := writer(slices.Clone(body))
	w.words(xxh3.Hash(body))
	return new(Digest).UnmarshalBinary(w)
}

// few is five users, a and b among them, of whom none was dropped; many has
// dropped some.
func few(edit func(*forged)) forged {
	f := forged{hash: string(XXH3), users: 5, page: 2, checkpoints: []checkpoint{{users: 2}, {users: 4}}, sample: []sampled{{hash128{7, 1}, 3, 0}, {hash128{9, 1}, 2, 4}}}
	edit(&f)
	return f
}

func many(edit func(*forged)) forged {
	f := few(func(*forged) {})
	f.users, f.floor, f.rest = 90, 7, make([]byte, len(registers{}))
	edit(&f)
	return f
}

// TestWhatNoDigestIs: a digest that nobody can have made is refused, for the
// reason that is wrong with it; at each limit it is read.
func TestWhatNoDigestIs(t *testing.T) {
	for _, c := range []struct {
		reason string
		form   forged
		says   string // empty: it is read
	}{
		{"a small one", few(func(*forged) {}), ""},
		{"a large one", many(func(*forged) {}), ""},
		{"one of an unknown hash", few(func(f *forged) { f.hash = "crc32" }), `hash is "crc32"`},
		{"the first reason is told", few(func(f *forged) { f.hash, f.doublings = "crc32", 63 }), `hash is "crc32"`},
		{"more than there can be", few(func(f *forged) { f.users = -1 }), "users: want a number up to 9223372036854775807"},
		{"something behind it", few(func(f *forged) { f.rest = []byte("abc") }), "3 bytes too many"},
		{"without an end", many(func(f *forged) { f.rest = f.rest[5:] }), "5 bytes too few"},

		{"pages of so many users", few(func(f *forged) { f.page, f.doublings = 1<<61, 1 }), ""},
		{"pages beyond all numbers", few(func(f *forged) { f.page, f.doublings = math.MaxInt64, 1 }), "doubled 1 times is too large"},
		{"pages that come round again", few(func(f *forged) { f.page, f.doublings = 1<<62|1, 2 }), "doubled 2 times is too large"},
		{"pages of nothing", few(func(f *forged) { f.page, f.doublings = 1<<62, 2 }), "doubled 2 times is too large"},

		{"checkpoints in no order", few(func(f *forged) { f.checkpoints[1].users = 1 }), "checkpoint at 1 after one at 2"},
		{"a checkpoint twice", few(func(f *forged) { f.checkpoints[1].users = 2 }), "checkpoint at 2 after one at 2"},
		{"a checkpoint at nothing", few(func(f *forged) { f.checkpoints[0].users = 0 }), "checkpoint at 0 after one at 0"},
		{"a checkpoint behind the users", few(func(f *forged) { f.checkpoints[1].users = 6 }), "checkpoint: want a number up to 5"},
		{"a checkpoint at an unknown place", few(func(f *forged) { f.checkpoints[1].at = atSeam + 1 }), "place: want a number up to 2"},

		{"users missing of which none was dropped", few(func(f *forged) { f.sample[1].count = 1 }), "4 users of 5, and none was dropped"},
		{"more users than there are", many(func(f *forged) { f.sample[0].count, f.sample[1].count = 50, 41 }), "count: want a number up to 40"},
		{"as many users as there are", many(func(f *forged) { f.sample[0].count, f.sample[1].count = 50, 40 }), ""},
		{"a user below the floor", many(func(f *forged) { f.sample[0].hash.high = 6 }), "below its floor, or that never came"},
		{"a user that never came", many(func(f *forged) { f.sample[0].count = 0 }), "below its floor, or that never came"},
		{"a user that came after all", many(func(f *forged) { f.sample[0].first = 90 }), "below its floor, or that never came"},
		{"a user that came last", many(func(f *forged) { f.sample[0].first = 89 }), ""},
		{"a user twice", many(func(f *forged) { f.sample[1].hash = f.sample[0].hash }), "a user twice"},

		{"the rarest hash", many(func(f *forged) { f.rest[9] = maxRank }), ""},
		{"a rank that no hash has", many(func(f *forged) { f.rest[9] = maxRank + 1 }), "registers: rank 50, want at most 49"},
	} {
		err := unmarshal(c.form.body())
		if c.says == "" {
			require.NoError(t, err, c.reason)
			continue
		}
		require.ErrorContains(t, err, c.says, c.reason)
	}
}

// TestCutShort: no beginning of a digest is one, though its checksum is right.
func TestCutShort(t *testing.T) {
	for _, whole := range []forged{few(func(*forged) {}), {hash: string(XXH3)}} {
		body := whole.body()
		require.NoError(t, unmarshal(body))
		for n := range body {
			require.Error(t, unmarshal(body[:n]), "%d bytes of %d", n, len(body))
		}
	}
	require.ErrorContains(t, unmarshal([]byte(digestMagic)), "hash: want a number", "it begins as a digest of this version")
}
