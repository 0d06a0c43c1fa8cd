package segment_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A batch is an alerter that keeps alerts by itself.
type batch struct {
	*recorder

	told []string
	lost error // what it returns though it heard
}

func (b *batch) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	if b.fail != nil {
		return b.fail
	}
	for _, a := range firing {
		b.told = append(b.told, "fire "+string(a.Kind)+" "+a.Build+" "+a.Segment.String())
	}
	for _, a := range resolved {
		b.told = append(b.told, "resolve "+string(a.Kind)+" "+a.Build+" "+a.Segment.String())
	}
	return b.lost
}

func (b *batch) Open(context.Context, string) iter.Seq2[segment.Alert, error] {
	return func(func(segment.Alert, error) bool) {}
}

func (b *batch) since() []string {
	told := b.told
	b.told = nil
	return told
}

// A fault that stands keeps the build that brought it, whatever runs since: by it
// the alert is known.
func TestStandingFaultKeepsItsBuild(t *testing.T) {
	f := newFleet(t)
	b := &batch{recorder: newRecorder()}
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: f.ledger, Alerter: b})
	require.NoError(t, err)
	night := func(build string, stored int64) {
		_, _ = g.Commit(t.Context(), segment.Run{
			ID: build, Build: build, Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
	}
	night("1", 4)
	night("2", 3)
	require.Equal(t, []string{"fire short 1 " + cars.String()}, b.since())
	night("3", 5)
	require.Equal(t, []string{"resolve short 1 " + cars.String()}, b.since())
	night("4", 4)
	require.Equal(t, []string{"fire short 4 " + cars.String()}, b.since(), "it came back, with this build")
}

// The alerter may have heard that a fault is over, and its answer be lost: when the
// same fault comes back, it is told again.
func TestComesBackAfterALostAnswer(t *testing.T) {
	f := newFleet(t)
	b := &batch{recorder: newRecorder()}
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: f.ledger, Alerter: b})
	require.NoError(t, err)
	runs := func(id string, stored int64) {
		_, _ = g.Commit(t.Context(), segment.Run{
			ID: id, Build: "7", Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
	}
	runs("1", 4)
	require.Equal(t, []string{"fire short 7 " + cars.String()}, b.since())
	b.lost = errors.New("connection reset")
	runs("2", 5)
	require.Equal(t, []string{"resolve short 7 " + cars.String()}, b.since())
	b.lost = nil
	runs("3", 4)
	require.Equal(t, []string{"fire short 7 " + cars.String()}, b.since())
	runs("4", 5)
	require.Equal(t, []string{"resolve short 7 " + cars.String()}, b.since())
	runs("5", 5)
	require.Empty(t, b.since(), "nothing is left to tell")
}

// A process that died while it told the alerter leaves a claim, which runs out.
func TestClaimRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.config.Now = time.Now
		f.runs(seg("cars"), 1000, 1000)
		f.sizes[seg("cars")] = validate.Count(900)
		f.alerter.fail = errors.New("killed")
		_, err := f.trySweep(f.listing(), nil)
		require.Error(t, err)
		require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{seg("cars").In("")}, func(s *segment.SegmentState) error {
			require.Nil(t, s.Alert.Told)
			require.Zero(t, s.Alert.Claimed, "who failed lets the next one try")
			require.Len(t, s.Alert.Trying, 1, "and nobody knows what the alerter heard")
			s.Alert.Claimed = time.Now().Add(time.Minute) // as if it had died
			return nil
		}))
		f.alerter.fail = nil
		began := time.Now()
		f.sweep()
		require.Equal(t, []string{"fire page short site-a/cars"}, f.alerter.news())
		require.GreaterOrEqual(t, time.Since(began), time.Minute, "somebody may be at it")
	})
}

// What a run finds takes the place of what an earlier one found, graver or not: it
// is what holds now. But what people were told stands, and what is no worse rings
// no more.
func TestLaterRunsFindingReplaces(t *testing.T) {
	f := newFleet(t)
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: f.ledger, Alerter: f.alerter})
	require.NoError(t, err)
	down := errors.New("store down")
	for _, stored := range []func(context.Context) (validate.Summary, error){
		func(context.Context) (validate.Summary, error) { return validate.Count(4), nil },
		func(context.Context) (validate.Summary, error) { return validate.Summary{}, down },
	} {
		_, err := g.Commit(t.Context(), segment.Run{
			ID: "r", Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5), Stored: stored,
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
		require.Error(t, err)
	}
	require.Equal(t, []string{"fire page short " + cars.String()}, f.alerter.news())
	require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{cars.In("")}, func(s *segment.SegmentState) error {
		require.Equal(t, validate.Unverified, s.Alert.Open.Kind)
		return nil
	}))
}

