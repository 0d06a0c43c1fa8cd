package segmenttest_test //nolint:testableexamples // it needs a test; TestExampleIsRight runs the job

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/segmenttest"
	"github.com/segmentguard/segmentguard/validate"
)

// rules are those of production: whatever they allow, the suite must find that
// it lets no fault through.
func rules(context.Context, segment.Job) (segment.Rule, error) {
	return segment.Rule{Lag: segment.Lag{Min: 10 * time.Second, Max: 3 * time.Minute, Every: 30 * time.Second}}, nil
}

// copySegment copies a segment as in production, but for the store.
func copySegment(ctx context.Context, s *segmenttest.Store) error {
	config := s.Config()
	config.Rules = rules
	guard, err := segment.NewGuard(config)
	if err != nil {
		return err
	}
	run, staged := s.Run(), s.Stage()
	if run.Expected, err = s.Summarize(ctx); err != nil { // the source's own word
		return err
	}
	var read validate.Digest
	for page, err := range s.Pages(ctx) {
		if err == nil {
			read.AddStrings(page)
			err = staged.Write(ctx, page)
		}
		if err != nil {
			return errors.Join(err, staged.Discard(ctx))
		}
	}
	run.Read, run.WrittenAt = read.Summary(), time.Now()
	run.Stored, run.Staging.Commit, run.Staging.Discard = staged.Summarize, staged.Publish, staged.Discard
	_, err = guard.Commit(ctx, run)
	return err
}

// In a test of your own, t is the test's.
func ExampleTestJob() {
	var t *testing.T
	segmenttest.TestJob(t, copySegment)
}
