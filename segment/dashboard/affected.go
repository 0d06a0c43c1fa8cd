package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A class is segments that are equally grave.
type class struct {
	urgency segment.Urgency
	level   segment.Level
	kind    validate.Kind
}

// compare orders classes, the gravest first: pages before tickets, what customers miss
// most, and then the graver kind.
func (c class) compare(d class) int {
	return cmp.Or(
		cmp.Compare(rank(c.urgency), rank(d.urgency)), d.level.Compare(c.level), c.kind.Compare(d.kind),
		cmp.Compare(c.urgency, d.urgency), cmp.Compare(c.level, d.level), cmp.Compare(c.kind, d.kind), // of values that are not known
	)
}

func rank(u segment.Urgency) int {
	if u == segment.Page {
		return 0
	}
	return 1
}

// tooFew reports whether live segments of a class hold fewer users than they should.
func (c class) tooFew() bool {
	if c.level == segment.LevelProtected {
		return false
	}
	if c.level.Compare(segment.LevelLive) > 0 {
		return true
	}
	switch c.kind { //nolint:exhaustive // of the others nobody knows, or users are there that should not be
	case validate.Empty, validate.Truncated, validate.Capped, validate.Gap, validate.Short, validate.Dropped, validate.Leaking:
		return true
	}
	return false
}

// A place is where an affected segment stands among the others: in its class by name.
type place struct {
	class

	key segment.Key
}

func (p *place) String() string {
	return strings.Join([]string{string(p.urgency), string(p.level), string(p.kind), p.key.Store + "\x00" + p.key.Segment.String()}, "|") // a store may have a bar in its name
}

// parsePlace reads what String wrote; "" is before all.
func parsePlace(s string) (*place, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no place is no error
	}
	parts := strings.SplitN(s, "|", 4)
	if len(parts) != 4 {
		return nil, badRequest("after", s)
	}
	store, text, _ := strings.Cut(parts[3], "\x00")
	id, err := parseID("after", text)
	return &place{class{segment.Urgency(parts[0]), segment.Level(parts[1]), validate.Kind(parts[2])}, id.In(store)}, err
}

// A filter is what people ask the affected segments for.
type filter struct {
	SiteGroup, Build string
	Kind             validate.Kind
	JobKind          segment.JobKind
	incident         string
	after            *place
}

func (f *filter) match(c *segment.AlertCount) bool {
	return (f.SiteGroup == "" || f.SiteGroup == c.SiteGroup) && (f.Build == "" || f.Build == c.Build) && (f.Kind == "" || f.Kind == c.Kind) &&
		(f.JobKind == "" || f.JobKind == c.JobKind)
}

// A census says how many segments are affected, and which of those that a filter takes
// come after a place, the gravest first. It reads no more of them than it shows.
type census struct {
	filter filter
	rows   []segment.SegmentState
	next   *place // after which there are more; nil: there are none
	all    counts // those of the filter's incident, where it has one
	chosen counts // what the filter takes
	kinds  map[validate.Kind]int
	groups map[string]int
	builds map[string]int
	jobs   map[segment.JobKind]int
}

// counts are of affected segments.
type counts struct{ segments, tooFew, live, protected int }

func (c *counts) add(of class, n int) {
	c.segments += n
	switch {
	case of.level == segment.LevelProtected:
		c.protected += n
		return
	case of.tooFew():
		c.tooFew += n
	}
	c.live += n
}

// takeCensus counts the open alerts, and reads as many segments as are shown.
func takeCensus(ctx context.Context, l segment.Ledger, f filter, rows int) (*census, error) {
	c := &census{
		filter: f,
		kinds:  make(map[validate.Kind]int), groups: make(map[string]int), builds: make(map[string]int), jobs: make(map[segment.JobKind]int),
	}
	alerts, err := l.CountAlerts(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting the alerts: %w", err)
	}
	classes := map[class]bool{}
	for i := range alerts {
		a := &alerts[i]
		if f.incident != "" && f.incident != a.Incident {
			continue
		}
		is := class{a.Urgency, a.Level, a.Kind}
		c.all.add(is, a.Alerts)
		c.kinds[a.Kind] += a.Alerts
		c.groups[a.SiteGroup] += a.Alerts
		c.builds[a.Build] += a.Alerts
		c.jobs[a.JobKind] += a.Alerts
		if f.match(a) {
			c.chosen.add(is, a.Alerts)
			classes[is] = true
		}
	}
	return c, c.read(ctx, l, slices.SortedFunc(maps.Keys(classes), class.compare), rows)
}

// read reads so many segments, class by class.
func (c *census) read(ctx context.Context, l segment.Ledger, classes []class, rows int) error {
	for _, of := range classes {
		f := segment.SegmentFilter{
			SiteGroup: c.filter.SiteGroup, Build: c.filter.Build, JobKind: c.filter.JobKind, Incident: c.filter.incident,
			Urgency: of.urgency, Level: of.level, Kind: of.kind, Limit: rows + 1 - len(c.rows),
		}
		if after := c.filter.after; after != nil {
			switch order := of.compare(after.class); {
			case order < 0:
				continue
			case order == 0:
				f.After = after.key
			}
		}
		for s, err := range l.Segments(ctx, f) {
			if err != nil {
				return fmt.Errorf("reading the affected segments: %w", err)
			}
			if len(c.rows) == rows {
				return nil
			}
			c.rows = append(c.rows, s)
			c.next = &place{of, s.Key()}
		}
	}
	c.next = nil
	return nil
}
