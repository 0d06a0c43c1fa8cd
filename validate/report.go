package validate

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// A Report is what a check found: the sides as they were measured, what the
// policy and the history allowed, and the findings, gravest first.
type Report struct {
	Name      string    `json:"name"`
	JobKind   string    `json:"job_kind,omitempty"`
	Expected  Summary   `json:"expected"`
	Read      Summary   `json:"read"`
	Written   Summary   `json:"written"`
	Stored    Summary   `json:"stored"`
	SameUsers bool      `json:"same_users,omitempty"` // fingerprints prove that Stored holds just the users of Expected
	Band      Band      `json:"band,omitzero"`        // the sizes that the history allows
	Level     Level     `json:"level,omitempty"`      // what the size is to the history; where something else fails, too, LevelUsual
	NewLevel  []Size    `json:"new_level,omitempty"`  // with LevelNew: the earlier sizes that become normal with this one, oldest first
	Excuse    *Excuse   `json:"excuse,omitempty"`     // what excuses the size; nil: nothing does, or need
	Vouched   bool      `json:"vouched,omitempty"`    // another than the job itself said how many users there are
	Policy    Policy    `json:"policy,omitzero"`
	Delta     *Delta    `json:"delta,omitempty"` // what was changed; nil: the output is the whole segment
	Findings  []Finding `json:"findings,omitempty"`

	outcome outcome
}

// An outcome is set last of all, so that a report nobody finished is no pass.
type outcome string

const (
	unfinished outcome = ""
	passed     outcome = "passed"
	failed     outcome = "failed"
)

// A Verdict is what a check came to, in one word.
type Verdict string

// The verdicts.
const (
	VerdictPassed     Verdict = "passed"     // nothing failed
	VerdictFailed     Verdict = "failed"     // something is proven wrong
	VerdictUnverified Verdict = "unverified" // nothing is proven wrong, and not all could be checked
)

// Passed reports whether the check was finished and found nothing that fails.
// The zero Report has not passed.
func (r Report) Passed() bool {
	return r.outcome == passed && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.fails() })
}

// Verdict returns VerdictPassed if and only if Passed reports true, else
// VerdictFailed if Proven does, else VerdictUnverified. The zero Report is
// unverified.
func (r Report) Verdict() Verdict {
	switch {
	case r.Passed():
		return VerdictPassed
	case r.Proven():
		return VerdictFailed
	}
	return VerdictUnverified
}

// Proven reports whether a finding fails that is not Unverified: something is
// wrong, whatever else could not be checked.
func (r Report) Proven() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.fails() && f.Kind != Unverified })
}

// Whole returns what the segment holds by the report: Stored, or of a Delta the whole
// segment.
func (r *Report) Whole() Summary {
	if r.Delta != nil {
		return r.Delta.Whole
	}
	return r.Stored
}

// Gravest returns the kind of the gravest finding that fails; where none does, of
// the gravest warning; and Unverified where nothing was found.
func (r Report) Gravest() Kind {
	for i := range r.Findings {
		if r.Findings[i].fails() {
			return r.Findings[i].Kind
		}
	}
	if len(r.Findings) > 0 {
		return r.Findings[0].Kind
	}
	return Unverified
}

// fails reports whether a finding fails.
func (r *Report) fails() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.fails() })
}

