package rerun

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// String returns the plan for an engineer on call: numbers in all, by kind of job and
// by site group; what to repair by hand; the steps in order, each with why it is there
// and the numbers of those it waits for; and the conflicts.
func (p Plan) String() string {
	if !p.made {
		return "no plan\n"
	}
	w := &writer{plan: &p, numbers: make(map[string]int, len(p.Steps)), digits: len(text.Thousands(int64(len(p.Steps))))}
	for i := range p.Steps {
		w.numbers[p.Steps[i].Job.ID] = i + 1
	}
	w.head()
	w.byHand()
	w.steps()
	w.conflicts()
	return w.String()
}

type writer struct {
	strings.Builder

	plan    *Plan
	numbers map[string]int // of the steps, as people count
	digits  int
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(&w.Builder, format, args...) }

// head writes the numbers of the whole plan.
func (w *writer) head() {
	p := w.plan
	segments, users := p.stake()
	if len(segments) == 0 {
		w.printf("Nothing is affected, no job to rerun.\n")
		return
	}
	w.printf("Rerun %s for %s", text.Count(len(p.Steps), "job"), text.Count(len(segments), "affected segment"))
	if users > 0 {
		w.printf(", %s at stake", text.Count(users, "user"))
	}
	w.printf(".\n")
	w.groups()
	if len(p.Steps) > 0 {
		first, longest := w.shape()
		w.printf("%s can start at once; the longest chain has %s.\n", text.Thousands(int64(first)), text.Count(longest, "step"))
	}
	if n := len(p.Conflicts); n > 0 {
		w.printf("%s %s up %s: see the end.\n", text.Count(n, "conflict"), text.Plural(n, "holds", "hold"), text.Count(p.heldUp(), "more job"))
	}
}

// stake returns each affected segment once with its users, and the users in all of
// them.
func (p Plan) stake() (segments map[segment.ID]int64, users int64) {
	_, affected := p.source()
	segments = make(map[segment.ID]int64, len(affected))
	for _, a := range affected {
		if _, known := segments[a.Segment]; !known {
			segments[a.Segment] = a.Users
			users = add(users, a.Users)
		}
	}
	return segments, users
}

// add returns the sum, or the largest number where that overflows.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// heldUp returns how many jobs are in conflicts or wait for one.
func (p Plan) heldUp() int {
	jobs := map[string]bool{}
	for i := range p.Conflicts {
		for _, steps := range [][]Step{p.Conflicts[i].Steps, p.Conflicts[i].Waiting} {
			for j := range steps {
				jobs[steps[j].Job.ID] = true
			}
		}
	}
	return len(jobs)
}

// shape returns how many steps wait for none, and the length of the longest chain.
func (w *writer) shape() (first, longest int) {
	depth := make([]int, len(w.plan.Steps)+1)
	for i := range w.plan.Steps {
		for _, before := range w.plan.Steps[i].After {
			depth[i+1] = max(depth[i+1], depth[w.numbers[before]])
		}
		depth[i+1]++
		if depth[i+1] == 1 {
			first++
		}
	}
	return first, slices.Max(depth)
}

// groups counts the steps by kind of job and by site group, where that says more than
// the list.
func (w *writer) groups() {
	if len(w.plan.Steps) < 2 {
		return
	}
	kinds, groups := map[string]int{}, map[string]int{}
	for i := range w.plan.Steps {
		j := &w.plan.Steps[i].Job
		kinds[string(j.Kind)]++
		groups[j.To.SiteGroup]++
	}
	w.printf("By kind: %s.\n", largest(kinds, "kind"))
	w.printf("By site group: %s.\n", largest(groups, "site group"))
}

