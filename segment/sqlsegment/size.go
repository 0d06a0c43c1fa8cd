package sqlsegment

import (
	"context"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// sizeColumns are the columns of segmentguard_segments in which the last size stands
// that later ones are judged by, what is live, and the last run: what is packed no query
// can read.
var sizeColumns = []string{"size_users", "size_read", "size_at", "live_users", "last_run", "last_state", "last_at"}

// sizeValues returns sizeColumns, NULL for what is not known.
func sizeValues(d ledgerDialect, s *segment.SegmentState) []any {
	values := make([]any, len(sizeColumns))
	if n := len(s.Sizes); n > 0 {
		last := &s.Sizes[n-1]
		values[0], values[1], values[2] = last.Users, last.Read, unlessZero(d, last.At)
	}
	if s.Live != nil {
		values[3] = s.Live.Users
	}
	if s.Last.State != "" {
		values[4], values[5], values[6] = s.Last.RunID, string(s.Last.State), unlessZero(d, s.Last.At)
	}
	return values
}

// moveSizes fills sizeColumns from the states that are packed.
func moveSizes(ctx context.Context, s Conn, d ledgerDialect, _ catalog) error {
	columns := keyColumns + ", state, " + strings.Join(sizeColumns, ", ")
	for from := (rowKey{}); ; {
		after, args := from.after(d, nil)
		var rows []row
		query := "SELECT " + rowColumns + " FROM segmentguard_segments WHERE " + after + " ORDER BY " + keyColumns + " LIMIT ?"
		err := each(ctx, s, d.bind(query), append(args, chunk), func(scan scanner) error {
			r, err := scanRow(scan)
			rows = append(rows, r)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		from = rows[len(rows)-1].key
		values := make([]any, 0, len(rows)*(3+len(sizeColumns)))
		for i := range rows {
			state := rows[i].unpack()
			values = append(values, rows[i].key.store, rows[i].key.segment, rows[i].state)
			values = append(values, sizeValues(d, &state)...)
		}
		insert := "INSERT INTO segmentguard_segments (" + columns + ") VALUES " + list("("+list("?", 3+len(sizeColumns))+")", len(rows)) + d.overwrite(keyColumns, sizeColumns)
		if _, err := s.Exec(ctx, d.bind(insert), values...); err != nil {
			return err
		}
	}
}
