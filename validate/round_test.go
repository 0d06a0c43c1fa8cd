package validate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestRoundNumbers: half of a round number, or one page less, is on a limit because
// both are round. Where more is known than the numbers, that leads; the reading of a
// source of which only numbers are known is capped all the same.
func TestRoundNumbers(t *testing.T) {
	type out = validate.Output
	wide := validate.Policy{Mapping: validate.Ratio{Min: 0.4, Max: 1}}
	high := validate.Policy{Mapping: validate.Ratio{Min: 0.7, Max: 0.95}}
	way := func(read, written, stored int64) out {
		return out{Expected: count(read), Read: count(read), Written: count(written), Stored: count(stored)}
	}
	fell := way(20_000, 10_000, 10_000)
	fell.Sizes, fell.At = reads(18_000, 20_000), noon
	all := users(26_000, 1)
	page := slices.Concat(all[:7000], all[8000:])
	for _, c := range []verdictCase{
		{name: "half mapped, as allowed", reason: "the rate explains it", policy: wide, output: way(20_000, 10_000, 10_000)},
		{name: "four in five mapped, as allowed", reason: "any rate does", policy: wide, output: way(12_500, 10_000, 10_000)},
		{name: "half mapped, and more wanted", reason: "the rate is what is proven", policy: high, output: way(20_000, 10_000, 10_000), want: []string{"short@map"}},
		{name: "mapped, and half stored", reason: "the loss is what is proven", policy: wide, output: way(20_000, 20_000, 10_000), want: []string{"short@store"}},
		{name: "mapped at 80%, and half stored", reason: "whatever was mapped", policy: wide, output: way(5000, 4000, 2000), want: []string{"short@store"}},
		{name: "nine in ten were mapped, and now half", reason: "no rate explains a fall from the segment's own sizes onto a limit", policy: wide, output: fell, want: []string{"capped@map?", "capped@size", "dropped@size"}},
		{name: "just a limit is mapped", reason: "no round number explains that", policy: wide, output: way(20_123, 10_000, 10_000), want: []string{"capped@map?"}},
		{name: "just a limit is mapped, and more wanted", reason: "nor that", policy: high, output: way(20_123, 10_000, 10_000), want: []string{"capped@map", "short@map"}},
		{name: "a sixth is mapped", reason: "so many are hardly lost by the rate", policy: high, output: way(60_000, 10_000, 10_000), want: []string{"capped@map", "short@map"}},
		{name: "half is read", reason: "the limit comes before the mapping", policy: wide, output: out{Expected: count(20_000), Read: count(10_000), Written: count(9000), Stored: count(9000)}, want: []string{"capped@read", "short@read"}},
		{name: "half, not mapped", reason: "the limit is the likeliest cause", output: out{Expected: count(20_000), Stored: count(10_000)}, want: []string{"capped@store", "short@store"}},
		{
			name: "a page of round data", reason: "others after it are there, which no limit leaves",
			output: out{Expected: digest(all).Summary(), Stored: digest(page).Summary()}, want: []string{"gap@store", "short@store"},
		},
		{
			name: "a page of round data, by what is stored", reason: "the numbers of the step before are no other case",
			output: out{Expected: digest(all).Summary(), Read: count(25_000), Stored: digest(page).Summary()}, want: []string{"gap@store", "short@read"},
		},
		{
			name: "the first users", reason: "which a limit leaves",
			output: out{Expected: digest(all).Summary(), Stored: digest(all[:25_000]).Summary()}, want: []string{"truncated@store", "capped@store", "short@store"},
		},
		{
			name: "a run of data that are not round", reason: "the limit may have been met in another order",
			output: out{Expected: digest(all[:25_877]).Summary(), Stored: digest(slices.Concat(all[:7000], all[7877:25_877])).Summary()}, want: []string{"capped@store", "gap@store", "short@store"},
		},
	} {
		t.Run(c.name, c.run)
	}
	_, err := validate.Check(t.Context(), high, way(20_000, 10_000, 10_000))
	require.EqualError(t, err, "output: mapped 10,000 of 20,000 users (50.0%, 14,000 to 19,000 allowed, 70% to 95%), lost while mapping, exactly a known limit (Elasticsearch index.max_result_window), and as round as the number it is a part of")
}

// TestWhoseUsers: a cause says whose users it counts: of the source, or those read of it,
// or those that were mapped, whose places and ids are others.
func TestWhoseUsers(t *testing.T) {
	type out = validate.Output
	all, mapped := users(26_000, 1), users(24_500, 2)
	of := func(parts ...[]string) validate.Summary { return digest(slices.Concat(parts...)).Summary() }
	same := func(s validate.Summary) validate.Summary { return printed(s.Users(), s.Fingerprint()) }
	way := func(stored validate.Summary) out {
		return out{Expected: of(all), Read: of(all), Written: of(mapped), Stored: stored}
	}
	ratio := validate.Policy{Mapping: validate.Ratio{Min: 0.9, Max: 1}}
	var scattered []string
	for i, u := range mapped {
		if i < 9_000 || 11_000 <= i || i == 10_000 {
			scattered = append(scattered, u)
		}
	}
	for _, c := range []struct {
		reason string
		policy validate.Policy
		output out
		kind   validate.Kind
		says   string
	}{
		{"a page", ratio, way(of(mapped[:7000], mapped[8000:])), validate.Gap, "users 7,001–8,000 of those mapped are missing"},
		{"a page, by an engine's fingerprint", ratio, way(same(of(mapped[:7000], mapped[8000:]))), validate.Gap, "users 7,001–8,000 of those mapped are missing"},
		{"a run between pages", ratio, way(of(scattered)), validate.Gap, " of those mapped: of "},
		{"a page twice", ratio, way(of(mapped[:8000], mapped[7000:])), validate.Repeated, "users 7,001–8,000 of those mapped are stored twice"},
		{"the first page, again and again", ratio, way(of(mapped[:5000], mapped[:5000])), validate.Repeated, "the first 5,000 users of those mapped are stored twice, and no others"},
		{"others", ratio, way(of(users(24_500, 3))), validate.Different, "of those mapped none is stored: these are others"},
		{"a page of what was read", validate.Policy{Reading: validate.Within(0.1)}, out{Expected: count(26_100), Read: of(all), Stored: of(all[:7000], all[8000:])}, validate.Gap, "users 7,001–8,000 of those read are missing"},
		{"a page of the source", validate.Policy{}, out{Expected: of(all), Read: of(all), Stored: of(all[:7000], all[8000:])}, validate.Gap, "users 7,001–8,000 of the source are missing"},
	} {
		report, err := validate.Check(t.Context(), c.policy, c.output)
		require.Error(t, err, c.reason)
		require.Contains(t, detail(t, report, c.kind).Detail, c.says, c.reason)
	}
}
