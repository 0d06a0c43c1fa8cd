package validate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

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
	abc, same := letters("abc"), printed(3, letters("abc").Fingerprint())
	for _, c := range []struct {
		reason string
		policy validate.Policy
		output out
		same   bool
	}{
		{"both ends", validate.Policy{}, out{Expected: abc, Stored: same}, true},
		{"over a side between", validate.Policy{}, out{Expected: abc, Read: same, Stored: same}, true},
		{"over a count", validate.Policy{}, out{Expected: abc, Read: count(3), Stored: same}, true},
		{"over another hash", validate.Policy{}, out{Expected: native(3, 7), Read: same, Stored: native(3, 7)}, true},
		{"the source was counted", validate.Policy{}, out{Expected: count(3), Read: abc, Stored: same}, false},
		{"fewer were read, and these are stored", validate.Policy{}, out{Expected: letters("abcd"), Read: abc, Stored: same}, false},
		{"fewer were read, as allowed", validate.Policy{Reading: validate.Within(0.5)}, out{Expected: letters("abcd"), Read: abc, Stored: same}, false},
		{"other ids are stored", validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}}, out{Expected: abc, Read: abc, Written: letters("xyz"), Stored: letters("xyz")}, false},
		{"each once", validate.Policy{Distinct: true}, out{Expected: letters("abca"), Stored: letters("bac")}, true},
		{"each once of what was read", validate.Policy{Distinct: true}, out{Expected: count(4), Read: letters("abca"), Stored: letters("bac")}, false},
		{"each once of all that was read", validate.Policy{Distinct: true}, out{Expected: letters("abca"), Read: letters("aabc"), Stored: same}, true},
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

// TestLookBeforeTheWrite: Admit looks closer, too, and has nothing stored then, either.
// A side of which there is a Digest is not measured again.
func TestLookBeforeTheWrite(t *testing.T) {
	source := users(1000, 1)
	looks := 0
	again := func(users []string) func(context.Context) (validate.Summary, error) {
		return func(context.Context) (validate.Summary, error) { looks++; return digest(users).Summary(), nil }
	}
	bare := func(users []string) validate.Summary {
		return printed(int64(len(users)), digest(users).Summary().Fingerprint())
	}
	for short, want := range map[int64][]string{29: {"truncated@read", "short@read"}, 30: {"truncated@read?"}} {
		policy := validate.Policy{Reading: validate.Tolerance{Short: validate.Margin{Users: short}}}
		for reason, expected := range map[string]validate.Summary{
			"both are measured again":   bare(source).WithRemeasure(again(source)),
			"one was digested at first": digest(source).Summary().WithRemeasure(again(source)),
		} {
			looks = 0
			report, err := validate.Admit(t.Context(), policy, validate.Output{
				Expected: expected, Read: bare(source[:970]).WithRemeasure(again(source[:970])),
			})
			require.Equal(t, want, found(report), "%s\n%v", reason, report)
			require.Equal(t, short == 30, err == nil)
		}
	}
	looks = 0
	_, err := validate.Admit(t.Context(), validate.Policy{Reading: validate.Within(0.02)}, validate.Output{
		Expected: digest(source).Summary().WithRemeasure(again(source)), Read: bare(source[5:]).WithRemeasure(again(source[5:])),
	})
	require.NoError(t, err)
	require.LessOrEqual(t, looks, 1, "the source was digested")
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
			name: "counted while it was read, other ids stored", reason: "beyond a Mapping nothing stored decides on the reading",
			policy: validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}},
			output: out{Expected: moving("abcdef", "abcd"), Read: count(5), Written: count(5), Stored: letters("abcde")},
			want:   []string{"unverified@read"},
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
			want:   []string{"unverified@store"},
		},
		{
			name: "stored once each", reason: "where a user counts once, both a are one",
			policy: validate.Policy{Distinct: true},
			output: out{Expected: moving("aabcdef", "aabcd"), Stored: letters("abcd")},
		},
		{
			name: "the store moved", reason: "as many users as expected, and others before than after: who is there is not known",
			output: out{Expected: letters("abc"), Stored: moving("abc", "abd")},
			want:   []string{"unverified@store"},
		},
		{
			name: "the store moved, and nobody knows the source's users", reason: "their number is all there is to compare",
			output: out{Expected: count(3), Stored: moving("abc", "abd")},
		},
		{
			name: "a replica of unknown lag", reason: "one of the two may be older than it says",
			output: out{Expected: validate.Moving(letters("abc"), letters("abcd").LagUnknown()), Stored: letters("abc")},
			want:   []string{"unverified@read?"},
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
	margin := validate.Margin{Share: 0.2}
	_, err = check(validate.Policy{Reading: validate.Tolerance{Short: margin}}, read)
	require.ErrorIs(t, err, validate.Unverified, "strangers may be there, and none is allowed")
	_, err = check(validate.Policy{Reading: validate.Tolerance{Surplus: margin}}, read)
	require.ErrorIs(t, err, validate.Unverified, "users may be missing, and none is allowed to be")
	lost := slices.Concat(read[:100_000], read[150_000:])
	_, err = check(validate.Policy{}, lost)
	require.ErrorIs(t, err, validate.Short, "sampled users are missing")
	_, err = check(validate.Policy{Reading: validate.Within(0.2)}, lost)
	require.Error(t, err, "50,000 of 300,000 are within a fifth, but not for certain: %v", err)
}

