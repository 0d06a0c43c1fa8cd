package rerun

import (
	"cmp"
	"slices"

	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
)

// A conflict is a [Conflict] by the numbers of its jobs.
type conflict struct {
	kind    ConflictKind
	jobs    []int32
	waiting []int32
	later   []int
}

// A conflictFinder goes through the jobs that could not be scheduled, by the
// strongly connected components of the segments that they write. Most components
// are one segment.
type conflictFinder struct {
	*planner

	component []int32   // by segment; none where it is not left
	members   [][]int32 // by component: the jobs that write its segments, in the order of their precedence
	segments  [][]int32 // by component: its segments, in the order of their first members
	waits     []int     // by component: what its jobs read from components that were not visited yet
	last      []int     // by component: the last conflict that jobs which read from it wait for
	ready     graph.Queue
	found     []conflict
}

// findConflicts returns the conflicts between the jobs that schedule left over, and
// orders those jobs as far as they have an order.
func (p *planner) findConflicts() []conflict {
	var left, written []int32
	for _, j := range p.byRank {
		if p.position[j] == none {
			left, written = append(left, j), append(written, p.writes[j])
		}
	}
	if len(left) == 0 {
		return nil
	}
	component, n := graph.Components(len(p.writer), written, p.madeFrom)
	f := &conflictFinder{
		planner: p, component: component,
		members: make([][]int32, n), segments: make([][]int32, n), waits: make([]int, n), last: make([]int, n),
	}
	f.collect(left)
	for f.ready.Len() > 0 { // it holds, by rank, the first member of each component that waits for no other
		c := f.componentOf(f.byRank[f.ready.Pop()])
		f.visit(c)
		f.release(c)
	}
	for i := range f.found {
		later := f.found[i].later
		slices.Sort(later)
		f.found[i].later = slices.Compact(later)
	}
	return f.found
}

// madeFrom returns the segments that jobs make from a segment.
func (p *planner) madeFrom(s int32) []int32 {
	readers := p.readers.Row(s)
	made := make([]int32, len(readers))
	for i, j := range readers {
		made[i] = p.writes[j]
	}
	return made
}

// componentOf returns the component that a job writes into.
func (f *conflictFinder) componentOf(j int32) int32 { return f.component[f.writes[j]] }

// collect sorts jobs and segments by component and queues the components that
// wait for no other.
func (f *conflictFinder) collect(left []int32) {
	seen := make(map[int32]bool, len(left))
	for _, j := range left {
		c, s := f.componentOf(j), f.writes[j]
		f.members[c] = append(f.members[c], j)
		f.waits[c] += len(f.sourcesOf(j))
		if !seen[s] {
			seen[s] = true
			f.segments[c] = append(f.segments[c], s)
		}
	}
	for c, members := range f.members {
		if f.waits[c] == 0 {
			f.ready.Push(f.ranks[members[0]])
		}
	}
}

// sourcesOf returns the other components that a job reads from, once for each
// segment.
func (f *conflictFinder) sourcesOf(j int32) (components []int32) {
	for _, s := range f.reads.Row(j) {
		if c := f.component[s]; c != none && c != f.componentOf(j) {
			components = append(components, c)
		}
	}
	return components
}

// visit finds the conflicts of a component. Its other jobs wait for the last of
// them; if there are none, for the last conflict before it.
func (f *conflictFinder) visit(c int32) {
	var before []int // the conflicts that the component waits for
	for _, j := range f.members[c] {
		f.place(j)
		for _, source := range f.sourcesOf(j) {
			before = append(before, f.last[source])
		}
	}
	first := len(f.found)
	f.findWriters(c)
	f.findCycle(c)
	within := map[int32]bool{}
	for _, own := range f.found[first:] {
		for _, j := range own.jobs {
			within[j] = true
		}
	}
	last := len(f.found) - 1
	if first > last { // no conflict of its own: its jobs are left because they wait for another
		last = slices.Max(before)
		first = last
	}
	for i := first; i < last; i++ {
		f.continueWith(i, i+1)
	}
	for _, i := range before {
		f.continueWith(i, first)
	}
	f.last[c] = last
	for _, j := range f.members[c] {
		if !within[j] {
			f.found[last].waiting = append(f.found[last].waiting, j)
		}
	}
}

// continueWith notes that more of what waits for a conflict is listed with a later
// one.
func (f *conflictFinder) continueWith(i, later int) {
	if i < later {
		f.found[i].later = append(f.found[i].later, later)
	}
}

// release queues the components that waited for this one and for no other.
func (f *conflictFinder) release(c int32) {
	for _, s := range f.segments[c] {
		for _, reader := range f.readers.Row(s) {
			waiting := f.componentOf(reader)
			if waiting == c {
				continue
			}
			f.waits[waiting]--
			if f.waits[waiting] == 0 {
				f.ready.Push(f.ranks[f.members[waiting][0]])
			}
		}
	}
}

// findWriters finds the segments of a component that several jobs write.
func (f *conflictFinder) findWriters(c int32) {
	for _, s := range f.segments[c] {
		if !f.contested(s) {
			continue
		}
		var writers []int32
		for w := f.writer[s]; w != none; w = f.sibling[w] {
			writers = append(writers, w)
		}
		f.found = append(f.found, conflict{kind: ConflictWriters, jobs: f.sortByRank(writers)})
	}
}

func (p *planner) sortByRank(jobs []int32) []int32 {
	slices.SortFunc(jobs, func(a, b int32) int { return cmp.Compare(p.ranks[a], p.ranks[b]) })
	return jobs
}

// findCycle finds a shortest cycle through the first member of a component that is
// on any, if there is one: breadth first, up to a job that writes what that member
// reads.
func (f *conflictFinder) findCycle(c int32) {
	inside := func(s int32) bool { return f.component[s] == c }
	start := slices.IndexFunc(f.members[c], func(j int32) bool { return slices.ContainsFunc(f.reads.Row(j), inside) })
	if start < 0 {
		return
	}
	first := f.members[c][start]
	closes := map[int32]bool{} // segments that the first member reads
	for _, s := range f.reads.Row(first) {
		closes[s] = true
	}
	cameFrom := map[int32]int32{first: none}
	for todo := []int32{first}; len(todo) > 0; todo = todo[1:] {
		j := todo[0]
		if closes[f.writes[j]] {
			f.found = append(f.found, conflict{kind: ConflictCycle, jobs: pathTo(cameFrom, j)})
			return
		}
		for _, next := range f.sortByRank(slices.Clone(f.readers.Row(f.writes[j]))) {
			if _, known := cameFrom[next]; !known && f.componentOf(next) == c {
				cameFrom[next] = j
				todo = append(todo, next)
			}
		}
	}
}

// pathTo returns the path to a job from where it began.
func pathTo(cameFrom map[int32]int32, j int32) (jobs []int32) {
	for ; j != none; j = cameFrom[j] {
		jobs = append(jobs, j)
	}
	slices.Reverse(jobs)
	return jobs
}

// describe turns numbers into steps.
func (p *planner) describe(found []conflict, steps []Step) []Conflict {
	pick := func(jobs []int32) (picked []Step) {
		for _, j := range jobs {
			picked = append(picked, steps[p.position[j]])
		}
		return picked
	}
	var conflicts []Conflict
	for _, c := range found {
		conflicts = append(conflicts, Conflict{Kind: c.kind, Steps: pick(c.jobs), Waiting: pick(c.waiting), LaterConflicts: c.later})
	}
	return conflicts
}
