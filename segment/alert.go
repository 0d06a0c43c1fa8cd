package segment

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An Alerter tells people of affected segments. It is safe for concurrent use.
//
// One that keeps alerts by itself, and forgets those that it is not told again,
// also has a method
//
//	Open(ctx context.Context, siteGroup string) iter.Seq2[Alert, error]
//
// that yields the alerts that are open, of one site group or, where siteGroup is
// empty, of all. A sweep then tells it of every open alert.
type Alerter interface {
	// Tell says which alerts are firing, and which are over. Firing an alert
	// again changes nothing but its text. An alert that is over is given as it
	// was fired; where it has no Kind, every alert of its segment is over.
	// Resolving one that is not open does nothing. If Tell returns an error, any
	// of them may not have been told.
	Tell(ctx context.Context, firing, resolved []Alert) error
}

// An Urgency says how soon somebody must look.
type Urgency string

// The urgencies.
const (
	Page   Urgency = "page"   // proven: users are missing, or not the right ones
	Ticket Urgency = "ticket" // suspected by the history alone, let through with a warning, stale, or not verifiable
)

// A Level says how much the live segment has suffered. Higher levels are worse;
// their texts sort by no rule, see [Level.Compare].
type Level string

// The levels, the mildest first. A share is of the last good size.
const (
	LevelProtected Level = "protected" // the live segment still holds the users it had before
	LevelLive      Level = "live"      // live, with less than 1% of the users lost
	LevelLost1     Level = "lost 1%"   // 1% of the users or more are lost
	LevelLost10    Level = "lost 10%"
	LevelLost50    Level = "lost 50%"
	LevelLost100   Level = "lost 100%" // the segment is empty or gone
)

var levels = []Level{LevelProtected, LevelLive, LevelLost1, LevelLost10, LevelLost50, LevelLost100}

// Compare orders levels, the mildest first. One that is not known is milder than all.
func (l Level) Compare(other Level) int {
	return cmp.Compare(slices.Index(levels, l), slices.Index(levels, other))
}

// levelOf returns the level of a live segment that should hold good users and
// holds now.
func levelOf(good, now int64) Level {
	lost := good - now
	share := float64(lost) / float64(good)
	switch {
	case good <= 0 || lost <= 0:
		return LevelLive
	case now <= 0:
		return LevelLost100
	case share >= 0.5:
		return LevelLost50
	case share >= 0.1:
		return LevelLost10
	case share >= 0.01:
		return LevelLost1
	}
	return LevelLive
}

