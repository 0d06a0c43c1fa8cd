package validate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var midnight = time.Date(2024, 3, 18, 0, 0, 0, 0, time.UTC)

// days is one size a day, the last one the day before midnight.
func days(sizes ...int64) []Size {
	history := make([]Size, len(sizes))
	for i, users := range sizes {
		history[i] = Size{Users: users, At: midnight.AddDate(0, 0, i-len(sizes))}
	}
	return history
}

func bandOf(history []Size) Band {
	w := newWindow(history, "", capSet{})
	return newBand(w.points(), midnight)
}

func repeat(n int, size int64) []int64 {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// TestBandFormula checks margins worked out by hand from the method.
func TestBandFormula(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		history      []Size
		low, high    float64 // ln of the edges over the size before
	}{
		{"one size", "floor + (1 − 1/14)(start − floor)", days(1_000_000), 0.18 + 13.0/14*0.32, 0.22 + 13.0/14*0.38},
		{"four sizes", "the same, though they never moved", days(repeat(4, 1_000_000)...), 0.18 + 10.0/14*0.32, 0.22 + 10.0/14*0.38},
		{"five constant sizes", "the floors: no wide start", days(repeat(5, 1_000_000)...), 0.18, 0.22},
		{"seven sizes, one move of 2%", "no wide start", days(append(repeat(6, 1_000_000), 1_020_000)...), 0.18 + math.Log(1.02), 0.22},
		{"seven sizes, one move of more", "half way from start to floor", days(append(repeat(6, 1_000_000), 1_020_001)...), 0.34 + math.Log(1.020001), 0.41},
		{"fourteen constant sizes", "the floor of what hardly moves", days(repeat(14, 1_000_000)...), 0.105, 0.105},
		{"thirteen constant sizes", "one too few", days(repeat(13, 1_000_000)...), 0.18, 0.22},
		{"fourteen, one move of 2%", "the largest may be that", days(append(repeat(13, 1_000_000), 1_020_000)...), 0.105, 0.105},
		{"fourteen, one move of more", "the ordinary floors", days(append(repeat(13, 1_000_000), 1_020_001)...), 0.18, 0.22},
		{"fourteen, usually by 1%", "the usual one may be that", days(append(repeat(11, 1_000_000), 1_009_990, 1_020_080, 1_030_270)...), 0.105, 0.105},
		{"fourteen, usually by more", "the ordinary floors", days(append(repeat(11, 1_000_000), 1_010_010, 1_020_120, 1_030_331)...), 0.18, 0.22},
		{"constant small sizes", "at least two standard errors of a count, 2/√25", days(repeat(30, 25)...), 0.4, 0.4},
		{"two days away", "× √2", days(append(repeat(13, 1_000_000), 0)...), 0.18 * math.Sqrt2, 0.22 * math.Sqrt2},
		{"nine days away", "× √4 at most, and at most the cap 0.65 above", days(append(repeat(13, 1_000_000), repeat(8, 0)...)...), 0.36, 0.44},
	} {
		t.Run(c.name, func(t *testing.T) {
			band := bandOf(c.history)
			previous := float64(band.Previous)
			require.InDelta(t, previous*math.Exp(-c.low), float64(band.Low), 1, c.reason)
			require.InDelta(t, previous*math.Exp(c.high), float64(band.High), 1, c.reason)
		})
	}
}

func TestBandReferences(t *testing.T) {
	weekly := []int64{1100, 1100, 1100, 1100, 1100, 1100, 5000} // Sundays are high
	sunday := midnight.AddDate(0, 0, -1)
	var history []Size
	for i := range 41 {
		history = append(history, Size{Users: weekly[i%7], At: sunday.AddDate(0, 0, i-41)})
	}
	window := newWindow(history, "", capSet{})
	band := newBand(window.points(), sunday)
	require.InDelta(t, 5000, band.Highest, 0, "the same weekday a week ago")
	require.InDelta(t, 1100, band.Lowest, 0)
	require.Greater(t, band.High, int64(5500), "a Sunday is no rise")
	require.InDelta(t, 0, band.Usual, 1e-12, "a weekly rhythm is no move")
}

func TestBandOddWeekday(t *testing.T) {
	sizes := repeat(30, 1000)
	sizes[30-7] = 11 // the same weekday a week ago was bad, two weeks ago good
	band := bandOf(days(sizes...))
	require.Equal(t, bandPoints, band.Points, "neither is left out")
	require.InDelta(t, 1000, band.Lowest, 0, "the better of the two counts for the low edge")
}

