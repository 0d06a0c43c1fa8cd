package validate_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// baseline returns one of one size a day up to the day before noon's.
func baseline(days int, of func(day int) int64) *validate.Baseline {
	var b validate.Baseline
	for d := range days {
		b.Add(validate.Size{Users: of(d), At: noon.AddDate(0, 0, d-days)})
	}
	return &b
}

// walked goes on from a baseline for some days, and returns the first of them on which
// a kind is found, and what is said then; 0: none.
func walked(t *testing.T, b *validate.Baseline, days int, kind validate.Kind, of func(day int) int64) (int, string) {
	for d := range days {
		at := noon.AddDate(0, 0, d)
		report, _ := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: validate.Unknown(), Stored: count(of(d + 1)), Sizes: b.Sizes, Candidates: b.Candidates, At: at,
		})
		for _, f := range report.Findings {
			if f.Kind == kind {
				require.Equal(t, validate.Warn, f.Severity, "a ticket")
				require.True(t, report.Passed())
				return d + 1, f.Detail
			}
		}
		b.Take(&report, validate.Size{Users: of(d + 1), At: at})
	}
	return 0, ""
}

// wobble moves a number by up to 2%.
func wobble(day int, users float64) int64 {
	return int64(users * (1 + 0.02*math.Sin(float64(day)*1.7)))
}

func TestLeaking(t *testing.T) {
	leak := func(rate float64) func(int) int64 {
		return func(day int) int64 { return wobble(day, 1_000_000*math.Pow(rate, float64(day))) }
	}
	calm := func(day int) int64 { return wobble(day, 1_000_000) }
	for _, c := range []struct {
		name   string
		before func(int) int64
		days   int
		of     func(int) int64
		most   int // found by then; 0: never
	}{
		{"3% a day", calm, 140, leak(0.97), 28},
		{"1.2% a day", calm, 140, leak(0.988), 35},
		{"3% a day, of a month", calm, 30, leak(0.97), 0},
		{"a rise of 3% a day", calm, 140, leak(1.03), 0},
		{"nothing", calm, 140, calm, 0},
		{"half a percent a day", calm, 140, leak(0.998), 0},
		{"as it always changes", func(day int) int64 { return wobble(day, 1_000_000*(1.3+math.Sin(float64(day)/15))) }, 140,
			func(day int) int64 { return wobble(day, 1_000_000*(1.3+math.Sin(float64(day+140)/15))) }, 0},
		{"one step", calm, 140, func(day int) int64 { return wobble(day, 850_000) }, 0},
	} {
		b := baseline(c.days, c.before)
		days, text := walked(t, b, min(60, c.days), validate.Leaking, c.of)
		if c.most == 0 {
			require.Zero(t, days, "%s: %s", c.name, text)
			continue
		}
		require.NotZero(t, days, c.name)
		require.LessOrEqual(t, days, c.most, c.name)
		require.Regexp(t, `^[\d,]+ users are the median of the last week, \d+% below that of four weeks ago; in the months before it never changed by more than \d\.\d% in four weeks$`, text)
	}
	b := baseline(140, calm)
	b.Accept(validate.Size{Users: 500_000, At: noon.AddDate(0, 0, 0)})
	days, text := walked(t, b, 40, validate.Leaking, func(day int) int64 { return wobble(day, 500_000) })
	require.Zero(t, days, "what was accepted is no leak: %s", text)
}

