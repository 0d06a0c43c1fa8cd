package validate

import (
	"fmt"
	"math"
)

// A stage is a step of a job. It is a number, as a string beside the pointers
// of a step would move them to the heap in every check.
type stage uint8

const (
	whole   stage = iota // no single step
	reading              // Read against Expected
	mapping              // Written over Read
	storing              // Stored against the nearest side before it
	sizing               // the size against its history
)

// stages holds the words for each step: its name in findings, what the job did
// then, and what it has done. They are in the order of the job.
var stages = [...]struct{ name, doing, done string }{
	whole:   {"", "", ""},
	reading: {"read", "reading", "read"},
	mapping: {"map", "mapping", "mapped"},
	storing: {"store", "storing", "stored"},
	sizing:  {"size", "", ""},
}

func (s stage) String() string { return stages[s].name }

func (s stage) done() string { return stages[s].done }

// stageNamed returns the place of a finding's step, -1 for a name that this version
// does not know.
func stageNamed(name string) int {
	for s := range stages {
		if stages[s].name == name {
			return s
		}
	}
	return -1
}

// A step is the way from one side of a job to the next.
type step struct {
	stage         stage
	from          stage // what the job did to the side before: read, mapped, or nothing yet
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
	if m := s.before.moved; m != nil && m.digested() {
		return s.around(m.common, m.all)
	}
	return s.around(s.before.lower, s.before.upper)
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
	if s.stage == mapping {
		fewest, _ := s.ratio.bounds(low)
		_, most := s.ratio.bounds(high)
		return limits{fewest, most}
	}
	return limits{low - s.tolerance.Short.allowed(low), plus(high, s.tolerance.Surplus.allowed(high))}
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

func (l limits) String() string {
	if l.lowest < l.highest {
		return thousands(max(l.lowest, 0)) + " to " + thousands(l.highest) + " are"
	}
	return "exactly " + thousands(l.highest) + " are"
}

// difference returns a - b, exact as long as float64 holds it, and always with the
// right sign.
func difference(a, b int64) float64 {
	if (a < 0) != (b < 0) { // a margin above the expected users: the integers may overflow
		return float64(a) - float64(b)
	}
	return float64(a - b)
}

func (s *step) short() Finding {
	detail := s.shortfall(s.stage.done(), s.before, s.after)
	if s.banded() {
		detail = s.mapped(s.after.upper, s.before.lower)
	}
	return Finding{Kind: Short, Step: s.stage.String(), Detail: detail}
}

// shortfall returns the clause for a side that is short of another by what this step
// does not allow.
func (s *step) shortfall(verb string, before, after *Summary) string {
	return fmt.Sprintf("%s %s of %s (%s short, %s allowed)", verb, after.number(), before.amountOf(s.noun()),
		percent(difference(before.lower, after.upper), float64(before.lower)), thousands(s.tolerance.Short.allowed(before.lower)))
}

func (s *step) surplus() Finding {
	share := ""
	if s.before.upper > 0 {
		share = percentAbove(difference(s.after.lower, s.before.upper), float64(s.before.upper)) + " surplus, "
	}
	detail := fmt.Sprintf("%s %s where %s %s (%s%s allowed)", s.stage.done(), s.after.amountOf(s.noun()), s.before.were(), s.expected(),
		share, thousands(s.tolerance.Surplus.allowed(s.before.upper)))
	if s.banded() {
		detail = s.mapped(s.after.lower, s.before.upper)
	}
	return Finding{Kind: Surplus, Step: s.stage.String(), Detail: detail}
}

// expected says what was done to the users before the step.
func (s *step) expected() string {
	if s.from == whole {
		return "expected"
	}
	return s.from.done()
}

// noun names what the step counts.
func (s *step) noun() string {
	if s.distinct {
		return "distinct user"
	}
	return "user"
}

// banded reports that some ids have no counterpart, or several, so that there is a
// ratio to be within and not a number to be off.
func (s *step) banded() bool { return s.stage == mapping && !s.ratio.isZero() }

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

// mapped returns the clause for a ratio outside its band.
func (s *step) mapped(part, whole int64) string {
	share := ""
	if whole > 0 {
		share = percentAbove(float64(part), float64(whole)) + ", "
	}
	allowed := s.possible()
	return fmt.Sprintf("mapped %s of %s (%s%s to %s allowed, %.4g%% to %.4g%%)", s.after.number(), s.before.amount(),
		share, thousands(allowed.lowest), thousands(allowed.highest), 100*s.ratio.Min, 100*s.ratio.Max)
}

// undecided says why a difference can be neither proven nor ruled out, and what
// would decide it.
func (s *step) undecided(noise float64) string {
	did, allowed := s.stage.done(), s.possible()
	switch {
	case noise > 0:
		return fmt.Sprintf("%s %s of %s: the counters' error of %s is too wide where %s allowed; an exact count%s would decide it",
			did, s.after.amountOf(s.noun()), s.before.amountOf(s.noun()), counted(wholeUsers(noise), "user"), allowed, s.deciding(noise))
	case s.before.moved != nil:
		return s.churned()
	case s.before.bounded:
		return fmt.Sprintf("%s %s where %s %s, and no more is known: an exact count would decide it", did, s.after.amount(), s.before.were(), s.expected())
	case s.after.bounded:
		return fmt.Sprintf("%s %s, and no more is known, where %s allowed: an exact count would decide it", did, s.after.amount(), allowed)
	}
	return fmt.Sprintf("%s moved while it was counted, %s, and %s allowed: count it when it is at rest", did, s.after.amount(), allowed)
}

// churned says what may be wrong with what was read of a source that moved. Its
// counts cannot show it: whoever left may hide who was skipped.
func (s *step) churned() string {
	m := s.before.moved
	return fmt.Sprintf("%s %s of a source that moved from %s to %s: of those in the source before and after up to %s may be missing, and up to %s may be there too often (%s and %s allowed); Digests of the source before and after, and of what was %s, would decide it",
		s.stage.done(), s.after.amount(), m.before.number(), m.after.number(),
		thousands(max(0, m.all-s.after.lower)), thousands(max(0, s.after.upper-m.common)),
		thousands(s.tolerance.Short.allowed(m.all)), thousands(s.tolerance.Surplus.allowed(m.common)), s.stage.done())
}

// deciding says which tolerance is as wide as the difference and its error, if
// there can be one. Of a store that keeps a user once it says none: the error grows
// with what is lost, so that the next check would ask for a wider one.
func (s *step) deciding(noise float64) string {
	if s.distinct {
		return ", or taking in each user once (TeeOnce),"
	}
	low, high := s.before.lower, s.before.upper
	if m := s.before.moved; m != nil {
		low, high = m.common, m.all
	}
	share := max(math.Ceil(difference(high, s.after.lower)+noise)/float64(high), math.Ceil(difference(s.after.upper, low)+noise)/float64(low))
	tenths := math.Ceil(1000*share - 1e-9)
	if s.stage == mapping || !(tenths <= 1000) { // none where nothing is expected
		return ""
	}
	return fmt.Sprintf(" or a tolerance of %.1f%%", tenths/10)
}

// number returns the count without its noun.
func (s *Summary) number() string {
	if s.lower != s.upper {
		return thousands(s.lower) + " to " + thousands(s.upper)
	}
	if s.relErr > 0 {
		return "about " + thousands(s.lower)
	}
	return thousands(s.lower)
}

func (s *Summary) were() string {
	if s.lower == 1 && s.upper == 1 {
		return s.number() + " was"
	}
	return s.number() + " were"
}
