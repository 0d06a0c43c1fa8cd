package validate_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate"
)

// FuzzDigestBinary changes the binary form under a checksum that is right: what
// is read must write the same, and nothing may panic.
func FuzzDigestBinary(f *testing.F) {
	for _, n := range []int{0, 1, 20, 9000} { // the last one with a table
		for _, hash := range []validate.Hash{validate.XXH3, validate.MD5} {
			d := validate.NewDigest(hash)
			d.AddStrings(users(n, 1))
			data, err := d.MarshalBinary()
			require.NoError(f, err)
			f.Add(data[:len(data)-8])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		data := binary.BigEndian.AppendUint64(slices.Clone(body), xxh3.Hash(body))
		var d validate.Digest
		if d.UnmarshalBinary(data) != nil {
			return
		}
		again, err := d.MarshalBinary()
		require.NoError(t, err)
		var twice validate.Digest
		require.NoError(t, twice.UnmarshalBinary(again))
		require.Equal(t, d.Summary().Fingerprint(), twice.Summary().Fingerprint())
		d.AddString("one more")
		_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: d.Summary(), Stored: twice.Summary()})
		require.Error(t, err, "one user is missing")
		if diff, err := validate.Diff(d.Summary(), twice.Summary()); err == nil {
			times, known := diff.Of("one more")
			require.True(t, diff.Exact() && known)
			require.Equal(t, int64(1), times)
		}
	})
}

// FuzzDigestAgainstMultiset splits the input into users at each zero byte and
// into two sides at the first 0xff, and holds digests to what a map would say.
func FuzzDigestAgainstMultiset(f *testing.F) {
	f.Add([]byte("a\x00a\x00c\xffb\x00b\x00c"))
	f.Add([]byte("a\x00b\xffb\x00a"))
	f.Add([]byte("a\x00a\xffb\x00b"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, input []byte) {
		left, right, _ := bytes.Cut(input, []byte{0xff})
		a, b := bytes.Split(left, []byte{0}), bytes.Split(right, []byte{0})
		for _, hash := range []validate.Hash{validate.XXH3, validate.MD5} {
			requireAsMultiset(t, hash, a, b)
		}
	})
}

func requireAsMultiset(t *testing.T, hash validate.Hash, a, b [][]byte) {
	t.Helper()
	of := func(users ...[]byte) *validate.Digest {
		d := validate.NewDigest(hash)
		d.AddAll(users)
		return d
	}
	da, db := of(a...), of(b...)
	require.Equal(t, multisetsEqual(a, b), da.Summary().Fingerprint() == db.Summary().Fingerprint(), "equal if and only if the multisets are")
	require.Equal(t, validate.Count(int64(len(multiset(a)))), da.Distinct())

	backwards := slices.Clone(a)
	slices.Reverse(backwards)
	require.Equal(t, da.Summary().Fingerprint(), of(backwards...).Summary().Fingerprint(), "order never matters")

	merged := of(a...)
	require.NoError(t, merged.Merge(db))
	all := of(slices.Concat(a, b)...)
	require.Equal(t, all.Summary().Fingerprint(), merged.Summary().Fingerprint(), "merging equals adding")
	require.Equal(t, all.Users(), merged.Users())
	require.Equal(t, all.Distinct(), merged.Distinct())

	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: da.Summary(), Stored: db.Summary()})
	require.Equal(t, multisetsEqual(a, b), err == nil)
	_, err = validate.Check(t.Context(), validate.Policy{Distinct: true}, validate.Output{Expected: da.Summary(), Stored: db.Summary()})
	require.Equal(t, setsEqual(a, b), err == nil)
}

func multiset(users [][]byte) map[string]int {
	m := map[string]int{}
	for _, u := range users {
		m[string(u)]++
	}
	return m
}

func multisetsEqual(a, b [][]byte) bool {
	ma, mb := multiset(a), multiset(b)
	for u, n := range ma {
		if mb[u] != n {
			return false
		}
	}
	return len(ma) == len(mb)
}

func setsEqual(a, b [][]byte) bool {
	ma, mb := multiset(a), multiset(b)
	for u := range ma {
		if mb[u] == 0 {
			return false
		}
	}
	return len(ma) == len(mb)
}

// What one side holds beyond the other is the difference of their sums.
func TestFingerprintsSubtract(t *testing.T) {
	source := users(1000, 1)
	all, part, rest := digest(source), digest(source[:600]), digest(source[600:])
	require.NoError(t, part.Merge(rest))
	require.Equal(t, all.Summary().Fingerprint(), part.Summary().Fingerprint())
}

func TestRepeatsDoNotCancel(t *testing.T) {
	for _, test := range []struct {
		a, b   []string
		reason string
	}{
		{[]string{"a", "a", "c"}, []string{"b", "b", "c"}, "a XOR would see c alone"},
		{[]string{"a", "a", "b", "b"}, []string{"c", "c", "d", "d"}, "pairs across two shards"},
		{[]string{"a", "a"}, []string{}, "nothing and a pair"},
	} {
		half := len(test.a) / 2
		shards := digest(test.a[:half])
		require.NoError(t, shards.Merge(digest(test.a[half:])))
		require.NotEqual(t, shards.Summary().Fingerprint(), digest(test.b).Summary().Fingerprint(), test.reason)
	}
}

// 2.5 MiB, whatever the input.
func TestDigestIsBounded(t *testing.T) {
	source := users(300_000, 1)
	var d validate.Digest
	for i := range 40 {
		d.MarkEvery(1)
		d.AddStrings(source)
		require.NoError(t, d.Merge(digest(users(1000, uint64(i)))))
	}
	require.Less(t, len(marshal(t, &d)), 3<<19)
}
