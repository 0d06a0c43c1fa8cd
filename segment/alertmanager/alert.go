package alertmanager

import (
	"fmt"
	"maps"
	"net/url"
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
// it is, and nothing else: a number in a label makes a new alert every day.
var ownLabels = []string{"alertname", "site_group", "segment", "severity", "job_kind", "kind", "build"}

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

// alert returns x as it is posted to say that it is open.
func (a *Alerter) alert(x *segment.Alert, now time.Time) (alert, error) {
	id, err := x.Segment.MarshalText()
	if err != nil {
		return alert{}, fmt.Errorf("alertmanager: %w", err)
	}
	labels := text{
		"alertname":  affected,
		"site_group": x.Segment.SiteGroup,
		"segment":    string(id),
		"severity":   string(x.Urgency),
		"job_kind":   string(x.Job.Kind),
		"kind":       string(x.Kind),
		"build":      x.Build,
	}
	if x.About != nil {
		labels["alertname"] = incident
	}
	maps.Copy(labels, a.labels)
	return alert{
		Labels:      labels.clean(),
		Annotations: annotations(x).clean(),
		StartsAt:    x.Since.UTC(),
		EndsAt:      now.Add(a.keepFor).UTC(),
	}, nil
}

// parsed returns what the labels tell of the alert.
func (x *alert) parsed() (segment.Alert, error) {
	id, err := segment.ParseID(x.Labels["segment"])
	if err != nil {
		return segment.Alert{}, fmt.Errorf("alertmanager: open alert: %w", err)
	}
	parsed := segment.Alert{
		Segment: id,
		Urgency: segment.Urgency(x.Labels["severity"]),
		Kind:    validate.Kind(x.Labels["kind"]),
		Job:     segment.Job{Kind: segment.JobKind(x.Labels["job_kind"])},
		Build:   x.Labels["build"],
		Since:   x.StartsAt,
	}
	if x.Labels["alertname"] == incident {
		parsed.About = &segment.Incident{}
	}
	return parsed, nil
}

// skew is by how much an Alertmanager's clock may be behind ours. An end that is
// still to come for it does not end an alert: the later one, of when it was
// fired, stands.
const skew = time.Minute

// end makes it an alert that is over.
func (x *alert) end(now time.Time) {
	x.EndsAt = now.Add(-skew).UTC()
	if x.EndsAt.Before(x.StartsAt) { // which is refused
		x.EndsAt = x.StartsAt
	}
	x.UpdatedAt = time.Time{}
}

// annotations returns what a human reads.
func annotations(x *segment.Alert) text {
	found := text{
		"summary":  x.Text,
		"job":      x.Job.ID,
		"run":      x.RunID,
		"rule":     x.Rule,
		runbook(x): x.Runbook,
	}
	if i := x.About; i != nil {
		maps.Copy(found, text{
			"segments":    strconv.Itoa(i.Segments),
			"site_groups": strconv.Itoa(i.SiteGroups),
			"users":       strconv.FormatInt(i.Users, 10),
			"cause":       i.Cause,
			"next":        i.Next,
		})
		return found
	}
	found["protected"] = strconv.FormatBool(x.Protected())
	if x.RunID != "" {
		found["attempt"] = strconv.Itoa(x.Attempt)
	}
	if !x.Upstream.IsZero() {
		found["upstream"] = x.Upstream.String()
	}
	if r := &x.Report; len(r.Findings) > 0 {
		found["description"] = r.String()
		found["expected"], found["stored"] = r.Expected.String(), r.Stored.String()
	}
	return found
}

// runbook returns the annotation's name: who shows alerts makes a link of a URL.
func runbook(x *segment.Alert) string {
	if u, err := url.Parse(x.Runbook); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return "runbook_url"
	}
	return "runbook"
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
