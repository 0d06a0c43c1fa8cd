package validate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// except returns the users of all that are none of gone.
func except(all, gone []string) []string {
	left := map[string]bool{}
	for _, u := range gone {
		left[u] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(u string) bool { return left[u] })
}

// offset reads a source in pages by OFFSET, while some users leave it between the
// pages and others join at its end; whoever leaves ahead of the offset shifts one
// user who stays past the reader.
func offset(source []string, page int, leave, join []string) (read, after []string) {
	now, pages := source, len(source)/page+1
	for i := 0; i*page < len(now); i++ {
		read = append(read, now[i*page:min(len(now), (i+1)*page)]...)
		now = except(source, leave[:min(len(leave), len(leave)*(i+1)/pages)])
	}
	return read, append(slices.Clone(now), join...)
}

// keyset reads a source in the order of its users: whoever stays is read. Of those
// who leave, half are gone before the reader comes to them.
func keyset(source, leave, join []string) (read, after []string) {
	read = append(except(source, leave[:len(leave)/2]), join[:len(join)/2]...)
	return read, append(except(read, leave), join[len(join)/2:]...)
}

// TestMovingSource: users who were in the source all the time, and were not read,
// are found exactly; whoever left or joined is never blamed.
func TestMovingSource(t *testing.T) {
	for _, size := range []int{2000, 30_000} {
		for _, leaving := range []int{0, 10, size / 15} {
			for _, joining := range []int{0, size / 50} {
				source, join := users(size, 1), users(joining, 2)
				leave := source[:leaving] // they come first, so that each shifts a page
				moving := func(after []string) validate.Summary {
					return validate.Moving(digest(source).Summary(), digest(shuffled(after)).Summary())
				}
				read, after := keyset(source, leave, join)
				report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
					Expected: moving(after), Read: digest(read).Summary(), Stored: digest(shuffled(read)).Summary(),
				})
				require.NoError(t, err, "%d, %d left, %d joined: %v", size, leaving, joining, report)

				read, after = offset(source, 1000, leave, join)
				lost := missing(source, after, read)
				report, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{
					Expected: moving(after), Read: digest(read).Summary(), Stored: digest(shuffled(read)).Summary(),
				})
				require.Equal(t, lost == 0, err == nil, "%d, %d left, %d joined: %v", size, leaving, joining, report)
				if lost > 0 {
					require.ErrorIs(t, err, validate.Short)
					require.Contains(t, strings.ReplaceAll(err.Error(), ",", ""), fmt.Sprintf(" and %d in the source before and after", lost))
					require.ErrorContains(t, err, "lost while reading")
				}
				_, err = validate.Check(t.Context(), validate.Policy{Reading: validate.Tolerance{Short: validate.Margin{Users: int64(lost)}}}, validate.Output{
					Expected: moving(after), Read: digest(read).Summary(), Stored: digest(read).Summary(),
				})
				require.NoError(t, err, "all that are missing are allowed to be")
				_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{
					Expected: moving(after), Read: digest(append(slices.Clone(source), source[:3]...)).Summary(), Stored: count(int64(size + 3)),
				})
				require.ErrorIs(t, err, validate.Surplus, "three came twice")
			}
		}
	}
}

// missing is how many users of both are not in read.
func missing(before, after, read []string) (n int) {
	there := map[string]int{}
	for _, u := range before {
		there[u] |= 1
	}
	for _, u := range after {
		there[u] |= 2
	}
	for _, u := range read {
		there[u] |= 4
	}
	for _, in := range there {
		if in == 3 {
			n++
		}
	}
	return n
}