// TestBandOneWeekday: where one of the same weekdays is known, it counts for both
// edges.
func TestBandOneWeekday(t *testing.T) {
	for _, c := range []struct {
		reason string
		days   int // before midnight
		users  int64
	}{
		{"more a week ago", 7, 5001},
		{"fewer a week ago", 7, 301},
		{"more two weeks ago", 14, 5001},
		{"fewer two weeks ago", 14, 301},
	} {
		history := days(repeat(20, 1003)...)
		history = slices.DeleteFunc(history, func(s Size) bool {
			return s.At.Equal(midnight.AddDate(0, 0, -7)) || s.At.Equal(midnight.AddDate(0, 0, -14))
		})
		history = append(history, Size{Users: c.users, At: midnight.AddDate(0, 0, -c.days)})
		slices.SortFunc(history, func(a, b Size) int { return a.At.Compare(b.At) })
		band := bandOf(history)
		require.Equal(t, []float64{min(1003, float64(c.users)), max(1003, float64(c.users))}, []float64{band.Lowest, band.Highest}, c.reason)
	}
}

// TestNear: half a day off is the same weekday, and so is what is of the same UTC day.
func TestNear(t *testing.T) {
	const at = 100*day + 5
	for off, want := range map[int64]bool{
		0: true, sameDay: true, -sameDay: true, -sameDay - 1: false, sameDay + 1: true, day - 6: true, day - 5: false,
	} {
		users, _ := near([]point{{5, at + off}}, at)
		require.Equal(t, want, users == 5, "%d seconds off", off)
	}
	low, high := near([]point{{9, at - 20}, {6, at - 1}, {7, at + 30}}, at)
	require.Equal(t, []int64{6, 7}, []int64{low, high}, "the closest, and the last of the day")
	low, high = near([]point{{9, at - 20}, {6, at - 6}}, at)
	require.Equal(t, []int64{6, 6}, []int64{low, high}, "the day before is near")
}

// TestBandNarrows: from fourteen sizes on, a step is bounded by twice the largest
// ever seen, and by the floors; that references of a growing segment lie far back
// does not matter then.
func TestBandNarrows(t *testing.T) {
	growing := func(n int, by float64) []Size {
		sizes := make([]int64, n)
		for i := range sizes {
			sizes[i] = int64(1_234_567 * math.Pow(by, float64(i))) // no limit
		}
		return days(sizes...)
	}
	low := func(band Band) float64 { return math.Log(float64(band.Previous) / float64(band.Low)) }
	require.Greater(t, low(bandOf(growing(13, 1.1))), 0.5, "a week ago it had half the size")
	require.InDelta(t, 0.18, low(bandOf(growing(14, 1.09))), 1e-5, "the floor is more than 2 ln 1.09")
	require.InDelta(t, 2*math.Log(1.2), low(bandOf(growing(14, 1.2))), 1e-5)
	w := newWindow(growing(14, 1.2), "", capSet{})
	require.InDelta(t, 2*math.Log(1.2)*math.Sqrt(3), low(newBand(w.points(), midnight.AddDate(0, 0, 2))), 1e-5, "three days away")
}

// TestMarginOfSmallSizes: from a hundred users on, edges are capped, however much
// the segment moves.
func TestMarginOfSmallSizes(t *testing.T) {
	require.InDelta(t, 0.60, dropEdge.margin(30, motion{lnUsual: 0.5, lnLargest: 0.5}, 1, 100), 0)
	require.InDelta(t, 0.65, riseEdge.margin(30, motion{lnUsual: 0.5, lnLargest: 0.5}, 1, 100), 0)
	require.InDelta(t, 4*0.5, dropEdge.margin(30, motion{lnUsual: 0.5, lnLargest: 0.5}, 1, 99), 0)
	require.InDelta(t, 4*0.5, riseEdge.margin(30, motion{lnUsual: 0.5, lnLargest: 0.5}, 1, 99), 0)
}

// TestRounding: what logarithms lose costs no user: a band around a size that never
// moves begins and ends at the whole number that exact arithmetic gives.
func TestRounding(t *testing.T) {
	for _, users := range []int64{400, 1000, 123_456} {
		band := bandOf(days(repeat(30, users)...))
		require.Equal(t, int64(math.Ceil(float64(users)*math.Exp(-0.105)-1e-6)), band.Low)
		require.Equal(t, int64(math.Floor(float64(users)*math.Exp(0.105)+1e-6)), band.High)
	}
	huge := bandOf(days(repeat(30, math.MaxInt64-1)...))
	require.EqualValues(t, math.MaxInt64, huge.High)
	require.EqualValues(t, math.MaxInt64, wholeUsers(math.MaxInt64), "which float64 holds as one more")
	require.EqualValues(t, 1<<62, wholeUsers(1<<62))
}