// TestBounded: a side known within bounds passes where each number within them
// would, and fails where none would.
func TestBounded(t *testing.T) {
	type out = validate.Output
	below1000 := validate.Bounded(0, 999)
	possible := validate.Policy{AllowPossible: true}
	withTolerance := validate.Policy{AllowPossible: true, Tolerance: validate.Within(0.1)}
	for _, c := range []verdictCase{
		{
			name: "stored within, unknown where", reason: "an API says below 1,000 where 450 are expected: nobody knows",
			output: out{Expected: count(450), Stored: below1000},
			want:   []string{"unverified@store"},
		},
		{
			name: "stored within, allowed", reason: "AllowPossible makes of it a warning",
			policy: possible, output: out{Expected: count(450), Stored: below1000},
			want: []string{"unverified@store?"},
		},
		{
			name: "stored outside", reason: "none of 0 to 999 is 1,000, whatever is allowed of the possible",
			policy: possible, output: out{Expected: count(1000), Stored: validate.Bounded(1, 999)},
			want: []string{"short@store"},
		},
		{
			name: "stored above", reason: "the same at the other end",
			policy: possible, output: out{Expected: count(5), Stored: validate.Bounded(6, 9)},
			want: []string{"surplus@store"},
		},
		{
			name: "stored within the tolerance", reason: "each number of 950 to 1,050 passes",
			policy: withTolerance, output: out{Expected: count(1000), Stored: validate.Bounded(950, 1050)},
		},
		{
			name: "expected within bounds, all of which pass", reason: "1,001 are within a tenth of 950 and of 1,050",
			policy: withTolerance, output: out{Expected: validate.Bounded(950, 1050), Stored: count(1001)},
		},
		{
			name: "expected within bounds, some of which pass", reason: "of 1,200 they are more than a tenth short",
			policy: validate.Policy{Tolerance: validate.Within(0.1)},
			output: out{Expected: validate.Bounded(950, 1200), Stored: count(1001)},
			want:   []string{"unverified@store"},
		},
		{
			name: "expected within bounds, none of which passes", reason: "1,000 are more than a tenth above 900",
			policy: withTolerance, output: out{Expected: validate.Bounded(800, 900), Stored: count(1000)},
			want: []string{"surplus@store"},
		},
		{
			name: "also estimated", reason: "the error is in doubt, too, and AllowPossible is for bounds alone",
			policy: possible, output: out{Expected: validate.Estimate(450, 0.01), Stored: validate.Bounded(1, 999)},
			want: []string{"unverified@store"},
		},
		{
			name: "a source that moved", reason: "its movement is in doubt, and AllowPossible is for bounds alone",
			policy: possible, output: out{Expected: validate.Moving(count(450), count(460)), Stored: count(455)},
			want: []string{"unverified@store"},
		},
		{
			name: "a source that moved, within bounds", reason: "bounds are not all that is in doubt",
			policy: possible, output: out{Expected: validate.Moving(validate.Bounded(450, 460), validate.Bounded(455, 470)), Stored: count(456)},
			want: []string{"unverified@store"},
		},
		{
			name: "by history alone", reason: "the bounds are wider than what the history allows",
			output: out{Expected: validate.Unknown(), Stored: validate.Bounded(1, 9999), Sizes: flat(30, 5000)},
			want:   []string{"unverified@size"},
		},
		{
			name: "by history alone, allowed", reason: "and that is all that is in doubt",
			policy: possible, output: out{Expected: validate.Unknown(), Stored: validate.Bounded(1, 9999), Sizes: flat(30, 5000)},
			want: []string{"unverified@size?"},
		},
		{
			name: "below its history", reason: "none of the bounds is within",
			policy: possible, output: out{Expected: validate.Unknown(), Stored: below1000, Sizes: flat(30, 5000)},
			want: []string{"dropped@size"},
		},
		{
			name: "nothing stored of what may be nothing", reason: "nobody knows if anything was expected, whatever the tolerance",
			policy: validate.Policy{AllowEmpty: true, Tolerance: validate.Within(1)}, output: out{Expected: validate.Bounded(0, 7), Stored: count(0)},
			want: []string{"unverified@store"},
		},
		{
			name: "nothing stored of what may be nothing, allowed", reason: "and that is all that is in doubt",
			policy: validate.Policy{AllowEmpty: true, AllowPossible: true, Tolerance: validate.Within(1)}, output: out{Expected: validate.Bounded(0, 7), Stored: count(0)},
			want: []string{"unverified@store?"},
		},
		{
			name: "nothing stored where there must be somebody", reason: "that is proven, and not that somebody was lost",
			policy: validate.Policy{AllowPossible: true}, output: out{Expected: validate.Bounded(0, 7), Stored: count(0)},
			want: []string{"empty@store", "unverified@store?"},
		},
		{
			name: "nothing stored of some", reason: "one user at least is missing",
			policy: validate.Policy{AllowEmpty: true, AllowPossible: true, Tolerance: validate.Within(1)}, output: out{Expected: validate.Bounded(1, 7), Stored: count(0)},
			want: []string{"empty@store", "short@store"},
		},
		{
			name: "one number", reason: "bounds that are equal are a count",
			output: out{Expected: validate.Bounded(7, 7), Stored: validate.Bounded(7, 7)},
		},
		{name: "crossed", reason: "bad input", output: out{Expected: validate.Bounded(7, 6), Stored: count(7)}, want: []string{"unverified@"}},
		{name: "negative", reason: "bad input", output: out{Expected: validate.Bounded(-1, 6), Stored: count(6)}, want: []string{"unverified@"}},
	} {
		t.Run(c.name, c.run)
	}
}

