package sketch

import (
	"cmp"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds is how many random differences are tried of each kind: a few hundred, or as
// many as the environment says.
func seeds(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("SEGMENTGUARD_SEEDS"), 10, 64)
	if err != nil {
		return 120
	}
	return n
}

// A drawn difference is users with how often more one side has each.
type drawn []User

// times are the counts that two sides may differ by. Multiples of powers of two and
// small sums are those that narrower cells take for others.
var times = map[string]func(*rand.Rand) int64{
	"one":               func(*rand.Rand) int64 { return 1 },
	"plus or minus one": func(r *rand.Rand) int64 { return 1 - 2*r.Int64N(2) },
	"multiples of 1,024": func(r *rand.Rand) int64 {
		return 1024 * (1 + r.Int64N(5)) * (1 - 2*r.Int64N(2))
	},
	"powers of two": func(r *rand.Rand) int64 { return 1 << r.IntN(11) * (1 - 2*r.Int64N(2)) },
	"+2 and -1":     func(r *rand.Rand) int64 { return 2 - 3*r.Int64N(2) },
	"+3 and -3":     func(r *rand.Rand) int64 { return 3 - 6*r.Int64N(2) },
}

func draw(r *rand.Rand, n int, times func(*rand.Rand) int64) (users drawn) {
	for range n {
		users = append(users, User{r.Uint64(), times(r)})
	}
	slices.SortFunc(users, byKey)
	return users
}

func byKey(a, b User) int { return cmp.Compare(a.Key, b.Key) }

// table takes in what one side has more, and takes out the rest.
func (d drawn) table(size int) *Table {
	t := NewTable(size)
	for _, u := range d {
		t.AddTimes(u.Key, u.Times)
	}
	return t
}

func (d drawn) rows() (more, fewer int64) {
	for _, u := range d {
		more += max(0, u.Times)
		fewer += max(0, -u.Times)
	}
	return more, fewer
}

// TestDecoded: whatever is read is right, in every seed; and so few stay unread that
// it is seldom told otherwise.
func TestDecoded(t *testing.T) {
	n := seeds(t)
	for _, c := range []struct {
		users  int
		seldom float64
	}{{1, 0}, {100, 1e-5}, {5_000, 2e-4}, {19_000, 1e-3}} {
		undecoded := uint64(0)
		for name, of := range times {
			for seed := range (n + uint64(len(times)) - 1) / uint64(len(times)) {
				r := rand.New(rand.NewPCG(seed, uint64(c.users)))
				d := draw(r, c.users, of)
				got := d.table(TableSize).Decode()
				d.requireBounds(t, &got, "%d users, %s, seed %d", c.users, name, seed)
				if !got.Complete {
					undecoded++
					continue
				}
				if !slices.Equal(drawn(got.Users), d) {
					require.Fail(t, "wrong users", "%d users, %s, seed %d", c.users, name, seed)
				}
			}
		}
		// Of a chance of c.seldom so many are found less than once in a thousand runs.
		most := float64(n)*c.seldom + 3*math.Sqrt(float64(n)*c.seldom) + 1
		require.LessOrEqual(t, float64(undecoded), most, "%d users undecoded", c.users)
		t.Logf("%d users: %d of %d undecoded", c.users, undecoded, n)
	}
}

// requireBounds holds what was read and what is told of the rest to the truth.
func (d drawn) requireBounds(t *testing.T, got *Decoded, format string, args ...any) {
	t.Helper()
	more, fewer := d.rows()
	ok := got.More <= more && got.Fewer <= fewer && got.Most >= more+fewer && got.More-got.Fewer == more-fewer
	for _, u := range got.Users {
		i, found := slices.BinarySearchFunc(d, u, byKey)
		ok = ok && found && d[i] == u
	}
	if !ok || got.Complete && got.Most != more+fewer {
		require.Fail(t, "outside its bounds: "+format, append(args, more, fewer, got.More, got.Fewer, got.Most)...)
	}
}

// TestUndecoded: with more users than a table can tell the bounds hold in every
// seed, and are as narrow as they can be of use.
func TestUndecoded(t *testing.T) {
	for name, of := range times {
		for seed := range max(5, seeds(t)/40) {
			for _, users := range []int{22_000, 60_000, 200_000} {
				d := draw(rand.New(rand.NewPCG(seed, uint64(users))), users, of)
				got := d.table(TableSize).Decode()
				require.False(t, got.Complete)
				d.requireBounds(t, &got, "%d users, %s, seed %d", users, name, seed)
				if name == "plus or minus one" || name == "one" {
					require.Less(t, float64(got.Most), 1.09*float64(users), "4.5% of 5 errors, and the error itself")
				}
				if name == "plus or minus one" && users == 22_000 {
					require.Greater(t, got.More+got.Fewer, int64(17_000), "two in each cell at least")
				}
			}
		}
	}
}

