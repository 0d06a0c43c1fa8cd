package rerun_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// TestPlanJSON: what is written reads back as the same plan.
func TestPlanJSON(t *testing.T) {
	for seed := range uint64(500) {
		w := draw(rand.New(rand.NewPCG(seed, 6)), nature{cycles: true, writers: true})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		requireSameThroughJSON(t, p)
	}
}

func requireSameThroughJSON(t *testing.T, p rerun.Plan) {
	t.Helper()
	data, err := json.Marshal(p)
	require.NoError(t, err)
	var back rerun.Plan
	require.NoError(t, json.Unmarshal(data, &back), "%s", data)
	require.Equal(t, p, back)
}

// TestPlanJSONText: the names in it are a contract.
func TestPlanJSONText(t *testing.T) {
	a, b, c := segment.ID{SiteGroup: "a", Name: "x"}, segment.ID{SiteGroup: "b", Name: "x"}, segment.ID{SiteGroup: "c", Name: "x"}
	p, err := rerun.New(
		[]segment.Job{segment.Copy(b, a), segment.Lookalike(c, b), segment.Copy(c, a)},
		[]segment.Affected{{Segment: b, Users: 5}, {Segment: a, Users: 7}},
	)
	require.NoError(t, err)
	data, err := json.Marshal(p)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"jobs": 3,
		"affected": 2,
		"steps": [
			{"job": {"id": "copy a/x to b/x", "kind": "copy", "from": ["a/x"], "to": "b/x"}, "affected": true, "users": 5, "reads": ["a/x"]}
		],
		"no_writer": [{"segment": "a/x", "users": 7}],
		"conflicts": [{"kind": "writers", "steps": [
			{"job": {"id": "copy a/x to c/x", "kind": "copy", "from": ["a/x"], "to": "c/x"}, "reads": ["a/x"]},
			{"job": {"id": "lookalike b/x to c/x", "kind": "lookalike", "from": ["b/x"], "to": "c/x"}, "after": ["copy a/x to b/x"], "reads": ["b/x"]}
		]}]
	}`, string(data))
	requireSameThroughJSON(t, p)
}

// TestPlanJSONRefusesMore: a decoder reads up to the end of a value, and no further.
func TestPlanJSONRefusesMore(t *testing.T) {
	var p rerun.Plan
	require.NoError(t, p.UnmarshalJSON([]byte(`{"jobs":0,"affected":0,"steps":[]} `)))
	for _, more := range []string{"{}", "}", "x"} {
		require.ErrorContains(t, p.UnmarshalJSON([]byte(`{"jobs":0,"affected":0,"steps":[]} `+more)), "after its end")
	}
}

// TestPlanJSONRefuses: a plan that lost something on the way is none.
func TestPlanJSONRefuses(t *testing.T) {
	p, err := rerun.New([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(2), name(1)), segment.Copy(name(3), name(2)),
		segment.Copy(name(5), name(4)), segment.Copy(name(4), name(5)), segment.Copy(name(6), name(5)),
	}, []segment.Affected{{Segment: name(0), Users: 9}, {Segment: name(1), Users: 3}, {Segment: name(4)}, {Segment: at("site-z", "lost")}})
	require.NoError(t, err)
	data, err := json.Marshal(p)
	require.NoError(t, err)
	good := string(data)
	step := func(i int) string {
		s, err := json.Marshal(p.Steps[i])
		require.NoError(t, err)
		return string(s)
	}
	swap := func(old, replacement string) string {
		require.Equal(t, 1, strings.Count(good, old), "%s in %s", old, good)
		return strings.Replace(good, old, replacement, 1)
	}
	cut := func(from string) string {
		before, _, found := strings.Cut(good, from)
		require.True(t, found)
		return before
	}
	for _, c := range []struct{ reason, text, says string }{
		{"nothing", `{}`, "steps is missing"},
		{"null", `null`, "steps is missing"},
		{"no plan", `[]`, "cannot unmarshal"},
		{"not an id", swap(`"from":["site-0/s0"]`, `"from":["s0"]`), `no "/"`},
		{"a step is lost that another one waits for", swap(step(1)+",", ""), "steps is 2, want 1 of them"},
		{"the last step was taken out", swap(","+step(2), ""), "jobs is 6, want 5"},
		{"a step does not wait", swap(`"after":["copy site-0/s0 to site-1/s1"],`, ""), "steps[1].after"},
		{"a step comes before what it waits for", swap(step(0)+","+step(1), step(1)+","+step(0)), "steps[0].job"},
		{"a step twice", swap(step(0), step(0)+","+step(0)), "steps[1].job"},
		{"other users", swap(`"users":3`, `"users":-3`), "0 or more"},
		{"users who are not at stake", swap(`"affected":true,"users":3`, `"users":3`), "steps[0].users is 3, want 0"},
		{"a reason is lost", swap(`{"segment":"site-0/s0","users":9},`, ``), "steps[0].reads"},
		{"a reason is added", swap(`"after":["copy site-0/s0 to site-1/s1"],`, `"after":["copy site-0/s0 to site-1/s1"],"affected":true,`), "affected is 4, want 5"},
		{"it reads something else", swap(`"reads":["site-0/s0"]`, `"reads":["site-0/s3"]`), "steps[0].reads"},
		{"a segment has no writer, and has one", swap(`"no_writer":[`, `"no_writer":[{"segment":"site-1/s1"},`), "no_writer"},
		{"an affected segment was taken out that nothing reads", swap(`,{"segment":"site-z/lost"}`, ``), "affected is 4, want 3"},
		{"the conflicts were taken out", cut(`,"conflicts"`) + "}", "jobs is 6, want 3"},
		{"the conflicts are misspelled, as a newer version may name them", swap(`"conflicts":`, `"conflict":`), `unknown field "conflict"`},
		{"so is the reason of a step", swap(`"affected":true,"users":3`, `"afected":true,"users":3`), `unknown field "afected"`},
		{"a conflict of another kind", swap(`"kind":"cycle"`, `"kind":"writers"`), "conflicts[0].kind"},
		{"what waits for it is listed elsewhere", swap(`"waiting":`, `"later_conflicts":[1],"waiting":`), "conflicts[0].later_conflicts"},
		{"what waits for it was taken out", cut(`,"waiting"`) + "}]}", "jobs is 6, want 5"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			var read rerun.Plan
			err := json.Unmarshal([]byte(c.text), &read)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, rerun.Plan{}, read)
		})
	}
	_, err = json.Marshal(rerun.Plan{})
	require.ErrorContains(t, err, "Plan is empty")
	var bad *validate.InputError
	require.ErrorAs(t, err, &bad)
}

// FuzzPlanJSON: whatever reads as a plan is one: it can be written again, shown
// and run, each step after those that write what it reads.
func FuzzPlanJSON(f *testing.F) {
	for seed := range uint64(20) {
		w := draw(rand.New(rand.NewPCG(seed, 7)), nature{cycles: true, writers: true})
		p, err := rerun.New(w.jobs, w.affected)
		require.NoError(f, err)
		data, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"steps":[]}`))
	f.Add([]byte(`{"jobs":1,"affected":1,"steps":[{"job":{"id":"a","kind":"","from":[],"to":"/b"},"affected":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p rerun.Plan
		if json.Unmarshal(data, &p) != nil {
			require.Equal(t, rerun.Plan{}, p)
			return
		}
		requireSameThroughJSON(t, p)
		require.NotEmpty(t, p.String())
		requireOrder(t, p.Steps)
		again := map[segment.ID]bool{}
		outcome, _ := p.Run(t.Context(), rerun.RunOptions{}, func(_ context.Context, j segment.Job) error {
			for _, s := range p.Steps {
				if s.Job.ID != j.ID {
					require.False(t, again[j.To], "one job for each segment")
				}
			}
			for _, later := range p.Steps {
				for _, from := range j.From {
					require.True(t, later.Job.To != from || again[from], "%s reads %s before it is made again", j.ID, from)
				}
			}
			again[j.To] = true
			return nil
		})
		require.Len(t, outcome.Done, len(p.Steps))
	})
}

// TestPlanJSONComparesEachConflict: a plan of which any conflict lists other
// steps than its jobs make is none.
func TestPlanJSONComparesEachConflict(t *testing.T) {
	p, err := rerun.New([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(0), name(1)),
		segment.Copy(name(3), name(2)), segment.Copy(name(2), name(3)), segment.Copy(name(4), name(3)),
	}, []segment.Affected{{Segment: name(0)}, {Segment: name(2)}})
	require.NoError(t, err)
	require.Len(t, p.Conflicts, 2)
	good, err := json.Marshal(p)
	require.NoError(t, err)
	for _, edit := range []func(*rerun.Plan){
		func(p *rerun.Plan) { p.Conflicts[1].Steps[0].After = []string{"x"} },
		func(p *rerun.Plan) { p.Conflicts[len(p.Conflicts)-1].Waiting[0].After = []string{"x"} },
		func(p *rerun.Plan) { p.Conflicts[1].Kind = rerun.ConflictWriters },
	} {
		var bad rerun.Plan
		require.NoError(t, json.Unmarshal(good, &bad))
		edit(&bad)
		text, err := json.Marshal(bad)
		require.NoError(t, err)
		require.ErrorContains(t, json.Unmarshal(text, new(rerun.Plan)), "conflicts[1].")
	}
}

// FuzzPlanNames: whatever names jobs and segments have, the plan survives JSON,
// or they are refused.
func FuzzPlanNames(f *testing.F) {
	f.Add("a", "copy", "site-a", "cars", "site-b", "cars", int64(5), 1)
	f.Add("\x00", "", "", "%2F/", "a/b%", "\u2028<&", int64(0), -1)
	f.Add("\xff", "\xff", "", "", "", "\xff", int64(-1), 0)
	f.Fuzz(func(t *testing.T, id, kind, group1, name1, group2, name2 string, users int64, priority int) {
		from, to := at(group1, name1), at(group2, name2)
		p, err := rerun.New([]segment.Job{
			{ID: id, Kind: segment.JobKind(kind), From: []segment.ID{from}, To: to, Priority: priority},
			{ID: id + "'", From: []segment.ID{to}, To: from},
		}, []segment.Affected{{Segment: to, Users: users}})
		if err != nil {
			var bad *validate.InputError
			require.ErrorAs(t, err, &bad)
			return
		}
		requireSameThroughJSON(t, p)
		require.NotEmpty(t, p.Conflicts, "they read each other, or write one segment")
	})
}
