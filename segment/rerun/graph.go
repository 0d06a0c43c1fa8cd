package rerun

import (
	"cmp"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// A graph is jobs and segments by dense numbers: a plan may be over millions,
// and whatever is looked up often must be an index into a slice. Jobs whose
// numbers exceed an int32 would not fit into memory.
type graph struct {
	jobs     []segment.Job // each once
	to       []int32       // by job: the segment it writes
	sibling  []int32       // by job: another one that writes the same segment, or none
	reads    rows          // by job: the segments it reads, each once
	segments []segment.ID
	writer   []int32 // by segment: a job that writes it, or none
	readers  rows    // by segment: the jobs that read it
	affected []bool  // by segment: given as affected
	users    []int64 // by segment: at stake

	again    []bool  // by segment: affected, or downstream of what is
	byRank   []int32 // the jobs to run again, most urgent first
	ranks    []int32 // by job: its place in byRank
	order    []int32 // the jobs to run again: first those that are planned, then those that are held up
	position []int32 // by job: its place in order, or none
}

const none = -1

// rows are lists of numbers, one after the other in a single slice.
type rows struct {
	at   []int // the start of each list, and the end of the last one
	flat []int32
}

func (r *rows) of(n int32) []int32 { return r.flat[r.at[n]:r.at[n+1]] }

// invert makes r the other direction of rows: in whose list each number stands.
// r.at holds how often it stands anywhere, and a zero at the end.
func (r *rows) invert(other *rows) {
	end := 0
	for n, length := range r.at {
		end += length
		r.at[n] = end
	}
	r.flat = make([]int32, len(other.flat))
	for n := len(other.at) - 2; n >= 0; n-- {
		for _, to := range other.of(int32(n)) { //nolint:gosec // what is in rows was numbered by int32
			r.at[to]--
			r.flat[r.at[to]] = int32(n) //nolint:gosec // see above
		}
	}
}

// newGraph numbers what it is given, and finds what is wrong with it.
func newGraph(jobs []segment.Job, affected []segment.Affected) (*graph, error) {
	seeds := 0
	for i := range jobs {
		seeds += len(jobs[i].From)
	}
	sound := true
	_, distinct := numbered(namesOf(jobs), len(jobs), hashing(isName, &sound))
	numbers, segments := numbered(idsOf(jobs, affected), seeds+len(jobs)+len(affected), hashing(plannable, &sound))
	if err := inputProblem(jobs, affected, sound); err != nil {
		return nil, err
	}
	if len(distinct) < len(jobs) {
		jobs, err := eachOnce(jobs)
		if err != nil {
			return nil, err
		}
		return newGraph(jobs, affected)
	}
	g := &graph{jobs: jobs, segments: segments}
	g.link(numbers)
	g.affected, g.users = make([]bool, len(segments)), make([]int64, len(segments))
	for i, s := range numbers[len(numbers)-len(affected):] {
		g.affected[s], g.users[s] = true, max(g.users[s], affected[i].Users)
	}
	return g, nil
}

// link finds who writes and who reads what. numbers are those of idsOf.
func (g *graph) link(numbers []int32) {
	g.to, g.sibling = make([]int32, len(g.jobs)), make([]int32, len(g.jobs))
	g.writer = nones(len(g.segments))
	g.reads = rows{at: make([]int, len(g.jobs)+1), flat: make([]int32, 0, len(numbers))}
	g.readers.at = make([]int, len(g.segments)+1)
	reader := nones(len(g.segments)) // by segment: the last job that was found to read it
	for i := range g.jobs {
		j := int32(i)
		to, from := numbers[0], numbers[1:1+len(g.jobs[i].From)]
		numbers = numbers[1+len(from):]
		g.to[i], g.sibling[i], g.writer[to] = to, g.writer[to], j
		for _, s := range from {
			if reader[s] != j {
				reader[s] = j
				g.reads.flat = append(g.reads.flat, s)
				g.readers.at[s]++
			}
		}
		g.reads.at[i+1] = len(g.reads.flat)
	}
	g.readers.invert(&g.reads)
}

// spread marks everything downstream of what is affected.
func (g *graph) spread() {
	g.again = slices.Clone(g.affected)
	var todo []int32
	for s, yes := range g.again {
		if yes {
			todo = append(todo, int32(s))
		}
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range g.readers.of(s) {
			if to := g.to[j]; !g.again[to] {
				g.again[to] = true
				todo = append(todo, to)
			}
		}
	}
}

// rank sorts the jobs to run again: this decides between those that could come
// next.
func (g *graph) rank() {
	count := 0
	for _, s := range g.to {
		if g.again[s] {
			count++
		}
	}
	keys := make([]precedence, 0, count)
	for i := range g.jobs {
		if s := g.to[i]; g.again[s] {
			keys = append(keys, precedence{g.jobs[i].Priority, g.users[s], int32(i)})
		}
	}
	g.sort(keys)
	g.byRank = make([]int32, len(keys))
	g.ranks = nones(len(g.jobs))
	for rank, k := range keys {
		g.byRank[rank], g.ranks[k.job] = k.job, int32(rank)
	}
}

// schedule orders the jobs that no conflict holds up, and returns how many they
// are: what is on a cycle, or waits for one, never comes to wait for nothing,
// and jobs that write one segment wait for what never happens.
func (g *graph) schedule() int {
	g.order = make([]int32, 0, len(g.byRank))
	g.position = nones(len(g.jobs))
	waits := make([]int32, len(g.jobs))
	var ready queue
	for i, s := range g.to {
		if !g.again[s] {
			continue
		}
		j := int32(i)
		for _, read := range g.reads.of(j) {
			if g.again[read] && g.writer[read] != none {
				waits[j]++
			}
		}
		if g.contested(s) {
			waits[j]++
		}
		if waits[j] == 0 {
			ready.push(g.ranks[j])
		}
	}
	for len(ready) > 0 {
		j := g.byRank[ready.pop()]
		g.place(j)
		for _, reader := range g.readers.of(g.to[j]) {
			waits[reader]--
			if waits[reader] == 0 {
				ready.push(g.ranks[reader])
			}
		}
	}
	return len(g.order)
}

// contested reports whether more than one job writes the segment.
func (g *graph) contested(s int32) bool { return g.sibling[g.writer[s]] != none }

func (g *graph) place(j int32) {
	g.position[j] = int32(len(g.order)) //nolint:gosec // there are fewer steps than jobs
	g.order = append(g.order, j)
}

// steps describes all jobs to run again, in their order. It shares no memory
// with the jobs that were given; what the steps list lies in few pieces of it.
func (g *graph) steps() []Step {
	steps := make([]Step, len(g.order))
	seeds := 0
	for i, j := range g.order {
		steps[i].Job = g.jobs[j]
		seeds += len(g.jobs[j].From)
	}
	ids, names := make([]segment.ID, 0, seeds), make([]string, 0, seeds)
	var before []int32
	for i, j := range g.order {
		s := &steps[i]
		s.Affected, s.Users = g.affected[g.to[j]], g.users[g.to[j]]
		start := len(ids)
		ids = append(ids, s.Job.From...)
		s.Job.From = since(ids, start)
		s.Reads, before = g.sources(j, s.Job.From, before[:0])
		start = len(names)
		for _, p := range before {
			names = append(names, steps[p].Job.ID)
		}
		s.After = since(names, start)
	}
	return steps
}

// sources are the segments that a job reads and that are affected or made again,
// all of its seeds in most cases; and the positions of the jobs that write them.
func (g *graph) sources(j int32, seeds []segment.ID, before []int32) ([]segment.ID, []int32) {
	again := 0
	for _, s := range g.reads.of(j) {
		if !g.again[s] {
			continue
		}
		again++
		for w := g.writer[s]; w != none; w = g.sibling[w] {
			before = append(before, g.position[w])
		}
	}
	slices.Sort(before)
	if again == len(seeds) {
		return seeds, before
	}
	var ids []segment.ID
	for _, s := range g.reads.of(j) {
		if g.again[s] {
			ids = append(ids, g.segments[s])
		}
	}
	return ids, before
}

// since is what was appended since the length was start; nil if nothing was.
func since[T any](list []T, start int) []T {
	if len(list) == start {
		return nil
	}
	return list[start:len(list):len(list)]
}

// unwritten are the affected segments that no job writes.
func (g *graph) unwritten() []segment.Affected {
	var list []segment.Affected
	for s, id := range g.segments {
		if g.affected[s] && g.writer[s] == none {
			list = append(list, segment.Affected{Segment: id, Users: g.users[s]})
		}
	}
	slices.SortFunc(list, func(a, b segment.Affected) int {
		return cmp.Or(cmp.Compare(b.Users, a.Users), a.Segment.Compare(b.Segment))
	})
	return list
}

func nones(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = none
	}
	return list
}
