package validate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Severity says whether a finding fails the check.
type Severity string

// The severities. Only Fail makes Check return an error; an unknown severity counts
// as Fail.
const (
	Fail Severity = "fail"
	Warn Severity = "warn"
)

// A Finding is one thing that is wrong with an output.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	Step     string   `json:"step,omitempty"`     // read, map, store, remove, change or size; empty: the whole
	Detail   string   `json:"detail"`             // one clause: "read 10,000 of 812,345 users (98.8% short, 0 allowed)"
	Hint     string   `json:"hint,omitempty"`     // a likely cause, where the numbers suggest one
	Caps     []Cap    `json:"caps,omitempty"`     // of a Capped: every known limit at that number, likeliest first
	Explains bool     `json:"explains,omitempty"` // a warning that says why something passed, and asks nothing of anybody
	Cause    error    `json:"-"`                  // why it could not be checked; kept as text in JSON
}

func (f *Finding) fails() bool { return f.Severity != Warn }

// brief returns the detail for a line that must stay short: of many limits at one
// number it names the likeliest.
func (f *Finding) brief() string {
	detail := f.Detail
	if len(f.Caps) > 1 {
		detail = cappedAt(f.Caps[0].Users, f.Caps[0].Origin+", …")
	}
	return detail + f.hint()
}

func (f *Finding) hint() string {
	if f.Hint == "" {
		return ""
	}
	return ", " + f.Hint
}

// findingJSON keeps the text of the cause.
type findingJSON struct {
	plainFinding
	Cause string `json:"cause,omitempty"`
}

type plainFinding Finding

// MarshalJSON writes all but the cause's type.
func (f Finding) MarshalJSON() ([]byte, error) {
	w := findingJSON{plainFinding: plainFinding(f)}
	if f.Cause != nil {
		w.Cause = f.Cause.Error()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Finding) UnmarshalJSON(data []byte) error {
	var w findingJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("validate: finding: %w", err)
	}
	*f = Finding(w.plainFinding)
	switch w.Cause {
	case "":
	case ErrLagging.Error():
		f.Cause = ErrLagging
	default:
		f.Cause = errors.New(w.Cause)
	}
	return nil
}

func cappedAt(users int64, origins string) string {
	return fmt.Sprintf("capped at %s, a known limit (%s)", thousands(users), origins)
}

func origins(caps []Cap) string {
	names := make([]string, len(caps))
	for i, c := range caps {
		names[i] = c.Origin
	}
	return strings.Join(names, ", ")
}
