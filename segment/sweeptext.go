package segment

import (
	"fmt"
	"strings"
)

// String is the sweep as an on-call engineer reads it: the numbers, the
// incidents, and a line for each affected segment, gravest first.
func (s Sweep) String() string {
	var b strings.Builder
	if !s.Complete {
		b.WriteString("Incomplete: what is not listed may be anything but fine.\n")
	}
	fmt.Fprintf(&b, "%s: %s healthy, %s affected", counted(s.Segments, "segment"), thousands(int64(s.Healthy)), thousands(int64(len(s.Cases))))
	if s.Missing > 0 {
		fmt.Fprintf(&b, " (of which %s missing)", thousands(int64(s.Missing)))
	}
	if s.Unwatched > 0 {
		fmt.Fprintf(&b, ", %s with nothing to judge them by", thousands(int64(s.Unwatched)))
	}
	b.WriteString(".\n")
	for i := range s.Incidents {
		fmt.Fprintf(&b, "%s: %s\n", s.Incidents[i].Severity, &s.Incidents[i])
	}
	for i := range s.Cases {
		fmt.Fprintf(&b, "%s: %s%s\n", s.Cases[i].Severity, shown(s.Cases[i].Text), s.Cases[i].origin())
	}
	return b.String()
}

// origin says which segment explains the case, where one does.
func (c *Case) origin() string {
	if c.Upstream.IsZero() {
		return ""
	}
	return "; it is made from " + shown(c.Upstream.String()) + ", which is affected itself"
}
