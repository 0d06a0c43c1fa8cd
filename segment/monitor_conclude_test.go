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

func TestLimitHasAName(t *testing.T) {
	require.Equal(t, "a known limit (Elasticsearch index.max_result_window, …)", knownLimit(10_000))
	require.Empty(t, knownLimit(10_001))
}
