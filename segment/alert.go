package segment

import (
	"context"
	"log/slog"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An Alerter tells people of affected segments. A segment has at most one open
// alert: firing again replaces it, resolving one that is not open does nothing.
// It is safe for concurrent use.
type Alerter interface {
	Fire(ctx context.Context, a Alert) error
	Resolve(ctx context.Context, id ID) error
}

// A BatchAlerter takes many alerts at once, and knows by itself which of them it
// told people of: a monitor tells it of every open alert again with each sweep,
// so that what it forgot comes back.
type BatchAlerter interface {
	Alerter
	// Tell fires some alerts and resolves others, which are given as they were
	// fired. If it returns an error, any of them may not have been told.
	Tell(ctx context.Context, firing, resolved []Alert) error
}

// An AlertSeverity says how soon somebody must look.
type Urgency string

// Alert severities.
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
	RunID     string          `json:"run_id"`
	Attempt   int             `json:"attempt"`
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

// severity is the alert's, for what a report found.
func urgencyOf(r *validate.Report) Urgency {
	for _, f := range r.Findings {
		if f.Severity == validate.Warn {
			continue
		}
		switch f.Kind {
		case validate.Dropped, validate.Risen, validate.Unverified:
		default:
			return Page
		}
	}
	return Ticket
}

// LogAlerter writes alerts to a log: pages as errors, tickets as warnings. A nil
// logger is slog.Default.
func LogAlerter(logger *slog.Logger) Alerter {
	if logger == nil {
		logger = slog.Default()
	}
	return logAlerter{logger}
}

type logAlerter struct{ logger *slog.Logger }

func (l logAlerter) Fire(ctx context.Context, a Alert) error {
	level := slog.LevelError
	if a.Urgency == Ticket {
		level = slog.LevelWarn
	}
	l.logger.LogAttrs(ctx, level, "segment affected",
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
	return nil
}

// Resolve is called after every run that passed, so it is no news.
func (l logAlerter) Resolve(ctx context.Context, id ID) error {
	l.logger.LogAttrs(ctx, slog.LevelDebug, "segment not affected", slog.String("segment", id.String()))
	return nil
}
