package rerun

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/stretchr/testify/require"
)

func pointers(keys []string) func(func(*string) bool) {
	return func(yield func(*string) bool) {
		for i := range keys {
			if !yield(&keys[i]) {
				return
			}
		}
	}
}

// TestNumbered: equal keys have equal numbers, others have not, whatever the
// hash; one under which keys collide is tried once.
func TestNumbered(t *testing.T) {
	good := func() func(*string) uint64 {
		seed := maphash.MakeSeed()
		return func(s *string) uint64 { return maphash.String(seed, *s) }
	}
	for _, c := range []struct {
		reason string
		tries  int
		first  func(*string) uint64
	}{
		{"a good hash is kept", 1, good()},
		{"all keys share a hash", 2, func(*string) uint64 { return 0 }},
		{"all hashes end alike, so all keys begin in one slot", 1, func(s *string) uint64 { return maphash.String(testSeed, *s) << 32 }},
		{"hashes begin alike, and are told apart by where they are, or not", 0, func(s *string) uint64 { return maphash.String(testSeed, *s) & 0xff }},
	} {
		t.Run(c.reason, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 3, 100, 1500} {
				keys := make([]string, n)
				for i := range keys {
					keys[i] = strconv.Itoa(rand.IntN(n))
				}
				tries := 0
				numbers, distinct := numbered(pointers(keys), n, func() func(*string) uint64 {
					tries++
					if tries == 1 {
						return c.first
					}
					return good()
				})
				want := []string{}
				for i, key := range keys {
					if !slices.Contains(want, key) {
						want = append(want, key)
					}
					require.Equal(t, key, distinct[numbers[i]])
				}
				require.Equal(t, want, distinct, "in the order in which they first come")
				if n >= 100 && c.tries > 0 {
					require.Equal(t, c.tries, tries)
				}
			}
		})
	}
}

var testSeed = maphash.MakeSeed()

// TestSort: sorting by words is sorting by bytes.
func TestSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		g := &graph{}
		var list []precedence
		prefix := strings.Repeat("x", r.IntN(20))
		seen := map[string]bool{}
		for range r.IntN(60) {
			name := []byte(prefix)
			for range r.IntN(25) {
				name = append(name, "aaaaaaaaaaaaaaaa\x00\x01b\xff"[r.IntN(20)])
			}
			if seen[string(name)] {
				continue
			}
			seen[string(name)] = true
			g.jobs = append(g.jobs, segment.Job{ID: string(name), Priority: r.IntN(2)})
			list = append(list, precedence{g.jobs[len(g.jobs)-1].Priority, 0, int32(len(list))})
		}
		g.sort(list)
		require.True(t, slices.IsSortedFunc(list, func(a, b precedence) int {
			if a.priority != b.priority {
				return b.priority - a.priority
			}
			return strings.Compare(g.jobs[a.job].ID, g.jobs[b.job].ID)
		}))
		jobs := map[int32]bool{}
		for _, u := range list {
			jobs[u.job] = true
			require.Equal(t, g.jobs[u.job].Priority, u.priority)
		}
		require.Len(t, jobs, len(g.jobs), "each once")
	}
}

// TestQueue: the smallest first, whatever came when.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var q queue
	var naive []int32
	for range 5000 {
		if len(naive) == 0 || r.IntN(2) == 0 {
			n := r.Int32N(100)
			q.push(n)
			naive = append(naive, n)
			continue
		}
		smallest := slices.Min(naive)
		naive = slices.Delete(naive, slices.Index(naive, smallest), slices.Index(naive, smallest)+1)
		require.Equal(t, smallest, q.pop())
	}
	require.Len(t, q, len(naive))
}
