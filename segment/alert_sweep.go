package segment

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// formAll forms incidents over the alerts that began within six hours: of those
// that guards and sweeps found alike, by what they have in common; of what was made
// from a member of one; and of a site group, in which a sweep at a time found many.
func (n *notifier) formAll(ctx context.Context, at time.Time) error {
	causes := map[Cause]bool{}
	_, err := n.onsets(ctx, SegmentFilter{}, func(a *Alert) bool { causes[a.cause()] = true; return false })
	if err != nil {
		return err
	}
	var failures []error
	for _, c := range slices.SortedFunc(maps.Keys(causes), compareCauses) {
		failures = append(failures, n.formCause(ctx, c))
	}
	failures = append(failures, n.joinUpstream(ctx))
	groups := map[string]bool{}
	inSweep := func(a *Alert) bool { return a.bySweep() && a.Since.Equal(at) }
	_, err = n.onsets(ctx, SegmentFilter{}, func(a *Alert) bool {
		groups[a.Segment.SiteGroup] = groups[a.Segment.SiteGroup] || inSweep(a)
		return false
	})
	failures = append(failures, err)
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if !groups[group] {
			continue
		}
		found, err := n.onsets(ctx, SegmentFilter{SiteGroup: group}, inSweep)
		if err == nil {
			_, err = n.formOf(ctx, Cause{SiteGroup: group}, &found)
		}
		failures = append(failures, err)
	}
	return joinFew(failures)
}

func compareCauses(a, b Cause) int { return strings.Compare(a.String(), b.String()) }

// formCause makes the onsets of a cause members of the incident that goes on for
// it, or of a new one.
func (n *notifier) formCause(ctx context.Context, c Cause) error {
	found, err := n.onsets(ctx, SegmentFilter{JobKind: c.JobKind, Build: c.Build}, func(a *Alert) bool { return a.cause() == c })
	if err != nil || len(found.ids) == 0 {
		return err
	}
	id, err := n.going(ctx, c)
	if err != nil {
		return err
	}
	if id != "" {
		return n.join(ctx, id, found.ids, &found.most)
	}
	_, err = n.formOf(ctx, c, &found)
	return err
}

// joinUpstream makes segments that were made from a member of an incident members
// of it.
func (n *notifier) joinUpstream(ctx context.Context) error {
	var made []Alert
	_, err := n.onsets(ctx, SegmentFilter{}, func(a *Alert) bool {
		if !a.Upstream.IsZero() {
			made = append(made, Alert{Segment: a.Segment, Upstream: a.Upstream, Kind: a.Kind, Users: a.Users})
		}
		return false
	})
	failures := []error{err}
	for i := range made {
		for s, err := range n.ledger.Segments(ctx, SegmentFilter{Segment: made[i].Upstream, Affected: true}) {
			if err == nil && s.Alert.Incident != "" {
				err = n.join(ctx, s.Alert.Incident, []ID{made[i].Segment}, &made[i])
			}
			failures = append(failures, err)
		}
	}
	return joinFew(failures)
}
