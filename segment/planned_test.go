package segment_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func planned(l *loop, which segment.Selection, e validate.Excuse) []segment.Affected {
	l.t.Helper()
	rerun, err := segment.AcceptWithin(l.t.Context(), l.ledger, which, e, ann(l.now))
	require.NoError(l.t, err)
	return rerun
}

// siteA selects all segments of site A.
var siteA = segment.Selection{SiteGroup: "site-a"}

// many returns segments of a site group, each larger than the one before.
func many(l *loop, n int) (ids []segment.ID, users []float64) {
	for i := range n {
		ids = append(ids, seg(fmt.Sprintf("%03d", i)))
		users = append(users, 3100*math.Pow(1.1, float64(i)))
		l.calm(users[i], ids[i])
	}
	return ids, users
}

// TestPlannedHalving: a customer halves segments of different sizes tomorrow. One word
// says so of all, today: no ticket during or after it, and a fault in that time fails.
func TestPlannedHalving(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		l := newLoop(t)
		ids, users := many(l, 79)
		l.now = night(0)
		planned(l, siteA, validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: night(1), Until: night(4), ForGood: true})
		for n := range 40 {
			l.now = night(n)
			for i, id := range ids {
				now := int64(users[i]) + int64(n)
				if n >= 2 {
					now /= 2
				}
				switch l.sizes[id] = validate.Count(now); {
				case guarded && n == 2 && i == 7: // a fault inside
					l.fails(id, now/2, validate.Dropped)
					require.Len(t, l.alerter.news(), 1)
					l.passes(id, now, unknown)
				case guarded:
					l.passes(id, now, unknown)
				}
			}
			require.Empty(t, l.sweep().Findings, "night %d, guarded: %v", n, guarded)
			require.Empty(t, l.open(), "what is right for good is over")
		}
		require.Empty(t, l.open())
		if !guarded {
			require.Empty(t, l.alerter.news())
		}
		require.Len(t, l.logged(segment.ActionExcused), 79, "each use is in the log")
		require.Empty(t, l.state(ids[0]).Excuses, "the first size within was for good")
		if guarded {
			l.fails(ids[3], int64(users[3]/4), validate.Dropped)
		} else {
			l.sizes[ids[3]] = validate.Count(int64(users[3] / 4))
			require.Len(t, l.sweep().Findings, 1)
		}
	}
}

// TestPlannedOnce: without ForGood the baseline goes on without what was excused, and
// once it is over what is still off is an onset.
func TestPlannedOnce(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars, seg("unused"))
	l.now = night(0)
	planned(l, which("", cars, seg("unused")), validate.Excuse{Low: 40_000, High: 60_000, From: night(1), Until: night(4)})
	for n := range 4 {
		l.now = night(n)
		l.passes(cars, map[bool]int64{true: 100_100, false: 50_100}[n == 0], unknown)
		l.sizes[seg("unused")] = validate.Count(100_000 + int64(n))
		require.Empty(t, l.sweep().Findings)
	}
	require.Empty(t, l.alerter.news())
	require.Len(t, l.logged(segment.ActionExcused), 3)
	l.now = night(4)
	l.fails(cars, 50_100, validate.Dropped)
	s := l.sweep()
	require.Equal(t, 1, s.Unused)
	require.Contains(t, s.String(), "1 plan ended, and no size was excused by it.")
	require.Equal(t, []string{"site-a/unused unused by ann: until 2024-03-22T02:00:00Z no size was excused"}, l.logged(segment.ActionUnused))
	require.Zero(t, l.sweep().Unused, "once")
	l.now = night(5)
	l.passes(cars, 100_000, unknown)
}

// TestAcceptWithinAfterTheFact: what is open and within is no fault, and is made again.
func TestAcceptWithinAfterTheFact(t *testing.T) {
	for _, forGood := range []bool{false, true} {
		l := newLoop(t)
		l.calm(100_000, cars, seg("cars"))
		l.now = night(0)
		l.fails(cars, 50_003, validate.Dropped)
		l.fails(seg("cars"), 40_003, validate.Dropped)
		e := validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: night(0), Until: night(3), ForGood: forGood}
		require.Equal(t, []segment.Affected{{Segment: cars, Users: 50_003}}, planned(l, which("", cars, seg("cars")), e))
		require.Equal(t, []string{"site-a/cars"}, l.open(), "the other one is not within")
		l.now = night(1)
		l.passes(cars, 50_100, unknown)
		require.Equal(t, []string{"site-a/cars"}, l.open())
		l.now = night(4)
		_, err := l.do(cars, 50_100, unknown)
		require.Equal(t, forGood, err == nil, "%v", err)
	}
}

