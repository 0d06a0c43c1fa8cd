package segment_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestTextsThatNoDatabaseTakes: a run with one of them is refused by its field's name,
// and that it was is recorded, in its rule's store, and told.
func TestTextsThatNoDatabaseTakes(t *testing.T) {
	for field, edit := range map[string]func(*segment.Run){
		"Run.Build":    func(r *segment.Run) { r.Build = "v\xff1" },
		"Run.Job.Kind": func(r *segment.Run) { r.Job.Kind = "co\x00py" },
		"Run.Job.ID":   func(r *segment.Run) { r.Job.ID = "\xff" },
		"Run.Counter":  func(r *segment.Run) { r.Counter = "\x00" },
		"Run.ID":       func(r *segment.Run) { r.ID = "\xff" },
	} {
		b := newBench(t)
		b.rule(segment.Rule{Store: "crm"})
		edit(&b.run)
		_, err := b.commit()
		bad, ok := errors.AsType[*validate.InputError](err)
		require.True(t, ok, field)
		require.Equal(t, []any{field, "UTF-8 without NUL"}, []any{bad.Field, bad.Want})
		require.False(t, segment.Retryable(err))
		require.Equal(t, int64(4800), b.live)
		var recorded []segment.LogEntry
		for e, err := range b.ledger.Log(t.Context(), segment.LogFilter{Action: segment.ActionRecorded, Store: new("crm")}) {
			require.NoError(t, err)
			recorded = append(recorded, e)
		}
		if field == "Run.ID" {
			require.Empty(t, recorded, "there is no name to file it under")
			continue
		}
		require.Len(t, recorded, 1, field)
		require.Equal(t, segment.RunRejected, recorded[0].Record.State)
		for _, text := range []string{recorded[0].Record.Build, string(recorded[0].Record.JobKind), recorded[0].Record.JobID, recorded[0].Record.Counter} {
			require.NotContains(t, text, "\xff")
			require.NotContains(t, text, "\x00")
		}
		require.Len(t, b.alerts, 1)
		require.Equal(t, "crm", b.alerts[0].Store)
	}
}

// TestStoreWhileTheRulesAreOutOfReach: what cannot be verified is told of the store that
// the job wrote to before, or no later pass would end it.
func TestStoreWhileTheRulesAreOutOfReach(t *testing.T) {
	b := newBench(t)
	b.rule(segment.Rule{Store: "crm"})
	_, err := b.commit()
	require.NoError(t, err)
	down := errors.New("no rules now")
	b.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{}, down }
	b.run.ID = "tuesday"
	_, err = b.commit()
	require.ErrorIs(t, err, down)
	open := func() (alerts []*segment.Alert) {
		for s, err := range b.ledger.Segments(t.Context(), segment.SegmentFilter{Store: new("crm"), Affected: true}) {
			require.NoError(t, err)
			alerts = append(alerts, s.Alert.Open)
		}
		return alerts
	}
	require.Equal(t, "crm", open()[0].Store)
	b.rule(segment.Rule{Store: "crm"})
	b.run.ID, b.staged = "wednesday", 5300
	_, err = b.commit()
	require.NoError(t, err)
	require.Empty(t, open())
}

// unlisted is a ledger that cannot list its segments.
type unlisted struct{ segment.Ledger }

func (unlisted) Segments(context.Context, segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) { yield(segment.SegmentState{}, errDown) }
}

// TestStoreThatCannotBeFound: that nobody knows whose alert it is, is said.
func TestStoreThatCannotBeFound(t *testing.T) {
	b := newBench(t)
	b.config.Ledger = unlisted{b.config.Ledger}
	b.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
		return segment.Rule{}, errors.New("no rules now")
	}
	_, err := b.commit()
	require.ErrorIs(t, err, validate.Unverified)
	require.ErrorContains(t, err, "no rules now")
	require.ErrorIs(t, err, errDown)
	require.ErrorContains(t, err, "finding the store that the job wrote to before")
}

// TestLiveOutputIsNotCommitted: what is live already can be neither committed
// nor discarded, each by itself.
func TestLiveOutputIsNotCommitted(t *testing.T) {
	for _, edit := range []func(*segment.Run){
		func(r *segment.Run) { r.Staging.Commit = nil },
		func(r *segment.Run) { r.Staging.Discard = nil },
	} {
		b := newBench(t)
		b.run.Live = true
		edit(&b.run)
		_, err := b.commit()
		require.ErrorContains(t, err, "Run.Live is true, want no Staging with it")
		require.Equal(t, int64(4800), b.live)
	}
}
