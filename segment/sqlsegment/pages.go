package sqlsegment

import (
	"context"
	"database/sql"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/segmentguard/segmentguard/segment"
)

// pageSize is how many rows are read at a time. Whoever takes them holds no
// statement open, so that the ledger can be written to while it is read: on one
// connection, too, nobody waits for longer than the page after takes.
const pageSize = 1000

// Segments implements segment.Ledger. What is packed is unpacked while the next
// page is read: the one takes as long as the other.
func (l *Ledger) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	const doing = "reading the segments"
	q := selection{columns: rowColumns, table: "segmentguard_segments", order: keyColumns, limit: f.Limit}
	q.after = func(from any) (string, []any) {
		key, _ := from.(rowKey)
		return key.after(l.dialect, f.Store)
	}
	var from rowKey
	if f.After != (segment.Key{}) {
		from = rowKey{f.After.Store, f.After.Segment.String()}
	}
	q.segments(&f, l.dialect)
	rows := pages(ctx, l, doing, q, any(from), scanRow, func(r *row) any { return r.key })
	return func(yield func(segment.SegmentState, error) bool) {
		for r, err := range rows {
			if err != nil {
				yield(segment.SegmentState{}, err)
				return
			}
			if !yield(r.unpack(), nil) {
				return
			}
		}
	}
}

// Log implements segment.Ledger.
func (l *Ledger) Log(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	return func(yield func(segment.LogEntry, error) bool) {
		columns := "id, " + logColumns
		if f.Bare {
			columns = strings.Replace(columns, ", report,", ", NULL,", 1)
		}
		q := selection{columns: columns, table: "segmentguard_log", order: "id", limit: f.Limit}
		q.after = func(from any) (string, []any) { return "id > ?", []any{from} }
		q.log(&f)
		from, err := l.spanOf(ctx, &q, &f)
		if err == nil && f.Limit > 0 {
			from, err = l.beforeLatest(ctx, &q, from)
		}
		if err != nil {
			yield(segment.LogEntry{}, wrap("reading the log", err))
			return
		}
		entries := pages(ctx, l, "reading the log", q, any(from), scanEntry, func(e *loggedEntry) any { return e.id })
		for e, err := range entries {
			if !yield(e.LogEntry, err) {
				return
			}
		}
	}
}

// log selects the entries of f, but for its times and Limit.
func (q *selection) log(f *segment.LogFilter) {
	if !f.Segment.IsZero() {
		q.where("segment = ?", f.Segment.String())
	}
	if f.Store != nil {
		q.where("store = ?", *f.Store)
	}
	if f.SiteGroup != "" {
		q.siteGroup(f.SiteGroup)
	}
	if f.RunID != "" {
		q.where("run = ?", f.RunID)
	}
	if f.Build != "" {
		q.where("build = ?", f.Build)
	}
	if f.JobKind != "" {
		q.where("kind = ?", string(f.JobKind))
	}
	if f.Action != "" {
		q.where("action = ?", string(f.Action))
	}
	if rare(f.Action) {
		q.where("action <> 'recorded'") // in these words the index knows it
	}
}

// rare reports whether the log has few entries of an action. An index has them.
func rare(a segment.Action) bool { return a != "" && a != segment.ActionRecorded }

// spanOf adds the times of f to what is selected of the log, and returns the entry
// before the first that may be of them. The index of times tells where those entries
// are: entries are read in the order in which they were written, and all of them
// would be.
func (l *Ledger) spanOf(ctx context.Context, q *selection, f *segment.LogFilter) (from int64, err error) {
	var times selection
	if !f.Since.IsZero() {
		times.where("at >= ?", l.dialect.time(f.Since))
	}
	if !f.Until.IsZero() {
		times.where("at < ?", l.dialect.time(f.Until))
	}
	q.conditions, q.args = append(q.conditions, times.conditions...), append(q.args, times.args...)
	if len(times.conditions) == 0 || rare(f.Action) {
		return -1, nil
	}
	var first, last sql.NullInt64
	err = l.read(ctx, func(s Conn) error {
		return one(ctx, s, l.dialect.bind(spanQuery+strings.Join(times.conditions, " AND ")), times.args, &first, &last)
	})
	q.where("id <= ?", last.Int64) // 0 where there are none
	return first.Int64 - 1, err
}

