package validate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
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
	places  []place       // sides that can be compared where they are, and what that found
	ask     *Difference   // a second look at Stored for these would tell whether they are there

	admitting bool // nothing is stored yet
	hashes    bool // it was said that sides are by different hashes
	shared    bool // it was said that two sides are one measurement
}

// output fills the report: on a finished output, or on what is known before the first
// write.
func (j *judge) output() {
	defer j.finish()
	if !j.begin() {
		return
	}
	out, p := j.out, j.policy
	j.sides()
	j.step(step{stage: reading, before: &out.Expected, after: &out.Read, tolerance: p.Reading})
	before := firstUsable(&out.Read, &out.Expected)
	j.step(step{stage: mapping, before: before, after: &out.Written, ratio: p.Mapping})
	if j.admitting {
		if out.Delta != nil { // what the segment will hold is not known yet
			return
		}
		j.coming()
		if p.Mapping != (Ratio{}) {
			j.rate(&out.Written)
		}
		return
	}
	before = firstUsable(&out.Written, before)
	if p.Mapping != (Ratio{}) { // beyond it nothing can be said of how many there should be
		before = &out.Written
	}
	if !out.WrittenAt.IsZero() && !j.fresh() {
		return
	}
	j.step(step{stage: storing, before: before, after: &out.Stored, tolerance: p.Tolerance})
	if out.Delta != nil {
		j.delta(out.Delta)
		return
	}
	if out.Stored.lower == 0 {
		j.empty()
	}
	j.size(&out.Stored)
	if p.Mapping != (Ratio{}) {
		j.rate(&out.Stored)
	}
}

// begin copies what is judged into the report and refuses bad input.
func (j *judge) begin() bool {
	out := j.out
	j.report.Name, j.report.JobKind = out.Name, out.JobKind
	j.report.Expected, j.report.Read, j.report.Written, j.report.Stored = out.Expected, out.Read, out.Written, out.Stored
	if out.Delta != nil {
		j.report.Delta = new(*out.Delta)
	}
	problem := j.policy.problem()
	if problem == nil { // a bad policy stays out of the report: its NaN could not become JSON
		j.report.Policy = *j.policy
		problem = out.problem(!j.admitting, j.policy.MaxSourceLag > 0)
	}
	if problem != nil {
		j.add(Finding{Kind: Unverified, Detail: problem.Error(), Cause: problem})
	}
	j.report.Vouched = j.vouched()
	return problem == nil
}

