package validate

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// comparedOf is a comparison of users with one place each: how often the source
// and the other side hold them.
func comparedOf(counts ...[2]int64) *comparison {
	c := &comparison{}
	for i, n := range counts {
		c.add(int64(i), n[0], n[1])
	}
	return c
}

func TestComparisonCounts(t *testing.T) {
	c := comparedOf([2]int64{3, 1}, [2]int64{1, 0}, [2]int64{2, 0}, [2]int64{1, 4}, [2]int64{2, 3}, [2]int64{1, 1})
	require.EqualValues(t, 10, c.held)
	require.EqualValues(t, 2+1+2, c.missing, "of each user, what the source holds more of")
	require.EqualValues(t, 3+1, c.surplus, "of each user, what the other side holds more of")
	require.Equal(t, 2, c.absent)
	require.Equal(t, 2, c.repeated)
}

// snapshotOf is a side that holds these users.
func snapshotOf(users ...string) *snapshot {
	var d Digest
	d.AddStrings(users)
	s := d.Summary()
	return s.digest
}

// TestCompareTellsForeignUsersApart: what the other side holds too much of is
// either a user that the source holds, too, or one that it does not.
func TestCompareTellsForeignUsersApart(t *testing.T) {
	c := compare(snapshotOf("a", "a", "b", "c"), snapshotOf("a", "a", "a", "c", "x", "x"), false)
	require.True(t, c.whole)
	require.EqualValues(t, 1, c.missing, "b")
	require.EqualValues(t, 2, c.foreign, "x, twice")
	require.EqualValues(t, 1+2, c.surplus, "a once more, and x")
	c = compare(snapshotOf("a", "a", "b", "c"), snapshotOf("a", "a", "a", "c", "x", "x"), true)
	require.Equal(t, []int64{3, 1, 1, 1}, []int64{c.held, c.missing, c.foreign, c.surplus}, "distinct users")
}

func TestKeepsOnce(t *testing.T) {
	for _, c := range []struct {
		reason          string
		source, stored  *snapshot
		once, onlyLacks bool
	}{
		{"each once, and one was to come more often", snapshotOf("a", "a", "b"), snapshotOf("a", "b"), true, true},
		{"another is missing", snapshotOf("a", "a", "b"), snapshotOf("a"), true, false},
		{"another is there besides", snapshotOf("a", "a", "b"), snapshotOf("a", "b", "c"), true, false},
		{"none was to come more often", snapshotOf("a", "b"), snapshotOf("a", "b"), false, false},
		{"one is there twice", snapshotOf("a", "a", "b"), snapshotOf("a", "b", "b"), false, false},
	} {
		compared := compare(c.source, c.stored, false)
		require.Equal(t, c.once, compared.keepsOnce(), c.reason)
		require.Equal(t, c.onlyLacks, compared.lacksRepeats(), c.reason)
	}
}

// TestCompareAtTheFloor: a user exactly at the floor of the other side is in
// both samples, one below it in one.
func TestCompareAtTheFloor(t *testing.T) {
	side := func(floor uint64, highs ...uint64) *snapshot {
		s := &snapshot{contents: contents{sample: sketch.Sample{Floor: floor}}}
		for i, high := range highs {
			s.sample.Add(sketch.Hash{High: high}, 1, int64(i))
		}
		return s
	}
	c := compare(side(0, 4, 5, 9), side(5, 5, 9), false)
	require.Equal(t, []int64{2, 0, 0}, []int64{c.held, c.missing, c.foreign}, "4 is below the floor of 5")
	require.False(t, c.whole)
	c = compare(side(5, 9), side(0, 4, 5, 9), false)
	require.Equal(t, []int64{1, 0, 1}, []int64{c.held, c.missing, c.foreign}, "the source lacks 5, and need not hold 4")
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		reason string
		counts [][2]int64
		want   int64
	}{
		{"none is there", [][2]int64{{1, 0}, {2, 0}}, -1},
		{"all as they should be", [][2]int64{{1, 1}, {2, 2}}, 0},
		{"all twice", [][2]int64{{1, 2}, {2, 4}, {3, 6}}, 1},
		{"all three times", [][2]int64{{2, 6}, {1, 3}}, 2},
		{"twice and three times", [][2]int64{{1, 2}, {1, 3}}, 0},
		{"not a whole multiple", [][2]int64{{2, 3}, {2, 3}}, 0},
		{"some are there", [][2]int64{{1, 0}, {1, 1}}, 0},
		{"nothing", nil, 0},
	} {
		compared := comparedOf(c.counts...)
		require.Equal(t, c.want, compared.alike(0, len(compared.users)), c.reason)
	}
}

