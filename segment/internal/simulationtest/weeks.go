package simulationtest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A standing fault is one that is there night after night, while nothing but the history
// of the segment says how many users there should be. The rule has Relearn 7.
type standing string

// The standing faults.
const (
	shallow  standing = "a third is gone"                     // goes live on the eighth day
	deep     standing = "less than 0.6 is left"               // never goes live by itself
	capped   standing = "just below a limit"                  // nor does this
	member   standing = "a third is gone, in an incident"     // nor this
	affected standing = "a third is gone, and of its source"  // nor this
	short    standing = "a third is gone, as the source says" // nor this
)

// weeks are what goes on in a world for weeks: runs by night, and now and then a sweep.
type weeks struct {
	fault     standing
	from, end int   // the nights with the fault, up to before end
	users     int64 // that it leaves
}

// patient is the segment that a world of weeks is about, and its source is another.
var (
	patient = segment.ID{SiteGroup: "g", Name: "w"}
	source  = segment.ID{SiteGroup: "g", Name: "q"}
)

// relearn is how many days a level must stand in a world of weeks, and repaired how many
// nights are right at the end.
const (
	relearn  = 7
	repaired = 3
	nightly  = 24 * time.Hour
	limit    = 6800
)

// newWeeks makes a world of weeks of a seed; nil: it is none, but for one in fifty.
func newWeeks(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 6))
	if r.IntN(50) > 0 {
		return nil
	}
	w := &weeks{fault: []standing{shallow, deep, capped, member, affected, short}[r.IntN(6)], from: 1 + r.IntN(2)}
	w.end = w.from + 8 + r.IntN(4)
	switch w.users = 6600 + int64(r.IntN(300)); w.fault { //nolint:exhaustive // the rest lack a third
	case deep:
		w.users -= 900 + int64(r.IntN(3000))
	case capped:
		w.users = limit - int64(r.IntN(limit/50))
	}
	p := &plan{seed: seed, weeks: w, rest: time.Duration(w.end+repaired) * nightly}
	faulty, again := r.IntN(3) == 0, r.IntN(3) == 0
	for night := range w.end + repaired {
		times := 1
		if again && night >= w.from && night < w.from+3 {
			times = 3 // by other runs: of a night all count once
		}
		for n := range times {
			j := w.job(night, time.Duration(n)*time.Hour+time.Duration(r.IntN(int(time.Hour))))
			if faulty && r.IntN(8) == 0 && night > w.from { // by when it is the member of an incident
				j.faults[r.IntN(20)] = []fault{fails, lost, hangs, kills, killed}[r.IntN(5)]
			}
			p.jobs = append(p.jobs, j)
		}
	}
	w.others(p)
	for range 3 {
		p.sweeps = append(p.sweeps, sweepPlan{start: time.Duration(r.IntN(int(p.rest))), faults: map[int]fault{}})
	}
	if r.IntN(4) == 0 {
		p.humans = append(p.humans, humanPlan{segment: patient, does: accepts, start: time.Duration(w.from+r.IntN(6))*nightly + 6*time.Hour, faults: map[int]fault{}})
	}
	return p
}

// job returns the run of a night.
func (w *weeks) job(night int, at time.Duration) jobPlan {
	j := jobPlan{
		segment: patient, way: []way{staged, inside}[night%2], start: time.Duration(night)*nightly + at, takes: time.Second, right: 10_050 + int64(night*7),
		retry: time.Minute, faults: map[int]fault{}, unseen: w.fault != short, night: night,
	}
	if j.users = j.right; night >= w.from && night < w.end {
		j.users = w.users
	}
	return j
}

// others adds the runs of other segments, by which no level is learned.
func (w *weeks) others(p *plan) {
	add := func(id segment.ID, night int, users int64) {
		p.jobs = append(p.jobs, jobPlan{
			segment: id, way: staged, start: time.Duration(night)*nightly + 30*time.Minute, takes: time.Second, right: 10_000, users: users, retry: time.Minute, faults: map[int]fault{},
		})
	}
	switch w.fault { //nolint:exhaustive // the rest are alone
	case member:
		for name := range 4 {
			id := segment.ID{SiteGroup: "g", Name: string(rune('s' + name))}
			add(id, w.from, 6000)
			add(id, w.from+1, 10_000)
		}
	case affected:
		add(source, w.from-1, 6000)
		add(source, w.end, 10_000)
	}
}

// rule returns the rule of a segment.
func (p *plan) rule(r segment.Rule, to segment.ID) segment.Rule {
	if p.weeks != nil && to == patient {
		r.Policy.Relearn = relearn
		if p.weeks.fault == capped {
			r.Policy.Caps = []validate.Cap{{Users: limit, Origin: "a page"}}
		}
	}
	return r
}

// from returns what a segment is made from.
func (p *plan) from(to segment.ID) segment.ID {
	if to == patient {
		return source
	}
	return segment.ID{SiteGroup: "source", Name: "s"}
}

// mayPass reports whether an output that is not as it should be may go live in a world
// of weeks: by what was learned, or as a human accepted its size.
func (w *world) mayPass(o *output) bool {
	return w.plan.mayLearn(o) || w.plan.weeks != nil && w.accepted[acceptedSize{o.id, o.users}]
}

// mayLearn reports whether an output that is not as it should be may go live, as its level
// stood for long enough and nothing else explains it. The band widens with the days
// of which nothing is known, and lets no fall of a third through before that.
func (p *plan) mayLearn(o *output) bool {
	return p.weeks != nil && o.id == patient && p.weeks.fault == shallow && o.night >= p.weeks.from+relearn
}

// learned reports whether a size may be a level that was learned.
func (w *world) learned(id segment.ID, users int64) bool {
	for _, o := range w.outputs {
		if o.landed && o.id == id && o.users == users && w.plan.mayLearn(o) {
			return true
		}
	}
	return false
}

// judgeWeeks holds a world of weeks against what must go live in it: a shallow fall on its
// eighth day, as people were told, and a repair.
func (w *world) judgeWeeks() {
	p := w.plan.weeks
	if p == nil || slices.ContainsFunc(w.plan.jobs, func(j jobPlan) bool { return len(j.faults) > 0 }) {
		return
	}
	for i := range w.results {
		r := &w.results[i]
		o := r.output
		switch {
		case o.id != patient || r.err == nil:
		case o.night >= p.end:
			w.violate("%s is a repair and returned %v", o.attempt, r.err)
		case w.plan.mayLearn(o):
			w.violate("%s stood for %d days and returned %v", o.attempt, relearn, r.err)
		}
	}
	if w.learned(patient, p.users) && !slices.ContainsFunc(w.told, func(a segment.Alert) bool { return strings.Contains(a.Text, "became normal by itself") }) && !w.misled(patient) {
		w.violate("a level became normal by itself, and nobody was told")
	}
}
