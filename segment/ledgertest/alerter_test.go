package ledgertest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/validate"
)

func TestLogAlerter(t *testing.T) {
	ledgertest.TestAlerter(t, func(t *testing.T) segment.Alerter {
		return segment.LogAlerter(slog.New(slog.NewTextHandler(t.Output(), nil)))
	})
}

func TestGoodAlerter(t *testing.T) {
	ledgertest.TestAlerter(t, func(*testing.T) segment.Alerter { return newTable() })
}

// A table is an Alerter that keeps to the rules.
type table struct {
	mu     sync.Mutex
	alerts map[key]segment.Alert
}

// A key is what an alert is recognised by.
type key struct {
	segment         segment.ID
	store           string
	urgency         segment.Urgency
	kind            validate.Kind
	level           segment.Level
	job             segment.JobKind
	build, incident string
	ring            int
	ledger          string
	about           bool
}

func keyOf(a segment.Alert) key {
	k := key{a.Segment, a.Store, a.Urgency, a.Kind, a.Level, a.Job.Kind, a.Build, a.Incident, a.Ring, a.Ledger, a.About != nil}
	if k.about {
		k.kind = ""
	}
	return k
}

func newTable() *table { return &table{alerts: map[key]segment.Alert{}} }

func (t *table) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, over := range resolved {
		delete(t.alerts, keyOf(over))
		maps.DeleteFunc(t.alerts, func(k key, _ segment.Alert) bool {
			return isKindless(over) && k.segment == over.Segment && k.ledger == over.Ledger
		})
	}
	for _, a := range firing {
		if a.Told.IsZero() {
			a.Told = time.Now()
		}
		t.alerts[keyOf(a)] = a
	}
	return nil
}

func (t *table) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(segment.Alert{}, err)
			return
		}
		for _, a := range t.open() {
			if (siteGroup == "" || a.Segment.SiteGroup == siteGroup) && !yield(a, nil) {
				return
			}
		}
	}
}

func (t *table) open() []segment.Alert {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.alerts))
}

// A badAlerter breaks one rule.
type badAlerter struct {
	*table

	tell func(t *table, ctx context.Context, firing, resolved []segment.Alert) error
	list func(*table, string) []segment.Alert
	deaf bool // it lists nothing once the context is over
}

func (b *badAlerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	if b.tell != nil {
		return b.tell(b.table, ctx, firing, resolved)
	}
	return b.table.Tell(ctx, firing, resolved)
}

func (b *badAlerter) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	if ctx.Err() == nil && b.list != nil {
		return without(slices.Values(b.list(b.table, siteGroup)))
	}
	if ctx.Err() != nil && b.deaf {
		return without(slices.Values([]segment.Alert{}))
	}
	return b.table.Open(ctx, siteGroup)
}

func telling(tell func(t *table, ctx context.Context, firing, resolved []segment.Alert) error) func() segment.Alerter {
	return func() segment.Alerter { return &badAlerter{table: newTable(), tell: tell} }
}

func listingAlerts(list func(*table, string) []segment.Alert) func() segment.Alerter {
	return func() segment.Alerter { return &badAlerter{table: newTable(), list: list} }
}

// firingOnly leaves out alerts that it does not fire, and resolvingOnly those that
// it does not resolve.
func firingOnly(keep func(segment.Alert) bool) func() segment.Alerter {
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, only(firing, keep), resolved)
	})
}

func resolvingOnly(keep func(segment.Alert) bool) func() segment.Alerter {
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, firing, only(resolved, keep))
	})
}

func only(alerts []segment.Alert, keep func(segment.Alert) bool) []segment.Alert {
	return slices.DeleteFunc(slices.Clone(alerts), func(a segment.Alert) bool { return !keep(a) })
}

// edited returns an Alerter that keeps something else than it is told.
func edited(edit func(*segment.Alert)) func() segment.Alerter {
	all := func(alerts []segment.Alert) []segment.Alert {
		alerts = slices.Clone(alerts)
		for i := range alerts {
			edit(&alerts[i])
		}
		return alerts
	}
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, all(firing), all(resolved))
	})
}

// renamed returns an Alerter that gives segments names of its own.
func renamed(rename func(segment.ID) segment.ID) func() segment.Alerter {
	return edited(func(a *segment.Alert) { a.Segment = rename(a.Segment) })
}

