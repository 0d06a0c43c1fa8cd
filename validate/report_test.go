package validate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestErrorText: one line that says what happened, where, and why.
func TestErrorText(t *testing.T) {
	type out = validate.Output
	const name = "site-b/cars"
	for _, c := range []struct {
		name   string
		policy validate.Policy
		output out
		want   string
	}{
		{
			name:   "the incident",
			output: out{Expected: count(812345), Read: count(10000), Stored: count(10000)},
			want:   "stored 10,000 of 812,345 users (98.8% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)",
		},
		{
			name:   "the other incident",
			output: out{Expected: count(52113), SelfReported: true, Stored: count(0)},
			want:   "stored 0 of 52,113 users (100% short, 0 allowed)",
		},
		{
			name:   "lost while storing",
			output: out{Expected: count(1200), Read: count(1200), Stored: count(1199)},
			want:   "stored 1,199 of 1,200 users (0.1% short, 0 allowed), lost while storing",
		},
		{
			name:   "lost twice",
			output: out{Expected: count(1200), Read: count(1100), Stored: count(700)},
			want:   "stored 700 of 1,200 users (41.7% short, 0 allowed), lost while reading and storing",
		},
		{
			name:   "mapped",
			policy: mapped,
			output: out{Expected: count(1200), Read: count(1200), Written: count(701), Stored: count(701)},
			want:   "mapped 701 of 1,200 users (58.4%, 840 to 1,140 allowed, 70% to 95%), lost while mapping",
		},
		{
			name:   "read capped, mapped",
			policy: mapped,
			output: out{Expected: count(812345), Read: count(10000), Written: count(8100), Stored: count(8100)},
			want:   "read 10,000 of 812,345 users (98.8% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)",
		},
		{
			name:   "mapped too many",
			policy: mapped,
			output: out{Expected: validate.Moving(count(1000), count(1200)), Written: count(1150), Stored: count(1150)},
			want:   "mapped 1,150 of 1,000 to 1,200 users (95.8%, 700 to 1,140 allowed, 70% to 95%)",
		},
		{
			name:   "mapped to nobody knows how many",
			policy: mapped,
			output: out{Expected: count(1200), Written: validate.Estimate(1138, 0.01), Stored: validate.Estimate(1138, 0.01)},
			want:   "could not be verified: mapped about 1,138 users ± 1% from 1,200 users: the counters' error of 34 users (three standard errors) is too wide where 840 to 1,140 are allowed; an exact count would decide it; stored about 1,138 users ± 1% where about 1,138 were mapped: the counters' error of 48 users (three standard errors) is too wide where exactly 1,138 are allowed; an exact count or a tolerance of 4.4% would decide it",
		},
		{
			name:   "surplus",
			policy: onePct,
			output: out{Expected: count(1000), Stored: count(1500)},
			want:   "stored 1,500 users where 1,000 were expected (50.0% surplus, 10 allowed)",
		},
		{
			name:   "surplus over nothing",
			output: out{Expected: count(0), Stored: count(1)},
			want:   "stored 1 user where 0 were expected (0 allowed)",
		},
		{
			name:   "whole pages lost their rest",
			output: out{Expected: count(812345), Stored: count(41000)},
			want:   "stored 41,000 of 812,345 users (95.0% short, 0 allowed), exactly 41 × 1,000, a known limit (Elasticsearch ES|QL LIMIT (default)): each page or shard may have been cut there",
		},
		{
			name:   "off its history",
			output: out{Expected: validate.Unknown(), Stored: count(2950), Sizes: flat(30, 5000), At: noon},
			want:   "off its history: 2,950 users, 41% below its lowest of the last week (5,000); in 30 sizes it never moved, so 4,500 to 5,550 are allowed",
		},
		{
			name:   "on a limit in a wide band",
			output: out{Expected: count(10000), Stored: count(10000), Sizes: flat(30, 11000), At: noon},
			want:   "capped at 10,000, a known limit (Elasticsearch index.max_result_window, …); off its history: 10,000 users, 9.1% below its lowest of the last week (11,000); in 30 sizes it never moved",
		},
		{
			name:   "off its last size",
			output: out{Expected: validate.Unknown(), Stored: count(2495), Sizes: growing(30, 1.04), At: noon},
			want:   "off its history: 2,495 users, 20% below the size before (3,118); in 29 sizes it never moved by more than 4.0%, so 2,610 to 3,890 are allowed",
		},
		{
			name:   "off a short history",
			output: out{Expected: validate.Unknown(), Stored: count(15000), Sizes: flat(2, 5000), At: noon},
			want:   "off its history: 15,000 users, 200% above its highest of the last week (5,000); in 2 sizes it never moved, so 3,180 to 8,630 are allowed",
		},
		{
			name:   "not verifiable",
			output: out{Expected: count(5), Stored: validate.Unmeasured(errors.New("connection refused"))},
			want:   "could not be verified: stored: not measured: connection refused",
		},
		{
			name:   "stale",
			output: out{Expected: count(5), Stored: count(5).AsOf(noon), WrittenAt: noon.Add(time.Minute)},
			want:   "could not be verified: stored is complete up to 2024-03-18T12:00:00Z, and the last write was acknowledged at 2024-03-18T12:01:00Z: read it back again later",
		},
		{
			name:   "too coarse",
			output: out{Expected: count(100000), Stored: validate.Estimate(99700, 0.004)},
			want:   "could not be verified: stored about 99,700 users ± 0.4% where 100,000 were expected: the counters' error of 1,196 users (three standard errors) is too wide where exactly 100,000 are allowed; an exact count or a tolerance of 1.5% would decide it",
		},
		{
			name:   "other users",
			output: out{Expected: printed(5, md5Of(1)), Stored: printed(5, md5Of(2))},
			want:   "stored as many users as expected, but not the same ones: their fingerprints differ, and a Digest on both sides would tell by how many",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.output.Name = name
			report, err := validate.Check(t.Context(), c.policy, c.output)
			require.EqualError(t, err, name+": "+c.want)
			for range 3 {
				_, again := validate.Check(t.Context(), c.policy, c.output)
				require.EqualError(t, again, err.Error(), "always the same")
			}
			requireRoundTrip(t, report, err)
		})
	}
}

