package segment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Damage says what a ledger holds and cannot read. It is an error.
type Damage struct {
	Table   string   `json:"table"`
	Row     string   `json:"row"`             // its key, as it is there: the text of a segment's id, the number of an entry
	Store   string   `json:"store,omitempty"` // of the segment
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

// unreadable returns an error where a column of the segment cannot be read.
func (s *SegmentState) unreadable(column string) error {
	if s.Damaged == nil || !slices.Contains(s.Damaged.Columns, column) {
		return nil
	}
	return s.Damaged
}

// Repair drops what cannot be read of a segment, and keeps the rest. From then on
// the segment is judged by what is left; where that is no size, by none. Of a commit
// row that cannot be read nothing is left: what is live is not known, then, until a
// sweep has seen the store. Repair returns an error if nothing of the segment is
// damaged.
func Repair(ctx context.Context, l Ledger, key Key, d Decision) error {
	if err := d.Validate(); err != nil {
		return wrap("segment: repairing "+key.String(), err)
	}
	var row *Damage
	var number int64
	// A transaction may hold the row for ever, which keeps nobody from repairing the rest.
	unseen := within(ctx, time.Second, func(ctx context.Context) error {
		return l.Lock(ctx, key, func(c *CommitRow) error { row = c.Damaged; return nil })
	})
	err := l.Change(ctx, []Key{key}, func(s *SegmentState) error {
		if number = s.Number; s.Damaged == nil && row == nil {
			return join(errors.New("nothing of it is damaged"), wrap("or in its commit row, which cannot be read now", unseen))
		}
		for _, damage := range []*Damage{s.Damaged, row} {
			if damage != nil {
				s.Log = append(s.Log, LogEntry{Segment: key.Segment, Store: key.Store, At: d.At, Action: ActionRepaired, By: d.By, Why: d.Why + " (dropped what was " + damage.Error() + ")"})
			}
		}
		if row != nil {
			s.Live = nil
		}
		s.repair()
		return nil
	})
	if err == nil && row != nil {
		err = l.Lock(ctx, key, func(c *CommitRow) error {
			if c.Damaged != nil {
				c.repair(number)
			}
			return nil
		})
	}
	return wrap("segment: repairing "+key.String(), err)
}

// repair drops what cannot be read. What the alerter heard of is not known: that
// all alerts of the segment are over is to be told, and then what is wrong.
func (s *SegmentState) repair() {
	if !s.hasAlert() {
		s.Alert.Trying = []Mark{{}}
	}
	s.Damaged = nil
}