// TestSourceLag: how old the source's answer may be is asked only by the policy.
func TestSourceLag(t *testing.T) {
	type out = validate.Output
	hour := validate.Policy{MaxSourceLag: time.Hour}
	for _, c := range []verdictCase{
		{name: "not asked", reason: "the one zero that is not strict", output: out{Expected: count(5).AsOf(noon.AddDate(-1, 0, 0)), Stored: count(5), At: noon}},
		{name: "fresh enough", reason: "the margin is inclusive", policy: hour, output: out{Expected: count(5).AsOf(noon.Add(-time.Hour)), Stored: count(5), At: noon}},
		{
			name: "too old", reason: "what the source holds by now is not known",
			policy: hour, output: out{Expected: count(5).AsOf(noon.Add(-time.Hour - 1)), Stored: count(5), At: noon},
			want: []string{"unverified@read"},
		},
		{
			name: "does not say", reason: "an unknown lag is not none",
			policy: hour, output: out{Expected: count(5), Stored: count(5), At: noon},
			want: []string{"unverified@read"},
		},
		{
			name: "a replica of unknown lag", reason: "a warning where nobody asks",
			output: out{Expected: count(5).LagUnknown(), Stored: count(5)},
			want:   []string{"unverified@read?"},
		},
		{
			name: "a replica of unknown lag, asked", reason: "unverified where somebody does",
			policy: hour, output: out{Expected: count(5).LagUnknown(), Stored: count(5), At: noon},
			want: []string{"unverified@read"},
		},
		{
			name: "a replica that says", reason: "AsOf is said later, and holds",
			policy: hour, output: out{Expected: count(5).LagUnknown().AsOf(noon), Stored: count(5), At: noon},
		},
		{
			name: "nobody's", reason: "what is unknown is not old",
			policy: hour, output: out{Expected: validate.Unknown(), Stored: count(5000), Sizes: flat(30, 5000)},
		},
		{
			name: "shortfall of an old source", reason: "what is proven is said, too",
			policy: hour, output: out{Expected: count(5).AsOf(noon.AddDate(0, 0, -1)), Stored: count(4), At: noon},
			want: []string{"short@store", "unverified@read"},
		},
		{name: "without a time", reason: "bad input", policy: hour, output: out{Expected: count(5).AsOf(noon), Stored: count(5)}, want: []string{"unverified@"}},
		{name: "negative", reason: "bad input", policy: validate.Policy{MaxSourceLag: -1}, output: out{Expected: count(5), Stored: count(5), At: noon}, want: []string{"unverified@"}},
	} {
		t.Run(c.name, c.run)
	}
}

