package segment

import (
	"context"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Run is one attempt at a job, its output staged and not yet live.
//
// Expected must come from another path than the users that the job reads: the
// source's own count, a model's output. An Expected taken from what the job
// read lets a limit on the reading through.
type Run struct {
	ID      string // one run of the job, the same for all its attempts
	Attempt int    // records are kept per attempt; an older attempt is superseded
	Build   string // the version of the job's code
	Job     Job

	Expected, Read, Written validate.Summary // as in validate.Output; Read and Written may stay zero
	WrittenAt               time.Time        // the last acknowledged write; needed where the rule lets the store settle

	Stored  func(context.Context) (validate.Summary, error) // reads back what is stored, never what the writer believes
	Commit  func(context.Context) error                     // makes it live
	Discard func(context.Context) error                     // drops it; nil: nothing to drop
	Counter string                                          // what counts Stored, where sizes are counted in several ways that differ
	Live    bool                                            // the store has no staging: the output is live already, Commit and Discard are nil
	History History                                         // in the job's own transaction, where there is one; nil: the guard's
}

// problem is what keeps the run from being judged; stored tells whether its
// output is there.
func (r *Run) problem(stored bool) error {
	switch {
	case r.ID == "":
		return badInput("Run.ID", "empty", "a name for this run of the job, the same for all its attempts")
	case r.Attempt < 0:
		return badInput("Run.Attempt", r.Attempt, "0 or more")
	case r.target() != nil:
		return r.target()
	case r.Live && (r.Staging.Commit != nil || r.Staging.Discard != nil):
		return badInput("Run.Live", true, "no Commit and no Discard with it: a live output can be neither")
	case r.Live && r.Staging.Tx != nil:
		return badInput("Run.Live", true, "no History with it: what is live has left the transaction")
	case stored && r.Stored == nil:
		return badInput("Run.Stored", "nil", "a function that reads back what is stored")
	case stored && !r.Live && r.Staging.Commit == nil:
		return badInput("Run.Commit", "nil", "a function that makes the output live, or Live")
	}
	return nil
}

// target is what is wrong with the name of the segment.
func (r *Run) target() error {
	switch {
	case r.Job.To.IsZero():
		return badInput("Run.Job.To", "empty", "the segment that the job writes")
	case r.Job.To.Name == "":
		return badInput("Run.Job.To", r.Job.To, "the segment that the job writes")
	}
	return r.Job.To.check()
}

// nameless reports that there is nothing to file the run under: a record or an
// alert without the name of a segment or of a run would be taken for another's.
func (r *Run) nameless() bool { return r.ID == "" || r.target() != nil }

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
