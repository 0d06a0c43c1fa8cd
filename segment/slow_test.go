package segment_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestStandingFaults: what is broken for five weeks does not go live by that, however
// often it is tried, and its repair passes.
func TestStandingFaults(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, read int64
		of           func(n int) (stored, read int64)
	}{
		{"a lookalike of a truncated seed", 50_000, 0, func(int) (int64, int64) { return 15_000, 0 }},
		{"10,000 read, mapped at 87%", 10_440, 12_000, func(int) (int64, int64) { return 8700, 10_000 }},
		{"a few below 10,000", 12_000, 0, func(n int) (int64, int64) { return 9950 + int64(n*7)%50, 0 }},
		{"half the shards", 50_000, 0, func(int) (int64, int64) { return 25_000, 0 }},
	} {
		for _, rhythm := range []struct {
			runs int
			gap  time.Duration
		}{{1, 0}, {24, time.Hour}, {10, 7 * time.Minute}} {
			l := newLoop(t)
			l.rule.Policy.Relearn = 7
			if c.read > 0 {
				l.rule.Policy.Mapping = validate.Ratio{Min: 0.8, Max: 0.95}
			}
			i := segment.SizeImport{Segment: cars}
			for n := -40; n < 0; n++ {
				i.Sizes = append(i.Sizes, validate.Size{Users: c.before, Read: c.read, At: night(n)})
			}
			require.NoError(t, segment.Import(t.Context(), l.ledger, []segment.SizeImport{i}))
			run := func(users, read int64, attempt int) error {
				_, err := l.do(cars, users, unknown, func(r *segment.Run) {
					if r.Attempt = attempt; attempt > 0 { // of one run
						r.ID = fmt.Sprint("night of ", l.now.Format(time.DateOnly))
					}
					if r.Job.Kind = segment.JobKindLookalike; read == 0 {
						r.Expected = validate.Count(users)
						return
					}
					r.Read, r.Written = validate.Count(read), validate.Count(users)
				})
				return err
			}
			for n := range 35 {
				for k := range rhythm.runs {
					l.now = night(n).Add(time.Duration(k) * rhythm.gap)
					users, read := c.of(n)
					require.Error(t, run(users, read, k*min(1, rhythm.runs%24)), "%s, night %d", c.name, n)
				}
			}
			require.Equal(t, []string{"site-b/cars"}, l.open(), "it was told all the time")
			l.now = night(35)
			require.NoError(t, run(c.before, c.read, 0), "%s is repaired", c.name)
		}
	}
}

// TestRelearned: a level that stood for seven days is normal on the eighth, and a ticket
// of its own says so; but none that something else explains.
func TestRelearned(t *testing.T) {
	upstream := seg("cars")
	for _, c := range []struct {
		name  string
		apart func(l *loop, n int)
	}{
		{"nothing else", func(*loop, int) {}},
		{"a member of an incident", func(l *loop, n int) {
			if n < 3 {
				for _, other := range []string{"a", "b", "c"} {
					l.fails(seg(other), 0, validate.Empty)
				}
			}
		}},
		{"its upstream is affected", func(l *loop, n int) {
			if n == 0 {
				l.fails(upstream, 60_000, validate.Dropped)
			}
		}},
		{"its upstream was accepted", func(l *loop, n int) {
			if n == 0 {
				l.fails(upstream, 60_000, validate.Dropped)
				accepted(l.t, l.ledger, which("", upstream), ann(l.now))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoop(t)
			l.rule.Policy.Relearn = 7
			l.from[cars] = []segment.ID{upstream}
			l.calm(100_000, cars, upstream, seg("a"), seg("b"), seg("c"))
			for n := range 7 {
				l.now = night(n)
				c.apart(l, n)
				if n == 0 {
					l.alerter.news()
				}
				l.fails(cars, 67_000, validate.Dropped)
			}
			l.now = night(7)
			report, err := l.do(cars, 67_000, unknown)
			if c.name != "nothing else" {
				require.ErrorIs(t, err, validate.Dropped)
				require.Equal(t, validate.LevelApart, report.Level)
				require.Contains(t, l.open(), "site-b/cars", "it stands")
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"fire ticket dropped site-b/cars", "fire ticket dropped site-b/cars"}, l.alerter.news(), "one for the fault, and one of its own")
			require.Contains(t, l.state(cars).Alert.Open.Text, "a new level became normal by itself")
			require.Contains(t, strings.Join(l.logged(segment.ActionOver), "\n"), "became normal by itself")
			for n := 8; n < 10; n++ {
				l.now = night(n)
				l.passes(cars, 67_100, unknown)
			}
			require.Empty(t, l.open(), "right on two days")
			l.now = night(10)
			require.Equal(t, validate.LevelFormer, l.passes(cars, 100_000, unknown).Level, "and a repair passes")
			require.Empty(t, l.open())
		})
	}
}

