package validate_test

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestMD5LanesOfTheIDsTo5000000(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000,000 ids")
	}
	d := validate.NewDigest(validate.MD5)
	for i := 1; i <= 5_000_000; i++ {
		d.AddString(strconv.Itoa(i))
	}
	want := validate.Fingerprint{Hash: validate.MD5, Sum: [4]uint64{10737426194820774, 10739948288243802, 10739655010487826, 10735008070561309}}
	require.Equal(t, want, d.Summary().Fingerprint(), "the constants that every SQL engine gives")
}

func TestWaysToAddAreOne(t *testing.T) {
	source := users(25_001, 1)
	pages := make([][]byte, len(source))
	for i, u := range source {
		pages[i] = []byte(u)
	}
	want := marshal(t, digest(source))
	for name, add := range map[string]func(*validate.Digest){
		"Add": func(d *validate.Digest) {
			for _, u := range pages {
				d.Add(u)
			}
		},
		"AddString": func(d *validate.Digest) {
			for _, u := range source {
				d.AddString(u)
			}
		},
		"AddAll": func(d *validate.Digest) { d.AddAll(pages) },
		"batches": func(d *validate.Digest) {
			d.AddStrings(source[:12_345])
			d.AddStrings(nil)
			d.AddStrings(source[12_345:])
		},
		"Tee": func(d *validate.Digest) {
			for range validate.Tee(d, stream(source)) {
			}
		},
	} {
		var d validate.Digest
		add(&d)
		require.Equal(t, int64(len(source)), d.Users(), name)
		require.Equal(t, want, marshal(t, &d), name)
	}
}

func marshal(t *testing.T, d *validate.Digest) []byte {
	t.Helper()
	data, err := d.MarshalBinary()
	require.NoError(t, err)
	return data
}

func TestMergeIsAdding(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 20_000, 300_000} {
		source := users(size, 1)
		for _, cut := range []int{0, size / 3, size} {
			parts := []*validate.Digest{digest(source[:cut]), {}, digest(source[cut:])}
			var merged validate.Digest
			for _, p := range parts {
				require.NoError(t, merged.Merge(p))
			}
			all := digest(source)
			require.Equal(t, all.Summary().Fingerprint(), merged.Summary().Fingerprint())
			require.Equal(t, all.Users(), merged.Users())
			require.Equal(t, all.Distinct(), merged.Distinct(), "%d of %d", cut, size)
		}
	}
}

// Where shards meet are checkpoints, so a lost shard is told for certain.
func TestLostShard(t *testing.T) {
	source := users(200_000, 1)
	var read validate.Digest
	for _, shard := range [][]string{source[:70_123], source[70_123:130_456], source[130_456:]} {
		require.NoError(t, read.Merge(digest(shard)))
	}
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: read.Summary(), Stored: digest(slices.Concat(source[:70_123], source[130_456:])).Summary(),
	})
	require.ErrorIs(t, err, gap)
	require.ErrorContains(t, err, "users 70,124–130,456 of the source are missing")
}

// A hundred thousand small shards, or as many empty ones, leave a digest that
// is read again, goes on, and still has the pages of the large ones.
func TestManyShards(t *testing.T) {
	source := users(100_000, 1)
	for _, test := range []struct {
		name   string
		shards int
		shard  func(i int) *validate.Digest
		page   int64
		says   string
	}{
		{"small", 100_000, func(i int) *validate.Digest { return digest([]string{"a" + strconv.Itoa(i)}) }, 0, ""},
		{"empty", 20_000, func(int) *validate.Digest { return &validate.Digest{} }, 0, "users 7,001–8,000 of the source are missing"},
		{"in pages without end", 20_000, func(int) *validate.Digest { return digest([]string{"a"}) }, math.MaxInt64, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all validate.Digest
			if test.page > 0 {
				all.MarkEvery(test.page)
			}
			all.AddStrings(source)
			for i := range test.shards {
				require.NoError(t, all.Merge(test.shard(i)))
			}
			all.AddString("goes on")
			var read validate.Digest
			require.NoError(t, read.UnmarshalBinary(marshal(t, &all)))
			require.Equal(t, marshal(t, &all), marshal(t, &read))

			lost := without(7000, 8000)(source)
			_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: read.Summary(), Stored: digest(lost).Summary()})
			require.ErrorContains(t, err, test.says)
		})
	}
}

