// Package segmenttest checks in a user's tests that a job returns an error when
// it loses users.
//
// [TestJob] runs a job against a [Store] that it passes to it: first a healthy
// one, then one for each [Fault] that has made jobs report success and lose
// users. It passes if the job returns nil with the healthy store, and with each
// fault an error of the right kind, while the live segment keeps its users. If a
// job has no guard, or takes Expected from what it read, TestJob fails with a
// sentence that says which fault the job did not notice and what went live:
//
//	StopsAt10000: the fault went through: the job reported success, want an error
//	that is capped. Live are 10,000 users where 12,310 users should be: 2,310 users
//	missing.
//
// TestJob can break only the store that it passes to the job, so the job must use
// its store through functions: one that yields pages, one that writes a page, one
// that reads back, publish and discard. In production they are those of a
// database, in the test those of the Store:
//
//	func TestCopyFailsHard(t *testing.T) {
//		segmenttest.TestJob(t, func(ctx context.Context, s *segmenttest.Store) error {
//			guard, err := segment.NewGuard(s.Config()) // and your own Rules
//			if err != nil {
//				return err
//			}
//			expected, err := s.Summarize(ctx)
//			if err != nil {
//				return err
//			}
//			return copyUsers(ctx, guard, s.Run(), expected, s.Pages(ctx), s.Stage())
//		})
//	}
//
// [Except] leaves out faults that cannot happen to a job: [LagsAWhile] and
// [LagsForever] where reading back is never behind, as in a job's own transaction.
//
// A job that asks a model ([Store.Model]) takes [LookalikeFaults]. One that writes into a
// store that keeps a user once, such as a set, takes [KeepsOnce], alone and together with
// others.
//
// A fault that stands for weeks ([Fault.Standing]) shows what a job's rule lets through
// that learns by itself.
//
// A job that submits its run to a store that answers later ([Store.Audience]) is tested
// together with what settles it: [TestLater]. One that adds users to the live segment and
// removes others ([Store.Change]) is tested by [TestDelta].
//
// The store has what a job needs: a source that knows its own count, pages of
// users, ids that map to another site group, a destination that is staged
// ([Store.Stage]) or holds generations in place ([Store.InPlace]), read back,
// publish and discard. Its ledger is empty, as on a segment's first run, unless a
// fault stands: a job cannot pass because of its earlier sizes.
//
// A store that can neither stage its output nor mark it as belonging to an
// attempt cannot protect the live segment, and no test can show that it does.
//
// Package ledgertest checks implementations of segment.Ledger, segment.Recorder
// and segment.Alerter.
//
// # Time
//
// A job runs in a bubble of [testing/synctest]: its clock starts at midnight UTC
// 2000-01-01, and waiting for a store that lags takes no real time. Goroutines
// that the job starts must end with it. It must not wait for anything outside the
// bubble, such as a connection to a database, and must not hold a mutex while it
// calls the store: the bubble's time stands still while another goroutine waits
// for that mutex.
//
// # Errors
//
// TestJob recognises the errors that the store returned. Return them wrapped with
// %w, or pass them to the guard, as [validate.Tee] and [validate.Unmeasured] do.
//
// # Telemetry
//
// The package has none. A guard made from [Store.Config] reports to the global
// providers.
package segmenttest
