package segment

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Ledger is what a monitor and a human need of a history: what it holds of
// every segment at hand, the log of attempts, and the alerts.
type Ledger interface {
	History
	// Accept says that the size of a recorded run is right, whatever was judged:
	// the segment's baseline starts anew from it, and its alert is no longer open.
	Accept(ctx context.Context, id ID, a Acceptance) error
	// Suspect says that the size of a live run is wrong, though it passed: the
	// baseline is kept without it.
	Suspect(ctx context.Context, id ID, s Suspicion) error
	// Import adds sizes that no guard recorded: from before there was one, or
	// seen in the store. They are marked Unguarded. A size of the same time and
	// counter as one that is there already is left out, and so is one from before
	// the size that was accepted last. All or nothing.
	Import(ctx context.Context, sizes []SizeImport) error
	// Forget drops what is known at hand of segments that were deleted on
	// purpose, and they have no open alert any more. The log of their attempts
	// stays.
	Forget(ctx context.Context, ids ...ID) error
	// Segments yields every segment that is known, in byte order of the ids'
	// texts. An error ends the sequence.
	Segments(ctx context.Context) iter.Seq2[SegmentState, error]
	// Attempts yields, in byte order of the segments' texts, the last record of
	// each attempt that f lets through. An error ends the sequence.
	Attempts(ctx context.Context, f LogFilter) iter.Seq2[Record, error]
	// Alerts yields every alert that is open, or that the alerter was told of
	// last, in byte order of the segments' texts. An error ends the sequence.
	Alerts(ctx context.Context) iter.Seq2[AlertState, error]
	// ChangeAlerts changes the alerts of some segments, all or none of them, as
	// one step also between processes. change is called with each one's state,
	// the zero one but for its Segment where nothing is known, and may be called
	// again if others were in the way.
	ChangeAlerts(ctx context.Context, ids []ID, change func(*AlertState)) error
}

// An AttemptFilter says which attempts are asked for; the zero one, all.
type LogFilter struct {
	Build   string    // of this build; empty: any
	JobKind JobKind   // of jobs of this kind; empty: any
	Since   time.Time // recorded for this time or later; zero: from the beginning
	Until   time.Time // recorded for a time before; zero: up to now
}

// Match reports whether r is asked for.
func (f LogFilter) Match(r *Record) bool {
	return (f.Build == "" || r.Build == f.Build) && (f.JobKind == "" || r.JobKind == f.JobKind) &&
		(f.Since.IsZero() || !r.At.Before(f.Since)) && (f.Until.IsZero() || r.At.Before(f.Until))
}

// An Acceptance is a human's word that a size is right.
type Acceptance struct {
	RunID string    `json:"run_id"` // whose size it is, of the run's last recorded attempt
	By    string    `json:"by"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"` // when it was accepted
}

// Problem is what is wrong with it as an input, nil if nothing is.
func (a Acceptance) Validate() error { return wordProblem("Acceptance", a.RunID, a.By, a.Why, a.At) }

// A Suspicion is somebody's word that a size is wrong.
type Suspicion struct {
	RunID string    `json:"run_id"` // whose size it is, of the run's last recorded attempt
	By    string    `json:"by"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"` // when it was suspected
}

// Problem is what is wrong with it as an input, nil if nothing is.
func (s Suspicion) Validate() error { return wordProblem("Suspicion", s.RunID, s.By, s.Why, s.At) }

func wordProblem(what, run, by, why string, at time.Time) error {
	switch {
	case run == "":
		return badInput(what+".Run", "empty", "the run whose size it is")
	case by == "":
		return badInput(what+".By", "empty", "who says so")
	case why == "":
		return badInput(what+".Why", "empty", "the reason, for whoever reads it later")
	case at.IsZero():
		return badInput(what+".At", "missing", "the time at which it was said")
	}
	return nil
}

// Imported are sizes of one segment that no guard recorded.
type SizeImport struct {
	Segment ID              `json:"segment"`
	Sizes   []validate.Size `json:"sizes"`
}

// Problem is what is wrong with it as an input, nil if nothing is.
func (i SizeImport) Validate() error {
	if i.Segment.IsZero() {
		return badInput("Imported.Segment", "empty", "the segment whose sizes they are")
	}
	if i.Segment.check() != nil {
		return badInput("Imported.Segment", fmt.Sprintf("%+q", i.Segment.String()), "UTF-8")
	}
	for _, size := range i.Sizes {
		switch {
		case size.At.IsZero():
			return badInput("Imported.Sizes.At", "missing", "the time of each size of "+i.Segment.String())
		case size.Users < 0 || size.Read < 0:
			return badInput("Imported.Sizes", size, "0 or more users for "+i.Segment.String())
		}
	}
	return nil
}
