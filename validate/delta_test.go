package validate_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

var changedAt = time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC)

// change returns an output that adds and removes users, and did so.
func change(last, removed, added, whole int64) validate.Output {
	return validate.Output{
		Name: "site-b/cars", Expected: validate.Count(added), Stored: validate.Count(added), At: changedAt,
		Delta: &validate.Delta{Last: validate.Count(last), Removed: validate.Count(removed), Remaining: validate.Count(0), Whole: validate.Count(whole)},
	}
}

func steady(users int64) (sizes []validate.Size) {
	const days = 20
	for day := range days {
		sizes = append(sizes, validate.Size{Users: users, At: changedAt.AddDate(0, 0, day-days)})
	}
	return sizes
}

func TestDelta(t *testing.T) {
	down := errors.New("connection refused")
	for _, c := range []struct {
		reason string
		out    validate.Output
		policy validate.Policy
		edit   func(*validate.Output)
		want   string // kinds that fail; empty: it passes
		warns  string
	}{
		{reason: "all were new, all removed were there", out: change(10_100, 100, 500, 10_500)},
		{reason: "all were there before, none of the removed", out: change(10_100, 100, 500, 10_100)},
		{reason: "none of the added is new, all removed were there", out: change(10_100, 100, 500, 10_000)},
		{reason: "one less than can be", out: change(10_100, 100, 500, 9_999), want: "short"},
		{reason: "one more than can be", out: change(10_100, 100, 500, 10_601), want: "surplus"},
		{reason: "one more is drift", out: change(10_100, 100, 500, 10_601), edit: func(o *validate.Output) { o.Delta.Drift.Surplus.Users = 1 }},
		{reason: "one less is drift", out: change(10_100, 100, 500, 9_999), edit: func(o *validate.Output) { o.Delta.Drift.Short.Share = 0.001 }},
		{reason: "all of it may be drift", out: change(10_100, 100, 500, 500), edit: func(o *validate.Output) { o.Delta.Drift.Short.Share = 1 }},
		{reason: "nothing, and it stood still", out: change(10_100, 0, 0, 10_100)},
		{reason: "nothing, and it did not", out: change(10_100, 0, 0, 10_099), want: "short"},
		{reason: "nothing was to be removed, and nobody looked", out: change(10_100, 0, 500, 10_600), edit: func(o *validate.Output) { o.Delta.Remaining = validate.Summary{} }},
		{reason: "one of the removed is still there", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Delta.Remaining = validate.Count(1) }, want: "surplus"},
		{reason: "of the added one is not there", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Stored = validate.Count(499) }, want: "short"},
		{reason: "none is there", out: change(10_100, 0, 500, 10_100), edit: func(o *validate.Output) { o.Stored = validate.Count(0) }, want: "short"},
		{reason: "more are there that were added than are there", out: change(10_000, 10_000, 500, 400), want: "short"},
		{reason: "the segment was lost by the way", out: change(10_100, 100, 500, 500), want: "short"},
		{reason: "it holds nobody", out: change(100, 100, 0, 0), want: "empty"},
		{reason: "it holds nobody, and never did", out: change(0, 0, 0, 0), policy: validate.Policy{AllowEmpty: true}},
		{reason: "it holds nobody, never did, and should", out: change(0, 0, 0, 0), want: "empty"},
		{reason: "it holds nobody, and did before", out: change(100, 100, 0, 0), policy: validate.Policy{AllowEmpty: true}, want: "empty"},
		{reason: "it holds nobody, and nobody knows of before", out: change(0, 0, 0, 0), policy: validate.Policy{AllowEmpty: true}, edit: func(o *validate.Output) { o.Delta.Last = validate.Unknown() }, want: "empty"},
		{reason: "it holds nobody, and that is excused", out: change(100, 100, 0, 0), edit: func(o *validate.Output) {
			o.Excuses = []validate.Excuse{{Empty: true, From: changedAt, Until: changedAt.AddDate(0, 0, 1)}}
		}, warns: "empty"},
		{reason: "nobody looked at the whole", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Unmeasured(down) }, want: "unverified"},
		{reason: "nobody looked at the removed", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Delta.Remaining = validate.Unknown() }, want: "unverified"},
		{reason: "nobody knows how many were removed", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Delta.Removed = validate.Unknown() }, want: "unverified"},
		{reason: "nor, then, how many are too few", out: change(10_100, 100, 500, 5_000), edit: func(o *validate.Output) { o.Delta.Removed = validate.Unknown() }, want: "unverified"},
		{reason: "bounds that can only be right", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Bounded(10_000, 10_600) }},
		{reason: "bounds that may be wrong", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Bounded(9_500, 10_499) }, want: "unverified"},
		{reason: "and are allowed to be", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Bounded(9_500, 10_499) }, policy: validate.Policy{AllowPossible: true}, warns: "unverified"},
		{reason: "bounds that can only be wrong", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Bounded(9_000, 9_999) }, policy: validate.Policy{AllowPossible: true}, want: "short"},
		{reason: "withheld who remains", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Delta.Remaining = validate.Bounded(0, 99) }, want: "unverified"},
		{reason: "withheld, and that is allowed", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) { o.Delta.Remaining = validate.Bounded(0, 99) }, policy: validate.Policy{AllowPossible: true}, warns: "unverified"},
		{reason: "an estimate within its error", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Estimate(10_300, 0.01) }, want: "unverified"},
		{reason: "an estimate far off", out: change(10_100, 100, 500, 0), edit: func(o *validate.Output) { o.Delta.Whole = validate.Estimate(5_300, 0.01) }, want: "short"},
		{reason: "an estimate of what was there, well within", out: change(0, 100, 500, 10_300), edit: func(o *validate.Output) { o.Delta.Last = validate.Estimate(10_100, 0.001) }},
		{reason: "an estimate of the removed, well within", out: change(10_100, 0, 500, 10_300), edit: func(o *validate.Output) { o.Delta.Removed = validate.Estimate(100, 0.1) }},
		{reason: "bounds that may be wrong, beside an estimate", out: change(10_100, 0, 500, 0), edit: func(o *validate.Output) {
			o.Delta.Removed, o.Delta.Whole = validate.Estimate(100, 0.1), validate.Bounded(9_500, 10_499)
		}, policy: validate.Policy{AllowPossible: true}, want: "unverified"},
		{reason: "nobody knows what was there: by its history", out: change(0, 100, 500, 10_300), edit: func(o *validate.Output) { o.Delta.Last = validate.Unknown(); o.Sizes = steady(10_200) }, warns: "unverified"},
		{reason: "nor has it a history", out: change(0, 100, 500, 10_300), edit: func(o *validate.Output) { o.Delta.Last = validate.Unknown() }, want: "unverified"},
		{reason: "it holds those who were added and nobody else", out: change(0, 0, 500, 500), edit: func(o *validate.Output) { o.Delta.Last = validate.Unknown() }},
		{reason: "it fell below its history, by those who were removed", out: change(10_200, 6_000, 500, 4_700), edit: func(o *validate.Output) { o.Sizes = steady(10_200) }, want: "dropped"},
		{reason: "it rose above its history, by those the source has", out: change(10_200, 0, 9_900, 20_100), edit: func(o *validate.Output) { o.Sizes = steady(10_200) }, warns: "risen"},
		{reason: "what was read is of the added, not of the whole", out: change(10_200, 0, 1000, 11_200), edit: func(o *validate.Output) {
			o.Read, o.Sizes = validate.Count(1000), steady(10_200)
			for i := range o.Sizes {
				o.Sizes[i].Read = 10_200
			}
		}},
		{reason: "the whole is from before the write", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) {
			o.WrittenAt = changedAt
			o.Stored, o.Delta.Remaining = o.Stored.AsOf(changedAt), o.Delta.Remaining.AsOf(changedAt)
			o.Delta.Whole = o.Delta.Whole.AsOf(changedAt.Add(-1))
		}, want: "unverified"},
		{reason: "all are complete", out: change(10_100, 100, 500, 10_500), edit: func(o *validate.Output) {
			o.WrittenAt = changedAt
			o.Stored, o.Delta.Remaining, o.Delta.Whole = o.Stored.AsOf(changedAt), o.Delta.Remaining.AsOf(changedAt), o.Delta.Whole.AsOf(changedAt)
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if c.edit != nil {
				c.edit(&c.out)
			}
			r, err := validate.Check(t.Context(), c.policy, c.out)
			var fails, warns []string
			for _, f := range r.Findings {
				require.Equal(t, f.Severity == validate.Warn && f.Kind != validate.Risen, f.Explains, "%v", f) // a rise asks for a look
				if f.Severity == validate.Warn {
					warns = append(warns, string(f.Kind))
				} else {
					fails = append(fails, string(f.Kind))
				}
			}
			require.Equal(t, c.want, strings.Join(fails, " "), "%v", err)
			require.Equal(t, c.warns, strings.Join(warns, " "), "%v", r)
			require.Equal(t, c.want == "", err == nil)
			require.Equal(t, err == nil && c.warns == "", validate.NoFindings(&c.policy, &c.out))
			require.Equal(t, c.out.Delta.Whole, r.Whole())

			text, err := json.Marshal(r)
			require.NoError(t, err)
			var again validate.Report
			require.NoError(t, json.Unmarshal(text, &again))
			require.Equal(t, r.Verdict(), again.Verdict())
			require.Equal(t, r.Whole().String(), again.Whole().String())
		})
	}
}