// spanQuery has no plain min(id): a database may look for that from the first entry on.
const spanQuery = "SELECT min(id + 0), max(id + 0) FROM segmentguard_log WHERE "

// beforeLatest returns the entry before the latest that q selects after another one.
func (l *Ledger) beforeLatest(ctx context.Context, q *selection, from int64) (id int64, err error) {
	latest := "SELECT id FROM segmentguard_log WHERE " + strings.Join(append([]string{"id > ?"}, q.conditions...), " AND ") + " ORDER BY id DESC LIMIT ?"
	err = l.read(ctx, func(s Conn) error {
		query := l.dialect.bind("SELECT coalesce(min(id), 0) - 1 FROM (" + latest + ") AS latest" + l.dialect.unlimited())
		return one(ctx, s, query, slices.Concat([]any{from}, q.args, []any{q.limit}), &id)
	})
	return max(id, from), err
}

// A selection is of rows of a table, in some order.
type selection struct {
	columns, table, order string
	after                 func(from any) (condition string, args []any) // of the rows after one
	conditions            []string
	args                  []any
	limit                 int // 0: all
}

func (q *selection) where(condition string, args ...any) {
	q.conditions = append(q.conditions, condition)
	q.args = append(q.args, args...)
}

// page returns the query of the first n rows after one, and its arguments.
func (q *selection) page(from any, n int) (string, []any) {
	after, args := q.after(from)
	conditions := append([]string{after}, q.conditions...)
	return "SELECT " + q.columns + " FROM " + q.table + " WHERE " + strings.Join(conditions, " AND ") + " ORDER BY " + q.order + " LIMIT ?",
		slices.Concat(args, q.args, []any{n})
}

// pages yields what is selected, and reads it a page at a time.
func pages[T any](ctx context.Context, l *Ledger, doing string, q selection, from any, scan func(scanner) (T, error), key func(*T) any) iter.Seq2[T, error] {
	rows := 0 // of the page before
	read := func(ctx context.Context, from any, n int) (page []T, err error) {
		page = make([]T, 0, rows)
		defer func() { rows = len(page) }()
		query, args := q.page(from, n)
		err = l.read(ctx, func(s Conn) error {
			return each(ctx, s, l.dialect.bind(query), args, func(row scanner) error {
				item, err := scan(row)
				page = append(page, item)
				return err
			})
		})
		return page, wrap(doing, err)
	}
	return flat(ahead(ctx, from, q.limit, read, key))
}

// flat yields the items of pages.
func flat[T any](pages iter.Seq2[[]T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range pages {
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

// ahead yields pages, up to so many rows in all or, where limit is 0, up to a page
// that is not full, and reads the next one meanwhile.
func ahead[T any](ctx context.Context, from any, limit int, read func(ctx context.Context, from any, n int) ([]T, error), key func(*T) any) iter.Seq2[[]T, error] {
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
			for left, more := limit, true; more; {
				n := pageSize
				if limit > 0 {
					n = min(n, left)
				}
				page, err := read(ctx, from, n)
				left -= len(page)
				if more = err == nil && len(page) == n && (limit == 0 || left > 0); more {
					from = key(&page[n-1])
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

// inTurn yields pages as ahead does, and reads each only when it is wanted: a transaction
// does one thing at a time.
func inTurn[T any](ctx context.Context, from any, limit int, read func(ctx context.Context, from any, n int) ([]T, error), key func(*T) any) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for left, more := limit, true; more; {
			n := pageSize
			if limit > 0 {
				n = min(n, left)
			}
			page, err := read(ctx, from, n)
			left -= len(page)
			if more = err == nil && len(page) == n && (limit == 0 || left > 0); more {
				from = key(&page[n-1])
			}
			if !yield(page, err) {
				return
			}
		}
	}
}
