package dashboard

import (
	"context"
	"fmt"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// mostNeighbours is how many jobs of one segment are asked for; one more says that
// there are more.
const mostNeighbours = 50

// jobs returns jobs that write or read a segment.
func (s *source) jobs(ctx context.Context, f segment.JobFilter) (jobs []segment.Job, err error) {
	f.Limit = mostNeighbours
	for j, err := range s.ledger.Jobs(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reading the jobs: %w", err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// hasJobs reports whether a job writes or reads a segment.
func (s *source) hasJobs(ctx context.Context, id segment.ID) (bool, error) {
	for _, f := range []segment.JobFilter{{To: id}, {From: id}} {
		jobs, err := s.jobs(ctx, f)
		if err != nil || len(jobs) > 0 {
			return len(jobs) > 0, err
		}
	}
	return false, nil
}

// A node is a segment in a tree, with what is beyond it.
type node struct {
	ref

	Badge fleet.Badge
	Via   string // the kind of the job between it and the one before
	Again bool   // it stands elsewhere in the tree, with what is beyond it
	More  int    // so many are left out
	Nodes []node
}

// A tree grows from a segment up or down. It ends with how many nodes and levels a
// person can read.
type tree struct {
	*source

	room  int
	seen  map[segment.ID]bool
	known map[segment.ID]*segment.SegmentState
}

const (
	treeNodes = 60
	treeDepth = 8
)

func (s *source) newTree(known []segment.SegmentState) *tree {
	t := &tree{source: s, room: treeNodes, seen: map[segment.ID]bool{}, known: map[segment.ID]*segment.SegmentState{}}
	for i := range known {
		t.known[known[i].Segment] = &known[i]
	}
	return t
}

// state returns the state of a segment in the store in which it is affected, or else
// in any.
func (t *tree) state(ctx context.Context, id segment.ID) (*segment.SegmentState, error) {
	if s, ok := t.known[id]; ok {
		return s, nil
	}
	s, _, err := fleet.State(ctx, t.ledger, id.In(""))
	t.known[id] = &s
	return &s, err
}

// A step is one job away from a segment.
type step struct {
	id  segment.ID
	via segment.JobKind
}

// A direction returns what is beyond a segment.
type direction func(context.Context, *segment.SegmentState) ([]step, error)

// downstream returns what is made from a segment.
func (t *tree) downstream(ctx context.Context, s *segment.SegmentState) (steps []step, err error) {
	jobs, err := t.jobs(ctx, segment.JobFilter{From: s.Segment})
	for _, j := range jobs {
		steps = append(steps, step{j.To, j.Kind})
	}
	return steps, err
}

// upstream returns what a segment is made from: where no jobs are known, by its alert.
func (t *tree) upstream(ctx context.Context, s *segment.SegmentState) (steps []step, err error) {
	jobs, err := t.jobs(ctx, segment.JobFilter{To: s.Segment})
	if a := s.Alert.Open; len(jobs) == 0 && a != nil {
		if !a.Upstream.IsZero() && !slices.Contains(a.Job.From, a.Upstream) {
			steps = append(steps, step{a.Upstream, a.Job.Kind})
		}
		jobs = []segment.Job{a.Job}
	}
	for _, j := range jobs {
		for _, from := range j.From {
			steps = append(steps, step{from, j.Kind})
		}
	}
	return steps, err
}

// grow returns the node of a segment with those beyond it.
func (t *tree) grow(ctx context.Context, id segment.ID, via segment.JobKind, depth int, beyond direction) (n node, err error) {
	t.room--
	state, err := t.state(ctx, id)
	if err != nil {
		return n, err
	}
	n = node{ref: t.ref(state.Key()), Badge: fleet.BadgeOf(state), Via: text.Visible(string(via)), Again: t.seen[id]}
	if state.IsZero() {
		if known, err := t.hasJobs(ctx, id); err != nil || !known {
			n.URL = ""
		}
	}
	if t.seen[id] {
		return n, nil
	}
	t.seen[id] = true
	steps, err := beyond(ctx, state)
	if err != nil {
		return n, err
	}
	for _, next := range steps {
		if t.room <= 0 || depth >= treeDepth {
			n.More++
			continue
		}
		child, err := t.grow(ctx, next.id, next.via, depth+1, beyond)
		if err != nil {
			return n, err
		}
		n.Nodes = append(n.Nodes, child)
	}
	return n, nil
}

// roots returns the affected segments that the trouble of some comes from, as far as
// it can be followed, at most n.
func (t *tree) roots(ctx context.Context, rows []segment.SegmentState, n int) ([]segment.ID, error) {
	var roots []segment.ID
	for i := range rows {
		at := &rows[i]
		for range treeDepth {
			a := at.Alert.Open
			if a == nil || a.Upstream.IsZero() {
				break
			}
			next, err := t.state(ctx, a.Upstream)
			if err != nil {
				return nil, err
			}
			if next.Alert.Open == nil {
				break
			}
			at = next
		}
		if !slices.Contains(roots, at.Segment) {
			roots = append(roots, at.Segment)
		}
		if len(roots) == n {
			break
		}
	}
	return roots, nil
}
