package validate

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
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
			require.Positive(t, d.sample.Floor)
			require.GreaterOrEqual(t, len(d.sample.Users), sketch.SampleSize)
			for times := range int64(3) {
				for _, u := range d.sample.Users {
					require.Equal(t, times+1, u.Count, "%s, %s", name, hash)
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
		at    sketch.Place
	}
	var got []where
	for _, c := range all.checkpoints.List {
		got = append(got, where{c.Users, c.At})
		if c.Users == 700+1000 {
			begin := of("a", 700)
			require.NoError(t, begin.Merge(of("b", 1000)))
			require.Equal(t, begin.sum, c.Sum)
		}
	}
	require.Contains(t, got, where{500, sketch.AtCap}, "a limit of the first shard")
	require.Contains(t, got, where{700, sketch.AtSeam}, "where the two meet")
	require.Contains(t, got, where{700 + 500, sketch.AtPage}, "a limit within the next one")
	require.Contains(t, got, where{700 + 1000, sketch.AtPage}, "a page of the next one")
	require.Contains(t, got, where{700 + 2400, sketch.AtSeam}, "where its own shards meet")
}