// TestSourceLagTexts: what is not said is not told as a time.
func TestSourceLagTexts(t *testing.T) {
	for want, expected := range map[string]validate.Summary{
		"at read: expected does not say up to when it is complete (AsOf), and 1h0m0s before the output are allowed": count(5),
		"at read: expected is complete up to 2024-03-18T10:00:00Z, 2h0m0s before the output (1h0m0s allowed)":       count(5).AsOf(noon.Add(-2 * time.Hour)),
	} {
		report, _ := validate.Check(t.Context(), validate.Policy{MaxSourceLag: time.Hour}, validate.Output{Expected: expected, Stored: count(5), At: noon})
		require.Contains(t, report.String(), want)
	}
}

// TestMapping: ratios of a few users, of none, above 1, of estimates.
func TestMapping(t *testing.T) {
	type out = validate.Output
	graph := validate.Policy{Mapping: validate.Ratio{Min: 2, Max: 3}}
	way := func(read, written int64) out {
		return out{Expected: count(read), Read: count(read), Written: count(written), Stored: count(written)}
	}
	for _, c := range []verdictCase{
		{name: "3 of 3", reason: "95% of 3 are 2, but all 3 come in 86 of 100 cases", policy: mapped, output: way(3, 3), want: []string{"surplus@map?"}},
		{name: "1 of 2", reason: "70% of 2 are 2", policy: mapped, output: way(2, 1), want: []string{"short@map?"}},
		{name: "4 of 7", reason: "70% of 7 are 5", policy: mapped, output: way(7, 4), want: []string{"short@map?"}},
		{name: "0 of 5", reason: "2 in 1,000 by chance, and a fault all the same", policy: mapped, output: way(5, 0), want: []string{"empty@store", "short@map"}},
		{name: "1 of 9", reason: "under 1 in 1,000: 0.00043", policy: mapped, output: way(9, 1), want: []string{"short@map"}},
		{name: "2 of 9", reason: "above 1 in 1,000: 0.0043", policy: mapped, output: way(9, 2), want: []string{"short@map?"}},
		{name: "655 of 1,000", reason: "0.0010 by chance, where 700 are the mean", policy: mapped, output: way(1000, 655), want: []string{"short@map?"}},
		{name: "650 of 1,000", reason: "0.0004", policy: mapped, output: way(1000, 650), want: []string{"short@map"}},
		{name: "700 of 1,001", reason: "above 1,000 read a number outside fails always", policy: mapped, output: way(1001, 700), want: []string{"short@map"}},
		{name: "1 of 2, one for each", reason: "{1, 1} leaves nothing to chance", policy: validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}}, output: way(2, 1), want: []string{"short@map"}},
		{name: "3 of 2, one for each", reason: "nor more", policy: validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}}, output: way(2, 3), want: []string{"surplus@map"}},
		{name: "half of 1", reason: "no whole number is 70% to 95% of 1, so that either is by chance", policy: mapped, output: way(1, 1), want: []string{"surplus@map?"}},
		{name: "an identity graph", reason: "2 to 3 devices of each", policy: graph, output: way(1000, 2600)},
		{name: "an identity graph, below", reason: "1,990 where 2,000 are the mean", policy: graph, output: way(1000, 1990), want: []string{"short@map?"}},
		{name: "an identity graph, far below", reason: "beyond 3 standard errors", policy: graph, output: way(1000, 1850), want: []string{"short@map"}},
		{name: "an identity graph, above", reason: "3,010 where 3,000 are the mean", policy: graph, output: way(1000, 3010), want: []string{"surplus@map?"}},
		{name: "an identity graph, far above", reason: "beyond 3 standard errors", policy: graph, output: way(1000, 3200), want: []string{"surplus@map"}},
		{
			name: "scaled noise", reason: "1% of 1,000,000 read are 20,000 mapped at 2, and three times that at 3: 90,000",
			policy: graph, output: out{Expected: validate.Estimate(1e6, 0.01), Read: validate.Estimate(1e6, 0.01), Written: count(1_920_000), Stored: count(1_920_000)},
			want: []string{"unverified@read", "unverified@map"},
		},
		{
			name: "beyond the scaled noise", reason: "below 2,000,000 by more than 90,000",
			policy: graph, output: out{Expected: validate.Unknown(), Read: validate.Estimate(1e6, 0.01), Written: count(1_900_000), Stored: count(1_900_000), Sizes: flat(30, 1_900_000)},
			want: []string{"short@map"},
		},
		{
			name: "written not measured", reason: "how many should be stored is not known, and never taken for all that were read",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Stored: count(800)},
			want: []string{"unverified@map"},
		},
		{
			name: "written not measured, all stored", reason: "one to one is no better",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Stored: count(1000)},
			want: []string{"unverified@map"},
		},
		{
			name: "written not measured, nothing stored", reason: "that is proven",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Stored: count(0)},
			want: []string{"empty@store", "short@store", "unverified@map"},
		},
		{
			name: "written unknown", reason: "no number either",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Written: validate.Unknown(), Stored: count(800)},
			want: []string{"unverified@map"},
		},
		{
			name: "written failed", reason: "said once",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Written: validate.Unmeasured(errBroken), Stored: count(800)},
			want: []string{"unverified@map"},
		},
	} {
		t.Run(c.name, c.run)
	}
	for _, bad := range []validate.Ratio{{Min: -1, Max: 1}, {Min: 1, Max: math.Inf(1)}, {Min: math.NaN(), Max: 1}, {Min: 3, Max: 2}} {
		_, err := validate.Check(t.Context(), validate.Policy{Mapping: bad}, way(5, 5))
		require.ErrorContains(t, err, "Policy.Mapping", "%v", bad)
	}
	_, err := validate.Admit(t.Context(), mapped, out{Expected: count(1000), Read: count(1000)})
	require.NoError(t, err, "nothing is written yet")
}

