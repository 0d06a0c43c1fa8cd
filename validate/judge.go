package validate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// ErrLagging is the cause of an Unverified finding where the stored side is not
// complete up to the last write: read it back again later.
var ErrLagging = errors.New("the stored side is not complete up to the last write")

// A judge turns the sides of one output into findings. It does no I/O and reads
// no clock: the same input gives the same report for ever.
type judge struct {
	policy *Policy
	out    *Output
	report *Report
	brief  bool // the caller asks only whether there are findings

	present []sketch.User // of those whom a second look asked Stored for, the ones that are there
	again   bool          // a second look would say more about users that differ
	ask     *Difference   // a second look at Stored for these would tell whether they are there

	admitting bool // nothing is stored yet
	hashes    bool // it was said that sides are by different hashes
}

// judgeStored fills the report on a finished output, and reports which second look
// would say more, if one would.
func judgeStored(p *Policy, out *Output, present []sketch.User, r *Report) (again bool, ask Difference) {
	j := judge{policy: p, out: out, report: r, present: present}
	j.stored()
	j.finish()
	if j.ask != nil {
		ask = *j.ask
	}
	return j.again, ask
}

func (j *judge) stored() {
	if !j.begin(true) {
		return
	}
	j.sides()
	j.current()
	j.reading()
	j.mapping()
	if j.fresh() {
		j.storing()
		j.empty()
		j.size(&j.out.Stored)
		j.rate(&j.out.Stored)
	}
}

// judgeInput fills the report on what is known before the first write.
func judgeInput(p *Policy, out *Output, r *Report) {
	j := judge{policy: p, out: out, report: r, admitting: true}
	defer j.finish()
	if !j.begin(false) {
		return
	}
	j.sides()
	j.current()
	j.reading()
	j.mapping()
	j.coming()
	j.rate(&j.out.Written)
}

// begin copies what is judged into the report and refuses bad input.
func (j *judge) begin(stored bool) bool {
	out := j.out
	j.report.Name, j.report.JobKind = out.Name, out.JobKind
	j.report.Expected, j.report.Read, j.report.Written, j.report.Stored = out.Expected, out.Read, out.Written, out.Stored
	problem := j.policy.problem()
	if problem == nil { // a bad policy stays out of the report: its NaN could not become JSON
		j.report.Policy = *j.policy
		problem = out.problem(stored, j.policy.MaxSourceLag > 0)
	}
	if problem != nil {
		j.add(Finding{Kind: Unverified, Detail: problem.Error(), Cause: problem})
	}
	return problem == nil
}

// finish orders the findings and gives the verdict.
func (j *judge) finish() {
	sortFindings(j.report.Findings)
	j.report.outcome = passed
	if j.report.fails() {
		j.report.outcome = failed
	}
}

// add keeps a finding; one without a severity fails.
func (j *judge) add(f Finding) {
	if f.Severity == "" {
		f.Severity = Fail
	}
	j.report.Findings = append(j.report.Findings, f)
}

func (j *judge) unverified(at stage, format string, args ...any) {
	j.add(Finding{Kind: Unverified, Step: at.String(), Detail: fmt.Sprintf(format, args...)})
}

func (j *judge) found(kind Kind) bool {
	return slices.ContainsFunc(j.report.Findings, func(f Finding) bool { return f.Kind == kind && f.fails() })
}

// sides looks at each side alone: a digest left incomplete, and one measurement
// that was given for two sides, prove nothing.
func (j *judge) sides() {
	sides := [...]*Summary{&j.out.Expected, &j.out.Read, &j.out.Written, &j.out.Stored}
	names := [...]string{"expected", "read", "written", "stored"}
	for i, side := range sides {
		if side.flaw != "" {
			j.add(Finding{Kind: Unverified, Step: stage(i).String(), Detail: names[i] + ": " + side.String(), Cause: side.cause})
		}
		for k, other := range sides[:i] {
			if sharesMeasurement(side, other) {
				j.unverified(stage(i), "%s and %s are one measurement, which proves nothing about the way between them", names[k], names[i])
			}
		}
	}
	if stored := &j.out.Stored; stored.IsUnknown() && stored.flaw == "" {
		j.unverified(storing, "stored is unknown: nothing was read back")
	}
}

