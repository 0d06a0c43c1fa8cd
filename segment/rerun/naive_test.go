package rerun_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A world is jobs and what is affected, drawn at random.
type world struct {
	jobs     []segment.Job
	affected []segment.Affected
}

// A nature says what a random world may have.
type nature struct{ cycles, writers bool }

func name(n int) segment.ID {
	return segment.ID{SiteGroup: fmt.Sprint("site-", n%3), Name: fmt.Sprint("s", n)}
}

// draw draws a small world, so that everything happens often. Without cycles, a
// job reads only from segments with smaller numbers than its own.
func draw(r *rand.Rand, n nature) world {
	var w world
	segments := 1 + r.IntN(14)
	for s := range segments {
		jobs := 1
		switch {
		case r.IntN(5) == 0:
			jobs = 0
		case n.writers && r.IntN(8) == 0:
			jobs = 2 + r.IntN(2)
		}
		for range jobs {
			j := segment.Job{ID: fmt.Sprintf("job %02d", len(w.jobs)), Kind: segment.JobKindLookalike, To: name(s), Priority: r.IntN(3)}
			for range r.IntN(4) {
				switch {
				case n.cycles && r.IntN(4) == 0:
					j.From = append(j.From, name(r.IntN(segments)))
				case s > 0:
					j.From = append(j.From, name(r.IntN(s)))
				}
			}
			w.jobs = append(w.jobs, j)
		}
	}
	for range r.IntN(4) {
		w.affected = append(w.affected, segment.Affected{Segment: name(r.IntN(segments + 1)), Users: r.Int64N(3)})
	}
	r.Shuffle(len(w.jobs), func(i, j int) { // the names say nothing about the order
		w.jobs[i].ID, w.jobs[j].ID = w.jobs[j].ID, w.jobs[i].ID
	})
	return w
}

func (w world) shuffled(r *rand.Rand) world {
	w.jobs, w.affected = slices.Clone(w.jobs), slices.Clone(w.affected)
	r.Shuffle(len(w.jobs), func(i, j int) { w.jobs[i], w.jobs[j] = w.jobs[j], w.jobs[i] })
	r.Shuffle(len(w.affected), func(i, j int) { w.affected[i], w.affected[j] = w.affected[j], w.affected[i] })
	return w
}

// A naive planner does what the documentation says, with maps and without haste.
type naive struct {
	world

	users map[segment.ID]int64 // of what is given as affected
	again map[segment.ID]bool
	steps map[string]rerun.Step // by job: all that must run again
	held  map[string]bool
}

func plan(w world) *naive {
	p := &naive{world: w, users: map[segment.ID]int64{}, again: map[segment.ID]bool{}, steps: map[string]rerun.Step{}, held: map[string]bool{}}
	for _, a := range w.affected {
		p.users[a.Segment], p.again[a.Segment] = max(p.users[a.Segment], a.Users), true
	}
	for range w.jobs { // each round finds one more, or nothing
		for _, j := range w.jobs {
			if slices.ContainsFunc(j.From, func(id segment.ID) bool { return p.again[id] }) {
				p.again[j.To] = true
			}
		}
	}
	for _, j := range w.jobs {
		if p.again[j.To] {
			p.steps[j.ID] = p.step(j)
		}
	}
	for id := range p.steps {
		if p.stuck(id) {
			p.held[id] = true
			for other := range p.steps {
				if p.reaches(id, other) {
					p.held[other] = true
				}
			}
		}
	}
	return p
}

// step leaves After in no order.
func (p *naive) step(j segment.Job) rerun.Step {
	users, affected := p.users[j.To]
	s := rerun.Step{Job: j, Affected: affected, Users: users}
	for _, from := range j.From {
		if p.again[from] && !slices.Contains(s.Reads, from) {
			s.Reads = append(s.Reads, from)
		}
	}
	for _, writer := range p.jobs {
		if slices.Contains(s.Reads, writer.To) {
			s.After = append(s.After, writer.ID)
		}
	}
	return s
}

// reaches reports whether other waits for id, directly or through others.
func (p *naive) reaches(id, other string) bool {
	seen := map[string]bool{}
	todo := []string{other}
	for len(todo) > 0 {
		s := p.steps[todo[0]]
		todo = todo[1:]
		for _, before := range s.After {
			if before == id {
				return true
			}
			if !seen[before] {
				seen[before] = true
				todo = append(todo, before)
			}
		}
	}
	return false
}

func (p *naive) writers(id segment.ID) (jobs []string) {
	for _, j := range p.jobs {
		if j.To == id {
			jobs = append(jobs, j.ID)
		}
	}
	return jobs
}

// stuck reports whether a job is in a conflict itself.
func (p *naive) stuck(id string) bool {
	return len(p.writers(p.steps[id].Job.To)) > 1 || p.reaches(id, id)
}

// order is that of the steps that nothing holds up.
func (p *naive) order() (order []string) {
	for {
		var next []rerun.Step
		for id, s := range p.steps {
			ready := !slices.ContainsFunc(s.After, func(before string) bool { return !slices.Contains(order, before) })
			if ready && !p.held[id] && !slices.Contains(order, id) {
				next = append(next, s)
			}
		}
		if len(next) == 0 {
			return order
		}
		order = append(order, slices.MinFunc(next, func(a, b rerun.Step) int {
			return cmp.Or(cmp.Compare(b.Job.Priority, a.Job.Priority), cmp.Compare(b.Users, a.Users), cmp.Compare(a.Job.ID, b.Job.ID))
		}).Job.ID)
	}
}

// noWriter is in no order.
func (p *naive) noWriter() (list []segment.Affected) {
	for id, users := range p.users {
		if len(p.writers(id)) == 0 {
			list = append(list, segment.Affected{Segment: id, Users: users})
		}
	}
	return list
}
