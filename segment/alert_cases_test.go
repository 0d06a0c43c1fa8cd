package segment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

var errOut = errors.New("out of reach")

// has has a guard pass as many users, that go live with a run of its own.
func (r *room) has(users int64, names ...string) {
	for _, name := range names {
		id := ID{SiteGroup: "site-a", Name: name}
		require.NoError(r.t, r.commit(r.guard(), id, users, users))
	}
}

func (r *room) guard() *Guard { return r.guardOf(GuardConfig{Ledger: r.ledger, Alerter: r.keeper}) }

func (r *room) guardOf(c GuardConfig) *Guard {
	c.Now = r.keeper.now
	g, err := NewGuard(c)
	require.NoError(r.t, err)
	return g
}

// commit has a job copy users into a segment, of which the store then has stored.
func (r *room) commit(g *Guard, id ID, users, stored int64) error {
	r.now = r.now.Add(time.Millisecond)
	run := Run{
		ID: fmt.Sprint("run of ", r.now), Build: "7", Job: Copy(id, ID{SiteGroup: "source", Name: id.Name}), Expected: validate.Count(users),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
		Staging: Staging{Commit: func(context.Context) error { r.store[id] = stored; return nil }},
	}
	if err := g.Begin(r.t.Context(), &run); err != nil {
		return err
	}
	_, err := g.Commit(r.t.Context(), run)
	return err
}

func (r *room) sweep() (Sweep, error) {
	m, err := NewMonitor(r.config)
	require.NoError(r.t, err)
	return m.Sweep(r.t.Context(), func(yield func(CurrentSize, error) bool) {
		for _, id := range sorted(r.store) {
			if !yield(CurrentSize{Segment: id, Stored: validate.Count(r.store[id]), At: r.now}, nil) {
				return
			}
		}
	})
}

// sweeps sweeps every hour, for so many hours, and returns what rang.
func (r *room) sweeps(hours int) []string {
	r.keeper.rang = nil
	for range hours {
		r.now = r.now.Add(time.Hour)
		s, err := r.sweep()
		require.NoError(r.t, err)
		require.True(r.t, s.Complete)
	}
	return r.keeper.rang
}

func names(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s%04d", prefix, i))
	}
	return all
}

func (r *room) loses(share float64, names ...string) {
	for _, name := range names {
		id := ID{SiteGroup: "site-a", Name: name}
		r.store[id] = int64(float64(r.store[id]) * (1 - share))
	}
}

// open returns the open alerts by their segments' names.
func (r *room) open() map[string]AlertState {
	all := map[string]AlertState{}
	for s, err := range r.ledger.Segments(r.t.Context(), SegmentFilter{Affected: true}) {
		require.NoError(r.t, err)
		if s.Alert.Open != nil {
			all[s.Segment.Name] = s.Alert
		}
	}
	return all
}

// TestYesterdaysIncidentHidesNothing: three segments lose 100 each, two of them are
// repaired, and the next day 299 others lose 90%.
func TestYesterdaysIncidentHidesNothing(t *testing.T) {
	r := newRoom(t)
	r.has(1000, "a", "b", "c")
	others := names("o", 299)
	r.has(1000, others...)
	r.now = r.now.Add(2 * time.Hour)
	r.loses(0.1, "a", "b", "c")
	require.Equal(t, []string{"incident"}, r.sweeps(1))
	r.has(1000, "a", "b")
	require.Empty(t, r.sweeps(23))
	r.loses(0.9, others...)
	require.Equal(t, []string{"incident"}, r.sweeps(1))
	open := r.open()
	require.Len(t, open, 300)
	require.NotEqual(t, open["c"].Incident, open["o0000"].Incident)
	require.Empty(t, r.sweeps(3), "once")
}

// TestDropsOfADayRingOneByOne: what is unrelated and few rings by itself, each.
func TestDropsOfADayRingOneByOne(t *testing.T) {
	r := newRoom(t)
	r.has(1000, names("s", 20)...)
	for i, name := range names("s", 4) {
		r.now = r.now.Add(7 * time.Hour)
		r.loses(0.1+0.01*float64(i), name)
		require.Equal(t, []string{name}, r.sweeps(1))
	}
}

