package dashboard

import (
	"net/url"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A ref names something, and links to its page.
type ref struct{ Text, Full, URL string }

// refTo returns a ref. url may be empty.
func refTo(name, url string) ref {
	r := ref{Text: text.Short(text.Visible(name)), URL: url}
	if full := text.Visible(name); full != r.Text {
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
	r.Full = text.Visible(id)
	return r
}

// A stamp is a time for people and for programs, and how long ago it was.
type stamp struct{ ISO, Text, Ago string }

func newStamp(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	t = t.UTC()
	return stamp{t.Format(time.RFC3339), t.Format("2006-01-02 15:04"), text.Ago(now.Sub(t))}
}