// String returns the report as an on-call engineer reads it, on several lines.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.title(), r.Verdict())
	for _, side := range []struct {
		name    string
		summary Summary
	}{{"expected", r.Expected}, {"read", r.Read}, {"written", r.Written}, {"stored", r.Stored}} {
		if !side.summary.IsZero() {
			line(&b, side.name, side.summary.String())
		}
	}
	if d := r.Delta; d != nil {
		line(&b, "removed", d.Removed.String())
		line(&b, "remaining", d.Remaining.String())
		line(&b, "whole", d.Whole.String()+", before "+d.Last.String())
	}
	switch {
	case r.SameUsers:
		line(&b, "users", "the same, by their fingerprints")
	case r.Stored.identified() && r.Stored.fingerprint == r.Read.fingerprint && r.Stored.lower == r.Read.lower:
		line(&b, "users", "those that were read, by their fingerprints")
	}
	if !r.Band.IsZero() {
		line(&b, "history", r.Band.String())
	}
	for i := range r.Findings {
		r.Findings[i].print(&b)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func line(b *strings.Builder, name, text string) {
	fmt.Fprintf(b, "  %-11s%s\n", name, unbroken(text))
}

func (f *Finding) print(b *strings.Builder) {
	text := f.Detail + f.hint()
	if f.Step != "" {
		text = "at " + f.Step + ": " + text
	}
	if !f.fails() {
		text = "warning " + text
	}
	line(b, string(f.Kind), text)
}

// String returns the band in words.
func (b Band) String() string {
	if b.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%s to %s allowed, by %s", thousands(b.Low), counted(b.High, "user"), counted(int64(b.Points), "earlier size"))
}

func (r *Report) title() string {
	if r.Name == "" {
		return "output"
	}
	return unbroken(r.Name)
}

// oneLine returns the text of the error: what happened, where, and why.
func (r *Report) oneLine() string {
	if !r.fails() {
		if r.Passed() {
			return r.title() + ": passed"
		}
		return r.title() + ": could not be verified: the check was not finished"
	}
	text := r.headline()
	if causes := strings.Join(r.causes(), "; "); text == "" {
		text = causes
	} else if causes != "" {
		text += ": " + causes
	}
	return r.title() + ": " + unbroken(text)
}

// headline says how many users are there, and at which step they were lost.
// It is empty where the number of users is not what is wrong.
func (r *Report) headline() string {
	losses := r.losses()
	if len(losses) == 0 {
		return ""
	}
	first := losses[0]
	head, others := first.Detail, losses[1:]
	if first.Kind == Short && first.Step == reading.String() && r.Policy.Mapping == (Ratio{}) && r.shortOfExpected() {
		overall := step{stage: reading, tolerance: r.Policy.Reading}
		head = overall.shortfall("stored", &r.Expected, &r.Stored)
		others = slices.DeleteFunc(slices.Clone(others), func(f *Finding) bool { return f.Kind == Short }) // in the overall number
	}
	head += r.where(losses) + first.hint()
	texts := []string{head}
	for _, f := range others {
		texts = append(texts, f.Detail+f.hint())
	}
	return strings.Join(texts, "; ")
}

func (r *Report) shortOfExpected() bool {
	return r.Stored.usable() && r.Expected.usable() && r.Expected.moved == nil && r.Stored.upper < r.Expected.lower
}

// losses returns the failing findings about a number of users, by step.
func (r *Report) losses() (found []*Finding) {
	for _, stage := range stages {
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.fails() && f.Step == stage.name && (f.Kind == Short || f.Kind == Surplus) {
				found = append(found, f)
			}
		}
	}
	return found
}

// where names the steps at which users were lost. Without a side between, the
// step is not known.
func (r *Report) where(losses []*Finding) string {
	if !r.Read.usable() && !r.Written.usable() {
		return ""
	}
	var where []string
	for _, f := range losses {
		if f.Kind == Short && f.Step != changing.String() {
			where = append(where, stages[stageNamed(f.Step)].doing)
		}
	}
	if len(where) == 0 {
		return ""
	}
	return ", lost while " + strings.Join(where, " and ")
}

// causes returns the clauses of all other failing findings, gravest first. Where
// users are proven to be missing or too many, that nothing is stored and that
// the size is off its history are no further news.
func (r *Report) causes() (causes []string) {
	counted, unverified := len(r.losses()) > 0, "could not be verified: "
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.fails() {
			continue
		}
		switch text := f.brief(); f.Kind {
		case Short, Surplus:
		case Empty:
			if !counted {
				causes = append(causes, text)
			}
		case Dropped, Risen:
			if !counted {
				causes = append(causes, "off its history: "+text)
			}
		case Unverified:
			causes = append(causes, unverified+text)
			unverified = "" // it holds for the next one, too: they stand last
		case Stale, Leaking, Frozen, Truncated, Capped, Gap, Repeated, Different:
			causes = append(causes, text)
		default: // of a later version
			causes = append(causes, text)
		}
	}
	return causes
}

