package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/validate"
)

// A showOutput is what is known of a segment.
type showOutput struct {
	Segment    segment.ID        `json:"segment"`
	Store      string            `json:"store,omitempty"`
	State      string            `json:"state"`
	Text       string            `json:"text"`
	Live       *validate.Size    `json:"live"`
	Good       *validate.Size    `json:"good"`
	Expected   string            `json:"expected,omitempty"`
	NextLow    int64             `json:"next_low"`
	NextHigh   int64             `json:"next_high"`
	Alert      *segment.Alert    `json:"alert"`
	Muted      bool              `json:"muted"`
	Incident   string            `json:"incident,omitempty"`
	Accepted   *segment.Decision `json:"accepted"`
	Damaged    *segment.Damage   `json:"damaged"`
	Sizes      []sizeOutput      `json:"sizes"`
	Planned    []segment.Excuse  `json:"planned"`
	Runs       []runOutput       `json:"runs"`
	Alerts     []entryOutput     `json:"alerts"`
	Decisions  []entryOutput     `json:"decisions"`
	Upstream   []neighbour       `json:"upstream"`
	Downstream []neighbour       `json:"downstream"`
	Cut        bool              `json:"cut"`

	tone fleet.Tone
	last segment.Record
}

// A sizeOutput is a size that was right, and which were allowed then.
type sizeOutput struct {
	validate.Size

	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// A runOutput is an attempt of a run, and what it came to.
type runOutput struct {
	RunID    string           `json:"run_id"`
	Attempt  int              `json:"attempt"`
	State    segment.RunState `json:"state"`
	Live     bool             `json:"live"`
	At       time.Time        `json:"at"`
	JobID    string           `json:"job_id"`
	JobKind  segment.JobKind  `json:"job_kind"`
	Build    string           `json:"build,omitempty"`
	Expected string           `json:"expected"`
	Stored   string           `json:"stored"`
	Found    string           `json:"found,omitempty"`

	tone fleet.Tone
	word string
}

// A neighbour is a segment that a segment is made from, or that is made from it.
type neighbour struct {
	Segment segment.ID      `json:"segment"`
	Store   string          `json:"store,omitempty"`
	JobKind segment.JobKind `json:"job_kind"`
	State   string          `json:"state"`

	tone fleet.Tone
}

func showCommand(a *app) *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "show SEGMENT",
		Short:   "Show a segment's sizes, what is allowed and expected, runs, alerts, decisions, and what it is made from",
		Long: `Show shows what is known of a segment: what is live, its sizes and which were allowed,
what is planned, its runs, alerts and decisions, what it is made from and what is made
from it.

It exits with status 0 where no alert is open, 1 where one is, and 2 where nothing is
known of the segment, or it cannot be read.`,
		Example: `  segmentguard show site-b/cars
  segmentguard show --store crm site-b/cars
  segmentguard show --json site-b/cars | jq .alert.text`,
		Args: cobra.ExactArgs(1),
	}
	which.addStore(cmd.Flags(), "in this store; none: the one that nobody named, or the only one that has it")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		s, err := a.readSegment(ctx, id.In(which.store))
		if err != nil {
			return err
		}
		if a.json {
			return a.out.json(s)
		}
		a.printSegment(s)
		return nil
	})
	return cmd
}

// entriesOfSegment is how many entries of the log are read of one segment.
const entriesOfSegment = 500

func (a *app) readSegment(ctx context.Context, key segment.Key) (*showOutput, error) {
	state, known, err := fleet.State(ctx, a.ledger, key)
	if err != nil {
		return nil, err
	}
	entries, err := a.readLog(ctx, segment.LogFilter{Segment: key.Segment, Store: &state.Store, Limit: entriesOfSegment})
	if err != nil {
		return nil, err
	}
	b := fleet.BadgeOf(&state)
	s := &showOutput{
		Segment: state.Segment, Store: state.Store, State: b.Text, tone: b.Tone, Live: state.Live, Alert: state.Alert.Open,
		Muted: state.Alert.Muted != nil, Incident: state.Alert.Incident, Accepted: state.Accepted, Damaged: state.Damaged, last: state.Last,
		Planned: append([]segment.Excuse{}, state.Excuses...), Sizes: []sizeOutput{}, Runs: []runOutput{}, Alerts: []entryOutput{}, Decisions: []entryOutput{}, Cut: len(entries) == entriesOfSegment,
	}
	s.Text, _ = fleet.Lead(&state, known)
	a.judgeSizes(ctx, s, &state)
	s.addRuns(fleet.Attempts(entries))
	s.addEntries(entries)
	if err := a.readNeighbours(ctx, s, &state); err != nil {
		return nil, err
	}
	if !known && len(entries)+len(s.Upstream)+len(s.Downstream) == 0 {
		return nil, fmt.Errorf("nothing is known of %s", key)
	}
	switch {
	case s.Alert != nil:
		a.status = affected
	case !known || s.Damaged != nil || state.Last.State == segment.RunUnknown:
		a.status = unsure
	}
	return s, nil
}

