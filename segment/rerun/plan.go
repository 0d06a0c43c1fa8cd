package rerun

import (
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
)

// A Plan says which jobs must run again, and in which order. [New] makes it, and
// its JSON can be read back. The zero Plan is not a plan: it cannot be run.
type Plan struct {
	// Steps come after what they wait for. Of those that could come next, the one
	// with the higher priority comes first, then the one with more users at stake,
	// then the one whose job ID sorts first.
	Steps []Step
	// NoWriter lists the affected segments that no job writes, most users first.
	// Jobs that read them are planned all the same: repair the segments before.
	NoWriter []segment.Affected
	// Conflicts keep jobs out of Steps. They are in the order in which to solve
	// them. Then make a new plan; the outcome so far resumes it.
	Conflicts []Conflict

	made bool // so that a Plan without steps is not taken for one that New returned
}

// A Step is one job of a plan. Its segment is affected, or it reads one that is
// affected or made again.
type Step struct {
	Job      segment.Job  `json:"job"`
	After    []string     `json:"after,omitempty"`    // IDs of the jobs that write what it reads, in the plan's order
	Affected bool         `json:"affected,omitempty"` // its segment was given as affected
	Users    int64        `json:"users,omitempty"`    // at stake in its segment
	Reads    []segment.ID `json:"reads,omitempty"`    // of Job.From, what is affected or made again
}

// A ConflictKind says why jobs cannot be ordered.
type ConflictKind string

// The kinds of conflicts.
const (
	ConflictCycle   ConflictKind = "cycle"   // each job reads what the one before it writes, the first what the last one writes
	ConflictWriters ConflictKind = "writers" // several jobs write one segment, and only one of them may be the last
)

// A Conflict keeps jobs, and those that read what they write, out of a plan's
// steps.
type Conflict struct {
	Kind ConflictKind `json:"kind"`
	// Steps are the jobs in conflict. Of jobs that are on many cycles a shortest
	// one is listed here, and the others wait for it.
	Steps []Step `json:"steps"`
	// Waiting are the jobs that wait for Steps, directly or through others, and are
	// in no conflict themselves. A job that waits for several conflicts is listed
	// with the last of them: once they are solved in order, it is free.
	Waiting []Step `json:"waiting,omitempty"`
	// LaterConflicts are indexes into Plan.Conflicts: more jobs that wait for this
	// conflict are listed with those.
	LaterConflicts []int `json:"later_conflicts,omitempty"`
}

// New plans every job that writes an affected segment, and every job downstream of
// it. jobs must be all there are: a job that is missing is not found downstream.
// The plan does not depend on the order of the input. A segment that is given as
// affected twice counts with the larger number of users; a job that is given twice
// counts once.
//
// New plans what can be planned: a caller must look at NoWriter and Conflicts. An
// error wraps a *validate.InputError that names what is wrong with the input.
func New(jobs []segment.Job, affected []segment.Affected) (Plan, error) {
	p, err := newPlan(jobs, affected)
	if err != nil {
		return Plan{}, fmt.Errorf("rerun: new plan: %w", err)
	}
	return p, nil
}

func newPlan(jobs []segment.Job, affected []segment.Affected) (Plan, error) {
	p, err := newPlanner(jobs, affected)
	if err != nil {
		return Plan{}, err
	}
	p.markDownstream()
	p.rank()
	planned := p.schedule()
	conflicts := p.findConflicts()
	steps := p.steps()
	return Plan{
		Steps:     steps[:planned:planned],
		NoWriter:  p.noWriter(),
		Conflicts: p.describe(conflicts, steps),
		made:      true,
	}, nil
}
