package rerun

import (
	"cmp"
	"slices"
)

// A tangle is a conflict by the numbers of its jobs.
type tangle struct {
	kind    ConflictKind
	jobs    []int32
	holdsUp []int32
	also    []int
}

// An untangling goes through the jobs that are left over, knot by knot. A knot
// is segments that can all be reached from each other, in most cases just one.
type untangling struct {
	*graph

	knot    []int32   // by segment; none where it is not left
	tied    [][]int32 // by knot: who writes its segments, most urgent first
	strands [][]int32 // by knot: its segments, in the order of their most urgent writers
	waits   []int     // by knot: what its jobs read from knots that were not gone through yet
	last    []int     // by knot: the last conflict that what reads from it waits for
	ready   queue     // of each knot that waits for no other, its most urgent job, by rank
	found   []tangle
}

// untangle finds the conflicts between the jobs that schedule left over, and
// puts those jobs in an order, as far as they have one.
func (g *graph) untangle() []tangle {
	var left []int32
	for _, j := range g.byRank {
		if g.position[j] == none {
			left = append(left, j)
		}
	}
	if len(left) == 0 {
		return nil
	}
	knot, n := g.knots(left)
	u := &untangling{
		graph: g, knot: knot,
		tied: make([][]int32, n), strands: make([][]int32, n), waits: make([]int, n), last: make([]int, n),
	}
	u.collect(left)
	for len(u.ready) > 0 {
		k := u.knotOf(g.byRank[u.ready.pop()])
		u.judge(k)
		u.release(k)
	}
	for i := range u.found {
		also := u.found[i].also
		slices.Sort(also)
		u.found[i].also = slices.Compact(also)
	}
	return u.found
}

// knotOf is the knot in which a job writes.
func (u *untangling) knotOf(j int32) int32 { return u.knot[u.to[j]] }

// collect sorts jobs and segments by knot and finds the knots to begin with.
func (u *untangling) collect(left []int32) {
	seen := make(map[int32]bool, len(left))
	for _, j := range left {
		k, s := u.knotOf(j), u.to[j]
		u.tied[k] = append(u.tied[k], j)
		u.waits[k] += len(u.feeding(j))
		if !seen[s] {
			seen[s] = true
			u.strands[k] = append(u.strands[k], s)
		}
	}
	for k, tied := range u.tied {
		if u.waits[k] == 0 {
			u.ready.push(u.ranks[tied[0]])
		}
	}
}

// feeding are the other knots that a job reads from, once for each segment.
func (u *untangling) feeding(j int32) (knots []int32) {
	for _, s := range u.reads.of(j) {
		if k := u.knot[s]; k != none && k != u.knotOf(j) {
			knots = append(knots, k)
		}
	}
	return knots
}

// judge finds the conflicts of a knot, and lists its other jobs with whichever
// is the last to hold them up: one of its own, or one before it.
func (u *untangling) judge(k int32) {
	var before []int // the conflicts that it waits for
	for _, j := range u.tied[k] {
		u.place(j)
		for _, source := range u.feeding(j) {
			before = append(before, u.last[source])
		}
	}
	first := len(u.found)
	u.contests(k)
	u.cycle(k)
	within := map[int32]bool{}
	for _, own := range u.found[first:] {
		for _, j := range own.jobs {
			within[j] = true
		}
	}
	last := len(u.found) - 1
	if first > last { // no conflict of its own: it is left because it waits for one
		last = slices.Max(before)
		first = last
	}
	for conflict := first; conflict < last; conflict++ {
		u.also(conflict, conflict+1)
	}
	for _, conflict := range before {
		u.also(conflict, first)
	}
	u.last[k] = last
	for _, j := range u.tied[k] {
		if !within[j] {
			u.found[last].holdsUp = append(u.found[last].holdsUp, j)
		}
	}
}

// also notes that more of what a conflict holds up is listed with a later one.
func (u *untangling) also(conflict, later int) {
	if conflict < later {
		u.found[conflict].also = append(u.found[conflict].also, later)
	}
}

// release counts the knot down for those that wait for it.
func (u *untangling) release(k int32) {
	for _, s := range u.strands[k] {
		for _, reader := range u.readers.of(s) {
			waiting := u.knotOf(reader)
			if waiting == k {
				continue
			}
			u.waits[waiting]--
			if u.waits[waiting] == 0 {
				u.ready.push(u.ranks[u.tied[waiting][0]])
			}
		}
	}
}

// contests finds the segments of a knot that several jobs write.
func (u *untangling) contests(k int32) {
	for _, s := range u.strands[k] {
		if !u.contested(s) {
			continue
		}
		var writers []int32
		for w := u.writer[s]; w != none; w = u.sibling[w] {
			writers = append(writers, w)
		}
		u.found = append(u.found, tangle{kind: ConflictWriters, jobs: u.urgentFirst(writers)})
	}
}

func (u *untangling) urgentFirst(jobs []int32) []int32 {
	slices.SortFunc(jobs, func(a, b int32) int { return cmp.Compare(u.ranks[a], u.ranks[b]) })
	return jobs
}

// cycle finds a shortest cycle through the most urgent job of the knot that is
// on any, if there is one: breadth first, until it comes upon what that job
// reads.
func (u *untangling) cycle(k int32) {
	start := slices.IndexFunc(u.tied[k], func(j int32) bool { return u.readsKnot(j, k) })
	if start < 0 {
		return
	}
	first := u.tied[k][start]
	closes := map[int32]bool{} // segments that the first job reads
	for _, s := range u.reads.of(first) {
		closes[s] = true
	}
	cameFrom := map[int32]int32{first: none}
	for todo := []int32{first}; len(todo) > 0; todo = todo[1:] {
		j := todo[0]
		if closes[u.to[j]] {
			u.found = append(u.found, tangle{kind: ConflictCycle, jobs: pathTo(cameFrom, j)})
			return
		}
		for _, next := range u.urgentFirst(slices.Clone(u.readers.of(u.to[j]))) {
			if _, known := cameFrom[next]; !known && u.knotOf(next) == k {
				cameFrom[next] = j
				todo = append(todo, next)
			}
		}
	}
}

func (u *untangling) readsKnot(j, k int32) bool {
	return slices.ContainsFunc(u.reads.of(j), func(s int32) bool { return u.knot[s] == k })
}

// pathTo is the way to j from where it began.
func pathTo(cameFrom map[int32]int32, j int32) (jobs []int32) {
	for ; j != none; j = cameFrom[j] {
		jobs = append(jobs, j)
	}
	slices.Reverse(jobs)
	return jobs
}

// describe turns numbers into steps.
func (g *graph) describe(found []tangle, steps []Step) []Conflict {
	var conflicts []Conflict
	for _, t := range found {
		conflicts = append(conflicts, Conflict{Kind: t.kind, Steps: g.pick(steps, t.jobs), Waiting: g.pick(steps, t.holdsUp), LaterConflicts: t.also})
	}
	return conflicts
}

func (g *graph) pick(steps []Step, jobs []int32) []Step {
	var picked []Step
	for _, j := range jobs {
		picked = append(picked, steps[g.position[j]])
	}
	return picked
}
