package segment

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Decision is what somebody decided about a segment.
type Decision struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Validate returns a *validate.InputError that names what is missing.
func (d Decision) Validate() error {
	switch {
	case d.By == "":
		return badInput("Decision.By", "empty", "who decided")
	case d.Why == "":
		return badInput("Decision.Why", "empty", "the reason, for whoever reads it later")
	case d.At.IsZero():
		return badInput("Decision.At", "missing", "the time of the decision")
	}
	return nil
}

// A SizeImport is sizes of one segment that no guard recorded.
type SizeImport struct {
	Segment ID              `json:"segment"`
	Store   string          `json:"store,omitempty"`
	Sizes   []validate.Size `json:"sizes"`
}

// Validate returns a *validate.InputError that names what is wrong.
func (i SizeImport) Validate() error {
	if i.Segment.IsZero() {
		return badInput("SizeImport.Segment", "empty", "the segment whose sizes they are")
	}
	if i.Segment.check() != nil {
		return badInput("SizeImport.Segment", fmt.Sprintf("%+q", i.Segment.String()), "UTF-8")
	}
	if err := checkStore("SizeImport.Store", i.Store); err != nil {
		return err
	}
	for _, size := range i.Sizes {
		switch {
		case size.At.IsZero():
			return badInput("SizeImport.Sizes.At", "missing", "the time of each size of "+i.Segment.String())
		case size.Users < 0 || size.Read < 0:
			return badInput("SizeImport.Sizes", size, "0 or more users for "+i.Segment.String())
		}
	}
	return nil
}

// Import adds sizes that no guard recorded: from before there was one, or seen in
// the store. It marks them Unguarded, and leaves out sizes of the same time and
// counter as one that is there already. If it returns an error it has added nothing.
func Import(ctx context.Context, l Ledger, imports []SizeImport) error {
	sizes := map[Key][]validate.Size{}
	for _, i := range imports {
		if err := i.Validate(); err != nil {
			return wrap("segment: importing sizes", err)
		}
		key := i.Segment.In(i.Store)
		sizes[key] = append(sizes[key], i.Sizes...)
	}
	if len(sizes) == 0 {
		return nil
	}
	return wrap("segment: importing sizes", l.Change(ctx, sorted(sizes), func(s *SegmentState) error {
		if err := s.intact(); err != nil {
			return err
		}
		s.add(sizes[s.Key()])
		return nil
	}))
}

// FalseAlarm ends the alert of a segment of which somebody found that nothing was
// wrong, and says so in the log. It returns an error if there is none.
func FalseAlarm(ctx context.Context, l Ledger, key Key, d Decision) error {
	err := d.Validate()
	if err == nil {
		err = l.Change(ctx, []Key{key}, func(s *SegmentState) error {
			a := s.Alert.Open
			if a == nil {
				return fmt.Errorf("no alert is open for %s", key)
			}
			s.Log = append(s.Log, LogEntry{
				Segment: key.Segment, Store: key.Store, At: d.At, Action: ActionFalseAlarm, RunID: a.RunID, By: d.By, Why: d.Why, Mark: new(s.Alert.worst()), Text: a.Text,
			})
			s.vouch(cmp.Or(a.RunID, s.Last.RunID)) // a sweep's alert is about what the last run left
			s.observe(observation{event: aClosing, at: d.At, why: "a false alarm, says " + d.By + ": " + d.Why})
			return nil
		})
	}
	return wrap("segment: calling a false alarm", err)
}

// suspect takes sizes out of the baseline, and reports whether there were any.
func (s *SegmentState) suspect(wrong func(validate.Size) bool) bool {
	before := len(s.Sizes) + len(s.Candidates)
	s.Sizes, s.Candidates = slices.DeleteFunc(s.Sizes, wrong), slices.DeleteFunc(s.Candidates, wrong)
	return len(s.Sizes)+len(s.Candidates) < before
}

// add adds sizes that no guard recorded. A ledger keeps microseconds, so a size is
// known by those.
func (s *SegmentState) add(sizes []validate.Size) {
	for _, size := range sizes {
		size.At, size.Unguarded = time.UnixMicro(size.At.UnixMicro()).UTC(), true
		known := func(kept validate.Size) bool { return kept.At.Equal(size.At) && kept.Counter == size.Counter }
		if !slices.ContainsFunc(s.Sizes, known) {
			s.Add(size)
			s.Candidates = slices.DeleteFunc(s.Candidates, func(c validate.Size) bool { return c.At.Before(size.At) }) // it passed after them
		}
	}
}

func same(a, b validate.Size) bool {
	return a.Users == b.Users && a.Read == b.Read && a.At.Equal(b.At) && a.Counter == b.Counter
}

// An Affected segment holds the wrong users, or may: a sweep or an alert names
// it, or the build that made it had a bug.
type Affected struct {
	Segment ID    `json:"segment"`
	Users   int64 `json:"users,omitempty"` // at stake; 0: not known
}

// AffectedByAlerts returns the segments with an open alert in any store, each once, in
// byte order of their texts, as rerun.New takes them. It takes an alert that cannot be read for an
// open one. With an error that is a *Damage the list is valid, and lacks a segment
// whose id cannot be read.
func AffectedByAlerts(ctx context.Context, l Ledger) ([]Affected, error) {
	users := map[ID]int64{}
	var unknown error
	for s, err := range l.Segments(ctx, SegmentFilter{Affected: true}) {
		switch open := s.Alert.Open; {
		case err != nil:
			return nil, wrap("segment: affected by alerts", err)
		case s.Damaged != nil && s.Segment.IsZero():
			unknown = join(unknown, s.Damaged)
		case open != nil:
			users[s.Segment] = max(users[s.Segment], open.Users, atStake(&open.Report))
		case !s.hasAlert():
			users[s.Segment] = max(users[s.Segment], 0)
		}
	}
	return affectedOf(users), wrap("segment: affected by alerts", unknown)
}

// AffectedByLog returns the segments of the runs that f selects, in byte order of
// their texts, whatever became of those runs: a bug found at noon touched runs
// that looked fine. What was rejected is among them, as its segment is out of
// date. With an error that is a *Damage the list is valid, and lacks a segment whose
// id cannot be read.
func AffectedByLog(ctx context.Context, l Ledger, f LogFilter) ([]Affected, error) {
	users := map[ID]int64{}
	var unknown error
	for e, err := range l.Log(ctx, f) {
		switch {
		case err != nil:
			return nil, wrap("segment: affected by the log", err)
		case e.Damaged != nil && e.Segment.IsZero():
			unknown = join(unknown, e.Damaged)
			continue
		case e.Damaged != nil: // whatever became of it
			users[e.Segment] = max(users[e.Segment], 0)
		}
		if r := e.Record; r != nil {
			users[r.Segment] = max(users[r.Segment], r.Users)
			if r.Report != nil {
				users[r.Segment] = max(users[r.Segment], atStake(r.Report))
			}
		}
	}
	return affectedOf(users), wrap("segment: affected by the log", unknown)
}

// affectedOf returns the segments in order, with the users at stake in each.
func affectedOf(users map[ID]int64) (found []Affected) {
	for _, id := range sorted(users) {
		found = append(found, Affected{Segment: id, Users: users[id]})
	}
	return found
}
