package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A planView is the page of a plan and its progress.
type planView struct {
	common

	Tone     fleet.Tone
	Lead     string
	Name     string
	Made     stamp
	Steps    int
	Done     int
	States   []tile
	Rows     []stepRow
	Caption  string
	Next     string
	First    string
	NoWriter []affectedStep
	Conflict []conflictRow
	Others   []planLink
	Commands []command
}

// An affectedStep is an affected segment that no job writes.
type affectedStep struct {
	Segment ref
	Users   string
}

// A stepRow is a step of a plan.
type stepRow struct {
	Number           int
	Segment          ref
	Kind             string
	Badge            fleet.Badge
	After, Users     string
	Started          stamp
	Took, Text       string
	Affected, Failed bool
}

// A conflictRow is jobs that cannot be ordered.
type conflictRow struct {
	Text    string
	Jobs    []string
	Waiting int
}

type planLink struct {
	Text, URL string
	Made      stamp
}

func (s *source) planPage(ctx context.Context, q url.Values) (any, error) {
	from := 0
	if f := q.Get("from"); f != "" {
		var err error
		if from, err = strconv.Atoi(f); err != nil || from < 0 {
			return nil, badRequest("from", f)
		}
	}
	return s.plan(ctx, q.Get("name"), from)
}

func (s *source) plan(ctx context.Context, name string, from int) (*planView, error) {
	v := &planView{common: s.common("Reruns", "plan")}
	v.Commands = []command{s.commands.of("orders the jobs that must run again", "", "plan")}
	var plans []Plan
	if s.config.Plans != nil {
		var err error
		if plans, err = s.config.Plans(ctx); err != nil {
			return nil, fmt.Errorf("reading the plans: %w", err)
		}
	}
	if len(plans) == 0 && name == "" {
		v.Lead, v.Tone = "No plan of reruns is known.", fleet.Unknown
		return v, nil
	}
	found := -1
	for i := range plans {
		if found < 0 && (name == "" || plans[i].Name == name) {
			found = i
			continue
		}
		v.Others = append(v.Others, planLink{text.Visible(plans[i].Name), s.links.plan(plans[i].Name, 0), s.stamp(plans[i].Made)})
	}
	if found < 0 {
		return nil, notFound("plan", name)
	}
	s.planned(v, &plans[found], from)
	v.Commands = append(v.Commands,
		s.commands.of("hands them to the workers, or what of them failed", plans[found].Name, "run"),
		s.commands.of("says how far they are", plans[found].Name, "progress"),
	)
	return v, nil
}

// planned fills in a plan.
func (s *source) planned(v *planView, p *Plan, from int) {
	o := &p.Outcome
	v.Name, v.Made = text.Visible(p.Name), s.stamp(p.Made)
	v.Steps, v.Done = len(p.Plan.Steps), len(o.Done)
	v.Lead, v.Tone = planLead(p)
	v.States = []tile{
		{Name: "Done", Value: text.Thousands(int64(len(o.Done))), Tone: toneIf(len(o.Done), fleet.Fine)},
		{Name: "Running", Value: text.Thousands(int64(len(p.Running))), Tone: toneIf(len(p.Running), fleet.Guarded)},
		{Name: "Failed", Value: text.Thousands(int64(len(o.Failed))), Tone: toneIf(len(o.Failed), fleet.Bad)},
		{Name: "Blocked", Value: text.Thousands(int64(len(o.Blocked))), Note: "by one that failed", Tone: toneIf(len(o.Blocked), fleet.Warned)},
		{Name: "Waiting", Value: text.Thousands(int64(v.Steps - len(o.Done) - len(o.Failed) - len(o.Blocked) - len(p.Running))), Tone: fleet.Unknown},
	}
	rows := s.stepRows(p)
	first, last := min(from, len(rows)), min(from+2*rowsOfPage, len(rows))
	v.Rows = rows[first:last]
	v.Caption = fmt.Sprintf("Steps in their order: %s to %s of %s", text.Thousands(int64(min(first+1, last))), text.Thousands(int64(last)), text.Thousands(int64(len(rows))))
	if last < len(rows) {
		v.Next = s.links.plan(p.Name, last)
	}
	if from > 0 {
		v.First = s.links.plan(p.Name, 0)
	}
	for _, a := range p.Plan.NoWriter {
		v.NoWriter = append(v.NoWriter, affectedStep{s.ref(a.Segment.In("")), text.Thousands(a.Users)})
	}
	for i := range p.Plan.Conflicts {
		v.Conflict = append(v.Conflict, conflictOf(&p.Plan.Conflicts[i]))
	}
}