// A slow alerter is asked once, also by a sweep that begins meanwhile: that waits,
// and does not say that it is complete, as nobody has been told yet.
func TestAlerterIsAskedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.config.Now = time.Now
		f.runs(seg("cars"), 1000, 1000)
		f.sizes[seg("cars")] = validate.Count(900)
		asked, answer := make(chan struct{}), make(chan struct{})
		slow := f.config
		slow.Alerter = waiting{asked, answer}
		m, err := segment.NewMonitor(slow)
		require.NoError(t, err)
		ended := make(chan error)
		go func() {
			_, err := m.Sweep(t.Context(), listed(f.listing(), nil))
			ended <- err
		}()
		<-asked
		s, err := f.trySweep(f.listing(), nil)
		require.ErrorContains(t, err, "another process is telling people")
		require.False(t, s.Complete)
		require.Empty(t, f.alerter.news(), "somebody is telling it")
		close(answer)
		require.NoError(t, <-ended)
		f.sweep()
		require.Empty(t, f.alerter.news(), "and did")
	})
}

// A waiting alerter takes its time.
type waiting struct{ asked, answer chan struct{} }

func (w waiting) Tell(context.Context, []segment.Alert, []segment.Alert) error {
	close(w.asked)
	<-w.answer
	return nil
}

// A ledger that is out of reach must not keep an alert from people.
func TestAlertWithoutItsLedger(t *testing.T) {
	f := newFleet(t)
	down := errors.New("ledger down")
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: deaf{f.ledger, down}, Alerter: f.alerter})
	require.NoError(t, err)
	_, err = g.Commit(t.Context(), segment.Run{
		ID: "r", Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(4), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	})
	require.ErrorIs(t, err, validate.Short)
	require.NotErrorIs(t, err, down, "telling fails no job")
	require.Equal(t, []string{"fire page short " + cars.String()}, f.alerter.news())
	require.True(t, f.alerter.firing[cars].Unconfirmed)
}

// A deaf ledger takes no alerts.
type deaf struct {
	*segment.Memory

	err error
}

func (d deaf) Change(context.Context, []segment.Key, func(*segment.SegmentState) error) error {
	return d.err
}

// What is affected comes from alerts and from the log, too.
func TestAffected(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	f.runs(seg("fine"), 70, 80)
	f.sizes[seg("cars")] = validate.Count(900)
	f.sweep()
	open, err := segment.AffectedByAlerts(t.Context(), f.ledger)
	require.NoError(t, err)
	require.Equal(t, []segment.Affected{{Segment: seg("cars"), Users: 1000}}, open)
	touched, err := segment.AffectedByLog(t.Context(), f.ledger, segment.LogFilter{Build: "build-7", JobKind: segment.JobKindCopy})
	require.NoError(t, err)
	require.Equal(t, []segment.Affected{{Segment: seg("cars"), Users: 1000}, {Segment: seg("fine"), Users: 80}}, touched, "runs that looked fine included")
	none, err := segment.AffectedByLog(t.Context(), f.ledger, segment.LogFilter{Build: "build-8"})
	require.NoError(t, err)
	require.Empty(t, none)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = segment.AffectedByAlerts(ctx, f.ledger)
	require.ErrorIs(t, err, context.Canceled)
	_, err = segment.AffectedByLog(ctx, f.ledger, segment.LogFilter{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestNewMonitorRefuses(t *testing.T) {
	_, err := segment.NewMonitor(segment.MonitorConfig{})
	require.EqualError(t, err, "segment: new monitor: MonitorConfig.Ledger is nil, want the ledger that the guards write")
}

// A rule that cannot be found leaves segments unjudged, and the sweep says so.
func TestSweepWithoutARule(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	lost := errors.New("rules out of reach")
	f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{}, lost }
	s, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, lost)
	require.ErrorContains(t, err, "site-a/cars")
	require.False(t, s.Complete)
	f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{Mode: "loose"}, nil }
	_, err = f.trySweep(f.listing(), nil)
	require.ErrorContains(t, err, "Rule.Mode is loose")
}

