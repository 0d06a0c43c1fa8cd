package segment

import (
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Rule says what one job is judged by. The zero Rule enforces the strictest
// policy on a store with read-after-write consistency.
type Rule struct {
	Name    string
	Mode    Mode
	Policy  validate.Policy
	Lag     Lag
	Runbook string // where to read what to do about a failure; alerts carry it

	// Drift is how far the live segment may move away from what the last run
	// stored, with no job running. A Monitor judges by it; zero: not at all. Sizes
	// that are estimates need their counter's error here.
	Drift validate.Tolerance
}

// A Mode says what a failed check does to the job.
type Mode string

// The modes.
const (
	Enforce Mode = ""        // the job fails, nothing goes live
	Observe Mode = "observe" // judged, recorded and alerted; the job passes
)

// A Lag describes a store whose counts lag behind its writes. The zero Lag is a
// store with read-after-write consistency: it is read once.
//
// Otherwise the store is first read Min after Run.WrittenAt, then every Every,
// until two readings in a row pass and agree, or Max after Run.WrittenAt is
// over. Each reading must say up to when it is complete (Summary.AsOf): a count
// that still shows yesterday's users looks like any other.
type Lag struct{ Min, Max, Every time.Duration }

// check returns what is wrong with the rule.
func (r *Rule) check() error {
	switch {
	case r.Mode != Enforce && r.Mode != Observe:
		return badInput("Rule.Mode", string(r.Mode), `"" or "observe"`)
	case r.Lag == (Lag{}):
		return nil
	case r.Lag.Min < 0:
		return badInput("Rule.Settle.Min", r.Lag.Min, "0 or more")
	case r.Lag.Every <= 0:
		return badInput("Rule.Settle.Every", r.Lag.Every, "above 0: a pass needs two readings")
	case r.Lag.Max < r.Lag.Min+r.Lag.Every:
		return badInput("Rule.Settle.Max", r.Lag.Max, "at least Min + Every: a pass needs two readings")
	}
	return nil
}