// TestRateHistory: how many of those who were read are mapped has a history of its
// own, which the size hides where the source grows.
func TestRateHistory(t *testing.T) {
	type out = validate.Output
	loose := validate.Policy{Mapping: validate.Ratio{Min: 0.2, Max: 0.95}}
	history := reads(6200, 10_000)
	way := func(read, written int64) out {
		return out{Expected: count(read), Read: count(read), Written: count(written), Stored: count(written), Sizes: history}
	}
	for _, c := range []verdictCase{
		{name: "as ever", reason: "62% of half as many more", policy: loose, output: way(15_001, 9300), want: []string{"risen@size?"}},
		{name: "fallen", reason: "half as many more read, the rate from 62% to 41%, and the size as ever", policy: loose, output: way(15_001, 6150), want: []string{"dropped@map?"}},
		{name: "risen", reason: "a third fewer read, the rate from 62% to 90%", policy: loose, output: way(6801, 6120), want: []string{"risen@map?"}},
		{
			name: "fallen, by the job's own word", reason: "nothing independent speaks for the output",
			policy: loose, output: out{Expected: count(15_001), SelfReported: true, Read: count(15_001), Written: count(6150), Stored: count(6150), Sizes: history},
			want: []string{"dropped@map"},
		},
		{
			name: "sizes without what was read", reason: "no history of rates",
			policy: loose, output: out{Expected: count(15_001), Read: count(15_001), Written: count(6150), Stored: count(6150), Sizes: flat(20, 6200)},
		},
		{name: "not mapped", reason: "the same ids have no rate", output: out{Expected: count(6150), Read: count(6150), Stored: count(6150), Sizes: history}},
	} {
		t.Run(c.name, c.run)
	}
	out1 := way(15_001, 6150)
	out1.At = noon
	report, _ := validate.Check(t.Context(), loose, out1)
	require.Contains(t, report.String(), "41.0% of the 15,001 users that were read, where 55.8% to 68.9% are allowed by the rates of 20 earlier sizes")
	out1.Stored = validate.Summary{}
	report, _ = validate.Admit(t.Context(), loose, out1)
	require.Equal(t, []string{"dropped@map?"}, found(report), "before the write as after it")
	out1.Expected, out1.Read, out1.Written = count(6150), count(15_001), count(6150)
	report, _ = validate.Admit(t.Context(), validate.Policy{Reading: validate.Within(1), Tolerance: validate.Within(1)}, out1)
	require.NotContains(t, report.String(), "by the rates of", "ids that are not mapped have none")
}

