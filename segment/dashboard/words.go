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

// incidentRef links to an incident. What its ID says beyond its cause is its beginning,
// which stands beside it or on its page.
func incidentRef(id, url string) ref {
	cause, _, _ := strings.Cut(id, " since ")
	r := refTo(cause, url)
	r.Full = visible(id)
	return r
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

// worst returns by which urgency, kind and level people were told of an alert, which
// only rise as long as it is open: as in the ledger's own numbers.
func worst(s *segment.AlertState) segment.Mark {
	if n := len(s.Marks); n > 0 {
		return s.Marks[n-1]
	}
	return segment.Mark{Urgency: s.Open.Urgency, Kind: s.Open.Kind, Level: s.Open.Level}
}

// badgeOf says whether customers are hit by an open alert.
func badgeOf(s *segment.AlertState) badge {
	switch a, m := s.Open, worst(s); {
	case m.Level == segment.LevelProtected:
		return badge{"protected", guarded}
	case a.State == segment.RunUnknown:
		return badge{"live or not", bad}
	case a.Missing:
		return badge{"gone", bad}
	case m.Level == segment.LevelLost100:
		return badge{"live, empty", bad}
	case m.Level.Compare(segment.LevelLive) > 0:
		return badge{"live, −" + strings.TrimPrefix(string(m.Level), "lost ") + " or more", bad}
	case m.Urgency == segment.Ticket:
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

// clause returns what was found, without the name, the advice and the links that an
// alert's text has around it.
func clause(a *segment.Alert) string {
	if !a.Upstream.IsZero() {
		return "made from " + a.Upstream.String() + ", which is affected itself"
	}
	if a.Report.Passed() && len(a.Report.Findings) > 0 {
		return findingsOf(&a.Report)
	}
	if a.Report.Passed() {
		return a.Text
	}
	return strings.TrimPrefix((&validate.Error{Report: a.Report}).Error(), a.Report.Name+": ")
}

// sizeOf returns the users of a side as people read them.
func sizeOf(s validate.Summary) string {
	if s.IsZero() || s.IsUnknown() {
		return "not known"
	}
	return s.String()
}

// brieflyOf returns them for a column that is named after users.
func brieflyOf(s validate.Summary) string {
	return strings.TrimSuffix(strings.TrimSuffix(sizeOf(s), "s"), " user")
}
