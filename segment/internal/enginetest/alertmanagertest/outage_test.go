package alertmanagertest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

// Alertmanager is away for an hour. No job fails by it, and nothing is lost: what
// was found is told when it is back, what is over is over, and what it forgot comes
// back without ringing again.
func TestAlertmanagerAway(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 40)
	f.fails(f.names[0], "2", 10_000)
	f.pass(7 * time.Hour)
	f.fails(f.names[1], "3", 10_000)
	want := []string{"pages firing " + f.names[0].String(), "pages firing " + f.names[1].String()}
	notified(t, at, want...)

	at.Stop(t)
	for _, id := range f.names[10:13] {
		f.fails(id, "4", 10_000)
	}
	require.NoError(t, f.run(f.names[0], "4", f.live[f.names[0]]), "a healthy run")
	f.pass(30 * time.Minute)
	sweep, err := f.monitor.Sweep(t.Context(), f.listing(f.without(0.2, f.names[20])))
	require.ErrorContains(t, err, "alertmanager: ")
	require.False(t, sweep.Complete, "not all was told")
	f.pass(30 * time.Minute)
	at.Restart(t)
	f.sweep(f.without(0.2, f.names[20]))
	want = append(want, "pages resolved "+f.names[0].String(), "pages firing copy jobs of build 4: 3", "pages firing "+f.names[20].String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 1+3+1)
}

// away is a ledger that can be out of reach.
type away struct {
	segment.Ledger

	down   atomic.Bool
	unlock bool // leases can be let go all the same: they last for a minute of the real clock
}

var errAway = errors.New("the ledger is out of reach")

func (a *away) err() error {
	if a.down.Load() {
		return errAway
	}
	return nil
}

func (a *away) State(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
	if err := a.err(); err != nil {
		return segment.SegmentState{}, err
	}
	return a.Ledger.State(ctx, key)
}

func (a *away) Record(ctx context.Context, r segment.Record) error {
	return errors.Join(a.err(), a.unless(func() error { return a.Ledger.Record(ctx, r) }))
}

func (a *away) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	if a.unlock {
		return a.Ledger.Lock(ctx, key, change)
	}
	return errors.Join(a.err(), a.unless(func() error { return a.Ledger.Lock(ctx, key, change) }))
}

func (a *away) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	return errors.Join(a.err(), a.unless(func() error { return a.Ledger.Change(ctx, keys, change) }))
}

func (a *away) ChangeIncident(ctx context.Context, id string, change func(*segment.Incident) error) error {
	return errors.Join(a.err(), a.unless(func() error { return a.Ledger.ChangeIncident(ctx, id, change) }))
}

func (a *away) Identity(ctx context.Context) (string, error) {
	if err := a.err(); err != nil {
		return "", err
	}
	return a.Ledger.Identity(ctx)
}

func (a *away) Mutes(ctx context.Context) ([]segment.Mute, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.Ledger.Mutes(ctx)
}

func (a *away) Segments(ctx context.Context, filter segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return unless(a, a.Ledger.Segments(ctx, filter))
}

func (a *away) Log(ctx context.Context, filter segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	return unless(a, a.Ledger.Log(ctx, filter))
}

func (a *away) Incidents(ctx context.Context, filter segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	return unless(a, a.Ledger.Incidents(ctx, filter))
}

func (a *away) unless(do func() error) error {
	if a.down.Load() {
		return nil
	}
	return do()
}

func unless[T any](a *away, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := a.err(); err != nil {
			var none T
			yield(none, err)
			return
		}
		items(yield)
	}
}

// The ledger is away for an hour, in which five jobs cannot be verified. People are
// told, and that it is unconfirmed; once the ledger is back, nothing of it stands
// longer than it says from the start.
func TestLedgerAway(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	ledger := &away{Ledger: segment.NewMemory()}
	f := guardedFleet(t, at, ledger, 10)
	ledger.down.Store(true)
	var want []string
	for _, id := range f.names[:5] {
		require.ErrorIs(t, f.run(id, "2", f.live[id]), errAway)
		want = append(want, "tickets firing "+id.String())
	}
	notified(t, at, want...)
	require.Len(t, f.open(), 5)
	for _, x := range f.open() {
		require.Contains(t, x.Annotations["unconfirmed"], "this alert ends by itself at "+x.EndsAt.UTC().Format(time.RFC3339))
		require.Greater(t, time.Until(x.EndsAt), time.Hour)
		require.Less(t, time.Until(x.EndsAt), 2*time.Hour)
	}
	_, err := f.monitor.Sweep(t.Context(), f.listing(nil))
	require.ErrorIs(t, err, errAway)
	require.Len(t, f.open(), 5, "what is not known is not over")

	ledger.down.Store(false)
	f.pass(time.Hour)
	for _, id := range f.names[:5] {
		require.NoError(t, f.run(id, "2", f.live[id]))
	}
	f.sweep(nil)
	for _, x := range f.open() {
		require.NotEmpty(t, x.Annotations["unconfirmed"])
		require.Less(t, time.Until(x.EndsAt), 2*time.Hour)
	}
}

