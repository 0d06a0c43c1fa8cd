// Package table writes tables for people: columns that stand below each other, and
// colours where they are wanted.
package table

import (
	"strings"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A Table is rows below a head. What does not print is shown as Go writes it in
// strings.
type Table struct {
	Head []string
	Rows [][]Cell
}

// A Cell is a word, or more, with a tone.
type Cell struct {
	Text string
	Tone fleet.Tone
}

// Add adds a row.
func (t *Table) Add(cells ...string) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i].Text = c
	}
	t.Rows = append(t.Rows, row)
}

// Tone gives the cell of the last row in a column its tone.
func (t *Table) Tone(column int, tone fleet.Tone) { t.Rows[len(t.Rows)-1][column].Tone = tone }

// String returns the table. Columns in which nothing stands are left out.
func (t *Table) String(colour bool) string {
	widths := make([]int, len(t.Head))
	for _, row := range t.Rows {
		for i := range row {
			row[i].Text = text.Visible(row[i].Text)
			if row[i].Text != "" {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i].Text), utf8.RuneCountInString(t.Head[i]))
			}
		}
	}
	var b strings.Builder
	if strings.Join(t.Head, "") != "" {
		head := make([]Cell, len(t.Head))
		for i, h := range t.Head {
			head[i].Text = h
		}
		writeRow(&b, head, widths, "1", colour)
	}
	for _, row := range t.Rows {
		writeRow(&b, row, widths, "", colour)
	}
	return b.String()
}

func writeRow(b *strings.Builder, row []Cell, widths []int, style string, colour bool) {
	pad := 0
	first := true
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		if !first {
			pad += 2
		}
		first = false
		if c.Text == "" {
			pad += widths[i]
			continue
		}
		b.WriteString(strings.Repeat(" ", pad))
		b.WriteString(Styled(c.Text, cmpStyle(style, c.Tone), colour))
		pad = widths[i] - utf8.RuneCountInString(c.Text)
	}
	b.WriteByte('\n')
}

func cmpStyle(style string, tone fleet.Tone) string {
	if style != "" {
		return style
	}
	return Style(tone)
}

// Style returns what a terminal shows a tone by; "" for as it is.
func Style(tone fleet.Tone) string {
	switch tone {
	case fleet.Bad:
		return "1;31"
	case fleet.Warned:
		return "33"
	case fleet.Guarded:
		return "36"
	case fleet.Fine:
		return "32"
	case fleet.Unknown:
	}
	return ""
}

// Styled returns a text in a terminal's style, or as it is.
func Styled(s, style string, colour bool) string {
	if !colour || style == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}
