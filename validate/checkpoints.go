package validate

import (
	"math"
	"slices"
)

// Checkpoints are sums over the first so many users: at each page, at each known
// limit, and where shards meet. What lies between two of them is known by its
// sum, so that a lost or repeated page can be told for certain.
type checkpoints struct {
	list      []checkpoint
	doublings uint8 // how often the pages were thinned
}

type checkpoint struct {
	users int64
	sum   sum
	at    place
}

// place is what a checkpoint stands at. Thinning drops those at pages only.
type place uint8

const (
	atPage place = iota
	atCap
	atSeam
)

// maxCheckpoints is 480 KB of them. Pages of 1,000 are thinned from ten million
// users on.
const maxCheckpoints = 10_000

func (c *checkpoints) add(p checkpoint, page int64) {
	if n := len(c.list); n > 0 && c.list[n-1].users == p.users {
		c.list[n-1].at = max(c.list[n-1].at, p.at)
		return
	}
	// Doubles: append grows large slices by a quarter, and so copies more often.
	if n := len(c.list); n == cap(c.list) {
		c.list = slices.Grow(c.list, min(max(16, n), maxCheckpoints-n))
	}
	c.list = append(c.list, p)
	if len(c.list) >= maxCheckpoints {
		c.thin(page)
	}
}

// stride is the distance of the pages that are kept.
func (c *checkpoints) stride(page int64) int64 { return page << c.doublings }

// thin doubles the stride, but not beyond half of all users: after many small
// shards, a large one that is merged later must still get pages. Pages are counted
// from the last seam.
func (c *checkpoints) thin(page int64) {
	if c.stride(page) <= c.list[len(c.list)-1].users/2 {
		c.doublings++
	}
	var seam int64
	c.list = slices.DeleteFunc(c.list, func(p checkpoint) bool {
		if p.at == atSeam {
			seam = p.users
		}
		return p.at == atPage && (p.users-seam)%c.stride(page) != 0
	})
	if len(c.list) > maxCheckpoints*3/4 { // thousands of small shards
		every := 0
		c.list = slices.DeleteFunc(c.list, func(p checkpoint) bool {
			every++
			return every%2 == 1 && p.at != atCap
		})
	}
}

func (c *checkpoints) clone() checkpoints {
	return checkpoints{slices.Clone(c.list), c.doublings}
}

// nextMultiple is the first multiple of step above n.
func nextMultiple(n, step int64) int64 {
	if n > math.MaxInt64-step {
		return math.MaxInt64
	}
	return (n/step + 1) * step
}

// nextCap is the first known limit above n.
func nextCap(n int64) int64 {
	i, found := slices.BinarySearch(capNumbers, n)
	if found {
		i++
	}
	if i == len(capNumbers) {
		return math.MaxInt64
	}
	return capNumbers[i]
}
