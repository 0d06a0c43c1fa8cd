package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

func TestPlanIsOnlyPrinted(t *testing.T) {
	d := newDesk(t)
	before := d.dump()
	out := d.says(well, "plan")
	require.Contains(t, out, "steps")
	require.NotContains(t, out, "Kept")
	require.Equal(t, before, d.dump())
	require.Contains(t, d.refuses("progress"), "the ledger has no plan: segmentguard plan --keep NAME makes one")
	require.Contains(t, d.refuses("run", "march-18"), `the ledger has no plan "march-18"`)
	require.Contains(t, d.refuses("plan", "--keep", "march-18"), "why? say so by --why")
	require.Contains(t, d.refuses("plan", "--build", "2024.11.3", "site-b/cars"), "either name them")
	require.Contains(t, d.refuses("plan", "--build", "none"), "no segment is affected")
}

// A plan is by segment: a segment that is known in a named store only is planned like any.
func TestPlanOfANamedStore(t *testing.T) {
	d := newDesk(t)
	boats := segment.ID{SiteGroup: "site-d", Name: "boats"}
	require.NoError(t, segment.Forget(t.Context(), d.ledger, segment.Selection{Keys: []segment.Key{boats.In("")}}, segment.Decision{By: "ann", Why: "a test", At: d.now}))
	require.NoError(t, segment.Import(t.Context(), d.ledger, []segment.SizeImport{{Segment: boats, Store: "crm", Sizes: sizesUpTo(d.now, 5)}}))
	require.Contains(t, d.says(well, "plan", "site-d/boats"), "site-d/boats")
}

// Alerts that a filter leaves out are affected all the same.
func TestStatusOfAnIncident(t *testing.T) {
	d := newDesk(t)
	all := d.says(affected, "status")
	lead, _, _ := strings.Cut(all, "\n")
	out := d.says(affected, "status", "--incident", "misspelled")
	require.Contains(t, out, lead)
	require.NotContains(t, out, "No segment is known to be affected")
}

// Repair takes segments in one way.
func TestRepairInOneWay(t *testing.T) {
	d := newDesk(t)
	require.Contains(t, d.refuses("repair", "--dry-run", "--group", "site-b", "site-c/other"), "which segments?")
	require.Contains(t, d.refuses("repair", "--dry-run", "--entry", "1", "--group", "site-b"), "what is to be repaired?")
}

// What is planned is what rerun.New plans of the same segments.
func TestPlanOf(t *testing.T) {
	d := newDesk(t)
	jobs := d.jobs()
	alerts, err := segment.AffectedByAlerts(t.Context(), d.ledger)
	require.NoError(t, err)
	logged, err := segment.AffectedByLog(t.Context(), d.ledger, segment.LogFilter{Action: segment.ActionRecorded, Build: "2024.11.3", JobKind: segment.JobKindCopy})
	require.NoError(t, err)
	for _, c := range []struct {
		affected []segment.Affected
		args     []string
	}{
		{alerts, nil},
		{logged, []string{"--build", "2024.11.3", "--job-kind", "copy"}},
		{[]segment.Affected{{Segment: segment.ID{SiteGroup: "site-d", Name: "boats"}}}, []string{"site-d/boats"}},
	} {
		want, err := rerun.New(jobs, c.affected)
		require.NoError(t, err)
		var got planOutput
		d.into(&got, well, append([]string{"plan"}, c.args...)...)
		require.Equal(t, want.String(), got.Plan.String(), c.args)
		require.Equal(t, len(want.Steps), got.Steps)
		require.False(t, got.Kept)
	}
}

// A plan that is kept is run by a worker, and progress says how far it is.
func TestProgressOfPlan(t *testing.T) {
	d := newDesk(t)
	out := d.says(well, "plan", "--keep", "march 18", "--why", "rolled back")
	require.Contains(t, out, "Next: segmentguard run 'march 18'")
	require.Contains(t, d.refuses("plan", "--keep", "march 18", "--why", "again"), "there is a plan of this ID already")
	require.Contains(t, d.refuses("run", "march 18"), "the ledger is not in PostgreSQL")
	require.Contains(t, d.refuses("progress", "april"), `the ledger has no plan "april"`)

	var p progressOutput
	d.into(&p, affected, "progress", "march 18")
	require.Equal(t, "march 18", p.Name)
	require.Equal(t, "mira", p.By)
	require.Equal(t, map[segment.StepState]int{segment.StepWaiting: p.Steps}, p.States)

	plan, _, err := rerun.Load(t.Context(), d.ledger, "march 18")
	require.NoError(t, err)
	first := plan.Steps[0].Job.ID
	wrong := &validate.Error{Report: proven(t)}
	broken := errors.New("no answer from \x1b[31m the store")
	_, err = plan.Run(t.Context(), rerun.RunOptions{Ledger: d.ledger, PlanID: "march 18", Limit: 1}, func(_ context.Context, j segment.Job) error {
		switch j.ID {
		case first:
			return wrong
		case plan.Steps[1].Job.ID:
			return broken
		}
		return nil
	})
	require.Error(t, err)
	d.into(&p, affected, "progress")
	require.Equal(t, 1, p.States[segment.StepFailed])
	require.Equal(t, 1, p.States[segment.StepUnverified])
	require.Equal(t, first, p.Shown[0].JobID)
	require.Equal(t, broken.Error(), p.Shown[1].Error)
	out = d.says(affected, "progress")
	require.Contains(t, out, "1 failed, 1 could not be verified")
	require.Contains(t, out, `no answer from \x1b[31m the store`)
	requirePrintable(t, out)

	require.NoError(t, rerun.Resume(t.Context(), d.ledger, "march 18"))
	_, err = plan.Run(t.Context(), rerun.RunOptions{Ledger: d.ledger, PlanID: "march 18"}, func(context.Context, segment.Job) error { return nil })
	require.NoError(t, err)
	require.Contains(t, d.says(well, "progress"), "everything affected was made again")
	require.Contains(t, d.refuses("run", "march 18"), "nothing was handed over: all")
}

// proven is a report of users that were lost.
func proven(t *testing.T) validate.Report {
	t.Helper()
	r, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Name: "x", Expected: validate.Count(2), Stored: validate.Count(1)})
	require.Error(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}
