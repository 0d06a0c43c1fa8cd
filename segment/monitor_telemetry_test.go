package segment

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSweepVerdict: a sweep that did not see all is no pass.
func TestSweepVerdict(t *testing.T) {
	broken := errors.New("broken")
	require.Equal(t, "passed", sweepVerdict(&Sweep{Complete: true}, nil))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{Complete: true}, broken))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{}, nil))
	require.Equal(t, "failed", sweepVerdict(&Sweep{Complete: true, Affected: []Affected{{}}}, nil))
}
