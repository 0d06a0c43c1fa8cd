package segment_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A changing job adds users to a segment and removes others.
type changing struct {
	*later

	last, removed, added int64 // as it should be
	there, left, whole   int64 // as it is: of the added, of the removed, all
}

// newChanging has a segment of 10,100 users of whom 100 are removed, and 500 others are
// added.
func newChanging(t *testing.T) *changing {
	c := &changing{later: newLater(t), last: 10_100, removed: 100, added: 500, there: 500, whole: 10_500}
	c.commit("before", c.last)
	c.now = c.now.Add(24 * time.Hour)
	return c
}

func counter(n *int64) func(context.Context) (validate.Summary, error) {
	return func(context.Context) (validate.Summary, error) { return validate.Count(*n), nil }
}

func (c *changing) delta() *segment.Delta {
	return &segment.Delta{Removed: validate.Count(c.removed), Remaining: counter(&c.left), Whole: counter(&c.whole)}
}

// run changes the segment in a store without staging.
func (c *changing) change(id string) (validate.Report, error) {
	g := c.guard()
	run := c.run(id, c.added)
	run.Delta = c.delta()
	return g.Do(c.t.Context(), run, func(_ context.Context, run *segment.Run) error {
		run.Read, run.Stored = validate.Count(c.added), counter(&c.there)
		return nil
	})
}

func TestDelta(t *testing.T) {
	c := newChanging(t)
	r, err := c.change("delta")
	require.NoError(t, err)
	require.Equal(t, validate.Count(10_100), r.Delta.Last)
	s := c.state()
	require.Equal(t, int64(10_500), s.Live.Users, "the whole is what is live")
	require.Equal(t, int64(10_500), s.Sizes[1].Users, "and what is kept, never the change")
	require.Zero(t, s.Sizes[1].Read)
	require.Equal(t, 1, c.sweep(c.now.Add(2*time.Hour), validate.Count(10_500)).Healthy)
	require.Len(t, c.sweep(c.now.Add(2*time.Hour), validate.Count(10_499)).Affected, 1)
}

func TestDeltaFails(t *testing.T) {
	for _, c := range []struct {
		reason string
		edit   func(*changing)
		kind   validate.Kind
		level  segment.Level
	}{
		{"one of the removed is there", func(c *changing) { c.left = 1 }, validate.Surplus, segment.LevelLive},
		{"one of the added is not", func(c *changing) { c.there = 499 }, validate.Short, segment.LevelLive},
		{"others were lost by the way", func(c *changing) { c.whole = 5_100 }, validate.Short, segment.LevelLost10},
		{"strangers came", func(c *changing) { c.whole = 10_601 }, validate.Surplus, segment.LevelLive},
		{"all are gone", func(c *changing) { c.whole, c.there = 0, 0 }, validate.Empty, segment.LevelLost100},
	} {
		t.Run(c.reason, func(t *testing.T) {
			job := newChanging(t)
			c.edit(job)
			_, err := job.change("delta")
			require.ErrorIs(t, err, c.kind)
			open := job.state().Alert.Open
			require.Equal(t, c.kind, open.Kind)
			require.Equal(t, segment.Page, open.Urgency)
			require.Equal(t, c.level, open.Level)
			require.Equal(t, int64(10_100), open.Good.Users)
			require.Equal(t, max(10_100, job.whole), open.Users, "the whole is at stake")
			require.Equal(t, job.whole, open.Size.Users, "which Accept accepts")
			require.Len(t, job.state().Sizes, 1)
			require.Nil(t, job.state().Live)
		})
	}
}

// TestDeltaOfNothing passes where nothing moved, and fails where something did.
func TestDeltaOfNothing(t *testing.T) {
	c := newChanging(t)
	c.removed, c.added, c.there, c.whole = 0, 0, 0, 10_100
	_, err := c.change("nothing")
	require.NoError(t, err)
	c.whole = 10_099
	_, err = c.change("nothing again")
	require.ErrorIs(t, err, validate.Short)
}

// TestDeltaAfterUnknown: where nobody knows what was live, the history has to do.
func TestDeltaAfterUnknown(t *testing.T) {
	c := newChanging(t)
	c.left = 1
	_, err := c.change("broken")
	require.Error(t, err)
	require.Nil(t, c.state().Live)
	c.left = 0
	r, err := c.change("repair")
	require.NoError(t, err)
	require.True(t, r.Delta.Last.IsUnknown())
	require.Contains(t, r.Findings[0].Detail, "not known: the whole is judged by its history alone")
	require.Equal(t, int64(10_500), c.state().Live.Users, "known again")

	fresh := &changing{later: newLater(t), added: 500, there: 500, whole: 700}
	_, err = fresh.change("first")
	require.ErrorIs(t, err, validate.Unverified, "of 200 users nobody knows where they are from")
	require.NoError(t, segment.Import(t.Context(), fresh.ledger, []segment.SizeImport{{Segment: cars, Sizes: []validate.Size{{Users: 690, At: fresh.now.Add(-time.Hour)}}}}))
	fresh.now = fresh.now.Add(time.Hour)
	_, err = fresh.change("second")
	require.NoError(t, err)
}

func TestDeltaDrifts(t *testing.T) {
	c := newChanging(t)
	c.whole = 10_601
	c.rule.Drift.Surplus.Users = 1
	_, err := c.change("delta")
	require.NoError(t, err)
}