// LogValue returns the report as a log record's group.
func (r Report) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("name", r.Name),
		slog.String("verdict", string(r.Verdict())),
		slog.String("expected", r.Expected.String()),
		slog.String("stored", r.Stored.String()),
	}
	if kinds := r.kinds(); len(kinds) > 0 {
		attrs = append(attrs, slog.Any("findings", kinds))
	}
	if !r.Passed() {
		attrs = append(attrs, slog.String("error", r.oneLine()))
	}
	return slog.GroupValue(attrs...)
}

// kinds returns the kinds of all findings, gravest first, each once.
func (r *Report) kinds() (kinds []string) {
	for i := range r.Findings {
		if kind := string(r.Findings[i].Kind); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// reportJSON is the stored form.
type reportJSON struct {
	Outcome outcome `json:"verdict"`
	plainReport
}

type plainReport Report

// MarshalJSON writes counts, fingerprints and findings, never users.
func (r Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(reportJSON{Outcome: r.verdict(), plainReport: plainReport(r)})
}

// verdict returns the outcome, also after a caller added a finding that fails.
func (r *Report) verdict() outcome {
	if r.outcome == passed && r.fails() {
		return failed
	}
	return r.outcome
}

// UnmarshalJSON reads what MarshalJSON wrote, and refuses what no check reports. A
// text without a verdict has not passed.
func (r *Report) UnmarshalJSON(data []byte) error {
	var w reportJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("validate: report: %w", err)
	}
	read := Report(w.plainReport)
	read.outcome = w.Outcome
	read.outcome = read.verdict()
	if bad := read.problem(); bad != "" {
		return fmt.Errorf("validate: report: %s", bad)
	}
	*r = read
	return nil
}

// problem returns why no check can have come to the report, empty if one can.
func (r *Report) problem() string {
	if bad := r.Policy.problem(); bad != nil {
		return bad.Error()
	}
	switch {
	case r.outcome != passed && r.outcome != failed && r.outcome != unfinished:
		return fmt.Sprintf("verdict is %q, want %q or %q", r.outcome, passed, failed)
	case r.outcome == passed && r.Expected.IsZero():
		return fmt.Sprintf("verdict is %q, and nothing was expected", passed)
	case r.outcome == failed && !r.fails():
		return fmt.Sprintf("verdict is %q, and no finding fails", failed)
	case r.SameUsers && (!r.Expected.identified() || !r.Stored.identified()):
		return "same_users is true, and nobody knows which users there were"
	case r.Band.Low < 0 || r.Band.High < r.Band.Low || r.Band.Points < 0:
		return fmt.Sprintf("band is %d to %d by %d sizes, want the higher bound last and none below 0", r.Band.Low, r.Band.High, r.Band.Points)
	}
	return ""
}

// An Error is a check that did not pass. It matches, with errors.Is, the Kind
// of each finding that fails, and unwraps to the causes of what could not be
// checked.
type Error struct{ Report Report }

// Error returns one line that says what to look at.
func (e *Error) Error() string { return e.Report.oneLine() }

// Is reports whether target is the Kind of a finding that fails.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && slices.ContainsFunc(e.Report.Findings, func(f Finding) bool { return f.fails() && f.Kind == kind })
}

// Unwrap returns the causes of the findings that fail.
func (e *Error) Unwrap() []error {
	var causes []error
	for i := range e.Report.Findings {
		if f := &e.Report.Findings[i]; f.fails() && f.Cause != nil {
			causes = append(causes, f.Cause)
		}
	}
	return causes
}
