package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A place is where an affected segment stands among the others, the gravest first:
// what cannot be read, pages before tickets, what customers miss most, the graver
// kind, more users, and then by name.
type place struct {
	urgency, level, kind int
	users                int64
	id                   segment.ID
}

// levels are in the order in which they are listed.
var levels = []segment.Level{
	segment.LevelLost100, segment.LevelLost50, segment.LevelLost10, segment.LevelLost1, segment.LevelLive, segment.LevelProtected,
}

func placeOf(s *segment.SegmentState) place {
	a := s.Alert.Open
	if a == nil {
		return place{id: s.Segment}
	}
	m := worst(&s.Alert)
	p := place{urgency: 2, level: slices.Index(levels, m.Level), kind: slices.Index(validate.Kinds(), m.Kind), users: -a.Users, id: s.Segment}
	if m.Urgency == segment.Page {
		p.urgency = 1
	}
	return p
}

func (p place) compare(q place) int {
	return cmp.Or(
		cmp.Compare(p.urgency, q.urgency), cmp.Compare(p.level, q.level), cmp.Compare(p.kind, q.kind),
		cmp.Compare(p.users, q.users), p.id.Compare(q.id),
	)
}

func (p place) String() string {
	return fmt.Sprintf("%d.%d.%d.%d.%s", p.urgency, p.level, p.kind, -p.users, p.id)
}

// parsePlace reads what String wrote; "" is before all.
func parsePlace(s string) (*place, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no place is no error
	}
	parts := strings.SplitN(s, ".", 5)
	if len(parts) != 5 {
		return nil, badRequest("after", s)
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil {
			return nil, badRequest("after", s)
		}
		numbers[i] = n
	}
	id, err := parseID("after", parts[4])
	return &place{int(numbers[0]), int(numbers[1]), int(numbers[2]), -numbers[3], id}, err
}

// A filter is what people ask the affected segments for.
type filter struct {
	SiteGroup, Build string
	Kind             validate.Kind
	JobKind          segment.JobKind
	incident         string
	after            *place
}

func (f *filter) match(s *segment.SegmentState) bool {
	if f.Kind != "" && (s.Alert.Open == nil || worst(&s.Alert).Kind != f.Kind) {
		return false
	}
	by := segment.SegmentFilter{SiteGroup: f.SiteGroup, JobKind: f.JobKind, Build: f.Build}
	return by.Match(s)
}

// A census is what one way through the affected segments finds: how many there are,
// and of those that a filter takes the gravest after a place. It holds no more than
// it shows.
type census struct {
	filter filter
	keep   int
	rows   []segment.SegmentState // in order of their places
	places []place
	chosen counts // what the filter takes
	all    counts
	kinds  map[validate.Kind]int
	groups map[string]int
	builds map[string]int
	jobs   map[segment.JobKind]int
	more   bool // there are some after rows
}

// counts are of affected segments.
type counts struct{ segments, tooFew, live, protected, damaged int }

// takeCensus reads all segments that are affected, or those of the filter's incident.
func takeCensus(ctx context.Context, l segment.Ledger, f filter, keep int) (*census, error) {
	c := &census{
		filter: f, keep: keep,
		kinds: map[validate.Kind]int{}, groups: map[string]int{}, builds: map[string]int{}, jobs: map[segment.JobKind]int{},
	}
	for s, err := range l.Segments(ctx, segment.SegmentFilter{Affected: true, Incident: f.incident}) {
		if err != nil {
			return nil, fmt.Errorf("reading the affected segments: %w", err)
		}
		c.add(&s)
	}
	return c, nil
}

// add takes in a segment. One whose alert is over, and waits to be told so, is not
// affected; one whose alert cannot be read is.
func (c *census) add(s *segment.SegmentState) {
	a := s.Alert.Open
	if a == nil && (s.Damaged == nil || !slices.Contains(s.Damaged.Columns, "alert") && !s.Segment.IsZero()) {
		return
	}
	c.all.add(s)
	c.groups[s.Segment.SiteGroup]++
	if a != nil {
		c.kinds[worst(&s.Alert).Kind]++
		c.builds[a.Build]++
		c.jobs[a.Job.Kind]++
	}
	if !c.filter.match(s) {
		return
	}
	c.chosen.add(s)
	p := placeOf(s)
	if c.filter.after != nil && p.compare(*c.filter.after) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(c.places, p, place.compare)
	if at >= c.keep {
		c.more = true
		return
	}
	c.places, c.rows = slices.Insert(c.places, at, p), slices.Insert(c.rows, at, *s)
	if len(c.rows) > c.keep {
		c.more = true
		c.places, c.rows = c.places[:c.keep], c.rows[:c.keep]
	}
}

func (c *counts) add(s *segment.SegmentState) {
	c.segments++
	if s.Alert.Open == nil {
		c.damaged++
		return
	}
	switch m := worst(&s.Alert); {
	case m.Level == segment.LevelProtected:
		c.protected++
	case tooFew(m):
		c.tooFew++
		c.live++
	default:
		c.live++
	}
}

// next returns the place after which the next page begins, or "" where there is none.
func (c *census) next() string {
	if !c.more {
		return ""
	}
	return c.places[len(c.places)-1].String()
}
