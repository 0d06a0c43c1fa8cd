package sqlsegment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var _ segment.Ledger = (*Ledger)(nil)

// Accept implements segment.Ledger. The acceptance is kept in a table, too.
func (h *Ledger) Accept(ctx context.Context, id segment.ID, a segment.Acceptance) error {
	err := a.Validate()
	if err == nil {
		err = h.say(ctx, id, word{"accepted", a.RunID, a.By, a.Why, a.At}, func(t *segment.SegmentState, r segment.Record) error { return t.Accept(r, a) })
	}
	return wrap("accepting a size of "+id.String(), err)
}

// Suspect implements segment.Ledger. The suspicion is kept in a table, too.
func (h *Ledger) Suspect(ctx context.Context, id segment.ID, s segment.Suspicion) error {
	err := s.Validate()
	if err == nil {
		err = h.say(ctx, id, word{"suspected", s.RunID, s.By, s.Why, s.At}, func(t *segment.SegmentState, r segment.Record) error {
			t.Suspect(r)
			return nil
		})
	}
	return wrap("suspecting a size of "+id.String(), err)
}

// Import implements segment.Ledger.
func (h *Ledger) Import(ctx context.Context, sizes []segment.SizeImport) error {
	ids := make([]segment.ID, len(sizes))
	kept := make([][]validate.Size, len(sizes)) // a size is known by its time as that is kept
	for i, s := range sizes {
		if err := s.Validate(); err != nil {
			return wrap("importing sizes", err)
		}
		for _, size := range s.Sizes {
			if err := h.dialect.storable("Imported.Sizes.Counter", size.Counter); err != nil {
				return wrap("importing sizes", err)
			}
			size.At = time.UnixMicro(size.At.UnixMicro())
			kept[i] = append(kept[i], size)
		}
		ids[i] = s.Segment
	}
	if len(ids) == 0 {
		return nil
	}
	return wrap("importing sizes", h.transact(ctx, func(s session) error {
		tracked, err := lock(ctx, s, h.dialect, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			tracked[id].Import(kept[i])
		}
		return save(ctx, s, h.dialect, tracked)
	}))
}

// Forget implements segment.Ledger.
func (h *Ledger) Forget(ctx context.Context, ids ...segment.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return wrap("forgetting segments", h.transact(ctx, func(s session) error {
		if _, err := lock(ctx, s, h.dialect, ids); err != nil {
			return err
		}
		if err := dropRows(ctx, s, h.dialect, "segmentguard_segments", ids); err != nil {
			return err
		}
		return changeAlerts(ctx, s, h.dialect, ids, closed)
	}))
}

// closed is a change of an alert: nothing is wrong any more.
func closed(s *segment.AlertState) { s.Open = nil }

// A word is what somebody said of a size.
type word struct {
	word, run, by, why string
	at                 time.Time
}

// say keeps a word on the size of a run's last attempt, and what follows from it.
func (h *Ledger) say(ctx context.Context, id segment.ID, w word, change func(*segment.SegmentState, segment.Record) error) error {
	d := h.dialect
	key, err := text(d, id)
	if err != nil {
		return err
	}
	for field, text := range map[string]string{"By": w.by, "Why": w.why} {
		if err := d.storable(field, text); err != nil {
			return err
		}
	}
	return h.transact(ctx, func(s session) error {
		tracked, err := lock(ctx, s, d, []segment.ID{id})
		if err != nil {
			return err
		}
		r, err := last(ctx, s, d, key, w.run)
		if err != nil {
			return err
		}
		if err := change(tracked[id], r); err != nil {
			return err
		}
		if err := save(ctx, s, d, tracked); err != nil {
			return err
		}
		const keep = "INSERT INTO segmentguard_words (segment, run, word, by_whom, why, at) VALUES (?, ?, ?, ?, ?, ?)"
		if _, err := s.ExecContext(ctx, d.bind(keep), key, w.run, w.word, w.by, w.why, d.time(w.at)); err != nil {
			return err
		}
		if w.word != "accepted" {
			return nil
		}
		return changeAlerts(ctx, s, d, []segment.ID{id}, closed)
	})
}

// columns are those of a record.
const columns = "segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report"

// last is the last attempt of a run.
func last(ctx context.Context, s session, d Dialect, key, run string) (found segment.Record, err error) {
	query := "SELECT " + columns + " FROM segmentguard_attempts WHERE segment = ? AND run = ? ORDER BY attempt DESC, id DESC LIMIT 1"
	none := true
	err = each(ctx, s, d.bind(d.locked(query)), []any{key, run}, func(scan scanner) (err error) {
		none = false
		found, err = scanRecord(scan)
		return err
	})
	if err == nil && none {
		err = fmt.Errorf("no record of run %q", run)
	}
	return found, err
}

