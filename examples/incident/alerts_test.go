package main

import (
	"context"
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

func (t seenTable) Firing(ctx context.Context) (ids []segment.ID, err error) {
	texts, err := collect(t.db.QueryContext(ctx, "SELECT segment FROM alerts"))
	for _, text := range texts {
		id, problem := segment.ParseID(text)
		if problem != nil {
			return nil, problem
		}
		ids = append(ids, id)
	}
	return ids, err
}
