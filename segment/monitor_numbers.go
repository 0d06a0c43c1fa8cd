package segment

import "context"

// keepNumbers keeps what a sweep came to, also where it was ended, and once the jobs:
// tools answer by them without looking at all segments.
func (m *Monitor) keepNumbers(ctx context.Context, s *Sweep) error {
	return afterwards(ctx, defaultTimeout, func(ctx context.Context) error {
		err := wrap("keeping the sweep's numbers", m.config.Ledger.KeepSweep(ctx, s.numbers(m.config.Store)))
		if m.config.Jobs == nil || m.jobsKept.Load() {
			return err
		}
		kept := m.config.Ledger.KeepJobs(ctx, m.config.Jobs)
		m.jobsKept.Store(kept == nil)
		return join(err, wrap("keeping the jobs", kept))
	})
}
