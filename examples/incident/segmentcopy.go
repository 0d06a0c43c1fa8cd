package main

import (
	"context"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// segmentCopy copies a segment into another site group.
func (p *platform) segmentCopy(ctx context.Context, job segment.Job, run string) error {
	expected, err := p.source(ctx, job.From[0])
	if err != nil {
		return err
	}
	out, err := p.stage(ctx, job.To, run)
	if err != nil {
		return err
	}
	var read validate.Digest
	for page, err := range p.pages(ctx, job.From[0]) {
		if err != nil {
			return err
		}
		read.AddStrings(page)
		if err := out.write(ctx, page); err != nil {
			return err
		}
	}
	return p.commit(ctx, segment.Run{
		ID: run, Build: p.build.name, Job: job,
		Expected: expected,       // what the source itself holds
		Read:     read.Summary(), // what this job happened to read: never take it for Expected
		Stored:   out.stored,
		Staging:  segment.Staging{Commit: out.publish, Discard: out.discard},
	})
}

// source asks the source how many users it holds, by another path than the one
// on which they are read, and which they are.
func (p *platform) source(ctx context.Context, from segment.ID) (validate.Summary, error) {
	return sqlsegment.Users{
		Dialect: sqlsegment.SQLite, Method: sqlsegment.Stream,
		Query: "SELECT m.user FROM live l JOIN members m ON m.generation = l.generation WHERE l.segment = ?",
		Args:  []any{from.String()},
	}.Summarize(ctx, p.db)
}
