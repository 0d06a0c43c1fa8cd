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

// TestDecisionAboutNobody: a misspelled site group, a run that nobody recorded, or a span
// of no time must not read as done.
func TestDecisionAboutNobody(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("cars"), 1000, 1000)
	_, accept := segment.Accept(t.Context(), f.ledger, segment.Selection{SiteGroup: "site-q"}, ann(f.now))
	_, run := segment.Accept(t.Context(), f.ledger, segment.Selection{SiteGroup: "site-a", RunID: "tonihgt"}, ann(f.now))
	_, span := segment.Suspect(t.Context(), f.ledger, segment.Selection{SiteGroup: "site-a", From: f.now, Until: f.now}, ann(f.now))
	_, within := segment.AcceptWithin(t.Context(), f.ledger, segment.Selection{SiteGroup: "site-q"},
		validate.Excuse{LowShare: 0.4, HighShare: 0.6, From: f.now, Until: f.now.Add(time.Hour)}, ann(f.now))
	forget := segment.Forget(t.Context(), f.ledger, segment.Selection{SiteGroup: "site-q"}, ann(f.now))
	for _, err := range []error{accept, within, forget} {
		require.ErrorContains(t, err, `Selection.SiteGroup is site-q`)
	}
	require.ErrorContains(t, run, `no record of run "tonihgt" in site group site-a`)
	require.ErrorContains(t, span, "Selection.Until")
}
