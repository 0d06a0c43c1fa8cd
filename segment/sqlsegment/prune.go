package sqlsegment

import (
	"context"
	"time"
)

// pruned is how many rows are deleted at a time, so that nobody waits for long.
const pruned = 5000

// Prune deletes from the log the attempts before a time, and returns how many
// records that were. What is at hand of each segment stays, and so do alerts and
// what humans said; but a size of a run that is gone cannot be accepted any
// more, and an attempt at it is not compared with older ones.
func (h *Ledger) Prune(ctx context.Context, before time.Time) (total int64, err error) {
	query := "DELETE FROM segmentguard_attempts WHERE id IN (SELECT id FROM segmentguard_attempts WHERE at < ? LIMIT ?)"
	if h.dialect == MySQL { // which does not read from what it deletes from
		query = "DELETE FROM segmentguard_attempts WHERE at < ? LIMIT ?"
	}
	for {
		var n int64
		err := h.connected(ctx, func(s session) error {
			result, err := s.ExecContext(ctx, h.dialect.bind(query), h.dialect.time(before), pruned)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if total += n; err != nil || n < pruned {
			return total, wrap("pruning the log", err)
		}
	}
}