// TestNightOfAnIncident: 5,000 guards of eight processes fail within three minutes.
func TestNightOfAnIncident(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 guards")
	}
	r := newRoom(t)
	guards := make([]*Guard, 8)
	for i := range guards {
		guards[i] = r.guard()
	}
	const many = 5000
	for i, name := range names("s", many) {
		require.Error(t, r.commit(guards[i%len(guards)], ID{SiteGroup: fmt.Sprint("site-", i%40), Name: name}, 10_500, 10_000))
		r.now = r.now.Add(3 * time.Minute / many)
	}
	require.LessOrEqual(t, len(r.keeper.rang), 10, "%v", r.keeper.rang)
	require.Len(t, r.open(), many)
	told := map[ID]bool{}
	for l := range r.keeper.alerts {
		if l.ring == 0 {
			told[l.key.Segment] = true
		}
	}
	require.Len(t, told, many, "each has an alert of its own")
	r.keeper.rang = nil
	s, err := r.sweep()
	require.NoError(t, err)
	require.Empty(t, r.keeper.rang)
	require.Len(t, s.Incidents, 1)
	require.Equal(t, many, s.Incidents[0].Members.Segments)
	require.Contains(t, s.Incidents[0].String(), "5,000 segments affected, all protected: the live ones keep their users (40 site groups); 5,000 capped")
}

// TestIncidentGrows: it is told at 10 and at 100 members, too.
func TestIncidentGrows(t *testing.T) {
	r := newRoom(t)
	all := names("s", 316)
	r.has(1000, all...)
	for i, members := range []int{3, 12, 140, 316} {
		r.loses(0.1, all[[]int{0, 3, 12, 140}[i]:members]...)
		rang := r.sweeps(1)
		require.Equal(t, members < 316, slices.Contains(rang, "incident"), "%d members", members)
	}
}

// TestWorseIsTold: a page that grows worse by far, and one that is no longer
// protected, ring again.
func TestWorseIsTold(t *testing.T) {
	r := newRoom(t)
	r.has(1_003_000, "big")
	r.store[ID{"site-a", "big"}]--
	require.Equal(t, []string{"big"}, r.sweeps(1))
	r.loses(0.9, "big")
	require.Equal(t, []string{"big"}, r.sweeps(1))
	require.Equal(t, LevelLost50, r.open()["big"].Open.Level)
	require.Empty(t, r.sweeps(2))

	r = newRoom(t)
	r.has(5000, "night")
	require.Error(t, r.commit(r.guard(), ID{"site-a", "night"}, 5000, 3))
	require.Equal(t, []string{"night"}, r.keeper.rang)
	require.Contains(t, r.open()["night"].Open.Text, "customers not hit: the live segment keeps its users; ")
	r.store[ID{"site-a", "night"}] = 3
	require.Equal(t, []string{"night"}, r.sweeps(1))
	require.Contains(t, r.open()["night"].Open.Text, "customers hit: the live segment lost 50% of its users or more; ")
}

// TestVanished: a segment that is gone is a page, by the users that it had; a listing
// that lacks all of them is one incident.
func TestVanished(t *testing.T) {
	r := newRoom(t)
	r.has(5_003_000, "gone")
	r.has(1000, "there")
	r.now = r.now.Add(2 * time.Hour)
	delete(r.store, ID{"site-a", "gone"})
	require.Equal(t, []string{"gone"}, r.sweeps(1))
	a := r.open()["gone"].Open
	require.Equal(t, Page, a.Urgency)
	require.EqualValues(t, 5_003_000, a.Users)
	require.Contains(t, a.Text, "customers hit: the segment is gone from the store; ")

	r.store[ID{"site-a", "gone"}] = 0
	require.Equal(t, []string{"gone"}, r.sweeps(1), "back, and empty")
	require.Equal(t, validate.Empty, r.open()["gone"].Open.Kind)
	r.store[ID{"site-a", "gone"}] = 5_003_000
	require.Empty(t, r.sweeps(2))
	require.Empty(t, r.open())

	r = newRoom(t)
	for i, name := range names("s", 300) {
		require.NoError(t, r.commit(r.guard(), ID{fmt.Sprint("site-", i%7), name}, 1000, 1000))
	}
	r.now = r.now.Add(2 * time.Hour)
	clear(r.store)
	require.Equal(t, []string{"incident"}, r.sweeps(1))
	s, err := r.sweep()
	require.NoError(t, err)
	require.Len(t, s.Incidents, 1)
	require.Equal(t, Cause{Listing: true}, s.Incidents[0].Cause)
	require.EqualValues(t, 300_000, s.Incidents[0].Members.Users)
}

