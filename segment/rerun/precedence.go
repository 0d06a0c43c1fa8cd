package rerun

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
)

// An urgency decides between jobs that could come next, before their names do.
type precedence struct {
	priority int
	users    int64
	job      int32
}

// A spelling is a job's name, and eight bytes of it that are at hand: names are
// long, begin alike, and lie anywhere in memory.
type spelling struct {
	name string
	word uint64
	job  int32
	left uint8 // how many bytes of the name the word holds
}

// sort sorts by priority, users at stake and name.
func (g *graph) sort(list []precedence) {
	slices.SortFunc(list, func(a, b precedence) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(b.users, a.users))
	})
	var names []spelling
	for same := range equalRuns(list, func(a, b *precedence) bool { return a.priority == b.priority && a.users == b.users }) {
		names = names[:0]
		for _, u := range same {
			names = append(names, spelling{name: g.jobs[u.job].ID, job: u.job})
		}
		sortNames(names, commonPrefix(names))
		for i := range same {
			same[i].job = names[i].job
		}
	}
}

// sortNames sorts by what comes after the first bytes of the names, a word at a
// time.
func sortNames(list []spelling, bytes int) {
	const word = 8
	for i := range list {
		var padded [word]byte
		list[i].left = uint8(copy(padded[:], list[i].name[bytes:])) //nolint:gosec // at most 8
		list[i].word = binary.BigEndian.Uint64(padded[:])
	}
	slices.SortFunc(list, func(a, b spelling) int {
		return cmp.Or(cmp.Compare(a.word, b.word), cmp.Compare(a.left, b.left))
	})
	for same := range equalRuns(list, func(a, b *spelling) bool { return a.word == b.word && a.left == b.left }) {
		sortNames(same, bytes+word) // names are equal to none, so these go on
	}
}

// equalRuns yields the stretches of two and more that are equal to their neighbours.
func equalRuns[T any](list []T, equal func(a, b *T) bool) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for start := 0; start < len(list); {
			end := start + 1
			for end < len(list) && equal(&list[start], &list[end]) {
				end++
			}
			if end-start > 1 && !yield(list[start:end]) {
				return
			}
			start = end
		}
	}
}

// commonPrefix is how many bytes all names begin with alike.
func commonPrefix(list []spelling) int {
	first := list[0].name
	n := len(first)
	for i := range list {
		name := list[i].name
		n = min(n, len(name))
		for name[:n] != first[:n] {
			n--
		}
	}
	return n
}
