// Package text formats numbers and names for people.
package text

import (
	"strconv"
	"strings"
	"unicode"
)

// Thousands returns n in decimal with commas between groups of three digits, as
// package validate writes users.
func Thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Count returns n and the noun, in the plural unless n is 1.
func Count[N int | int64](n N, noun string) string {
	return Thousands(int64(n)) + " " + Plural(n, noun, noun+"s")
}

// Plural returns one where n is 1, and otherwise many.
func Plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Printable returns name unchanged, or quoted where it holds a character that a
// terminal would not print.
func Printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}
