package rerun

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
)

// markDownstream marks everything downstream of what is affected.
func (p *planner) markDownstream() {
	p.again = slices.Clone(p.affected)
	var todo []int32
	for s, yes := range p.again {
		if yes {
			todo = append(todo, int32(s))
		}
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range p.readers.Row(s) {
			if to := p.writes[j]; !p.again[to] {
				p.again[to] = true
				todo = append(todo, to)
			}
		}
	}
}

// A precedence decides which of the jobs that could come next comes first.
type precedence struct {
	priority int
	users    int64
	head     [24]byte // of the name: names are long and lie anywhere in memory
	name     string   // the job's ID without what all IDs begin with
	job      int32
}

func (a *precedence) compare(b *precedence) int {
	switch {
	case a.priority != b.priority:
		return cmp.Compare(b.priority, a.priority)
	case a.users != b.users:
		return cmp.Compare(b.users, a.users)
	case a.head != b.head:
		return bytes.Compare(a.head[:], b.head[:])
	}
	return strings.Compare(a.name, b.name)
}

// rank sorts the jobs to run again by precedence.
func (p *planner) rank() {
	skip := p.commonPrefix()
	list := make([]precedence, 0, len(p.jobs))
	for i, j := range p.jobs {
		if s := p.writes[i]; p.again[s] {
			next := precedence{priority: j.Priority, users: p.users[s], name: j.ID[skip:], job: int32(i)}
			copy(next.head[:], next.name)
			list = append(list, next)
		}
	}
	slices.SortFunc(list, func(a, b precedence) int { return a.compare(&b) })
	p.byRank = make([]int32, len(list))
	p.ranks = graph.Nones(len(p.jobs))
	for rank := range list {
		p.byRank[rank], p.ranks[list[rank].job] = list[rank].job, int32(rank)
	}
}

// commonPrefix returns the length of what all job IDs begin with.
func (p *planner) commonPrefix() int {
	if len(p.jobs) == 0 {
		return 0
	}
	prefix := p.jobs[0].ID
	for _, j := range p.jobs {
		for !strings.HasPrefix(j.ID, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return len(prefix)
}

// schedule orders the jobs that wait for no conflict, and returns how many they
// are. A job on a cycle, or one that waits for it, never has all it waits for. A
// job that shares its segment with other writers waits for one more than there is.
func (p *planner) schedule() int {
	p.order = make([]int32, 0, len(p.byRank))
	p.position = graph.Nones(len(p.jobs))
	waits := make([]int32, len(p.jobs))
	var ready graph.Queue
	for i, s := range p.writes {
		if !p.again[s] {
			continue
		}
		j := int32(i)
		for _, read := range p.reads.Row(j) {
			if p.again[read] && p.writer[read] != none {
				waits[j]++
			}
		}
		if p.contested(s) {
			waits[j]++
		}
		if waits[j] == 0 {
			ready.Push(p.ranks[j])
		}
	}
	for ready.Len() > 0 {
		j := p.byRank[ready.Pop()]
		p.place(j)
		for _, reader := range p.readers.Row(p.writes[j]) {
			waits[reader]--
			if waits[reader] == 0 {
				ready.Push(p.ranks[reader])
			}
		}
	}
	return len(p.order)
}

// contested reports whether more than one job writes the segment.
func (p *planner) contested(s int32) bool { return p.sibling[p.writer[s]] != none }

func (p *planner) place(j int32) {
	p.position[j] = int32(len(p.order)) //nolint:gosec // there are fewer steps than jobs
	p.order = append(p.order, j)
}

// steps returns a Step for each job to run again, in their order. They share no
// memory with the jobs that were given, and allocate for all at once.
func (p *planner) steps() []Step {
	steps := make([]Step, len(p.order))
	seeds := 0
	for i, j := range p.order {
		steps[i].Job = *p.jobs[j]
		seeds += len(p.jobs[j].From)
	}
	ids, names := make([]segment.ID, 0, seeds), make([]string, 0, seeds)
	var before []int32
	for i, j := range p.order {
		s := &steps[i]
		s.Affected, s.Users = p.affected[p.writes[j]], p.users[p.writes[j]]
		start := len(ids)
		ids = append(ids, s.Job.From...)
		s.Job.From = since(ids, start)
		s.Reads, before = p.sources(j, s.Job.From, before[:0])
		start = len(names)
		for _, place := range before {
			names = append(names, steps[place].Job.ID)
		}
		s.After = since(names, start)
	}
	return steps
}

// sources returns what a job reads that is affected or made again, seeds itself
// where that is all of them, and appends the positions of the jobs that write it.
func (p *planner) sources(j int32, seeds []segment.ID, before []int32) ([]segment.ID, []int32) {
	again := 0
	for _, s := range p.reads.Row(j) {
		if !p.again[s] {
			continue
		}
		again++
		for w := p.writer[s]; w != none; w = p.sibling[w] {
			before = append(before, p.position[w])
		}
	}
	slices.Sort(before)
	if again == len(seeds) {
		return seeds, before
	}
	var ids []segment.ID
	for _, s := range p.reads.Row(j) {
		if p.again[s] {
			ids = append(ids, p.segments.Keys[s])
		}
	}
	return ids, before
}

// since returns what was appended since the length was start, nil if nothing was.
func since[T any](list []T, start int) []T {
	if len(list) == start {
		return nil
	}
	return list[start:len(list):len(list)]
}

// noWriter returns the affected segments that no job writes.
func (p *planner) noWriter() []segment.Affected {
	var list []segment.Affected
	for s, id := range p.segments.Keys {
		if p.affected[s] && p.writer[s] == none {
			list = append(list, segment.Affected{Segment: id, Users: p.users[s]})
		}
	}
	slices.SortFunc(list, func(a, b segment.Affected) int {
		return cmp.Or(cmp.Compare(b.Users, a.Users), a.Segment.Compare(b.Segment))
	})
	return list
}
