package sqlsegment

import (
	"context"
	"fmt"
	"strconv"

	"github.com/segmentguard/segmentguard/segment"
)

// Drop deletes a row that cannot be read, as Segments and Log report it: an entry of
// the log, or a segment whose very id is damaged. What can be read of a segment with
// an id stays: see segment.Repair. Drop returns an error if the row is not there, or
// can be read by now. The log says who dropped it, and why.
func (l *Ledger) Drop(ctx context.Context, damage segment.Damage, d segment.Decision) error {
	err := d.Validate()
	if err == nil {
		err = l.write(ctx, func(s Conn) error { return drop(ctx, s, l.dialect, &damage, d) })
	}
	return wrap("dropping a damaged row", err)
}

func drop(ctx context.Context, s Conn, d ledgerDialect, damage *segment.Damage, decision segment.Decision) error {
	entry := segment.LogEntry{At: decision.At, Action: segment.ActionRepaired, By: decision.By, Why: decision.Why + " (dropped what was " + damage.Error() + ")"}
	var query, statement string
	var found *segment.Damage
	read := func(scan scanner) error {
		r, err := scanRow(scan)
		if err == nil && r.wrong != nil {
			found = r.damage(r.wrong, "segment")
		}
		return err
	}
	var key []any
	switch damage.Table {
	case "segmentguard_segments":
		key = []any{damage.Store, damage.Row}
		query = "SELECT " + rowColumns + " FROM segmentguard_segments WHERE store = ? AND segment = ?"
		statement = "DELETE FROM segmentguard_segments WHERE store = ? AND segment = ?"
	case "segmentguard_log":
		id, err := strconv.ParseInt(damage.Row, 10, 64)
		if err != nil {
			return badInput("Damage.Row", damage.Row, "the number of an entry")
		}
		key = []any{id}
		query = "SELECT id, " + logColumns + " FROM segmentguard_log WHERE id = ?"
		statement = "DELETE FROM segmentguard_log WHERE id = ?"
		read = func(scan scanner) error {
			e, err := scanEntry(scan)
			found, entry.Segment, entry.Store, entry.RunID = e.Damaged, e.Segment, e.Store, e.RunID
			return err
		}
	default:
		return badInput("Damage.Table", damage.Table, `"segmentguard_segments" or "segmentguard_log"`)
	}
	if err := each(ctx, s, d.bind(query), key, read); err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("row %q of %s is not there, or can be read", damage.Row, damage.Table)
	}
	if _, err := s.Exec(ctx, d.bind(statement), key...); err != nil {
		return err
	}
	return addToLog(ctx, s, d, []segment.LogEntry{entry})
}
