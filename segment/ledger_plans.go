package segment

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"
)

// ErrPlanKnown says that a ledger has a plan of this ID already.
var ErrPlanKnown = errors.New("there is a plan of this ID already")

// A PlanLedger stores plans of reruns, and how far each of their steps is. It is a part
// of every Ledger. Package rerun makes the plans, and decides what becomes of steps.
type PlanLedger interface {
	// Plans yields the plans that f selects, the latest first. An error ends the sequence.
	Plans(ctx context.Context, f PlanFilter) iter.Seq2[PlanRecord, error]
	// KeepPlan keeps a plan with all of its steps, which it may range over more than
	// once, or nothing. A plan is written once: if there is one of its ID, KeepPlan
	// returns an error that is ErrPlanKnown. Steps come in the order of their numbers.
	KeepPlan(ctx context.Context, p PlanRecord, steps iter.Seq[PlanStep]) error
	// Steps yields the steps that f selects in the order of their numbers. An error ends
	// the sequence.
	Steps(ctx context.Context, f StepFilter) iter.Seq2[PlanStep, error]
	// CountSteps returns how many steps of a plan are in each state.
	CountSteps(ctx context.Context, plan string) (map[StepState]int, error)
	// ChangeSteps calls change with some steps of a plan, in the order of their numbers,
	// each once. It keeps what change made of their Progress, all or none, as one step
	// also between processes. If change returns an error, or the plan lacks a step,
	// ChangeSteps keeps nothing and returns an error. Where others were in the way,
	// change may be called again.
	ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*PlanStep) error) error
}

// A TxLedger is what of a ledger works in the transaction of a job: what it keeps is
// there for others when that is committed, and gone if it is rolled back.
type TxLedger interface {
	Recorder
	PlanLedger
}

// A PlanRecord is what a ledger keeps of a plan of reruns beside its steps.
type PlanRecord struct {
	ID      string   `json:"id"`
	Planned Decision `json:"planned"`
	Steps   int      `json:"steps"`
	// Rest is what could not be ordered, as package rerun writes it; nil: nothing.
	Rest json.RawMessage `json:"rest,omitempty"`
}

// A PlanStep is a step of a plan, and how far it is.
type PlanStep struct {
	Plan     string       `json:"plan"`
	Number   int          `json:"number"` // its place in the plan, from 1
	Job      Job          `json:"job"`
	After    []int        `json:"after,omitempty"`    // the steps that write what it reads
	Next     []int        `json:"next,omitempty"`     // the steps that read what it writes
	Affected bool         `json:"affected,omitempty"` // its segment was given as affected
	Users    int64        `json:"users,omitempty"`    // at stake in its segment
	Progress StepProgress `json:"progress"`
}

// A StepProgress says how far a step of a plan is.
type StepProgress struct {
	State   StepState `json:"state"`
	Waits   int       `json:"waits,omitempty"`  // for so many steps that are not done
	RunID   string    `json:"run_id,omitempty"` // of the last attempt
	Attempt int       `json:"attempt,omitempty"`
	Worker  string    `json:"worker,omitempty"`  // that made the last attempt
	Started time.Time `json:"started,omitzero"`  // the last attempt
	Ended   time.Time `json:"ended,omitzero"`    // the last attempt
	Err     string    `json:"error,omitempty"`   // why it is not done
	Blocker int       `json:"blocker,omitempty"` // the step that failed; 0: none did
}

// A StepState says how far a step of a plan is.
type StepState string

// The states of a step.
const (
	StepWaiting    StepState = "waiting" // to be run
	StepRunning    StepState = "running"
	StepDone       StepState = "done"
	StepFailed     StepState = "failed"     // proven wrong, or given up: it would fail again
	StepUnverified StepState = "unverified" // could not be verified, or broke: another attempt may help
	StepCancelled  StepState = "cancelled"  // a step that it waits for, directly or through others, failed
)

// A PlanFilter selects plans; the zero PlanFilter selects all.
type PlanFilter struct {
	ID    string // this one; empty: any
	Limit int    // at most so many; 0: all
}

// A StepFilter selects steps of one plan.
type StepFilter struct {
	Plan    string
	Numbers []int     // these, of which there are 1,000 at most; nil: any
	State   StepState // in this state; empty: in any
	Ready   bool      // that wait for no other
	After   int       // behind this number; 0: from the first
	Limit   int       // at most so many; 0: all
}

// Match reports whether f selects s. It leaves Limit to the caller.
func (f *StepFilter) Match(s *PlanStep) bool {
	return f.Plan == s.Plan && (f.Numbers == nil || slices.Contains(f.Numbers, s.Number)) && allows(f.State, s.Progress.State) &&
		(!f.Ready || s.Progress.Waits == 0) && s.Number > f.After
}
