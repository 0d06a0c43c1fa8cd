package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
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

var _ segment.Alerter = (*Alerter)(nil)

// Tell posts alerts. What a segment's new alert takes the place of must be among
// the resolved ones. Only where one of those has no Kind, it asks which alerts of
// the segment are open.
//
// Incidents are fired before all else and resolved after it, as Alertmanager
// does not wait with alerts that began a while ago: what an incident stands for
// would ring beside it.
func (a *Alerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	now := time.Now()
	var failures []error
	posts := func(alerts []segment.Alert, incidents, over bool) (posted []alert) {
		for i := range alerts {
			if (alerts[i].About != nil) != incidents {
				continue
			}
			found, err := a.posted(ctx, &alerts[i], now, over)
			posted, failures = append(posted, found...), append(failures, err)
		}
		return posted
	}
	var batches [][]alert
	for _, turn := range [][]alert{
		posts(firing, true, false), posts(resolved, false, true), posts(firing, false, false), posts(resolved, true, true),
	} {
		batches = slices.AppendSeq(batches, slices.Chunk(turn, most))
	}
	return errors.Join(append(failures, a.post(ctx, batches))...)
}

// posted returns an alert as it is posted, to fire it or to end it.
func (a *Alerter) posted(ctx context.Context, x *segment.Alert, now time.Time, over bool) (found []alert, err error) {
	if over && x.Kind == "" {
		found, err = a.openOf(ctx, x.Segment)
	} else {
		found = make([]alert, 1)
		found[0], err = a.alert(x, now)
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		if over {
			found[i].end(now)
		}
	}
	return found, nil
}

// openOf asks for the alerts of a segment that are open.
func (a *Alerter) openOf(ctx context.Context, id segment.ID) ([]alert, error) {
	text, err := id.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return a.open(ctx, matcher("segment", string(text)))
}

// Open yields the open alerts that were fired by an Alerter with the same Labels,
// of one site group or, where siteGroup is empty, of all. An alert has what its
// labels tell: Segment, Urgency, Kind, Build, the kind of its job, and Since; an
// incident has an empty Incident.
func (a *Alerter) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		var filters []string
		if siteGroup != "" {
			filters = append(filters, matcher("site_group", siteGroup))
		}
		found, err := a.open(ctx, filters...)
		if err != nil {
			yield(segment.Alert{}, err)
			return
		}
		for i := range found {
			if x, err := found[i].parsed(); !yield(x, err) || err != nil {
				return
			}
		}
	}
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

// open asks for the alerts that are open, match filters, and were fired by an
// Alerter with the same Labels.
func (a *Alerter) open(ctx context.Context, filters ...string) ([]alert, error) {
	filters = append(filters, `alertname=~"`+affected+"|"+incident+`"`)
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
