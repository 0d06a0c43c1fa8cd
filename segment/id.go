package segment

import (
	"cmp"
	"fmt"
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

// String is the text form.
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
