package validate_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// reads is twenty days of the same size, of so many users read.
func reads(users, read int64) []validate.Size {
	history := flat(20, users)
	for i := range history {
		history[i].Read = read
	}
	return history
}

// TestSizesOnLimits: a size exactly on a limit is the fault where its history was
// clearly above that, and chance where the limit is small and nobody's own.
func TestSizesOnLimits(t *testing.T) {
	type out = validate.Output
	vouched := func(stored int64, history []validate.Size) out {
		return out{Expected: count(stored), Stored: count(stored), Sizes: history}
	}
	mapping := func(read validate.Summary, history []validate.Size) out {
		stored := count(read.Users() * 8 / 10)
		return out{Expected: count(read.Users()), Read: read, Written: stored, Stored: stored, Sizes: history}
	}
	own := validate.Policy{Caps: []validate.Cap{{Users: 510, Origin: "the mail tool"}}}
	loose := validate.Policy{Mapping: mapped.Mapping, Reading: validate.Within(0.05)}
	for _, c := range []verdictCase{
		{
			name: "a limit of 1,000", reason: "from 1,000 on it is no chance, whoever vouches",
			output: vouched(1000, flat(20, 5000)), want: []string{"capped@size", "dropped@size"},
		},
		{
			name: "2% above a limit", reason: "an ordinary move",
			output: vouched(1000, flat(20, 1020)),
		},
		{
			name: "just more than 2% above a limit", reason: "clearly above it",
			output: vouched(1000, flat(20, 1021)), want: []string{"capped@size", "dropped@size"},
		},
		{
			name: "a small limit of one's own", reason: "it is meant",
			policy: own, output: vouched(510, flat(20, 5000)), want: []string{"capped@size", "dropped@size"},
		},
		{
			name: "beside a small limit of one's own", reason: "another size only warns, as it is vouched for",
			policy: own, output: vouched(520, flat(20, 5000)), want: []string{"dropped@size?"},
		},
		{
			name: "read at a limit", reason: "mapped ids hide it from what is stored",
			policy: mapped, output: mapping(count(10_000), reads(8000, 50_000)), want: []string{"capped@read", "dropped@read"},
		},
		{
			name: "read at a limit of 1,000", reason: "the smallest that counts",
			policy: mapped, output: mapping(count(1000), reads(800, 5000)), want: []string{"capped@read", "dropped@read"},
		},
		{
			name: "read at a limit below", reason: "small limits are met by chance, here by what is left of it, too",
			policy: mapped, output: mapping(count(500), reads(400, 5000)), want: []string{"risen@map?"},
		},
		{
			name: "read at no limit", reason: "the source's own count vouches for it, but not for five times as many mapped",
			policy: mapped, output: mapping(count(10_001), reads(8000, 50_000)), want: []string{"risen@map?"},
		},
		{
			name: "read about as many as a limit", reason: "an estimate is on no number",
			policy: loose, output: mapping(validate.Estimate(10_000, 0.001), reads(8000, 50_000)),
		},
		{
			name: "read 2% below before", reason: "an ordinary move",
			policy: mapped, output: mapping(count(10_000), reads(8000, 10_200)),
		},
		{
			name: "read just more than 2% below before", reason: "clearly below it",
			policy: mapped, output: mapping(count(10_000), reads(8000, 10_201)), want: []string{"capped@read", "dropped@read"},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// TestSizeTexts: what a size is compared with is what it is below or above.
func TestSizeTexts(t *testing.T) {
	growing := func(share float64) (sizes []int64) {
		size := 10_000.0
		for range 20 {
			size *= 1 + share
			sizes = append(sizes, int64(math.Round(size)))
		}
		return sizes
	}
	for _, c := range []struct {
		name   string
		sizes  []int64
		stored func(sizes []int64) int64
		want   string
	}{
		{
			"far below", growing(0.04), func([]int64) int64 { return 2001 },
			"2,001 users, 88% below its lowest of the last week (17,317); in 20 sizes it never moved by more than 4.0%",
		},
		{
			"growth broken off", growing(0.04), func(s []int64) int64 { return s[len(s)-1] * 81 / 100 },
			"19% below the size before (21,911); in 20 sizes it never moved by more than 4.0%",
		},
		{
			"back to last week", growing(0.04), func(s []int64) int64 { return s[len(s)-7] },
			"below the size before (21,911)",
		},
		{
			"decline broken off", growing(-0.05), func(s []int64) int64 { return s[len(s)-1] * 130 / 100 },
			"30% above the size before (3,585); in 20 sizes it never moved by more than 5.3%",
		},
		{
			"up to last week", growing(-0.05), func(s []int64) int64 { return s[len(s)-7] },
			"36% above the size before (3,585)",
		},
		{"three sizes", []int64{5000, 5000, 5000}, func([]int64) int64 { return 2000 }, "in 3 sizes it never moved"},
		{"four sizes", []int64{5000, 5000, 5000, 5000}, func([]int64) int64 { return 2000 }, "in 4 sizes it never moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stored := count(c.stored(c.sizes))
			_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
				Expected: stored, SelfReported: true, Stored: stored, Sizes: daily(c.sizes...), At: noon,
			})
			require.ErrorContains(t, err, c.want)
		})
	}
	unknown := validate.Output{Expected: validate.Unknown(), Stored: count(5)}
	_, err := validate.Check(t.Context(), validate.Policy{}, unknown)
	require.ErrorContains(t, err, "there is no earlier size above zero")
	require.NotContains(t, err.Error(), "above zero by")
	unknown.Counter = "the index"
	_, err = validate.Check(t.Context(), validate.Policy{}, unknown)
	require.ErrorContains(t, err, "there is no earlier size above zero by the index")
}
