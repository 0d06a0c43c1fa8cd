// Package segment holds a job's output back until it is verified. A [Guard]
// reads back what a job stored, has a [Rule] judge it, and then commits it or
// discards it, remembers its size, and tells people:
//
//	guard, err := segment.NewGuard(segment.Config{History: history})
//	…
//	_, err = guard.Commit(ctx, segment.Run{
//		ID:       runID,
//		Job:      segment.Copy(to, from),
//		Expected: expected,            // the source's own count, asked by another path
//		Read:     validate.Count(read),
//		Stored:   stored,              // func(ctx) (validate.Summary, error): reads back
//		Commit:   tx.Commit, Discard: tx.Rollback, // as functions of a context
//	})
//	if err != nil {
//		return err // the job fails, the live segment keeps its users
//	}
//
// # Where the output is before it is live
//
// Staged is best: rows beside the live ones, a table to be swapped in, an open
// transaction. Commit makes them live, Discard drops them. In the job's own
// transaction set Run.History too, and the size is recorded with the data or not
// at all.
//
// Without staging, write under a generation stamp (the run's ID and attempt): let
// Stored count that generation, Commit purge the older one, and Discard this one.
// Attempts that share a stamp would discard each other's users.
//
// A store that cannot do even that sets Run.Live: the guard judges, records and
// alerts, but the live segment is not protected. [Guard.Admit] before the first
// write then keeps out at least what is known to be wrong by then.
//
// A store whose counts lag behind its writes needs [Settle], and each of its
// counts a time up to which it is complete.
//
// # Reruns
//
// After an incident, [PlanReruns] orders every job that must run again: those
// that write an affected segment, and everything downstream of them. The [Plan]
// says of each step why it is there and what it waits for, prints as an on-call
// engineer reads it, and survives a detour over JSON. What no job writes, jobs
// that write one segment, and cycles are listed apart, with what they hold up.
//
// [Plan.Run] runs it on this machine, [Plan.Ready] is for a queue of your own.
// Let each job commit through its guard as always: then a rerun that makes the
// same mistake fails, and what depends on it is not made from it; one that passes
// resolves its segment's alert. The [Outcome] resumes the plan.
//
// # Errors
//
// [Guard.Commit] names what its errors are. [Retryable] tells whether running
// the job again may help. An error that is none of ours comes from the store's
// own callbacks, wrapped. [Plan.Run] returns an [*IncompleteError] that unwraps
// to the errors of the steps that failed.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/segment: spans "admit
// segment" and "commit segment" with segmentguard.segment, .site_group,
// .job.kind, .job.id, .run.id, .run.attempt, .build and .verdict; a failure sets
// the status and error.type: the gravest kind, or superseded, live, unknown.
// Inside them are the spans and metrics of package validate.
//
// [Plan.Run] has a span "run rerun plan" with segmentguard.plan.steps, .done,
// .failed, .blocked, .never_started, .conflicts and .unwritten; error.type is
// failed, cancelled or incomplete. The spans of its jobs are inside it.
package segment
