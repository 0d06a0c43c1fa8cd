package validate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drawHistory draws sizes that mostly move a little, and at times stop at a limit,
// vanish, double, are by another counter, or out of order; many that leak, and some that
// ended long ago.
func drawHistory(random *rand.Rand) (history []Size) {
	users, noise := math.Exp(random.Float64()*43), 0.1*float64(random.IntN(3)/2)
	sizes := random.IntN(40)
	if random.IntN(4) == 0 {
		sizes = 140
	}
	at := midnight.Add(-time.Duration(sizes) * 27 * time.Hour)
	if random.IntN(20) == 0 {
		at = at.AddDate(0, 0, -25)
	}
	for i := range sizes {
		users = min(max(users*math.Exp(noise*random.NormFloat64()), 1), 1<<62)
		if sizes-i < 25 && sizes > 40 {
			users = max(users*0.97, 1)
		}
		size := Size{Users: int64(users), At: at}
		switch random.IntN(30) {
		case 0:
			size.Users = drawCap(random)
		case 1:
			size.Users = 0
		case 2:
			size.Users *= 2
		case 3:
			size.Counter = "another"
		case 4:
			size.Read = int64(users)
		case 5:
			size.Level = []Level{LevelNew, LevelFrozen, LevelFormer}[random.IntN(3)]
		}
		history = append(history, size)
		at = at.Add(time.Duration(random.Int64N(int64(50 * time.Hour))))
	}
	if len(history) > 0 && random.IntN(50) == 0 {
		history[random.IntN(len(history))].At = []time.Time{{}, midnight.AddDate(1, 0, 0), midnight.AddDate(-1, 0, 0)}[random.IntN(3)]
	}
	return history
}

func drawCap(random *rand.Rand) int64 { return capNumbers[random.IntN(len(capNumbers))] }

// drawSide draws what is stored near some number of users.
func drawSide(random *rand.Rand, near int64) Summary {
	users := int64(min(max(float64(near)*math.Exp(0.3*random.NormFloat64()), 0), math.MaxInt64/2))
	switch random.IntN(16) {
	case 0:
		return Estimate(users, 0.02)
	case 1:
		return Moving(Count(users), Count(users+random.Int64N(1000)))
	case 2:
		return Count(drawCap(random))
	case 3:
		return []Summary{{}, Unknown(), Count(0), Count(-1)}[random.IntN(4)]
	case 4, 5, 6, 7, 8:
		return Count(near)
	}
	return Count(users)
}

func drawOutput(random *rand.Rand) (p Policy, out Output) {
	out = Output{Expected: Unknown(), SelfReported: random.IntN(2) == 0, Sizes: drawHistory(random), At: midnight}
	near := int64(1000)
	if n := len(out.Sizes); n > 0 {
		near = out.Sizes[n-1].Users
	}
	out.Stored = drawSide(random, near)
	switch random.IntN(3) {
	case 0:
		out.Expected = out.Stored
	case 1:
		out.Expected = drawSide(random, near)
	}
	if random.IntN(8) == 0 {
		out.Read = drawSide(random, near)
	}
	if random.IntN(8) == 0 {
		out.Counter = "another"
	}
	p = Policy{AllowEmpty: random.IntN(2) == 0}
	if random.IntN(2) == 0 {
		p.Tolerance, p.Reading = Within(random.Float64()), Within(random.Float64())
	}
	if random.IntN(8) == 0 {
		p.Caps = []Cap{{Users: max(near, 1), Origin: "ours"}}
	}
	return p, out
}

// What is clean is just what a check passes without a word.
func TestCleanIsACheckWithoutFindings(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	outputs, clean, quiet := 100_000, 0, Validator{}
	if testing.Short() {
		outputs = 30_000
	}
	for range outputs {
		p, out := drawOutput(random)
		report, _ := quiet.Check(t.Context(), p, out)
		want := report.Passed() && len(report.Findings) == 0
		require.Equal(t, want, NoFindings(&p, &out), "%+v\n%s", out, report)
		if want {
			clean++
		}
	}
	require.Greater(t, clean, outputs/5, "most of what is drawn must not be bad")
	require.Less(t, clean, 4*outputs/5)
}

// What is called calm without a band is within the band, also where no band is
// narrower: of a size that never moved.
func TestCalmIsWithinTheBand(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	calms := 0
	for range 50_000 {
		history := days(repeat(1+random.IntN(40), 1+random.Int64N(1<<(1+random.IntN(62))))...)
		if random.IntN(2) == 0 {
			for i := range history {
				history[i].Users = 1 + random.Int64N(1<<(1+random.IntN(62)))
			}
		}
		w := newWindow(history, "", capSet{})
		at := midnight.Add(time.Duration(random.Int64N(int64(100 * time.Hour))))
		band := newBand(w.points(), at)
		for _, share := range []float64{math.Exp(-0.105), math.Exp(0.105), 0.5 + random.Float64()} {
			for off := int64(-2); off <= 2; off++ {
				s := Count(max(int64(share*float64(history[len(history)-1].Users))+off, 0))
				if calm(&s, midnight, history, "", capSet{}) {
					calms++
					require.LessOrEqual(t, band.Low, s.lower)
					require.GreaterOrEqual(t, band.High, s.lower)
				}
			}
		}
	}
	require.Greater(t, calms, 50_000)
	for _, users := range []int64{90_323, 95_123, 100_123, 111_023} {
		s := Count(users)
		require.True(t, calm(&s, midnight, days(100_123), "", capSet{}), "%d", users)
	}
}

func TestCleanAllocates(t *testing.T) {
	p, out := Policy{}, Output{Expected: Count(50_123), Stored: Count(50_123), Sizes: days(repeat(30, 50_123)...), At: midnight}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !NoFindings(&p, &out) {
			t.Error("not clean")
		}
	}))
}
