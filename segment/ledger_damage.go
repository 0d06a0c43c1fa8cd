package segment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Damage says what a ledger holds and cannot read. It is an error.
type Damage struct {
	Table   string   `json:"table"`
	Row     string   `json:"row"` // its key, as it is there: the text of a segment's id, the number of an entry
	Columns []string `json:"columns"`
	What    string   `json:"what"` // is wrong
}

func (d *Damage) Error() string {
	return fmt.Sprintf("damaged: table %s, row %q, column %s: %s", d.Table, d.Row, strings.Join(d.Columns, " and "), d.What)
}

// intact returns an error where something of the segment cannot be read, so that
// what is changed of it would not be kept.
func (s *SegmentState) intact() error {
	if s.Damaged == nil { // no typed nil
		return nil
	}
	return s.Damaged
}

// Repair drops what cannot be read of a segment, and keeps the rest. From then on
// the segment is judged by what is left; where that is no size, by none. Repair
// returns an error if nothing of the segment is damaged.
func Repair(ctx context.Context, l Ledger, id ID, d Decision) error {
	err := d.Validate()
	if err == nil {
		err = l.Change(ctx, []ID{id}, func(s *SegmentState) error {
			if s.Damaged == nil {
				return errors.New("nothing of it is damaged")
			}
			s.Log = append(s.Log, LogEntry{Segment: id, At: d.At, Action: ActionRepaired, By: d.By, Why: d.Why + " (dropped what was " + s.Damaged.Error() + ")"})
			s.repair()
			return nil
		})
	}
	return wrap("segment: repairing "+id.String(), err)
}

// repair drops what cannot be read. What the alerter heard of is not known: it is
// to be told again.
func (s *SegmentState) repair() {
	if !s.hasAlert() {
		s.Alert.Claimed = time.Now()
	}
	s.Damaged = nil
}
