package segment

import (
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Rule is what holds for one job. The zero Rule enforces the strictest policy
// on a store that answers for what it acknowledged.
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

// Settle is for a store whose counts lag behind its writes. The zero Settle is
// a store that answers for what it acknowledged: it is read once.
//
// Otherwise the store is first read Min after Run.WrittenAt, then every Every,
// until two readings in a row pass and agree, or Max after Run.WrittenAt is
// over. Each reading must say up to when it is complete (Summary.AsOf): a count
// that still shows yesterday's users looks like any other.
type Lag struct{ Min, Max, Every time.Duration }

func (s Lag) isZero() bool { return s == Lag{} }

func (r *Rule) problem() error {
	switch {
	case r.Mode != Enforce && r.Mode != Observe:
		return badInput("Rule.Mode", string(r.Mode), `"" or "observe"`)
	case r.Lag.isZero():
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
