package validate_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestSummaryText(t *testing.T) {
	for want, s := range map[string]validate.Summary{
		"not measured":                      {},
		"unknown":                           validate.Unknown(),
		"0 users":                           count(0),
		"1 user":                            count(1),
		"812,345 users":                     count(812345),
		"about 100,000 users ± 0.4%":        validate.Estimate(100000, 0.004),
		"1,000 to 1,100 users":              validate.Moving(count(1100), count(1000)),
		"about 990 to 1,000 users ± 0.81%":  validate.Moving(validate.Estimate(1000, 0.0081), count(990)),
		"invalid: -1 users, want 0 or more": count(-1),
		"not measured: connection refused":  validate.Unmeasured(errors.New("connection refused")),
	} {
		require.Equal(t, want, s.String())
	}
}

func TestSummaryAccessors(t *testing.T) {
	require.True(t, validate.Summary{}.IsZero())
	require.False(t, count(0).IsZero(), "zero users were measured")
	require.True(t, validate.Unknown().IsUnknown())
	require.False(t, count(0).IsUnknown())
	s := printed(7, md5Of(3)).AsOf(noon)
	require.Equal(t, int64(7), s.Users())
	require.Equal(t, md5Of(3), s.Fingerprint())
	require.Equal(t, noon, s.CompleteUpTo())
	require.InDelta(t, 0.02, validate.Estimate(7, 0.02).RelErr(), 0)
	lower, upper := validate.Moving(count(9), count(4)).Range()
	require.Equal(t, []int64{4, 9}, []int64{lower, upper})
}

// TestMoving: a side that did not move keeps its users, one that did has none
// to compare.
func TestMoving(t *testing.T) {
	still := validate.Moving(printed(5, md5Of(1)).AsOf(noon), printed(5, md5Of(1)).AsOf(noon.Add(time.Hour)))
	require.Equal(t, md5Of(1), still.Fingerprint(), "it did not move")
	require.Equal(t, noon, still.CompleteUpTo(), "as complete as the older of the two")
	require.Zero(t, validate.Moving(printed(5, md5Of(1)), printed(5, md5Of(2))).Fingerprint(), "other users")
	require.Zero(t, validate.Moving(printed(5, md5Of(1)), printed(6, md5Of(1))).Fingerprint(), "other numbers")
	require.True(t, validate.Moving(validate.Unknown(), count(5)).IsUnknown())
	require.Equal(t, count(5), validate.Moving(count(5), count(5)))
}

func TestSummaryJSON(t *testing.T) {
	for want, s := range map[string]validate.Summary{
		`null`:                           {},
		`{"unknown":true}`:               validate.Unknown(),
		`{"users":0}`:                    count(0),
		`{"users":812345}`:               count(812345),
		`{"users":1000,"rel_err":0.004}`: validate.Estimate(1000, 0.004),
		`{"users":4,"users_upper":9,"moving":[{"users":9},{"users":4}]}`:                                           validate.Moving(count(9), count(4)),
		`{"users":4,"users_upper":9,"bounded":true}`:                                                               validate.Bounded(4, 9),
		`{"users":5,"lag_unknown":true}`:                                                                           count(5).LagUnknown(),
		`{"invalid":"-1 users, want 0 or more"}`:                                                                   count(-1),
		`{"users":5,"as_of":"2024-03-18T12:00:00Z"}`:                                                               count(5).AsOf(noon),
		`{"users":5,"fingerprint":"md5x4/v1:0000000000000007-0000000000000001-0000000000000002-0000000000000003"}`: printed(5, md5Of(7)),
	} {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.JSONEq(t, want, string(text))
		var back validate.Summary
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, s, back)
	}
	text, err := json.Marshal(validate.Unmeasured(errors.New("gone")))
	require.NoError(t, err)
	var back validate.Summary
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, "not measured: gone", back.String())
}

