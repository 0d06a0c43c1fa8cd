package segment

import (
	"context"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// apart reports whether something else explains a size off the segment's history, so
// that no level is to be learned from it: the segment is a member of an incident, or was
// made from one that is affected, or that was itself accepted, relearned or vouched for
// since a day before the segment was first off. What cannot be read may be so.
func (r *guardedRun) apart(ctx context.Context) bool {
	if r.state.Alert.Incident != "" || r.state.unreadable("alert") != nil {
		return true
	}
	since := r.at.Add(-day)
	if len(r.state.Candidates) > 0 {
		since = r.state.Candidates[0].At.Add(-day)
	}
	for _, from := range r.run.Job.From {
		upstream, err := r.everywhere(ctx, from)
		if err != nil || slices.ContainsFunc(upstream, func(s SegmentState) bool { return s.Damaged != nil || s.Alert.Open != nil || s.levelled(since) }) {
			return true
		}
	}
	return false
}

// everywhere returns what is known of a segment in any store. In the job's transaction
// it looks in the run's own, and in the one that nobody named.
func (r *guardedRun) everywhere(ctx context.Context, id ID) (found []SegmentState, err error) {
	if ledger := r.guard.config.Ledger; ledger != nil && r.run.Staging.Tx == nil {
		err = within(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
			for s, err := range ledger.Segments(ctx, SegmentFilter{Segment: id}) {
				if err != nil {
					return err
				}
				found = append(found, s)
			}
			return nil
		})
		return found, err
	}
	found = make([]SegmentState, 2)
	return found, join(r.read(ctx, id.In(r.store), &found[0]), r.read(ctx, id.In(""), &found[1]))
}

// levelled reports whether a new level of the segment began at a time or later, or
// somebody accepted a size of it.
func (s *SegmentState) levelled(since time.Time) bool {
	if s.Accepted != nil && !s.Accepted.At.Before(since) {
		return true
	}
	for i := len(s.Sizes) - 1; i >= 0 && !s.Sizes[i].At.Before(since); i-- {
		if s.Sizes[i].Level == validate.LevelNew {
			return true
		}
	}
	return false
}

// relearned reports whether a level became normal by itself (validate.Policy.Relearn),
// which nobody said.
func relearned(r *validate.Report) bool {
	return r.Level == validate.LevelNew && len(r.NewLevel) > 0 && !r.Vouched
}

// normal says why a size off its history is none any more; empty: it is.
func normal(r *validate.Report) string {
	switch {
	case r.Excuse != nil:
		return "accepted for a while"
	case relearned(r):
		return "its new level stood for so many days that it became normal by itself"
	case r.Level == validate.LevelNew:
		return "the source vouched for its new level on seven days"
	}
	return ""
}
