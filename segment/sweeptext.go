package segment

import (
	"fmt"
	"strings"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// String is the sweep as an on-call engineer reads it: the numbers, the
// incidents, and a line for each affected segment, gravest first.
func (s Sweep) String() string {
	var b strings.Builder
	if !s.Complete {
		b.WriteString("Incomplete: what is not listed may be anything but fine.\n")
	}
	fmt.Fprintf(&b, "%s: %s healthy, %s affected", text.Count(s.Segments, "segment"), text.Thousands(int64(s.Healthy)), text.Thousands(int64(len(s.Findings))))
	if s.Missing > 0 {
		fmt.Fprintf(&b, " (of which %s missing)", text.Thousands(int64(s.Missing)))
	}
	if s.Unwatched > 0 {
		fmt.Fprintf(&b, ", %s with nothing to judge them by", text.Thousands(int64(s.Unwatched)))
	}
	b.WriteString(".\n")
	for i := range s.Incidents {
		fmt.Fprintf(&b, "%s: %s\n", s.Incidents[i].Urgency, &s.Incidents[i])
	}
	for i := range s.Findings {
		fmt.Fprintf(&b, "%s: %s%s\n", s.Findings[i].Urgency, text.Printable(s.Findings[i].Text), s.Findings[i].origin())
	}
	return b.String()
}

// origin says which segment explains the case, where one does.
func (c *SegmentFinding) origin() string {
	if c.Upstream.IsZero() {
		return ""
	}
	return "; it is made from " + text.Printable(c.Upstream.String()) + ", which is affected itself"
}
