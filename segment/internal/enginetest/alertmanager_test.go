package enginetest_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/validate"
)

// An observed alerter says which alerts its Alertmanager has.
type observed struct {
	*alertmanager.Alerter
	at     *enginetest.Alertmanager
	filter string
}

func (o observed) Firing(ctx context.Context) ([]segment.ID, error) {
	return o.at.Firing(ctx, o.filter)
}

func TestAlertmanager(t *testing.T) {
	at, tests := enginetest.StartAlertmanager(t), 0
	ledgertest.TestAlerter(t, func(t *testing.T) segment.Alerter {
		tests++
		name := fmt.Sprint(tests)
		return observed{at.Alerter(t, map[string]string{"test": name}), at, `test="` + name + `"`}
	})
}

// A fleet is segments under a monitor, with a history of a month.
type fleet struct {
	monitor *segment.Monitor
	names   []segment.ID // in byte order
	users   map[segment.ID]int64
}

func newFleet(t *testing.T, at *enginetest.Alertmanager, segments int) *fleet {
	t.Helper()
	f := &fleet{users: map[segment.ID]int64{}}
	var imported []segment.SizeImport
	var jobs []segment.Job
	today := time.Now().UTC()
	for i := range segments {
		id := segment.ID{SiteGroup: fmt.Sprintf("site-%02d", i/500), Name: fmt.Sprintf("cars %04d", i)}
		f.names = append(f.names, id)
		sizes := make([]validate.Size, 30)
		for day := range sizes {
			sizes[day] = validate.Size{Users: healthy(i, day), At: today.AddDate(0, 0, day-30)}
		}
		imported = append(imported, segment.SizeImport{Segment: id, Sizes: sizes})
		jobs = append(jobs, segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}))
		f.users[id] = healthy(i, 30)
	}
	ledger := segment.NewMemory()
	require.NoError(t, segment.Import(t.Context(), ledger, imported))
	var err error
	f.monitor, err = segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Jobs: jobs, Alerter: at.Alerter(t, nil)})
	require.NoError(t, err)
	return f
}

// healthy is the size of a segment on a day.
func healthy(i, day int) int64 { return int64(20_000 + 37*i + (i*7+day*13)%200) }

// sweep judges the segments with what some of them hold instead.
func (f *fleet) sweep(t *testing.T, held map[segment.ID]int64) (segment.Sweep, error) {
	t.Helper()
	sizes := iter.Seq2[segment.CurrentSize, error](func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range f.names {
			users, ok := held[id]
			if !ok {
				users = f.users[id]
			}
			if !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(users)}, nil) {
				return
			}
		}
	})
	return f.monitor.Sweep(t.Context(), sizes)
}

// capped is all but the first two segments at 10,000 users, up to n.
func (f *fleet) capped(n int) map[segment.ID]int64 {
	held := map[segment.ID]int64{}
	for _, id := range f.names[2:n] {
		held[id] = 10_000
	}
	return held
}

// notified waits until Alertmanager sent just this, in any order.
func notified(t *testing.T, at *enginetest.Alertmanager, want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.ElementsMatch(c, want, at.Notified()) }, time.Minute, 50*time.Millisecond)
}

// quiet waits for two pages of its own, one after the other. By then whatever
// else is to ring has rung: Alertmanager looks at every group once a second, in
// the tests' route, and waits as long with a new one. It returns what was sent.
func quiet(t *testing.T, at *enginetest.Alertmanager, name string, want ...string) []string {
	t.Helper()
	want = slices.Clone(want)
	for _, turn := range []string{"first ", "second "} {
		last := segment.ID{SiteGroup: "sentinel", Name: turn + name}
		require.NoError(t, at.Alerter(t, nil).Tell(t.Context(), []segment.Alert{{
			Segment: last, Urgency: segment.Page, Kind: validate.Different, Since: time.Now(),
		}}, nil))
		want = append(want, "pages firing "+last.String())
		notified(t, at, want...)
	}
	return want
}

