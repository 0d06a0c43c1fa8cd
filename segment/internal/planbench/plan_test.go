package planbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

const million = 1_000_000

// platform is n jobs in any order, each of which reads three segments that
// others write. All are downstream of the one segment that is affected.
func platform(n int) ([]segment.Job, []segment.Affected) {
	r := rand.New(rand.NewPCG(1, 2))
	id := func(i int) segment.ID {
		return segment.ID{SiteGroup: fmt.Sprintf("site-group-%03d", i%500), Name: fmt.Sprintf("segment-%07d", i)}
	}
	jobs := make([]segment.Job, n)
	for i := range jobs {
		var from []segment.ID
		for len(from) < min(i, 3) {
			if seed := id(r.IntN(i)); !slices.Contains(from, seed) {
				from = append(from, seed)
			}
		}
		jobs[i] = segment.Lookalike(id(i), from...)
	}
	r.Shuffle(n, func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	return jobs, []segment.Affected{{Segment: id(0), Users: 1}}
}

// build is the same graph as gonum wants it; node i is job i.
func build(jobs []segment.Job) *simple.DirectedGraph {
	g := simple.NewDirectedGraph()
	writer := make(map[segment.ID]int64, len(jobs))
	for i := range jobs {
		writer[jobs[i].To] = int64(i)
		g.AddNode(simple.Node(i))
	}
	for i := range jobs {
		for _, from := range jobs[i].From {
			if w, known := writer[from]; known {
				g.SetEdge(simple.Edge{F: simple.Node(w), T: simple.Node(i)})
			}
		}
	}
	return g
}

// byName is the order that decides where dependency does not.
func byName(jobs []segment.Job) func([]graph.Node) {
	return func(nodes []graph.Node) {
		slices.SortFunc(nodes, func(a, b graph.Node) int { return strings.Compare(jobs[a.ID()].ID, jobs[b.ID()].ID) })
	}
}

// BenchmarkPlan measures the whole plan, described and in its order, and gonum's
// topological sorts of the same jobs, each with the building of its graph, in
// turn. The ratios are gonum's time over the plan's.
func BenchmarkPlan(b *testing.B) {
	jobs, affected := platform(million)
	var planned, sorted, stabilized time.Duration
	for b.Loop() {
		planned += timed(func() {
			p, err := rerun.New(jobs, affected)
			require.NoError(b, err)
			require.Len(b, p.Steps, len(jobs))
		})
		sorted += timed(func() {
			nodes, err := topo.Sort(build(jobs))
			require.NoError(b, err)
			require.Len(b, nodes, len(jobs))
		})
		stabilized += timed(func() {
			nodes, err := topo.SortStabilized(build(jobs), byName(jobs))
			require.NoError(b, err)
			require.Len(b, nodes, len(jobs))
		})
	}
	b.ReportMetric(0, "ns/op") // of no use: it is the three together
	b.ReportMetric(planned.Seconds()/float64(b.N), "s/plan")
	b.ReportMetric(sorted.Seconds()/float64(b.N), "s/gonum-Sort")
	b.ReportMetric(stabilized.Seconds()/float64(b.N), "s/gonum-SortStabilized")
	b.ReportMetric(sorted.Seconds()/planned.Seconds(), "x-Sort")
	b.ReportMetric(stabilized.Seconds()/planned.Seconds(), "x-SortStabilized")
}

// timed leaves nobody the garbage of the one before.
func timed(do func()) time.Duration {
	runtime.GC()
	start := time.Now()
	do()
	return time.Since(start)
}

// BenchmarkRun measures what running a plan costs for each step, beside the job.
func BenchmarkRun(b *testing.B) {
	p, err := rerun.New(platform(million))
	require.NoError(b, err)
	for _, limit := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("limit=", limit), func(b *testing.B) {
			for b.Loop() {
				_, err := p.Run(b.Context(), rerun.RunOptions{Limit: limit}, func(context.Context, segment.Job) error { return nil })
				require.NoError(b, err)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*len(p.Steps)), "µs/step")
		})
	}
}

// TestSameGraph: what is compared orders the same dependencies.
func TestSameGraph(t *testing.T) {
	jobs, affected := platform(5000)
	p, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	require.Len(t, p.Steps, len(jobs))
	place := map[string]int{}
	dependencies := 0
	for i, s := range p.Steps {
		place[s.Job.ID] = i
		for _, before := range s.After {
			require.Less(t, place[before], i)
			dependencies++
		}
	}
	g := build(jobs)
	require.Equal(t, dependencies, g.Edges().Len())
	nodes, err := topo.SortStabilized(g, byName(jobs))
	require.NoError(t, err)
	order := make([]int, len(nodes))
	for i, n := range nodes {
		order[n.ID()] = i
	}
	for edges := g.Edges(); edges.Next(); {
		e := edges.Edge()
		require.Less(t, order[e.From().ID()], order[e.To().ID()])
		require.Less(t, place[jobs[e.From().ID()].ID], place[jobs[e.To().ID()].ID])
	}
}
