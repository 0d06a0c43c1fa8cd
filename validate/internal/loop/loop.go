// Package loop does with a segment's sizes what a guard does with them, and nothing
// else: what is judged depends on what was judged before.
package loop

import (
	"context"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Segment is one segment under a guard. Its policy is that of all its runs.
type Segment struct {
	Policy   validate.Policy
	Baseline validate.Baseline
	Excuses  []validate.Excuse
	Apart    bool // part of an incident, or of what is affected upstream: nothing is learned
}

// Run judges an output by what is remembered, remembers what the report says, and
// returns the report. An output that passed is live; another is not.
func (s *Segment) Run(out validate.Output) validate.Report {
	out.Sizes, out.Candidates, out.Excuses, out.Apart = s.Baseline.Sizes, s.Baseline.Candidates, s.Excuses, s.Apart
	report, _ := new(validate.Validator).Check(context.Background(), s.Policy, out) // the report says all
	s.Baseline.Take(&report, Size(&out))
	if e := report.Excuse; e != nil && report.Level == validate.LevelNew {
		s.Excuses = nil // the first size within was for good
	}
	return report
}

// Size returns what a run's size is to the baseline.
func Size(out *validate.Output) validate.Size {
	return validate.Size{Users: out.Stored.Users(), Read: out.Read.Users(), At: out.At, Counter: out.Counter}
}

// Import remembers sizes from before the guard.
func (s *Segment) Import(sizes ...validate.Size) {
	for _, size := range sizes {
		size.Unguarded = true
		s.Baseline.Add(size)
	}
}

// Daily returns the output of a run that nothing vouches for: its size alone decides.
func Daily(users int64, at time.Time) validate.Output {
	return validate.Output{Expected: validate.Unknown(), Stored: validate.Count(users), At: at}
}
