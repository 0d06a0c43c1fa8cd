package riversegment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	scope   = "github.com/segmentguard/segmentguard/segment/riversegment"
	version = "0.1.0"
)

// Queue is the reruns' own queue of River: their priorities do not compete with other
// jobs'.
const Queue = "reruns"

// A Config says where plans are kept and how a segment is made again.
type Config struct {
	Pool   *pgxpool.Pool      // in which steps work; River's tables are in its database
	Ledger *pgxsegment.Ledger // in the same database
	// Guard begins each run, before its transaction does, so that no step waits for a
	// second connection. Its ledger is Ledger. Workers need it.
	Guard *segment.Guard
	// Remake makes the segment of run.Job again. All that it writes belongs into tx. It
	// returns nil only if run.Staging.Commit was called and returned nil, as Guard's
	// Commit does it. Workers need it.
	Remake func(ctx context.Context, tx pgx.Tx, run segment.Run) error
	// Build is the version of the jobs' code, as in segment.Run.
	Build string
	// Worker names this process in the ledger. Empty: the ID of River's client.
	Worker string

	TracerProvider trace.TracerProvider // nil: the global one
}

// Reruns run plans as jobs of River. Use New to make them.
type Reruns struct {
	config Config
	tracer trace.Tracer
}

// New returns an error that wraps a *validate.InputError where the pool or the ledger is
// missing.
func New(c Config) (*Reruns, error) {
	switch {
	case c.Pool == nil:
		return nil, fmt.Errorf("riversegment: %w", &validate.InputError{Field: "Config.Pool", Value: "nil", Want: "an open *pgxpool.Pool"})
	case c.Ledger == nil:
		return nil, fmt.Errorf("riversegment: %w", &validate.InputError{Field: "Config.Ledger", Value: "nil", Want: "the ledger in the pool's database"})
	}
	tracers := c.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	return &Reruns{config: c, tracer: tracers.Tracer(scope, trace.WithInstrumentationVersion(version))}, nil
}

// StepArgs are the arguments of a step's River job. The rest is in the ledger.
type StepArgs struct {
	Plan   string `json:"plan"   river:"unique"`
	Number int    `json:"number" river:"unique"`
	Job    string `json:"job"` // its ID, for people
	// Bounds are the priorities from which on steps of the plan have River's 1, 2 and 3.
	Bounds []int `json:"bounds,omitempty"`
}

// Kind implements river.JobArgs.
func (StepArgs) Kind() string { return "segmentguard_rerun" }

// Insert writes a plan into the ledger under a name, by whom and why, and its first steps
// into River. It is there as a whole or not at all.
func (r *Reruns) Insert(ctx context.Context, client *river.Client[pgx.Tx], id string, p rerun.Plan, d segment.Decision) error {
	err := r.transact(ctx, func(tx pgx.Tx) error {
		if err := rerun.Keep(ctx, r.config.Ledger.Tx(tx), id, p, d); err != nil {
			return err
		}
		return r.insertReady(ctx, tx, client, id, nil)
	})
	return wrap("inserting plan "+id, err)
}

// Resume runs the steps of a plan that failed, what was cancelled by them, and whatever
// else could run and has no job in River. What is done stays done, and what River has in
// hand stays there.
func (r *Reruns) Resume(ctx context.Context, client *river.Client[pgx.Tx], id string) error {
	err := r.transact(ctx, func(tx pgx.Tx) error {
		known := false
		for _, err := range r.config.Ledger.Tx(tx).Plans(ctx, segment.PlanFilter{ID: id}) {
			if known = true; err != nil {
				return err
			}
		}
		if !known {
			return &validate.InputError{Field: "Resume: id", Value: id, Want: "a plan that the ledger has"}
		}
		failed := map[int]bool{}
		for s, err := range r.config.Ledger.Tx(tx).Steps(ctx, segment.StepFilter{Plan: id, State: segment.StepFailed}) {
			if failed[s.Number] = true; err != nil {
				return err
			}
		}
		if err := rerun.Resume(ctx, r.config.Ledger.Tx(tx), id); err != nil {
			return err
		}
		return r.insertReady(ctx, tx, client, id, failed)
	})
	return wrap("resuming plan "+id, err)
}

// transact asks for the level at which a statement sees what was committed before it:
// steps that end at the same moment count each other.
func (r *Reruns) transact(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, r.config.Pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
}

// insertReady inserts all steps of a plan that are not done and wait for no other. failed
// are those that had failed.
func (r *Reruns) insertReady(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], id string, failed map[int]bool) error {
	priorities := map[int]bool{}
	var ready []segment.PlanStep
	for s, err := range r.config.Ledger.Tx(tx).Steps(ctx, segment.StepFilter{Plan: id}) {
		if err != nil {
			return err
		}
		priorities[s.Job.Priority] = true
		if s.Progress.Waits == 0 && s.Progress.State != segment.StepDone {
			ready = append(ready, s)
		}
	}
	return insert(ctx, tx, client, bounds(slices.Collect(maps.Keys(priorities))), ready, failed)
}

// insert inserts steps in the plan's order, which is River's too among jobs of one
// priority. One that River has in hand already is not inserted again, unless it had
// failed: River may be about to cancel the job that it has.
func insert(ctx context.Context, tx pgx.Tx, client *river.Client[pgx.Tx], bounds []int, steps []segment.PlanStep, failed map[int]bool) error {
	const atOnce = 1000
	for some := range slices.Chunk(steps, atOnce) {
		jobs := make([]river.InsertManyParams, len(some))
		for i := range some {
			s := &some[i]
			jobs[i].Args = StepArgs{Plan: s.Plan, Number: s.Number, Job: s.Job.ID, Bounds: bounds}
			jobs[i].InsertOpts = &river.InsertOpts{Queue: Queue, Priority: priority(s.Job.Priority, bounds)}
			if !failed[s.Number] {
				jobs[i].InsertOpts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: inHand}
			}
		}
		if _, err := client.InsertManyTx(ctx, tx, jobs); err != nil {
			return err
		}
	}
	return nil
}

// inHand are the states of a job that River has run or will run by itself.
var inHand = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// bounds returns the priorities from which on steps have River's 1, 2 and 3. River has
// four, and 1 comes first: the highest of a plan becomes 1, the next one 2, and if there
// are more than four, neighbours share one. None ever comes before a higher one.
func bounds(priorities []int) (lowest []int) {
	slices.SortFunc(priorities, func(a, b int) int { return b - a })
	for rank, p := range priorities {
		switch level := rank * 4 / max(len(priorities), 4); {
		case level == 3:
		case level == len(lowest):
			lowest = append(lowest, p)
		default:
			lowest[level] = p
		}
	}
	return lowest
}

// priority returns River's priority.
func priority(of int, bounds []int) int {
	for i, lowest := range bounds {
		if of >= lowest {
			return i + 1
		}
	}
	return min(len(bounds)+1, 4)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("riversegment: %s: %w", doing, err)
}
