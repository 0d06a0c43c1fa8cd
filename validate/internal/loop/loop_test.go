package loop_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/internal/loop"
)

var start = time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC) // a Monday

// A scene is a segment that is all right, whatever it looks like, for 200 days.
type scene struct {
	name    string
	runs    int // a day; 0: one
	users   func(day, hour int, noise float64) float64
	skip    func(day int) bool
	vouched bool           // an independent Expected says how many there are, and none at all is allowed
	zone    *time.Location // in which it runs at two at night
	relearn int
	most    [2]int // rejections and words in 200 days, by a human the next day
}

func weekday(day int) time.Weekday { return start.AddDate(0, 0, day).Weekday() }
func weekend(day int) bool         { return weekday(day) == time.Saturday || weekday(day) == time.Sunday }

func steady(_, _ int, noise float64) float64 { return 100_000 * (1 + 0.02*noise) }

func berlin(t *testing.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return zone
}

func scenes(t *testing.T) []scene {
	halfAt := func(low float64) func(int, int, float64) float64 {
		return func(day, hour int, noise float64) float64 {
			if weekend(day) {
				return low * steady(day, hour, noise)
			}
			return steady(day, hour, noise)
		}
	}
	scaled := func(factor func(day int) float64) func(int, int, float64) float64 {
		return func(day, hour int, noise float64) float64 { return factor(day) * steady(day, hour, noise) }
	}
	on := func(when func(day int) bool, factor float64) func(int) float64 {
		return func(day int) float64 {
			if when(day) {
				return factor
			}
			return 1
		}
	}
	return []scene{
		{name: "nothing but noise", users: steady},
		{name: "weekends at half", users: halfAt(0.5), most: [2]int{2, 2}},
		{name: "weekends at zero, expected and allowed", users: halfAt(0), vouched: true},
		{name: "weekends at zero, unknown", users: halfAt(0), most: [2]int{57, 57}},
		{name: "month-end ×2", users: scaled(on(func(day int) bool { return start.AddDate(0, 0, day+1).Day() == 1 }, 2)), most: [2]int{7, 7}},
		{name: "a step to 60%", users: scaled(on(func(day int) bool { return day > 100 }, 0.6)), most: [2]int{1, 1}},
		{name: "a step to 70%, Relearn 7, and nobody", users: scaled(on(func(day int) bool { return day > 100 }, 0.7)), relearn: 7, most: [2]int{7, 0}},
		{name: "a ramp of 10% a day", users: scaled(func(day int) float64 { return math.Pow(1.1, float64(day)) })},
		{name: "one spike", users: scaled(on(func(day int) bool { return day == 90 }, 9)), most: [2]int{1, 1}},
		{name: "holidays of ten days at 60%", users: scaled(on(func(day int) bool { return day/10 == 9 }, 0.6)), most: [2]int{1, 1}},
		{name: "five runs a day, quiet Sundays", runs: 5, users: scaled(on(func(day int) bool { return weekday(day) == time.Sunday }, 0.4)), most: [2]int{5, 5}},
		{name: "hourly, by day twice as many as by night", runs: 24, users: func(day, hour int, noise float64) float64 {
			return steady(day, hour, noise) * (1.5 - 0.5*math.Cos(2*math.Pi*float64(hour)/24))
		}},
		{name: "daylight saving", users: halfAt(0.7), zone: berlin(t), most: [2]int{2, 2}},
		{name: "a month's gap", users: steady, skip: func(day int) bool { return day >= 100 && day < 131 }, most: [2]int{1, 1}},
		{name: "a month's gap, vouched for", users: steady, skip: func(day int) bool { return day >= 100 && day < 131 }, vouched: true},
	}
}

// play walks through a scene, a human accepting the next day what was rejected, unless
// it is to be relearned.
func (s *scene) play() (rejections, words int) {
	g := loop.Segment{Policy: validate.Policy{AllowEmpty: true, Relearn: s.relearn}}
	random := rand.New(rand.NewPCG(31, 32))
	var pending *validate.Size
	runs := max(1, s.runs)
	for day := range 200 {
		if s.skip != nil && s.skip(day) {
			continue
		}
		for run := range runs {
			hour := run * 24 / runs
			at := start.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			if s.zone != nil {
				at = time.Date(2024, 3, 18+day, 2, 0, 0, 0, s.zone)
			}
			users := int64(s.users(day, hour, random.Float64()*2-1))
			out := loop.Daily(users, at)
			if s.vouched {
				out.Expected = validate.Count(users)
			}
			if day == 0 && run == 0 {
				g.Import(loop.Size(&out))
				continue
			}
			if pending != nil && run == 0 {
				g.Baseline.Accept(*pending)
				pending, words = nil, words+1
			}
			if r := g.Run(out); !r.Passed() {
				rejections++
				if size := loop.Size(&out); s.relearn == 0 {
					pending = &size
				}
			}
		}
	}
	if pending != nil {
		words++
	}
	return rejections, words
}

// TestScenes: what a segment does that is all right, and how often people are asked.
func TestScenes(t *testing.T) {
	var table strings.Builder
	defer func() { t.Log(table.String()) }()
	fmt.Fprintf(&table, "\n%-45s %10s %6s\n", "200 days", "rejections", "words")
	for _, s := range scenes(t) {
		rejections, words := s.play()
		fmt.Fprintf(&table, "%-45s %10d %6d\n", s.name, rejections, words)
		assert.LessOrEqual(t, rejections, s.most[0], "%s: rejections", s.name)
		assert.LessOrEqual(t, words, s.most[1], "%s: words", s.name)
		if s.name == "weekends at zero, unknown" {
			require.GreaterOrEqual(t, rejections, s.most[0]-1, "every one")
		}
	}
}