// holding is a comparison of n users that lacks those in the runs.
func holding(n int, lost ...run) *comparison {
	counts := make([][2]int64, n)
	for i := range counts {
		counts[i] = [2]int64{1, 1}
	}
	for _, r := range lost {
		for i := r.from; i < r.to; i++ {
			counts[i][1] = 0
		}
	}
	return comparedOf(counts...)
}

// TestPagesWithoutSample: a page without a sampled user is as its neighbours are,
// where they are alike, and as the only neighbour at an end.
func TestPagesWithoutSample(t *testing.T) {
	var marks []sketch.Checkpoint
	for users := int64(0); users <= 50; users += 10 {
		marks = append(marks, sketch.Checkpoint{Users: users})
	}
	there, lost, twice := compared{0, 1, 1}, compared{0, 1, 0}, compared{0, 1, 2}
	for _, c := range []struct {
		reason string
		at     map[int64]compared // by page
		want   []int64
	}{
		{"all are sampled", map[int64]compared{0: there, 1: lost, 2: twice, 3: lost, 4: there}, []int64{0, -1, 1, -1, 0}},
		{"between two that are missing", map[int64]compared{0: there, 1: lost, 3: lost, 4: there}, []int64{0, -1, -1, -1, 0}},
		{"between one that is missing and one that is not", map[int64]compared{0: there, 1: lost, 3: there, 4: lost}, []int64{0, -1, 0, 0, -1}},
		{"between one that is there and one that is missing", map[int64]compared{0: there, 1: there, 3: lost, 4: there}, []int64{0, 0, 0, -1, 0}},
		{"before all others", map[int64]compared{2: lost, 3: there, 4: there}, []int64{-1, -1, -1, 0, 0}},
		{"behind all others", map[int64]compared{0: there, 1: there, 2: twice}, []int64{0, 0, 1, 1, 1}},
		{"no page is sampled", nil, []int64{0, 0, 0, 0, 0}},
	} {
		var sampled comparison
		for page := range int64(5) {
			if u, ok := c.at[page]; ok {
				sampled.add(10*page+3, u.source, u.stored)
			}
		}
		require.Equal(t, c.want, sampled.pages(marks), c.reason)
	}
	repeating := &comparison{repeats: true}
	repeating.add(3, 1, 0)
	repeating.add(23, 1, 0)
	require.Equal(t, []int64{-1, 0, -1, 0, 0}, repeating.pages(marks), "a page of repeats need not lack them")
}

// TestUnlikely: as many of the longest runs are told as chance is least likely
// to make, in the order of the source.
func TestUnlikely(t *testing.T) {
	early, middle, end := run{100, 140, -1}, run{500, 560, -1}, run{980, 1000, -1}
	single := run{300, 301, -1}
	require.Equal(t, []run{early, single, middle, end}, holding(1000, early, single, middle, end).gaps())
	require.Empty(t, holding(10).gaps())

	var twos []run
	for from := int64(20); from < 420; from += 20 {
		twos = append(twos, run{from, from + 2, -1})
	}
	for _, c := range []struct {
		reason      string
		lost, found []run
		want        luck
	}{
		{"one", []run{middle}, []run{middle}, luckOf(1000, 60, 60, 1, false)},
		{"two", []run{early, middle}, []run{early, middle}, luckOf(1000, 100, 100, 2, false)},
		{"there is one place at the end", []run{end}, []run{end}, luckOf(1000, 20, 20, 1, true)},
		{"with the end among them", []run{end, middle, early}, []run{early, middle, end}, luckOf(1000, 120, 120, 3, true)},
		{"one user besides is chance", []run{single, middle}, []run{middle}, luckOf(1000, 61, 60, 1, false)},
		{"three users of a thousand", []run{single, {700, 702, -1}}, nil, 0},
		{"two of every twenty", twos, nil, 0},
		{"two of every twenty, and three", append([]run{{10, 13, -1}}, twos...), append([]run{{10, 13, -1}}, twos...), luckOf(1000, 43, 43, 21, false)},
	} {
		found, chance := unlikely(holding(1000, c.lost...).gaps(), 1000)
		require.Equal(t, c.found, found, c.reason)
		require.InDelta(t, float64(c.want), float64(chance), 0, c.reason)
	}
}

