package validate

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// letters is a digest whose users are the letters.
func letters(all string) *Digest {
	d := &Digest{}
	for _, letter := range all {
		d.AddString(string(letter))
	}
	return d
}

// missed is what the source holds and the other side does not.
func missed(source, other string) (mismatch, []sketch.Checkpoint) {
	s, o := letters(source).Summary(), letters(other).Summary()
	d := mismatch{source: s.digest, users: o.lower, sum: o.fingerprint.Sum, missingUsers: s.lower - o.lower}
	d.missing = d.algorithm.Subtract(s.digest.sum, d.sum)
	return d, s.digest.marks(d.algorithm)
}

// TestMoved: users that are there in place of others are as many as are missing,
// and as many as are there too often: the fewer of both.
func TestMoved(t *testing.T) {
	for _, c := range []struct {
		reason string
		stored string
		want   int64
	}{
		{"one twice in place of one", "abccefgh", 1},
		{"one three times in place of two", "acccdfgh", 2},
		{"two twice in place of two", "abbddfgh", 2},
		{"one three times, and one is missing", "acccdefgh", 1},
		{"two are missing, and one is there twice", "accefgh", 1},
		{"none is missing", "abbcdefgh", 0},
		{"none is there too often", "acdfgh", 0},
		{"the first ones, all twice", "abcdabcd", 4},
		{"the first ones", "abcdefg", 0},
	} {
		before, after := letters("abcdefgh").Summary(), letters(c.stored).Summary()
		_, x := newMismatch(&pair{stage: storing, before: &before, after: &after}).explain()
		require.True(t, x.exact, c.reason)
		require.Equal(t, c.want, min(x.missing.least, x.foreign.least), c.reason)
		require.Equal(t, before.lower-after.lower, x.missing.least-x.foreign.least, c.reason)
	}
}

// TestExplained: what sums prove of users that were given in this order, and by how
// much the two sides differ then; nothing where nobody is there, or where losses may
// well look like that by chance.
func TestExplained(t *testing.T) {
	first := func(n int) string {
		all := make([]rune, n)
		for i := range all {
			all[i] = rune(0x4E00 + i)
		}
		return string(all)
	}
	exactly := func(missing, foreign int64) extent { return accounted(missing, foreign) }
	truncated := func(detail string, first int64) []cause { return []cause{{Truncated, detail, first}} }
	repeated := func(detail string, first int64) []cause { return []cause{{Repeated, detail, first}} }
	for _, c := range []struct {
		reason         string
		source, stored string
		causes         []cause
		want           extent
	}{
		{"nobody", "abcd", "", nil, extent{}},
		{"all, twice", "abcd", "abcdabcd", repeated("all 4 users are stored twice", 0), exactly(0, 4)},
		{"all, three times", "ab", "ababab", repeated("all 2 users are stored 3 times", 0), exactly(0, 4)},
		{"all, twice, some of whom came again", "abcc", "abccabcc", repeated("all 4 users are stored twice", 0), exactly(0, 4)},
		{"the first, twice", "abcd", "abab", repeated("the first 2 users of the source are stored twice, and no others", 2), exactly(2, 2)},
		{"the first, twice, and all may hold them, too", "abcdccgh", "abab", repeated("the first 2 users of the source are stored twice, and no others", 2), extent{}},
		{"the first half", first(40), first(20), truncated("exactly the first 20 of 40 users", 20), exactly(20, 0)},
		{"the first half, of some who came again", first(40) + "aa", first(20), truncated("exactly the first 20 of 42 users", 20), exactly(22, 0)},
		{"all but one, which is chance", first(11), first(10), nil, exactly(1, 0)},
		{"one user, twice", "abcd", "abccd", repeated("user 3 of the source is stored twice", 0), exactly(0, 1)},
		{"two users, twice", "abcd", "abbcdd", repeated("users 2 and 4 of the source are stored twice", 0), exactly(0, 2)},
		{"some in the middle, and the end", first(80), first(20) + strings.TrimPrefix(first(60), first(40)), []cause{
			{Truncated, "nothing after the first 60 of 80 users", 60}, {Gap, "users 21–40 of the source are missing", 0},
		}, exactly(40, 0)},
		{"up to a limit", first(1001), first(1000), truncated("exactly the first 1,000 of 1,001 users", 1000), exactly(1, 0)},
		{"up to no limit", first(1236), first(1235), nil, exactly(1, 0)},
	} {
		source := &Digest{}
		source.MarkEvery(2)
		for _, letter := range c.source {
			source.AddString(string(letter))
		}
		before, after := source.Summary(), letters(c.stored).Summary()
		causes, x := newMismatch(&pair{stage: storing, before: &before, after: &after}).explain()
		require.Equal(t, c.causes, causes, c.reason)
		require.Equal(t, c.want, x, c.reason)
	}
}

