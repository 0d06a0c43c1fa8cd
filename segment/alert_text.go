package segment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// say sets the text that people read: first whether customers are hit, then what
// was found, by which build, what explains it, what was right last, where to look,
// and what to do.
func (a *Alert) say(found string) {
	a.Customers, a.Next = a.customers(), a.next()
	var b strings.Builder
	b.WriteString("customers " + a.Customers + "; " + found)
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
	b.WriteString("; next: " + a.Next)
	if a.Runbook != "" {
		b.WriteString("; runbook: " + text.Printable(a.Runbook))
	}
	a.Text = b.String()
}

// lastRight returns the last of some sizes that was verified, other than of so many users;
// nil: none was. A level that was accepted, or became normal by itself, was not, unless the source
// vouched for it.
func lastRight(sizes []validate.Size, than int64) *validate.Size {
	for _, size := range slices.Backward(sizes) {
		if (size.Level != validate.LevelNew || size.Vouched) && size.Users != than {
			return &size
		}
	}
	return nil
}

// customers says whether customers are hit: nothing that is not proven hits them for
// certain.
func (a *Alert) customers() string {
	lost := strings.TrimPrefix(string(a.Level), "lost ")
	worse := a.Level.Compare(LevelLive) > 0
	switch {
	case a.Protected() && a.unsettled:
		return "perhaps hit: nobody knows what an earlier run left live; this one changed nothing"
	case a.Protected():
		return "not hit: the live segment keeps its users"
	case a.State == RunUnknown:
		return "perhaps hit: nobody knows whether the output is live"
	case a.Missing:
		return "hit: the segment is gone from the store"
	case a.Kind == validate.Unverified:
		return "perhaps hit: the live segment could not be checked"
	case a.Kind == validate.Stale:
		return "perhaps hit: no good run for too long"
	case a.State.GoesLive() && a.Report.Passed():
		return "perhaps hit: what passed with a warning is live"
	case a.suspected() && worse:
		return "perhaps hit: the live segment may have lost " + lost + " of its users or more"
	case a.suspected():
		return "perhaps hit: the live segment may be wrong"
	case a.Level == LevelLost100:
		return "hit: the live segment is empty"
	case worse:
		return "hit: the live segment lost " + lost + " of its users or more"
	}
	return "hit: the live segment has the wrong users"
}

// next says what to do.
func (a *Alert) next() string {
	for i := range a.Report.Findings {
		if _, damaged := errors.AsType[*Damage](a.Report.Findings[i].Cause); damaged {
			return "drop what the ledger cannot read of it (segment.Repair)"
		}
	}
	switch {
	case !a.Upstream.IsZero():
		return "repair " + text.Printable(a.Upstream.String()) + " first, then run the job again"
	case a.State == RunUnknown:
		return "look at the store before the job runs again"
	case a.Missing:
		return "look for it in the store; forget it (segment.Forget) if it was deleted on purpose"
	case a.Kind == validate.Unverified:
		return "find out what could not be measured, and run the job again"
	case a.Kind == validate.Frozen:
		return "see whether what it is made from still changes"
	case a.Kind == validate.Stale:
		return "see why its job brings nothing any more"
	case offHistory(a.Kind) && !a.State.GoesLive():
		return "look at what it is made from; accept its size (segment.Accept) if it is right, else mend the cause and run the job again"
	case a.suspected():
		return "look at what it is made from"
	}
	return "mend the cause, then run the job again and what is made from the segment (rerun.New)"
}

// causeOf returns the clause of an alert's gravest finding. Of many limits at one
// number it names the likeliest.
func causeOf(a *Alert) string {
	if !a.Upstream.IsZero() {
		return "made from " + a.Upstream.String() + ", which is affected itself"
	}
	for _, f := range a.Report.Findings {
		switch {
		case f.Kind != a.Kind:
		case len(f.Caps) > 0:
			return fmt.Sprintf("stopped at %s, a known limit (%s, …)", validate.Count(f.Caps[0].Users), f.Caps[0].Origin)
		default:
			return f.Detail
		}
	}
	return a.Text
}
