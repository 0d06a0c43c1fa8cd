package validate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
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
	repeats  bool  // the source holds users more than once
	once     bool  // the other side holds none of the source's users more than once
}

type compared struct{ first, source, stored int64 }

// compare finds what the samples of two sides have in common. Where a store
// keeps a user once, distinct compares users and not how often they came.
func compare(source, stored *snapshot, distinct bool) *comparison {
	floor := max(source.sample.Floor, stored.sample.Floor)
	c := &comparison{whole: floor == 0, once: true}
	for _, u := range source.sample.ByPosition() {
		if u.Hash.High >= floor {
			there := stored.sample.Count(u.Hash)
			c.repeats = c.repeats || u.Count > 1
			c.once = c.once && there <= 1
			c.add(u.First, times(u.Count, distinct), times(there, distinct))
		}
	}
	for _, u := range stored.sample.Users {
		if u.Hash.High >= floor && source.sample.Count(u.Hash) == 0 {
			c.foreign += times(u.Count, distinct)
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
	if stored == 0 {
		c.absent++
	}
	if stored > source {
		c.repeated++
	}
}

// keepsOnce reports that the other side holds each user once that the source
// holds more often: what it lacks may be repeats.
func (c *comparison) keepsOnce() bool { return c != nil && c.once && c.repeats }

// lacksRepeats reports that the other side lacks nothing but repeats.
func (c *comparison) lacksRepeats() bool {
	return c.keepsOnce() && c.absent == 0 && c.surplus == 0
}

// pages returns, for each page between two marks, how often the other side holds
// it more than the source, where its sampled users all agree. A page without
// sampled users takes the value of both its neighbours, unless it may hold repeats.
func (c *comparison) pages(marks []sketch.Checkpoint) []int64 {
	pages := make([]int64, len(marks)-1)
	var unsampled []int // those before the one at hand
	next, last := 0, int64(0)
	for i := range pages {
		begin := next
		for next < len(c.users) && c.users[next].first < marks[i+1].Users {
			next++
		}
		if begin == next {
			if !c.repeats {
				unsampled = append(unsampled, i)
			}
			continue
		}
		pages[i] = c.alike(begin, next)
		if begin == 0 || pages[i] == last {
			fill(pages, unsampled, pages[i])
		}
		unsampled, last = nil, pages[i]
	}
	fill(pages, unsampled, last)
	return pages
}

func fill(pages []int64, at []int, times int64) {
	for _, i := range at {
		pages[i] = times
	}
}

// alike returns how much more often the other side holds each user of a stretch
// of the source: -1 where it holds none of them, 0 where they differ.
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

// gaps returns the stretches of sampled users, consecutive in the source, of
// which the other side holds none; by their places among all sampled users.
func (c *comparison) gaps() (all []run) {
	for i := 0; i < len(c.users); i++ {
		begin := i
		for i < len(c.users) && c.users[i].stored == 0 {
			i++
		}
		if i > begin {
			all = append(all, run{int64(begin), int64(i), -1})
		}
	}
	return all
}

// unlikely returns the longest runs of missing users, as many as chance is least
// likely to make out of so many users, and how likely that is. Runs of one or two
// users are no lost pages: they are what a lost shard leaves that held every other
// user.
func unlikely(missing []run, users int64) (found []run, chance luck) {
	all := slices.SortedStableFunc(slices.Values(missing), func(a, b run) int { return cmp.Compare(b.users(), a.users()) })
	var lost, taken int64
	for _, r := range all {
		lost += r.users()
	}
	end := false
	for i, r := range all[:min(len(all), maxRuns)] {
		n := int64(i + 1)
		taken += r.users()
		end = end || r.to == users
		if l := luckOf(users, lost, taken, n, end); l < chance && taken > 2*n {
			found, chance = all[:n], l
		}
	}
	if chance.plausible() {
		return nil, 0
	}
	return slices.SortedFunc(slices.Values(found), func(a, b run) int { return cmp.Compare(a.from, b.from) }), chance
}

// maxRuns is how many are looked at, the longest first.
const maxRuns = 64

// luck is the chance, at most, that losses at random look like a cause: its
// decimal logarithm, as a float64 has no room for the chance itself.
type luck float64

// plausible reports whether chance explains the losses well enough that no cause
// is claimed: less than one false claim, of all the runs looked at, in ten million
// checks that find users missing.
func (l luck) plausible() bool { return l > -9 }

// String says one in how many.
func (l luck) String() string {
	if l < -15 {
		return "under 1 in 10^15"
	}
	return fmt.Sprintf("1 in 10^%.0f", math.Floor(-float64(l)))
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
	return luck(min(0, ways+lnFalling(lost, taken)-lnFalling(all, taken)) / math.Ln10)
}

// lnFalling returns ln of n × (n-1) × … of k factors.
func lnFalling(n, k int64) float64 { return lnFactorial(n) - lnFactorial(n-k) }

func lnChoose(n, k int64) float64 {
	return lnFactorial(n) - lnFactorial(k) - lnFactorial(n-k)
}

func lnFactorial(n int64) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

// bounds returns the lowest and highest share of a whole that a share of a sample
// of so many allows for at three standard errors: Wilson's score interval, which
// holds for shares near zero too; Wilson, "Probable Inference" (1927).
func bounds(share float64, sampled int) (low, high float64) {
	const z = 3
	n := float64(sampled)
	middle := share + z*z/(2*n)
	width := z * math.Sqrt(share*(1-share)/n+z*z/(4*n*n))
	return max(0, (middle-width)/(1+z*z/n)), min(1, (middle+width)/(1+z*z/n))
}

// unseen returns for how many of the source's users, each as often as it came, the
// sample does not speak: it may hold none of a few that came very often. Then
// the source has more than its distinct users times the sample's average, by
// more than three standard errors of that.
func (c *comparison) unseen(source *snapshot) int64 {
	distinct, n := source.distinct(), float64(len(c.users))
	average := float64(c.held) / n
	var variance float64
	for _, u := range c.users {
		variance += (float64(u.source) - average) * (float64(u.source) - average) / n
	}
	spoken := float64(distinct.lower) * average
	noise := 3 * spoken * math.Hypot(distinct.relErr, math.Sqrt(variance/n)/average)
	if unseen := float64(source.users) - spoken; unseen > noise {
		return int64(unseen + noise)
	}
	return 0
}
