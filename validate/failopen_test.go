package validate_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestFailOpen holds the ways to fail open that are known from other tools. Each
// output is broken, and each must fail.
func TestFailOpen(t *testing.T) {
	type out = validate.Output
	self := func(stored int64, history []validate.Size) out {
		return out{Expected: count(stored), SelfReported: true, Stored: count(stored), Sizes: history, At: noon}
	}
	for _, c := range []struct {
		name   string
		reason string
		policy validate.Policy
		output out
	}{
		{
			name: "empty through a ratio", reason: "0 of 0 is NaN, and every comparison with NaN is false",
			policy: validate.Policy{Tolerance: validate.Within(0.5)}, output: out{Expected: count(0), Stored: count(0)},
		},
		{
			name: "empty through a ratio to expected", reason: "nothing stored is not 100% within any tolerance",
			policy: validate.Policy{Tolerance: validate.Within(1)}, output: out{Expected: count(10), Stored: count(0)},
		},
		{
			name: "observed as the denominator", reason: "100 more than 100 is 50% of the observed 200, and 100% of the expected 100",
			policy: validate.Policy{Tolerance: validate.Within(0.5)}, output: out{Expected: count(100), Stored: count(200)},
		},
		{
			name: "no rows, no check", reason: "a history without rows does not make an unknown size right",
			output: out{Expected: validate.Unknown(), Stored: count(10000), Sizes: []validate.Size{}},
		},
		{
			name: "previous value small", reason: "a segment of 40 that doubles tenfold is judged like any other",
			output: self(4000, flat(30, 40)),
		},
		{
			name: "previous value small, then none", reason: "3 users gone are still all users",
			policy: emptiable, output: self(0, flat(30, 3)),
		},
		{
			name: "baseline contains the value", reason: "a size later than the output is not its history",
			output: out{Expected: count(10), SelfReported: true, Stored: count(10), At: noon.Add(-time.Hour), Sizes: append(flat(9, 5000), validate.Size{Users: 10, At: noon})},
		},
		{
			name: "baseline contains the very value", reason: "a size of the very time of the output may be the output",
			output: self(17, append(flat(30, 5000), validate.Size{Users: 17, At: noon})),
		},
		{
			name: "another counter saw them", reason: "sizes by different counters differ, but none of them is zero",
			policy: emptiable,
			output: out{Expected: count(0), SelfReported: true, Stored: count(0), Counter: "ids", Sizes: flat(30, 5000), At: noon},
		},
		{
			name: "baseline poisoned by a cap", reason: "the second day at the cap is as wrong as the first",
			output: self(10000, daily(1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 10000)),
		},
		{
			name: "baseline poisoned by nothing", reason: "the second empty day is as wrong as the first",
			policy: emptiable, output: self(0, daily(1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 0)),
		},
		{
			name: "zero variance", reason: "a constant history does not make every size usual",
			output: self(2500, flat(30, 5000)),
		},
		{
			name: "warm-up", reason: "one earlier size is enough to see a halving",
			output: self(2400, flat(1, 5000)),
		},
		{
			name: "same instant", reason: "a gap of no time must not become a margin of NaN or none",
			output: out{Expected: count(10), SelfReported: true, Stored: count(10), At: noon, Sizes: []validate.Size{{Users: 5000, At: noon}}},
		},
		{
			name: "negative gap", reason: "the square root of a negative gap is NaN, and every comparison with it false",
			output: out{Expected: count(10), SelfReported: true, Stored: count(10), At: noon.AddDate(-1, 0, 0), Sizes: flat(30, 5000)},
		},
		{
			name: "lagging store", reason: "the old count equals the expected one, and tells nothing of this write",
			output: out{Expected: count(5000), Stored: count(5000).AsOf(noon.AddDate(0, 0, -1)), WrittenAt: noon},
		},
		{
			name: "stored equals what was read", reason: "the incident: the read stopped, and all that was read was stored",
			output: out{Expected: count(812345), Read: count(10000), Stored: count(10000)},
		},
		{
			name: "blank hash", reason: "two fingerprints of nothing are equal",
			output: out{Expected: printed(5, validate.Fingerprint{Sum: [4]uint64{9}}), Stored: printed(5, validate.Fingerprint{Sum: [4]uint64{9}})},
		},
		{
			name: "no sums", reason: "NULL sums read as 0, and 0 equals 0",
			output: out{Expected: printed(5, validate.Fingerprint{Hash: validate.MD5}), Stored: printed(5, validate.Fingerprint{Hash: validate.MD5})},
		},
		{
			name: "fingerprint skipped", reason: "other hashes must not turn into a comparison of counts",
			output: out{Expected: printed(5, md5Of(1)), Stored: printed(5, xxh3Of(1))},
		},
		{
			name: "infinite error", reason: "an error so large that it becomes infinite covers every difference",
			policy: validate.Policy{Tolerance: validate.Within(1)}, output: out{Expected: count(5), Stored: validate.Estimate(math.MaxInt64, math.MaxFloat64)},
		},
		{
			name: "overflowing margin", reason: "expected plus allowed beyond int64 must not become negative, nor a pass",
			policy: validate.Policy{Tolerance: validate.Tolerance{Surplus: validate.Margin{Users: math.MaxInt64}}},
			output: out{Expected: count(math.MaxInt64), Stored: count(5)},
		},
		{name: "nothing at all", reason: "the zero output", output: out{}},
		{
			name: "side forgotten between", reason: "what was written is held against what was expected if nobody measured the read",
			output: out{Expected: count(50000), Written: count(20001), Stored: count(20001)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := validate.Check(t.Context(), c.policy, c.output)
			require.Error(t, err, c.reason)
			require.False(t, report.Passed(), c.reason)
		})
	}
}

