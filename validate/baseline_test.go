package validate

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kept says, from the docs alone, which of some sizes a baseline remembers.
func kept(sizes []Size) (remembered []Size) {
	last := sizes[len(sizes)-1].At
	for i, size := range sizes {
		lastOf := func(span int64) bool {
			for _, later := range sizes[i+1:] {
				if later.Counter == size.Counter && later.At.Unix()/span == size.At.Unix()/span {
					return false
				}
			}
			return true
		}
		firstNew := size.Level == LevelNew
		for _, earlier := range sizes[:i] {
			if earlier.Level == LevelNew && earlier.Counter == size.Counter && earlier.At.Unix()/day == size.At.Unix()/day {
				firstNew = false
			}
		}
		age := last.Sub(size.At)
		if i >= len(sizes)-8 || age <= 35*24*time.Hour && lastOf(day) || age <= 150*24*time.Hour && (lastOf(5*day) || firstNew) {
			remembered = append(remembered, size)
		}
	}
	return remembered
}

// TestBaselineRemembers: added one by one or all at once, in whatever rhythm, what is
// remembered is what the docs say.
func TestBaselineRemembers(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	for range 60 {
		var all []Size
		at := midnight
		most := time.Duration(1+random.IntN(60)) * time.Hour
		for range 1 + random.IntN(300) {
			size := Size{Users: 1 + random.Int64N(100), At: at}
			if random.IntN(20) == 0 {
				size.Level = LevelNew
			}
			if random.IntN(10) == 0 {
				size.Counter = "b"
			}
			all = append(all, size)
			at = at.Add(1 + time.Duration(random.Int64N(int64(most))))
		}
		var oneByOne, atOnce Baseline
		for _, size := range all {
			oneByOne.Add(size)
		}
		atOnce.Add(all...)
		require.Equal(t, kept(all), atOnce.Sizes)
		require.Equal(t, kept(all), oneByOne.Sizes)
	}
	var b Baseline
	for d := range 400 {
		b.Add(Size{Users: 5, At: midnight.AddDate(0, 0, d)})
		require.LessOrEqual(t, len(b.Sizes), 67)
	}
	require.GreaterOrEqual(t, len(b.Sizes), 58)
}

// TestBaselineInOrder: a clock that is behind makes no bad history.
func TestBaselineInOrder(t *testing.T) {
	var b Baseline
	for _, hours := range []int{5, 3, 9, 3, 1} {
		b.Add(Size{Users: int64(hours), At: midnight.Add(time.Duration(hours) * time.Hour)})
	}
	require.True(t, slices.IsSortedFunc(b.Sizes, func(a, b Size) int { return a.At.Compare(b.At) }))
	require.Len(t, b.Sizes, 5)
}

// TestBaselineTakes: what a report leads to.
func TestBaselineTakes(t *testing.T) {
	usual, off := Size{Users: 5, At: midnight.AddDate(0, 0, -3)}, Size{Users: 3, At: midnight.AddDate(0, 0, -2), Level: LevelOff}
	report := func(level Level, o outcome, findings ...Finding) Report {
		return Report{Level: level, outcome: o, Findings: findings}
	}
	dropped := Finding{Kind: Dropped, Severity: Fail}
	for _, c := range []struct {
		name              string
		report            Report
		sizes, candidates int
	}{
		{"passed", report(LevelUsual, passed), 2, 0},
		{"frozen", report(LevelFrozen, passed), 2, 0},
		{"as before", report(LevelFormer, passed), 2, 0},
		{"off, and vouched for", report(LevelOff, passed), 1, 2},
		{"off", report(LevelOff, failed, dropped), 1, 2},
		{"excused", report(LevelExcused, passed), 1, 1},
		{"proven wrong", report(LevelUsual, failed, Finding{Kind: Short, Severity: Fail}), 1, 2},
		{"unverified", report(LevelUsual, failed, Finding{Kind: Unverified, Severity: Fail}), 1, 1},
		{"not finished", report(LevelUsual, unfinished), 1, 1},
		{"learned", Report{Level: LevelNew, outcome: passed, NewLevel: []Size{off}}, 3, 0},
	} {
		b := Baseline{Sizes: []Size{usual}, Candidates: []Size{off}}
		c.report.Vouched = true
		b.Take(&c.report, Size{Users: 4, At: midnight})
		require.Len(t, b.Sizes, c.sizes, c.name)
		require.Len(t, b.Candidates, c.candidates, c.name)
		if c.sizes > 1 {
			last := b.Sizes[len(b.Sizes)-1]
			require.Equal(t, []any{int64(4), c.report.Level, true}, []any{last.Users, last.Level, last.Vouched}, c.name)
		}
	}
	var b Baseline
	broken, rejected := report(LevelUsual, failed, Finding{Kind: Short}), report(LevelOff, failed, dropped)
	for d := range 60 {
		for hour := range 24 {
			for _, r := range []*Report{&broken, &rejected} {
				b.Take(r, Size{Users: 4, At: midnight.AddDate(0, 0, d).Add(time.Duration(hour) * time.Hour)})
			}
		}
	}
	require.LessOrEqual(t, len(b.Candidates), 2*29, "one of a sort a day, for four weeks")
	b.Accept(Size{Users: 3, At: midnight.AddDate(0, 0, 61)})
	require.Empty(t, b.Candidates)
	require.Equal(t, LevelNew, b.Sizes[0].Level)
}