func TestDeltaText(t *testing.T) {
	out := change(10_100, 100, 500, 9_000)
	out.Delta.Remaining = validate.Count(3)
	r, err := validate.Check(t.Context(), validate.Policy{}, out)
	require.EqualError(t, err, "site-b/cars: of 100 users to be removed 3 still there (0 allowed); 9,000 users afterwards, where 10,100 before, less 100 and plus 500, are 10,000 to 10,600")
	require.Contains(t, r.String(), "  whole      9,000 users, before 10,100 users\n")
	require.Contains(t, r.String(), "  removed    100 users\n  remaining  3 users\n")
}

func TestDeltaBadInput(t *testing.T) {
	for field, edit := range map[string]func(*validate.Delta){
		"Output.Delta.Last":          func(d *validate.Delta) { d.Last = validate.Summary{} },
		"Output.Delta.Removed":       func(d *validate.Delta) { d.Removed = validate.Summary{} },
		"Output.Delta.Remaining":     func(d *validate.Delta) { d.Remaining = validate.Summary{} },
		"Output.Delta.Whole":         func(d *validate.Delta) { d.Whole = validate.Summary{} },
		"Output.Delta.Drift.Short":   func(d *validate.Delta) { d.Drift.Short.Users = -1 },
		"Output.Delta.Drift.Surplus": func(d *validate.Delta) { d.Drift.Surplus.Share = 1.1 },
	} {
		out := change(10_100, 100, 500, 10_500)
		edit(out.Delta)
		_, err := validate.Check(t.Context(), validate.Policy{}, out)
		var bad *validate.InputError
		require.ErrorAs(t, err, &bad, field)
		require.Equal(t, field, bad.Field)
	}
	out := change(10_100, 100, 500, 10_500)
	out.Delta.Whole = validate.Count(-1)
	_, err := validate.Check(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Unverified)
}

