package sketch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// every is checkpoints of one kind, step users apart, after so many users.
func every(step, after int64, n int, at Place) (list []Checkpoint) {
	for i := range int64(n) {
		list = append(list, Checkpoint{Users: after + (i+1)*step, At: at})
	}
	return list
}

func added(page int64, lists ...[]Checkpoint) (c Checkpoints) {
	for _, list := range lists {
		for _, p := range list {
			c.Add(p, page)
		}
	}
	return c
}

// TestThinnedPages: every other page stays, counted from the last seam, and
// whatever stands at no page.
func TestThinnedPages(t *testing.T) {
	const shard = 4500
	limit := []Checkpoint{{Users: 10_000, At: AtCap}}
	c := added(1000, every(1000, 0, 4, AtPage), []Checkpoint{{Users: shard, At: AtSeam}}, every(1000, shard, 5, AtPage), limit, every(1000, shard+5000, MaxCheckpoints-11, AtPage))

	require.Equal(t, int64(2000), c.Stride(1000))
	require.Equal(t, []Checkpoint{{Users: 2000}, {Users: 4000}, {Users: shard, At: AtSeam}, {Users: shard + 2000}, {Users: shard + 4000}, {Users: 10_000, At: AtCap}, {Users: shard + 6000}}, c.List[:7])
	for i := 7; i < len(c.List); i++ {
		require.Equal(t, c.List[i-1].Users+2000, c.List[i].Users)
	}
}

// TestThinnedSeams: where those that stand at no page leave less than a quarter
// of the room, every other one goes, too, but neither the newest nor a limit.
func TestThinnedSeams(t *testing.T) {
	limits := every(1, 0, 100, AtCap)
	c := added(1000, limits, every(1, 100, MaxCheckpoints-100, AtSeam))
	require.Equal(t, limits, c.List[:100])
	require.Equal(t, 100+(MaxCheckpoints-100)/2, len(c.List)) //nolint:testifylint // thousands of them tell nobody anything
	require.Equal(t, int64(MaxCheckpoints), c.List[len(c.List)-1].Users)

	c = added(1000, every(1000, 0, MaxCheckpoints/2, AtPage), every(1, 1000*MaxCheckpoints, MaxCheckpoints/2, AtSeam))
	require.Equal(t, MaxCheckpoints*3/4, len(c.List), "half of the pages went: that is room enough") //nolint:testifylint // as above
}

// TestStrideOfSmallShards: however many seams ask for room, pages stay within
// what there is, and the list within its bound.
func TestStrideOfSmallShards(t *testing.T) {
	var c Checkpoints
	for i := range int64(5 * MaxCheckpoints) {
		c.Add(Checkpoint{Users: i + 1, At: AtSeam}, 1000)
		if len(c.List) >= MaxCheckpoints || c.Stride(1000) > max(1000, i+1) {
			require.Fail(t, "too many or too far apart", "%d checkpoints, pages of %d, after %d users", len(c.List), c.Stride(1000), i+1)
		}
	}
	for _, test := range []struct{ page, want int64 }{{MaxCheckpoints / 2, MaxCheckpoints}, {MaxCheckpoints/2 + 1, MaxCheckpoints/2 + 1}} {
		c := added(test.page, every(1, 0, MaxCheckpoints, AtSeam))
		require.Equal(t, test.want, c.Stride(test.page), "pages of more than half of what there is are not doubled")
	}
}

func TestCheckpointsMeet(t *testing.T) {
	c := added(1000, []Checkpoint{{Users: 1000, At: AtPage}, {Users: 1000, At: AtSeam}, {Users: 1000, At: AtPage}})
	require.Equal(t, []Checkpoint{{Users: 1000, At: AtSeam}}, c.List, "one at each Place, of what must not be dropped")
}

func TestNextMultiple(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		n, step, want int64
		reason        string
	}{
		{0, 1000, 1000, "the first"},
		{999, 1000, 1000, "just below"},
		{1000, 1000, 2000, "above, not at"},
		{most - 1000, 1000, most - most%1000, "the last there is"},
		{most - 7, 7, most - most%7, "which is the largest number itself"},
		{most - most%1000, 1000, most, "there is none"},
		{5, most, most, "nor of a page without end"},
	} {
		require.Equal(t, c.want, NextMultiple(c.n, c.step), c.reason)
	}
}