// finish orders the findings, the gravest first and, among equals, the earlier step,
// and gives the verdict.
func (j *judge) finish() {
	j.report.outcome = passed
	if len(j.report.Findings) == 0 {
		return
	}
	j.uncap()
	j.settle()
	slices.SortStableFunc(j.report.Findings, func(a, b Finding) int {
		return cmp.Or(a.Kind.Compare(b.Kind), cmp.Compare(stageNamed(a.Step), stageNamed(b.Step)))
	})
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
// that was given for two sides, prove nothing; nor does a source's old answer, where
// the policy asks.
func (j *judge) sides() {
	sides := [...]*Summary{&j.out.Expected, &j.out.Read, &j.out.Written, &j.out.Stored}
	names := [...]string{"expected", "read", "written", "stored"}
	for i, side := range sides {
		if side.flaw != "" {
			j.add(Finding{Kind: Unverified, Step: stage(i).String(), Detail: names[i] + ": " + side.String(), Cause: side.cause})
		}
		for k, other := range sides[:i] {
			if side.digest != nil && other.digest != nil && side.digest.origin == other.digest.origin {
				j.shared = true
				j.unverified(stage(i), "%s and %s are one measurement, which proves nothing about the way between them", names[k], names[i])
			}
		}
	}
	if stored := &j.out.Stored; stored.form == unknown && stored.flaw == "" {
		j.unverified(storing, "stored is unknown: nothing was read back")
	}
	if j.policy.MaxSourceLag > 0 || j.out.Expected.lagUnknown {
		j.sourceLag()
	}
	if written := &j.out.Written; j.policy.Mapping != (Ratio{}) && !written.usable() && written.flaw == "" && !j.admitting {
		j.unverified(mapping, "ids are mapped (Policy.Mapping), and it was not measured how many were written (Output.Written)")
	}
}

// fresh reports whether the stored side shows this write, not the one before: an
// old count proves nothing, neither that users are there nor that they are missing.
func (j *judge) fresh() bool {
	fresh := j.current(&j.out.Stored, "stored")
	if d := j.out.Delta; d != nil {
		fresh = j.current(&d.Whole, "the whole segment") && fresh
		fresh = (d.Remaining.IsZero() || j.current(&d.Remaining, "of the removed, what is there")) && fresh
	}
	return fresh
}

// current reports whether a side that was read back shows this write.
func (j *judge) current(s *Summary, what string) bool {
	written, complete := j.out.WrittenAt, s.asOf
	if s.form == unknown || !complete.Before(written) {
		return true
	}
	upTo := "is complete up to " + complete.Format(time.RFC3339Nano)
	if complete.IsZero() {
		upTo = "does not say up to when it is complete (AsOf)"
	}
	j.add(Finding{
		Kind: Unverified, Step: storing.String(), Cause: ErrLagging,
		Detail: fmt.Sprintf("%s %s, and the last write was acknowledged at %s: read it back again later", what, upTo, written.Format(time.RFC3339Nano)),
	})
	return false
}

// sourceLag judges how old the source's answer is, where the policy asks.
func (j *judge) sourceLag() {
	expected, asked := &j.out.Expected, j.policy.MaxSourceLag
	switch lag := j.out.At.Sub(expected.asOf); {
	case !expected.usable():
	case asked == 0 && expected.lagUnknown:
		j.add(Finding{Kind: Unverified, Step: reading.String(), Severity: Warn, Explains: true, Detail: "expected is of a replica that does not say up to when it is complete"})
	case asked == 0:
	case expected.asOf.IsZero():
		j.unverified(reading, "expected does not say up to when it is complete (AsOf), and %s before the output are allowed", asked)
	case lag > asked:
		j.unverified(reading, "expected is complete up to %s, %s before the output (%s allowed)", expected.asOf.Format(time.RFC3339Nano), lag, asked)
	}
}

// whence returns the step after which a side was measured that is not Expected, and
// whether its number, which may be that of distinct users, must be told from that.
func (j *judge) whence(side *Summary, distinct bool) (from stage, named bool) {
	expected := &j.out.Expected
	from = reading
	switch side {
	case expected:
		return whole, false
	case &j.out.Written:
		from = mapping
	}
	if distinct {
		before, after := expected.distinct(), side.distinct()
		expected, side = &before, &after
	}
	return from, !expected.usable() || side.lower != expected.lower || side.upper != expected.upper
}

func firstUsable(first, second *Summary) *Summary {
	if first.usable() {
		return first
	}
	return second
}

// step judges one step, where both its sides are known.
func (j *judge) step(s step) {
	if !s.before.usable() || !s.after.usable() {
		return
	}
	if s.before != &j.out.Expected {
		s.from, s.named = j.whence(s.before, false)
	}
	switch {
	case !j.policy.Distinct:
		j.count(&s)
	case s.stage == storing && !s.sameUsers():
		j.countOnce(s)
	default:
		j.count(&s)
		j.repeats(s)
	}
	if s.after.fingerprint != (Fingerprint{}) || s.after.moved != nil {
		j.content(&s)
	}
	if s.after.lower < s.before.upper {
		j.capped(&s)
	}
}

// countOnce counts where the store keeps a user once: what it holds, unless the digests of both
// sides tell more than numbers: by distinct users, as far as a digest knows how many
// came. A side that was only counted is taken to have counted distinct users.
func (j *judge) countOnce(s step) {
	known := s.before.digest != nil && s.after.identified() && s.before.digest.hash == s.after.fingerprint.Hash
	if known && s.after.digest != nil || j.digestedWhole(&s) {
		return // the users will be compared one by one, each once
	}
	before, after := s.before.distinct(), *s.after
	if after.digest != nil && after.digest.stored() != after.lower { // it does not keep each once
		after = after.distinct()
	}
	if s.before.printed() && after.lower < before.lower {
		j.rowsOnly(&s)
		return
	}
	if s.from != whole {
		_, s.named = j.whence(s.before, true)
	}
	s.before, s.after, s.distinct = &before, &after, true
	if l, noise := s.possible(), s.noise(); known && !above(l.lowest, after.upper, noise) && !above(after.lower, l.highest, noise) {
		return // what is in doubt is said of the users
	}
	j.count(&s)
}

// rowsOnly judges a store that holds fewer users than an engine's fingerprint is of,
// some of which may be repeats. Where what is stored has one too, the users are judged.
func (j *judge) rowsOnly(s *step) {
	j.again = j.again || s.before.remeasure != nil
	if !s.after.identified() {
		j.unverified(s.stage, "%s %s of %s%s, some of which may be repeats: a Digest of these would tell how many distinct users there are",
			s.stage.done(), s.after.number(), s.before.amount(), taken(s.from, s.named))
	}
}

// repeats finds users that were read only because others came again, where a
// user counts once: the numbers of rows are equal then, and the store, which
// keeps of them what it was given, would pass by them.
func (j *judge) repeats(s step) {
	known := s.before.printed() || s.before.hash() != "" // the source's own repeats are no loss
	if s.stage != reading || known || s.after.digest == nil || j.miscounted(s.stage, false) {
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
		Hint:   "users that came again count once (Policy.Distinct), and the source's own number must count them so",
	})
}

