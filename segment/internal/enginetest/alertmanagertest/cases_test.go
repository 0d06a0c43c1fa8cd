package alertmanagertest_test

import (
	"context"
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

// Three segments that lost little are an incident. It goes on, and hides nothing
// of what comes the next day.
func TestIncidentHidesNothing(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 310)
	f.sweep(map[segment.ID]int64{f.names[0]: f.live[f.names[0]] - 100, f.names[1]: f.live[f.names[1]] - 100, f.names[2]: f.live[f.names[2]] - 100})
	want := []string{"pages firing copy jobs of build 1: 3"}
	notified(t, at, want...)
	first := f.without(0.005, f.names[2])
	for range 2 {
		f.pass(time.Hour)
		f.sweep(first) // two are repaired
	}
	want = quiet(t, at, "after two were repaired", want...)
	require.Len(t, f.open(), 1)

	f.pass(22 * time.Hour)
	held := f.without(0.9, f.names[3:302]...)
	held[f.names[2]] = first[f.names[2]]
	f.sweep(held)
	want = append(want, "pages firing copy jobs of build 1: 100")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 1+299)
	require.Len(t, f.open(`level="lost 50%"`), 299)
}

// An incident that grows is told for what it has grown to.
func TestIncidentGrows(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 400)
	var want []string
	for _, step := range []struct{ members, ring int }{{3, 3}, {13, 10}, {316, 100}} {
		f.sweep(f.without(0.2, f.names[:step.members]...))
		want = append(want, fmt.Sprintf("pages firing copy jobs of build 1: %d", step.ring))
		notified(t, at, want...)
		f.pass(2 * time.Hour)
	}
	want = quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 316)

	for range 2 { // all are well: a day later it is over, as often as it rang
		f.sweep(nil)
		f.pass(time.Hour)
	}
	want = quiet(t, at, "when all are well", want...)
	require.Empty(t, f.open())
	f.pass(24 * time.Hour)
	f.sweep(nil)
	want = append(want, "pages resolved copy jobs of build 1: 3", "pages resolved copy jobs of build 1: 10", "pages resolved copy jobs of build 1: 100")
	notified(t, at, want...)
	quiet(t, at, "when it is over", want...)
	f.wantNothingOpen()
}

// Of two that rang before there was an incident nobody hears that they are over as they
// become its members.
func TestMembersThatRang(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 400)
	f.sweep(f.without(0.2, f.names[:2]...))
	want := []string{"pages firing " + f.names[0].String(), "pages firing " + f.names[1].String()}
	notified(t, at, want...)
	f.pass(2 * time.Hour)
	f.sweep(f.without(0.2, f.names[:3]...))
	want = append(want, "pages firing copy jobs of build 1: 3")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 3)
}

// One user of a million is a page; that nine of ten are gone is another one.
func TestWorseIsTold(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 3)
	cars := f.names[0]
	f.live[cars] = 1_003_000
	require.NoError(t, segment.Forget(t.Context(), f.ledger, segment.Selection{Keys: []segment.Key{cars.In("")}}, segment.Decision{By: "ann", Why: "it was deleted", At: f.now()}))
	require.NoError(t, f.run(cars, "1", 1_003_000))
	f.sweep(map[segment.ID]int64{cars: 1_002_999})
	want := []string{"pages firing " + cars.String()}
	notified(t, at, want...)
	f.pass(time.Hour)
	f.sweep(map[segment.ID]int64{cars: 100_300})
	want = append(want, "pages firing "+cars.String())
	notified(t, at, want...)
	require.Len(t, at.Notified()[1].Alerts, 2, "beside what was told")
	for range 2 {
		f.pass(time.Hour)
		f.sweep(map[segment.ID]int64{cars: 100_301}) // somewhat better: that is no news
	}
	want = quiet(t, at, "as it stands", want...)
	for range 2 {
		f.pass(time.Hour)
		f.sweep(nil)
	}
	want = append(want, "pages resolved "+cars.String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	f.wantNothingOpen()
}

