package segment

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrOvertaken says that another run of the segment went live, or was about to,
// while this one was on its way: what it read back may hold the users of both and
// is no verdict. Its output was discarded; running the job again helps.
var ErrOvertaken = errors.New("overtaken")

// A Start is what a run knows from its beginning.
type Start struct {
	Number     int64 // of the run, in the one sequence of the ledger, from 1 on; 0: none
	Generation int64 // the segment's then
}

// A Hold is what a run that is about to go live knows of the commit row.
type Hold struct {
	Token      int64 // of its lease; 0: none
	Generation int64 // when it took the row
	Live       bool  // it wrote into what is live: who went live since may have written over it
	Observed   bool  // it did not take the row, and read the generation before it read back what is stored
}

// A CommitRow is what a ledger keeps of each segment so that its runs go live one
// after another. The zero CommitRow is that of a segment of which no run went live.
//
// The protocol that guards follow with it:
//
//  1. Before it reads its source, a run draws a number and plainly reads the
//     generation (Ledger.Next). This waits for nobody.
//  2. Before its output is read back, it takes the row. In a job's own transaction
//     Recorder.Lock keeps it locked until that ends. Elsewhere Lock lasts one short
//     step, and what is taken in it is a lease: a holder, a time by the ledger's
//     clock, and a token that rises whenever a lease is taken. The guard renews the
//     lease while Commit runs.
//  3. A run that takes the row, and finds that one with a later number is live, or
//     may be, is superseded. One that finds the generation moved since it began, and whose
//     check fails, is overtaken: it may have read the users of both.
//  4. Recording a run as live (GoLive) moves the generation and gives the lease
//     back, in one step with the record, and in a job's transaction with its data.
//
// That no two runs are between reading back and their record at once, follows from
// 2: whoever takes a lease needs the row unlocked and no lease on it, and so does
// whoever locks the row in a transaction. So what a run read back is what is live
// when it is recorded, and the ledger's live size is the store's. A lease that was
// not given back may belong to a process that still commits: the run that takes it
// over, and the one that finds it taken, record that what is live is not known.
//
// No deadlock: a transaction takes this row first, the ledger's other rows last,
// for its record, and waits for no lease while it holds the row. A guard with a
// lease holds no lock while it calls the job or waits. Sweeps, decisions,
// rejections and alerts never take the row of a run on its way.
//
// What this forbids, where A and B are runs of one segment: B landing between A's
// reading back and A's record; A landing after B where A began first and B is live;
// A rejected, and people told, for users that B wrote; a size recorded as live that
// is not in the store. What no ledger can forbid is a store that applies a commit
// after the process that sent it was given up; the next sweep finds that.
type CommitRow struct {
	// RunID and Attempt have the lease, also after it ran out, until it is given
	// back or taken over; empty: nobody has.
	RunID   string
	Attempt int
	Since   time.Time // when it was taken
	Until   time.Time // when it runs out
	Token   int64     // of the lease taken last
	Passed  int64     // the number of a run that has the lease and may be live already

	Generation int64 // how often a run went live
	Number     int64 // the latest of the numbers of those runs; 0: none had one

	Now  time.Time `json:"-"` // by the ledger's clock, that of all leases
	Seen int64     `json:"-"` // the generation before the ledger waited for the row

	Damaged *Damage `json:"-"` // what cannot be read of it; nil: nothing
}

// leaseFor is how long a lease holds that is not renewed.
const leaseFor = time.Minute

// A heldError says that somebody else is about to go live.
type heldError struct {
	key Key
	by  CommitRow
}

func (e *heldError) Error() string {
	return fmt.Sprintf("%s: run %s, attempt %d, is about to go live, since %s; it has the segment until %s, or longer while it works",
		e.key, e.by.RunID, e.by.Attempt, e.by.Since.UTC().Format(time.RFC3339), e.by.Until.UTC().Format(time.RFC3339))
}

// held reports whether a lease is on the row that has not run out.
func (c *CommitRow) held() bool { return c.RunID != "" && c.Now.Before(c.Until) }