// TestExcusesNothingElse: an excuse is for sizes off their history, and for nothing else.
func TestExcusesNothingElse(t *testing.T) {
	half := validate.Excuse{LowShare: 0.4, HighShare: 0.6, From: night(-1), Until: night(5)}
	for _, c := range []struct {
		name   string
		excuse validate.Excuse
		users  int64
		want   validate.Kind // empty: passes
		edit   func(*segment.Run)
		policy validate.Policy
	}{
		{name: "within", excuse: half, users: 50_100},
		{name: "below", excuse: half, users: 39_000, want: validate.Dropped},
		{name: "above", excuse: half, users: 61_000, want: validate.Dropped},
		{name: "empty", excuse: half, want: validate.Empty},
		{name: "empty, within users from none on", excuse: validate.Excuse{High: 60_000, From: night(-1), Until: night(5)}, want: validate.Empty},
		{name: "empty, and named", excuse: validate.Excuse{Empty: true, From: night(-1), Until: night(5)}},
		{name: "on a limit", excuse: half, users: 50_000, want: validate.Capped, policy: validate.Policy{Caps: []validate.Cap{{Users: 50_000, Origin: "ours"}}}},
		{name: "short", excuse: half, users: 50_100, want: validate.Short, edit: func(r *segment.Run) { r.Expected = validate.Count(50_200) }},
		{name: "more than expected", excuse: half, users: 50_100, want: validate.Surplus, edit: func(r *segment.Run) { r.Expected = validate.Count(50_000) }},
		{name: "unverified", excuse: half, users: 50_100, want: validate.Unverified, edit: func(r *segment.Run) { r.Expected = validate.Unmeasured(errors.New("no route to host")) }},
		{name: "not yet", excuse: validate.Excuse{LowShare: 0.4, HighShare: 0.6, From: night(0).Add(time.Second), Until: night(5)}, users: 50_100, want: validate.Dropped},
		{name: "over", excuse: validate.Excuse{LowShare: 0.4, HighShare: 0.6, From: night(-1), Until: night(0)}, users: 50_100, want: validate.Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoop(t)
			l.rule.Policy = c.policy
			l.calm(100_000, cars, seg("cars"))
			planned(l, which("", cars), c.excuse)
			l.now = night(0)
			edit := func(r *segment.Run) {
				if c.edit != nil {
					c.edit(r)
				}
			}
			_, err := l.do(cars, c.users, unknown, edit)
			if c.want == "" {
				require.NoError(t, err)
				require.Empty(t, l.alerter.news())
				l.fails(seg("cars"), c.users, validate.Dropped, edit) // which was not named
				return
			}
			require.ErrorIs(t, err, c.want)
			require.NotEmpty(t, l.open())
			require.Empty(t, l.logged(segment.ActionExcused))
		})
	}
	l := newLoop(t)
	l.calm(100_000, cars)
	planned(l, which("", cars), validate.Excuse{LowShare: 0.9, HighShare: 1.1, From: night(-1), Until: night(25)})
	for n := range 12 {
		l.now = night(n)
		l.passes(cars, 100_003, unknown)
	}
	require.Contains(t, l.state(cars).Alert.Open.Text, "frozen", "nor what is frozen")
	l.now = night(20)
	require.Equal(t, validate.Stale, l.sweep().Findings[0].Kind, "nor what is stale")
}

// TestOneWord: a segment that no guard stands before, halved on purpose, needs one word.
func TestOneWord(t *testing.T) {
	for _, half := range []int64{50_123, 50_000} { // the second is a limit, and a word is a word
		l := newLoop(t)
		l.calm(100_000, cars)
		words := 0
		for n := range 70 {
			l.now = night(n)
			l.sizes[cars] = validate.Count(half + int64(n%7)/3)
			if len(l.sweep().Findings) > 0 {
				require.Empty(t, accepted(t, l.ledger, which("", cars), ann(l.now)), "it is live: nothing is to be made again")
				words++
			}
		}
		require.Equal(t, 1, words, "%d", half)
		require.Equal(t, "resolve site-b/cars", l.alerter.news()[1])
	}
}

