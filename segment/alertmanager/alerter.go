package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// An Alerter sends alerts to one Alertmanager. It keeps nothing itself, and is
// safe for concurrent use.
type Alerter struct {
	client *http.Client
	alerts *url.URL // without a user
	user   *url.Userinfo
	labels map[string]string
	wait   time.Duration
}

var _ segment.Alerter = (*Alerter)(nil)

// GroupWait returns for how long an alert that was told may still be told under
// other labels: half of [Config].GroupWait, so that there is time to tell it.
// Afterwards people may have heard of it, and would be told that it is over.
func (a *Alerter) GroupWait() time.Duration { return a.wait }

// Tell posts alerts, in this order: incidents that fire, segments that fire,
// segments that are over, incidents that are over. An incident must be there
// before its members, which would ring beside it, and a member under its new labels
// before it is over under its old ones. So what Alertmanager does not take keeps
// back all that comes after it.
//
// Of a resolved alert without a Kind, Tell asks which alerts of the segment and the
// ledger are open, and ends them all.
func (a *Alerter) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	now := time.Now()
	var unsaid []error // which cannot be posted, and keep nothing back
	for _, step := range []struct {
		alerts          []segment.Alert
		incidents, over bool
	}{{firing, true, false}, {firing, false, false}, {resolved, false, true}, {resolved, true, true}} {
		var posts []alert
		for i := range step.alerts {
			x := &step.alerts[i]
			if (x.About != nil) != step.incidents {
				continue
			}
			found, err := a.posts(ctx, x, now, step.over)
			posts, unsaid = append(posts, found...), append(unsaid, err)
		}
		if err := a.post(ctx, posts); err != nil {
			return errors.Join(append(unsaid, err)...)
		}
	}
	return errors.Join(unsaid...)
}

// posts returns an alert as it is posted, to fire it or to end it.
func (a *Alerter) posts(ctx context.Context, x *segment.Alert, now time.Time, over bool) (found []alert, err error) {
	if over && x.Kind == "" && x.About == nil {
		found, err = a.openOf(ctx, x)
	} else {
		found = make([]alert, 1)
		found[0], err = a.fired(x, now)
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		if over {
			found[i].over(now)
		}
	}
	return found, nil
}

// most is how many alerts go into one request: of some hundred kilobytes.
const most = 500

// post posts alerts in batches. Alertmanager takes the good ones of a batch in
// which it refuses others, and the next batches may be good as well.
func (a *Alerter) post(ctx context.Context, alerts []alert) error {
	var failures []error
	for batch := range slices.Chunk(alerts, most) {
		body, err := json.Marshal(batch)
		if err == nil {
			err = a.ask(ctx, http.MethodPost, "", body, nil)
		}
		failures = append(failures, err)
		if err != nil && !refused(err) {
			break
		}
	}
	return errors.Join(failures...)
}
