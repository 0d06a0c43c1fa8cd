package rerun

import "github.com/segmentguard/segmentguard/segment"

// A Plan says which jobs must run again, and in which order. [PlanReruns] makes
// it, and its JSON can be read back; the zero Plan is none.
type Plan struct {
	// Steps run after what they wait for; of those that could come next, the one
	// with the higher priority comes first, then the one with more users at
	// stake, then by the job's name.
	Steps []Step
	// Unwritten are affected segments that no job writes, most users first. What
	// reads them is planned all the same: repair them before it runs.
	NoWriter []segment.Affected
	// Conflicts are what keeps jobs out of Steps, in the order in which to solve
	// them. Then plan again: what was done stays done.
	Conflicts []Conflict

	made bool // so that a plan nobody made is not taken for one without steps
}

// A Step is a job of a plan. It is there because its segment is affected, or
// because of what it reads.
type Step struct {
	Job      segment.Job  `json:"job"`
	After    []string     `json:"after,omitempty"`    // the jobs it waits for, in the plan's order: they write what it reads
	Affected bool         `json:"affected,omitempty"` // its segment was given as affected
	Users    int64        `json:"users,omitempty"`    // at stake in its segment
	Reads    []segment.ID `json:"reads,omitempty"`    // of Job.From, what is affected or made again
}

// A ConflictKind says why jobs cannot be brought into an order.
type ConflictKind string

// The kinds of conflicts.
const (
	ConflictCycle   ConflictKind = "cycle"   // each job reads what the one before it writes, the first what the last one writes
	ConflictWriters ConflictKind = "writers" // the jobs write one segment: which of them is to have the last word?
)

// A Conflict is between jobs, and holds up what reads from them.
type Conflict struct {
	Kind ConflictKind `json:"kind"`
	// Steps are the jobs between which it is. Of jobs that are tied up in many
	// cycles, a short one is listed, and the others are held up by it.
	Steps []Step `json:"steps"`
	// HoldsUp are the jobs that wait for it, directly or through others, and are
	// in no conflict themselves. A job that several conflicts hold up is listed
	// with the last of them, so that it is free once they are solved in order.
	Waiting []Step `json:"waiting,omitempty"`
	// Also are the later conflicts, by their index in Plan.Conflicts, with which
	// more of what it holds up is listed.
	LaterConflicts []int `json:"later_conflicts,omitempty"`
}

// PlanReruns plans every job that writes an affected segment, and everything
// downstream of it. jobs are all there are: what is not among them cannot be
// found downstream. The plan is the same for any order of its input. A segment
// that is affected twice counts with the more users, a job given twice once.
//
// A plan is made of what can be planned; look at its Unwritten and Conflicts. An
// error is a *validate.InputError and says what is wrong with the input.
func New(jobs []segment.Job, affected []segment.Affected) (Plan, error) {
	g, err := newGraph(jobs, affected)
	if err != nil {
		return Plan{}, err
	}
	g.spread()
	g.rank()
	planned := g.schedule()
	conflicts := g.untangle()
	steps := g.steps()
	return Plan{
		Steps:     steps[:planned:planned],
		NoWriter:  g.unwritten(),
		Conflicts: g.describe(conflicts, steps),
		made:      true,
	}, nil
}
