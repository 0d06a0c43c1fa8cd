package segment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// ErrSuperseded says that a newer attempt of the same run is known, or that
// this attempt was committed before: it must not go live any more.
var ErrSuperseded = errors.New("superseded")

// ErrBusy says that a ledger waited in vain for others: for a lock, or for a
// connection of its pool. Those may be the job's own.
var ErrBusy = errors.New("busy")

// ErrNotReady says that a ledger or a store needs somebody to set it up: a right or a
// table is missing, or a newer program. Running the job again does not help.
var ErrNotReady = errors.New("not ready")

// ErrTxEnded says that the transaction of a [Recorder] had ended when it was asked for
// something: the job committed it, or rolled it back, in place of the guard.
var ErrTxEnded = errors.New("the job's transaction has ended already")

// A Recorder is what the transaction of a job needs of a ledger. It is safe for
// concurrent use, and for guards on many machines.
type Recorder interface {
	// State returns all that is kept at hand of a segment, and a state with its key
	// alone where nothing is known. Of one of which something cannot be read it returns
	// what can (SegmentState.Damaged).
	State(ctx context.Context, key Key) (SegmentState, error)
	// Record keeps r as the state of its attempt and adds it to the log. Where
	// the ledger knows a newer attempt of the same run of the segment, and r
	// would go live (RunPassed, RunCommitted, RunObserved), it keeps nothing and
	// returns an error that is ErrSuperseded. So it does, whatever the state of
	// r, where this very attempt is live already (RunCommitted, RunObserved), and
	// it returns the error of CommitRow.GoLive where r goes live. Comparing and
	// keeping are one step, also between processes. Where the segment's sizes cannot
	// be read, it returns an error that is a *Damage if r goes live, and otherwise
	// adds r to the log alone.
	Record(ctx context.Context, r Record) error
	// Lock waits for the segment's commit row, calls change with it, and keeps
	// what change made of it; if change returns an error, Lock keeps nothing and
	// returns it. In a job's own transaction the row stays locked until that ends;
	// elsewhere only until Lock returns. Where others were in the way, change may
	// be called again. A row of which something cannot be read (CommitRow.Damaged) stays
	// as it is, unless change sets Damaged to nil. A transaction that reads the state of before another run
	// went live, and cannot do otherwise, returns an error that is ErrOvertaken.
	Lock(ctx context.Context, key Key, change func(*CommitRow) error) error
}

