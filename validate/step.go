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

func (s stage) doing() string { return stages[s].doing }

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
	before, after *Summary
	tolerance     Tolerance
	share         Ratio // at mapping: the band of the counts; zero: exactly one
}

// limits returns the fewest and the most users allowed after the step. Where the
// side before moved, each end has its own margin.
func (s *step) limits() (lowest, highest int64) {
	if s.stage == mapping {
		lowest, _ = s.share.bounds(s.before.lower)
		_, highest = s.share.bounds(s.before.upper)
		return lowest, highest
	}
	lowest = s.before.lower - s.tolerance.Short.allowed(s.before.lower)
	return lowest, plus(s.before.upper, s.tolerance.Surplus.allowed(s.before.upper))
}

// plus adds numbers of users, up to the largest there is.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// noise returns three standard errors of the difference of two sides, in users;
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
	return fmt.Sprintf("%s %s of %s (%s short, %s allowed)", verb, after.number(), before.amount(),
		percent(difference(before.lower, after.upper), float64(before.lower)), thousands(s.tolerance.Short.allowed(before.lower)))
}

func (s *step) surplus() Finding {
	share := ""
	if s.before.upper > 0 {
		share = percentAbove(difference(s.after.lower, s.before.upper), float64(s.before.upper)) + " surplus, "
	}
	detail := fmt.Sprintf("%s %s where %s expected (%s%s allowed)", s.stage.done(), s.after.amount(), s.before.were(),
		share, thousands(s.tolerance.Surplus.allowed(s.before.upper)))
	if s.banded() {
		detail = s.mapped(s.after.lower, s.before.upper)
	}
	return Finding{Kind: Surplus, Step: s.stage.String(), Detail: detail}
}

// banded reports that some ids have no counterpart, so that there is a share to
// be within and not a number to be off.
func (s *step) banded() bool { return s.stage == mapping && !s.share.isZero() }

// mapped returns the clause for a ratio outside its band.
func (s *step) mapped(part, whole int64) string {
	share := ""
	if whole > 0 {
		share = percentAbove(float64(part), float64(whole)) + ", "
	}
	lowest, highest := s.limits()
	return fmt.Sprintf("mapped %s of %s (%s%s to %s allowed, %.4g%% to %.4g%%)", s.after.number(), s.before.amount(),
		share, thousands(lowest), thousands(highest), 100*s.share.Min, 100*s.share.Max)
}

// undecided says why a difference can be neither proven nor ruled out, and what
// would decide it.
func (s *step) undecided(lowest, highest int64, noise float64) string {
	allowed := "exactly " + thousands(highest) + " are"
	if lowest < highest {
		allowed = thousands(max(lowest, 0)) + " to " + thousands(highest) + " are"
	}
	if noise == 0 {
		return fmt.Sprintf("%s moved while it was counted, %s, and %s allowed: count it when it is at rest", s.stage.done(), s.after.amount(), allowed)
	}
	return fmt.Sprintf("%s %s of %s: the counters' error of %s is too wide where %s allowed; an exact count%s would decide it",
		s.stage.done(), s.after.amount(), s.before.amount(), counted(wholeUsers(noise), "user"), allowed, s.deciding(noise))
}

// deciding returns the tolerance that is as wide as the difference and its error, if
// there can be one.
func (s *step) deciding(noise float64) string {
	off := max(difference(s.before.lower, s.after.lower), difference(s.after.upper, s.before.upper))
	tenths := math.Ceil(1000*math.Ceil(off+noise)/float64(s.before.lower) - 1e-9)
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
