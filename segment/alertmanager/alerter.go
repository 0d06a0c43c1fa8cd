package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// An Alerter sends alerts to one Alertmanager. It keeps nothing itself, and is
// safe for concurrent use.
type Alerter struct {
	client  *http.Client
	alerts  *url.URL // without a user
	user    *url.Userinfo
	labels  map[string]string
	keepFor time.Duration
}

var _ segment.BatchAlerter = (*Alerter)(nil)

// Fire posts an alert, and in the same request the end of others that the
// segment had until then. It posts the alert also if Alertmanager does not list
// those, unless nobody answers.
//
// It asks before it posts: of two alerts that are fired at the same time at most
// one has seen the other, so they do not end each other. When each of them was
// last posted would not tell them apart, as Alertmanager says it in milliseconds.
func (a *Alerter) Fire(ctx context.Context, x segment.Alert) error {
	now := time.Now()
	fired, err := a.alert(&x, now)
	if err != nil {
		return err
	}
	before, errBefore := a.open(ctx, x.Segment)
	if _, away := errors.AsType[*url.Error](errBefore); away || errBefore != nil && ctx.Err() != nil {
		return errBefore
	}
	before = slices.DeleteFunc(before, func(x alert) bool { return maps.Equal(x.Labels, fired.Labels) })
	for i := range before {
		before[i].end(now)
	}
	// Where two are open and both fired again, the last word is still that one is open.
	return errors.Join(errBefore, a.post(ctx, [][]alert{append(before, fired)}))
}

// Resolve asks which alerts of a segment are open, and ends them.
func (a *Alerter) Resolve(ctx context.Context, id segment.ID) error {
	open, err := a.open(ctx, id)
	if err != nil {
		return err
	}
	now := time.Now()
	for i := range open {
		open[i].end(now)
	}
	return a.post(ctx, slices.Collect(slices.Chunk(open, most)))
}

// Tell posts many alerts. It asks nothing: what a segment's new alert takes the
// place of must be among the resolved ones, as a monitor gives them.
//
// Incidents are fired before all else and resolved after it, as Alertmanager
// does not wait with alerts that began a while ago: what an incident stands for
// would ring beside it.
func (a *Alerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	now := time.Now()
	var batches [][]alert
	var failures []error
	for _, turn := range []struct {
		alerts          []segment.Alert
		incidents, over bool
	}{
		{firing, true, false},
		{resolved, false, true},
		{firing, false, false},
		{resolved, true, true},
	} {
		var alerts []alert
		for i := range turn.alerts {
			x := &turn.alerts[i]
			if (x.Incident != nil) != turn.incidents {
				continue
			}
			posted, err := a.alert(x, now)
			if err != nil {
				failures = append(failures, err)
				continue
			}
			if turn.over {
				posted.end(now)
			}
			alerts = append(alerts, posted)
		}
		batches = slices.AppendSeq(batches, slices.Chunk(alerts, most))
	}
	return errors.Join(append(failures, a.post(ctx, batches))...)
}

// most is how many alerts go into one request: of some hundred kilobytes.
const most = 500

// post posts alerts in batches. Alertmanager takes the good ones of a batch in
// which it refuses others, and the next batches may be good as well.
func (a *Alerter) post(ctx context.Context, batches [][]alert) error {
	var failures []error
	for _, batch := range batches {
		body, err := json.Marshal(batch)
		if err == nil {
			_, err = a.ask(ctx, http.MethodPost, "", body)
		}
		failures = append(failures, err)
		if err != nil && !refused(err) {
			break
		}
	}
	return errors.Join(failures...)
}

// open asks for the alerts of a segment that are open, and were fired by an
// Alerter with the same Labels.
func (a *Alerter) open(ctx context.Context, id segment.ID) ([]alert, error) {
	name, err := id.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	filters := []string{`alertname=~"` + affected + "|" + incident + `"`, matcher("segment", string(name))}
	for label, value := range a.labels {
		filters = append(filters, matcher(label, value))
	}
	answer, err := a.ask(ctx, http.MethodGet, url.Values{"filter": filters}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var found []alert
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, fmt.Errorf("alertmanager: %s: not the alerts that were asked for: %w", a.alerts, err)
	}
	return slices.DeleteFunc(found, func(x alert) bool { return !a.fired(x.Labels) }), nil
}

// fired reports whether an alert has no other labels than ours.
func (a *Alerter) fired(labels map[string]string) bool {
	for name, value := range labels {
		if !slices.Contains(ownLabels, name) && a.labels[name] != value {
			return false
		}
	}
	return true
}

var quote = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// matcher escapes what every version of Alertmanager wants escaped, and nothing
// else: older ones know no other escapes.
func matcher(label, value string) string { return label + `="` + quote.Replace(value) + `"` }
