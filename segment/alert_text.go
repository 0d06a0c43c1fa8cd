package segment

import (
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// say sets the text that people read: first whether customers are hit, then what
// was found, by which build, what explains it, what was right last, where to look,
// and what to do.
func (a *Alert) say(found string) {
	var b strings.Builder
	b.WriteString(a.hit() + ": " + found)
	if a.Build != "" {
		b.WriteString("; build " + text.Printable(a.Build))
	}
	if !a.Upstream.IsZero() {
		b.WriteString("; made from " + text.Printable(a.Upstream.String()) + ", which is affected itself")
	}
	if a.Good != nil {
		fmt.Fprintf(&b, "; right last with %s at %s", validate.Count(a.Good.Users), a.Good.At.UTC().Format(time.RFC3339))
	}
	if a.Link != "" {
		b.WriteString("; see " + text.Printable(a.Link))
	}
	b.WriteString("; next: " + a.next())
	if a.Runbook != "" {
		b.WriteString("; runbook: " + text.Printable(a.Runbook))
	}
	a.Text = b.String()
}

// hit says whether customers are hit.
func (a *Alert) hit() string {
	passed := a.State.GoesLive() && a.Report.Passed()
	switch {
	case a.Protected():
		return "not live, the segment keeps its users"
	case a.State == RunUnknown:
		return "live or not, nobody knows"
	case a.Missing:
		return "live, and gone"
	case a.Kind == validate.Unverified:
		return "live, and not checked"
	case passed:
		return "live, with a warning"
	case a.Level == LevelLost100:
		return "live, and empty"
	case a.Level.Compare(LevelLive) > 0:
		return "live, " + strings.TrimPrefix(string(a.Level), "lost ") + " or more of its users lost"
	}
	return "live"
}

// next says what to do.
func (a *Alert) next() string {
	switch {
	case !a.Upstream.IsZero():
		return "mend that one, and run the job again"
	case a.State == RunUnknown:
		return "look at the store before the job runs again"
	case a.Missing:
		return "look for it in the store; forget it if it was deleted on purpose"
	case a.Kind == validate.Unverified:
		return "run the job again"
	case offHistory(a.Kind) && a.State.GoesLive():
		return "look at what it is made from"
	case offHistory(a.Kind):
		return "look at what it is made from, or accept its size"
	}
	return "mend the cause, and run the job again"
}
