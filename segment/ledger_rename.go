package segment

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// A Renaming is of one segment, which one store has under another name from now on. Of
// a segment that is in several stores, each store has its own.
type Renaming struct {
	From Key `json:"from"`
	To   Key `json:"to"`
}

// Rename gives segments other names: their sizes, alerts, mutes and what was decided of
// them go along, of those stores that names has. A mute in any store stays under the
// old name, too, where another store has a segment of that name. Where something is known under the new name already, as of a run that
// was quicker, that holds, and the sizes of before are added to it. The log of before
// stays under the old name.
//
// An error may leave some renamed, which is no fault to try again: a segment of which
// nothing is known is left out, where something is known under its new name.
func Rename(ctx context.Context, l Ledger, names []Renaming, d Decision) error {
	err := d.Validate()
	if err == nil {
		err = checkNames(names)
	}
	for chunk := range slices.Chunk(names, tellAtOnce/2) {
		if err == nil {
			err = renameSome(ctx, l, chunk, &d)
		}
	}
	if err == nil {
		err = renameMutes(ctx, l, names)
	}
	return wrap("segment: renaming segments", err)
}

// renameMutes has the mutes of segments go along.
func renameMutes(ctx context.Context, l Ledger, names []Renaming) error {
	stays, err := stillMuted(ctx, l)
	if err != nil {
		return err
	}
	return l.ChangeMutes(ctx, func(mutes []Mute) (all []Mute, _ error) {
		for _, m := range mutes {
			moved := false
			for _, r := range names {
				if m.Segment != r.From.Segment || !allows(m.Store, r.From.Store) {
					continue
				}
				renamed := m
				if renamed.Segment = r.To.Segment; m.Store != "" {
					renamed.Store = r.To.Store
				}
				if !slices.ContainsFunc(all, func(known Mute) bool { return known.same(&renamed) }) {
					all = append(all, renamed)
				}
				moved = true
			}
			if !moved || m.Store == "" && stays[m.Segment] {
				all = append(all, m)
			}
		}
		return all, nil
	})
}

// stillMuted returns the segments that a mute in any store is about, and that are in
// some store under that name.
func stillMuted(ctx context.Context, l Ledger) (map[ID]bool, error) {
	mutes, err := l.Mutes(ctx)
	if err != nil {
		return nil, wrap("reading the mutes", err)
	}
	stays := map[ID]bool{}
	for _, m := range mutes {
		if m.Segment.IsZero() || m.Store != "" {
			continue
		}
		for s, err := range l.Segments(ctx, SegmentFilter{Segment: m.Segment}) {
			if err != nil {
				return nil, wrap("reading which stores have "+m.Segment.String(), err)
			}
			if s.Alert.Open != nil || s.everLive() {
				stays[m.Segment] = true
			}
		}
	}
	return stays, nil
}

// checkNames returns a *validate.InputError that names what is wrong.
func checkNames(names []Renaming) error {
	seen := map[Key]bool{}
	for _, r := range names {
		for _, key := range []Key{r.From, r.To} {
			switch {
			case key.Segment.Name == "":
				return badInput("Renaming", fmt.Sprintf("%s to %s", r.From, r.To), "two segments, with names")
			case key.Segment.check() != nil:
				return badInput("Renaming", fmt.Sprintf("%+q", key.String()), "UTF-8")
			case seen[key]:
				return badInput("Renaming", key.String(), "each name once: rename in two steps what takes another's place")
			}
			seen[key] = true
		}
	}
	return nil
}

var errMoved = errors.New("it changed meanwhile")