// Five thousand segments that stopped at one number are one page, and the two
// that have faults of their own are theirs.
func TestIncidentIsOnePage(t *testing.T) {
	const segments = 5002
	at := enginetest.StartAlertmanager(t)
	f := newFleet(t, at, segments)
	held := f.capped(segments)
	held[f.names[0]], held[f.names[1]] = 0, f.users[f.names[1]]/2
	sweep, err := f.sweep(t, held)
	require.NoError(t, err)
	require.Len(t, sweep.Findings, segments)
	require.Len(t, sweep.Incidents, 1)
	require.Equal(t, segments-2, sweep.Incidents[0].Segments)
	pages := []string{"pages firing incident/copy capped", "pages firing " + f.names[0].String(), "tickets firing " + f.names[1].String()}
	notified(t, at, pages...)
	open, err := at.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, segments+1)
	inhibited := 0
	for i := range open {
		inhibited += len(open[i].Status.InhibitedBy)
	}
	require.Equal(t, segments-2, inhibited, "those of the incident, and no others")

	_, err = f.sweep(t, held)
	require.NoError(t, err)
	pages = quiet(t, at, "after the second sweep", pages...)

	for _, id := range f.names[10:] { // most of them: the incident stands for the others
		delete(held, id)
	}
	_, err = f.sweep(t, held)
	require.NoError(t, err)
	pages = quiet(t, at, "after most recovered", pages...)

	// Dropping thousands of groups takes a busy Alertmanager seconds, in which it
	// would hold the last segments for open and their incident for over.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		groups, err := at.Groups(t.Context())
		assert.NoError(c, err)
		assert.Less(c, groups, 100.)
	}, 2*time.Minute, 100*time.Millisecond)

	sweep, err = f.sweep(t, nil)
	require.NoError(t, err)
	require.Empty(t, sweep.Findings)
	pages = append(pages, "pages resolved incident/copy capped", "pages resolved "+f.names[0].String(), "tickets resolved "+f.names[1].String())
	notified(t, at, pages...)
	quiet(t, at, "at the end", pages...)
	left, err := at.Firing(t.Context(), `site_group!="sentinel"`)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Alertmanager keeps alerts in memory, and on disk what it notified of. Whatever
// is found while it is away is told when it is back, what it forgot comes back,
// and nothing rings twice.
func TestAlertmanagerStopped(t *testing.T) {
	at := enginetest.StartAlertmanager(t)
	f := newFleet(t, at, 42)
	sweepWithout := func(held map[segment.ID]int64, affected int) {
		t.Helper()
		at.Stop(t)
		sweep, err := f.sweep(t, held)
		require.ErrorContains(t, err, "alertmanager: POST "+at.URL)
		require.Len(t, sweep.Findings, affected, "the sweep is valid")
		at.Restart(t)
	}
	sweepWith := func(held map[segment.ID]int64, open int) {
		t.Helper()
		_, err := f.sweep(t, held)
		require.NoError(t, err)
		alerts, err := at.Open(t.Context(), `site_group!="sentinel"`)
		require.NoError(t, err)
		require.Len(t, alerts, open)
	}
	const incident = "incident/copy capped"

	sweepWithout(f.capped(22), 20)
	sweepWith(f.capped(22), 21)
	notified(t, at, "pages firing "+incident)

	at.Stop(t)
	at.Restart(t)
	sweepWith(f.capped(22), 21)
	pages := quiet(t, at, "after it forgot", "pages firing "+incident)

	sweepWithout(f.capped(32), 30)
	sweepWith(f.capped(32), 31)
	pages = quiet(t, at, "after more came while it was away", pages...)

	sweepWithout(nil, 0)
	sweepWith(nil, 0)
	pages = append(pages, "pages resolved "+incident)
	notified(t, at, pages...)
	quiet(t, at, "at the end", pages...)
}

