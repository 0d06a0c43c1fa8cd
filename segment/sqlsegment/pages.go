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
	q := selection{columns: rowColumns, table: "segmentguard_segments", key: "segment", limit: f.Limit}
	from := any("")
	if !f.After.IsZero() {
		from = f.After.String()
	}
	if f.SiteGroup != "" { // its segments are neighbours: "group/…", up to "group0"
		first := segment.ID{SiteGroup: f.SiteGroup}.String()
		q.where("segment >= ?", first)
		q.where("segment < ?", strings.TrimSuffix(first, "/")+"0")
	}
	if f.Affected {
		q.where("affected = TRUE") // in these words the index knows it
	}
	rows := pages(ctx, l, doing, q, from, scanRow, func(r *row) any { return r.key })
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
	q := selection{columns: "id, " + logColumns, table: "segmentguard_log", key: "id"}
	if !f.Segment.IsZero() {
		q.where("segment = ?", f.Segment.String())
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
	var times selection
	if !f.Since.IsZero() {
		times.where("at >= ?", l.dialect.time(f.Since))
	}
	if !f.Until.IsZero() {
		times.where("at < ?", l.dialect.time(f.Until))
	}
	return func(yield func(segment.LogEntry, error) bool) {
		q := q // which may be asked again
		q.conditions, q.args = slices.Clip(q.conditions), slices.Clip(q.args)
		from, err := l.spanOf(ctx, &q, &times)
		if err != nil {
			yield(segment.LogEntry{}, wrap("reading the log", err))
			return
		}
		entries := pages(ctx, l, "reading the log", q, from, scanEntry, func(e *loggedEntry) any { return e.id })
		for e, err := range entries {
			if !yield(e.LogEntry, err) {
				return
			}
		}
	}
}

// spanOf adds times to what is selected of the log, and returns the entry before the
// first that may be of them. The index of times tells where those entries are: entries
// are read in the order in which they were written, and all of them would be.
func (l *Ledger) spanOf(ctx context.Context, q, times *selection) (from any, err error) {
	if len(times.conditions) == 0 {
		return int64(-1), nil
	}
	var first, last sql.NullInt64
	err = l.read(ctx, func(s session) error {
		return one(ctx, s, l.dialect.bind(spanQuery+strings.Join(times.conditions, " AND ")), times.args, &first, &last)
	})
	for i, condition := range times.conditions {
		q.where(condition, times.args[i])
	}
	q.where("id <= ?", last.Int64) // 0 where there are none
	return first.Int64 - 1, err
}

// spanQuery has no plain min(id): a database may look for that from the first entry on.
const spanQuery = "SELECT min(id + 0), max(id + 0) FROM segmentguard_log WHERE "

// A selection is of rows of a table, in the order of a key.
type selection struct {
	columns, table, key string
	conditions          []string
	args                []any
	limit               int // 0: all
}

func (q *selection) where(condition string, args ...any) {
	q.conditions = append(q.conditions, condition)
	q.args = append(q.args, args...)
}

// page returns the query of the first rows after a key. It takes that key, q.args
// and how many.
func (q *selection) page() string {
	conditions := append([]string{q.key + " > ?"}, q.conditions...)
	return "SELECT " + q.columns + " FROM " + q.table + " WHERE " + strings.Join(conditions, " AND ") + " ORDER BY " + q.key + " LIMIT ?"
}

// pages yields what is selected, and reads it a page at a time.
func pages[T any](ctx context.Context, l *Ledger, doing string, q selection, from any, scan func(scanner) (T, error), key func(*T) any) iter.Seq2[T, error] {
	query := l.dialect.bind(q.page())
	read := func(ctx context.Context, from any, n int) (page []T, err error) {
		err = l.read(ctx, func(s session) error {
			return each(ctx, s, query, slices.Concat([]any{from}, q.args, []any{n}), func(row scanner) error {
				item, err := scan(row)
				page = append(page, item)
				return err
			})
		})
		return page, wrap(doing, err)
	}
	return func(yield func(T, error) bool) {
		for page, err := range ahead(ctx, from, q.limit, read, key) {
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
