package ledgertest_test

import (
	"context"
	"errors"
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
	alerts map[segment.ID][]segment.Alert // those of a segment are of different kinds
}

func newTable() *table { return &table{alerts: map[segment.ID][]segment.Alert{}} }

func (t *table) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, over := range resolved {
		t.alerts[over.Segment] = only(t.alerts[over.Segment], func(open segment.Alert) bool {
			return over.Kind != "" && open.Kind != over.Kind
		})
	}
	for _, a := range firing {
		others := only(t.alerts[a.Segment], func(open segment.Alert) bool { return open.Kind != a.Kind })
		t.alerts[a.Segment] = append(others, a)
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

func (t *table) open() (open []segment.Alert) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, alerts := range t.alerts {
		open = append(open, alerts...)
	}
	return open
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

// renamed returns an Alerter that gives segments names of its own.
func renamed(rename func(segment.ID) segment.ID) func() segment.Alerter {
	edit := func(alerts []segment.Alert) []segment.Alert {
		alerts = slices.Clone(alerts)
		for i := range alerts {
			alerts[i].Segment = rename(alerts[i].Segment)
		}
		return alerts
	}
	return telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, edit(firing), edit(resolved))
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

func isKindless(a segment.Alert) bool { return a.Kind == "" }

var badAlerters = []struct {
	name, reason string
	open         func() segment.Alerter
	broken       string // a rule that must fail
}{
	{"forgets", "an alert is dropped without an error", firingOnly(func(segment.Alert) bool { return false }), "fires"},
	{"never replaces", "each run's alert is one of its own", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		err := t.Tell(ctx, nil, resolved)
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, a := range firing {
			t.alerts[a.Segment] = append(t.alerts[a.Segment], a)
		}
		return err
	}), "fires_again"},
	{"leaves what was replaced", "a segment has two alerts, one of which is never over", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		return t.Tell(ctx, firing, only(resolved, func(over segment.Alert) bool {
			return !slices.ContainsFunc(firing, func(a segment.Alert) bool { return a.Segment == over.Segment })
		}))
	}), "fires_another_fault"},
	{"resolves last, by segment", "a fault that took another's place is resolved with it", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		resolved = slices.Clone(resolved)
		for i := range resolved {
			resolved[i].Kind = ""
		}
		return errors.Join(t.Tell(ctx, firing, nil), t.Tell(ctx, nil, resolved))
	}), "fires_another_fault"},
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
		last := map[segment.ID]validate.Kind{}
		for _, open := range t.open() {
			last[open.Segment] = open.Kind
		}
		resolved = slices.Clone(resolved)
		for i, over := range resolved {
			if isKindless(over) {
				resolved[i].Kind = last[over.Segment]
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
	{"knows no incidents", "an incident is dropped", firingOnly(func(a segment.Alert) bool { return a.Incident == nil }), "fires_an_incident"},
	{"ends segments with their incident", "a segment that is still affected rings for nobody", telling(func(t *table, ctx context.Context, firing, resolved []segment.Alert) error {
		if slices.ContainsFunc(resolved, func(a segment.Alert) bool { return a.Incident != nil }) {
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
	{"lists names", "an open alert cannot be told from another one of its segment", listingAlerts(func(t *table, siteGroup string) []segment.Alert {
		found := only(t.open(), func(a segment.Alert) bool { return siteGroup == "" || a.Segment.SiteGroup == siteGroup })
		for i := range found {
			found[i] = segment.Alert{Segment: found[i].Segment, Kind: found[i].Kind}
		}
		return found
	}), "lists_alerts_as_they_were_fired"},
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
