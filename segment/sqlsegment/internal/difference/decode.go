package difference

import (
	"cmp"
	"math/big"
	"slices"
)

// A User is one that two sides do not hold equally often.
type User struct {
	Key
	Times int64 // how many times more the one side has it; negative: the other
}

// Decode reads the users from the difference of two tables: for as long as there is a
// cell in which one is left, it takes that one from its other cells. It ends after at
// most as many users as there are cells. ok is true only if every cell is empty then,
// and no user was read twice; otherwise nothing that was read can be relied on, and no
// users are returned. The table is used up.
func (t *Table) Decode() (users []User, ok bool) {
	var next []int
	for i := range t.cells {
		next = append(next, i)
		for len(next) > 0 {
			at := next[len(next)-1]
			next = next[:len(next)-1]
			u, single := t.single(at)
			if !single {
				continue
			}
			if len(users) == len(t.cells) {
				return nil, false
			}
			users = append(users, u)
			t.Add(u.Key, -u.Times)
			for part := range parts {
				next = append(next, t.place(u.Key, part))
			}
		}
	}
	for i := range t.cells {
		if !t.cells[i].empty() {
			return nil, false
		}
	}
	slices.SortFunc(users, User.compare)
	for i := 1; i < len(users); i++ {
		if users[i].A == users[i-1].A { // also of another B, which only chance would make
			return nil, false
		}
	}
	return users, true
}

func (u User) compare(other User) int {
	return cmp.Or(cmp.Compare(u.A, other.A), cmp.Compare(u.B, other.B))
}

// single returns the user of a cell that holds just one: the means of its A and its B
// are whole numbers of 64 bits, that belong there, and the Check of that A, so many
// times, is the sum of checks.
func (t *Table) single(at int) (u User, ok bool) {
	c := &t.cells[at]
	if c.count == 0 {
		return u, false
	}
	n := big.NewInt(c.count)
	var a, b, rest big.Int
	if a.QuoRem(&c.a, n, &rest); rest.Sign() != 0 || !a.IsInt64() {
		return u, false
	}
	if b.QuoRem(&c.b, n, &rest); rest.Sign() != 0 || !b.IsInt64() {
		return u, false
	}
	u = User{Key{a.Int64(), b.Int64()}, c.count}
	check := big.NewInt(Check(u.A))
	if check.Mul(check, n).Cmp(&c.check) != 0 || t.place(u.Key, at/t.size) != at {
		return u, false
	}
	return u, true
}
