package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// An alertTable is an Alerter that keeps open alerts in a table, a row each.
type alertTable struct {
	db   *sql.DB
	hour *int
}

// Tell deletes the alerts that are over, and then inserts those that fire.
func (t alertTable) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	var statements []statement
	for i := range resolved {
		statements = append(statements, resolving(&resolved[i]))
	}
	for _, a := range firing {
		if a.Told.IsZero() {
			a.Told = time.Now()
		}
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		statements = append(statements, statement{`INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET alert = excluded.alert`, append(keyOf(&a), *t.hour, string(text))})
	}
	return transact(ctx, t.db, statements)
}

// resolving returns what deletes an alert, or those of its segment where it has no kind.
func resolving(a *segment.Alert) statement {
	if a.Kind == "" && a.About == nil {
		return statement{"DELETE FROM alerts WHERE segment = ? AND ledger = ?", []any{a.Segment.String(), a.Ledger}}
	}
	return statement{`DELETE FROM alerts WHERE segment = ? AND store = ? AND severity = ? AND kind = ? AND level = ?
		AND job_kind = ? AND build = ? AND incident = ? AND ring = ? AND ledger = ?`, keyOf(a)}
}

// keyOf returns what tells an alert from all others, as the table's key has it.
func keyOf(a *segment.Alert) []any {
	kind := a.Kind
	if a.About != nil {
		kind = "" // each of an incident's members has its own
	}
	return []any{
		a.Segment.String(), a.Store, string(a.Urgency), string(kind), string(a.Level),
		string(a.Job.Kind), a.Build, a.Incident, a.Ring, a.Ledger,
	}
}
