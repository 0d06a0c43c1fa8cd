package segment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A BreakerError says that a build is refused, as it damaged too many segments
// that are live. It is refused until somebody calls Resume.
type BreakerError struct {
	JobKind JobKind
	Build   string
	Since   time.Time // from when on it is refused
	Why     string
}

func (e *BreakerError) Error() string {
	return fmt.Sprintf("%s jobs of build %s are refused since %s: %s; fix the build, or resume it", e.JobKind, e.Build, e.Since.UTC().Format(time.RFC3339), e.Why)
}

// Resume has guards admit the runs of a build again that they refuse since it
// damaged too many segments. They count anew from then on.
func Resume(ctx context.Context, l Ledger, kind JobKind, build string, d Decision) error {
	err := d.Validate()
	if err == nil && build == "" {
		err = badInput("build", "empty", "the build that is refused")
	}
	if err == nil {
		var tripped time.Time
		if tripped, _, err = lastOf(ctx, l, ActionTripped, kind, build); err == nil {
			err = writeLog(ctx, l, LogEntry{At: later(d.At, tripped), Action: ActionResumed, By: d.By, Why: d.Why, Mark: &Mark{JobKind: kind, Build: build}})
		}
	}
	return wrap("segment: resuming a build", err)
}

// refused reports whether a build was refused.
func refused(err error) bool {
	_, ok := errors.AsType[*BreakerError](err)
	return ok
}

// later returns a time, or one just after another where that is later: clocks
// differ.
func later(t, than time.Time) time.Time {
	if t.After(than) {
		return t
	}
	return than.Add(time.Microsecond)
}

// lastOf returns when the log last has an action about a build, and what it says.
func lastOf(ctx context.Context, l Ledger, action Action, kind JobKind, build string) (at time.Time, text string, err error) {
	for e, err := range l.Log(ctx, LogFilter{Action: action, JobKind: kind, Build: build}) {
		if err != nil {
			return at, "", wrap("reading the log", err)
		}
		if e.jobKind() == kind {
			at, text = e.At, e.Text
		}
	}
	return at, text, nil
}

// admitBuild returns a *BreakerError where the run's build damaged too many
// segments. Only runs that are live before anybody can judge them are refused.
func (r *guardedRun) admitBuild(ctx context.Context) error {
	ledger, kind, build := r.guard.config.Ledger, r.run.Job.Kind, r.run.Build
	if r.guard.config.Breaker == 0 || ledger == nil || build == "" || !r.run.Live || r.rule.Mode == Observe {
		return nil
	}
	return within(ctx, r.guard.config.Timeout, func(ctx context.Context) error {
		resumed, _, err := lastOf(ctx, ledger, ActionResumed, kind, build)
		if err != nil {
			return err
		}
		tripped, why, err := lastOf(ctx, ledger, ActionTripped, kind, build)
		if err != nil {
			return err
		}
		if tripped.After(resumed) {
			return &BreakerError{kind, build, tripped, why}
		}
		damaged, err := r.damaged(ctx, resumed)
		if err != nil || damaged < r.guard.config.Breaker {
			return err
		}
		refused := &BreakerError{kind, build, later(r.at, resumed), fmt.Sprintf("%d live segments have proven faults", damaged)}
		err = writeLog(ctx, ledger, LogEntry{At: refused.Since, Action: ActionTripped, Text: refused.Why, Mark: &Mark{JobKind: kind, Build: build}})
		return join(refused, err)
	})
}

// damaged returns how many segments have a proven fault of the run's job kind and
// build that began after a time.
func (r *guardedRun) damaged(ctx context.Context, after time.Time) (int, error) {
	segments := map[ID]bool{} // which may be in several stores
	for s, err := range r.guard.config.Ledger.Segments(ctx, SegmentFilter{Affected: true, JobKind: r.run.Job.Kind, Build: r.run.Build}) {
		if err != nil {
			return 0, wrap("reading the alerts", err)
		}
		a := s.Alert.Open
		if a != nil && a.Job.Kind == r.run.Job.Kind && a.Since.After(after) && !offHistory(a.Kind) && a.Kind != validate.Unverified {
			segments[s.Segment] = true
		}
	}
	return len(segments), nil
}
