package segment

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFewestThatShareALimit: three different sizes that end at one are enough
// where nothing else fell, and not where falls around them are as dense.
func TestFewestThatShareALimit(t *testing.T) {
	at := func(was ...int64) (falls []fall) {
		for i, w := range was {
			falls = append(falls, fall{was: w, now: 1000, segment: ID{Name: string(rune('a' + i))}})
		}
		return falls
	}
	require.Len(t, signature(at(2000, 3000, 4000), 1000), 1)
	require.Empty(t, signature(at(2000, 3000, 3000), 1000), "copies of each other")
	require.Empty(t, signature(at(2000, 3000, 4000), 1_000_000), "among many sizes it is chance")

	crowd := at(2000, 3000, 4000)
	for i := range 20 {
		crowd = append(crowd, fall{was: 5000, now: 1250, segment: ID{Name: string(rune('A' + i))}})
	}
	require.Empty(t, signature(crowd, 1000), "a quarter above counts as around it")
	for i := range crowd[:] {
		if crowd[i].now == 1250 {
			crowd[i].now = 1251
		}
	}
	require.Len(t, signature(crowd, 1000), 1, "beyond that it does not")
	require.InDelta(t, 1, tail(3, 3), 0, "as many as are to be expected")
}
