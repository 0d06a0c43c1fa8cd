package alertmanagertest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

// A fleet is segments under a guard and a monitor, with a clock of its own: days
// pass at once, and Alertmanager's seconds as they do. Its clock is always behind
// Alertmanager's.
type fleet struct {
	t       *testing.T
	at      *enginetest.Alertmanager
	ledger  segment.Ledger
	clock   *atomic.Int64 // microseconds
	guard   *segment.Guard
	monitor *segment.Monitor
	names   []segment.ID // in byte order
	live    map[segment.ID]int64
	runs    int
}

// newFleet returns a fleet over an empty ledger, in which each segment has a month
// of history and a run that passed.
func newFleet(t *testing.T, at *enginetest.Alertmanager, segments int) *fleet {
	t.Helper()
	return guardedFleet(t, at, segment.NewMemory(), segments)
}

func guardedFleet(t *testing.T, at *enginetest.Alertmanager, ledger segment.Ledger, segments int) *fleet {
	t.Helper()
	f := unguardedFleet(t, at, at.Alerter(t, nil), ledger, segments)
	for _, id := range f.names {
		require.NoError(t, f.run(id, "1", f.live[id]))
	}
	return f
}

// unguardedFleet returns a fleet of which only the history is known.
func unguardedFleet(t *testing.T, at *enginetest.Alertmanager, alerter segment.Alerter, ledger segment.Ledger, segments int) *fleet {
	t.Helper()
	f := &fleet{t: t, at: at, ledger: ledger, clock: &atomic.Int64{}, live: map[segment.ID]int64{}}
	f.clock.Store(time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -25).Add(8 * time.Hour).UnixMicro())
	var jobs []segment.Job
	for i := range segments {
		id := segment.ID{SiteGroup: fmt.Sprintf("site-%03d", i/100), Name: fmt.Sprintf("cars %05d", i)}
		f.names, f.live[id] = append(f.names, id), healthy(i, 30)
		jobs = append(jobs, f.job(id))
	}
	var err error
	f.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter, Now: f.now})
	require.NoError(t, err)
	f.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Jobs: jobs, Alerter: alerter, Now: f.now})
	require.NoError(t, err)
	for chunk := range slices.Chunk(f.names, 1_000) {
		var imports []segment.SizeImport
		for _, id := range chunk {
			imports = append(imports, f.history(id))
		}
		require.NoError(t, segment.Import(t.Context(), ledger, imports))
	}
	return f
}

// history returns a month of a segment's sizes, which no guard passed.
func (f *fleet) history(id segment.ID) segment.SizeImport {
	i, _ := slices.BinarySearchFunc(f.names, id, segment.ID.Compare)
	sizes := make([]validate.Size, 30)
	for day := range sizes {
		sizes[day] = validate.Size{Users: healthy(i, day), At: f.now().AddDate(0, 0, day-30)}
	}
	return segment.SizeImport{Segment: id, Sizes: sizes}
}

// healthy is the size of a segment on a day.
func healthy(i, day int) int64 { return int64(20_000 + 37*i + (i*7+day*13)%200) }

func (f *fleet) job(id segment.ID) segment.Job {
	return segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name})
}

func (f *fleet) now() time.Time { return time.UnixMicro(f.clock.Load()).UTC() }

// pass lets time pass.
func (f *fleet) pass(d time.Duration) { f.clock.Add(d.Microseconds()) }

// run is a staged run that should store as many users as are live, and stored some
// other number, or as many.
func (f *fleet) run(id segment.ID, build string, stored int64) error {
	f.runs++
	_, err := f.guard.Commit(f.t.Context(), f.staged(id, build, stored, f.runs))
	return err
}

func (f *fleet) staged(id segment.ID, build string, stored int64, number int) segment.Run {
	return segment.Run{
		ID: fmt.Sprint("run ", number), Build: build, Job: f.job(id), Expected: validate.Count(f.live[id]),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	}
}

// fails is a staged run that the guard must reject, and nothing else may go wrong
// with.
func (f *fleet) fails(id segment.ID, build string, stored int64) {
	f.t.Helper()
	failed(f.t, f.run(id, build, stored))
}

func failed(t *testing.T, err error) {
	t.Helper()
	verdict, ok := errors.AsType[*validate.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, verdict.Error(), err.Error(), "nothing else went wrong")
}

// sweep judges the segments as they are live, but for what some of them hold
// instead; those that hold less than nothing are not listed.
func (f *fleet) sweep(held map[segment.ID]int64) {
	f.t.Helper()
	sweep, err := f.monitor.Sweep(f.t.Context(), f.listing(held))
	require.NoError(f.t, err)
	require.True(f.t, sweep.Complete)
}

func (f *fleet) listing(held map[segment.ID]int64) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range f.names {
			users, ok := held[id]
			if !ok {
				users = f.live[id]
			}
			if users >= 0 && !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(users)}, nil) {
				return
			}
		}
	}
}

// without returns segments that hold fewer users: each a share less.
func (f *fleet) without(share float64, ids ...segment.ID) map[segment.ID]int64 {
	held := map[segment.ID]int64{}
	for _, id := range ids {
		held[id] = f.live[id] - int64(float64(f.live[id])*share)
	}
	return held
}

// open returns the alerts of segments that Alertmanager has.
func (f *fleet) open(filters ...string) []enginetest.OpenAlert {
	f.t.Helper()
	open, err := f.at.Open(f.t.Context(), append(filters, `alertname="SegmentAffected"`, `site_group!="sentinel"`)...)
	require.NoError(f.t, err)
	return open
}

// wantNothingOpen wants Alertmanager to have no alert, also not of an incident.
func (f *fleet) wantNothingOpen() {
	f.t.Helper()
	open, err := f.at.Open(f.t.Context(), `site_group!="sentinel"`)
	require.NoError(f.t, err)
	assert.Empty(f.t, open)
}
