package validate_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// users are n different ids in random order: the first of two million, made once.
func users(n int, seed uint64) []string {
	if seed == 1 {
		return manyUsers()[:n:n]
	}
	return newUsers(n, seed)
}

var manyUsers = sync.OnceValue(func() []string { return newUsers(2_000_000, 1) })

func newUsers(n int, seed uint64) []string {
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]string, n)
	for i := range all {
		id := strconv.AppendUint([]byte("User-"), random.Uint64(), 16)
		all[i] = string(strconv.AppendInt(append(id, '-'), int64(i), 16))
	}
	return all
}

func digest(users []string) *validate.Digest {
	var d validate.Digest
	d.AddStrings(users)
	return &d
}

// shuffled is what a store gives back: in an order of its own.
func shuffled(users []string) []string {
	users = slices.Clone(users)
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(users), func(i, k int) { users[i], users[k] = users[k], users[i] })
	return users
}

func lose(share float64) func([]string) []string {
	return func(source []string) []string {
		random := rand.New(rand.NewPCG(3, 3))
		return slices.DeleteFunc(slices.Clone(source), func(string) bool { return random.Float64() < share })
	}
}

func first(n int) func([]string) []string {
	return func(source []string) []string { return source[:n] }
}

// without drops users from … up to … of the source.
func without(from, to int) func([]string) []string {
	return func(source []string) []string { return slices.Concat(source[:from], source[to:]) }
}

func rewritten(f func(string) string) func([]string) []string {
	return func(source []string) []string {
		all := make([]string, len(source))
		for i, u := range source {
			all[i] = f(u)
		}
		return all
	}
}

func again(times int) func([]string) []string {
	return func(source []string) []string { return slices.Repeat(source[:1000], times) }
}

const (
	empty     = validate.Empty
	truncated = validate.Truncated
	capped    = validate.Capped
	gap       = validate.Gap
	repeated  = validate.Repeated
	different = validate.Different
	short     = validate.Short
	surplus   = validate.Surplus
)

type fault struct {
	name   string
	users  int
	store  func([]string) []string
	kinds  []validate.Kind // all that are found, gravest first
	says   string          // a part of the sentence
	reason string
}

