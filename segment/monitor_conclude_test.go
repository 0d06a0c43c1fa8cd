package segment

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestMoreOrFewer: only a fault of the same direction explains another.
func TestMoreOrFewer(t *testing.T) {
	for kind, many := range map[validate.Kind]bool{
		validate.Surplus: true, validate.Risen: true, validate.Repeated: true,
		validate.Short: false, validate.Dropped: false, validate.Capped: false, validate.Empty: false, validate.Different: false,
	} {
		require.Equal(t, many, tooMany(kind), kind)
	}
}

// TestCaseText: a case says that nothing protects the segment, but not of what
// could not be verified.
func TestCaseText(t *testing.T) {
	c := SegmentFinding{Kind: validate.Short, Text: "900 of 1,000 users"}
	require.Equal(t, "900 of 1,000 users (live: the segment is not protected)", c.alert(tonight, &Rule{}, Job{}).Text)
	c.Upstream = ID{SiteGroup: "a", Name: "b"}
	require.Equal(t, "900 of 1,000 users (live: the segment is not protected); it is made from a/b, which is affected itself", c.alert(tonight, &Rule{}, Job{}).Text)
	c.Kind, c.Upstream = validate.Unverified, ID{}
	require.Equal(t, "900 of 1,000 users", c.alert(tonight, &Rule{}, Job{}).Text)
}

func TestLimitHasAName(t *testing.T) {
	require.Equal(t, "a known limit (Elasticsearch index.max_result_window, …)", knownLimit(10_000))
	require.Empty(t, knownLimit(10_001))
}
