package segment

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// graceful is how long after its deadline a job may take to return by itself.
const graceful = time.Second

// watch has the run recorded and told if its deadline passes and the job does not
// return. stop ends that, and waits for it if it is under way.
func (r *guardedRun) watch(ctx context.Context) (stop func()) {
	out := &lookout{}
	r.lookout = out
	beside := &guardedRun{guard: r.guard, run: r.run, turn: turn{store: r.store, begun: r.begun, start: r.start}} // what the job does to r is no business of ours
	returned, over := make(chan struct{}), make(chan struct{})
	halt := context.AfterFunc(ctx, func() {
		defer close(over)
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return
		}
		select {
		case <-returned:
		case <-time.After(graceful):
			if reached := stage(out.stage.Load()); reached < known {
				beside.late(ctx, reached == committing)
			}
		}
	})
	return func() {
		if close(returned); !halt() {
			<-over
		}
	}
}

// late records and tells that the run's deadline passed while a callback hung.
func (r *guardedRun) late(ctx context.Context, committing bool) {
	r.describe()
	r.at = r.guard.now()
	state, text := RunFailed, fmt.Sprintf("%s: run %s did not return when its time was over", r.run.Job.To, r.run.ID)
	if committing {
		state, r.committing = RunUnknown, true
		text += ", from its commit: it may be live or not"
	}
	r.unverified(&outage{"the job does not return", context.Cause(ctx)})
	r.rule, _ = r.findRule(context.WithoutCancel(ctx))
	err := r.recordAfter(ctx, state)
	r.alert(ctx, state, text)
	if err = join(err, r.untold); err != nil {
		r.log(ctx, "a run that does not return", err)
	}
}