// TestAbsentIsEmpty: where the listing leaves empty segments out.
func TestAbsentIsEmpty(t *testing.T) {
	r := newRoom(t)
	r.config.AbsentIsEmpty = true
	r.has(1000, "a", "b")
	r.now = r.now.Add(2 * time.Hour)
	delete(r.store, ID{"site-a", "a"})
	require.Equal(t, []string{"a"}, r.sweeps(1))
	require.Equal(t, validate.Empty, r.open()["a"].Open.Kind)
}

// TestAlerterDown: while it is, healthy runs pass and those that fail return their
// verdict; people are told afterwards, by the next sweep.
func TestAlerterDown(t *testing.T) {
	r := newRoom(t)
	r.has(1000, "a", "b")
	require.Error(t, r.commit(r.guard(), ID{"site-a", "a"}, 1000, 900))
	r.keeper.fail = errOut
	r.now = r.now.Add(time.Minute)
	require.NoError(t, r.commit(r.guard(), ID{"site-a", "a"}, 1000, 1000))
	err := r.commit(r.guard(), ID{"site-a", "b"}, 1000, 900)
	require.ErrorIs(t, err, validate.Short)
	require.NotErrorIs(t, err, errOut)
	s, err := r.sweep()
	require.ErrorIs(t, err, errOut)
	require.False(t, s.Complete, "somebody is not told")
	r.keeper.fail = nil
	require.Equal(t, []string{"b"}, r.sweeps(1))
	require.Len(t, r.keeper.alerts, 1, "and that a is well")
}

// A cut ledger is that of a process that was killed: what it would still do has no
// effect.
type cut struct {
	*Memory

	after int // so many changes
}

func (c *cut) Change(ctx context.Context, keys []Key, change func(*SegmentState) error) error {
	if c.after--; c.after < 0 {
		return errOut
	}
	return c.Memory.Change(ctx, keys, change)
}

// TestWorkerKilled: between its record and its word that the alert is over; the next
// sweep ends it.
func TestWorkerKilled(t *testing.T) {
	for after := range 4 {
		r := newRoom(t)
		r.has(1000, "a")
		require.Error(t, r.commit(r.guard(), ID{"site-a", "a"}, 1000, 900))
		r.now = r.now.Add(time.Hour)
		require.NoError(t, r.commit(r.guardOf(GuardConfig{Ledger: &cut{r.ledger, after}, Alerter: r.keeper}), ID{"site-a", "a"}, 1000, 1000))
		r.now = r.now.Add(2 * time.Minute)
		require.Empty(t, r.sweeps(1))
		require.Empty(t, r.open())
		require.Empty(t, r.keeper.alerts, "after %d changes", after)
	}
}

