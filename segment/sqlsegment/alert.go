package sqlsegment

import (
	"cmp"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// alertColumns are the columns of segmentguard_segments in which an alert stands:
// what people and filters ask for, and all of it as JSON. alert_kind, alert_severity
// and alert_level are the worst of the onset, as people were told.
var alertColumns = []string{
	"affected", "alert_open", "alert_pending", "alert_flapping", "alert_incident",
	"alert_kind", "alert_severity", "alert_level", "alert_since", "alert_users",
	"alert_site_group", "alert_job_kind", "alert_build", "alert",
}

// alertValues returns alertColumns. whole is the alert as JSON; nil: there is none.
func alertValues(d ledgerDialect, s *segment.SegmentState, whole []byte) ([]any, error) {
	a := &s.Alert
	values := []any{a.Affected(), a.Open != nil, a.Pending(), a.Flapping, unlessEmpty(a.Incident)}
	err := d.storableKey("Alert.Incident", a.Incident)
	if a.Open == nil {
		values = append(values, make([]any, 8)...)
	} else {
		open, worst := a.Open, worstMark(a)
		err = cmp.Or(err,
			d.storableKey("Alert.Kind", string(worst.Kind)), d.storableKey("Alert.Urgency", string(worst.Urgency)), d.storableKey("Alert.Level", string(worst.Level)),
			d.storable("Alert.Job.Kind", string(open.Job.Kind)), d.storableKey("Alert.Build", open.Build),
		)
		values = append(values,
			string(worst.Kind), string(worst.Urgency), string(worst.Level), d.time(open.Since), open.Users,
			s.Segment.SiteGroup, string(open.Job.Kind), open.Build)
	}
	if whole == nil {
		return append(values, nil), err
	}
	return append(values, string(whole)), err
}

// unlessEmpty returns NULL for an empty text: what is not there is in no index.
func unlessEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// worstMark returns the last mark, which is the worst. An alert of which nobody is
// told has none.
func worstMark(a *segment.AlertState) segment.Mark {
	if n := len(a.Marks); n > 0 {
		return a.Marks[n-1]
	}
	return segment.Mark{Urgency: a.Open.Urgency, Kind: a.Open.Kind, Level: a.Open.Level}
}

// segments selects the segments of f, but for After and Limit.
func (q *selection) segments(f *segment.SegmentFilter, d ledgerDialect) {
	if !f.Segment.IsZero() {
		q.where("segment = ?", f.Segment.String())
	}
	if f.SiteGroup != "" {
		q.siteGroup(f.SiteGroup)
	}
	q.flags(f)
	if f.Incident != "" {
		q.where("alert_incident = ?", f.Incident)
	}
	if f.JobKind != "" {
		q.where("alert_job_kind = ?", string(f.JobKind))
	}
	if f.Build != "" {
		q.where("alert_build = ?", f.Build)
	}
	if f.Urgency != "" || f.Kind != "" || f.Level != "" {
		q.mark(f)
	}
	if !f.Alone.IsZero() {
		q.where("alert_open = TRUE AND alert_incident IS NULL AND alert_flapping = FALSE AND alert_since >= ?", d.time(f.Alone))
	}
}

// flags selects by what is indexed, in the words by which the index knows it.
func (q *selection) flags(f *segment.SegmentFilter) {
	if f.Affected || f.Build == "" && (f.JobKind != "" || !f.Alone.IsZero()) {
		q.where("affected = TRUE")
	}
	if f.Pending {
		q.where("alert_pending = TRUE")
	}
	if f.Submitted {
		q.where("submitted_until IS NOT NULL")
	}
}

// mark selects by what people were told, of what is open.
func (q *selection) mark(f *segment.SegmentFilter) {
	q.where("affected = TRUE AND alert_open = TRUE") // in these words the index knows it
	if f.Urgency != "" {
		q.where("alert_severity = ?", string(f.Urgency))
	}
	if f.Level != "" {
		q.where("alert_level = ?", string(f.Level))
	}
	if f.Kind != "" {
		q.where("alert_kind = ?", string(f.Kind))
	}
}

// siteGroup selects the segments of a site group, which are neighbours: "group/…",
// up to "group0".
func (q *selection) siteGroup(group string) {
	first := segment.ID{SiteGroup: group}.String()
	q.where("segment >= ?", first)
	q.where("segment < ?", strings.TrimSuffix(first, "/")+"0")
}