// A Ledger stores what guards and monitors know of every segment. It decides
// nothing: [Accept], [Suspect], [Import] and [Forget] work on any ledger.
type Ledger interface { //nolint:interfacebloat // it stores all there is; what decides is made of it
	Recorder
	PlanLedger
	// Next returns a number that is later than all that were returned before,
	// also to other processes, and the segment's generation as it is now. It waits
	// for no lock on the commit row.
	Next(ctx context.Context, key Key) (Start, error)
	// Change calls change with the state of each of the segments, in the order of
	// Key.Compare, each once, and with an empty state where nothing is known.
	// It keeps what change made of them, all or none, as one step also between
	// processes. If change returns an error, Change keeps nothing and returns it.
	// Where others were in the way, change may be called again. A state that is
	// zero afterwards is dropped. What change adds to SegmentState.Log is added
	// to the log in the same step. What cannot be read (SegmentState.Damaged) stays
	// as it is, unless change sets Damaged to nil.
	Change(ctx context.Context, keys []Key, change func(*SegmentState) error) error
	// Segments yields the segments that f selects, in the order of Key.Compare. An
	// error ends the sequence; a segment of which something cannot be read
	// does not, and comes with what can (SegmentState.Damaged). One whose very id
	// cannot be read has none, and comes anywhere.
	Segments(ctx context.Context, f SegmentFilter) iter.Seq2[SegmentState, error]
	// Log yields the entries that f selects in the order in which they were
	// written. An error ends the sequence; an entry of which something cannot be
	// read does not, and comes with what can (LogEntry.Damaged).
	Log(ctx context.Context, f LogFilter) iter.Seq2[LogEntry, error]
	// Identity returns a name that no other ledger has. It is the same for all
	// processes that share the ledger.
	Identity(ctx context.Context) (string, error)
	// Incidents yields the incidents that f selects in the order in which they
	// began, each with its members counted. An error ends the sequence.
	Incidents(ctx context.Context, f IncidentFilter) iter.Seq2[Incident, error]
	// ChangeIncident calls change with an incident, its members counted, or with
	// one that has its ID alone where it is not known. It keeps what change made of
	// it, as one step also between processes, and adds Incident.Log to the log. If
	// change returns an error, it keeps nothing and returns it. Where others were in
	// the way, change may be called again.
	ChangeIncident(ctx context.Context, id string, change func(*Incident) error) error
	// Mutes returns the mutes, those too that have ended.
	Mutes(ctx context.Context) ([]Mute, error)
	// ChangeMutes calls change with the mutes and keeps what it returns, as one
	// step also between processes. If change returns an error, it keeps nothing and
	// returns it. Where others were in the way, change may be called again.
	ChangeMutes(ctx context.Context, change func([]Mute) ([]Mute, error)) error
	// CountAlerts returns how many open alerts there are of each sort, in no order.
	CountAlerts(ctx context.Context) ([]AlertCount, error)
	// Sweeps returns the numbers of the last n sweeps, the latest first.
	Sweeps(ctx context.Context, n int) ([]SweepNumbers, error)
	// KeepSweep adds the numbers of a sweep; those of the same store and time are
	// replaced.
	KeepSweep(ctx context.Context, s SweepNumbers) error
	// Jobs yields the jobs that f selects, in no order. An error ends the sequence.
	Jobs(ctx context.Context, f JobFilter) iter.Seq2[Job, error]
	// KeepJobs makes jobs all that are known. Of those with one ID the first counts.
	// If it returns an error, some of the changes may have been kept.
	KeepJobs(ctx context.Context, jobs []Job) error
}

// A SegmentFilter selects segments; the zero SegmentFilter selects all.
type SegmentFilter struct {
	Segment   ID            // this one; zero: any
	Store     *string       // in this store; nil: in any
	SiteGroup string        // of this site group; empty: of any
	Affected  bool          // with an alert that is open, or that the alerter was told of last
	Pending   bool          // with an alert that the alerter is to be told of, or that it is over
	Submitted bool          // with a run whose store is yet to answer
	Incident  string        // the members of this incident; empty: any
	JobKind   JobKind       // with an open alert of a job of this kind; empty: any
	Build     string        // with an open alert of this build; empty: any
	Urgency   Urgency       // with an open alert of this urgency at its worst, as people were told; empty: any
	Kind      validate.Kind // the same of its kind
	Level     Level         // and of its level
	Alone     time.Time     // with an open alert of no incident that began at this time or later; zero: any
	After     Key           // after this one in the order of Key.Compare; zero: from the first
	Limit     int           // at most so many; 0: all
}

// Match reports whether f selects s. It leaves Limit to the caller.
func (f *SegmentFilter) Match(s *SegmentState) bool {
	return allows(f.Segment, s.Segment) && inStore(f.Store, s.Store) && allows(f.SiteGroup, s.Segment.SiteGroup) && allows(f.Incident, s.Alert.Incident) &&
		(!f.Affected || s.Alert.Affected()) && (!f.Pending || s.Alert.Pending()) && (!f.Submitted || s.Submitted != nil) &&
		f.matchOpen(&s.Alert) && (f.Alone.IsZero() || s.Alert.alone(f.Alone)) && (f.After == Key{} || s.Key().Compare(f.After) > 0)
}