// TestLedgerDown: what is told without the ledger says so, and is taken over by it: the
// segments keep their users, so that no sweep would find the fault.
func TestLedgerDown(t *testing.T) {
	r := newRoom(t)
	all := names("s", 5)
	r.has(1000, all...)
	g := r.guardOf(GuardConfig{Ledger: &cut{r.ledger, 0}, Alerter: r.keeper})
	for _, name := range all {
		require.Error(t, r.commit(g, ID{"site-a", name}, 1000, 900))
	}
	require.Len(t, r.keeper.alerts, 5)
	for _, a := range r.keeper.alerts {
		require.True(t, a.Unconfirmed)
		require.Contains(t, a.Text, "not confirmed")
	}
	r.now = r.now.Add(10 * time.Minute)
	require.Equal(t, []string{"incident"}, r.sweeps(1), "it has five members, each of which was told")
	require.Len(t, r.keeper.alerts, 6)
	for _, s := range r.open() {
		require.False(t, s.Open.Unconfirmed)
		require.NotContains(t, s.Open.Text, "not confirmed")
	}
	for _, a := range r.keeper.alerts {
		require.NotContains(t, a.Text, "not confirmed", "people read that it stands")
	}
	require.Empty(t, r.sweeps(12), "and are told no more")
	require.Len(t, r.open(), 5)
	for _, name := range all {
		require.NoError(t, r.commit(r.guard(), ID{"site-a", name}, 1000, 1000))
	}
	require.Empty(t, r.open())
	require.Empty(t, r.sweeps(26))
	require.Empty(t, r.keeper.alerts)
}

// TestLedgerDownAndRepaired: what a run repaired before a sweep came is over.
func TestLedgerDownAndRepaired(t *testing.T) {
	r := newRoom(t)
	r.has(1000, "a", "b")
	g := r.guardOf(GuardConfig{Ledger: &cut{r.ledger, 0}, Alerter: r.keeper})
	_, err := g.notifier.identity(t.Context())
	require.NoError(t, err)
	require.Error(t, r.commit(g, ID{"site-a", "a"}, 1000, 900))
	r.now = r.now.Add(5 * time.Minute)
	require.NoError(t, r.commit(r.guard(), ID{"site-a", "a"}, 1000, 1000))
	r.now = r.now.Add(5 * time.Minute)
	require.Empty(t, r.sweeps(1))
	require.Empty(t, r.open())
	require.Empty(t, r.keeper.alerts)
}

// TestHoveringAtTheLimit: one word, and one when it is calm.
func TestHoveringAtTheLimit(t *testing.T) {
	r := newRoom(t)
	r.config.Rules = func(context.Context, Job) (Rule, error) { return Rule{Drift: validate.Within(0.01)}, nil }
	r.has(100_000, "a")
	rang := 0
	for hour := range 24 * 7 {
		r.store[ID{"site-a", "a"}] = 99_000 - int64(hour%2) // allowed, and not
		rang += len(r.sweeps(1))
	}
	require.Equal(t, 1, rang)
	r.store[ID{"site-a", "a"}] = 99_900
	require.Empty(t, r.sweeps(2))
	require.Empty(t, r.keeper.alerts)
}

// A killed alerter hears a call, and its process dies over the next one.
type killed struct {
	*keeper

	ledger *cut
	calls  int
}

func (k *killed) Tell(ctx context.Context, firing, resolved []Alert) error {
	if k.calls++; k.calls == 3 { // the incident, a batch, and then
		k.ledger.after = 0
	}
	if k.ledger.after <= 0 && k.calls > 3 {
		return errOut
	}
	return k.keeper.Tell(ctx, firing, resolved)
}

// TestMonitorKilled: amid telling very many. The next sweep tells the rest, and at
// most a batch again.
func TestMonitorKilled(t *testing.T) {
	r := newRoom(t)
	all := names("s", 2500)
	r.has(1000, all...)
	r.now = r.now.Add(2 * time.Hour)
	r.loses(0.1, all...)
	dead := &cut{r.ledger, 1 << 30}
	config := r.config
	r.config.Ledger, r.config.Alerter = dead, &killed{keeper: r.keeper, ledger: dead}
	s, err := r.sweep()
	require.Error(t, err)
	require.False(t, s.Complete)
	heard := maps.Clone(r.keeper.alerts)
	r.config = config
	r.now = r.now.Add(2 * time.Minute)
	again := 0
	r.config.Alerter = listening{r.keeper, func(firing []Alert) {
		for i := range firing {
			if _, known := heard[firing[i].labels()]; known && firing[i].Ring == 0 {
				again++
			}
		}
	}}
	s, err = r.sweep()
	require.NoError(t, err)
	require.True(t, s.Complete)
	require.LessOrEqual(t, again, 1000)
	require.Len(t, r.keeper.alerts, 2500+len(s.Incidents[0].Rings))
}

