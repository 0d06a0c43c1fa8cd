package rerun

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// An Outcome says what became of a plan's steps, in the plan's order. [Plan.Run]
// resumes it, also after it was written to JSON and read back.
type Outcome struct {
	Done         []Result  `json:"done,omitempty"` // in this run, or in an earlier one that it resumed
	Failed       []Result  `json:"failed,omitempty"`
	Blocked      []Blocked `json:"blocked,omitempty"`
	NeverStarted []string  `json:"never_started,omitempty"` // IDs of jobs
}

// A Result says when a step ran, and why it failed if it did.
type Result struct {
	JobID   string    `json:"job_id"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Err     error     `json:"-"` // nil if it is done; JSON keeps its text
}

// A Blocked step was not started, because a step that it waits for, directly or
// through others, failed.
type Blocked struct {
	JobID string `json:"job_id"`
	By    string `json:"by"` // the ID of the job that failed; of several, the first in the plan
}

type plainResult Result

type resultJSON struct {
	plainResult

	Err string `json:"error,omitempty"`
}

// MarshalJSON writes the text of Err as "error".
func (r Result) MarshalJSON() ([]byte, error) {
	w := resultJSON{plainResult: plainResult(r)}
	if r.Err != nil {
		w.Err = r.Err.Error()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote. Err has the text of the error that
// was written, and wraps nothing.
func (r *Result) UnmarshalJSON(data []byte) error {
	var w resultJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("rerun: result: %w", err)
	}
	*r = Result(w.plainResult)
	if w.Err != "" {
		r.Err = errors.New(w.Err)
	}
	return nil
}

// failure returns why the step failed, on one line: joined errors have several.
func (r *Result) failure() string {
	lines := fmt.Sprintf("%s: %v", text.Printable(r.JobID), r.Err)
	return strings.Join(strings.FieldsFunc(lines, func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
}

// String returns how many steps are done and how many are not, and then a line for
// each that failed.
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
	}{{len(o.Failed), "failed"}, {len(o.Blocked), "blocked"}, {len(o.NeverStarted), "never started"}} {
		if part.n > 0 {
			parts = append(parts, text.Thousands(int64(part.n))+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// An IncompleteError reports that not everything affected was made again.
type IncompleteError struct {
	Outcome   Outcome
	Conflicts int   // of the plan; none of their jobs ran
	NoWriter  int   // affected segments that no job writes
	Err       error // the cause of the context that ended before all steps were done, if one did
}

// Error returns one line with the numbers, and of the steps that failed the first in
// full.
func (e *IncompleteError) Error() string {
	o := &e.Outcome
	line := "rerun: " + o.summary()
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

// Unwrap returns Err and the errors of the steps that failed.
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

// A PanicError is the error of a step that panicked.
type PanicError struct {
	Value any // given to panic
	Stack []byte
}

// Error returns one line with the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panicked: %v", e.Value) }

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errExited is the error of a step that neither returned nor panicked.
var errExited = errors.New("exited its goroutine (by runtime.Goexit, as t.FailNow does)")