func TestWindow(t *testing.T) {
	w := newWindow(days(append(repeat(40, 5), 0, 6)...), "", capSet{})
	require.Len(t, w.points(), bandPoints, "the last thirty")
	require.Equal(t, int64(6), w.points()[bandPoints-1].users, "oldest first")
	require.Equal(t, int64(5), w.points()[bandPoints-2].users, "without zeros")
	w = newWindow(days(10000, 10000, 10300, 10000), "", capSet{})
	require.Len(t, w.points(), 1, "sizes on a cap are left out while another is clearly above")
	w = newWindow(days(10000, 10000, 10100, 10000), "", capSet{})
	require.Len(t, w.points(), 4, "but not where the segment just has that size")
	w = newWindow(days(10000, 10000, 10200, 10000), "", capSet{})
	require.Len(t, w.points(), 4, "nor where the other is 2% above")
	w = newWindow(days(10000, 10000, 10201, 10000), "", capSet{})
	require.Len(t, w.points(), 1, "but where it is more than that")
	w = newWindow(days(555, 700), "", capSet{own: []Cap{{Users: 555, Origin: "ours"}}})
	require.Len(t, w.points(), 1, "nor on one of the policy's own")
	w = newWindow(days(append(repeat(29, 10000), 20000)...), "", capSet{})
	require.Len(t, w.points(), bandPoints, "nor where it has that size and once had another")
	accepted := days(5000, 10000, 30000, 30000)
	accepted[0].Level, accepted[1].Level = LevelNew, LevelNew
	w = newWindow(accepted, "", capSet{})
	require.Len(t, w.points(), 4, "nor where somebody accepted it, one or the other")
	require.Empty(t, (&window{first: bandPoints}).points())
}

// TestBandOfHugeSizes: neither sums nor conversions overflow.
func TestBandOfHugeSizes(t *testing.T) {
	for n := 1; n <= 20; n++ {
		band := bandOf(days(repeat(n, math.MaxInt64)...))
		require.Equal(t, int64(math.MaxInt64), band.High, "%d sizes", n)
		require.Greater(t, band.Low, int64(math.MaxInt64/2), "%d sizes", n)
		require.Less(t, band.Low, int64(math.MaxInt64), "%d sizes", n)
	}
}

// TestMovesMatchScan compares the one-pass search with a plain one.
func TestMovesMatchScan(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		var points []point
		at := int64(1_700_000_000)
		step := int64(1 + random.IntN(2)*(sameDay-1)) // also exactly at half a day from a week
		for range 1 + random.IntN(30) {
			at += random.Int64N(3*day/step) * step
			points = append(points, point{1 + random.Int64N(1000), at})
		}
		var all []float64
		largest := 0.0
		for i := 1; i < len(points); i++ {
			step := math.Abs(math.Log(float64(points[i].users) / float64(points[i-1].users)))
			largest = max(largest, step)
			for k := range i { // the first one within half a day of a week before
				if off := points[k].at - (points[i].at - week); off >= -sameDay && off <= sameDay {
					step = min(step, math.Abs(math.Log(float64(points[i].users)/float64(points[k].users))))
					break
				}
			}
			all = append(all, step)
		}
		third := 0.0
		if len(all) >= 3 {
			sorted := append([]float64(nil), all...)
			for range 2 {
				top := 0
				for i, x := range sorted {
					if x > sorted[top] {
						top = i
					}
				}
				sorted = append(sorted[:top], sorted[top+1:]...)
			}
			for _, x := range sorted {
				third = max(third, x)
			}
		}
		moved := moves(points)
		usual, most := moved.lnUsual, moved.lnLargest
		require.InDelta(t, third, usual, 1e-9)
		require.InDelta(t, largest, most, 1e-9)
	}
}

// TestGrowth: ten percent a day is no news, though it is a hundred-fold in seven
// weeks; any change of half of a constant segment is.
func TestGrowth(t *testing.T) {
	var history []Size
	size := 1000.0
	for i := range 60 {
		if len(history) >= 1 {
			w := newWindow(history, "", capSet{})
			band := newBand(w.points(), midnight.AddDate(0, 0, i))
			require.LessOrEqual(t, int64(size), band.High, "day %d", i)
			require.GreaterOrEqual(t, int64(size), band.Low, "day %d", i)
		}
		history = append(history, Size{Users: int64(size), At: midnight.AddDate(0, 0, i)})
		size *= 1.1
	}
	for n := 1; n <= 40; n++ {
		band := bandOf(days(repeat(n, 1000)...))
		require.Greater(t, band.Low, int64(500), "%d sizes", n)
		require.Less(t, band.High, int64(2000), "%d sizes", n)
	}
}

// TestBandIsSane: whatever the history, the band holds the size before, and is
// made of numbers.
func TestBandIsSane(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 20_000 {
		var history []Size
		at := midnight.AddDate(0, -3, 0)
		for range 1 + random.IntN(35) {
			at = at.Add(time.Duration(random.Int64N(int64(60 * time.Hour))))
			history = append(history, Size{Users: 1 + random.Int64N(1<<(1+random.IntN(50))), At: at})
		}
		w := newWindow(history, "", capSet{})
		band := newBand(w.points(), at.Add(time.Duration(random.Int64N(int64(200*time.Hour)))))
		require.LessOrEqual(t, band.Low, band.Previous)
		require.GreaterOrEqual(t, band.High, band.Previous)
		require.False(t, math.IsNaN(band.Usual) || math.IsNaN(band.Lowest) || math.IsNaN(band.Highest))
	}
}
