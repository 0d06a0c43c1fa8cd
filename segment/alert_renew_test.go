package segment

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// A stutterer is a ledger whose second change fails: it was made and the answer lost, or
// it was never made.
type stutterer struct {
	*Memory

	made  bool
	calls atomic.Int64
}

func (s *stutterer) Change(ctx context.Context, keys []Key, change func(*SegmentState) error) error {
	if s.calls.Add(1) != 2 {
		return s.Memory.Change(ctx, keys, change)
	}
	if s.made {
		return errors.Join(errors.New("the answer was lost"), s.Memory.Change(ctx, keys, change))
	}
	return errors.New("connection refused")
}

// A slow alerter takes its time.
type slow struct {
	takes time.Duration
	told  atomic.Int64
}

func (s *slow) Tell(context.Context, []Alert, []Alert) error {
	time.Sleep(s.takes)
	s.told.Add(1)
	return nil
}

// TestRenewalThatFailed: whoever is telling a slow alerter keeps its claim, also when a
// renewal fails once, whatever became of it.
func TestRenewalThatFailed(t *testing.T) {
	for name, made := range map[string]bool{"and was made": true, "and was not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := ID{SiteGroup: "site-a", Name: "cars"}.In("")
				ledger := &stutterer{Memory: NewMemory(), made: made}
				require.NoError(t, ledger.Memory.Change(t.Context(), []Key{key}, func(s *SegmentState) error {
					s.observe(observation{event: aFault, alert: Alert{Segment: key.Segment, Urgency: Page, Kind: validate.Short, Level: LevelLive}})
					return nil
				}))
				mine, theirs := &slow{takes: 5 * claimFor}, &slow{}
				n := newNotifier(ledger, mine, defaultTimeout, 0, time.Now)
				other := newNotifier(ledger.Memory, theirs, defaultTimeout, 0, time.Now)
				told := make(chan error)
				go func() { told <- n.deliver(t.Context(), []Key{key}, true) }()
				for range 59 {
					time.Sleep(claimFor / 12)
					require.NoError(t, other.deliver(t.Context(), []Key{key}, true))
				}
				require.NoError(t, <-told)
				require.Equal(t, []int64{1, 0}, []int64{mine.told.Load(), theirs.told.Load()}, "people are told once")
				require.NoError(t, other.deliver(t.Context(), []Key{key}, true))
				require.Zero(t, theirs.told.Load(), "and it is written down")
			})
		})
	}
}
