package segmenttest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// try runs the job in a world with the fault, and says what is wrong with how it
// ended; "" if nothing is.
func try(ctx context.Context, job Job, f Fault) (problem string) {
	switch {
	case len(f.set) == 0 && len(f.older) == 0:
		return "the zero Fault breaks nothing: take one that this package exports"
	case f.nights != 0:
		return tryNights(ctx, job, f)
	case len(f.older) > 0:
		return tryOvertaken(ctx, job, f)
	}
	return attempt(ctx, job, newWorld(f).store(1), f.want)
}

// attempt runs the job once.
func attempt(ctx context.Context, job Job, s *Store, want []outcome) (problem string) {
	var l live
	l.before, _ = s.world.look()
	err := job(ctx, s)
	l.after, l.right = s.world.look()
	return judge(want, err, &l)
}

// calmNights are those before a fault that stands: more than a week, so that the history
// has each day of it.
const calmNights = 10

// tryNights runs the job night after night: healthy, then with the fault, and at last
// repaired.
func tryNights(ctx context.Context, job Job, f Fault) (problem string) {
	if f.nights < 0 || len(f.older) > 0 {
		return "it cannot stand: take 1 night or more, and a fault without an older attempt"
	}
	w := newWorld(f)
	broken, well := w.flaws, flaws{users: w.users, once: w.once}
	for night := range calmNights + f.nights + 1 {
		var want []outcome
		said := "healthy, before the fault"
		switch w.flaws = well; {
		case night >= calmNights+f.nights:
			said = "repaired, after the fault"
		case night >= calmNights:
			w.flaws, want = broken, f.want
			said = fmt.Sprintf("on night %d of the fault", night-calmNights+1)
		}
		w.night, w.ago = night+1, time.Now().Add(-time.Hour)
		if problem := attempt(ctx, job, w.store(1), want); problem != "" {
			return said + ": " + problem
		}
		time.Sleep(24 * time.Hour)
	}
	return ""
}

// tryOvertaken runs the job and, while it is writing, once more from begin to
// end. The older attempt has read the source before its last users came.
func tryOvertaken(ctx context.Context, job Job, f Fault) (problem string) {
	w := newWorld(f)
	var l live
	l.before, _ = w.look()
	want, newer := f.want, "" // as long as nothing overtakes it
	s := w.store(1)
	s.source = s.source[:len(s.source)-731]
	s.writing = once(func() {
		newer = attempt(ctx, job, w.store(2), f.want)
		l.before, _ = w.look()
		want = slices.Concat(f.older, f.want)
	})
	err := job(ctx, s)
	l.after, l.right = w.look()
	switch problem := judge(want, err, &l); {
	case newer != "":
		return "the newer attempt: " + newer
	case problem != "":
		return "the older attempt: " + problem
	}
	return "" // also where it failed as it should before it wrote: nothing overtakes that
}

// once has the first caller run do and all others wait for it, so that a job that
// writes in parallel ends the same way each time. sync.OnceFunc would do but for
// the bubble, whose time stands still while anybody waits for a mutex.
func once(do func()) func() {
	begun, done := make(chan struct{}, 1), make(chan struct{})
	return func() {
		select {
		case begun <- struct{}{}:
			do()
			close(done)
		case <-done:
		}
	}
}

// judge says what is wrong with a job that ended with err; "" if nothing is.
// Without any outcome that is wanted, the job was to pass.
func judge(want []outcome, err error, l *live) string {
	if len(want) == 0 {
		want = []outcome{passes}
	}
	i := slices.IndexFunc(want, func(o outcome) bool { return o.is(err) })
	switch {
	case i >= 0 && l.proper(want[i].passed):
		return ""
	case i >= 0 && err == nil:
		return "the job reported success. " + l.describe(true)
	case i >= 0:
		return fmt.Sprintf("the job failed as it should, but changed what is live: %v. %s", err, l.describe(want[i].passed))
	case err == nil:
		return fmt.Sprintf("the fault went through: the job reported success, want an error that is %s. %s", list(want), l.describe(true))
	case want[0].is(nil):
		return fmt.Sprintf("the job failed where it should have passed: %v. %s", err, l.describe(true))
	}
	return fmt.Sprintf("the job failed, but not with an error that is %s: %s%v. %s", list(want), unwrapped(want, err), err, l.describe(false))
}