// matchOpen reports whether f takes what is open of an alert.
func (f *SegmentFilter) matchOpen(a *AlertState) bool {
	var kind JobKind
	var build string
	if a.Open != nil {
		kind, build = a.Open.Job.Kind, a.Open.Build
	}
	m := a.toldBy()
	return allows(f.JobKind, kind) && allows(f.Build, build) && allows(f.Urgency, m.Urgency) && allows(f.Kind, m.Kind) && allows(f.Level, m.Level)
}

// allows reports whether a filter that wants something, or anything where that is
// zero, takes what there is.
func allows[T comparable](wanted, there T) bool {
	var anything T
	return wanted == anything || wanted == there
}

// inStore reports whether a filter takes what is of a store.
func inStore(wanted *string, store string) bool { return wanted == nil || *wanted == store }

// A LogFilter selects entries of the log; the zero LogFilter selects all.
type LogFilter struct {
	Segment   ID        // of this segment; zero: of any
	Store     *string   // of this store; nil: of any
	RunID     string    // of this run; empty: of any
	Build     string    // of runs of this build; empty: any entry
	JobKind   JobKind   // of runs of jobs of this kind; empty: any entry
	Since     time.Time // written for this time or later; zero: from the beginning
	Until     time.Time // written for a time before; zero: up to now
	Action    Action    // of this kind; empty: of any
	SiteGroup string    // of segments of this site group; empty: of any
	Bare      bool      // without the reports of records, which take time
	Limit     int       // at most so many, the latest; 0: all
}

// An IncidentFilter selects incidents; the zero IncidentFilter selects all.
type IncidentFilter struct {
	Bare  bool      // without their members counted, which takes time
	ID    string    // this one; empty: any
	Cause Cause     // of this cause; zero: of any
	Store *string   // of this store; nil: of any
	Open  bool      // that are not over, or that the alerter was told of
	Since time.Time // that began at this time or later; zero: ever
}

// Match reports whether f selects i.
func (f *IncidentFilter) Match(i *Incident) bool {
	return allows(f.ID, i.ID) && allows(f.Cause, i.Cause) && inStore(f.Store, i.Cause.Store) &&
		(!f.Open || i.Over.IsZero() || i.Pending()) && !i.Begun.Before(f.Since)
}

// Match reports whether f selects e. It leaves Limit to the caller.
func (f *LogFilter) Match(e *LogEntry) bool {
	return allows(f.Segment, e.Segment) && inStore(f.Store, e.Store) && allows(f.RunID, e.RunID) && allows(f.Build, e.build()) && allows(f.JobKind, e.jobKind()) &&
		allows(f.Action, e.Action) && allows(f.SiteGroup, e.Segment.SiteGroup) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) && (f.Until.IsZero() || e.At.Before(f.Until))
}

// bared returns an entry as f wants it.
func (f *LogFilter) bared(e LogEntry) LogEntry {
	if f.Bare && e.Record != nil {
		e.Record = new(*e.Record)
		e.Record.Report = nil
	}
	return e
}

// A LogEntry is what a run came to, what became of an alert, or what somebody
// decided.
type LogEntry struct {
	Segment  ID        `json:"segment"`
	Store    string    `json:"store,omitempty"`
	At       time.Time `json:"at"`
	Action   Action    `json:"action"`
	RunID    string    `json:"run_id,omitempty"` // of the run that it is about
	By       string    `json:"by,omitempty"`     // who decided
	Why      string    `json:"why,omitempty"`
	Record   *Record   `json:"record,omitempty"`   // of ActionRecorded; nil otherwise
	Mark     *Mark     `json:"mark,omitempty"`     // of what is about an alert; nil otherwise
	Incident string    `json:"incident,omitempty"` // the ID of the incident that it is about, or that the segment is a member of
	Text     string    `json:"text,omitempty"`     // what the alert said
	Damaged  *Damage   `json:"damaged,omitempty"`  // what cannot be read of it; nil: nothing
}

