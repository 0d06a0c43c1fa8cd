package graph_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/rerun/internal/graph"
)

func TestNones(t *testing.T) {
	require.Empty(t, graph.Nones(0))
	require.Equal(t, []int32{-1, -1, -1}, graph.Nones(3))
}

// drawn returns the edges of a random graph, as a list and as rows.
func drawn(r *rand.Rand, nodes, most int) (edges [][]int32, rows graph.Rows) {
	rows = graph.NewRows(nodes, 0)
	for range nodes {
		var row []int32
		for range r.IntN(most + 1) {
			if to := r.Int32N(int32(nodes)); !slices.Contains(row, to) {
				row = append(row, to)
				rows.Add(to)
			}
		}
		rows.End()
		edges = append(edges, row)
	}
	return edges, rows
}

// TestRows: rows are what was added, and inverted rows hold each edge the other way
// round, in order.
func TestRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		nodes := 1 + r.IntN(20)
		edges, rows := drawn(r, nodes, 4)
		inverted := rows.Inverted(nodes)
		for n := range int32(nodes) {
			require.Equal(t, append([]int32{}, edges[n]...), append([]int32{}, rows.Row(n)...))
			want := []int32{}
			for from, row := range edges {
				if slices.Contains(row, n) {
					want = append(want, int32(from))
				}
			}
			require.Equal(t, want, append([]int32{}, inverted.Row(n)...))
		}
	}
}

// TestInterner: equal keys have equal numbers and others have not, and numbers are
// given in order.
func TestInterner(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	in := graph.NewInterner[string](1)
	var want []string
	for range 3000 {
		key := strconv.Itoa(r.IntN(500))
		place := slices.Index(want, key)
		n, added := in.Number(key)
		require.Equal(t, place < 0, added)
		if added {
			place = len(want)
			want = append(want, key)
		}
		require.Equal(t, int32(place), n)
	}
	require.Equal(t, want, in.Keys)
}

// TestQueue: the smallest first, whatever came when.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var q graph.Queue
	var naive []int32
	for range 5000 {
		require.Equal(t, len(naive), q.Len())
		if len(naive) == 0 || r.IntN(2) == 0 {
			n := r.Int32N(1000)
			q.Push(n)
			naive = append(naive, n)
			continue
		}
		smallest := slices.Index(naive, slices.Min(naive))
		require.Equal(t, naive[smallest], q.Pop())
		naive = slices.Delete(naive, smallest, smallest+1)
	}
}

// TestComponents: two nodes are in one component if and only if each can be reached
// from the other; a component comes after all that can be reached from it; and what
// cannot be reached from the given nodes is in none.
func TestComponents(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	several := 0
	for range 1000 {
		nodes := 1 + r.IntN(10)
		edges, rows := drawn(r, nodes, 2)
		reach := closure(edges)
		var from []int32
		for range r.IntN(nodes + 1) {
			from = append(from, r.Int32N(int32(nodes)))
		}
		component, found := graph.Components(nodes, from, rows.Row)
		seen := map[int32]bool{}
		for a := range nodes {
			inside := slices.ContainsFunc(from, func(f int32) bool { return int(f) == a || reach[f][a] })
			require.Equal(t, inside, component[a] != graph.None)
			if !inside {
				continue
			}
			seen[component[a]] = true
			for b := range nodes {
				together := a == b || reach[a][b] && reach[b][a]
				require.Equal(t, together, component[a] == component[b], "%v: %d and %d", edges, a, b)
				if reach[a][b] && !together {
					require.Greater(t, component[a], component[b])
				}
			}
		}
		require.Len(t, seen, int(found))
		several += len(seen)
	}
	require.Greater(t, several, 2000, "the graphs were worth it")
}

// closure reports of two nodes whether a path of one edge and more leads from the
// first to the second.
func closure(edges [][]int32) [][]bool {
	reach := make([][]bool, len(edges))
	for from, row := range edges {
		reach[from] = make([]bool, len(edges))
		for _, to := range row {
			reach[from][to] = true
		}
	}
	for via := range edges {
		for from := range edges {
			for to := range edges {
				reach[from][to] = reach[from][to] || reach[from][via] && reach[via][to]
			}
		}
	}
	return reach
}

// TestComponentsOfALongChain: neither a long chain nor a long cycle is too deep.
func TestComponentsOfALongChain(t *testing.T) {
	const length = 1_000_000
	next := []int32{0}
	successors := func(n int32) []int32 { next[0] = (n + 1) % length; return slices.Clone(next) }
	component, found := graph.Components(length, []int32{7}, successors)
	require.Equal(t, int32(1), found)
	require.Equal(t, int32(0), slices.Max(component))
	_, found = graph.Components(length, []int32{0}, func(n int32) []int32 {
		if n == length-1 {
			return nil
		}
		return successors(n)
	})
	require.Equal(t, int32(length), found)
}
