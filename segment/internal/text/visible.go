package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with what does not print as Go writes it in strings: nothing in a
// name may turn, hide or move what stands beside it.
func Visible(s string) string {
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

// Short returns a name of which a table has room: of a long one both ends, as many
// names begin alike.
func Short(name string) string {
	const head, tail = 48, 24
	runes := []rune(name)
	if len(runes) <= head+tail+1 {
		return name
	}
	return string(runes[:head]) + "…" + string(runes[len(runes)-tail:])
}

// Ago returns how long ago something was in its largest unit.
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "in " + Span(-d)
	case d < time.Minute:
		return "just now"
	}
	return Span(d) + " ago"
}

// Span returns a time in its largest unit.
func Span(d time.Duration) string {
	switch {
	case d < time.Hour:
		return Count(int64(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return Count(int64(d/time.Hour), "hour")
	}
	return Count(int64(d/(24*time.Hour)), "day")
}

// Shell returns a word as a shell takes it for one: as it is where nothing in it means
// anything, in single quotes, or, where it holds what does not print, in the $'…' of
// POSIX 2024, bash, zsh and ksh.
func Shell(word string) string {
	switch {
	case word != "" && !strings.ContainsFunc(word, special):
		return word
	case !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(word) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}

// special reports whether a shell may take r for more than itself.
func special(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:@,+", r)
}
