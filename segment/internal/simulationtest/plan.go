package simulationtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// A way is how a job's output goes live.
type way string

// The ways.
const (
	staged way = "staged"
	inside way = "in its transaction"
	direct way = "live"
)

// A jobPlan is one run of one job.
type jobPlan struct {
	segment segment.ID
	way     way
	start   time.Duration
	takes   time.Duration // to write
	counts  time.Duration // to count what is stored
	skew    time.Duration // of its clock
	right   int64         // users that the source has
	users   int64         // that it writes
	retry   time.Duration
	faults  map[int]fault
	answers time.Duration // of a run that is submitted: until its store shows it
	unseen  bool          // nothing but the history says how many users there should be
	night   int           // in a world of weeks
}

// A plan is all that a world is made of, but for the order of its steps.
type plan struct {
	seed    uint64 // of the order
	jobs    []jobPlan
	sweeps  []sweepPlan
	humans  []humanPlan
	settles []sweepPlan
	weeks   *weeks        // nil: a world of hours
	rest    time.Duration // when nothing begins any more
}

type sweepPlan struct {
	start  time.Duration
	slow   bool // the alerter takes longer for its answer than a claim lasts
	faults map[int]fault
}

// active is how long jobs begin; faults end with it.
const active = 4 * time.Hour

var skews = []time.Duration{0, 0, 0, -20 * time.Minute, 15 * time.Minute, 2 * time.Hour}

// newPlan makes a world of a seed: mostly healthy runs that meet, and a few faults.
func newPlan(seed uint64) plan {
	if p := newWeeks(seed); p != nil {
		return *p
	}
	p := largePlan(seed)
	p.thin()
	p.addMore()
	p.addLater()
	return p
}

// addMore has a bad build meet four more segments in one world in ten, so that there is
// an incident. Either its guards meet faults on the way to people, or the alerter is
// slow to answer a sweep, and the next sweep begins meanwhile. It draws by itself, as
// thin does.
func (p *plan) addMore() {
	r := rand.New(rand.NewPCG(p.seed, 5))
	if r.IntN(10) > 0 {
		return
	}
	begin, slow := time.Duration(r.IntN(int(active/2))), r.IntN(2) == 0
	for s := range 4 {
		for run := range 2 { // the second one is right
			j := jobPlan{
				segment: segment.ID{SiteGroup: "g", Name: string(rune('s' + s))}, way: staged, right: 10_000, users: 10_000 * int64(6+4*run) / 10,
				start: begin + time.Duration(run)*time.Hour + time.Duration(r.IntN(int(10*time.Minute))), takes: time.Second, retry: time.Minute, faults: map[int]fault{},
			}
			if run == 0 && !slow {
				j.faults[8+r.IntN(12)] = []fault{fails, fails, hangs, lost, kills, killed}[r.IntN(6)]
			}
			p.jobs = append(p.jobs, j)
		}
	}
	if slow {
		for _, start := range []time.Duration{10 * time.Minute, 10*time.Minute + 75*time.Second} {
			p.sweeps = append(p.sweeps, sweepPlan{start: begin + start, slow: start == 10*time.Minute, faults: map[int]fault{}})
		}
	}
}

// thin takes the second segment out of most worlds that have one, and half of the
// sweeps before the last ones: the time is better spent on another world. It draws by
// itself: what is left is as in the large world.
func (p *plan) thin() {
	r := rand.New(rand.NewPCG(p.seed, 4))
	if r.IntN(3) > 0 {
		first := p.jobs[0].segment
		p.jobs = slices.DeleteFunc(p.jobs, func(j jobPlan) bool { return j.segment != first })
		p.humans = slices.DeleteFunc(p.humans, func(h humanPlan) bool { return h.segment != first })
	}
	p.sweeps = p.sweeps[:(len(p.sweeps)+1)/2]
}

// largePlan makes a world of a seed as all were once: see TestSeedsThatFailed.
func largePlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := plan{seed: seed, rest: active}
	equal := r.IntN(3) == 0 // sizes that are all the same hide faults
	calm := r.IntN(4) == 0  // a world without faults
	for s := range 1 + r.IntN(2) {
		id := segment.ID{SiteGroup: "g", Name: string(rune('a' + s))}
		ways := [][]way{{staged}, {inside}, {direct}, {staged, inside}, {staged, inside}}[r.IntN(5)]
		meet := time.Duration(r.IntN(int(active / 2)))
		for range 5 + r.IntN(5) {
			j := jobPlan{
				segment: id, way: ways[r.IntN(len(ways))], start: time.Duration(r.IntN(int(active))), skew: skews[r.IntN(len(skews))],
				takes: time.Duration(r.IntN(int(2 * time.Minute))), right: 10_000, retry: time.Duration(r.IntN(int(5 * time.Minute))), faults: map[int]fault{},
			}
			if r.IntN(2) == 0 { // at the same time as others
				j.start = meet + time.Duration(r.IntN(int(2*time.Minute)))
			}
			if r.IntN(4) == 0 {
				j.counts = time.Duration(r.IntN(int(5 * time.Minute)))
			}
			if !equal {
				j.right += int64(r.IntN(100))
			}
			j.users = j.right
			if !calm && r.IntN(8) == 0 {
				j.users = j.right * 6 / 10
			}
			if !calm && r.IntN(4) == 0 {
				j.faults[r.IntN(20)] = []fault{fails, lost, hangs, late, pauses, kills, killed}[r.IntN(7)]
			}
			p.jobs = append(p.jobs, j)
		}
	}
	for range 1 + r.IntN(3) {
		s := sweepPlan{start: time.Duration(r.IntN(int(active + time.Hour))), faults: map[int]fault{}}
		if !calm && r.IntN(4) == 0 {
			s.faults[r.IntN(8)] = []fault{fails, lost, hangs, pauses, kills, killed}[r.IntN(6)]
		}
		p.sweeps = append(p.sweeps, s)
	}
	p.addHumans()
	return p
}

