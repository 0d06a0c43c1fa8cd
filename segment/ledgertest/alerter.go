package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestAlerter tests an implementation of segment.Alerter, and of
// segment.BatchAlerter if it is one too. open returns one that has no open
// alerts; it is called for each rule.
//
// What is open can be seen if the Alerter also has a method
//
//	Firing(ctx context.Context) ([]segment.ID, error)
//
// that names the segment of each open alert, in any order, and twice if a
// segment has two. Without it the suite sees errors alone, and races.
func TestAlerter(t *testing.T, open func(*testing.T) segment.Alerter) {
	for _, rule := range alerterRules {
		t.Run(rule.name, func(t *testing.T) {
			alerter := open(t)
			batch, isBatch := alerter.(segment.BatchAlerter)
			if rule.batch && !isBatch {
				t.Skip("it is no segment.BatchAlerter")
			}
			firing, _ := alerter.(firing)
			rule.check(&alerterTrial{t, rule.explanation, alerter, batch, firing})
		})
	}
}

// firing is an Alerter that says what is open.
type firing interface {
	Firing(ctx context.Context) ([]segment.ID, error)
}

// An alerterRule is what an Alerter must keep to, and why.
type alerterRule struct {
	name        string
	batch       bool // it is about Tell
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
		explanation: "a segment has at most one open alert: firing it again replaces it",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			again := capped(cars)
			again.Text, again.At, again.RunID = "still capped", again.At.Add(time.Minute), "run-2"
			a.fire(again)
			a.wantOpen(cars)
		},
	},
	{
		name:        "fires another fault",
		explanation: "another fault of a segment takes the place of the first, also where kind, severity, job and build differ",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.fire(dropped(cars))
			a.wantOpen(cars)
			a.fire(capped(cars))
			a.wantOpen(cars)
			a.resolve(cars)
			a.wantOpen()
		},
	},
	{
		name:        "resolves",
		explanation: "an alert that was resolved is not open, and the others are",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.fire(capped(bikes))
			a.resolve(cars)
			a.wantOpen(bikes)
		},
	},
	{
		name:        "resolves what is not open",
		explanation: "resolving an alert that is not open does nothing: a guard resolves after every run that passed",
		check: func(a *alerterTrial) {
			a.resolve(cars)
			a.fire(capped(bikes))
			a.resolve(cars)
			a.resolve(bikes)
			a.resolve(bikes)
			a.wantOpen()
		},
	},
	{
		name:        "fires what was resolved",
		explanation: "a fault that comes back is alerted again",
		check: func(a *alerterTrial) {
			for range 2 {
				a.fire(capped(cars))
				a.resolve(cars)
			}
			a.wantOpen()
			a.fire(capped(cars))
			a.wantOpen(cars)
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
				a.resolve(id)
				a.wantOpen(anyIDs[i+1:]...)
			}
		},
	},
	{
		name:        "fires an incident",
		explanation: "an incident is an alert beside those of its segments, and resolved by its own name",
		check: func(a *alerterTrial) {
			a.fire(manyCapped())
			a.fire(capped(cars))
			a.wantOpen(incident, cars)
			a.resolve(incident)
			a.wantOpen(cars)
		},
	},
	{
		name:        "is cancelled",
		explanation: "without an error the alert was told or resolved, even if the context was over: an alert that is not told must be an error",
		check: func(a *alerterTrial) {
			a.fire(capped(bikes))
			ctx, cancel := context.WithCancel(a.t.Context())
			cancel()
			want := []segment.ID{bikes}
			if a.Fire(ctx, capped(cars)) == nil {
				want = append(want, cars)
			}
			if a.Resolve(ctx, bikes) == nil {
				want = want[1:]
			}
			a.wantOpen(want...)
		},
	},
	{
		name:        "is used concurrently",
		explanation: "many guards fire and resolve at once, each its own segments",
		check: func(a *alerterTrial) {
			a.together(16, func(i int) error {
				id := nthSegment(i)
				if err := a.Fire(a.t.Context(), capped(id)); err != nil || i%2 == 0 {
					return err
				}
				return a.Resolve(a.t.Context(), id)
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
		name:        "is used concurrently on one segment",
		explanation: "two faults of a segment that are fired at once must not undo each other: one stays open",
		check: func(a *alerterTrial) {
			a.together(2, func(i int) error {
				return a.Fire(a.t.Context(), []segment.Alert{capped(cars), dropped(cars)}[i])
			})
			a.wantSome(cars)
			a.fire(capped(cars))
			a.wantOpen(cars)
			a.resolve(cars)
			a.wantOpen()
		},
	},
	{
		name: "is told nothing", batch: true,
		explanation: "nothing to tell is no error, and changes nothing",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.tell(nil, nil)
			a.tell([]segment.Alert{}, []segment.Alert{})
			a.wantOpen(cars)
		},
	},
	{
		name: "is told of many", batch: true,
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
		name: "is told of some and others", batch: true,
		explanation: "alerts are fired and resolved in one call, those too that nobody fired",
		check: func(a *alerterTrial) {
			a.tell([]segment.Alert{capped(cars), capped(bikes)}, nil)
			a.tell([]segment.Alert{capped(boats), capped(bikes)}, []segment.Alert{capped(cars), capped(planes)})
			a.wantOpen(boats, bikes)
		},
	},
	{
		name: "is told of another fault", batch: true,
		explanation: "a fault that took another's place is fired, the other one resolved as it was fired, and one alert stays",
		check: func(a *alerterTrial) {
			a.tell([]segment.Alert{capped(cars)}, nil)
			a.tell([]segment.Alert{dropped(cars)}, []segment.Alert{capped(cars)})
			a.wantOpen(cars)
			a.tell(nil, []segment.Alert{dropped(cars)})
			a.wantOpen()
		},
	},
	{
		name: "is told and fired", batch: true,
		explanation: "guards fire and a sweep tells of the same alert: it is one",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			a.tell([]segment.Alert{capped(cars), capped(bikes)}, nil)
			a.wantOpen(cars, bikes)
			a.resolve(bikes)
			a.tell(nil, []segment.Alert{capped(cars)})
			a.wantOpen()
		},
	},
	{
		name: "is told of an incident", batch: true,
		explanation: "an incident is told with its segments, and is over by itself",
		check: func(a *alerterTrial) {
			a.tell([]segment.Alert{capped(cars), manyCapped(), capped(bikes)}, nil)
			a.wantOpen(cars, bikes, incident)
			a.tell(nil, []segment.Alert{manyCapped(), capped(bikes)})
			a.wantOpen(cars)
			a.tell([]segment.Alert{manyCapped()}, []segment.Alert{capped(cars)})
			a.wantOpen(incident)
		},
	},
	{
		name: "is told and cancelled", batch: true,
		explanation: "without an error all was told, even if the context was over",
		check: func(a *alerterTrial) {
			a.tell([]segment.Alert{capped(bikes)}, nil)
			ctx, cancel := context.WithCancel(a.t.Context())
			cancel()
			want := bikes
			if a.batch.Tell(ctx, []segment.Alert{capped(cars)}, []segment.Alert{capped(bikes)}) == nil {
				want = cars
			}
			a.wantOpen(want)
		},
	},
}