// build returns the build that the entry is about.
func (e *LogEntry) build() string {
	switch {
	case e.Record != nil:
		return e.Record.Build
	case e.Mark != nil:
		return e.Mark.Build
	}
	return ""
}

// jobKind returns the kind of the job that the entry is about.
func (e *LogEntry) jobKind() JobKind {
	switch {
	case e.Record != nil:
		return e.Record.JobKind
	case e.Mark != nil:
		return e.Mark.JobKind
	}
	return ""
}

// An Action says what an entry of the log is about.
type Action string

// The actions.
const (
	ActionRecorded   Action = "recorded"  // a run reached a state; each state is an entry of its own
	ActionAccepted   Action = "accepted"  // a size was accepted
	ActionSuspected  Action = "suspected" // a size was taken out of the baseline
	ActionPlanned    Action = "planned"   // sizes off the history were excused for a while
	ActionExcused    Action = "excused"   // a size was excused by that
	ActionUnused     Action = "unused"    // that ended, and no size was excused
	ActionRenamed    Action = "renamed"   // a segment has another name
	ActionOpened     Action = "opened"    // a segment became affected, or an incident formed
	ActionWorse      Action = "worse"     // by urgency, kind or level; or an incident rang again
	ActionTold       Action = "told"      // the alerter answered
	ActionOver       Action = "over"      // the segment is well again, or the incident ended
	ActionMuted      Action = "muted"
	ActionUnmuted    Action = "unmuted"
	ActionForgotten  Action = "forgotten"   // the segment, with all that was known of it
	ActionFalseAlarm Action = "false alarm" // what was over was no fault
	ActionTripped    Action = "tripped"     // a build is refused, as it damaged too many segments
	ActionResumed    Action = "resumed"     // it is no longer
	ActionRepaired   Action = "repaired"    // what could not be read was dropped
	ActionLacked     Action = "lacked"      // a sweep's listing lacked segments
)

// A RunState says how far an attempt came.
type RunState string

// The states of an attempt.
const (
	RunStarted   RunState = "started"   // has a number, and wrote nothing yet
	RunPassed    RunState = "passed"    // verified, about to be committed
	RunCommitted RunState = "committed" // live
	RunRejected  RunState = "rejected"  // failed, or could not be verified; discarded
	RunObserved  RunState = "observed"  // live in observe mode, whatever was found
	RunUnknown   RunState = "unknown"   // the commit failed: the output may be live or not
	RunOvertaken RunState = "overtaken" // superseded or overtaken by another run; discarded, or left where it was live
	RunFailed    RunState = "failed"    // its write failed; discarded, or left half-written where it was live
	RunSubmitted RunState = "submitted" // in a store that answers later (Guard.Submit): what is live is not known until then
)

// live reports whether the output of an attempt in this state is live.
func (s RunState) live() bool { return s == RunCommitted || s == RunObserved }

// GoesLive reports whether the output of an attempt in this state is live or
// about to be.
func (s RunState) GoesLive() bool { return s == RunPassed || s == RunSubmitted || s.live() }

// A Record is what a ledger keeps of one attempt.
type Record struct {
	Segment ID               `json:"segment"`
	Store   string           `json:"store,omitempty"`
	RunID   string           `json:"run_id"`
	Attempt int              `json:"attempt"`
	Number  int64            `json:"number,omitempty"` // of Start; 0: none
	State   RunState         `json:"state"`
	JobID   string           `json:"job_id"`
	JobKind JobKind          `json:"job_kind"`
	Build   string           `json:"build,omitempty"`
	Users   int64            `json:"users"`          // stored; 0 where that was not read back, or only within bounds (validate.Bounded)
	Read    int64            `json:"read,omitempty"` // what the job took in; 0: not measured, or only within bounds
	Counter string           `json:"counter,omitempty"`
	Live    bool             `json:"live,omitempty"` // rejected, failed or overtaken, and live all the same, in a store without staging
	At      time.Time        `json:"at"`
	Report  *validate.Report `json:"report,omitempty"` // nil: what a SegmentState holds has none

	// Overlapped says that another run of the segment may have gone live at the
	// same time, so that what is live is not known.
	Overlapped bool `json:"overlapped,omitempty"`
	// Settled says that a sweep found out later what became of the run.
	Settled bool `json:"settled,omitempty"`
	// Hold is for CommitRow.GoLive. A ledger does not keep it.
	Hold Hold `json:"-"`
	// Submitted is for SegmentState.Record, of a run that is RunSubmitted. A ledger
	// keeps it in the state, and not in the log.
	Submitted *Submitted `json:"-"`
}

