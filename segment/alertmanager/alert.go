package alertmanager

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// The names of alerts.
const (
	affected = "SegmentAffected"
	incident = "SegmentIncident"
)

// ownLabels are all that an alert has beside Config.Labels. They say which alert
// it is, and nothing else: what changes while a fault stands would make a new
// alert each time.
var ownLabels = []string{
	"alertname", "site_group", "segment", "store", "severity", "kind", "level", "job_kind", "build", "incident", "ring", "ledger",
}

const (
	// standing is how long an alert stands if nobody ends it.
	standing = 30 * 24 * time.Hour
	// unconfirmed is how long one stands that no ledger holds. A monitor sweeps
	// in this time, and fires it again if it finds the fault. It is longer than
	// group_wait and group_interval together: else an alert may end before
	// anybody is told of it.
	unconfirmed = 2 * time.Hour
)

// An alert is one as Alertmanager has it.
//
//nolint:tagliatelle // Alertmanager's names
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"` // as it was, when somebody else's is resolved
	UpdatedAt    time.Time         `json:"updatedAt,omitzero"`     // only Alertmanager sets it
}

// fired returns x as it is posted to say that it is open. It begins when people
// are told, not when the fault did: Alertmanager does not wait with an alert that
// began longer ago than group_wait, and no incident could hold it back.
func (a *Alerter) fired(x *segment.Alert, now time.Time) (alert, error) {
	labels, err := a.labelsOf(x)
	if err != nil {
		return alert{}, fmt.Errorf("alertmanager: %w", err)
	}
	begins, ends := now, now.Add(standing)
	if !x.Told.IsZero() && x.Told.Before(now) {
		begins = x.Told
	}
	if x.Unconfirmed {
		ends = now.Add(unconfirmed)
	}
	return alert{Labels: labels, Annotations: annotations(x, ends), StartsAt: begins.UTC(), EndsAt: ends.UTC()}, nil
}

// labelsOf returns the labels of x. They are made of what a ledger keeps as long
// as the alert stands, so that it can always be ended.
func (a *Alerter) labelsOf(x *segment.Alert) (map[string]string, error) {
	labels := text{
		"alertname":  affected,
		"site_group": x.Segment.SiteGroup,
		"store":      x.Store,
		"severity":   string(x.Urgency),
		"level":      string(x.Level),
		"job_kind":   string(x.Job.Kind),
		"build":      x.Build,
		"incident":   x.Incident,
		"ledger":     x.Ledger,
	}
	if x.About != nil {
		labels["alertname"], labels["ring"] = incident, strconv.Itoa(x.Ring)
	} else {
		id, err := x.Segment.MarshalText()
		if err != nil {
			return nil, err
		}
		labels["segment"], labels["kind"] = string(id), string(x.Kind)
	}
	maps.Copy(labels, a.labels)
	return labels.clean(), nil
}

// parsed returns what the alert tells of itself: by its labels it can be compared
// with another one, and ended.
func (x *alert) parsed() (segment.Alert, error) {
	found := segment.Alert{
		Store:       x.Labels["store"],
		Urgency:     segment.Urgency(x.Labels["severity"]),
		Kind:        validate.Kind(x.Labels["kind"]),
		Level:       segment.Level(x.Labels["level"]),
		Job:         segment.Job{Kind: segment.JobKind(x.Labels["job_kind"])},
		Build:       x.Labels["build"],
		Incident:    x.Labels["incident"],
		Ledger:      x.Labels["ledger"],
		Told:        x.StartsAt,
		Unconfirmed: x.Annotations["unconfirmed"] != "",
	}
	var err error
	if x.Labels["alertname"] == incident {
		found.Segment = segment.ID{SiteGroup: x.Labels["site_group"], Name: found.Incident}
		found.About = &segment.Incident{ID: found.Incident}
		found.Ring, err = strconv.Atoi(x.Labels["ring"])
	} else {
		found.Segment, err = segment.ParseID(x.Labels["segment"])
	}
	if err != nil {
		return segment.Alert{}, fmt.Errorf("open alert: %w", err)
	}
	note := x.Annotations
	found.Text, found.Job.ID, found.RunID, found.Rule, found.Link = note["summary"], note["job"], note["run"], note["rule"], note["link"]
	found.Customers, found.Next = note["customers"], note["next"]
	found.Attempt, _ = strconv.Atoi(note["attempt"])
	found.Since, err = time.Parse(time.RFC3339, x.Annotations["since"])
	if err != nil { // somebody wrote the annotation
		found.Since = x.StartsAt
	}
	return found, nil
}

// skew is by how much an Alertmanager's clock may be behind ours. An end that is
// still to come for it does not end an alert: the later one, of when it was
// fired, stands.
const skew = time.Minute

// over makes it an alert that is over. Nobody may know any more what it said.
func (x *alert) over(now time.Time) {
	x.EndsAt = now.Add(-skew).UTC()
	if x.StartsAt.After(x.EndsAt) { // which is refused
		x.StartsAt = x.EndsAt
	}
	x.UpdatedAt = time.Time{}
	if x.Annotations["summary"] == "" {
		x.Annotations = map[string]string{"summary": cmp.Or(x.Labels["segment"], x.Labels["incident"]) + " is affected no longer"}
	}
}

// text is what labels and annotations are made of.
type text map[string]string

// clean leaves out what is empty, which Alertmanager takes for missing, and
// makes the rest UTF-8 here rather than in JSON, so that it can be compared with
// what Alertmanager answers.
func (t text) clean() map[string]string {
	maps.DeleteFunc(t, func(_, value string) bool { return value == "" })
	for name, value := range t {
		t[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	return t
}
