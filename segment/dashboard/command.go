package dashboard

import (
	"cmp"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
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
		line = append(line, text.Shell(w))
	}
	if strings.HasPrefix(id, "-") {
		line = append(line, "--")
	}
	if id != "" {
		line = append(line, text.Shell(id))
	}
	return command{does, strings.Join(line, " ")}
}
