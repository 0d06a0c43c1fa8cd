package alertmanagertest_test

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/validate"
)

func TestAlertmanager(t *testing.T) {
	at, tests := enginetest.StartAlertmanager(t, enginetest.Short), 0
	ledgertest.TestAlerter(t, func(t *testing.T) segment.Alerter {
		tests++
		return at.Alerter(t, map[string]string{"test": fmt.Sprint(tests)})
	})
}

// The route is one that Alertmanager's own tool finds right, and pages arrive where
// pages are read.
func TestAlertmanagerRoute(t *testing.T) {
	const file = "../../../alertmanager/alertmanager.yml"
	tool, err := servertest.Find("amtool", "prometheus-alertmanager")
	servertest.Require(t, err)
	out, err := exec.CommandContext(t.Context(), tool, "check-config", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for severity, receiver := range map[segment.Urgency]string{segment.Page: "pages", segment.Ticket: "tickets"} {
		for _, name := range []string{"SegmentAffected", "SegmentIncident"} {
			out, err := exec.CommandContext(t.Context(), tool, "config", "routes", "test", "--config.file="+file, "--verify.receivers="+receiver,
				"alertname="+name, "severity="+string(severity)).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	}
}

// notified waits until Alertmanager sent just this, in any order.
func notified(t *testing.T, at *enginetest.Alertmanager, want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var got []string
		for _, n := range at.Notified() {
			got = append(got, n.String())
		}
		assert.ElementsMatch(c, want, got)
	}, time.Minute, 50*time.Millisecond)
}

// quiet waits until whatever is to ring has rung. It returns what was sent.
func quiet(t *testing.T, at *enginetest.Alertmanager, name string, want ...string) []string {
	t.Helper()
	want = append(slices.Clone(want), sentinel(t, at, name)...)
	notified(t, at, want...)
	return want
}

// sentinel fires two pages, one after the other has rung, and returns what was sent
// of them. By then whatever else is to ring has rung: Alertmanager looks at a group
// more often, in the tests' route, than it waits with a new one.
func sentinel(t *testing.T, at *enginetest.Alertmanager, name string) (sent []string) {
	t.Helper()
	for _, turn := range []string{"first ", "second "} {
		last := segment.ID{SiteGroup: "sentinel", Name: turn + name}
		require.NoError(t, at.Alerter(t, nil).Tell(t.Context(), []segment.Alert{{Segment: last, Urgency: segment.Page, Kind: validate.Different}}, nil))
		sent = append(sent, "pages firing "+last.String())
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.True(c, slices.ContainsFunc(at.Notified(), func(n enginetest.Notification) bool { return n.String() == sent[len(sent)-1] }))
		}, 2*time.Minute, 50*time.Millisecond)
	}
	return sent
}

// fault returns an alert as a ledger has it told.
func fault(name string, kind validate.Kind, incident, ledger string) segment.Alert {
	return segment.Alert{
		Segment: segment.ID{SiteGroup: "site", Name: name}, Urgency: segment.Page, Kind: kind, Level: segment.LevelLive,
		Incident: incident, Ledger: ledger, Text: name + " is affected",
	}
}

// ring returns a ring of the incident "one".
func ring(members int) segment.Alert {
	return segment.Alert{
		Segment: segment.ID{SiteGroup: "site", Name: "one"}, Urgency: segment.Page, Level: segment.LevelLive, Incident: "one", Ledger: "ledger",
		Text: "an incident", Ring: members, About: &segment.Incident{ID: "one", Cause: segment.Cause{SiteGroup: "one"}},
	}
}

