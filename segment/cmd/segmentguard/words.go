package main

import (
	"fmt"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// toned returns a text that prints, in the colour of its tone where there are colours.
func (a *app) toned(s string, tone fleet.Tone) string {
	return table.Styled(text.Visible(s), table.Style(tone), a.out.colour)
}

func thousands(n int) string { return text.Thousands(int64(n)) }

// nameOf returns a segment's name of which a table has room.
func nameOf(id segment.ID) string {
	if id.IsZero() {
		return "(its name cannot be read)"
	}
	return text.Short(text.Visible(id.String()))
}

// commandAbout returns a command about a segment, to copy.
func commandAbout(command string, key segment.Key) string {
	line := "segmentguard " + command
	if key.Store != "" {
		line += " --store " + text.Shell(key.Store)
	}
	id := key.Segment.String()
	if strings.HasPrefix(id, "-") {
		line += " --"
	}
	return line + " " + text.Shell(id)
}

func wordsOf[S ~string](words []S) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}

func nothingKnown(key segment.Key) error { return fmt.Errorf("nothing is known of %s", key) }
