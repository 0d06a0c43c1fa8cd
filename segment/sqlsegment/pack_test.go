package sqlsegment

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var packedID = segment.ID{SiteGroup: "g", Name: "s"}

// fullState has one of everything, and sizes that go down as well as up.
func fullState() segment.SegmentState {
	at := time.Date(2024, 3, 18, 10, 44, 0, 123_000, time.UTC)
	return segment.SegmentState{
		Segment: packedID,
		Baseline: validate.Baseline{
			Sizes: []validate.Size{
				{Users: 0, At: at.AddDate(-70, 0, 0)},
				{Users: 812_345, Read: 812_346, At: at, Counter: "hll", Unguarded: true},
				{Users: 10_000, At: at, Level: validate.LevelNew},
				{Users: math.MaxInt64, Read: math.MaxInt64, At: at.Add(time.Microsecond), Counter: "hll", Vouched: true, Level: "later"},
			},
			Candidates: []validate.Size{
				{Users: 7, At: at, Counter: "third", Vouched: true, Unguarded: true, Level: validate.LevelOff}, {Users: 7, At: at, Level: validate.LevelApart},
			},
		},
		Excuses: []segment.Excuse{{
			Excuse:   validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: at.UTC(), Until: at.UTC().AddDate(0, 0, 1), ForGood: true},
			Decision: segment.Decision{By: "ann", Why: "a \"move\"\n", At: at.UTC()}, Used: true,
		}},
		Runs: segment.Runs{RunID: "r", Runs: validate.Runs{
			Times: []time.Time{at.AddDate(0, 0, -2), at, at}, Good: at, Since: at.AddDate(-1, 0, 0), Rejected: 1, Unverified: 2, Failed: 3,
		}},
		Last: segment.Record{Segment: packedID,
			RunID: "r\x00\xff", Attempt: 2, State: segment.RunUnknown, JobID: "copy", JobKind: segment.JobKindCopy, Build: "v1",
			Users: -1, Read: math.MinInt64, Counter: "日本", At: at,
		},
		Accepted: &segment.Decision{By: "ann", Why: "a merger\n", At: at},
	}
}

func TestPackGivesBack(t *testing.T) {
	full := fullState()
	for reason, change := range map[string]func(*segment.SegmentState){
		"one of everything": func(*segment.SegmentState) {},
		"what is live": func(t *segment.SegmentState) {
			t.Live = &validate.Size{Users: 7, Read: 9, Counter: "hll", At: time.Date(2024, 3, 18, 0, 0, 0, 0, time.UTC)}
		},
		"a run that was rejected and is live": func(t *segment.SegmentState) { t.Last.Live = true },
		"nothing known":                       func(t *segment.SegmentState) { *t = segment.SegmentState{Segment: packedID} },
		"rejected from the beginning":         func(t *segment.SegmentState) { t.Sizes, t.Accepted = nil, nil },
		"nothing but candidates": func(t *segment.SegmentState) {
			*t = segment.SegmentState{Segment: packedID, Baseline: validate.Baseline{Candidates: full.Candidates}}
		},
		"nothing but a plan": func(t *segment.SegmentState) { *t = segment.SegmentState{Segment: packedID, Excuses: full.Excuses} },
		"never run": func(t *segment.SegmentState) {
			*t = segment.SegmentState{Segment: packedID}
			t.Runs.Since = full.Runs.Since
		},
		"a run that waits for its store": func(t *segment.SegmentState) {
			t.Submitted = &segment.Submitted{
				RunID: "r", Attempt: 2, Number: 7, Build: "v1", Job: segment.Copy(packedID, packedID), Counter: "api", Generation: -1,
				At: time.Date(2024, 3, 18, 0, 0, 0, 1, time.UTC), Until: time.Date(2024, 3, 19, 0, 0, 0, 0, time.UTC),
				Expected: validate.Bounded(5, 7), Before: &validate.Size{Users: 7, At: time.Date(2024, 3, 17, 0, 0, 0, 0, time.UTC)},
			}
		},
		"imported, never run":               func(t *segment.SegmentState) { t.Last, t.Accepted = segment.Record{}, nil },
		"a run that could not be judged":    func(t *segment.SegmentState) { t.Last.At = time.Time{} },
		"accepted without a time":           func(t *segment.SegmentState) { t.Accepted.At = time.Time{} },
		"an acceptance without words":       func(t *segment.SegmentState) { t.Accepted = &segment.Decision{} },
		"more counters than fit in one bit": func(t *segment.SegmentState) { t.Sizes[2].Counter = strings.Repeat("x", 300) },
	} {
		want := full
		want.Sizes = slices.Clone(full.Sizes)
		want.Accepted = new(*full.Accepted)
		change(&want)
		got, err := unpack(packedID.In(""), pack(&want))
		require.NoError(t, err, reason)
		require.Equal(t, want, got, reason)
	}
}