// A listening alerter notes what it is told.
type listening struct {
	*keeper

	hears func([]Alert)
}

func (l listening) Tell(ctx context.Context, firing, resolved []Alert) error {
	l.hears(firing)
	return l.keeper.Tell(ctx, firing, resolved)
}

// TestDeadMonitor: nobody sweeps for eight days, and people are told of what came
// meanwhile as one incident.
func TestDeadMonitor(t *testing.T) {
	r := newRoom(t)
	all := names("s", 200)
	r.has(1000, all...)
	r.now = r.now.Add(2 * time.Hour)
	r.loses(0.1, all[:40]...)
	r.sweeps(1)
	r.now = r.now.Add(8 * 24 * time.Hour)
	require.Empty(t, r.sweeps(1), "what stood stands")
	clear(r.keeper.alerts) // as after a month
	require.LessOrEqual(t, len(r.sweeps(1)), 2)
	r.now = r.now.Add(8 * 24 * time.Hour)
	r.loses(0.5, all[40:]...)
	require.LessOrEqual(t, len(r.sweeps(1)), 2)
}

// TestLostSingleAlertsComeBackTogether: what the alerter lost, and would ring by
// itself, comes back as one incident where it is many.
func TestLostSingleAlertsComeBackTogether(t *testing.T) {
	r := newRoom(t)
	all := names("s", 12)
	r.has(1000, all...)
	for _, name := range all {
		r.now = r.now.Add(7 * time.Hour)
		r.loses(0.1, name)
		require.Equal(t, []string{name}, r.sweeps(1))
	}
	clear(r.keeper.alerts)
	rang := r.sweeps(1)
	require.NotEmpty(t, rang)
	for _, what := range rang {
		require.Equal(t, "incident", what)
	}
	require.Len(t, r.open(), 12)
}

// TestToldAmidASweepIsNotLost: what guards tell once a sweep has read the alerter's list is
// not on it, and not lost.
func TestToldAmidASweepIsNotLost(t *testing.T) {
	r := newRoom(t)
	all := names("s", 3)
	r.has(1000, all...)
	r.config.Alerter = &amid{r.keeper, sync.OnceFunc(func() {
		r.now = r.now.Add(time.Second)
		for i, name := range all {
			a := r.fault(validate.Short, Page, LevelProtected, 100)
			a.Segment, a.Build = ID{SiteGroup: "site-a", Name: name}, fmt.Sprint("build ", i)
			r.observe(a)
		}
	})}
	require.Equal(t, all, r.sweeps(1), "each by itself, and no incident")
	for name, s := range r.open() {
		require.Empty(t, s.Incident, name)
	}
}

// amid is a keeper, and what happens when its list was read.
type amid struct {
	*keeper

	then func()
}

func (a *amid) Open(ctx context.Context, siteGroup string) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		for x, err := range a.keeper.Open(ctx, siteGroup) {
			if !yield(x, err) {
				return
			}
		}
		a.then()
	}
}

// TestTwoLedgers: on one alerter, they leave each other's alerts alone.
func TestTwoLedgers(t *testing.T) {
	r, other := newRoom(t), newRoom(t)
	other.keeper.alerts, other.now = r.keeper.alerts, r.now
	r.has(1000, "a")
	other.has(1000, "b")
	r.loses(0.1, "a")
	other.loses(0.1, "b")
	require.Equal(t, []string{"a"}, r.sweeps(1))
	require.Equal(t, []string{"b"}, other.sweeps(1))
	require.Empty(t, r.sweeps(3))
	require.Empty(t, other.sweeps(3))
	require.Len(t, r.keeper.alerts, 2)
}