// TestRepair: the repair must not be flagged instead of the fault.
func TestRepair(t *testing.T) {
	weeks := []int64{1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6}
	for name, bad := range map[string][]int64{
		"cap":     {10000, 10000},
		"nothing": {0, 0},
		"half":    {500000, 500000},
		"a rerun": {10000, 1e6, 10000},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := validate.Check(t.Context(), validate.Policy{OffHistory: validate.OffHistoryFails}, validate.Output{
				Expected: count(1e6), SelfReported: true, Stored: count(1e6), Sizes: daily(append(weeks, bad...)...), At: noon,
			})
			require.NoError(t, err, "%v", report)
		})
	}
}

// TestSpike: a segment of exactly as many users as some limit allows has that
// size again after it had twice as many for a day.
func TestSpike(t *testing.T) {
	for after := range 40 {
		sizes := append(flat(30, 10000), validate.Size{Users: 20000, At: noon})
		for day := range after {
			sizes = append(sizes, validate.Size{Users: 10000, At: noon.AddDate(0, 0, 1+day)})
		}
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: count(10000), SelfReported: true, Stored: count(10000), Sizes: sizes, At: noon.AddDate(0, 0, 1+after),
		})
		require.NoError(t, err, "%d days after: %v", after, report)
	}
}

// TestNothingReadsAsPassed: what was never finished, and what was read from
// nothing, has not passed; nor does a severity nobody knows let anything pass.
func TestNothingReadsAsPassed(t *testing.T) {
	require.False(t, validate.Report{}.Passed(), "the zero report")
	for _, text := range []string{`{}`, `null`, `{"verdict":""}`, `{"name":"x","stored":{"users":5},"expected":{"users":5}}`} {
		var r validate.Report
		require.NoError(t, json.Unmarshal([]byte(text), &r), text)
		require.False(t, r.Passed(), text)
		require.ErrorContains(t, &validate.Error{Report: r}, "could not be verified")
	}
	for _, text := range []string{`{"verdict":"passed"}`, `{"verdict":"failed","policy":{"off_history":"x"}}`, `{"verdict":"ok"}`, `[]`, `"passed"`, `{"verdict":true}`, ``, `{"verdict":"passed"`} {
		var r validate.Report
		require.Error(t, json.Unmarshal([]byte(text), &r), text)
		require.False(t, r.Passed(), text)
	}
	for severity, passes := range map[string]bool{"warn": true, "fail": false, "": false, "info": false} {
		var r validate.Report
		text := `{"verdict":"passed","expected":{"users":5},"findings":[{"kind":"short","severity":"` + severity + `","detail":"d"}]}`
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		require.Equal(t, passes, r.Passed(), "severity %q", severity)
	}
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5)})
	require.NoError(t, err)
	report.Findings = append(report.Findings, validate.Finding{Kind: validate.Unverified})
	require.False(t, report.Passed(), "a finding added later counts")
}
