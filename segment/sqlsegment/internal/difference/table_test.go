package difference

import (
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds is how many random differences are tried of each size: some dozens, or as
// many as the environment says.
func seeds(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("SEGMENTGUARD_SEEDS"), 10, 64)
	if err != nil {
		return 30
	}
	return n
}

// times are the counts that two sides may differ by. Multiples of powers of two and
// small sums are those that weaker checks take for others.
var times = map[string]func(*rand.Rand) int64{
	"one":                func(*rand.Rand) int64 { return 1 },
	"plus or minus one":  func(r *rand.Rand) int64 { return 1 - 2*r.Int64N(2) },
	"multiples of 1,024": func(r *rand.Rand) int64 { return 1024 * (1 + r.Int64N(5)) * (1 - 2*r.Int64N(2)) },
	"powers of two":      func(r *rand.Rand) int64 { return 1 << r.IntN(11) * (1 - 2*r.Int64N(2)) },
	"+2 and -1":          func(r *rand.Rand) int64 { return 2 - 3*r.Int64N(2) },
	"+3 and -3":          func(r *rand.Rand) int64 { return 3 - 6*r.Int64N(2) },
}

func draw(r *rand.Rand, n int, times func(*rand.Rand) int64) (users []User) {
	for range n {
		users = append(users, User{Key{int64(r.Uint64()), int64(r.Uint64())}, times(r)})
	}
	slices.SortFunc(users, User.compare)
	return users
}

func tableOf(users []User, size int) *Table {
	t := New(size)
	for _, u := range users {
		t.Add(u.Key, u.Times)
	}
	return t
}

// TestDecoded: whatever is read is right, in every seed; and so few stay unread that
// the next look is seldom needed.
func TestDecoded(t *testing.T) {
	n := seeds(t)
	for _, c := range []struct {
		size, users int
		seldom      float64
	}{{1024, 1, 0}, {1024, 100, 1e-4}, {1024, 1000, 2e-3}, {1024, 2000, 2e-3}, {8192, 5000, 2e-4}, {8192, 19_000, 1e-3}} {
		undecoded, tried := 0, uint64(0)
		for name, of := range times {
			for seed := range (n + uint64(len(times)) - 1) / uint64(len(times)) {
				d := draw(rand.New(rand.NewPCG(seed, uint64(c.users))), c.users, of)
				got, ok := tableOf(d, c.size).Decode()
				tried++
				switch {
				case !ok:
					require.Nil(t, got)
					undecoded++
				case !slices.Equal(got, d):
					require.Fail(t, "wrong users", "%d users, %s, seed %d", c.users, name, seed)
				}
			}
		}
		// Of a chance of c.seldom so many are found less than once in a thousand runs.
		most := float64(tried)*c.seldom + 3*math.Sqrt(float64(tried)*c.seldom) + 1
		require.LessOrEqual(t, float64(undecoded), most, "%d users undecoded", c.users)
		t.Logf("%d cells, %d users: %d of %d undecoded", c.size, c.users, undecoded, tried)
	}
}

// TestUndecoded: of more users than a table can tell nothing is told, and decoding
// ends.
func TestUndecoded(t *testing.T) {
	for name, of := range times {
		for seed := range max(3, seeds(t)/60) {
			for _, users := range []int{2700, 5000, 50_000} {
				got, ok := tableOf(draw(rand.New(rand.NewPCG(seed, uint64(users))), users, of), 1024).Decode()
				require.False(t, ok, "%d users, %s, seed %d", users, name, seed)
				require.Nil(t, got)
			}
		}
	}
}

// TestMixedCells: in small tables most cells hold several users, and few keys are far
// apart: each small difference of few users is read right, or not at all.
func TestMixedCells(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	right := 0
	for range 60 * seeds(t) {
		var d []User
		for _, a := range r.Perm(9)[:1+r.IntN(6)] { // close to each other
			d = append(d, User{Key{int64(a)<<32 + int64(r.IntN(4)), int64(r.Uint64())}, 1 + r.Int64N(3)})
			d[len(d)-1].Times *= 1 - 2*r.Int64N(2)
		}
		slices.SortFunc(d, User.compare)
		if got, ok := tableOf(d, 8).Decode(); ok {
			require.Equal(t, d, got)
			right++
		}
	}
	require.Greater(t, right, 100)
}

// TestTwoInOneCell: of two users in a cell, whatever their counts, none is read.
func TestTwoInOneCell(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	for range 10_000 {
		a, b := Key{int64(r.Uint64()), 0}, Key{int64(r.Uint64()), 0}
		n, m := r.Int64N(9)-4, r.Int64N(9)-4
		if n == 0 || m == 0 {
			continue
		}
		table := tableOf([]User{{a, n}, {b, m}}, 1)
		_, ok := table.single(0)
		require.False(t, ok, "%d and %d times", n, m)
	}
}