func TestDeltaBadInput(t *testing.T) {
	for field, edit := range map[string]func(*segment.Delta){
		"Run.Delta.Whole":     func(d *segment.Delta) { d.Whole = nil },
		"Run.Delta.Remaining": func(d *segment.Delta) { d.Remaining = nil },
		"Run.Delta.Removed":   func(d *segment.Delta) { d.Removed = validate.Summary{} },
	} {
		c := newChanging(t)
		run := c.begin("delta", 500)
		run.Stored, run.Delta = counter(&c.there), c.delta()
		edit(run.Delta)
		_, err := c.guard().Commit(t.Context(), run)
		var bad *validate.InputError
		require.ErrorAs(t, err, &bad, field)
		require.Equal(t, field, bad.Field)
	}
	c := newChanging(t)
	c.removed = 0
	run := c.begin("delta", 500)
	run.Stored, run.Delta = counter(&c.there), &segment.Delta{Removed: validate.Count(0), Whole: counter(&c.whole)}
	_, err := c.guard().Commit(t.Context(), run)
	require.NoError(t, err, "nobody was to be removed")
}

// TestDeltaStaged has a change that goes live by its commit.
func TestDeltaStaged(t *testing.T) {
	c := newChanging(t)
	committed := false
	run := segment.Run{
		ID: "delta", Job: copyCars, Expected: validate.Count(500), Stored: counter(&c.there), Delta: c.delta(),
		Staging: segment.Staging{Commit: func(context.Context) error { committed = true; return nil }},
	}
	c.left = 1
	require.NoError(t, c.guard().Begin(t.Context(), &run))
	_, err := c.guard().Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Surplus)
	require.False(t, committed)
	require.Equal(t, int64(10_100), c.state().Live.Users)
	require.Equal(t, segment.LevelProtected, c.state().Alert.Open.Level)
	c.left, run.ID = 0, "again"
	require.NoError(t, c.guard().Begin(t.Context(), &run))
	_, err = c.guard().Commit(t.Context(), run)
	require.NoError(t, err)
	require.True(t, committed)
	require.Equal(t, int64(10_500), c.state().Live.Users)
}

// sides answers what Settle asks of a change.
func (c *changing) sides(_ context.Context, s segment.Submitted) (validate.Summary, error) {
	users, ok := map[segment.Side]int64{segment.SideStored: c.there, segment.SideRemaining: c.left, segment.SideWhole: c.whole}[s.Side]
	if !ok {
		return validate.Summary{}, errDown
	}
	return validate.Count(users), nil
}

func (c *changing) submitDelta(id string) {
	run := c.run(id, c.added)
	run.Delta = &segment.Delta{Removed: validate.Count(c.removed)}
	require.NoError(c.t, c.guard().Begin(c.t.Context(), &run))
	require.NoError(c.t, c.guard().Submit(c.t.Context(), run, c.now.Add(6*time.Hour)))
}

func TestSubmitDelta(t *testing.T) {
	c := newChanging(t)
	c.submitDelta("delta")
	require.Equal(t, validate.Count(10_100), c.state().Submitted.Delta.Last)
	settle := func() (segment.Settlement, error) { return c.guard().Settle(t.Context(), c.sides) }

	c.there, c.left, c.whole = 200, 50, 10_250
	settled, err := settle()
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Waiting: 1}, settled)
	require.Equal(t, 1, c.sweep(c.now.Add(time.Hour), validate.Count(10_500)).Submitted, "a listing has only the whole")

	c.there, c.left, c.whole = 500, 0, 10_500
	settled, err = settle()
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Passed: 1}, settled)
	require.Equal(t, int64(10_500), c.state().Live.Users)

	c.now = c.now.Add(time.Hour)
	c.submitDelta("next")
	c.left = 1
	c.now = c.now.Add(6 * time.Hour)
	settled, err = settle()
	require.ErrorIs(t, err, validate.Surplus)
	require.Equal(t, segment.Settlement{Failed: 1}, settled)
	c.told(validate.Surplus)
}

// TestDeltaBesideSubmitted: what the segment held before is not known as long as another
// change is on its way, and that one must not be forgotten for this one.
func TestDeltaBesideSubmitted(t *testing.T) {
	c := newChanging(t)
	c.submitDelta("first")
	run := c.run("second", c.added)
	run.Delta = c.delta()
	err := c.guard().Begin(t.Context(), &run)
	require.ErrorIs(t, err, validate.Unverified)
	require.ErrorContains(t, err, "run first is submitted until 2024-03-19 08:00:00 and not settled")
	require.True(t, segment.Retryable(err))
	require.Empty(t, c.alerts, "it has written nothing")
	require.Equal(t, "first", c.state().Submitted.RunID)

	late := c.begin("third", c.added) // which says only afterwards that it is one
	late.Stored, late.Delta = counter(&c.there), c.delta()
	_, err = c.guard().Commit(t.Context(), late)
	require.ErrorIs(t, err, validate.Unverified)
	require.Len(t, c.alerts, 1)
	require.Contains(t, c.alerts[0].Text, "run first is submitted")
}

// TestSweepOfSubmittedDelta: a listing cannot tell who was added, so it leaves an hour
// to whoever can.
func TestSweepOfSubmittedDelta(t *testing.T) {
	c := newChanging(t)
	c.submitDelta("delta")
	c.now = c.now.Add(7*time.Hour - time.Second)
	c.sweep(c.now, validate.Count(10_500))
	require.NotNil(t, c.state().Submitted)
	c.now = c.now.Add(time.Second)
	c.sweep(c.now, validate.Count(10_500))
	c.told(validate.Unverified)
}