// Superseded returns an error that is ErrSuperseded if the record must not be
// kept, and otherwise nil. newest is the newest attempt that was recorded of the
// run in the segment, -1 if none was; state is what was recorded last of this very
// attempt, "" if nothing was.
func (r *Record) Superseded(newest int, state RunState) error {
	switch {
	case r.State.GoesLive() && newest > r.Attempt && !r.Overlapped:
		return fmt.Errorf("%s: attempt %d of run %s is %w by attempt %d", r.Key(), r.Attempt, r.RunID, ErrSuperseded, newest)
	case state.live():
		return fmt.Errorf("%s: attempt %d of run %s is %w: it is live already", r.Key(), r.Attempt, r.RunID, ErrSuperseded)
	}
	return nil
}

// Key returns the key of the segment that the attempt is at.
func (r *Record) Key() Key { return r.Segment.In(r.Store) }

// InBaseline reports whether later sizes are judged by this one: it is live,
// nothing was wrong with it, and it is more than bounds.
func (r *Record) InBaseline() bool {
	return (r.State == RunCommitted || r.State == RunObserved && r.Report != nil && r.Report.Passed()) && (r.Report == nil || precise(r.Report) >= estimated)
}

// Size returns the record as a point of the baseline.
func (r *Record) Size() validate.Size {
	return validate.Size{Users: r.Users, Read: r.Read, At: r.At, Counter: r.Counter}
}

// measured reports whether the size was read back as a number.
func (r *Record) measured() bool {
	return r.Report != nil && counts(r.Report.Whole()) && precise(r.Report) >= estimated
}

// exact reports whether a side is one number, and not an estimate, or bounds. A size
// that is less than that is no sign of which run is live.
func exact(side *validate.Summary) bool {
	lower, upper := side.Range()
	return side.RelErr() == 0 && lower == upper
}

// A precision says how well a size is known.
type precision int

const (
	bounded precision = iota
	estimated
	counted
)

// precise returns how well a report knows what the segment holds.
func precise(r *validate.Report) precision {
	whole := r.Whole()
	switch lower, upper := whole.Range(); {
	case lower < upper:
		return bounded
	case whole.RelErr() > 0:
		return estimated
	}
	return counted
}

// A SegmentState is all that a ledger keeps at hand of a segment, in one place:
// a sweep over all segments reads nothing else.
type SegmentState struct {
	Segment ID     `json:"segment"`
	Store   string `json:"store,omitempty"`

	validate.Baseline // what its sizes are judged by

	Excuses  []Excuse       `json:"excuses,omitempty"`  // what was planned for it
	Runs     Runs           `json:"runs,omitzero"`      // what its age is judged by
	Last     Record         `json:"last,omitzero"`      // what was recorded last, without its report; zero: nothing was
	Live     *validate.Size `json:"live,omitempty"`     // what is live after the last run; nil: not known
	Accepted *Decision      `json:"accepted,omitempty"` // the last one; nil: none
	Alert    AlertState     `json:"alert,omitzero"`
	Number   int64          `json:"number,omitempty"` // the latest number of a run that went live, or was submitted
	// Submitted is the run whose store is yet to answer; nil: none is.
	Submitted *Submitted `json:"submitted,omitempty"`
	// Damaged says what cannot be read, and is missing in the fields above. It is
	// never taken for a segment of which nothing is known.
	Damaged *Damage `json:"damaged,omitempty"`

	// Log is for the function that Ledger.Change calls: what it appends is added
	// to the log.
	Log []LogEntry `json:"-"`
}