// TestSingle: a cell holds a single user only if all its sums are those of that user.
func TestSingle(t *testing.T) {
	k := Key{5<<32 + 7, 3}
	at := New(8).place(k, 1)
	add := func(to *big.Int, n int64, shift uint) { to.Add(to, new(big.Int).Lsh(big.NewInt(n), shift)) }
	for reason, spoil := range map[string]func(*cell){
		"":                             func(*cell) {},
		"its A is no mean":             func(c *cell) { add(&c.a, 1, 0) },
		"its B is no mean":             func(c *cell) { add(&c.b, 1, 0) },
		"its A has more than 64 bits":  func(c *cell) { add(&c.a, 2, 64) },
		"its B has more than 64 bits":  func(c *cell) { add(&c.b, 2, 64) },
		"its check is another's":       func(c *cell) { add(&c.check, 2, 0) },
		"its A is another's":           func(c *cell) { add(&c.a, 2, 0) },
		"it belongs into another cell": func(c *cell) { add(&c.b, 2, PositionBits) },
		"one side has them as often":   func(c *cell) { c.count = 0 },
		"one side has them less often": func(c *cell) { c.count = -c.count },
		"its count is another's":       func(c *cell) { c.count = 4 },
	} {
		table := New(8)
		table.Add(k, 2)
		spoil(&table.cells[at])
		u, ok := table.single(at)
		require.Equal(t, reason == "", ok, reason)
		if ok {
			require.Equal(t, User{k, 2}, u)
			continue
		}
		_, ok = table.Decode()
		require.False(t, ok, reason)
	}
	for reason, c := range map[string]cell{"a count": {count: 1}, "A": {a: *big.NewInt(1)}, "B": {b: *big.NewInt(-1)}, "a check": {check: *big.NewInt(1)}} {
		require.False(t, c.empty(), "%s alone is left", reason)
	}
	require.True(t, (&cell{}).empty())
}

// TestCheck: the formula as SQL has it, in numbers without bounds; it fits 63 bits.
func TestCheck(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 3))
	for _, a := range []int64{0, -1, 1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1<<31, 1 << 31, -1 << 31, 1<<63 - 1<<32, int64(r.Uint64()), int64(r.Uint64())} {
		y := new(big.Int).And(big.NewInt(a), big.NewInt(1<<32-1))
		x := new(big.Int).Rsh(new(big.Int).Sub(big.NewInt(a), y), 32)
		y.Sub(y, big.NewInt(1<<31))
		want := new(big.Int)
		for _, half := range []*big.Int{x, y} {
			want.Add(want, new(big.Int).Mul(half, new(big.Int).Add(half, big.NewInt(1))))
		}
		require.Equal(t, want.String(), strconv.FormatInt(Check(a), 10), "%d", a)
		require.GreaterOrEqual(t, Check(a), int64(0))
	}
}

// TestTables: a table less another is that of what differs; totals are of all.
func TestTables(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 3))
	all := draw(r, 3000, times["one"])
	more := append(slices.Clone(all[:2500]), draw(r, 300, times["one"])...)
	got, ok := tableOf(all, 1024).Less(tableOf(more, 1024)).Decode()
	require.True(t, ok)
	require.Len(t, got, 800)
	for _, u := range got {
		_, missing := slices.BinarySearchFunc(all, u, User.compare)
		require.Equal(t, missing, u.Times == 1)
	}

	var a, b uint64
	for _, u := range all {
		a, b = a+uint64(u.A), b+uint64(u.B)
	}
	table := tableOf(all, 1024)
	count, sumA, sumB, ok := table.Totals()
	require.True(t, ok)
	require.Equal(t, []uint64{3000, a, b}, []uint64{uint64(count), sumA, sumB})
	table.cells[2000].b.Add(&table.cells[2000].b, big.NewInt(1))
	count, _, _, ok = table.Totals()
	require.False(t, ok, "one part says what the others do not")
	require.Zero(t, count)
}

// TestSet refuses what no engine should answer.
func TestSet(t *testing.T) {
	table, n := New(1024), big.NewInt(1)
	require.NoError(t, table.Set(3071, 1, n, n, n))
	for _, bad := range []struct{ at, count int64 }{{-1, 1}, {3072, 1}, {3071, 1}, {0, 0}, {0, -1}} {
		require.ErrorContains(t, table.Set(bad.at, bad.count, n, n, n), "want one not told of before", bad)
	}
}

// TestHostileTable: whatever stands in the cells, decoding ends and says nothing.
func TestHostileTable(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 3))
	for range 20 { // each user in one part alone: taken out there, it appears in the others
		table := New(64)
		for range 1 + r.IntN(50) {
			k := Key{int64(r.Uint64()), int64(r.Uint64())}
			c := one(k)
			table.cells[table.place(k, 0)].add(&c, 1)
		}
		got, ok := table.Decode()
		require.False(t, ok)
		require.Nil(t, got)
	}
}
