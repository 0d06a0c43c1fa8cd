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

// Tell closes the alerts that are over, and then opens those that fire, as another
// fault of a segment takes the place of the one before.
func (t alertTable) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	var statements []statement
	for _, a := range resolved {
		statements = append(statements, statement{"DELETE FROM alerts WHERE segment = ?", []any{a.Segment.String()}})
	}
	for _, a := range firing {
		statements = append(statements, statement{`INSERT INTO alerts VALUES (?, ?, ?)
			ON CONFLICT (segment) DO UPDATE SET text = excluded.text`, []any{a.Segment.String(), *t.hour, a.Text}})
	}
	return transact(ctx, t.db, statements)
}
