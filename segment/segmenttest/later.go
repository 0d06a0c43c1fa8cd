package segmenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	processing = 2 * time.Hour  // from the last upload until an Audience shows it
	settling   = 48 * time.Hour // for which TestLater settles
)

// LaterFaults returns the faults that can happen to a job whose store answers later: all
// [Faults] but those of staging, and of a store that says up to when it is complete.
func LaterFaults() []Fault {
	return Except(CappedBehindMapping, LagsAWhile, LagsForever, CommitFails, OlderAttempt)
}

// TestLater runs a job that ends with segment.Guard.Submit against [Store.Audience], and
// then settle every hour for two days, which calls segment.Guard.Settle: against a healthy
// store, and against one with each of the faults, all of [LaterFaults] if none are given.
// The fault may be found by either, when the job submits or when it is settled. The live
// segment is not protected in such a store, so that only what is said counts.
func TestLater(t *testing.T, job, settle Job, faults ...Fault) {
	t.Helper()
	if len(faults) == 0 {
		faults = LaterFaults()
	}
	for _, f := range append([]Fault{healthy}, faults...) {
		t.Run(f.String(), func(t *testing.T) {
			t.Helper()
			t.Log(f.why)
			var problem string
			synctest.Test(t, func(t *testing.T) { problem = tryLater(t.Context(), job, settle, f) })
			if problem != "" {
				t.Errorf("%v: %s", f, problem)
			}
		})
	}
}

// tryLater says what is wrong with how a submitted job ended; "" if nothing is.
func tryLater(ctx context.Context, job, settle Job, f Fault) (problem string) {
	if len(f.set) == 0 || f.nights != 0 || len(f.older) > 0 {
		return "it cannot happen to a job that submits: take one of LaterFaults"
	}
	s := newWorld(f).store(1)
	err := job(ctx, s)
	for range settling / time.Hour {
		time.Sleep(time.Hour)
		err = errors.Join(err, settle(ctx, s))
	}
	for waits, failure := range s.world.ledger.Segments(ctx, segment.SegmentFilter{Submitted: true}) {
		return fmt.Sprintf("%s waits for its store still (%v), %d hours after it was submitted: settle it", waits.Segment, failure, settling/time.Hour)
	}
	var l live
	l.after, l.right = s.world.look()
	i := slices.IndexFunc(f.want, func(o outcome) bool { return o.is(err) })
	switch {
	case len(f.want) == 0 && err != nil:
		return fmt.Sprintf("the job failed where it should have passed: %v. %s", err, l.describe(true))
	case len(f.want) == 0 && !l.proper(true):
		return "the job reported success. " + l.describe(true)
	case len(f.want) == 0 || i >= 0:
		return ""
	case err == nil:
		return fmt.Sprintf("the fault went through: the job reported success, and so did settling it, want an error that is %s. %s", list(f.want), l.describe(true))
	}
	return fmt.Sprintf("the job failed, but not with an error that is %s: %s%v. %s", list(f.want), unwrapped(f.want, err), err, l.describe(true))
}

// An Audience takes users in, and shows them two hours after the last of them, in the
// place of those that it showed before. It does not say up to when its answers are
// complete. It is safe for concurrent use.
type Audience struct{ upload Target }

// Audience returns a destination that answers later, for jobs that submit their runs.
func (s *Store) Audience() *Audience {
	return &Audience{Target{store: s, stamp: s.Run().ID + ", uploaded"}}
}

// Upload adds users to those of this run. If it returns nil, the destination says that it
// took them in, whether it did or not.
func (a *Audience) Upload(ctx context.Context, users []string) error {
	err := a.upload.Write(ctx, users)
	w := a.upload.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uploaded, w.uploadedAt = a.upload.stamp, time.Now()
	return err
}

// Count returns how many users the audience shows now.
func (a *Audience) Count(ctx context.Context) (validate.Summary, error) {
	users, err := a.shows(ctx)
	if err != nil {
		return validate.Summary{}, err
	}
	return validate.Count(int64(len(users))), nil
}

// Summarize returns which users the audience shows now.
func (a *Audience) Summarize(ctx context.Context) (validate.Summary, error) {
	users, err := a.shows(ctx)
	if err != nil {
		return validate.Summary{}, err
	}
	return digested(users), nil
}

func (a *Audience) shows(ctx context.Context) (users []string, err error) {
	w := a.upload.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case w.deaf:
		return nil, errReadBack
	case w.yesterday:
		return w.old(), nil
	}
	w.process()
	for _, stamp := range w.live {
		users = append(users, usersOf(w.generations[stamp].rows)...)
	}
	return users, nil
}

// process shows what was uploaded, once its time is over.
func (w *world) process() {
	if w.uploaded == "" || time.Since(w.uploadedAt) < processing {
		return
	}
	for _, stamp := range w.live {
		delete(w.generations, stamp)
	}
	w.live, w.uploaded = []string{w.uploaded}, ""
}
