package validate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestDistinctUsersAreTheSame: where a store keeps a user once, the same users
// are those of whom none is missing and none was added.
func TestDistinctUsersAreTheSame(t *testing.T) {
	one := validate.Margin{Users: 1}
	loose := validate.Policy{Distinct: true, Tolerance: validate.Tolerance{Short: one, Surplus: one}}
	for _, c := range []struct {
		reason           string
		policy           validate.Policy
		expected, stored validate.Summary
		same             bool
		found            []string
	}{
		{"as many as were counted, and more than a sample holds", validate.Policy{Distinct: true}, count(20_000), digest(users(20_000, 1)).Summary(), false, []string{}},
		{"fewer than were counted", validate.Policy{Distinct: true}, count(4), letters("abc"), false, []string{"short@store"}},
		{"more than were counted", validate.Policy{Distinct: true}, count(2), letters("abc"), false, []string{"surplus@store"}},
		{"a fingerprint of far fewer", validate.Policy{Distinct: true}, digest(users(20_000, 1)).Summary(), printed(5000, xxh3Of(2)), false, []string{"capped@store", "short@store"}},
		{"repeats are dropped", validate.Policy{Distinct: true}, letters("aab"), letters("ab"), true, []string{}},
		{"one is missing, as is allowed", loose, letters("abcdef"), letters("abcde"), false, []string{}},
		{"one was added, as is allowed", loose, letters("abcdef"), letters("abcdefg"), false, []string{}},
		{"two were exchanged", loose, letters("abcdef"), letters("abcdxy"), false, []string{"different@store"}},
		{
			"fingerprints of rows", validate.Policy{Distinct: true}, printed(5, xxh3Of(1)), printed(5, xxh3Of(2)), false,
			[]string{"unverified@store"},
		},
		{
			"all users of one side are known", validate.Policy{Distinct: true}, letters("abcde"), printed(5, xxh3Of(2)), false,
			[]string{"different@store"},
		},
		{
			"the fingerprint of each user once", validate.Policy{Distinct: true}, letters("aabc"), printed(3, letters("abc").Fingerprint()), true,
			[]string{},
		},
	} {
		report, err := validate.Check(t.Context(), c.policy, validate.Output{Expected: c.expected, Stored: c.stored})
		require.Equal(t, c.found, found(report), c.reason)
		require.Equal(t, len(c.found) == 0, err == nil, c.reason)
		require.Equal(t, c.same, report.SameUsers, c.reason)
	}
}

// TestOthersInAStoreThatKeepsAUserOnce: how many distinct users a source with repeats
// holds is an estimate. Where the store holds as many others, its number is neither too
// low nor too high by the error of that.
func TestOthersInAStoreThatKeepsAUserOnce(t *testing.T) {
	for _, n := range []int{12_000, 20_000, 33_000, 60_000, 140_000} {
		for seed := range uint64(6) {
			source := joined(seed, n)
			rows := slices.Concat(source, source[:n/40])
			report, err := judged(t, validate.Policy{Distinct: true}, rows, joined(seed+1000, n))
			require.ErrorIs(t, err, validate.Different, "%v", report)
			require.NotErrorIs(t, err, validate.Short, "%v", report)
			require.NotErrorIs(t, err, validate.Surplus, "%v", report)
		}
	}
}