// TestErrorIsOneLine: whatever others put into it.
func TestErrorIsOneLine(t *testing.T) {
	outage := errors.Join(errors.New("replica 1: timeout"), errors.New("replica 2:\r\n\ttimeout"))
	report, err := validate.Check(t.Context(), validate.Policy{Caps: []validate.Cap{{Users: 4, Origin: "our\npage"}}}, validate.Output{
		Name: "site-b/fast\ncars", Expected: count(5), Read: validate.Unmeasured(outage), Stored: count(4),
	})
	require.EqualError(t, err, "site-b/fast; cars: stored 4 of 5 users (20.0% short, 0 allowed): capped at 4, a known limit (our; page); could not be verified: read: not measured: replica 1: timeout; replica 2:; timeout")
	require.ErrorIs(t, err, outage)
	require.Len(t, strings.Split(report.String(), "\n"), 1+3+3, "three sides, three findings")
	requireRoundTrip(t, report, err)
}

// TestBadPolicyInJSON: the report of a policy that JSON has no numbers for.
func TestBadPolicyInJSON(t *testing.T) {
	for _, p := range []validate.Policy{
		{Tolerance: validate.Within(math.NaN())},
		{Mapping: validate.Ratio{Max: math.Inf(1)}},
	} {
		report, err := validate.Check(t.Context(), p, validate.Output{Name: "site-b/cars", Expected: count(5), Stored: count(5)})
		require.ErrorContains(t, err, "want 0")
		requireRoundTrip(t, report, err)
	}
}

