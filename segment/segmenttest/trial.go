package segmenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// try runs the job in a world with the fault, and says what is wrong with how it
// ended; "" if nothing is.
func try(ctx context.Context, job Job, f Fault) (problem string) {
	switch {
	case f.name == "":
		return "the zero Fault breaks nothing: take one that this package exports"
	case len(f.older) > 0:
		return overtaken(ctx, job, f)
	}
	w := newWorld(f)
	return attempt(ctx, job, w.store(1), f.wanted())
}

// attempt runs the job once.
func attempt(ctx context.Context, job Job, s *Store, want []outcome) (problem string) {
	before, _ := s.world.look()
	err := job(ctx, s)
	after, right := s.world.look()
	return judge(want, err, before, after, right)
}

// overtaken runs the job and, while it is writing, once more from begin to end.
// The older attempt has read the source as it was before its last users came.
func overtaken(ctx context.Context, job Job, f Fault) (problem string) {
	w := newWorld(f)
	newer := "the job wrote nothing, so that no newer attempt could overtake it"
	var between []string // live when the newer attempt was done
	older := w.store(1)
	older.source = older.source[:len(older.source)-731]
	older.writing = sync.OnceFunc(func() {
		newer = attempt(ctx, job, w.store(2), f.wanted())
		between, _ = w.look()
	})
	err := job(ctx, older)
	if newer != "" {
		return "the newer attempt: " + newer
	}
	after, right := w.look()
	if problem = judge(slices.Concat(f.older, f.want), err, between, after, right); problem != "" {
		return "the older attempt: " + problem
	}
	return ""
}

// judge says what is wrong with an attempt that ended with err; "" if nothing
// is. The users are those that were live before it, that are live after it, and
// that should be if it passed.
func judge(want []outcome, err error, before, after, right []string) string {
	i := slices.IndexFunc(want, func(o outcome) bool { return o.is(err) })
	live := describe(before, after, right)
	switch {
	case i < 0 && err == nil:
		return fmt.Sprintf("the fault went through: the job reported success, want %s. %s", list(want), live)
	case i < 0:
		return fmt.Sprintf("the job failed, want %s, got: %v. %s", list(want), err, live)
	case want[i].live && slices.Equal(after, right), !want[i].live && slices.Equal(after, before):
		return ""
	case err == nil:
		return "the job reported success. " + live
	}
	return fmt.Sprintf("the job failed as it should, but did not leave what was live as it must be: %v. %s", err, live)
}
