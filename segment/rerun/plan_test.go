package rerun_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

func ids(steps []rerun.Step) []string {
	list := []string{}
	for _, s := range steps {
		list = append(list, s.Job.ID)
	}
	return list
}

// requireSteps: each step is what the naive planner says of its job.
func requireSteps(t *testing.T, want *naive, steps []rerun.Step) {
	t.Helper()
	for _, s := range steps {
		w, known := want.steps[s.Job.ID]
		require.True(t, known, "nothing unaffected is rerun: %s", s.Job.ID)
		require.ElementsMatch(t, w.After, s.After, "what it waits for")
		w.After, s.After = nil, nil
		require.Equal(t, w, s)
	}
}

// TestPlan: on random graphs the plan is that of a naive planner, for any order
// of its input.
func TestPlan(t *testing.T) {
	planned, chains := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := draw(r, nature{})
		got, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		want := plan(w)
		require.Empty(t, got.Conflicts, "seed %d", seed)
		require.Equal(t, append([]string{}, want.order()...), ids(got.Steps), "seed %d: complete, and in order", seed)
		require.ElementsMatch(t, want.noWriter(), got.NoWriter, "seed %d", seed)
		requireSteps(t, want, got.Steps)
		requireOrder(t, got.Steps)
		for range 3 {
			o := w.shuffled(r)
			again, err := rerun.New(o.jobs, o.affected)
			require.NoError(t, err)
			require.Equal(t, got, again, "seed %d: the same for any order of the input", seed)
		}
		planned += len(got.Steps)
		for _, s := range got.Steps {
			chains += len(s.After)
		}
	}
	require.Greater(t, planned, 5000, "the graphs were worth it")
	require.Greater(t, chains, 3000)
}

// requireOrder: no step before what it waits for, nor twice the same.
func requireOrder(t *testing.T, steps []rerun.Step) {
	t.Helper()
	order := ids(steps)
	for i, s := range steps {
		require.Equal(t, i, slices.Index(order, s.Job.ID))
		require.True(t, slices.IsSortedFunc(s.After, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) }))
		for _, before := range s.After {
			require.Contains(t, order[:i], before)
		}
		require.True(t, s.Affected || len(s.Reads) > 0, "it says why it is there")
	}
}

// TestPlanConflicts: on random graphs with cycles and double writers, what is
// reported is one, what does not wait for it is planned, and what does is listed
// once.
func TestPlanConflicts(t *testing.T) {
	seen := map[rerun.ConflictKind]int{}
	cyclic := 0
	for seed := uint64(0); cyclic < 1000; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		w := draw(r, nature{cycles: true, writers: seed%2 == 0})
		got, err := rerun.New(w.jobs, w.affected)
		require.NoError(t, err)
		want := plan(w)
		require.Equal(t, append([]string{}, want.order()...), ids(got.Steps), "seed %d: everything that waits for no conflict is planned", seed)
		require.ElementsMatch(t, want.noWriter(), got.NoWriter, "seed %d", seed)
		requireSteps(t, want, got.Steps)
		requireOrder(t, got.Steps)
		requireConflicts(t, want, got)
		o := w.shuffled(r)
		again, err := rerun.New(o.jobs, o.affected)
		require.NoError(t, err)
		require.Equal(t, got, again, "seed %d: the same for any order of the input", seed)
		had := map[rerun.ConflictKind]int{}
		for _, c := range got.Conflicts {
			seen[c.Kind]++
			had[c.Kind]++
		}
		if had[rerun.ConflictCycle] > 0 {
			cyclic++
		}
	}
	require.Greater(t, seen[rerun.ConflictWriters], 200)
}

func requireConflicts(t *testing.T, want *naive, got rerun.Plan) {
	t.Helper()
	var contested []segment.ID
	listed := map[string]int{} // by job held up: with which conflict
	members := map[string]bool{}
	for i, c := range got.Conflicts {
		requireSteps(t, want, c.Steps)
		requireSteps(t, want, c.Waiting)
		switch c.Kind {
		case rerun.ConflictCycle:
			for j, s := range c.Steps {
				before := c.Steps[(j+len(c.Steps)-1)%len(c.Steps)]
				require.Contains(t, s.Job.From, before.Job.To, "each reads what the one before it writes")
			}
		case rerun.ConflictWriters:
			contested = append(contested, c.Steps[0].Job.To)
			require.ElementsMatch(t, want.writers(c.Steps[0].Job.To), ids(c.Steps))
		}
		for _, s := range c.Steps {
			members[s.Job.ID] = true
		}
		for _, s := range c.Waiting {
			_, twice := listed[s.Job.ID]
			require.False(t, twice, "it is listed once")
			listed[s.Job.ID] = i
		}
	}
	require.Len(t, slices.Compact(slices.SortedFunc(slices.Values(contested), segment.ID.Compare)), len(contested), "each contested segment once")
	for id, s := range want.steps {
		_, up := listed[id]
		require.Equal(t, want.held[id], members[id] || up, "%s: left out if and only if it waits for a conflict", id)
		require.False(t, members[id] && up, "either in a conflict or held up")
		if len(want.writers(s.Job.To)) > 1 {
			require.Contains(t, contested, s.Job.To)
		}
		if want.reaches(id, id) {
			require.True(t, slices.ContainsFunc(got.Conflicts, func(c rerun.Conflict) bool {
				first := c.Steps[0].Job.ID
				return c.Kind == rerun.ConflictCycle && (first == id || want.reaches(id, first) && want.reaches(first, id))
			}), "%s: of what is tied up in cycles, one is listed", id)
		}
	}
	requireWaiting(t, want, got.Conflicts, listed)
}

