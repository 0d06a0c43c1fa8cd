package segment

import (
	"context"
	"maps"
	"slices"
)

// An Affected segment holds the wrong users, or may: a sweep or an alert names
// it, or the build that made it had a bug.
type Affected struct {
	Segment ID    `json:"segment"`
	Users   int64 `json:"users,omitempty"` // at stake; 0: not known
}

// AffectedByAlerts returns the segments with an open alert, for package rerun to plan.
func AffectedByAlerts(ctx context.Context, l Ledger) ([]Affected, error) {
	var found []Affected
	for s, err := range l.Alerts(ctx) {
		if err != nil {
			return nil, wrap("segment: affected by alerts", err)
		}
		if s.Open != nil && s.Open.Incident == nil {
			found = append(found, Affected{Segment: s.Segment, Users: atStake(&s.Open.Report)})
		}
	}
	return found, nil
}

// AffectedByAttempts are the segments of attempts by a build, a kind of job or a
// time, whatever became of them: a bug found at noon touched runs that looked
// fine. What was rejected is among them, as its segment is out of date.
func AffectedByLog(ctx context.Context, l Ledger, f LogFilter) ([]Affected, error) {
	users := map[ID]int64{}
	for r, err := range l.Attempts(ctx, f) {
		if err != nil {
			return nil, wrap("segment: affected by attempts", err)
		}
		users[r.Segment] = max(users[r.Segment], r.Users, atStake(&r.Report))
	}
	var found []Affected
	for _, id := range slices.SortedFunc(maps.Keys(users), ID.Compare) {
		found = append(found, Affected{Segment: id, Users: users[id]})
	}
	return found, nil
}