// An Alert is about one segment, or about an incident.
type Alert struct {
	Segment ID            `json:"segment"`
	Store   string        `json:"store,omitempty"` // as Rule.Store and MonitorConfig.Store name it
	Urgency Urgency       `json:"severity"`
	Kind    validate.Kind `json:"kind"` // the gravest
	Level   Level         `json:"level"`
	// Incident is the ID of the incident that the segment is a member of; empty: of none.
	Incident string `json:"incident,omitempty"`

	Text      string          `json:"text"`                // what happened, on one line: first Customers, at the end Next
	Customers string          `json:"customers,omitempty"` // whether they are hit, and how
	Next      string          `json:"next,omitempty"`      // what to do
	unsettled bool            // nobody knows what an earlier run left live
	Job       Job             `json:"job"`
	RunID     string          `json:"run_id"` // empty: no run was wrong, but what a sweep found live
	Attempt   int             `json:"attempt"`
	Number    int64           `json:"number,omitempty"` // of the run; 0: it has none
	State     RunState        `json:"state,omitempty"`  // of the run, when this was found
	Build     string          `json:"build,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Runbook   string          `json:"runbook,omitempty"`
	Link      string          `json:"link,omitempty"` // Rule.Link
	Since     time.Time       `json:"since"`          // when the fault was first found
	At        time.Time       `json:"at"`             // when it was found last
	Told      time.Time       `json:"told,omitzero"`  // when an alerter was first told of it; zero: this is the first time
	Users     int64           `json:"users"`          // at stake: as many as the segment should hold
	Size      *validate.Size  `json:"size,omitempty"` // what was counted, which Accept accepts; nil: it was not counted as a number
	Good      *validate.Size  `json:"good,omitempty"` // the last size that was verified, not only accepted; nil: not known
	Report    validate.Report `json:"report,omitzero"`
	Missing   bool            `json:"missing,omitempty"` // the store's listing lacks the segment

	// Upstream is the affected segment that this one was made from, if that
	// explains it.
	Upstream ID `json:"upstream,omitzero"`
	// About is set where the alert is about an incident. Its Segment is then no
	// segment, but a name for the incident; its SiteGroup is set where the incident
	// has only one.
	About *Incident `json:"about,omitempty"`
	// Ring is how many members the incident had to have for this alert: each
	// ring is an alert beside those that were told before. 0: not of an incident.
	Ring int `json:"ring,omitempty"`
	// Ledger is the identity of the ledger that holds the alert; empty: none does.
	Ledger string `json:"ledger,omitempty"`
	// Unconfirmed says that the ledger could not be reached when the alert was
	// told: it ends by itself, unless a sweep finds the fault.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Protected reports whether the live segment still holds the users it had before.
func (a *Alert) Protected() bool { return a.Level == LevelProtected }

// urgencyOf returns the urgency of what a report found.
func urgencyOf(r *validate.Report) Urgency {
	for _, f := range r.Findings {
		if f.Severity == validate.Warn {
			continue
		}
		switch f.Kind { //nolint:exhaustive // what is proven is all the rest
		case validate.Dropped, validate.Risen, validate.Stale, validate.Leaking, validate.Frozen, validate.Unverified:
		default:
			return Page
		}
	}
	return Ticket
}

func warnings(r *validate.Report) string {
	var texts []string
	for _, f := range r.Findings {
		if !errors.Is(f.Cause, errNumberless) {
			text := string(f.Kind) + ": " + f.Detail
			if f.Hint != "" {
				text += ", " + f.Hint
			}
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

// LogAlerter returns an Alerter that writes alerts to a log: pages as errors,
// tickets as warnings, and what is over as information. A nil logger is
// slog.Default.
//
// Text, job, run and attempt are of what was found last. The group worst has the worst
// severity, kind and level since the alert began, by which people were told, and the
// group onset when that was and by which build: neither need be of that run.
func LogAlerter(logger *slog.Logger) Alerter {
	if logger == nil {
		logger = slog.Default()
	}
	return logAlerter{logger}
}

type logAlerter struct{ logger *slog.Logger }

func (l logAlerter) Tell(ctx context.Context, firing, resolved []Alert) error {
	for i := range firing {
		level := slog.LevelError
		if firing[i].Urgency == Ticket {
			level = slog.LevelWarn
		}
		l.log(ctx, level, "segment affected", &firing[i])
	}
	for i := range resolved {
		level := slog.LevelInfo
		if resolved[i].nameless() { // a run passed, and nobody remembers what was told before
			level = slog.LevelDebug
		}
		l.log(ctx, level, "segment not affected", &resolved[i])
	}
	return nil
}

// nameless reports that all alerts of the segment are over, whatever they were about. An
// incident that is over has no kind either.
func (a *Alert) nameless() bool { return a.Kind == "" && a.About == nil }

func (l logAlerter) log(ctx context.Context, level slog.Level, message string, a *Alert) {
	if a.nameless() {
		l.logger.LogAttrs(ctx, level, message, slog.String("segment", a.Segment.String()))
		return
	}
	l.logger.LogAttrs(ctx, level, message,
		slog.String("segment", a.Segment.String()),
		slog.String("text", a.Text),
		slog.String("job", a.Job.ID),
		slog.String("run", a.RunID),
		slog.Int("attempt", a.Attempt),
		slog.String("runbook", a.Runbook),
		slog.Group("worst",
			slog.String("severity", string(a.Urgency)),
			slog.String("kind", string(a.Kind)),
			slog.String("level", string(a.Level))),
		slog.Group("onset", slog.Time("since", a.Since), slog.String("build", a.Build)),
	)
}

// key returns the key of the segment that the alert is about.
func (a *Alert) key() Key { return a.Segment.In(a.Store) }

// mark returns what people are told the alert by.
func (a *Alert) mark() Mark {
	return Mark{a.Urgency, a.Kind, a.Level, a.Job.Kind, a.Build, a.Incident}
}

// bySweep reports that no run of a job was found to be wrong, but what is live.
func (a *Alert) bySweep() bool { return a.RunID == "" }

// atStake returns how many users a segment should hold, by its report.
func atStake(r *validate.Report) int64 {
	if d := r.Delta; d != nil {
		return max(d.Last.Users(), d.Whole.Users(), r.Band.Previous)
	}
	return max(r.Expected.Users(), r.Stored.Users(), r.Band.Previous)
}

func counts(s validate.Summary) bool { return !s.IsZero() && !s.IsUnknown() }