// requireWaiting: a job is listed with the last conflict that holds it up, and
// LaterConflicts leads from each conflict to everything it holds up.
func requireWaiting(t *testing.T, want *naive, conflicts []rerun.Conflict, listed map[string]int) {
	t.Helper()
	holds := func(c rerun.Conflict, id string) bool {
		return slices.ContainsFunc(c.Steps, func(s rerun.Step) bool { return want.reaches(s.Job.ID, id) })
	}
	for id, last := range listed {
		require.True(t, holds(conflicts[last], id), "%s is held up by what it is listed with", id)
		for _, later := range conflicts[last+1:] {
			require.False(t, holds(later, id), "%s is free once the conflicts are solved in order", id)
		}
	}
	for i, c := range conflicts {
		found := map[int]bool{i: true}
		for todo := []int{i}; len(todo) > 0; todo = todo[1:] {
			for _, also := range conflicts[todo[0]].LaterConflicts {
				require.Greater(t, also, todo[0], "a later one")
				if !found[also] {
					found[also] = true
					todo = append(todo, also)
				}
			}
		}
		for _, also := range c.LaterConflicts {
			all := append(ids(conflicts[also].Steps), ids(conflicts[also].Waiting)...)
			require.True(t, slices.ContainsFunc(all, func(id string) bool { return holds(c, id) }), "more of what it holds up is there")
		}
		for id := range want.steps {
			if !holds(c, id) {
				continue
			}
			reached := slices.ContainsFunc(conflicts, func(other rerun.Conflict) bool {
				return slices.Contains(ids(other.Steps), id)
			})
			if last, up := listed[id]; up {
				reached = found[last]
			}
			require.True(t, reached, "LaterConflicts leads to %s", id)
		}
	}
}

// TestPlanOrder: what decides between steps that could come next.
func TestPlanOrder(t *testing.T) {
	a, b, c, d := name(0), name(1), name(2), name(3)
	job := func(id string, priority int, to segment.ID, from ...segment.ID) segment.Job {
		return segment.Job{ID: id, To: to, From: from, Priority: priority}
	}
	for _, c := range []struct {
		reason   string
		jobs     []segment.Job
		affected []segment.Affected
		order    []string
	}{
		{
			"dependency before priority",
			[]segment.Job{job("late", 9, b, a), job("early", 0, a)},
			[]segment.Affected{{Segment: a}},
			[]string{"early", "late"},
		},
		{
			"a chain of high priority is not kept waiting by what has a low one",
			[]segment.Job{job("1", 9, a), job("2", 9, b, a), job("3", 9, c, b), job("0", 0, d)},
			[]segment.Affected{{Segment: a}, {Segment: d, Users: 1_000_000}},
			[]string{"1", "2", "3", "0"},
		},
		{
			"priority before users",
			[]segment.Job{job("many", 0, a), job("urgent", 1, b)},
			[]segment.Affected{{Segment: a, Users: 100}, {Segment: b, Users: 1}},
			[]string{"urgent", "many"},
		},
		{
			"users before names",
			[]segment.Job{job("a", 0, a), job("b", 0, b)},
			[]segment.Affected{{Segment: a, Users: 1}, {Segment: b, Users: 2}},
			[]string{"b", "a"},
		},
		{
			"then names",
			[]segment.Job{job("b", 0, a), job("a", 0, b)},
			[]segment.Affected{{Segment: a, Users: 1}, {Segment: b, Users: 1}},
			[]string{"a", "b"},
		},
		{
			"negative priorities come last",
			[]segment.Job{job("a", -1, a), job("b", 0, b)},
			[]segment.Affected{{Segment: a}, {Segment: b}},
			[]string{"b", "a"},
		},
		{
			"affected twice: the more users count, not the last word",
			[]segment.Job{job("a", 0, a), job("b", 0, b)},
			[]segment.Affected{{Segment: b, Users: 5}, {Segment: a, Users: 4}, {Segment: b, Users: 3}},
			[]string{"b", "a"},
		},
		{
			"a job given twice runs once",
			[]segment.Job{job("a", 0, a), job("a", 0, a)},
			[]segment.Affected{{Segment: a}},
			[]string{"a"},
		},
		{
			"a seed given twice is waited for once",
			[]segment.Job{job("a", 0, a), job("b", 0, b, a, a)},
			[]segment.Affected{{Segment: a}},
			[]string{"a", "b"},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := rerun.New(c.jobs, c.affected)
			require.NoError(t, err)
			require.Equal(t, c.order, ids(got.Steps))
			require.Empty(t, got.Conflicts)
		})
	}
}

