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
			a.wantOpen(capped(cars))
			a.fire(capped(bikes))
			a.wantOpen(capped(cars), capped(bikes))
		},
	},
	{
		name:        "fires again",
		explanation: "an alert that is fired again is one alert, whatever it says now",
		check: func(a *alerterTrial) {
			a.fire(capped(cars))
			again := capped(cars)
			again.Text, again.At, again.RunID, again.Users = "still capped", again.At.Add(time.Minute), "run-2", 7
			again.Told, again.Report.Name = again.At, "another report"
			a.fire(again)
			a.wantOpen(capped(cars))
		},
	},
	{
		name:        "resolves",
		explanation: "an alert that was resolved is not open, and the others are",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(bikes))
			a.resolve(capped(cars))
			a.wantOpen(capped(bikes))
		},
	},
	{
		name:        "resolves by the mark",
		explanation: "of what is over nobody knows more than its mark, and of an incident's members none is left",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(bikes), manyCapped(3))
			over := manyCapped(3)
			over.Kind, over.Text, over.Good, over.About = "", "", nil, &segment.Incident{ID: over.Incident}
			a.resolve(markOf(capped(cars)), over)
			a.wantOpen(capped(bikes))
		},
	},
	{
		name:        "resolves what is not open",
		explanation: "resolving an alert that is not open does nothing",
		check: func(a *alerterTrial) {
			a.resolve(capped(cars), manyCapped(3))
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
			a.fire(alone(capped(cars)), alone(capped(bikes)))
			a.resolve(segment.Alert{Segment: cars})
			a.wantOpen(alone(capped(bikes)))
			a.fire(alone(dropped(bikes)))
			a.resolve(segment.Alert{Segment: bikes})
			a.wantOpen()
		},
	},
	{
		name:        "resolves a segment of no ledger",
		explanation: "a guard without a ledger ends no alert that a ledger holds",
		check: func(a *alerterTrial) {
			a.fire(alone(capped(cars)), capped(cars))
			a.resolve(segment.Alert{Segment: cars})
			a.wantOpen(capped(cars))
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
			a.wantOpen(capped(cars))
		},
	},
	{
		name:        "fires what is worse beside",
		explanation: "what becomes worse is a further alert beside the earlier ones, and each says of itself what it is; all end together",
		check: func(a *alerterTrial) {
			all := worsening()
			for i := range all {
				a.fire(all[i])
				a.wantOpen(all[:i+1]...)
			}
			a.fire(all...)
			a.wantOpen(all...)
			a.resolve(all...)
			a.wantOpen()
		},
	},
	{
		name:        "resolves one of several",
		explanation: "an alert is over by itself, whatever else is open of its segment",
		check: func(a *alerterTrial) {
			all := worsening()
			a.fire(all...)
			for i := range all {
				a.resolve(all[i])
				a.wantOpen(all[i+1:]...)
			}
		},
	},
	{
		name:        "is told new labels",
		explanation: "what has not rung yet may become a member of an incident: the alert under its new labels is open, and the one under the old ones is not",
		check: func(a *alerterTrial) {
			member := capped(cars)
			member.Incident = manyCapped(3).Incident
			a.fire(capped(cars))
			a.tell([]segment.Alert{manyCapped(3), member}, []segment.Alert{capped(cars)})
			a.wantOpen(manyCapped(3), member)
			a.resolve(member)
			a.wantOpen(manyCapped(3))
		},
	},
	{
		name:        "fires on any id",
		explanation: "an id is any UTF-8 text, and never mistaken for another one",
		check: func(a *alerterTrial) {
			all := make([]segment.Alert, len(anyIDs))
			for i, id := range anyIDs {
				all[i] = capped(id)
				a.fire(all[i])
			}
			a.wantOpen(all...)
			for i := range all {
				a.resolve(all[i])
				a.wantOpen(all[i+1:]...)
			}
		},
	},
	{
		name:        "fires an incident",
		explanation: "an incident is an alert beside those of its segments, and is over by itself",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), manyCapped(3), capped(bikes))
			a.wantOpen(capped(cars), capped(bikes), manyCapped(3))
			a.resolve(manyCapped(3), capped(bikes))
			a.wantOpen(capped(cars))
			a.tell([]segment.Alert{manyCapped(3)}, []segment.Alert{capped(cars)})
			a.wantOpen(manyCapped(3))
		},
	},
	{
		name:        "rings an incident again",
		explanation: "each ring of an incident is an alert beside the earlier ones, and all end together",
		check: func(a *alerterTrial) {
			rings := []segment.Alert{manyCapped(3), manyCapped(10), manyCapped(10), manyCapped(10), manyCapped(100)}
			rings[2].Level, rings[3].Segment.SiteGroup = segment.LevelLost100, ""
			for i := range rings {
				a.fire(rings[i])
				a.wantOpen(rings[:i+1]...)
			}
			a.resolve(rings...)
			a.wantOpen()
		},
	},
	{
		name:        "keeps ledgers apart",
		explanation: "two ledgers may tell one Alerter of the same segment, and each ends its own alerts",
		check: func(a *alerterTrial) {
			other, many := capped(cars), manyCapped(3)
			other.Ledger, many.Ledger = "ledger-2", "ledger-2"
			a.fire(capped(cars), other, manyCapped(3), many)
			a.wantOpen(capped(cars), other, manyCapped(3), many)
			a.resolve(capped(cars), manyCapped(3))
			a.wantOpen(other, many)
		},
	},
	{
		name:        "is told of what is unconfirmed",
		explanation: "an alert that no ledger holds yet is open, and is the same one once a ledger does",
		check: func(a *alerterTrial) {
			unconfirmed := capped(cars)
			unconfirmed.Unconfirmed = true
			a.fire(unconfirmed)
			a.wantOpen(unconfirmed)
			a.fire(capped(cars))
			a.wantOpen(capped(cars))
			a.fire(unconfirmed)
			a.resolve(capped(cars))
			a.wantOpen()
		},
	},
	{
		name:        "is cancelled",
		explanation: "without an error all was told, even if the context was over: an alert that is not told must be an error",
		check: func(a *alerterTrial) {
			a.fire(capped(bikes))
			ctx, cancel := context.WithCancel(a.t.Context())
			cancel()
			want := capped(bikes)
			if a.Tell(ctx, []segment.Alert{capped(cars)}, []segment.Alert{capped(bikes)}) == nil {
				want = capped(cars)
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
			var want []segment.Alert
			for i := range 16 {
				if i%2 == 0 {
					want = append(want, capped(nthSegment(i)))
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
			a.wantOpen(capped(cars))
		},
	},
	{
		name:        "is told of many",
		explanation: "a sweep tells of many alerts at once, and of all again where it does not know what the Alerter heard",
		check: func(a *alerterTrial) {
			var alerts []segment.Alert
			for i := range 1201 {
				alerts = append(alerts, capped(nthSegment(i)))
			}
			for range 2 {
				a.tell(alerts, nil)
				a.wantOpen(alerts...)
			}
			a.tell(nil, alerts[1:])
			a.wantOpen(alerts[0])
		},
	},
	{
		name:        "is told of some and others",
		explanation: "alerts are fired and resolved in one call, those too that nobody fired",
		check: func(a *alerterTrial) {
			a.fire(capped(cars), capped(bikes))
			a.tell([]segment.Alert{capped(boats), capped(bikes)}, []segment.Alert{capped(cars), capped(planes)})
			a.wantOpen(capped(boats), capped(bikes))
		},
	},
	{
		name:        "lists a site group",
		explanation: "the open alerts of one site group are those of its segments, and of the incidents that have no other members",
		check: func(a *alerterTrial) {
			everywhere, here := manyCapped(3), manyCapped(10)
			everywhere.Segment.SiteGroup, here.Segment.SiteGroup = "", "site-a"
			a.fire(capped(cars), capped(boats), capped(bikes), everywhere, here)
			a.wantOpenIn("site-a", capped(cars), capped(bikes), here)
			a.wantOpenIn("site-b", capped(boats))
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
		name:        "lists when it told",
		explanation: "what is open and in no ledger may have been told just now, by who has not written it down yet: an open alert says when it was told",
		check: func(a *alerterTrial) {
			told := capped(bikes)
			told.Told = since
			a.fire(capped(cars), told)
			for _, x := range a.open("") {
				if x.Segment == bikes {
					require.WithinDuration(a.t, told.Told, x.Told, time.Second, a.explanation)
				} else {
					require.False(a.t, x.Told.IsZero(), a.explanation)
				}
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

// wantOpen wants just these alerts to be open, each once.
func (a *alerterTrial) wantOpen(want ...segment.Alert) {
	a.t.Helper()
	a.wantOpenIn("", want...)
}

// wantOpenIn wants just these alerts of a site group to be open, each once.
func (a *alerterTrial) wantOpenIn(siteGroup string, want ...segment.Alert) {
	a.t.Helper()
	if a.lister == nil {
		return
	}
	require.Equal(a.t, recognised(want), recognised(a.open(siteGroup)), "the alerts that are open: %s", a.explanation)
}

// recognised returns what alerts are recognised by, in order.
func recognised(alerts []segment.Alert) []string {
	found := make([]string, len(alerts))
	for i := range alerts {
		x := &alerts[i]
		kind, about := string(x.Kind), ""
		if x.About != nil { // its members have kinds
			kind, about = "", fmt.Sprintf("incident, ring %d: ", x.Ring)
		}
		found[i] = fmt.Sprintf("%s%s in store %q: %s %s %s, %s jobs of build %q, in incident %q, of ledger %q, unconfirmed %t",
			about, x.Segment, x.Store, x.Urgency, kind, x.Level, x.Job.Kind, x.Build, x.Incident, x.Ledger, x.Unconfirmed)
	}
	slices.Sort(found)
	return found
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

var (
	cars   = segment.ID{SiteGroup: "site-a", Name: "cars"}
	bikes  = segment.ID{SiteGroup: "site-a", Name: "bikes"}
	boats  = segment.ID{SiteGroup: "site-b", Name: "cars"}
	planes = segment.ID{SiteGroup: "site-b", Name: "planes"}
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
		Level:   segment.LevelProtected,
		Text:    id.String() + ": stored 10,000 users of 12,310",
		Job:     segment.Copy(id, segment.ID{SiteGroup: "source", Name: id.Name}),
		RunID:   "run-1",
		Attempt: 1,
		Build:   "build-7",
		Rule:    "copies",
		Runbook: "https://example.org/runbook",
		Since:   since,
		At:      since,
		Users:   12_310,
		Ledger:  "ledger-1",
	}
}

// dropped returns an alert as a sweep fires it, of a segment that no job is known
// to write.
func dropped(id segment.ID) segment.Alert {
	return segment.Alert{
		Segment: id,
		Urgency: segment.Ticket,
		Kind:    validate.Dropped,
		Level:   segment.LevelLost10,
		Text:    id.String() + ": 41% below its lowest of the last week",
		Since:   since.Add(time.Minute),
		At:      since.Add(time.Minute),
		Ledger:  "ledger-1",
	}
}

// alone returns an alert as a guard without a ledger fires it.
func alone(a segment.Alert) segment.Alert {
	a.Ledger = ""
	return a
}

// markOf returns what a ledger still knows of an alert that is over.
func markOf(a segment.Alert) segment.Alert {
	return segment.Alert{
		Segment: a.Segment, Store: a.Store, Urgency: a.Urgency, Kind: a.Kind, Level: a.Level,
		Job: segment.Job{Kind: a.Job.Kind}, Build: a.Build, Incident: a.Incident, Ledger: a.Ledger, Told: a.At,
	}
}

// worsening returns alerts of one segment that differ by one thing each.
func worsening() []segment.Alert {
	all := make([]segment.Alert, 8)
	for i := range all {
		all[i] = capped(cars)
	}
	all[0].Urgency = segment.Ticket
	all[2].Kind = validate.Empty
	all[3].Level = segment.LevelLost100
	all[4].Job.Kind = segment.JobKindLookalike
	all[5].Build = "build-8"
	all[6].Incident = manyCapped(3).Incident
	all[7].Store = "redis"
	return all
}

// manyCapped returns the alert of an incident that rang for so many members.
func manyCapped(ring int) segment.Alert {
	i := segment.Incident{
		ID: "copy jobs of build build-7 since today", Cause: segment.Cause{JobKind: segment.JobKindCopy, Build: "build-7"},
		Begun: since, Last: since, Likely: "read exactly 10,000 users",
		Members: segment.Members{Segments: 5000, Pages: 5000, SiteGroups: 12, Users: 61_550_000},
	}
	return segment.Alert{
		Segment: segment.ID{SiteGroup: "site-c", Name: i.ID}, Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelProtected,
		Incident: i.ID, Text: i.String(), Job: segment.Job{Kind: i.Cause.JobKind}, Build: i.Cause.Build,
		Since: since, At: since, Users: i.Members.Users, Ledger: "ledger-1", About: &i, Ring: ring,
	}
}