var faults = []fault{
	{"nothing", 50_000, first(0), kinds(empty, short), "stored 0 of 50,000 users (100% short, 0 allowed), lost while storing", "nothing is there that could be explained"},
	{"a cap", 50_000, first(10_000), kinds(truncated, capped, short), "exactly the first 10,000 of 50,000 users; capped at 10,000, a known limit (Elasticsearch index.max_result_window", "the incident"},
	{"a cap off the pages", 2_000_000, first(1_048_576), kinds(truncated, capped, short), "exactly the first 1,048,576 of 2,000,000 users", "caps have checkpoints of their own"},
	{"whole pages", 2_000_000, first(1_237_000), kinds(truncated, short), "exactly the first 1,237,000 of 2,000,000 users", "pages have checkpoints"},
	{"an odd number", 2_000_000, first(1_234_567), kinds(truncated, short), "likely nothing after the first 1,234,567 of 2,000,000 users: of 2,", "the sample shows the lost end, the count where"},
	{"an odd number of few", 5000, first(1234), kinds(truncated, short), "exactly the first 1,234 of 5,000 users", "the sample holds all"},
	{"one page and its cap", 1000, first(500), kinds(truncated, short), "exactly the first 500 of 1,000 users", "below one page, and limits so small are met by chance"},
	{"the last 1%", 200_000, first(198_000), kinds(truncated, short), "exactly the first 198,000 of 200,000 users", ""},
	{"the last 1,500", 200_000, first(198_500), kinds(truncated, short), "likely nothing after the first 198,500 of 200,000 users", "off a page, by the sample"},
	{"the last 37 of few", 1000, first(963), kinds(truncated, short), "exactly the first 963 of 1,000 users", ""},
	{"a page missing", 2_000_000, without(40_000, 41_000), kinds(gap, short), "users 40,001–41,000 of the source are missing", "a difference of two checkpoints"},
	{"the first page missing", 50_000, without(0, 1000), kinds(gap, short), "users 1–1,000 of the source are missing", ""},
	{"a run of pages missing", 2_000_000, without(40_000, 60_000), kinds(gap, short), "users 40,001–60,000 of the source are missing", ""},
	{"a run off the pages", 2_000_000, without(40_123, 91_234), kinds(gap, short), "likely a run of users is missing, within users 41,", ""},
	{"a run of few", 5000, without(2345, 2400), kinds(gap, short), "users 2,346–2,400 of the source are missing", ""},
	{"three pages missing", 500_000, func(s []string) []string {
		return slices.Concat(s[:10_000], s[11_000:200_000], s[201_000:333_000], s[334_000:])
	}, kinds(gap, short), "users 10,001–11,000, 200,001–201,000 and 333,001–334,000 of the source are missing", "the sample says where to look, the sums prove it"},
	{"a page and the end missing", 500_000, func(s []string) []string {
		return slices.Concat(s[:10_000], s[11_000:400_000])
	}, kinds(truncated, gap, short), "nothing after the first 400,000 of 500,000 users; users 10,001–11,000 of the source are missing", "more than one cause"},
	{"three runs off the pages", 100_000, func(s []string) []string {
		return slices.Concat(s[:12_513], s[17_513:33_410], s[38_410:75_005], s[80_005:])
	}, kinds(gap, short), "likely runs of users are missing, within users 12,5", "all that are unlikely are told, not the first"},
	{"a run and 1% of few lost", 8000, func(s []string) []string {
		return lose(0.01)(slices.Concat(s[:2000], s[4000:7999]))
	}, kinds(gap, short), "users 2,001–4,000 of the source are missing", "the last user is lost, too, which is no lost end"},
	{"the end missing, the first page twice", 2_000_000, func(s []string) []string {
		return slices.Concat(s[:1_333_000], s[:1000])
	}, kinds(truncated, repeated, short), "nothing after the first 1,333,000 of 2,000,000 users; users 1–1,000 of the source are stored twice", "pages without a sampled user are as their neighbours are"},
	{"a page four times, others missing", 400_000, func(s []string) []string {
		return slices.Concat(s[:2000], s[4000:], s[1000:2000], s[1000:2000], s[1000:2000])
	}, kinds(gap, repeated, surplus), "users 2,001–4,000 of the source are missing; users 1,001–2,000 of the source are stored 4 times", ""},
	{"some of few repeated", 5000, func(s []string) []string {
		return slices.Concat(s, s[10:11], s[20:21], s[30:31], s[40:41], s[50:51], s[60:61], s[60:61])
	}, kinds(repeated, surplus), "users 11, 21, 31, 41, 51 and 1 more run of the source are stored 2 to 3 times", "one finding, however many runs"},
	{"a page in place of another", 2_000_000, func(s []string) []string {
		return slices.Concat(s[:7000], s[3000:4000], s[8000:])
	}, kinds(gap, repeated, different), "users 7,001–8,000 of the source are missing; users 3,001–4,000 of the source are stored twice; stored as many users as were read, but not the same ones: 1,000 are missing (0 allowed) and 1,000 are stored that should not be (0 allowed)", "the count passes"},
	{"a page in place of another of few", 5000, func(s []string) []string {
		return slices.Concat(s[:4000], s[1000:2000])
	}, kinds(truncated, repeated, different), "nothing after the first 4,000 of 5,000 users; users 1,001–2,000 of the source are stored twice", ""},
	{"a page twice", 500_000, func(s []string) []string { return slices.Concat(s, s[3000:4000]) },
		kinds(repeated, surplus), "users 3,001–4,000 of the source are stored twice", ""},
	{"the first page again and again", 40_000, again(40), kinds(repeated, different), "the first 1,000 users of the source are stored 40 times, and no others", "the count passes"},
	{"the first page again and again, not long enough", 40_000, again(30), kinds(repeated, short), "the first 1,000 users of the source are stored 30 times, and no others", ""},
	{"all twice", 100_000, func(s []string) []string { return slices.Concat(s, s) }, kinds(repeated, surplus), "all 100,000 users are stored twice", ""},
	{"1 lost", 100_000, without(77, 78), kinds(short), "stored 99,999 of 100,000 users (under 0.1% short, 0 allowed)", "one user says nothing of a cause"},
	{"the last one lost", 100_000, first(99_999), kinds(short), "stored 99,999 of 100,000 users", "nor does the last"},
	{"the last one of few lost", 1500, first(1499), kinds(short), "stored 1,499 of 1,500 users", ""},
	{"one above a limit lost", 1001, first(1000), kinds(truncated, capped, short), "exactly the first 1,000 of 1,001 users", "a limit is a story that one user needs"},
	{"one above a small limit lost", 501, first(500), kinds(short), "stored 500 of 501 users", "sizes come to be so small by themselves"},
	{"1 of few lost", 1500, without(77, 78), kinds(short), "stored 1,499 of 1,500 users", ""},
	{"1 exchanged", 2_000_000, func(s []string) []string { return append(slices.Clone(s[1:]), "somebody else") },
		kinds(different), "stored as many users as were read, but not the same ones", ""},
	{"1 of few exchanged", 1000, func(s []string) []string { return append(slices.Clone(s[1:]), "somebody else") },
		kinds(different), "but not the same ones: 1 is missing (0 allowed) and 1 is stored that should not be (0 allowed)", ""},
	{"1 added", 100_000, func(s []string) []string { return append(slices.Clone(s), "somebody else") }, kinds(surplus), "stored 100,001 users where 100,000 were read", ""},
	{"1% lost", 500_000, lose(0.01), kinds(short), "short, 0 allowed", "no cause"},
	{"10% lost", 500_000, lose(0.1), kinds(short), "short, 0 allowed", "no cause"},
	{"50% lost", 500_000, lose(0.5), kinds(short), "short, 0 allowed", "no cause"},
	{"1% of few lost", 1000, lose(0.01), kinds(short), "short, 0 allowed", "no cause"},
	{"50% of few lost", 1000, lose(0.5), kinds(short), "short, 0 allowed", "no cause"},
	{"every other shard", 400_010, func(s []string) []string {
		return slices.DeleteFunc(slices.Clone(s), func(u string) bool { return u[len(u)-1]%2 == 0 })
	}, kinds(short), "short, 0 allowed", "a foreign shard's loss looks like any"},
	{"every other of few", 1200, func(s []string) (all []string) {
		for i := 0; i < len(s); i += 2 {
			all = append(all, s[i])
		}
		return all
	}, kinds(short), "short, 0 allowed", "no run of users: a shard to which every other one goes"},
	{"case changed", 100_000, rewritten(strings.ToLower), kinds(different), "none is stored: these are others, or their ids are written in another way (case, spaces, a prefix)", ""},
	{"spaces added to some", 100_000, func(s []string) []string {
		return rewritten(func(u string) string {
			if strings.HasSuffix(u, "7") {
				return u + " "
			}
			return u
		})(s)
	}, kinds(different), "but not the same ones: 6,", "one in sixteen ends in 7"},
	{"another source's users", 100_000, func(s []string) []string { return users(len(s), 99) }, kinds(different), "none is stored", "two sources swapped"},
	{"thousands where there was one", 1, func([]string) []string { return users(20_000, 99) }, kinds(different, surplus), "stored 20,000 users where 1 was read (1999900% surplus, 0 allowed): 1 is missing", "the sample cannot speak of that one, and the table does"},
	{"a smaller source's users", 100_000, func([]string) []string { return users(70_000, 99) }, kinds(different, short), "none is stored", "two sources swapped"},
}

