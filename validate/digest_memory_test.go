package validate

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// TestDigestMemory: a digest with all the checkpoints it may keep stays below
// 2.5 MiB, and asking for more users to be told takes what Resolve says.
func TestDigestMemory(t *testing.T) {
	const users, many = 20_000, 8
	held := func(resolve int64) int64 {
		var before, after runtime.MemStats
		digests := make([]Digest, many)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range digests {
			d := &digests[i]
			d.MarkEvery(1)
			d.Resolve(resolve)
			for n := range users {
				d.AddString(strconv.Itoa(n))
			}
			require.Empty(t, d.flawText())
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(digests)
		return int64(after.HeapAlloc-before.HeapAlloc) / many
	}
	ordinary := held(1)
	t.Logf("%d KiB", ordinary>>10)
	require.Less(t, ordinary, int64(5<<19))
	require.InDelta(t, 3*3*sketch.TableSize*32, held(4*sketch.DefaultReach)-ordinary, 1<<18, "four times the cells")
}
