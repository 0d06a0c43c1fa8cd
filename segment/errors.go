package segment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/validate"
)

// errTwoMonitors says that monitors of different stores have the same MonitorConfig.Store.
var errTwoMonitors = errors.New("two monitors write this ledger; set MonitorConfig.Store")

// A LiveError says that the output is live and not recorded, or recorded as live
// at the same time as another run's. Do not run the job again.
type LiveError struct {
	Segment ID
	RunID   string
	Err     error
}

func (e *LiveError) Error() string {
	return fmt.Sprintf("%s: run %s is live, do not run it again, but %v", e.Segment, e.RunID, e.Err)
}

// Unwrap returns what went wrong.
func (e *LiveError) Unwrap() error { return e.Err }

// An UnknownError says that the commit itself failed: the output may be live or
// not. Look before the job runs again.
type UnknownError struct {
	Segment ID
	RunID   string
	Err     error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: run %s may be live or not: the commit failed: %v", e.Segment, e.RunID, e.Err)
}

// Unwrap returns the commit's error.
func (e *UnknownError) Unwrap() error { return e.Err }

// Retryable reports whether running the job again, as it is, may help: the
// store lagged behind, or could not be read back, or the rule, the ledger or
// the time was out of reach, or another run went live meanwhile. A judged failure stays one, a superseded attempt
// has a successor, a live output needs no other, and an unknown one needs a
// look first.
func Retryable(err error) bool {
	var live *LiveError
	var unknown *UnknownError
	if errors.As(err, &live) || errors.As(err, &unknown) || errors.Is(err, ErrSuperseded) {
		return false
	}
	if errors.Is(err, ErrOvertaken) {
		return true
	}
	failed, ok := errors.AsType[*validate.Error](err)
	if !ok || refused(err) {
		return false
	}
	for _, f := range failed.Report.Findings {
		if f.Severity != validate.Warn && !passing(f) {
			return false
		}
	}
	return len(failed.Unwrap()) > 0
}

// passing reports whether a finding speaks of an outage, not of the users.
func passing(f validate.Finding) bool {
	if _, bad := errors.AsType[*validate.InputError](f.Cause); bad { // no retry mends bad input
		return false
	}
	if _, damaged := errors.AsType[*Damage](f.Cause); damaged || errors.Is(f.Cause, ErrNotReady) { // nor what somebody must mend
		return false
	}
	_, out := errors.AsType[*outage](f.Cause)
	return f.Kind == validate.Unverified && (out || errors.Is(f.Cause, validate.ErrLagging))
}

// An outage is what may work the next time.
type outage struct {
	doing string
	err   error
}

func (o *outage) Error() string { return o.doing + ": " + o.err.Error() }
func (o *outage) Unwrap() error { return o.err }

// join keeps errors on one line, the first one first; nil if there is none.
func join(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// joinFew joins the first three of many errors: a ledger that is out of reach
// fails for each segment.
func joinFew(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return join(errs[:min(len(errs), 3)]...)
}

func badInput(field string, value any, want string) error {
	return &validate.InputError{Field: field, Value: value, Want: want}
}

// checkStore refuses a name that no database could give back unchanged.
func checkStore(field, store string) error {
	if !utf8.ValidString(store) {
		return badInput(field, fmt.Sprintf("%+q", store), "UTF-8")
	}
	return nil
}

const (
	defaultTimeout      = 30 * time.Second
	defaultAlertTimeout = 2 * time.Second
)

// timeout bounds a context, and has it say why it ended.
func timeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("segment: gave up after %v", d))
}

// within calls do with a bound.
func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := timeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// afterwards calls do with a bound, even if the job's context is cancelled. Each
// call has a bound of its own: where one hangs, the next is made all the same. In a
// hurry they have one together.
func afterwards(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	if until, ok := ctx.Value(hurryKey{}).(time.Time); ok {
		d = min(d, time.Until(until))
	}
	return within(context.WithoutCancel(ctx), d, do)
}

type hurryKey struct{}

// hurry returns a context in which all that is done afterwards has no longer than d.
func hurry(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, hurryKey{}, time.Now().Add(d))
}

// hurried reports whether what is done afterwards is in a hurry, and is tried again.
func hurried(ctx context.Context) bool { return ctx.Value(hurryKey{}) != nil }

// sleep waits, and returns why the context ended if that came first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
