package segment

import (
	"cmp"
	"fmt"
	"slices"
)

// A graph is jobs and segments by dense numbers: a plan may be over millions,
// and whatever is looked up often must be an index into a slice.
type graph struct {
	jobs     []Job   // each once
	to       []int32 // by job: the segment it writes
	sibling  []int32 // by job: another one that writes the same segment, or none
	reads    rows    // by job: the segments it reads, each once; only those that are written or affected
	segments []ID
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
func newGraph(jobs []Job, affected []Affected) (*graph, error) {
	g := &graph{}
	numbers := make(map[ID]int32, len(jobs)+len(affected))
	for i := range affected {
		a := &affected[i]
		if err := a.problem(i); err != nil {
			return nil, err
		}
		s := g.number(numbers, a.ID)
		g.affected[s], g.users[s] = true, max(g.users[s], a.Users)
	}
	if err := g.addJobs(numbers, jobs); err != nil {
		return nil, err
	}
	g.link(numbers)
	return g, nil
}

// number finds the number of a segment, or gives it one.
func (g *graph) number(numbers map[ID]int32, id ID) int32 {
	n, known := numbers[id]
	if !known {
		n = int32(len(g.segments)) //nolint:gosec // the ids of 2^31 segments fill 64 GiB
		numbers[id] = n
		g.segments = append(g.segments, id)
		g.writer = append(g.writer, none)
		g.affected = append(g.affected, false)
		g.users = append(g.users, 0)
	}
	return n
}

// addJobs takes in each job once.
func (g *graph) addJobs(numbers map[ID]int32, jobs []Job) error {
	names := make(map[string]int, len(jobs))
	g.jobs = make([]Job, 0, len(jobs))
	g.to = make([]int32, 0, len(jobs))
	g.sibling = make([]int32, 0, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		if err := j.problem(i); err != nil {
			return err
		}
		if twin, known := names[j.ID]; known {
			if !same(j, &jobs[twin]) {
				return badInput(fmt.Sprintf("jobs[%d].ID", i), fmt.Sprintf("%q, as that of jobs[%d]", j.ID, twin), "another name, as the jobs differ")
			}
			continue
		}
		names[j.ID] = i
		s := g.number(numbers, j.To)
		g.sibling = append(g.sibling, g.writer[s])
		g.writer[s] = int32(len(g.jobs)) //nolint:gosec // 2^31 jobs fill 200 GiB
		g.jobs = append(g.jobs, *j)
		g.to = append(g.to, s)
	}
	return nil
}

func same(a, b *Job) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.To == b.To && a.Priority == b.Priority && slices.Equal(a.From, b.From)
}

// link finds who reads what.
func (g *graph) link(numbers map[ID]int32) {
	total := 0
	for i := range g.jobs {
		total += len(g.jobs[i].From)
	}
	g.reads = rows{at: make([]int, 1, len(g.jobs)+1), flat: make([]int32, 0, total)}
	g.readers = rows{at: make([]int, len(g.segments)+1)}
	seen := filled(len(g.segments)) // by segment: the last job that was found to read it
	for i := range g.jobs {
		for _, from := range g.jobs[i].From {
			s, known := numbers[from]
			if !known || seen[s] == int32(i) {
				continue
			}
			seen[s] = int32(i)
			g.reads.flat = append(g.reads.flat, s)
			g.readers.at[s]++
		}
		g.reads.at = append(g.reads.at, len(g.reads.flat))
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
	type key struct {
		priority int
		users    int64
		name     string
		job      int32
	}
	var keys []key
	for i := range g.jobs {
		if s := g.to[i]; g.again[s] {
			keys = append(keys, key{g.jobs[i].Priority, g.users[s], g.jobs[i].ID, int32(i)})
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(b.users, a.users), cmp.Compare(a.name, b.name))
	})
	g.byRank = make([]int32, len(keys))
	g.ranks = filled(len(g.jobs))
	for rank, k := range keys {
		g.byRank[rank], g.ranks[k.job] = k.job, int32(rank)
	}
}

// schedule orders the jobs that no conflict holds up, and returns how many they
// are: what is on a cycle, or waits for one, never comes to wait for nothing,
// and of jobs that write one segment none is let go.
func (g *graph) schedule() int {
	g.order = make([]int32, 0, len(g.byRank))
	g.position = filled(len(g.jobs))
	waits := make([]int32, len(g.jobs))
	var ready queue
	for rank, j := range g.byRank {
		for _, s := range g.reads.of(j) {
			if g.again[s] && g.writer[s] != none {
				waits[j]++
			}
		}
		if waits[j] == 0 && !g.contested(g.to[j]) {
			ready.push(int32(rank))
		}
	}
	for len(ready) > 0 {
		j := g.byRank[ready.pop()]
		g.place(j)
		for _, reader := range g.readers.of(g.to[j]) {
			waits[reader]--
			if waits[reader] == 0 && !g.contested(g.to[reader]) {
				ready.push(g.ranks[reader])
			}
		}
	}
	return len(g.order)
}

// contested reports whether more than one job writes the segment.
func (g *graph) contested(s int32) bool { return g.sibling[g.writer[s]] != none }

func (g *graph) place(j int32) {
	g.position[j] = int32(len(g.order)) //nolint:gosec // as in addJobs
	g.order = append(g.order, j)
}

// steps describes all jobs to run again, in their order. It shares no memory
// with the jobs that were given.
func (g *graph) steps() []Step {
	steps := make([]Step, len(g.order))
	ids := make([]ID, 0, 2*len(g.reads.flat)) // their lists lie in few pieces of memory
	names := make([]string, 0, len(g.reads.flat))
	var before []int32
	for i, j := range g.order {
		s := &steps[i]
		s.Job, s.Affected, s.Users = g.jobs[j], g.affected[g.to[j]], g.users[g.to[j]]
		start := len(ids)
		ids = append(ids, s.Job.From...)
		s.Job.From = since(ids, start)

		start, before = len(ids), before[:0]
		for _, read := range g.reads.of(j) {
			if !g.again[read] {
				continue
			}
			ids = append(ids, g.segments[read])
			for w := g.writer[read]; w != none; w = g.sibling[w] {
				before = append(before, g.position[w])
			}
		}
		s.Reads = since(ids, start)

		start = len(names)
		slices.Sort(before)
		for _, p := range before {
			names = append(names, g.jobs[g.order[p]].ID)
		}
		s.After = since(names, start)
	}
	return steps
}

// since is what was appended since the length was start; nil if nothing was.
func since[T any](list []T, start int) []T {
	if len(list) == start {
		return nil
	}
	return list[start:len(list):len(list)]
}

// unwritten are the affected segments that no job writes.
func (g *graph) unwritten() []Affected {
	var list []Affected
	for s, id := range g.segments {
		if g.affected[s] && g.writer[s] == none {
			list = append(list, Affected{id, g.users[s]})
		}
	}
	slices.SortFunc(list, func(a, b Affected) int {
		return cmp.Or(cmp.Compare(b.Users, a.Users), a.ID.Compare(b.ID))
	})
	return list
}

func filled(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = none
	}
	return list
}
