package sketch

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
		x, y := Sum{a, b}, Sum{c, d}
		modulo := new(big.Int).Lsh(big.NewInt(1), 128)
		reduced := func(i *big.Int) string { return i.Mod(i, modulo).String() }
		require.Equal(t, reduced(new(big.Int).Add(integer(x), integer(y))), integer(XXH3.Add(x, y)).String())
		require.Equal(t, reduced(new(big.Int).Sub(integer(x), integer(y))), integer(XXH3.Subtract(x, y)).String())
		require.Equal(t, reduced(new(big.Int).Mul(integer(x), big.NewInt(n))), integer(XXH3.Times(n, x)).String())

		lanes, more := Sum{a, b, c, d}, Sum{d, c, b, a}
		for i := range lanes {
			require.Equal(t, lanes[i]+more[i], MD5.Add(lanes, more)[i], "lanes do not carry")
			require.Equal(t, lanes[i]-more[i], MD5.Subtract(lanes, more)[i])
			require.Equal(t, lanes[i]*uint64(n), MD5.Times(n, lanes)[i])
		}
	})
}

func integer(x Sum) *big.Int {
	i := new(big.Int).Lsh(new(big.Int).SetUint64(x[1]), 64)
	return i.Add(i, new(big.Int).SetUint64(x[0]))
}

// TestMD5Lanes: the lanes are what engines read of the text of an MD5, eight
// hexadecimal digits each.
func TestMD5Lanes(t *testing.T) {
	for i := range 1000 {
		user := strconv.Itoa(i)
		text := fmt.Sprintf("%x", md5.Sum([]byte(user)))
		h := MD5.Hash(user)
		lanes := MD5.Sum(h)
		for lane := range 4 {
			want, err := strconv.ParseUint(text[8*lane:8*lane+8], 16, 64)
			require.NoError(t, err)
			require.Equal(t, want, lanes[lane], "lane %d of %q", lane, user)
		}
		require.Equal(t, text, fmt.Sprintf("%016x%016x", h.High, h.Low))
	}
}
