package ledgertest_test

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

func (b *badLedger) Identity(ctx context.Context) (string, error) {
	if b.identity != nil && ctx.Err() == nil {
		return b.identity(b.memory)
	}
	return b.memory.Identity(b.heard(ctx, "Identity"))
}

func (b *badLedger) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	if b.incidents == nil || ctx.Err() != nil {
		return b.memory.Incidents(b.heard(ctx, "Incidents"), f)
	}
	return without(b.incidents(b.memory, f))
}

func (b *badLedger) ChangeIncident(ctx context.Context, id string, change func(*segment.Incident) error) error {
	if b.changeIncident != nil && ctx.Err() == nil {
		return b.changeIncident(b.memory, id, change)
	}
	return b.memory.ChangeIncident(b.heard(ctx, "ChangeIncident"), id, change)
}

func (b *badLedger) Mutes(ctx context.Context) ([]segment.Mute, error) {
	return b.memory.Mutes(b.heard(ctx, "Mutes"))
}

func (b *badLedger) ChangeMutes(ctx context.Context, change func([]segment.Mute) ([]segment.Mute, error)) error {
	if b.changeMutes != nil && ctx.Err() == nil {
		return b.changeMutes(b.memory, change)
	}
	return b.memory.ChangeMutes(b.heard(ctx, "ChangeMutes"), change)
}

// alerting returns a ledger that spoils what a change makes of an alert.
func alerting(spoil func(*segment.AlertState)) *badLedger {
	return changed(func(_ segment.SegmentState, s *segment.SegmentState) { spoil(&s.Alert) })
}

// finding returns a ledger that filters incidents by what edit makes of the filter,
// and shows them as show makes them.
func finding(edit func(*segment.IncidentFilter), show func(*segment.Incident)) *badLedger {
	return &badLedger{incidents: func(m *memory, f segment.IncidentFilter) iter.Seq[segment.Incident] {
		edit(&f)
		return func(yield func(segment.Incident) bool) {
			for i := range m.Incidents(background, f) {
				if show(&i); !yield(i) {
					return
				}
			}
		}
	}}
}

func asTheyAre(*segment.Incident)     {}
func asAsked(*segment.IncidentFilter) {}

// keeping returns a ledger that keeps of an incident what edit makes of it.
func keeping(edit func(*segment.Incident)) *badLedger {
	return &badLedger{changeIncident: func(m *memory, id string, change func(*segment.Incident) error) error {
		return m.ChangeIncident(background, id, func(i *segment.Incident) error {
			err := change(i)
			edit(i)
			return err
		})
	}}
}

