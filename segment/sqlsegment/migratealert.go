package sqlsegment

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// Up to version 5 an alert had no marks: AlertState.Told was the alert that the
// alerter was told last. An incident was kept as if it were a segment, of the site
// group "incident".

// moveToIncidents names the ledger and rewrites alerts of earlier versions. What the
// alerter was told it is not told again. Incidents of before are dropped: those that
// go on form anew.
func moveToIncidents(ctx context.Context, s Conn, d ledgerDialect, _ catalog) error {
	insert := "INSERT INTO segmentguard_ledger (id, identity) VALUES (1, ?)" + d.overwrite("id", []string{"id"})
	if _, err := s.Exec(ctx, d.bind(insert), rand.Text()); err != nil {
		return fmt.Errorf("naming the ledger: %w", err)
	}
	err := inChunks(ctx, s, d, "segmentguard_segments", "alert IS NOT NULL", func(keys []segment.Key, _ []any) error {
		locked, err := lockRows(ctx, s, d, keys)
		if err != nil {
			return err
		}
		var changed []changedRow
		for _, r := range locked {
			alert, err := readAlert(r.alert)
			if err != nil {
				continue // it is damaged, and stays a finding of every sweep
			}
			r.alert = nil
			c := changedRow{state: r.unpack()}
			c.state.Alert = alert
			if c.row, err = newRow(&c.state); err != nil {
				return err
			}
			if damagedIn(&c.state, "state") {
				c.row.state = r.state
			}
			changed = append(changed, c)
		}
		return saveRows(ctx, s, d, locked, changed)
	})
	if err != nil {
		return fmt.Errorf("moving the alerts: %w", err)
	}
	return nil
}

// readAlert reads the alert's state in its form of today, or of any before.
func readAlert(state []byte) (found segment.AlertState, err error) {
	var was earlierState
	if err := json.Unmarshal(state, &was); err != nil {
		return found, err
	}
	if was.Open.isEarlier() || was.Told.isEarlier() {
		return was.alertState()
	}
	err = json.Unmarshal(state, &found)
	return found, err
}

// An earlierState is a segment.AlertState as it was kept up to version 5.
type earlierState struct {
	Open    earlierAlert `json:"open"`
	Told    earlierAlert `json:"told"`
	Claimed time.Time    `json:"claimed"`
}

// An earlierAlert is a segment.Alert as it was kept up to version 5, as JSON. Up to
// version 2 its run was called run, not run_id. One that is about an incident had all
// of it where an alert now has an ID.
type earlierAlert []byte

// UnmarshalJSON implements json.Unmarshaler.
func (a *earlierAlert) UnmarshalJSON(text []byte) error {
	*a = bytes.Clone(text)
	return nil
}

// fields returns the alert's fields; nil where it is none of an earlier version.
func (a earlierAlert) fields() (fields map[string]json.RawMessage) {
	if err := json.Unmarshal(a, &fields); err != nil || fields["protected"] == nil {
		return nil
	}
	return fields
}

func (a earlierAlert) isEarlier() bool { return a.fields() != nil }

// alert returns the alert as it is kept now; nil: there is none, or it is about an
// incident.
func (a earlierAlert) alert() (found *segment.Alert, err error) {
	fields := a.fields()
	if fields == nil || fields["incident"] != nil {
		return found, nil
	}
	if run, ok := fields["run"]; ok && fields["run_id"] == nil {
		fields["run_id"] = run
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, err
	}
	r := &found.Report
	found.Users = max(r.Expected.Users(), r.Stored.Users(), r.Band.Previous)
	switch {
	case string(fields["protected"]) == "true":
		found.Level = segment.LevelProtected
	case r.Stored.IsZero() || r.Stored.IsUnknown():
		found.Level = segment.LevelLive
	default:
		found.Level = earlierLevel(found.Users, r.Stored.Users())
	}
	return found, nil
}

// earlierLevel returns the level of a live segment that should hold good users and
// held now.
func earlierLevel(good, now int64) segment.Level {
	lost := float64(good-now) / float64(max(good, 1))
	switch {
	case lost < 0.01:
		return segment.LevelLive
	case now <= 0:
		return segment.LevelLost100
	case lost >= 0.5:
		return segment.LevelLost50
	case lost >= 0.1:
		return segment.LevelLost10
	}
	return segment.LevelLost1
}

// alertState returns the state as it is kept now. What the alerter was told is the
// first mark; what is open is another one if it is worse.
func (s *earlierState) alertState() (found segment.AlertState, err error) {
	open, err := s.Open.alert()
	if err != nil {
		return found, err
	}
	told, err := s.Told.alert()
	if err != nil || open == nil && told == nil {
		return found, err
	}
	found.Open = open
	if told != nil {
		found.Told = []segment.Told{{Mark: markOf(told), At: told.Since}}
	}
	if open == nil {
		return found, nil
	}
	found.Marks, found.Opened = []segment.Mark{markOf(open)}, []time.Time{open.Since}
	if told != nil {
		open.Since, open.Build, open.Job.Kind = told.Since, told.Build, told.Job.Kind
		found.Marks[0] = markOf(told)
		if worst := worse(markOf(told), open); worst != found.Marks[0] {
			found.Marks = append(found.Marks, worst)
		}
	}
	found.Swept, found.Unsettled = open.RunID == "", open.State == segment.RunUnknown
	if last := found.Marks[len(found.Marks)-1]; !s.Claimed.IsZero() && (told == nil || last != markOf(told)) {
		found.Trying = []segment.Mark{last} // the alerter may have heard of it
	}
	return found, nil
}

func markOf(a *segment.Alert) segment.Mark {
	return segment.Mark{Urgency: a.Urgency, Kind: a.Kind, Level: a.Level, JobKind: a.Job.Kind, Build: a.Build}
}

// worse returns m with what is worse in a.
func worse(m segment.Mark, a *segment.Alert) segment.Mark {
	if a.Urgency == segment.Page {
		m.Urgency = a.Urgency
	}
	if a.Kind.Compare(m.Kind) < 0 {
		m.Kind = a.Kind
	}
	if a.Level.Compare(m.Level) > 0 {
		m.Level = a.Level
	}
	return m
}