// night returns the time of the run of a night.
func night(n int) time.Time { return start.AddDate(0, 0, n) }

// calm remembers sizes that move by half a percent, for twenty nights before the first.
func calm(g *loop.Segment, users float64) {
	random := rand.New(rand.NewPCG(41, 42))
	for n := -20; n < 0; n++ {
		g.Baseline.Add(validate.Size{Users: int64(users * (1 + 0.005*(2*random.Float64()-1))), At: night(n)})
	}
}

// TestCalmList: what moves by half a percent does not fall by 14% unseen.
func TestCalmList(t *testing.T) {
	var g loop.Segment
	calm(&g, 100_000)
	r := g.Run(loop.Daily(86_000, night(0)))
	require.False(t, r.Passed(), "%s", r)
	r = g.Run(loop.Daily(93_000, night(1)))
	require.True(t, r.Passed(), "%s", r)
}

// TestOneWord: a size that somebody saw in the store, halved on purpose, needs one word.
func TestOneWord(t *testing.T) {
	for _, half := range []int64{50_123, 50_000} { // the second is a limit, and a word is a word
		var g loop.Segment
		calm(&g, 100_000)
		words := 0
		for n := range 70 {
			out := loop.Daily(half, night(n))
			if r := g.Run(out); !r.Passed() {
				g.Baseline.Accept(loop.Size(&out))
				words++
			}
		}
		require.Equal(t, 1, words, "%d", half)
	}
}

// TestPlanned: a customer halves segments of different sizes tomorrow. One range says so
// of all, today; a fault in that time still fails.
func TestPlanned(t *testing.T) {
	plan := validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: night(1), Until: night(4), ForGood: true}
	for i := range 79 {
		g := loop.Segment{Excuses: []validate.Excuse{plan}}
		users := 3100 * math.Pow(1.1, float64(i))
		calm(&g, users)
		for n := range 40 {
			half := users
			if n > 1 {
				half /= 2
			}
			r := g.Run(loop.Daily(int64(half), night(n)))
			require.True(t, r.Passed(), "night %d: %s", n, r)
			for _, f := range r.Findings {
				require.True(t, f.Explains, "no ticket in night %d: %s", n, r)
			}
		}
		broken := loop.Segment{Excuses: []validate.Excuse{plan}}
		calm(&broken, users)
		for n := 1; n < 4; n++ {
			r := broken.Run(loop.Daily(int64(users/4), night(n)))
			require.False(t, r.Passed(), "a quarter is not planned: %s", r)
		}
		halved := loop.Segment{Excuses: []validate.Excuse{plan}}
		calm(&halved, users)
		halved.Run(loop.Daily(int64(users/2), night(1)))
		r := halved.Run(loop.Daily(int64(users/4), night(2)))
		require.False(t, r.Passed(), "nor is half of the half: %s", r)
	}
}

// TestStandingFaults: what is broken for five weeks is not normal for that, and its
// repair passes.
func TestStandingFaults(t *testing.T) {
	self := func(stored, read int64, at time.Time) validate.Output {
		out := loop.Daily(stored, at)
		if read > 0 {
			out.Read, out.Written = validate.Count(read), validate.Count(stored)
			return out
		}
		out.Expected, out.SelfReported = validate.Count(stored), true
		return out
	}
	for _, c := range []struct {
		name         string
		before, read int64
		of           func(n int) (stored, read int64)
	}{
		{"a lookalike of a truncated seed", 50_000, 0, func(int) (int64, int64) { return 15_000, 0 }},
		{"10,000 read, mapped at 87%", 10_440, 12_000, func(int) (int64, int64) { return 8700, 10_000 }},
		{"a few below 10,000", 12_000, 0, func(n int) (int64, int64) { return 9950 + int64(n*7)%50, 0 }},
		{"half the shards", 50_000, 0, func(int) (int64, int64) { return 25_000, 0 }},
	} {
		for _, rhythm := range []struct {
			runs int
			gap  time.Duration
		}{{1, 0}, {24, time.Hour}, {10, 7 * time.Minute}} {
			g := loop.Segment{Policy: validate.Policy{Relearn: 7}}
			if c.read > 0 {
				g.Policy.Mapping = validate.Ratio{Min: 0.8, Max: 0.95}
			}
			for n := -40; n < 0; n++ {
				g.Baseline.Add(validate.Size{Users: c.before, Read: c.read, At: night(n)})
			}
			for n := range 35 {
				for k := range rhythm.runs {
					stored, read := c.of(n)
					r := g.Run(self(stored, read, night(n).Add(time.Duration(k)*rhythm.gap)))
					require.False(t, r.Passed(), "%s, night %d: %s", c.name, n, r)
				}
			}
			r := g.Run(self(c.before, c.read, night(35)))
			require.True(t, r.Passed(), "%s is repaired: %s", c.name, r)
		}
	}
}

// TestApart: of a segment whose upstream is affected nothing is learned.
func TestApart(t *testing.T) {
	for _, apart := range []bool{false, true} {
		g := loop.Segment{Policy: validate.Policy{Relearn: 7}, Apart: apart}
		calm(&g, 100_000)
		passed := 0
		for n := range 20 {
			if r := g.Run(loop.Daily(67_000, night(n))); r.Passed() {
				passed++
			}
		}
		require.Equal(t, map[bool]int{false: 13, true: 0}[apart], passed)
	}
}
