package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// Open yields the open alerts that were fired by an Alerter with the same Labels,
// of one site group or, where siteGroup is empty, of all, as Alertmanager's answer
// comes in: it holds one alert at a time. An alert has what its labels tell:
// Segment, Store, Urgency, Kind, Level, the kind of its job, Build, Incident,
// Ledger, and of an incident About and Ring. It says when it was first told,
// since when the fault is there, and whether it is unconfirmed. What one ledger
// told and what another did are told apart by Ledger.
func (a *Alerter) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		var filters []string
		if siteGroup != "" {
			filters = append(filters, matcher("site_group", siteGroup))
		}
		err := a.list(ctx, filters, func(x *alert) error {
			found, err := x.parsed()
			if err == nil && !yield(found, nil) {
				err = errEnough
			}
			return err
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(segment.Alert{}, err)
		}
	}
}

var errEnough = errors.New("the caller wants no more")

// openOf asks for the alerts of a segment that are open and of the same ledger, or
// of none.
func (a *Alerter) openOf(ctx context.Context, x *segment.Alert) (found []alert, err error) {
	id, err := x.Segment.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	filters := []string{matcher("segment", string(id)), matcher("ledger", x.Ledger)}
	if x.Store != "" {
		filters = append(filters, matcher("store", x.Store))
	}
	err = a.list(ctx, filters, func(x *alert) error { found = append(found, *x); return nil })
	return found, err
}

// list calls each with the alerts that are open, match filters, and were fired by
// an Alerter with the same Labels, until it returns an error.
func (a *Alerter) list(ctx context.Context, filters []string, each func(*alert) error) error {
	filters = append(filters, `alertname=~"`+affected+"|"+incident+`"`)
	for label, value := range a.labels {
		filters = append(filters, matcher(label, value))
	}
	return a.ask(ctx, http.MethodGet, url.Values{"filter": filters}.Encode(), nil, func(answer io.Reader) error {
		return decode(answer, func(x *alert) error {
			if !a.owns(x.Labels) {
				return nil
			}
			return each(x)
		})
	})
}

// owns reports whether an alert has no other labels than ours.
func (a *Alerter) owns(labels map[string]string) bool {
	for name, value := range labels {
		if !slices.Contains(ownLabels, name) && a.labels[name] != value {
			return false
		}
	}
	return true
}

// maxAlert is how many bytes of an answer are held at once. An alert is some
// thousand.
const maxAlert = 1 << 20

var (
	errNoAlerts = errors.New("not the alerts that were asked for")
	errTooLong  = fmt.Errorf("an alert of the answer is longer than %d bytes", maxAlert)
)

// decode calls each with one alert of a list after the other. A list that does not
// end as it should is an error: what it lacks may be open all the same.
func decode(answer io.Reader, each func(*alert) error) error {
	bounded := &io.LimitedReader{R: answer, N: maxAlert}
	d := json.NewDecoder(bounded)
	failed := func(err error) error {
		if bounded.N <= 0 {
			return errTooLong
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%w: %w", errNoAlerts, err)
	}
	switch first, err := d.Token(); {
	case err != nil:
		return failed(err)
	case first != json.Delim('['):
		return failed(fmt.Errorf("it begins with %v", first))
	}
	for d.More() {
		var x alert
		if err := d.Decode(&x); err != nil {
			return failed(err)
		}
		if err := each(&x); err != nil {
			return err
		}
		bounded.N = maxAlert
	}
	if _, err := d.Token(); err != nil {
		return failed(err)
	}
	return nil
}

var quote = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// matcher escapes what every version of Alertmanager wants escaped, and nothing
// else: older ones know no other escapes.
func matcher(label, value string) string { return label + `="` + quote.Replace(value) + `"` }