// largest lists names by how many jobs they have, and sums up those that would make
// the line too long to read.
func largest(jobs map[string]int, what string) string {
	const most = 10
	names := slices.SortedFunc(maps.Keys(jobs), func(a, b string) int {
		return cmp.Or(cmp.Compare(jobs[b], jobs[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names[:min(len(names), most)] {
		n := text.Thousands(int64(jobs[name]))
		if name == "" {
			parts = append(parts, n+" without a "+what)
			continue
		}
		parts = append(parts, n+" "+text.Printable(name))
	}
	if len(names) > most {
		rest := 0
		for _, name := range names[most:] {
			rest += jobs[name]
		}
		parts = append(parts, fmt.Sprintf("%s in %s", text.Thousands(int64(rest)), text.Count(len(names)-most, "other "+what)))
	}
	return strings.Join(parts, ", ")
}

// byHand lists the segments that no job writes. They come first, because the steps
// that read them would only copy what is wrong.
func (w *writer) byHand() {
	if len(w.plan.NoWriter) == 0 {
		return
	}
	n := len(w.plan.NoWriter)
	w.printf("\nFirst, by hand: no job writes %s\n", text.Plural(n, "this affected segment.", "these affected segments."))
	readers := map[segment.ID][]int{}
	for i := range w.plan.Steps {
		for _, id := range w.plan.Steps[i].Reads {
			readers[id] = append(readers[id], i+1)
		}
	}
	for _, a := range w.plan.NoWriter {
		w.printf("  - %s%s", text.Printable(a.Segment.String()), stake(a.Users))
		if by := readers[a.Segment]; len(by) > 0 {
			w.printf("; read by %s", stepNumbers(by))
		}
		w.printf("\n")
	}
}

func (w *writer) steps() {
	steps := w.plan.Steps
	if len(steps) > 0 {
		w.printf("\n")
	}
	for i := range steps {
		s := &steps[i]
		w.printf("%*s. %s%s\n", w.digits+2, text.Thousands(int64(i+1)), w.line(s), w.after(s))
	}
}

// line returns the job of a step and why it is there.
func (w *writer) line(s *Step) string {
	var why []string
	if s.Affected {
		why = append(why, "affected"+stake(s.Users))
	}
	if len(s.Reads) > 0 {
		names := make([]string, len(s.Reads))
		for i, id := range s.Reads {
			names[i] = text.Printable(id.String())
		}
		why = append(why, "reads "+strings.Join(names, " and "))
	}
	if len(why) == 0 {
		return name(&s.Job)
	}
	return name(&s.Job) + ": " + strings.Join(why, ", ")
}

// name returns the job's ID, with the segment that it writes unless the ID holds that,
// and with its priority unless that is 0.
func name(j *segment.Job) string {
	var more []string
	if to := text.Printable(j.To.String()); !strings.Contains(text.Printable(j.ID), to) {
		more = append(more, "to "+to)
	}
	if j.Priority != 0 {
		more = append(more, fmt.Sprintf("priority %d", j.Priority))
	}
	if len(more) == 0 {
		return text.Printable(j.ID)
	}
	return fmt.Sprintf("%s (%s)", text.Printable(j.ID), strings.Join(more, ", "))
}

func (w *writer) after(s *Step) string {
	if len(s.After) == 0 {
		return ""
	}
	numbers := make([]int, len(s.After))
	for i, before := range s.After {
		numbers[i] = w.numbers[before]
	}
	return "; after " + stepNumbers(numbers)
}

func (w *writer) conflicts() {
	p := w.plan
	if len(p.Conflicts) == 0 {
		return
	}
	w.printf("\nNot planned: %s. Solve %s and plan again; the outcome so far resumes the new plan.\n",
		text.Count(p.heldUp(), "job"), text.Plural(len(p.Conflicts), "the conflict", "the conflicts in this order"))
	for i := range p.Conflicts {
		c := &p.Conflicts[i]
		w.printf("\n  Conflict %s: %s\n", text.Thousands(int64(i+1)), c.what())
		w.list(c.Steps)
		switch {
		case len(c.Waiting) > 0:
			w.printf("    It holds up %s%s:\n", text.Count(len(c.Waiting), "job"), c.more(", and more"))
			w.list(c.Waiting)
		case len(c.LaterConflicts) > 0:
			w.printf("    It holds up jobs%s.\n", c.more(""))
		default:
			w.printf("    It holds up no other job.\n")
		}
	}
}

func (w *writer) list(steps []Step) {
	for i := range steps {
		w.printf("      - %s\n", w.line(&steps[i]))
	}
}

func (c *Conflict) what() string {
	switch c.Kind {
	case ConflictWriters:
		return fmt.Sprintf("%s write %s, which of them is to be the last?", text.Count(len(c.Steps), "job"), text.Printable(c.Steps[0].Job.To.String()))
	case ConflictCycle:
		if len(c.Steps) == 1 {
			return "this job reads what it writes itself"
		}
		return fmt.Sprintf("a cycle, each of these %s reads what the one before it writes", text.Count(len(c.Steps), "job"))
	}
	return text.Printable(string(c.Kind)) // no kind that New returns
}

// more says with which conflicts more jobs that wait for this one are listed.
func (c *Conflict) more(what string) string {
	if len(c.LaterConflicts) == 0 {
		return ""
	}
	numbers := make([]int, len(c.LaterConflicts))
	for i, also := range c.LaterConflicts {
		numbers[i] = also + 1
	}
	return fmt.Sprintf("%s listed with %s %s", what, text.Plural(len(numbers), "conflict", "conflicts"), stepNumbers(numbers))
}

func stake(users int64) string {
	if users == 0 {
		return ""
	}
	return ", " + text.Count(users, "user") + " at stake"
}

// stepNumbers lists ascending numbers, three and more that follow each other as 3–17.
func stepNumbers(numbers []int) string {
	var parts []string
	for len(numbers) > 0 {
		run := 1
		for run < len(numbers) && numbers[run] == numbers[0]+run {
			run++
		}
		if run < 3 {
			run = 1
		}
		part := text.Thousands(int64(numbers[0]))
		if run > 1 {
			part += "–" + text.Thousands(int64(numbers[run-1]))
		}
		parts = append(parts, part)
		numbers = numbers[run:]
	}
	return strings.Join(parts, ", ")
}
