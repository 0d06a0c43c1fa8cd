package segmenttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A Fault is something that goes wrong around a job, which the job must notice.
// The zero Fault is none, and TestJob refuses it.
type Fault struct {
	name string
	why  string // what is broken, and what a correct job does about it
	set  []func(*flaws)
	want []outcome // any of them; none: the job passes

	// older is how an attempt ends that a newer one overtook. Where there is none,
	// none does.
	older []outcome

	nights int // that it stands; 0: it is there once, on the first run of all
}

// String returns the name of the fault, as the package exports it.
func (f Fault) String() string { return f.name }

// With combines the faults into one. A correct job then fails as it does for any of
// them that it must fail for.
func (f Fault) With(others ...Fault) Fault {
	for _, other := range others {
		f = Fault{
			name:  f.name + "+" + other.name,
			why:   f.why + " " + other.why,
			set:   slices.Concat(f.set, other.set),
			want:  slices.Concat(f.want, other.want),
			older: slices.Concat(f.older, other.older),

			nights: max(f.nights, other.nights),
		}
	}
	return f
}

// Standing returns the fault as one that stands for so many nights. The job runs on ten
// nights before, healthy, so that it has a history, then on each night with the fault,
// and must fail on all of them, and at last without it: the repair must pass. It shows
// what a rule lets through that learns by itself (Policy.Relearn), or widens with time:
//
//	segmenttest.TestJob(t, job, segmenttest.ModelFindsHalf.Standing(21))
func (f Fault) Standing(nights int) Fault {
	f.name, f.nights = fmt.Sprintf("%s.Standing(%d)", f.name, nights), nights
	f.why += fmt.Sprintf(" So it is on %d nights, and then repaired.", nights)
	return f
}

func (f Fault) inject(broken *flaws) {
	for _, set := range f.set {
		set(broken)
	}
}

// An outcome is how a correct job may end.
type outcome struct {
	says   string
	is     func(error) bool
	passed bool // the right users are live then; otherwise those from before
}

var (
	passes     = outcome{is: func(err error) bool { return err == nil }, passed: true}
	superseded = matching("superseded", segment.ErrSuperseded)
	unknown    = outcome{says: "a *segment.UnknownError", is: isUnknown, passed: true}
)

func isUnknown(err error) bool {
	_, ok := errors.AsType[*segment.UnknownError](err)
	return ok
}

// unwrapped tells the author of a job whose error only reads like an outcome what
// it lacks.
func unwrapped(want []outcome, err error) string {
	if slices.ContainsFunc(want, func(o outcome) bool { return strings.Contains(err.Error(), o.says) }) {
		return "errors.Is does not find it, as with an error that is wrapped without %w: "
	}
	return ""
}

func matching(says string, target error) outcome {
	return outcome{says: says, is: func(err error) bool { return errors.Is(err, target) }}
}

// found returns the outcomes of a check that found one of kinds.
func found(kinds ...validate.Kind) (want []outcome) {
	for _, kind := range kinds {
		want = append(want, matching(string(kind), kind))
	}
	return want
}

func list(want []outcome) string {
	texts := make([]string, len(want))
	for i, o := range want {
		texts[i] = o.says
	}
	return strings.Join(texts, " or ")
}
