package alertmanager

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	count "github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// annotations returns what a human reads of an alert that ends by itself at a
// time.
func annotations(x *segment.Alert, ends time.Time) map[string]string {
	found := text{
		"summary":   x.Text,
		"customers": x.Customers,
		"users":     users(x.Users),
		"good":      good(x.Good),
		"since":     date(x.Since),
		"link":      x.Link,
		"next":      x.Next,
		runbook(x):  x.Runbook,
	}
	if !x.Upstream.IsZero() {
		found["upstream"] = x.Upstream.String()
	}
	if x.Unconfirmed {
		found["unconfirmed"] = "the ledger could not be reached: this alert ends by itself at " + date(ends) + ", mended or not, unless a sweep finds the fault"
	}
	if x.About != nil {
		maps.Copy(found, ofIncident(x.About))
	} else {
		maps.Copy(found, ofSegment(x))
	}
	found["description"] = description(x, found)
	return found.clean()
}

func ofIncident(i *segment.Incident) text {
	return text{
		"segments":    count.Thousands(int64(i.Members.Segments)),
		"site_groups": count.Thousands(int64(i.Members.SiteGroups)),
		"cause":       i.Cause.String(),
		"likely":      i.Likely,
	}
}

func ofSegment(x *segment.Alert) text {
	found := text{"job": x.Job.ID, "run": x.RunID, "rule": x.Rule}
	if x.RunID != "" {
		found["attempt"] = strconv.Itoa(x.Attempt)
	}
	if len(x.Report.Findings) > 0 {
		found["expected"], found["stored"] = x.Report.Expected.String(), x.Report.Stored.String()
	}
	return found
}

// description returns the annotations that people act on, one a line, and the
// report.
func description(x *segment.Alert, found text) string {
	var lines []string
	for _, line := range [][2]string{
		{"Customers: ", "customers"}, {"At stake: ", "users"}, {"Cause: ", "cause"}, {"Likely: ", "likely"}, {"Made from: ", "upstream"},
		{"Last good: ", "good"}, {"Since: ", "since"}, {"Unconfirmed: ", "unconfirmed"}, {"See: ", "link"}, {"Next: ", "next"},
	} {
		if found[line[1]] != "" {
			lines = append(lines, line[0]+found[line[1]])
		}
	}
	if x.Runbook != "" {
		lines = append(lines, "Runbook: "+x.Runbook)
	}
	if len(x.Report.Findings) > 0 {
		lines = append(lines, x.Report.String())
	}
	return strings.Join(lines, "\n")
}

func users(n int64) string {
	if n <= 0 {
		return ""
	}
	return validate.Count(n).String()
}

func good(size *validate.Size) string {
	if size == nil {
		return ""
	}
	return validate.Count(size.Users).String() + " at " + date(size.At)
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// runbook returns the annotation's name: who shows alerts makes a link of a URL.
func runbook(x *segment.Alert) string {
	if u, err := url.Parse(x.Runbook); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return "runbook_url"
	}
	return "runbook"
}
