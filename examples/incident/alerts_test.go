package main

import (
	"context"
	"iter"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
)

func TestAlertTable(t *testing.T) {
	ledgertest.TestAlerter(t, func(t *testing.T) segment.Alerter {
		db, err := open(t.Context(), filepath.Join(t.TempDir(), "alerts.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return &seenTable{alertTable: alertTable{db, new(int)}}
	})
}

// A seenTable shows the suite what is open: the alerts as they were fired, which
// the table does not keep, of the segments that are in the table.
type seenTable struct {
	alertTable

	fired sync.Map // by the text of the segment
}

func (t *seenTable) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	for _, a := range firing {
		t.fired.Store(a.Segment.String(), a)
	}
	return t.alertTable.Tell(ctx, firing, resolved)
}

func (t *seenTable) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		texts, err := collect(t.db.QueryContext(ctx, "SELECT segment FROM alerts"))
		if err != nil {
			yield(segment.Alert{}, err)
			return
		}
		for _, text := range texts {
			fired, _ := t.fired.Load(text)
			a, _ := fired.(segment.Alert) // what is in the table was fired
			if (siteGroup == "" || a.Segment.SiteGroup == siteGroup) && !yield(a, nil) {
				return
			}
		}
	}
}