// What earlier versions wrote stays readable.
func TestPackedForms(t *testing.T) {
	at := time.UnixMicro(1_000_000).UTC()
	want := segment.SegmentState{
		Segment:  packedID,
		Baseline: validate.Baseline{Sizes: []validate.Size{{Users: 100, Read: 7, At: at}, {Users: 90, At: at.Add(time.Microsecond), Counter: "hll", Unguarded: true}}},
		Last:     segment.Record{Segment: packedID, RunID: "r", Attempt: 1, State: segment.RunRejected, JobID: "j", JobKind: segment.JobKindCopy, Build: "v", Users: 90, Counter: "hll", Live: true, At: at},
		Accepted: &segment.Decision{By: "a", Why: "w", At: at},
	}
	const sizes = "\x04" + "\x00" + "\x06hll" + // two counters
		"\x04" + "\x80\x89\x7a\xc8\x01\x0e\x00" + "\x02\x13\x00\x06" // two sizes
	const form2 = "\x02\x0b" + sizes + // version, flags
		"\x02r" + "\x10rejected" + "\x02j" + "\x08copy" + "\x02v" + "\x06hll" + "\x02" + "\xb4\x01" + "\x00" + "\x80\x89\x7a" +
		"\x02a" + "\x02w" + "\x80\x89\x7a"
	got, err := unpack(packedID.In(""), []byte(form2))
	require.NoError(t, err)
	require.Equal(t, want, got)

	const form3 = "\x03\x3b" + sizes + // version, flags
		"\x02r" + "\x10rejected" + "\x02j" + "\x08copy" + "\x02v" + "\x06hll" + "\x02" + "\xb4\x01" + "\x00" + "\x80\x89\x7a" + "\x12" +
		"\x02a" + "\x02w" + "\x80\x89\x7a" + "\x0e"
	numbered := want
	numbered.Number, numbered.Last.Number, numbered.Last.Overlapped, numbered.Last.Settled = 7, 9, true, true
	got, err = unpack(packedID.In(""), []byte(form3))
	require.NoError(t, err)
	require.Equal(t, numbered, got)

	form4 := "\x04" + form3[1:] + "\xba\xb2K\x11" // and the CRC-32C of that, as another program makes it
	got, err = unpack(packedID.In(""), []byte(form4))
	require.NoError(t, err)
	require.Equal(t, numbered, got)

	levelled := numbered
	levelled.Sizes = slices.Clone(numbered.Sizes)
	levelled.Sizes[0].Vouched, levelled.Sizes[1].Level = true, validate.LevelNew // 1<<1, and 4<<2 beside 1 and the counter, 1<<5
	levelled.Candidates = []validate.Size{{Users: 1, At: at, Level: validate.LevelOff}}
	levelled.Runs = segment.Runs{RunID: "r", Runs: validate.Runs{Times: []time.Time{at, at}, Since: at, Rejected: 1}}
	body5 := "\x05\xf6\x05" + // version, flags: 0x17b
		"\x04" + "\x00" + "\x06hll" + "\x04" + "\x80\x89\x7a\xc8\x01\x0e\x04" + "\x02\x13\x00\x62" + // sizes
		"\x02" + "\x80\x89\x7a\x02\x00\x08" + // a candidate
		"\x02r" + "\x00" + "\x02\x80\x89\x7a" + "\x02\x00\x00" + "\x04\x80\x89\x7a\x00" + form3[2+len(sizes):]
	require.Equal(t, string(seal([]byte(body5))), string(pack(&levelled)))
	got, err = unpack(packedID.In(""), seal([]byte(body5)))
	require.NoError(t, err)
	require.Equal(t, levelled, got)

	const form1 = "\x01\x03" + sizes +
		"\x02r" + "\x10accepted" + "\x02j" + "\x08copy" + "\x02v" + "\x06hll" + "\x02" + "\xb4\x01" + "\x00" + "\x80\x89\x7a" +
		"\x02r" + "\x02a" + "\x02w" + "\x80\x89\x7a"
	want.Last.State, want.Last.Live = segment.RunPassed, false
	got, err = unpack(packedID.In(""), []byte(form1))
	require.NoError(t, err)
	require.Equal(t, want, got, "a state that was called accepted is called passed, and the run of an acceptance is in the log")
}

// A value that was emptied must not read as a segment without a history.
func TestUnpackOfNothing(t *testing.T) {
	_, err := unpack(packedID.In(""), nil)
	require.EqualError(t, err, "it ends too early")
}