// TestVouchedFor: a size off its history that the source vouches for goes live with a
// ticket that stands, until it was so on seven days; not where its upstream is affected.
func TestVouchedFor(t *testing.T) {
	for _, affected := range []bool{false, true} {
		l := newLoop(t)
		upstream := seg("cars")
		l.from[cars] = []segment.ID{upstream}
		l.calm(10_000, cars, upstream)
		if affected {
			l.now = night(0)
			l.fails(upstream, 0, validate.Empty)
			l.alerter.news()
		}
		for n := range 9 {
			l.now = night(n)
			l.passes(cars, 2200, validate.Count(2200))
			l.sizes[upstream] = validate.Count(10_000 + int64(n))
			l.sweep()
			require.Equal(t, n < 6 || affected, l.state(cars).Alert.Open != nil, "night %d: %v", n+1, l.open())
		}
		if !affected {
			require.Equal(t, []string{"fire ticket dropped site-b/cars", "resolve site-b/cars"}, l.alerter.news(), "one ticket, however many nights")
			require.Contains(t, strings.Join(l.logged(segment.ActionOver), "\n"), "the source vouched for its new level on seven days")
		}
	}
}

// TestAcceptedFaultIsRepaired: a level of 30% that stood for twenty days and was
// accepted does not make the repair an anomaly.
func TestAcceptedFaultIsRepaired(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	l.now = night(0)
	l.fails(cars, 30_000, validate.Dropped)
	require.Equal(t, []segment.Affected{{Segment: cars, Users: 30_000}}, accepted(t, l.ledger, which("", cars), ann(l.now)))
	for n := range 20 {
		l.now = night(n + 1)
		l.passes(cars, 30_100, unknown)
	}
	l.now = night(21)
	report := l.passes(cars, 100_000, unknown)
	require.Equal(t, validate.LevelFormer, report.Level)
	require.Empty(t, l.open(), "it is no news")
}

// TestLeak: 3% a day is a ticket within four weeks, and stands until it was right on two
// days.
func TestLeak(t *testing.T) {
	l := newLoop(t)
	i := segment.SizeImport{Segment: cars}
	for n := -180; n < 0; n++ {
		i.Sizes = append(i.Sizes, validate.Size{Users: 100_000 + int64(n*n)%997, At: night(n)})
	}
	require.NoError(t, segment.Import(t.Context(), l.ledger, []segment.SizeImport{i}))
	users, found := 100_000.0, 0
	for n := range 28 {
		l.now = night(n)
		l.passes(cars, int64(users), unknown)
		l.sweep()
		if users *= 0.97; len(l.open()) > 0 && found == 0 {
			found = n + 1
		}
	}
	require.NotZero(t, found, "found within four weeks")
	require.Equal(t, []string{"fire ticket leaking site-b/cars"}, l.alerter.news())
	t.Logf("found after %d days", found)
}

// TestFrozen: the very size of before, where it changed each day.
func TestFrozen(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	for n := range 20 {
		l.now = night(n)
		l.passes(cars, 100_003, unknown)
		l.sweep()
	}
	require.Equal(t, []string{"fire ticket frozen site-b/cars"}, l.alerter.news())
	require.Contains(t, l.state(cars).Alert.Open.Text, "exactly 100,003 users since 2024-03-18")
	for n := 20; n < 22; n++ {
		l.now = night(n)
		l.passes(cars, 100_003+int64(n), unknown)
		l.sweep()
	}
	require.Empty(t, l.open())
}

// TestStale: a job that stopped is found, and what became of it since is said.
func TestStale(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	for n := range 6 {
		l.now = night(n)
		l.passes(cars, 100_000+int64(n), unknown)
		require.Equal(t, map[bool]int{true: 1}[n < 5], l.sweep().AgeUnknown, "five gaps are needed")
	}
	l.now = night(7).Add(23 * time.Hour)
	require.Empty(t, l.sweep().Findings, "twice the second-longest gap, and a day")
	for n := 8; n < 12; n++ {
		l.now = night(n).Add(time.Hour)
		s := l.sweep()
		require.Len(t, s.Findings, 1)
		require.Equal(t, validate.Stale, s.Findings[0].Kind)
	}
	require.Equal(t, []string{"fire ticket stale site-b/cars"}, l.alerter.news())
	require.Contains(t, l.state(cars).Alert.Open.Text, "no good run since 2024-03-23 02:00 UTC (6 days ago, 3 days allowed), and none at all since")
	require.Contains(t, l.state(cars).Alert.Open.Text, "customers perhaps hit: no good run for too long")
	l.now = night(12)
	l.passes(cars, 100_000, unknown)
	l.sweep()
	require.Equal(t, []string{"resolve site-b/cars"}, l.alerter.news(), "a run passed, and a sweep agrees")

	// Beside what is graver it is a clause.
	for n := 13; n < 20; n++ {
		l.now = night(n)
		l.fails(cars, 30_000, validate.Dropped)
		l.sweep()
	}
	require.Equal(t, []string{"fire ticket dropped site-b/cars"}, l.alerter.news())
	text := l.state(cars).Alert.Open.Text
	require.Contains(t, text, "; moreover, no good run since 2024-03-30 02:00 UTC (7 days ago, 3 days allowed); since then 7 runs rejected")
	require.Equal(t, 1, strings.Count(text, "moreover"), text)

	// What runs out of time each night is told, too.
	l = newLoop(t)
	l.calm(100_000, cars)
	for n := range 6 {
		l.now = night(n)
		l.passes(cars, 100_000, validate.Count(100_000))
	}
	l.alerter.news()
	for n := 6; n < 16; n++ {
		l.now = night(n)
		_, err := l.do(cars, 0, unknown, func(r *segment.Run) {
			r.Stored = func(context.Context) (validate.Summary, error) {
				return validate.Summary{}, context.DeadlineExceeded
			}
		})
		require.ErrorIs(t, err, validate.Unverified)
		l.sweep()
	}
	require.Equal(t, []string{"fire ticket unverified site-b/cars", "fire ticket stale site-b/cars"}, l.alerter.news())
}

