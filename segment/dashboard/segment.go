package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A segmentView is the page of one segment.
type segmentView struct {
	common

	Name      string
	Badge     badge
	Tone      tone
	Lead      string
	Facts     []fact
	Charts    []*chart
	Legend    map[string]bool // what the chart has
	Points    []pointRow
	Planned   []string
	Runs      []runRow
	Alerts    []entryRow
	Decisions []entryRow
	Cut       bool // the log has more than was read
	Up, Down  *node
	Commands  []command
}

// A pointRow is a point in the table beside the chart.
type pointRow struct {
	At      stamp
	Users   string
	What    string
	Allowed string
}

// A runRow is an attempt.
type runRow struct {
	Run, Build   string
	Attempt      int
	Badge        badge
	At           stamp
	Expected     string
	Stored, Text string
}

// entriesOfSegment is how many entries of the log a segment's page is made from.
const entriesOfSegment = 500

func (s *source) segmentPage(ctx context.Context, q url.Values) (any, error) {
	id, err := parseID("id", q.Get("id"))
	if err != nil {
		return nil, err
	}
	return s.segment(ctx, id.In(q.Get("store")))
}

func (s *source) segment(ctx context.Context, key segment.Key) (*segmentView, error) {
	state, known, err := s.state(ctx, key)
	if err != nil {
		return nil, err
	}
	var log []segment.LogEntry
	for e, err := range s.ledger.Log(ctx, segment.LogFilter{Segment: key.Segment, Store: &state.Store, Limit: entriesOfSegment}) {
		if err != nil {
			return nil, fmt.Errorf("reading the log of %s: %w", key, err)
		}
		log = append(log, e)
	}
	if !known && len(log) == 0 {
		if known, err := s.hasJobs(ctx, key.Segment); err != nil || !known {
			return nil, cmp.Or(err, notFound("segment", key.String()))
		}
	}
	v := &segmentView{common: s.common(short(visible(state.Key().String())), ""), Name: visible(state.Key().String()), Badge: badgeOfState(&state)}
	v.Cut = len(log) == entriesOfSegment
	v.Lead, v.Tone = segmentLead(&state, known)
	records := recordsOf(log)
	lines := s.series(ctx, &state, records, log)
	if len(lines.Points) > 0 {
		v.Charts = []*chart{newChart(lines, "wide", "wide", 1080, 290), newChart(lines, "narrow", "narrow", 400, 280)}
	}
	v.Points, v.Planned = s.pointRows(lines)
	v.Legend = map[string]bool{string(pointAllowed): !lines.Next.IsZero()}
	for _, p := range lines.Points {
		v.Legend[string(p.Kind)] = true
	}
	v.Facts = s.segmentFacts(&state, records, lines)
	v.Runs = s.runRows(records)
	s.entries(v, log)
	if err := s.trees(ctx, v, &state); err != nil {
		return nil, err
	}
	v.Commands = s.segmentCommands(&state, len(records) > 0)
	return v, nil
}

func segmentLead(s *segment.SegmentState, known bool) (string, tone) {
	switch a := s.Alert.Open; {
	case !known:
		return "The ledger keeps nothing of this segment.", unknown
	case s.Damaged != nil:
		return visible(s.Damaged.Error()), bad
	case a != nil:
		return visible(a.Text), badgeOf(&s.Alert).Tone
	case s.Last.State == segment.RunUnknown:
		return "Nobody knows whether the last run went live.", bad
	case len(s.Sizes) == 0:
		return "No alert is open, and no good size is known.", unknown
	}
	return "No alert is open.", fine
}

// recordsOf returns the last record of each attempt, in the order of those.
func recordsOf(log []segment.LogEntry) (records []segment.Record) {
	type attempt struct {
		run string
		n   int
	}
	places := map[attempt]int{}
	for i := range slices.Backward(log) {
		r := log[i].Record
		if r == nil {
			continue
		}
		at, later := places[attempt{r.RunID, r.Attempt}]
		switch {
		case !later:
			places[attempt{r.RunID, r.Attempt}] = len(records)
			records = append(records, *r)
		case records[at].Report == nil:
			records[at].Report = r.Report
		}
	}
	slices.Reverse(records)
	return records
}