// A form that is not understood must not pass for a segment without a history.
func TestUnpackRefuses(t *testing.T) {
	full := fullState()
	good, empty := pack(&full), pack(&segment.SegmentState{})
	body := good[:len(good)-checksumSize]
	for _, c := range []struct {
		reason string
		data   []byte
		want   string
	}{
		{"written by a newer version", append([]byte{6}, good[1:]...), "packed in version 6, and this program knows versions 1 to 5: a newer version of this library wrote it"},
		{"no version is 0", append([]byte{0}, good[1:]...), "packed in version 0, and this program knows"},
		{"something follows", seal(append(slices.Clone(body), 0)), "unknown fields"},
		{"a flag that nobody knows", seal(append(binary.AppendVarint([]byte{packed5}, 0x1c3|1024), body[3:]...)), "unknown fields"},
		{"one that version 4 did not know", seal([]byte{packed4, 64, 0, 0, 0}), "unknown fields"},
		{"flags below none", seal(append([]byte{packed5, 1}, empty[2:len(empty)-checksumSize]...)), "unknown fields"},
		{"candidates of which there are none", seal([]byte{packed5, 0x80, 1, 0, 0, 0, 0}), "candidates of which"},
		{"excuses that are none", seal([]byte{packed5, 0x80, 2, 0, 0, 8, 'n', 'u', 'l', 'l', 0}), "JSON that cannot be"},
		{"runs of which there are none", seal([]byte{packed5, 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "runs of which"},
		{"a checksum of something else", append(slices.Clone(body), 0, 0, 0, 0), "its checksum is of something else"},
		{"no checksum", []byte{packed4, 0, 0}, "it ends too early"},
		{"a flag that version 1 did not know", append([]byte{packed1, 8}, empty[2:]...), "unknown fields"},
		{"a flag that version 2 did not know", numbers(16, 0, 0), "unknown fields"},
		{"no last record is live", append([]byte{packed2, 8}, empty[2:]...), "unknown fields"},
		{"nothing but the version", []byte{packed2}, "it ends too early"},
		{"more counters than bytes", numbers(0, 1000), "more items than bytes"},
		{"fewer than none", numbers(0, -1), "more items than bytes"},
		{"a counter longer than what is left", numbers(0, 1, 5), "more items than bytes"},
		{"more sizes than bytes", numbers(0, 1, 0, math.MaxInt64), "more items than bytes"},
		{"a size has four numbers", numbers(0, 1, 0, 2, 0, 1, 0, 0, 0, 1, 0), "more items than bytes"},
		{"counters without a size are of sizes that got lost", numbers(0, 1, 0, 0), "counters that no size has"},
		{"so is one of two", append(numbers(0, 2, 0, 1), append([]byte{'x'}, numbers(0, 1, 0, 5, 0, 0)[2:]...)...), "counters that no size has"},
		{"they are numbered as they come", append(numbers(0, 2, 0, 1), append([]byte{'x'}, numbers(0, 2, 0, 5, 0, 2, 0, 0, 0, 0)[2:]...)...), "a size that cannot be"},
		{"the same counter twice", numbers(0, 2, 0, 0, 1, 0, 5, 0, 0), "a counter that is there twice"},
		{"no record is written as none", numbers(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, time.Time{}.UnixMicro()), "a last record of nothing"},
		{"0 in two bytes", []byte{packed2, 0, 0x80, 0, 0}, "a number that cannot be"},
		{"a size without a counter", numbers(0, 0, 1, 0, 5, 0, 0), "a size that cannot be"},
		{"a counter that is not there", numbers(0, 1, 0, 1, 0, 5, 0, 2), "a size that cannot be"},
		{"below no counter", numbers(0, 1, 0, 1, 0, 5, 0, -1), "a size that cannot be"},
		{"fewer users than none", numbers(0, 1, 0, 1, 0, -5, 0, 0), "a size that cannot be"},
		{"fewer read than none", numbers(0, 1, 0, 1, 0, 5, -1, 0), "a size that cannot be"},
		{"no check could judge by them", numbers(0, 1, 0, 2, 9, 5, 0, 0, -1, 0, 0, 0), "sizes out of order"},
		{"a number of eleven bytes", append([]byte{packed2, 0}, slices.Repeat([]byte{0xff}, 11)...), "a number that cannot be"},
	} {
		got, err := unpack(packedID.In(""), c.data)
		require.ErrorContains(t, err, c.want, c.reason)
		require.NotContains(t, err.Error(), "\n", c.reason)
		require.Equal(t, segment.SegmentState{Segment: packedID}, got, c.reason)
	}
}

// numbers are packed ones, after the version.
func numbers(flags byte, numbers ...int64) []byte {
	data := []byte{packed2, flags}
	for _, n := range numbers {
		data = binary.AppendVarint(data, n)
	}
	return data
}

func TestUnpackRefusesWhatIsCutAnywhere(t *testing.T) {
	full := fullState()
	for _, tracked := range []segment.SegmentState{full, {Baseline: full.Baseline}, {Last: full.Last}, {Accepted: full.Accepted}, {Excuses: full.Excuses}, {Runs: full.Runs}, {}} {
		good := pack(&tracked)
		for n := 1; n < len(good); n++ {
			got, err := unpack(packedID.In(""), good[:n])
			require.Error(t, err, "the first %d of %d bytes", n, len(good))
			require.Empty(t, got.Sizes)
		}
	}
}

// seal adds the checksum of all that is before it.
func seal(data []byte) []byte {
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// A bit that flips anywhere is noticed.
func TestUnpackRefusesAFlippedBit(t *testing.T) {
	full := fullState()
	good := pack(&full)
	for i := range good {
		for bit := range 8 {
			flipped := slices.Clone(good)
			if flipped[i] ^= 1 << bit; flipped[0] < packed4 && i == 0 { // a form that has no checksum
				continue
			}
			_, err := unpack(packedID.In(""), flipped)
			require.Error(t, err, "bit %d of byte %d", bit, i)
		}
	}
}

// FuzzUnpack reads anything: what is understood is written again as it was.
func FuzzUnpack(f *testing.F) {
	full := fullState()
	for _, t := range []segment.SegmentState{full, {}, {Baseline: full.Baseline}, {Last: full.Last}, {Accepted: full.Accepted}, {Excuses: full.Excuses}, {Runs: full.Runs}} {
		f.Add(pack(&t))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, seal(slices.Clone(data))} { // which no chance would make
			got, err := unpack(packedID.In(""), data)
			if err != nil {
				require.Equal(t, segment.SegmentState{Segment: packedID}, got)
				continue
			}
			packed := pack(&got)
			if data[0] == packed5 { // what is read of an earlier form is written in this one
				require.Equal(t, data, packed, "%+v", got)
			}
			again, err := unpack(packedID.In(""), packed)
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}

// FuzzPack packs anything that the library can come to know.
func FuzzPack(f *testing.F) {
	f.Add(uint64(1), uint8(60), "", "hll", "r", []byte("ann"), int64(0), true)
	f.Add(uint64(2), uint8(3), "\x00\xff", "日本", "\n", []byte(nil), int64(math.MinInt64), false)
	f.Fuzz(func(t *testing.T, seed uint64, sizes uint8, a, b, run string, why []byte, number int64, accepted bool) {
		want := randomState(rand.New(rand.NewPCG(seed, 0)), int(sizes), a, b)
		if run != "" {
			want.Last = segment.Record{Segment: packedID,
				RunID: run, Attempt: int(number), State: segment.RunState(a), JobID: b, JobKind: segment.JobKind(why), Build: a + b,
				Users: number, Read: -number, Counter: b, At: time.UnixMicro(number).UTC(),
			}
		}
		if accepted {
			want.Accepted = &segment.Decision{By: a, Why: string(why), At: time.UnixMicro(number).UTC()}
		}
		packed := pack(&want)
		got, err := unpack(packedID.In(""), packed)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, packed, pack(&got))
	})
}

// randomState has sizes of any distance, in order of time, by two counters.
func randomState(random *rand.Rand, sizes int, counters ...string) segment.SegmentState {
	t := segment.SegmentState{Segment: packedID}
	for range sizes {
		t.Sizes = append(t.Sizes, validate.Size{
			Users: random.Int64() >> random.IntN(64), Read: random.Int64() >> random.IntN(64),
			At:      time.UnixMicro(int64(random.Uint64()) >> random.IntN(64)).UTC(),
			Counter: counters[random.IntN(len(counters))], Unguarded: random.IntN(2) == 0,
			Vouched: random.IntN(2) == 0, Level: []validate.Level{"", validate.LevelNew, validate.LevelApart, "later"}[random.IntN(4)],
		})
	}
	slices.SortStableFunc(t.Sizes, func(a, b validate.Size) int { return a.At.Compare(b.At) })
	if random.IntN(2) == 0 && sizes > 1 {
		t.Candidates, t.Sizes = t.Sizes[:sizes/2:sizes/2], t.Sizes[sizes/2:]
		t.Runs = segment.Runs{RunID: counters[0], Runs: validate.Runs{Times: []time.Time{t.Candidates[0].At}, Good: t.Sizes[0].At, Failed: random.IntN(5)}}
	}
	return t
}
