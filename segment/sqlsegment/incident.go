package sqlsegment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// segmentguard_incidents holds a row an incident: what people ask for, and all of it
// as JSON. Its members are counted from their own rows each time, so that no
// segment's change waits for an incident's row.

// incidentColumns are all columns of segmentguard_incidents but its key.
var incidentColumns = []string{
	"begun", "ended", "active", "severity", "level", "job_kind", "build", "site_group", "listing", "stale", "store", "incident",
}

// incidentValues returns the ID and incidentColumns.
func incidentValues(d ledgerDialect, i *segment.Incident) ([]any, error) {
	whole, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	c, last := &i.Cause, segment.Ring{}
	if n := len(i.Rings); n > 0 {
		last = i.Rings[n-1]
	}
	err = cmp.Or(
		d.storableKey("Incident.ID", i.ID), d.storable("Incident.Cause.JobKind", string(c.JobKind)), d.storable("Incident.Cause.Build", c.Build),
		d.storable("Incident.Cause.SiteGroup", c.SiteGroup), d.storable("Incident.Cause.Store", c.Store),
		d.storable("Incident.Rings.Urgency", string(last.Urgency)), d.storable("Incident.Rings.Level", string(last.Level)),
	)
	var ended any
	if !i.Over.IsZero() {
		ended = d.time(i.Over)
	}
	return []any{
		i.ID, d.time(i.Begun), ended, i.Over.IsZero() || i.Pending(), string(last.Urgency), string(last.Level),
		string(c.JobKind), c.Build, c.SiteGroup, c.Listing, c.Stale, c.Store, string(whole),
	}, err
}

func scanIncident(scan scanner) (i segment.Incident, err error) {
	var id, whole []byte
	if err := scan(&id, &whole); err != nil {
		return i, err
	}
	if err := json.Unmarshal(whole, &i); err != nil {
		return i, fmt.Errorf("incident %s: %w", id, err)
	}
	i.ID = string(id)
	return i, nil
}

// Incidents implements segment.Ledger.
func (l *Ledger) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	q := selection{columns: "id, incident", table: "segmentguard_incidents", key: "id"}
	if f.ID != "" {
		q.where("id = ?", f.ID)
	}
	if c := f.Cause; c != (segment.Cause{}) {
		q.where("job_kind = ?", string(c.JobKind))
		q.where("build = ?", c.Build)
		q.where("site_group = ?", c.SiteGroup)
	}
	if f.Open {
		q.where("active = TRUE")
	}
	if !f.Since.IsZero() {
		q.where("begun >= ?", l.dialect.time(f.Since))
	}
	query := l.dialect.bind("SELECT id, incident FROM segmentguard_incidents WHERE " +
		strings.Join(append([]string{"(begun > ? OR begun = ? AND id > ?)"}, q.conditions...), " AND ") + " ORDER BY begun, id LIMIT ?")
	type place struct {
		begun time.Time
		id    string
	}
	read := func(ctx context.Context, from any, n int) (page []segment.Incident, err error) {
		after, _ := from.(place)
		begun := l.dialect.time(after.begun)
		err = l.read(ctx, func(s session) error {
			err := each(ctx, s, query, slices.Concat([]any{begun, begun, after.id}, q.args, []any{n}), func(scan scanner) error {
				i, err := scanIncident(scan)
				page = append(page, i)
				return err
			})
			if err != nil {
				return err
			}
			return countMembers(ctx, s, l.dialect, page)
		})
		return page, wrap("reading the incidents", err)
	}
	pages := ahead(ctx, any(place{}), 0, read, func(i *segment.Incident) any { return place{i.Begun, i.ID} })
	return func(yield func(segment.Incident, error) bool) {
		for i, err := range flat(pages) {
			if (err != nil || f.Match(&i)) && !yield(i, err) {
				return
			}
		}
	}
}