// TestLaggingInJSON: a queue that kept the report still knows that reading back
// later may help.
func TestLaggingInJSON(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: count(5), Stored: count(5).AsOf(noon), WrittenAt: noon.Add(time.Minute),
	})
	require.ErrorIs(t, err, validate.ErrLagging)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	var back validate.Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.ErrorIs(t, &validate.Error{Report: back}, validate.ErrLagging)
}

// requireRoundTrip: a report read back judges equal.
func requireRoundTrip(t *testing.T, report validate.Report, err error) {
	t.Helper()
	text, marshalErr := json.Marshal(report)
	require.NoError(t, marshalErr)
	var back validate.Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, report.Passed(), back.Passed())
	require.Equal(t, report.String(), back.String())
	again, marshalErr := json.Marshal(back)
	require.NoError(t, marshalErr)
	require.JSONEq(t, string(text), string(again))
	if err == nil {
		return
	}
	rebuilt := error(&validate.Error{Report: back})
	require.EqualError(t, rebuilt, err.Error())
	for _, kind := range allKinds {
		require.Equal(t, errors.Is(err, kind), errors.Is(rebuilt, kind), "%v", kind)
	}
}

var allKinds = []validate.Kind{
	validate.Empty, validate.Truncated, validate.Capped, validate.Gap, validate.Repeated, validate.Different,
	validate.Short, validate.Surplus, validate.Dropped, validate.Risen, validate.Stale, validate.Leaking, validate.Frozen, validate.Unverified,
}

// TestReportsThatNoCheckWrites: what contradicts itself is refused, and leaves the
// report as it was.
func TestReportsThatNoCheckWrites(t *testing.T) {
	five := `"expected":{"users":5},"stored":{"users":5}`
	for text, says := range map[string]string{
		`{"verdict":"good",` + five + `}`: `verdict is "good", want "passed" or "failed"`,
		`{"verdict":"passed"}`:            "nothing was expected",
		`{"verdict":"failed",` + five + `,"findings":[{"kind":"short","severity":"warn","detail":"d"}]}`: "no finding fails",
		`{"verdict":"failed",` + five + `}`:                                                                         "no finding fails",
		`{"verdict":"passed",` + five + `,"same_users":true}`:                                                       "nobody knows which users",
		`{"verdict":"passed",` + five + `,"band":{"low":6,"high":5,"points":3}}`:                                    "band is 6 to 5",
		`{"verdict":"passed",` + five + `,"band":{"low":-1,"high":5,"points":3}}`:                                   "band is -1 to 5",
		`{"verdict":"passed",` + five + `,"band":{"low":1,"high":5,"points":-3}}`:                                   "by -3 sizes",
		`{"verdict":"passed",` + five + `,"policy":{"tolerance":{"short":{"share":2}}}}`:                            "Policy.Tolerance.Short.Share is 2",
		`{"verdict":"passed",` + five + `,"policy":{"mapping":{"min":2,"max":1}}}`:                                  "Policy.Mapping is 2 to 1",
		`{"verdict":"passed","expected":{"users":5,"users_upper":4},"stored":{"users":5}}`:                          "users",
		`{"verdict":"passed","expected":{"users":5,"fingerprint":"a:0-0-0-0"},"stored":{"users":5}}`:                "fingerprint",
		`{"verdict":"passed","expected":{"users":5,"moving":[{"users":5},{"users":6}]},"stored":{"users":5}}`:       "of another side",
		`{"verdict":"passed","expected":{"users":5,"rel_err":-1},"stored":{"users":5}}`:                             "relErr is -1",
		`{"verdict":"passed","expected":{"users":5,"as_of":"2024-03-18T12:00:00Z","lag_unknown":true},"stored":{}}`: "of another side",
	} {
		before := validate.Report{Name: "as it was"}
		r := before
		require.ErrorContains(t, json.Unmarshal([]byte(text), &r), says, text)
		require.Equal(t, before, r)
	}
	for _, finding := range []string{`{"kind":"short","severity":"fail","detail":"d"}`, `{"kind":"short","detail":"d"}`, `{"kind":"later","severity":"grave","detail":"d"}`} {
		var r validate.Report // as a caller may add findings to what passed
		require.NoError(t, json.Unmarshal([]byte(`{"verdict":"passed",`+five+`,"findings":[`+finding+`]}`), &r))
		require.Equal(t, validate.VerdictFailed, r.Verdict())
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.Contains(t, string(text), `"verdict":"failed"`)
	}
}

