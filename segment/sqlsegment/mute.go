package sqlsegment

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// segmentguard_ledger holds the ledger's identity, in its one row; who changes the
// mutes locks it. segmentguard_mutes holds the mutes, in their order.

// Identity implements segment.Ledger. Migrate makes it.
func (l *Ledger) Identity(ctx context.Context) (name string, err error) {
	err = l.read(ctx, func(s Conn) error {
		return one(ctx, s, "SELECT identity FROM segmentguard_ledger", nil, &name)
	})
	return name, wrap("reading the ledger's identity", l.waited(ctx, nil, err))
}

// Mutes implements segment.Ledger.
func (l *Ledger) Mutes(ctx context.Context) (found []segment.Mute, err error) {
	err = l.read(ctx, func(s Conn) error {
		found, err = readMutes(ctx, s, l.dialect)
		return err
	})
	return found, wrap("reading the mutes", l.waited(ctx, nil, err))
}

func readMutes(ctx context.Context, s Conn, d ledgerDialect) (found []segment.Mute, err error) {
	query := "SELECT mute, segment, store, site_group, kind, until, by_whom FROM segmentguard_mutes ORDER BY place" + d.unlimited()
	err = each(ctx, s, query, nil, func(scan scanner) error {
		m, err := scanMute(scan)
		found = append(found, m)
		return err
	})
	return found, err
}

// scanMute reads a mute. Of one whose JSON cannot be read it knows what the columns
// say, and not why.
func scanMute(scan scanner) (m segment.Mute, err error) {
	var whole, key []byte
	var until instant
	var from segment.Mute
	if err := scan(&whole, &key, &from.Store, &from.SiteGroup, &from.Kind, &until, &from.By); err != nil {
		return m, err
	}
	if json.Unmarshal(whole, &m) == nil {
		return m, nil
	}
	from.Until, from.Why = until.Time, "not known: what was kept of the mute is damaged"
	if key != nil {
		from.Segment, err = segment.ParseID(string(key))
	}
	return from, err
}

// ChangeMutes implements segment.Ledger.
func (l *Ledger) ChangeMutes(ctx context.Context, change func([]segment.Mute) ([]segment.Mute, error)) error {
	var refused error // by the caller, who gets it as it is
	err := l.write(ctx, func(s Conn) error {
		if _, err := s.Exec(ctx, "UPDATE segmentguard_ledger SET identity = identity"); err != nil { // a lock
			return err
		}
		before, err := readMutes(ctx, s, l.dialect)
		if err != nil {
			return err
		}
		after, err := change(slices.Clone(before))
		if refused = err; err != nil || slices.Equal(before, after) {
			return err
		}
		return saveMutes(ctx, s, l.dialect, after)
	})
	if refused != nil {
		return refused
	}
	return wrap("changing the mutes", l.waited(ctx, nil, err))
}

// saveMutes writes all anew: there are few.
func saveMutes(ctx context.Context, s Conn, d ledgerDialect, mutes []segment.Mute) error {
	if _, err := s.Exec(ctx, "DELETE FROM segmentguard_mutes"); err != nil {
		return err
	}
	insert := d.bind("INSERT INTO segmentguard_mutes (place, segment, store, site_group, kind, until, by_whom, mute) VALUES (" + list("?", 8) + ")")
	for place, m := range mutes {
		whole, err := json.Marshal(m)
		if err != nil {
			return err
		}
		values := []any{place, nil, m.Store, m.SiteGroup, string(m.Kind), d.time(m.Until), m.By, string(whole)}
		if !m.Segment.IsZero() {
			if values[1], err = text(d, m.Segment); err != nil {
				return err
			}
		}
		err = cmp.Or(storableStore(d, "Mute.Store", m.Store), d.storable("Mute.SiteGroup", m.SiteGroup), d.storable("Mute.Kind", string(m.Kind)), d.storable("Mute.By", m.By))
		if err != nil {
			return err
		}
		if _, err := s.Exec(ctx, insert, values...); err != nil {
			return err
		}
	}
	return nil
}
