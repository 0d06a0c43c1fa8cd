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
// Attempts that share a stamp would discard each other's users: where a queue may
// hand out an attempt twice, stamp with a number of your own that never repeats.
//
// A store that cannot do even that sets Run.Live: the guard judges, records and
// alerts, but the live segment is not protected. [Guard.Admit] before the first
// write then keeps out at least what is known to be wrong by then.
//
// A store whose counts lag behind its writes needs [Settle], and each of its
// counts a time up to which it is complete.
//
// # Watching all segments
//
// A job's own check cannot see that a segment shrank with no job running, that
// its source was truncated already, or that fifty segments stopped at one number.
// A [Monitor] sweeps over the current sizes of all segments, against what the
// guards wrote into their [Ledger]: what the last run left live, how far it may
// drift ([Rule]), the segment's history, and what many of them have in common. It
// names the affected segment that another one was made from, and puts segments
// with one fault into an [Incident].
//
// With a ledger, guards and monitors tell of each fault of a segment once, across
// restarts and machines: what is wrong is written down first, and an alerter that
// fails is asked again by the next sweep. What a guard found is resolved by a run
// that passes, or by a human's [Ledger] Accept; what a sweep found, by a sweep
// that finds it gone, or by a run that passes with another number. Baselines are
// made of good sizes only: what was rejected, what would have failed, what nobody
// knows the outcome of, and what was called suspect stays out. Import fills a
// ledger with sizes from before the guard, so that the first night is no cold
// start.
//
// # Reruns
//
// What is affected comes from a sweep ([Sweep.Affected]), from open alerts
// ([AffectedByAlerts]), or from the log by build, kind of job and time
// ([AffectedByLog]), which includes runs that looked fine. Package rerun plans what
// must run again, in order, and runs it.
//
// # Errors
//
// An error of [Guard.Commit] is or wraps a *validate.Error (judged and failed, or
// not verifiable), [ErrSuperseded] (a newer attempt was there), an [*UnknownError]
// (the commit failed, and may have worked) or a [*LiveError] (live, but not
// recorded). [Retryable] tells whether running the job again may help. What fails
// beside that, as a callback or the history, is wrapped; so is the
// *validate.InputError of a bad setting or Run.
//
// [Monitor.Sweep] returns an [*OrderError] where segments come out of order; what
// it found until then is valid.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/segment: spans "admit
// segment" and "commit segment" with segmentguard.segment, .site_group,
// .job.kind, .job.id, .run.id, .run.attempt, .build, .users.expected,
// .users.stored, .findings and .verdict; a failure sets the status and
// error.type: the gravest kind, or superseded, live, unknown. Inside them are the
// spans and metrics of package validate, which know what was judged, and not what
// became of it. With a logger, each check is logged, and each run that failed.
//
// [Monitor.Sweep] has a span "sweep segments" with segmentguard.segments,
// .segments.healthy, .segments.unwatched, .segments.missing, .segments.affected
// and .verdict; error.type is the gravest kind found, or incomplete. The metric
// segmentguard.segments.affected ({segment}) has one value a sweep, job kind and
// gravest kind, with attributes segmentguard.verdict, segmentguard.job.kind and
// error.type, and the value 0 where nothing was found.
package segment