func kinds(k ...validate.Kind) []validate.Kind { return k }

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && f.users > 500_000 {
				t.Skip("millions of users")
			}
			source := users(f.users, 1)
			read, stored := digest(source), digest(shuffled(f.store(source)))
			report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
				Name:     "site-b/cars",
				Expected: validate.Count(int64(len(source))),
				Read:     read.Summary(),
				Stored:   stored.Summary(),
			})
			require.Error(t, err, f.reason)
			t.Log(err)
			require.Equal(t, f.kinds, failing(report), f.reason)
			require.Contains(t, err.Error(), f.says, f.reason)
		})
	}
}

// failing are the kinds that fail, gravest first, each once.
func failing(r validate.Report) (all []validate.Kind) {
	for _, f := range r.Findings {
		if f.Severity == validate.Fail && !slices.Contains(all, f.Kind) {
			all = append(all, f.Kind)
		}
	}
	return all
}

func TestHealthyPasses(t *testing.T) {
	for _, n := range []int{1, 999, 1000, 1001, 8191, 8192, 10_000, 100_001} {
		source := users(n, 1)
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: validate.Count(int64(n)), Read: digest(source).Summary(), Stored: digest(shuffled(source)).Summary(),
		})
		require.NoError(t, err)
		require.False(t, report.SameUsers, "nobody said which users were expected")
		require.Contains(t, report.String(), "those that were read, by their fingerprints")
		report, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: digest(source).Summary(), Read: digest(source).Summary(), Stored: digest(shuffled(source)).Summary(),
		})
		require.NoError(t, err)
		require.True(t, report.SameUsers)
	}
}

