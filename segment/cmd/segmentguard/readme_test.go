package main

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// parts are the blocks of the runbook, and where in it others act.
var parts = regexp.MustCompile("(?s)```(sh|text)\n(.*?)```|<!-- (workers|monitor) -->")

// TestRunbook executes the README against the incident: each command exits as it says,
// and prints what it says, and in the end all is well.
func TestRunbook(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	d := newDesk(t)
	t.Chdir(t.TempDir())
	said, ran := "", 0
	for _, part := range parts.FindAllStringSubmatch(string(readme), -1) {
		switch {
		case part[3] == "workers":
			d.now = d.now.Add(time.Hour)
			d.workers()
		case part[3] == "monitor":
			for range 2 {
				d.now = d.now.Add(time.Hour)
				d.monitor()
			}
		case part[1] == "text":
			for line := range strings.Lines(part[2]) {
				require.Contains(t, spaces(said), spaces(line))
			}
		default:
			said = ""
			for line := range strings.Lines(part[2]) {
				code := well
				if strings.Contains(line, "# exits with 1") {
					code = affected
				}
				said += d.says(code, words(t, line)[0]...)
				ran++
			}
		}
	}
	require.Equal(t, 18, ran)
	require.FileExists(t, "incident.html")
	for s, err := range d.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		require.Nil(t, s.Alert.Open, s.Segment)
	}
}

func spaces(s string) string { return strings.Join(strings.Fields(s), " ") }

type quiet struct{}

func (quiet) Tell(context.Context, []segment.Alert, []segment.Alert) error { return nil }

func (d *desk) jobs() (jobs []segment.Job) {
	d.t.Helper()
	for j, err := range d.ledger.Jobs(d.t.Context(), segment.JobFilter{}) {
		require.NoError(d.t, err)
		jobs = append(jobs, j)
	}
	return jobs
}

// workers run everything affected again with a mended build, as the team's workers do.
func (d *desk) workers() {
	d.t.Helper()
	ctx := d.t.Context()
	plan, _, err := rerun.Load(ctx, d.ledger, "march-18")
	require.NoError(d.t, err)
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: d.ledger, Alerter: quiet{}, Now: d.clock})
	require.NoError(d.t, err)
	_, err = plan.Run(ctx, rerun.RunOptions{Ledger: d.ledger, PlanID: "march-18"}, func(ctx context.Context, job segment.Job) error {
		state, err := d.ledger.State(ctx, job.To.In(""))
		require.NoError(d.t, err)
		users := state.Sizes[len(state.Sizes)-1].Users
		if open := state.Alert.Open; open != nil && !open.Report.Expected.IsUnknown() && !open.Report.Expected.IsZero() {
			users = open.Report.Expected.Users()
		}
		done := func(context.Context) error { return nil }
		run := segment.Run{
			ID: "2024-03-18 again", Build: "2024.11.4", Job: job, Expected: validate.Count(users),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(users), nil },
			Staging: segment.Staging{Commit: done, Discard: done},
		}
		require.NoError(d.t, guard.Begin(ctx, &run))
		_, err = guard.Commit(ctx, run)
		return err
	})
	require.NoError(d.t, err)
}

// monitor sweeps over what is live, as the team's monitor does.
func (d *desk) monitor() {
	d.t.Helper()
	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: d.ledger, Alerter: quiet{}, Now: d.clock, Jobs: d.jobs()})
	require.NoError(d.t, err)
	var sizes []segment.CurrentSize
	for s, err := range d.ledger.Segments(d.t.Context(), segment.SegmentFilter{}) {
		require.NoError(d.t, err)
		require.NotNil(d.t, s.Live, s.Segment)
		sizes = append(sizes, segment.CurrentSize{Segment: s.Segment, Stored: validate.Count(s.Live.Users)})
	}
	_, err = m.Sweep(d.t.Context(), func(yield func(segment.CurrentSize, error) bool) {
		for _, size := range sizes {
			if !yield(size, nil) {
				return
			}
		}
	})
	require.NoError(d.t, err)
}

// TestFieldsAreDocumented: the README has each field of each object.
func TestFieldsAreDocumented(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "## For programs")
	require.True(t, found)
	paragraphs := map[string]string{}
	for p := range strings.SplitSeq(text, "\n\n") {
		for _, name := range regexp.MustCompile(`\*\*([a-z-]+)\*\*`).FindAllStringSubmatch(p, -1) {
			paragraphs[name[1]] = p
		}
	}
	for command, outputs := range map[string][]any{
		"status": {statusOutput{}, buildAlerts{}, incidentOutput{}, affectedOutput{}},
		"show":   {showOutput{}, sizeOutput{}, runOutput{}, neighbour{}},
		"log":    {logOutput{}, entryOutput{}}, "builds": {buildsOutput{}, buildOutput{}},
		"accept": {changeOutput{}, change{}}, "diff": {diffOutput{}, between{}}, "plan": {planOutput{}}, "run": {handedOutput{}}, "progress": {progressOutput{}, stepOutput{}}, "report": {reportOutput{}}, "migrate": {migrateOutput{}}, "check": {checkOutput{}, segment.Damage{}},
	} {
		for _, output := range outputs {
			for _, f := range reflect.VisibleFields(reflect.TypeOf(output)) {
				name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
				if name == "" || len(f.Index) > 1 {
					continue
				}
				require.Regexp(t, "(?s)`"+name+"`", paragraphs[command], "%s of %T", name, output)
				if option != "" && name != "store" {
					require.Regexp(t, "`"+name+"`\\*", paragraphs[command], "%s of %T", name, output)
				}
			}
		}
	}
}
