package segment_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// newLiveBench has a job that writes into a store without staging.
func newLiveBench(t *testing.T) *bench {
	b := newBench(t)
	b.run.Live, b.run.Staging = true, segment.Staging{}
	return b
}

// standStill lets a run stand still for longer than its lease lasts.
func (b *bench) standStill() {
	b.failLock(errDown) // renewing fails
	time.Sleep(5*time.Minute + 5*time.Second)
	b.failLock(nil)
}

// TestLiveRunThatWaited: what went live while a run waited for its segment went live
// before it, so that its own check is a verdict.
func TestLiveRunThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLiveBench(t)
		first, second := b.begin("first"), b.run
		second.ID = "second"
		began := make(chan error)
		go func() { began <- b.guard().Begin(t.Context(), &second) }()
		time.Sleep(2 * time.Second)
		_, err := b.guard().Commit(t.Context(), first)
		require.NoError(t, err)
		require.NoError(t, <-began)
		b.staged = 4100
		_, err = b.guard().Commit(t.Context(), second)
		require.ErrorIs(t, err, validate.Short)
		require.Equal(t, segment.RunRejected, b.last().State)
		require.Equal(t, "second", b.open().RunID)
	})
}

// TestLiveRunThatIsOvertaken: what a run reads back that stood still for longer than
// its lease may be the users of the next one. That is no verdict, and nobody knows
// what is live until a sweep has seen it.
func TestLiveRunThatIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLiveBench(t)
		_, err := b.guard().Commit(t.Context(), b.begin("before"))
		require.NoError(t, err)
		slow := b.begin("slow")
		b.standStill()
		other := b.begin("other")
		slow.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(10_600), nil }
		require.NotNil(t, b.state().Live)
		_, err = b.guard().Commit(t.Context(), slow)
		require.ErrorIs(t, err, segment.ErrOvertaken)
		require.Equal(t, segment.RunOvertaken, b.last().State)
		require.Nil(t, b.state().Live)
		require.Equal(t, segment.Page, b.open().Urgency)
		require.Equal(t, segment.RunUnknown, b.open().State, "a sweep ends it")
		b.staged = 5300
		_, err = b.guard().Commit(t.Context(), other)
		require.NoError(t, err)
		require.Nil(t, b.state().Live, "what the slow one still wrote nobody knows")
	})
}

// TestLiveRunThatAnotherWroteOver: a run that took over from one that stood still does
// not vouch for what is live, if that one wrote and was recorded meanwhile. Both are
// recorded.
func TestLiveRunThatAnotherWroteOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLiveBench(t)
		slow := b.begin("slow")
		b.standStill()
		other := b.begin("other")
		for _, run := range []segment.Run{slow, other} {
			_, err := b.guard().Commit(t.Context(), run)
			var live *segment.LiveError
			require.ErrorAs(t, err, &live, run.ID)
			require.ErrorIs(t, err, segment.ErrOvertaken)
			require.Equal(t, run.ID, b.last().RunID)
			require.Equal(t, segment.RunCommitted, b.last().State)
			require.Nil(t, b.state().Live)
			require.Equal(t, segment.RunUnknown, b.open().State)
		}
	})
}

// TestTakenOverTwice: a run that took over from one that was lost, and whose own lease
// was taken over in turn, does not go live.
func TestTakenOverTwice(t *testing.T) {
	var row segment.CommitRow
	row.RunID, row.Token = "third", 3
	passed := segment.Record{RunID: "second", Number: 2, State: segment.RunPassed, Overlapped: true, Hold: segment.Hold{Token: 2}}
	require.ErrorIs(t, row.GoLive(&passed), segment.ErrOvertaken)
	committed := passed
	committed.State = segment.RunCommitted
	require.NoError(t, row.GoLive(&committed), "it is live")
	row.Number, passed.Hold.Token = 5, 3
	require.ErrorIs(t, row.GoLive(&passed), segment.ErrSuperseded)
}

// A tardy ledger takes what it is to write down after whoever asked for it gave up.
type tardy struct {
	*segment.Memory

	left []func() error
}

func (l *tardy) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	ctx = context.WithoutCancel(ctx)
	l.left = append(l.left, func() error { return l.Memory.Change(ctx, keys, change) })
	return errDown
}

// TestWrittenDownLate: that people were told without the ledger is no part of the
// alert that it keeps in the end.
func TestWrittenDownLate(t *testing.T) {
	b := newBench(t)
	l := &tardy{Memory: segment.NewMemory()}
	b.config.Ledger, b.staged = l, 4100
	_, err := b.commit()
	require.ErrorIs(t, err, validate.Short)
	require.Len(t, b.alerts, 1)
	require.True(t, b.alerts[0].Unconfirmed)
	require.Contains(t, b.alerts[0].Text, "not confirmed")
	require.NotEmpty(t, l.left)
	require.NoError(t, l.left[0]())
	b.ledger = l.Memory
	require.False(t, b.open().Unconfirmed)
	require.NotContains(t, b.open().Text, "not confirmed")
}
