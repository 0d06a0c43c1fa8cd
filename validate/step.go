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

// stages are the names that findings give the steps, in order; doing is what
// the job did then, done what it has.
var (
	stages = []string{"", "read", "map", "store", "size"}
	doing  = []string{"", "reading", "mapping", "storing", ""}
	done   = []string{"", "read", "mapped", "stored", ""}
)

func (s stage) String() string { return stages[s] }

// A step is the way from one side of a job to the next.
type step struct {
	stage         stage
	before, after *Summary
	tolerance     Tolerance
	share         Share // at mapping: the band of the counts; zero: exactly one
}

// limits are the fewest and the most users allowed after the step. Where the
// side before moved, each end has its own margin.
func (s *step) limits() (lowest, highest int64) {
	if s.stage == mapping {
		lowest, _ = s.share.bounds(s.before.lower)
		_, highest = s.share.bounds(s.before.upper)
		return lowest, highest
	}
	lowest = s.before.lower - s.tolerance.Short.allowed(s.before.lower)
	highest = s.before.upper + s.tolerance.Surplus.allowed(s.before.upper)
	if highest < 0 { // overflow
		highest = math.MaxInt64
	}
	return lowest, highest
}

// noise is three standard errors of the difference of two sides, in users;
// 0 where both were counted.
func noise(before, after *Summary) float64 {
	return 3 * math.Hypot(float64(before.upper)*before.relErr, float64(after.upper)*after.relErr)
}

// above reports that a is above b by more than the noise.
func above(a, b int64, noise float64) bool { return difference(a, b) > noise }

// within reports that the side lies between the limits even with the noise on
// top.
func within(side *Summary, lowest, highest int64, noise float64) bool {
	return difference(side.lower, lowest) >= noise && difference(highest, side.upper) >= noise
}

// difference is exact as long as float64 holds it, and keeps its sign always.
func difference(a, b int64) float64 {
	if (a < 0) != (b < 0) { // a margin above the expected users: the integers may overflow
		return float64(a) - float64(b)
	}
	return float64(a - b)
}

func (s *step) short() Finding {
	return Finding{Kind: Short, Step: s.stage.String(), Detail: s.shortfall(done[s.stage], s.before, s.after)}
}

// shortfall is the clause for a side that is short of another by what this step
// does not allow.
func (s *step) shortfall(verb string, before, after *Summary) string {
	return fmt.Sprintf("%s %s of %s (%s short, %s)", verb, after.number(), before.amount(),
		percent(difference(before.lower, after.upper), float64(before.lower)), s.allowance(s.tolerance.Short, before.lower))
}

func (s *step) surplus() Finding {
	detail := fmt.Sprintf("%s %s where %s expected (%s)", done[s.stage], s.after.amount(), s.before.were(),
		s.allowance(s.tolerance.Surplus, s.before.upper))
	if s.before.upper > 0 {
		detail = fmt.Sprintf("%s %s where %s expected (%s surplus, %s)", done[s.stage], s.after.amount(), s.before.were(),
			percentAbove(difference(s.after.lower, s.before.upper), float64(s.before.upper)),
			s.allowance(s.tolerance.Surplus, s.before.upper))
	}
	return Finding{Kind: Surplus, Step: s.stage.String(), Detail: detail}
}

// allowance says what the step would have let pass.
func (s *step) allowance(m Margin, expected int64) string {
	if s.stage == mapping && !s.share.isZero() {
		return fmt.Sprintf("%.4g%% to %.4g%% allowed", 100*s.share.Min, 100*s.share.Max)
	}
	return thousands(m.allowed(expected)) + " allowed"
}

// undecided says why a difference can be neither told nor ruled out, and what
// would decide it.
func (s *step) undecided(lowest, highest int64, noise float64) string {
	if noise == 0 {
		return fmt.Sprintf("%s moved while it was counted, %s, and %s to %s are allowed: count it when it is at rest",
			done[s.stage], s.after.amount(), thousands(max(lowest, 0)), thousands(highest))
	}
	off := max(difference(s.before.upper, s.after.lower), difference(s.after.upper, s.before.lower))
	return fmt.Sprintf("%s %s of %s: the counters' error of %s is too wide for %s to %s allowed; an exact count or a tolerance of %s would decide it",
		done[s.stage], s.after.amount(), s.before.amount(), counted(int64(min(noise, math.MaxInt64/2)), "user"),
		thousands(max(lowest, 0)), thousands(highest), percentAbove(off+noise, float64(max(s.before.lower, 1))))
}

// number is the count without its noun.
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