// An alerterTrial is one rule on one Alerter.
type alerterTrial struct {
	t           *testing.T
	explanation string
	segment.Alerter
	batch  segment.BatchAlerter // nil: it is none
	firing firing               // nil: it does not say
}

func (a *alerterTrial) fire(x segment.Alert) {
	a.t.Helper()
	require.NoError(a.t, a.Fire(a.t.Context(), x), "firing %q: %s", x.Segment, a.explanation)
}

func (a *alerterTrial) resolve(id segment.ID) {
	a.t.Helper()
	require.NoError(a.t, a.Resolve(a.t.Context(), id), "resolving %q: %s", id, a.explanation)
}

func (a *alerterTrial) tell(firing, resolved []segment.Alert) {
	a.t.Helper()
	require.NoError(a.t, a.batch.Tell(a.t.Context(), firing, resolved), "telling: %s", a.explanation)
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
	if a.firing == nil {
		return
	}
	require.Equal(a.t, texts(want), texts(a.open()), "the segments with an open alert: %s", a.explanation)
}

// wantSome wants one segment to have an alert, or several.
func (a *alerterTrial) wantSome(want segment.ID) {
	a.t.Helper()
	if a.firing == nil {
		return
	}
	require.Equal(a.t, texts([]segment.ID{want}), slices.Compact(texts(a.open())), "the segments with an open alert: %s", a.explanation)
}

func (a *alerterTrial) open() []segment.ID {
	a.t.Helper()
	open, err := a.firing.Firing(a.t.Context())
	require.NoError(a.t, err)
	return open
}

// texts are what is compared, and shown in a difference.
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

// capped is an alert of a guard.
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

// dropped is an alert of a sweep, of a segment that no job is known to write.
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
		Job: segment.Job{Kind: i.JobKind}, Build: i.Build, Since: since, At: since, Incident: &i,
	}
}
