package segmenttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/validate"
)

// A live is what the segment's readers see around a job: sorted users before it
// and after it, and those who should be there once it has passed.
type live struct{ before, after, right []string }

// proper reports whether those are live that should be: the right users after a
// pass, and otherwise those from before.
func (l *live) proper(passed bool) bool {
	if passed {
		return slices.Equal(l.after, l.right)
	}
	return slices.Equal(l.after, l.before)
}

// describe says what is live after a job that was to pass or not.
func (l *live) describe(pass bool) string {
	switch {
	case l.proper(true):
		return "Live are the right users."
	case l.proper(false):
		return "Live are the users from before."
	case len(l.after) == 0:
		return "Live is nobody: the segment is empty."
	case pass:
		return fmt.Sprintf("Live are %s where %s should be: %s.", counted(l.after), counted(l.right), difference(l.after, l.right))
	}
	return fmt.Sprintf("Live are %s where the %s from before should be: %s.", counted(l.after), counted(l.before), difference(l.after, l.before))
}

func counted(users []string) string { return validate.Count(int64(len(users))).String() }

// difference says how a differs from b.
func difference(a, b []string) string {
	var repeated, foreign []string
	for _, user := range subtract(a, b) {
		if _, known := slices.BinarySearch(b, user); known {
			repeated = append(repeated, user)
		} else {
			foreign = append(foreign, user)
		}
	}
	var parts []string
	for _, part := range []struct {
		users []string
		what  string
	}{
		{subtract(b, a), "missing"},
		{repeated, "there too often"},
		{foreign, "not to be there"},
	} {
		if len(part.users) > 0 {
			parts = append(parts, counted(part.users)+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// subtract returns what a holds more often than b; both are sorted.
func subtract(a, b []string) (more []string) {
	for _, user := range a {
		for len(b) > 0 && b[0] < user {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == user {
			b = b[1:]
			continue
		}
		more = append(more, user)
	}
	return more
}