// TestMutedOnsetRingsOnce: a fault that came and stayed while it was muted rings when
// the mute ends, once; what grew worse meanwhile rang at once.
func TestMutedOnsetRingsOnce(t *testing.T) {
	r := newRoom(t)
	r.has(1000, "one", "two")
	require.NoError(t, MuteAlerts(t.Context(), r.ledger, Mute{SiteGroup: "site-a", Until: r.now.Add(5 * time.Hour), Decision: r.decision()}))
	r.loses(0.1, "one", "two")
	require.Empty(t, r.sweeps(2))
	require.Len(t, r.open(), 2)
	r.loses(0.9, "two")
	require.Equal(t, []string{"two"}, r.sweeps(1), "worse than when it was muted")
	rang := r.sweeps(3)
	require.Contains(t, rang, "one")
	require.LessOrEqual(t, len(rang), 2)
	require.Empty(t, r.sweeps(3))
	var log []string
	for e := range r.ledger.Log(t.Context(), LogFilter{Action: ActionMuted}) {
		log = append(log, e.By+": "+e.Why+": "+e.Text)
	}
	require.Equal(t, []string{"ann: she looked: site group site-a until 2024-03-18T07:00:00Z"}, log)
}

// TestEighthNight: a segment that is off its history night after night is one alert.
func TestEighthNight(t *testing.T) {
	r := newRoom(t)
	id := ID{"site-a", "like"}
	night := func(users int64) error {
		r.now = r.now.Add(24 * time.Hour)
		run := Run{
			ID: r.now.String(), Job: Lookalike(id, ID{"site-a", "seed"}), Expected: validate.Count(users),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(users), nil },
			Staging: Staging{Commit: func(context.Context) error { r.store[id] = users; return nil }},
		}
		g := r.guard()
		require.NoError(t, g.Begin(t.Context(), &run))
		_, err := g.Commit(t.Context(), run)
		return err
	}
	for range 10 {
		require.NoError(t, night(5000))
	}
	for range 8 {
		require.ErrorIs(t, night(1003), validate.Dropped)
	}
	require.Equal(t, []string{"like"}, r.keeper.rang)
	require.NoError(t, night(5000))
	require.Len(t, r.open(), 1, "right once")
	require.NoError(t, night(5000))
	require.Empty(t, r.open(), "on two days")
}

// TestClocksBehind: a process whose clock is hours behind or ahead tells all the same.
func TestClocksBehind(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		r := newRoom(t)
		r.has(1000, "one")
		now := r.now
		r.now = now.Add(skew)
		require.Error(t, r.commit(r.guard(), ID{"site-a", "one"}, 1000, 900))
		require.Equal(t, []string{"one"}, r.keeper.rang)
		r.keeper.fail = errOut
		require.NoError(t, r.commit(r.guard(), ID{"site-a", "one"}, 1000, 1000))
		r.keeper.fail = nil
		r.now = now
		require.Empty(t, r.sweeps(1))
		require.Empty(t, r.keeper.alerts, "over, whatever a clock says of a claim")
	}
}

// TestBreaker: on a store without staging, a build that damaged so many segments gets
// no further; others do; a human's word lets it go on.
func TestBreaker(t *testing.T) {
	r := newRoom(t)
	g := r.guardOf(GuardConfig{Ledger: r.ledger, Alerter: r.keeper, Breaker: 3})
	write := func(build, name string) error {
		id := ID{"site-a", name}
		r.now = r.now.Add(time.Minute)
		_, err := g.Do(t.Context(), Run{
			ID: name, Build: build, Job: Copy(id, ID{"source", name}), Expected: validate.Count(1000), Live: true,
			Stored: func(context.Context) (validate.Summary, error) { return validate.Count(r.store[id]), nil },
		}, func(context.Context, *Run) error { r.store[id] = 900; return nil })
		return err
	}
	damaged := 0
	for _, name := range names("s", 20) {
		if err := write("bad", name); !refused(err) {
			require.ErrorIs(t, err, validate.Short)
			damaged++
		} else {
			require.False(t, Retryable(err))
			require.ErrorContains(t, err, "copy jobs of build bad are refused since ")
		}
	}
	require.Equal(t, 3, damaged)
	require.False(t, refused(write("other", "t")))
	require.NoError(t, Resume(t.Context(), r.ledger, JobKindCopy, "bad", r.decision()))
	for _, name := range names("u", 20) {
		if !refused(write("bad", name)) {
			damaged++
		}
	}
	require.Equal(t, 6, damaged, "counted anew")
	_, err := g.Admit(t.Context(), Run{ID: "v", Build: "bad", Job: Copy(ID{"site-a", "v"}, ID{"source", "v"}), Expected: validate.Count(1000), Live: true})
	require.True(t, refused(err))
}

