package validate

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A Policy says what an output must be. The zero Policy is the strictest but for
// MaxSourceLag: exactly the expected users, at least one.
type Policy struct {
	Tolerance  Tolerance  `json:"tolerance,omitzero"`    // storing: Stored against Written, else Read, else Expected
	Reading    Tolerance  `json:"reading,omitzero"`      // Read against Expected; of a source that moved, see Moving
	Mapping    Ratio      `json:"mapping,omitzero"`      // Written over Read, both measured; zero: the same ids; {1, 1}: other ids, one for each
	AllowEmpty bool       `json:"allow_empty,omitempty"` // an output may be empty where nothing was expected; by an independent Expected after any history
	Distinct   bool       `json:"distinct,omitempty"`    // the store keeps a user once: distinct users are compared
	Caps       []Cap      `json:"caps,omitempty"`        // limits of your own, besides KnownCaps
	CapSystems []string   `json:"cap_systems,omitempty"` // of KnownCaps only those whose Origin begins with one of these: "Elasticsearch"; none: all
	OffHistory OffHistory `json:"off_history,omitempty"` // what a size off its history leads to

	// Relearn is after how many UTC days of rejected sizes of one level that level
	// becomes normal by itself: 7 to 28; 0: never, somebody has to accept it. A day
	// counts once, however often a job is tried; the first run of a later day passes.
	// Never relearned is what is empty, on a limit or up to 2% below one, stored or
	// read; below 0.6 of the last good size; or wrong in any other way. What it lets
	// through is a fault that nothing else shows: a source that lacks a steady third of
	// its users goes live on day 8, after seven nights that were told, and a smaller step,
	// of up to 30% down or 55% up, after two to four: the band widens by the days without a
	// good size, which without Relearn it does not where there were bad ones. It narrows
	// no band: of a list that itself falls that far on a day of the week, the band of that
	// day lets a standing fault through, with Relearn as without, and nothing is learned
	// by that. It goes by Output.Candidates, and learns nothing from an output that is
	// Apart; a segment.Guard fills in both from its ledger.
	Relearn int `json:"relearn,omitempty"`

	// AllowPossible lets a step pass with a warning where nothing is in doubt but the
	// bounds of a Bounded side. False: it is Unverified.
	AllowPossible bool `json:"allow_possible,omitempty"`

	// MaxSourceLag is how far before Output.At the time may lie up to which Expected
	// is complete (Summary.AsOf); an Expected that does not say is Unverified. Zero is
	// not strict: nobody asks, as most sources cannot say. In JSON it is nanoseconds.
	MaxSourceLag time.Duration `json:"max_source_lag,omitempty"`
}

// A Tolerance is how far a side may be from the one before it.
type Tolerance struct {
	Short   Margin `json:"short,omitzero"`
	Surplus Margin `json:"surplus,omitzero"`
}

// A Margin allows the larger of a number of users and a share of the expected
// ones. The zero Margin allows none.
type Margin struct {
	// allowed = max(Users, floor(Share × expected)), the product rounded to
	// 1e-9 first, so that 29% of 100 is 29.
	Users int64   `json:"users,omitempty"`
	Share float64 `json:"share,omitempty"` // 0 to 1
}

// Within allows the same share both ways.
func Within(share float64) Tolerance {
	return Tolerance{Short: Margin{Share: share}, Surplus: Margin{Share: share}}
}

// A Ratio is a band for how many ids come of those that are mapped: {0.70, 0.95}
// where 70% to 95% of users have a counterpart, {2, 3} for an identity graph that
// knows two to three devices of each.
//
// A number outside the band fails; but up to 1,000 users read it passes with a
// warning where chance explains it: where, if each user had a counterpart with the
// chance of the nearer bound, as many would be outside in one of 1,000 cases or more
// (the binomial distribution; above 1 Poisson's). None of 5 or more users fails
// always, where Min is 0.5 or more.
type Ratio struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// OffHistory is what a size far off its segment's history leads to. Nothing
// stored after users were, and a size on a known cap of 1,000 or more below
// such a history, fail always, and so does any size where Expected is Unknown:
// there the history decides alone.
type OffHistory string

// What a size off its history leads to.
const (
	OffHistoryUnvouched OffHistory = ""     // fails unless an independent Expected vouches for the size; then it warns
	OffHistoryFails     OffHistory = "fail" // fails
	OffHistoryWarns     OffHistory = "warn" // warns
)

