// Package segment holds a job's output back until it is verified. A [Guard]
// reads back what a job stored, judges it by a [Rule], and then commits it or
// discards it, records its size, and alerts people:
//
//	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
//	…
//	_, err = guard.Commit(ctx, segment.Run{
//		ID:       runID,
//		Job:      segment.Copy(to, from),
//		Expected: expected,            // the source's own count, asked by another path
//		Read:     read.Summary(),      // a validate.Digest of what the job read
//		Stored:   stored,              // func(ctx) (validate.Summary, error): reads back
//		Staging:  segment.Staging{Commit: commit, Discard: rollback},
//	})
//	if err != nil {
//		return err // the job fails, the live segment keeps its users
//	}
//
// # How output goes live
//
// Staged output is best: rows beside the live ones, a table to be swapped in, an
// open transaction. Staging.Commit makes it live, Staging.Discard drops it. In the
// job's own transaction set Staging.Tx too: then the size is recorded with the data
// or not at all.
//
// Without staging, write under a generation (the run's ID and attempt): let Stored
// count that generation, Commit delete the older one, and Discard this one.
// Attempts that share a generation would discard each other's users: where a queue
// may hand out an attempt twice, use a number of your own that never repeats.
//
// A store that cannot do even that sets Run.Live: the guard judges, records and
// alerts, but the live segment is not protected. [Guard.Admit] before the first
// write then refuses at least what is known to be wrong by then.
//
// A store whose counts lag behind its writes needs a [Lag] in its rule, and each of
// its counts the time up to which it is complete.
//
// # Stores that answer later
//
// An audience API takes an upload in, answers 200, and shows the users hours later. The
// job ends with [Guard.Submit] in place of Commit:
//
//	_, err := guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
//		run.Expected, run.Read = expected, read.Summary()
//		if err := upload(ctx, users); err != nil {
//			return err // a half-written segment is live, and people are told
//		}
//		return guard.Submit(ctx, *run, time.Now().Add(24*time.Hour))
//	})
//
// What is known by then is judged at once. The rest is in the ledger: the process may
// end, and any other that has the ledger calls [Guard.Settle] every few minutes, with a
// function that asks the API. A run that is there ends well as soon as it is seen; one
// that is not is told when its time is over, and so is an API that does not answer. A
// sweep settles what its listing tells, and takes no segment that waits for affected
// ([Sweep].Submitted counts them). Of runs that are submitted one after the other the
// last one is settled: what is there then is that one's to answer for.
//
// An API that rounds sizes, or withholds small ones, is asked with validate.Bounded, and
// needs validate.Policy.AllowPossible.
//
// # Deltas
//
// A run that adds users to the live segment and removes others sets [Run].Delta. Its
// sides are about the users that it adds; [Delta] also reads back who of the removed is
// still there, and the whole segment afterwards, which is what it must be between what
// was live before less the removed and that plus the added (validate.Delta). The whole is
// the size that is kept, and that sweeps compare.
//
// A change is judged by what was live before it. As long as a run of the segment is
// submitted and not settled nobody knows that: Begin then returns an error, which is
// [Retryable], and the change waits for Settle.
//
// # Runs that meet
//
// Runs of one segment go live one after another, whichever way: before a run's
// output is read back, the guard takes the segment's commit row, in the job's own
// transaction or as a lease that it renews. How that works, and which schedules it
// forbids, is said at [CommitRow].
//
// [Guard.Do] stands around a whole job; or call [Guard.Begin] before the job reads
// its source, and [Guard.Commit] after its last write. A run that began has a
// number. One that ends after a run that began later is [ErrSuperseded]: a slow
// nightly run does not go over a manual one. Where another run went live since it
// began, a check that fails on what was read back is [ErrOvertaken]: it may have
// read the users of both, so nobody is told, and the job runs again. What failed
// before the store was read stays a verdict.
//
// Waits are bounded, by [GuardConfig]: a run that waited in vain for another one's
// turn to end is not verified, and says for whom it waited ([ErrBusy]). Callbacks run
// on the caller's goroutine and have its deadline; where one hangs beyond that,
// [Guard.Do] records the run and tells people from beside it.
//
// # The ledger
//
// A [Ledger] stores what guards and monitors know: sizes, the state of each run,
// alerts, and a log. It decides nothing. [Memory] is one for tests; package
// sqlsegment has one in a SQL database, and package ledgertest checks one of your
// own. Guards on many machines share a ledger.
//
// What is known of a segment is changed by functions over any ledger: [Accept] and
// [Suspect] for what a human decides about sizes, [AcceptWithin] for those that are
// planned, [Import] for sizes from before the guard, so that the first night is no cold
// start, [Rename] for segments that a store has under another name, and [Forget] for
// those that were deleted on purpose. A baseline is made of good sizes only: it leaves
// out what was rejected, what would have failed, what has an unknown outcome, and what
// was called suspect. What is off its history alone is kept beside it, as a candidate for
// a new level: it becomes one by Accept, on the seventh day on which an independent
// Expected vouches for it, or by validate.Policy.Relearn, which a ticket of its own tells.
// Nothing is learned from a member of an incident, nor from what was made from a segment
// that is affected, or was itself accepted or relearned within those days.
//
// # Several stores
//
// Where segments of one name are in several stores, [Rule].Store names the one that a
// job writes to, and [MonitorConfig].Store the one that a monitor lists. Sizes, what is
// live, runs and alerts are kept for each segment and store by itself ([Key]), and a
// monitor judges and ends only those of its own. Decisions, and mutes, name the store.
//
// # Watching all segments
//
// A job's own check cannot see that a segment shrank with no job running, that
// its source was truncated already, or that fifty segments stopped at one number.
// A [Monitor] sweeps over the current sizes of all segments. It judges each by what
// the last run left live, how far that may drift ([Rule]), its history, and what
// many segments have in common. It names the affected segment that another one was
// made from, and puts segments with one fault into an [Incident].
//
// It also finds segments without a good run for too long: for longer than Rule.MaxAge,
// or than their own runs have it. Of segments that no guard stands before it keeps a size
// a day, by which it judges the next ones; what is off can be accepted as that of a run.
//
// A sweep writes and tells some 1,000 segments at a time, so that no guard waits for
// long, however many are affected. [Sweep.Affected] has all of them, Sweep.Findings
// the gravest 1,000, and the ledger each one's alert.
//
// What a ledger cannot read is never taken for nothing: a damaged segment is one
// finding that names the row ([Damage]), its jobs are not verified, and the rest is
// judged. [Repair] drops what cannot be read.
//
// # Alerts
//
// Guards and monitors alert once for each fault of a segment, across restarts and
// machines: they write down what is wrong first, and then tell the [Alerter]. The
// next sweep tells what an alerter that failed does not know. What a guard found is
// over with a run that passes, or with [Accept]; what a sweep found, with a sweep
// that finds it gone, or with a run that passes with another number. Without a
// ledger a guard alerts for every run that fails.
//
// # Reruns
//
// What is affected is known from a sweep ([Sweep.Affected]), from open alerts
// ([AffectedByAlerts]), or from the log by build, kind of job and time
// ([AffectedByLog]), which includes runs that looked fine. Package rerun orders the
// jobs that must run again.
//
// # Errors
//
// An error of [Guard.Commit] is or wraps a *validate.Error (judged and failed, or
// not verifiable), [ErrSuperseded] (a newer attempt, or a run that began later, was
// there), [ErrOvertaken] (another run went live meanwhile), an [*UnknownError] (the
// commit failed, and may have worked) or a [*LiveError] (live, but not recorded). [Retryable] reports whether running the job again may help. Other
// errors, of callbacks and of the ledger, are wrapped, as is the
// *validate.InputError of a bad setting or Run.
//
// [Monitor.Sweep] returns an [*OrderError] where segments come out of order; what
// it found until then is valid.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/segment: spans "do segment",
// around the others, "begin segment", "admit segment" and "commit segment" with segmentguard.segment, .site_group,
// .job.kind, .job.id, .run.id, .run.attempt, .build, .users.expected,
// .users.stored, .findings and .verdict; a failure sets the status and
// error.type: the gravest kind, or superseded, overtaken, live, unknown. "submit segment"
// is the same for a run that ends with Submit. "settle segments" is around a call of
// Settle, with segmentguard.settled.passed, .settled.failed and .settled.waiting, and in it,
// as in a sweep, "settle segment" around each run that is looked at, with the attributes
// of a commit. Inside them are the
// spans and metrics of package validate, which say what was judged, and not what
// became of it. With a logger, each check is logged, and each run that failed.
//
// Where a run waits for its segment, in Begin or Commit, there is a span "wait for
// segment" with segmentguard.segment, .run.id, .job.kind and .hold: lease, or
// transaction (the commit row, in the job's own). error.type is superseded, overtaken
// or, where it waited in vain, unverified; the status says for whom. The metric
// segmentguard.wait.duration (s) has each wait, with .hold, .job.kind and error.type.
//
// [Monitor.Sweep] has a span "sweep segments" with segmentguard.segments,
// .segments.healthy, .segments.unwatched, .segments.missing, .segments.affected
// and .verdict; error.type is the gravest kind found, or incomplete. With a logger,
// each sweep writes one line with its numbers: Info, or Warn where it is incomplete.
//
// The metrics are
//
//	name                                        instrument  unit       attributes
//	segmentguard.runs                           counter     {run}      segmentguard.run.outcome segmentguard.verdict segmentguard.job.kind segmentguard.build
//	segmentguard.segment.count                  gauge       {segment}  segmentguard.segment.state
//	segmentguard.alert.count                    gauge       {alert}    segmentguard.alert.severity segmentguard.alert.kind
//	segmentguard.sweep.duration                 gauge       s
//	segmentguard.sweep.last_complete_timestamp  gauge       s
//	segmentguard.wait.duration                  histogram   s          segmentguard.hold segmentguard.job.kind error.type
//
// segmentguard.runs counts each attempt once, when it ends; one that is submitted ends
// when it is settled. Its outcome is
// committed, observed (live, whatever was found), rejected, failed (its write),
// superseded, overtaken, unknown, or live (and not recorded); its verdict is passed,
// failed or unverified. A share of failures is that of failed among failed and
// passed: what could not be verified says nothing about a build. Kind and build are
// left out where a run has none.
//
// segmentguard.segment.count has the states healthy, affected, missing, unwatched
// and submitted. Each segment of the last complete sweep counts in one.
// segmentguard.alert.count is read from the ledger at the end of each sweep, so
// that it holds what guards found, too; it has a value for each severity and kind, 0
// where none is open. The two of sweeps are of the last one, and of when the last
// complete one began, in Unix time. A sweep is complete where Sweep returned no
// error. A process that has not swept yet has none of the gauges.
//
// Where a store is named, all of them and the spans have segmentguard.store.
//
// No metric carries the name of a segment. A process that runs one build has one
// value of segmentguard.build at a time, and a store of metrics one for each build
// that it remembers. Where each run has a build of its own, drop the attribute by a
// view of the SDK, which puts what exceeds 2,000 sets of attributes into one.
package segment
