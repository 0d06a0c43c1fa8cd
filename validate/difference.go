package validate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A Difference tells which users two digests hold that do not hold the same. It
// counts rows: a user that came three times is three of them.
type Difference struct {
	algorithm        sketch.Algorithm
	table            *sketch.Table // the cells of one side less those of the other; nil: nothing is known from them
	users            []sketch.User // all that differ where exact, ascending by key; else some
	exact            bool
	missing, foreign rows
}

// rows is a number that is known within bounds.
type rows struct{ least, most int64 }

// Diff compares the users of two sides, each the Summary of a Digest that took in
// all of them, by one hash. Where no more than some 19,000 users differ, or as many
// as Resolve asked for on both sides, the Difference is exact but once in ten
// thousand times, and then it says that it is not.
func Diff(a, b Summary) (*Difference, error) {
	if err := errors.Join(a.differs("a"), b.differs("b")); err != nil {
		return nil, err
	}
	if a.digest.hash != b.digest.hash {
		return nil, badInput("Diff.b", b.digest.hash, fmt.Sprintf("a digest by %q, as the other is", a.digest.hash))
	}
	return diff(a.digest, b.digest), nil
}

// differs returns why no Diff of the side can be told.
func (s *Summary) differs(name string) error {
	switch {
	case s.cause != nil:
		return fmt.Errorf("validate: diff: %s: %w", name, s.cause)
	case s.digest == nil:
		return badInput("Diff."+name, s, "the Summary of a Digest")
	}
	return nil
}

// diff compares the users of two digests by one hash: those that b lacks are
// missing, those that it has beyond a are foreign.
func diff(a, b *snapshot) *Difference {
	d := &Difference{algorithm: a.algorithm()}
	if a.sample.Whole() && b.sample.Whole() {
		d.wholly(&a.sample, &b.sample)
	} else {
		d.decode(a, b)
	}
	if !d.accounts(a, b) {
		net := a.users - b.users
		*d = Difference{algorithm: d.algorithm, missing: rows{max(0, net), a.users}, foreign: rows{max(0, -net), b.users}}
	}
	return d
}

// accounts reports whether what differs adds up to the differences of counts and of
// fingerprints.
func (d *Difference) accounts(a, b *snapshot) bool {
	if d.missing.least-d.foreign.least != a.users-b.users || d.missing.least > a.users || d.foreign.least > b.users {
		return false
	}
	if !d.exact {
		return true
	}
	var keys uint64
	for _, u := range d.users {
		keys += u.Key * uint64(u.Times) //nolint:gosec // in two's complement
	}
	sum := d.algorithm.Subtract(a.sum, b.sum)
	return keys == d.algorithm.Keys(sum) && (len(d.users) > 0 || sum == sketch.Sum{})
}

// wholly compares samples that hold every user.
func (d *Difference) wholly(a, b *sketch.Sample) {
	d.exact = true
	for _, u := range a.Users {
		d.add(u.Hash.Key(), u.Count-b.Count(u.Hash))
	}
	for _, u := range b.Users {
		if a.Count(u.Hash) == 0 {
			d.add(u.Hash.Key(), -u.Count)
		}
	}
	slices.SortFunc(d.users, byKey)
	d.missing.most, d.foreign.most = d.missing.least, d.foreign.least
}

func (d *Difference) add(key uint64, times int64) {
	if times != 0 {
		d.users = append(d.users, sketch.User{Key: key, Times: times})
		d.missing.least += max(0, times)
		d.foreign.least += max(0, -times)
	}
}

func byKey(a, b sketch.User) int { return cmp.Compare(a.Key, b.Key) }

// decode compares tables, of which one may have to be made first.
func (d *Difference) decode(a, b *snapshot) {
	left, right := a.table, b.table
	switch {
	case left == nil:
		left = a.sample.Table(right.Size())
	case right == nil:
		right = b.sample.Table(left.Size())
	}
	d.table = left.Less(right)
	decoded := d.table.Decode()
	d.users, d.exact = decoded.Users, decoded.Complete
	more, fewer := decoded.More, decoded.Fewer
	unseen := max(0, min((decoded.Most-more-fewer)/2, a.users-more, b.users-fewer)) // as many missing as foreign
	d.missing, d.foreign = rows{more, more + unseen}, rows{fewer, fewer + unseen}
}

// Exact reports whether the digests tell of every user how many times more or fewer
// it is there.
func (d *Difference) Exact() bool { return d.exact }

// Missing returns how many rows of a are not in b: at least and at most, and the
// same number twice where the difference is exact. The upper bound of one that is
// not allows for five standard errors.
func (d *Difference) Missing() (least, most int64) { return d.missing.least, d.missing.most }

// Foreign returns how many rows of b are not in a, as Missing does.
func (d *Difference) Foreign() (least, most int64) { return d.foreign.least, d.foreign.most }

// Of tells how many times more often a holds the user than b; a negative number of
// times, b holds it more often. It is not known of a user, and then 0, where the
// difference is not exact and none of the cells that the user falls into is the
// same on both sides.
func (d *Difference) Of(user string) (missing int64, known bool) {
	key := d.algorithm.Hash(user).Key()
	if d.exact {
		return d.times(key), true
	}
	return 0, d.table != nil && d.table.Lacks(key)
}

// times returns how many times more often a holds a user, as far as users tell.
func (d *Difference) times(key uint64) int64 { return timesOf(d.users, key) }

// timesOf returns the times of a user among some in the order of their keys, 0 if it
// is not one of them.
func timesOf(users []sketch.User, key uint64) int64 {
	i, found := slices.BinarySearchFunc(users, sketch.User{Key: key}, byKey)
	if !found {
		return 0
	}
	return users[i].Times
}
