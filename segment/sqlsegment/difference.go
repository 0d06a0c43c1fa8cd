package sqlsegment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentguard/segmentguard/segment/sqlsegment/internal/difference"
	"github.com/segmentguard/segmentguard/validate"
)

// A Differing user is there more often on one side than on the other.
type Differing struct {
	ID               string // in its canonical form: text, decimal, lower-case hexadecimal
	Expected, Stored int64  // how often each side yields it
}

// ErrTooMany is returned by Differing where more users differ than it can tell.
var ErrTooMany = errors.New("too many users differ to be told by a difference table, which tells some 19,000: compare the ids themselves")

// Differing returns the ids of the users that u, those expected, and stored do not yield
// equally often, in the order of their bytes, each with how often either side yields it: a
// repair adds those that are missing, and takes away those that should not be there.
// Both are measured by one method, Native or Portable; Native takes both sides in one
// engine. It returns none where the fingerprints are the same, and ErrTooMany where
// some 19,000 users differ or more.
//
// It is for PostgreSQL and ClickHouse. What leaves the database is a table of sums for
// each side, of a size that does not depend on the number of users, and the ids that
// differ; see the package's documentation. Each side is read three or four times, and
// must be at rest meanwhile: if it is not, there is an error.
func (u Users) Differing(ctx context.Context, q Queryer, stored Users, at Queryer) ([]Differing, error) {
	return u.differing(ctx, over(q), stored, over(at))
}

// DifferingOver does as Differing does, over connections that are none of
// database/sql's.
func (u Users) DifferingOver(ctx context.Context, c Conn, stored Users, at Conn) ([]Differing, error) {
	return u.differing(ctx, c, stored, at)
}

func (u *Users) differing(ctx context.Context, q reader, stored Users, at reader) ([]Differing, error) {
	left, err := u.print(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("sqlsegment: differing: expected: %w", err)
	}
	right, err := stored.print(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("sqlsegment: differing: stored: %w", err)
	}
	switch {
	case left.sum.Hash != right.sum.Hash:
		err = badInput("stored.Method", string(right.sum.Hash), fmt.Sprintf("a fingerprint by %q, as of the expected users", left.sum.Hash))
	case left.sum == right.sum && left.rows == right.rows:
		return nil, nil
	}
	var found []Differing
	if err == nil {
		found, err = left.differing(ctx, right)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlsegment: differing: %w", err)
	}
	return found, nil
}

// print fingerprints users that can be compared in the database.
func (u *Users) print(ctx context.Context, q reader) (*printed, error) {
	s, p, err := u.measured(ctx, q)
	switch {
	case err != nil:
		return nil, err
	case p == nil || !p.tabled():
		return nil, badInput("Users", fmt.Sprintf("of dialect %q and method %q, measured as %s", u.Dialect, u.Method, s), "PostgreSQL or ClickHouse, and Native or Portable")
	}
	return p, nil
}

// printed is users who were fingerprinted in the database, and stay there.
type printed struct {
	measurement
	formula formula
	rows    int64
	sum     validate.Fingerprint
}

// tabled reports whether the database can make a difference table.
func (p *printed) tabled() bool {
	query, _ := p.dialect.cells(&p.users, p.formula, p.column, smallTable)
	return query != ""
}

// The tables that are asked for, in cells a part. A small one tells some 2,500 users.
const (
	smallTable, smallReach = 1024, 2000
	largeTable, largeReach = 8192, 19_000
)

// Compare implements validate.Comparer. Where the number of users alone shows that
// more differ than a table tells, a closer look reads all of them, and says more.
func (p *printed) Compare(ctx context.Context, later validate.Comparer) (c validate.Compared, told bool, err error) {
	other, ok := later.(*printed)
	if !ok || p.sum.Hash != other.sum.Hash || max(p.rows-other.rows, other.rows-p.rows) > largeReach {
		return c, false, nil
	}
	users, err := p.differing(ctx, other)
	switch {
	case errors.Is(err, ErrTooMany):
		return c, false, nil
	case err != nil:
		return c, false, fmt.Errorf("sqlsegment: users: %w", err)
	}
	for _, u := range users {
		more := u.Stored - u.Expected
		c.Missing += max(0, -more)
		c.Foreign += max(0, more)
		c.Often = max(c.Often, more)
		if u.Expected > 0 && more > 0 {
			c.Repeated++
		}
	}
	return c, true, nil
}

