package validate_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// joined are n different users in the order in which they joined.
func joined(world uint64, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.FormatUint(world, 36) + "-" + strconv.Itoa(i)
	}
	return all
}

// judged compares two lists of users, each digested.
func judged(t *testing.T, p validate.Policy, source, stored []string) (validate.Report, error) {
	t.Helper()
	return validate.Check(t.Context(), p, validate.Output{Expected: digest(source).Summary(), Stored: digest(stored).Summary()})
}

func shortOf(share float64) validate.Tolerance {
	return validate.Tolerance{Short: validate.Margin{Share: share}}
}

// worlds are how many seeds a statistical test looks at.
func worlds(many int) uint64 {
	if testing.Short() || underRace {
		return uint64(max(2, many/10))
	}
	return uint64(many)
}

// TestStrangersUnderShort: strangers never pass a tolerance for losses, and are told
// by number.
func TestStrangersUnderShort(t *testing.T) {
	for seed := range worlds(40) {
		source := joined(seed, 100_000)
		stored := slices.Concat(source[500:], joined(seed+1000, 100))
		report, err := judged(t, validate.Policy{Tolerance: shortOf(0.01)}, source, stored)
		require.ErrorIs(t, err, validate.Different)
		require.Contains(t, detail(t, report, validate.Different).Detail, "stored 99,600 users where 100,000 were expected, but not the right ones: 500 are missing (1,000 allowed) and 100 are stored that should not be (0 allowed)")
	}
}

// TestLossesUnderDistinct: losses within a tolerance pass where distinct users are
// compared.
func TestLossesUnderDistinct(t *testing.T) {
	for seed := range worlds(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		source := joined(seed, 30_000)
		stored := slices.DeleteFunc(slices.Clone(source), func(string) bool { return random.Float64() < 0.05 })
		report, err := judged(t, validate.Policy{Distinct: true, Tolerance: shortOf(0.10)}, source, stored)
		require.NoError(t, err)
		require.Empty(t, found(report))
	}
}

// TestBlankedIDs: users in whose place is one and the same id are told by number, and
// that it is one.
func TestBlankedIDs(t *testing.T) {
	source := joined(1, 100_000)
	stored := slices.Clone(source)
	for i := range 5000 {
		stored[20*i] = ""
	}
	copy(stored[50_001:], joined(2, 100)[:10])
	report, err := judged(t, validate.Policy{}, source, stored)
	require.ErrorIs(t, err, validate.Different)
	require.Regexp(t, `5,010 are missing \(0 allowed\) and 5,010 are stored that should not be \(0 allowed\), one of them 5,000 times`, detail(t, report, validate.Different).Detail)
}

// TestOneIDManyTimes: a store that keeps once an id that came 2,000 times is short by
// 1,999 rows, which a tolerance of rows may allow.
func TestOneIDManyTimes(t *testing.T) {
	for seed := range worlds(100) {
		source := slices.Concat(joined(seed, 20_000), slices.Repeat([]string{"often"}, 2000))
		report, err := judged(t, validate.Policy{Tolerance: shortOf(0.10)}, source, slices.Concat(joined(seed, 20_000), []string{"often"}))
		require.NoError(t, err, "%v", report)
	}
}

// active repeats users as often as they are active: log-normal, σ = 1.5.
func active(random *rand.Rand, users []string) (rows []string) {
	for _, u := range users {
		for range int(math.Ceil(math.Exp(1.5 * random.NormFloat64()))) {
			rows = append(rows, u)
		}
	}
	return rows
}

// TestActiveUsersLost: losses of users of whom some have many rows are losses, and
// nobody is said to be in their place.
func TestActiveUsersLost(t *testing.T) {
	for seed := range worlds(60) {
		random := rand.New(rand.NewPCG(seed, 2))
		rows := active(random, joined(seed, 20_000))
		lost := map[string]bool{}
		for _, u := range joined(seed, 20_000) {
			lost[u] = random.Float64() < 0.01
		}
		stored := slices.DeleteFunc(slices.Clone(rows), func(u string) bool { return lost[u] })
		report, err := judged(t, validate.Policy{Tolerance: shortOf(0.03)}, rows, stored)
		require.NotErrorIs(t, err, validate.Different)
		if float64(len(rows)-len(stored)) <= 0.03*float64(len(rows)) {
			require.NoError(t, err, "%v", report)
		}
	}
}

