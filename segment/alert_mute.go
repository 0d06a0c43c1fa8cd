package segment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Mute holds the notifications of some alerts until a time. What they are
// about is recorded and judged as always, and what becomes worse than it was when
// the mute began is told all the same. At its end people are told of what is still
// wrong, once.
type Mute struct {
	Segment   ID            `json:"segment,omitzero"`     // of this segment; zero: of any
	Store     string        `json:"store,omitempty"`      // of segments in this store; empty: in any
	SiteGroup string        `json:"site_group,omitempty"` // of segments of this site group; empty: of any
	Kind      validate.Kind `json:"kind,omitempty"`       // of this kind; empty: of any
	Until     time.Time     `json:"until"`
	Decision
}

// Validate returns a *validate.InputError that names what is wrong.
func (m *Mute) Validate() error {
	switch {
	case m.Segment.IsZero() && m.Store == "" && m.SiteGroup == "" && m.Kind == "":
		return badInput("Mute", "empty", "a segment, a site group, a store or a kind: nobody is deaf to everything")
	case !m.Until.After(m.At):
		return badInput("Mute.Until", m.Until, "a time after Decision.At")
	}
	return m.Decision.Validate()
}

// String returns what is muted, and until when.
func (m *Mute) String() string {
	var parts []string
	if !m.Segment.IsZero() {
		parts = append(parts, m.Segment.String())
	}
	if m.SiteGroup != "" {
		parts = append(parts, "site group "+m.SiteGroup)
	}
	if m.Store != "" {
		parts = append(parts, "store "+m.Store)
	}
	if m.Kind != "" {
		parts = append(parts, string(m.Kind))
	}
	return strings.Join(parts, ", ") + " until " + m.Until.UTC().Format(time.RFC3339)
}

// same reports whether both are about the same alerts.
func (m *Mute) same(other *Mute) bool {
	return m.Segment == other.Segment && m.SiteGroup == other.SiteGroup && m.Store == other.Store && m.Kind == other.Kind
}

// holds reports whether the mute is about an alert, and has not ended.
func (m *Mute) holds(a *Alert, now time.Time) bool {
	return now.Before(m.Until) && (m.Segment.IsZero() || m.Segment == a.Segment) &&
		(m.SiteGroup == "" || m.SiteGroup == a.Segment.SiteGroup) && (m.Store == "" || m.Store == a.Store) && (m.Kind == "" || m.Kind == a.Kind)
}

// MuteAlerts holds the notifications of the alerts that m is about. It takes the
// place of a mute of the same segment, site group, store and kind.
func MuteAlerts(ctx context.Context, l Ledger, m Mute) error {
	err := m.Validate()
	if err == nil {
		err = changeMutes(ctx, l, &m, ActionMuted, func(kept []Mute) []Mute { return append(kept, m) })
	}
	return wrap("segment: muting alerts", err)
}

// UnmuteAlerts ends the mute of the segment, site group, store and kind that m names. The
// next guard or sweep tells people of what is still wrong.
func UnmuteAlerts(ctx context.Context, l Ledger, m Mute) error {
	err := m.Decision.Validate()
	if err == nil {
		err = changeMutes(ctx, l, &m, ActionUnmuted, func(kept []Mute) []Mute { return kept })
	}
	return wrap("segment: unmuting alerts", err)
}

// changeMutes changes the mutes but those that have ended and that of the same
// alerts, and holds notifications accordingly.
func changeMutes(ctx context.Context, l Ledger, m *Mute, action Action, change func([]Mute) []Mute) error {
	err := l.ChangeMutes(ctx, func(all []Mute) ([]Mute, error) {
		return change(slices.DeleteFunc(all, func(known Mute) bool { return known.same(m) || known.Until.Before(m.At) })), nil
	})
	if err != nil {
		return err
	}
	id := m.Segment
	if id.IsZero() {
		id.SiteGroup = m.SiteGroup
	}
	entry := LogEntry{Segment: id, Store: m.Store, At: m.At, Action: action, By: m.By, Why: m.Why, Text: m.String()}
	if err := writeLog(ctx, l, entry); err != nil {
		return err
	}
	return applyMutes(ctx, l, nil, m.At)
}

// writeLog adds an entry to the log.
func writeLog(ctx context.Context, l Ledger, e LogEntry) error {
	return l.Change(ctx, []Key{e.Segment.In(e.Store)}, func(s *SegmentState) error {
		s.Log = append(s.Log, e)
		return nil
	})
}

// applyMutes holds the notifications of the alerts that mutes are about now, and no
// others. It looks at one store or, where that is nil, at all.
func applyMutes(ctx context.Context, l Ledger, store *string, now time.Time) error {
	mutes, err := l.Mutes(ctx)
	if err != nil {
		return wrap("reading the mutes", err)
	}
	var keys []Key
	for s, err := range l.Segments(ctx, SegmentFilter{Store: store, Affected: true}) {
		if err != nil {
			return wrap("reading the alerts", err)
		}
		if s.Alert.Open != nil && mutedBy(mutes, s.Alert.Open, now) != (s.Alert.Muted != nil) {
			keys = append(keys, s.Key())
		}
	}
	for chunk := range slices.Chunk(keys, tellAtOnce) {
		err := l.Change(ctx, chunk, func(s *SegmentState) error {
			s.mute(mutes, now)
			return nil
		})
		if err != nil {
			return wrap("holding notifications", err)
		}
	}
	return nil
}

// mutedBy reports whether one of the mutes is about an alert.
func mutedBy(mutes []Mute, a *Alert, now time.Time) bool {
	return slices.ContainsFunc(mutes, func(m Mute) bool { return m.holds(a, now) })
}

// mute holds the alert's notifications where a mute is about it, and no longer
// where none is.
func (s *SegmentState) mute(mutes []Mute, now time.Time) {
	switch {
	case s.Alert.Open == nil:
	case mutedBy(mutes, s.Alert.Open, now):
		s.observe(observation{event: aMute, at: now})
	case s.Alert.Muted != nil:
		s.observe(observation{event: anUnmute, at: now})
	}
}