// count compares the numbers of users: as integers, where both are exact.
func (j *judge) count(s *step) {
	possible, noise := s.around(s.before.lower, s.before.upper), 0.0
	certain := possible
	if !s.before.counted() || !s.after.counted() || s.before.moved != nil {
		possible, certain, noise = s.possible(), s.certain(), s.noise()
	} else if possible.lowest <= s.after.lower && s.after.lower <= possible.highest {
		return
	}
	switch {
	case above(possible.lowest, s.after.upper, noise):
		f := j.short(s)
		f.excuse(s.byChance())
		j.add(f)
	case above(s.after.lower, possible.highest, noise):
		f := s.surplus()
		f.excuse(s.byChance())
		j.add(f)
	case !certain.allow(s.after, noise) && !j.digestedWhole(s):
		j.add(Finding{Kind: Unverified, Step: s.stage.String(), Severity: j.doubt(s.before, s.after), Explains: j.doubt(s.before, s.after) == Warn, Detail: s.undecided(noise)})
	}
}

// excuse makes a finding a warning, if chance explains it.
func (f *Finding) excuse(byChance bool) {
	if byChance {
		f.Severity, f.Explains, f.Hint = Warn, true, "as chance may have it with so few"
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
	return s.before == &j.out.Expected && j.policy.Mapping == (Ratio{}) && stored.usable() && stored.digest != nil && stored.hash() == s.before.hash()
}

// short returns the finding for too few users. A whole multiple of a limit has a
// likely cause; capped names the limit itself.
func (j *judge) short(s *step) Finding {
	f := s.short()
	if !s.after.counted() || j.policy.limits().has(s.after.lower) {
		return f
	}
	if limit, times, ok := j.policy.limits().multiple(s.after.lower, s.before.lower); ok {
		cause := "each page or shard may have been cut there"
		if s.before.lower-s.after.lower < limit.Users {
			cause = "the last page, which was not full, may be lost"
		}
		f.Hint = fmt.Sprintf("exactly %s × %s, a known limit (%s): %s", thousands(times), thousands(limit.Users), limit.Origin, cause)
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
	if !s.after.counted() || s.before.lower == s.after.lower {
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
		if at == reading && (size.Read > 0 || j.policy.Mapping != (Ratio{})) {
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
	if !stored.usable() {
		return
	}
	before := j.largest()
	switch {
	case stored.upper > 0:
		if before != nil && !j.unsure(storing) {
			j.add(Finding{
				Kind: Unverified, Step: storing.String(), Severity: j.doubt(before, stored),
				Detail: "stored " + stored.amount() + ": nobody knows if anything is there",
			})
		}
	case before != nil && before.lower > 0:
		j.add(Finding{Kind: Empty, Step: storing.String(), Detail: "nothing is stored"})
		if !j.found(Short) {
			s := step{stage: storing, before: before, after: stored}
			s.from, s.named = j.whence(before, false)
			j.add(s.short())
		}
	case before != nil && before.moved == nil && j.policy.AllowEmpty:
		from, _ := j.whence(before, false)
		j.add(Finding{
			Kind: Unverified, Step: storing.String(), Severity: j.doubt(before, stored),
			Detail: fmt.Sprintf("nothing is stored where %s %s: nobody knows if there were any", before.were(), given(from)),
		})
	default:
		j.nothing(storing, "nothing is stored")
	}
}

// nothing fails an output that is empty like all before it, unless the policy
// allows that and something vouches for it.
func (j *judge) nothing(at stage, what string) {
	switch {
	case j.excusesEmpty():
		j.add(Finding{Kind: Empty, Step: at.String(), Severity: Warn, Explains: true, Detail: what + ", and that is excused"})
	case !j.policy.AllowEmpty:
		j.add(Finding{Kind: Empty, Step: at.String(), Detail: what + ", and the policy wants at least one user"})
	case j.out.Expected.IsUnknown() && !j.lastWasEmpty():
		j.add(Finding{Kind: Empty, Step: at.String(), Detail: what + ", and nothing vouches for that"})
	}
}

// largest returns the first side that held users; where none did for certain, the
// first that may have, and else nil.
func (j *judge) largest() (may *Summary) {
	for _, s := range []*Summary{&j.out.Expected, &j.out.Read, &j.out.Written} {
		switch {
		case s.lower > 0:
			return s
		case may == nil && s.upper > 0:
			may = s
		}
	}
	return may
}

func (j *judge) lastWasEmpty() bool {
	n := len(j.out.Sizes)
	return n > 0 && j.out.Sizes[n-1].Users == 0
}

// A step is the way from one side of a job to the next.
type step struct {
	stage         stage
	from          stage // what the job did to the side before: read, mapped, or nothing yet
	named         bool  // that side is not as large as the expected one
	before, after *Summary
	tolerance     Tolerance
	ratio         Ratio // at mapping: the band of the counts; zero: exactly one
	distinct      bool  // the sides are those of distinct users
}

// limits are the fewest and the most users allowed after a step.
type limits struct{ lowest, highest int64 }

// possible returns the limits that the step could have at most: what is outside
// them is wrong, whatever the side before held of all that it may have held. Each
// end has its own margin.
func (s *step) possible() limits {
	m := s.before.moved
	switch {
	case m == nil || !m.told:
		return s.around(s.before.lower, s.before.upper)
	case s.banded():
		return s.around(m.common, m.all)
	}
	short, surplus := s.tolerance.Short.allowed(s.before.lower), s.tolerance.Surplus.allowed(s.before.lower)
	return limits{m.common - short, plus(m.all, surplus)}
}

// certain returns the limits that the step has at least: what is within them is
// right, whatever the side before held. They are the possible ones where that side
// is one number, and may cross where it is not.
func (s *step) certain() limits {
	if m := s.before.moved; m != nil {
		return s.around(m.all, m.common)
	}
	return s.around(s.before.upper, s.before.lower)
}

// around returns the lower limit for one number of users before the step, and the
// higher for another. The limits grow with the number.
func (s *step) around(low, high int64) limits {
	if s.stage == mapping && s.ratio != (Ratio{}) {
		fewest, _ := s.ratio.bounds(low)
		_, most := s.ratio.bounds(high)
		return limits{fewest, most}
	}
	return limits{low - s.tolerance.Short.allowed(low), high + min(s.tolerance.Surplus.allowed(high), math.MaxInt64-high)}
}

// plus adds numbers of users, up to the largest there is.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// noise returns three standard errors of the difference of the two sides, in users
// after the step; 0 where both were counted.
func (s *step) noise() float64 {
	before := float64(s.before.upper) * s.before.relErr
	if s.banded() {
		before *= s.ratio.Max
	}
	return 3 * math.Hypot(before, float64(s.after.upper)*s.after.relErr)
}

// above reports that a is above b by more than the noise.
func above(a, b int64, noise float64) bool { return difference(a, b) > noise }

// allow reports that the side lies within the limits even with the noise on top.
func (l limits) allow(side *Summary, noise float64) bool {
	return difference(side.lower, l.lowest) >= noise && difference(l.highest, side.upper) >= noise
}

// difference returns a - b, exact as long as float64 holds it, and always with the
// right sign.
func difference(a, b int64) float64 {
	if (a < 0) != (b < 0) { // a margin above the expected users: the integers may overflow
		return float64(a) - float64(b)
	}
	return float64(a - b)
}

// banded reports that some ids have no counterpart, or several, so that there is a
// ratio to be within and not a number to be off.
func (s *step) banded() bool { return s.stage == mapping && s.ratio != (Ratio{}) }

// fewMapped is up to how many users read chance may explain a ratio outside its
// band. It is below one in thousand for a finding that fails.
const (
	fewMapped = 1000
	rare      = 1e-3
)

// byChance reports whether chance explains a number of mapped ids outside the
// ratio: each of a few users has a counterpart or not, as at the nearer bound
// (binomial); above 1, has some number of them (Poisson). That none of 5 or more is
// mapped, where half should be, is a fault, whatever its chance.
func (s *step) byChance() bool {
	if !s.banded() || !s.before.counted() || !s.after.counted() || s.before.lower > fewMapped {
		return false
	}
	n, mapped := s.before.lower, s.after.lower
	if mapped == 0 && n >= 5 && s.ratio.Min >= 0.5 {
		return false
	}
	if mapped < s.possible().lowest {
		return atMost(mapped, n, s.ratio.Min) >= rare
	}
	return 1-atMost(mapped-1, n, s.ratio.Max) >= rare
}

// atMost returns the chance that of n users, each with a chance of p, no more than
// most come; above 1, p is the mean number of each, and the chance Poisson's.
func atMost(most, n int64, p float64) (sum float64) {
	lnFactorial := func(k int64) float64 { l, _ := math.Lgamma(float64(k) + 1); return l }
	times := func(k int64, ln float64) float64 { // 0 × ln 0 is 0
		if k == 0 {
			return 0
		}
		return float64(k) * ln
	}
	for k := range most + 1 {
		switch {
		case p > 1:
			mean := float64(n) * p
			sum += math.Exp(times(k, math.Log(mean)) - mean - lnFactorial(k))
		case k <= n:
			sum += math.Exp(lnFactorial(n) - lnFactorial(k) - lnFactorial(n-k) + times(k, math.Log(p)) + times(n-k, math.Log1p(-p)))
		}
	}
	return sum
}
