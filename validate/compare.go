package validate

import (
	"fmt"
	"math"
)

// A comparison holds the users that both samples would hold, had both sides
// them: the source's by position, each with how often the two sides hold it.
type comparison struct {
	whole    bool // they are all users of both sides
	users    []compared
	held     int64 // of the source, each as often as it holds them
	missing  int64 // of these, how many the other side does not hold
	absent   int   // users that the other side does not hold at all
	surplus  int64 // what the other side holds beyond the source
	foreign  int64 // of these, users that the source does not hold at all
	repeated int   // users that the other side holds more often than the source
	once     bool  // the other side holds each of the source's users exactly once
}

type compared struct{ first, source, stored int64 }

// compare finds what the samples of two sides have in common. Where a store
// keeps a user once, distinct compares users and not how often they came.
func compare(source, stored *snapshot, distinct bool) *comparison {
	floor := max(source.sample.floor, stored.sample.floor)
	c := &comparison{whole: floor == 0, once: true}
	for _, u := range source.sample.byPosition() {
		if u.hash.high >= floor {
			c.add(u.first, times(u.count, distinct), times(stored.sample.count(u.hash), distinct))
		}
	}
	for _, u := range stored.sample.users {
		if u.hash.high >= floor && source.sample.count(u.hash) == 0 {
			c.foreign += times(u.count, distinct)
		}
	}
	c.surplus += c.foreign
	return c
}

func times(count int64, distinct bool) int64 {
	if distinct {
		return min(count, 1)
	}
	return count
}

func (c *comparison) add(first, source, stored int64) {
	c.users = append(c.users, compared{first, source, stored})
	c.held += source
	c.missing += max(0, source-stored)
	c.surplus += max(0, stored-source)
	c.once = c.once && stored == 1
	if stored == 0 {
		c.absent++
	}
	if stored > source {
		c.repeated++
	}
}

// keepsOnce reports that the other side lacks nothing but repeats: each user is
// there, once.
func (c *comparison) keepsOnce() bool {
	return c != nil && c.once && c.surplus == 0 && c.held > int64(len(c.users))
}

// alike is how much more often the other side holds a stretch of the source,
// the same for each user in it: -1 where it holds none of them, 0 where they
// differ or there is none.
func (c *comparison) alike(from, to int) (more int64) {
	for i, u := range c.users[from:to] {
		of := (u.stored - u.source) / u.source
		if u.source+of*u.source != u.stored || i > 0 && of != more {
			return 0
		}
		more = of
	}
	return more
}

// stretches are the longest stretches of sampled users, one after the other in
// the source, of which the other side holds none: as many as chance is least
// likely to make of the users that are missing, and how likely that is.
func (c *comparison) stretches() (found []stretch, chance luck) {
	all := c.gaps()
	chance = 1
	taken, end := int64(0), false
	for n, s := range all[:min(len(all), maxStretches)] {
		taken += s.users()
		end = end || s.to == len(c.users)
		l := luckOf(int64(len(c.users)), int64(c.absent), taken, int64(n+1), end)
		if l < chance {
			found, chance = all[:n+1], l
		}
	}
	if chance.plausible() {
		return nil, 1
	}
	return found, chance
}

const maxStretches = 64

// A stretch is places in a comparison, from the first up to, not including, to.
type stretch struct{ from, to int }

func (s stretch) users() int64 { return int64(s.to - s.from) }

// gaps are the maximal stretches of absent users, longest first.
func (c *comparison) gaps() (all []stretch) {
	for i := 0; i < len(c.users); i++ {
		begin := i
		for i < len(c.users) && c.users[i].stored == 0 {
			i++
		}
		if i > begin {
			all = append(all, stretch{begin, i})
		}
	}
	sortStretches(all)
	return all
}

// luck is the chance, at most, that losses at random look like a cause.
type luck float64

// plausible is the limit below which a cause is claimed: less than one false
// claim in a hundred million checks that find users missing.
func (l luck) plausible() bool { return l > 1e-9 }

// String says one in how many.
func (l luck) String() string {
	if l < 1e-15 {
		return "under 1 in 10^15"
	}
	return fmt.Sprintf("1 in 10^%.0f", math.Floor(-math.Log10(float64(l))))
}

// luckOf bounds the chance that, where lost of all users are missing at random,
// some runs of them in order, taken users together, are missing as a whole: the
// number of ways to lay the runs, times the chance that the users of one way are
// all missing, [lost]_taken / [all]_taken. Where the last run is at the end, it
// is laid already.
func luckOf(all, lost, taken, runs int64, end bool) luck {
	laid, places := runs, all-taken+1
	if end {
		laid, places = runs-1, all-taken
	}
	ways := lnChoose(places, laid) + lnChoose(taken-1, runs-1)
	return luck(math.Exp(min(0, ways+lnFalling(lost, taken)-lnFalling(all, taken))))
}

// lnFalling is ln of n × (n-1) × … of k factors.
func lnFalling(n, k int64) float64 { return lnFactorial(n) - lnFactorial(n-k) }

func lnChoose(n, k int64) float64 {
	return lnFactorial(n) - lnFactorial(k) - lnFactorial(n-k)
}

func lnFactorial(n int64) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

// bounds are the lowest and highest share of a whole that a sample of so many
// allows for at three standard errors: Wilson's score interval, which holds for
// shares near zero too; Wilson, "Probable Inference" (1927).
func bounds(found, sampled int64) (low, high float64) {
	const z = 3
	n, p := float64(sampled), float64(found)/float64(sampled)
	middle := p + z*z/(2*n)
	width := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (middle-width)/(1+z*z/n)), min(1, (middle+width)/(1+z*z/n))
}