// fresh reports whether the stored side shows this write, not the one before: an
// old count proves nothing, neither that users are there nor that they are missing.
func (j *judge) fresh() bool {
	written, complete := j.out.WrittenAt, j.out.Stored.asOf
	if written.IsZero() || j.out.Stored.IsUnknown() || !complete.Before(written) {
		return true
	}
	upTo := "does not say up to when it is complete (AsOf)"
	if !complete.IsZero() {
		upTo = "is complete up to " + complete.Format(time.RFC3339Nano)
	}
	j.add(Finding{
		Kind: Unverified, Step: storing.String(), Cause: ErrLagging,
		Detail: fmt.Sprintf("stored %s, the last write was acknowledged at %s", upTo, written.Format(time.RFC3339Nano)),
	})
	return false
}

// current judges how old the source's answer is, where the policy asks.
func (j *judge) current() {
	expected, asked := &j.out.Expected, j.policy.MaxSourceLag
	switch lag := j.out.At.Sub(expected.asOf); {
	case !expected.usable():
	case asked == 0 && expected.lagUnknown:
		j.add(Finding{Kind: Unverified, Step: reading.String(), Severity: Warn, Detail: "expected is of a replica that does not say up to when it is complete"})
	case asked == 0:
	case expected.asOf.IsZero():
		j.unverified(reading, "expected does not say up to when it is complete (AsOf), and %s before the output are allowed", asked)
	case lag > asked:
		j.unverified(reading, "expected is complete up to %s, %s before the output (%s allowed)", expected.asOf.Format(time.RFC3339Nano), lag, asked)
	}
}

// reading judges what the job took in against what the source holds.
func (j *judge) reading() {
	j.judge(step{
		stage:  reading,
		before: &j.out.Expected, after: &j.out.Read,
		tolerance: j.policy.Reading,
	})
}

// mapping judges what the job set out to store. Where it did not measure what
// it read, the source's own count is what was mapped.
func (j *judge) mapping() {
	if written := &j.out.Written; !j.policy.Mapping.isZero() && !written.usable() && written.flaw == "" && !j.admitting {
		j.unverified(mapping, "ids are mapped (Policy.Mapping), and it was not measured how many were written (Output.Written)")
	}
	before := firstUsable(&j.out.Read, &j.out.Expected)
	j.judge(step{
		stage: mapping, from: j.done(before),
		before: before, after: &j.out.Written,
		ratio: j.policy.Mapping,
	})
}

// storing judges what is stored against the nearest side before it. Beyond a
// Mapping nothing can be said of how many there should be.
func (j *judge) storing() {
	before := &j.out.Written
	if j.policy.Mapping.isZero() {
		before = firstUsable(&j.out.Written, &j.out.Read, &j.out.Expected)
	}
	j.judge(step{
		stage: storing, from: j.done(before),
		before: before, after: &j.out.Stored,
		tolerance: j.policy.Tolerance,
	})
}

// done returns the step after which a side was measured.
func (j *judge) done(side *Summary) stage {
	switch side {
	case &j.out.Read:
		return reading
	case &j.out.Written:
		return mapping
	}
	return whole
}

func firstUsable(sides ...*Summary) *Summary {
	for _, s := range sides {
		if s.usable() {
			return s
		}
	}
	return sides[len(sides)-1]
}

// judge judges one step, where both its sides are known.
func (j *judge) judge(s step) {
	if !s.before.usable() || !s.after.usable() {
		return
	}
	if j.policy.Distinct && s.stage == storing && !s.sameUsers() {
		j.storedOnce(s)
	} else {
		j.count(&s)
		j.repeats(s)
	}
	j.content(&s)
	j.capped(&s)
}

