package segment

import (
	"context"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Run is one attempt at a job, after its last write and before its output is
// live.
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
	WrittenAt               time.Time        // the last acknowledged write; needed where the rule has a Lag

	Stored  func(context.Context) (validate.Summary, error) // reads back what is stored, never what the writer believes
	Counter string                                          // what counts Stored, where sizes are counted in several ways that differ

	Staging Staging // how the output goes live
	Live    bool    // in place of Staging: the store has none, and the output is live already
}

// Staging says how output that is not live yet goes live, or is dropped.
type Staging struct {
	Commit  func(context.Context) error // makes it live
	Discard func(context.Context) error // drops it; nil: nothing to drop
	// Tx records in the job's own transaction, where there is one: then the size
	// is recorded with the data or not at all. nil: the guard's ledger records.
	Tx Recorder
}

// check returns what keeps the run from being judged; stored says that its output
// must be there.
func (r *Run) check(stored bool) error {
	switch staged := r.Staging.Commit != nil || r.Staging.Discard != nil; {
	case r.ID == "":
		return badInput("Run.ID", "empty", "a name for this run of the job, the same for all its attempts")
	case r.Attempt < 0:
		return badInput("Run.Attempt", r.Attempt, "0 or more")
	case r.checkTarget() != nil:
		return r.checkTarget()
	case r.Live && staged:
		return badInput("Run.Live", true, "no Staging with it: what is live can be neither committed nor discarded")
	case r.Live && r.Staging.Tx != nil:
		return badInput("Run.Live", true, "no Staging.Tx with it: what is live has left the transaction")
	case stored && r.Stored == nil:
		return badInput("Run.Stored", "nil", "a function that reads back what is stored")
	case stored && !r.Live && r.Staging.Commit == nil:
		return badInput("Run.Staging.Commit", "nil", "a function that makes the output live, or Live")
	}
	return nil
}

// checkTarget returns what is wrong with the name of the segment.
func (r *Run) checkTarget() error {
	if r.Job.To.Name == "" {
		value := any("empty")
		if !r.Job.To.IsZero() {
			value = r.Job.To
		}
		return badInput("Run.Job.To", value, "the segment that the job writes")
	}
	return r.Job.To.check()
}

// nameless reports that there is nothing to file the run under: a record or an
// alert without the name of a segment or of a run would be taken for another's.
func (r *Run) nameless() bool { return r.ID == "" || r.checkTarget() != nil }

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}