// listingEdited returns an Alerter that lists something else than it was told.
func listingEdited(edit func(*segment.Alert)) func() segment.Alerter {
	return listingAlerts(func(t *table, siteGroup string) []segment.Alert {
		found := only(t.open(), func(a segment.Alert) bool { return siteGroup == "" || a.Segment.SiteGroup == siteGroup })
		for i := range found {
			edit(&found[i])
		}
		return found
	})
}

// errorUnlessOpen takes it for an error that something to resolve is not open.
func errorUnlessOpen(concerned func(segment.Alert) bool) func() segment.Alerter {
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		open := map[segment.ID]bool{}
		for _, a := range t.open() {
			open[a.Segment] = true
		}
		for _, over := range resolved {
			if concerned(over) && !open[over.Segment] {
				return os.ErrNotExist
			}
		}
		return t.Tell(ctx, firing, resolved)
	})
}

// staysOpen matches the segments that one of many goroutines fires and does not
// resolve.
var staysOpen = regexp.MustCompile(`^segment \d*[02468]$`)

// overwritesAlerts writes over what was told since it read.
func overwritesAlerts() func() segment.Alerter {
	both := newMeeting()
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		t.mu.Lock()
		mine := &table{alerts: maps.Clone(t.alerts)}
		t.mu.Unlock()
		err := mine.Tell(ctx, firing, resolved)
		if len(firing) == 1 && staysOpen.MatchString(firing[0].Segment.Name) {
			both.attend()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.alerts = mine.alerts
		return err
	})
}

func anything(segment.Alert) bool { return true }

func isKindless(a segment.Alert) bool { return a.Kind == "" && a.About == nil }