// differing returns the users that differ, by tables of sums and then by their keys.
func (p *printed) differing(ctx context.Context, other *printed) ([]Differing, error) {
	sizes := []int{smallTable, largeTable}
	if max(p.rows-other.rows, other.rows-p.rows) > smallReach {
		sizes = sizes[1:]
	}
	for _, size := range sizes {
		left, err := p.table(ctx, size)
		if err != nil {
			return nil, err
		}
		right, err := other.table(ctx, size)
		if err != nil {
			return nil, err
		}
		if users, ok := left.Less(right).Decode(); ok {
			return p.named(ctx, other, users)
		}
	}
	return nil, ErrTooMany
}

// A lane is a column of a difference table: what it says, times 2^shift, is a part of
// one of the sums.
type lane struct {
	sum   int // 0, 1 or 2: of A, of B or of Check
	shift uint
}

// table has the database compute a difference table, and returns an error if it is of
// other users than those who were fingerprinted.
func (p *printed) table(ctx context.Context, size int) (*difference.Table, error) {
	query, lanes := p.dialect.cells(&p.users, p.formula, p.column, size)
	t := difference.New(size)
	texts := make([]string, len(lanes))
	var at, count int64
	into := []any{&at, &count}
	for i := range texts {
		into = append(into, &texts[i])
	}
	err := each(ctx, p.conn, query, p.users.Args, func(scan scanner) error {
		if err := scan(into...); err != nil {
			return err
		}
		var sums [3]big.Int
		for i, text := range texts {
			n, ok := new(big.Int).SetString(text, 10)
			if !ok {
				return fmt.Errorf("the engine answered %q, want a sum", text)
			}
			sum := &sums[lanes[i].sum]
			sum.Add(sum, n.Lsh(n, lanes[i].shift))
		}
		return t.Set(at, count, &sums[0], &sums[1], &sums[2])
	})
	if err != nil {
		return nil, fmt.Errorf("making a difference table: %w", err)
	}
	wantA, wantB := p.totals()
	if rows, a, b, ok := t.Totals(); !ok || rows != p.rows || a != wantA || b != wantB {
		return nil, fmt.Errorf("the users changed while they were compared: %d were fingerprinted, and then others, or %d, made the table", p.rows, rows)
	}
	return t, nil
}

// totals returns the sums of A and of B modulo 2^64, as the fingerprint tells them.
func (p *printed) totals() (a, b uint64) {
	s := p.sum.Sum
	if p.sum.Hash == validate.MD5 { // of its four words, A are the first two
		return s[0]<<32 + s[1], s[2]<<32 + s[3]
	}
	return s[0], s[1]
}

// page is how many keys are asked for at once: ClickHouse takes queries of 256 KiB.
const page = 8000

// named asks both sides for the ids of users, and returns an error if their numbers are
// not those of the table.
func (p *printed) named(ctx context.Context, other *printed, users []difference.User) ([]Differing, error) {
	byID, times := map[string]*Differing{}, map[difference.Key]int64{}
	for _, u := range users {
		times[u.Key] = u.Times
	}
	for some := range slices.Chunk(users, page) {
		var among strings.Builder
		for i, u := range some {
			if i > 0 {
				among.WriteByte(',')
			}
			among.WriteString(strconv.FormatInt(u.A, 10))
		}
		for side, s := range []*printed{p, other} {
			if err := s.find(ctx, among.String(), byID, times, side == 1); err != nil {
				return nil, err
			}
		}
	}
	for _, left := range times {
		if left != 0 {
			return nil, errors.New("the users changed while they were compared: those with the keys that the table tells are not as many")
		}
	}
	var found []Differing
	for _, d := range byID {
		if d.Expected != d.Stored {
			found = append(found, *d)
		}
	}
	slices.SortFunc(found, func(a, b Differing) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// find adds how often users with some keys are there, and takes that from the times
// that are to be found.
func (p *printed) find(ctx context.Context, among string, byID map[string]*Differing, times map[difference.Key]int64, stored bool) error {
	err := each(ctx, p.conn, p.dialect.find(&p.users, p.formula, p.column, among), p.users.Args, func(scan scanner) error {
		var bytes []byte // of a text
		var k difference.Key
		var count int64
		if err := scan(&bytes, &k.A, &k.B, &count); err != nil {
			return err
		}
		if _, asked := times[k]; !asked {
			return nil // the same A by chance
		}
		id := string(bytes)
		d := byID[id]
		if d == nil {
			d = &Differing{ID: id}
			byID[id] = d
		}
		if stored {
			d.Stored += count
			times[k] += count
		} else {
			d.Expected += count
			times[k] -= count
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking for the users that differ: %w", err)
	}
	return nil
}
