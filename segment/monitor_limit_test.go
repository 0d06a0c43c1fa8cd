package segment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// tomorrow is a size a day later: usual moves are a few percent, and one segment
// in a hundred loses a good part of its users for reasons of its own.
func tomorrow(random *rand.Rand, users int64) int64 {
	move := math.Exp(0.05 * random.NormFloat64())
	if random.IntN(100) == 0 {
		move *= 0.1 + 0.8*random.Float64()
	}
	return int64(float64(users) * move)
}

// A fleetOf n segments, of 20 to a million users, in which none stopped at a
// limit: a third are copies of others, some are held at the limit of a plan.
func fleetOf(random *rand.Rand, n int) (was, now []int64) {
	for len(was) < n {
		users := int64(math.Exp(math.Log(20) + random.Float64()*math.Log(50_000)))
		if random.IntN(50) == 0 {
			users = 10_000 // all that the plan pays for
		}
		next := tomorrow(random, users)
		if users == 10_000 {
			next = min(next, 10_000)
		}
		for range 1 + random.IntN(2)*random.IntN(3) {
			was, now = append(was, users), append(now, next)
		}
	}
	return was, now
}

func fallsIn(was, now []int64) (falls []fall) {
	for i := range was {
		if fell(was[i], now[i]) {
			falls = append(falls, fall{was: was[i], now: now[i], segment: ID{Name: fmt.Sprint(i)}})
		}
	}
	return falls
}

func TestSignatureRaisesNoFalseAlarm(t *testing.T) {
	fleets := uint64(100)
	if testing.Short() {
		fleets = 5
	}
	for seed := range fleets {
		random := rand.New(rand.NewPCG(seed, 1))
		was, now := fleetOf(random, 100_000)
		require.Empty(t, sharedSizes(fallsIn(was, now), len(was)), "fleet %d", seed)
	}
}

func TestSignatureFindsALimit(t *testing.T) {
	for _, c := range []struct {
		name, reason   string
		segments, hit  int
		limit          int64
		found, copying bool
	}{
		{"five of a hundred thousand", "the incident, on a large platform", 100_000, 5, 10_000, true, false},
		{"at no known limit", "a limit need not be known to be one", 100_000, 5, 7_777, true, false},
		{"a small one", "falls to small sizes are dense: it takes more segments", 10_000, 12, 100, true, false},
		{"a tiny one", "so small sizes are shared all the time", 10_000, 40, 90, false, false},
		{"two", "two may meet by chance", 1000, 2, 10_000, false, false},
		{"copies of one", "one segment that fell, and its copies, are one witness", 100_000, 20, 10_000, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(10) {
				random := rand.New(rand.NewPCG(seed, 2))
				was, now := fleetOf(random, c.segments)
				hit := 0
				var copied int64
				for i := range was {
					if hit < c.hit && was[i] > 2*c.limit && was[i] != copied {
						hit++
						now[i], copied = c.limit, was[i]
						if c.copying {
							was[i], copied = 3*c.limit, 0
						}
					}
				}
				require.Equal(t, c.hit, hit)
				shared := sharedSizes(fallsIn(was, now), len(was))
				if !c.found {
					require.Empty(t, shared, c.reason)
					continue
				}
				require.Len(t, shared, 1, c.reason)
				require.GreaterOrEqual(t, len(shared[0]), c.hit)
				for _, f := range shared[0] {
					require.Equal(t, c.limit, f.now)
				}
			}
		})
	}
}

// TestFewestThatShareALimit: three different sizes that end at one are enough
// where nothing else fell, and not where falls around them are as dense.
func TestFewestThatShareALimit(t *testing.T) {
	at := func(was ...int64) (falls []fall) {
		for i, w := range was {
			falls = append(falls, fall{was: w, now: 1000, segment: ID{Name: string(rune('a' + i))}})
		}
		return falls
	}
	require.Len(t, sharedSizes(at(2000, 3000, 4000), 1000), 1)
	require.Empty(t, sharedSizes(at(2000, 3000, 3000), 1000), "copies of each other")
	require.Empty(t, sharedSizes(at(2000, 3000, 4000), 1_000_000), "among many sizes it is chance")

	crowd := at(2000, 3000, 4000)
	for i := range 20 {
		crowd = append(crowd, fall{was: 5000, now: 1250, segment: ID{Name: string(rune('A' + i))}})
	}
	require.Empty(t, sharedSizes(crowd, 1000), "a quarter above counts as around it")
	for i := range crowd[:] {
		if crowd[i].now == 1250 {
			crowd[i].now = 1251
		}
	}
	require.Len(t, sharedSizes(crowd, 1000), 1, "beyond that it does not")
	require.InDelta(t, 1, tail(3, 3), 0, "as many as are to be expected")
}

// The tail of a Poisson distribution against its plain sum, where that has
// digits left.
func TestTail(t *testing.T) {
	require.InDelta(t, 1, tail(1000, 30), 0, "where the first term is nothing")
	for _, mean := range []float64{0.001, 0.1, 1, 3} {
		below, term := 0.0, math.Exp(-mean)
		for m := range 12 {
			if float64(m) > mean {
				require.InEpsilon(t, 1-below, tail(mean, m), 1e-3+1e-13/(1-below), "P(Poisson(%v) >= %d)", mean, m)
			}
			below += term
			term *= mean / float64(m+1)
			if 1-below < 1e-9 {
				break
			}
		}
	}
}
