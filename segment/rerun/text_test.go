package rerun_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

func at(group, name string) segment.ID { return segment.ID{SiteGroup: group, Name: name} }

func prior(priority int, j segment.Job) segment.Job {
	j.Priority = priority
	return j
}

// TestPlanText is what an engineer reads at night: by hand first, then the steps,
// then what could not be planned and why.
func TestPlanText(t *testing.T) {
	jobs := []segment.Job{
		prior(10, segment.Lookalike(at("site-a", "cars"), at("site-a", "buyers"))),
		prior(10, segment.Copy(at("site-b", "cars"), at("site-a", "cars"))),
		segment.Lookalike(at("site-b", "like-cars"), at("site-b", "cars"), at("site-b", "vans")),
		segment.Copy(at("site-c", "vans"), at("site-a", "vans")),
		{ID: "nightly 17", Priority: -3, To: at("site-d", "vans\x1b[2J"), From: []segment.ID{at("site-c", "vans")}},
		segment.Copy(at("site-e", "boats"), at("site-d", "boats")),
		segment.Lookalike(at("site-e", "boats"), at("site-a", "vans")),
		segment.Copy(at("site-f", "boats"), at("site-e", "boats")),
		segment.Copy(at("site-f", "planes"), at("site-g", "planes")),
		segment.Lookalike(at("site-g", "planes"), at("site-f", "planes"), at("site-e", "boats")),
		segment.Copy(at("site-h", "planes"), at("site-f", "planes")),
		segment.Lookalike(at("site-i", "trains"), at("site-i", "trains")),
		segment.Lookalike(at("site-i", "all"), at("site-i", "trains"), at("site-f", "planes")),
	}
	p, err := rerun.New(jobs, []segment.Affected{
		{Segment: at("site-a", "cars"), Users: 812_345},
		{Segment: at("site-b", "cars"), Users: 10_000},
		{Segment: at("site-a", "vans"), Users: 1_000_000},
		{Segment: at("site-i", "trains")},
		{Segment: at("site-z", "lost"), Users: 1},
	})
	require.NoError(t, err)
	require.Equal(t, `Rerun 5 jobs for 5 affected segments, 1,822,346 users at stake.
By kind: 2 copy, 2 lookalike, 1 without a kind.
By site group: 2 site-b, 1 site-a, 1 site-c, 1 site-d.
2 can start at once; the longest chain has 3 steps.
3 conflicts hold up 8 more jobs: see the end.

First, by hand: no job writes these affected segments.
  - site-a/vans, 1,000,000 users at stake; read by 3
  - site-z/lost, 1 user at stake

  1. lookalike site-a/buyers to site-a/cars (priority 10): affected, 812,345 users at stake
  2. copy site-a/cars to site-b/cars (priority 10): affected, 10,000 users at stake, reads site-a/cars; after 1
  3. copy site-a/vans to site-c/vans: reads site-a/vans
  4. lookalike site-b/cars + site-b/vans to site-b/like-cars: reads site-b/cars; after 2
  5. nightly 17 (to "site-d/vans\x1b[2J", priority -3): reads site-c/vans; after 3

Not planned: 8 jobs. Solve the conflicts in this order and plan again; the outcome so far resumes the new plan.

  Conflict 1: 2 jobs write site-e/boats, which of them is to be the last?
      - copy site-d/boats to site-e/boats
      - lookalike site-a/vans to site-e/boats: reads site-a/vans
    It holds up 1 job, and more listed with conflict 2:
      - copy site-e/boats to site-f/boats: reads site-e/boats

  Conflict 2: a cycle, each of these 2 jobs reads what the one before it writes
      - copy site-g/planes to site-f/planes: reads site-g/planes
      - lookalike site-f/planes + site-e/boats to site-g/planes: reads site-f/planes and site-e/boats
    It holds up 1 job, and more listed with conflict 3:
      - copy site-f/planes to site-h/planes: reads site-f/planes

  Conflict 3: this job reads what it writes itself
      - lookalike site-i/trains to site-i/trains: affected, reads site-i/trains
    It holds up 1 job:
      - lookalike site-i/trains + site-f/planes to site-i/all: reads site-i/trains and site-f/planes
`, p.String())
}

