package validate

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExchangedBesideALoss: of 40,000 users a tenth is lost and a tenth came to be
// others, be these as many or one user again and again. At most so many, to the
// sample's error, is what may be told: less would let them through.
func TestExchangedBesideALoss(t *testing.T) {
	for reason, other := range map[string]func(int) string{
		"each in place of one": func(i int) string { return "other " + strconv.Itoa(i) },
		"one in place of all":  func(int) string { return "x" },
	} {
		var source, stored Digest
		for i := range 40_000 {
			user := strconv.Itoa(i)
			source.AddString(user)
			switch i % 10 {
			case 0:
			case 1:
				stored.AddString(other(i))
			default:
				stored.AddString(user)
			}
		}
		before, after := source.Summary(), stored.Summary()
		e := explain(storing, &before, &after, false)
		require.False(t, e.common.whole)
		least, most := e.exchanged(&pair{stage: storing, before: &before, after: &after})
		require.LessOrEqual(t, least, int64(4000), reason)
		require.GreaterOrEqual(t, most, int64(4000), reason)
		require.Less(t, most, int64(6000), reason)
	}
}

// TestLacks: three standard errors of what a known loss leads one to expect.
func TestLacks(t *testing.T) {
	require.True(t, (&comparison{held: 100, missing: 18}).lacks(0.09), "9, and three times the root of 9")
	require.False(t, (&comparison{held: 100, missing: 19}).lacks(0.09))
}

// TestStrangersAtMost: the share of the sample, at its upper bound.
func TestStrangersAtMost(t *testing.T) {
	c := &comparison{users: make([]compared, 400), held: 400, surplus: 100}
	_, high := bounds(0.25, 400)
	require.Equal(t, int64(math.Ceil(1000*high)), c.strangersAtMost(1000))
	require.Less(t, c.strangersAtMost(1000), int64(400))
}
