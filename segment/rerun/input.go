package rerun

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
	"github.com/segmentguard/segmentguard/validate"
)

const none = graph.None

// A planner numbers jobs and segments from 0. More of them than an int32 can
// number would not fit into memory.
type planner struct {
	jobs     []*segment.Job // each once
	writes   []int32        // by job: the segment it writes
	sibling  []int32        // by job: another one that writes the same segment, or none
	reads    graph.Rows     // by job: the segments it reads, each once
	segments graph.Interner[segment.ID]
	writer   []int32    // by segment: a job that writes it, or none
	readers  graph.Rows // by segment: the jobs that read it
	affected []bool     // by segment: given as affected
	users    []int64    // by segment: at stake

	lastReader []int32 // by segment: the last job that was added and reads it, or none

	again    []bool  // by segment: affected, or downstream of one that is
	byRank   []int32 // the jobs to run again, in the order of their precedence
	ranks    []int32 // by job: its place in byRank
	order    []int32 // the jobs to run again: first those that are planned, then those that are not
	position []int32 // by job: its place in order, or none
}

// newPlanner checks and numbers what it is given.
func newPlanner(jobs []segment.Job, affected []segment.Affected) (*planner, error) {
	seeds := 0
	for i := range jobs {
		seeds += len(jobs[i].From)
	}
	room := len(jobs) + len(affected) // most jobs write a segment of their own
	p := &planner{
		jobs:       make([]*segment.Job, 0, len(jobs)),
		writes:     make([]int32, 0, len(jobs)),
		sibling:    make([]int32, 0, len(jobs)),
		reads:      graph.NewRows(len(jobs), seeds),
		segments:   graph.NewInterner[segment.ID](room),
		writer:     make([]int32, 0, room),
		affected:   make([]bool, 0, room),
		users:      make([]int64, 0, room),
		lastReader: make([]int32, 0, room),
	}
	places := make(map[string]int, len(jobs)) // in the input, by the job's ID
	for i := range jobs {
		j := &jobs[i]
		if place, again := places[j.ID]; again {
			if !sameJob(j, &jobs[place]) {
				return nil, badInput(fmt.Sprintf("jobs[%d].ID", i), fmt.Sprintf("%q, as that of jobs[%d]", j.ID, place), "another one, as the jobs differ")
			}
			continue
		}
		places[j.ID] = i
		if err := p.addJob(j, i); err != nil {
			return nil, err
		}
	}
	for i := range affected {
		if err := p.addAffected(&affected[i], i); err != nil {
			return nil, err
		}
	}
	p.readers = p.reads.Inverted(len(p.segments.Keys))
	return p, nil
}

func (p *planner) addJob(j *segment.Job, place int) error {
	field := func(name string) string { return fmt.Sprintf("jobs[%d].%s", place, name) }
	switch {
	case !isName(j.ID):
		return badInput(field("ID"), strconv.Quote(j.ID), "a name for the job, in UTF-8")
	case !utf8.ValidString(string(j.Kind)):
		return badInput(field("Kind"), strconv.Quote(string(j.Kind)), "UTF-8")
	}
	to, ok := p.number(j.To)
	if !ok {
		return badSegment(field("To"), j.To)
	}
	n := int32(len(p.jobs)) //nolint:gosec // see planner
	p.jobs, p.writes, p.sibling = append(p.jobs, j), append(p.writes, to), append(p.sibling, p.writer[to])
	p.writer[to] = n
	for i, from := range j.From {
		s, ok := p.number(from)
		if !ok {
			return badSegment(fmt.Sprintf("%s[%d]", field("From"), i), from)
		}
		if p.lastReader[s] != n {
			p.lastReader[s] = n
			p.reads.Add(s)
		}
	}
	p.reads.End()
	return nil
}

func (p *planner) addAffected(a *segment.Affected, place int) error {
	s, ok := p.number(a.Segment)
	switch {
	case !ok:
		return badSegment(fmt.Sprintf("affected[%d].Segment", place), a.Segment)
	case a.Users < 0:
		return badInput(fmt.Sprintf("affected[%d].Users", place), a.Users, "0 or more")
	}
	p.affected[s], p.users[s] = true, max(p.users[s], a.Users)
	return nil
}

// number returns the number of a segment. It reports false for an ID that names
// none, or that JSON cannot hold.
func (p *planner) number(id segment.ID) (int32, bool) {
	s, added := p.segments.Number(id)
	if !added {
		return s, true
	}
	p.writer, p.lastReader = append(p.writer, none), append(p.lastReader, none)
	p.affected, p.users = append(p.affected, false), append(p.users, 0)
	return s, isName(id.Name) && utf8.ValidString(id.SiteGroup)
}

func isName(s string) bool { return s != "" && utf8.ValidString(s) }

func sameJob(a, b *segment.Job) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.To == b.To && a.Priority == b.Priority && slices.Equal(a.From, b.From)
}

func badSegment(field string, id segment.ID) error {
	return badInput(field, strconv.Quote(id.String()), "a segment with a name, in UTF-8")
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