// badAlerts are bad about alerts.
var badAlerts = []badLedgerOf{
	{"has no name", "two ledgers on one alerter end each other's alerts", &badLedger{identity: func(*memory) (string, error) { return "", nil }}, "identity"},
	{"has a name a process", "the next one ends the alerts of this one", namedAnew(), "identity"},
	{"forgets what the alerter may have heard", "nobody ends it", alerting(func(a *segment.AlertState) { a.Trying = nil }), "alert"},
	{"lowers the marks", "what became worse is not told", alerting(func(a *segment.AlertState) { a.Marks = a.Marks[:min(len(a.Marks), 1)] }), "alert"},
	{"forgets an unknown outcome", "a pass closes it", alerting(func(a *segment.AlertState) { a.Unsettled = false }), "alert"},
	{"forgets that it was muted", "it rings", alerting(func(a *segment.AlertState) { a.Muted = nil }), "alert"},
	{"knows nothing pending", "what was not told never is", filtering(func(f *segment.SegmentFilter) {
		if f.Pending {
			f.Build = "none"
		}
	}), "selected_alerts"},
	{"takes all for pending", "people are told again and again", filtering(func(f *segment.SegmentFilter) { f.Pending = false }), "selected_alerts"},
	{"finds no members", "an incident has none", filtering(func(f *segment.SegmentFilter) { f.Incident = "" }), "selected_alerts"},
	{"knows no kinds of jobs", "one build's faults are another's", filtering(func(f *segment.SegmentFilter) { f.JobKind = "" }), "selected_alerts"},
	{"takes members for alone", "they form a second incident", filtering(func(f *segment.SegmentFilter) { f.Alone = time.Time{} }), "selected_alerts"},
	{"shows incidents backwards", "the latest comes first", &badLedger{incidents: func(m *memory, f segment.IncidentFilter) iter.Seq[segment.Incident] {
		var all []segment.Incident
		for i := range m.Incidents(background, f) {
			all = append(all, i)
		}
		slices.SortFunc(all, func(a, b segment.Incident) int { return b.Begun.Compare(a.Begun) })
		return slices.Values(all)
	}}, "incidents"},
	{"shows incidents that are over", "yesterday's goes on", finding(func(f *segment.IncidentFilter) { f.Open = false }, asTheyAre), "incidents"},
	{"shows incidents of every cause", "unrelated faults join it", finding(func(f *segment.IncidentFilter) { f.Cause = segment.Cause{} }, asTheyAre), "incidents"},
	{"forgets what an incident was told by", "it rings again", keeping(func(i *segment.Incident) { i.Told = nil }), "incidents"},
	{"keeps what was refused", "a change that failed is there", &badLedger{changeIncident: func(m *memory, id string, change func(*segment.Incident) error) error {
		var err error
		_ = m.ChangeIncident(background, id, func(i *segment.Incident) error { err = change(i); return nil })
		return err
	}}, "incidents"},
	{"counts no members", "it never rings", finding(asAsked, func(i *segment.Incident) { i.Members = segment.Members{} }), "members_of_an_incident"},
	{"counts members where it shows them, and not where it changes", "it never rings", &badLedger{changeIncident: func(m *memory, id string, change func(*segment.Incident) error) error {
		return m.ChangeIncident(background, id, func(i *segment.Incident) error { i.Members = segment.Members{}; return change(i) })
	}}, "members_of_an_incident"},
	{"claims in two steps", "two processes ring", together(), "incident_changed_at_once"},
	{"forgets mutes that ended", "nobody can tell who muted", &badLedger{changeMutes: func(m *memory, change func([]segment.Mute) ([]segment.Mute, error)) error {
		return m.ChangeMutes(background, func(known []segment.Mute) ([]segment.Mute, error) {
			mutes, err := change(known)
			return slices.DeleteFunc(mutes, func(m segment.Mute) bool { return m.Until.Before(time.Now()) }), err
		})
	}}, "mutes"},
	{"logs what alerts it likes", "nobody knows what was told", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		f.Action = ""
		return entries(m, f)
	}), "log_of_alerts"},
	{"logs the first ones", "the latest are asked for", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		limit := f.Limit
		f.Limit = 0
		found := entries(m, f)
		if limit > 0 {
			found = found[:min(limit, len(found))]
		}
		return found
	}), "log_of_alerts"},
	{"logs of incidents twice", "it rang once", keeping(func(i *segment.Incident) { i.Log = append(i.Log, i.Log...) }), "log_of_alerts"},
	{"names itself after the end", "who was told to stop says so", &badLedger{deaf: "Identity"}, "alerts,_cancelled"},
	{"lists incidents after the end", "who was told to stop says so", &badLedger{deaf: "Incidents"}, "alerts,_cancelled"},
	{"changes incidents after the end", "who was told to stop says so", &badLedger{deaf: "ChangeIncident"}, "alerts,_cancelled"},
	{"lists mutes after the end", "who was told to stop says so", &badLedger{deaf: "Mutes"}, "alerts,_cancelled"},
	{"changes mutes after the end", "who was told to stop says so", &badLedger{deaf: "ChangeMutes"}, "alerts,_cancelled"},
}

// namedAnew has another name each time.
func namedAnew() *badLedger {
	var times atomic.Int64
	return &badLedger{identity: func(*memory) (string, error) { return strconv.FormatInt(times.Add(1), 10), nil }}
}

// together reads an incident before it keeps what was made of it, whoever came
// between.
func together() *badLedger {
	both := newMeeting()
	return &badLedger{changeIncident: func(m *memory, id string, change func(*segment.Incident) error) error {
		read := segment.Incident{ID: id}
		for i := range m.Incidents(background, segment.IncidentFilter{ID: id}) {
			read = i
		}
		if err := change(&read); err != nil {
			return err
		}
		if strings.Contains(id, "/incident_changed_at_once") && !read.Begun.IsZero() && read.Most > 0 {
			both.attend()
		}
		return m.ChangeIncident(background, id, func(i *segment.Incident) error {
			log := read.Log
			*i = read
			i.Log = log
			return nil
		})
	}}
}
