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

// planJSON is the form of a plan in JSON. Steps must be there, because {} must not
// read as a plan with nothing to do. The counts are there because a plan that was cut
// to its first hundred steps would otherwise be a plan, too: it would succeed and
// leave the rest unrepaired.
type planJSON struct {
	Jobs      int                `json:"jobs"`     // in steps and conflicts
	Affected  int                `json:"affected"` // segments
	Steps     *[]Step            `json:"steps"`
	NoWriter  []segment.Affected `json:"no_writer,omitempty"`
	Conflicts []Conflict         `json:"conflicts,omitempty"`
}

// MarshalJSON writes the plan for a file, a ticket or another machine. It returns an
// error for the zero Plan.
func (p Plan) MarshalJSON() ([]byte, error) {
	if !p.made {
		return nil, fmt.Errorf("rerun: plan: %w", errNoPlan())
	}
	jobs, affected := p.counts()
	return json.Marshal(planJSON{jobs, affected, &p.Steps, p.NoWriter, p.Conflicts})
}

// counts returns how many jobs and affected segments the plan names.
func (p Plan) counts() (jobs, affected int) {
	segments, _ := p.stake()
	return len(p.Steps) + p.heldUp(), len(segments)
}

// UnmarshalJSON reads what MarshalJSON wrote. It makes a new plan of the jobs and the
// affected segments in it and returns an error unless that is the same: a plan that
// lost a step, or what a step waits for, is refused. So is a field that it does not
// know, because that may say what must not run.
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
	read := Plan{Steps: *w.Steps, NoWriter: w.NoWriter, Conflicts: w.Conflicts}
	made, err := newPlan(read.source())
	if err != nil {
		return fmt.Errorf("rerun: plan: %w", err)
	}
	if err := cmp.Or(read.differs(made), w.miscounts(made)); err != nil {
		return fmt.Errorf("rerun: plan: not what its jobs and affected segments lead to: %w", err)
	}
	*p = made
	return nil
}

// miscounts returns an error where jobs or segments were taken out of the plan, or
// added to it, so that what is left is a plan of its own.
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

// source returns the jobs and the affected segments that the plan was made of.
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

// differs returns an error that names the first place where the plan that was read
// is not the one that was made.
func (p Plan) differs(made Plan) error {
	if err := stepsDiffer("steps", p.Steps, made.Steps); err != nil {
		return err
	}
	if !slices.Equal(p.NoWriter, made.NoWriter) {
		return badInput("no_writer", fmt.Sprint(p.NoWriter), fmt.Sprint(made.NoWriter))
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
			return badInput(field+".later_conflicts", fmt.Sprint(a.LaterConflicts), fmt.Sprint(b.LaterConflicts))
		}
		if err := cmp.Or(stepsDiffer(field+".steps", a.Steps, b.Steps), stepsDiffer(field+".waiting", a.Waiting, b.Waiting)); err != nil {
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
	return badInput("Plan", "empty", "one that New returned without an error, or that was read from its JSON")
}
