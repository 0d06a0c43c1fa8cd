// Package fleet says how all segments are, and one of them, in the words in which pages
// and commands say it to people.
package fleet

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

// A Class is segments that are equally grave.
type Class struct {
	Urgency segment.Urgency
	Level   segment.Level
	Kind    validate.Kind
}

// Compare orders classes, the gravest first: pages before tickets, what customers miss
// most, and then the graver kind.
func (c Class) Compare(d Class) int {
	return cmp.Or(
		cmp.Compare(rank(c.Urgency), rank(d.Urgency)), d.Level.Compare(c.Level), c.Kind.Compare(d.Kind),
		cmp.Compare(c.Urgency, d.Urgency), cmp.Compare(c.Level, d.Level), cmp.Compare(c.Kind, d.Kind), // of values that are not known
	)
}

func rank(u segment.Urgency) int {
	if u == segment.Page {
		return 0
	}
	return 1
}

// TooFew reports whether live segments of a class hold fewer users than they should.
func (c Class) TooFew() bool {
	if c.Level == segment.LevelProtected {
		return false
	}
	if c.Level.Compare(segment.LevelLive) > 0 {
		return true
	}
	switch c.Kind { //nolint:exhaustive // of the others nobody knows, or users are there that should not be
	case validate.Empty, validate.Truncated, validate.Capped, validate.Gap, validate.Short, validate.Dropped, validate.Leaking:
		return true
	}
	return false
}

// A Place is where an affected segment stands among the others: in its class by name.
type Place struct {
	Class

	Key segment.Key
}

func (p *Place) String() string {
	return strings.Join([]string{string(p.Urgency), string(p.Level), string(p.Kind), p.Key.Store + "\x00" + p.Key.Segment.String()}, "|") // a store may have a bar in its name
}

// ParsePlace reads what String wrote; "" is before all.
func ParsePlace(s string) (*Place, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no place is no error
	}
	parts := strings.SplitN(s, "|", 4)
	if len(parts) != 4 {
		return nil, fmt.Errorf("no place is called %q", s)
	}
	store, text, _ := strings.Cut(parts[3], "\x00")
	id, err := segment.ParseID(text)
	return &Place{Class{segment.Urgency(parts[0]), segment.Level(parts[1]), validate.Kind(parts[2])}, id.In(store)}, err
}

// A Filter is what people ask the affected segments for.
type Filter struct {
	SiteGroup, Build string
	Kind             validate.Kind
	JobKind          segment.JobKind
	Incident         string
	After            *Place
}

func (f *Filter) match(c *segment.AlertCount) bool {
	return (f.SiteGroup == "" || f.SiteGroup == c.SiteGroup) && (f.Build == "" || f.Build == c.Build) && (f.Kind == "" || f.Kind == c.Kind) &&
		(f.JobKind == "" || f.JobKind == c.JobKind)
}

// A Census says how many segments are affected, and which of those that a filter takes
// come after a place, the gravest first. It reads no more of them than it shows.
type Census struct {
	Filter Filter
	Rows   []segment.SegmentState
	Next   *Place // after which there are more; nil: there are none
	All    Counts // all there are
	Chosen Counts // what the filter takes
	Kinds  map[validate.Kind]int
	Groups map[string]int
	Builds map[string]int
	Jobs   map[segment.JobKind]int
}

// Counts are of affected segments.
type Counts struct{ Segments, TooFew, Live, Protected int }

func (c *Counts) add(of Class, n int) {
	c.Segments += n
	switch {
	case of.Level == segment.LevelProtected:
		c.Protected += n
		return
	case of.TooFew():
		c.TooFew += n
	}
	c.Live += n
}

// TakeCensus counts the open alerts, and reads as many segments as are shown.
func TakeCensus(ctx context.Context, l segment.Ledger, f Filter, rows int) (*Census, error) {
	c := &Census{
		Filter: f,
		Kinds:  make(map[validate.Kind]int), Groups: make(map[string]int), Builds: make(map[string]int), Jobs: make(map[segment.JobKind]int),
	}
	alerts, err := l.CountAlerts(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting the alerts: %w", err)
	}
	classes := map[Class]bool{}
	for i := range alerts {
		a := &alerts[i]
		is := Class{a.Urgency, a.Level, a.Kind}
		c.All.add(is, a.Alerts)
		if f.Incident != "" && f.Incident != a.Incident {
			continue
		}
		c.Kinds[a.Kind] += a.Alerts
		c.Groups[a.SiteGroup] += a.Alerts
		c.Builds[a.Build] += a.Alerts
		c.Jobs[a.JobKind] += a.Alerts
		if f.match(a) {
			c.Chosen.add(is, a.Alerts)
			classes[is] = true
		}
	}
	return c, c.read(ctx, l, slices.SortedFunc(maps.Keys(classes), Class.Compare), rows)
}

// read reads so many segments, class by class.
func (c *Census) read(ctx context.Context, l segment.Ledger, classes []Class, rows int) error {
	for _, of := range classes {
		f := segment.SegmentFilter{
			SiteGroup: c.Filter.SiteGroup, Build: c.Filter.Build, JobKind: c.Filter.JobKind, Incident: c.Filter.Incident,
			Urgency: of.Urgency, Level: of.Level, Kind: of.Kind, Limit: rows + 1 - len(c.Rows),
		}
		if after := c.Filter.After; after != nil {
			switch order := of.Compare(after.Class); {
			case order < 0:
				continue
			case order == 0:
				f.After = after.Key
			}
		}
		for s, err := range l.Segments(ctx, f) {
			if err != nil {
				return fmt.Errorf("reading the affected segments: %w", err)
			}
			if len(c.Rows) == rows {
				return nil
			}
			c.Rows = append(c.Rows, s)
			c.Next = &Place{of, s.Key()}
		}
	}
	c.Next = nil
	return nil
}