// Random losses have no cause: none may be claimed, whatever the store does with
// users that come twice.
func TestRandomLossesHaveNoCause(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 checks")
	}
	random := rand.New(rand.NewPCG(5, 5))
	for _, size := range []struct{ users, trials int }{{12, 5000}, {61, 5000}, {1000, 9700}, {5000, 280}, {100_000, 20}} {
		source := users(size.users, 2)
		repeating := slices.Concat(source, source[:size.users/3])
		for _, s := range []struct {
			source []string
			read   *validate.Digest
			once   bool
		}{{source, digest(source), false}, {repeating, digest(repeating), false}, {repeating, inPagesOf(1, repeating), true}} {
			trials := size.trials / 3
			if underRace {
				trials = max(1, trials/10)
			}
			for range trials {
				share := []float64{0.001, 0.01, 0.1, 0.5, 0.9}[random.IntN(5)]
				stored := slices.DeleteFunc(slices.Clone(s.source), func(string) bool { return random.Float64() < share })
				if s.once {
					slices.Sort(stored)
					stored = slices.Compact(stored)
				}
				_, err := validate.Check(t.Context(), validate.Policy{AllowEmpty: true}, validate.Output{
					Expected: validate.Count(int64(len(s.source))), Read: s.read.Summary(), Stored: digest(stored).Summary(),
				})
				for _, claimed := range []validate.Kind{truncated, gap, repeated, different} {
					require.NotErrorIs(t, err, claimed)
				}
			}
		}
	}
}

func inPagesOf(page int64, users []string) *validate.Digest {
	var d validate.Digest
	d.MarkEvery(page)
	d.AddStrings(users)
	return &d
}

// The count of what is read passes while its users are others, and storing
// keeps them: the finding stands at the reading.
func TestFaultWhileReading(t *testing.T) {
	source := users(20_000, 1)
	read := slices.Concat(source[:7000], source[3000:4000], source[8000:])
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: digest(source).Summary(), Read: digest(read).Summary(), Stored: digest(shuffled(read)).Summary(),
	})
	require.EqualError(t, err, "output: users 7,001–8,000 of the source are missing; users 3,001–4,000 of the source are read twice; read as many users as expected, but not the same ones: 1,000 are missing (0 allowed) and 1,000 are read that should not be (0 allowed)")
	for _, f := range report.Findings {
		require.Equal(t, "read", f.Step)
	}
}

// Between what the source holds and what is stored lies a read that was only
// counted: its loss is told by its count, and explained by what is stored.
func TestUsersOverACountedSide(t *testing.T) {
	source := users(50_000, 1)
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: digest(source).Summary(), Read: validate.Count(10_000), Stored: digest(source[:10_000]).Summary(),
	})
	require.ErrorIs(t, err, truncated)
	require.NotErrorIs(t, err, different)
	require.ErrorContains(t, err, "lost while reading: exactly the first 10,000 of 50,000 users; capped at 10,000")
}