// mayBeLive returns the latest number of a run that is live or, as its lease was
// never given back, may be.
func (c *CommitRow) mayBeLive() int64 {
	if c.RunID == "" || c.held() {
		return c.Number
	}
	return max(c.Number, c.Passed)
}

// take takes the lease for an attempt.
func (c *CommitRow) take(run string, attempt int) {
	c.Number, c.Passed = c.mayBeLive(), 0
	c.RunID, c.Attempt, c.Since, c.Until = run, attempt, c.Now, c.Now.Add(leaseFor)
	c.Token++
}

// GoLive takes in a record that is live or about to be (RunState.GoesLive). A
// Ledger calls it where it records, with the segment's row locked, and keeps row
// and record in one step. If it returns an error, the ledger keeps neither: the
// run is superseded by one with a later number, or its lease was taken over
// (ErrOvertaken). It marks a record as Overlapped where another run may have gone
// live at the same time.
func (c *CommitRow) GoLive(r *Record) error {
	if err := c.check(r); err != nil {
		return err
	}
	leased := r.Hold.Token != 0
	if r.State == RunPassed {
		if leased {
			c.Until, c.Passed = c.Now.Add(leaseFor), r.Number
		}
		return nil
	}
	c.Generation++
	c.Number = max(c.Number, r.Number)
	if leased {
		c.release(r.Hold.Token)
	}
	return nil
}

// check returns why a record must not go live, and marks one beside which another may
// have.
func (c *CommitRow) check(r *Record) error { //nolint:cyclop // one condition after the other
	leased := r.Hold.Token != 0
	switch {
	case c.Damaged != nil:
		return c.Damaged
	case r.State == RunObserved, r.State == RunSubmitted && r.Hold.Observed: // held back by nothing
		r.Overlapped = r.Overlapped || c.held() && r.Hold.Token != c.Token || r.Hold.Observed && r.Hold.Generation != c.Generation
	case r.Hold.Live && c.moved(r):
		return fmt.Errorf("%s: run %s is %w: another run went live meanwhile, into the same segment", r.Key(), r.RunID, ErrOvertaken)
	case r.Settled, r.Overlapped && r.State != RunPassed: // it is live, whatever came before or after
	case leased && r.Hold.Token != c.Token:
		return fmt.Errorf("%s: run %s is %w: another run took its lease over", r.Key(), r.RunID, ErrOvertaken)
	case r.Number != 0 && r.Number < c.Number:
		return c.superseded(r.Key(), r.RunID)
	case c.moved(r): // one that was only observed
		r.Overlapped = true
	}
	return nil
}

// moved reports whether a run went live since the record's lease was taken.
func (c *CommitRow) moved(r *Record) bool {
	return r.Hold.Token != 0 && r.Hold.Generation != c.Generation
}

// release gives a lease back, if it was not taken over.
func (c *CommitRow) release(token int64) {
	if c.Token == token {
		c.RunID, c.Passed = "", 0
	}
}

// repair makes a row that cannot be read one that nobody holds and whose last holder
// may still go live: it and all who began earlier find that another one was there.
// What is live is not known, then, until a sweep has seen the store.
func (c *CommitRow) repair(number int64) {
	anew := c.Now.UnixMicro() // beyond all that was counted
	*c = CommitRow{
		RunID: "lost", Since: c.Now, Until: c.Now, Now: c.Now, Number: number,
		Token: max(c.Token+1, anew), Generation: max(c.Generation+1, anew),
	}
}

func (c *CommitRow) superseded(key Key, run string) error {
	return fmt.Errorf("%s: run %s is %w: one that began later is live, or may be", key, run, ErrSuperseded)
}

type numberKey struct{}

// NumberFrom returns the number of the run in whose Staging.Commit ctx is, for
// stores that refuse what an older run brings. It is 0 where the run has none.
func NumberFrom(ctx context.Context) int64 {
	number, _ := ctx.Value(numberKey{}).(int64)
	return number
}
