package segment

import (
	"context"
	"encoding/json"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Submitted is a run that wrote into a store which answers later, and what it is
// judged by then.
type Submitted struct {
	Segment ID     `json:"-"`
	Store   string `json:"-"`
	Side    Side   `json:"-"` // that is to be read back

	RunID     string           `json:"run_id"`
	Attempt   int              `json:"attempt"`
	Number    int64            `json:"number,omitempty"`
	Build     string           `json:"build,omitempty"`
	Job       Job              `json:"job"`
	Counter   string           `json:"counter,omitempty"`
	At        time.Time        `json:"at"`    // when it was submitted
	Until     time.Time        `json:"until"` // when the store is to have answered
	WrittenAt time.Time        `json:"written_at,omitzero"`
	Expected  validate.Summary `json:"expected"` // this one and the next two as far as text holds them: no Digest
	Read      validate.Summary `json:"read,omitzero"`
	Written   validate.Summary `json:"written,omitzero"`

	// Delta is what the run changed, with what the segment held before; nil: it wrote all.
	Delta *validate.Delta `json:"delta,omitempty"`
	// First says that no run of the segment was recorded before this one, so that nothing
	// else may still be on its way into the store.
	First bool `json:"first,omitempty"`
	// Before is what was live before the run or, of the First, what the store showed when
	// it was first read afterwards; nil: not known.
	Before *validate.Size `json:"before,omitempty"`
	// Generation is the segment's after the run (CommitRow); below 0: not known.
	Generation int64 `json:"generation"`
}

// A Side is what Settle asks of a store.
type Side string

// The sides. All but the first are of a run that is a Delta.
const (
	SideStored    Side = "stored"    // what the store holds; of a Delta, of the users that were added
	SideRemaining Side = "remaining" // of the users that were removed, who is there
	SideWhole     Side = "whole"     // the whole segment
)

// longestLater is how long after a run its store may answer.
const longestLater = 31 * day

// Submit ends a Live run whose store answers hours later. What is known by now,
// Expected, Read, Written and the history, is judged as Admit does; the rest is judged
// by Settle, or by a sweep, which read the store back in place of Run.Stored. Until
// then nobody knows what is live, and at the time until at the latest people are told
// of a store that did not take in what it was given, or does not answer.
//
// If Submit returns nil, the run is recorded, its segment is free for the next run, and
// the process may end. Otherwise the error is one that Commit returns for a Live run:
// the run is recorded as rejected, and people are told. It wraps a
// *validate.InputError where the run is not Live, has Stored, was not begun (Do or
// Begin), where there is no ledger, or where until is not within 31 days from now.
//
// A run that goes live, is submitted or fails half-way after this one takes its place:
// that is in the log, and what is there then is the later run's to answer for. In Do,
// write may call Submit as its last step: Do then does not commit.
func (g *Guard) Submit(ctx context.Context, run Run, until time.Time) error {
	r := &guardedRun{guard: g, run: run, turn: run.turn, submitting: true, until: until.UTC()}
	_, err := g.guarded(ctx, "submit segment", r)
	if r.lookout != nil { // of Do, which need not commit now
		r.lookout.err = err
		r.lookout.reached(submitted)
	}
	return err
}

// checkSubmission returns why nobody could settle the run later.
func (r *guardedRun) checkSubmission() error {
	switch now := r.guard.now(); {
	case !r.run.Live:
		return badInput("Run.Live", false, "true to submit it: what is staged is committed once it was read back")
	case r.run.Stored != nil:
		return badInput("Run.Stored", "set", "nil to submit it: Settle reads what is stored")
	case r.guard.config.Ledger == nil:
		return badInput("GuardConfig.Ledger", "nil", "a ledger that remembers what was submitted")
	case r.run.Delta != nil && (r.run.Delta.Whole != nil || r.run.Delta.Remaining != nil):
		return badInput("Run.Delta.Whole", "set", "nil to submit it, and so Remaining: Settle reads what is stored")
	case !r.until.After(now), r.until.Sub(now) > longestLater:
		return badInput("until", r.until.Format(time.RFC3339), "a time after now, and within 31 days")
	case !r.begun && r.rule.Mode != Observe:
		return badInput("Run", "not begun", "a run that Do or Begin began")
	}
	return nil
}

// submit records that the run waits for its store, and frees the segment in the same
// step.
func (r *guardedRun) submit(ctx context.Context) error {
	r.lookout.reached(known)
	record := r.record(RunSubmitted)
	record.Submitted = &Submitted{
		RunID: r.run.ID, Attempt: r.run.Attempt, Number: r.start.Number, Build: r.run.Build, Job: r.run.Job, Counter: r.run.Counter,
		At: r.at, Until: r.until, WrittenAt: r.run.WrittenAt,
		Expected: written(r.run.Expected), Read: written(r.run.Read), Written: written(r.run.Written),
		Generation: r.hold.Generation + 1, // as nobody else went live since, or it is not recorded
	}
	if d := r.out.Delta; d != nil {
		record.Submitted.Delta = &validate.Delta{Last: d.Last, Removed: written(d.Removed), Drift: d.Drift}
	}
	err := afterwards(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		return wrap("recording it as "+string(RunSubmitted), r.guard.config.Ledger.Record(ctx, record))
	})
	switch {
	case err == nil:
		return nil
	case yields(err):
		return r.yield(ctx, err)
	case r.rule.Mode == Observe:
		r.log(ctx, "the run is not settled later", err)
		return nil
	}
	r.unverified(&outage{"submitting", err})
	return r.reject(ctx)
}

// written returns a side as a ledger gives it back.
func written(s validate.Summary) (back validate.Summary) {
	text, err := json.Marshal(s)
	if err != nil || json.Unmarshal(text, &back) != nil {
		return s
	}
	return back
}
