package fleettest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

// TestFill: there is something of everything that pages show.
func TestFill(t *testing.T) {
	ledger := segment.NewMemory()
	fleet, err := fleettest.Fill(t.Context(), ledger)
	require.NoError(t, err)
	require.True(t, fleet.Sweep.Complete)
	require.Positive(t, fleet.Sweep.Healthy)
	protected, live := 0, 0
	for s, err := range ledger.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		if a := s.Alert.Open; a.Protected() {
			protected++
		} else {
			live++
		}
	}
	require.Positive(t, protected)
	require.Positive(t, live)
	incidents := 0
	for _, err := range ledger.Incidents(t.Context(), segment.IncidentFilter{Open: true}) {
		require.NoError(t, err)
		incidents++
	}
	require.Positive(t, incidents)
	t.Log(protected, live, incidents, fleet.Sweep.Healthy)
}