// An incident holds back its members and nothing else, whatever jobs, builds and
// kinds they are of.
func TestInhibition(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	other := fault("another job", validate.Empty, "one", "ledger")
	other.Build, other.Job.Kind, other.Urgency, other.Store, other.Level = "7", segment.JobKindCopy, segment.Ticket, "redis", segment.LevelLost50
	nameless := enginetest.OpenAlert{EndsAt: time.Now().Add(time.Hour), Labels: map[string]string{
		"alertname": "SegmentIncident", "severity": "page", "segment": "of no name", "ledger": "ledger",
	}}
	require.NoError(t, at.Post(t.Context(), nameless))
	require.NoError(t, at.Alerter(t, nil).Tell(t.Context(), []segment.Alert{
		fault("member", validate.Capped, "one", "ledger"), other, fault("of none", validate.Capped, "", "ledger"), fault("of no ledger", validate.Capped, "", ""),
		fault("of another", validate.Capped, "two", "ledger"), fault("of another ledger", validate.Capped, "one", "ledger 2"),
		ring(3),
	}, nil))
	want := []string{
		"pages firing of no name", "pages firing site group one: 3", "pages firing site/of none", "pages firing site/of no ledger", "pages firing site/of another", "pages firing site/of another ledger",
	}
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// Rings of an incident are told beside one another, and each is over once.
func TestRings(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	alerter := at.Alerter(t, nil)
	rings := []segment.Alert{ring(3), ring(10), ring(100)}
	require.NoError(t, alerter.Tell(t.Context(), rings[:1], nil))
	want := []string{"pages firing site group one: 3"}
	notified(t, at, want...)
	require.NoError(t, alerter.Tell(t.Context(), rings, nil))
	want = append(want, "pages firing site group one: 10", "pages firing site group one: 100")
	notified(t, at, want...)
	want = quiet(t, at, "as it goes on", want...)
	require.NoError(t, alerter.Tell(t.Context(), nil, rings))
	want = append(want, "pages resolved site group one: 3", "pages resolved site group one: 10", "pages resolved site group one: 100")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// Without an incident every segment rings. What becomes worse rings again, beside
// what was told, and all is over in one notification.
func TestWorse(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	alerter := at.Alerter(t, nil)
	var firing []segment.Alert
	var want []string
	for i := range 20 {
		firing = append(firing, fault(fmt.Sprint(i), validate.Short, "", "ledger"))
		want = append(want, fmt.Sprintf("pages firing site/%d", i))
	}
	require.NoError(t, alerter.Tell(t.Context(), firing, nil))
	notified(t, at, want...)

	marks := []segment.Alert{firing[0], firing[0], firing[0]}
	marks[1].Level = segment.LevelLost50
	marks[2].Level, marks[2].Kind = segment.LevelLost100, validate.Empty
	for i := range marks[1:] {
		marks[i+1].Told = time.Now().Add(-time.Hour) // when the segment was first told
		require.NoError(t, alerter.Tell(t.Context(), marks[i+1:i+2], nil))
		want = append(want, "pages firing site/0")
		notified(t, at, want...)
	}
	last := at.Notified()[len(want)-1]
	require.Len(t, last.Alerts, 3, "all marks stand")
	want = quiet(t, at, "after it fell", want...)

	require.NoError(t, alerter.Tell(t.Context(), nil, marks))
	want = append(want, "pages resolved site/0")
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
}

// What was not told to people yet may become a member: it is under its new labels
// before it is over under the old ones, and nobody is told of either.
func TestNewLabels(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	alerter := at.Alerter(t, nil)
	single, member := fault("cars", validate.Short, "", "ledger"), fault("cars", validate.Short, "one", "ledger")
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{single}, nil))
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{member, ring(3)}, []segment.Alert{single}))
	want := []string{"pages firing site group one: 3"}
	notified(t, at, want...)
	quiet(t, at, "at the end", want...)
	open, err := at.Open(t.Context(), `site_group="site"`)
	require.NoError(t, err)
	require.Len(t, open, 2)
}

// Of a batch Alertmanager takes what it does not refuse. What refers to an
// incident that it did not take is not told.
func TestAlertIsRefused(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	good := enginetest.OpenAlert{Labels: map[string]string{"alertname": "good"}, EndsAt: time.Now().Add(time.Hour)}
	bad := enginetest.OpenAlert{Labels: map[string]string{"alertname": "bad"}, StartsAt: time.Now(), EndsAt: time.Now().Add(-time.Hour)}
	err := at.Post(t.Context(), bad, good)
	require.ErrorContains(t, err, "400 Bad Request")
	require.ErrorContains(t, err, "start time must be before end time")
	open, err := at.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, good.Labels, open[0].Labels)
}

// Why an alert ends a minute ago: an end that is still to come, for an
// Alertmanager whose clock is behind ours, ends nothing.
func TestEndToCome(t *testing.T) {
	t.Parallel()
	at := enginetest.StartAlertmanager(t, enginetest.Short)
	alerter := at.Alerter(t, nil)
	alert := fault("cars", validate.Capped, "", "")
	alert.Told = time.Now().Add(-time.Hour)
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{alert}, nil))
	open, err := at.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	keeps := open[0].EndsAt
	require.WithinDuration(t, time.Now().AddDate(0, 0, 30), keeps, time.Hour)

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

// Twenty thousand open alerts are listed without being held.
func TestOpenTwentyThousand(t *testing.T) {
	t.Parallel()
	const alerts = 20_000
	at := enginetest.StartAlertmanager(t, enginetest.Waits{Group: time.Minute, Interval: 5 * time.Minute}) // as documented: to look at so many each second keeps it busy
	alerter := at.Alerter(t, nil)
	require.NoError(t, alerter.Tell(t.Context(), []segment.Alert{ring(10_000)}, nil))
	for part := range 20 {
		var firing []segment.Alert
		for i := range alerts / 20 {
			firing = append(firing, fault(fmt.Sprint(part, " ", i), validate.Short, "one", "ledger"))
			firing[i].Text = strings.Repeat("It is what it is. ", 100)
		}
		require.NoError(t, alerter.Tell(t.Context(), firing, nil))
	}
	start := time.Now()
	held, found := heldBy(func(sample func()) (found int) {
		for _, err := range alerter.Open(t.Context(), "site") {
			require.NoError(t, err)
			if found++; found%2000 == 0 {
				sample()
			}
		}
		return found
	})
	require.Equal(t, alerts+1, found)
	t.Logf("%d open alerts, each of some 2 KB, in %s: %d KiB held at most", alerts, time.Since(start), held>>10)
	require.Less(t, held, uint64(8<<20))
}

// heldBy runs a function that samples how much memory is in use, and returns the
// most that was more than before, and what the function returned.
func heldBy[T any](run func(sample func()) T) (most uint64, result T) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.GC() // and what pools kept
	runtime.ReadMemStats(&before)
	result = run(func() {
		runtime.GC()
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
	})
	return most, result
}