// TestLikelyGaps: of sampled users, runs that are missing are told by the places of
// the first and the last in the source, and by how many were sampled there.
func TestLikelyGaps(t *testing.T) {
	for want, missing := range map[string][]int{
		"likely a run of users is missing, within users 201–391 of the source: of 20 sampled ones there none is stored":             {20},
		"likely runs of users are missing, within users 201–391 and 601–791 of the source: of 40 sampled ones there none is stored": {20, 60},
	} {
		c := &comparison{}
		for i := range int64(100) {
			c.users = append(c.users, compared{first: 10 * i, source: 1, stored: 1})
		}
		for _, from := range missing {
			for i := range 20 {
				c.users[from+i].stored = 0
			}
		}
		causes := (&mismatch{verb: "stored", whose: "the source"}).lost(c)
		require.Len(t, causes, 1)
		require.Equal(t, Gap, causes[0].kind)
		require.Contains(t, causes[0].detail, want)
	}
}

// TestMarks: each user is a mark where the sample holds all, none of them twice;
// else marks are checkpoints, and the two ends.
func TestMarks(t *testing.T) {
	prefixes := func(of ...string) (marks []sketch.Checkpoint) {
		for _, prefix := range of {
			d := letters(prefix)
			marks = append(marks, sketch.Checkpoint{Users: d.users, Sum: d.sum})
		}
		return marks
	}
	marks := func(all string) []sketch.Checkpoint {
		d := &Digest{}
		d.MarkEvery(2)
		for _, letter := range all {
			d.AddString(string(letter))
		}
		s := d.Summary()
		return s.digest.marks(sketch.XXH3)
	}
	require.Equal(t, prefixes("", "a", "ab", "abc"), marks("abc"))
	require.Equal(t, prefixes("", "aa", "aabb", "aabbc"), marks("aabbc"), "after each page")
	require.Equal(t, prefixes("", "aa", "aabb"), marks("aabb"), "the last page ends where the users do")
}

// TestResidue: what is left of a mismatch is one run that is missing or repeated,
// or one page in place of another as long as it; or it is not explained.
func TestResidue(t *testing.T) {
	d, each := missed("abcdefgh", "")
	sumOf := func(all string) sketch.Sum { return letters(all).sum }
	less := d.algorithm.Subtract
	pages := []sketch.Checkpoint{each[0], each[2], each[4], each[5], each[6], each[8]} // ab, cd, e, f, gh
	for _, c := range []struct {
		reason string
		users  int64
		sum    sketch.Sum
		want   []run
		ok     bool
	}{
		{"nothing", 0, sketch.Sum{}, nil, true},
		{"users without a sum", 2, sketch.Sum{}, []run{{times: -1}}, false},
		{"a page missing", 2, sumOf("cd"), []run{{2, 4, -1}}, true},
		{"three pages missing", 4, sumOf("cdef"), []run{{2, 6, -1}}, true},
		{"the last page missing", 2, sumOf("gh"), []run{{6, 8, -1}}, true},
		{"others missing, as many", 2, sumOf("bc"), []run{{times: -1}}, false},
		{"a page twice", -2, less(sketch.Sum{}, sumOf("cd")), []run{{2, 4, 1}}, true},
		{"the first page twice", -2, less(sketch.Sum{}, sumOf("ab")), []run{{0, 2, 1}}, true},
		{"a page in place of an earlier one", 0, less(sumOf("ab"), sumOf("gh")), []run{{0, 2, -1}, {6, 8, 1}}, true},
		{"a page in place of a later one", 0, less(sumOf("gh"), sumOf("cd")), []run{{6, 8, -1}, {2, 4, 1}}, true},
		{"a user in place of another", 0, less(sumOf("e"), sumOf("f")), []run{{4, 5, -1}, {5, 6, 1}}, true},
		{"a page in place of a longer one", 0, less(sumOf("cd"), sumOf("e")), nil, false},
		{"a page in place of a shorter one", 0, less(sumOf("f"), sumOf("gh")), nil, false},
		{"a user in place of one within a page", 0, less(sumOf("e"), sumOf("a")), nil, false},
	} {
		runs, ok := d.residue(pages, c.sum, c.users)
		require.Equal(t, c.ok, ok, c.reason)
		require.Equal(t, c.want, runs, c.reason)
	}
}