// TestCapsInUse: limits are named where they explain, and of the systems in use.
func TestCapsInUse(t *testing.T) {
	type out = validate.Output
	elastic := validate.Policy{CapSystems: []string{"elasticsearch", "Salesforce"}}
	steady := reads(40, 50)
	for _, c := range []verdictCase{
		{name: "of a system in use", reason: "in any case of letters", policy: elastic, output: out{Expected: count(60_001), Stored: count(10_000)}, want: []string{"capped@store", "short@store"}},
		{name: "of another system", reason: "nobody here uses Excel", policy: elastic, output: out{Expected: count(100_001), Stored: count(65_536)}, want: []string{"short@store"}},
		{name: "of all systems", reason: "none is named", output: out{Expected: count(100_001), Stored: count(65_536)}, want: []string{"capped@store", "short@store"}},
		{name: "one row for a header", reason: "65,536 rows less one", output: out{Expected: count(100_001), Stored: count(65_535)}, want: []string{"capped@store", "short@store"}},
		{name: "a known reach", reason: "of 10,000 results HubSpot gives 9,990", output: out{Expected: count(100_001), Stored: count(9990)}, want: []string{"capped@store", "short@store"}},
		{name: "below 1,000", reason: "round numbers are met by chance, and page as what is proven", output: out{Expected: count(5000), Stored: count(500)}, want: []string{"capped@store?", "short@store"}},
		{
			name: "below 1,000, of one's own", reason: "it is meant",
			policy: validate.Policy{Caps: []validate.Cap{{Users: 500, Origin: "the mail tool"}}},
			output: out{Expected: count(5000), Stored: count(500)}, want: []string{"capped@store", "short@store"},
		},
		{
			name: "a steady copy of exactly 40", reason: "a size that the segment had before is its own",
			policy: mapped, output: out{Expected: count(50), Read: count(50), Written: count(40), Stored: count(40), Sizes: steady},
		},
		{
			name: "a steady copy of exactly 10,000", reason: "the same, within what reading may lose",
			policy: validate.Policy{Reading: validate.Within(0.05)},
			output: out{Expected: count(10_100), Read: count(10_000), Stored: count(10_000), Sizes: flat(30, 10_000)},
		},
		{
			name: "once among larger ones", reason: "a day that was cut makes no size of the segment",
			policy: validate.Policy{Reading: validate.Within(0.05)},
			output: out{Expected: count(10_100), Read: count(10_000), Stored: count(10_000), Sizes: daily(10_500, 10_000, 10_500)},
			want:   []string{"capped@read", "dropped@size"},
		},
		{
			name: "seen, but never passed", reason: "nothing vouches for sizes from before the guard",
			policy: validate.Policy{Reading: validate.Within(0.05)},
			output: out{Expected: count(10_100), Read: count(10_000), Stored: count(10_000), Sizes: []validate.Size{{Users: 10_000, At: noon.Add(-time.Hour), Unguarded: true}}},
			want:   []string{"capped@read"},
		},
		{name: "no such system", reason: "a misspelt one would hide all limits", policy: validate.Policy{CapSystems: []string{"Elastic"}}, output: out{Expected: count(5), Stored: count(5)}, want: []string{"unverified@"}},
		{name: "an empty system", reason: "nor is that one", policy: validate.Policy{CapSystems: []string{""}}, output: out{Expected: count(5), Stored: count(5)}, want: []string{"unverified@"}},
	} {
		t.Run(c.name, c.run)
	}
}

