package dashboard

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"github.com/segmentguard/segmentguard/segment"
)

// A command is one line for a shell, and what it does.
type command struct{ Does, Line string }

// Size returns how many characters of it are shown.
func (c command) Size() int { return min(max(len(c.Line), 8), 100) + 1 }

// commands makes commands that begin with a program's name.
type commands string

// about returns a command about a segment.
func (c commands) about(does string, key segment.Key, words ...string) command {
	if key.Store != "" {
		words = append(words, "--store", key.Store)
	}
	return c.of(does, key.Segment.String(), words...)
}

// of returns a command. What words say that begin with a dash is a flag; id is not,
// whatever it begins with.
func (c commands) of(does, id string, words ...string) command {
	line := []string{cmp.Or(string(c), "segmentguard")}
	for _, w := range words {
		line = append(line, quoted(w))
	}
	if strings.HasPrefix(id, "-") {
		line = append(line, "--")
	}
	if id != "" {
		line = append(line, quoted(id))
	}
	return command{does, strings.Join(line, " ")}
}

// quoted returns a word as a shell takes it for one: as it is where nothing in it
// means anything, in single quotes, or, where it holds what does not print, in the
// $'…' of POSIX 2024, bash, zsh and ksh.
func quoted(word string) string {
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
