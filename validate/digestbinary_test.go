package validate

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A forged digest is what the binary form of a digest says, right or wrong, under a
// checksum that is right: a digest that a peer made, not one that was damaged.
type forged struct {
	hash, flaw  string
	users, page int64
	sum         sketch.Sum
	checkpoints sketch.Checkpoints
	sample      sketch.Sample
	size        int64
	table       *sketch.Table
	rest        []byte
}

func (f forged) body() []byte {
	w := sketch.Writer(digestMagic)
	w.Text(f.hash)
	w.Text(f.flaw)
	w.Numbers(f.users, f.page)
	w.Words(f.sum[:]...)
	f.checkpoints.Append(&w)
	f.sample.Append(&w)
	if f.table != nil {
		f.table.Append(&w)
	} else {
		w.Numbers(f.size)
	}
	return append(w, f.rest...)
}

func unmarshal(body []byte) error {
	w := sketch.Writer(slices.Clone(body))
	w.Words(xxh3.Hash(body))
	return new(Digest).UnmarshalBinary(w)
}

func forge(d *Digest, edit func(*forged)) forged {
	d.settle()
	f := forged{
		hash: string(d.hash()), users: d.users, page: d.page, sum: d.sum,
		checkpoints: d.checkpoints.Clone(), sample: d.sample.Clone(), table: d.table.Clone(),
	}
	edit(&f)
	return f
}

// few is five users in pages of two, of whom none was dropped; many has dropped
// some.
func few(edit func(*forged)) forged {
	d := &Digest{}
	d.MarkEvery(2)
	d.AddStrings([]string{"a", "a", "b", "a", "b"})
	return forge(d, edit)
}

func many(edit func(*forged)) forged { return forge(numbered(9000), edit) }

func numbered(n int) *Digest {
	d := &Digest{}
	for i := range n {
		d.AddString(strconv.Itoa(i))
	}
	d.settle()
	return d
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
		{"the first reason is told", few(func(f *forged) { f.hash, f.checkpoints.Doublings = "crc32", 63 }), `hash is "crc32"`},
		{"a sum of more numbers than the hash has", few(func(f *forged) { f.sum[3] = 1 }), "sum: 4 numbers, want 2"},
		{"more than there can be", few(func(f *forged) { f.users = -1 }), "users: want a number up to 9223372036854775807"},
		{"something behind it", few(func(f *forged) { f.rest = []byte("abc") }), "3 bytes too many"},

		{"users missing of which none was dropped", few(func(f *forged) { f.users++ }), "5 users of 6, or not those of the sum"},
		{"other users than those of the sum", few(func(f *forged) { f.sum[1]++ }), "5 users of 5, or not those of the sum"},
		{"no users and a floor", forged{hash: string(XXH3), sample: sketch.Sample{Floor: 7}}, "want the floor to be that of 4096 users or more"},
		{"a limit of a build that knows others", few(func(f *forged) { f.checkpoints.List[0].At = sketch.AtCap }), ""},

		{"asking for a larger table", few(func(f *forged) { f.size = 22 }), ""},
		{"asking for one that there is not", few(func(f *forged) { f.size = 23 }), "table: want a number up to 22"},
		{"asking for one that is too small", few(func(f *forged) { f.size = 13 }), "table: 4096 cells in each part, want 8192 or more"},
		{"without a table", many(func(f *forged) { f.table = nil }), "table: 1 cells in each part, want 8192 or more"},
		{"a table of others", many(func(f *forged) { f.table = numbered(9001).settled() }), "cell: want a number up to"},
		{"a table of as many others", many(func(f *forged) { f.table = others(9000).settled() }), "table: the parts do not hold the same users, or not those of the sum"},
	} {
		err := unmarshal(c.form.body())
		if c.says == "" {
			require.NoError(t, err, c.reason)
			continue
		}
		require.ErrorContains(t, err, c.says, c.reason)
	}
}

func (d *Digest) settled() *sketch.Table {
	d.settle()
	return d.table
}

func others(n int) *Digest {
	d := &Digest{}
	for i := range n {
		d.AddString("other " + strconv.Itoa(i))
	}
	d.settle()
	return d
}

// TestWhatNoDigestCounts: pages and numbers at the ends of what there can be.
func TestPagesOfNoDigest(t *testing.T) {
	for _, c := range []struct {
		reason    string
		page      int64
		doublings uint8
		says      string
	}{
		{"pages of so many users", 1 << 61, 1, ""},
		{"pages beyond all numbers", math.MaxInt64, 1, "doubled 1 times is too large"},
		{"pages that come round again", 1<<62 | 1, 2, "doubled 2 times is too large"},
		{"pages of nothing", 1 << 62, 2, "doubled 2 times is too large"},
	} {
		err := unmarshal(few(func(f *forged) { f.page, f.checkpoints.Doublings = c.page, c.doublings }).body())
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

// TestEarlierVersion: a digest of the first version is refused by its name.
func TestEarlierVersion(t *testing.T) {
	require.ErrorContains(t, unmarshal([]byte("segmentguard digest 1\nxxh3")), `it is of version "1", want 2`)
	require.ErrorContains(t, unmarshal([]byte("segmentguard digest without an end")), "not a digest")
}
