package segment

import (
	"slices"
	"strings"
)

// A JobKind says what a job does. Beside the two below, name your own; keep them
// few, as metrics carry them.
type JobKind string

// The kinds of jobs that write segments from segments.
const (
	JobKindLookalike JobKind = "lookalike" // a model's output: it is the job's own word for how many users there should be
	JobKindCopy      JobKind = "copy"      // the users of another segment
)

// A Job makes one segment from others.
type Job struct {
	ID       string  `json:"id"`
	Kind     JobKind `json:"kind"`
	From     []ID    `json:"from,omitempty"`
	To       ID      `json:"to"`
	Priority int     `json:"priority,omitempty"` // higher runs earlier
}

// Copy is the job that copies one segment, in the order of io.Copy.
func Copy(to, from ID) Job { return newJob(JobKindCopy, to, from) }

// Lookalike is the job that finds users similar to those of the seeds.
func Lookalike(to ID, seeds ...ID) Job { return newJob(JobKindLookalike, to, seeds...) }

// newJob names the job by all that makes it: two copies into one segment are
// two jobs.
func newJob(kind JobKind, to ID, from ...ID) Job {
	names := make([]string, len(from))
	for i, id := range from {
		names[i] = id.String()
	}
	return Job{ID: string(kind) + " " + strings.Join(names, " + ") + " to " + to.String(), Kind: kind, From: slices.Clone(from), To: to}
}