// TestLuck holds the bound against all ways to lay the runs, one by one.
func TestLuck(t *testing.T) {
	const all = 10
	type laid struct {
		taken, runs int
		end         bool
	}
	ways := map[laid]float64{}
	for set := uint(1); set < 1<<all; set++ {
		w := laid{taken: bits.OnesCount(set), runs: bits.OnesCount(set &^ (set << 1))}
		ways[w]++
		if set>>(all-1) == 1 {
			w.end = true
			ways[w]++
		}
	}
	for w, n := range ways {
		for lost := w.taken; lost <= all; lost++ {
			want := n
			for i := range w.taken {
				want *= float64(lost-i) / float64(all-i)
			}
			got := luckOf(all, int64(lost), int64(w.taken), int64(w.runs), w.end)
			require.InDelta(t, min(0, math.Log10(want)), float64(got), 1e-9, "%+v of %d lost", w, lost)
		}
	}
}

func TestLuckText(t *testing.T) {
	for l, want := range map[luck]string{
		-9.7: "1 in 10^9", -12: "1 in 10^12", -14.7: "1 in 10^14", -15.1: "under 1 in 10^15", -900: "under 1 in 10^15",
	} {
		require.Equal(t, want, l.String())
	}
	require.NotContains(t, luck(-15).String(), "under")
	require.True(t, luck(-8.9).plausible())
	require.False(t, luck(-9).plausible(), "at the limit a cause is claimed")
}

// TestUnseen: users that the sample does not speak for are those beyond the
// distinct ones times its average, 2 ± 1/√16 here, by more than three standard
// errors; as many more may be.
func TestUnseen(t *testing.T) {
	var c comparison
	for i := range int64(16) {
		c.add(i, 1+i%2*2, 0) // 1 and 3, and so 2 on average, by a standard deviation of 1
	}
	for users, want := range map[int64]int64{200: 0, 275: 0, 276: 76 + 75, 1200: 1000 + 75} {
		source := snapshot{contents: contents{users: users, sample: sketch.Sample{Users: make([]sketch.Sampled, 100)}}}
		require.Equal(t, want, c.unseen(&source), "%d users", users)
	}
}

// TestBounds: at either end of Wilson's interval the share found is three
// standard errors of that end away, which is how it is defined.
func TestBounds(t *testing.T) {
	for _, sampled := range []int64{1, 10, 4096, 8191} {
		for _, found := range []int64{0, 1, sampled / 3, sampled - 1, sampled} {
			share := float64(found) / float64(sampled)
			low, high := bounds(share, int(sampled))
			for _, end := range []float64{low, high} {
				require.InDelta(t, 9*end*(1-end)/float64(sampled), (share-end)*(share-end), 1e-12, "%d of %d: %v", found, sampled, end)
			}
			require.LessOrEqual(t, low, share+1e-15)
			require.GreaterOrEqual(t, high, share-1e-15)
			require.Less(t, low, high)
		}
	}
}

// The chance of losses at random to look like runs, against counting the ways in
// which it can happen.
func TestLuckIsNoLessThanTheChance(t *testing.T) {
	for all := 1; all <= 14; all++ {
		for lost := 1; lost <= all; lost++ {
			within := map[[2]int]int{} // runs, the last at the end or not: how many ways have at most so many
			ways := 0
			for mask := range 1 << all {
				runs, users := 0, 0
				for i := range all {
					if mask>>i&1 == 1 {
						users++
						if i == 0 || mask>>(i-1)&1 == 0 {
							runs++
						}
					}
				}
				if users != lost {
					continue
				}
				ways++
				within[[2]int{runs, mask >> (all - 1)}]++
			}
			for runs := 1; runs <= lost; runs++ {
				chance := float64(within[[2]int{runs, 0}]+within[[2]int{runs, 1}]) / float64(ways)
				require.GreaterOrEqual(t, math.Pow(10, float64(luckOf(int64(all), int64(lost), int64(lost), int64(runs), false)))*(1+1e-9), chance, "%d of %d in %d runs", lost, all, runs)
				atEnd := float64(within[[2]int{runs, 1}]) / float64(ways)
				require.GreaterOrEqual(t, math.Pow(10, float64(luckOf(int64(all), int64(lost), int64(lost), int64(runs), true)))*(1+1e-9), atEnd, "%d of %d in %d runs, one at the end", lost, all, runs)
			}
		}
	}
}