// faulty reports whether anything in the plan goes wrong.
func (p *plan) faulty() bool {
	return slices.ContainsFunc(p.jobs, func(j jobPlan) bool { return len(j.faults) > 0 || j.users != j.right }) ||
		slices.ContainsFunc(slices.Concat(p.sweeps, p.settles), func(s sweepPlan) bool { return len(s.faults) > 0 })
}

// smaller returns plans with one thing less.
func (p *plan) smaller() (plans []plan) {
	for i := range p.jobs {
		if p.weeks != nil { // without some of its runs it is another fault
			break
		}
		less := *p
		less.jobs = slices.Delete(slices.Clone(p.jobs), i, i+1)
		plans = append(plans, less)
	}
	for i, s := range p.sweeps {
		less := *p
		less.sweeps = slices.Delete(slices.Clone(p.sweeps), i, i+1)
		plans = append(plans, less)
		if len(s.faults) > 0 {
			less.sweeps = slices.Clone(p.sweeps)
			less.sweeps[i].faults = nil
			plans = append(plans, less)
		}
	}
	plans = append(plans, p.fewerSettles()...)
	for i := range p.humans {
		less := *p
		less.humans = slices.Delete(slices.Clone(p.humans), i, i+1)
		plans = append(plans, less)
	}
	for i, j := range p.jobs {
		if len(j.faults) == 0 && (j.users == j.right || p.weeks != nil) && j.skew == 0 {
			continue
		}
		for _, simpler := range []func(*jobPlan){
			func(j *jobPlan) { j.faults = nil }, func(j *jobPlan) { j.users = j.right }, func(j *jobPlan) { j.skew = 0 },
		} {
			less := *p
			less.jobs = slices.Clone(p.jobs)
			if simpler(&less.jobs[i]); p.weeks != nil {
				less.jobs[i].users = j.users
			}
			plans = append(plans, less)
		}
	}
	return plans
}

// shrink returns the smallest plan that it finds to break a promise still, in
// some order of its steps.
func shrink(p plan, breaks func(plan) bool) plan {
	for again := true; again; {
		again = false
		for _, less := range p.smaller() {
			if seed, ok := someOrder(less, breaks); ok && less.size() < p.size() {
				p, again = less, true
				p.seed = seed
				break
			}
		}
	}
	return p
}

// size returns how much there is to a plan.
func (p *plan) size() (n int) {
	n = len(p.jobs) + len(p.sweeps) + len(p.settles) + len(p.humans)
	for _, s := range slices.Concat(p.sweeps, p.settles) {
		n += len(s.faults)
	}
	for _, h := range p.humans {
		n += len(h.faults)
	}
	for _, j := range p.jobs {
		n += len(j.faults)
		if j.users != j.right {
			n++
		}
		if j.skew != 0 {
			n++
		}
	}
	return n
}

func someOrder(p plan, breaks func(plan) bool) (uint64, bool) {
	for i := range uint64(30) {
		tried := p
		if i > 0 {
			tried.seed = p.seed + i<<32
		}
		if breaks(tried) {
			return tried.seed, true
		}
	}
	return 0, false
}

func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "order %d\n", p.seed)
	if p.weeks != nil {
		fmt.Fprintf(&b, "weeks: %+v\n", *p.weeks)
	}
	for i, j := range p.jobs {
		fmt.Fprintf(&b, "job%d of %s, %s, at %v for %v, counted in %v, clock %v: %d of %d users; %v\n", i, j.segment, j.way, j.start.Round(time.Second), j.takes.Round(time.Second), j.counts.Round(time.Second), j.skew, j.users, j.right, j.faults)
	}
	for i, s := range p.sweeps {
		fmt.Fprintf(&b, "sweep%d at %v, slow alerter %v; %v\n", i, s.start.Round(time.Second), s.slow, s.faults)
	}
	for i, s := range p.settles {
		fmt.Fprintf(&b, "settle%d at %v; %v\n", i, s.start.Round(time.Second), s.faults)
	}
	for i, h := range p.humans {
		fmt.Fprintf(&b, "human%d %s, %s, at %v; %v\n", i, h.does, h.segment, h.start.Round(time.Second), h.faults)
	}
	return b.String()
}
