package validate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRarestHash: the highest rank there is belongs to the hash without a bit
// set, and is counted.
func TestRarestHash(t *testing.T) {
	var r registers
	r.add(0)
	require.EqualValues(t, maxRank, r[0])
	require.EqualValues(t, 1, r.estimate())
}

// TestEstimateIsErtls holds the estimate to the formula it stands for, with its
// two series added up term by term: m² / (2 ln 2) over
// m σ(c_0/m) + Σ c_k 2^-k + m τ(1 - c_q+1/m) 2^-q. Registers that are full are
// among the cases: so are those of more users than there can be.
func TestEstimateIsErtls(t *testing.T) {
	sigma := func(x float64) float64 {
		z := x
		for k := 1; k <= 40; k++ {
			z += math.Pow(x, math.Exp2(float64(k))) * math.Exp2(float64(k-1))
		}
		return z
	}
	tau := func(x float64) float64 {
		z := 1 - x
		for k := 1; k <= 60; k++ {
			z -= math.Pow(1-math.Pow(x, math.Exp2(float64(-k))), 2) * math.Exp2(float64(-k))
		}
		return z / 3
	}
	random := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ least, most, full int }{
		{0, 3, 0}, {1, 20, 0}, {0, 20, 1}, {30, maxRank, 0}, {44, 46, 16}, {45, 45, 4}, {46, 47, 2},
	} {
		var r registers
		var count [maxRank + 1]float64
		for i := range r {
			rank := c.least + random.IntN(c.most-c.least+1)
			if c.full > 0 && i%c.full == 1 {
				rank = maxRank
			}
			r[i] = uint8(rank)
			count[rank]++
		}
		const m, q = float64(len(r)), maxRank - 1
		sum := m*sigma(count[0]/m) + m*tau(1-count[maxRank]/m)*math.Exp2(-q)
		for k := 1; k <= q; k++ {
			sum += count[k] * math.Exp2(float64(-k))
		}
		require.InEpsilon(t, m*m/(2*math.Ln2)/sum, float64(r.estimate()), 1e-5, "ranks %d to %d, one in %d full", c.least, c.most, c.full)
	}
}
