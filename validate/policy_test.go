package validate

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// exactly is max(users, floor(share × expected)) in rational numbers, where the
// share is the decimal that was written and not its nearest float.
func exactly(users, expected, numerator, denominator int64) int64 {
	product := new(big.Rat).Mul(big.NewRat(numerator, denominator), big.NewRat(expected, 1))
	floor := new(big.Int).Div(product.Num(), product.Denom())
	return max(users, floor.Int64())
}

func TestMarginMatchesDecimals(t *testing.T) {
	require.Equal(t, int64(29), Margin{Share: 0.29}.allowed(100), "29% of 100 is 29, though 0.29 × 100 is below it")
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		percents := random.Int64N(10_001)
		expected := random.Int64N(int64(1) << (1 + random.IntN(40)))
		users := random.Int64N(100)
		got := Margin{Users: users, Share: float64(percents) / 10_000}.allowed(expected)
		require.Equal(t, exactly(users, expected, percents, 10_000), got, "%d of 10,000 of %d", percents, expected)
	}
}

func TestShareMatchesDecimals(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		low := random.Int64N(101)
		high := low + random.Int64N(101-low)
		n := random.Int64N(int64(1) << (1 + random.IntN(40)))
		if low == 0 && high == 0 {
			continue // the zero Share is exactly one
		}
		fewest, most := Ratio{Min: float64(low) / 100, Max: float64(high) / 100}.bounds(n)
		require.Equal(t, n-exactly(0, n, 100-low, 100), fewest, "%d%% of %d", low, n)
		require.Equal(t, exactly(0, n, high, 100), most, "%d%% of %d", high, n)
	}
}

func TestMarginOfHugeCounts(t *testing.T) {
	require.Equal(t, int64(math.MaxInt64), Margin{Share: 1}.allowed(math.MaxInt64))
	require.Equal(t, int64(math.MaxInt64), Margin{Users: math.MaxInt64}.allowed(5))
	require.Zero(t, Margin{}.allowed(math.MaxInt64))
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 812345: "812,345", 1234567: "1,234,567", -1000: "-1,000",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		require.Equal(t, want, thousands(n))
	}
	require.Equal(t, "100%", percent(5, 5))
	require.Equal(t, "over 99.9%", percent(99_999, 100_000), "not all")
	require.Equal(t, "under 0.1%", percent(1, 100_000), "not nothing")
	require.Equal(t, "98.8%", percent(802_345, 812_345))
	require.Equal(t, "900%", percentAbove(9, 1))
}