func TestPlanTextSmall(t *testing.T) {
	job := segment.Job{ID: "one", To: at("a", "x")}
	huge := []segment.Affected{{Segment: at("a", "x"), Users: math.MaxInt64}, {Segment: at("a", "y"), Users: 1}}
	for _, c := range []struct {
		reason   string
		jobs     []segment.Job
		affected []segment.Affected
		want     string
	}{
		{"nothing to do is said, not left blank", []segment.Job{job}, nil, "Nothing is affected, no job to rerun.\n"},
		{"only by hand", nil, []segment.Affected{{Segment: at("a", "x")}}, "Rerun 0 jobs for 1 affected segment.\n\nFirst, by hand: no job writes this affected segment.\n  - a/x\n"},
		{"users add up to what can be said", []segment.Job{job}, huge[:2], "Rerun 1 job for 2 affected segments, 9,223,372,036,854,775,807 users at stake.\n"},
		{"one of everything", []segment.Job{job}, []segment.Affected{{Segment: at("a", "x"), Users: 1}}, "Rerun 1 job for 1 affected segment, 1 user at stake.\n1 can start at once; the longest chain has 1 step.\n\n  1. one (to a/x): affected, 1 user at stake\n"},
		{
			"one conflict that holds up nothing else",
			[]segment.Job{segment.Copy(at("a", "x"), at("a", "x"))},
			[]segment.Affected{{Segment: at("a", "x")}},
			"Rerun 0 jobs for 1 affected segment.\n1 conflict holds up 1 more job: see the end.\n\nNot planned: 1 job. Solve the conflict and plan again; the outcome so far resumes the new plan.\n\n  Conflict 1: this job reads what it writes itself\n      - copy a/x to a/x: affected, reads a/x\n    It holds up no other job.\n",
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			p, err := rerun.New(c.jobs, c.affected)
			require.NoError(t, err)
			require.Equal(t, c.want, p.String()[:len(c.want)])
		})
	}
	require.Equal(t, "no plan\n", rerun.Plan{}.String())
}

// TestPlanTextTellsTheLongestChain: each step is one longer than the longest that
// it waits for, whichever of several that is.
func TestPlanTextTellsTheLongestChain(t *testing.T) {
	copies := func(fromTo ...[2]int) (jobs []segment.Job) {
		for _, c := range fromTo {
			jobs = append(jobs, segment.Copy(name(c[1]), name(c[0])))
		}
		return jobs
	}
	several := append(copies([2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}, [2]int{4, 5}, [2]int{6, 7}),
		segment.Lookalike(name(9), name(3), name(5)))
	for _, c := range []struct {
		jobs     []segment.Job
		affected []segment.Affected // those of more users come first
		want     string
	}{
		{
			copies([2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3}, [2]int{1, 4}), []segment.Affected{{Segment: name(1)}},
			"1 can start at once; the longest chain has 3 steps.",
		},
		{
			several, []segment.Affected{
				{Segment: name(1), Users: 100}, {Segment: name(2), Users: 100}, {Segment: name(3), Users: 100}, {Segment: name(5), Users: 50}, {Segment: name(7), Users: 40},
			},
			"the longest chain has 4 steps.",
		},
	} {
		p, err := rerun.New(c.jobs, c.affected)
		require.NoError(t, err)
		require.Contains(t, p.String(), c.want)
	}
}

// TestPlanTextGroups: the largest kinds and site groups are counted one by one, the
// others together, and every job once.
func TestPlanTextGroups(t *testing.T) {
	var jobs []segment.Job
	var affected []segment.Affected
	add := func(n int, kind segment.JobKind, group string) {
		for range n {
			id := at(group, fmt.Sprint("s", len(jobs)))
			jobs = append(jobs, segment.Job{ID: fmt.Sprint("job ", len(jobs)), Kind: kind, To: id})
			affected = append(affected, segment.Affected{Segment: id})
		}
	}
	text := func() string {
		p, err := rerun.New(jobs, affected)
		require.NoError(t, err)
		return p.String()
	}
	add(2, "copy", "b\x1b")
	add(1200, "lookalike", "c")
	add(1, "", "")
	require.Contains(t, text(), "\nBy kind: 1,200 lookalike, 2 copy, 1 without a kind.\nBy site group: 1,200 c, 2 \"b\\x1b\", 1 without a site group.\n")
	for i := range 7 {
		add(3, "copy", fmt.Sprint("g", i))
	}
	require.Contains(t, text(), "\nBy site group: 1,200 c, 3 g0, 3 g1, 3 g2, 3 g3, 3 g4, 3 g5, 3 g6, 2 \"b\\x1b\", 1 without a site group.\n", "ten are listed")
	add(1, "copy", "z")
	require.Contains(t, text(), "1 without a site group, 1 in 1 other site group.\n")
	add(2, "copy", "y")
	require.Contains(t, text(), "3 g6, 2 \"b\\x1b\", 2 y, 2 in 2 other site groups.\n")
}

// TestPlanTextNumbers: many steps line up, and many predecessors stay readable.
func TestPlanTextNumbers(t *testing.T) {
	var jobs []segment.Job
	var all []segment.ID
	var affected []segment.Affected
	for i := range 1100 {
		id := at("a", fmt.Sprintf("s%04d", i))
		all = append(all, id)
		jobs = append(jobs, segment.Copy(id, at("b", "x")))
		affected = append(affected, segment.Affected{Segment: id})
	}
	jobs = append(jobs, segment.Job{ID: "last", To: at("c", "x"), From: append(append(append([]segment.ID{}, all[:3]...), all[10:12]...), all[500:]...)})
	p, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	require.Contains(t, p.String(), "\n      1. copy b/x to a/s0000: affected\n")
	require.Contains(t, p.String(), "\n  1,100. copy b/x to a/s1099: affected\n")
	require.Contains(t, p.String(), "; after 1–3, 11, 12, 501–1,100\n")
}