// TestEmptiedOnPurpose: an accepted zero excuses itself, until users are there again.
func TestEmptiedOnPurpose(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		l := newLoop(t)
		l.calm(100_000, cars)
		if guarded {
			l.now = night(0)
			l.passes(cars, 100_000, unknown)
		}
		words := 0
		for n := 1; n < 40; n++ {
			l.now = night(n).Add(3 * time.Hour)
			if l.sizes[cars] = validate.Count(0); n == 20 {
				l.sizes[cars] = validate.Count(100_003)
			}
			if len(l.sweep().Findings) > 0 {
				accepted(t, l.ledger, which("", cars), ann(l.now))
				words++
			}
		}
		require.Equal(t, map[bool]int{false: 2, true: 3}[guarded], words, "guarded: %v", guarded)
	}
}

// TestWhatIsLiveIsAccepted: what a sweep finds beside the last run is right from then on.
func TestWhatIsLiveIsAccepted(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	l.now = night(0)
	l.passes(cars, 100_000, unknown)
	l.now = night(0).Add(3 * time.Hour)
	l.sizes[cars] = validate.Count(70_001)
	require.Equal(t, validate.Short, l.sweep().Findings[0].Kind)
	accepted(t, l.ledger, which("", cars), ann(l.now))
	for range 3 {
		l.now = l.now.Add(time.Hour)
		require.Empty(t, l.sweep().Findings)
	}
	require.Empty(t, l.open())
}

// TestAcceptMany: a list and a site group in one word; what cannot be accepted is named,
// and keeps no other from it.
func TestAcceptMany(t *testing.T) {
	l := newLoop(t)
	ids, users := many(l, 5)
	l.now = night(0)
	for i, id := range ids[:4] {
		l.fails(id, int64(users[i]/2), validate.Dropped)
	}
	rerun, err := segment.Accept(t.Context(), l.ledger, which("", ids[1:]...), ann(l.now))
	require.EqualError(t, err, "segment: accepting sizes: site-a/004: no alert is open, so there is no size to accept")
	require.Len(t, rerun, 3)
	require.Equal(t, []string{"site-a/000"}, l.open())
	require.Len(t, accepted(t, l.ledger, siteA, ann(l.now)), 1, "of a site group those with an alert")
	require.Empty(t, l.open())
	l.now = night(1)
	for i, id := range ids[:4] {
		l.passes(id, int64(users[i]/2)+1, unknown)
	}
	for field, which := range map[string]segment.Selection{
		"Selection.Keys": {}, "Selection.Until": {SiteGroup: "a", Until: night(0)},
		"Selection.RunID": {SiteGroup: "a", RunID: "r", From: night(0), Until: night(1)}, "Selection.From": {SiteGroup: "a", From: night(0), Until: night(1)},
	} {
		var input *validate.InputError
		_, err := segment.Accept(t.Context(), l.ledger, which, ann(l.now))
		require.ErrorAs(t, err, &input)
		require.Equal(t, field, input.Field)
	}
	_, err = segment.AcceptWithin(t.Context(), l.ledger, which("", seg("typo")), validate.Excuse{High: 5, From: night(0), Until: night(1)}, ann(l.now))
	require.EqualError(t, err, "segment: accepting sizes for a while: site-a/typo: nothing is known of it")
	_, err = segment.AcceptWithin(t.Context(), l.ledger, siteA, validate.Excuse{High: 5, From: night(0)}, ann(l.now))
	require.ErrorContains(t, err, "Excuse.Until", "no end is never for ever")
	_, err = segment.AcceptWithin(t.Context(), l.ledger, siteA, validate.Excuse{High: 5, From: night(0), Until: night(1)}, segment.Decision{By: "ann"})
	require.ErrorContains(t, err, "Decision.Why")
	_, err = segment.Suspect(t.Context(), l.ledger, siteA, ann(l.now))
	require.ErrorContains(t, err, "Selection.RunID")
}

// TestSuspectASpan: three bad nights of a site group are no measure for others.
func TestSuspectASpan(t *testing.T) {
	l := newLoop(t)
	ids, _ := many(l, 3)
	before := len(l.state(ids[0]).Sizes)
	span := segment.Selection{SiteGroup: "site-a", From: night(-3), Until: night(0)}
	rerun, err := segment.Suspect(t.Context(), l.ledger, span, ann(night(0)))
	require.NoError(t, err)
	require.Len(t, rerun, 3)
	for _, id := range ids {
		sizes := l.state(id).Sizes
		require.Len(t, sizes, before-3)
		require.Equal(t, night(-4), sizes[before-4].At)
	}
	rerun, err = segment.Suspect(t.Context(), l.ledger, span, ann(night(0)))
	require.NoError(t, err)
	require.Empty(t, rerun, "nothing is left to take out")
}

