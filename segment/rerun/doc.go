// Package rerun plans and runs the jobs that must run again after an incident: every
// job that writes an affected segment, and every job downstream of one.
//
// Affected segments come from a sweep ([segment.Sweep.Affected]), from open alerts
// ([segment.AffectedByAlerts]), or from the log by build, kind of job and time
// ([segment.AffectedByLog]), which includes runs that looked well.
//
//	affected, err := segment.AffectedByAlerts(ctx, ledger)
//	…
//	plan, err := rerun.New(jobs, affected) // jobs: all that there are
//	if err != nil {
//		return err
//	}
//	fmt.Print(plan)
//	outcome, err := plan.Run(ctx, rerun.RunOptions{Limit: 8}, run) // run: the job, guarded
//
// # Planning
//
// [New] orders the jobs: each step of the [Plan] comes after the steps that write what
// it reads, and says why it is there. What cannot be ordered is listed apart: affected
// segments that no job writes, and a [Conflict] for each cycle and each segment with
// several writers, with the jobs that wait for it. A plan of a million jobs takes
// seconds.
//
// A plan is by segment, not by store: a segment that is affected in one of several
// stores has all jobs run again that write it, into whichever store.
//
// [Plan.String] is for an engineer on call. A plan can be written to JSON and read
// back; one that lost a step on the way is refused.
//
// # Running
//
// [Plan.Run] runs the steps in this process. Let each job commit through its
// [segment.Guard] as always: then a rerun that makes the same mistake fails, and what
// reads its segment is not made from it; one that passes resolves the segment's alert.
// The [Outcome] of a run that failed or was stopped resumes the plan.
//
// A queue runs the steps of [Plan.Ready], and asks [Plan.Incomplete] whether everything
// affected was made again.
//
// # In a ledger
//
// [Keep] writes a plan into a ledger, and [Load] reads it back with what became of its
// steps. With RunOptions.Ledger, [Plan.Run] keeps there how far each step is, and
// resumes what is done:
//
//	err = rerun.Keep(ctx, ledger, "march", plan, segment.Decision{By: "ann", Why: "the truncated night", At: time.Now()})
//	…
//	outcome, err := plan.Run(ctx, rerun.RunOptions{Ledger: ledger, PlanID: "march"}, run)
//
// A step waits, runs, and is done. One that is [Proven] wrong has failed, and all that
// waits for it is cancelled, and nothing else. One that could not be verified, or broke,
// is unverified: it may be tried again, and what waits for it waits on. A queue of your
// own keeps the same by [StartStep], [EndStep] and [FailStep], in the transaction in
// which a step works where it has one; package segment/riversegment is such a queue on
// River. [Resume] makes what failed wait again.
//
// # Errors
//
// [New], [Plan.Run], [Plan.Ready] and [Plan.Incomplete] return an error that wraps a
// *validate.InputError where what they are given is wrong, and then nothing was run.
// [Plan.Run] and [Plan.Incomplete] return an [*IncompleteError] where something
// affected was not made again. With a ledger, [Plan.Run] also returns the ledger's error,
// and nothing was run. An *IncompleteError unwraps to the errors of the steps that failed, a
// [*PanicError] for one that panicked, and to the cause of a context that ended.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/segment/rerun, [Plan.Run] has a
// span "run rerun plan" with segmentguard.plan.steps, .done, .failed, .blocked,
// .never_started, .conflicts and .no_writer. Where it returns an error, the status and
// error.type are set: failed, if a step did; cancelled, if the context ended before all
// steps had started; else incomplete. Inside it each step has a span "run rerun step"
// with segmentguard.step.number, segmentguard.segment, segmentguard.site_group,
// segmentguard.job.kind and segmentguard.job.id; where it is not done, the status and
// error.type are set: failed, if that is proven, else unverified. The spans of the jobs
// are inside that.
package rerun