// TestMovingVerdicts: what counts, fingerprints and digests of a source that moved
// prove.
func TestMovingVerdicts(t *testing.T) {
	type out = validate.Output
	moving := func(before, after string) validate.Summary { return validate.Moving(letters(before), letters(after)) }
	short := func(n int64) validate.Policy {
		return validate.Policy{Reading: validate.Tolerance{Short: validate.Margin{Users: n}}}
	}
	for _, c := range []verdictCase{
		{
			name: "read as it was", reason: "whoever left may have been read",
			output: out{Expected: moving("abcdef", "abcd"), Read: letters("abcdef"), Stored: letters("fedcba")},
		},
		{
			name: "read as it became", reason: "whoever left need not have been",
			output: out{Expected: moving("abcdef", "abcd"), Read: letters("abcd"), Stored: letters("abcd")},
		},
		{
			name: "skipped", reason: "c was there all the time, though the number is one of the two",
			output: out{Expected: moving("abcdef", "bcdef"), Read: letters("abdef"), Stored: letters("abdef")},
			want:   []string{"short@read"},
		},
		{
			name: "skipped, with another in its place", reason: "c for y, who joined: the number is right",
			output: out{Expected: moving("abcdef", "abcdey"), Read: letters("abdefy"), Stored: letters("abdefy")},
			want:   []string{"short@read"},
		},
		{
			name: "a stranger", reason: "z was there neither before nor after",
			output: out{Expected: moving("abcdef", "abcde"), Read: letters("abcdez"), Stored: letters("abcdez")},
			want:   []string{"surplus@read"},
		},
		{
			name: "came and left meanwhile", reason: "nobody can tell it from a stranger, so Reading must allow it",
			policy: validate.Policy{Reading: validate.Tolerance{Surplus: validate.Margin{Users: 1}}},
			output: out{Expected: moving("abcdef", "abcde"), Read: letters("abcdez"), Stored: letters("abcdez")},
		},
		{
			name: "as many as allowed", reason: "the margins are inclusive",
			policy: short(1), output: out{Expected: moving("abcdef", "bcdef"), Read: letters("abdef"), Stored: letters("abdef")},
		},
		{
			name: "one more than allowed", reason: "and end there",
			policy: short(1), output: out{Expected: moving("abcdef", "bcdef"), Read: letters("abef"), Stored: letters("abef")},
			want: []string{"short@read"},
		},
		{
			name: "a user twice before, once after", reason: "once is enough",
			output: out{Expected: moving("aabc", "abcd"), Read: letters("abc"), Stored: letters("abc")},
		},
		{
			name: "a user once before, twice after, three times read", reason: "twice may be",
			output: out{Expected: moving("abc", "aabc"), Read: letters("aaabc"), Stored: letters("aaabc")},
			want:   []string{"surplus@read"},
		},
		{
			name: "as many, others", reason: "a source of ten all the time moved, too",
			output: out{Expected: moving("abcdefghij", "klcdefghij"), Read: count(10), Stored: count(10)},
			want:   []string{"unverified@read"},
		},
		{
			name: "as many, others, allowed", reason: "two left and two joined, and so many may be missing, and so many be there twice",
			policy: validate.Policy{Reading: validate.Within(0.25)},
			output: out{Expected: moving("abcdefghij", "klcdefghij"), Read: count(10), Stored: count(10)},
		},
		{
			name: "fingerprints by an engine", reason: "they differ, and nobody knows by how many",
			policy: validate.Policy{Reading: validate.Within(0.25)},
			output: out{Expected: validate.Moving(printed(10, md5Of(1)), printed(10, md5Of(2))), Read: count(10), Stored: count(10)},
			want:   []string{"unverified@read"},
		},
		{
			name: "counted while it was read, digested when stored", reason: "what is stored decides on the whole way",
			output: out{Expected: moving("abcdef", "abcd"), Read: count(5), Stored: letters("abcde")},
		},
		{
			name: "the same, and one skipped", reason: "a was there all the time",
			output: out{Expected: moving("abcdef", "abcd"), Read: count(5), Stored: letters("bcdef")},
			want:   []string{"short@store"},
		},
		{
			name: "read by another hash", reason: "nothing can be compared",
			output: out{Expected: moving("abcdef", "abcd"), Read: printed(5, md5Of(7)), Stored: printed(5, md5Of(7))},
			want:   []string{"unverified@read", "unverified@read"},
		},
		{
			name: "stored by a bare fingerprint", reason: "it cannot show who is missing",
			output: out{Expected: moving("abcdef", "abcd"), Stored: printed(5, letters("abcde").Fingerprint())},
			want:   []string{"unverified@store", "unverified@store"},
		},
		{
			name: "stored once each", reason: "where a user counts once, both a are one",
			policy: validate.Policy{Distinct: true},
			output: out{Expected: moving("aabcdef", "aabcd"), Stored: letters("abcd")},
		},
		{
			name: "below both", reason: "fewer than there ever were",
			output: out{Expected: moving("abcdef", "abcd"), Read: letters("abc"), Stored: letters("abc")},
			want:   []string{"short@read"},
		},
		{
			name: "it did not move", reason: "equal fingerprints before and after",
			output: out{Expected: moving("abc", "cab"), Stored: letters("bca")},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// TestMovingTooMuch: more differ than can be compared one by one. Then a sampled
// user who was skipped proves a loss, and what may be missing passes only where all
// of it is allowed.
func TestMovingTooMuch(t *testing.T) {
	source := users(300_000, 1)
	after := append(slices.Clone(source[60_000:]), users(60_000, 2)...)
	expected := validate.Moving(digest(source).Summary(), digest(after).Summary())
	check := func(p validate.Policy, read []string) (validate.Report, error) {
		return validate.Check(t.Context(), p, validate.Output{Expected: expected, Read: digest(read).Summary(), Stored: digest(read).Summary()})
	}
	read := slices.Concat(source[30_000:], users(60_000, 2)[:30_000]) // half-way between
	_, err := check(validate.Policy{}, read)
	require.ErrorIs(t, err, validate.Unverified, "nothing is lost, and nobody can know")
	require.ErrorContains(t, err, "in the source before and after")
	require.ErrorContains(t, err, "left")
	_, err = check(validate.Policy{Reading: validate.Within(0.2)}, read)
	require.NoError(t, err, "more than can be missing is allowed to be")
	lost := slices.Concat(read[:100_000], read[150_000:])
	_, err = check(validate.Policy{}, lost)
	require.ErrorIs(t, err, validate.Short, "sampled users are missing")
	_, err = check(validate.Policy{Reading: validate.Within(0.2)}, lost)
	require.Error(t, err, "50,000 of 300,000 are within a fifth, but not for certain: %v", err)
}
