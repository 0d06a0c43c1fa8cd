package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A segmentView is the page of one segment.
type segmentView struct {
	common

	Name      string
	Badge     fleet.Badge
	Tone      fleet.Tone
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
	Badge        fleet.Badge
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
	state, known, err := fleet.State(ctx, s.ledger, key)
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
	v := &segmentView{common: s.common(text.Short(text.Visible(state.Key().String())), ""), Name: text.Visible(state.Key().String()), Badge: fleet.BadgeOf(&state)}
	v.Cut = len(log) == entriesOfSegment
	v.Lead, v.Tone = fleet.Lead(&state, known)
	records := fleet.Attempts(log)
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

// series returns all sizes that are known of a segment.
func (s *source) series(ctx context.Context, state *segment.SegmentState, records []segment.Record, log []segment.LogEntry) *series {
	lines := &series{Name: state.Key().String(), Now: s.config.now()}
	for i, size := range state.Sizes {
		p := point{At: size.At, Users: size.Users, Kind: pointGood, Band: s.judge.Band(ctx, state.Sizes[:i], size.Counter, size.At)}
		if size.Unguarded {
			p.Kind = pointSeen
		}
		lines.Points = append(lines.Points, p)
	}
	for i := range records {
		r := &records[i]
		if (r.State == segment.RunRejected || r.State == segment.RunFailed) && r.Report != nil && fleet.Counted(r.Report.Stored) {
			lines.Points = append(lines.Points, point{At: r.At, Users: r.Report.Stored.Users(), Kind: pointRejected, Band: r.Report.Band})
		}
	}
	lines.Points = append(lines.Points, decidedPoints(records, log)...)
	if n := len(records); n > 0 && records[n-1].Report != nil && fleet.Counted(records[n-1].Report.Expected) {
		lines.Points = append(lines.Points, point{At: records[n-1].At, Users: records[n-1].Report.Expected.Users(), Kind: pointExpected})
	}
	if state.Live != nil {
		lines.Points = append(lines.Points, point{At: state.Live.At, Users: state.Live.Users, Kind: pointLive})
	}
	for i := range state.Excuses {
		lines.Planned = append(lines.Planned, fleet.PlannedUsers(&state.Excuses[i].Excuse, state.Sizes))
	}
	slices.SortStableFunc(lines.Points, func(a, b point) int { return a.At.Compare(b.At) })
	if n := len(state.Sizes); n > 0 {
		lines.Next = s.judge.Band(ctx, state.Sizes, state.Sizes[n-1].Counter, lines.Now)
	}
	return lines
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

func (s *source) pointRows(lines *series) (rows []pointRow, plans []string) {
	for _, p := range slices.Backward(lines.Points) {
		rows = append(rows, pointRow{s.stamp(p.At), text.Thousands(p.Users), p.word(), p.allowed()})
	}
	for i := range lines.Planned {
		plans = append(plans, fleet.Planned(&lines.Planned[i]))
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
		facts = append(facts, fact{Name: "Expected by the last run", Text: fleet.Size(records[n-1].Report.Expected)})
	}
	if next := fleet.Allowed(lines.Next); next != "" {
		facts = append(facts, fact{Name: "The next may have", Text: next + " users"})
	}
	if state.Last.State != "" {
		facts = append(facts, fact{Name: "Last run", Text: text.Visible(state.Last.RunID) + ", " + string(state.Last.State), Stamp: s.stamp(state.Last.At)},
			fact{Name: "Job", Text: text.Visible(state.Last.JobID)}, fact{Name: "Build", Text: text.Visible(state.Last.Build)})
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
		facts = append(facts, fact{Name: "Accepted", Text: text.Visible("by " + d.By + ": " + d.Why), Stamp: s.stamp(d.At)})
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
			Run: text.Visible(r.RunID), Attempt: r.Attempt, Build: text.Visible(r.Build), Badge: fleet.BadgeOfRun(r.State, r.Live), At: s.stamp(r.At),
			Expected: "not known", Stored: "not known",
		}
		if r.Report != nil {
			row.Expected, row.Stored = fleet.BriefSize(r.Report.Expected), fleet.BriefSize(r.Report.Stored)
			row.Text = text.Visible(fleet.Findings(r.Report))
		}
		if rows = append(rows, row); len(rows) == runsOfPage {
			break
		}
	}
	return rows
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
