package rerun

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/segmentguard/segmentguard/segment"
)

// planJSON is a plan as it is written. Without steps it is none: {} must not
// read as a plan by which there is nothing to do. What it holds is counted: cut to
// its first hundred steps it would otherwise still be a plan, succeed, and leave the
// rest unrepaired.
type planJSON struct {
	Jobs      int                `json:"jobs"`     // in steps and conflicts
	Affected  int                `json:"affected"` // segments
	Steps     *[]Step            `json:"steps"`
	Unwritten []segment.Affected `json:"no_writer,omitempty"`
	Conflicts []Conflict         `json:"conflicts,omitempty"`
}

// MarshalJSON writes the plan for a file, a ticket or another machine. The zero
// Plan cannot be written.
func (p Plan) MarshalJSON() ([]byte, error) {
	if !p.made {
		return nil, errNoPlan()
	}
	jobs, affected := p.counts()
	return json.Marshal(planJSON{jobs, affected, &p.Steps, p.NoWriter, p.Conflicts})
}

// counts are how many jobs the plan names, and affected segments.
func (p Plan) counts() (jobs, affected int) {
	segments, _ := p.stake()
	return len(p.Steps) + p.heldUp(), len(segments)
}

// UnmarshalJSON reads what MarshalJSON wrote, and nothing else: the plan must be
// the one that its own jobs and affected segments lead to. One that lost a step,
// what it waits for, or why it is there, is refused, and so are fields that are
// not known: they may say what must not run.
func (p *Plan) UnmarshalJSON(data []byte) error {
	var w planJSON
	known := json.NewDecoder(bytes.NewReader(data))
	known.DisallowUnknownFields()
	if err := known.Decode(&w); err != nil {
		return fmt.Errorf("rerun: plan: %w", err)
	}
	if _, err := known.Token(); !errors.Is(err, io.EOF) {
		return errors.New("rerun: plan: there is more after its end")
	}
	if w.Steps == nil {
		return fmt.Errorf("rerun: plan: %w", badInput("steps", "missing", "the steps of a plan, [] if there are none"))
	}
	read := Plan{Steps: *w.Steps, NoWriter: w.Unwritten, Conflicts: w.Conflicts}
	made, err := New(read.source())
	if err != nil {
		return fmt.Errorf("rerun: plan: %w", err)
	}
	if err := cmp.Or(read.differs(made), w.miscounts(made)); err != nil {
		return fmt.Errorf("rerun: plan: not what its jobs and affected segments lead to: %w", err)
	}
	*p = made
	return nil
}

// miscounts says that jobs or segments were taken out of the plan, or added to it,
// in such a way that what is left would be a plan of its own.
func (w *planJSON) miscounts(made Plan) error {
	jobs, affected := made.counts()
	switch {
	case w.Jobs != jobs:
		return badInput("jobs", w.Jobs, fmt.Sprintf("%d, as there are in steps and conflicts", jobs))
	case w.Affected != affected:
		return badInput("affected", w.Affected, fmt.Sprintf("%d, as there are affected segments", affected))
	}
	return nil
}

// source is what leads to the plan.
func (p Plan) source() ([]segment.Job, []segment.Affected) {
	lists := [][]Step{p.Steps}
	for i := range p.Conflicts {
		lists = append(lists, p.Conflicts[i].Steps, p.Conflicts[i].Waiting)
	}
	jobs := make([]segment.Job, 0, len(p.Steps))
	affected := slices.Clone(p.NoWriter)
	for _, steps := range lists {
		for i := range steps {
			jobs = append(jobs, steps[i].Job)
			if steps[i].Affected {
				affected = append(affected, segment.Affected{Segment: steps[i].Job.To, Users: steps[i].Users})
			}
		}
	}
	return jobs, affected
}

// differs finds the first place where the plan is not as it was made.
func (p Plan) differs(made Plan) error {
	if err := stepsDiffer("steps", p.Steps, made.Steps); err != nil {
		return err
	}
	if !slices.Equal(p.NoWriter, made.NoWriter) {
		return badInput("unwritten", fmt.Sprint(p.NoWriter), fmt.Sprint(made.NoWriter))
	}
	if len(p.Conflicts) != len(made.Conflicts) {
		return badInput("conflicts", len(p.Conflicts), fmt.Sprintf("%d of them", len(made.Conflicts)))
	}
	for i := range p.Conflicts {
		a, b := &p.Conflicts[i], &made.Conflicts[i]
		field := fmt.Sprintf("conflicts[%d]", i)
		if a.Kind != b.Kind {
			return badInput(field+".kind", string(a.Kind), string(b.Kind))
		}
		if !slices.Equal(a.LaterConflicts, b.LaterConflicts) {
			return badInput(field+".also", fmt.Sprint(a.LaterConflicts), fmt.Sprint(b.LaterConflicts))
		}
		if err := cmp.Or(stepsDiffer(field+".steps", a.Steps, b.Steps), stepsDiffer(field+".holds_up", a.Waiting, b.Waiting)); err != nil {
			return err
		}
	}
	return nil
}

func stepsDiffer(field string, read, made []Step) error {
	for i := range min(len(read), len(made)) {
		a, b := &read[i], &made[i]
		place := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !sameJob(&a.Job, &b.Job):
			return badInput(place+".job", a.Job.ID, b.Job.ID)
		case !slices.Equal(a.After, b.After):
			return badInput(place+".after", fmt.Sprintf("%q", a.After), fmt.Sprintf("%q", b.After))
		case a.Affected != b.Affected:
			return badInput(place+".affected", a.Affected, strconv.FormatBool(b.Affected))
		case a.Users != b.Users:
			return badInput(place+".users", a.Users, strconv.FormatInt(b.Users, 10))
		case !slices.Equal(a.Reads, b.Reads):
			return badInput(place+".reads", fmt.Sprint(a.Reads), fmt.Sprint(b.Reads))
		}
	}
	if len(read) != len(made) {
		return badInput(field, len(read), fmt.Sprintf("%d of them", len(made)))
	}
	return nil
}

func errNoPlan() error {
	return badInput("Plan", "empty", "one that PlanReruns returned without an error, or that was read from its JSON")
}
