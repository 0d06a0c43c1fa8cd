package alertmanagertest_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

// TestNight lives through an ordinary week, the incident of March 2024, its repair and
// five outages, over a ledger in SQLite and a real Alertmanager, and says how many
// notifications and alerts there were. SEGMENTGUARD_NIGHT says how many segments there
// are; with 40,000 there are some 15,000 guarded runs.
func TestNight(t *testing.T) {
	t.Parallel()
	segments := 400
	if text := os.Getenv("SEGMENTGUARD_NIGHT"); text != "" {
		var err error
		segments, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	n := newNight(t, segments)
	rang := n.phase("an ordinary week, with four outages", n.week)
	require.Equal(t, 5, rang["tickets firing SegmentAffected"], "of the hour without a ledger")
	night := n.phase("the night of two bugs, Alertmanager away for an hour of it", n.bugs)
	require.LessOrEqual(t, night["pages firing SegmentIncident"], 4*5, "four causes, told at 3, 10, 100, 1,000 and when a live segment is hit")
	require.LessOrEqual(t, night["pages firing SegmentAffected"], 6, "of each cause as many as make it no incident, and what a worker was telling")
	n.phase("the next day: drops that have nothing to do with it", n.unrelated)
	over := n.phase("the repair, and a day", n.repair)
	require.Equal(t, night["pages firing SegmentIncident"], over["pages resolved SegmentIncident"])
	require.Zero(t, n.confirmed())
	n.t.Logf("%d segments, %d guarded runs, %d sweeps", segments, n.number.Load(), n.sweeps)
}

// A night is a fleet of which half are lookalikes and half are copies.
type night struct {
	*fleet

	away   *away
	build  map[segment.JobKind]string
	number atomic.Int64
	sweeps int
	begun  time.Time
	held   map[segment.ID]int64 // in the store, where that is not what it should be
	ran    map[int]bool         // behind the guard, so that their sizes stand until the next run
	broken []segment.ID         // by the bugs
}

func newNight(t *testing.T, segments int) *night {
	ledger := &away{Ledger: enginetest.SQLiteWAL.New(t).History(t)}
	waits := enginetest.Short
	if segments > 1_000 {
		waits = stormWaits(segments)
	}
	at := enginetest.StartAlertmanager(t, waits)
	n := &night{
		fleet: unguardedFleet(t, at, at.Alerter(t, nil), ledger, segments), away: ledger,
		build: map[segment.JobKind]string{segment.JobKindCopy: "7", segment.JobKindLookalike: "7"}, held: map[segment.ID]int64{}, ran: map[int]bool{},
	}
	n.begun = n.now()
	jobs := make([]segment.Job, segments)
	for i := range jobs {
		jobs[i] = n.jobOf(i)
	}
	var err error
	n.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Jobs: jobs, Alerter: at.Alerter(t, nil), Now: n.now})
	require.NoError(t, err)
	return n
}

func (n *night) jobOf(i int) segment.Job {
	if i%2 == 0 {
		return segment.Lookalike(n.names[i], segment.ID{SiteGroup: "source", Name: n.names[i].Name})
	}
	return n.job(n.names[i])
}

// phase says how often people were notified of what happened, and what is open then.
func (n *night) phase(name string, happen func()) (count map[string]int) {
	n.t.Helper()
	before, start := len(n.at.Notified()), time.Now()
	happen()
	sentinel(n.t, n.at, name)
	count = map[string]int{}
	for _, sent := range n.at.Notified()[before:] {
		what := strings.Join([]string{sent.Receiver, sent.Status, sent.Alerts[0].Labels["alertname"]}, " ")
		if sent.Alerts[0].Labels["site_group"] != "sentinel" {
			count[what]++
		}
	}
	n.t.Logf("%s: %d alerts open, in %s", name, len(n.open()), time.Since(start).Round(time.Second))
	for _, what := range slices.Sorted(maps.Keys(count)) {
		n.t.Logf("  %4d notifications: %s", count[what], what)
	}
	return count
}

