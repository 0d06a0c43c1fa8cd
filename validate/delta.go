package validate

import (
	"fmt"
	"math"
)

// A Delta is what an output changes of a segment that is there: it adds users, takes
// others away, or both. The sides of its Output are about those that are added:
// Expected, as the source has it, to Stored, those of them who are there afterwards.
//
// The whole segment afterwards lies between what it held before less those who were
// removed, and what it held before plus those who were added, as some of the one may
// not have been there, and some of the other may have been. Drift is how far it may be
// off on either side. It alone is judged by the history, and is the segment's size. No
// source vouches for a fall.
//
// Where nobody knows what was there before, the whole passes by its history, with a
// warning that says so, or where it is just those who were added, and else is
// Unverified.
type Delta struct {
	Last      Summary   `json:"last"`               // what the segment held before; Unknown() where nobody knows
	Removed   Summary   `json:"removed"`            // those to be removed; Count(0) where there are none
	Remaining Summary   `json:"remaining,omitzero"` // of those, who is still there, read back: none may be; required, unless none were to be removed
	Whole     Summary   `json:"whole,omitzero"`     // the segment afterwards, read back; required
	Drift     Tolerance `json:"drift,omitzero"`     // how far Whole may be off, besides
}

// problem returns what cannot be judged about the change, nil if all can. stored says
// whether it was made.
func (d *Delta) problem(stored bool) *InputError {
	none := d.Removed.counted() && d.Removed.lower == 0
	switch {
	case d.Last.form == notMeasured:
		return badInput("Output.Delta.Last", "not measured", "what the segment held before, if only Unknown()")
	case d.Removed.form == notMeasured:
		return badInput("Output.Delta.Removed", "not measured", "the users to be removed, Count(0) where there are none")
	case stored && d.Whole.form == notMeasured:
		return badInput("Output.Delta.Whole", "not measured", "the segment afterwards, read back")
	case stored && d.Remaining.form == notMeasured && !none:
		return badInput("Output.Delta.Remaining", "not measured", "those of the removed who are still there, read back")
	case !stored && (d.Whole.form != notMeasured || d.Remaining.form != notMeasured):
		return badInput("Output.Delta.Whole", d.Whole.String(), "nothing yet: Admit judges before the first write")
	}
	return d.sideProblem()
}

// sideProblem returns what is wrong with a side, or with Drift.
func (d *Delta) sideProblem() *InputError {
	for i, side := range [...]*Summary{&d.Last, &d.Removed, &d.Remaining, &d.Whole} {
		if side.form == invalid {
			return badInput("Output.Delta."+[...]string{"Last", "Removed", "Remaining", "Whole"}[i], side.String(), "a side as its constructor asks for it")
		}
	}
	for i, m := range [...]*Margin{&d.Drift.Short, &d.Drift.Surplus} {
		if m.Users < 0 || !(m.Share >= 0 && m.Share <= 1) { // NaN is not
			return badInput("Output.Delta.Drift."+[...]string{"Short", "Surplus"}[i], fmt.Sprintf("%d users, a share of %v", m.Users, m.Share), "0 or more users, a share of 0 to 1")
		}
	}
	return nil
}

// delta judges a change, after those who were added.
func (j *judge) delta(d *Delta) {
	j.remaining(d)
	if !j.measured(changing, "the whole segment", &d.Whole) {
		return
	}
	if d.Whole.upper == 0 && (!j.policy.AllowEmpty || !d.Last.usable() || d.Last.upper > 0) {
		severity := Fail
		if j.excusesEmpty() {
			severity = Warn
		}
		j.add(Finding{Kind: Empty, Step: changing.String(), Severity: severity, Explains: severity == Warn, Detail: "the segment holds nobody afterwards"})
	}
	j.size(&d.Whole)
	switch {
	case d.Last.usable():
		j.changed(d)
	case d.Whole.counted() && j.out.Stored.counted() && d.Whole.lower == j.out.Stored.lower: // all that there is
	case !j.report.Band.IsZero():
		j.add(Finding{
			Kind: Unverified, Step: changing.String(), Severity: Warn, Explains: true,
			Detail: "what the segment held before is not known: the whole is judged by its history alone",
		})
	default:
		severity := j.doubt(&d.Whole, &d.Whole)
		j.add(Finding{
			Kind: Unverified, Step: changing.String(), Severity: severity, Explains: severity == Warn,
			Detail: d.Whole.amount() + " afterwards, and nobody knows what the segment held before, nor is there a history: accept a size of it, or import some",
		})
	}
}