// TestStaleTogether: of one job kind they are one incident.
func TestStaleTogether(t *testing.T) {
	l := newLoop(t)
	var ids []segment.ID
	for i := range 12 {
		ids = append(ids, seg(fmt.Sprintf("%02d", i)))
	}
	l.calm(100_000, ids...)
	for n := range 6 {
		l.now = night(n)
		for _, id := range ids {
			l.passes(id, 100_000+int64(n), unknown)
		}
		l.sweep()
	}
	l.now = night(9)
	s := l.sweep()
	require.Len(t, s.Findings, 12)
	require.Len(t, s.Incidents, 1)
	require.Equal(t, segment.Cause{Stale: true, JobKind: "make"}, s.Incidents[0].Cause)
}

// TestNeverRan: a job that never ran is judged by Rule.MaxAge from when a sweep first
// saw it, whether the store lists its segment or not.
func TestNeverRan(t *testing.T) {
	l := newLoop(t)
	l.config.Jobs = []segment.Job{l.job(seg("listed")), l.job(seg("missing")), l.job(seg("runs"))}
	l.sizes[seg("listed")] = validate.Count(500)
	l.now = night(0)
	l.sweep()
	require.True(t, new(l.state(seg("missing"))).IsZero(), "without a MaxAge nothing is kept of it")
	l.rule.MaxAge = 50 * time.Hour
	l.passes(seg("runs"), 100, unknown, func(r *segment.Run) { r.Expected = validate.Count(100) })
	for n := range 3 {
		l.now = night(n)
		require.Empty(t, l.sweep().Findings)
	}
	l.now = night(3)
	l.passes(seg("runs"), 100, validate.Count(100))
	require.Len(t, l.sweep().Findings, 2)
	require.Equal(t, []string{"site-a/listed", "site-a/missing"}, l.open())
	require.Contains(t, l.state(seg("missing")).Alert.Open.Text, "no good run since it was first seen, 2024-03-18 02:00 UTC")
	l.passes(seg("missing"), 100, validate.Count(100))
	l.sweep()
	require.Equal(t, []string{"site-a/listed"}, l.open())
}

// TestNoUsableHistory: after four weeks without a size that passed nobody is told each
// night.
func TestNoUsableHistory(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	for n := 28; n < 31; n++ {
		l.now = night(n)
		l.fails(cars, 100_000, validate.Unverified)
	}
	require.Equal(t, []string{"fire ticket unverified site-b/cars"}, l.alerter.news())
	l.now = night(31)
	l.passes(cars, 50_500, validate.Count(50_500))
	require.Empty(t, l.open(), "an independent Expected alone judges")
}

// TestRightLast: an alert names the last size that was verified, and none that was only
// accepted, or relearned.
func TestRightLast(t *testing.T) {
	l := newLoop(t)
	l.calm(100_000, cars)
	l.now = night(0)
	l.passes(cars, 100_001, unknown)
	l.now = night(1)
	l.fails(cars, 50_003, validate.Dropped)
	require.Contains(t, l.state(cars).Alert.Open.Text, "right last with 100,001 users at 2024-03-18")
	accepted(t, l.ledger, which("", cars), ann(l.now))
	l.sizes[cars] = validate.Count(50_003)
	l.now = night(2)
	l.fails(cars, 10_003, validate.Dropped)
	require.Contains(t, l.state(cars).Alert.Open.Text, "right last with 100,001 users at 2024-03-18")
	require.Equal(t, int64(50_003), l.state(cars).Alert.Open.Users, "and what is at stake is the size that is live")

	l.now = night(3)
	l.passes(cars, 50_010, unknown)
	l.now = night(4)
	l.fails(cars, 10_003, validate.Dropped)
	require.Contains(t, l.state(cars).Alert.Open.Text, "right last with 50,010 users at 2024-03-21", "which passed by itself")
}
