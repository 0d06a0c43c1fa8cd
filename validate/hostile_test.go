package validate

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// rowsOf is the form of a digest with so many rows of some users, each sum right.
func rowsOf(counts map[string]int64) forged {
	f := forged{hash: string(XXH3)}
	for user, n := range counts {
		h := sketch.XXH3.Hash(user)
		f.sum = sketch.XXH3.Add(f.sum, sketch.XXH3.Times(n, sketch.XXH3.Sum(h)))
		f.sample.Add(h, n, f.users)
		f.users += n
	}
	return f
}

func (f forged) read(t *testing.T) *Digest {
	t.Helper()
	var w sketch.Writer = f.body()
	w.Words(xxh3.Hash(w))
	var d Digest
	require.NoError(t, d.UnmarshalBinary(w))
	return &d
}

// TestAsManyRowsAsThereCanBe: a digest of MaxInt64 rows, which may be read, is judged
// as any other, and takes in no more than that.
func TestAsManyRowsAsThereCanBe(t *testing.T) {
	most := func() *Digest { return rowsOf(map[string]int64{"a": math.MaxInt64}).read(t) }
	two := func() *Digest { return rowsOf(map[string]int64{"a": math.MaxInt64 - 1, "b": 1}).read(t) }
	for name, d := range map[string]*Digest{"equal": most(), "others": two(), "one": few(func(*forged) {}).read(t), "many": numbered(9000)} {
		for _, p := range []Policy{{}, {Distinct: true}, {Tolerance: Within(0.5)}, {Tolerance: Within(1)}, {Mapping: Ratio{1, 3}}, {Mapping: Ratio{0.2, 0.9}}} {
			for _, out := range []Output{
				{Expected: most().Summary(), Stored: d.Summary()},
				{Expected: d.Summary(), Read: most().Summary(), Written: d.Summary(), Stored: most().Summary()},
				{Expected: Moving(most().Summary(), d.Summary()), Read: d.Summary(), Stored: most().Summary()},
			} {
				report, err := Check(t.Context(), p, out)
				require.Equal(t, err == nil, report.Passed(), name)
				require.NotEmpty(t, report.String())
			}
		}
		diff, err := Diff(most().Summary(), d.Summary())
		require.NoError(t, err)
		least, over := diff.Missing()
		require.True(t, 0 <= least && least <= over, name)
		require.Equal(t, name != "equal", over > 0, name)
	}
	full := most()
	full.AddString("one more")
	_, err := Check(t.Context(), Policy{Tolerance: Within(1)}, Output{Expected: Count(5), Stored: full.Summary()})
	require.ErrorIs(t, err, Unverified, "more than can be counted")
	require.Error(t, most().Merge(most()))
}

// TestWhoCameFirst: of a digest that holds all its users somebody came first, and
// whoever came later came after as many rows as that.
func TestWhoCameFirst(t *testing.T) {
	late := rowsOf(map[string]int64{"a": 1})
	late.users, late.sample.Users[0].Count = 2, 2
	late.sum = sketch.XXH3.Times(2, sketch.XXH3.Sum(sketch.XXH3.Hash("a")))
	require.NoError(t, unmarshal(late.body()))
	gap := few(func(f *forged) {
		for i := range f.sample.Users {
			f.sample.Users[i].First++
		}
	})
	require.ErrorContains(t, unmarshal(gap.body()), "sample: nobody came at place 0")
	sums := few(func(f *forged) { f.checkpoints.List[0].Sum[3] = 1 })
	require.ErrorContains(t, unmarshal(sums.body()), "sum: 4 numbers, want 2")
}

// TestMutatedJSON: whatever is read of a report's parts is what a check can have
// written: it is written in the same way again, and can be judged.
func TestMutatedJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	numbers := []string{"0", "1", "-1", "5", "9223372036854775807", "-9223372036854775808", "1e3", "0.5", "1.5", "1e308", "null", `""`, "true", "[]", "{}", `"xxh3-128/v1:0000000000000001-0000000000000001-0000000000000000-0000000000000000"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"-0001-01-01T00:00:00Z"`, `{"users":5}`, `[{"users":5},{"users":6}]`, `[{"users":5},null]`, `[{"unknown":true},{"users":5}]`}
	keys := []string{"users", "users_upper", "bounded", "moving", "rel_err", "as_of", "lag_unknown", "fingerprint", "unknown", "invalid", "incomplete", "Users", "extra"}
	read := 0
	for range 60_000 {
		var parts []string
		for range 1 + random.IntN(4) {
			parts = append(parts, `"`+keys[random.IntN(len(keys))]+`":`+numbers[random.IntN(len(numbers))])
		}
		text := "{" + strings.Join(parts, ",") + "}"
		var s Summary
		if json.Unmarshal([]byte(text), &s) != nil {
			continue
		}
		read++
		again, err := json.Marshal(s)
		require.NoError(t, err, text)
		var twice Summary
		require.NoError(t, json.Unmarshal(again, &twice), "%s: %s", text, again)
		require.Equal(t, s.String(), twice.String(), text)
		_, err = Check(context.Background(), Policy{}, Output{Expected: s, Read: s, Stored: Count(5), At: midnight.Add(time.Hour), Sizes: days(5)})
		require.True(t, err == nil || err.Error() != "", text)
		if err == nil {
			require.True(t, s.IsUnknown() || s.Users() == 5, "%s passes as %s", text, s)
		}
	}
	require.Greater(t, read, 500)
}

// TestCopiesNeverPanic: whatever is done with a digest and a copy of it, both are
// incomplete in the end, and neither panics.
func TestCopiesNeverPanic(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		var d Digest
		d.AddStrings(manyNames(random.IntN(12_000)))
		d.AddString("a")
		copied := d
		both := []*Digest{&d, &copied}
		for range 20 {
			one := both[random.IntN(2)]
			switch random.IntN(6) {
			case 0:
				one.AddString("b")
			case 1:
				one.AddStrings(manyNames(random.IntN(300)))
			case 2:
				require.NoError(t, one.Merge(numbered(random.IntN(6000))))
			case 3:
				_, err := one.MarshalBinary()
				require.NoError(t, err)
			case 4:
				one.Distinct()
			case 5:
				one.AddAll([][]byte{[]byte("c"), []byte("d")})
			}
		}
		copied.AddString("e")
		for _, one := range both {
			_, err := Check(t.Context(), Policy{Tolerance: Within(1)}, Output{Expected: Count(one.Users()), Stored: one.Summary()})
			require.ErrorIs(t, err, Unverified)
		}
	}
}

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "name " + strconv.Itoa(i)
	}
	return names
}
