package rerun

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// An Outcome is what became of a plan's steps, in the plan's order. Given to
// [Plan.Run] as Resume, also after a detour over JSON, the plan goes on where it
// stopped.
type Outcome struct {
	Done         []Result  `json:"done,omitempty"` // in this run, or in one that it resumed
	Failed       []Result  `json:"failed,omitempty"`
	Blocked      []Blocked `json:"blocked,omitempty"`
	NeverStarted []string  `json:"never_started,omitempty"` // the run ended before their turn
}

// A Result is a step that ran.
type Result struct {
	JobID   string    `json:"job_id"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Err     error     `json:"-"` // why it failed; in JSON its text
}

// A Blocked step was not started, because one that it waits for, directly or
// through others, failed.
type Blocked struct {
	JobID string `json:"job_id"`
	By    string `json:"by"` // the job that failed; of several, the first in the plan
}

type plainResult Result

type resultJSON struct {
	plainResult

	Err string `json:"error,omitempty"`
}

// MarshalJSON writes the error as its text.
func (r Result) MarshalJSON() ([]byte, error) {
	w := resultJSON{plainResult: plainResult(r)}
	if r.Err != nil {
		w.Err = r.Err.Error()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Result) UnmarshalJSON(data []byte) error {
	var w resultJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("rerun: result of a step: %w", err)
	}
	*r = Result(w.plainResult)
	if w.Err != "" {
		r.Err = errors.New(w.Err)
	}
	return nil
}

// failure is why the step failed, on one line: errors that were joined are not.
func (r *Result) failure() string {
	text := fmt.Sprintf("%s: %v", text.Printable(r.JobID), r.Err)
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
}

// String is how many steps are done and how many are not, and what failed, a
// line each.
func (o Outcome) String() string {
	var b strings.Builder
	b.WriteString(o.summary())
	for i := range o.Failed {
		r := &o.Failed[i]
		fmt.Fprintf(&b, "\n  failed: %s", r.failure())
	}
	return b.String()
}

func (o Outcome) summary() string {
	parts := []string{text.Thousands(int64(len(o.Done))) + " done"}
	for _, part := range []struct {
		n    int
		what string
	}{{len(o.Failed), string(StepFailed)}, {len(o.Blocked), "blocked"}, {len(o.NeverStarted), "never started"}} {
		if part.n > 0 {
			parts = append(parts, text.Thousands(int64(part.n))+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// An IncompleteError says that not everything affected was made again.
type IncompleteError struct {
	Outcome   Outcome
	Conflicts int   // of the plan, none of whose jobs ran
	NoWriter  int   // affected segments that no job writes
	Err       error // why the run was told to stop; nil if it was not
}

// Error is one line; what failed first stands in full.
func (e *IncompleteError) Error() string {
	o := &e.Outcome
	line := "rerun plan: " + o.summary()
	if e.Conflicts > 0 {
		line += ", " + text.Count(e.Conflicts, "conflict") + " to solve"
	}
	if e.NoWriter > 0 {
		line += ", " + text.Count(e.NoWriter, "affected segment") + " that no job writes"
	}
	if e.Err != nil {
		line += ": stopped: " + e.Err.Error()
	}
	if len(o.Failed) > 0 {
		line += ": " + o.Failed[0].failure()
	}
	if more := len(o.Failed) - 1; more > 0 {
		line += fmt.Sprintf(" (and %s more)", text.Thousands(int64(more)))
	}
	return line
}

// Unwrap returns why the run was stopped and why steps failed.
func (e *IncompleteError) Unwrap() []error {
	var causes []error
	if e.Err != nil {
		causes = append(causes, e.Err)
	}
	for _, r := range e.Outcome.Failed {
		if r.Err != nil {
			causes = append(causes, r.Err)
		}
	}
	return causes
}

// A PanicError is a step that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panicked: %v", e.Value) }

// Unwrap returns the value it panicked with, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errExited is a step that left neither by a return nor by a panic.
var errExited = errors.New("ended its goroutine without a return (runtime.Goexit, as t.FailNow does)")
