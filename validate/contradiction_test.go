package validate

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// TestContradictions: where what was read does not add up to counts and fingerprints,
// nothing of it counts, and no user is known.
func TestContradictions(t *testing.T) {
	for _, n := range []int{100, 9000} {
		a, b := numbered(n+1).Summary(), numbered(n).Summary()
		b.digest.sum[0]++
		require.False(t, diff(a.digest, b.digest).exact, "the one that is missing is not the difference of the sums")
		for reason, edit := range map[string]func(*snapshot){
			"one more":                func(s *snapshot) { s.users++ },
			"another sum":             func(s *snapshot) { s.sum[0]++ },
			"another sum of the rest": func(s *snapshot) { s.sum[1]++ },
		} {
			a, b := numbered(n).Summary(), numbered(n).Summary()
			require.True(t, diff(a.digest, b.digest).exact)
			edit(b.digest)
			d := diff(a.digest, b.digest)
			require.False(t, d.exact, reason)
			require.Empty(t, d.users, reason)
			_, known := d.Of("nobody")
			require.False(t, known, reason)
			net := a.digest.users - b.digest.users
			require.Equal(t, rows{0, a.digest.users}, d.missing, reason)
			require.Equal(t, rows{-net, b.digest.users}, d.foreign, reason)
		}
	}
}

func TestMergeRefusesTooMany(t *testing.T) {
	a, b := numbered(3), numbered(4)
	a.users = math.MaxInt64 - 3
	require.ErrorContains(t, a.Merge(b), "9223372036854775804 users and 4 more, want 9223372036854775807 at most")
	b.users = 3
	require.NoError(t, a.Merge(b))
}

// TestMergedTables: the table of a digest is that of all its users, whichever of its
// shards had one, and of the smaller size where two had.
func TestMergedTables(t *testing.T) {
	of := func(from, to int, resolve int64) *Digest {
		d := &Digest{}
		d.Resolve(resolve)
		for i := from; i < to; i++ {
			d.AddString(string(rune(i)) + "user")
		}
		return d
	}
	want := of(0, 30_000, 1).settled()
	for _, c := range []struct {
		reason   string
		cuts     []int
		resolves []int64
		want     *sketch.Table
	}{
		{"neither", []int{6000, 12_000, 18_000, 24_000}, []int64{1, 1, 1, 1, 1}, want},
		{"the first", []int{20_000, 25_000}, []int64{1, 1, 1}, want},
		{"the last", []int{5000}, []int64{1, 1}, want},
		{"both", []int{15_000}, []int64{1, 1}, want},
		{"a larger one first", []int{15_000}, []int64{20_000, 1}, want},
		{"a larger one last", []int{15_000}, []int64{1, 20_000}, want},
		{"a larger one into whom has none", []int{5000}, []int64{1, 20_000}, of(0, 30_000, 20_000).settled()},
		{"asked for by the first alone", []int{5000, 10_000, 15_000, 20_000, 25_000}, []int64{20_000, 1, 1, 1, 1, 1}, of(0, 30_000, 20_000).settled()},
	} {
		all, from := &Digest{}, 0
		for i, to := range append(c.cuts, 30_000) {
			require.NoError(t, all.Merge(of(from, to, c.resolves[i])))
			from = to
		}
		require.Equal(t, c.want.Size(), all.table.Size(), c.reason)
		require.Equal(t, sketch.Decoded{Complete: true}, c.want.Less(all.settled()).Decode(), c.reason)
	}
}
