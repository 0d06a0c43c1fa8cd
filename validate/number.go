package validate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// thousands writes n with commas: 812,345. The same in every locale, because
// people and scripts search logs for it.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// counted writes "1 user" and "10,000 users".
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// unbroken puts text that others gave, such as joined errors, on one line.
func unbroken(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, unicode.IsControl), "; ")
}

// percent writes part of whole with one decimal, and never rounds a part to
// nothing or to all.
func percent(part, whole float64) string {
	if part == whole {
		return "100%"
	}
	switch p := fmt.Sprintf("%.1f%%", 100*part/whole); p {
	case "0.0%":
		return "under 0.1%"
	case "100.0%":
		return "over 99.9%"
	default:
		return p
	}
}

// percentAbove returns percent for a part that may be larger than the whole.
func percentAbove(part, whole float64) string {
	if part < whole {
		return percent(part, whole)
	}
	return fmt.Sprintf("%.0f%%", 100*part/whole)
}