// What was discarded at night hit nobody; that the live segment falls at noon is
// told.
func TestProtectedThenHit(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 3)
	cars := f.names[0]
	f.fails(cars, "2", 10_000)
	want := []string{"pages firing " + cars.String()}
	notified(t, at, want...)
	require.Contains(t, at.Notified()[0].Alerts[0].Annotations["customers"], "not hit")
	f.pass(4 * time.Hour)
	f.sweep(map[segment.ID]int64{cars: 3})
	want = append(want, "pages firing "+cars.String())
	notified(t, at, want...)
	require.Len(t, f.open(`level="lost 50%"`), 1)
	require.Contains(t, f.open(`level="lost 50%"`)[0].Annotations["customers"], "hit: the live segment lost 50%")
	quiet(t, at, "at the end", want...)
}

// A segment that vanished is a page by the users that it had.
func TestVanished(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 3)
	cars := f.names[0]
	f.live[cars] = 5_003_000
	require.NoError(t, segment.Forget(t.Context(), f.ledger, segment.Selection{Keys: []segment.Key{cars.In("")}}, segment.Decision{By: "ann", Why: "it was deleted", At: f.now()}))
	require.NoError(t, f.run(cars, "1", 5_003_000))
	f.pass(time.Hour)
	f.sweep(map[segment.ID]int64{cars: -1})
	want := []string{"pages firing " + cars.String()}
	notified(t, at, want...)
	require.Equal(t, "5,003,000 users", f.open()[0].Annotations["users"])
	require.Equal(t, "lost 100%", f.open()[0].Labels["level"])
	quiet(t, at, "at the end", want...)
}

// A listing that lacks every segment is one incident: the listing.
func TestListingLacksAll(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 40)
	held := map[segment.ID]int64{}
	for _, id := range f.names {
		held[id] = -1
	}
	f.sweep(held)
	want := []string{"pages firing listing: 10"}
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 40)
}

// A size that hovers at what is allowed for a week is told once, and once that it is
// calm: one that no guard stands before, at what its history allows, and one whose
// daily run passes, at the drift that its rule tolerates.
func TestHovering(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	alerter := at.Alerter(t, nil)
	f := unguardedFleet(t, at, alerter, segment.NewMemory(), 4)
	var err error
	f.monitor, err = segment.NewMonitor(segment.MonitorConfig{
		Ledger: f.ledger, Alerter: alerter, Now: f.now,
		Rules: func(context.Context, segment.Job) (segment.Rule, error) {
			return segment.Rule{Drift: validate.Within(0.01)}, nil
		},
	})
	require.NoError(t, err)
	off, drifting := f.names[0], f.names[1]
	hours := func(from, to int, swings int64) {
		for hour := from; hour < to; hour++ {
			for i, id := range f.names { // what stands still would be frozen
				f.live[id] = healthy(i, 30+hour/24)
			}
			if hour%24 == 0 {
				require.NoError(t, f.run(drifting, "1", f.live[drifting]))
			}
			away := swings * int64(hour%2)
			drift := swings*f.live[drifting]/100 + away
			f.sweep(map[segment.ID]int64{off: f.live[off] * (100 - 40*away) / 100, drifting: f.live[drifting] - drift})
			f.pass(time.Hour)
		}
	}
	want := []string{"tickets firing " + off.String(), "pages firing " + drifting.String()}
	hours(0, 24, 1)
	notified(t, at, want...)
	hours(24, 7*24, 1)
	want = quiet(t, at, "after a week", want...)
	hours(7*24, 10*24, 0)
	want = append(want, "tickets resolved "+off.String(), "pages resolved "+drifting.String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	f.wantNothingOpen()

	said := map[segment.Action]int{} // also what Alertmanager had no time to send
	for e, err := range f.ledger.Log(t.Context(), segment.LogFilter{}) {
		require.NoError(t, err)
		said[e.Action]++
	}
	delete(said, segment.ActionRecorded)
	require.Equal(t, map[segment.Action]int{segment.ActionOpened: 2, segment.ActionTold: 2, segment.ActionOver: 2}, said)
}

// After an incident, what has nothing to do with it rings by its name.
func TestUnrelatedRingOneByOne(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 60)
	held := f.without(0.2, f.names[:20]...)
	f.sweep(held)
	want := []string{"pages firing copy jobs of build 1: 10"}
	notified(t, at, want...)
	for i, id := range f.names[40:45] {
		f.pass(24 * time.Hour)
		held[id] = f.live[id] / 3
		f.sweep(held)
		want = append(want, "pages firing "+id.String())
		notified(t, at, want...)
		want = quiet(t, at, fmt.Sprint("on day ", i), want...)
	}
	require.Len(t, f.open(), 25)
}

