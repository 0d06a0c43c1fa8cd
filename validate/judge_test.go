package validate_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// letters is a side whose users are the letters of a text.
func letters(text string) validate.Summary {
	return digest(strings.Split(text, "")).Summary()
}

// TestEdgesOfVerdicts are outputs on either side of a rule's edge.
func TestEdgesOfVerdicts(t *testing.T) {
	type out = validate.Output
	short := func(n int64) validate.Tolerance { return validate.Tolerance{Short: validate.Margin{Users: n}} }
	surplus := func(n int64) validate.Tolerance { return validate.Tolerance{Surplus: validate.Margin{Users: n}} }
	users := func(n int64) validate.Tolerance {
		return validate.Tolerance{Short: validate.Margin{Users: n}, Surplus: validate.Margin{Users: n}}
	}
	for _, c := range []verdictCase{
		{
			name: "unknown after a write", reason: "nothing was read back, so it is not that it lags behind",
			output: out{Expected: count(5), Stored: validate.Unknown(), WrittenAt: noon},
			want:   []string{"unverified@store"},
		},
		{
			name: "complete up to the write", reason: "AsOf is the time up to which it is complete",
			output: out{Expected: count(5), Stored: count(5).AsOf(noon), WrittenAt: noon},
		},
		{
			name: "rows read twice are rows", reason: "only a policy says that a user counts once",
			output: out{Expected: count(3), Read: letters("aab"), Stored: count(3)},
		},
		{
			name: "rows read twice where a user counts once", reason: "the numbers of rows are equal only because a came again",
			policy: validate.Policy{Distinct: true},
			output: out{Expected: count(3), Read: letters("aab"), Stored: count(2)},
			want:   []string{"short@read"},
		},
		{
			name: "on a cap that a moving side ended at", reason: "it holds all that there was at last",
			policy: validate.Policy{Tolerance: validate.Within(0.06)},
			output: out{Expected: validate.Moving(count(950), count(1000)), Stored: count(1000)},
		},
		{
			name: "read on a cap of 1,000 within the tolerance", reason: "from 1,000 on it is no chance",
			policy: validate.Policy{Reading: validate.Within(0.05), Tolerance: validate.Within(0.05)},
			output: out{Expected: count(1010), Read: count(1000), Stored: count(1000)},
			want:   []string{"capped@read"},
		},
		{
			name: "as many rows of other distinct users", reason: "where a user counts once, rows that are as many prove nothing",
			policy: validate.Policy{Distinct: true},
			output: out{Expected: letters("aab"), Stored: letters("abc")},
			want:   []string{"surplus@store"},
		},
		{
			name: "tolerances of two steps", reason: "between the source and the store lie the reading and the storing",
			policy: validate.Policy{Reading: users(2), Tolerance: users(1)},
			output: out{Expected: letters("abcdefghij"), Read: count(10), Stored: letters("abcdefgxyz")},
		},
		{
			name: "more exchanged than the tolerances of two steps", reason: "three are allowed",
			policy: validate.Policy{Reading: users(2), Tolerance: users(1)},
			output: out{Expected: letters("abcdefghij"), Read: count(10), Stored: letters("abcdefwxyz")},
			want:   []string{"different@store"},
		},
		{
			name: "tolerances of two steps that allow no surplus", reason: "whoever came in place of another is one",
			policy: validate.Policy{Reading: short(2), Tolerance: short(1)},
			output: out{Expected: letters("abcdefghij"), Read: count(10), Stored: letters("abcdefghix")},
			want:   []string{"different@store"},
		},
		{
			name: "tolerances of two steps that allow no shortage", reason: "whoever is gone is one",
			policy: validate.Policy{Reading: surplus(2), Tolerance: surplus(1)},
			output: out{Expected: letters("abcdefghij"), Read: count(10), Stored: letters("abcdefghix")},
			want:   []string{"different@store"},
		},
		{
			name: "fewer by what may be missing", reason: "that many came in place of none",
			policy: validate.Policy{Tolerance: short(5)},
			output: out{Expected: letters("abcdefghij"), Stored: letters("acdefgh")},
		},
		{
			name: "other users after a short read", reason: "a count that failed at one step says nothing of the users at the next",
			output: out{Expected: count(100), Read: printed(90, md5Of(1)), Stored: printed(90, md5Of(2))},
			want:   []string{"different@store", "short@read"},
		},
		{
			name: "a margin beyond all integers", reason: "what is allowed must not wrap around",
			policy: validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: math.MaxInt64}, Surplus: validate.Margin{Users: math.MaxInt64}}},
			output: out{Expected: count(5), Stored: count(math.MaxInt64)},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// TestCloserLookIsNotWasted: where both digests tell what differs, nobody looks