// TestMixedCells: two users in a cell, of whom one side has one twice more and the
// other has the other once more, look like a user with a key between them. Where that
// one would belong there, too, only its check tells that it is none.
func TestMixedCells(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	var cells [TableSize][]uint64
	for range 8 * TableSize {
		key := r.Uint64() >> 1
		at, _ := mix(key)
		cells[at%TableSize] = append(cells[at%TableSize], key)
	}
	tried := 0
	for at, keys := range cells {
		for _, a := range keys {
			for _, b := range keys {
				other := 2*a - b
				if positions, _ := mix(other); a == b || b > 2*a || positions%TableSize != uint64(at) {
					continue
				}
				table := drawn{{a, 2}, {b, -1}}.table(TableSize)
				_, found := table.single(0, at)
				require.False(t, found)
				tried++
			}
		}
	}
	require.Greater(t, tried, 10)
}

// TestAtLeast: the part that tells most counts, and that a cell is not empty.
func TestAtLeast(t *testing.T) {
	table := NewTable(4)
	for part, counts := range [][4]int64{{2, -1, 0, 0}, {3, -1, -1, 0}, {1, 0, 0, 0}} {
		for i, n := range counts {
			table.parts[part][i] = cell{count: n, check: uint64(n)}
		}
	}
	more, fewer := table.atLeast(1)
	require.Equal(t, [2]int64{3, 2}, [2]int64{more, fewer})
	more, fewer = table.atLeast(2)
	require.Equal(t, [2]int64{4, 3}, [2]int64{more, fewer}, "six in three cells, of which one more is more")
	table.parts[1][3].low = 5 // +1 and -1 of two users
	more, fewer = table.atLeast(2)
	require.Equal(t, [2]int64{5, 4}, [2]int64{more, fewer})
}

// TestFolds: a table that is folded is that of its users, and the difference of two
// sizes is that of the smaller.
func TestFolds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	all, some := draw(r, 3000, times["+2 and -1"]), drawn(nil)
	for _, u := range all {
		if r.IntN(2) == 0 {
			some = append(some, u)
		}
	}
	for _, size := range []int{1, 64, 1024, TableSize} {
		require.Equal(t, all.table(size), all.table(2*TableSize).Fold(size))
		require.Equal(t, all.table(size).Less(some.table(size)), all.table(size).Less(some.table(4*size)))
		require.Equal(t, all.table(size).Less(some.table(size)), all.table(4*size).Less(some.table(size)))
		require.Equal(t, append(slices.Clone(all), some...).table(size), all.table(size).Merge(some.table(2*size)))
		require.Equal(t, append(slices.Clone(all), some...).table(size), all.table(2*size).Merge(some.table(size)))
	}
	whole, part := all.table(TableSize), some.table(TableSize)
	whole.Less(part)
	require.Equal(t, all.table(TableSize), whole, "left as it was")
	require.Equal(t, some.table(TableSize), part, "left as it was")
	small := all.table(1024)
	require.Same(t, small, small.Fold(2048))
}

func TestWaysToAddToATable(t *testing.T) {
	for _, size := range []int{64, TableSize} {
		requireWaysAgree(t, size)
	}
}

func requireWaysAgree(t *testing.T, size int) {
	t.Helper()
	one, many, times, back := NewTable(size), NewTable(size), NewTable(size), NewTable(size)
	var keys []uint64
	for key := range uint64(1000) {
		key *= 0x9e3779b97f4a7c15
		one.AddKeys([]uint64{key})
		keys = append(keys, key)
		times.AddTimes(key, 3)
		times.AddTimes(key, -2)
		back.AddTimes(key, 2)
	}
	many.AddKeys(keys)
	require.Equal(t, one, many)
	require.Equal(t, one, times)
	require.Equal(t, one, back.Less(many))
}

// TestSizeFor: a size that is asked for is enough, and no more than twice that.
func TestSizeFor(t *testing.T) {
	for users, want := range map[int64]int{
		0: 8192, 1: 8192, 19_000: 8192, 19_001: 16_384, 38_000: 16_384, 38_001: 32_768, MaxReach: MaxTableSize, MaxReach + 1: MaxTableSize,
	} {
		require.Equal(t, want, SizeFor(users), "%d", users)
	}
	d := draw(rand.New(rand.NewPCG(1, 1)), 100_000, times["one"])
	got := d.table(SizeFor(100_000)).Decode()
	require.True(t, got.Complete)
}

// TestLacks: no user that differs is taken for one that does not, and most of those
// that do not are known.
func TestLacks(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	d := draw(r, 5000, times["plus or minus one"])
	table := d.table(TableSize)
	for _, u := range d {
		require.False(t, table.Lacks(u.Key))
	}
	lacks := 0
	for range 10_000 {
		if table.Lacks(r.Uint64()) {
			lacks++
		}
	}
	// A cell is hit by one of 5,000 users with a chance of 1 - exp(-5000/8192), all three by 9.5%.
	require.InDelta(t, 9050, lacks, 200)
}

