package sqlsegment

import (
	"context"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// chunk is how many rows a statement names: no database takes any number of
// arguments.
const chunk = 200

// lock makes everybody else who changes these segments wait, and returns what is
// at hand of them. It is the first statement of its transaction, and it always
// writes: on SQLite a transaction that begins with a write never fails for having
// read too early.
func lock(ctx context.Context, s session, d Dialect, ids []segment.ID) (map[segment.ID]*segment.SegmentState, error) {
	found := make(map[segment.ID]*segment.SegmentState, len(ids))
	err := lockRows(ctx, s, d, "segmentguard_segments", "packed", pack(&segment.SegmentState{}), ids, func(id segment.ID, packed []byte) error {
		t, err := unpack(id, packed)
		found[id] = &t
		return err
	})
	return found, err
}

// save writes back what was locked.
func save(ctx context.Context, s session, d Dialect, tracked map[segment.ID]*segment.SegmentState) error {
	rows := make([]row, 0, len(tracked))
	for id, t := range tracked {
		rows = append(rows, row{id, pack(t)})
	}
	return saveRows(ctx, s, d, "segmentguard_segments", "packed", rows)
}

// Sizes are read from what is at hand.
func sizes(ctx context.Context, s session, d Dialect, id segment.ID, n int) ([]validate.Size, error) {
	if n <= 0 {
		return nil, nil
	}
	key, err := text(d, id)
	if err != nil {
		return nil, err
	}
	var found segment.SegmentState
	err = each(ctx, s, d.bind("SELECT segment, packed FROM segmentguard_segments WHERE segment = ?"), []any{key}, func(scan scanner) error {
		found, err = scanTracked(scan)
		return err
	})
	return found.Sizes[max(0, len(found.Sizes)-n):], err
}

func scanTracked(scan scanner) (segment.SegmentState, error) {
	var key, packed []byte
	if err := scan(&key, &packed); err != nil {
		return segment.SegmentState{}, err
	}
	id, err := segment.ParseID(string(key))
	if err != nil {
		return segment.SegmentState{}, err
	}
	return unpack(id, packed)
}

// inOrder sorts ids, so that two transactions never wait for each other, and
// drops those that are there twice.
func inOrder(ids []segment.ID) []segment.ID {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, segment.ID.Compare)
	return slices.Compact(sorted)
}
