package main

import (
	"context"
	"database/sql"

	"github.com/segmentguard/segmentguard/segment"
)

// An alertTable is an Alerter that keeps one open alert a segment.
type alertTable struct {
	db   *sql.DB
	hour *int
}

// Fire opens the segment's alert, or says its last word anew.
func (t alertTable) Fire(ctx context.Context, a segment.Alert) error {
	_, err := t.db.ExecContext(ctx, `INSERT INTO alerts VALUES (?, ?, ?)
		ON CONFLICT (segment) DO UPDATE SET text = excluded.text`, a.Segment.String(), *t.hour, a.Text)
	return err
}

// Resolve closes it.
func (t alertTable) Resolve(ctx context.Context, id segment.ID) error {
	_, err := t.db.ExecContext(ctx, "DELETE FROM alerts WHERE segment = ?", id.String())
	return err
}