// Faults that were told while the ledger was away stand in the ledger from the next
// sweep on: what is wrong with what is live, as the sweep finds it, and what a guard kept
// from going live, which nobody else finds. What a run has repaired is over.
func TestUnconfirmedIsAdopted(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	ledger := &away{Ledger: segment.NewMemory(), unlock: true}
	f := guardedFleet(t, at, ledger, 10)
	f.clock.Store(time.Now().UnixMicro()) // as Alertmanager's: what it was told a moment ago is left alone
	hit, kept, repaired := f.names[0], f.names[1], f.names[2]
	var want []string
	for i, id := range []segment.ID{hit, kept, repaired} {
		run := f.staged(id, "2", 0, 1000+i)
		run.Stored = func(context.Context) (validate.Summary, error) {
			ledger.down.Store(true) // once all is read that a verdict takes
			return validate.Count(12_345), nil
		}
		if id == hit {
			run.Live, run.Staging = true, segment.Staging{}
		}
		require.NoError(t, f.guard.Begin(t.Context(), &run))
		_, err := f.guard.Commit(t.Context(), run)
		require.ErrorIs(t, err, errAway)
		ledger.down.Store(false)
		want = append(want, "pages firing "+id.String())
	}
	notified(t, at, want...)

	f.pass(time.Hour)
	require.NoError(t, f.run(repaired, "3", f.live[repaired]))
	f.sweep(map[segment.ID]int64{hit: 12_345})
	require.ElementsMatch(t, []string{hit.String(), kept.String()}, standing(f))
	f.pass(time.Hour)
	for _, id := range []segment.ID{hit, kept} {
		require.NoError(t, f.run(id, "3", f.live[id]))
	}
	for range 2 {
		f.sweep(nil)
		f.pass(time.Hour)
	}
	f.wantNothingOpen()
}

// standing returns the segments whose alerts do not end by themselves. It wants no
// other alerts.
func standing(f *fleet) (segments []string) {
	f.t.Helper()
	for _, x := range f.open() {
		require.Empty(f.t, x.Annotations["unconfirmed"], x.String())
		require.Greater(f.t, time.Until(x.EndsAt), 29*24*time.Hour, x.String())
		segments = append(segments, x.String())
	}
	return segments
}

// killedWaits are longer than it takes to kill a process and to start another one.
var killedWaits = enginetest.Waits{Group: 10 * time.Second, Interval: 5 * time.Second}

// killedChild does what a process does that is to be killed: one sweep, in which many
// segments are found to be affected, or one run that passes.
func killedChild(c *enginetest.Child) error {
	_, ledger, err := c.Open()
	if err != nil {
		return err
	}
	f, err := newCommand(ledger, c.Args[1], killedWaits)
	if err != nil {
		return err
	}
	if f.total = manyKilled; c.Args[0] == "sweep" {
		_, err = f.sweep(context.Background(), manyKilled)
	} else {
		err = f.run(context.Background(), 0, 20_000)
	}
	return errors.Join(err, errors.New("it was to be killed"))
}

