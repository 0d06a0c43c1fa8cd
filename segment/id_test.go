package segment_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

func TestIDText(t *testing.T) {
	for text, id := range map[string]segment.ID{
		"site-a/cars":       {SiteGroup: "site-a", Name: "cars"},
		"a%2Fb/c/d":         {SiteGroup: "a/b", Name: "c/d"},
		"100%25/100%":       {SiteGroup: "100%", Name: "100%"},
		"%252F/x":           {SiteGroup: "%2F", Name: "x"},
		"/cars":             {Name: "cars"},
		"site a/neue autos": {SiteGroup: "site a", Name: "neue autos"},
		"größe/車":           {SiteGroup: "größe", Name: "車"},
	} {
		require.Equal(t, text, id.String())
		back, err := segment.ParseID(text)
		require.NoError(t, err)
		require.Equal(t, id, back)
	}
}

func TestIDRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":           `no "/"`,
		"cars":       `no "/"`,
		"a%b/c":      `want "%25" for "%"`,
		"a%2fb/c":    `want "%25" for "%"`,
		"a%2/c":      `want "%25" for "%"`,
		"site\xff/c": "want UTF-8",
	} {
		_, err := segment.ParseID(text)
		require.ErrorContains(t, err, reason, "%q", text)
		var id segment.ID
		require.Error(t, id.UnmarshalText([]byte(text)))
		require.True(t, id.IsZero())
	}
	_, err := segment.ID{Name: "\xff"}.MarshalText()
	require.Error(t, err)
}

func FuzzID(f *testing.F) {
	f.Add("site-a", "cars", "site-b", "cars")
	f.Add("a/b%", "c/%2F", "a", "b%/c")
	f.Add("", "", " ", "\x00")
	f.Fuzz(func(t *testing.T, group1, name1, group2, name2 string) {
		a, b := segment.ID{SiteGroup: group1, Name: name1}, segment.ID{SiteGroup: group2, Name: name2}
		require.Equal(t, a == b, a.String() == b.String(), "no two ids share a text")
		require.Equal(t, strings.Compare(a.String(), b.String()), a.Compare(b))
		text, err := json.Marshal(a)
		if !utf8.ValidString(group1) || !utf8.ValidString(name1) {
			require.Error(t, err, "it would not come back as it was")
			return
		}
		require.NoError(t, err)
		var back segment.ID
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, a, back)
	})
}

// TestSiteGroupsAreEscaped: an id and its text are one to one, and in the same
// order, wherever the slash stands.
func TestSiteGroupsAreEscaped(t *testing.T) {
	groups := []string{"", "/", "/x", "x/", "%", "%x", "x%", "x", "x-", "x0", "y", "/%", "%/"}
	for _, a := range groups {
		for _, b := range groups {
			one, two := segment.ID{SiteGroup: a, Name: "n"}, segment.ID{SiteGroup: b, Name: "n"}
			byText := 0
			switch {
			case one.String() < two.String():
				byText = -1
			case one.String() > two.String():
				byText = 1
			}
			require.Equal(t, byText, one.Compare(two), "%q and %q", a, b)
		}
	}
}

func TestJobs(t *testing.T) {
	a, b, c := segment.ID{SiteGroup: "a", Name: "x"}, segment.ID{SiteGroup: "b", Name: "x"}, segment.ID{SiteGroup: "c", Name: "x"}
	job := segment.Copy(b, a)
	require.Equal(t, segment.Job{ID: "copy a/x to b/x", Kind: segment.JobKindCopy, From: []segment.ID{a}, To: b}, job, "the order of io.Copy: to, from")
	seeds := []segment.ID{a, b}
	job = segment.Lookalike(c, seeds...)
	require.Equal(t, "lookalike a/x + b/x to c/x", job.ID)
	seeds[0] = c
	require.Equal(t, []segment.ID{a, b}, job.From, "the job's own")
	require.False(t, slices.Equal(job.From, seeds))
}
