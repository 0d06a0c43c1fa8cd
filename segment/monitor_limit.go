package segment

import (
	"cmp"
	"math"
	"slices"
)

// A fall is a segment that is now smaller than it was by a fifth or more. Only
// falls are kept for the signature, so that memory does not grow with the number
// of healthy segments.
type fall struct {
	was, now int64
	segment  ID
	run      string // the last one
	kept     bool   // the baseline holds the last run's size
	brought  bool   // which is now
}

// fell reports whether going from was to now is a fall.
func fell(was, now int64) bool { return float64(was) >= 1.25*float64(now) }

const (
	smallestShared = 100  // below, segments meet at a size by chance
	chance         = 1e-4 // of a false alarm in a sweep
)

// sharedSizes finds sizes at which several segments stopped that were all larger,
// and from different sizes: a limit at work, even where nothing was expected of
// any of them. Equal sizes alone say nothing, as copies of each other, plans
// with limits and small segments have them all the time.
//
// For the m distinct previous sizes among the segments now at one size c, it
// asks how likely m is, if falls land as densely around c as those beside c do:
// Poisson with mean (falls into [c/1.25, 1.25c] elsewhere, plus 1) / (0.45 c),
// times the number of sizes there are, of which sizes is an upper bound.
func sharedSizes(falls []fall, sizes int) (shared [][]fall) {
	slices.SortFunc(falls, func(a, b fall) int {
		return cmp.Or(cmp.Compare(a.now, b.now), cmp.Compare(a.was, b.was), a.segment.Compare(b.segment))
	})
	for first := 0; first < len(falls); {
		size := falls[first].now
		end := first
		for end < len(falls) && falls[end].now == size {
			end++
		}
		if group := falls[first:end]; size >= smallestShared && unlikely(group, falls, sizes) {
			shared = append(shared, group)
		}
		first = end
	}
	return shared
}

func unlikely(group, falls []fall, sizes int) bool {
	distinct := 0
	for i := range group {
		if i == 0 || group[i].was != group[i-1].was {
			distinct++
		}
	}
	if distinct < manySegments {
		return false
	}
	c := float64(group[0].now)
	low, _ := slices.BinarySearchFunc(falls, c/1.25, func(f fall, x float64) int { return cmp.Compare(float64(f.now), x) })
	high, _ := slices.BinarySearchFunc(falls, 1.25*c, func(f fall, x float64) int {
		if float64(f.now) <= x {
			return -1
		}
		return 1
	})
	around := high - low - len(group)
	mean := float64(around+1) / (0.45 * c)
	return tail(mean, distinct)*float64(sizes) < chance
}

// tail returns the probability that Poisson(mean) is at least m. It sums from m
// upwards: one minus the sum below would lose all its digits.
func tail(mean float64, m int) float64 {
	if float64(m) <= mean { // no alarm, whatever it is just
		return 1
	}
	lgamma, _ := math.Lgamma(float64(m) + 1)
	term := math.Exp(float64(m)*math.Log(mean) - mean - lgamma)
	sum := term
	for k := m + 1; term > sum*1e-12 || float64(k) < mean; k++ {
		term *= mean / float64(k)
		sum += term
	}
	return min(sum, 1)
}
