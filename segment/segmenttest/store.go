package segmenttest

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A Store is all that one attempt of a job works with: the source that it reads,
// the destination that it writes, and the ledger of its guard. It is safe for
// concurrent use.
type Store struct {
	world   *world
	attempt int
	source  []string // the users as this attempt sees them
	writing func()   // called before each write
}

// What a broken store answers.
var (
	errRead     = errors.New("segmenttest: reading failed in the middle")
	errReadBack = errors.New("segmenttest: reading back failed")
	errPublish  = errors.New("segmenttest: the connection broke before publishing was answered")
)

// Config returns a configuration for the job's guard: with a ledger that is empty
// as yet, and an alerter that tells nobody. Set Rules to your own.
func (s *Store) Config() segment.GuardConfig {
	return segment.GuardConfig{
		Ledger:  s.world.ledger,
		Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler)),
	}
}

// Run returns what a queue would tell the job: its ID, Attempt, Build and Job. The
// job sets what it measures, and the callbacks.
func (s *Store) Run() segment.Run {
	id := "monday"
	if s.world.night > 0 {
		id = "night-" + strconv.Itoa(s.world.night)
	}
	return segment.Run{
		ID: id, Attempt: s.attempt, Build: "v1",
		Job: segment.Copy(segment.ID{SiteGroup: "site-b", Name: "cars"}, segment.ID{SiteGroup: "site-a", Name: "cars"}),
	}
}

// Count returns the source's own count. It takes another path than Pages and is
// right whatever is broken.
func (s *Store) Count(ctx context.Context) (validate.Summary, error) {
	if ctx.Err() != nil {
		return validate.Summary{}, context.Cause(ctx)
	}
	return validate.Count(int64(len(s.source))).AsOf(time.Now()), nil
}

// Summarize returns the source's own count and its digest. It takes another path
// than Pages and is right whatever is broken.
func (s *Store) Summarize(ctx context.Context) (validate.Summary, error) {
	if ctx.Err() != nil {
		return validate.Summary{}, context.Cause(ctx)
	}
	return digested(s.source).AsOf(time.Now()), nil
}

// Pages reads the source's users, at most a thousand to a page.
func (s *Store) Pages(ctx context.Context) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		users := slices.Clone(s.source)
		for _, misread := range s.world.misread {
			users = misread(users)
		}
		var failure error
		if s.world.readFails {
			users, failure = users[:len(users)/2], errRead
		}
		for page := range slices.Chunk(users, pageUsers) {
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
		if failure != nil {
			yield(nil, failure)
		}
	}
}

// Map returns a user's id in the destination's site group. Four in five users have
// one there. A job that keeps its users' ids never calls it.
func (s *Store) Map(user string) (mapped string, ok bool) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.maps = true
	return counterpart(user)
}

// Model returns the users that are like those of the seed, for a job that makes a
// lookalike of the source's users: they, and as many again. A job that copies never calls
// it.
func (s *Store) Model(seed []string) (found []string) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.models = true
	if found = similar(seed); w.unlike != nil {
		return w.unlike(found)
	}
	return found
}

// Stage returns a place beside the live segment, of this attempt alone.
func (s *Store) Stage() *Target {
	return &Target{store: s, stamp: s.Run().ID + ", staged by attempt " + strconv.Itoa(s.attempt)}
}

// InPlace returns the live segment itself: what is written is live at once, beside
// what was there, under a stamp that tells the generations apart. Take a stamp of
// your own making; attempts that take the same one share a generation.
func (s *Store) InPlace(stamp string) *Target {
	return &Target{store: s, stamp: stamp, inPlace: true}
}

func digested(users []string) validate.Summary {
	var d validate.Digest
	d.AddStrings(users)
	return d.Summary()
}
