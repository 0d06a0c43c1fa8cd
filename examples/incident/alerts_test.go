package main

import (
	"context"
	"encoding/json"
	"iter"
	"path/filepath"
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
		return seenTable{alertTable{db, new(int)}}
	})
}

// A seenTable shows the suite what is open.
type seenTable struct{ alertTable }

func (t seenTable) Open(ctx context.Context, siteGroup string) iter.Seq2[segment.Alert, error] {
	return func(yield func(segment.Alert, error) bool) {
		texts, err := collect(t.db.QueryContext(ctx, "SELECT alert FROM alerts"))
		if err != nil {
			yield(segment.Alert{}, err)
			return
		}
		for _, text := range texts {
			var a segment.Alert
			err := json.Unmarshal([]byte(text), &a)
			if (siteGroup == "" || a.Segment.SiteGroup == siteGroup) && !yield(a, err) {
				return
			}
		}
	}
}
