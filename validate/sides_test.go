package validate_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// native is a fingerprint by an engine's own hash.
func native(users int64, n uint64) validate.Summary {
	return printed(users, validate.Fingerprint{Hash: "postgresql/hashtextextended(0,1)", Sum: [4]uint64{n, 1}})
}

// TestHashesOnTheWay: sides by different hashes are compared where both ends of the
// way are by one, and else nothing is proven.
func TestHashesOnTheWay(t *testing.T) {
	type out = validate.Output
	read := func(users int64) validate.Summary { return printed(users, xxh3Of(7)) }
	for _, c := range []verdictCase{
		{
			name: "both ends alike", reason: "equal Expected and Stored prove the whole way",
			output: out{Expected: native(1000, 7), Read: read(1000), Stored: native(1000, 7)},
		},
		{
			name: "both ends alike, a side between short", reason: "Read is judged by its count",
			output: out{Expected: native(1000, 7), Read: read(999), Stored: native(1000, 7)},
			want:   []string{"short@read", "surplus@store"},
		},
		{
			name: "both ends differ", reason: "the users are compared over the side between",
			output: out{Expected: native(1000, 7), Read: read(1000), Stored: native(1000, 8)},
			want:   []string{"different@store"},
		},
		{
			name: "the source by another hash", reason: "what was read is proven stored, and not that it is what the source holds",
			output: out{Expected: native(1000, 7), Read: read(1000), Stored: read(1000)},
			want:   []string{"unverified@read"},
		},
		{
			name: "the store by another hash", reason: "the same at the other step, said once",
			output: out{Expected: read(1000), Read: read(1000), Stored: native(1000, 7)},
			want:   []string{"unverified@store"},
		},
		{
			name: "three hashes", reason: "said once, not for each step",
			output: out{Expected: native(1000, 7), Read: read(1000), Stored: printed(1000, md5Of(7))},
			want:   []string{"unverified@read"},
		},
		{
			name: "ids mapped", reason: "beyond a Mapping are other ids, so that the ends prove nothing of the reading",
			policy: validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}},
			output: out{Expected: native(1000, 7), Read: read(1000), Written: count(1000), Stored: native(1000, 7)},
			want:   []string{"unverified@read"},
		},
		{
			name: "written by the engine's hash", reason: "what was set out to be stored is compared with the source",
			output: out{Expected: native(1000, 7), Read: read(1000), Written: native(1000, 8), Stored: native(1000, 8)},
			want:   []string{"different@map"},
		},
	} {
		t.Run(c.name, c.run)
	}
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: native(5, 7), Stored: read(5)})
	require.ErrorContains(t, err, "take both by validate.MD5", "the message names the method")
	_, err = validate.Admit(t.Context(), validate.Policy{}, validate.Output{Expected: native(5, 7), Read: read(5)})
	require.NoError(t, err, "what will be stored may prove the way")
}

// TestSameUsers: only where Stored is proven to hold just the users of Expected.
func TestSameUsers(t *testing.T) {
	type out = validate.Output
	abc, print := letters("abc"), printed(3, letters("abc").Fingerprint())
	for _, c := range []struct {
		reason string
		policy validate.Policy
		output out
		same   bool
	}{
		{"both ends", validate.Policy{}, out{Expected: abc, Stored: print}, true},
		{"over a side between", validate.Policy{}, out{Expected: abc, Read: print, Stored: print}, true},
		{"over a count", validate.Policy{}, out{Expected: abc, Read: count(3), Stored: print}, true},
		{"over another hash", validate.Policy{}, out{Expected: native(3, 7), Read: print, Stored: native(3, 7)}, true},
		{"the source was counted", validate.Policy{}, out{Expected: count(3), Read: abc, Stored: print}, false},
		{"fewer were read, and these are stored", validate.Policy{}, out{Expected: letters("abcd"), Read: abc, Stored: print}, false},
		{"fewer were read, as allowed", validate.Policy{Reading: validate.Within(0.5)}, out{Expected: letters("abcd"), Read: abc, Stored: print}, false},
		{"other ids are stored", validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}}, out{Expected: abc, Read: abc, Written: letters("xyz"), Stored: letters("xyz")}, false},
		{"each once", validate.Policy{Distinct: true}, out{Expected: letters("abca"), Stored: letters("bac")}, true},
		{"each once of what was read", validate.Policy{Distinct: true}, out{Expected: count(4), Read: letters("abca"), Stored: letters("bac")}, false},
		{"each once of all that was read", validate.Policy{Distinct: true}, out{Expected: letters("abca"), Read: letters("aabc"), Stored: print}, true},
	} {
		report, _ := validate.Check(t.Context(), c.policy, c.output)
		require.Equal(t, c.same, report.SameUsers, "%s\n%v", c.reason, report)
	}
}

// TestLookThatNamesNoUsers: two engines' fingerprints differ, and a second look
// that only counts decides nothing.
func TestLookThatNamesNoUsers(t *testing.T) {
	for reason, look := range map[string]validate.Summary{
		"a count": count(100), "an estimate": validate.Estimate(100, 0.01), "unknown": validate.Unknown(),
	} {
		report, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(0.05)}, validate.Output{
			Expected: printed(100, md5Of(1)),
			Stored: printed(100, md5Of(2)).WithRemeasure(func(context.Context) (validate.Summary, error) {
				return look, nil
			}),
		})
		require.ErrorIs(t, err, validate.Unverified, "%s: %v", reason, report)
	}
}

// TestRepeatsWithinASurplus: users stored twice are in nobody's place.
func TestRepeatsWithinASurplus(t *testing.T) {
	source := users(20, 1)
	twice := digest(append(users(20, 1), source...)).Summary()
	policy := func(more int64) validate.Policy {
		return validate.Policy{Tolerance: validate.Tolerance{Surplus: validate.Margin{Users: more}}}
	}
	out := validate.Output{Expected: digest(source).Summary(), Stored: twice}
	report, err := validate.Check(t.Context(), policy(50), out)
	require.NoError(t, err)
	require.Equal(t, []string{"repeated@store?"}, found(report))
	report, err = validate.Check(t.Context(), policy(19), out)
	require.Error(t, err)
	require.Equal(t, []string{"repeated@store", "surplus@store"}, found(report))
}