// TestMultiples: a multiple of a limit is a likely cause only where chance would
// hardly make one.
func TestMultiples(t *testing.T) {
	for _, c := range []struct {
		reason           string
		expected, stored int64
		hint             string
	}{
		{"24 fewer come to a multiple of some limit in one of 16 cases", 12_024, 12_000, ""},
		{"17 shards that each lost their rest", 812_345, 17_000, "exactly 17 × 1,000, a known limit (Elasticsearch ES|QL LIMIT (default)): each page or shard may have been cut there"},
		{"seven pages", 9_999, 7_000, "exactly 7 × 1,000"},
		{"the largest limit", 812_345, 30_000, "exactly 3 × 10,000"},
		{"whole pages, and nothing of the last one", 26_917, 26_000, "exactly 13 × 2,000, a known limit (Salesforce REST query batch): the last page, which was not full, may be lost"},
		{"a page of 2,000 of round data", 26_000, 24_000, ""},
		{"a page of 1,000", 8_000, 7_000, ""},
		{"a page of 2,000 of many", 1_000_000, 998_000, ""},
		{"a page of 500 of data that are a little rounder than 100", 26_500, 24_000, ""},
		{"half", 24_000, 12_000, ""},
		{"one of 13 shards", 39_000, 36_000, ""},
		{"a page of 16,384, the round number of those who count by twos", 1 << 20, 1<<20 - 16_384, ""},
		{"no multiple", 812_345, 17_001, ""},
		{"a limit itself is no multiple", 812_345, 10_000, ""},
	} {
		report, _ := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(c.expected), Stored: count(c.stored)})
		hint := detail(t, report, validate.Short).Hint
		if c.hint == "" {
			require.Empty(t, hint, c.reason)
		}
		require.Contains(t, hint, c.hint, c.reason)
	}
}

// TestNothingThatNobodyMakes: what no constructor makes is neither judged nor read.
func TestNothingThatNobodyMakes(t *testing.T) {
	var none *validate.Validator
	out := validate.Output{Name: "site-b/cars", Expected: count(5), Stored: count(5)}
	report, err := none.Check(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Unverified)
	require.ErrorContains(t, err, "site-b/cars: could not be verified: Validator is nil")
	require.False(t, report.Passed())
	_, err = none.Admit(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Unverified)

	silent := errors.New("")
	for name, edit := range map[string]func(*validate.Output){
		"read":     func(o *validate.Output) { o.Read = validate.Unmeasured(silent) },
		"expected": func(o *validate.Output) { o.Expected = validate.Unmeasured(silent); o.Sizes, o.At = flat(3, 5), noon },
	} {
		out := out
		edit(&out)
		_, err = validate.Check(t.Context(), validate.Policy{}, out)
		require.ErrorIs(t, err, validate.Unverified, name)
		require.ErrorIs(t, err, silent, name)
		require.ErrorContains(t, err, name+": not measured: the error has no text")
	}

	for _, at := range []time.Time{time.Unix(math.MinInt64, 0), time.Unix(math.MaxInt64, 0), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)} {
		for field, out := range map[string]validate.Output{
			"Output.At":          {Expected: count(5), Stored: count(5), At: at},
			"Output.WrittenAt":   {Expected: count(5), Stored: count(5).AsOf(noon), WrittenAt: at},
			"Output.Stored":      {Expected: count(5), Stored: count(5).AsOf(at), WrittenAt: noon},
			"Output.Expected":    {Expected: count(5).AsOf(at), Stored: count(5)},
			"Output.Sizes[0].At": {Expected: count(5), Stored: count(5), Sizes: []validate.Size{{Users: 5, At: at}, {Users: 5, At: noon}}, At: noon.Add(time.Hour)},
			"Output.Sizes[1].At": {Expected: count(5), Stored: count(5), Sizes: []validate.Size{{Users: 5, At: noon}, {Users: 5, At: at}}, At: noon.Add(time.Hour)},
		} {
			report, err := validate.Check(t.Context(), validate.Policy{}, out)
			bad, ok := errors.AsType[*validate.InputError](err)
			require.True(t, ok, "%s at %d: %v", field, at.Unix(), err)
			require.Equal(t, field, bad.Field)
			text, err := json.Marshal(report)
			require.NoError(t, err, "what is recorded of it can be written")
			require.NoError(t, json.Unmarshal(text, new(validate.Report)))
		}
	}
}