func TestAdmitDelta(t *testing.T) {
	out := change(10_100, 100, 500, 0)
	out.Stored, out.Delta.Whole, out.Delta.Remaining, out.Sizes = validate.Summary{}, validate.Summary{}, validate.Summary{}, steady(10_000)
	_, err := validate.Admit(t.Context(), validate.Policy{}, out)
	require.NoError(t, err, "500 is no fall from 10,000: they are added")
	out.Read = validate.Count(400)
	_, err = validate.Admit(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Short)
	out.Delta.Whole = validate.Count(5)
	_, err = validate.Admit(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Unverified)
}

// TestDeltaOracle holds random changes of sets of users against what they are.
func TestDeltaOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(most int) map[int]bool {
		users := map[int]bool{}
		for range random.IntN(most + 1) {
			users[random.IntN(40)] = true
		}
		return users
	}
	passed := 0
	for range 50_000 {
		before, removed, added := pick(30), pick(10), pick(10)
		after := map[int]bool{}
		for u := range before {
			after[u] = !removed[u] || added[u]
		}
		for u := range added {
			after[u] = true
		}
		for u := range removed {
			if added[u] {
				delete(removed, u) // who is added again was not removed
			}
		}
		broken := random.IntN(2) == 0
		if broken { // a few are lost, or come from nowhere, or stay
			for range 1 + random.IntN(3) {
				u := random.IntN(40)
				after[u] = !after[u]
			}
		}
		count := func(of, in map[int]bool) (n int64) {
			for u := range of {
				if in[u] {
					n++
				}
			}
			return n
		}
		whole := count(after, after)
		out := validate.Output{
			Expected: validate.Count(int64(len(added))), Stored: validate.Count(count(added, after)),
			Delta: &validate.Delta{
				Last: validate.Count(int64(len(before))), Removed: validate.Count(int64(len(removed))),
				Remaining: validate.Count(count(removed, after)), Whole: validate.Count(whole),
			},
		}
		_, err := validate.Check(t.Context(), validate.Policy{AllowEmpty: true}, out)
		empties := whole == 0 && len(before) > 0
		wrong := count(added, after) != int64(len(added)) || count(removed, after) > 0 ||
			whole < int64(len(before)-len(removed)) || whole > int64(len(before)+len(added)) || empties
		require.Equal(t, wrong, err != nil, "%+v: %v", out.Delta, err)
		require.False(t, !broken && err != nil && !empties, "what was done right passes")
		if err == nil {
			passed++
		}
	}
	require.Greater(t, passed, 10_000)
}