// A digest without users takes over the first shard, its pages and limits, too.
func TestMergeIntoNothing(t *testing.T) {
	source := users(2_000_000, 1)
	var shard validate.Digest
	shard.MarkEvery(77)
	shard.AddStrings(source[:1_500_000])
	var all validate.Digest
	require.NoError(t, all.Merge(&shard))
	require.Equal(t, marshal(t, &shard), marshal(t, &all))
	require.NoError(t, all.Merge(digest(source[1_500_000:])))
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: all.Summary(), Stored: digest(source[:1_048_576]).Summary()})
	require.ErrorContains(t, err, "exactly the first 1,048,576 of 2,000,000 users")
}

func TestMergeRefuses(t *testing.T) {
	d := digest(users(10, 1))
	require.ErrorContains(t, d.Merge(nil), "want another digest")
	require.ErrorContains(t, d.Merge(d), "want another digest")
	require.ErrorContains(t, d.Merge(validate.NewDigest(validate.MD5)), `digest by "md5x4/v1" into one by "xxh3-128/v1"`)
	require.ErrorContains(t, d.Merge(validate.NewDigest("crc32")), `hash is "crc32", want "xxh3-128/v1" or "md5x4/v1"`)
	require.ErrorContains(t, validate.NewDigest("crc32").Merge(d), `hash is "crc32"`)
	require.Equal(t, digest(users(10, 1)).Summary().Fingerprint(), d.Summary().Fingerprint(), "left as it was")
}

func TestDistinctIsWithinItsError(t *testing.T) {
	for _, n := range []int{0, 1, 100, 8000} {
		require.Equal(t, validate.Count(int64(n)), digest(slices.Repeat(users(n, 1), 3)).Distinct())
	}
	large := []int{10_000, 65_000, 200_000, 1_000_000}
	if testing.Short() {
		large = large[:2]
	}
	for _, n := range large {
		d := digest(slices.Repeat(users(n, 4), 2)).Distinct()
		require.InDelta(t, 1/math.Sqrt(4094), d.RelErr(), 1e-12, "that of the lowest of 4,096 hashes")
		require.Less(t, math.Abs(float64(d.Users())/float64(n)-1), 3*d.RelErr(), "%d of %d", d.Users(), n)
	}
}

func TestSummaryIsASnapshot(t *testing.T) {
	source := users(20_000, 1)
	d := digest(source[:10_000])
	before := d.Summary()
	d.AddStrings(source[10_000:])
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: digest(source[:10_000]).Summary(), Stored: before})
	require.NoError(t, err)
	require.True(t, report.SameUsers)
}

// One measurement for two sides proves nothing about the way between them, even
// where it has grown in between.
func TestOneDigestForTwoSides(t *testing.T) {
	d := digest(users(100, 1))
	expected := d.Summary()
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: expected, Stored: d.Summary()})
	require.ErrorIs(t, err, unverified)
	require.ErrorContains(t, err, "expected and stored are one measurement")
}

func TestUnknownHash(t *testing.T) {
	d := validate.NewDigest("crc32")
	d.AddStrings(users(10, 1))
	_, err := validate.Check(t.Context(), within(1), validate.Output{Expected: validate.Count(10), Stored: d.Summary()})
	require.ErrorIs(t, err, unverified)
	require.ErrorContains(t, err, `hash is "crc32", want "xxh3-128/v1" or "md5x4/v1"`)
	_, err = d.MarshalBinary()
	require.ErrorContains(t, err, "crc32")
}

func TestMarkEvery(t *testing.T) {
	source := users(100_000, 1)
	var d validate.Digest
	d.MarkEvery(77)
	d.AddStrings(source)
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: d.Summary(), Stored: digest(without(770, 847)(source)).Summary()})
	require.ErrorContains(t, err, "users 771–847 of the source are missing")

	d.MarkEvery(0)
	require.Contains(t, d.Summary().String(), "MarkEvery(0), want 1 or more")
}

var errBroken = errors.New("connection reset")

