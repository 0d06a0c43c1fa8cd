package validate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// diffSeeds is how many outputs are compared end to end: a few, or as many as the
// environment says, and then larger ones.
func diffSeeds() (n uint64, most int) {
	n, err := strconv.ParseUint(os.Getenv("SEGMENTGUARD_SEEDS"), 10, 64)
	if err != nil {
		return 12, 60_000
	}
	return n / 20, 5_000_000
}

// An output is drawn: rows of users, most of them on both sides.
type output struct {
	source, stored []string
	truth          map[string]int64 // how many times more the source has a user
}

// drawOutput lets so many of the users differ, each by its own number of times.
func drawOutput(r *rand.Rand, users, differing int) output {
	o := output{truth: map[string]int64{}}
	for i := range users {
		user := fmt.Sprintf("user-%d", r.Uint32()|uint32(i)<<31) // now and then one twice
		source, stored := 1, 1
		if i < differing {
			source, stored = r.IntN(4), r.IntN(4)
			if r.IntN(50) == 0 {
				source, stored = 1024*(1+r.IntN(3)), r.IntN(2)
			}
		}
		for range source {
			o.source = append(o.source, user)
		}
		for range stored {
			o.stored = append(o.stored, user)
		}
		o.truth[user] += int64(source - stored)
	}
	r.Shuffle(len(o.stored), func(i, j int) { o.stored[i], o.stored[j] = o.stored[j], o.stored[i] })
	return o
}

// sharded digests rows in so many shards, each of which goes over the wire.
func sharded(t *testing.T, r *rand.Rand, hash validate.Hash, rows []string, shards int, resolve int64) validate.Summary {
	t.Helper()
	all := validate.NewDigest(hash)
	for i := range shards {
		shard := validate.NewDigest(hash)
		if resolve > 0 {
			shard.Resolve(resolve)
		}
		shard.AddStrings(rows[i*len(rows)/shards : (i+1)*len(rows)/shards])
		if r.IntN(2) == 0 {
			var read validate.Digest
			require.NoError(t, read.UnmarshalBinary(marshal(t, shard)))
			shard = &read
		}
		require.NoError(t, all.Merge(shard))
	}
	return all.Summary()
}

// TestDiff holds what two digests tell to what a map says: of every user, and in
// all, over shards, the wire, two sizes of tables, both hashes.
func TestDiff(t *testing.T) {
	seeds, most := diffSeeds()
	exact := 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 77))
		users := 1 + r.IntN(10_000)
		if seed%3 > 0 {
			users = int(10_000 * math.Pow(float64(most)/10_000, r.Float64()))
		}
		hash := []validate.Hash{validate.XXH3, validate.MD5}[seed%2]
		differing := r.IntN(1 + int(19_000*(seed%5)/2)) // beyond 19,000, too
		if seed%6 == 5 {
			users, differing = max(users, 50_000), 50_000
		}
		o := drawOutput(r, users, min(users, differing))
		resolve := []int64{0, 0, 30_000}[seed%3]
		a, b := sharded(t, r, hash, o.source, 1+r.IntN(64), resolve), sharded(t, r, hash, o.stored, 1+r.IntN(64), 0)
		diff, err := validate.Diff(a, b)
		require.NoError(t, err)
		o.require(t, diff, seed)
		if diff.Exact() {
			exact++
		} else {
			require.Greater(t, min(users, differing), 19_000, "seed %d: that few are told", seed)
		}
	}
	t.Logf("%d of %d exact", exact, seeds)
}

func (o *output) require(t *testing.T, diff *validate.Difference, seed uint64) {
	t.Helper()
	var missing, foreign int64
	for user, times := range o.truth {
		missing += max(0, times)
		foreign += max(0, -times)
		if got, known := diff.Of(user); !known && diff.Exact() || known && got != times {
			require.Fail(t, "wrong of a user", "seed %d: %q %d times, and %d are told, known: %t", seed, user, times, got, known)
		}
	}
	for what, is := range map[string]int64{"missing": missing, "foreign": foreign} {
		least, most := diff.Missing()
		if what == "foreign" {
			least, most = diff.Foreign()
		}
		require.LessOrEqual(t, least, is, "%s, seed %d", what, seed)
		require.GreaterOrEqual(t, most, is, "%s, seed %d", what, seed)
		require.True(t, !diff.Exact() || least == most, "%s, seed %d", what, seed)
	}
}