// A monitor that was dead for eight days rings no storm: what it had told stands
// all the while.
func TestMonitorWasDead(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 60)
	held := f.without(0.2, f.names[:20]...)
	f.sweep(held)
	f.pass(12 * time.Hour)
	held[f.names[30]] = 100
	f.sweep(held)
	want := []string{"pages firing copy jobs of build 1: 10", "pages firing " + f.names[30].String()}
	notified(t, at, want...)
	for _, x := range f.open() {
		require.Greater(t, time.Until(x.EndsAt), 8*24*time.Hour)
	}
	f.pass(8 * 24 * time.Hour)
	f.sweep(held)
	want = quiet(t, at, "after eight days", want...)

	f.pass(time.Hour)
	f.sweep(nil)
	f.pass(time.Hour)
	f.sweep(nil)
	want = append(want, "pages resolved "+f.names[30].String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// Two ledgers tell one Alertmanager of segments of the same names, and leave each
// other alone.
func TestTwoLedgers(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	one, two := newFleet(t, at, 30), newFleet(t, at, 30)
	held := one.without(0.2, one.names[:5]...)
	one.sweep(held)
	two.sweep(two.without(0.2, two.names[:4]...))
	want := []string{"pages firing copy jobs of build 1: 3", "pages firing copy jobs of build 1: 3"}
	notified(t, at, want...)
	require.Len(t, one.open(), 9)
	for range 3 {
		one.pass(time.Hour)
		two.pass(time.Hour)
		two.sweep(nil)
		one.sweep(held)
	}
	want = quiet(t, at, "after one is well", want...)
	require.Len(t, one.open(), 5)
	two.pass(24 * time.Hour)
	two.sweep(nil)
	want = append(want, "pages resolved copy jobs of build 1: 3")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, one.open(), 5)
}

// Two stores hold segments of the same names, and others, in one ledger: no monitor
// tells of what is in the other's store, and none ends what the other found.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	ledger := segment.NewMemory()
	one, two := newStore(t, at, ledger, "postgresql", 0), newStore(t, at, ledger, "redis", 5)
	for range 12 {
		one.sweep(nil)
		two.sweep(nil)
		one.pass(time.Hour)
		two.pass(time.Hour)
	}
	want := quiet(t, at, "after half a day")
	require.Empty(t, one.open())

	cars := two.names[3] // which both have
	for range 3 {
		two.sweep(two.without(0.2, cars))
		one.sweep(nil)
		one.pass(time.Hour)
		two.pass(time.Hour)
	}
	want = append(want, "pages firing "+cars.String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, one.open(`store="redis"`), 1)
	require.Len(t, one.open(), 1)
}

// newStore returns a fleet in a store of its own, of ten segments from some one on, of
// which all have a run that passed.
func newStore(t *testing.T, at *enginetest.Alertmanager, ledger segment.Ledger, store string, from int) *fleet {
	t.Helper()
	f := &fleet{t: t, at: at, ledger: ledger, clock: &atomic.Int64{}, live: map[segment.ID]int64{}}
	f.clock.Store(time.Now().UTC().AddDate(0, 0, -25).UnixMicro())
	alerter := at.Alerter(t, nil)
	rules := func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{Store: store}, nil }
	var err error
	f.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter, Now: f.now, Rules: rules})
	require.NoError(t, err)
	f.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter, Now: f.now, Rules: rules, Store: store})
	require.NoError(t, err)
	for i := range 10 {
		id := segment.ID{SiteGroup: "site-a", Name: fmt.Sprintf("cars %02d", from+i)}
		f.names, f.live[id] = append(f.names, id), int64(20_000+len(store)*100+i)
		require.NoError(t, f.run(id, "1", f.live[id]))
	}
	f.pass(2 * time.Hour)
	return f
}