// TestHalfOfAGroup: half of every segment of a site group lost on one night is one
// incident, and it rings.
func TestHalfOfAGroup(t *testing.T) {
	l := newLoop(t)
	ids, users := many(l, 30)
	l.now = night(0)
	for i, id := range ids {
		l.sizes[id] = validate.Count(int64(users[i] / 2))
	}
	s := l.sweep()
	require.Len(t, s.Findings, 30)
	require.Len(t, s.Incidents, 1)
	require.Contains(t, strings.Join(l.alerter.news(), "\n"), "members")
}

// TestManyRenamed: sizes, plans and what is live go along: no ticket during or after.
func TestManyRenamed(t *testing.T) {
	l := newLoop(t)
	var names []segment.Renaming
	var olds []segment.ID
	for i := range 2000 {
		names = append(names, segment.Renaming{From: seg(fmt.Sprintf("old-%04d", i)).In(""), To: segment.ID{SiteGroup: "site-b", Name: fmt.Sprintf("new-%04d", i)}.In("")})
		olds = append(olds, names[i].From.Segment)
	}
	l.calm(100_000, olds...)
	l.now = night(0)
	l.passes(olds[0], 100_000, unknown)
	l.fails(olds[1], 10_003, validate.Dropped)
	l.alerter.news()
	require.NoError(t, segment.MuteAlerts(t.Context(), l.ledger, segment.Mute{Segment: olds[2], Until: night(9), Decision: ann(l.now)}))
	before := l.state(olds[0])
	require.NoError(t, segment.Rename(t.Context(), l.ledger, names, ann(l.now)))
	for _, r := range names {
		l.sizes[r.To.Segment] = l.sizes[r.From.Segment]
		delete(l.sizes, r.From.Segment)
	}
	after := l.state(names[0].To.Segment)
	require.Equal(t, before.Sizes, after.Sizes)
	require.Equal(t, []any{before.Live, before.Runs}, []any{after.Live, after.Runs})
	mutes, err := l.ledger.Mutes(t.Context())
	require.NoError(t, err)
	require.Equal(t, names[2].To.Segment, mutes[0].Segment)
	s := l.sweep()
	require.Empty(t, s.Findings)
	require.Equal(t, 2000, s.Healthy)
	require.Equal(t, []string{"fire ticket dropped site-b/new-0001", "resolve site-a/old-0001"}, l.alerter.news(), "the one that was open goes along")
	for n := range 3 {
		l.now = night(n + 1)
		l.passes(names[0].To.Segment, 100_000+int64(n), unknown)
		l.passes(names[1].To.Segment, 100_000+int64(n), unknown)
		for i := 2; i < 2000; i++ {
			l.sizes[names[i].To.Segment] = validate.Count(100_000 + int64(n))
		}
		require.Empty(t, l.sweep().Findings)
	}
	require.Equal(t, []string{"resolve site-b/new-0001"}, l.alerter.news())
	require.Empty(t, l.open())
	l.fails(names[5].To.Segment, 40_000, validate.Dropped)
}

// TestRenamedInOneStore: a segment that two stores have is renamed in one of them. All of
// the other stays, and a mute in any store holds for both.
func TestRenamedInOneStore(t *testing.T) {
	l := newLoop(t)
	old, fresh := seg("old"), seg("fresh")
	stores := []string{"blob", "redis"}
	for i, store := range stores {
		l.rule.Store, l.now = store, night(0)
		l.passes(old, int64(1000+i), validate.Count(int64(1000+i)))
	}
	until := night(9)
	for _, store := range []string{"", "redis", "blob"} {
		require.NoError(t, segment.MuteAlerts(t.Context(), l.ledger, segment.Mute{Segment: old, Store: store, Until: until, Decision: ann(l.now)}))
	}
	require.NoError(t, segment.Rename(t.Context(), l.ledger, []segment.Renaming{{From: old.In("redis"), To: fresh.In("valkey")}}, ann(l.now)))
	sizes := func(key segment.Key) (users []int64) {
		s, err := l.ledger.State(t.Context(), key)
		require.NoError(t, err)
		for _, size := range s.Sizes {
			users = append(users, size.Users)
		}
		return users
	}
	require.Equal(t, []int64{1000}, sizes(old.In("blob")))
	require.Equal(t, []int64{1001}, sizes(fresh.In("valkey")))
	require.Empty(t, sizes(old.In("redis")))
	muted := func() (keys []segment.Key) {
		mutes, err := l.ledger.Mutes(t.Context())
		require.NoError(t, err)
		for _, m := range mutes {
			keys = append(keys, m.Segment.In(m.Store))
		}
		return keys
	}
	require.ElementsMatch(t, []segment.Key{old.In(""), fresh.In(""), fresh.In("valkey"), old.In("blob")}, muted())
	require.NoError(t, segment.Rename(t.Context(), l.ledger, []segment.Renaming{{From: old.In("blob"), To: fresh.In("blob")}}, ann(l.now)))
	require.ElementsMatch(t, []segment.Key{fresh.In(""), fresh.In("valkey"), fresh.In("blob")}, muted(), "no mute is left of a name that nobody has")
}

