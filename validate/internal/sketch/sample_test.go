package sketch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleOf holds users with these high halves of their hashes.
func sampleOf(highs ...uint64) *Sample {
	s := &Sample{}
	for i, high := range highs {
		s.Add(Hash{high, uint64(i)}, 1, int64(i))
	}
	return s
}

// TestSampleShrinks: at twice its size a sample drops the lower half, but keeps
// all that share the hash it ends at: the other side may hold any of them.
func TestSampleShrinks(t *testing.T) {
	const most = 2 * SampleSize
	falling := make([]uint64, most)
	for i := range falling {
		falling[i] = uint64(most - i)
	}
	for _, c := range []struct {
		reason string
		edit   func(highs []uint64)
		want   int
	}{
		{"no two alike", func([]uint64) {}, SampleSize},
		{"three alike where it ends", func(highs []uint64) {
			highs[SampleSize], highs[SampleSize+1] = highs[SampleSize-1], highs[SampleSize-1]
		}, SampleSize + 2},
		{"all alike from there on", func(highs []uint64) {
			for i := SampleSize; i < most; i++ {
				highs[i] = highs[SampleSize-1]
			}
		}, most},
	} {
		highs := append([]uint64(nil), falling...)
		c.edit(highs)
		s := sampleOf(highs...)
		require.True(t, s.Full(), c.reason)
		s.Shrink()
		require.Equal(t, uint64(most-SampleSize+1), s.Floor, c.reason)
		require.Equal(t, c.want, len(s.Users), c.reason) //nolint:testifylint // thousands of them tell nobody anything
		for _, u := range s.Users {
			require.GreaterOrEqual(t, u.Hash.High, s.Floor, c.reason)
			require.EqualValues(t, 1, s.Count(u.Hash), c.reason)
		}
	}
	require.False(t, sampleOf(falling[1:]...).Full(), "one below it, all are still held")
}

// TestSampleRaised: the users of a merged sample are those at the higher floor of
// both, or above it.
func TestSampleRaised(t *testing.T) {
	highs := func(s *Sample) (all []uint64) {
		for _, u := range s.ByPosition() {
			all = append(all, u.Hash.High)
		}
		return all
	}
	low, high := sampleOf(4, 5, 9), sampleOf(5, 7)
	high.Floor = 5
	low.Merge(high, 3)
	require.Equal(t, []uint64{5, 9, 5, 7}, highs(low))
	require.Equal(t, uint64(5), low.Floor)
	low.Merge(sampleOf(4, 5, 5), 7)
	require.Equal(t, []uint64{5, 9, 5, 7, 5}, highs(low), "4 is below the floor")
}
