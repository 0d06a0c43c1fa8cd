package validate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Runs are the runs of a segment in time, as far as its age is judged by them.
type Runs struct {
	Times []time.Time `json:"times,omitempty"` // of the last runs, of any outcome, oldest first: eleven are looked at
	Good  time.Time   `json:"good,omitzero"`   // of the last one that passed; zero: none has
	Since time.Time   `json:"since,omitzero"`  // when the segment was first seen, by which one is judged that never passed

	// MaxAge is how old the last good run may be. Zero: twice the second-longest of the
	// last ten gaps between runs, plus one day; with fewer than five gaps no age is judged.
	MaxAge time.Duration `json:"max_age,omitempty"`

	// What became of the runs since the last good one.
	Rejected   int `json:"rejected,omitempty"`
	Unverified int `json:"unverified,omitempty"`
	Failed     int `json:"failed,omitempty"`
}

const (
	gapsSeen   = 10 // gaps between runs looked back on
	gapsNeeded = 5
)

// Stale returns a finding if there was no good run for too long, and nil otherwise.
// judged reports whether the age could be judged at all.
func (r *Runs) Stale(at time.Time) (f *Finding, judged bool) {
	from := r.Good
	if from.IsZero() {
		from = r.Since
	}
	allowed := r.MaxAge
	if allowed == 0 && !from.IsZero() && at.Sub(from) <= day*time.Second { // as nearly always: no less is allowed
		return nil, len(r.Times) > gapsNeeded
	}
	if allowed == 0 {
		allowed = r.usualAge()
	}
	if allowed <= 0 || from.IsZero() {
		return nil, false
	}
	if at.Sub(from) <= allowed {
		return nil, true
	}
	return &Finding{Kind: Stale, Severity: Fail, Detail: r.since(at, allowed)}, true
}

// usualAge returns the age that the gaps between runs make usual, 0 where too few are
// known. One long gap is an exception, and the second-longest is not.
func (r *Runs) usualAge() time.Duration {
	times := r.Times[max(0, len(r.Times)-gapsSeen-1):]
	if len(times) <= gapsNeeded {
		return 0
	}
	gaps := make([]time.Duration, 0, gapsSeen)
	for i, at := range times[1:] {
		gaps = append(gaps, at.Sub(times[i]))
	}
	slices.Sort(gaps)
	return 2*gaps[len(gaps)-2] + day*time.Second
}

// since says when the last good run was, and what became of those after it.
func (r *Runs) since(at time.Time, allowed time.Duration) string {
	what := "no good run since "
	from := r.Good
	if from.IsZero() {
		what, from = "no good run since it was first seen, ", r.Since
	}
	text := fmt.Sprintf("%s%s (%s ago, %s allowed)", what, from.UTC().Format("2006-01-02 15:04 UTC"), span(at.Sub(from)), span(allowed))
	var since []string
	for _, outcome := range []struct {
		n    int
		name string
	}{{r.Rejected, "rejected"}, {r.Unverified, "unverified"}, {r.Failed, "failed"}} {
		if outcome.n > 0 {
			since = append(since, fmt.Sprintf("%s %s", counted(int64(outcome.n), "run"), outcome.name))
		}
	}
	if len(since) == 0 {
		return text + ", and none at all since"
	}
	return text + "; since then " + strings.Join(since, ", ")
}

// span writes how long something took as people say it.
func span(d time.Duration) string {
	const hour = time.Hour
	if d < 48*hour {
		return counted(int64((d+hour/2)/hour), "hour")
	}
	return counted(int64(d/(24*hour)), "day")
}
