package ledgertest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestAlerter checks that a segment.Alerter does what its interface promises, one
// subtest a rule. open returns one that has no open alerts; it is called for each
// rule.
//
// What is open can be seen if the Alerter also has the method Open. Without it the
// suite sees errors alone, and data races.
func TestAlerter(t *testing.T, open func(*testing.T) segment.Alerter) {
	for _, rule := range alerterRules {
		t.Run(rule.name, func(t *testing.T) {
			alerter := open(t)
			lister, _ := alerter.(lister)
			rule.check(&alerterTrial{t, rule.explanation, alerter, lister})
		})
	}
}

// A lister is an Alerter that says what is open.
type lister interface {
	Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error]
}

// An alerterRule is what an Alerter must keep to, and why.
type alerterRule struct {
	name        string
	explanation string
	check       func(*alerterTrial)
}

var alerterRules = []alerterRule{
	{
		name:        "fires",
		explanation: "an alert that was fired without an error is open: nobody fires it again",
		check: func(a *alerterTrial) {
			a.wantOpen()
			a.fire(capped(cars))
			a.wantOpen(cars)
			a.fire(capped(bikes))
			a.wantOpen(cars, bikes)
		},
	},
	{
		name:        "fires again",
		explanation: "an alert that is fired again is one alert",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			again := capped(cars)
			again.Text, again.At, again.RunID = "still capped", again.At.Add(time.Minute), "run-2"
			a.fire(again)
			a.wantOpen(cars)
		},
	},
	{
		name:        "resolves",
		explanation: "an alert that was resolved is not open, and the others are",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(bikes))
			a.resolve(capped(cars))
			a.wantOpen(bikes)
		},
	},
	{
		name:        "resolves what is not open",
		explanation: "resolving an alert that is not open does nothing",
		check: func(a *alerterTrial) {
			a.resolve(capped(cars))
			a.fire(capped(bikes))
			a.resolve(capped(cars))
			a.resolve(capped(bikes))
			a.resolve(capped(bikes))
			a.wantOpen()
		},
	},
	{
		name:        "resolves a segment",
		explanation: "an alert without a kind stands for all alerts of its segment: a guard without a ledger does not know what was told before",
		check: func(a *alerterTrial) {
			a.resolve(segment.Alert{Segment: cars})
			a.fire(capped(cars), capped(bikes))
			a.resolve(segment.Alert{Segment: cars})
			a.wantOpen(bikes)
			a.fire(dropped(bikes))
			a.resolve(segment.Alert{Segment: bikes})
			a.wantOpen()
		},
	},
	{
		name:        "fires what was resolved",
		explanation: "a fault that comes back is alerted again",
		check: func(a *alerterTrial) {
			for range 2 {
				a.fire(capped(cars))
				a.resolve(capped(cars))
			}
			a.wantOpen()
			a.fire(capped(cars))
			a.wantOpen(cars)
		},
	},
	{
		name:        "fires another fault",
		explanation: "a fault that took another's place is fired, the other one resolved as it was fired, and one alert stays",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.tell([]segment.Alert{dropped(cars)}, []segment.Alert{capped(cars)})
			a.wantOpen(cars)
			a.resolve(dropped(cars))
			a.wantOpen()
		},
	},
	{
		name:        "fires on any id",
		explanation: "an id is any UTF-8 text, and never mistaken for another one",
		check: func(a *alerterTrial) {
			for _, id := range anyIDs {
				a.fire(capped(id))
			}
			a.wantOpen(anyIDs...)
			for i, id := range anyIDs {
				a.resolve(capped(id))
				a.wantOpen(anyIDs[i+1:]...)
			}
		},
	},
	{
		name:        "fires an incident",
		explanation: "an incident is an alert beside those of its segments, and is over by itself",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), manyCapped(), capped(bikes))
			a.wantOpen(cars, bikes, incident)
			a.resolve(manyCapped(), capped(bikes))
			a.wantOpen(cars)
			a.tell([]segment.Alert{manyCapped()}, []segment.Alert{capped(cars)})
			a.wantOpen(incident)
		},
	},
	{
		name:        "is cancelled",
		explanation: "without an error all was told, even if the context was over: an alert that is not told must be an error",
		check: func(a *alerterTrial) {
			a.fire(capped(bikes))
			ctx, cancel := context.WithCancel(a.t.Context())
			cancel()
			want := bikes
			if a.Tell(ctx, []segment.Alert{capped(cars)}, []segment.Alert{capped(bikes)}) == nil {
				want = cars
			}
			a.wantOpen(want)
		},
	},
	{
		name:        "is used concurrently",
		explanation: "many guards fire and resolve at once, each its own segments",
		check: func(a *alerterTrial) {
			a.together(16, func(i int) error {
				x := []segment.Alert{capped(nthSegment(i))}
				if err := a.Tell(a.t.Context(), x, nil); err != nil || i%2 == 0 {
					return err
				}
				return a.Tell(a.t.Context(), nil, x)
			})
			var want []segment.ID
			for i := range 16 {
				if i%2 == 0 {
					want = append(want, nthSegment(i))
				}
			}
			a.wantOpen(want...)
		},
	},
	{
		name:        "is told nothing",
		explanation: "nothing to tell is no error, and changes nothing",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.tell(nil, nil)
			a.tell([]segment.Alert{}, []segment.Alert{})
			a.wantOpen(cars)
		},
	},
	{
		name:        "is told of many",
		explanation: "a sweep tells of every open alert at once, and of all again with the next",
		check: func(a *alerterTrial) {
			var alerts []segment.Alert
			var ids []segment.ID
			for i := range 1201 {
				ids = append(ids, nthSegment(i))
				alerts = append(alerts, capped(ids[i]))
			}
			for range 2 {
				a.tell(alerts, nil)
				a.wantOpen(ids...)
			}
			a.tell(nil, alerts[1:])
			a.wantOpen(ids[0])
		},
	},
	{
		name:        "is told of some and others",
		explanation: "alerts are fired and resolved in one call, those too that nobody fired",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(bikes))
			a.tell([]segment.Alert{capped(boats), capped(bikes)}, []segment.Alert{capped(cars), capped(planes)})
			a.wantOpen(boats, bikes)
		},
	},
	{
		name:        "lists a site group",
		explanation: "the open alerts of one site group are those of its segments",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(boats), capped(bikes))
			a.wantOpenIn("site-a", cars, bikes)
			a.wantOpenIn("site-b", boats)
			a.wantOpenIn("site")
		},
	},
	{
		name:        "lists until it is cancelled",
		explanation: "a list that was cut off ends with an error: what it lacks may be open all the same",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			if a.lister == nil {
				return
			}
			ctx, cancel := context.WithCancel(a.t.Context())
			cancel()
			require.ErrorIs(a.t, end(a.lister.Open(ctx, "")), context.Canceled, a.explanation)
		},
	},
	{
		name:        "lists alerts as they were fired",
		explanation: "an open alert is recognised by segment, urgency, kind, kind of job and build",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), dropped(bikes))
			for _, x := range a.open("") {
				want := capped(cars)
				if x.Segment == bikes {
					want = dropped(bikes)
				}
				require.Equal(a.t, []any{want.Urgency, want.Kind, want.Job.Kind, want.Build, want.About == nil},
					[]any{x.Urgency, x.Kind, x.Job.Kind, x.Build, x.About == nil}, "%s: %s", x.Segment, a.explanation)
			}
		},
	},
}