var badAlerters = []struct {
	name, reason string
	open         func() segment.Alerter
	broken       string // a rule that must fail
}{
	{"forgets", "an alert is dropped without an error", firingOnly(func(segment.Alert) bool { return false }), "fires"},
	{"never replaces", "each run's alert is one of its own", func() segment.Alerter {
		told := 0
		return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
			firing = slices.Clone(firing)
			for i := range firing {
				told++
				firing[i].Store = fmt.Sprint(told)
			}
			return t.Tell(ctx, firing, resolved)
		})()
	}, "fires_again"},
	{"knows runs", "another run's alert is another one", edited(func(a *segment.Alert) { a.Store += a.RunID }), "fires_again"},
	{"knows an alert by its text", "what is over is not found by its mark", edited(func(a *segment.Alert) { a.Store += a.Text }), "resolves_by_the_mark"},
	{"knows an incident by its kinds", "an incident whose members are gone is never over", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, firing, only(resolved, func(a segment.Alert) bool { return a.Kind != "" || a.About == nil }))
	}), "resolves_by_the_mark"},
	{"leaves what was replaced", "a segment has two alerts, one of which is never over", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, firing, only(resolved, func(over segment.Alert) bool {
			return !slices.ContainsFunc(firing, func(a segment.Alert) bool { return a.Segment == over.Segment })
		}))
	}), "is_told_new_labels"},
	{"resolves last, by segment", "an alert that got new labels is resolved with the old ones", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		resolved = slices.Clone(resolved)
		for i := range resolved {
			if resolved[i].About == nil {
				resolved[i].Kind = ""
			}
		}
		return errors.Join(t.Tell(ctx, firing, nil), t.Tell(ctx, nil, resolved))
	}), "is_told_new_labels"},
	{"one alert a segment", "what is worse takes the place of what was told before", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		fired := map[segment.ID]bool{}
		for _, a := range firing {
			fired[a.Segment] = a.About == nil
		}
		return t.Tell(ctx, firing, append(only(t.open(), func(a segment.Alert) bool { return fired[a.Segment] }), resolved...))
	}), "fires_what_is_worse_beside"},
	{"knows no urgency", "a page rings as a ticket", edited(func(a *segment.Alert) { a.Urgency = segment.Ticket }), "fires_what_is_worse_beside"},
	{"knows no kinds", "graver is the same", edited(func(a *segment.Alert) {
		if a.Kind != "" {
			a.Kind = validate.Capped
		}
	}), "fires_what_is_worse_beside"},
	{"knows no levels", "a segment that fell to nothing rings no more than one that lost some", edited(func(a *segment.Alert) { a.Level = "" }), "fires_what_is_worse_beside"},
	{"knows no jobs", "what holds back a job's alerts holds back all", edited(func(a *segment.Alert) { a.Job.Kind = "" }), "fires_what_is_worse_beside"},
	{"knows no builds", "nobody sees which build it was", edited(func(a *segment.Alert) { a.Build = "" }), "fires_what_is_worse_beside"},
	{"knows no members", "no incident holds its members back", edited(func(a *segment.Alert) {
		if a.About == nil {
			a.Incident = ""
		}
	}), "fires_what_is_worse_beside"},
	{"knows no stores", "a segment that is well in one store ends the alert about the other", edited(func(a *segment.Alert) { a.Store = "" }), "fires_what_is_worse_beside"},
	{"rings once", "an incident that grows is the same alert", edited(func(a *segment.Alert) { a.Ring = min(a.Ring, 3) }), "rings_an_incident_again"},
	{"ends what was less grave", "the latest ring takes the place of the earlier ones, which are announced as over", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		rang := map[string]int{}
		for _, a := range firing {
			rang[a.Incident] = max(rang[a.Incident], a.Ring)
		}
		return t.Tell(ctx, firing, append(only(t.open(), func(a segment.Alert) bool { return a.About != nil && a.Ring < rang[a.Incident] }), resolved...))
	}), "rings_an_incident_again"},
	{"resolves all of a segment", "what stands is over with what does not", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		over := map[segment.ID]bool{}
		for _, a := range resolved {
			over[a.Segment] = true
		}
		return t.Tell(ctx, firing, append(only(t.open(), func(a segment.Alert) bool { return over[a.Segment] }), resolved...))
	}), "resolves_one_of_several"},
	{"knows one ledger", "one ledger ends what the other told", edited(func(a *segment.Alert) {
		if a.Ledger != "" {
			a.Ledger = "ledger"
		}
	}), "keeps_ledgers_apart"},
	{"resolves a segment of any ledger", "a guard without a ledger ends what a monitor watches", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		over := map[segment.ID]bool{}
		for _, a := range resolved {
			over[a.Segment] = over[a.Segment] || isKindless(a)
		}
		return t.Tell(ctx, firing, append(only(t.open(), func(a segment.Alert) bool { return over[a.Segment] && a.About == nil }), resolved...))
	}), "resolves_a_segment_of_no_ledger"},
	{"drops what is unconfirmed", "while the ledger is away nobody is told", firingOnly(func(a segment.Alert) bool { return !a.Unconfirmed }), "is_told_of_what_is_unconfirmed"},
	{"knows what is unconfirmed by its labels", "what the ledger holds rings again beside it", edited(func(a *segment.Alert) {
		if a.Unconfirmed {
			a.Level = ""
		}
	}), "is_told_of_what_is_unconfirmed"},
	{"never confirms", "what the ledger holds ends by itself", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		for _, open := range t.open() {
			for i := range firing {
				firing[i].Unconfirmed = firing[i].Unconfirmed || open.Unconfirmed && open.Segment == firing[i].Segment
			}
		}
		return t.Tell(ctx, firing, resolved)
	}), "is_told_of_what_is_unconfirmed"},
	{"never resolves", "resolving does nothing", resolvingOnly(func(segment.Alert) bool { return false }), "resolves"},
	{"resolves all", "resolving one resolves the whole site group", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		over := map[string]bool{}
		for _, a := range resolved {
			over[a.Segment.SiteGroup] = true
		}
		return t.Tell(ctx, firing, append(only(t.open(), func(a segment.Alert) bool { return over[a.Segment.SiteGroup] }), resolved...))
	}), "resolves"},
	{"resolves only what is open", "resolving what is not open is an error", errorUnlessOpen(anything), "resolves_what_is_not_open"},
	{"resolves only kinds", "a guard without a ledger ends no alert", resolvingOnly(func(a segment.Alert) bool { return !isKindless(a) }), "resolves_a_segment"},
	{"resolves one kind", "of two alerts of a segment one stays", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		last := map[segment.ID]segment.Alert{}
		for _, open := range t.open() {
			last[open.Segment] = open
		}
		resolved = slices.Clone(resolved)
		for i, over := range resolved {
			if isKindless(over) {
				resolved[i] = last[over.Segment]
			}
		}
		return t.Tell(ctx, firing, resolved)
	}), "resolves_a_segment"},
	{"resolves a kind of nothing", "a run that passed fails, as nothing was wrong before", errorUnlessOpen(isKindless), "resolves_a_segment"},
	{"takes no kind for all", "one run that passed ends the alerts of all segments", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		if slices.ContainsFunc(resolved, isKindless) {
			resolved = t.open()
		}
		return t.Tell(ctx, firing, resolved)
	}), "resolves_a_segment"},
	{"alerts once", "what was resolved is not fired again", func() segment.Alerter {
		var seen sync.Map
		return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
			return t.Tell(ctx, only(firing, func(a segment.Alert) bool {
				_, again := seen.LoadOrStore(a.Segment, true)
				return !again
			}), resolved)
		})()
	}, "fires_what_was_resolved"},
	{"knows no case", "ids are folded", renamed(func(id segment.ID) segment.ID {
		return segment.ID{SiteGroup: id.SiteGroup, Name: strings.ToLower(id.Name)}
	}), "fires_on_any_id"},
	{"joins paths", "a slash of a name and one of a site group are the same", renamed(func(id segment.ID) segment.ID {
		group, name := path.Split(path.Join(id.SiteGroup, id.Name))
		return segment.ID{SiteGroup: strings.TrimSuffix(group, "/"), Name: name}
	}), "fires_on_any_id"},
	{"trims", "spaces around a name are lost", renamed(func(id segment.ID) segment.ID {
		return segment.ID{SiteGroup: id.SiteGroup, Name: strings.TrimSpace(id.Name)}
	}), "fires_on_any_id"},
	{"knows no incidents", "an incident is dropped", firingOnly(func(a segment.Alert) bool { return a.About == nil }), "fires_an_incident"},
	{"ends segments with their incident", "a segment that is still affected rings for nobody", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		if slices.ContainsFunc(resolved, func(a segment.Alert) bool { return a.About != nil }) {
			resolved = t.open()
		}
		return t.Tell(ctx, firing, resolved)
	}), "fires_an_incident"},
	{"swallows the context's error", "an alert that was not told is no error", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		_ = t.Tell(ctx, firing, resolved)
		return nil
	}), "is_cancelled"},
	{"overwrites", "reading and writing are two steps", overwritesAlerts(), "is_used_concurrently"},
	{"tells one batch", "what does not fit into a batch is lost", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, firing[:min(len(firing), 500)], resolved)
	}), "is_told_of_many"},
	{"tells only of what fires", "what is over stays open where something else fires", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		if len(firing) > 0 {
			resolved = nil
		}
		return t.Tell(ctx, firing, resolved)
	}), "is_told_of_some_and_others"},
	{"starts anew", "what is told is all that is open", telling(func(t *table, ctx context.Context, firing, _ []segment.Alert) error {
		return t.Tell(ctx, firing, t.open())
	}), "is_told_nothing"},
	{"lists any site group", "what is open elsewhere is taken for one's own", listingAlerts(func(t *table, _ string) []segment.Alert { return t.open() }), "lists_a_site_group"},
	{"lists what begins alike", "the alerts of site-10 are taken for those of site-1", listingAlerts(func(t *table, siteGroup string) []segment.Alert {
		return only(t.open(), func(a segment.Alert) bool { return strings.HasPrefix(a.Segment.SiteGroup, siteGroup) })
	}), "lists_a_site_group"},
	{"lists names", "an open alert cannot be told from another one of its segment", listingEdited(func(a *segment.Alert) {
		*a = segment.Alert{Segment: a.Segment, Kind: a.Kind, Told: a.Told}
	}), "fires"},
	{"lists no times", "what was told just now is taken for something that nobody holds", listingEdited(func(a *segment.Alert) { a.Told = time.Time{} }), "lists_when_it_told"},
	{"lists its own times", "nobody sees for how long people know", listingEdited(func(a *segment.Alert) { a.Told = time.Now() }), "lists_when_it_told"},
	{"lists nothing when it is late", "all that is open is taken for over", func() segment.Alerter { return &badAlerter{table: newTable(), deaf: true} }, "lists_until_it_is_cancelled"},
}

const badAlerterVariable = "SEGMENTGUARD_TEST_BAD_ALERTER"

// TestBadAlerter runs the suite over a bad alerter, in a process of its own.
func TestBadAlerter(t *testing.T) {
	if name := os.Getenv(badAlerterVariable); name != "" {
		for _, b := range badAlerters {
			if b.name == name {
				ledgertest.TestAlerter(t, func(*testing.T) segment.Alerter { return b.open() })
			}
		}
		return
	}
	failed := map[string]bool{}
	for _, b := range badAlerters {
		t.Run(b.name, func(t *testing.T) {
			requireBroken(t, failed, "TestBadAlerter", badAlerterVariable+"="+b.name, b.broken, b.reason)
		})
	}
	t.Run("every rule", func(t *testing.T) { requireAllBroken(t, failed, "TestGoodAlerter") })
}
