package validate

import (
	"crypto/md5"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSums holds the sums' arithmetic to integers of any size, reduced at last.
func FuzzSums(f *testing.F) {
	const most = ^uint64(0)
	f.Add(uint64(0), uint64(0), uint64(0), uint64(0), int64(0))
	f.Add(most, most, uint64(1), uint64(0), int64(40))
	f.Add(most, uint64(7), uint64(1), uint64(0), int64(-1))
	f.Add(most, uint64(0), most, most, int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, a, b, c, d uint64, n int64) {
		x, y := sum{a, b}, sum{c, d}
		modulo := new(big.Int).Lsh(big.NewInt(1), 128)
		reduced := func(i *big.Int) string { return i.Mod(i, modulo).String() }
		require.Equal(t, reduced(new(big.Int).Add(integer(x), integer(y))), integer(xxh3Sum.add(x, y)).String())
		require.Equal(t, reduced(new(big.Int).Sub(integer(x), integer(y))), integer(xxh3Sum.subtract(x, y)).String())
		require.Equal(t, reduced(new(big.Int).Mul(integer(x), big.NewInt(n))), integer(xxh3Sum.times(n, x)).String())

		lanes, more := sum{a, b, c, d}, sum{d, c, b, a}
		for i := range lanes {
			require.Equal(t, lanes[i]+more[i], md5Lanes.add(lanes, more)[i], "lanes do not carry")
			require.Equal(t, lanes[i]-more[i], md5Lanes.subtract(lanes, more)[i])
			require.Equal(t, lanes[i]*uint64(n), md5Lanes.times(n, lanes)[i])
		}
	})
}

func integer(x sum) *big.Int {
	i := new(big.Int).Lsh(new(big.Int).SetUint64(x[1]), 64)
	return i.Add(i, new(big.Int).SetUint64(x[0]))
}

// The chance of losses at random to look like runs, against counting the ways in
// which it can happen.
func TestLuckIsNoLessThanTheChance(t *testing.T) {
	for all := 1; all <= 14; all++ {
		for lost := 1; lost <= all; lost++ {
			within := map[[2]int]int{} // runs, the last at the end or not: how many ways have at most so many
			ways := 0
			for mask := range 1 << all {
				runs, users := 0, 0
				for i := range all {
					if mask>>i&1 == 1 {
						users++
						if i == 0 || mask>>(i-1)&1 == 0 {
							runs++
						}
					}
				}
				if users != lost {
					continue
				}
				ways++
				within[[2]int{runs, mask >> (all - 1)}]++
			}
			for runs := 1; runs <= lost; runs++ {
				chance := float64(within[[2]int{runs, 0}]+within[[2]int{runs, 1}]) / float64(ways)
				require.GreaterOrEqual(t, math.Pow(10, float64(luckOf(int64(all), int64(lost), int64(lost), int64(runs), false)))*(1+1e-9), chance, "%d of %d in %d runs", lost, all, runs)
				atEnd := float64(within[[2]int{runs, 1}]) / float64(ways)
				require.GreaterOrEqual(t, math.Pow(10, float64(luckOf(int64(all), int64(lost), int64(lost), int64(runs), true)))*(1+1e-9), atEnd, "%d of %d in %d runs, one at the end", lost, all, runs)
			}
		}
	}
}

// TestMD5Lanes: the lanes are what engines read of the text of an MD5, eight
// hexadecimal digits each.
func TestMD5Lanes(t *testing.T) {
	for i := range 1000 {
		user := strconv.Itoa(i)
		text := fmt.Sprintf("%x", md5.Sum([]byte(user)))
		lanes, h := md5Hash(user)
		for lane := range 4 {
			want, err := strconv.ParseUint(text[8*lane:8*lane+8], 16, 64)
			require.NoError(t, err)
			require.Equal(t, want, lanes[lane], "lane %d of %q", lane, user)
		}
		require.Equal(t, text, fmt.Sprintf("%016x%016x", h.high, h.low))
		require.Equal(t, lanes, md5Lanes.sum(h), "what a sample keeps of a user is enough")
	}
}