// again; where one side is only a fingerprint, whichever side can is looked at.
func TestCloserLookIsNotWasted(t *testing.T) {
	source, lost := users(3000, 1), users(3000, 1)[:2500]
	for _, c := range []struct {
		reason                 string
		expected, stored       []string
		printed                bool // sides are fingerprints, as an engine makes them
		lookExpected, lookLost bool
		looks                  int
	}{
		{"digests say all", source, lost, false, true, true, 0},
		{"the same users", source, slices.Clone(source), true, true, true, 0},
		{"the source can be looked at", source, lost, true, true, false, 1},
		{"the store can be looked at", source, lost, true, false, true, 1},
		{"both can", source, lost, true, true, true, 2},
		{"neither can", source, lost, true, false, false, 0},
	} {
		looks := 0
		side := func(users []string, look bool) validate.Summary {
			s := digest(users).Summary()
			exact := s
			if c.printed {
				s = validate.Fingerprinted(s.Users(), s.Fingerprint())
			}
			if !look {
				return s
			}
			return s.WithRemeasure(func(context.Context) (validate.Summary, error) {
				looks++
				return exact, nil
			})
		}
		_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: side(c.expected, c.lookExpected), Stored: side(c.stored, c.lookLost),
		})
		require.Equal(t, len(c.expected) != len(c.stored), err != nil, c.reason)
		require.Equal(t, c.looks, looks, c.reason)
	}
}

// TestCloserLookAtAnotherSize: a side that has moved by the second look says
// nothing about the first, in whichever direction it moved.
func TestCloserLookAtAnotherSize(t *testing.T) {
	source := users(3000, 1)
	expected := digest(source).Summary()
	stored := digest(source[:2500]).Summary()
	for reason, again := range map[string]validate.Summary{
		"more users":      digest(source).Summary(),
		"fewer users":     digest(source[:2400]).Summary(),
		"not measured":    {},
		"moves":           validate.Moving(count(2500), count(2600)),
		"moves, up to it": validate.Moving(count(2400), count(2500)),
	} {
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: validate.Fingerprinted(3000, expected.Fingerprint()),
			Stored: validate.Fingerprinted(2500, stored.Fingerprint()).WithRemeasure(func(context.Context) (validate.Summary, error) {
				return again, nil
			}),
		})
		require.ErrorIs(t, err, validate.Short, reason)
		require.Contains(t, report.String(), "were measured, and then", reason)
	}
}

// TestVerdictTexts: what a finding says is what was measured and allowed.
func TestVerdictTexts(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy validate.Policy
		output validate.Output
		want   string
	}{
		{
			"exact mapping", validate.Policy{},
			validate.Output{Expected: count(100), Read: count(100), Written: count(90), Stored: count(90)},
			"mapped 90 of 100 users (10.0% short, 0 allowed), lost while mapping",
		},
		{
			"one expected", validate.Policy{},
			validate.Output{Expected: count(1), Stored: count(2)},
			"stored 2 users where 1 was expected (100% surplus, 0 allowed)",
		},
		{
			"two expected", validate.Policy{},
			validate.Output{Expected: count(2), Stored: count(3)},
			"stored 3 users where 2 were expected",
		},
		{
			"one at least expected", validate.Policy{},
			validate.Output{Expected: validate.Moving(count(1), count(3)), Stored: count(9)},
			"stored 9 users where 1 to 3 were expected",
		},
		{
			"none to one expected", validate.Policy{},
			validate.Output{Expected: validate.Moving(count(0), count(1)), Stored: count(9)},
			"stored 9 users where 0 to 1 were expected",
		},
	} {
		_, err := validate.Check(t.Context(), c.policy, c.output)
		require.ErrorContains(t, err, c.want, c.name)
	}
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: validate.Estimate(math.MaxInt64, 1)})
	require.ErrorContains(t, err, "the counters' error of 9,223,372,036,854,775,807 users (three standard errors) is too wide", "an error beyond int64 stays a number")
}
