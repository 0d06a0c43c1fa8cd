package sqlsegment

import (
	"cmp"
	"context"
	"database/sql"
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

// readColumns are what scanIncident reads.
const readColumns = "id, incident, begun, ended, job_kind, build, site_group, listing, stale, store"

// scanIncident reads an incident. Of one whose JSON cannot be read it knows what the
// columns say, and not what people were told: it rings again.
func scanIncident(scan scanner) (i segment.Incident, err error) {
	var whole []byte
	var from segment.Incident
	var begun instant
	var ended sql.Null[instant]
	c := &from.Cause
	if err := scan(&from.ID, &whole, &begun, &ended, &c.JobKind, &c.Build, &c.SiteGroup, &c.Listing, &c.Stale, &c.Store); err != nil {
		return i, err
	}
	if err := json.Unmarshal(whole, &i); err != nil {
		i = from
		i.Begun, i.Last, i.Over = begun.Time, begun.Time, ended.V.Time
		i.Likely = "not known: what was kept of the incident is damaged: " + err.Error()
	}
	i.ID = from.ID
	return i, nil
}

// incidents selects the incidents of f.
func (q *selection) incidents(f *segment.IncidentFilter, d ledgerDialect) {
	if f.ID != "" {
		q.where("id = ?", f.ID)
	}
	if c := f.Cause; c != (segment.Cause{}) { // and what Match looks at
		q.where("job_kind = ?", string(c.JobKind))
		q.where("build = ?", c.Build)
		q.where("site_group = ?", c.SiteGroup)
	}
	if f.Store != nil {
		q.where("store = ?", *f.Store)
	}
	if f.Open {
		q.where("active = TRUE")
	}
	if !f.Since.IsZero() {
		q.where("begun >= ?", d.time(f.Since))
	}
}

// A place is where an incident stands among the others.
type place struct {
	begun time.Time
	id    string
}

// Incidents implements segment.Ledger.
func (l *Ledger) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	var q selection
	q.incidents(&f, l.dialect)
	query := l.dialect.bind("SELECT " + readColumns + " FROM segmentguard_incidents WHERE " +
		strings.Join(append([]string{"(begun > ? OR begun = ? AND id > ?)"}, q.conditions...), " AND ") + " ORDER BY begun, id LIMIT ?")
	read := func(ctx context.Context, from any, n int) (page []segment.Incident, err error) {
		after, _ := from.(place)
		begun := l.dialect.time(after.begun)
		err = l.read(ctx, func(s Conn) error {
			page, err = readIncidents(ctx, s, query, slices.Concat([]any{begun, begun, after.id}, q.args, []any{n}))
			if err == nil && !f.Bare {
				err = countAll(ctx, s, l.dialect, page)
			}
			return err
		})
		return page, wrap("reading the incidents", l.waited(ctx, nil, err))
	}
	found := flat(ahead(ctx, any(place{}), 0, read, func(i *segment.Incident) any { return place{i.Begun, i.ID} }))
	return func(yield func(segment.Incident, error) bool) {
		for i, err := range found {
			if (err != nil || f.Match(&i)) && !yield(i, err) {
				return
			}
		}
	}
}

// readIncidents returns the incidents of a query.
func readIncidents(ctx context.Context, s Conn, query string, args []any) (found []segment.Incident, err error) {
	err = each(ctx, s, query, args, func(scan scanner) error {
		i, err := scanIncident(scan)
		found = append(found, i)
		return err
	})
	return found, err
}

// countAll counts the members of incidents.
func countAll(ctx context.Context, s Conn, d ledgerDialect, incidents []segment.Incident) error {
	members, err := withMembers(ctx, s, d, incidents)
	for k := range incidents {
		if err == nil && members[incidents[k].ID] {
			err = countMembers(ctx, s, d, &incidents[k])
		}
	}
	return err
}

