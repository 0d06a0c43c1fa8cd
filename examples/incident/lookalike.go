package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// lookalike finds the users who are like those of the seed, and uploads them.
func (p *platform) lookalike(ctx context.Context, job segment.Job, run string) error {
	similar, err := p.similar(ctx, job)
	if err != nil {
		return err
	}
	out, err := p.stage(ctx, job.To, run)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(similar, pageSize) {
		if p.build.uploadsNothing {
			break // the bug
		}
		if err := out.write(ctx, page); err != nil {
			return err
		}
	}
	return p.commit(ctx, segment.Run{
		ID: run, Build: p.build.name, Job: job,
		Expected: validate.Count(int64(len(similar))), // what the model put out; its size, the history judges
		Stored:   out.stored,
		Staging:  segment.Staging{Commit: out.publish, Discard: out.discard},
	})
}

// similar ranks all users by their similarity to the seed's centroid and keeps
// those above the threshold. Interests have length 1, so the cosine is a product.
func (p *platform) similar(ctx context.Context, job segment.Job) ([]string, error) {
	c, err := p.centroid(ctx, job.From[0])
	if err != nil {
		return nil, err
	}
	similar, err := collect(p.db.QueryContext(ctx, `SELECT id FROM users
		WHERE i0*? + i1*? + i2*? + i3*? >= ? ORDER BY i0*? + i1*? + i2*? + i3*? DESC`,
		c[0], c[1], c[2], c[3], p.similarity[job.To], c[0], c[1], c[2], c[3]))
	if err != nil {
		return nil, fmt.Errorf("ranking users for %s: %w", job.To, err)
	}
	return similar, nil
}

func (p *platform) centroid(ctx context.Context, seed segment.ID) (c [interests]float64, err error) {
	err = p.db.QueryRowContext(ctx, `SELECT avg(i0), avg(i1), avg(i2), avg(i3)
		FROM live l JOIN members m ON m.generation = l.generation JOIN users u ON u.id = m.user
		WHERE l.segment = ?`, seed.String()).Scan(&c[0], &c[1], &c[2], &c[3])
	if err != nil {
		return c, fmt.Errorf("centroid of %s: %w", seed, err)
	}
	length := math.Sqrt(c[0]*c[0] + c[1]*c[1] + c[2]*c[2] + c[3]*c[3])
	for i := range c {
		c[i] /= length
	}
	return c, nil
}
