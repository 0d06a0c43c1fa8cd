package segment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An ID names a segment. Its text form is the site group, a slash, and the
// name: "site-a/cars". In the site group "/" and "%" are percent-escaped, so
// that the first slash always ends it; the name stands as it is. The text forms
// sort by their bytes, in Go and in every database that is told to (COLLATE "C",
// BINARY).
type ID struct{ SiteGroup, Name string }

var (
	escape   = strings.NewReplacer("%", "%25", "/", "%2F")
	unescape = strings.NewReplacer("%25", "%", "%2F", "/")
)

// String returns the text form.
func (id ID) String() string { return escape.Replace(id.SiteGroup) + "/" + id.Name }

// ParseID reads the text form, and only what String writes.
func ParseID(text string) (ID, error) {
	group, name, found := strings.Cut(text, "/")
	if !found {
		return ID{}, fmt.Errorf(`segment: id %q: no "/", want site-group/name`, text)
	}
	id := ID{SiteGroup: group, Name: name}
	if !plain(group) {
		id.SiteGroup = unescape.Replace(group)
	}
	if !plain(group) && id.String() != text {
		return ID{}, fmt.Errorf(`segment: id %q: want "%%25" for "%%" and "%%2F" for "/" in the site group, and no other escapes`, text)
	}
	return id, id.check()
}

// check refuses what no database could give back unchanged.
func (id ID) check() error {
	if !utf8.ValidString(id.SiteGroup) || !utf8.ValidString(id.Name) {
		return fmt.Errorf("segment: id %q: want UTF-8", id.String())
	}
	return nil
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders ids by the bytes of their text forms.
func (id ID) Compare(other ID) int {
	a, b := id.SiteGroup, other.SiteGroup
	switch {
	case a == b:
		return strings.Compare(id.Name, other.Name)
	case !plain(a) || !plain(b):
		return strings.Compare(id.String(), other.String())
	case strings.HasPrefix(b, a): // the slash after a is compared with what b has there
		return cmp.Compare('/', b[len(a)])
	case strings.HasPrefix(a, b):
		return cmp.Compare(a[len(b)], '/')
	}
	return strings.Compare(a, b)
}

// plain reports whether a site group's text is the site group itself.
func plain(group string) bool {
	return strings.IndexByte(group, '/') < 0 && strings.IndexByte(group, '%') < 0
}

// MarshalText writes the text form.
func (id ID) MarshalText() ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(text []byte) error {
	read, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = read
	return nil
}

// A Key names a segment in a store. Sizes, what is live, and alerts are kept for
// each by itself: two stores that hold a segment of the same name do not share them.
type Key struct {
	Segment ID     `json:"segment"`
	Store   string `json:"store,omitempty"` // as Rule.Store names it; empty: the one that nobody named
}

// In returns the key of the segment in a store, or in the one that nobody named.
func (id ID) In(store string) Key { return Key{Segment: id, Store: store} }

// String returns the text of the segment's id and, where it is named, the store:
// "site-a/cars in crm".
func (k Key) String() string {
	if k.Store == "" {
		return k.Segment.String()
	}
	return k.Segment.String() + " in " + k.Store
}

// Compare orders keys by the bytes of their stores, and within one by those of the
// ids' texts.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(k.Store, other.Store), k.Segment.Compare(other.Segment))
}

// A JobKind says what a job does. Beside the two below, name your own; keep them
// few, as metrics carry them.
type JobKind string

// The kinds of jobs that write segments from segments.
const (
	JobKindLookalike JobKind = "lookalike" // a model's output: it is the job's own word for how many users there should be
	JobKindCopy      JobKind = "copy"      // the users of another segment
)

// A Job makes one segment from others.
type Job struct {
	ID       string  `json:"id"`
	Kind     JobKind `json:"kind"`
	From     []ID    `json:"from,omitempty"`
	To       ID      `json:"to"`
	Priority int     `json:"priority,omitempty"` // higher runs earlier
}

// Copy returns the job that copies one segment, with the arguments in the order of
// io.Copy.
func Copy(to, from ID) Job { return newJob(JobKindCopy, to, from) }

// Lookalike returns the job that finds users similar to those of the seeds.
func Lookalike(to ID, seeds ...ID) Job { return newJob(JobKindLookalike, to, seeds...) }

// newJob names the job by all that makes it: two copies into one segment are
// two jobs.
func newJob(kind JobKind, to ID, from ...ID) Job {
	names := make([]string, len(from))
	for i, id := range from {
		names[i] = id.String()
	}
	return Job{ID: string(kind) + " " + strings.Join(names, " + ") + " to " + to.String(), Kind: kind, From: slices.Clone(from), To: to}
}
