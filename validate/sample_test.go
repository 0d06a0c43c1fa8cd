package validate

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSampleCountsRepeats: of each user in the sample, the one at its floor too,
// it is known how often it came, however it was taken in.
func TestSampleCountsRepeats(t *testing.T) {
	source := make([]string, 10_000)
	for i := range source {
		source[i] = strconv.Itoa(i)
	}
	for name, add := range map[string]func(*Digest){
		"one by one": func(d *Digest) {
			for _, u := range source {
				d.AddString(u)
			}
		},
		"at once": func(d *Digest) { d.AddStrings(source) },
	} {
		for _, hash := range []Hash{XXH3, MD5} {
			d := NewDigest(hash)
			add(d)
			require.Positive(t, d.sample.floor)
			require.GreaterOrEqual(t, len(d.sample.users), sampleSize)
			for times := range int64(3) {
				for _, u := range d.sample.users {
					require.Equal(t, times+1, u.count, "%s, %s", name, hash)
				}
				add(d)
			}
		}
	}
}

// TestMergedCheckpoints: what was noted of the next shard stands behind the
// users before it, its seams as seams; its limits are none of the whole.
func TestMergedCheckpoints(t *testing.T) {
	of := func(prefix string, n int) *Digest {
		d := &Digest{}
		for i := range n {
			d.AddString(prefix + strconv.Itoa(i))
		}
		return d
	}
	shard := of("b", 2400)
	require.NoError(t, shard.Merge(of("c", 1200)))
	all := of("a", 700)
	require.NoError(t, all.Merge(shard))
	type where struct {
		users int64
		at    place
	}
	var got []where
	for _, c := range all.checkpoints.list {
		got = append(got, where{c.users, c.at})
		if c.users == 700+1000 {
			begin := of("a", 700)
			require.NoError(t, begin.Merge(of("b", 1000)))
			require.Equal(t, begin.sum, c.sum)
		}
	}
	require.Contains(t, got, where{500, atCap}, "a limit of the first shard")
	require.Contains(t, got, where{700, atSeam}, "where the two meet")
	require.Contains(t, got, where{700 + 500, atPage}, "a limit within the next one")
	require.Contains(t, got, where{700 + 1000, atPage}, "a page of the next one")
	require.Contains(t, got, where{700 + 2400, atSeam}, "where its own shards meet")
}

// sampleOf holds users with these high halves of their hashes.
func sampleOf(highs ...uint64) *sample {
	s := &sample{}
	for i, high := range highs {
		s.add(hash128{high, uint64(i)}, 1, int64(i))
	}
	return s
}

// TestSampleShrinks: at twice its size a sample drops the lower half, but keeps
// all that share the hash it ends at: the other side may hold any of them.
func TestSampleShrinks(t *testing.T) {
	const most = 2 * sampleSize
	falling := make([]uint64, most)
	for i := range falling {
		falling[i] = uint64(most - i)
	}
	for _, c := range []struct {
		reason string
		edit   func(highs []uint64)
		want   int
	}{
		{"no two alike", func([]uint64) {}, sampleSize},
		{"three alike where it ends", func(highs []uint64) {
			highs[sampleSize], highs[sampleSize+1] = highs[sampleSize-1], highs[sampleSize-1]
		}, sampleSize + 2},
		{"all alike from there on", func(highs []uint64) {
			for i := sampleSize; i < most; i++ {
				highs[i] = highs[sampleSize-1]
			}
		}, most},
	} {
		highs := append([]uint64(nil), falling...)
		c.edit(highs)
		s := sampleOf(highs...)
		require.True(t, s.full(), c.reason)
		s.shrink()
		require.Equal(t, uint64(most-sampleSize+1), s.floor, c.reason)
		require.Equal(t, c.want, len(s.users), c.reason) //nolint:testifylint // thousands of them tell nobody anything
		for _, u := range s.users {
			require.GreaterOrEqual(t, u.hash.high, s.floor, c.reason)
			require.EqualValues(t, 1, s.count(u.hash), c.reason)
		}
	}
	require.False(t, sampleOf(falling[1:]...).full(), "one below it, all are still held")
}

// TestSampleRaised: the users of a merged sample are those at the higher floor of
// both, or above it.
func TestSampleRaised(t *testing.T) {
	highs := func(s *sample) (all []uint64) {
		for _, u := range s.byPosition() {
			all = append(all, u.hash.high)
		}
		return all
	}
	low, high := sampleOf(4, 5, 9), sampleOf(5, 7)
	high.floor = 5
	low.merge(high, 3)
	require.Equal(t, []uint64{5, 9, 5, 7}, highs(low))
	require.Equal(t, uint64(5), low.floor)
	low.merge(sampleOf(4, 5, 5), 7)
	require.Equal(t, []uint64{5, 9, 5, 7, 5}, highs(low), "4 is below the floor")
}