// series returns all sizes that are known of a segment.
func (s *source) series(ctx context.Context, state *segment.SegmentState, records []segment.Record, log []segment.LogEntry) *series {
	lines := &series{Name: state.Key().String(), Now: s.config.now()}
	for i, size := range state.Sizes {
		p := point{At: size.At, Users: size.Users, Kind: pointGood, Band: s.band(ctx, state.Sizes[:i], size.Counter, size.At)}
		if size.Unguarded {
			p.Kind = pointSeen
		}
		lines.Points = append(lines.Points, p)
	}
	for i := range records {
		r := &records[i]
		if (r.State == segment.RunRejected || r.State == segment.RunFailed) && r.Report != nil && counted(r.Report.Stored) {
			lines.Points = append(lines.Points, point{At: r.At, Users: r.Report.Stored.Users(), Kind: pointRejected, Band: r.Report.Band})
		}
	}
	lines.Points = append(lines.Points, decidedPoints(records, log)...)
	if n := len(records); n > 0 && records[n-1].Report != nil && counted(records[n-1].Report.Expected) {
		lines.Points = append(lines.Points, point{At: records[n-1].At, Users: records[n-1].Report.Expected.Users(), Kind: pointExpected})
	}
	if state.Live != nil {
		lines.Points = append(lines.Points, point{At: state.Live.At, Users: state.Live.Users, Kind: pointLive})
	}
	for i := range state.Excuses {
		lines.Planned = append(lines.Planned, plannedUsers(&state.Excuses[i].Excuse, state.Sizes))
	}
	slices.SortStableFunc(lines.Points, func(a, b point) int { return a.At.Compare(b.At) })
	if n := len(state.Sizes); n > 0 {
		lines.Next = s.band(ctx, state.Sizes, state.Sizes[n-1].Counter, latest(lines.Now, state.Sizes[n-1].At))
	}
	return lines
}

// plannedUsers returns what is planned in users: shares are of the last size before it
// begins.
func plannedUsers(e *validate.Excuse, sizes []validate.Size) validate.Excuse {
	is := *e
	if e.HighShare == 0 {
		return is
	}
	var last int64
	for _, size := range sizes {
		if size.At.Before(e.From) {
			last = size.Users
		}
	}
	is.Low, is.High = int64(e.LowShare*float64(last)), int64(e.HighShare*float64(last))
	return is
}

func counted(s validate.Summary) bool { return !s.IsZero() && !s.IsUnknown() }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// decidedPoints returns the sizes that somebody accepted or suspected.
func decidedPoints(records []segment.Record, log []segment.LogEntry) (points []point) {
	for i := range log {
		kind := pointAccepted
		if log[i].Action == segment.ActionSuspected {
			kind = pointSuspected
		} else if log[i].Action != segment.ActionAccepted {
			continue
		}
		for k := range slices.Backward(records) {
			if r := &records[k]; r.RunID == log[i].RunID && r.Report != nil {
				points = append(points, point{At: r.At, Users: r.Users, Kind: kind})
				break
			}
		}
	}
	return points
}

// band returns the sizes that some before would have allowed.
func (s *source) band(ctx context.Context, before []validate.Size, counter string, at time.Time) validate.Band {
	if len(before) == 0 {
		return validate.Band{}
	}
	last := before[len(before)-1]
	r, err := s.validator.Check(ctx, validate.Policy{}, validate.Output{
		Name: "band", Expected: validate.Unknown(), Stored: validate.Count(max(1, last.Users)), Sizes: before, Counter: counter, At: latest(at, last.At),
	})
	if _, failed := errors.AsType[*validate.Error](err); err != nil && !failed {
		return validate.Band{}
	}
	return r.Band
}

func (s *source) pointRows(lines *series) (rows []pointRow, plans []string) {
	for _, p := range slices.Backward(lines.Points) {
		rows = append(rows, pointRow{s.stamp(p.At), text.Thousands(p.Users), p.word(), p.allowed()})
	}
	for i := range lines.Planned {
		plans = append(plans, planned(&lines.Planned[i]))
	}
	return rows, plans
}

func (s *source) segmentFacts(state *segment.SegmentState, records []segment.Record, lines *series) []fact {
	facts := []fact{{Name: "Live now", Text: "not known"}}
	if state.Live != nil {
		facts[0] = fact{Name: "Live now", Text: validate.Count(state.Live.Users).String(), Stamp: s.stamp(state.Live.At)}
	}
	if n := len(state.Sizes); n > 0 {
		last := state.Sizes[n-1]
		facts = append(facts, fact{Name: "Last good size", Text: validate.Count(last.Users).String(), Stamp: s.stamp(last.At)})
	}
	if n := len(records); n > 0 && records[n-1].Report != nil {
		facts = append(facts, fact{Name: "Expected by the last run", Text: sizeOf(records[n-1].Report.Expected)})
	}
	if next := allowed(lines.Next); next != "" {
		facts = append(facts, fact{Name: "The next may have", Text: next + " users"})
	}
	if state.Last.State != "" {
		facts = append(facts, fact{Name: "Last run", Text: visible(state.Last.RunID) + ", " + string(state.Last.State), Stamp: s.stamp(state.Last.At)},
			fact{Name: "Job", Text: visible(state.Last.JobID)}, fact{Name: "Build", Text: visible(state.Last.Build)})
	}
	if a := state.Alert.Open; a != nil {
		facts = append(facts, fact{Name: "Affected since", Text: string(a.Urgency) + ", " + string(a.Kind), Stamp: s.stamp(a.Since)})
		if state.Alert.Incident != "" {
			facts = append(facts, fact{Name: "Incident", Ref: incidentRef(state.Alert.Incident, s.links.incident(state.Alert.Incident, ""))})
		}
		if a.Runbook != "" {
			facts = append(facts, fact{Name: "Runbook", Ref: outside(a.Runbook)})
		}
		if a.Link != "" {
			facts = append(facts, fact{Name: "See", Ref: outside(a.Link)})
		}
	}
	if d := state.Accepted; d != nil {
		facts = append(facts, fact{Name: "Accepted", Text: visible("by " + d.By + ": " + d.Why), Stamp: s.stamp(d.At)})
	}
	if state.Alert.Muted != nil {
		facts = append(facts, fact{Name: "Muted", Text: "what becomes worse is told all the same"})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Text == "" && f.Ref.Text == "" && f.Stamp.Text == "" })
}