// A worker that is killed between its record and the answer of Alertmanager leaves
// no page: the next sweep ends it.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	d := enginetest.SQLiteWAL.New(t)
	f, err := newCommand(d.History(t), at.URL, killedWaits)
	require.NoError(t, err)
	failed(t, f.run(t.Context(), 0, 10_000))
	cars := commanded(0)
	want := []string{"pages firing " + cars.String()}
	notified(t, at, want...)

	gate := at.Gate(t, func([]enginetest.OpenAlert) bool { return true })
	p := d.Start(t, "killed", "run", gate.URL)
	<-gate.Held
	p.Kill(t)
	require.Len(t, at.Notified(), 1)
	f.ahead = 2 * time.Minute // a claim runs out
	_, err = f.sweep(t.Context(), 0)
	require.NoError(t, err)
	want = append(want, "pages resolved "+cars.String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// manyKilled is more than a monitor writes down at once as told, a thousand.
const manyKilled = 2_000

// A monitor that is killed amid telling of two thousand segments leaves nothing
// untold: the next one tells the rest, and at most a batch again. Their incident was told
// before them.
func TestMonitorKilled(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, killedWaits)
	d := enginetest.SQLiteWAL.New(t)
	ranWell(t, d.History(t), manyKilled)
	batches, first := 0, ""
	gate := at.Gate(t, func(alerts []enginetest.OpenAlert) bool {
		first = cmp.Or(first, alerts[0].Labels["alertname"])
		if len(alerts) > 1 {
			batches++
		}
		return batches > 3 // half of the second thousand is told
	})
	p := d.Start(t, "killed", "sweep", gate.URL)
	<-gate.Held
	p.Kill(t)
	told, err := at.Open(t.Context(), `alertname="SegmentAffected"`)
	require.NoError(t, err)
	require.Len(t, told, 1_500)
	require.Equal(t, "SegmentIncident", first)

	again := at.Gate(t, func([]enginetest.OpenAlert) bool { return false })
	f, err := newCommand(d.History(t), again.URL, killedWaits)
	require.NoError(t, err)
	f.ahead, f.total = 2*time.Minute, manyKilled
	sweep, err := f.sweep(t.Context(), manyKilled)
	require.NoError(t, err)
	require.True(t, sweep.Complete)
	all, err := at.Open(t.Context(), `alertname="SegmentAffected"`)
	require.NoError(t, err)
	require.Len(t, all, manyKilled)
	twice := 0
	for labels, n := range again.Posts() {
		require.Equal(t, 1, n, labels)
		if gate.Posts()[labels] > 0 {
			twice++
		}
	}
	t.Logf("%d told before the kill, %d afterwards, of which %d again", len(told), len(again.Posts()), twice)
	require.LessOrEqual(t, twice, 1_000)
	notified(t, at, "pages firing copy jobs of build 1: 1000")
	quiet(t, at, "at the end", "pages firing copy jobs of build 1: 1000")
}

// ranWell records a run of each of so many segments, all in one step: guards of as many
// would take most of a test's time.
func ranWell(t *testing.T, h segment.Ledger, segments int) {
	t.Helper()
	var keys []segment.Key
	for i := range segments {
		keys = append(keys, commanded(i).In(""))
	}
	require.NoError(t, h.Change(t.Context(), keys, func(s *segment.SegmentState) error {
		s.Record(segment.Record{
			Segment: s.Segment, RunID: "well", State: segment.RunCommitted, JobID: segment.Copy(s.Segment, segment.ID{SiteGroup: "source", Name: s.Segment.Name}).ID, JobKind: segment.JobKindCopy, Build: "1",
			Users: 20_000, Read: 20_000, At: time.Now(),
		})
		return nil
	}))
}

// A command is guards and monitors as a process of its own has them, with a real
// clock that is ahead.
type command struct {
	guard   *segment.Guard
	monitor *segment.Monitor
	build   string
	ahead   time.Duration
	total   int // segments that a sweep lists
}

// commanded returns the segments of commands, in byte order.
func commanded(i int) segment.ID {
	return segment.ID{SiteGroup: fmt.Sprintf("site-%02d", i/500), Name: fmt.Sprintf("cars %05d", i)}
}

func newCommand(ledger segment.Ledger, address string, waits enginetest.Waits) (*command, error) {
	c := &command{build: "1", total: 1_000}
	alerter, err := alertmanager.New(alertmanager.Config{URL: address, GroupWait: waits.Group})
	if err != nil {
		return nil, err
	}
	now := func() time.Time { return time.Now().Add(c.ahead) }
	c.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter, Now: now})
	if err != nil {
		return nil, err
	}
	c.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter, Now: now})
	return c, err
}

// run is a staged run of 20,000 users that stored some number.
func (c *command) run(ctx context.Context, i int, stored int64) error {
	id := commanded(i)
	_, err := c.guard.Commit(ctx, segment.Run{
		ID: fmt.Sprint("run of ", time.Now().UnixNano()), Build: c.build, Expected: validate.Count(20_000),
		Job:     segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	})
	return err
}

// sweep finds that the first segments lost a tenth of their users.
func (c *command) sweep(ctx context.Context, hit int) (segment.Sweep, error) {
	return c.monitor.Sweep(ctx, func(yield func(segment.CurrentSize, error) bool) {
		for i := range c.total {
			users := int64(20_000)
			if i < hit {
				users = 18_000 - int64(i)
			}
			if !yield(segment.CurrentSize{Segment: commanded(i), Stored: validate.Count(users)}, nil) {
				return
			}
		}
	})
}