// countMembers counts the members of incidents.
func countMembers(ctx context.Context, s session, d ledgerDialect, incidents []segment.Incident) error {
	for incidents := range slices.Chunk(incidents, chunk) {
		of := make(map[string]*segment.Members, len(incidents))
		var ids []any
		for k := range incidents {
			ids = append(ids, incidents[k].ID)
			of[incidents[k].ID] = &incidents[k].Members
		}
		from := " FROM segmentguard_segments WHERE alert_incident IN (" + list("?", len(ids)) + ") AND alert_open = TRUE GROUP BY alert_incident"
		query := "SELECT alert_incident, count(*), sum(alert_users), alert_kind, alert_severity, alert_level" + from + ", alert_kind, alert_severity, alert_level"
		err := each(ctx, s, d.bind(query+d.unlimited()), ids, func(scan scanner) error {
			var id, kind, severity, level string
			var n int
			var users int64
			err := scan(&id, &n, &users, &kind, &severity, &level)
			if m := of[id]; m != nil {
				addMembers(m, n, users, segment.Mark{Kind: validate.Kind(kind), Urgency: segment.Urgency(severity), Level: segment.Level(level)})
			}
			return err
		})
		if err != nil {
			return err
		}
		query = "SELECT alert_incident, count(DISTINCT alert_site_group), min(alert_site_group)" + from
		err = each(ctx, s, d.bind(query+d.unlimited()), ids, func(scan scanner) error {
			var id, group string
			var n int
			err := scan(&id, &n, &group)
			if m := of[id]; m != nil {
				if m.SiteGroups = n; n == 1 {
					m.SiteGroup = group
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addMembers adds n members whose worst mark is the same.
func addMembers(m *segment.Members, n int, users int64, worst segment.Mark) {
	m.Segments += n
	m.Users += users
	if worst.Urgency == segment.Page {
		m.Pages += n
	}
	if worst.Level.Compare(segment.LevelProtected) > 0 {
		m.Live += n
	}
	if worst.Level.Compare(m.Level) > 0 {
		m.Level = worst.Level
	}
	if m.Kinds == nil {
		m.Kinds = map[validate.Kind]int{}
	}
	m.Kinds[worst.Kind] += n
}

// incidentWait is how long ChangeIncident waits for others who change the same
// incident. Each takes milliseconds, unless its process stopped in the middle.
const incidentWait = 30 * time.Second

var errIncidentWait = errors.New("another process has held the incident's row for 30 seconds")

// ChangeIncident implements segment.Ledger. It holds the incident's row while it
// counts and calls change, and no other.
func (l *Ledger) ChangeIncident(ctx context.Context, id string, change func(*segment.Incident) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, incidentWait, errIncidentWait)
	defer cancel()
	var refused error // by the caller, who gets it as it is
	err := l.dialect.storableKey("Incident.ID", id)
	if err == nil {
		err = l.write(ctx, func(s session) error {
			return changeIncident(ctx, s, l.dialect, id, func(i *segment.Incident) error {
				refused = change(i)
				return refused
			})
		})
	}
	switch {
	case refused != nil:
		return refused
	case err != nil && errors.Is(context.Cause(ctx), errIncidentWait):
		err = fmt.Errorf("%w: %w", errIncidentWait, err)
	}
	return wrap("changing incident "+id, err)
}

func changeIncident(ctx context.Context, s session, d ledgerDialect, id string, change func(*segment.Incident) error) error {
	before, err := lockIncident(ctx, s, d, id)
	if err != nil {
		return err
	}
	was, err := incidentValues(d, &before[0])
	if err != nil {
		return err
	}
	if err := countMembers(ctx, s, d, before); err != nil {
		return err
	}
	after := before[0]
	if err := change(&after); err != nil {
		return err
	}
	after.ID = id
	values, err := incidentValues(d, &after)
	if err == nil && !slices.Equal(was, values) {
		update := "UPDATE segmentguard_incidents SET " + strings.Join(incidentColumns, " = ?, ") + " = ? WHERE id = ?"
		_, err = s.ExecContext(ctx, d.bind(update), append(values[1:], id)...)
	}
	if err == nil {
		err = addToLog(ctx, s, d, after.Log)
	}
	return err
}

// lockIncident locks an incident's row, makes it if it is not there, and returns it
// as the only one of a list.
func lockIncident(ctx context.Context, s session, d ledgerDialect, id string) (found []segment.Incident, err error) {
	fresh, err := incidentValues(d, &segment.Incident{ID: id})
	if err != nil {
		return nil, err
	}
	insert := "INSERT INTO segmentguard_incidents (id, " + strings.Join(incidentColumns, ", ") + ") VALUES (" + list("?", len(fresh)) + ")" + d.overwrite("id", []string{"id"})
	if _, err := s.ExecContext(ctx, d.bind(insert), fresh...); err != nil {
		return nil, err
	}
	query := d.latest("SELECT id, incident FROM segmentguard_incidents WHERE id = ?")
	err = each(ctx, s, d.bind(query), []any{id}, func(scan scanner) error {
		i, err := scanIncident(scan)
		found = append(found, i)
		return err
	})
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("the row of the incident could not be locked")
	}
	return found, err
}