// What was ended by hand, and is not over, rings with the next sweep: a segment by
// its name, and an incident before its members.
func TestEndedByHand(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 60)
	held := f.without(0.2, f.names[:20]...)
	f.sweep(held)
	f.pass(12 * time.Hour)
	held[f.names[30]] = 100
	f.sweep(held)
	want := []string{"pages firing copy jobs of build 1: 10", "pages firing " + f.names[30].String()}
	notified(t, at, want...)
	all, err := at.Open(t.Context())
	require.NoError(t, err)
	require.NoError(t, at.End(t.Context(), all...))
	want = append(want, "pages resolved copy jobs of build 1: 10", "pages resolved "+f.names[30].String())
	notified(t, at, want...)
	f.pass(time.Hour)
	f.sweep(held)
	want = append(want, "pages firing copy jobs of build 1: 10", "pages firing "+f.names[30].String())
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	require.Len(t, f.open(), 21)
}

// What is accepted is over.
func TestAccepted(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	f := newFleet(t, at, 3)
	cars := f.names[0]
	f.fails(cars, "2", 15_000)
	want := []string{"pages firing " + cars.String()}
	notified(t, at, want...)
	decision := segment.Decision{By: "ann", Why: "the source was cut on purpose", At: f.now()}
	_, err := segment.Accept(t.Context(), f.ledger, segment.Selection{Keys: []segment.Key{cars.In("")}, RunID: fmt.Sprint("run ", f.runs)}, decision)
	require.NoError(t, err)
	f.pass(time.Hour) // a size is judged by earlier ones
	f.live[cars] = 15_000
	require.NoError(t, f.run(cars, "2", 15_000))
	want = append(want, "pages resolved "+cars.String())
	notified(t, at, want...)
	f.sweep(nil)
	quiet(t, at, "at the end", want...)
	f.wantNothingOpen()
}

// measured measures how much memory is taken while a monitor asks what is open.
type measured struct {
	*alertmanager.Alerter

	asked int
	taken uint64
}

func (w *measured) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		w.taken, _ = heldBy(func(sample func()) (goOn bool) {
			goOn = true
			for a, err := range w.Alerter.Open(ctx, siteGroup) {
				if w.asked++; w.asked%5_000 == 0 {
					sample()
				}
				if goOn = yield(a, err); !goOn {
					break
				}
			}
			return goOn
		})
	}
}

// Twenty thousand open alerts are compared with what the ledger knows of them, and
// not held for that. Of them one was ended by hand, which comes back.
func TestReconcileTwentyThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty thousand segments")
	}
	segments := 20_000
	if underRace {
		segments = 2_000
	}
	at := enginetest.StartAlertmanager(t, enginetest.Waits{Group: time.Minute, Interval: 5 * time.Minute}) // as documented
	w := &measured{Alerter: at.Alerter(t, nil)}
	f := unguardedFleet(t, at, w, enginetest.SQLiteWAL.New(t).History(t), segments)
	all := f.without(0.6, f.names...)
	f.sweep(all)
	open := f.open()
	require.Equal(t, segments, len(open)) //nolint:testifylint // it would print them
	require.NoError(t, at.End(t.Context(), open[7]))

	f.pass(time.Hour)
	start := time.Now()
	w.asked = 0
	f.sweep(all)
	require.Equal(t, segments, w.asked) // and the incident, but for the one that was ended
	t.Logf("%d open alerts reconciled in a sweep of %s: %d KiB for what is open", segments, time.Since(start), w.taken>>10)
	require.Less(t, w.taken, uint64(8<<20))
	require.Equal(t, segments, len(f.open())) //nolint:testifylint // it would print them
}
