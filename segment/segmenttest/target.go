package segmenttest

import (
	"context"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Target is where one attempt writes: staged, or in place under a stamp. Its
// users are kept as often as they are written, but for KeepsOnce. It is safe for concurrent use.
type Target struct {
	store   *Store
	stamp   string
	inPlace bool
}

// Write adds users. If it returns nil, the destination says that they are stored,
// whether they are or not.
func (t *Target) Write(ctx context.Context, users []string) error {
	t.store.writing()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w := t.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.inPlace && !slices.Contains(w.live, t.stamp) {
		w.live = append(w.live, t.stamp)
	}
	g := w.generation(t.stamp)
	kept := users
	for _, miswrite := range w.miswrite {
		kept = miswrite(kept, g.acknowledged)
	}
	if w.once {
		kept = g.unseen(kept)
	}
	g.rows = append(g.rows, rowsOf(kept, time.Now())...)
	g.acknowledged += len(users)
	return nil
}

// unseen returns the users that the generation does not hold yet, each once.
func (g *generation) unseen(users []string) []string {
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	return without(users, func(_ int, user string) bool {
		before := g.seen[user]
		g.seen[user] = true
		return before
	})
}

// Count reads back how many users are stored, and says up to when that is
// complete.
func (t *Target) Count(ctx context.Context) (validate.Summary, error) {
	users, asOf, err := t.readBack(ctx)
	if err != nil {
		return validate.Summary{}, err
	}
	return validate.Count(int64(len(users))).AsOf(asOf), nil
}

// Summarize reads back which users are stored, and says up to when that is
// complete. A check may ask again for the users that are in question (validate.InQuestion),
// as it may ask sqlsegment's.
func (t *Target) Summarize(ctx context.Context) (validate.Summary, error) {
	s, err := t.digest(ctx)
	return s.WithRemeasure(t.digest), err
}

// digest digests the users that are in question, all where none is.
func (t *Target) digest(ctx context.Context) (validate.Summary, error) {
	users, asOf, err := t.readBack(ctx)
	if err != nil {
		return validate.Summary{}, err
	}
	if asked := validate.InQuestion(ctx); asked != nil {
		users = without(users, func(_ int, user string) bool {
			missing, _ := asked.Of(user)
			return missing == 0
		})
	}
	return digested(users).AsOf(asOf), nil
}

func (t *Target) readBack(ctx context.Context) (users []string, asOf time.Time, err error) {
	if ctx.Err() != nil {
		return nil, time.Time{}, context.Cause(ctx)
	}
	w := t.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	asOf = time.Now().Add(-w.behind)
	switch {
	case w.deaf:
		return nil, time.Time{}, errReadBack
	case w.yesterday:
		return w.old(), w.ago, nil
	case w.frozen:
		asOf = w.ago
	}
	for _, r := range w.generation(t.stamp).rows {
		if !r.at.After(asOf) {
			users = append(users, r.user)
		}
	}
	return users, asOf, nil
}

// Publish makes what was written the live segment, and the only one.
func (t *Target) Publish(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w := t.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generation(t.stamp)
	for _, stamp := range w.live {
		if stamp != t.stamp {
			delete(w.generations, stamp)
		}
	}
	w.live = []string{t.stamp}
	if w.lostReply {
		return errPublish
	}
	return nil
}

// Discard drops what was written, live or not.
func (t *Target) Discard(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w := t.store.world
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.generations, t.stamp)
	w.live = slices.DeleteFunc(w.live, func(stamp string) bool { return stamp == t.stamp })
	return nil
}