// renameSome renames some segments in one step. What they are is read before, as a
// ledger changes one segment after the other; where one changed meanwhile, all begins
// anew.
func renameSome(ctx context.Context, l Ledger, names []Renaming, d *Decision) (err error) {
	for range 5 {
		leaves, comes := map[Key]*SegmentState{}, map[Key]*SegmentState{}
		var keys []Key
		for _, r := range names {
			s, err := l.State(ctx, r.From)
			if err == nil {
				err = s.intact()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", r.From, err)
			}
			leaves[r.From], comes[r.To] = new(s.clone()), &s
			keys = append(keys, r.From, r.To)
		}
		err = l.Change(ctx, keys, func(s *SegmentState) error {
			if known := leaves[s.Key()]; known != nil {
				if now := s.clone(); !reflect.DeepEqual(&now, known) {
					return fmt.Errorf("%s: %w", s.Key(), errMoved)
				}
				s.leave(d, "it was renamed", LogEntry{Action: ActionRenamed, Text: "by another name now"})
				return nil
			}
			return s.come(comes[s.Key()], d)
		})
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return err
}

// come takes in what was known of a segment under another name.
func (s *SegmentState) come(was *SegmentState, d *Decision) error {
	if err := s.intact(); err != nil {
		return err
	}
	fresh := s.IsZero()
	if was.IsZero() {
		if fresh {
			return fmt.Errorf("nothing is known of %s", was.Key())
		}
		return nil
	}
	entry := LogEntry{Segment: s.Segment, Store: s.Store, At: d.At, Action: ActionRenamed, By: d.By, Why: d.Why, Text: "from " + was.Key().String()}
	if !fresh {
		s.Add(was.Sizes...)
		s.Excuses = append(slices.Clone(s.Excuses), was.Excuses...)
		s.Log = append(s.Log, entry)
		s.comeSubmitted(was, d)
		return nil
	}
	key, told := s.Key(), s.Alert
	*s = was.clone()
	s.Segment, s.Store, s.Log = key.Segment, key.Store, []LogEntry{entry}
	s.Last.Segment, s.Last.Store, s.Submitted = key.Segment, key.Store, was.Submitted.elsewhere()
	s.Alert.Told, s.Alert.Trying, s.Alert.Claimed = told.Told, told.Trying, time.Time{}
	switch open := s.Alert.Open; {
	case open == nil:
	case open.Missing: // which is explained
		s.Alert = AlertState{}
	default:
		open.Segment, open.Store = key.Segment, key.Store
	}
	return nil
}

// comeSubmitted takes in a run that waits for its store, unless one is there in whose
// place it would be.
func (s *SegmentState) comeSubmitted(was *SegmentState, d *Decision) {
	there := s.Submitted
	if was.Submitted == nil {
		return
	}
	if s.Submitted = was.Submitted.elsewhere(); s.Last.State != "" {
		s.supersede(d.At, "another run is known under the segment's new name")
		s.Submitted = there
	}
}

// leave drops all but what the alerter was told, so that it learns that it is over.
func (s *SegmentState) leave(d *Decision, why string, entry LogEntry) {
	s.repair()
	s.observe(observation{event: aClosing, at: d.At, why: why})
	entry.Segment, entry.Store, entry.At, entry.By, entry.Why = s.Segment, s.Store, d.At, d.By, d.Why
	s.Log = append(s.Log, entry)
	*s = SegmentState{Segment: s.Segment, Store: s.Store, Log: s.Log, Alert: AlertState{Told: s.Alert.Told, Trying: s.Alert.Trying, Claimed: s.Alert.Claimed, Over: s.Alert.Over}}
}

// Forget drops what is known of segments that were deleted on purpose, or of all of a
// site group that left, and ends their alerts. Their log stays. A segment that a store
// lists still is watched anew, and so is one whose job is in MonitorConfig.Jobs.
func Forget(ctx context.Context, l Ledger, which Selection, d Decision) error {
	err := join(which.Validate(), d.Validate())
	if err == nil && (which.RunID != "" || !which.From.IsZero()) {
		err = badInput("Selection.RunID", which.RunID, "no run and no time: all is forgotten")
	}
	var keys []Key
	if err == nil {
		keys, err = which.keys(ctx, l)
	}
	for chunk := range slices.Chunk(keys, tellAtOnce) {
		if err == nil {
			err = l.Change(ctx, chunk, func(s *SegmentState) error {
				s.leave(&d, "the segment was forgotten", LogEntry{Action: ActionForgotten})
				return nil
			})
		}
	}
	return wrap("segment: forgetting segments", err)
}