func TestTeeTellsOfStreamsThatDidNotEnd(t *testing.T) {
	source := users(100, 1)
	broken := func(yield func(string, error) bool) {
		for _, u := range source[:40] {
			if !yield(u, nil) {
				return
			}
		}
		yield("half a user", errBroken)
	}
	for _, test := range []struct {
		name   string
		read   func(*validate.Digest)
		says   string
		reason string
	}{
		{"failed", func(d *validate.Digest) { drain(validate.Tee(d, broken)) }, "its stream failed: connection reset", "users that came with an error are none"},
		{"left", func(d *validate.Digest) {
			for range validate.Tee(d, stream(source)) {
				break
			}
		}, "its stream was left before its end", "a loop that breaks"},
		{"panic", func(d *validate.Digest) {
			defer func() { recover() }()
			for range validate.Tee(d, stream(source)) {
				panic("job")
			}
		}, "its stream was left before its end", "a loop that panics"},
		{"never read", func(d *validate.Digest) { validate.Tee(d, stream(source)) }, "its stream was not read to the end", "a job that forgot"},
		{"one of two", func(d *validate.Digest) {
			drain(validate.Tee(d, stream(source)))
			validate.Tee(d, stream(source))
		}, "its stream was not read to the end", "the second of two streams"},
		{"merged", func(d *validate.Digest) {
			var shard validate.Digest
			drain(validate.Tee(&shard, broken))
			if err := d.Merge(&shard); err != nil {
				panic(err)
			}
		}, "its stream failed: connection reset", "travels through Merge"},
		{"marshalled", func(d *validate.Digest) {
			var shard validate.Digest
			drain(validate.Tee(&shard, broken))
			data, err := shard.MarshalBinary()
			if err = errors.Join(err, d.UnmarshalBinary(data)); err != nil {
				panic(err)
			}
		}, "its stream failed: connection reset", "travels through the binary form"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d validate.Digest
			test.read(&d)
			_, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(1), AllowEmpty: true}, validate.Output{
				Expected: validate.Count(d.Users()), Stored: d.Summary(),
			})
			require.ErrorIs(t, err, unverified, test.reason)
			require.ErrorContains(t, err, test.says, test.reason)
			require.Equal(t, test.name == "failed" || test.name == "merged", errors.Is(err, errBroken), "in one process the cause can be matched")
		})
	}
	var d validate.Digest
	open := validate.Tee(&d, stream(source))
	require.NoError(t, d.UnmarshalBinary(marshal(t, digest(source))))
	require.Contains(t, d.Summary().String(), "its stream was not read to the end", "whatever was read over it")
	drain(open)
	require.Equal(t, "200 users", d.Summary().String())
	validate.Tee(&d, stream(source))
	require.Contains(t, d.Summary().String(), "its stream was not read to the end")

	d = validate.Digest{}
	drain(validate.Tee(&d, stream(source)))
	require.Equal(t, digest(source).Summary().Fingerprint(), d.Summary().Fingerprint())
}

func drain(users iter.Seq2[string, error]) {
	for range users {
	}
}

func TestTeeDoesNotAllocatePerUser(t *testing.T) {
	type userID []byte
	source := make([]userID, 50_000)
	for i := range source {
		source[i] = userID(strconv.Itoa(i))
	}
	users := func(yield func(userID, error) bool) {
		for _, u := range source {
			if !yield(u, nil) {
				return
			}
		}
	}
	var d validate.Digest
	read := func() {
		for range validate.Tee(&d, users) {
		}
	}
	read()
	if allocs := testing.AllocsPerRun(5, read); allocs > 10 {
		t.Errorf("%v allocations for 50,000 users, want those of the stream alone", allocs)
	}
}

func TestBinaryFormRoundTrips(t *testing.T) {
	for _, hash := range []validate.Hash{validate.XXH3, validate.MD5} {
		for _, n := range []int{0, 1, 5000, 100_000} {
			source := users(n, 1)
			d := validate.NewDigest(hash)
			d.AddStrings(slices.Concat(source, source[:n/2]))
			data := marshal(t, d)
			var read validate.Digest
			require.NoError(t, read.UnmarshalBinary(data))
			require.Equal(t, data, marshal(t, &read))
			require.Equal(t, d.Summary().Fingerprint(), read.Summary().Fingerprint())
			require.Equal(t, d.Distinct(), read.Distinct())

			d.AddStrings(users(1500, 2))
			read.AddStrings(users(1500, 2))
			require.Equal(t, marshal(t, d), marshal(t, &read), "goes on as if it had never stopped")
		}
	}
}

func TestBinaryFormRefuses(t *testing.T) {
	good := marshal(t, digest(users(10_000, 1)))
	version := slices.Clone(good)
	version[len("segmentguard digest ")] = '1'
	flipped := slices.Clone(good)
	flipped[len(good)/2] ^= 1
	for _, test := range []struct {
		data []byte
		says string
	}{
		{nil, "not a digest"},
		{version, `it is of version "1", want 2`},
		{good[:len(good)/2], "the checksum is wrong"},
		{good[:len(good)-1], "the checksum is wrong"},
		{append(slices.Clone(good), 0), "the checksum is wrong"},
		{flipped, "the checksum is wrong"},
	} {
		d := digest(users(3, 1))
		require.ErrorContains(t, d.UnmarshalBinary(test.data), test.says)
		require.Equal(t, int64(3), d.Users(), "left as it was")
	}
}
