package segmenttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

const (
	members     = 30_000 // whom the segment holds before a job changes it
	leavesEvery = 20     // of them, one is to be removed
)

// Faults of a removal. They can happen only to a job that changes a segment ([TestDelta]).
var (
	// RemovesNothing answers that it removed users, and removed none. Wanted: Surplus.
	RemovesNothing = Fault{
		name: "RemovesNothing",
		why:  "Removing users is answered, and nobody is removed, as by an API that takes removals in and drops them. Only who of the removed is still there tells.",
		set:  removing(func([]string, string) bool { return false }),
		want: found(validate.Surplus),
	}
	// RemovesHalf removes every other user that it is asked to. Wanted: Surplus.
	RemovesHalf = Fault{
		name: "RemovesHalf",
		why:  "Every other user is removed. A whole that may shrink by as many as are to leave does not tell.",
		set: removing(func(asked []string, user string) bool {
			at, found := slices.BinarySearch(asked, user)
			return found && at%2 == 0
		}),
		want: found(validate.Surplus),
	}
	// RemovesTooMany removes other users as well. Wanted: Short.
	RemovesTooMany = Fault{
		name: "RemovesTooMany",
		why:  "All are removed whose ids begin as those of the removed do, as by a pattern that is one character too short. Only the whole segment tells.",
		set: removing(func(asked []string, user string) bool {
			prefix := user[:len(user)-1]
			at, _ := slices.BinarySearch(asked, prefix)
			return at < len(asked) && strings.HasPrefix(asked[at], prefix)
		}),
		want: found(validate.Short),
	}
)

// A removal reports whether a user of the segment is removed where others, who are
// sorted, were to be.
type removal func(asked []string, user string) bool

func removing(r removal) []func(*flaws) {
	return set(func(broken *flaws) { broken.removes = r })
}

// DeltaFaults returns the faults that can happen to a job that adds users to the live
// segment and removes others.
func DeltaFaults() []Fault {
	return []Fault{
		StopsAt10000, StopsAtOddNumber, DropsPage, ReadFails, FailsWriteSilently, LosesShard, DropsOnePercent, ReadBackFails, CommitFails,
		RemovesNothing, RemovesHalf, RemovesTooMany,
	}
}

// TestDelta runs a job that changes the live segment by [Store.Change]: it adds the users
// of the source, and removes those of [Store.Leaving]. It does so in a healthy store and in
// one with each of the faults, all of [DeltaFaults] if none are given. Another run stored
// the segment before, by a guard over the same ledger.
func TestDelta(t *testing.T, job Job, faults ...Fault) {
	t.Helper()
	if len(faults) == 0 {
		faults = DeltaFaults()
	}
	for _, f := range append([]Fault{healthy}, faults...) {
		t.Run(f.String(), func(t *testing.T) {
			t.Helper()
			t.Log(f.why)
			var problem string
			synctest.Test(t, func(t *testing.T) { problem = tryDelta(t.Context(), job, f) })
			if problem != "" {
				t.Errorf("%v: %s", f, problem)
			}
		})
	}
}

func tryDelta(ctx context.Context, job Job, f Fault) (problem string) {
	if len(f.set) == 0 || f.nights != 0 || len(f.older) > 0 {
		return "it cannot happen to a job that changes a segment: take one of DeltaFaults"
	}
	w := newWorld(f)
	w.changes = true
	w.generations[yesterdays].rows = rowsOf(numbered("member", members), w.ago)
	if err := w.storeMembers(ctx); err != nil {
		return fmt.Sprintf("the run before could not be recorded: %v", err)
	}
	return attempt(ctx, job, w.store(1), f.want)
}

// storeMembers records the run that stored the segment as it is before the job.
func (w *world) storeMembers(ctx context.Context) error {
	s := w.store(1)
	guard, err := segment.NewGuard(s.Config())
	if err != nil {
		return err
	}
	run := s.Run()
	run.ID, run.Expected = yesterdays, validate.Count(members)
	run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(members), nil }
	run.Staging.Commit = func(context.Context) error { return nil }
	if err := guard.Begin(ctx, &run); err != nil {
		return err
	}
	_, err = guard.Commit(ctx, run)
	return err
}

// staying returns the members who are not to be removed.
func staying() []string {
	return without(numbered("member", members), func(i int, _ string) bool { return i%leavesEvery == 0 })
}

// Leaving returns the users that a job is to remove from the live segment, sorted: they
// are in it, and not in the source.
func (s *Store) Leaving() []string {
	return without(numbered("member", members), func(i int, _ string) bool { return i%leavesEvery != 0 })
}

// A Change is the live segment as one attempt changes it, beside the one that readers see
// until it is published, as in a transaction. It is safe for concurrent use.
type Change struct{ target *Target }

// Change returns the live segment, to be changed.
func (s *Store) Change() *Change { return &Change{s.Stage()} }

// Add adds users. If it returns nil, the destination says that they are there, whether
// they are or not.
func (c *Change) Add(ctx context.Context, users []string) error { return c.target.Write(ctx, users) }

// Remove removes users. If it returns nil, the destination says that they are gone,
// whether they are or not.
func (c *Change) Remove(ctx context.Context, users []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	asked := slices.Sorted(slices.Values(users))
	w := c.target.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	removes := w.removes
	if removes == nil {
		removes = among
	}
	g := w.generation(c.target.stamp)
	g.rows = slices.DeleteFunc(g.rows, func(r row) bool { return removes(asked, r.user) })
	return nil
}

// Added reads back how many users of the source are there.
func (c *Change) Added(ctx context.Context) (validate.Summary, error) {
	return c.count(ctx, c.target.store.source)
}

// Remaining reads back how many are there of those who were to be removed.
func (c *Change) Remaining(ctx context.Context) (validate.Summary, error) {
	return c.count(ctx, c.target.store.Leaving())
}

// Whole reads back how many users the segment has.
func (c *Change) Whole(ctx context.Context) (validate.Summary, error) { return c.target.Count(ctx) }

// Publish makes the change visible to the segment's readers.
func (c *Change) Publish(ctx context.Context) error { return c.target.Publish(ctx) }

// Discard drops the change: the live segment is as it was before.
func (c *Change) Discard(ctx context.Context) error { return c.target.Discard(ctx) }

// count reads back how many of some users, who are sorted, are there.
func (c *Change) count(ctx context.Context, of []string) (validate.Summary, error) {
	users, asOf, err := c.target.readBack(ctx)
	if err != nil {
		return validate.Summary{}, err
	}
	n := 0
	for _, user := range users {
		if among(of, user) {
			n++
		}
	}
	return validate.Count(int64(n)).AsOf(asOf), nil
}

// among reports whether a user is one of some who are sorted.
func among(users []string, user string) bool {
	_, is := slices.BinarySearch(users, user)
	return is
}
