package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// visible returns s with what does not print as Go writes it in strings: nothing in a
// name may turn, hide or move what stands beside it.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// short returns a name of which a table has room: of a long one both ends, as many
// names begin alike.
func short(name string) string {
	const head, tail = 48, 24
	runes := []rune(name)
	if len(runes) <= head+tail+1 {
		return name
	}
	return string(runes[:head]) + "…" + string(runes[len(runes)-tail:])
}

// A ref names something, and links to its page.
type ref struct{ Text, Full, URL string }

// refTo returns a ref. url may be empty.
func refTo(name, url string) ref {
	r := ref{Text: short(visible(name)), URL: url}
	if full := visible(name); full != r.Text {
		r.Full = full
	}
	return r
}

// outside returns a link that leads out of the dashboard, or its text alone where it
// is no address of a page.
func outside(link string) ref {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return refTo(link, "")
	}
	return refTo(link, link)
}

// A stamp is a time for people and for programs, and how long ago it was.
type stamp struct{ ISO, Text, Ago string }

func newStamp(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	t = t.UTC()
	return stamp{t.Format(time.RFC3339), t.Format("2006-01-02 15:04"), ago(now.Sub(t))}
}

// ago returns how long ago something was in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "in " + span(-d)
	case d < time.Minute:
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Hour:
		return text.Count(int64(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return text.Count(int64(d/time.Hour), "hour")
	}
	return text.Count(int64(d/(24*time.Hour)), "day")
}

// A tone is how a thing is shown; its word says the same.
type tone string

const (
	bad     tone = "bad"     // customers are hit
	warned  tone = "warned"  // somebody must look
	guarded tone = "guarded" // wrong, and kept away from customers
	fine    tone = "fine"
	unknown tone = "unknown"
)

// A badge is a word with a tone.
type badge struct {
	Text string
	Tone tone
}

// badgeOf says whether customers are hit by an alert.
func badgeOf(a *segment.Alert) badge {
	switch {
	case a.Protected():
		return badge{"protected", guarded}
	case a.State == segment.RunUnknown:
		return badge{"live or not", bad}
	case a.Missing:
		return badge{"gone", bad}
	case a.Level == segment.LevelLost100:
		return badge{"live, empty", bad}
	case a.Level.Compare(segment.LevelLive) > 0:
		return badge{"live, −" + strings.TrimPrefix(string(a.Level), "lost ") + " or more", bad}
	case a.Urgency == segment.Ticket:
		return badge{"live", warned}
	}
	return badge{"live", bad}
}

// badgeOfRun says what became of a run.
func badgeOfRun(s segment.RunState, live bool) badge {
	word := string(s)
	if live {
		word += ", and live"
	}
	switch s {
	case segment.RunCommitted, segment.RunPassed:
		return badge{word, fine}
	case segment.RunStarted, segment.RunOvertaken:
		return badge{word, unknown}
	case segment.RunObserved:
		return badge{word, warned}
	case segment.RunRejected, segment.RunFailed:
		if live {
			return badge{word, bad}
		}
		return badge{word, guarded}
	case segment.RunUnknown:
	}
	return badge{word, bad}
}

// tooFew reports whether the live segment of an alert holds fewer users than it
// should.
func tooFew(a *segment.Alert) bool {
	if a.Protected() {
		return false
	}
	if a.Missing || a.Level.Compare(segment.LevelLive) > 0 {
		return true
	}
	switch a.Kind { //nolint:exhaustive // of the others nobody knows, or users are there that should not be
	case validate.Empty, validate.Truncated, validate.Capped, validate.Gap, validate.Short, validate.Dropped, validate.Leaking:
		return true
	}
	return false
}

// clause returns what was found, without the names, the advice and the links that an
// alert's text has around it.
func clause(a *segment.Alert) string {
	if !a.Upstream.IsZero() {
		return "made from " + a.Upstream.String() + ", which is affected itself"
	}
	for _, f := range a.Report.Findings {
		switch {
		case f.Kind != a.Kind:
		case len(f.Caps) > 0:
			return fmt.Sprintf("%s; stopped at %s, a known limit (%s, …)", f.Detail, validate.Count(f.Caps[0].Users), f.Caps[0].Origin)
		case f.Hint != "":
			return f.Detail + "; " + f.Hint
		default:
			return f.Detail
		}
	}
	return a.Text
}

// sizeOf returns the users of a side as people read them.
func sizeOf(s validate.Summary) string {
	if s.IsZero() || s.IsUnknown() {
		return "not known"
	}
	return s.String()
}