// TestPlanIsItsOwn: what happens to the input afterwards is not the plan's.
func TestPlanIsItsOwn(t *testing.T) {
	jobs := []segment.Job{segment.Copy(name(1), name(0))}
	got, err := rerun.New(jobs, []segment.Affected{{Segment: name(0)}})
	require.NoError(t, err)
	jobs[0].From[0] = name(7)
	require.Equal(t, []segment.ID{name(0)}, got.Steps[0].Job.From)
	require.Equal(t, []segment.ID{name(0)}, got.Steps[0].Reads)
}

// TestPlanRefuses: bad input is an error that names it, whether it is affected
// or not.
func TestPlanRefuses(t *testing.T) {
	fine := segment.Copy(name(1), name(0))
	for _, c := range []struct {
		reason, field string
		jobs          []segment.Job
		affected      []segment.Affected
	}{
		{"a job without a name cannot be told from others", "jobs[1].ID", []segment.Job{fine, {To: name(2)}}, nil},
		{"a name that is not UTF-8 would not come back from JSON", "jobs[0].ID", []segment.Job{{ID: "\xff", To: name(2)}}, nil},
		{"nor would a kind", "jobs[0].Kind", []segment.Job{{ID: "a", Kind: "\xff", To: name(2)}}, nil},
		{"a job that writes nothing", "jobs[0].To", []segment.Job{{ID: "a"}}, nil},
		{"a segment that is not UTF-8", "jobs[0].To", []segment.Job{{ID: "a", To: segment.ID{Name: "\xff"}}}, nil},
		{"a site group that is not UTF-8", "jobs[0].To", []segment.Job{{ID: "a", To: segment.ID{SiteGroup: "\xff", Name: "a"}}}, nil},
		{"a seed without a name", "jobs[0].From[1]", []segment.Job{{ID: "a", To: name(1), From: []segment.ID{name(0), {SiteGroup: "a"}}}}, nil},
		{"a seed that is not UTF-8", "jobs[0].From[0]", []segment.Job{{ID: "a", To: name(1), From: []segment.ID{{Name: "\xff"}}}}, nil},
		{"one name for two jobs: other segment", "jobs[1].ID", []segment.Job{fine, {ID: fine.ID, Kind: fine.Kind, From: fine.From, To: name(2)}}, nil},
		{"one name for two jobs: other seeds", "jobs[1].ID", []segment.Job{fine, {ID: fine.ID, Kind: fine.Kind, To: fine.To}}, nil},
		{"one name for two jobs: other kind", "jobs[1].ID", []segment.Job{fine, {ID: fine.ID, From: fine.From, To: fine.To}}, nil},
		{"one name for two jobs: other priority", "jobs[1].ID", []segment.Job{fine, {ID: fine.ID, Kind: fine.Kind, From: fine.From, To: fine.To, Priority: 1}}, nil},
		{"an affected segment without a name", "affected[1].Segment", nil, []segment.Affected{{Segment: name(0)}, {}}},
		{"an affected segment that is not UTF-8", "affected[0].Segment", nil, []segment.Affected{{Segment: segment.ID{Name: "\xff"}}}},
		{"fewer than no users", "affected[0].Users", nil, []segment.Affected{{Segment: name(0), Users: -1}}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := rerun.New(c.jobs, c.affected)
			requireInputError(t, c.field, err)
			require.Equal(t, rerun.Plan{}, got)
		})
	}
}

func requireInputError(t *testing.T, field string, err error) {
	t.Helper()
	var bad *validate.InputError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, field, bad.Field)
	require.NotEmpty(t, bad.Want)
	require.NotContains(t, err.Error(), "\xff", "a log keeps what is printable")
	require.NotContains(t, err.Error(), "\n")
}

// TestPlanDeep: neither a long chain nor a long cycle is too deep.
func TestPlanDeep(t *testing.T) {
	const length = 100_000
	var jobs []segment.Job
	for i := range length {
		jobs = append(jobs, segment.Job{ID: strconv.Itoa(i), From: []segment.ID{name(i)}, To: name(i + 1)})
	}
	affected := []segment.Affected{{Segment: name(0)}}
	got, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	require.Len(t, got.Steps, length)
	jobs[0].From = append(jobs[0].From, name(length/2))
	got, err = rerun.New(jobs, affected)
	require.NoError(t, err)
	require.Len(t, got.Conflicts, 1)
	require.Len(t, got.Conflicts[0].Steps, length/2)
	require.Len(t, got.Conflicts[0].Waiting, length-length/2)
}
