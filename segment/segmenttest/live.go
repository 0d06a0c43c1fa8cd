package segmenttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/validate"
)

// describe says what is live. The users, sorted, are those from before the job,
// those after it, and those that should be live after a pass.
func describe(before, after, right []string) string {
	switch {
	case slices.Equal(after, right):
		return "Live are the right users."
	case slices.Equal(after, before):
		return "Live are the users from before, and no others."
	case len(after) == 0:
		return "Live is nobody: the segment is empty."
	}
	var foreign, repeated int
	surplus := subtract(after, right)
	for _, user := range surplus {
		if _, known := slices.BinarySearch(right, user); known {
			repeated++
		} else {
			foreign++
		}
	}
	var wrong []string
	for _, part := range []struct {
		users int
		what  string
	}{
		{len(subtract(right, after)), "missing"},
		{repeated, "there too often"},
		{foreign, "there that should not be"},
	} {
		if part.users > 0 {
			wrong = append(wrong, fmt.Sprintf("%s %s", counted(part.users), part.what))
		}
	}
	return fmt.Sprintf("Live are %s where %s should be: %s.", counted(len(after)), counted(len(right)), strings.Join(wrong, ", "))
}

func counted(users int) string { return validate.Count(int64(users)).String() }

// subtract is what sorted a holds more often than sorted b.
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
