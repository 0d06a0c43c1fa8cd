package validate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhereAnEndWasCut: the number of users that are there is where the end was
// cut, if it lies between the last sampled user that is there and the first that
// is not, and nothing else is wrong; else the sample tells about where.
func TestWhereAnEndWasCut(t *testing.T) {
	const sampled, there = 100, 50
	spaced := func(edit func(i int, u *compared)) *comparison {
		c := &comparison{}
		for i := range sampled {
			u := compared{first: int64(10 * i), source: 1, stored: 1}
			if i >= there {
				u.stored = 0
			}
			edit(i, &u)
			c.add(u.first, u.source, u.stored)
		}
		return c
	}
	plain := func(int, *compared) {}
	for _, c := range []struct {
		reason string
		edit   func(int, *compared)
		users  int64
		says   string
		first  int64
	}{
		{"just behind the last that is there", plain, 491, "likely nothing after the first 491 of 1,000 users", 491},
		{"just before the first that is not", plain, 500, "likely nothing after the first 500 of 1,000 users", 500},
		{"fewer", plain, 490, "likely nothing after about the first 491 of 1,000 users", 491},
		{"more", plain, 501, "likely nothing after about the first 491 of 1,000 users", 491},
		{"another is missing", func(i int, u *compared) {
			if i == 7 {
				u.stored = 0
			}
		}, 495, "likely nothing after about the first 491 of 1,000 users", 491},
		{"one is there twice", func(i int, u *compared) {
			if i == 7 {
				u.stored = 2
			}
		}, 495, "likely nothing after about the first 491 of 1,000 users", 491},
	} {
		d := mismatch{verb: "stored", source: &snapshot{contents: contents{users: 1000}}, users: c.users}
		causes := d.lost(spaced(c.edit))
		require.Len(t, causes, 1, c.reason)
		require.Equal(t, Truncated, causes[0].kind, c.reason)
		require.Contains(t, causes[0].detail, c.says+": of 50 sampled ones there none is stored", c.reason)
		require.Equal(t, c.first, causes[0].first, c.reason)
	}
}