// judgeSizes says of each size which were allowed by those before it, and which the
// next may be.
func (a *app) judgeSizes(ctx context.Context, s *showOutput, state *segment.SegmentState) {
	judge := fleet.NewJudge()
	for i, size := range state.Sizes {
		band := judge.Band(ctx, state.Sizes[:i], size.Counter, size.At)
		s.Sizes = append(s.Sizes, sizeOutput{size, band.Low, band.High})
	}
	if n := len(state.Sizes); n > 0 {
		s.Good = &state.Sizes[n-1]
		next := judge.Band(ctx, state.Sizes, s.Good.Counter, a.now().UTC())
		s.NextLow, s.NextHigh = next.Low, next.High
	}
}

// addRuns adds the runs, the latest first.
func (s *showOutput) addRuns(records []segment.Record) {
	for _, r := range slices.Backward(records) {
		b := fleet.BadgeOfRun(r.State, r.Live)
		out := runOutput{
			RunID: r.RunID, Attempt: r.Attempt, State: r.State, Live: r.Live || r.State == segment.RunCommitted || r.State == segment.RunObserved,
			At: r.At, JobID: r.JobID, JobKind: r.JobKind, Build: r.Build, Expected: "not known", Stored: "not known", word: b.Text, tone: b.Tone,
		}
		if r.Report != nil {
			out.Expected, out.Stored, out.Found = fleet.BriefSize(r.Report.Expected), fleet.BriefSize(r.Report.Stored), fleet.Findings(r.Report)
		}
		s.Runs = append(s.Runs, out)
	}
	if len(s.Runs) > 0 {
		s.Expected = s.Runs[0].Expected
	}
}

// addEntries adds what became of alerts, and what people decided, the latest first.
func (s *showOutput) addEntries(entries []segment.LogEntry) {
	for i := range slices.Backward(entries) {
		e := entryOf(&entries[i])
		switch entries[i].Action { //nolint:exhaustive // all others are somebody's decision, or what came of one
		case segment.ActionRecorded:
			if entries[i].Damaged != nil {
				s.Alerts = append(s.Alerts, e)
			}
		case segment.ActionOpened, segment.ActionWorse, segment.ActionTold, segment.ActionOver, segment.ActionTripped, segment.ActionLacked:
			s.Alerts = append(s.Alerts, e)
		default:
			s.Decisions = append(s.Decisions, e)
		}
	}
}

// mostNeighbours is how many jobs on each side are asked for.
const mostNeighbours = 50

func (a *app) readNeighbours(ctx context.Context, s *showOutput, state *segment.SegmentState) error {
	up, err := a.readJobs(ctx, segment.JobFilter{To: state.Segment, Limit: mostNeighbours})
	if err != nil {
		return err
	}
	if open := state.Alert.Open; len(up) == 0 && open != nil {
		up = []segment.Job{open.Job}
	}
	down, err := a.readJobs(ctx, segment.JobFilter{From: state.Segment, Limit: mostNeighbours})
	if err != nil {
		return err
	}
	s.Upstream, s.Downstream = []neighbour{}, []neighbour{}
	for _, j := range up {
		for _, from := range j.From {
			n, err := a.neighbour(ctx, from, j.Kind)
			if err != nil {
				return err
			}
			s.Upstream = append(s.Upstream, n)
		}
	}
	for _, j := range down {
		n, err := a.neighbour(ctx, j.To, j.Kind)
		if err != nil {
			return err
		}
		s.Downstream = append(s.Downstream, n)
	}
	return nil
}

func (a *app) readJobs(ctx context.Context, f segment.JobFilter) (jobs []segment.Job, err error) {
	for j, err := range a.ledger.Jobs(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reading the jobs: %w", err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (a *app) neighbour(ctx context.Context, id segment.ID, kind segment.JobKind) (neighbour, error) {
	state, _, err := fleet.State(ctx, a.ledger, id.In(""))
	b := fleet.BadgeOf(&state)
	return neighbour{Segment: id, Store: state.Store, JobKind: kind, State: b.Text, tone: b.Tone}, err
}
