package segmenttest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// settles waits just long enough for a store that lags a minute behind.
var settles = segment.Settle{Min: 65 * time.Second, Max: 90 * time.Second, Every: 10 * time.Second}

// A variant is a right job, but for what is set: each right way to do it, and
// each wrong one.
type variant struct {
	rule    segment.Rule
	counted bool                     // counts users where the others digest them
	mapped  bool                     // maps ids
	inPlace func(segment.Run) string // the stamp to write under; nil: staged
	run     func() string            // names the run by itself, not as the queue does

	expects func(read *validate.Digest) validate.Summary                      // in place of the source's own word
	deaf    bool                                                              // takes the end of a failed read for its end
	edit    func(*segment.Run, *written)                                      // before the guard sees it
	settle  func(context.Context, segment.Run, *segment.Guard, *Target) error // in place of guard.Commit
}

// written is what the writer believes.
type written struct{ validate.Digest }

func (v *variant) job(ctx context.Context, s *Store) error {
	config := s.Config()
	config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return v.rule, nil }
	guard, err := segment.NewGuard(config)
	if err != nil {
		return err
	}
	run, target := s.Run(), s.Stage()
	if v.run != nil {
		run.ID = v.run()
	}
	if v.inPlace != nil {
		target = s.InPlace(v.inPlace(run))
	}
	if run.Expected, err = v.asked(ctx, s); err != nil {
		return err
	}
	var read validate.Digest
	var wrote written
	if err := v.copy(ctx, s, target, &read, &wrote); err != nil {
		return errors.Join(err, target.Discard(ctx))
	}
	if v.expects != nil {
		run.Expected = v.expects(&read)
	}
	run.Read, run.WrittenAt = v.summary(&read), time.Now()
	if v.mapped {
		run.Written = v.summary(&wrote.Digest)
	}
	run.Stored, run.Commit, run.Discard = target.Summarize, target.Publish, target.Discard
	if v.counted {
		run.Stored = target.Count
	}
	if v.edit != nil {
		v.edit(&run, &wrote)
	}
	if v.settle != nil {
		return v.settle(ctx, run, guard, target)
	}
	_, err = guard.Commit(ctx, run)
	return err
}

func (v *variant) asked(ctx context.Context, s *Store) (validate.Summary, error) {
	if v.counted {
		return s.Count(ctx)
	}
	return s.Summarize(ctx)
}

func (v *variant) summary(d *validate.Digest) validate.Summary {
	if v.counted {
		return validate.Count(d.Users())
	}
	return d.Summary()
}

func (v *variant) copy(ctx context.Context, s *Store, target *Target, read *validate.Digest, wrote *written) error {
	for page, err := range s.Pages(ctx) {
		if err != nil && v.deaf {
			return nil
		}
		if err != nil {
			return err
		}
		read.AddStrings(page)
		users := v.ids(s, page)
		wrote.AddStrings(users)
		if err := target.Write(ctx, users); err != nil {
			return err
		}
	}
	return nil
}

// ids are a page's users with the ids that they are stored under.
func (v *variant) ids(s *Store, page []string) (users []string) {
	if !v.mapped {
		return page
	}
	for _, user := range page {
		if mapped, ok := s.Map(user); ok {
			users = append(users, mapped)
		}
	}
	return users
}

// byAttempt is a stamp as it should be: no two attempts share it.
func byAttempt(run segment.Run) string { return run.ID + "/" + strconv.Itoa(run.Attempt) }
