package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

// A liveStore has no staging: what a job writes is live at once.
type liveStore struct {
	t      *testing.T
	d      enginetest.Database
	db     *sql.DB
	ledger segment.Ledger
	guard  *segment.Guard
}

const (
	liveUsers    = 10 // of each segment
	badUsers     = 7  // that a bad build writes
	mostDamaged  = 5
	liveWorkers  = 8
	liveSegments = 500
)

func newLiveStore(t *testing.T, d enginetest.Database) *liveStore {
	t.Helper()
	s := &liveStore{t: t, d: d, ledger: d.History(t), db: d.ForJobs().Open(t)}
	_, err := s.db.ExecContext(t.Context(), "CREATE TABLE members (segment integer, id integer, PRIMARY KEY (segment, id))")
	require.NoError(t, err)
	for i := range liveSegments {
		require.NoError(t, s.write(t.Context(), i, liveUsers))
	}
	s.openGuard()
	return s
}

// openGuard makes the guard of another process.
func (s *liveStore) openGuard() {
	var err error
	s.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: s.ledger, Breaker: mostDamaged, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(s.t, err)
}

func (s *liveStore) write(ctx context.Context, i, users int) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	_, err = tx.ExecContext(ctx, s.d.Bind("DELETE FROM members WHERE segment = ?"), i)
	for id := 0; id < users && err == nil; id++ {
		_, err = tx.ExecContext(ctx, s.d.Bind("INSERT INTO members VALUES (?, ?)"), i, id)
	}
	return errors.Join(err, tx.Commit())
}

// run has the job of a segment write it: by a bad build not all of its users.
func (s *liveStore) run(ctx context.Context, i int, build, night string) error {
	id := segment.ID{SiteGroup: "site", Name: fmt.Sprintf("cars %03d", i)}
	_, err := s.guard.Do(ctx, segment.Run{
		ID: night + build, Build: build, Job: segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}), Live: true,
		Expected: validate.Count(liveUsers),
		Stored: func(ctx context.Context) (validate.Summary, error) {
			n, err := s.count(ctx, fmt.Sprint("SELECT count(*) FROM members WHERE segment = ", i))
			return validate.Count(n), err
		},
	}, func(ctx context.Context, _ *segment.Run) error {
		if build == "bad" {
			return s.write(ctx, i, badUsers)
		}
		return s.write(ctx, i, liveUsers)
	})
	return err
}

// night has many workers run the jobs of some segments: every other one is of a bad
// build. It returns how many jobs were refused.
func (s *liveStore) night(name string, segments int) (refused int) {
	s.t.Helper()
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(liveWorkers)
	for i := range segments {
		group.Go(func() error {
			err := s.run(s.t.Context(), i, [...]string{"bad", "good"}[i%2], name)
			_, open := errors.AsType[*segment.BreakerError](err)
			switch {
			case i%2 == 1:
				return err
			case open:
				mu.Lock()
				defer mu.Unlock()
				refused++
				return nil
			case errors.Is(err, validate.Short):
				return nil
			}
			return fmt.Errorf("segment %d: want it short, or refused: %w", i, err)
		})
	}
	require.NoError(s.t, group.Wait())
	return refused
}

// damaged returns how many segments lack users in the store.
func (s *liveStore) damaged() int {
	s.t.Helper()
	short, err := s.count(s.t.Context(), fmt.Sprintf("SELECT count(*) FROM (SELECT segment FROM members GROUP BY segment HAVING count(*) < %d) short", liveUsers))
	require.NoError(s.t, err)
	return int(short)
}

func (s *liveStore) count(ctx context.Context, query string) (n int64, err error) {
	return n, s.db.QueryRowContext(ctx, query).Scan(&n)
}

// On a store without staging a bad build damages as many of 500 segments as the
// breaker lets it, and those that were being written by then. Other builds go on.
// It stays refused, for another process too, until a human lets it go on; then it
// damages as many again.
func TestBreaker(t *testing.T) {
	if testing.Short() {
		t.Skip("five hundred segments")
	}
	s := newLiveStore(t, enginetest.PostgreSQL.New(t))
	refused := s.night("first ", liveSegments)
	damaged := s.damaged()
	require.GreaterOrEqual(t, damaged, mostDamaged)
	require.Less(t, damaged, mostDamaged+liveWorkers)
	require.Equal(t, liveSegments/2-damaged, refused)

	s.openGuard()
	require.Equal(t, 20, s.night("second ", 40))
	require.Equal(t, damaged, s.damaged())

	require.NoError(t, segment.Resume(t.Context(), s.ledger, segment.JobKindCopy, "bad", segment.Decision{By: "ann", Why: "it is mended", At: time.Now()}))
	refused = s.night("third ", 80)
	require.Positive(t, refused)
	require.Less(t, s.damaged(), damaged+mostDamaged+liveWorkers)
	t.Logf("%d damaged, after a human's word %d", damaged, s.damaged())
}
