package sqlsegment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// chunk is how many rows a statement names: no database takes any number of
// arguments.
const chunk = 200

// A row is what segmentguard_segments holds of a segment.
type row struct {
	key   rowKey
	of    segment.Key
	state []byte // packed
	alert []byte // JSON of its AlertState; nil: none
	wrong error  // with the key; nil: nothing
}

// rowColumns are those of a row.
const rowColumns = keyColumns + ", state, alert"

// nothing is the state of a segment of which nothing is known.
var nothing = pack(&segment.SegmentState{})

func scanRow(scan scanner) (r row, err error) {
	var c struct{ store, key, state, alert []byte } // one for the garbage collector
	if err := scan(&c.store, &c.key, &c.state, &c.alert); err != nil {
		return r, err
	}
	r.key, r.state, r.alert = rowKey{string(c.store), string(c.key)}, c.state, c.alert
	r.of.Store = r.key.store
	r.of.Segment, r.wrong = segment.ParseID(r.key.segment)
	return r, nil
}

func newRow(s *segment.SegmentState) (r row, err error) {
	r = row{of: s.Key(), state: pack(s)}
	if !s.Alert.IsZero() {
		r.alert, err = json.Marshal(s.Alert)
	}
	return r, err
}

// unpack returns the state in the row, with what of it is damaged.
func (r *row) unpack() segment.SegmentState {
	if r.wrong != nil {
		return segment.SegmentState{Store: r.of.Store, Damaged: r.damage(r.wrong, "segment")}
	}
	s, wrong := unpack(r.of, r.state)
	if wrong != nil {
		s.Damaged = r.damage(wrong, "state")
	}
	if len(r.alert) == 0 {
		return s
	}
	var alert segment.AlertState // of its own, or each state would be one more for the garbage collector
	switch err := json.Unmarshal(r.alert, &alert); {
	case err == nil:
		s.Alert = alert
	case wrong == nil:
		s.Damaged = r.damage(err, "alert")
	default:
		s.Damaged = r.damage(fmt.Errorf("%w; %w", wrong, err), "state", "alert")
	}
	return s
}

func (r *row) damage(wrong error, columns ...string) *segment.Damage {
	return &segment.Damage{Table: "segmentguard_segments", Store: r.key.store, Row: r.key.segment, Columns: columns, What: wrong.Error()}
}

// damagedIn reports whether a column of a segment's row cannot be read.
func damagedIn(s *segment.SegmentState, column string) bool {
	return s.Damaged != nil && slices.Contains(s.Damaged.Columns, column)
}

func sameRows(a, b []row) bool {
	return slices.EqualFunc(a, b, func(a, b row) bool {
		return a.of == b.of && bytes.Equal(a.state, b.state) && bytes.Equal(a.alert, b.alert)
	})
}

// readState returns what is known of a segment.
func readState(ctx context.Context, s Conn, d ledgerDialect, key segment.Key) (segment.SegmentState, error) {
	rows, err := readRows(ctx, s, d, []segment.Key{key})
	if err != nil {
		return segment.SegmentState{}, err
	}
	return rows[0].unpack(), nil
}

// readRows returns the row of each segment, and of those that have none what
// lockRows would make.
func readRows(ctx context.Context, s Conn, d ledgerDialect, keys []segment.Key) ([]row, error) {
	return collectRows(d, keys, func(store string, texts []any, do func(scanner) error) error {
		query := "SELECT " + rowColumns + " FROM segmentguard_segments WHERE store = ? AND segment IN (" + list("?", len(texts)) + ")" + d.unlimited()
		return each(ctx, s, d.bind(query), append([]any{store}, texts...), do)
	}, func(key segment.Key) (row, error) { return row{of: key, state: nothing}, nil })
}

// lockRows locks the row of each segment, makes those that are not there, and
// returns what they hold. Whoever changes one of the segments waits until the
// transaction ends.
func lockRows(ctx context.Context, s Conn, d ledgerDialect, keys []segment.Key) ([]row, error) {
	return collectRows(d, keys, func(store string, texts []any, do func(scanner) error) error {
		return d.lock(ctx, s, store, texts, nothing, do)
	}, func(key segment.Key) (row, error) { return row{}, fmt.Errorf("the row of %s could not be locked", key) })
}