// What a guard found stands beside a sweep's suspicion, and gives way to what is
// graver.
func TestSweepAndGuardOnOneSegment(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		open         segment.Alert
		stored       int64
		news         []string
	}{
		{
			"a page stands", "a suspicion is no news where users are proven to be missing",
			segment.Alert{Urgency: segment.Page, Kind: validate.Empty, Level: segment.LevelLost100, RunID: "tonight"}, 480, nil,
		},
		{
			"a ticket gives way", "what is live lacks users, which is more than a suspicion",
			segment.Alert{Urgency: segment.Ticket, Kind: validate.Risen, RunID: "tonight"}, 999, []string{"fire page short site-a/cars"},
		},
		{
			"a graver kind", "nothing is graver than nothing",
			segment.Alert{Urgency: segment.Page, Kind: validate.Short, RunID: "tonight"}, 0, []string{"fire page empty site-a/cars"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			if c.stored == 480 { // what the last run left, off its history
				f.runs(seg("cars"), 1000, 1000, 1000, 480)
			} else {
				f.runs(seg("cars"), 1000, 1000, 1000)
			}
			c.open.Segment = seg("cars")
			require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{seg("cars").In("")}, func(s *segment.SegmentState) error {
				opened(s, c.open)
				return nil
			}))
			f.sizes[seg("cars")] = validate.Count(c.stored)
			require.Len(t, f.sweep().Findings, 1)
			require.Equal(t, c.news, f.alerter.news(), c.reason)
		})
	}
}

// A rule that is not found for one segment keeps no alert of another from people.
func TestSweepTellsWithoutOneRule(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	f.runs(seg("deleted"), 1000, 1000)
	f.sizes[seg("cars")] = validate.Count(900)
	delete(f.sizes, seg("deleted"))
	lost := errors.New("no such segment")
	f.config.Rules = func(_ context.Context, job segment.Job) (segment.Rule, error) {
		if job.To == seg("deleted") {
			return segment.Rule{}, lost
		}
		return segment.Rule{}, nil
	}
	s, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, lost)
	require.Len(t, s.Findings, 2)
	require.Equal(t, []string{"fire page short site-a/cars", "fire page unverified site-a/deleted"}, f.alerter.news())
}

// A size that cannot be kept stops neither the sweep nor the keeping of others.
func TestSweepKeepsWhatItCan(t *testing.T) {
	f := newFleet(t)
	f.sizes[seg("fine")] = validate.Count(7)
	f.sizes[seg("no \xff UTF-8")] = validate.Count(7)
	s, err := f.trySweep(f.listing(), nil)
	require.ErrorContains(t, err, "UTF-8")
	require.True(t, s.Complete)
	sizes := sizesOf(t, f.ledger, seg("fine"))
	require.Len(t, sizes, 1)
}

// A ledger that fails in the middle: what was read of it is judged and told.
func TestSweepOverALedgerThatBreaks(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 1000, 1000)
	f.runs(seg("b"), 1000, 1000)
	f.sizes[seg("a")] = validate.Count(900)
	lost := errors.New("connection reset")
	f.config.Ledger = breaking{f.ledger, lost}
	s, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, lost)
	require.False(t, s.Complete)
	require.Len(t, s.Findings, 1)
	require.Equal(t, []string{"fire page short site-a/a"}, f.alerter.news())
}

// A breaking ledger yields one segment.
type breaking struct {
	*segment.Memory

	err error
}

func (b breaking) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	if f.Store = nil; f != (segment.SegmentFilter{}) {
		return b.Memory.Segments(ctx, f)
	}
	return func(yield func(segment.SegmentState, error) bool) {
		for t := range b.Memory.Segments(ctx, f) {
			if yield(t, nil) {
				yield(segment.SegmentState{}, b.err)
			}
			return
		}
	}
}

