package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// sizesOf returns the sizes of a segment's baseline.
func sizesOf(t *testing.T, l segment.Recorder, id segment.ID) []validate.Size {
	t.Helper()
	s, err := l.State(t.Context(), id.In(""))
	require.NoError(t, err)
	return s.Sizes
}

// which selects sizes of some segments: those of a run, where it is named.
func which(run string, ids ...segment.ID) segment.Selection {
	s := segment.Selection{RunID: run}
	for _, id := range ids {
		s.Keys = append(s.Keys, id.In(""))
	}
	return s
}

// ann decides at a time.
func ann(at time.Time) segment.Decision {
	return segment.Decision{By: "ann", Why: "it is right", At: at}
}

func accepted(t *testing.T, l segment.Ledger, which segment.Selection, d segment.Decision) []segment.Affected {
	t.Helper()
	rerun, err := segment.Accept(t.Context(), l, which, d)
	require.NoError(t, err)
	return rerun
}
