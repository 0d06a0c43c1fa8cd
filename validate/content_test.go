package validate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// detail is what a report says of a kind.
func detail(t *testing.T, r validate.Report, kind validate.Kind) validate.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f validate.Finding) bool { return f.Kind == kind })
	require.GreaterOrEqual(t, i, 0, "no %s in %v", kind, r)
	return r.Findings[i]
}

// TestKnownStoryBeatsALikelyOne: a multiple of a limit is a likely story, which
// stands where nothing better is known.
func TestKnownStoryBeatsALikelyOne(t *testing.T) {
	policy := validate.Policy{Caps: []validate.Cap{{Users: 1237, Origin: "the mail tool"}}}
	source := users(5000, 1)
	expected, stored := digest(source).Summary(), digest(source[:2*1237]).Summary()
	report, err := validate.Check(t.Context(), policy, validate.Output{Expected: expected, Stored: stored})
	require.ErrorIs(t, err, validate.Truncated)
	require.Empty(t, detail(t, report, validate.Short).Hint, "the first 2,474 users are there: that is what happened")

	report, err = validate.Check(t.Context(), policy, validate.Output{
		Expected: printed(5000, expected.Fingerprint()), Stored: printed(2*1237, stored.Fingerprint()),
	})
	require.NotErrorIs(t, err, validate.Truncated)
	require.Contains(t, detail(t, report, validate.Short).Hint, "exactly 2 × 1,237, a known limit (the mail tool)")
}

// replaced exchanges every so many users for new ones.
func replaced(source []string, every int) []string {
	all := slices.Clone(source)
	for i := every / 2; i < len(all); i += every {
		all[i] = fmt.Sprint("new ", i)
	}
	return all
}

// TestHowManyUsersWereReplaced: what is known of how many is said, and what
// would tell more.
func TestHowManyUsersWereReplaced(t *testing.T) {
	source := users(20_000, 1)
	some := digest(replaced(source, 100)).Summary()
	expected := digest(source).Summary()
	by := func(n int64) validate.Policy {
		return validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: n}, Surplus: validate.Margin{Users: n}}}
	}
	check := func(p validate.Policy, expected, stored validate.Summary) (validate.Report, error) {
		return validate.Check(t.Context(), p, validate.Output{Expected: expected, Stored: stored})
	}
	bare := func(s validate.Summary) validate.Summary { return printed(s.Users(), s.Fingerprint()) }

	report, err := check(validate.Policy{}, bare(expected), bare(some))
	require.ErrorIs(t, err, validate.Different)
	require.Equal(t, "stored as many users as expected, but not the same ones: their fingerprints differ, and a Digest on both sides would tell by how many", detail(t, report, validate.Different).Detail)

	report, err = check(validate.Policy{}, expected, some)
	require.ErrorIs(t, err, validate.Different)
	require.Equal(t, "stored as many users as expected, but not the same ones: 200 are missing (0 allowed) and 200 are stored that should not be (0 allowed)", detail(t, report, validate.Different).Detail)

	report, err = check(by(5), bare(expected), bare(some))
	require.ErrorIs(t, err, validate.Unverified)
	require.Contains(t, detail(t, report, validate.Unverified).Detail, "fingerprints alone cannot show by how many: 1 to 20,000 of 20,000 users may be missing (5 allowed)")

	one := digest(replaced(source, len(source))).Summary()
	_, err = check(by(1), expected, one)
	require.NoError(t, err)
	_, err = check(by(100), expected, one)
	require.NoError(t, err)
	_, err = check(by(200), expected, some)
	require.NoError(t, err)
	_, err = check(by(199), expected, some)
	require.ErrorIs(t, err, validate.Different, "200 were replaced")
}

// TestReadingToleranceIsForReading: what reading may lose, storing may not, where
// it is known what was read; and reading may lose it once.
func TestReadingToleranceIsForReading(t *testing.T) {
	source := users(1000, 1)
	exchanged := func(n int) validate.Summary {
		all := slices.Clone(source)
		for i, stranger := range users(n, 2) {
			all[100*i+7] = stranger
		}
		return digest(all).Summary()
	}
	all := digest(source).Summary()
	five := validate.Margin{Users: 5}
	policy := validate.Policy{Reading: validate.Tolerance{Short: five, Surplus: five}}
	for _, c := range []struct {
		reason       string
		read, stored validate.Summary
		found        []string
	}{
		{"five were read in place of others", exchanged(5), exchanged(5), []string{}},
		{"eight were", exchanged(8), exchanged(8), []string{"different@read"}},
		{"one is stored in place of another that was read", all, exchanged(1), []string{"different@store"}},
		{"five where the read users are not known", validate.Count(1000), exchanged(5), []string{}},
		{"eight where the read users are not known", validate.Count(1000), exchanged(8), []string{"different@store"}},
		{"five where nothing is known of what was read", validate.Unknown(), exchanged(5), []string{"different@store"}},
	} {
		report, err := validate.Check(t.Context(), policy, validate.Output{Expected: digest(source).Summary(), Read: c.read, Stored: c.stored})
		require.Equal(t, c.found, found(report), c.reason)
		require.Equal(t, len(c.found) == 0, err == nil, c.reason)
	}
}

// TestProvenExchangeWithinATolerance: what sums prove without samples is judged
// by its number, and may be just what is allowed.
func TestProvenExchangeWithinATolerance(t *testing.T) {
	source := users(50_000, 1)
	stored := digest(slices.Concat(source[:7000], source[3000:4000], source[8000:])).Summary()
	for allowed, want := range map[int64][]string{
		1000: {"gap@store?", "repeated@store?"},
		999:  {"gap@store?", "repeated@store?", "different@store"},
	} {
		margin := validate.Margin{Users: allowed}
		report, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Tolerance{Short: margin, Surplus: margin}}, validate.Output{
			Expected: digest(source).Summary(), Stored: printed(stored.Users(), stored.Fingerprint()),
		})
		require.Equal(t, want, found(report), "%d allowed", allowed)
		require.Equal(t, allowed == 1000, err == nil)
	}
}

// TestStrangersBesides: where users are missing, too, strangers are told by number.
func TestStrangersBesides(t *testing.T) {
	source := users(20_000, 1)
	stored := append(lose(0.25)(source), users(2000, 2)...) // one in 8.5
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: digest(source).Summary(), Stored: digest(shuffled(stored)).Summary()})
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, "2,000 are stored that should not be (0 allowed)", detail(t, report, validate.Different).Detail)
}

// TestHintsOfOtherSteps: what is known of one step takes no hint from another.
func TestHintsOfOtherSteps(t *testing.T) {
	policy := validate.Policy{Caps: []validate.Cap{{Users: 1237, Origin: "the mail tool"}}}
	read := users(2*1237, 1)
	report, err := validate.Check(t.Context(), policy, validate.Output{
		Expected: count(5000), Read: digest(read).Summary(), Stored: digest(read[:1111]).Summary(),
	})
	require.ErrorIs(t, err, validate.Truncated)
	require.Equal(t, "read", detail(t, report, validate.Short).Step)
	require.Contains(t, detail(t, report, validate.Short).Hint, "exactly 2 × 1,237, a known limit (the mail tool)")
}