// withMembers returns which of some incidents have members: of many few do. One alone
// is counted at once.
func withMembers(ctx context.Context, s Conn, d ledgerDialect, incidents []segment.Incident) (map[string]bool, error) {
	have := map[string]bool{}
	if len(incidents) == 1 {
		have[incidents[0].ID] = true
		return have, nil
	}
	for some := range slices.Chunk(incidents, chunk) {
		ids := make([]any, len(some))
		for k := range some {
			ids[k] = some[k].ID
		}
		query := "SELECT alert_incident FROM segmentguard_segments WHERE alert_incident IN (" + list("?", len(ids)) + ") GROUP BY alert_incident" + d.unlimited()
		err := each(ctx, s, d.bind(query), ids, func(scan scanner) error {
			var id string
			err := scan(&id)
			have[id] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return have, nil
}

// countMembers counts the members of an incident. It groups by what the index has
// next, or MariaDB would sort.
func countMembers(ctx context.Context, s Conn, d ledgerDialect, i *segment.Incident) error {
	const by = "alert_site_group, alert_kind, alert_severity, alert_level"
	query := "SELECT " + by + ", count(*), sum(alert_users) FROM segmentguard_segments WHERE alert_incident = ? AND alert_severity IS NOT NULL GROUP BY " + by + d.unlimited()
	groups, m := map[string]bool{}, &i.Members
	err := each(ctx, s, d.bind(query), []any{i.ID}, func(scan scanner) error {
		var worst segment.Mark
		var n int
		var users int64
		err := scan(&m.SiteGroup, &worst.Kind, &worst.Urgency, &worst.Level, &n, &users)
		groups[m.SiteGroup] = true
		addMembers(m, n, users, worst)
		return err
	})
	if m.SiteGroups = len(groups); m.SiteGroups > 1 {
		m.SiteGroup = ""
	}
	return err
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
		m.Kinds = make(map[validate.Kind]int)
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
		err = l.write(ctx, func(s Conn) error {
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
	return wrap("changing incident "+id, l.waited(ctx, nil, err))
}

func changeIncident(ctx context.Context, s Conn, d ledgerDialect, id string, change func(*segment.Incident) error) error {
	before, err := lockIncident(ctx, s, d, id)
	if err != nil {
		return err
	}
	was, err := incidentValues(d, &before)
	if err != nil {
		return err
	}
	after := before
	if err := change(&after); err != nil {
		return err
	}
	after.ID = id
	values, err := incidentValues(d, &after)
	if err == nil && !slices.Equal(was, values) {
		update := "UPDATE segmentguard_incidents SET " + strings.Join(incidentColumns, " = ?, ") + " = ? WHERE id = ?"
		_, err = s.Exec(ctx, d.bind(update), append(values[1:], id)...)
	}
	if err == nil {
		err = addToLog(ctx, s, d, after.Log)
	}
	return err
}

// lockIncident locks an incident's row, makes it if it is not there, and returns the
// incident.
func lockIncident(ctx context.Context, s Conn, d ledgerDialect, id string) (i segment.Incident, err error) {
	fresh, err := incidentValues(d, &segment.Incident{ID: id})
	if err != nil {
		return i, err
	}
	insert := "INSERT INTO segmentguard_incidents (id, " + strings.Join(incidentColumns, ", ") + ") VALUES (" + list("?", len(fresh)) + ")" + d.overwrite("id", []string{"id"})
	if _, err := s.Exec(ctx, d.bind(insert), fresh...); err != nil {
		return i, err
	}
	query := d.latest("SELECT " + readColumns + " FROM segmentguard_incidents WHERE id = ?")
	found, err := readIncidents(ctx, s, d.bind(query), []any{id})
	switch {
	case err != nil:
		return i, err
	case len(found) != 1:
		return i, errors.New("its row could not be locked")
	}
	i = found[0]
	err = countMembers(ctx, s, d, &i)
	return i, err
}