// planLead says whether everything affected was made again.
func planLead(p *Plan) (string, fleet.Tone) {
	o := &p.Outcome
	lead := fmt.Sprintf("%s of %s done", text.Thousands(int64(len(o.Done))), text.Count(len(p.Plan.Steps), "step"))
	is := fleet.Warned
	if n := len(o.Failed); n > 0 {
		is = fleet.Bad
		lead += ", " + text.Thousands(int64(n)) + " failed"
	}
	if n := len(p.Plan.Conflicts); n > 0 {
		is = fleet.Bad
		lead += ", " + text.Count(n, "conflict") + " to solve"
	}
	if n := len(p.Plan.NoWriter); n > 0 {
		is = fleet.Bad
		lead += ", " + text.Count(n, "affected segment") + " that no job writes"
	}
	if p.Plan.Incomplete(*o) == nil {
		return lead + ": everything affected was made again.", fleet.Fine
	}
	return lead + ".", is
}

func (s *source) stepRows(p *Plan) []stepRow {
	states := map[string]segment.StepState{}
	results := map[string]rerun.Result{}
	by := map[string]string{}
	for _, r := range p.Outcome.Done {
		states[r.JobID], results[r.JobID] = segment.StepDone, r
	}
	for _, r := range p.Outcome.Failed {
		states[r.JobID], results[r.JobID] = segment.StepFailed, r
	}
	for _, b := range p.Outcome.Blocked {
		states[b.JobID], by[b.JobID] = segment.StepCancelled, b.By
	}
	for _, id := range p.Running {
		states[id] = segment.StepRunning
	}
	numbers := make(map[string]int, len(p.Plan.Steps))
	rows := make([]stepRow, len(p.Plan.Steps))
	for i := range p.Plan.Steps {
		step := &p.Plan.Steps[i]
		numbers[step.Job.ID] = i + 1
		r := results[step.Job.ID]
		row := stepRow{
			Number: i + 1, Segment: s.ref(step.Job.To.In("")), Kind: text.Visible(string(step.Job.Kind)), Badge: badgeOfStep(states[step.Job.ID]),
			Affected: step.Affected, Started: s.stamp(r.Started), After: after(step, numbers),
		}
		if step.Users > 0 {
			row.Users = text.Thousands(step.Users)
		}
		if r.Ended.After(r.Started) {
			row.Took = r.Ended.Sub(r.Started).Round(time.Second / 10).String()
		}
		if r.Err != nil {
			row.Text, row.Failed = text.Visible(r.Err.Error()), true
		}
		if blocker := by[step.Job.ID]; blocker != "" {
			row.Text = "waits for " + text.Visible(blocker) + ", which failed"
		}
		rows[i] = row
	}
	return rows
}

// after returns the numbers of the steps that a step waits for.
func after(step *rerun.Step, numbers map[string]int) (list string) {
	const most = 5
	for i, id := range step.After {
		switch {
		case i == most:
			return list + fmt.Sprintf(" and %d more", len(step.After)-most)
		case i > 0:
			list += ", "
		}
		list += text.Thousands(int64(numbers[id]))
	}
	return list
}

func badgeOfStep(state segment.StepState) fleet.Badge {
	switch state {
	case segment.StepDone:
		return fleet.Badge{Text: "done", Tone: fleet.Fine}
	case segment.StepFailed, segment.StepUnverified:
		return fleet.Badge{Text: "failed", Tone: fleet.Bad}
	case segment.StepCancelled:
		return fleet.Badge{Text: "blocked", Tone: fleet.Warned}
	case segment.StepRunning:
		return fleet.Badge{Text: "running", Tone: fleet.Guarded}
	case segment.StepWaiting:
	}
	return fleet.Badge{Text: "waiting", Tone: fleet.Unknown}
}

func conflictOf(c *rerun.Conflict) conflictRow {
	row := conflictRow{Text: "each reads what the one before it writes, the first what the last one writes", Waiting: len(c.Waiting)}
	if c.Kind == rerun.ConflictWriters {
		row.Text = "all write one segment, and only one of them may be the last"
	}
	const most = 20
	for i := range c.Steps[:min(len(c.Steps), most)] {
		row.Jobs = append(row.Jobs, text.Visible(c.Steps[i].Job.ID))
	}
	return row
}
