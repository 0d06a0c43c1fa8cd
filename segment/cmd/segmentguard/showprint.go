package main

import (
	"slices"
	"strconv"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// How much of each people are shown; --json has all.
const (
	sizesShown   = 14
	runsShown    = 10
	entriesShown = 10
)

func (a *app) printSegment(s *showOutput) {
	a.out.printf("%s: %s\n%s\n\n", text.Visible(s.Segment.In(s.Store).String()), a.toned(s.State, s.tone), text.Visible(s.Text))
	a.printFacts(s)
	a.printSizes(s)
	a.printRuns(s)
	a.printEntries("Alerts", s.Alerts)
	a.printEntries("Decisions", s.Decisions)
	a.printNeighbours("Made from", s.Upstream)
	a.printNeighbours("What is made from it", s.Downstream)
	if s.Cut {
		a.out.printf("\nThe log has more: %s\n", commandAbout("log --limit 0", s.Segment.In(s.Store)))
	}
}

func sizeText(size *validate.Size) string {
	if size == nil {
		return "not known"
	}
	return validate.Count(size.Users).String() + " at " + stamp(size.At)
}

// allowed returns a range as people read it; "" where there is none.
func allowed(low, high int64) string {
	if high == 0 {
		return ""
	}
	return fleet.Allowed(validate.Band{Low: low, High: high, Points: 1})
}

func (a *app) printFacts(s *showOutput) {
	t := table.Table{Head: []string{"", ""}}
	add := func(name, value string) {
		if value != "" {
			t.Add(name, value)
		}
	}
	add("live now", sizeText(s.Live))
	add("last good size", sizeText(s.Good))
	add("expected by the last run", s.Expected)
	add("the next may have", allowed(s.NextLow, s.NextHigh))
	if s.last.State != "" {
		add("last run", s.last.RunID+", "+string(s.last.State)+", "+stamp(s.last.At))
		add("job", s.last.JobID)
		add("build", s.last.Build)
	}
	if s.Alert != nil {
		add("affected since", stamp(s.Alert.Since))
		add("runbook", s.Alert.Runbook)
		add("see", s.Alert.Link)
	}
	add("incident", s.Incident)
	if s.Accepted != nil {
		add("accepted", "by "+s.Accepted.By+": "+s.Accepted.Why)
	}
	if s.Muted {
		add("muted", "what becomes worse is told all the same")
	}
	for i := range s.Planned {
		e := fleet.PlannedUsers(&s.Planned[i].Excuse, sizesOf(s))
		add("planned", fleet.Planned(&e)+", by "+s.Planned[i].By+": "+s.Planned[i].Why)
	}
	a.out.table(&t)
}

func sizesOf(s *showOutput) []validate.Size {
	sizes := make([]validate.Size, len(s.Sizes))
	for i := range s.Sizes {
		sizes[i] = s.Sizes[i].Size
	}
	return sizes
}

func (a *app) printSizes(s *showOutput) {
	if len(s.Sizes) == 0 {
		return
	}
	shown := s.Sizes[max(0, len(s.Sizes)-sizesShown):]
	a.out.printf("\nSizes, the latest %s of %s:\n", thousands(len(shown)), thousands(len(s.Sizes)))
	t := table.Table{Head: []string{"AT", "USERS", "ALLOWED", ""}}
	for _, size := range slices.Backward(shown) {
		seen := ""
		if size.Unguarded {
			seen = "seen in the store or imported"
		}
		t.Add(stamp(size.At), text.Thousands(size.Users), allowed(size.Low, size.High), seen)
	}
	a.out.table(&t)
}

func (a *app) printRuns(s *showOutput) {
	if len(s.Runs) == 0 {
		return
	}
	shown := s.Runs[:min(len(s.Runs), runsShown)]
	a.out.printf("\nRuns, the latest %s of %s:\n", thousands(len(shown)), thousands(len(s.Runs)))
	t := table.Table{Head: []string{"AT", "RUN", "ATTEMPT", "STATE", "BUILD", "EXPECTED", "STORED", "FOUND"}}
	for _, r := range shown {
		t.Add(stamp(r.At), r.RunID, strconv.Itoa(r.Attempt), r.word, r.Build, r.Expected, r.Stored, r.Found)
		t.Tone(3, r.tone)
	}
	a.out.table(&t)
}

func (a *app) printEntries(name string, entries []entryOutput) {
	if len(entries) == 0 {
		return
	}
	shown := entries[:min(len(entries), entriesShown)]
	a.out.printf("\n%s, the latest %s of %s:\n", name, thousands(len(shown)), thousands(len(entries)))
	t := table.Table{Head: []string{"AT", "WHAT", "BY", "TEXT"}}
	for _, e := range shown {
		t.Add(stamp(e.At), string(e.Action), e.By, e.Text)
	}
	a.out.table(&t)
}

func (a *app) printNeighbours(name string, all []neighbour) {
	if len(all) == 0 {
		return
	}
	a.out.printf("\n%s:\n", name)
	t := table.Table{Head: []string{"SEGMENT", "BY", "STATE"}}
	for _, n := range all {
		t.Add(segment.Key{Segment: n.Segment, Store: n.Store}.String(), string(n.JobKind), n.State)
		t.Tone(2, n.tone)
	}
	a.out.table(&t)
}