// allowed returns the number of users that a side may be off from expected.
func (m Margin) allowed(expected int64) int64 {
	if m.Share == 0 {
		return m.Users
	}
	return max(m.Users, shareOf(expected, m.Share, math.Floor, +1))
}

// shareOf returns share × n rounded to 1e-9, and then by round to an integer. lean
// says which way that rounds, and so on which side of an integer a product
// counts as being that integer. One part in 2^52 is what the product may have
// lost, which is more than 1e-9 from some millions on.
func shareOf(n int64, share float64, round func(float64) float64, lean float64) int64 {
	product := share * float64(n)
	product = round(product + lean*(0.5e-9+product*0x1p-52))
	switch {
	case share <= 1 && product >= float64(n): // what rounding adds to a large number
		return n
	case product >= math.MaxInt64:
		return math.MaxInt64
	}
	return int64(product)
}

// bounds returns the fewest and most of n users that the ratio allows.
func (s Ratio) bounds(n int64) (fewest, most int64) {
	if s == (Ratio{}) {
		return n, n
	}
	return shareOf(n, s.Min, math.Ceil, -1), shareOf(n, s.Max, math.Floor, +1)
}

// Validate returns an *InputError that names what is wrong.
func (p *Policy) Validate() error {
	if problem := p.problem(); problem != nil {
		return problem
	}
	return nil
}

// problem returns what is wrong with the policy, nil if nothing is. The OK case
// must not allocate: it runs in every check.
func (p *Policy) problem() *InputError {
	for i, m := range [...]*Margin{&p.Tolerance.Short, &p.Tolerance.Surplus, &p.Reading.Short, &p.Reading.Surplus} {
		if m.Users < 0 || !(m.Share >= 0 && m.Share <= 1) { // NaN is not
			field := "Policy." + [...]string{"Tolerance.Short", "Tolerance.Surplus", "Reading.Short", "Reading.Surplus"}[i]
			if m.Users < 0 {
				return badInput(field+".Users", m.Users, "0 or more")
			}
			return badInput(field+".Share", m.Share, "0 to 1")
		}
	}
	if problem := p.historyProblem(); problem != nil {
		return problem
	}
	switch {
	case !(p.Mapping.Min >= 0) || !(p.Mapping.Max >= p.Mapping.Min) || math.IsInf(p.Mapping.Max, 0): // NaN is neither
		return badInput("Policy.Mapping", fmt.Sprintf("%v to %v", p.Mapping.Min, p.Mapping.Max), "0 <= Min <= Max, and finite")
	case p.MaxSourceLag < 0:
		return badInput("Policy.MaxSourceLag", p.MaxSourceLag, "0 or more")
	case len(p.Caps)+len(p.CapSystems) > 0:
		return p.capsProblem()
	}
	return nil
}

func (p *Policy) historyProblem() *InputError {
	switch p.OffHistory {
	case OffHistoryUnvouched, OffHistoryFails, OffHistoryWarns:
	default:
		return badInput("Policy.OffHistory", string(p.OffHistory), `"", "fail" or "warn"`)
	}
	if p.Relearn != 0 && (p.Relearn < 7 || p.Relearn > int(usable/(day*time.Second))) {
		return badInput("Policy.Relearn", p.Relearn, "7 to 28 days, or 0 for never")
	}
	return nil
}

func (p *Policy) capsProblem() *InputError {
	for i, c := range p.Caps {
		if c.Users <= 0 || c.Origin == "" {
			return badInput(fmt.Sprintf("Policy.Caps[%d]", i), fmt.Sprintf("%d from %q", c.Users, c.Origin), "users above 0 and an origin")
		}
	}
	for i, system := range p.CapSystems {
		if !slices.ContainsFunc(knownCaps, func(c Cap) bool { return c.of(system) }) {
			return badInput(fmt.Sprintf("Policy.CapSystems[%d]", i), system, "the first words of an Origin of KnownCaps")
		}
	}
	return nil
}

// An InputError says which field of what was to be judged, or of a
// configuration, is wrong. It is the cause of an Unverified finding.
type InputError struct {
	Field string // "Output.Sizes[3].At"
	Value any
	Want  string
}

func badInput(field string, value any, want string) *InputError {
	return &InputError{Field: field, Value: value, Want: want}
}

func (e *InputError) Error() string {
	if s, ok := e.Value.(string); ok && s == "" {
		return fmt.Sprintf("%s is empty, want %s", e.Field, e.Want)
	}
	return fmt.Sprintf("%s is %v, want %s", e.Field, e.Value, e.Want)
}