// TestSummaryRefuses: what no Summary writes is read as none.
func TestSummaryRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		`{}`:                       `no "users"`,
		`{"users":-1}`:             "-1 users",
		`{"users":5,"rel_err":-1}`: "relErr is -1",
		`{"users":5,"rel_err":0.1,"fingerprint":"m:00000000000000ab-0000000000000001-0000000000000002-0000000000000003"}`:   "of another side",
		`{"users":5,"fingerprint":"md5x4/v1:0000000000000000-0000000000000000-0000000000000000-0000000000000000"}`:          "the sums of the fingerprint are 0",
		`{"users":5,"users_upper":6,"fingerprint":"m:00000000000000ab-0000000000000001-0000000000000002-0000000000000003"}`: "of another side",
		`{"users":0,"fingerprint":"md5x4/v1:0000000000000001-0000000000000000-0000000000000000-0000000000000000"}`:          "are not 0 for 0 users",
		`{"users":5,"fingerprint":"xxh3-128/v1:0000000000000001-0000000000000000-0000000000000000-0000000000000001"}`:       "has 4 sums, want 2",
		`{"users":5,"bounded":true}`:                                          "of another side",
		`{"users":7,"users_upper":9,"bounded":true,"rel_err":0.1}`:            "of another side",
		`{"users":4,"users_upper":9,"moving":[{"users":9}]}`:                  "of another side",
		`{"users":4,"users_upper":9,"moving":[{"users":9},{"users":5}]}`:      "of another side",
		`{"users":4,"users_upper":9,"moving":[{"users":9},{"unknown":true}]}`: "of another side",
		`{"users":4,"users_upper":9,"moving":[{"users":9},null]}`:             "not measured",
		`{"unknown":true,"users":5}`:                                          "of another side",
		`{"unknown":true,"rel_err":0.1}`:                                      "of another side",
		`{"invalid":"x","users":5}`:                                           "of another side",
		`{"users":5,"as_of":"0000-03-18T12:00:00Z"}`:                          "years 1 to 9999",
		`{"users":5,"lag_unknown":true,"as_of":"2024-03-18T12:00:00Z"}`:       "of another side",
		`{"users":5,"users_upper":4}`:                                         "the higher bound last",
		`{"users":"5"}`:                                                       "string",
		`{"users":5.5}`:                                                       "5.5",
		`[]`:                                                                  "array",
		`{"users":5,"fingerprint":"md5"}`:                                     "hash:sum-sum-sum-sum",
		`{"users":5,"fingerprint":"md5:1-2-3"}`:                               "3 sums, want 4",
		`{"users":5,"fingerprint":"m:000000000000000G-0000000000000001-0000000000000002-0000000000000003"}`:  "sum 1: want 16 lower-case",
		`{"users":5,"fingerprint":"m:00000000000000ab-0000000000000001-0000000000000002-00000000000003"}`:    "sum 4: want 16 lower-case",
		`{"users":5,"fingerprint":"m:00000000000000ab-0000000000000001-00000000000000020-0000000000000003"}`: "sum 3: want 16 lower-case",
		`{"users":5,"fingerprint":"m:00000000000000AB-0000000000000001-0000000000000002-0000000000000003"}`:  "sum 1: want 16 lower-case",
	} {
		var s validate.Summary
		require.ErrorContains(t, json.Unmarshal([]byte(text), &s), reason, text)
		require.True(t, s.IsZero(), "nothing half-read")
	}
}

// TestFingerprintOfNobody: an engine sums nothing up to 0, and that is right.
func TestFingerprintOfNobody(t *testing.T) {
	for _, hash := range []validate.Hash{validate.XXH3, validate.MD5} {
		report, err := validate.Check(t.Context(), validate.Policy{AllowEmpty: true}, validate.Output{
			Expected: validate.NewDigest(hash).Summary(), Stored: printed(0, validate.Fingerprint{Hash: hash}),
		})
		require.NoError(t, err)
		require.True(t, report.SameUsers)
	}
}

func FuzzFingerprintText(f *testing.F) {
	f.Add("md5x4/v1", uint64(1), uint64(2), uint64(3), uint64(math.MaxUint64))
	f.Add("engine:function(0,1)", uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add("", uint64(5), uint64(0), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, hash string, a, b, c, d uint64) {
		want := validate.Fingerprint{Hash: validate.Hash(hash), Sum: [4]uint64{a, b, c, d}}
		text, err := want.MarshalText()
		require.NoError(t, err)
		var got validate.Fingerprint
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, want, got)
	})
}

// TestUpperMayBeUsers: a side that moved by nothing is one that was counted.
func TestUpperMayBeUsers(t *testing.T) {
	var s validate.Summary
	require.NoError(t, json.Unmarshal([]byte(`{"users":5,"users_upper":5}`), &s))
	require.Equal(t, validate.Count(5), s)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"users":5,"users_upper":4}`), &s), "the higher bound last")
}

func FuzzSummaryJSON(f *testing.F) {
	for _, s := range []string{`null`, `{"users":5,"rel_err":0.1,"users_upper":7,"as_of":"2024-03-18T12:00:00Z"}`, `{"unknown":true}`, `{"invalid":"x"}`,
		`{"users":4,"users_upper":9,"bounded":true}`, `{"users":4,"users_upper":9,"moving":[{"users":9},{"users":4}]}`, `{"users":5,"lag_unknown":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s validate.Summary
		if json.Unmarshal(text, &s) != nil {
			return
		}
		again, err := json.Marshal(s)
		require.NoError(t, err)
		var back validate.Summary
		require.NoError(t, json.Unmarshal(again, &back))
		require.Equal(t, s.String(), back.String())
	})
}