// collectRows returns a row for each of keys, which are in order.
func collectRows(d ledgerDialect, keys []segment.Key, query func(store string, texts []any, do func(scanner) error) error, missing func(segment.Key) (row, error)) ([]row, error) {
	rows := make([]row, 0, len(keys))
	err := chunks(d, keys, func(store string, keys []segment.Key, texts []any) error {
		found := make(map[segment.Key]row, len(keys))
		err := query(store, texts, func(scan scanner) error {
			r, err := scanRow(scan)
			found[r.of] = r
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			r, ok := found[key]
			if !ok {
				if r, err = missing(key); err != nil {
					return err
				}
			}
			rows = append(rows, r)
		}
		return nil
	})
	return rows, err
}

// A changedRow is a row whose state was changed, or whose log was.
type changedRow struct {
	row
	state     segment.SegmentState
	submitted bool // before
}

// changeRows calls change with the state of each row, and returns those in which
// it changed something.
func changeRows(rows []row, change func(*segment.SegmentState) error) (changed []changedRow, err error) {
	for i := range rows {
		c := changedRow{state: rows[i].unpack()}
		c.submitted = c.state.Submitted != nil
		if err := change(&c.state); err != nil {
			return nil, err
		}
		c.state.Segment, c.state.Store = rows[i].of.Segment, rows[i].of.Store
		if c.row, err = newRow(&c.state); err != nil {
			return nil, err
		}
		if damagedIn(&c.state, "state") { // it stays as it is
			c.row.state = append([]byte{}, rows[i].state...) // no NULL
		}
		if damagedIn(&c.state, "alert") {
			c.alert = rows[i].alert
		}
		if len(c.state.Log) > 0 || !sameRows(rows[i:i+1], []row{c.row}) {
			changed = append(changed, c)
		}
	}
	return changed, nil
}

// saveRows writes the rows that were changed, and drops those that hold nothing,
// also where the lock made them.
func saveRows(ctx context.Context, s Conn, d ledgerDialect, locked []row, changed []changedRow) error {
	var keep []changedRow
	var log []segment.LogEntry
	drop := map[segment.Key]bool{}
	for _, r := range locked {
		drop[r.of] = r.alert == nil && bytes.Equal(r.state, nothing)
	}
	for _, c := range changed {
		log = append(log, c.state.Log...)
		if damagedIn(&c.state, "alert") { // the columns of which say more than we know
			if err := overwriteState(ctx, s, d, &c); err != nil {
				return err
			}
			continue
		}
		if drop[c.of] = c.state.IsZero(); !c.state.IsZero() {
			keep = append(keep, c)
		}
	}
	if err := overwriteRows(ctx, s, d, keep); err != nil {
		return err
	}
	if err := overwriteSubmitted(ctx, s, d, changed); err != nil {
		return err
	}
	var gone []segment.Key
	for _, r := range locked {
		if drop[r.of] {
			gone = append(gone, r.of)
		}
	}
	if err := deleteRows(ctx, s, d, gone); err != nil {
		return err
	}
	return addToLog(ctx, s, d, log)
}

// savedColumns are all columns of segmentguard_segments but its key and submitted_until.
var savedColumns = slices.Concat([]string{"state"}, sizeColumns, alertColumns)

// overwriteRows writes rows that are there already, as they were locked.
func overwriteRows(ctx context.Context, s Conn, d ledgerDialect, rows []changedRow) error {
	for rows := range slices.Chunk(rows, chunk) {
		args := make([]any, 0, (2+len(savedColumns))*len(rows))
		for i := range rows {
			values, err := rows[i].values(d)
			if err != nil {
				return err
			}
			args = append(args, values...)
		}
		insert := "INSERT INTO segmentguard_segments (" + keyColumns + ", " + strings.Join(savedColumns, ", ") + ") VALUES " +
			list("("+list("?", 2+len(savedColumns))+")", len(rows)) + d.overwrite(keyColumns, savedColumns)
		if _, err := s.Exec(ctx, d.bind(insert), args...); err != nil {
			return err
		}
	}
	return nil
}

// overwriteState writes the state of a row, and nothing of its alert.
func overwriteState(ctx context.Context, s Conn, d ledgerDialect, c *changedRow) error {
	key, err := keyValues(d, c.of)
	if err == nil {
		update := "UPDATE segmentguard_segments SET state = ?, " + strings.Join(sizeColumns, " = ?, ") + " = ? WHERE store = ? AND segment = ?"
		_, err = s.Exec(ctx, d.bind(update), slices.Concat([]any{c.row.state}, sizeValues(d, &c.state), key)...)
	}
	return err
}

// overwriteSubmitted writes until when the stores of submitted runs are to answer, where
// there is such a run, or was. It stands apart from savedColumns, which no state in a
// schema of before version 11 needs more than.
func overwriteSubmitted(ctx context.Context, s Conn, d ledgerDialect, changed []changedRow) error {
	for i := range changed {
		c := &changed[i]
		if !c.submitted && c.state.Submitted == nil {
			continue
		}
		key, err := keyValues(d, c.of)
		if err != nil {
			return err
		}
		var until any
		if c.state.Submitted != nil {
			until = d.time(c.state.Submitted.Until)
		}
		if _, err := s.Exec(ctx, d.bind("UPDATE segmentguard_segments SET submitted_until = ? WHERE store = ? AND segment = ?"), append([]any{until}, key...)...); err != nil {
			return err
		}
	}
	return nil
}

// values returns keyColumns and savedColumns.
func (r *changedRow) values(d ledgerDialect) ([]any, error) {
	key, err := keyValues(d, r.of)
	if err != nil {
		return nil, err
	}
	alert, err := alertValues(d, &r.state, r.alert)
	return slices.Concat(key, []any{r.row.state}, sizeValues(d, &r.state), alert), err
}

// deleteRows deletes the rows of some segments.
func deleteRows(ctx context.Context, s Conn, d ledgerDialect, keys []segment.Key) error {
	return chunks(d, keys, func(store string, _ []segment.Key, texts []any) error {
		statement := "DELETE FROM segmentguard_segments WHERE store = ? AND segment IN (" + list("?", len(texts)) + ")"
		_, err := s.Exec(ctx, d.bind(statement), append([]any{store}, texts...)...)
		return err
	})
}

// lockByInsert locks rows by writing them: ledgerDialect.lock, where an INSERT
// gives back what is there.
func lockByInsert(ctx context.Context, s Conn, d ledgerDialect, store string, texts []any, fresh []byte, do func(scanner) error) error {
	args := make([]any, 0, 3*len(texts))
	for _, text := range texts {
		args = append(args, store, text, fresh)
	}
	insert := "INSERT INTO segmentguard_segments (" + keyColumns + ", state) VALUES " + list("(?, ?, ?)", len(texts)) +
		" ON CONFLICT (" + keyColumns + ") DO UPDATE SET segment = excluded.segment RETURNING " + rowColumns
	return each(ctx, s, d.bind(insert), args, do)
}

// onConflict makes ledgerDialect.overwrite where a conflict names its key.
func onConflict(key string, columns []string) string {
	updates := make([]string, len(columns))
	for i, c := range columns {
		updates[i] = c + " = excluded." + c
	}
	return " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(updates, ", ")
}
