package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// State returns the state of one segment, and whether anything is known of it. Where
// the store is not named, and is not the one that nobody named, it is that in which the
// segment is affected, or the first: jobs and plans know no stores.
func State(ctx context.Context, l segment.Ledger, key segment.Key) (found segment.SegmentState, known bool, err error) {
	found.Segment, found.Store = key.Segment, key.Store
	for state, err := range l.Segments(ctx, segment.SegmentFilter{Segment: key.Segment}) {
		switch {
		case err != nil:
			return found, false, fmt.Errorf("reading the segment %s: %w", key, err)
		case state.Store == key.Store:
			return state, true, nil
		case key.Store == "" && (!known || found.Alert.Open == nil && state.Alert.Open != nil):
			found, known = state, true
		}
	}
	return found, known, nil
}

// Lead says how a segment is.
func Lead(s *segment.SegmentState, known bool) (string, Tone) {
	switch a := s.Alert.Open; {
	case !known:
		return "The ledger keeps nothing of this segment.", Unknown
	case s.Damaged != nil:
		return text.Visible(s.Damaged.Error()), Bad
	case a != nil:
		return text.Visible(a.Text), BadgeOfAlert(&s.Alert).Tone
	case s.Last.State == segment.RunUnknown:
		return "Nobody knows whether the last run went live.", Bad
	case len(s.Sizes) == 0:
		return "No alert is open, and no good size is known.", Unknown
	}
	return "No alert is open.", Fine
}

// Attempts returns the last record of each attempt in a log, in the order of those.
func Attempts(log []segment.LogEntry) (records []segment.Record) {
	type attempt struct {
		run string
		n   int
	}
	places := map[attempt]int{}
	for i := range slices.Backward(log) {
		r := log[i].Record
		if r == nil {
			continue
		}
		at, later := places[attempt{r.RunID, r.Attempt}]
		switch {
		case !later:
			places[attempt{r.RunID, r.Attempt}] = len(records)
			records = append(records, *r)
		case records[at].Report == nil:
			records[at].Report = r.Report
		}
	}
	slices.Reverse(records)
	return records
}

// Clause returns what was found, without the name, the advice and the links that an
// alert's text has around it.
func Clause(a *segment.Alert) string {
	if !a.Upstream.IsZero() {
		return "made from " + a.Upstream.String() + ", which is affected itself"
	}
	if a.Report.Passed() && len(a.Report.Findings) > 0 {
		return Findings(&a.Report)
	}
	if a.Report.Passed() {
		return a.Text
	}
	return strings.TrimPrefix((&validate.Error{Report: a.Report}).Error(), a.Report.Name+": ")
}

// Findings returns what a report found, on one line.
func Findings(r *validate.Report) string {
	var parts []string
	for _, f := range r.Findings {
		parts = append(parts, string(f.Kind)+": "+f.Detail)
	}
	return strings.Join(parts, "; ")
}

// Size returns the users of a side as people read them.
func Size(s validate.Summary) string {
	if s.IsZero() || s.IsUnknown() {
		return "not known"
	}
	return s.String()
}

// BriefSize returns them for a column that is named after users.
func BriefSize(s validate.Summary) string {
	return strings.TrimSuffix(strings.TrimSuffix(Size(s), "s"), " user")
}

// Holds returns how many users an affected segment holds live, and how many it should,
// or which number was kept away from it.
func Holds(s *segment.SegmentState) (users, beside string) {
	a := s.Alert.Open
	found := BriefSize(a.Report.Stored)
	if !a.Protected() {
		if a.Good != nil {
			beside = "good: " + text.Thousands(a.Good.Users)
		}
		return found, beside
	}
	users = "not known"
	if s.Live != nil {
		users = text.Thousands(s.Live.Users)
	}
	return users, "kept out: " + found
}

// Counted reports whether a side was counted.
func Counted(s validate.Summary) bool { return !s.IsZero() && !s.IsUnknown() }

// A Judge says which sizes a history allows. It tells nobody.
type Judge struct{ validator *validate.Validator }

// NewJudge returns a Judge.
func NewJudge() *Judge {
	v, err := validate.New(validate.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()})
	if err != nil {
		panic(err) // no instrument of these can fail
	}
	return &Judge{v}
}

// Band returns the sizes that some before would have allowed at a time, or after the
// last of them.
func (j *Judge) Band(ctx context.Context, before []validate.Size, counter string, at time.Time) validate.Band {
	if len(before) == 0 {
		return validate.Band{}
	}
	last := before[len(before)-1]
	if last.At.After(at) {
		at = last.At
	}
	r, err := j.validator.Check(ctx, validate.Policy{}, validate.Output{
		Name: "band", Expected: validate.Unknown(), Stored: validate.Count(max(1, last.Users)), Sizes: before, Counter: counter, At: at,
	})
	if _, failed := errors.AsType[*validate.Error](err); err != nil && !failed {
		return validate.Band{}
	}
	return r.Band
}

// Allowed returns a band as people read it; "" where there is none.
func Allowed(b validate.Band) string {
	if b.IsZero() {
		return ""
	}
	return text.Thousands(b.Low) + "–" + text.Thousands(b.High)
}

// PlannedUsers returns what is planned in users: shares are of the last size before it
// begins.
func PlannedUsers(e *validate.Excuse, sizes []validate.Size) validate.Excuse {
	is := *e
	if e.HighShare == 0 {
		return is
	}
	var last int64
	for _, size := range sizes {
		if size.At.Before(e.From) {
			last = size.Users
		}
	}
	is.Low, is.High = int64(e.LowShare*float64(last)), int64(e.HighShare*float64(last))
	return is
}

// Planned returns what is planned, in users, as people read it.
func Planned(e *validate.Excuse) string {
	return fmt.Sprintf("planned from %s to %s: %s–%s users", e.From.UTC().Format("2006-01-02"), e.Until.UTC().Format("2006-01-02"), text.Thousands(e.Low), text.Thousands(e.High))
}

// EntryText returns what an entry of a log says beside its action.
func EntryText(e *segment.LogEntry) string {
	said := e.Why
	switch {
	case e.Damaged != nil:
		said = e.Damaged.Error()
	case e.Record != nil:
		if said == "" {
			said = recordText(e.Record)
		}
	case said == "" || e.Action == segment.ActionMuted || e.Action == segment.ActionUnmuted:
		said = join(said, e.Text)
	}
	if said == "" && e.Mark != nil {
		said = string(e.Mark.Urgency) + ", " + string(e.Mark.Kind) + ", " + string(e.Mark.Level)
	}
	return text.Visible(said)
}

func recordText(r *segment.Record) string {
	if r.Report == nil {
		return ""
	}
	if found := Findings(r.Report); found != "" {
		return found
	}
	if !Counted(r.Report.Stored) {
		return ""
	}
	return validate.Count(r.Report.Stored.Users()).String() + " stored"
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
