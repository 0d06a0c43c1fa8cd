package main

import (
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A change is what becomes of a segment.
type change struct {
	Segment segment.ID `json:"segment"`
	Store   string     `json:"store,omitempty"`
	What    []string   `json:"what"`
}

func (c *change) key() segment.Key { return c.Segment.In(c.Store) }

// about returns the name; of what is about no segment, that it is about the ledger.
func (c *change) about() string {
	switch {
	case c.Segment.IsZero():
		return "(no segment)"
	case c.Segment.Name == "":
		return "site group " + c.Segment.SiteGroup
	}
	return c.Segment.String()
}

func (c *change) text() string { return strings.Join(c.What, "; ") }

// changeOf says what is different.
func changeOf(before, after *segment.SegmentState) change {
	c := change{Segment: before.Segment, Store: before.Store}
	add := func(what string) {
		if what != "" {
			c.What = append(c.What, what)
		}
	}
	if before.Damaged != nil && after.Damaged == nil {
		add("what cannot be read is dropped: " + before.Damaged.Error())
	}
	add(alertChange(&before.Alert, &after.Alert))
	if moved := moveOf(before, after); moved != "" {
		add(moved)
	} else {
		add(sizesChange(before, after))
		for i := len(before.Excuses); i < len(after.Excuses); i++ {
			e := fleet.PlannedUsers(&after.Excuses[i].Excuse, after.Sizes)
			add(fleet.Planned(&e))
		}
	}
	if len(c.What) == 0 {
		for _, e := range after.Log[len(before.Log):] {
			add(strings.TrimSuffix(string(e.Action)+": "+entryWords(&e), ": "))
		}
	}
	return c
}

// moveOf says that a segment is known by another name, or not at all any more.
func moveOf(before, after *segment.SegmentState) string {
	gone := forgotten(after) && !before.IsZero()
	switch {
	case gone && hasAction(after, segment.ActionForgotten):
		return "all that is known is dropped: " + known(before)
	case gone && hasAction(after, segment.ActionRenamed):
		return "it has another name: " + known(before) + " go along"
	case before.IsZero() && !after.IsZero():
		return "it becomes known, with " + known(after)
	}
	return ""
}

func entryWords(e *segment.LogEntry) string {
	if e.Mark != nil && e.Mark.Build != "" {
		return string(e.Mark.JobKind) + " jobs of build " + e.Mark.Build
	}
	return e.Text
}

func forgotten(s *segment.SegmentState) bool {
	return len(s.Sizes)+len(s.Candidates)+len(s.Excuses) == 0 && s.Last.State == "" && s.Live == nil && s.Alert.Open == nil && s.Damaged == nil
}

func hasAction(s *segment.SegmentState, a segment.Action) bool {
	return slices.ContainsFunc(s.Log, func(e segment.LogEntry) bool { return e.Action == a })
}

// known says what is known of a segment.
func known(s *segment.SegmentState) string {
	parts := []string{text.Count(len(s.Sizes), "size")}
	if s.Alert.Open != nil {
		parts = append(parts, "its alert")
	}
	if n := len(s.Excuses); n > 0 {
		parts = append(parts, text.Count(n, "plan"))
	}
	return strings.Join(parts, ", ")
}

func alertChange(before, after *segment.AlertState) string {
	switch was, is := before.Open, after.Open; {
	case was != nil && is == nil:
		return "its alert ends: " + string(was.Urgency) + ", " + string(was.Kind) + ", since " + stamp(was.Since)
	case is == nil:
	case before.Muted == nil && after.Muted != nil:
		return "nobody is told of its alert, unless it becomes worse"
	case before.Muted != nil && after.Muted == nil:
		return "people are told of its alert again"
	}
	return ""
}

func sizesChange(before, after *segment.SegmentState) string {
	var parts []string
	fresh := lacking(after.Sizes, before.Sizes)
	switch n := len(fresh); {
	case n == 1:
		parts = append(parts, validate.Count(fresh[0].Users).String()+" of "+stamp(fresh[0].At)+" become a right size")
	case n > 1:
		parts = append(parts, text.Count(n, "size")+" more are right")
	}
	if open := before.Alert.Open; len(fresh) > 0 && open != nil && open.Report.Proven() {
		parts = append(parts, "although it is proven wrong: later sizes are judged by it")
	}
	if n := len(lacking(before.Sizes, after.Sizes)); n > 0 {
		parts = append(parts, text.Count(n, "size")+" "+text.Plural(n, "is", "are")+" taken out of its history")
	}
	return strings.Join(parts, "; ")
}

// lacking returns the sizes that others lack.
func lacking(sizes, others []validate.Size) (fresh []validate.Size) {
	for _, size := range sizes {
		if !slices.ContainsFunc(others, func(o validate.Size) bool {
			return o.At.Equal(size.At) && o.Users == size.Users && o.Counter == size.Counter
		}) {
			fresh = append(fresh, size)
		}
	}
	return fresh
}
