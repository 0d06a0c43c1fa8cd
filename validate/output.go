package validate

import (
	"fmt"
	"time"
)

// An Output is what a job made of what it was given.
//
// Expected must come from another path than the users the job reads: a source's
// own count, a model's output. Expected taken from what the job happened to
// read lets a limit on the reading through.
type Output struct {
	Name         string    // what was made: "site-b/cars"
	JobKind      string    // what made it, an attribute of its metrics: "copy"; few different ones
	Expected     Summary   // what the source itself holds, or the model put out; required, if only Unknown()
	SelfReported bool      // Expected is the job's own word (a model's output): it vouches for the storing, not for the size
	Read         Summary   // what the job took in; zero: not measured
	Written      Summary   // what it set out to store, ids mapped; zero: not measured
	WrittenAt    time.Time // the last acknowledged write; a Stored that is not complete up to it is Unverified
	Stored       Summary   // what is stored, read back; required
	Sizes        []Size    // committed sizes, oldest first; nil means none; those of At itself count only where there are no others
	Counter      string    // what counted Stored; sizes of the history by another counter are no measure for it
	At           time.Time // when the output was made; required with a history, not before its last size

	// Candidates are the sizes since the last one of Sizes that were off the history, and
	// those that were proven wrong, as a Baseline keeps them, oldest first: Policy.Relearn
	// and seven days of an independent Expected go by them.
	Candidates []Size
	// Apart says that no level is to be learned from the output: its segment is part of an
	// incident, or was made from one that is affected, or that was itself accepted or
	// relearned within the days of Candidates.
	Apart   bool
	Excuses []Excuse // what was planned for the segment

	Delta *Delta // nil: the output is the whole segment
}

// A Size is one committed size of a segment, or one that was off its history.
//
// By its sizes a segment is Leaking where the median of its last seven daily ones lies
// below that of four weeks ago by more than 20%, and by more than twice the largest such
// change of the 120 days before, of which three are needed; and each of the last two
// weeks lies below the one before, as a step is none. It is Frozen where its size did
// not change for so many days that chance explains it with less than 10^-6, by how often
// it did not change before: from one day to the next, 20 of which are needed. Where an
// independent Expected agrees it is not.
type Size struct {
	Users     int64     `json:"users"`
	Read      int64     `json:"read,omitempty"` // what the job had read, ids not yet mapped; 0: not measured
	At        time.Time `json:"at"`
	Counter   string    `json:"counter,omitempty"`   // what counted it; empty where there is only one way to count
	Unguarded bool      `json:"unguarded,omitempty"` // seen in the store, or brought in from before the guard: no check passed it
	Vouched   bool      `json:"vouched,omitempty"`   // an independent Expected agreed with it: Report.Vouched
	Level     Level     `json:"level,omitempty"`     // what it was to the history before it: Report.Level, or LevelNew as somebody accepted it
}

// problem returns what cannot be judged about the output, nil if all can. stored
// says whether there must be a stored side, and timed whether there must be a time.
func (out *Output) problem(stored, timed bool) *InputError {
	switch {
	case timed && out.At.IsZero():
		return badInput("Output.At", "missing", "the time of the output, as Policy.MaxSourceLag is set")
	case out.Expected.form == notMeasured:
		return badInput("Output.Expected", "not measured", "what the source itself holds, if only Unknown()")
	case stored && out.Stored.form == notMeasured:
		return badInput("Output.Stored", "not measured", "what is stored, read back")
	case !stored && out.Stored.form != notMeasured:
		return badInput("Output.Stored", out.Stored.String(), "nothing yet: Admit judges before the first write")
	}
	for i, side := range [...]*Summary{&out.Expected, &out.Read, &out.Written, &out.Stored} {
		if side.form == invalid {
			return badInput("Output."+[...]string{"Expected", "Read", "Written", "Stored"}[i], side.String(), "a side as its constructor asks for it")
		}
	}
	for i, t := range [...]time.Time{out.At, out.WrittenAt} {
		if at := t.Unix(); at < earliest || at > latest {
			return timeProblem("Output."+[...]string{"At", "WrittenAt"}[i], t)
		}
	}
	if out.Delta != nil {
		if problem := out.Delta.problem(stored); problem != nil {
			return problem
		}
	}
	return out.historyProblem()
}

func (out *Output) historyProblem() *InputError {
	if len(out.Sizes)+len(out.Candidates)+len(out.Excuses) == 0 {
		return nil
	}
	if out.At.IsZero() {
		return badInput("Output.At", "missing", "the time of the output, as a history is given")
	}
	if problem := out.sizesProblem("Output.Sizes", out.Sizes); problem != nil {
		return problem
	}
	for i := range out.Excuses {
		if problem := out.Excuses[i].problem(fmt.Sprintf("Output.Excuses[%d]", i)); problem != nil {
			return problem
		}
	}
	return out.sizesProblem("Output.Candidates", out.Candidates)
}

// Times that have no four-digit year can neither be subtracted safely nor stored as
// JSON.
var earliest, latest = time.Time{}.Unix(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()

func timeProblem(field string, t time.Time) *InputError {
	if at := t.Unix(); at >= earliest && at <= latest {
		return nil
	}
	return badInput(field, fmt.Sprintf("%d seconds from 1970", t.Unix()), "a time in the years 1 to 9999")
}

func (out *Output) sizesProblem(field string, sizes []Size) *InputError {
	if len(sizes) == 0 {
		return nil
	}
	last := time.Time{}.Unix()
	for i := range sizes {
		size := &sizes[i]
		if at := size.At.Unix(); at > last && at <= latest && size.Users >= 0 && size.Read >= 0 {
			last = at // the common case: without the checks below, in a third of the time
			continue
		}
		switch {
		case size.Users < 0 || size.Read < 0:
			return sizeProblem(field, i, "", fmt.Sprintf("%d users, %d read", size.Users, size.Read), "0 or more")
		case size.At.IsZero():
			return sizeProblem(field, i, ".At", "missing", "the time of the commit")
		case size.At.Unix() < earliest || size.At.Unix() > latest:
			return timeProblem(fmt.Sprintf("%s[%d].At", field, i), size.At)
		case i > 0 && size.At.Before(sizes[i-1].At):
			return sizeProblem(field, i, ".At", size.At.Format(time.RFC3339), "a time not before the size ahead of it, oldest first")
		}
	}
	if last := len(sizes) - 1; sizes[last].At.After(out.At) {
		return sizeProblem(field, last, ".At", sizes[last].At.Format(time.RFC3339),
			"a time not after Output.At: a baseline must not hold the size it judges")
	}
	return nil
}

// before returns the history without sizes of the very time of the output, if there
// are earlier ones: one of them may be the very size that is judged, and would
// vouch for itself.
func (out *Output) before() []Size {
	n := len(out.Sizes)
	for n > 0 && !out.Sizes[n-1].At.Before(out.At) {
		n--
	}
	if n == 0 {
		return out.Sizes
	}
	return out.Sizes[:n]
}

func sizeProblem(sizes string, i int, field, value, want string) *InputError {
	return badInput(fmt.Sprintf("%s[%d]%s", sizes, i, field), value, want)
}
