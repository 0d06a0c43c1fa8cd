// Package riversegment runs a plan of reruns (package rerun) as jobs of River, on
// PostgreSQL by pgx: by many processes, of which any may die.
//
//	reruns, err := riversegment.New(riversegment.Config{Pool: pool, Ledger: ledger, Guard: guard, Remake: remake})
//	…
//	workers := river.NewWorkers()
//	river.AddWorker(workers, reruns.Worker())
//	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
//		Queues:  map[string]river.QueueConfig{riversegment.Queue: {MaxWorkers: 8}},
//		Workers: workers,
//	})
//	…
//	err = reruns.Insert(ctx, client, "march", plan, segment.Decision{By: "ann", Why: "the truncated night", At: time.Now()})
//
// [Reruns.Insert] writes a plan into the ledger and its first steps into River, in one
// transaction. A step becomes a job of River once all that it waits for is done, in the
// transaction that ends the last one of these. The ledger keeps how far each step is, in
// the tables of package sqlsegment; River keeps only what is to run next.
//
// # A step
//
// A worker calls [Config].Remake with a transaction and a run that the guard has begun. It
// makes the segment again in the transaction, and has the guard commit the run:
//
//	func remake(ctx context.Context, tx pgx.Tx, run segment.Run) error {
//		… // read, write by tx, set run.Expected and run.Stored
//		_, err := guard.Commit(ctx, run)
//		return err
//	}
//
// The run's Staging commits, in the one transaction, the users that were written, the
// ledger's record, that the step is done, the jobs of the steps that waited for it alone,
// and the end of the River job. Whatever dies before leaves nothing of it, and the step
// runs again: River's rescuer finds it after river.Config.RescueStuckJobsAfter. Two
// attempts at a step never work at the same time, and only one is done. A store that is
// not in the transaction is made live before it: wrap run.Staging.Commit, and expect that
// it runs again.
//
// # What fails
//
// A failure that is proven (rerun.Proven) would be the same again: the step has failed,
// its River job is cancelled, with the report in its metadata, and all that waits for it
// in the ledger is cancelled, and nothing else. So is a step whose last attempt by River
// failed. What could not be verified, or broke, is tried again as River tries; what waits
// for it waits on. After the cause is mended, [Reruns.Resume] runs what failed and all
// that was cancelled by it; River's own retry of a job does so for one step.
//
// # Errors
//
// Bad input is an error that wraps a *validate.InputError, a plan that the ledger has
// already segment.ErrPlanKnown, and then nothing was inserted. All else wraps the error
// of the ledger, of pgx or of River.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/segment/riversegment, each attempt
// at a step has a span "run rerun step" with segmentguard.plan.id,
// segmentguard.step.number, segmentguard.run.id, segmentguard.run.attempt,
// segmentguard.segment, segmentguard.site_group, segmentguard.job.kind and
// segmentguard.job.id. Where the step is not done, the status and error.type are set:
// failed, if nobody tries it again, else unverified. The guard's spans are inside it.
package riversegment