// An alerterTrial is one rule on one Alerter.
type alerterTrial struct {
	t           *testing.T
	explanation string
	segment.Alerter
	lister lister // nil: it does not say what is open
}

func (a *alerterTrial) fire(alerts ...segment.Alert) {
	a.t.Helper()
	a.tell(alerts, nil)
}

func (a *alerterTrial) resolve(alerts ...segment.Alert) {
	a.t.Helper()
	a.tell(nil, alerts)
}

func (a *alerterTrial) tell(firing, resolved []segment.Alert) {
	a.t.Helper()
	require.NoError(a.t, a.Tell(a.t.Context(), firing, resolved), "telling: %s", a.explanation)
}

// together runs calls at once. None may fail.
func (a *alerterTrial) together(n int, call func(i int) error) {
	a.t.Helper()
	failures := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { failures[i] = call(i) })
	}
	group.Wait()
	for _, err := range failures {
		require.NoError(a.t, err, a.explanation)
	}
}

// wantOpen wants just these segments to have an alert, each one.
func (a *alerterTrial) wantOpen(want ...segment.ID) {
	a.t.Helper()
	a.wantOpenIn("", want...)
}

// wantOpenIn wants just these segments of a site group to have an alert, each one.
func (a *alerterTrial) wantOpenIn(siteGroup string, want ...segment.ID) {
	a.t.Helper()
	if a.lister == nil {
		return
	}
	open := []string{}
	for _, x := range a.open(siteGroup) {
		open = append(open, x.Segment.String())
	}
	slices.Sort(open)
	require.Equal(a.t, texts(want), open, "the segments with an open alert: %s", a.explanation)
}