// An incident holds back the segments with its job kind, kind and build, those
// too for which one of these is not known.
func TestInhibition(t *testing.T) {
	at := enginetest.StartAlertmanager(t)
	fault := func(job segment.JobKind, kind validate.Kind, build string) segment.Alert {
		return segment.Alert{Urgency: segment.Page, Kind: kind, Job: segment.Job{Kind: job}, Build: build, Since: time.Now()}
	}
	var firing []segment.Alert
	cases := []struct {
		reason            string
		incident, segment segment.Alert
		want              bool
	}{
		{"all the same", fault("copy", validate.Capped, "1"), fault("copy", validate.Capped, "1"), true},
		{"no build", fault("copy", validate.Empty, ""), fault("copy", validate.Empty, ""), true},
		{"no job", fault("", validate.Gap, ""), fault("", validate.Gap, ""), true},
		{"another job", fault("lookalike", validate.Short, "1"), fault("copy", validate.Short, "1"), false},
		{"another kind", fault("lookalike", validate.Repeated, "1"), fault("lookalike", validate.Different, "1"), false},
		{"another build", fault("export", validate.Capped, "1"), fault("export", validate.Capped, "2"), false},
		{"an incident without a build is not one of all builds", fault("import", validate.Capped, ""), fault("import", validate.Capped, "2"), false},
	}
	for i, c := range cases {
		c.incident.Segment = segment.ID{SiteGroup: "incident", Name: c.reason}
		c.incident.Incident = &segment.Incident{}
		c.segment.Segment = segment.ID{SiteGroup: "site", Name: fmt.Sprint(i)}
		firing = append(firing, c.segment, c.incident)
	}
	require.NoError(t, at.Alerter(t, nil).Tell(t.Context(), firing, nil))
	var want []string
	for i, c := range cases {
		want = append(want, "pages firing incident/"+c.reason)
		if !c.want {
			want = append(want, fmt.Sprint("pages firing site/", i))
		}
	}
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// Without an incident every segment rings, and what is new in it rings again.
func TestEachSegmentRings(t *testing.T) {
	at := enginetest.StartAlertmanager(t)
	alerter := at.Alerter(t, nil)
	var firing []segment.Alert
	var want []string
	for i := range 20 {
		id := segment.ID{SiteGroup: "site", Name: fmt.Sprint(i)}
		firing = append(firing, segment.Alert{Segment: id, Urgency: segment.Page, Kind: validate.Dropped, Since: time.Now()})
		want = append(want, "pages firing "+id.String())
	}
	require.NoError(t, alerter.Tell(t.Context(), firing, nil))
	notified(t, at, want...)

	graver := firing[0]
	graver.Kind, graver.Since = validate.Empty, time.Now()
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{graver}, firing[:1]))
	want = append(want, "pages firing site/0", "pages resolved site/0")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// Of a batch Alertmanager takes what it does not refuse.
func TestAlertIsRefused(t *testing.T) {
	at := enginetest.StartAlertmanager(t)
	good := segment.Alert{Segment: segment.ID{SiteGroup: "site", Name: "good"}, Urgency: segment.Page, Kind: validate.Capped, Since: time.Now()}
	bad := good
	bad.Segment.Name, bad.Since = "bad", time.Now().AddDate(1, 0, 0)
	err := at.Alerter(t, nil).Tell(t.Context(), []segment.Alert{bad, good}, nil)
	require.ErrorContains(t, err, "answered 400 Bad Request")
	require.ErrorContains(t, err, "start time must be before end time")
	open, err := at.Firing(t.Context())
	require.NoError(t, err)
	require.Equal(t, []segment.ID{good.Segment}, open)
}

// Why an alert ends a minute ago: an end that is still to come, for an
// Alertmanager whose clock is behind ours, ends nothing.
func TestEndToCome(t *testing.T) {
	at := enginetest.StartAlertmanager(t)
	alerter := at.Alerter(t, nil)
	alert := segment.Alert{Segment: segment.ID{SiteGroup: "site", Name: "cars"}, Urgency: segment.Page, Kind: validate.Capped, Since: time.Now().Add(-time.Hour)}
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{alert}, nil))
	open, err := at.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	keeps := open[0].EndsAt

	open[0].EndsAt = time.Now().Add(10 * time.Second)
	require.NoError(t, at.Post(t.Context(), open[0]))
	open, err = at.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, keeps, open[0].EndsAt)

	require.NoError(t, alerter.Tell(t.Context(), nil, []segment.Alert{{Segment: alert.Segment}}))
	open, err = at.Open(t.Context())
	require.NoError(t, err)
	require.Empty(t, open)
}
