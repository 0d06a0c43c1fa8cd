package rerun

// knots finds which segments of the jobs that are left can all be reached from
// each other, and how many such knots there are. It is Tarjan's algorithm for
// strongly connected components, without recursion: a chain may be long.
func (g *graph) knots(left []int32) (knot []int32, n int32) {
	f := &knotFinder{
		graph: g,
		knot:  nones(len(g.writer)),
		index: nones(len(g.writer)),
		low:   make([]int32, len(g.writer)),
	}
	for _, j := range left {
		if f.index[g.to[j]] == none {
			f.search(g.to[j])
		}
	}
	return f.knot, f.found
}

type knotFinder struct {
	*graph

	knot  []int32 // by segment: its knot, once that is complete
	index []int32 // by segment: when it was first come upon
	low   []int32 // by segment: the smallest index of an open one that it is known to reach
	open  []int32 // segments whose knot is not complete
	found int32
	time  int32
}

// A visit is a segment on the way that is being searched, and how many of its
// readers were followed.
type visit struct {
	segment int32
	readers int
}

func (f *knotFinder) search(from int32) {
	way := []visit{f.enter(from)}
	for len(way) > 0 {
		v := &way[len(way)-1]
		readers := f.readers.of(v.segment)
		if v.readers == len(readers) {
			f.leave(v.segment)
			way = way[:len(way)-1]
			if len(way) > 0 {
				before := way[len(way)-1].segment
				f.low[before] = min(f.low[before], f.low[v.segment])
			}
			continue
		}
		next := f.to[readers[v.readers]]
		v.readers++
		switch {
		case f.index[next] == none:
			way = append(way, f.enter(next))
		case f.knot[next] == none:
			f.low[v.segment] = min(f.low[v.segment], f.index[next])
		}
	}
}

func (f *knotFinder) enter(s int32) visit {
	f.index[s], f.low[s] = f.time, f.time
	f.time++
	f.open = append(f.open, s)
	return visit{segment: s}
}

// leave completes the knot of s, if s is where it was first come upon.
func (f *knotFinder) leave(s int32) {
	if f.low[s] != f.index[s] {
		return
	}
	for {
		last := f.open[len(f.open)-1]
		f.open = f.open[:len(f.open)-1]
		f.knot[last] = f.found
		if last == s {
			break
		}
	}
	f.found++
}
