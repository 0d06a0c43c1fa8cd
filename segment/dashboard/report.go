package dashboard

import (
	"context"
	"fmt"
	"io"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
)

// How much a report holds, so that a browser opens it at once.
const (
	segmentsOfReport  = 200 // in its table
	detailsOfReport   = 25  // with a part of their own
	incidentsOfReport = 10
	entriesOfReport   = 100
)

// Write writes what the pages show as one HTML file: the fleet with the 200 gravest
// segments, the latest 10 open incidents, the 25 gravest segments, the latest plan of reruns
// and the latest 100 entries of the log. It writes nothing if it returns an error of the
// ledger.
func Write(ctx context.Context, w io.Writer, l segment.Ledger, c Config) error {
	s := newSource(l, c)
	v, err := s.report(ctx)
	if err != nil {
		return fmt.Errorf("dashboard: writing the report: %w", err)
	}
	body, err := render("report", v)
	if err == nil {
		_, err = w.Write(body)
	}
	if err != nil {
		return fmt.Errorf("dashboard: writing the report: %w", err)
	}
	return nil
}

// A reportView is all pages in one.
type reportView struct {
	common

	Fleet     *fleetView
	Incidents []part[*incidentView]
	Segments  []part[*segmentView]
	Plan      *planView
	Log       *logView
}

// A part is a page in the report, and the name that links have for it.
type part[V any] struct {
	ID   string
	View V
}

// report decides first which parts there are, so that what links to one finds it.
func (s *source) report(ctx context.Context) (*reportView, error) {
	within := &within{map[segment.Key]string{}, map[string]string{}}
	s.static, s.links = true, within
	c, err := fleet.TakeCensus(ctx, s.ledger, fleet.Filter{}, detailsOfReport)
	if err != nil {
		return nil, err
	}
	for i := range c.Rows {
		if key := c.Rows[i].Key(); !key.Segment.IsZero() {
			within.segments[key] = fmt.Sprintf("segment-%d", i+1)
		}
	}
	incidents, err := s.latestIncidents(ctx, within)
	if err != nil {
		return nil, err
	}
	v := &reportView{common: s.common("Segments, as they were at "+s.stamp(s.config.now()).Text+" UTC", "")}
	if v.Fleet, err = s.fleet(ctx, fleet.Filter{}, segmentsOfReport); err != nil {
		return nil, err
	}
	for i, id := range incidents {
		one, err := s.incident(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		v.Incidents = append(v.Incidents, part[*incidentView]{fmt.Sprintf("incident-%d", i+1), one})
	}
	for i := range c.Rows {
		if c.Rows[i].Segment.IsZero() {
			continue
		}
		one, err := s.segment(ctx, c.Rows[i].Key())
		if err != nil {
			return nil, err
		}
		part := part[*segmentView]{within.segments[c.Rows[i].Key()], one}
		for k, chart := range one.Charts {
			chart.ID = fmt.Sprintf("%s-chart-%d", part.ID, k+1)
		}
		v.Segments = append(v.Segments, part)
	}
	if v.Plan, err = s.plan(ctx, "", 0); err != nil {
		return nil, err
	}
	v.Log, err = s.log(ctx, logFilter{}, entriesOfReport)
	return v, err
}

// latestIncidents returns the incidents that have a part in the report.
func (s *source) latestIncidents(ctx context.Context, links *within) (ids []string, err error) {
	for i, err := range s.ledger.Incidents(ctx, segment.IncidentFilter{Open: true}) {
		if err != nil {
			return nil, fmt.Errorf("reading the incidents: %w", err)
		}
		if i.Over.IsZero() {
			ids = append(ids, i.ID)
		}
	}
	ids = ids[max(0, len(ids)-incidentsOfReport):]
	for i, id := range ids {
		links.incidents[id] = fmt.Sprintf("incident-%d", i+1)
	}
	return ids, nil
}

// within are the links of a report: they lead to its parts, and nowhere else.
type within struct {
	segments  map[segment.Key]string
	incidents map[string]string
}

func to(part string) string {
	if part == "" {
		return ""
	}
	return "#" + part
}

func (w *within) fleet(_ fleet.Filter, after string) string {
	return unlessPaged("#fleet", after != "")
}
func (w *within) segment(key segment.Key) string    { return to(w.segments[key]) }
func (w *within) plan(_ string, from int) string    { return unlessPaged("#plan", from > 0) }
func (w *within) log(_ logFilter, limit int) string { return unlessPaged("#log", limit > 0) }

func (w *within) incident(id, after string) string {
	return unlessPaged(to(w.incidents[id]), after != "")
}

// unlessPaged returns no link to what a file does not hold: further pages.
func unlessPaged(link string, paged bool) string {
	if paged {
		return ""
	}
	return link
}