// growing is n days, each so much larger than the one before.
func growing(n int, factor float64) []validate.Size {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = int64(1000 * math.Pow(factor, float64(i)))
	}
	return daily(sizes...)
}

func TestReportText(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(0.05)}, validate.Output{
		Name: "site-b/cars", Expected: count(10100), Read: count(10100), Stored: count(10000), Sizes: flat(30, 30000), At: noon,
	})
	require.Error(t, err)
	origins := ""
	for _, c := range validate.KnownCaps() {
		if c.Users == 10000 {
			if origins != "" {
				origins += ", "
			}
			origins += c.Origin
		}
	}
	require.Equal(t, `site-b/cars: failed
  expected   10,100 users
  read       10,100 users
  stored     10,000 users
  history    27,010 to 33,321 users allowed, by 30 earlier sizes
  capped     warning at store: capped at 10,000, a known limit (`+origins+`)
  capped     at size: capped at 10,000, a known limit (`+origins+`)
  dropped    at size: 10,000 users, 67% below its lowest of the last week (30,000); in 30 sizes it never moved, so 27,000 to 33,300 are allowed`, report.String())
	require.EqualError(t, err, "site-b/cars: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …); off its history: 10,000 users, 67% below its lowest of the last week (30,000); in 30 sizes it never moved, so 27,000 to 33,300 are allowed")
	requireRoundTrip(t, report, err)
}

func TestPassedReport(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Name: "site-b/cars", Expected: printed(5, md5Of(1)), Stored: printed(5, md5Of(1)),
	})
	require.NoError(t, err)
	require.True(t, report.SameUsers)
	require.Equal(t, `site-b/cars: passed
  expected   5 users
  stored     5 users
  users      the same, by their fingerprints`, report.String())
	requireRoundTrip(t, report, nil)
}

func TestErrorMatchesFailuresOnly(t *testing.T) {
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: count(2301), Stored: count(2300), Sizes: flat(30, 5000), At: noon,
	})
	require.ErrorIs(t, err, validate.Short)
	require.NotErrorIs(t, err, validate.Dropped, "that only warned, as Expected vouches for the size")
	failed, ok := errors.AsType[*validate.Error](fmt.Errorf("job 7: %w", err))
	require.True(t, ok)
	require.Equal(t, int64(2300), failed.Report.Stored.Users())
	require.NotErrorIs(t, err, errors.New("short"), "only a Kind matches")
}

func TestReportLogs(t *testing.T) {
	report, _ := validate.Check(t.Context(), validate.Policy{}, validate.Output{Name: "site-b/cars", Expected: count(5), Stored: count(4)})
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("checked", "report", report)
	require.Contains(t, b.String(), `report.name=site-b/cars report.verdict=failed report.expected="5 users" report.stored="4 users" report.findings=[short] report.error="site-b/cars: stored 4 of 5 users (20.0% short, 0 allowed)"`)
}

func TestLogger(t *testing.T) {
	for level, out := range map[string]validate.Output{
		"INFO":  {Expected: count(5), Stored: count(5)},
		"WARN":  {Expected: count(5000), Stored: count(5000), Sizes: flat(30, 90000), At: noon},
		"ERROR": {Expected: count(5), Stored: count(4)},
	} {
		var b bytes.Buffer
		v, err := validate.New(validate.Config{Logger: slog.New(slog.NewTextHandler(&b, nil))})
		require.NoError(t, err)
		policy := validate.Policy{OffHistory: validate.OffHistoryWarns}
		if level == "WARN" {
			out.Stored, out.Expected = count(5001), count(5001) // off a known cap
		}
		_, err = v.Check(t.Context(), policy, out)
		require.Equal(t, level == "ERROR", err != nil)
		require.Contains(t, b.String(), "level="+level)
	}
}