// Cases come with what is proven first, then by gravity, users and name.
func TestCasesGravestFirst(t *testing.T) {
	f := newFleet(t)
	f.config.Rules = func(context.Context, segment.Job) (segment.Rule, error) {
		return segment.Rule{Drift: validate.Within(0.01)}, nil
	}
	for name, sizes := range map[string][3]int64{
		"warned, capped": {10_050, 10_050, 10_000}, "empty": {20, 20, 0},
		"short b": {1000, 1000, 903}, "short a": {1000, 1000, 903}, "short, most": {5000, 5000, 4501},
	} {
		f.runs(seg(name), sizes[0], sizes[1])
		f.sizes[seg(name)] = validate.Count(sizes[2])
	}
	var names []string
	for _, c := range f.sweep().Findings {
		names = append(names, c.Segment.Name)
	}
	require.Equal(t, []string{"empty", "short, most", "short a", "short b", "warned, capped"}, names)
}

// TestNewIncidentIsToldOnce: an incident of which the alerter could not be told
// is new the next time, and no standing one.
func TestNewIncidentIsToldOnce(t *testing.T) {
	f := newFleet(t)
	b := &batch{recorder: newRecorder()}
	f.config.Alerter = b
	for _, name := range []string{"a", "b", "c", "d"} {
		f.runs(seg(name), 1000, 1000)
		f.sizes[seg(name)] = validate.Count(900)
	}
	b.fail = errDown
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, errDown)
	b.fail = nil
	f.sweep()
	told := 0
	for _, text := range b.since() {
		if strings.HasPrefix(text, "fire short build-7 site-a/copy jobs of build build-7 since") {
			told++
		}
	}
	require.Equal(t, 1, told)
}

// TestRingsAreToldOnce: when an incident rings again, an alerter that keeps no alerts is
// told of that alone, and not of what people heard before.
func TestRingsAreToldOnce(t *testing.T) {
	f := newFleet(t)
	for i := range 10 {
		f.runs(seg(fmt.Sprint(i)), 1000, 1000)
	}
	rings := func(affected int) (told []string) {
		for i := range affected {
			f.sizes[seg(fmt.Sprint(i))] = validate.Count(900)
		}
		f.sweep()
		for _, text := range f.alerter.news() {
			if strings.HasSuffix(text, " members") {
				told = append(told, text[strings.LastIndex(text, ", ")+2:])
			}
		}
		f.now = f.now.Add(time.Minute)
		return told
	}
	require.Equal(t, []string{"3 members"}, rings(3))
	require.Empty(t, rings(3))
	require.Equal(t, []string{"10 members"}, rings(10))
}

// A forgetful ledger writes alerts down, but not that they were told.
type forgetful struct {
	*segment.Memory

	err     error
	changes int
}

func (l *forgetful) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	if l.changes++; l.changes == 3 { // written, claimed, told
		return l.err
	}
	return l.Memory.Change(ctx, keys, change)
}

// TestToldButNotWrittenDown: whoever told an alerter and could not write that
// down says so.
func TestToldButNotWrittenDown(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 1000, 1000)
	f.sizes[seg("a")] = validate.Count(900)
	down := errors.New("ledger down")
	f.config.Ledger = &forgetful{Memory: f.ledger, err: down}
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "writing down what the alerter was told")
	require.Equal(t, []string{"fire page short site-a/a"}, f.alerter.news())
}

// A listing that panics takes the sweep with it, and leaves nobody behind.
func TestSweepOverAListingThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.runs(seg("cars"), 1000, 1000)
		m, err := segment.NewMonitor(f.config)
		require.NoError(t, err)
		require.PanicsWithValue(t, "lost", func() {
			_, _ = m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
				yield(segment.CurrentSize{Segment: seg("cars"), Stored: validate.Count(1000)}, nil)
				panic("lost")
			})
		})
	}) // which waits for all that the sweep started
}

// An alerter that keeps nothing hears of each ring of an incident once, with what it has
// come to by then.
func TestPlainAlerterHearsTheLatestRing(t *testing.T) {
	f := newFleet(t)
	for i := range 12 {
		f.runs(seg(fmt.Sprint("s", i)), 1000, 1000)
	}
	var told []segment.Alert
	f.config.Alerter = alerterFunc(func(firing, _ []segment.Alert) {
		for _, a := range firing {
			if a.About != nil {
				told = append(told, a)
			}
		}
	})
	for _, n := range []int{4, 12} {
		for i := range n {
			f.sizes[seg(fmt.Sprint("s", i))] = validate.Count(900)
		}
		f.sweep()
		f.now = f.now.Add(time.Hour)
	}
	require.Len(t, told, 2)
	require.Equal(t, []int{3, 10}, []int{told[0].Ring, told[1].Ring})
	require.Contains(t, told[0].Text, "4 live segments affected")
	require.Contains(t, told[1].Text, "12 live segments affected")
}