func TestUsersWithinTolerance(t *testing.T) {
	source := users(100_000, 1)
	replaced := func(n int) []string {
		all := slices.Clone(source)
		for i, u := range users(n, 2) {
			all[i*len(all)/n] = u
		}
		return all
	}
	for _, test := range []struct {
		name   string
		policy validate.Policy
		stored []string
		fails  []validate.Kind
		warns  []validate.Kind
		reason string
	}{
		{"lost at random", within(0.01), lose(0.005)(source), nil, nil, "allowed"},
		{"lost at random, no surplus allowed", validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Share: 0.01}}}, lose(0.005)(source), nil, nil, "allowed, and losing is no surplus"},
		{"a page lost", within(0.05), without(4000, 5000)(source), nil, kinds(gap), "allowed, and worth a word"},
		{"a lost end", within(0.05), source[:99_123], nil, kinds(truncated), "allowed, and worth a word"},
		{"the first N at a cap", within(0.6), source[:50_000], kinds(truncated), kinds(capped), "no tolerance is meant for that"},
		{"a few exchanged", within(0.05), replaced(1000), nil, nil, "allowed"},
		{"many exchanged", within(0.05), replaced(20_000), kinds(different), nil, "the count is perfect"},
		{"all exchanged", within(0.5), users(100_000, 3), kinds(unverified), nil, "too many to tell, which proves nothing by itself"},
		{"all exchanged, a tenth allowed", within(0.1), users(100_000, 3), kinds(different), nil, "at least as many as do not cancel out within their cells"},
		{"exchanged up to the tolerance", within(0.05), replaced(5000), nil, nil, "exact"},
		{"exchanged beyond the tolerance", within(0.05), replaced(5001), kinds(different), nil, "exact"},
		{"few exchanged, tiny tolerance", validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 3}, Surplus: validate.Margin{Users: 3}}}, replaced(2), nil, nil, "exact"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := validate.Check(t.Context(), test.policy, validate.Output{
				Expected: digest(source).Summary(), Stored: digest(shuffled(test.stored)).Summary(),
			})
			t.Log(report)
			var warns []validate.Kind
			for _, f := range report.Findings {
				if f.Severity == validate.Warn {
					warns = append(warns, f.Kind)
				}
			}
			require.Equal(t, test.fails, failing(report), test.reason)
			require.Equal(t, test.warns, warns, test.reason)
			require.Equal(t, err == nil, len(failing(report)) == 0)
		})
	}
}

// One user that came very often is in no sample: what it is exchanged for, or
// what comes in its place, must not pass because of that.
func TestOneUserThatCameOften(t *testing.T) {
	source := users(100_000, 1)
	for i := range 20 {
		often := slices.Repeat([]string{"id " + strconv.Itoa(i)}, 50_000)
		other := slices.Repeat([]string{"no id " + strconv.Itoa(i)}, 50_000)
		_, err := validate.Check(t.Context(), within(0.01), validate.Output{
			Expected: digest(slices.Concat(source[:50_000], often)).Summary(),
			Stored:   digest(slices.Concat(source[:50_000], other)).Summary(),
		})
		require.Error(t, err, "half of what is stored is another user")

		_, err = validate.Check(t.Context(), within(0.01), validate.Output{
			Expected: digest(source).Summary(),
			Stored:   digest(slices.Concat(lose(0.03)(source), other)[:100_000]).Summary(),
		})
		require.ErrorIs(t, err, different, "an empty id, as it were, in place of 3,000 users")
	}
	_, err := validate.Check(t.Context(), within(0.01), validate.Output{
		Expected: digest(slices.Repeat(source, 3)).Summary(),
		Stored:   digest(shuffled(slices.Repeat(append(users(200, 2), source[200:]...), 3))).Summary(),
	})
	require.NoError(t, err, "the sample speaks for users that all came as often")
}

