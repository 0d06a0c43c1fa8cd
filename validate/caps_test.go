package validate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKnownCaps(t *testing.T) {
	caps := KnownCaps()
	require.True(t, slices.IsSortedFunc(caps, func(a, b Cap) int { return int(a.Users - b.Users) }), "by number, and binary search needs it")
	seen := map[Cap]bool{}
	for _, c := range caps {
		require.Positive(t, c.Users)
		require.NotEmpty(t, c.Origin)
		require.False(t, seen[c], "twice: %v", c)
		seen[c] = true
	}
	at := capSet{}.at(10000)
	require.Equal(t, "Elasticsearch index.max_result_window", at[0].Origin, "the likeliest first")
	require.Greater(t, len(at), 5, "all are named")
	caps[0].Origin = "changed by a caller"
	require.NotEqual(t, caps[0], KnownCaps()[0], "a copy each time")
}

func TestCapLookupsMatchScan(t *testing.T) {
	own := []Cap{{Users: 777, Origin: "ours"}, {Users: 10000, Origin: "ours too"}}
	all := slices.Concat(own, KnownCaps())
	random := rand.New(rand.NewPCG(5, 6))
	check := func(n int64) {
		var want []Cap
		var largest int64
		for _, c := range all {
			if c.Users == n {
				want = append(want, c)
			}
			if c.Users >= 1000 && n%c.Users == 0 && n >= 2*c.Users {
				largest = max(largest, c.Users)
			}
		}
		require.Equal(t, want, capSet{own: own}.at(n), n)
		require.Equal(t, want != nil, capSet{own: own}.has(n), n)
		limit, times, ok := capSet{own: own}.multiple(n, 1<<40+15) // a prime, and a loss so large that chance hardly makes a multiple
		require.Equal(t, largest, limit.Users, n)
		require.Equal(t, largest > 0, ok, n)
		require.Equal(t, ok, ok && times*limit.Users == n, n)
	}
	for _, c := range all {
		for _, n := range []int64{c.Users - 1, c.Users, c.Users + 1, 2 * c.Users, 17 * c.Users} {
			check(n)
		}
	}
	for range 10_000 {
		check(random.Int64N(2_000_000))
	}
	require.Equal(t, "ours too", capSet{own: own}.at(10000)[0].Origin, "the policy's own first")
}
