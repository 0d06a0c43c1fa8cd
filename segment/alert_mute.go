package segment

import (
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Mute holds the notifications of some alerts until a time. What they are
// about is recorded and judged as always, and what becomes worse than it was when
// the mute began is told all the same.
type Mute struct {
	Segment   ID            `json:"segment,omitzero"`     // of this segment; zero: of any
	SiteGroup string        `json:"site_group,omitempty"` // of segments of this site group; empty: of any
	Kind      validate.Kind `json:"kind,omitempty"`       // of this kind; empty: of any
	Until     time.Time     `json:"until"`
	Decision
}

// holds reports whether the mute is about an alert, and has not ended.
func (m *Mute) holds(a *Alert, now time.Time) bool {
	return now.Before(m.Until) && (m.Segment.IsZero() || m.Segment == a.Segment) &&
		(m.SiteGroup == "" || m.SiteGroup == a.Segment.SiteGroup) && (m.Kind == "" || m.Kind == a.Kind)
}