// TestRenamedLate: a rename that is told when the store and a sweep knew it already.
func TestRenamedLate(t *testing.T) {
	l := newLoop(t)
	old, fresh := seg("old"), seg("fresh")
	l.calm(100_000, old)
	l.sizes[fresh] = l.sizes[old]
	delete(l.sizes, old)
	l.now = night(0)
	require.Equal(t, 1, l.sweep().Missing)
	l.alerter.news()
	known := len(l.state(old).Sizes)
	require.NoError(t, segment.Rename(t.Context(), l.ledger, []segment.Renaming{{From: old.In(""), To: fresh.In("")}}, ann(l.now)))
	require.Len(t, l.state(fresh).Sizes, known+1)
	require.Empty(t, l.sweep().Findings)
	require.Equal(t, []string{"resolve site-a/old"}, l.alerter.news())
	for want, names := range map[string][]segment.Renaming{
		"nothing is known":      {{From: seg("typo").In(""), To: seg("other").In("")}},
		"with names":            {{From: old.In("")}},
		"want each name once":   {{From: fresh.In(""), To: old.In("")}, {From: seg("third").In(""), To: fresh.In("")}},
		"want UTF-8":            {{From: fresh.In(""), To: seg("\xff").In("")}},
		"want who decided":      nil,
		"want each name once: ": {{From: fresh.In(""), To: fresh.In("")}},
	} {
		d := ann(l.now)
		if names == nil {
			d.By = ""
		}
		require.ErrorContains(t, segment.Rename(t.Context(), l.ledger, names, d), want)
	}
}

// TestASiteGroupLeaves: one word, and no ticket is left, also while its listing lacks it;
// and five hundred new segments are no news.
func TestASiteGroupLeaves(t *testing.T) {
	l := newLoop(t)
	ids, users := many(l, 60)
	l.calm(5000, cars)
	l.now = night(0)
	l.passes(ids[0], int64(users[0]), unknown)
	l.fails(ids[1], 3, validate.Dropped)
	for _, id := range ids[:50] {
		delete(l.sizes, id)
	}
	require.Equal(t, 50, l.sweep().Missing)
	require.NotEmpty(t, l.open())
	require.NoError(t, segment.Forget(t.Context(), l.ledger, siteA, ann(l.now)))
	for id := range l.sizes {
		if id != cars {
			delete(l.sizes, id)
		}
	}
	for i := range 500 {
		l.sizes[seg(fmt.Sprint("fresh-", i))] = validate.Count(int64(1000 + i))
	}
	s := l.sweep()
	require.Empty(t, s.Findings)
	require.Equal(t, 500, s.Unwatched)
	require.Empty(t, l.open())
	require.Empty(t, alertsOf(l), "and the alerter has none")
	l.now = night(1)
	require.Empty(t, l.sweep().Findings)

	// A sweep that had listed the segments before they were forgotten opens nothing.
	l = newLoop(t)
	l.calm(5000, seg("gone"), seg("stays"))
	delete(l.sizes, seg("gone"))
	l.now = night(0)
	m, err := segment.NewMonitor(l.config)
	require.NoError(t, err)
	_, err = m.Sweep(t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		yield(segment.CurrentSize{Segment: seg("stays"), Stored: validate.Count(5000), At: l.now}, nil)
		require.NoError(t, segment.Forget(context.WithoutCancel(t.Context()), l.ledger, which("", seg("gone")), ann(l.now)))
	})
	require.NoError(t, err)
	require.Empty(t, l.open())
}

// alertsOf returns what the alerter still has of single segments.
func alertsOf(l *loop) (ids []string) {
	for id, a := range l.alerter.firing {
		if a.About == nil {
			ids = append(ids, id.String())
		}
	}
	return ids
}