// runsOfPage is how many attempts a page shows.
const runsOfPage = 30

func (s *source) runRows(records []segment.Record) (rows []runRow) {
	for i := range slices.Backward(records) {
		r := &records[i]
		row := runRow{
			Run: visible(r.RunID), Attempt: r.Attempt, Build: visible(r.Build), Badge: badgeOfRun(r.State, r.Live), At: s.stamp(r.At),
			Expected: "not known", Stored: "not known",
		}
		if r.Report != nil {
			row.Expected, row.Stored = brieflyOf(r.Report.Expected), brieflyOf(r.Report.Stored)
			row.Text = visible(findingsOf(r.Report))
		}
		if rows = append(rows, row); len(rows) == runsOfPage {
			break
		}
	}
	return rows
}

func findingsOf(r *validate.Report) string {
	var parts []string
	for _, f := range r.Findings {
		parts = append(parts, string(f.Kind)+": "+f.Detail)
	}
	return strings.Join(parts, "; ")
}

// entries sorts the rest of the log into alerts and decisions, the latest first.
func (s *source) entries(v *segmentView, log []segment.LogEntry) {
	for i := range slices.Backward(log) {
		switch e := s.entryRow(&log[i]); log[i].Action {
		case segment.ActionRecorded:
			if log[i].Damaged != nil {
				v.Alerts = append(v.Alerts, e)
			}
		case segment.ActionOpened, segment.ActionWorse, segment.ActionTold, segment.ActionOver, segment.ActionTripped, segment.ActionLacked:
			v.Alerts = append(v.Alerts, e)
		case segment.ActionAccepted, segment.ActionSuspected, segment.ActionPlanned, segment.ActionExcused, segment.ActionUnused, segment.ActionRenamed, segment.ActionMuted, segment.ActionUnmuted, segment.ActionForgotten,
			segment.ActionFalseAlarm, segment.ActionResumed, segment.ActionRepaired:
			v.Decisions = append(v.Decisions, e)
		default:
			v.Alerts = append(v.Alerts, e)
		}
	}
}

func (s *source) trees(ctx context.Context, v *segmentView, state *segment.SegmentState) error {
	for _, grown := range []struct {
		to **node
		up bool
	}{{&v.Up, true}, {&v.Down, false}} {
		t := s.newTree([]segment.SegmentState{*state})
		beyond := t.downstream
		if grown.up {
			beyond = t.upstream
		}
		n, err := t.grow(ctx, state.Segment, "", 0, beyond)
		if err != nil {
			return err
		}
		if len(n.Nodes)+n.More > 0 {
			*grown.to = &n
		}
	}
	return nil
}

// segmentCommands returns what somebody may want to do about a segment as it is.
func (s *source) segmentCommands(state *segment.SegmentState, ran bool) []command {
	cs := []command{s.commands.about("says the same in a terminal", state.Key(), "show")}
	add := func(does string, words ...string) { cs = append(cs, s.commands.about(does, state.Key(), words...)) }
	a := state.Alert.Open
	if state.Damaged != nil {
		add("drops what cannot be read, and keeps the rest", "repair", "--why", "WHY")
	}
	if a != nil {
		cs = append(cs, s.commands.of("orders the jobs that must run again", "", "plan"))
	}
	if ran && a != nil {
		add("accepts the size there is, for good", "accept", "--why", "WHY")
	}
	if a != nil {
		add("says that nothing was wrong", "false-alarm", "--why", "WHY")
	}
	switch {
	case state.Alert.Muted != nil:
		add("tells people again", "unmute", "--why", "WHY")
	case a != nil:
		add("tells nobody until then, unless it becomes worse", "mute", "--until", s.config.now().Add(24*time.Hour).Format("2006-01-02T15:04Z"), "--why", "WHY")
	}
	if len(state.Sizes) > 0 {
		run := "RUN"
		if state.Last.State == segment.RunCommitted {
			run = state.Last.RunID
		}
		add("takes a size that passed out of the history", "suspect", "--run", run, "--why", "WHY")
	}
	add("drops all that is known, of a segment that was deleted on purpose", "forget", "--why", "WHY")
	return cs
}
