package main

import (
	"context"
	"errors"
	"iter"

	"github.com/segmentguard/segmentguard/segment"
)

// sweep judges the current sizes of all segments. It also tells people of those
// that guards left to it, and of what is over.
func (p *platform) sweep(ctx context.Context) error {
	sweep, err := p.monitor.Sweep(ctx, p.sizes(ctx))
	if err == nil && !sweep.Complete {
		return errors.New("the sweep is not complete")
	}
	return err
}

// sizes yields the current sizes of all segments, the empty ones too.
func (p *platform) sizes(ctx context.Context) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		texts, err := collect(p.db.QueryContext(ctx, "SELECT segment FROM live ORDER BY segment"))
		if err != nil {
			yield(segment.CurrentSize{}, err)
			return
		}
		for _, text := range texts {
			size, err := p.size(ctx, text)
			if !yield(size, err) || err != nil {
				return
			}
		}
	}
}

func (p *platform) size(ctx context.Context, text string) (size segment.CurrentSize, err error) {
	if size.Segment, err = segment.ParseID(text); err == nil {
		size.Stored, err = p.source(ctx, size.Segment)
	}
	return size, err
}