func TestFrozen(t *testing.T) {
	changing := func(day int) int64 { return wobble(day, 1_000_000) }
	same := func(int) int64 { return 1_003_456 }
	days, text := walked(t, baseline(30, changing), 90, validate.Frozen, same)
	require.Equal(t, 5, days, "four unchanged nights after 30 moves: (1/32)^4")
	require.Equal(t, "exactly 1,003,456 users since 2024-03-18, for 4 days, where it changed nearly every day before", text)

	b := baseline(30, changing)
	for night := range 90 { // it stays so, also when the days before are forgotten
		at := noon.AddDate(0, 0, night)
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Unknown(), Stored: count(1_003_456), Sizes: b.Sizes, At: at})
		require.NoError(t, err)
		require.Equal(t, night >= 4, len(report.Findings) == 1, "night %d", night)
		b.Take(&report, validate.Size{Users: 1_003_456, At: at})
	}
	last := b.Sizes[len(b.Sizes)-1]
	require.Equal(t, validate.LevelFrozen, last.Level)
	b.Accept(validate.Size{Users: 1_003_456, At: last.At.Add(time.Hour)})
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Unknown(), Stored: count(1_003_456), Sizes: b.Sizes, At: last.At.AddDate(0, 0, 1)})
	require.NoError(t, err)
	require.Empty(t, report.Findings, "somebody said that it is right")

	days, _ = walked(t, baseline(19, changing), 90, validate.Frozen, same)
	require.Zero(t, days, "19 moves are too few")
	days, _ = walked(t, baseline(30, func(day int) int64 { return changing(day / 4) }), 40, validate.Frozen, same)
	require.Zero(t, days, "what often stays the same may do so for longer than is remembered")
	days, _ = walked(t, baseline(60, same), 90, validate.Frozen, same)
	require.Zero(t, days, "it never moved")

	b = baseline(30, changing)
	for night := range 30 {
		at := noon.AddDate(0, 0, night)
		report, _ := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(1_003_456), Stored: count(1_003_456), Sizes: b.Sizes, At: at})
		require.Empty(t, report.Findings, "an independent count agrees")
		b.Take(&report, validate.Size{Users: 1_003_456, At: at})
	}
	report, _ = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Unknown(), Stored: count(1_003_456), Sizes: b.Sizes, At: noon.AddDate(0, 0, 30)})
	require.Empty(t, report.Findings, "and did so last night, as a sweep sees it")
}

func TestStale(t *testing.T) {
	daily := func(n int) (times []time.Time) {
		for i := range n {
			times = append(times, noon.AddDate(0, 0, i-n))
		}
		return times
	}
	weekly := []time.Time{noon, noon.AddDate(0, 0, 7), noon.AddDate(0, 0, 14), noon.AddDate(0, 0, 21), noon.AddDate(0, 0, 28), noon.AddDate(0, 0, 35)}
	good := noon.AddDate(0, 0, -1)
	for _, c := range []struct {
		name   string
		runs   validate.Runs
		after  time.Duration // noon: the last moment at which it is not stale; negative: it is not judged
		detail string
	}{
		{"daily", validate.Runs{Times: daily(11), Good: good}, 2 * 24 * time.Hour, "no good run since 2024-03-17 12:00 UTC (3 days ago, 3 days allowed), and none at all since"},
		{"five gaps", validate.Runs{Times: daily(6), Good: good}, 2 * 24 * time.Hour, ""},
		{"four gaps", validate.Runs{Times: daily(5), Good: good}, -1, ""},
		{"a longest age", validate.Runs{Times: daily(2), Good: good, MaxAge: 30 * time.Hour, Rejected: 2, Unverified: 1, Failed: 3}, 6 * time.Hour,
			"no good run since 2024-03-17 12:00 UTC (30 hours ago, 30 hours allowed); since then 2 runs rejected, 1 run unverified, 3 runs failed"},
		{"one long gap", validate.Runs{Times: append(daily(11)[:9:9], noon.AddDate(0, 0, 20)), Good: noon.AddDate(0, 0, 20)}, 23 * 24 * time.Hour, ""},
		{"weekly", validate.Runs{Times: weekly, Good: weekly[5]}, 50 * 24 * time.Hour, ""},
		{"never a good one", validate.Runs{Times: daily(11), Since: good}, 2 * 24 * time.Hour, "no good run since it was first seen, 2024-03-17 12:00 UTC (3 days ago, 3 days allowed), and none at all since"},
		{"never ran", validate.Runs{Since: good, MaxAge: 48 * time.Hour}, 24 * time.Hour, ""},
		{"never ran, and no longest age", validate.Runs{Since: good}, -1, ""},
		{"nothing is known", validate.Runs{}, -1, ""},
	} {
		f, judged := c.runs.Stale(noon.Add(max(c.after, 0)))
		require.Nil(t, f, c.name)
		require.Equal(t, c.after >= 0, judged, c.name)
		f, judged = c.runs.Stale(noon.Add(max(c.after, 0) + 1))
		require.Equal(t, c.after >= 0, judged, c.name)
		require.Equal(t, c.after >= 0, f != nil, c.name)
		if c.detail != "" {
			require.Equal(t, validate.Stale, f.Kind)
			require.Equal(t, c.detail, f.Detail, c.name)
		}
	}
}