// TestHalfOfTheNewest: where half of the newest users are lost, no end is.
func TestHalfOfTheNewest(t *testing.T) {
	for seed := range worlds(150) {
		random := rand.New(rand.NewPCG(seed, 3))
		source := joined(seed, 50_000)
		stored := slices.Clone(source[:49_000])
		for _, u := range source[49_000:] {
			if random.IntN(2) == 0 {
				stored = append(stored, u)
			}
		}
		report, err := judged(t, validate.Policy{}, source, stored)
		require.ErrorIs(t, err, validate.Short)
		require.NotErrorIs(t, err, validate.Truncated, "%v", report)
		require.NotErrorIs(t, err, validate.Gap, "%v", report)
	}
}

// storedOnce is a store that keeps each user once, and can be asked.
func storedOnce(users []string, asked *int) validate.Summary {
	return digest(users).Summary().WithRemeasure(func(ctx context.Context) (validate.Summary, error) {
		*asked++
		if question := validate.InQuestion(ctx); question != nil {
			return only(users, question), nil
		}
		return digest(users).Summary(), nil
	})
}

// TestRepeatsInAStoreThatKeepsAUserOnce: of 40,100 rows 100 are repeats. What is lost besides is
// told by number where the store can be asked, and where each user was digested once;
// else the advice does not depend on what is lost.
func TestRepeatsInAStoreThatKeepsAUserOnce(t *testing.T) {
	users := joined(1, 40_000)
	rows := slices.Concat(users, users[:100])
	var once validate.Digest
	for _, err := range validate.TeeOnce(&once, func(yield func(string, error) bool) {
		for _, u := range rows {
			if !yield(u, nil) {
				return
			}
		}
	}, 50_000) {
		require.NoError(t, err)
	}
	for _, c := range []struct {
		lost      int
		tolerance validate.Tolerance
		says      string // empty: passes
	}{
		{0, validate.Tolerance{}, ""},
		{40, validate.Tolerance{}, "short"},
		{40, validate.Tolerance{Short: validate.Margin{Users: 39}}, "short"},
		{40, validate.Tolerance{Short: validate.Margin{Users: 40}}, ""},
		{1000, validate.Tolerance{}, "short"},
	} {
		stored := slices.Concat(users[:20_000], users[20_000+c.lost:])
		p := validate.Policy{Distinct: true, Tolerance: c.tolerance}
		for how, expected := range map[string]validate.Summary{"asked": digest(rows).Summary(), "digested once": once.Summary()} {
			asked := 0
			report, err := validate.Check(t.Context(), p, validate.Output{Expected: expected, Stored: storedOnce(stored, &asked)})
			require.Equal(t, c.says == "", err == nil, "%s: %d lost: %v", how, c.lost, report)
			if how == "asked" {
				require.Equal(t, 1, asked)
			} else {
				require.Zero(t, asked)
			}
			if err != nil {
				require.ErrorContains(t, err, fmt.Sprintf("stored %s of 40,000 distinct users", commas(40_000-c.lost)))
				require.NotErrorIs(t, err, validate.Different)
			}
		}
		report, err := judged(t, p, rows, stored)
		if c.lost <= 1 || err == nil {
			continue
		}
		require.NotContains(t, report.String(), "a tolerance of")
	}
	report, err := judged(t, validate.Policy{Distinct: true}, rows, users)
	require.ErrorIs(t, err, validate.Unverified)
	require.Contains(t, detail(t, report, validate.Unverified).Detail, "to ask the store for these (Summary.WithRemeasure, InQuestion), or to digest each once (TeeOnce), would decide it")
}

