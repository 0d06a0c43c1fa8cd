package main

import (
	"context"
	"errors"
	"iter"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
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
	return sqlsegment.Listing{
		Dialect: sqlsegment.SQLite,
		Query:   "SELECT segment, count(user) FROM live LEFT JOIN members USING (generation) GROUP BY segment",
	}.Sizes(ctx, p.db)
}
