package simulationtest

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment"
)

// A Simulator tries worlds over ledgers that open returns, each in the bubble of
// synctest in which its world happens.
type Simulator struct {
	platform *platform
	open     func(*testing.T) segment.Ledger // nil: a Memory
}

// New returns a Simulator. With nil in place of open a world's ledger is a Memory.
func New(open func(*testing.T) segment.Ledger) (*Simulator, error) {
	f, err := newPlatform()
	return &Simulator{f, open}, err
}

// Violation lets the world of a seed happen. It returns the promise that it broke, or
// else nothing, and a hash of its steps: two ledgers that keep their promises have the
// same.
func (s *Simulator) Violation(t *testing.T, seed uint64) (violation string, steps uint64) {
	t.Helper()
	w := s.run(t, newPlan(seed), false)
	return w.violation, w.scheduler.hash
}

func (s *Simulator) run(t *testing.T, p plan, keep bool) *world {
	t.Helper()
	return run(t, s.platform, p, keep, s.open)
}
