package segmenttest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// waits is just long enough for a store that lags a minute behind.
var waits = segment.Lag{Min: 65 * time.Second, Max: 75 * time.Second, Every: 10 * time.Second}

// never is no time: the job does not say when it wrote.
var never time.Time

// A variant is a job that copies a segment: right as it is, in each way that can
// be right, or wrong by what is set.
type variant struct {
	rule    segment.Rule
	counted bool                     // counts users where the others digest them
	teed    bool                     // digests users one by one as they flow past
	mapped  bool                     // maps ids
	models  bool                     // asks the model
	inPlace func(segment.Run) string // the stamp to write under; nil: staged
	wide    bool                     // writes all pages at once
	admit   bool                     // has the guard judge what was read before the first write

	expects func(read *validate.Digest) validate.Summary                      // in place of the source's own word
	deaf    bool                                                              // takes a failed read for its end
	edit    func(r *segment.Run, wrote *validate.Digest)                      // before the guard sees it
	finish  func(context.Context, *segment.Guard, segment.Run, *Target) error // in place of Guard.Commit
}

func (v *variant) job(ctx context.Context, s *Store) (err error) {
	config := s.Config()
	config.Rules = func(context.Context, segment.Job) (segment.Rule, error) { return v.rule, nil }
	guard, err := segment.NewGuard(config)
	if err != nil {
		return err
	}
	run, target := s.Run(), s.Stage()
	if v.inPlace != nil {
		target = s.InPlace(v.inPlace(run))
	}
	if run.Expected, err = v.asked(ctx, s); err != nil {
		return err
	}
	var read, wrote validate.Digest
	pages, err := v.read(ctx, s, &read)
	if err != nil {
		return err
	}
	if v.expects != nil {
		run.Expected = v.expects(&read)
	}
	run.Read = v.summary(&read)
	if v.models {
		run.Job = segment.Lookalike(run.Job.To, run.Job.From...)
		pages = slices.Collect(slices.Chunk(s.Model(slices.Concat(pages...)), pageUsers))
	}
	if v.admit {
		if _, err := guard.Admit(ctx, run); err != nil {
			return err
		}
	}
	if err := v.write(ctx, s, target, pages, &wrote); err != nil {
		return errors.Join(err, target.Discard(ctx))
	}
	if v.mapped || v.models {
		run.Written = v.summary(&wrote)
	}
	run.WrittenAt, run.Stored, run.Staging.Commit, run.Staging.Discard = time.Now(), target.Summarize, target.Publish, target.Discard
	if v.counted {
		run.Stored = target.Count
	}
	if v.edit != nil {
		v.edit(&run, &wrote)
	}
	if v.finish != nil {
		return v.finish(ctx, guard, run, target)
	}
	_, err = guard.Commit(ctx, run)
	return err
}

// read returns the source's pages. A job whose digest is teed leaves it to the
// guard to notice that the read failed.
func (v *variant) read(ctx context.Context, s *Store, read *validate.Digest) (pages [][]string, err error) {
	if v.teed {
		for user, err := range validate.Tee(read, users(s.Pages(ctx))) {
			if err == nil {
				pages = append(pages, []string{user})
			}
		}
		return [][]string{slices.Concat(pages...)}, nil
	}
	for page, err := range s.Pages(ctx) {
		if err != nil && v.deaf {
			break
		}
		if err != nil {
			return nil, err
		}
		read.AddStrings(page)
		pages = append(pages, page)
	}
	return pages, nil
}

func users(pages iter.Seq2[[]string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for page, err := range pages {
			if err != nil {
				yield("", err)
				return
			}
			for _, user := range page {
				if !yield(user, nil) {
					return
				}
			}
		}
	}
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

func (v *variant) write(ctx context.Context, s *Store, target *Target, pages [][]string, wrote *validate.Digest) error {
	var writers sync.WaitGroup
	failures := make([]error, len(pages))
	for i, page := range pages {
		users := v.ids(s, page)
		wrote.AddStrings(users)
		writers.Go(func() { failures[i] = target.Write(ctx, users) })
		if !v.wide {
			writers.Wait()
		}
	}
	writers.Wait()
	return errors.Join(failures...)
}

// ids returns a page's users with the ids that they are stored under.
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

// byAttempt returns a stamp as it should be: no two attempts share it.
func byAttempt(run segment.Run) string { return run.ID + "/" + strconv.Itoa(run.Attempt) }