// TestGuessMended: where the samples say the wrong thing of a page, what the sums
// leave takes it back.
func TestGuessMended(t *testing.T) {
	d, marks := missed("abcdef", "acf")
	for _, c := range []struct {
		reason string
		pages  []int64
	}{
		{"all right", []int64{0, -1, 0, -1, -1, 0}},
		{"one is there that seemed missing", []int64{0, -1, -1, -1, -1, 0}},
		{"two are missing that seemed to be there", []int64{0, -1, 0, 0, 0, 0}},
	} {
		runs, ok := d.solve(marks, c.pages)
		require.True(t, ok, c.reason)
		require.Equal(t, []run{{1, 2, -1}, {3, 5, -1}}, runs, c.reason)
	}
	_, ok := d.solve(marks, []int64{0, 0, 0, 0, 0, 0})
	require.False(t, ok, "two runs")

	d, marks = missed("abcdefgh", "cde")
	runs, ok := d.solve([]sketch.Checkpoint{marks[0], marks[2], marks[4], marks[5], marks[6], marks[8]}, []int64{-1, 0, 0, 0, -1})
	require.True(t, ok)
	require.Equal(t, []run{{0, 2, -1}, {5, 8, -1}}, runs, "pages count as many users as they hold")
}

// TestLikelyRepeats: that users are there too often is said where all are known, or
// where enough of the sampled ones are.
func TestLikelyRepeats(t *testing.T) {
	for _, c := range []struct {
		whole    bool
		repeated int
		want     []cause
	}{
		{true, 0, nil},
		{true, 1, []cause{{kind: Repeated, detail: "of 20 users of the source 1 is stored more often than they came"}}},
		{true, 10, []cause{{kind: Repeated, detail: "of 20 users of the source 10 are stored more often than they came"}}},
		{false, 9, nil},
		{false, 10, []cause{{kind: Repeated, detail: "of 20 sampled users of the source 10 are stored more often than they came"}}},
	} {
		users := slices.Repeat([]compared{{source: 1, stored: 1}}, 20)
		got := (&mismatch{verb: "stored", whose: "the source"}).likely(&comparison{whole: c.whole, users: users, repeated: c.repeated})
		require.Equal(t, c.want, got, "%+v", c)
	}
}

// TestPlaces: five runs are named, and of more how many.
func TestPlaces(t *testing.T) {
	runs := []run{{0, 1, -1}, {10, 20, -1}, {30, 31, -1}, {40, 50, -1}, {60, 70, -1}, {80, 81, -1}, {90, 91, -1}}
	for n, want := range map[int]string{
		1: "1", 2: "1 and 11–20", 5: "1, 11–20, 31, 41–50 and 61–70",
		6: "1, 11–20, 31, 41–50, 61–70 and 1 more run", 7: "1, 11–20, 31, 41–50, 61–70 and 2 more runs",
	} {
		require.Equal(t, want, places(runs[:n]))
	}
}