const unverified = validate.Unverified

func within(share float64) validate.Policy { return validate.Policy{Tolerance: validate.Within(share)} }

func TestDistinctUsers(t *testing.T) {
	few, many := users(3000, 1), users(60_000, 1)
	twice := func(source []string) []string { return slices.Concat(source, source[:len(source)/2]) }
	mixed := func(source []string) (all []string) {
		for _, u := range source {
			all = append(all, u, u)
		}
		return all
	}
	distinct := func(t validate.Tolerance) validate.Policy { return validate.Policy{Distinct: true, Tolerance: t} }
	for _, test := range []struct {
		name   string
		policy validate.Policy
		source []string
		stored validate.Summary
		fails  []validate.Kind
		says   string
		reason string
	}{
		{"kept once", distinct(validate.Tolerance{}), twice(few), digest(few).Summary(), nil, "", "exact: both digests hold all"},
		{"kept once, counted", distinct(validate.Tolerance{}), twice(few), validate.Count(3000), nil, "", "exact: the store counts what it keeps"},
		{"kept once, fingerprinted", distinct(validate.Tolerance{}), twice(few), validate.Fingerprinted(3000, digest(few).Summary().Fingerprint()), nil, "", "the sum over distinct users is known"},
		{"one lost", distinct(validate.Tolerance{}), twice(few), digest(few[1:]).Summary(), kinds(short), "stored 2,999 of 3,000 distinct users", "exact"},
		{"one exchanged", distinct(validate.Tolerance{}), twice(few), digest(append(users(1, 9), few[1:]...)).Summary(), kinds(different), "1 is missing (0 allowed) and 1 is stored that should not be (0 allowed)", "exact"},
		{"same users, repeats kept", distinct(validate.Tolerance{}), twice(many), digest(shuffled(twice(many))).Summary(), nil, "", "proven by fingerprints, whatever repeats"},
		{"kept once, many", distinct(validate.Within(0.03)), twice(many), digest(many).Summary(), nil, "", "within the error of the distinct counts"},
		{"kept once, many, zero tolerance", distinct(validate.Tolerance{}), twice(many), digest(many).Summary(), kinds(unverified), "would decide it", "an estimate proves no exact number"},
		{"many lost", distinct(validate.Within(0.03)), mixed(many), digest(many[:50_000]).Summary(), kinds(truncated, capped, short), "nothing after about the first 99,9", "10,000 of 60,000 are more than the error"},
		{"many exchanged", distinct(validate.Within(0.03)), twice(many), digest(users(60_000, 2)).Summary(), kinds(different), "none is stored", "the number is right"},
		{"kept once, a page lost", distinct(validate.Tolerance{}), twice(few), digest(slices.Concat(few[:1000], few[2100:])).Summary(), kinds(gap, short), ": users 1,001–2,100 of the source are missing", "what is not repeated is not missing"},
		{"kept once, a run of many lost", distinct(validate.Within(0.03)), twice(many), digest(many[6000:]).Summary(), kinds(gap, short), "likely a run of users is missing, within users", "the repeats are no run of their own"},
		{"few of many exchanged", distinct(validate.Within(0.03)), twice(many), digest(append(users(300, 9), many[300:]...)).Summary(), nil, "", "0.5% are within 3%"},
		{"kept once, no such policy", validate.Policy{}, twice(few), digest(few).Summary(), kinds(short), "Policy.Distinct compares distinct users", "says what to do"},
		{"kept once, fingerprinted, many", distinct(validate.Within(0.03)), twice(many), validate.Fingerprinted(60_000, digest(many).Summary().Fingerprint()), kinds(unverified), "a Digest on both sides does", "fingerprints of repeats tell nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := validate.Check(t.Context(), test.policy, validate.Output{Expected: digest(test.source).Summary(), Stored: test.stored})
			t.Log(report)
			require.Equal(t, test.fails, failing(report), test.reason)
			require.Equal(t, err == nil, len(test.fails) == 0)
			if err != nil {
				require.ErrorContains(t, err, test.says)
			}
		})
	}
}