type alerterFunc func(firing, resolved []segment.Alert)

func (f alerterFunc) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	f(firing, resolved)
	return nil
}

// TestToldWrittenDownLate: what a guard writes down of what the alerter heard, and a ledger
// applies minutes after the guard gave up, is of before. What people were told meanwhile
// does not get lost by it.
func TestToldWrittenDownLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, alerter := &lagging{Memory: segment.NewMemory()}, newRecorder()
		g, err := segment.NewGuard(segment.GuardConfig{Ledger: l, Alerter: alerter})
		require.NoError(t, err)
		runs := func(id string, stored int64) {
			_, _ = g.Commit(t.Context(), segment.Run{
				ID: id, Build: "7", Job: segment.Copy(cars, seg("source")), Expected: validate.Count(5),
				Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
				Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
			})
		}
		runs("1", 4)
		l.lags = func() bool { return len(alerter.firing) == 0 } // from when it has heard that it is over
		runs("2", 5)
		require.Equal(t, []string{"fire page short site-b/cars", "resolve " + cars.String()}, alerter.news())
		require.NotNil(t, l.late)
		time.Sleep(2 * time.Minute) // its claim runs out
		runs("3", 4)
		require.Equal(t, []string{"fire page short site-b/cars"}, alerter.news())
		require.NoError(t, l.late())
		runs("4", 5)
		require.Equal(t, []string{"resolve " + cars.String()}, alerter.news(), "nothing stands that nobody ends")
	})
}

// A lagging ledger applies one change that it is to lag with when late is called, and
// its caller gave up long before.
type lagging struct {
	*segment.Memory

	lags func() bool
	late func() error
}

func (l *lagging) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	if l.lags == nil || l.late != nil || !l.lags() {
		return l.Memory.Change(ctx, keys, change)
	}
	l.late = func() error { return l.Memory.Change(context.WithoutCancel(ctx), keys, change) }
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestToldLate: a sweep that stands still while it tells the alerter, until others made it
// over and told that, tells of what is no longer so. Nobody knows which of the two the
// alerter heard last: it hears again that it is over.
func TestToldLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.config.Now = time.Now
		f.runs(seg("cars"), 1000, 1000)
		f.sizes[seg("cars")] = validate.Count(900)
		w := pausing{f.alerter, waiting{make(chan struct{}), make(chan struct{})}, new(sync.Once)}
		slow := f.config
		slow.Alerter = w
		slow.Ledger = &lagging{Memory: f.ledger, lags: func() bool { // its claim is not renewed
			select {
			case <-w.asked:
				return true
			default:
				return false
			}
		}}
		m, err := segment.NewMonitor(slow)
		require.NoError(t, err)
		ended := make(chan error)
		go func() {
			_, err := m.Sweep(t.Context(), listed(f.listing(), nil))
			ended <- err
		}()
		<-w.asked
		time.Sleep(2 * time.Minute)
		require.NoError(t, segment.FalseAlarm(t.Context(), f.ledger, seg("cars").In(""), segment.Decision{By: "eva", Why: "a test", At: time.Now()}))
		f.sizes[seg("cars")] = validate.Count(1000)
		f.sweep()
		require.Equal(t, []string{"resolve site-a/cars"}, f.alerter.news())
		close(w.answer)
		require.NoError(t, <-ended)
		require.Equal(t, []string{"fire page short site-a/cars", "resolve site-a/cars"}, f.alerter.news())
	})
}

// A pausing alerter hears what it is told first when it is let go on.
type pausing struct {
	*recorder
	waiting

	first *sync.Once
}

func (p pausing) Tell(ctx context.Context, firing, resolved []segment.Alert) (err error) {
	p.first.Do(func() { err = p.waiting.Tell(ctx, firing, resolved) })
	return errors.Join(err, p.recorder.Tell(ctx, firing, resolved))
}