func scanRecord(scan scanner) (r segment.Record, err error) {
	var key, report []byte
	var at instant
	if err := scan(&key, &r.RunID, &r.Attempt, &r.State, &r.JobID, &r.JobKind, &r.Build, &r.Users, &r.Read, &r.Counter, &at, &report); err != nil {
		return r, err
	}
	r.At = at.Time
	if r.Segment, err = segment.ParseID(string(key)); err != nil {
		return r, err
	}
	if err := json.Unmarshal(report, &r.Report); err != nil {
		return r, fmt.Errorf("report of attempt %d of run %s of %s: %w", r.Attempt, r.RunID, r.Segment, err)
	}
	return r, nil
}

// pageSize is how many rows are read at a time. Whoever takes them holds no
// statement open, so that the ledger can be written to while it is read: on one
// connection, too, nobody waits for longer than the page after takes.
const pageSize = 1000

// Segments implements segment.Ledger. What is packed is unpacked while the next
// page is read: the one takes as long as the other.
func (h *Ledger) Segments(ctx context.Context) iter.Seq2[segment.SegmentState, error] {
	const doing = "reading the segments"
	packed := pages(ctx, h, doing, []any{""}, func(r *row) []any { return []any{r.segment.String()} },
		"SELECT segment, packed FROM segmentguard_segments WHERE segment > ? ORDER BY segment LIMIT ?", nil,
		func(scan scanner) (r row, err error) {
			r.segment, r.value, err = scanRow(scan)
			return r, err
		})
	return func(yield func(segment.SegmentState, error) bool) {
		for r, err := range packed {
			var t segment.SegmentState
			if err == nil {
				t, err = unpack(r.segment, r.value)
				err = wrap(doing, err)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Attempts implements segment.Ledger.
func (h *Ledger) Attempts(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.Record, error] {
	where, args := []string{"segment >= ? AND (segment, run, attempt) > (?, ?, ?)"}, []any(nil) // of three columns at once MySQL makes no use of an index
	filter := func(on bool, condition string, arg any) {
		if on {
			where, args = append(where, condition), append(args, arg)
		}
	}
	filter(f.Build != "", "build = ?", f.Build)
	filter(f.JobKind != "", "kind = ?", string(f.JobKind))
	filter(!f.Since.IsZero(), "at >= ?", h.dialect.time(f.Since))
	filter(!f.Until.IsZero(), "at < ?", h.dialect.time(f.Until))
	query := "SELECT " + columns + " FROM segmentguard_attempts a WHERE " + strings.Join(where, " AND ") +
		" AND id = (SELECT max(id) FROM segmentguard_attempts b WHERE b.segment = a.segment AND b.run = a.run AND b.attempt = a.attempt)" +
		" ORDER BY segment, run, attempt LIMIT ?"
	return pages(ctx, h, "reading attempts", []any{"", "", "", -1}, func(r *segment.Record) []any {
		id := r.Segment.String()
		return []any{id, id, r.RunID, r.Attempt}
	}, query, args, scanRecord)
}

// pages reads a table in its order, a page at a time. The query takes the place
// to go on from, further arguments, and how many rows to read.
func pages[T any](ctx context.Context, h *Ledger, doing string, from []any, place func(*T) []any, query string, args []any, scan func(scanner) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		read := func(ctx context.Context, at []any) (page []T, err error) {
			err = h.connected(ctx, func(s session) error {
				return each(ctx, s, h.dialect.bind(query), slices.Concat(at, args, []any{pageSize}), func(row scanner) error {
					item, err := scan(row)
					page = append(page, item)
					return err
				})
			})
			return page, wrap(doing, err)
		}
		for page, err := range ahead(ctx, from, read, place) {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
		}
	}
}

// ahead yields pages, the last one of them not full, and reads the next one
// meanwhile.
func ahead[T any](ctx context.Context, from []any, read func(context.Context, []any) ([]T, error), place func(*T) []any) iter.Seq2[[]T, error] {
	type result struct {
		page []T
		err  error
	}
	return func(yield func([]T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results, gone := make(chan result), make(chan struct{})
		var reading sync.WaitGroup
		defer reading.Wait()
		defer cancel()
		defer close(gone)
		reading.Go(func() {
			defer close(results)
			for at, more := from, true; more; {
				page, err := read(ctx, at)
				if more = err == nil && len(page) == pageSize; more {
					at = place(&page[len(page)-1])
				}
				select { // not by the context: that it ended must be told
				case results <- result{page, err}:
				case <-gone:
					return
				}
			}
		})
		for r := range results {
			if !yield(r.page, r.err) {
				return
			}
		}
	}
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, bad := errors.AsType[*validate.InputError](err); bad {
		return fmt.Errorf("sqlsegment: %w", err)
	}
	return fmt.Errorf("sqlsegment: %s: %w", doing, err)
}