func commas(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// TestLookThatAnswersAnotherQuestion: a look that fails, or tells of other users than
// it is asked for, decides nothing.
func TestLookThatAnswersAnotherQuestion(t *testing.T) {
	users := joined(1, 40_000)
	rows := slices.Concat(users, users[:100])
	for reason, answer := range map[string]func() (validate.Summary, error){
		"all users":   func() (validate.Summary, error) { return digest(users).Summary(), nil },
		"others":      func() (validate.Summary, error) { return digest(users[500:550]).Summary(), nil },
		"a number":    func() (validate.Summary, error) { return validate.Count(100), nil },
		"an outage":   func() (validate.Summary, error) { return validate.Summary{}, errBroken },
		"not allowed": func() (validate.Summary, error) { return validate.Unmeasured(errBroken), nil },
	} {
		report, err := validate.Check(t.Context(), validate.Policy{Distinct: true}, validate.Output{
			Expected: digest(rows).Summary(),
			Stored:   digest(users).Summary().WithRemeasure(func(context.Context) (validate.Summary, error) { return answer() }),
		})
		require.ErrorIs(t, err, validate.Unverified, "%s: %v", reason, report)
		require.False(t, report.Proven(), reason)
	}
}

var intervalOf = regexp.MustCompile(`by the sample likely ([\d.]+)% to ([\d.]+)% of the source are missing`)

var firstOf = regexp.MustCompile(`(?:after|after about|exactly) the first ([\d,]+) of`)

var rangeOf = regexp.MustCompile(`([\d,]+)–([\d,]+)`)

// holds reports whether a cause that is claimed is there all the same, as a shard may
// hold just the users of some run: if of those that are said to be missing no larger
// share is stored than is given.
func holds(text string, source []string, there map[string]int, most float64) bool {
	missing := func(run []string) bool {
		stored := 0
		for _, u := range run {
			stored += min(1, there[u])
		}
		return float64(stored) <= most*float64(len(run))
	}
	if m := firstOf.FindStringSubmatch(text); m != nil {
		return missing(source[num(m[1]):])
	}
	runs := rangeOf.FindAllStringSubmatch(text, -1)
	return len(runs) > 0 && !slices.ContainsFunc(runs, func(m []string) bool { return !missing(source[num(m[1])-1 : num(m[2])]) })
}

func fnv(u string) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(u) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd // else ids that follow each other meet in a shard
	return h ^ h>>33
}

// TestStoreThatChangedMeanwhile: an answer that does not fit what was stored before
// decides nothing.
func TestStoreThatChangedMeanwhile(t *testing.T) {
	users := joined(1, 40_000)
	stored := slices.Concat(users, []string{"a stranger"})
	report, err := validate.Check(t.Context(), validate.Policy{Distinct: true, Tolerance: validate.Tolerance{Surplus: validate.Margin{Users: 1}}}, validate.Output{
		Expected: digest(slices.Concat(users, users[:100])).Summary(),
		Stored: digest(stored).Summary().WithRemeasure(func(ctx context.Context) (validate.Summary, error) {
			return only(users, validate.InQuestion(ctx)), nil
		}),
	})
	require.ErrorIs(t, err, validate.Unverified)
	require.Contains(t, report.String(), "the store was asked for users of whom it held more before")
}

// TestSampledStranger: more users differ than can be told, and a stranger among the
// sampled ones proves that there are some.
func TestSampledStranger(t *testing.T) {
	users := joined(1, 200_000)
	kept := lose(0.3)(users)
	stored := slices.Concat(kept, joined(2, 2000))
	report, err := judged(t, validate.Policy{Tolerance: shortOf(0.5)}, users, stored)
	require.ErrorIs(t, err, validate.Different, "%v", report)
	require.Regexp(t, `at least \d+ are stored that should not be \(0 allowed\)`, report.String())
	report, err = judged(t, validate.Policy{Tolerance: shortOf(0.5)}, users, kept)
	require.ErrorIs(t, err, validate.Unverified, "that there are none is not known: %v", report)
	require.False(t, report.Proven())
}

