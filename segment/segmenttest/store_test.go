package segmenttest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// bubble runs a test against a store in its own time.
func bubble(t *testing.T, f Fault, test func(*testing.T, *Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(f).store(1)) })
}

func pages(t *testing.T, s *Store) (users []string) {
	t.Helper()
	for page, err := range s.Pages(t.Context()) {
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), pageUsers)
		users = append(users, page...)
	}
	return users
}

func TestSource(t *testing.T) {
	bubble(t, healthy, func(t *testing.T, s *Store) {
		require.Equal(t, s.source, pages(t, s))
		for page := range s.Pages(t.Context()) {
			require.Equal(t, s.source[:pageUsers], page)
			break // a job may leave off reading
		}
		count, err := s.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(len(s.source)), count.Users())
		require.Equal(t, time.Now(), count.CompleteUpTo())
		whole, err := s.Summarize(t.Context())
		require.NoError(t, err)
		require.Equal(t, digested(s.source).Fingerprint(), whole.Fingerprint())
		require.Equal(t, segment.Run{ID: "monday", Attempt: 1, Build: "v1", Job: s.Run().Job}, s.Run())
	})
}

// TestSourceTellsTheTruth: whatever is wrong with reading, its own word is right.
func TestSourceTellsTheTruth(t *testing.T) {
	all := Faults()
	bubble(t, all[0].With(all[1:]...), func(t *testing.T, s *Store) {
		whole, err := s.Summarize(t.Context())
		require.NoError(t, err)
		require.Equal(t, digested(s.source).Fingerprint(), whole.Fingerprint())
	})
}

// TestTarget: what is live, step by step.
func TestTarget(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		target       func(*Store) *Target
		written      []string // live once it is written
	}{
		{"staged", "not live before it is published", (*Store).Stage, []string{"old"}},
		{"in place", "live at once, beside what was there", func(s *Store) *Target { return s.InPlace("gen 2") }, []string{"a", "b", "old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, healthy, func(t *testing.T, s *Store) {
				s.world.generations[yesterdays].rows = rowsOf([]string{"old"}, time.Now())
				lives := func() []string { live, _ := s.world.look(); return live }
				first := c.target(s)
				require.NoError(t, first.Write(t.Context(), []string{"b", "a"}))
				require.Equal(t, c.written, lives(), c.reason)
				count, err := first.Count(t.Context())
				require.NoError(t, err)
				require.Equal(t, int64(2), count.Users())
				require.NoError(t, first.Discard(t.Context()))
				require.Equal(t, []string{"old"}, lives(), "nothing is left of what was discarded")

				require.NoError(t, first.Write(t.Context(), []string{"c"}))
				require.NoError(t, first.Publish(t.Context()))
				require.Equal(t, []string{"c"}, lives(), "what is published replaces what was live")
				require.NoError(t, first.Discard(t.Context()))
				require.Empty(t, lives(), "who discards what is live empties the segment")
			})
		})
	}
}

// TestAttemptsStageApart: what one attempt stages is not the other's.
func TestAttemptsStageApart(t *testing.T) {
	bubble(t, healthy, func(t *testing.T, s *Store) {
		other := s.world.store(2)
		require.NoError(t, s.Stage().Write(t.Context(), []string{"a"}))
		count, err := other.Stage().Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, count.Users())
		require.NoError(t, s.InPlace("x").Write(t.Context(), []string{"a"}))
		count, err = other.InPlace("x").Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(1), count.Users(), "who takes one stamp shares a generation")
	})
}

// TestLag: a count shows what was written a minute ago, and says so.
func TestLag(t *testing.T) {
	bubble(t, LagsAWhile, func(t *testing.T, s *Store) {
		target := s.Stage()
		require.NoError(t, target.Write(t.Context(), []string{"a"}))
		written := time.Now()
		early, err := target.Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, early.Users())
		require.True(t, early.CompleteUpTo().Before(written))
		time.Sleep(time.Minute)
		late, err := target.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(1), late.Users())
		require.False(t, late.CompleteUpTo().Before(written))
	})
}

// TestStaleRows: they were there before the job began, so even a count that lags
// for ever shows them.
func TestStaleRows(t *testing.T) {
	bubble(t, KeepsStaleRows.With(LagsForever), func(t *testing.T, s *Store) {
		target := s.Stage()
		require.NoError(t, target.Write(t.Context(), []string{"a"}))
		count, err := target.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(sourceUsers*gonePercent/100), count.Users())
	})
}

// TestCancelled: a job that was told to stop gets no further.
func TestCancelled(t *testing.T) {
	bubble(t, healthy, func(t *testing.T, s *Store) {
		stop := errors.New("deploying")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		target := s.InPlace("x")
		_, counted := s.Count(ctx)
		_, summarized := s.Summarize(ctx)
		_, found := target.Count(ctx)
		_, looked := target.Summarize(ctx)
		for _, err := range []error{counted, summarized, found, looked, target.Write(ctx, []string{"a"}), target.Publish(ctx), target.Discard(ctx)} {
			require.ErrorIs(t, err, stop)
		}
		n := 0
		for page, err := range s.Pages(ctx) {
			n++
			require.Empty(t, page)
			require.ErrorIs(t, err, stop)
		}
		require.Equal(t, 1, n, "an error ends the pages")
		live, _ := s.world.look()
		require.Len(t, live, sourceUsers)
	})
}

func TestMap(t *testing.T) {
	bubble(t, healthy, func(t *testing.T, s *Store) {
		mapped := map[string]bool{}
		for _, user := range s.source {
			if id, ok := s.Map(user); ok {
				mapped[id] = true
			}
		}
		require.InDelta(t, 0.8, float64(len(mapped))/float64(len(s.source)), 0.01)
		_, right := s.world.look()
		require.Len(t, right, len(mapped), "a job that maps makes its mapped users live")
	})
}