// TestMultiples: what a user adds is its key in two's complement, of 128 bits.
func TestMultiples(t *testing.T) {
	const most = math.MaxUint64
	for _, c := range []struct {
		key   uint64
		times int64
	}{{0, 5}, {most, 1}, {most, -1}, {most, math.MaxInt64}, {most, math.MinInt64}, {1 << 63, -3}, {7, 0}} {
		m := multiple(c.key, c.times)
		want := new(big.Int).Mul(new(big.Int).SetUint64(c.key), big.NewInt(c.times))
		require.Equal(t, want.String(), signed(m.high, m.low).String(), "%d × %d", c.times, c.key)
		table := NewTable(8)
		table.AddTimes(c.key, c.times)
		got := table.Decode()
		require.True(t, got.Complete)
		if c.times != 0 {
			require.Equal(t, []User{{c.key, c.times}}, got.Users)
		}
	}
}

func signed(high, low uint64) *big.Int {
	i := new(big.Int).Lsh(big.NewInt(int64(high)), 64)
	return i.Add(i, new(big.Int).SetUint64(low))
}

// TestHostileTable: whatever stands in the cells, decoding ends, and says nothing of
// users that it read twice.
func TestHostileTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	random := NewTable(TableSize)
	for _, part := range random.parts {
		for i := range part {
			part[i] = cell{int64(r.Uint64()), r.Uint64(), r.Uint64(), r.Uint64()}
		}
	}
	got := random.Decode()
	require.False(t, got.Complete)
	require.Empty(t, got.Users)

	// Each user stands in the first part alone: taken out there, it appears in the
	// others, and is read again.
	for _, users := range []int64{1, 100, 20_000} {
		once := NewTable(TableSize)
		for range users {
			u := multiple(r.Uint64(), 1)
			at, _ := mix(u.low)
			once.parts[0][at&(TableSize-1)].add(&u)
		}
		got = once.Decode()
		require.False(t, got.Complete)
		require.Empty(t, got.Users)
		require.Equal(t, [2]int64{users, 0}, [2]int64{got.More, got.Fewer}, "the cells as they were give the bounds")
	}
}

// FuzzDecode puts anything into the cells of a small table: decoding ends, and where
// it says that it is complete, the table is that of the users it read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("three users, at their places"), byte(3))
	f.Add([]byte{}, byte(7))
	f.Fuzz(func(t *testing.T, input []byte, users byte) {
		d := draw(rand.New(rand.NewPCG(1, uint64(users))), int(users%8), times["+2 and -1"])
		table := d.table(8)
		for i := 0; i+5 < len(input); i += 6 {
			c := &table.parts[input[i]%3][input[i+1]%8]
			c.add(&cell{int64(int8(input[i+2])), uint64(input[i+3]), uint64(int8(input[i+4])), uint64(input[i+5])})
		}
		before := table.Clone()
		got := table.Decode()
		require.Equal(t, before, table)
		if got.Complete {
			require.Equal(t, table, drawn(got.Users).table(8))
			more, fewer := drawn(got.Users).rows()
			require.Equal(t, []int64{more, fewer, more + fewer}, []int64{got.More, got.Fewer, got.Most})
		}
	})
}

// TestMixSpreads: each bit of a key changes each bit of its check, and of its three
// positions, about every other time, so that no arithmetic on keys carries over to them.
func TestMixSpreads(t *testing.T) {
	const keys = 2000
	random := rand.New(rand.NewPCG(5, 6))
	var checks, positions [64][64]int
	for range keys {
		key := random.Uint64()
		at, check := mix(key)
		for in := range 64 {
			otherAt, otherCheck := mix(key ^ 1<<in)
			for out := range 64 {
				checks[in][out] += int((check ^ otherCheck) >> out & 1)
				positions[in][out] += int((at ^ otherAt) >> out & 1)
			}
		}
	}
	for in := range 64 {
		for out := range 64 {
			require.InDelta(t, keys/2, checks[in][out], keys/8, "bit %d of a key, bit %d of its check", in, out)
			require.InDelta(t, keys/2, positions[in][out], keys/8, "bit %d of a key, bit %d of its positions", in, out)
		}
	}
}

// TestNumbersEnd: there are no more rows than an int64 counts.
func TestNumbersEnd(t *testing.T) {
	require.EqualValues(t, math.MaxInt64, ceil(math.MaxInt64), "which as a float64 is one more")
	require.EqualValues(t, math.MaxInt64, ceil(math.NaN()))
	require.EqualValues(t, 3, ceil(2.1))
	require.EqualValues(t, math.MaxInt64, plus(math.MaxInt64, 1))
	require.EqualValues(t, math.MaxInt64-1, plus(math.MaxInt64-2, 1))
}

// TestFoldKeepsWhatIsSmall: a table that is no larger than asked for is not copied.
func TestFoldKeepsWhatIsSmall(t *testing.T) {
	table := NewTable(16)
	require.Same(t, table, table.Fold(16))
	require.Same(t, table, table.Fold(32))
	require.NotSame(t, table, table.Fold(8))
}