func (a *alerterTrial) open(siteGroup string) (open []segment.Alert) {
	a.t.Helper()
	if a.lister == nil {
		return nil
	}
	for x, err := range a.lister.Open(a.t.Context(), siteGroup) {
		require.NoError(a.t, err)
		open = append(open, x)
	}
	return open
}

// texts returns the texts of ids, sorted.
func texts(ids []segment.ID) []string {
	found := make([]string, len(ids))
	for i, id := range ids {
		found[i] = id.String()
	}
	slices.Sort(found)
	return found
}

var (
	cars     = segment.ID{SiteGroup: "site-a", Name: "cars"}
	bikes    = segment.ID{SiteGroup: "site-a", Name: "bikes"}
	boats    = segment.ID{SiteGroup: "site-b", Name: "cars"}
	planes   = segment.ID{SiteGroup: "site-b", Name: "planes"}
	incident = segment.ID{SiteGroup: "incident", Name: "copy capped build-7"}
)

// anyIDs differ by what an implementation may take for a mark of its own.
var anyIDs = []segment.ID{
	cars,
	{SiteGroup: "site-a", Name: "Cars"},
	{SiteGroup: "site-a", Name: "cars "},
	{SiteGroup: " site-a", Name: "cars"},
	{SiteGroup: "site-a", Name: "cars/2024"},
	{SiteGroup: "site-a/cars", Name: "2024"},
	{SiteGroup: "site-a%2Fcars", Name: "2024"},
	{SiteGroup: "site-a", Name: "car%73"},
	{SiteGroup: "site-a", Name: "100%"},
	{SiteGroup: "site-a", Name: `"cars"`},
	{SiteGroup: "site-a", Name: `'cars'; --`},
	{SiteGroup: "site-a", Name: `c:\new\table\"`},
	{SiteGroup: "site-a", Name: "two\nlines\tand a tab"},
	{SiteGroup: "site-a", Name: "c.*s|.*"},
	{SiteGroup: "site-a", Name: `cars",site_group="site-b`},
	{SiteGroup: "site-a", Name: "{cars}, [a] & b=c;d?e#f+g"},
	{SiteGroup: "site-a", Name: "voitures électriques"},
	{SiteGroup: "site-a", Name: "voitures e\u0301lectriques"}, // not the same bytes
	{SiteGroup: "\u65e5\u672c", Name: "\u8eca \U0001f697"},
	{SiteGroup: "site-a", Name: "\x00\x7f\u2028"},
	{SiteGroup: "site-a", Name: ""},
	{SiteGroup: "", Name: "cars"},
	{SiteGroup: "site-a", Name: strings.Repeat("long ", 200)},
	{SiteGroup: "incident", Name: "is a site group, too"},
}

func nthSegment(i int) segment.ID {
	return segment.ID{SiteGroup: fmt.Sprintf("site-%d", i%7), Name: fmt.Sprintf("segment %d", i)}
}

// since is when faults were found. An Alerter may have a clock of its own.
var since = time.Now().Add(-time.Hour).Truncate(time.Second)

// capped returns an alert as a guard fires it.
func capped(id segment.ID) segment.Alert {
	return segment.Alert{
		Segment: id,
		Urgency: segment.Page,
		Kind:    validate.Capped,
		Text:    id.String() + ": stored 10,000 users of 12,310",
		Job:     segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}),
		RunID:   "run-1",
		Attempt: 1,
		Build:   "build-7",
		Rule:    "copies",
		Runbook: "https://example.org/runbook",
		Since:   since,
		At:      since,
	}
}

// dropped returns an alert as a sweep fires it, of a segment that no job is known
// to write.
func dropped(id segment.ID) segment.Alert {
	return segment.Alert{
		Segment: id,
		Urgency: segment.Ticket,
		Kind:    validate.Dropped,
		Text:    id.String() + ": 41% below its lowest of the last week",
		Since:   since.Add(time.Minute),
		At:      since.Add(time.Minute),
	}
}

func manyCapped() segment.Alert {
	i := segment.Incident{
		JobKind: segment.JobKindCopy, Kind: validate.Capped, Build: "build-7", Urgency: segment.Page,
		Segments: 5000, SiteGroups: 12, Users: 61_550_000, Since: since,
		Cause: "read exactly 10,000 users", Next: "https://example.org/runbook",
	}
	return segment.Alert{
		Segment: incident, Urgency: i.Urgency, Kind: i.Kind, Text: i.String(),
		Job: segment.Job{Kind: i.JobKind}, Build: i.Build, Since: since, At: since, About: &i,
	}
}