// storedOnce counts for a store that keeps a user once, unless the digests of both
// sides tell more than numbers: by distinct users, as far as a digest knows how many
// came. A side that was only counted is taken to have counted distinct users.
func (j *judge) storedOnce(s step) {
	if j.digestedWhole(&s) {
		return // the users will be compared one by one, each once
	}
	before, after := s.before.distinct(), *s.after
	if after.digest != nil {
		if s.before.digest != nil && s.before.digest.hash == after.digest.hash {
			return
		}
		if n := after.digest.stored(); n != after.lower { // it does not keep each once
			after = after.distinct()
		}
	}
	s.before, s.after, s.distinct = &before, &after, true
	j.count(&s)
}

// repeats finds users that were read only because others came again, where a
// user counts once: the numbers of rows are equal then, and the store, which
// keeps of them what it was given, would pass by them.
func (j *judge) repeats(s step) {
	if !j.policy.Distinct || s.stage != reading || s.before.digest != nil || s.after.digest == nil || j.miscounted(s.stage, false) {
		return
	}
	most, exact := s.after.digest.distinctAtMost()
	if !above(s.possible().lowest, most, s.noise()) {
		return
	}
	read := "at most "
	if exact {
		read = ""
	}
	j.add(Finding{
		Kind: Short, Step: s.stage.String(),
		Detail: fmt.Sprintf("read %s%s of %s (%s allowed)", read, counted(most, "distinct user"), s.before.amount(), thousands(s.tolerance.Short.allowed(s.before.lower))),
		Hint:   "each user counted once, as Policy.Distinct says, and so must the source",
	})
}

// count compares the numbers of users.
func (j *judge) count(s *step) {
	possible, noise := s.possible(), s.noise()
	switch {
	case above(possible.lowest, s.after.upper, noise):
		f := j.short(s)
		f.excuse(s.byChance())
		j.add(f)
	case above(s.after.lower, possible.highest, noise):
		f := s.surplus()
		f.excuse(s.byChance())
		j.add(f)
	case !s.certain().allow(s.after, noise) && !j.digestedWhole(s):
		j.add(Finding{Kind: Unverified, Step: s.stage.String(), Severity: j.doubt(s.before, s.after), Detail: s.undecided(noise)})
	}
}

// excuse makes a finding a warning, if chance explains it.
func (f *Finding) excuse(byChance bool) {
	if byChance {
		f.Severity, f.Hint = Warn, "as chance may have it with so few"
	}
}

// doubt returns what it leads to that nobody knows whether the numbers of two sides
// agree: a warning where bounds are all that is known of one of them, nothing else
// is in doubt, and the policy lets that pass.
func (j *judge) doubt(before, after *Summary) Severity {
	known := before.moved == nil && after.moved == nil && before.relErr == 0 && after.relErr == 0
	if j.policy.AllowPossible && known && (before.bounded || after.bounded) {
		return Warn
	}
	return Fail
}

// digestedWhole reports whether the step begins at a source that moved, and its
// users are compared one by one, at this step or by what is stored in the end:
// that decides more than their number.
func (j *judge) digestedWhole(s *step) bool {
	if s.before.moved == nil || s.before.hash() == "" {
		return false
	}
	if before, _ := j.known(s.stage, s.after.hash()); before == s.before && s.after.digest != nil {
		return true
	}
	stored := &j.out.Stored
	return s.before == &j.out.Expected && j.policy.Mapping.isZero() && stored.usable() && stored.digest != nil && stored.hash() == s.before.hash()
}

// short returns the finding for too few users. A whole multiple of a limit has a
// likely cause; capped names the limit itself.
func (j *judge) short(s *step) Finding {
	f := s.short()
	if !s.after.counted() || j.policy.limits().has(s.after.lower) {
		return f
	}
	if limit, times, ok := j.policy.limits().multiple(s.after.lower, s.before.lower); ok {
		f.Hint = fmt.Sprintf("exactly %s × %s, a known limit (%s): each page or shard may have lost its rest",
			thousands(times), thousands(limit.Users), limit.Origin)
	}
	return f
}

