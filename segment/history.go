package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// ErrSuperseded says that a newer attempt of the same run is known, or that
// this attempt was committed before: it must not go live any more.
var ErrSuperseded = errors.New("superseded")

// A History is all that a Guard needs to remember: sizes and attempts. It is
// safe for concurrent use, and for guards on many machines.
type History interface {
	// Sizes returns the last n sizes of a segment's baseline, oldest first, in
	// non-decreasing order of time: those of records with InBaseline, since the
	// last acceptance if there was one. A segment that is not known has none.
	Sizes(ctx context.Context, id ID, n int) ([]validate.Size, error)
	// Record keeps r as the state of its attempt. Where the history knows a
	// newer attempt of the same run of the segment, and r would go live
	// (Accepted, Committed, Observed), it keeps nothing and returns an error
	// that is ErrSuperseded. So it does, whatever the state of r, where this very
	// attempt is live already (Committed, Observed). Comparing and keeping are
	// one step, also between processes.
	Record(ctx context.Context, r Record) error
}

// A State is how far an attempt came.
type RunState string

// The states of an attempt.
const (
	RunPassed    RunState = "accepted"  // passed, about to be committed
	RunCommitted RunState = "committed" // live
	RunRejected  RunState = "rejected"  // failed, or could not be verified; discarded
	RunObserved  RunState = "observed"  // live in observe mode, whatever was found
	RunUnknown   RunState = "unknown"   // the commit failed: live or not, nobody knows
)

// goesLive reports whether an attempt in this state is live or about to be.
func (s RunState) goesLive() bool { return s == RunPassed || s == RunCommitted || s == RunObserved }

// A Record is what a history keeps of one attempt.
type Record struct {
	Segment ID              `json:"segment"`
	RunID   string          `json:"run_id"`
	Attempt int             `json:"attempt"`
	State   RunState        `json:"state"`
	JobID   string          `json:"job_id"`
	JobKind JobKind         `json:"job_kind"`
	Build   string          `json:"build,omitempty"`
	Users   int64           `json:"users"`          // stored; 0 where that was not read back
	Read    int64           `json:"read,omitempty"` // what the job took in; 0: not measured
	Counter string          `json:"counter,omitempty"`
	Live    bool            `json:"live,omitempty"` // rejected, and live all the same, in a store without staging
	At      time.Time       `json:"at"`
	Report  validate.Report `json:"report,omitzero"`
}

// InBaseline reports whether later sizes are judged by this one: it is live,
// and nothing was wrong with it.
func (r *Record) InBaseline() bool {
	return r.State == RunCommitted || r.State == RunObserved && r.Report.Passed()
}

// Size is the record as a point of the baseline.
func (r *Record) Size() validate.Size {
	return validate.Size{Users: r.Users, Read: r.Read, At: r.At, Counter: r.Counter}
}

// sized refuses a word on a size that was never read back.
func (r *Record) sized() error {
	if r.Report.Stored.IsZero() || r.Report.Stored.IsUnknown() {
		return fmt.Errorf("run %q: its size was never read back", r.RunID)
	}
	return nil
}

// compare orders records by segment, run and attempt.
func (r Record) compare(other Record) int {
	return cmp.Or(r.Segment.Compare(other.Segment), strings.Compare(r.RunID, other.RunID), cmp.Compare(r.Attempt, other.Attempt))
}
