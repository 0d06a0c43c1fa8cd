package validate

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDifference is exact where integers are, and keeps its sign where they
// would overflow.
func TestDifference(t *testing.T) {
	const most, least = math.MaxInt64, math.MinInt64
	require.InDelta(t, 12, difference(5, -7), 0)
	require.InDelta(t, -12, difference(-7, 5), 0)
	require.InDelta(t, 1, difference(1<<62+1, 1<<62), 0, "float64 holds neither")
	require.InDelta(t, -1, difference(-1<<62-1, -1<<62), 0)
	require.Positive(t, difference(most, -most))
	require.Negative(t, difference(-most, most))
	require.Positive(t, difference(0, least))
	require.Negative(t, difference(least, 0))
}

// TestStepTexts: what can be said is said, and nothing is divided by zero.
func TestStepTexts(t *testing.T) {
	none, five := Count(0), Count(5)
	mapped := step{stage: mapping, ratio: Ratio{Min: 0.7, Max: 0.9}, before: &none, after: &five}
	require.Equal(t, "mapped 5 of 0 users (0 allowed, 70% to 90%)", mapped.mapped(5, 0))
	one, four := Count(1), Count(4)
	mapped.before, mapped.after = &four, &none
	require.Equal(t, "mapped 0 of 4 users (0%, 3 allowed, 70% to 90%)", mapped.mapped(0, 4), "none is no share at all")
	mapped.before, mapped.after = &one, &one
	require.Equal(t, "mapped 1 of 1 user (100%, 70% to 90% allowed)", mapped.mapped(1, 1), "no number is within")

	for _, c := range []struct {
		reason        string
		before, after int64
		noise         float64
		want          string
	}{
		{"as wide as the difference and the noise", 1000, 960, 10, " or a tolerance of 5.0%"},
		{"rounded up", 1000, 960, 10.5, " or a tolerance of 5.1%"},
		{"all of them", 1000, 0, 0, " or a tolerance of 100.0%"},
		{"more than all", 1000, 0, 1, ""},
		{"of nothing", 0, 5, 1, ""},
	} {
		before, after := Count(c.before), Count(c.after)
		s := step{stage: storing, before: &before, after: &after}
		require.Equal(t, c.want, s.deciding(c.noise), c.reason)
	}
}

// TestBandTellsWhatIsOutside: a size that is allowed, but on a limit, is not told
// the sizes that are.
func TestBandTellsWhatIsOutside(t *testing.T) {
	band := Band{Low: 10, High: 20, Points: 30, Usual: 0.05, Largest: 0.2}
	for users, outside := range map[int64]bool{9: true, 10: false, 20: false, 21: true} {
		size := Count(users)
		text := "in 30 sizes it seldom moved by more than 5.0%"
		if outside {
			text += ", so 10 to 20 are allowed"
		}
		require.Equal(t, text, band.why(&size, 1, 10), "%d users", users)
	}
}

// TestWhichSideIsMeant: a number is said to be of what was read, where that is not what
// was expected, at either end.
func TestWhichSideIsMeant(t *testing.T) {
	for _, c := range []struct {
		expected, read Summary
		want           string
	}{
		{Count(6), Count(6), "stored 4 of 6 users (33.3% short, 0 allowed)"},
		{Bounded(5, 9), Count(5), "stored 4 of 5 users read (20.0% short, 0 allowed)"},
		{Bounded(5, 9), Bounded(6, 9), "stored 4 of 6 to 9 users read (at least 33.3% short, 0 allowed)"},
		{Unknown(), Count(6), "stored 4 of 6 users read (33.3% short, 0 allowed)"},
	} {
		report, _ := Check(t.Context(), Policy{}, Output{Expected: c.expected, Read: c.read, Stored: Count(4)})
		require.Contains(t, report.String(), c.want)
	}
}