// A page that came twice in place of another leaves as many rows as the source
// counts, and a store that keeps a user once has all that it was given.
func TestDistinctUsersLostWhileReading(t *testing.T) {
	for _, c := range []struct {
		source int
		within float64
		fails  []validate.Kind
		reason string
	}{
		{3000, 0, kinds(short), "exact: the digest holds them all"},
		{20_000, 0.02, kinds(short), "a twentieth is more than the tolerance and the error of the distinct count"},
		{20_000, 0.06, nil, "within the tolerance"},
	} {
		source := users(c.source, 1)
		lost := c.source / 20
		read := slices.Concat(source[lost:2*lost], source[lost:])
		policy := validate.Policy{Distinct: true, Reading: validate.Within(c.within), Tolerance: validate.Within(0.03)}
		report, err := validate.Check(t.Context(), policy, validate.Output{
			Expected: validate.Count(int64(c.source)), Read: digest(read).Summary(), Stored: digest(source[lost:]).Summary(),
		})
		require.Equal(t, c.fails, failing(report), "%s: %s", c.reason, report)
		if err != nil {
			require.ErrorContains(t, err, "users that came again count once")
			require.ErrorContains(t, err, "lost while reading")
		}
	}
}

// A side that can be looked at more closely is, once, and only where its users
// are others; what was found stands if that fails.
func TestOnDifference(t *testing.T) {
	source := users(20_000, 1)
	looks := 0
	side := func(users []string, err error) validate.Summary {
		d := digest(users)
		return validate.Fingerprinted(d.Users(), d.Summary().Fingerprint()).WithRemeasure(func(context.Context) (validate.Summary, error) {
			looks++
			return d.Summary(), err
		})
	}
	check := func(expected, stored validate.Summary) (validate.Report, error) {
		looks = 0
		return validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: expected, Stored: stored})
	}
	_, err := check(side(source, nil), side(shuffled(source), nil))
	require.NoError(t, err)
	require.Zero(t, looks, "nothing to look at")

	replaced := slices.Concat(source[:7000], source[3000:4000], source[8000:])
	_, err = check(side(source, nil), side(replaced, nil))
	require.ErrorContains(t, err, "users 7,001–8,000 of the source are missing; users 3,001–4,000 of the source are stored twice")
	require.Equal(t, 2, looks)

	report, err := check(side(source, nil), side(replaced, errBroken))
	require.ErrorIs(t, err, different)
	require.NotErrorIs(t, err, unverified, "the verdict does not depend on it")
	require.Contains(t, report.String(), "why the users differ could not be looked at: connection reset")

	_, err = validate.Check(t.Context(), within(0.01), validate.Output{Expected: side(source, nil), Stored: side(lose(0.005)(source), nil)})
	require.NoError(t, err, "fingerprints alone could not tell: the closer look can")
	_, err = validate.Check(t.Context(), within(0.01), validate.Output{Expected: side(source, nil), Stored: side(lose(0.005)(source), errBroken)})
	require.ErrorIs(t, err, unverified)

	moved := side(source, nil).WithRemeasure(func(context.Context) (validate.Summary, error) { return digest(replaced).Summary(), nil })
	report, err = check(moved, side(replaced, nil))
	require.ErrorIs(t, err, different, "what was found stands, though the sides agree by now")
	require.False(t, report.Passed())
}

// Where only the source was digested, with the hash of an engine that
// fingerprinted what is stored, sums still prove causes.
func TestEngineFingerprintsAreExplained(t *testing.T) {
	source := users(50_000, 1)
	read := validate.NewDigest(validate.MD5)
	read.AddStrings(source)
	stored := validate.NewDigest(validate.MD5)
	stored.AddStrings(source[:20_000])
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: read.Summary(),
		Stored:   validate.Fingerprinted(20_000, stored.Summary().Fingerprint()),
	})
	require.ErrorIs(t, err, truncated)
	require.ErrorContains(t, err, "exactly the first 20,000 of 50,000 users")
}
