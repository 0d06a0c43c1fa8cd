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
