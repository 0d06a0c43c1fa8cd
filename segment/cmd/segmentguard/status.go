package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A statusOutput is how all segments are.
type statusOutput struct {
	At           time.Time             `json:"at"`
	Text         string                `json:"text"`
	Affected     int                   `json:"affected"`
	TooFew       int                   `json:"too_few"`
	Live         int                   `json:"live"`
	Protected    int                   `json:"protected"`
	SweepText    string                `json:"sweep_text"`
	SweepOverdue bool                  `json:"sweep_overdue"`
	Sweep        *segment.SweepNumbers `json:"sweep"`
	Builds       []buildAlerts         `json:"builds"`
	Incidents    []incidentOutput      `json:"incidents"`
	Mutes        []segment.Mute        `json:"mutes"`
	Selected     int                   `json:"selected"`
	Segments     []affectedOutput      `json:"segments"`

	tone fleet.Tone
}

// A buildAlerts is how many segments are affected by a build.
type buildAlerts struct {
	JobKind  segment.JobKind `json:"job_kind"`
	Build    string          `json:"build"`
	Segments int             `json:"segments"`
	Live     int             `json:"live"`
	Users    int64           `json:"users"`
}

// An incidentOutput is an incident that goes on.
type incidentOutput struct {
	ID       string                `json:"id"`
	Cause    string                `json:"cause"`
	Severity segment.Urgency       `json:"severity"`
	Begun    time.Time             `json:"begun"`
	Segments int                   `json:"segments"`
	Live     int                   `json:"live"`
	Users    int64                 `json:"users"`
	Kinds    map[validate.Kind]int `json:"kinds"`
	Likely   string                `json:"likely,omitempty"`
}

// An affectedOutput is an affected segment.
type affectedOutput struct {
	Segment  segment.ID      `json:"segment"`
	Store    string          `json:"store,omitempty"`
	State    string          `json:"state"`
	Severity segment.Urgency `json:"severity,omitempty"`
	Kind     validate.Kind   `json:"kind,omitempty"`
	Level    segment.Level   `json:"level,omitempty"`
	Since    time.Time       `json:"since,omitzero"`
	Build    string          `json:"build,omitempty"`
	Users    int64           `json:"users"`
	Muted    bool            `json:"muted"`
	Incident string          `json:"incident,omitempty"`
	Text     string          `json:"text"`

	holds, beside string
	tone          fleet.Tone
}

func statusCommand(a *app) *cobra.Command {
	var f fleet.Filter
	limit := 20
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "status",
		Short:   "Say what is affected now, since when, by which builds, and when all was last looked at",
		Long: `Status says what is affected now, the gravest first: whether customers are hit, since
when, and by which builds and incidents; and when a monitor last looked at all segments.

It exits with status 0 where no alert is open and the last sweep is fresh, 1 where
segments are affected, and 2 where nobody looked for longer than two hours, so that
what is not listed may be anything but fine. Rows that cannot be read are for check to
find: of those without an open alert, status knows nothing.`,
		Example: `  segmentguard status
  segmentguard status --group site-b --kind capped --limit 100
  segmentguard status --json | jq -r '.segments[].segment'`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.SiteGroup, "group", "", "list those of this site group")
	flags.StringVar((*string)(&f.Kind), "kind", "", "list those of this kind, such as empty or capped")
	flags.StringVar((*string)(&f.JobKind), "job-kind", "", "list those of jobs of this kind, such as copy")
	flags.StringVar(&f.Build, "build", "", "list those of this build")
	flags.StringVar(&f.Incident, "incident", "", "list the members of this incident, by its ID")
	flags.IntVar(&limit, "limit", limit, "list so many; 0: all")
	cmd.RunE = a.connected(func(ctx context.Context, _ []string) error { return a.showStatus(ctx, f, limit) })
	return cmd
}

func (a *app) showStatus(ctx context.Context, f fleet.Filter, limit int) error {
	if f.Kind != "" && !slices.Contains(validate.Kinds(), f.Kind) {
		return fmt.Errorf("there is no kind %q; there are %s", string(f.Kind), wordsOf(validate.Kinds()))
	}
	if limit < 0 {
		return fmt.Errorf("--limit is %d, want 0 or more", limit)
	}
	s, err := a.readStatus(ctx, f, cmp.Or(limit, 1<<31-1))
	if err != nil {
		return err
	}
	switch {
	case s.Affected > 0:
		a.status = affected
	case s.SweepOverdue:
		a.status = unsure
	}
	if a.json {
		return a.out.json(s)
	}
	a.printStatus(s)
	return nil
}

func (a *app) readStatus(ctx context.Context, f fleet.Filter, limit int) (*statusOutput, error) {
	now := a.now().UTC()
	c, err := fleet.TakeCensus(ctx, a.ledger, f, limit)
	if err != nil {
		return nil, err
	}
	sweeps, err := fleet.LastSweeps(ctx, a.ledger, now)
	if err != nil {
		return nil, err
	}
	s := &statusOutput{
		At: now, Affected: c.All.Segments, TooFew: c.All.TooFew, Live: c.All.Live, Protected: c.All.Protected,
		SweepText: sweeps.Text, SweepOverdue: sweeps.Late, Sweep: sweeps.Complete, Selected: c.Chosen.Segments,
		Builds: []buildAlerts{}, Incidents: []incidentOutput{}, Mutes: []segment.Mute{}, Segments: []affectedOutput{},
	}
	s.Text, s.tone = c.All.Lead()
	if s.Affected == 0 && s.SweepOverdue {
		s.tone = fleet.Unknown
	}
	for i := range c.Rows {
		s.Segments = append(s.Segments, affectedOf(&c.Rows[i]))
	}
	if s.Builds, err = a.alertsByBuild(ctx); err != nil {
		return nil, err
	}
	if s.Incidents, err = a.openIncidents(ctx); err != nil {
		return nil, err
	}
	mutes, err := a.ledger.Mutes(ctx)
	for _, m := range mutes {
		if m.Until.After(now) {
			s.Mutes = append(s.Mutes, m)
		}
	}
	return s, err
}