// measured reports whether a side has a number, and finds it unverified where not.
func (j *judge) measured(at stage, what string, s *Summary) bool {
	if !s.usable() {
		j.add(Finding{Kind: Unverified, Step: at.String(), Detail: what + ": " + s.String(), Cause: s.cause})
	}
	return s.usable()
}

// remaining judges who of those who were removed is still there.
func (j *judge) remaining(d *Delta) {
	left := &d.Remaining
	switch {
	case !j.measured(removing, "the removed", &d.Removed):
	case left.IsZero(): // as nobody was to be removed
	case !j.measured(removing, "of the removed, still there", left):
	case left.lower > 0:
		j.add(Finding{Kind: Surplus, Step: removing.String(), Detail: fmt.Sprintf("of %s to be removed %s still there (0 allowed)", d.Removed.amount(), left.number())})
	case left.upper > 0:
		severity := j.doubt(left, left)
		j.add(Finding{
			Kind: Unverified, Step: removing.String(), Severity: severity, Explains: severity == Warn,
			Detail: fmt.Sprintf("of %s to be removed %s may still be there", d.Removed.amount(), left.number()),
		})
	}
}

// added returns the side that says how many users were added.
func (j *judge) added() *Summary { return firstUsable(&j.out.Stored, j.comes()) }

// changed judges the whole by what was there before.
func (j *judge) changed(d *Delta) {
	added, removed, last, after := j.added(), &d.Removed, &d.Last, &d.Whole
	if !added.usable() || !removed.usable() {
		return // which is found already
	}
	var there Summary // of those who were added
	if j.out.Stored.usable() {
		there = j.out.Stored
	}
	possible := d.around(max(there.lower, last.lower-removed.upper), plus(last.upper, added.upper))
	certain := d.around(max(there.upper, last.upper-removed.lower), plus(last.lower, added.lower))
	noise := 3 * math.Sqrt(deviation(added)+deviation(removed)+deviation(last)+deviation(after))
	about := fmt.Sprintf("%s afterwards, where %s before, less %s and plus %s, are %s to %s",
		after.amount(), last.number(), removed.number(), added.number(), thousands(possible.lowest), thousands(possible.highest))
	switch {
	case above(possible.lowest, after.upper, noise):
		j.add(Finding{Kind: Short, Step: changing.String(), Detail: about})
	case above(after.lower, possible.highest, noise):
		j.add(Finding{Kind: Surplus, Step: changing.String(), Detail: about})
	case !certain.allow(after, noise):
		severity := Fail
		for _, s := range []*Summary{added, removed, last, after} {
			if j.doubt(s, s) == Warn {
				severity = Warn
			}
		}
		if noise > 0 || added.moved != nil {
			severity = Fail
		}
		j.add(Finding{Kind: Unverified, Step: changing.String(), Severity: severity, Explains: severity == Warn, Detail: about + ": it may be so or not"})
	}
}

// around returns the limits for the whole, with what it may be off.
func (d *Delta) around(lowest, highest int64) limits {
	lowest = max(0, lowest)
	return limits{max(0, lowest-d.Drift.Short.allowed(lowest)), plus(highest, d.Drift.Surplus.allowed(max(0, highest)))}
}

// deviation returns the square of a side's standard error, in users.
func deviation(s *Summary) float64 {
	e := s.relErr * float64(s.upper)
	return e * e
}

// whole returns the side that is what the segment holds afterwards.
func (out *Output) whole() *Summary {
	if out.Delta != nil {
		return &out.Delta.Whole
	}
	return &out.Stored
}
