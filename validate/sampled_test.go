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

// TestUnlikely: a run shows a cause only where chance does not make it even with as
// many losses as there are around it.
func TestUnlikely(t *testing.T) {
	early, middle, end := run{100, 140, -1}, run{500, 560, -1}, run{980, 1000, -1}
	single := run{300, 301, -1}
	require.Equal(t, []run{early, single, middle, end}, holding(1000, early, single, middle, end).gaps())
	require.Empty(t, holding(10).gaps())

	every := func(from, to, step, lost int64) (all []run) {
		for ; from < to; from += step {
			all = append(all, run{from, from + lost, -1})
		}
		return all
	}
	for _, c := range []struct {
		reason      string
		lost, found []run
	}{
		{"one", []run{middle}, []run{middle}},
		{"two", []run{early, middle}, []run{early, middle}},
		{"there is one place at the end", []run{end}, []run{end}},
		{"with the end among them", []run{early, middle, end}, []run{early, middle, end}},
		{"one user besides is chance", []run{single, middle}, []run{middle}},
		{"few users", []run{single, {700, 709, -1}}, nil},
		{"nine at the end", []run{{991, 1000, -1}}, nil},
		{"two of every twenty", every(20, 420, 20, 2), nil},
		{"thirty of every forty, and those at the end", append(every(500, 960, 40, 30), run{970, 1000, -1}), nil},
		{"the same users at the end, and all before are there", []run{{970, 1000, -1}}, []run{{970, 1000, -1}}},
		{"but one in the middle of a run", []run{{400, 500, -1}, {501, 600, -1}}, []run{{400, 500, -1}, {501, 600, -1}}},
		{"but one in the middle of a short one", []run{{400, 430, -1}, {431, 460, -1}}, nil},
	} {
		found, likeliest := unlikely(c.lost, 1000)
		require.Equal(t, c.found, found, c.reason)
		for _, r := range found {
			require.LessOrEqual(t, luckOf(r, c.lost, 1000), likeliest, c.reason)
		}
	}
}

// TestLuck: the chance is at least the share, of all ways to lose so many of the users
// around a run, in which all of some run of its length are lost.
func TestLuck(t *testing.T) {
	const users = 12
	for length := int64(1); length <= 6; length++ {
		for from := int64(0); from+length <= users; from++ {
			r := run{from, from + length, -1}
			start, stop := max(0, from-length), min(users, from+2*length)
			for lost := length; lost <= stop-start; lost++ {
				missing := []run{r}
				for i := start; i < stop && lost > length; i++ { // others, one by one
					if int64(len(missing)) <= lost-length && (i < from || i >= from+length) {
						missing = append(missing, run{i, i + 1, -1})
					}
				}
				ways, all := 0, 0
				around := int(stop - start)
				for set := range uint(1) << around {
					if bits.OnesCount(set) != int(lost) {
						continue
					}
					all++
					if set>>(from-start)&(1<<length-1) == 1<<length-1 {
						ways++
					}
				}
				places := float64(users - length + 1)
				if r.to == users {
					places = 1
				}
				want := min(0, math.Log10(places*float64(ways)/float64(all)))
				require.InDelta(t, want, float64(luckOf(r, missing, users)), 1e-9, "%+v of %d lost", r, lost)
			}
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

// TestAtLeastAndMost: at either end of Wilson's interval the share found is five
// standard errors of that end away, which is how it is defined.
func TestAtLeastAndMost(t *testing.T) {
	for _, sampled := range []int64{1, 10, 4096, 8191} {
		for _, found := range []int64{0, 1, sampled / 3, sampled - 1, sampled} {
			share := float64(found) / float64(sampled)
			low, high := atLeastAndMost(share, int(sampled))
			for _, end := range []float64{low, high} {
				require.InDelta(t, 25*end*(1-end)/float64(sampled), (share-end)*(share-end), 1e-12, "%d of %d: %v", found, sampled, end)
			}
			require.LessOrEqual(t, low, share+1e-15)
			require.GreaterOrEqual(t, high, share-1e-15)
			require.Less(t, low, high)
		}
	}
}

// TestNoToleranceByChance: where not one user may be missing, or be there that should
// not, a bound by chance proves nothing, however low it is.
func TestNoToleranceByChance(t *testing.T) {
	before, after := Count(10), Count(10)
	for _, c := range []struct {
		short, surplus int64
		guessed        bool
		found          int
	}{{1, 1, true, 0}, {0, 1, true, 1}, {1, 0, true, 1}, {0, 0, true, 1}, {0, 0, false, 0}} {
		j := judge{policy: &Policy{}, out: &Output{}, report: &Report{}}
		p := pair{stage: storing, before: &before, after: &after, users: 10, short: c.short, surplus: c.surplus}
		j.exchanged(&p, &extent{guessed: c.guessed}, nil)
		require.Len(t, j.report.Findings, c.found, "%+v", c)
	}
}