// Key returns the segment's key.
func (s *SegmentState) Key() Key { return s.Segment.In(s.Store) }

// hasAlert reports whether an alert of the segment could be kept.
func (s *SegmentState) hasAlert() bool {
	return s.unreadable("alert") == nil
}

// IsZero reports whether nothing is known of the segment.
func (s *SegmentState) IsZero() bool {
	return len(s.Sizes)+len(s.Candidates)+len(s.Excuses) == 0 && s.Runs.isZero() && s.Last.State == "" && s.Live == nil &&
		s.Accepted == nil && s.Submitted == nil && s.Alert.IsZero() && s.Damaged == nil
}

// Record takes in an attempt's new state. A Ledger calls it where it records.
//
// What is live is known in the order of the records, as the commit row lets runs
// go live one after another: no clock decides. Left out is what an older run, or
// an older attempt, says of itself without being live, and what a sweep finds out
// about a run after which others came.
func (s *SegmentState) Record(r Record) { //nolint:cyclop // one condition after the other
	s.remember(&r)
	s.Runs.add(&r)
	changes := r.State.live() || r.State == RunUnknown || r.State == RunSubmitted || r.Live // what is there
	switch {
	case r.inLogOnly(),
		!changes && s.older(r.Number),
		r.Settled && (r.RunID != s.Last.RunID || r.Attempt != s.Last.Attempt),
		s.Last.State.live() && r.State.GoesLive() && !r.Overlapped && r.RunID == s.Last.RunID && r.Attempt < s.Last.Attempt:
		return
	}
	if r.State.live() || r.State == RunSubmitted {
		s.Number = max(s.Number, r.Number)
	}
	if s.Submitted != nil || r.State == RunSubmitted {
		s.succeed(&r, changes)
	}
	s.setLive(&r)
	s.Last = r
	s.Last.Report, s.Last.Submitted = nil, nil
	s.Last.Hold = Hold{}
}

// inLogOnly reports whether the record says nothing of what is live: it is a line of
// the log, and no more.
func (r *Record) inLogOnly() bool {
	return r.State == RunStarted || (r.State == RunOvertaken || r.State == RunFailed) && !r.Live
}

// older reports whether a run with a later number than this one is live.
func (s *SegmentState) older(number int64) bool { return number != 0 && number < s.Number }

// untold reports whether the last run was refused, and no alert is about it: the
// ledger did not keep one.
func (s *SegmentState) untold() bool {
	open, last := s.Alert.Open, &s.Last
	return (last.State == RunRejected || last.State == RunFailed) && (open == nil || open.RunID != last.RunID || open.Attempt != last.Attempt)
}

// vouch takes in that somebody says that what a run left is right.
func (s *SegmentState) vouch(runID string) {
	s.Last.Live = s.Last.Live && s.Last.RunID != runID
}

// setLive keeps what is live after an attempt. A run that was rejected leaves
// what was live before; what was estimated, known within bounds or not counted is
// not known, nor is what overlapped with another run, nor what one left of which
// nobody heard after it passed.
func (s *SegmentState) setLive(r *Record) {
	switch {
	case r.State == RunRejected && !r.Live, r.State == RunPassed:
		if s.Last.State == RunPassed && (s.Last.RunID != r.RunID || s.Last.Attempt != r.Attempt) {
			s.Live = nil
		}
	case !r.Overlapped && (r.State == RunCommitted || r.State == RunObserved && r.measured()) && (r.Report == nil || precise(r.Report) == counted):
		size := r.Size()
		s.Live = &size
	default:
		s.Live = nil
	}
}
