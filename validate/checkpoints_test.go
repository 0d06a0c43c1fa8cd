package validate

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// every is checkpoints of one kind, step users apart, after so many users.
func every(step, after int64, n int, at place) (list []checkpoint) {
	for i := range int64(n) {
		list = append(list, checkpoint{users: after + (i+1)*step, at: at})
	}
	return list
}

func added(page int64, lists ...[]checkpoint) (c checkpoints) {
	for _, list := range lists {
		for _, p := range list {
			c.add(p, page)
		}
	}
	return c
}

// TestThinnedPages: every other page stays, counted from the last seam, and
// whatever stands at no page.
func TestThinnedPages(t *testing.T) {
	const shard = 4500
	limit := []checkpoint{{users: 10_000, at: atCap}}
	c := added(1000, every(1000, 0, 4, atPage), []checkpoint{{users: shard, at: atSeam}}, every(1000, shard, 5, atPage), limit, every(1000, shard+5000, maxCheckpoints-11, atPage))

	require.Equal(t, int64(2000), c.stride(1000))
	require.Equal(t, []checkpoint{{users: 2000}, {users: 4000}, {users: shard, at: atSeam}, {users: shard + 2000}, {users: shard + 4000}, {users: 10_000, at: atCap}, {users: shard + 6000}}, c.list[:7])
	for i := 7; i < len(c.list); i++ {
		require.Equal(t, c.list[i-1].users+2000, c.list[i].users)
	}
}

// TestThinnedSeams: where those that stand at no page leave less than a quarter
// of the room, every other one goes, too, but neither the newest nor a limit.
func TestThinnedSeams(t *testing.T) {
	limits := every(1, 0, 100, atCap)
	c := added(1000, limits, every(1, 100, maxCheckpoints-100, atSeam))
	require.Equal(t, limits, c.list[:100])
	require.Equal(t, 100+(maxCheckpoints-100)/2, len(c.list)) //nolint:testifylint // thousands of them tell nobody anything
	require.Equal(t, int64(maxCheckpoints), c.list[len(c.list)-1].users)

	c = added(1000, every(1000, 0, maxCheckpoints/2, atPage), every(1, 1000*maxCheckpoints, maxCheckpoints/2, atSeam))
	require.Equal(t, maxCheckpoints*3/4, len(c.list), "half of the pages went: that is room enough") //nolint:testifylint // as above
}

// TestStrideOfSmallShards: however many seams ask for room, pages stay within
// what there is, and the list within its bound.
func TestStrideOfSmallShards(t *testing.T) {
	var c checkpoints
	for i := range int64(5 * maxCheckpoints) {
		c.add(checkpoint{users: i + 1, at: atSeam}, 1000)
		if len(c.list) >= maxCheckpoints || c.stride(1000) > max(1000, i+1) {
			require.Fail(t, "too many or too far apart", "%d checkpoints, pages of %d, after %d users", len(c.list), c.stride(1000), i+1)
		}
	}
	for _, test := range []struct{ page, want int64 }{{maxCheckpoints / 2, maxCheckpoints}, {maxCheckpoints/2 + 1, maxCheckpoints/2 + 1}} {
		c := added(test.page, every(1, 0, maxCheckpoints, atSeam))
		require.Equal(t, test.want, c.stride(test.page), "pages of more than half of what there is are not doubled")
	}
}

func TestCheckpointsMeet(t *testing.T) {
	c := added(1000, []checkpoint{{users: 1000, at: atPage}, {users: 1000, at: atSeam}, {users: 1000, at: atPage}})
	require.Equal(t, []checkpoint{{users: 1000, at: atSeam}}, c.list, "one at each place, of what must not be dropped")
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
		require.Equal(t, c.want, nextMultiple(c.n, c.step), c.reason)
	}
}