// innocent draws a source and losses without a cause that a digest could know: at random,
// by age, by hash, by prefix, or half of the newest; each user once, or as often as they
// are active.
func innocent(random *rand.Rand, seed uint64) (source []string, lost func(i int, u string) bool, kind string) {
	n := 9000 + random.IntN(60_000)
	source = joined(seed, n)
	kind = [...]string{"at random", "by age", "by hash", "by prefix", "by prefix in bursts", "half of the newest"}[random.IntN(6)]
	burst := map[bool]int{true: 20, false: 3}[kind == "by prefix in bursts"]
	prefix := map[string]int{}
	for i, of := 0, 0; i < n; i++ {
		if random.IntN(burst) == 0 {
			of = random.IntN(40)
		}
		prefix[source[i]] = of
	}
	share := math.Pow(10, -3*random.Float64())
	gone := map[string]bool{}
	for _, u := range source {
		gone[u] = random.Float64() < share
	}
	age, shards := float64(n), uint64(2+random.IntN(30))
	newest := 1 - 0.01*float64(1+random.IntN(10))
	if random.IntN(3) == 0 {
		kind += ", as they are active"
		source = active(random, source[:n/4])
		age = float64(len(source))
	}
	lost = func(i int, u string) bool {
		switch kind, _, _ := strings.Cut(kind, ","); kind {
		case "by age": // the newer, the likelier
			return gone[u] && random.Float64() < float64(i)/age
		case "by hash": // one shard of some
			return fnv(u)%shards == 0
		case "by prefix", "by prefix in bursts":
			return prefix[u] < int(40*share)
		case "half of the newest":
			return float64(i) >= newest*age && random.IntN(2) == 0
		}
		return gone[u]
	}
	return source, lost, kind
}

// TestInnocentWorlds: where users are lost by age, by prefix, by hash, as they are
// active, or half of the newest, no cause is claimed that is not there, and by the
// sample no share that is not in its interval, but for as many worlds as chance allows.
func TestInnocentWorlds(t *testing.T) {
	total, first := worlds(600), uint64(0)
	if n, err := strconv.Atoi(os.Getenv("WORLDS")); err == nil {
		total = uint64(n)
	}
	if n, err := strconv.Atoi(os.Getenv("WORLDS_FROM")); err == nil {
		first = uint64(n)
	}
	claims, intervals, outside := 0, 0, 0
	quiet := validate.Validator{}
	for seed := first; seed < first+total; seed++ {
		source, lost, kind := innocent(rand.New(rand.NewPCG(seed, 4)), seed)
		var stored []string
		for i, u := range source {
			if !lost(i, u) {
				stored = append(stored, u)
			}
		}
		report, _ := quiet.Check(t.Context(), validate.Policy{}, validate.Output{Expected: digest(source).Summary(), Stored: digest(stored).Summary()})
		there := newTruth("stored", stored).times
		most := 0.0
		if strings.HasPrefix(kind, "by prefix in bursts") { // of which some are next to each other, and nearly a run
			most = 0.3
		}
		for _, f := range report.Findings {
			if f.Kind != validate.Short && f.Kind != validate.Capped && !holds(f.Detail, source, there, most) {
				claims++
				t.Log(kind, len(source), len(stored), f.Detail)
			}
		}
		// The same with strangers in their place shows the sample's interval.
		if len(source)-len(stored) > 12_000 {
			exchanged := slices.Concat(stored, joined(seed+1_000_000, len(source)-len(stored)))
			report, _ := quiet.Check(t.Context(), validate.Policy{}, validate.Output{Expected: digest(source).Summary(), Stored: digest(exchanged).Summary()})
			for _, f := range report.Findings {
				var low, high float64
				if m := intervalOf.FindStringSubmatch(f.Detail); m != nil {
					low, _ = strconv.ParseFloat(m[1], 64)
					high, _ = strconv.ParseFloat(m[2], 64)
					intervals++
					is := 100 * float64(len(source)-len(stored)) / float64(len(source))
					if is < low-0.05 || is > high+0.05 {
						outside++
						t.Log(kind, is, f.Detail)
					}
				}
			}
		}
	}
	t.Log(total, "worlds,", claims, "false claims;", intervals, "intervals,", outside, "of them beside the truth")
	require.Zero(t, claims)
	require.LessOrEqual(t, outside, 1+intervals/1000)
}
