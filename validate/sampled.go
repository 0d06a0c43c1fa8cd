package validate

import (
	"fmt"
	"math"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A comparison holds the users that both samples would hold, had both sides
// them: the source's by position, each with how often the two sides hold it. What
// it counts is certain for these users, and a lower bound for all.
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

// differing returns how many sampled users of the source the other side does not
// hold as often.
func (c *comparison) differing() (n int) {
	for _, u := range c.users {
		if u.source != u.stored {
			n++
		}
	}
	return n
}

// looked says how many users of the source were looked at.
func (c *comparison) looked() string {
	if c.whole {
		return counted(int64(len(c.users)), "user")
	}
	return counted(int64(len(c.users)), "sampled user")
}

// fewest is how many sampled users must differ before a share is told by them.
const fewest = 10

// shareMissing returns between which shares of the source's rows are missing, at
// five standard errors, and five sampled users at least. A sampled user is one draw, whatever the number of its
// rows, so the share is a ratio of two sums: its variance is that of the linear
// part of its error; Cochran, "Sampling Techniques" (1977), section 2.11. Users
// that came very often may be in no sample, which no variance shows.
func (c *comparison) shareMissing() (low, high float64) {
	n, held := float64(len(c.users)), float64(c.held)
	share, squares := float64(c.missing)/held, 0.0
	for _, u := range c.users {
		off := float64(max(0, u.source-u.stored)) - share*float64(u.source)
		squares += off * off
	}
	half := max(5*math.Sqrt(squares*n/max(1, n-1))/held, 5/n)
	return max(0, share-half), min(1, share+half)
}

// atLeastAndMost returns the lowest and the highest share of all users that a share
// of so many sampled ones allows for at five standard errors: Wilson's score
// interval, which holds for shares near zero too; Wilson, "Probable Inference"
// (1927). The sampled ones must each count once.
func atLeastAndMost(share float64, sampled int) (low, high float64) {
	const z = 5
	n := float64(sampled)
	middle := share + z*z/(2*n)
	width := z * math.Sqrt(share*(1-share)/n+z*z/(4*n*n))
	return max(0, (middle-width)/(1+z*z/n)), min(1, (middle+width)/(1+z*z/n))
}

// distinctAtMost returns how many different users a side holds at most: the number of
// its rows over how often a sampled user came on average, less five standard errors of
// that. It is exact where the sample holds all.
func (s *snapshot) distinctAtMost() (users int64, exact bool) {
	n, rows, squares := float64(len(s.sample.Users)), 0.0, 0.0
	if s.sample.Whole() {
		return int64(len(s.sample.Users)), true
	}
	for i := range s.sample.Users {
		rows += float64(s.sample.Users[i].Count)
	}
	for i := range s.sample.Users {
		off := float64(s.sample.Users[i].Count) - rows/n
		squares += off * off
	}
	often := max(1, rows/n-5*math.Sqrt(squares/(n-1)/n))
	return min(s.users-int64(rows-n), int64(float64(s.users)/often)), false
}

// unlikely returns the runs of missing users, of so many, that chance does not make
// even where as many are lost as around each run, and the likeliest of them. Losses
// are often denser in some places, among the newest users for one: a run shows a
// cause only if it is unlike its neighbours.
func unlikely(missing []run, users int64) (found []run, likeliest luck) {
	likeliest = luck(math.Inf(-1))
	for _, r := range missing {
		if r.users() < fewest {
			continue // chance always makes them
		}
		if l := luckOf(r, missing, users); !l.plausible() {
			found, likeliest = append(found, r), max(likeliest, l)
		}
	}
	return found, likeliest
}

// luck is the chance, at most, that losses look like a cause: its decimal
// logarithm, as a float64 has no room for the chance itself.
type luck float64

// plausible reports whether chance explains the losses well enough that no cause
// is claimed: less than one false claim in a thousand million.
func (l luck) plausible() bool { return l > -9 }

// luckOf bounds the chance that, where as many of the users in and around a run are
// missing at random, all of a run of its length are: [lost]_run / [around]_run, at any
// place where it may begin. One at the end has one place. Around it lie as many
// users on either side as in it.
func luckOf(r run, missing []run, users int64) luck {
	around := run{from: max(0, r.from-r.users()), to: min(users, r.to+r.users())}
	var lost int64
	for _, m := range missing {
		lost += max(0, min(m.to, around.to)-max(m.from, around.from))
	}
	places := users - r.users() + 1
	if r.to == users {
		places = 1
	}
	chance := math.Log(float64(places)) + lnFalling(lost, r.users()) - lnFalling(around.users(), r.users())
	return luck(min(0, chance) / math.Ln10)
}

// String says one in how many.
func (l luck) String() string {
	if l < -15 {
		return "under 1 in 10^15"
	}
	return fmt.Sprintf("1 in 10^%.0f", math.Floor(-float64(l)))
}

// lnFalling returns ln of n × (n-1) × … of k factors.
func lnFalling(n, k int64) float64 { return lnFactorial(n) - lnFactorial(n-k) }

func lnFactorial(n int64) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}
