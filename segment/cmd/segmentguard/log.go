package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A logOutput is a part of the log, the latest entry first.
type logOutput struct {
	Entries []entryOutput `json:"entries"`
	More    bool          `json:"more"`
}

// An entryOutput is an entry of the log.
type entryOutput struct {
	At       time.Time        `json:"at"`
	Action   segment.Action   `json:"action"`
	Segment  segment.ID       `json:"segment"`
	Store    string           `json:"store,omitempty"`
	RunID    string           `json:"run_id,omitempty"`
	Attempt  int              `json:"attempt,omitempty"`
	State    segment.RunState `json:"state,omitempty"`
	Live     bool             `json:"live,omitempty"`
	Users    int64            `json:"users,omitempty"`
	JobKind  segment.JobKind  `json:"job_kind,omitempty"`
	Build    string           `json:"build,omitempty"`
	Severity segment.Urgency  `json:"severity,omitempty"`
	Kind     validate.Kind    `json:"kind,omitempty"`
	Level    segment.Level    `json:"level,omitempty"`
	Incident string           `json:"incident,omitempty"`
	By       string           `json:"by,omitempty"`
	Text     string           `json:"text,omitempty"`
	Damaged  *segment.Damage  `json:"damaged,omitempty"`

	badge fleet.Badge
}

// entryOf returns an entry as it is printed.
func entryOf(e *segment.LogEntry) entryOutput {
	out := entryOutput{
		At: e.At, Action: e.Action, Segment: e.Segment, Store: e.Store, RunID: e.RunID, By: e.By, Incident: e.Incident,
		Text: fleet.EntryText(e), Damaged: e.Damaged,
	}
	if r := e.Record; r != nil {
		out.RunID, out.Attempt, out.State, out.Live, out.Users, out.JobKind, out.Build = r.RunID, r.Attempt, r.State, r.Live, r.Users, r.JobKind, r.Build
		out.badge = fleet.BadgeOfRun(r.State, r.Live)
	}
	if m := e.Mark; m != nil {
		out.Severity, out.Kind, out.Level, out.JobKind, out.Build = m.Urgency, m.Kind, m.Level, m.JobKind, m.Build
	}
	return out
}

// actions are all there are.
var actions = []segment.Action{
	segment.ActionRecorded, segment.ActionOpened, segment.ActionWorse, segment.ActionTold, segment.ActionOver,
	segment.ActionLacked, segment.ActionAccepted, segment.ActionSuspected, segment.ActionPlanned, segment.ActionExcused, segment.ActionUnused,
	segment.ActionRenamed, segment.ActionMuted, segment.ActionUnmuted, segment.ActionForgotten,
	segment.ActionFalseAlarm, segment.ActionTripped, segment.ActionResumed, segment.ActionRepaired,
}

func logCommand(a *app) *cobra.Command {
	var f segment.LogFilter
	var which selection
	limit := 50
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "log [SEGMENT]",
		Short:   "Print what runs came to, who was told when, and what was decided",
		Long: `Log prints the latest entries of the log, the latest first: what each attempt of a run
came to, when a segment became affected, worse and well again, when people were told,
and who decided what and why.`,
		Example: `  segmentguard log --action told --since -12h
  segmentguard log site-b/cars
  segmentguard log --group site-b --action accepted --limit 0
  segmentguard log --build 2024.11.3 --since 2024-03-18`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	which.addStore(flags, "in this store; none: in any")
	flags.StringVar(&f.SiteGroup, "group", "", "of segments of this site group")
	flags.StringVar((*string)(&f.Action), "action", "", "of this kind: "+wordsOf(actions))
	flags.StringVar((*string)(&f.JobKind), "job-kind", "", "of runs of jobs of this kind, such as copy")
	flags.StringVar(&f.Build, "build", "", "of runs of this build")
	flags.StringVar(&f.RunID, "run", "", "of this run")
	momentFlag(a, flags, &f.Since, "since", "from this time on, such as 2024-03-18T03:00Z or -12h")
	momentFlag(a, flags, &f.Until, "until", "up to before this time")
	flags.IntVar(&limit, "limit", limit, "the latest so many; 0: all")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) (err error) {
		f.Store = which.stores()
		if len(args) == 1 {
			if f.Segment, err = parseID(args[0]); err != nil {
				return err
			}
		}
		return a.showLog(ctx, f, limit)
	})
	return cmd
}

func (a *app) showLog(ctx context.Context, f segment.LogFilter, limit int) error {
	switch {
	case f.Action != "" && !slices.Contains(actions, f.Action):
		return fmt.Errorf("there is no action %q; there are %s", f.Action, wordsOf(actions))
	case limit < 0:
		return fmt.Errorf("--limit is %d, want 0 or more", limit)
	case limit > 0:
		f.Limit = limit + 1 // one more says that there are more
	}
	entries, err := a.readLog(ctx, f)
	if err != nil {
		return err
	}
	slices.Reverse(entries)
	out := logOutput{Entries: []entryOutput{}}
	if out.More = limit > 0 && len(entries) > limit; out.More {
		entries = entries[:limit]
	}
	for i := range entries {
		out.Entries = append(out.Entries, entryOf(&entries[i]))
	}
	if a.json {
		return a.out.json(out)
	}
	a.printLog(&out, f.Segment.IsZero())
	return nil
}

func (a *app) readLog(ctx context.Context, f segment.LogFilter) (entries []segment.LogEntry, err error) {
	var read atomic.Int64
	defer a.progress("Reading the log", read.Load)()
	for e, err := range a.ledger.Log(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		read.Add(1)
		entries = append(entries, e)
	}
	return entries, nil
}

func (a *app) printLog(out *logOutput, named bool) {
	if len(out.Entries) == 0 {
		a.out.printf("The log has nothing like that.\n")
		return
	}
	t := table.Table{Head: []string{"AT", "WHAT", "SEGMENT", "RUN", "STATE", "BUILD", "BY", "TEXT"}}
	for i := range out.Entries {
		e := &out.Entries[i]
		name := ""
		if named {
			name = aboutEntry(e)
		}
		t.Add(stamp(e.At), string(e.Action), name, e.RunID, e.badge.Text, e.Build, e.By, e.Text)
		t.Tone(4, e.badge.Tone)
	}
	a.out.table(&t)
	if out.More {
		a.out.printf("… and more: --limit asks for them.\n")
	}
}

// aboutEntry says what an entry is about: a segment, a site group, an incident.
func aboutEntry(e *entryOutput) string {
	switch {
	case e.Segment.IsZero() && e.Incident != "":
		return text.Short(text.Visible(e.Incident))
	case e.Segment.IsZero():
		return ""
	case e.Segment.Name == "":
		return e.Segment.SiteGroup
	}
	return text.Short(text.Visible(e.Segment.In(e.Store).String()))
}
