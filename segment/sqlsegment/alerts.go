package sqlsegment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// Alerts implements segment.Ledger.
func (h *Ledger) Alerts(ctx context.Context) iter.Seq2[segment.AlertState, error] {
	return pages(ctx, h, "reading the alerts", []any{""}, func(s *segment.AlertState) []any { return []any{s.Segment.String()} },
		"SELECT segment, state FROM segmentguard_alerts WHERE segment > ? ORDER BY segment LIMIT ?", nil,
		func(scan scanner) (segment.AlertState, error) {
			id, state, err := scanRow(scan)
			if err != nil {
				return segment.AlertState{}, err
			}
			return alertState(id, state)
		})
}

func alertState(id segment.ID, state []byte) (segment.AlertState, error) {
	s := segment.AlertState{Segment: id}
	if len(state) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(state, &s); err != nil {
		return s, fmt.Errorf("alert of %s: %w", id, err)
	}
	return s, nil
}

// ChangeAlerts implements segment.Ledger. Where nothing changes, as after most
// jobs, nothing is locked or written.
func (h *Ledger) ChangeAlerts(ctx context.Context, ids []segment.ID, change func(*segment.AlertState)) error {
	if len(ids) == 0 {
		return nil
	}
	same := true
	err := h.connected(ctx, func(s session) (err error) {
		same, err = unchanged(ctx, s, h.dialect, ids, change)
		return err
	})
	if err == nil && !same {
		err = h.transact(ctx, func(s session) error { return changeAlerts(ctx, s, h.dialect, ids, change) })
	}
	return wrap("changing alerts", err)
}

// unchanged reports whether a change would leave everything as it is.
func unchanged(ctx context.Context, s session, d Dialect, ids []segment.ID, change func(*segment.AlertState)) (bool, error) {
	states := map[segment.ID][]byte{}
	for ids := range slices.Chunk(inOrder(ids), chunk) {
		keys, err := texts(d, ids)
		if err != nil {
			return false, err
		}
		query := "SELECT segment, state FROM segmentguard_alerts WHERE segment IN (" + list("?", len(ids)) + ")" + d.unlimited()
		err = each(ctx, s, d.bind(query), keys, func(scan scanner) error {
			id, state, err := scanRow(scan)
			states[id] = state
			return err
		})
		if err != nil {
			return false, err
		}
	}
	for _, id := range ids {
		_, same, err := changed(id, states[id], change)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// changed is a state after a change, nil if there is nothing to keep.
func changed(id segment.ID, before []byte, change func(*segment.AlertState)) (after []byte, same bool, err error) {
	s, err := alertState(id, before)
	if err != nil {
		return nil, false, err
	}
	change(&s)
	if !s.IsZero() {
		if after, err = json.Marshal(s); err != nil {
			return nil, false, err
		}
	}
	return after, bytes.Equal(before, after), nil
}

func changeAlerts(ctx context.Context, s session, d Dialect, ids []segment.ID, change func(*segment.AlertState)) error {
	var keep []row
	var drop []segment.ID
	err := lockRows(ctx, s, d, "segmentguard_alerts", "state", []byte{}, ids, func(id segment.ID, before []byte) error {
		after, same, err := changed(id, before, change)
		switch {
		case err != nil:
			return err
		case after == nil:
			drop = append(drop, id)
		case !same:
			keep = append(keep, row{id, after})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := saveRows(ctx, s, d, "segmentguard_alerts", "state", keep); err != nil {
		return err
	}
	return dropRows(ctx, s, d, "segmentguard_alerts", drop)
}
