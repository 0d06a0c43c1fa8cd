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
	By, Why  string
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
	const listed = 20
	p, err := s.findPlan(ctx, name)
	if err != nil {
		return nil, err
	}
	if p == nil {
		v.Lead, v.Tone = "No plan of reruns is known.", fleet.Unknown
		return v, nil
	}
	for other, err := range s.ledger.Plans(ctx, segment.PlanFilter{Limit: listed}) {
		if err != nil {
			return nil, fmt.Errorf("reading the plans: %w", err)
		}
		if other.ID != p.ID {
			v.Others = append(v.Others, planLink{text.Visible(other.ID), s.links.plan(other.ID, 0), s.stamp(other.Planned.At)})
		}
	}
	v.Commands = append(v.Commands,
		s.commands.of("hands them to the workers, or what of them failed", p.ID, "run"),
		s.commands.of("says how far they are", p.ID, "progress"),
	)
	return v, s.planned(ctx, v, p, from)
}

// findPlan returns the plan of a name, or the latest; nil where there is none.
func (s *source) findPlan(ctx context.Context, name string) (*segment.PlanRecord, error) {
	for p, err := range s.ledger.Plans(ctx, segment.PlanFilter{ID: name, Limit: 1}) {
		if err != nil {
			return nil, fmt.Errorf("reading the plans: %w", err)
		}
		return &p, nil
	}
	if name != "" {
		return nil, notFound("plan", name)
	}
	return nil, nil //nolint:nilnil // there is none, and that is no error
}

// planned fills in a plan.
func (s *source) planned(ctx context.Context, v *planView, p *segment.PlanRecord, from int) error {
	counts, err := s.ledger.CountSteps(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("counting the steps: %w", err)
	}
	noWriter, conflicts, err := rerun.Rest(*p)
	if err != nil {
		return err
	}
	v.Name, v.Made = text.Visible(p.ID), s.stamp(p.Planned.At)
	v.By, v.Why = text.Visible(p.Planned.By), text.Visible(p.Planned.Why)
	v.Steps, v.Done = p.Steps, counts[segment.StepDone]
	v.Lead, v.Tone = (&fleet.Plan{Steps: p.Steps, States: counts, NoWriter: len(noWriter), Conflicts: len(conflicts)}).Lead()
	v.States = planTiles(counts)
	if err := s.stepRows(ctx, v, p, from); err != nil {
		return err
	}
	for _, a := range noWriter {
		v.NoWriter = append(v.NoWriter, affectedStep{s.ref(a.Segment.In("")), text.Thousands(a.Users)})
	}
	for i := range conflicts {
		v.Conflict = append(v.Conflict, conflictOf(&conflicts[i]))
	}
	return nil
}

func planTiles(counts map[segment.StepState]int) (tiles []tile) {
	for _, t := range []struct {
		state      segment.StepState
		name, note string
		tone       fleet.Tone
	}{
		{segment.StepDone, "Done", "", fleet.Fine},
		{segment.StepRunning, "Running", "", fleet.Guarded},
		{segment.StepFailed, "Failed", "proven wrong, or given up", fleet.Bad},
		{segment.StepUnverified, "Unverified", "another attempt may help", fleet.Warned},
		{segment.StepCancelled, "Cancelled", "by one that failed", fleet.Warned},
		{segment.StepWaiting, "Waiting", "", fleet.Unknown},
	} {
		n := counts[t.state]
		tiles = append(tiles, tile{Name: t.name, Value: text.Thousands(int64(n)), Note: t.note, Tone: toneIf(n, t.tone)})
	}
	return tiles
}

// stepRows reads a page of steps, those behind a number.
func (s *source) stepRows(ctx context.Context, v *planView, p *segment.PlanRecord, from int) error {
	last := from
	for step, err := range s.ledger.Steps(ctx, segment.StepFilter{Plan: p.ID, After: from, Limit: 2 * rowsOfPage}) {
		if err != nil {
			return fmt.Errorf("reading the steps: %w", err)
		}
		last = step.Number
		v.Rows = append(v.Rows, s.stepRow(&step))
	}
	v.Caption = fmt.Sprintf("Steps in their order: %s to %s of %s", text.Thousands(int64(min(from+1, last))), text.Thousands(int64(last)), text.Thousands(int64(p.Steps)))
	if last < p.Steps && len(v.Rows) > 0 {
		v.Next = s.links.plan(p.ID, last)
	}
	if from > 0 {
		v.First = s.links.plan(p.ID, 0)
	}
	return nil
}

func (s *source) stepRow(step *segment.PlanStep) stepRow {
	p := &step.Progress
	row := stepRow{
		Number: step.Number, Segment: s.ref(step.Job.To.In("")), Kind: text.Visible(string(step.Job.Kind)), Badge: badgeOfStep(p.State),
		Affected: step.Affected, Started: s.stamp(p.Started), After: after(step),
	}
	if step.Users > 0 {
		row.Users = text.Thousands(step.Users)
	}
	if p.Ended.After(p.Started) {
		row.Took = p.Ended.Sub(p.Started).Round(time.Second / 10).String()
	}
	if p.Err != "" {
		row.Text, row.Failed = text.Visible(p.Err), true
		if p.Attempt > 1 {
			row.Text = fmt.Sprintf("attempt %d: %s", p.Attempt, row.Text)
		}
	}
	if p.Blocker > 0 {
		row.Text = "waits for step " + text.Thousands(int64(p.Blocker)) + ", which failed"
	}
	return row
}

// after returns the numbers of the steps that a step waits for.
func after(step *segment.PlanStep) (list string) {
	const most = 5
	for i, n := range step.After {
		switch {
		case i == most:
			return list + fmt.Sprintf(" and %d more", len(step.After)-most)
		case i > 0:
			list += ", "
		}
		list += text.Thousands(int64(n))
	}
	return list
}

func badgeOfStep(state segment.StepState) fleet.Badge {
	switch state {
	case segment.StepDone:
		return fleet.Badge{Text: "done", Tone: fleet.Fine}
	case segment.StepFailed:
		return fleet.Badge{Text: "failed", Tone: fleet.Bad}
	case segment.StepUnverified:
		return fleet.Badge{Text: "unverified", Tone: fleet.Warned}
	case segment.StepCancelled:
		return fleet.Badge{Text: "cancelled", Tone: fleet.Warned}
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
