package validate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// A stage is a step of a job. It is a number, as a string beside the pointers
// of a step would move them to the heap in every check.
type stage uint8

const (
	whole    stage = iota // no single step
	reading               // Read against Expected
	mapping               // Written over Read
	storing               // Stored against the nearest side before it
	removing              // of a Delta: those to be removed who are still there
	changing              // of a Delta: the whole segment against what it held before
	sizing                // the size against its history
)

// stages holds the words for each step: its name in findings, what the job did
// then, and what it has done. They are in the order of the job.
var stages = [...]struct{ name, doing, done string }{
	whole:    {"", "", ""},
	reading:  {"read", "reading", "read"},
	mapping:  {"map", "mapping", "mapped"},
	storing:  {"store", "storing", "stored"},
	removing: {"remove", "removing", "removed"},
	changing: {"change", "", "changed"},
	sizing:   {"size", "", ""},
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
	return fmt.Sprintf("%s %s of %s%s (%s%s short, %s allowed)", verb, after.number(), before.amountOf(s.noun()), taken(s.from, s.named),
		surely(before, after), percent(difference(before.lower, after.upper), float64(before.lower)), thousands(s.tolerance.Short.allowed(before.lower)))
}

func (s *step) surplus() Finding {
	share := ""
	if s.before.upper > 0 {
		share = surely(s.before, s.after) + percentAbove(difference(s.after.lower, s.before.upper), float64(s.before.upper)) + " surplus, "
	}
	detail := fmt.Sprintf("%s %s where %s %s (%s%s allowed)", s.stage.done(), s.after.amountOf(s.noun()), s.before.were(), given(s.from),
		share, thousands(s.tolerance.Surplus.allowed(s.before.upper)))
	if s.banded() {
		detail = s.mapped(s.after.lower, s.before.upper)
	}
	return Finding{Kind: Surplus, Step: s.stage.String(), Detail: detail}
}

// surely says what the share of a difference is where not both sides are one number.
func surely(before, after *Summary) string {
	switch {
	case after.upper == 0: // none of any number is 100% short
	case before.relErr > 0 || after.relErr > 0:
		return "about "
	case before.lower < before.upper || after.lower < after.upper:
		return "at least "
	}
	return ""
}

// given says what was done to users before a step.
func given(from stage) string {
	if from == whole {
		return "expected"
	}
	return from.done()
}

// taken says which side a number is of, where it is not as large as the expected one.
func taken(from stage, named bool) string {
	if !named {
		return ""
	}
	return " " + given(from)
}

// noun names what the step counts.
func (s *step) noun() string {
	if s.distinct {
		return "distinct user"
	}
	return "user"
}

// mapped returns the clause for a ratio outside its band.
func (s *step) mapped(part, whole int64) string {
	share := ""
	if whole > 0 {
		share = percentAbove(float64(part), float64(whole)) + ", "
	}
	ratio := fmt.Sprintf("%.4g%% to %.4g%%", 100*s.ratio.Min, 100*s.ratio.Max)
	switch l := s.possible(); {
	case l.lowest < l.highest:
		ratio = thousands(l.lowest) + " to " + thousands(l.highest) + " allowed, " + ratio
	case l.lowest == l.highest:
		ratio = thousands(l.lowest) + " allowed, " + ratio
	default: // of so few no whole number is within
		ratio += " allowed"
	}
	return fmt.Sprintf("mapped %s of %s%s (%s%s)", s.after.number(), s.before.amount(), taken(s.from, s.named), share, ratio)
}

// undecided says why a difference can be neither proven nor ruled out, and what
// would decide it.
func (s *step) undecided(noise float64) string {
	did, allowed := s.stage.done(), s.possible()
	switch {
	case noise > 0:
		of := "where " + s.before.were() + " " + given(s.from)
		if s.banded() {
			of = "from " + s.before.amount()
		}
		return fmt.Sprintf("%s %s %s: the counters' error of %s (three standard errors) is too wide where %s allowed; an exact count%s would decide it",
			did, s.after.amountOf(s.noun()), of, counted(max(1, wholeUsers(noise)), "user"), allowed, s.deciding(noise))
	case s.before.moved != nil:
		return s.churned()
	case s.before.bounded:
		return fmt.Sprintf("%s %s where %s %s, and no more is known: an exact count would decide it", did, s.after.amount(), s.before.were(), given(s.from))
	case s.after.bounded:
		return fmt.Sprintf("%s %s, and no more is known, where %s allowed: an exact count would decide it", did, s.after.amount(), allowed)
	}
	return fmt.Sprintf("%s moved while it was counted, %s, and %s allowed: count it when it is at rest", did, s.after.amount(), allowed)
}

// churned says what may be wrong with what was read of a source that moved. Its
// counts cannot show it: whoever left may hide who was skipped.
func (s *step) churned() string {
	m := s.before.moved
	if s.banded() {
		return fmt.Sprintf("mapped %s of a source that moved from %s to %s, of which %.4g%% to %.4g%% are allowed: to count what was read (Output.Read) would decide it",
			s.after.amount(), m.before.dashed(), m.after.dashed(), 100*s.ratio.Min, 100*s.ratio.Max)
	}
	return fmt.Sprintf("%s %s of a source that moved from %s to %s: by the counts of those in the source before and after %s may be missing, and %s may be there too often (%s and %s allowed); Digests of the source before and after, and of what was %s, would decide it",
		s.stage.done(), s.after.amountOf(s.noun()), m.before.dashed(), m.after.dashed(),
		upTo(m.all-s.after.lower), upTo(s.after.upper-m.common),
		thousands(s.tolerance.Short.allowed(m.all)), thousands(s.tolerance.Surplus.allowed(m.common)), s.stage.done())
}

// upTo says how many users at most.
func upTo(n int64) string {
	if n <= 0 {
		return "none"
	}
	return "up to " + thousands(n)
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

func (l limits) String() string {
	if l.lowest < l.highest {
		return thousands(max(l.lowest, 0)) + " to " + thousands(l.highest) + " are"
	}
	return "exactly " + thousands(l.highest) + " " + areOrIs(l.highest)
}

// number returns the count without its noun.
func (s *Summary) number() string {
	about := ""
	if s.relErr > 0 {
		about = "about "
	}
	if s.lower != s.upper {
		return about + thousands(s.lower) + " to " + thousands(s.upper)
	}
	return about + thousands(s.lower)
}

// dashed returns the number as one word: bounds with a dash.
func (s *Summary) dashed() string { return strings.Replace(s.number(), " to ", "–", 1) }

func (s *Summary) were() string {
	if s.lower == 1 && s.upper == 1 {
		return s.number() + " was"
	}
	return s.number() + " were"
}

// thousands writes n with commas: 812,345. The same in every locale, because
// people and scripts search logs for it.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// counted writes "1 user" and "10,000 users".
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// unbroken puts text that others gave, such as joined errors, on one line.
func unbroken(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, unicode.IsControl), "; ")
}

// percent writes part of whole with one decimal, and never rounds a part to
// nothing or to all.
func percent(part, whole float64) string {
	switch part {
	case whole:
		return "100%"
	case 0:
		return "0%"
	}
	switch p := fmt.Sprintf("%.1f%%", 100*part/whole); p {
	case "0.0%":
		return "under 0.1%"
	case "100.0%":
		return "over 99.9%"
	default:
		return p
	}
}

// percentAbove returns percent for a part that may be larger than the whole.
func percentAbove(part, whole float64) string {
	if part < whole {
		return percent(part, whole)
	}
	return fmt.Sprintf("%.0f%%", 100*part/whole)
}