// runs has eight workers run the jobs of some segments, each of which stores as many
// users as wrong says; nil: as many as it should, which go live.
func (n *night) runs(some []int, wrong func(i int) int64) {
	n.t.Helper()
	for _, i := range some {
		if n.ran[i] = true; wrong == nil {
			n.live[n.names[i]] = healthy(i, n.day())
		}
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, i := range some {
		group.Go(func() error {
			expected := healthy(i, n.day())
			users := expected
			if wrong != nil {
				users = wrong(i)
			}
			run := n.staged(n.names[i], "", users, int(n.number.Add(1)))
			run.Job = n.jobOf(i)
			run.Build, run.Expected = n.build[run.Job.Kind], validate.Count(expected)
			_, err := n.guard.Commit(context.WithoutCancel(n.t.Context()), run)
			if (wrong != nil) != (err != nil) {
				return fmt.Errorf("%s stored %d of %d: %w", n.names[i], users, expected, err)
			}
			return nil
		})
	}
	require.NoError(n.t, group.Wait())
}

// day counts on from the history.
func (n *night) day() int { return 30 + int(n.now().Sub(n.begun)/(24*time.Hour)) }

// some returns one segment in so many, from a first one on.
func (n *night) some(from, every int) (found []int) {
	for i := from; i < len(n.names); i += every {
		found = append(found, i)
	}
	return found
}

// look sweeps. What no guard stands before changes by itself.
func (n *night) look() {
	n.t.Helper()
	for i, id := range n.names {
		if !n.ran[i] {
			n.live[id] = healthy(i, n.day())
		}
	}
	n.sweeps++
	n.sweep(n.held)
}

// hit has some segments lose a share of their users in the store.
func (n *night) hit(share float64, some ...int) {
	for _, i := range some {
		maps.Copy(n.held, n.without(share, n.names[i]))
	}
}

// week is seven days on which one segment in 230 loses some of its users, far from each
// other, and is repaired the next day; and four outages.
func (n *night) week() {
	drops := n.some(11, 230)
	n.runs(drops, nil)
	for day := range 7 {
		n.runs(n.some(day, 130), nil)
		for hour := 0; hour < 24; hour += 4 {
			for k, i := range drops {
				if k%7 == day && k/7%6 == hour/4 {
					n.hit(0.1+float64(k)/1000, i)
				}
			}
			switch {
			case day == 2 && hour == 8:
				n.ledgerAway()
			case day == 3 && hour == 8:
				n.listingBreaksOff()
			case day == 4 && hour < 12: // the monitor is dead for half a day
			default:
				n.look()
			}
			n.pass(4 * time.Hour)
		}
		var repaired []int
		for k, i := range drops {
			if k%7 == day {
				repaired = append(repaired, i)
				delete(n.held, n.names[i])
			}
		}
		n.runs(repaired, nil)
	}
	n.look()
	n.pass(4 * time.Hour)
	n.look()
	require.Zero(n.t, n.confirmed())
	n.reboot()
}

// ledgerAway is an hour in which nobody can be sure of anything.
func (n *night) ledgerAway() {
	n.away.down.Store(true)
	for _, i := range n.some(3, len(n.names)/5) {
		run := n.staged(n.names[i], "7", n.live[n.names[i]], int(n.number.Add(1)))
		_, err := n.guard.Commit(n.t.Context(), run)
		require.ErrorIs(n.t, err, errAway)
	}
	_, err := n.monitor.Sweep(n.t.Context(), n.listing(n.held))
	require.ErrorIs(n.t, err, errAway)
	n.away.down.Store(false)
}

// listingBreaksOff is a sweep that did not see all.
func (n *night) listingBreaksOff() {
	sweep, err := n.monitor.Sweep(n.t.Context(), func(yield func(segment.CurrentSize, error) bool) { yield(segment.CurrentSize{}, errAway) })
	require.ErrorIs(n.t, err, errAway)
	require.False(n.t, sweep.Complete)
}

// reboot has Alertmanager lose all that it kept in memory, once it has sent what it had
// to.
func (n *night) reboot() {
	sentinel(n.t, n.at, "before it starts anew")
	n.at.Stop(n.t)
	n.at.Restart(n.t)
	n.look()
}

// confirmed returns how many segments have an alert that a ledger holds.
func (n *night) confirmed() int {
	segments := map[string]bool{}
	for _, x := range n.open() {
		if x.Annotations["unconfirmed"] == "" {
			segments[x.Labels["segment"]] = true
		}
	}
	return len(segments)
}

// bugs is the night: lookalikes store nothing, and copies stop at 10,000 users. An
// eighth of the fleet runs behind a guard; one segment in 127 has none, and is hit.
func (n *night) bugs() {
	n.build[segment.JobKindLookalike], n.build[segment.JobKindCopy] = "8", "9"
	failing := n.some(1, 8)
	failing = append(failing, n.some(4, 8)...)
	wrong := func(i int) int64 { return int64(i%2) * 10_000 }
	half := len(failing) / 2
	n.runs(failing[:half], wrong)
	n.at.Stop(n.t)
	n.runs(failing[half:half+half/8], wrong)
	n.at.Restart(n.t)
	n.pass(time.Hour)
	n.runs(failing[half+half/8:], wrong)
	for _, i := range n.some(7, 127) {
		if i%8 != 1 && i%8 != 4 {
			n.held[n.names[i]] = wrong(i)
			failing = append(failing, i)
		}
	}
	n.look()
	for _, i := range failing {
		n.broken = append(n.broken, n.names[i])
	}
	require.Equal(n.t, len(failing), n.confirmed())
	n.shows()
}

// shows prints what people see of an incident.
func (n *night) shows() {
	open, err := n.at.Open(n.t.Context(), `alertname="SegmentIncident"`)
	require.NoError(n.t, err)
	for _, x := range open {
		if x.Labels["ring"] != "3" {
			n.t.Logf("%v\n%s\n%s", x.Labels, x.Annotations["summary"], x.Annotations["description"])
		}
	}
}

// unrelated is the day after, on which three segments lose users, each by itself.
func (n *night) unrelated() {
	before := len(n.at.Notified())
	for _, i := range []int{2, 6, 10} {
		n.pass(8 * time.Hour)
		n.hit(0.3, i)
		n.broken = append(n.broken, n.names[i])
		n.look()
	}
	sentinel(n.t, n.at, "each of the unrelated")
	var rang []string
	for _, sent := range n.at.Notified()[before:] {
		if name := sent.Alerts[0].Labels["segment"]; sent.Status == "firing" && sent.Alerts[0].Labels["site_group"] != "sentinel" {
			rang = append(rang, name)
		}
	}
	require.ElementsMatch(n.t, []string{n.names[2].String(), n.names[6].String(), n.names[10].String()}, rang)
}

// repair runs again what is affected, by builds that are mended, and lets a day pass.
func (n *night) repair() {
	n.build[segment.JobKindLookalike], n.build[segment.JobKindCopy] = "10", "11"
	affected, err := segment.AffectedByAlerts(n.t.Context(), n.ledger)
	require.NoError(n.t, err)
	require.Equal(n.t, len(n.broken), len(affected), "the plan leaves none out") //nolint:testifylint // it would print them
	var again []int
	for _, a := range affected {
		i, found := slices.BinarySearchFunc(n.names, a.Segment, segment.ID.Compare)
		require.True(n.t, found)
		again = append(again, i)
	}
	n.runs(again, nil)
	clear(n.held)
	for range 2 {
		n.look()
		n.pass(time.Hour)
	}
	n.pass(24 * time.Hour)
	n.look()
}
