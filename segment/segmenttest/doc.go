// Package segmenttest proves in a user's tests that a job fails hard.
//
// [TestJob] runs a job against a [Store] that it hands out: first a healthy one,
// then one for each [Fault] that has made jobs report success and lose users. A
// job that is guarded well passes when healthy; with each fault it fails, with
// the right kind of error, and what was live stays live. A job that forgot its
// guard, or takes Expected from what it read, fails the test with a sentence
// that says which fault went through and what went live:
//
//	StopsAt10000: the fault went through: the job reported success, want an error
//	that is capped. Live are 10,000 users where 12,310 users should be: 2,310 users
//	missing.
//
// The suite can break only what it hands out, so let your job meet its store
// through functions: one that yields pages, one that writes a page, one that
// reads back, publish and discard. In production they are those of your database,
// in its test those of the Store:
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
// A fault that cannot happen to a job is left out with [Except]: [LagsAWhile] and
// [LagsForever] where reading back is never behind, as in a job's own transaction.
//
// The store has what a job needs: a source that knows its own count, pages of
// users, ids that map to another site group, a destination that is staged
// ([Store.Stage]) or holds generations in place ([Store.InPlace]), read back,
// publish and discard. Its history is empty, as on a segment's first run: no
// earlier size saves a job that would have let a fault through.
//
// A store that can neither stage nor stamp what it writes protects no live
// segment, and no suite can show that it did.
//
// [TestHistory], [TestLedger] and [TestAlerter] prove of your own implementations
// of those interfaces that they keep what they promise, one subtest a rule.
//
// # Time
//
// A job runs in a bubble of [testing/synctest]: its clock starts at midnight UTC
// 2000-01-01, and waiting for a store to settle takes no real time. What the job
// starts must end with it; it must not wait for anything outside, such as a
// connection to a database, and must not hold a mutex while it calls the store,
// as the bubble's time stands still while another goroutine waits for it.
//
// # Errors
//
// The store's own failures keep their identity: return them wrapped with %w, or
// hand them to the guard, as [validate.Tee] does and [validate.Unmeasured].
//
// # Telemetry
//
// The package has none; a guard made from [Store.Config] reports to the global
// providers, as everywhere.
package segmenttest