// capLevel is the size from which stopping exactly on a known limit is no
// chance: a read there fails whatever the tolerance. Small known limits are round
// numbers that small segments meet by chance, and never more than a warning.
const capLevel = 1000

// capped names the limit at which a side stops short of the one before it. Where
// that one moved while it was counted, its higher end is what to fall short of; but
// a side exactly at its lower end holds what was there, and is not cut.
func (j *judge) capped(s *step) {
	if !s.after.counted() || s.before.upper <= s.after.lower || s.before.lower == s.after.lower {
		return
	}
	caps := j.policy.limits().at(s.after.lower)
	if len(caps) == 0 || j.hadBefore(s.stage, s.after.lower) {
		return
	}
	f := capFinding(s.stage, caps, Warn)
	short := slices.ContainsFunc(j.report.Findings, func(f Finding) bool {
		return f.Kind == Short && f.Step == s.stage.String() && f.fails()
	})
	surely := above(s.before.lower, s.after.lower, s.noise())
	switch {
	case short && (s.after.lower >= capLevel || j.policy.limits().owns(s.after.lower)),
		s.stage == reading && s.after.lower >= capLevel && surely:
		f.Severity = Fail
	}
	j.add(f)
}

// hadBefore reports whether the segment had that very size before, by a check that
// passed it, and not as a few cut sizes among larger ones: then it is the segment's
// own, and no limit's.
func (j *judge) hadBefore(at stage, users int64) bool {
	on, over := 0, 0
	for _, size := range j.out.before() {
		n := size.Users
		if at == reading && (size.Read > 0 || !j.policy.Mapping.isZero()) {
			n = size.Read
		}
		switch {
		case n == users && !size.Unguarded && size.Counter == j.out.Counter:
			on++
		case clearlyAbove(n, users):
			over++
		}
	}
	return on > 3*over
}

func capFinding(at stage, caps []Cap, severity Severity) Finding {
	return Finding{
		Kind: Capped, Step: at.String(), Severity: severity, Caps: caps,
		Detail: cappedAt(caps[0].Users, origins(caps)),
	}
}

// empty fails an output without users, whatever the tolerance, unless the
// policy allows it and nothing was expected. The history has a say in size.
func (j *judge) empty() {
	stored := &j.out.Stored
	if !stored.usable() || stored.lower > 0 {
		return
	}
	before := j.largest()
	switch {
	case stored.upper > 0:
		if before != nil {
			j.add(Finding{
				Kind: Unverified, Step: storing.String(), Severity: j.doubt(before, stored),
				Detail: "stored " + stored.amount() + ": nobody knows if anything is there",
			})
		}
	case before != nil:
		j.add(Finding{Kind: Empty, Step: storing.String(), Detail: "nothing is stored"})
		if !j.found(Short) {
			s := step{stage: storing, before: before, after: stored}
			j.add(s.short())
		}
	default:
		j.nothing(storing, "nothing is stored")
	}
}

// nothing fails an output that is empty like all before it, unless the policy
// allows that and something vouches for it.
func (j *judge) nothing(at stage, what string) {
	switch {
	case !j.policy.AllowEmpty:
		j.add(Finding{Kind: Empty, Step: at.String(), Detail: what + ", and the policy wants at least one user"})
	case j.out.Expected.IsUnknown() && !j.lastWasEmpty():
		j.add(Finding{Kind: Empty, Step: at.String(), Detail: what + ", and nothing vouches for that"})
	}
}

// largest returns the first side that held users, nil if none did.
func (j *judge) largest() *Summary {
	for _, s := range []*Summary{&j.out.Expected, &j.out.Read, &j.out.Written} {
		if s.upper > 0 {
			return s
		}
	}
	return nil
}

func (j *judge) lastWasEmpty() bool {
	n := len(j.out.Sizes)
	return n > 0 && j.out.Sizes[n-1].Users == 0
}
