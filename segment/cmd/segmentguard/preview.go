package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/segmentguard/segmentguard/segment"
)

// A preview is a ledger that keeps nothing. What a decision does to it is what would
// change: the same code decides.
type preview struct {
	segment.Ledger

	looked  atomic.Int64 // at so many segments
	changes map[segment.Key]change
	mutes   []segment.Mute // as they would be
	muted   bool
}

func newPreview(l segment.Ledger) *preview {
	return &preview{Ledger: l, changes: map[segment.Key]change{}}
}

// errPreview has the ledger keep nothing.
var errPreview = errors.New("nothing is kept: it is a preview")

// Change implements segment.Ledger. It lets the ledger read, and refuses to go on where
// all of the segments were changed.
func (p *preview) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, segment.Key.Compare)
	keys = slices.Compact(keys)
	left := len(keys)
	err := p.Ledger.Change(ctx, keys, func(s *segment.SegmentState) error {
		if s.Key() == keys[0] { // or again, where others were in the way
			left = len(keys)
		}
		before := copied(s)
		if err := change(s); err != nil {
			return err
		}
		p.looked.Add(1)
		p.note(&before, s)
		if left--; left == 0 {
			return errPreview
		}
		return nil
	})
	if errors.Is(err, errPreview) {
		return nil
	}
	return err
}

// copied returns what a decision changes in place.
func copied(s *segment.SegmentState) segment.SegmentState {
	c := *s
	c.Sizes, c.Candidates, c.Excuses = slices.Clone(s.Sizes), slices.Clone(s.Candidates), slices.Clone(s.Excuses)
	if s.Alert.Open != nil {
		c.Alert.Open = new(*s.Alert.Open)
	}
	return c
}

// note keeps what would change of a segment.
func (p *preview) note(before, after *segment.SegmentState) {
	if c := changeOf(before, after); len(c.What) > 0 {
		known := p.changes[before.Key()]
		c.What = append(slices.Clone(known.What), c.What...)
		p.changes[before.Key()] = c
	}
}

// found returns what would change, in order.
func (p *preview) found() []change {
	all := make([]change, 0, len(p.changes))
	for _, c := range p.changes {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b change) int { return a.key().Compare(b.key()) })
	return all
}

// Lock implements segment.Ledger.
func (p *preview) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	err := p.Ledger.Lock(ctx, key, func(r *segment.CommitRow) error {
		if err := change(r); err != nil {
			return err
		}
		return errPreview
	})
	if errors.Is(err, errPreview) {
		return nil
	}
	return err
}

// Mutes implements segment.Ledger.
func (p *preview) Mutes(ctx context.Context) ([]segment.Mute, error) {
	if p.muted {
		return slices.Clone(p.mutes), nil
	}
	return p.Ledger.Mutes(ctx)
}

// ChangeMutes implements segment.Ledger.
func (p *preview) ChangeMutes(ctx context.Context, change func([]segment.Mute) ([]segment.Mute, error)) error {
	mutes, err := p.Mutes(ctx)
	if err == nil {
		mutes, err = change(mutes)
	}
	if err == nil {
		p.mutes, p.muted = mutes, true
	}
	return err
}

// Record and the next ones are nothing that a decision does.
func (p *preview) Record(context.Context, segment.Record) error { return errPreview }

// ChangeIncident implements segment.Ledger.
func (p *preview) ChangeIncident(context.Context, string, func(*segment.Incident) error) error {
	return errPreview
}

// KeepSweep implements segment.Ledger.
func (p *preview) KeepSweep(context.Context, segment.SweepNumbers) error { return errPreview }

// KeepJobs implements segment.Ledger.
func (p *preview) KeepJobs(context.Context, []segment.Job) error { return errPreview }

// Next implements segment.Ledger.
func (p *preview) Next(context.Context, segment.Key) (segment.Start, error) {
	return segment.Start{}, errPreview
}

// KeepPlan implements segment.Ledger.
func (p *preview) KeepPlan(context.Context, segment.PlanRecord, iter.Seq[segment.PlanStep]) error {
	return errPreview
}

// ChangeSteps implements segment.Ledger.
func (p *preview) ChangeSteps(context.Context, string, []int, func(*segment.PlanStep) error) error {
	return errPreview
}