// TestPageFrom: a proven fault of a small segment is a ticket.
func TestPageFrom(t *testing.T) {
	r := newRoom(t)
	rules := func(context.Context, Job) (Rule, error) { return Rule{PageFrom: 1001, Link: "https://look"}, nil }
	g := r.guardOf(GuardConfig{Ledger: r.ledger, Alerter: r.keeper, Rules: rules})
	r.config.Rules = rules
	for id, users := range map[ID]int64{{"site-a", "small"}: 1000, {"site-a", "large"}: 1001} {
		require.NoError(t, r.commit(g, id, users, users))
		require.Error(t, r.commit(g, id, users, 900))
		a := r.open()[id.Name].Open
		require.Equal(t, users == 1001, a.Urgency == Page)
		require.Equal(t, users, a.Good.Users)
		require.Contains(t, a.Text, "; see https://look; next: ")
		require.Contains(t, a.Text, fmt.Sprintf("; right last with %s at ", validate.Count(users)))
	}
}

// TestDownstreamJoins: what was made from a member of an incident belongs to it, also
// much later.
func TestDownstreamJoins(t *testing.T) {
	r := newRoom(t)
	r.has(1000, "a", "b", "c", "d")
	r.now = r.now.Add(time.Hour)
	for _, name := range []string{"a", "b", "c"} {
		require.Error(t, r.commit(r.guard(), ID{"site-a", name}, 1000, 900))
	}
	r.now = r.now.Add(10 * time.Hour)
	r.keeper.rang = nil
	run := Run{
		ID: "down", Build: "another", Job: Lookalike(ID{"site-a", "d"}, ID{"site-a", "a"}), Expected: validate.Count(1000),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(900), nil },
		Staging: Staging{Commit: func(context.Context) error { return nil }},
	}
	_, err := r.guard().Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Short)
	require.Empty(t, r.keeper.rang)
	open := r.open()
	require.Equal(t, open["a"].Incident, open["d"].Incident)
	require.Contains(t, open["d"].Open.Text, "; made from site-a/a, which is affected itself")
}

// A counter counts how often the members of incidents are counted.
type counter struct {
	*Memory

	counts int
}

func (c *counter) Incidents(ctx context.Context, f IncidentFilter) iter.Seq2[Incident, error] {
	if !f.Bare {
		c.counts++
	}
	return c.Memory.Incidents(ctx, f)
}

func (c *counter) ChangeIncident(ctx context.Context, id string, change func(*Incident) error) error {
	c.counts++
	return c.Memory.ChangeIncident(ctx, id, change)
}

// TestMembersAreCountedWhereTheyMayRing: a guard that fails amid thousands does not
// count them, and the incident rings when it should: as many join, as one of them is
// worse, and however few processes see each other.
func TestMembersAreCountedWhereTheyMayRing(t *testing.T) {
	r := newRoom(t)
	all := names("s", 420)
	r.has(1000, all...)
	r.now = r.now.Add(time.Hour)
	r.keeper.rang = nil
	ledger := &counter{Memory: r.ledger}
	guards := []*Guard{}
	for range 2 {
		guards = append(guards, r.guardOf(GuardConfig{Ledger: ledger, Alerter: r.keeper}))
	}
	rang := func() (n int) {
		for _, what := range r.keeper.rang {
			if what == "incident" {
				n++
			}
		}
		return n
	}
	for i, name := range all[:400] {
		r.now = r.now.Add(20 * time.Millisecond) // 50 a second
		require.Error(t, r.commit(guards[i%2], ID{"site-a", name}, 1000, 900))
		switch i + 1 {
		case 3, 9:
			require.Equal(t, 1, rang(), i)
		case 10, 99:
			require.Equal(t, 2, rang(), i)
		case 100, 400:
			require.Equal(t, 3, rang(), i)
		}
	}
	require.Less(t, ledger.counts, 120, "of 400")
	worse := r.guardOf(GuardConfig{Ledger: ledger, Alerter: r.keeper})
	run := Run{ID: "live", Build: "7", Job: Job{ID: "copy live", Kind: JobKindCopy, To: ID{"site-a", all[410]}}, Live: true, Expected: validate.Count(1000),
		Stored: func(context.Context) (validate.Summary, error) { return validate.Count(100), nil }}
	_, err := worse.Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, 4, rang(), "a level that no member had")
}

