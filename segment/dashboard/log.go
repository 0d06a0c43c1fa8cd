package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A logView is the page of the log.
type logView struct {
	common

	Filter   logFilter
	Actions  []option
	Any      bool
	Clear    string
	Caption  string
	Entries  []entryRow
	More     string // the address of the page that has more
	Full     bool   // there may be more than a page can have
	Commands []command
}

// A logFilter is what people ask the log for, as they wrote it.
type logFilter struct{ Segment, SiteGroup, Action, JobKind, Build, Run, Since, Until string }

// An entryRow is an entry of the log.
type entryRow struct {
	At        stamp
	Action    string
	Badge     fleet.Badge // of a run
	Segment   ref
	Run, Text string
	By, Build string
	Damage    bool
}

// actions are all there are, in the order in which they are offered.
var actions = []segment.Action{
	segment.ActionRecorded, segment.ActionOpened, segment.ActionWorse, segment.ActionTold, segment.ActionOver,
	segment.ActionLacked, segment.ActionAccepted, segment.ActionSuspected, segment.ActionPlanned, segment.ActionExcused, segment.ActionUnused, segment.ActionRenamed, segment.ActionMuted, segment.ActionUnmuted, segment.ActionForgotten,
	segment.ActionFalseAlarm, segment.ActionTripped, segment.ActionResumed, segment.ActionRepaired,
}

// entriesOfPage is how many entries a page of the log has first, and mostEntries how
// many at most: then a filter helps more than another page.
const (
	entriesOfPage = 100
	mostEntries   = 2000
)

func (live) log(f logFilter, limit int) string {
	n := ""
	if limit > 0 {
		n = strconv.Itoa(limit)
	}
	return address("log", "segment", f.Segment, "group", f.SiteGroup, "action", f.Action, "job", f.JobKind,
		"build", f.Build, "run", f.Run, "since", f.Since, "until", f.Until, "limit", n)
}

func (s *source) logPage(ctx context.Context, q url.Values) (any, error) {
	f := logFilter{
		Segment: q.Get("segment"), SiteGroup: q.Get("group"), Action: q.Get("action"), JobKind: q.Get("job"),
		Build: q.Get("build"), Run: q.Get("run"), Since: q.Get("since"), Until: q.Get("until"),
	}
	limit := entriesOfPage
	if n := q.Get("limit"); n != "" {
		var err error
		if limit, err = strconv.Atoi(n); err != nil || limit < 1 || limit > mostEntries {
			return nil, badRequest("limit", n)
		}
	}
	return s.log(ctx, f, limit)
}

// parse returns the filter as a ledger takes it.
func (f *logFilter) parse() (parsed segment.LogFilter, err error) {
	parsed = segment.LogFilter{
		SiteGroup: f.SiteGroup, Action: segment.Action(f.Action), JobKind: segment.JobKind(f.JobKind), Build: f.Build, RunID: f.Run,
	}
	if f.Action != "" && !slices.Contains(actions, parsed.Action) {
		return parsed, badRequest("action", f.Action)
	}
	if f.Segment != "" {
		if parsed.Segment, err = parseID("segment", f.Segment); err != nil {
			return parsed, err
		}
	}
	if parsed.Since, err = parseTime("since", f.Since); err != nil {
		return parsed, err
	}
	parsed.Until, err = parseTime("until", f.Until)
	return parsed, err
}

// parseTime reads a time as a browser's control writes it; it is in UTC.
func parseTime(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02", time.RFC3339} {
		if t, err := time.Parse(form, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badRequest(name, value)
}

func (s *source) log(ctx context.Context, f logFilter, limit int) (*logView, error) {
	by, err := f.parse()
	if err != nil {
		return nil, err
	}
	by.Limit = limit + 1 // one more says that there are more
	v := &logView{common: s.common("Log", "log"), Filter: f, Any: f != logFilter{}, Clear: s.links.log(logFilter{}, 0)}
	for e, err := range s.ledger.Log(ctx, by) {
		if err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		v.Entries = append(v.Entries, s.entryRow(&e))
	}
	slices.Reverse(v.Entries)
	if len(v.Entries) > limit {
		v.Entries = v.Entries[:limit]
		if v.Full = limit >= mostEntries; !v.Full {
			v.More = s.links.log(f, min(2*limit, mostEntries))
		}
	}
	v.Caption = "The latest " + text.Thousands(int64(len(v.Entries))) + " entries, the latest first"
	for _, a := range actions {
		v.Actions = append(v.Actions, option{Value: string(a), Chosen: string(a) == f.Action})
	}
	v.Commands = []command{s.commands.of("says the same in a terminal", f.Segment, "log")}
	return v, nil
}

func (s *source) entryRow(e *segment.LogEntry) entryRow {
	row := entryRow{
		At: s.stamp(e.At), Action: text.Visible(string(e.Action)), Segment: s.ref(e.Segment.In(e.Store)), Run: text.Visible(e.RunID),
		By: text.Visible(e.By), Text: fleet.EntryText(e), Damage: e.Damaged != nil,
	}
	if e.Segment.Name == "" { // a mute of a site group, or an incident
		row.Segment = refTo(e.Segment.SiteGroup, "")
	}
	if e.Incident != "" && e.Segment.IsZero() {
		row.Segment = incidentRef(e.Incident, s.links.incident(e.Incident, ""))
	}
	if r := e.Record; r != nil && e.Damaged == nil {
		row.Badge, row.Build, row.Run = fleet.BadgeOfRun(r.State, r.Live), text.Visible(r.Build), text.Visible(r.RunID)
	}
	return row
}
