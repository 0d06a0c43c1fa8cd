package graph

// Components returns the strongly connected component of each of the count nodes,
// None for those that cannot be reached from the given ones, and how many
// components there are. It is Tarjan's algorithm, without recursion: a chain may
// be long. successors is called once for each node.
func Components(count int, from []int32, successors func(node int32) []int32) (component []int32, found int32) {
	s := &search{
		successors: successors,
		component:  Nones(count),
		index:      Nones(count),
		low:        make([]int32, count),
	}
	for _, n := range from {
		if s.index[n] == None {
			s.from(n)
		}
	}
	return s.component, s.found
}

type search struct {
	successors func(int32) []int32

	component []int32 // by node, once the component is complete
	index     []int32 // by node: when it was first visited
	low       []int32 // by node: the smallest index of an open node that it is known to reach
	open      []int32 // the nodes whose component is not complete
	found     int32   // components
	visited   int32   // nodes
}

// A visit is a node on the path that is being searched, with the successors that
// were not followed yet.
type visit struct {
	node int32
	left []int32
}

func (s *search) from(node int32) {
	path := []visit{s.enter(node)}
	for len(path) > 0 {
		v := &path[len(path)-1]
		if len(v.left) == 0 {
			s.leave(v.node)
			path = path[:len(path)-1]
			if len(path) > 0 {
				before := path[len(path)-1].node
				s.low[before] = min(s.low[before], s.low[v.node])
			}
			continue
		}
		next := v.left[0]
		v.left = v.left[1:]
		switch {
		case s.index[next] == None:
			path = append(path, s.enter(next))
		case s.component[next] == None:
			s.low[v.node] = min(s.low[v.node], s.index[next])
		}
	}
}

func (s *search) enter(node int32) visit {
	s.index[node], s.low[node] = s.visited, s.visited
	s.visited++
	s.open = append(s.open, node)
	return visit{node: node, left: s.successors(node)}
}

// leave completes the component of a node, if that is where it was entered.
func (s *search) leave(node int32) {
	if s.low[node] != s.index[node] {
		return
	}
	for {
		last := s.open[len(s.open)-1]
		s.open = s.open[:len(s.open)-1]
		s.component[last] = s.found
		if last == node {
			break
		}
	}
	s.found++
}