// TestIncidentEnds: a day after its last member, in silence.
func TestIncidentEnds(t *testing.T) {
	r := newRoom(t)
	all := names("s", 12)
	r.has(1000, all...)
	r.loses(0.1, all...)
	require.Equal(t, []string{"incident"}, r.sweeps(1))
	r.has(1000, all...)
	require.Empty(t, r.sweeps(20))
	require.Empty(t, r.open())
	require.Len(t, r.keeper.alerts, 1)
	require.Empty(t, r.sweeps(6))
	require.Empty(t, r.keeper.alerts)
}

// TestIncidentEndsWhereSweepsAreADayApart: a day after its last member, and not with it.
func TestIncidentEndsWhereSweepsAreADayApart(t *testing.T) {
	r := newRoom(t)
	all := names("s", 12)
	r.has(1000, all...)
	r.loses(0.1, all...)
	sweep := func() {
		r.sweeps(1)
		r.now = r.now.Add(day - time.Hour)
	}
	sweep()
	r.has(1000, all...)
	sweep()
	require.Empty(t, r.open())
	require.Len(t, r.keeper.alerts, 1, "the incident stands")
	sweep()
	require.Empty(t, r.keeper.alerts)
}

// TestRepairedOffItsHistory: a sweep finds that users are missing, and the run that
// repairs it brings a size off its history, of which its source is sure. What was
// proven is over with the sweep that agrees; what is left is a ticket.
func TestRepairedOffItsHistory(t *testing.T) {
	for _, repair := range []string{"by a run", "by hand"} {
		t.Run(repair, func(t *testing.T) {
			r := newRoom(t)
			one := r.month("one")
			r.loses(0.87, "one")
			require.Equal(t, []string{"one"}, r.sweeps(1))
			require.Equal(t, Page, r.open()["one"].Open.Urgency)
			if repair == "by a run" {
				require.NoError(t, r.commit(r.guard(), one, 437, 437))
				require.Equal(t, Page, r.open()["one"].Open.Urgency, "no sweep agreed yet")
			} else {
				r.store[one] = 1000
				r.config.Rules = func(context.Context, Job) (Rule, error) {
					return Rule{Drift: validate.Within(0.5)}, nil
				}
				r.loses(0.2, "one") // which the drift allows, and the history does not
				require.Empty(t, r.sweeps(1), "one sweep is not enough")
			}
			require.Equal(t, []string{"one"}, r.sweeps(1), "of the ticket")
			left := r.open()["one"]
			require.Equal(t, Mark{Urgency: Ticket, Kind: validate.Dropped, Level: left.Open.Level, JobKind: JobKindCopy, Build: "7"}, left.worst())
			require.Len(t, left.Marks, 1)
			require.Len(t, r.keeper.alerts, 1)
			require.Empty(t, r.sweeps(3), "once")
		})
	}
}

// month has a guard pass 1,000 users on each of 30 days, some more or fewer.
func (r *room) month(name string) ID {
	for day := range 30 {
		r.now = r.now.Add(24 * time.Hour)
		r.has(1000+int64(day*7%10), name)
	}
	return ID{SiteGroup: "site-a", Name: name}
}