func TestZeroValidator(t *testing.T) {
	var v validate.Validator
	_, err := v.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(4)})
	require.ErrorIs(t, err, validate.Short)
	_, err = v.Admit(t.Context(), validate.Policy{}, validate.Output{Expected: count(5)})
	require.NoError(t, err)
}

// TestGravity: the kinds are ordered as their constants are.
func TestGravity(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: count(812345), Read: count(10000), Stored: count(0), Sizes: flat(3, 800000), At: noon,
	})
	require.Error(t, err)
	rank := func(f validate.Finding) int { return slices.Index(allKinds, f.Kind) }
	require.True(t, slices.IsSortedFunc(report.Findings, func(a, b validate.Finding) int { return rank(a) - rank(b) }), "%v", report)
}

// TestCausesAreThoseOfFailures: an error is what made it fail, not what was only
// worth a warning.
func TestCausesAreThoseOfFailures(t *testing.T) {
	slow, down := errors.New("slow"), errors.New("down")
	err := &validate.Error{Report: validate.Report{Findings: []validate.Finding{
		{Kind: validate.Short, Severity: validate.Fail},
		{Kind: validate.Unverified, Severity: validate.Warn, Cause: slow},
		{Kind: validate.Unverified, Severity: validate.Fail, Cause: down},
	}}}
	require.Equal(t, []error{down}, err.Unwrap())
	require.NotErrorIs(t, err, slow)
}

// TestOverallShortfall: where users were lost while reading, what is stored of
// the expected is what counts, unless nobody knows that or it is no shortfall.
func TestOverallShortfall(t *testing.T) {
	short := validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 50}, Surplus: validate.Margin{Users: 50}}}
	for _, c := range []struct {
		stored validate.Summary
		want   string
	}{
		{count(80), "stored 80 of 100 users"},
		{count(100), "read 90 of 100 users"},
		{count(120), "read 90 of 100 users"},
		{validate.Unknown(), "read 90 of 100 users"},
	} {
		_, err := validate.Check(t.Context(), short, validate.Output{Expected: count(100), Read: count(90), Stored: c.stored})
		require.ErrorContains(t, err, c.want)
	}
}

// TestOneLimitIsNamedAlone: only of many limits at one number is there more to
// say.
func TestOneLimitIsNamedAlone(t *testing.T) {
	policy := validate.Policy{Caps: []validate.Cap{{Users: 1237, Origin: "the mail tool"}}}
	_, err := validate.Check(t.Context(), policy, validate.Output{Expected: count(5000), Stored: count(1237)})
	require.ErrorContains(t, err, "capped at 1,237, a known limit (the mail tool)")
}

// TestPassedReportLogsNoFindings: what is empty is left out.
func TestPassedReportLogsNoFindings(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5)})
	require.NoError(t, err)
	for _, attr := range report.LogValue().Group() {
		require.NotEqual(t, "findings", attr.Key)
	}
}

func FuzzReportJSON(f *testing.F) {
	for _, text := range []string{`{}`, `{"verdict":"passed"}`, `{"verdict":"failed","findings":[{"kind":"short","severity":"fail","step":"store","detail":"d","cause":"c"}]}`, `{"verdict":"passed","findings":[{"kind":"short"}]}`, `{"verdict":"failed","findings":[{"kind":"short","step":"nowhere"},{"kind":"capped","caps":[{"users":1,"origin":"a"},{"users":1,"origin":"b"}]}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r validate.Report
		if json.Unmarshal(text, &r) != nil {
			require.False(t, r.Passed())
			return
		}
		requireRoundTrip(t, r, &validate.Error{Report: r})
		for _, finding := range r.Findings {
			require.False(t, finding.Severity != validate.Warn && r.Passed())
		}
	})
}
