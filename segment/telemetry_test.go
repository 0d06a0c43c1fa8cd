package segment

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestSweepVerdict: a sweep that did not see all is no pass.
func TestSweepVerdict(t *testing.T) {
	broken := errors.New("broken")
	require.Equal(t, "passed", sweepVerdict(&Sweep{Complete: true}, nil))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{Complete: true}, broken))
	require.Equal(t, "unverified", sweepVerdict(&Sweep{}, nil))
	require.Equal(t, "failed", sweepVerdict(&Sweep{Complete: true, Findings: []SegmentFinding{{}}}, nil))
}

// TestGravest: what fails comes before what only warns.
func TestGravest(t *testing.T) {
	require.Equal(t, validate.Short, gravest(&validate.Report{Findings: []validate.Finding{
		{Kind: validate.Capped, Severity: validate.Warn}, {Kind: validate.Short, Severity: validate.Fail},
	}}))
	require.Equal(t, validate.Capped, gravest(&validate.Report{Findings: []validate.Finding{{Kind: validate.Capped, Severity: validate.Warn}}}))
	require.Equal(t, validate.Unverified, gravest(&validate.Report{}))
}
