package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A counter is an alerter that counts what it is told, where there is no
// Alertmanager at an address.
type counter struct {
	fired, incidents, resolved int
	address                    string
}

func (c *counter) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	for _, a := range firing {
		if a.About != nil {
			c.incidents++
		} else {
			c.fired++
		}
	}
	c.resolved += len(resolved)
	return nil
}

func (c *counter) String() string {
	if c.address != "" {
		return "told: the Alertmanager at " + c.address
	}
	return fmt.Sprintf("told: %d segments affected, %d incidents, %d resolved", c.fired, c.incidents, c.resolved)
}

// shown is how many findings of a kind are printed.
const shown = 4

// render prints what a sweep found: a line a finding, with the sizes of its last 30
// days and now, and what its history allows.
func render(out io.Writer, title string, s *segment.Sweep, told *counter) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d segments: %d healthy, %d affected, %d missing; %s\n\n", title, s.Segments, s.Healthy, len(s.Findings)-s.Missing, s.Missing, told)
	for _, i := range s.Incidents {
		fmt.Fprintf(&b, "%s: %s\n", i.Urgency(), &i)
	}
	if len(s.Incidents) > 0 {
		b.WriteByte('\n')
	}
	of := make(map[validate.Kind]int)
	for i, c := range s.Findings {
		of[c.Kind]++
		if n := of[c.Kind]; n <= shown {
			fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Urgency, c.Kind, c.Segment, spark(&c), c.Report.Stored, allowed(&c.Report.Band), upstream(&c))
		} else if i+1 == len(s.Findings) || s.Findings[i+1].Kind != c.Kind {
			fmt.Fprintf(&b, "\t%s\t… and %d more\n", c.Kind, n-shown)
		}
	}
	if len(s.Findings) > 0 {
		b.WriteByte('\n')
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, b.String()); err != nil {
		return err
	}
	return table.Flush()
}

// spark draws the sizes of earlier days and the one now, from zero to the
// largest. What is not there is left blank.
func spark(c *segment.SegmentFinding) string {
	sizes := make([]int64, len(c.Sizes), len(c.Sizes)+1)
	for i, s := range c.Sizes {
		sizes[i] = s.Users
	}
	now := " "
	if stored := c.Report.Stored; !stored.IsZero() {
		sizes, now = append(sizes, stored.Users()), ""
	}
	largest := max(slices.Max(sizes), 1)
	var b strings.Builder
	for _, users := range sizes {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[7*users/largest])
	}
	return b.String() + now
}

func allowed(b *validate.Band) string {
	if b.IsZero() {
		return ""
	}
	return b.String()
}

func upstream(c *segment.SegmentFinding) string {
	if c.Upstream.IsZero() {
		return ""
	}
	return "made from " + c.Upstream.String()
}
