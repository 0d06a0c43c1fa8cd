package main

import (
	"context"
	"errors"
	"iter"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
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
		rows, err := p.db.QueryContext(ctx, `SELECT l.segment, count(m.user) FROM live l LEFT JOIN members m ON m.generation = l.generation
			GROUP BY l.segment ORDER BY l.segment`)
		if err != nil {
			yield(segment.CurrentSize{}, err)
			return
		}
		var all []segment.CurrentSize // read to its end first: the sweep writes to the same file
		for rows.Next() {
			var text string
			var users int64
			err := rows.Scan(&text, &users)
			size := segment.CurrentSize{Stored: validate.Count(users)}
			if err := errors.Join(err, size.Segment.UnmarshalText([]byte(text))); err != nil {
				yield(size, errors.Join(err, rows.Close()))
				return
			}
			all = append(all, size)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			yield(segment.CurrentSize{}, err)
			return
		}
		for _, size := range all {
			if !yield(size, nil) {
				return
			}
		}
	}
}