// TestDiffRefuses says which side cannot be compared, and why.
func TestDiffRefuses(t *testing.T) {
	whole := digest(users(10, 1)).Summary()
	var left validate.Digest
	validate.Tee(&left, stream(users(10, 1)))
	for _, c := range []struct {
		a, b validate.Summary
		says string
	}{
		{validate.Count(10), whole, "Diff.a is 10 users, want the Summary of a Digest"},
		{whole, validate.Summary{}, "Diff.b is not measured, want the Summary of a Digest"},
		{whole, validate.Unmeasured(errBroken), "validate: diff: b: connection reset"},
		{left.Summary(), whole, "validate: diff: a: its stream was not read to the end"},
		{whole, validate.NewDigest(validate.MD5).Summary(), `Diff.b is md5x4/v1, want a digest by "xxh3-128/v1", as the other is`},
		{whole, validate.NewDigest("crc32").Summary(), `hash is "crc32"`},
	} {
		diff, err := validate.Diff(c.a, c.b)
		require.Nil(t, diff)
		require.ErrorContains(t, err, c.says)
	}
}

// TestDiffAtTheEndsOfASample compares digests of which neither, either and both
// have dropped users.
func TestDiffAtTheEndsOfASample(t *testing.T) {
	source := users(20_000, 1)
	for _, a := range []int{0, 1, 8191, 8192, 8193, 20_000} {
		for _, b := range []int{0, 1, 8191, 8192, 8193, 20_000} {
			diff, err := validate.Diff(digest(source[:a]).Summary(), digest(source[:b]).Summary())
			require.NoError(t, err)
			least, most := diff.Missing()
			if max(a, b)-min(a, b) <= 19_000 {
				require.True(t, diff.Exact(), "%d and %d", a, b)
			}
			require.LessOrEqual(t, least, int64(max(0, a-b)))
			require.GreaterOrEqual(t, most, int64(max(0, a-b)))
			for i, user := range source[:9000] {
				times, known := diff.Of(user)
				if known {
					require.Equal(t, int64(min(a, i+1)-min(a, i)-min(b, i+1)+min(b, i)), times, "user %d of %d and %d", i, a, b)
				}
			}
		}
	}
}

// TestResolve: both sides tell as many users as was asked for, also where this was
// asked of a shard that went over the wire before it had any.
func TestResolve(t *testing.T) {
	source := users(150_000, 1)
	resolved := func(rows []string) validate.Summary {
		var asked, d validate.Digest
		asked.Resolve(100_000)
		require.NoError(t, d.UnmarshalBinary(marshal(t, &asked)))
		d.AddStrings(rows)
		return d.Summary()
	}
	for _, c := range []struct {
		reason string
		b      validate.Summary
		exact  bool
	}{
		{"both", resolved(source[:60_000]), true},
		{"one of them", digest(source[:60_000]).Summary(), false},
	} {
		diff, err := validate.Diff(resolved(source), c.b)
		require.NoError(t, err)
		require.Equal(t, c.exact, diff.Exact(), c.reason)
		least, most := diff.Missing()
		require.LessOrEqual(t, least, int64(90_000), c.reason)
		require.GreaterOrEqual(t, most, int64(90_000), c.reason)
		for i, user := range source[50_000:70_000] {
			if times, known := diff.Of(user); known {
				require.Equal(t, int64(min(1, max(0, i-9999))), times, "%s: user %d", c.reason, 50_000+i)
			}
		}
	}
}

// TestResolvedAgainstFew: a digest that holds all its users has no table, and is
// compared at the size of the other's.
func TestResolvedAgainstFew(t *testing.T) {
	source := users(60_000, 1)
	var many validate.Digest
	many.Resolve(100_000)
	many.AddStrings(source)
	few := digest(source[:5000])
	for _, sides := range [][2]*validate.Digest{{few, &many}, {&many, few}} {
		diff, err := validate.Diff(sides[0].Summary(), sides[1].Summary())
		require.NoError(t, err)
		require.True(t, diff.Exact())
	}
}

// TestDiffOfStrangers: of two sides that share nothing, more than a table can tell,
// the bounds hold, and are no wider than the sides.
func TestDiffOfStrangers(t *testing.T) {
	const n = 60_000
	diff, err := validate.Diff(digest(users(2*n, 1)[:n]).Summary(), digest(users(2*n, 1)[n:]).Summary())
	require.NoError(t, err)
	require.False(t, diff.Exact())
	for _, bounds := range []func() (int64, int64){diff.Missing, diff.Foreign} {
		least, most := bounds()
		require.Less(t, least, int64(n))
		require.Greater(t, least, int64(n/10))
		require.Equal(t, int64(n), most)
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		before int
		users  int64
		says   string
	}{
		{0, 0, "digest: Resolve(0), want 1 to 4864000"},
		{0, -1, "digest: Resolve(-1), want 1 to 4864000"},
		{0, 4_864_001, "digest: Resolve(4864001), want 1 to 4864000"},
		{8191, 19_001, ""},
		{8192, 19_000, ""},
		{8192, 19_001, "digest: Resolve(19001) after 8,192 users, want it before the first"},
	} {
		d := digest(users(c.before, 1))
		d.Resolve(c.users)
		_, err := validate.Diff(d.Summary(), d.Summary())
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says)
	}
}