func affectedOf(s *segment.SegmentState) affectedOutput {
	b := fleet.BadgeOf(s)
	out := affectedOutput{Segment: s.Segment, Store: s.Store, State: b.Text, tone: b.Tone, Muted: s.Alert.Muted != nil, Incident: s.Alert.Incident}
	if s.Damaged != nil {
		out.Text = s.Damaged.Error()
	}
	if open := s.Alert.Open; open != nil {
		m := fleet.Worst(&s.Alert)
		out.Severity, out.Kind, out.Level = m.Urgency, m.Kind, m.Level
		out.Since, out.Build, out.Users, out.Text = open.Since, open.Build, open.Users, fleet.Clause(open)
		out.holds, out.beside = fleet.Holds(s)
	}
	return out
}

// alertsByBuild counts the open alerts by build, those of most segments first.
func (a *app) alertsByBuild(ctx context.Context) ([]buildAlerts, error) {
	counts, err := a.ledger.CountAlerts(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting the alerts: %w", err)
	}
	builds := []buildAlerts{} // of which there are few
	for i := range counts {
		c := &counts[i]
		at := slices.IndexFunc(builds, func(b buildAlerts) bool { return b.JobKind == c.JobKind && b.Build == c.Build })
		if at < 0 {
			at = len(builds)
			builds = append(builds, buildAlerts{JobKind: c.JobKind, Build: c.Build})
		}
		builds[at].Segments += c.Alerts
		builds[at].Users += c.Users
		if c.Level != segment.LevelProtected {
			builds[at].Live += c.Alerts
		}
	}
	slices.SortFunc(builds, func(x, y buildAlerts) int {
		return cmp.Or(cmp.Compare(y.Segments, x.Segments), cmp.Compare(x.JobKind, y.JobKind), cmp.Compare(x.Build, y.Build))
	})
	return builds, nil
}

// openIncidents returns the incidents that go on, the latest first.
func (a *app) openIncidents(ctx context.Context) ([]incidentOutput, error) {
	incidents := []incidentOutput{}
	for i, err := range a.ledger.Incidents(ctx, segment.IncidentFilter{Open: true}) {
		if err != nil {
			return nil, fmt.Errorf("reading the incidents: %w", err)
		}
		if !i.Over.IsZero() {
			continue
		}
		m := &i.Members
		incidents = append(incidents, incidentOutput{
			ID: i.ID, Cause: i.Cause.String(), Severity: i.Urgency(), Begun: i.Begun,
			Segments: m.Segments, Live: m.Live, Users: m.Users, Kinds: m.Kinds, Likely: i.Likely,
		})
	}
	slices.Reverse(incidents)
	return incidents, nil
}

func (a *app) printStatus(s *statusOutput) {
	a.out.printf("%s\n%s\n", a.toned(s.Text, s.tone), text.Visible(s.SweepText))
	if len(s.Incidents) > 0 {
		a.out.printf("\nIncidents:\n")
		t := table.Table{Head: []string{"CAUSE", "SINCE", "SEVERITY", "SEGMENTS", "LIVE", "USERS", "LIKELY"}}
		for _, i := range s.Incidents {
			t.Add(i.Cause, stamp(i.Begun), string(i.Severity), thousands(i.Segments), thousands(i.Live), text.Thousands(i.Users), i.Likely)
		}
		a.out.table(&t)
	}
	if len(s.Builds) > 0 {
		a.out.printf("\nBuilds:\n")
		t := table.Table{Head: []string{"JOBS", "BUILD", "AFFECTED", "LIVE", "USERS"}}
		for _, b := range s.Builds {
			t.Add(string(b.JobKind), cmp.Or(b.Build, "(none named)"), thousands(b.Segments), thousands(b.Live), text.Thousands(b.Users))
		}
		a.out.table(&t)
	}
	a.printAffected(s)
	if len(s.Mutes) > 0 {
		a.out.printf("\nMuted:\n")
	}
	for _, m := range s.Mutes {
		a.out.printf("%s, by %s: %s\n", text.Visible(m.String()), text.Visible(m.By), text.Visible(m.Why))
	}
}

func (a *app) printAffected(s *statusOutput) {
	if s.Affected == 0 {
		return
	}
	a.out.printf("\nSegments: %s of %s, the gravest first\n", thousands(len(s.Segments)), thousands(s.Selected))
	t := table.Table{Head: []string{"SEGMENT", "STORE", "STATE", "SEVERITY", "KIND", "SINCE", "BUILD", "HOLDS", "", "FOUND"}}
	for i := range s.Segments {
		r := &s.Segments[i]
		state := r.State
		if r.Muted {
			state += ", muted"
		}
		t.Add(nameOf(r.Segment), r.Store, state, string(r.Severity), string(r.Kind), stamp(r.Since), r.Build, r.holds, r.beside, text.Short(text.Visible(r.Text)))
		t.Tone(2, r.tone)
	}
	a.out.table(&t)
	if len(s.Segments) > 0 {
		a.out.printf("\nNext: %s\n", commandAbout("show", s.Segments[0].Segment.In(s.Segments[0].Store)))
	}
}