// TestCopiedDigest: a digest that was copied after it took in users shares them with
// the copy, so that neither is right.
func TestCopiedDigest(t *testing.T) {
	var early, shard validate.Digest
	early.MarkEvery(500)
	fresh := early // nothing in it to share
	fresh.AddStrings(users(3, 1))
	shard.AddStrings(users(3, 1))
	text, err := shard.MarshalBinary()
	require.NoError(t, err)
	var sent validate.Digest
	require.NoError(t, sent.UnmarshalBinary(text))
	for name, d := range map[string]*validate.Digest{"added to": digest(users(3, 1)), "of many": digest(users(20_000, 1)), "marshalled": &shard, "unmarshalled": &sent} {
		copied := *d
		copied.AddString("another")
		for _, s := range []validate.Summary{copied.Summary(), d.Summary()} {
			_, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(1)}, validate.Output{Expected: count(3), Stored: s})
			require.ErrorIs(t, err, validate.Unverified, name)
			require.ErrorContains(t, err, "it was copied after it had taken in users", name)
		}
	}
	require.Equal(t, int64(3), fresh.Users())
	_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(3), Stored: fresh.Summary()})
	require.NoError(t, err)
}

// TestMovingAndKeptOnce: tables count rows. Where a store keeps a user once, repeats
// are as missing rows to them, which proves no user missing.
func TestMovingAndKeptOnce(t *testing.T) {
	source := users(20_003, 1)
	twice := append(slices.Clone(source), source[:10]...)
	expected := validate.Moving(digest(twice).Summary(), digest(append(slices.Clone(twice), users(5, 2)...)).Summary())
	for allowed, want := range map[int64][]string{9: {"unverified@store"}, 10: {}} {
		report, _ := validate.Check(t.Context(), validate.Policy{Distinct: true, Tolerance: validate.Tolerance{Short: validate.Margin{Users: allowed}}}, validate.Output{
			Expected: expected, Stored: digest(source).Summary(),
		})
		require.Equal(t, want, found(report), "%d allowed: %v", allowed, report)
		if len(want) > 0 {
			require.Contains(t, report.String(), "0 to 10 may be missing")
			require.Contains(t, report.String(), "TeeOnce")
		}
	}
	once := func(rows []string) validate.Summary {
		var d validate.Digest
		drain(validate.TeeOnce(&d, stream(rows), 50_000))
		return d.Summary()
	}
	expected = validate.Moving(once(twice), once(append(slices.Clone(twice), users(5, 2)...)))
	for lost, want := range map[int][]string{0: {}, 7: {"short@store"}, 3000: {"short@store"}} {
		report, _ := validate.Check(t.Context(), validate.Policy{Distinct: true}, validate.Output{Expected: expected, Stored: digest(source[lost:]).Summary()})
		require.Equal(t, want, found(report), "%d lost: %v", lost, report)
		if lost > 0 {
			require.Contains(t, report.String(), commas(lost)+" in the source before and after are missing")
		}
	}
}

// TestMovedAndCountedOnce: of a source that moved a digest knows the distinct users, and
// a fingerprint only rows, some of which may be repeats.
func TestMovedAndCountedOnce(t *testing.T) {
	type out = validate.Output
	distinct := validate.Policy{Distinct: true}
	moving := validate.Moving(letters("aabbcdef"), letters("aabbcd")) // of a to f, a to d all the time
	prints := validate.Moving(printed(10, md5Of(1)), printed(11, md5Of(2)))
	for _, c := range []verdictCase{
		{
			name: "between the two numbers of distinct users", reason: "5 of 4 to 6: nobody knows who, and 6 to 8 are rows",
			policy: distinct, output: out{Expected: moving, Stored: count(5)},
			want: []string{"unverified@store"},
		},
		{
			name: "below both", reason: "4 were there all the time",
			policy: distinct, output: out{Expected: moving, Stored: count(3)},
			want: []string{"short@store"},
		},
		{
			name: "read with its repeats, and stored once each", reason: "4 of 6 rows read are all there were",
			policy: distinct, output: out{Expected: moving, Read: letters("aabbcd"), Stored: letters("abcd")},
		},
		{
			name: "fingerprints, and fewer are stored", reason: "the others may be repeats",
			policy: distinct, output: out{Expected: prints, Stored: count(8)},
			want: []string{"unverified@store"},
		},
		{
			name: "fingerprints, and repeats are read", reason: "the source may hold them, too",
			policy: distinct, output: out{Expected: prints, Read: letters("aabbcdefgh"), Stored: letters("abcdefgh")},
			want: []string{"unverified@read"},
		},
	} {
		t.Run(c.name, c.run)
	}
}
