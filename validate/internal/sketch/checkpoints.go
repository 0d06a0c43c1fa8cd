package sketch

import (
	"math"
	"slices"
)

// Checkpoints are sums over the first so many users: at each page, at each known
// limit, and where shards meet. What lies between two of them is known by its
// sum, so that a lost or repeated page can be told for certain.
type Checkpoints struct {
	List      []Checkpoint
	Doublings uint8 // how often the pages were thinned
}

// A Checkpoint holds the sum over the first users.
type Checkpoint struct {
	Users int64
	Sum   Sum
	At    Place
}

// A Place tells what a checkpoint stands at. Thinning drops those at pages only.
type Place uint8

// The places, those that must not be dropped last.
const (
	AtPage Place = iota
	AtCap
	AtSeam
)

// MaxCheckpoints is 480 KB of them. Pages of 1,000 are thinned from ten million
// users on.
const MaxCheckpoints = 10_000

// Add appends a checkpoint behind those that are there.
func (c *Checkpoints) Add(p Checkpoint, page int64) {
	if n := len(c.List); n > 0 && c.List[n-1].Users == p.Users {
		c.List[n-1].At = max(c.List[n-1].At, p.At)
		return
	}
	// Doubles: append grows large slices by a quarter, and so copies more often.
	if n := len(c.List); n == cap(c.List) {
		c.List = slices.Grow(c.List, min(max(16, n), MaxCheckpoints-n))
	}
	c.List = append(c.List, p)
	if len(c.List) >= MaxCheckpoints {
		c.thin(page)
	}
}

// Stride returns the distance of the pages that are kept.
func (c *Checkpoints) Stride(page int64) int64 { return page << c.Doublings }

// thin doubles the stride, but not beyond half of all users: after many small
// shards, a large one that is merged later must still get pages. Pages are counted
// from the last seam.
func (c *Checkpoints) thin(page int64) {
	if c.Stride(page) <= c.List[len(c.List)-1].Users/2 {
		c.Doublings++
	}
	var seam int64
	c.List = slices.DeleteFunc(c.List, func(p Checkpoint) bool {
		if p.At == AtSeam {
			seam = p.Users
		}
		return p.At == AtPage && (p.Users-seam)%c.Stride(page) != 0
	})
	if len(c.List) > MaxCheckpoints*3/4 { // thousands of small shards
		every := 0
		c.List = slices.DeleteFunc(c.List, func(p Checkpoint) bool {
			every++
			return every%2 == 1 && p.At != AtCap
		})
	}
}

// Clone returns a copy that shares nothing.
func (c *Checkpoints) Clone() Checkpoints {
	return Checkpoints{slices.Clone(c.List), c.Doublings}
}

// NextMultiple returns the first multiple of step above n.
func NextMultiple(n, step int64) int64 {
	if n > math.MaxInt64-step {
		return math.MaxInt64
	}
	return (n/step + 1) * step
}
