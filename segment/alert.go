package segment

import (
	"context"
	"errors"
	"log/slog"
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
	Ticket Urgency = "ticket" // suspected by the history alone, let through with a warning, or not verifiable
)

// An Alert is about one segment.
type Alert struct {
	Segment   ID              `json:"segment"`
	Urgency   Urgency         `json:"severity"`
	Kind      validate.Kind   `json:"kind"`      // the gravest
	Text      string          `json:"text"`      // what happened, on one line
	Protected bool            `json:"protected"` // the live segment still holds the users it had before
	Job       Job             `json:"job"`
	RunID     string          `json:"run_id"` // empty: no run was wrong, but what a sweep found live
	Attempt   int             `json:"attempt"`
	Number    int64           `json:"number,omitempty"` // of the run; 0: it has none
	State     RunState        `json:"state,omitempty"`  // of the run, when this was found
	Build     string          `json:"build,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Runbook   string          `json:"runbook,omitempty"`
	Since     time.Time       `json:"since"` // when the fault was first found
	At        time.Time       `json:"at"`    // when it was found last
	Report    validate.Report `json:"report,omitzero"`

	// Upstream is the affected segment that this one was made from, if that
	// explains it.
	Upstream ID `json:"upstream,omitzero"`
	// Incident is set where the alert is about many segments at once. Its
	// Segment is then no segment, but a name for the incident.
	Incident *Incident `json:"incident,omitempty"`
}

// urgencyOf returns the urgency of what a report found.
func urgencyOf(r *validate.Report) Urgency {
	for _, f := range r.Findings {
		if f.Severity == validate.Warn {
			continue
		}
		switch f.Kind { //nolint:exhaustive // what is proven is all the rest
		case validate.Dropped, validate.Risen, validate.Unverified:
		default:
			return Page
		}
	}
	return Ticket
}

// next adds what to do.
func next(text, runbook string) string {
	if runbook == "" {
		return text
	}
	return text + "; next: " + runbook
}

func warnings(r *validate.Report) string {
	var texts []string
	for _, f := range r.Findings {
		if !errors.Is(f.Cause, errNumberless) {
			texts = append(texts, string(f.Kind)+": "+f.Detail)
		}
	}
	return strings.Join(texts, "; ")
}

// LogAlerter returns an Alerter that writes alerts to a log: pages as errors,
// tickets as warnings, and what is over as information. A nil logger is
// slog.Default.
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
		if resolved[i].Kind == "" { // a run passed, and nobody remembers what was told before
			level = slog.LevelDebug
		}
		l.log(ctx, level, "segment not affected", &resolved[i])
	}
	return nil
}

func (l logAlerter) log(ctx context.Context, level slog.Level, message string, a *Alert) {
	if a.Kind == "" {
		l.logger.LogAttrs(ctx, level, message, slog.String("segment", a.Segment.String()))
		return
	}
	l.logger.LogAttrs(ctx, level, message,
		slog.String("segment", a.Segment.String()),
		slog.String("severity", string(a.Urgency)),
		slog.String("kind", string(a.Kind)),
		slog.String("text", a.Text),
		slog.Bool("protected", a.Protected),
		slog.String("job", a.Job.ID),
		slog.String("run", a.RunID),
		slog.Int("attempt", a.Attempt),
		slog.String("build", a.Build),
		slog.String("runbook", a.Runbook),
	)
}
