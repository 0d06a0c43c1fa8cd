package sqlsegment

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A Listing is a query of all segments of a store with their sizes. Monitor.Sweep takes
// what Sizes returns:
//
//	listing := sqlsegment.Listing{Dialect: sqlsegment.PostgreSQL, Query: `
//		SELECT s.site_group, s.name, count(m.user_id)
//		FROM segments s LEFT JOIN members m ON m.segment_id = s.id
//		GROUP BY s.site_group, s.name`}
//	sweep, err := monitor.Sweep(ctx, listing.Sizes(ctx, db))
//
// Where there is no table of the segments, a GROUP BY of the users' own lists them, but
// for those that are empty: set MonitorConfig.AbsentIsEmpty then. GROUP BY takes two
// names for one where the collation of the column does.
type Listing struct {
	Dialect Dialect
	// Query is one SELECT of three columns: site group, name and number of users; or of
	// two: the text form of the segment.ID and the number of users. It needs no order.
	// None may be NULL. In ClickHouse its columns have names, and a LEFT JOIN has NULL
	// where there is no row, unless the query says otherwise in SETTINGS of its own.
	Query string
	Args  []any // for the query's placeholders, in the database's own style
}

// Sizes yields the size of each segment in byte order of the ids' texts, whatever the
// database's collation. It asks anew each time it is ranged over. An error ends the
// sequence.
//
// Each size says up to when it is complete (AsOf) under the conditions of
// Users.Summarize. While the sequence goes on it holds a connection of q, so the ledger
// needs another one: a pool that it shares with the listing must have more than one.
func (l Listing) Sizes(ctx context.Context, q Queryer) iter.Seq2[segment.CurrentSize, error] {
	return l.sizes(ctx, over(q))
}

// SizesOver does as Sizes does, over a connection that is none of database/sql's.
func (l Listing) SizesOver(ctx context.Context, c Conn) iter.Seq2[segment.CurrentSize, error] {
	return l.sizes(ctx, c)
}

func (l *Listing) sizes(ctx context.Context, q reader) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		err := l.each(ctx, q, func(size segment.CurrentSize) error {
			if !yield(size, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(segment.CurrentSize{}, wrap("listing the segments", err))
		}
	}
}

// errEnough ends a listing that nobody ranges over any more.
var errEnough = errors.New("enough")

func (l *Listing) each(ctx context.Context, q reader, do func(segment.CurrentSize) error) error {
	d, err := l.Dialect.users("Listing.Dialect")
	if err := cmp.Or(err, selectOf("Listing.Query", l.Query, "a SELECT of site group, name and users"), unopened("Sizes: q", q)); err != nil {
		return err
	}
	if err := d.checkSession(ctx, q); err != nil {
		return err
	}
	found, err := columnsOf(ctx, q, l.Query, l.Args)
	if err != nil {
		return err
	}
	columns := names(found)
	if n := len(columns); n != 2 && n != 3 {
		return badInput("Listing.Query", fmt.Sprintf("one of %d columns (%s)", n, strings.Join(columns, ", ")), "site group, name and users, or the id and users")
	}
	_, alone := q.(Pool) // each query its own transaction
	at := time.Now().UTC()
	return each(ctx, q, d.list(l, columns, d.fresh(alone)), l.Args, func(scan scanner) error {
		size, err := scanSize(scan, len(columns), at)
		if err != nil {
			return err
		}
		return do(size)
	})
}

// scanSize reads a row of a listing.
func scanSize(scan scanner, columns int, at time.Time) (size segment.CurrentSize, err error) {
	var names [2][]byte
	var users sql.NullInt64
	var null int
	var fresh bool
	dest := []any{&names[0], &names[1], &users, &null, &fresh}
	if columns == 2 {
		dest = append(dest[:1], dest[2:]...)
	}
	if err := scan(dest...); err != nil {
		return size, err
	}
	group, name := string(names[0]), string(names[1])
	switch {
	case null != 0:
		return size, fmt.Errorf("the row of %q %q has a NULL, want a name and a number", group, name)
	case users.Int64 < 0:
		return size, fmt.Errorf("the row of %q %q has %d users, want 0 or more", group, name, users.Int64)
	case columns == 2:
		size.Segment, err = segment.ParseID(group)
	default:
		size.Segment = segment.ID{SiteGroup: group, Name: name}
		_, err = size.Segment.MarshalText() // refuses what is no UTF-8
	}
	size.At, size.Stored = at, asOf(validate.Count(users.Int64), at, fresh)
	return size, err
}

// A listingSQL is how a dialect says what a listing needs.
type listingSQL struct {
	text  string // of a column, as UTF-8
	id    string // the text form of an id, from the text of site group and name
	bytes string // of a text, as it is read and as it sorts
}

// list returns the query of a listing whose columns are called so.
func (s *listingSQL) list(columns []string, from, fresh string) string {
	var texts, nulls []string
	users := columns[len(columns)-1]
	for _, c := range columns[:len(columns)-1] {
		texts, nulls = append(texts, fmt.Sprintf(s.text, c)), append(nulls, c+" IS NULL OR ")
	}
	id := texts[0]
	if len(texts) == 2 {
		id = fmt.Sprintf(s.id, texts[0], texts[1])
	}
	for i := range texts {
		texts[i] = fmt.Sprintf(s.bytes, texts[i])
	}
	return fmt.Sprintf("SELECT %s, %s, CASE WHEN %s%s IS NULL THEN 1 ELSE 0 END, %s FROM %s ORDER BY "+s.bytes,
		strings.Join(texts, ", "), users, strings.Join(nulls, ""), users, fresh, from, id)
}

// listNamed returns the query of a listing where a WITH names columns.
func (s *listingSQL) listNamed(l *Listing, columns []string, fresh string) string {
	names := []string{"site_group", "name", "users"}[3-len(columns):]
	return "WITH segmentguard_sizes(" + strings.Join(names, ", ") + ") AS (\n" + l.Query + "\n) " + s.list(names, "segmentguard_sizes", fresh)
}

// standardID is for dialects in which || joins texts.
const standardID = "replace(replace(%s, '%%', '%%25'), '/', '%%2F') || '/' || %s"
