package validate_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

var (
	noon   = time.Date(2024, 3, 18, 12, 0, 0, 0, time.UTC)
	count  = validate.Count
	xxh3Of = func(n uint64) validate.Fingerprint {
		return validate.Fingerprint{Hash: validate.XXH3, Sum: [4]uint64{n, 1}}
	}
	md5Of = func(n uint64) validate.Fingerprint {
		return validate.Fingerprint{Hash: validate.MD5, Sum: [4]uint64{n, 1, 2, 3}}
	}
	printed   = validate.Fingerprinted
	onePct    = validate.Policy{Tolerance: validate.Within(0.01)}
	mapped    = validate.Policy{Mapping: validate.Ratio{Min: 0.70, Max: 0.95}}
	emptiable = validate.Policy{AllowEmpty: true}
)

// daily is a history of one size a day, the last one a day before noon.
func daily(sizes ...int64) []validate.Size {
	history := make([]validate.Size, len(sizes))
	for i, users := range sizes {
		history[i] = validate.Size{Users: users, At: noon.AddDate(0, 0, i-len(sizes))}
	}
	return history
}

// flat is n days of the same size.
func flat(n int, users int64) []validate.Size {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = users
	}
	return daily(sizes...)
}

// found lists what a report says, gravest first: "capped@read", with "?" behind
// what only warns.
func found(r validate.Report) []string {
	list := []string{}
	for _, f := range r.Findings {
		text := string(f.Kind) + "@" + f.Step
		if f.Severity == validate.Warn {
			text += "?"
		}
		list = append(list, text)
	}
	return list
}

type verdictCase struct {
	name   string
	reason string // the rule, and why it is one
	policy validate.Policy
	output validate.Output
	want   []string // none: passes
}

func (c verdictCase) run(t *testing.T) {
	t.Helper()
	out := c.output
	if len(out.Sizes) > 0 && out.At.IsZero() {
		out.At = noon
	}
	report, err := validate.Check(t.Context(), c.policy, out)
	if c.want == nil {
		c.want = []string{}
	}
	require.Equal(t, c.want, found(report), "%s\n%v", c.reason, report)
	require.Equal(t, err == nil, report.Passed(), "the error and the report agree")
	passes := true
	for _, f := range report.Findings {
		if f.Severity != validate.Warn {
			passes = false
			require.ErrorIs(t, err, f.Kind)
		}
	}
	require.Equal(t, passes, err == nil, c.reason)
}

// TestVerdicts holds every row of the design's table.
func TestVerdicts(t *testing.T) {
	type out = validate.Output
	unknown := validate.Unknown()
	for _, c := range []verdictCase{
		{
			name: "all stored", reason: "the zero policy wants exactly the expected users",
			output: out{Expected: count(812345), Stored: count(812345)},
		},
		{
			name: "one short", reason: "E − S > 0 allowed is Short",
			output: out{Expected: count(812345), Stored: count(812344)},
			want:   []string{"short@store"},
		},
		{
			name: "one surplus", reason: "S − E > 0 allowed is Surplus",
			output: out{Expected: count(812345), Stored: count(812346)},
			want:   []string{"surplus@store"},
		},
		{
			name: "last user allowed", reason: "a tolerance is inclusive",
			policy: onePct, output: out{Expected: count(1000), Stored: count(990)},
		},
		{
			name: "first user not allowed", reason: "a tolerance ends where it says",
			policy: onePct, output: out{Expected: count(1001), Stored: count(990)},
			want: []string{"short@store"},
		},
		{
			name: "users and share", reason: "the larger of a margin's users and share is allowed",
			policy: validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 20, Share: 0.01}}},
			output: out{Expected: count(1000), Stored: count(980)},
		},
		{
			name: "short allowed, surplus not", reason: "the two directions have their own margins",
			policy: validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Share: 0.5}}},
			output: out{Expected: count(1000), Stored: count(1001)},
			want:   []string{"surplus@store"},
		},
		{
			name: "estimate too coarse", reason: "a difference within three errors and beyond the tolerance is neither",
			output: out{Expected: count(100000), Stored: validate.Estimate(99700, 0.004)},
			want:   []string{"unverified@store"},
		},
		{
			name: "estimate proves short", reason: "E − S − 3σ > allowed",
			output: out{Expected: count(100000), Stored: validate.Estimate(90000, 0.004)},
			want:   []string{"short@store"},
		},
		{
			name: "estimate proves surplus", reason: "S − E − 3σ > allowed",
			output: out{Expected: count(100000), Stored: validate.Estimate(110000, 0.004)},
			want:   []string{"surplus@store"},
		},
		{
			name: "estimate fine enough", reason: "within, even with 3σ on top",
			policy: validate.Policy{Tolerance: validate.Within(0.05)},
			output: out{Expected: count(100000), Stored: validate.Estimate(99700, 0.004)},
		},
		{
			name: "both estimated", reason: "errors add up as squares: 3 × 0.004 × √2 of 100,000 is 1,697 users",
			policy: validate.Policy{Tolerance: validate.Within(0.016)},
			output: out{Expected: validate.Estimate(100000, 0.004), Stored: validate.Estimate(100000, 0.004)},
			want:   []string{"unverified@store"},
		},
		{
			name: "source moved", reason: "who left may hide who was skipped: a number between proves nothing",
			output: out{Expected: validate.Moving(count(1000), count(1100)), Stored: count(1050)},
			want:   []string{"unverified@store"},
		},
		{
			name: "source moved, at its end", reason: "the same: 100 may have left, or 100 who stayed may be missing",
			output: out{Expected: validate.Moving(count(1100), count(1000)), Stored: count(1000)},
			want:   []string{"unverified@store"},
		},
		{
			name: "source moved by what is allowed", reason: "the tolerance covers the movement: 50 of 1,100 may be missing, 50 of 1,000 be there twice",
			policy: validate.Policy{Tolerance: validate.Within(0.05)},
			output: out{Expected: validate.Moving(count(1000), count(1100)), Stored: count(1050)},
		},
		{
			name: "source moved by more than is allowed", reason: "51 may be there twice",
			policy: validate.Policy{Tolerance: validate.Within(0.05)},
			output: out{Expected: validate.Moving(count(1000), count(1100)), Stored: count(1051)},
			want:   []string{"unverified@store"},
		},
		{
			name: "source moved, below", reason: "each end has its own margin",
			policy: onePct, output: out{Expected: validate.Moving(count(1000), count(1100)), Stored: count(989)},
			want: []string{"short@store"},
		},
		{
			name: "source moved, above", reason: "each end has its own margin",
			policy: onePct, output: out{Expected: validate.Moving(count(1000), count(1100)), Stored: count(1112)},
			want: []string{"surplus@store"},
		},
		{
			name: "store moved across the edge", reason: "a read-back that moved vouches only for both its ends",
			output: out{Expected: count(1000), Stored: validate.Moving(count(900), count(1000))},
			want:   []string{"unverified@store"},
		},
		{
			name: "store maybe empty", reason: "a tolerance of all lets 0 pass by count, and then nobody knows if anything is there",
			policy: validate.Policy{Tolerance: validate.Within(1)},
			output: out{Expected: count(1000), Stored: validate.Moving(count(0), count(1000))},
			want:   []string{"unverified@store"},
		},
		{
			name: "mapping in its band", reason: "70–95% of ids have a counterpart",
			policy: mapped, output: out{Expected: count(1000), Read: count(1000), Written: count(700), Stored: count(700)},
		},
		{
			name: "mapping below", reason: "Written over Read outside Mapping",
			policy: mapped, output: out{Expected: count(1001), Read: count(1001), Written: count(700), Stored: count(700)},
			want: []string{"short@map"},
		},
		{
			name: "mapping above", reason: "Written over Read outside Mapping",
			policy: mapped, output: out{Expected: count(1001), Read: count(1001), Written: count(951), Stored: count(951)},
			want: []string{"surplus@map"},
		},
		{
			name: "mapping exactly one", reason: "zero Mapping is exactly one",
			output: out{Expected: count(1000), Read: count(1000), Written: count(999), Stored: count(999)},
			want:   []string{"short@map"},
		},
		{
			name: "cap hidden by mapping", reason: "reading is held exact while the mapping has its own band",
			policy: mapped, output: out{Expected: count(12000), Read: count(10000), Written: count(9000), Stored: count(9000)},
			want: []string{"capped@read", "short@read"},
		},
		{
			name: "written without read", reason: "what was written is held against Expected where Read was not measured",
			output: out{Expected: count(812345), Written: count(10000), Stored: count(10000)},
			want:   []string{"capped@map", "short@map"},
		},
		{
			name: "stored nothing", reason: "Short and Empty, whatever the tolerance",
			policy: validate.Policy{Tolerance: validate.Within(1), AllowEmpty: true},
			output: out{Expected: count(3), Stored: count(0)},
			want:   []string{"empty@store", "short@store"},
		},
		{
			name: "stored nothing of what was read", reason: "something was there at any earlier side",
			policy: validate.Policy{AllowEmpty: true},
			output: out{Expected: count(0), Read: count(5), Written: count(5), Stored: count(0)},
			want:   []string{"empty@store", "short@store", "surplus@read"},
		},
		{
			name: "nothing expected, not allowed", reason: "the zero policy wants at least one user",
			output: out{Expected: count(0), Stored: count(0)},
			want:   []string{"empty@store"},
		},
		{
			name: "nothing expected, allowed", reason: "AllowEmpty",
			policy: emptiable, output: out{Expected: count(0), Stored: count(0)},
		},
		{
			name: "nothing expected, allowed, after users", reason: "an independent source says 0, and AllowEmpty means it",
			policy: emptiable, output: out{Expected: count(0), Stored: count(0), Sizes: flat(30, 5000)},
			want: []string{"dropped@size?"},
		},
		{
			name: "nothing expected by itself, allowed, history forbids", reason: "a job's own word is none against its history",
			policy: emptiable, output: out{Expected: count(0), SelfReported: true, Stored: count(0), Sizes: flat(30, 5000)},
			want: []string{"empty@size", "dropped@size"},
		},
		{
			name: "nothing expected, read nevertheless, history forbids", reason: "what was read is not there",
			policy: emptiable, output: out{Expected: count(0), Read: count(5), Stored: count(0), Sizes: flat(30, 5000)},
			want: []string{"empty@store", "short@store", "surplus@read", "dropped@size?"},
		},
		{
			name: "nothing expected, zero accepted", reason: "a baseline that began anew at zero lets zero pass",
			policy: emptiable, output: out{Expected: count(0), Stored: count(0), Sizes: flat(1, 0)},
		},
		{
			name: "unknown, no history", reason: "nothing vouches for the size",
			output: out{Expected: unknown, Stored: count(500)},
			want:   []string{"unverified@size"},
		},
		{
			name: "unknown, only zeros before", reason: "a history without users vouches for no number of them",
			output: out{Expected: unknown, Stored: count(500), Sizes: flat(3, 0)},
			want:   []string{"unverified@size"},
		},
		{
			name: "unknown, history agrees", reason: "history decides the size, alone",
			output: out{Expected: unknown, Stored: count(5010), Sizes: flat(30, 5000)},
		},
		{
			name: "unknown, history differs", reason: "history decides the size, alone, whatever the policy says of histories",
			policy: validate.Policy{OffHistory: validate.OffHistoryWarns},
			output: out{Expected: unknown, Stored: count(1777), Sizes: flat(30, 5000)},
			want:   []string{"dropped@size"},
		},
		{
			name: "unknown, stored short of read", reason: "the measured steps are judged",
			output: out{Expected: unknown, Read: count(5000), Stored: count(4999), Sizes: flat(30, 5000)},
			want:   []string{"short@store"},
		},
		{
			name: "unknown, nothing stored", reason: "nothing vouches for an empty output",
			policy: emptiable, output: out{Expected: unknown, Stored: count(0)},
			want: []string{"empty@store"},
		},
		{
			name: "unknown, nothing stored, zero accepted", reason: "an accepted zero does",
			policy: emptiable, output: out{Expected: unknown, Stored: count(0), Sizes: flat(1, 0)},
		},
		{
			name: "expected not measured", reason: "bad input",
			output: out{Stored: count(5)},
			want:   []string{"unverified@"},
		},
		{
			name: "stored not measured", reason: "bad input",
			output: out{Expected: count(5)},
			want:   []string{"unverified@"},
		},
		{
			name: "stored unknown", reason: "a store that nobody read back proves nothing",
			output: out{Expected: count(5), Stored: unknown},
			want:   []string{"unverified@store"},
		},
		{
			name: "short and on a cap", reason: "also Capped, with every origin",
			output: out{Expected: count(812345), Stored: count(10000)},
			want:   []string{"capped@store", "short@store"},
		},
		{
			name: "on a cap within the tolerance", reason: "a Warn, as the store may well hold that number",
			policy: validate.Policy{Tolerance: validate.Within(0.05)},
			output: out{Expected: count(10100), Stored: count(10000)},
			want:   []string{"capped@store?"},
		},
		{
			name: "read on a cap within the tolerance", reason: "fails whatever the tolerance: below 1,000 it may be chance",
			policy: validate.Policy{Reading: validate.Within(0.05), Tolerance: validate.Within(0.05)},
			output: out{Expected: count(10100), Read: count(10000), Stored: count(10000)},
			want:   []string{"capped@read"},
		},
		{
			name: "read on a small cap within the tolerance", reason: "below 1,000 round numbers meet limits by chance",
			policy: validate.Policy{Reading: validate.Within(0.05), Tolerance: validate.Within(0.05)},
			output: out{Expected: count(102), Read: count(100), Stored: count(100)},
			want:   []string{"capped@read?"},
		},
		{
			name: "read on a cap that the source may have", reason: "an estimate of the source above the cap by less than its error does not prove it",
			policy: validate.Policy{Reading: validate.Within(0.05)},
			output: out{Expected: validate.Estimate(10020, 0.004), Read: count(10000), Stored: count(10000)},
			want:   []string{"capped@read?"},
		},
		{
			name: "read on a cap between", reason: "a source that grew beyond the cap while it was read was there once, but hardly at that moment",
			output: out{Expected: validate.Moving(count(9000), count(20000)), Read: count(10000), Stored: count(10000)},
			want:   []string{"capped@read?", "unverified@read"},
		},
		{
			name: "exactly the cap expected", reason: "a source of 10,000 users is no fault",
			output: out{Expected: count(10000), Read: count(10000), Stored: count(10000)},
		},
		{
			name: "estimated on a cap", reason: "only a counted side can be exactly on a cap",
			output: out{Expected: count(812345), Stored: validate.Estimate(10000, 0.004)},
			want:   []string{"short@store"},
		},
		{
			name: "own cap", reason: "Policy.Caps are limits of your own",
			policy: validate.Policy{Caps: []validate.Cap{{Users: 777, Origin: "our export page"}}},
			output: out{Expected: count(5000), Stored: count(777)},
			want:   []string{"capped@store", "short@store"},
		},
		{
			name: "stale", reason: "yesterday's count proves nothing about today's write, not even that users are missing",
			output: out{Expected: count(1000), Stored: count(10).AsOf(noon.Add(-time.Hour)), WrittenAt: noon},
			want:   []string{"unverified@store"},
		},
		{
			name: "staleness unknown", reason: "AsOf absent",
			output: out{Expected: count(1000), Stored: count(1000), WrittenAt: noon},
			want:   []string{"unverified@store"},
		},
		{
			name: "fresh", reason: "complete up to the last write",
			output: out{Expected: count(1000), Stored: count(1000).AsOf(noon), WrittenAt: noon},
		},
		{
			name: "stale, lost while reading", reason: "a stale store does not hide what the other sides prove",
			output: out{Expected: count(1000), Read: count(900), Stored: count(1000), WrittenAt: noon},
			want:   []string{"short@read", "unverified@store"},
		},
		{
			name: "same fingerprints", reason: "which users: proven",
			output: out{Expected: printed(1000, md5Of(7)), Stored: printed(1000, md5Of(7))},
		},
		{
			name: "same fingerprints, off history", reason: "size and history are still judged",
			output: out{Expected: printed(1000, md5Of(7)), SelfReported: true, Stored: printed(1000, md5Of(7)), Sizes: flat(30, 50000)},
			want:   []string{"capped@size", "dropped@size"},
		},
		{
			name: "other users", reason: "with zero tolerance at least Different where the counts pass",
			output: out{Expected: printed(1000, md5Of(7)), Stored: printed(1000, md5Of(8))},
			want:   []string{"different@store"},
		},
		{
			name: "other users within a tolerance", reason: "two sums cannot tell how many differ",
			policy: onePct, output: out{Expected: printed(1000, md5Of(7)), Stored: printed(999, md5Of(8))},
			want: []string{"unverified@store"},
		},
		{
			name: "other users within two tolerances", reason: "what the reading may lose, the storing need not make up for",
			policy: validate.Policy{Reading: validate.Within(0.01)},
			output: out{Expected: printed(1000, md5Of(7)), Read: count(995), Stored: printed(995, md5Of(8))},
			want:   []string{"unverified@store"},
		},
		{
			name: "other users within two surpluses", reason: "half more than half more is more than all again, and no wrong count",
			policy: validate.Policy{Reading: validate.Within(0.5), Tolerance: validate.Within(0.5)},
			output: out{Expected: printed(1001, md5Of(7)), Read: count(1501), Stored: printed(2251, md5Of(8))},
			want:   []string{"unverified@store"},
		},
		{
			name: "other users in the reading", reason: "content is compared over each step that has it",
			output: out{Expected: printed(1000, md5Of(7)), Read: printed(1000, md5Of(8)), Stored: printed(1000, md5Of(8))},
			want:   []string{"different@read"},
		},
		{
			name: "other users behind a counted side", reason: "a side between that was only counted hides nothing",
			output: out{Expected: printed(1000, md5Of(7)), Read: printed(1000, md5Of(7)), Written: count(1000), Stored: printed(1000, md5Of(8))},
			want:   []string{"different@store"},
		},
		{
			name: "other users behind an unknown side", reason: "nor one that nobody knows",
			output: out{Expected: printed(1000, md5Of(7)), Read: unknown, Written: unknown, Stored: printed(1000, md5Of(8))},
			want:   []string{"different@store"},
		},
		{
			name: "other users set out to be stored", reason: "without a Mapping, what is written are the users that were read",
			output: out{Expected: count(1000), Read: printed(1000, md5Of(7)), Written: printed(1000, md5Of(8)), Stored: printed(1000, md5Of(8))},
			want:   []string{"different@map"},
		},
		{
			name: "all ids mapped", reason: "with one, they have other ids, be it one for each",
			policy: validate.Policy{Mapping: validate.Ratio{Min: 1, Max: 1}},
			output: out{Expected: count(1000), Read: printed(1000, md5Of(7)), Written: printed(1000, md5Of(8)), Stored: printed(1000, md5Of(8))},
		},
		{
			name: "mapped ids differ", reason: "ids change on the way, so users are not compared over it",
			policy: mapped, output: out{Expected: printed(1000, md5Of(7)), Read: printed(1000, md5Of(7)), Written: printed(800, md5Of(8)), Stored: printed(800, md5Of(8))},
		},
		{
			name: "different hashes", reason: "Unverified, never silently count-only",
			output: out{Expected: printed(1000, md5Of(7)), Stored: printed(1000, xxh3Of(7))},
			want:   []string{"unverified@store"},
		},
		{
			name: "nameless hash", reason: "a fingerprint of nobody knows what",
			output: out{Expected: printed(1000, validate.Fingerprint{Sum: [4]uint64{1}}), Stored: printed(1000, validate.Fingerprint{Sum: [4]uint64{1}})},
			want:   []string{"unverified@store"},
		},
		{
			name: "impossible fingerprints", reason: "equal sums of different counts: one was measured wrongly, though within tolerance",
			policy: onePct, output: out{Expected: printed(1000, md5Of(7)), Stored: printed(999, md5Of(7))},
			want: []string{"unverified@store"},
		},
		{
			name: "off history, vouched", reason: "an independent Expected vouches for the size: the fault lies upstream",
			output: out{Expected: count(2001), Stored: count(2001), Sizes: flat(30, 5000)},
			want:   []string{"dropped@size?"},
		},
		{
			name: "off history, vouched, policy fails", reason: "OffHistoryFails",
			policy: validate.Policy{OffHistory: validate.OffHistoryFails},
			output: out{Expected: count(2001), Stored: count(2001), Sizes: flat(30, 5000)},
			want:   []string{"dropped@size"},
		},
		{
			name: "off history, self-reported", reason: "a model's own output does not vouch for its size",
			output: out{Expected: count(2001), SelfReported: true, Stored: count(2001), Sizes: flat(30, 5000)},
			want:   []string{"dropped@size"},
		},
		{
			name: "off history, self-reported, policy warns", reason: "OffHistoryWarns",
			policy: validate.Policy{OffHistory: validate.OffHistoryWarns},
			output: out{Expected: count(2001), SelfReported: true, Stored: count(2001), Sizes: flat(30, 5000)},
			want:   []string{"dropped@size?"},
		},
		{
			name: "risen", reason: "far above its history",
			output: out{Expected: count(50001), SelfReported: true, Stored: count(50001), Sizes: flat(30, 5000)},
			want:   []string{"risen@size"},
		},
		{
			name: "on a cap below its history, vouched", reason: "fails always: the limit is upstream, and known",
			policy: validate.Policy{OffHistory: validate.OffHistoryWarns},
			output: out{Expected: count(10000), Stored: count(10000), Sizes: flat(30, 10300)},
			want:   []string{"capped@size", "dropped@size"},
		},
		{
			name: "read on a cap below its history", reason: "mapped ids hide a limit from the stored size, not from what was read",
			policy: mapped,
			output: out{
				Expected: unknown, Read: count(10000), Written: count(8500), Stored: count(8500),
				Sizes: []validate.Size{{Users: 9100, Read: 11000, At: noon.Add(-time.Hour)}},
			},
			want: []string{"capped@read", "dropped@read"},
		},
		{
			name: "estimate at the band's edge", reason: "passes only if S ± 3σ lies inside the band",
			output: out{Expected: unknown, Stored: validate.Estimate(4450, 0.01), Sizes: flat(30, 5000)},
			want:   []string{"unverified@size"},
		},
		{
			name: "all at once", reason: "a finding is never lost because another was found first",
			output: out{
				Expected: printed(812345, md5Of(1)), Read: printed(10000, xxh3Of(1)), Written: count(9000),
				Stored: count(0), SelfReported: true, Sizes: flat(30, 800000),
			},
			want: []string{"empty@store", "capped@read", "short@read", "short@map", "short@store", "dropped@size", "unverified@read"},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// TestBadInput: an error before anything is judged, which names the field.
func TestBadInput(t *testing.T) {
	good := func() validate.Output { return validate.Output{Expected: count(5), Stored: count(5)} }
	for _, c := range []struct {
		name, field string
		edit        func(*validate.Policy, *validate.Output)
	}{
		{"negative expected", "Output.Expected", func(_ *validate.Policy, o *validate.Output) { o.Expected = count(-1) }},
		{"negative stored", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = count(-5) }},
		{"negative read", "Output.Read", func(_ *validate.Policy, o *validate.Output) { o.Read = count(-5) }},
		{"relErr 0", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = validate.Estimate(5, 0) }},
		{"relErr negative", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = validate.Estimate(5, -0.1) }},
		{"relErr NaN", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = validate.Estimate(5, math.NaN()) }},
		{"relErr Inf", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = validate.Estimate(5, math.Inf(1)) }},
		{"fingerprint empty", "Output.Stored", func(_ *validate.Policy, o *validate.Output) { o.Stored = printed(5, validate.Fingerprint{}) }},
		{"fingerprint of nothing", "Output.Stored", func(_ *validate.Policy, o *validate.Output) {
			o.Stored = printed(5, validate.Fingerprint{Hash: validate.MD5})
		}},
		{"between nothing", "Output.Read", func(_ *validate.Policy, o *validate.Output) { o.Read = validate.Moving(count(5), validate.Summary{}) }},
		{"as of nothing", "Output.Written", func(_ *validate.Policy, o *validate.Output) { o.Written = validate.Summary{}.AsOf(noon) }},
		{"unmeasured without a reason", "Output.Written", func(_ *validate.Policy, o *validate.Output) { o.Written = validate.Unmeasured(nil) }},
		{"share NaN", "Policy.Tolerance.Short.Share", func(p *validate.Policy, _ *validate.Output) { p.Tolerance = validate.Within(math.NaN()) }},
		{"share above 1", "Policy.Tolerance.Short.Share", func(p *validate.Policy, _ *validate.Output) { p.Tolerance = validate.Within(50) }},
		{"share negative", "Policy.Reading.Surplus.Share", func(p *validate.Policy, _ *validate.Output) { p.Reading.Surplus.Share = -0.1 }},
		{"margin negative", "Policy.Tolerance.Surplus.Users", func(p *validate.Policy, _ *validate.Output) { p.Tolerance.Surplus.Users = -1 }},
		{"mapping reversed", "Policy.Mapping", func(p *validate.Policy, _ *validate.Output) { p.Mapping = validate.Ratio{Min: 0.9, Max: 0.7} }},
		{"mapping without a maximum", "Policy.Mapping", func(p *validate.Policy, _ *validate.Output) { p.Mapping = validate.Ratio{Min: 0.9} }},
		{"mapping NaN", "Policy.Mapping", func(p *validate.Policy, _ *validate.Output) { p.Mapping.Max = math.NaN() }},
		{"cap without an origin", "Policy.Caps[0]", func(p *validate.Policy, _ *validate.Output) { p.Caps = []validate.Cap{{Users: 7}} }},
		{"cap of nothing", "Policy.Caps[0]", func(p *validate.Policy, _ *validate.Output) { p.Caps = []validate.Cap{{Origin: "x"}} }},
		{"off history unknown", "Policy.OffHistory", func(p *validate.Policy, _ *validate.Output) { p.OffHistory = "ignore" }},
		{"history without its time", "Output.At", func(_ *validate.Policy, o *validate.Output) { o.Sizes = flat(3, 5) }},
		{"history size without a time", "Output.Sizes[1].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = flat(3, 5), noon
			o.Sizes[1].At = time.Time{}
		}},
		{"history out of order", "Output.Sizes[2].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = flat(3, 5), noon
			o.Sizes[2].At = noon.AddDate(0, -1, 0)
		}},
		{"history negative", "Output.Sizes[0]", func(_ *validate.Policy, o *validate.Output) { o.Sizes, o.At = daily(-5, 5), noon }},
		{"history out of order within a second", "Output.Sizes[2].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = flat(3, 5), noon
			o.Sizes[2].At = o.Sizes[1].At.Add(100 * time.Millisecond)
			o.Sizes[1].At = o.Sizes[1].At.Add(900 * time.Millisecond)
		}},
		{"history out of order behind a size of nothing", "Output.Sizes[2].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = daily(5, 0, 5), noon
			o.Sizes[2].At = o.Sizes[0].At.Add(time.Hour)
		}},
		{"history out of order behind one that was read", "Output.Sizes[2].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = daily(5, 5, 5), noon
			o.Sizes[0].Read, o.Sizes[2].Read = 5, 5
			o.Sizes[2].At = o.Sizes[0].At.Add(time.Hour)
		}},
		{"history read negative", "Output.Sizes[1]", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = flat(3, 5), noon
			o.Sizes[1].Read = -1
		}},
		{"history after the output", "Output.Sizes[2].At", func(_ *validate.Policy, o *validate.Output) {
			o.Sizes, o.At = flat(3, 5), noon.AddDate(0, 0, -2)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			policy, out := validate.Policy{}, good()
			_, err := validate.Check(t.Context(), policy, out)
			require.NoError(t, err, "the case is good but for one field")
			c.edit(&policy, &out)
			report, err := validate.Check(t.Context(), policy, out)
			bad, ok := errors.AsType[*validate.InputError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.field, bad.Field)
			require.NotEmpty(t, bad.Want)
			require.Contains(t, err.Error(), c.field)
			require.ErrorIs(t, err, validate.Unverified)
			require.False(t, report.Passed())
		})
	}
}

// TestGoodHistories: sizes may share a moment, be zero, and be as old as time.
func TestGoodHistories(t *testing.T) {
	beginning := time.Time{}.Add(1)
	for name, history := range map[string][]validate.Size{
		"at the beginning of time": {{Users: 5, At: beginning}, {Users: 5, At: beginning}},
		"twice at a time":          {{Users: 5, At: noon.Add(-1)}, {Users: 0, At: noon.Add(-1)}, {Users: 5, Read: 6, At: noon.Add(-1)}},
		"at the output's time":     {{Users: 5, At: noon.Add(-1)}, {Users: 5, At: noon}},
	} {
		_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5), Sizes: history, At: noon})
		require.NoError(t, err, name)
	}
}

// TestUnmeasured: a failed measurement keeps its cause, on every side.
func TestUnmeasured(t *testing.T) {
	outage := errors.New("connection refused")
	sides := map[string]func(*validate.Output){
		"expected": func(o *validate.Output) { o.Expected = validate.Unmeasured(outage) },
		"read":     func(o *validate.Output) { o.Read = validate.Unmeasured(outage) },
		"written":  func(o *validate.Output) { o.Written = validate.Unmeasured(outage) },
		"stored":   func(o *validate.Output) { o.Stored = validate.Unmeasured(outage) },
	}
	for name, edit := range sides {
		t.Run(name, func(t *testing.T) {
			out := validate.Output{Expected: count(5), Stored: count(5), Sizes: flat(3, 5), At: noon}
			edit(&out)
			report, err := validate.Check(t.Context(), validate.Policy{}, out)
			require.False(t, report.Passed())
			require.ErrorIs(t, err, validate.Unverified)
			require.ErrorIs(t, err, outage)
			require.ErrorContains(t, err, name+": not measured: connection refused")
		})
	}
}

// TestAdmit judges what is known before the first write.
func TestAdmit(t *testing.T) {
	type out = validate.Output
	for _, c := range []verdictCase{
		{name: "expected only", reason: "nothing speaks against it", output: out{Expected: count(5)}},
		{
			name: "capped read", reason: "this is what keeps it from a store without staging",
			output: out{Expected: count(812345), Read: count(10000)}, want: []string{"capped@read", "short@read"},
		},
		{
			name: "nothing to store", reason: "it would empty the live segment",
			output: out{Expected: count(0)}, want: []string{"empty@read"},
		},
		{name: "nothing to store, allowed", reason: "AllowEmpty", policy: emptiable, output: out{Expected: count(0)}},
		{
			name: "nothing to store, allowed, history forbids", reason: "zero after users, by the job's own word",
			policy: emptiable, output: out{Expected: count(0), SelfReported: true, Sizes: flat(3, 100)}, want: []string{"empty@size", "dropped@size"},
		},
		{
			name: "unknown, read nothing", reason: "nothing vouches for an empty output, and it would empty the live segment",
			policy: emptiable, output: out{Expected: validate.Unknown(), Read: count(0)}, want: []string{"empty@read"},
		},
		{
			name: "unknown, read nothing, zero accepted", reason: "an accepted zero does",
			policy: emptiable, output: out{Expected: validate.Unknown(), Read: count(0), Sizes: flat(1, 0)},
		},
		{
			name: "nothing to map, history forbids", reason: "zero after users, also where nobody knows how many were read before",
			policy: validate.Policy{AllowEmpty: true, Mapping: mapped.Mapping}, output: out{Expected: count(0), SelfReported: true, Sizes: flat(3, 100)},
			want: []string{"empty@size", "dropped@size"},
		},
		{
			name: "unknown, nothing read", reason: "a gate that judged nothing must not read as a pass",
			output: out{Expected: validate.Unknown(), Sizes: flat(3, 100)}, want: []string{"unverified@"},
		},
		{
			name: "unknown, read off its history", reason: "history decides, alone",
			output: out{Expected: validate.Unknown(), Read: count(31), Sizes: flat(30, 5000)}, want: []string{"dropped@size"},
		},
		{
			name: "model's word off its history", reason: "the size is known before it is written",
			output: out{Expected: count(31), SelfReported: true, Sizes: flat(30, 5000)}, want: []string{"dropped@size"},
		},
		{
			name: "mapped ids to come", reason: "stored sizes are no measure for what is not mapped yet",
			policy: mapped, output: out{Expected: count(12000), Read: count(12000), Sizes: flat(30, 8000)},
		},
		{
			name: "mapped ids to come, read before", reason: "what was read before is",
			policy: mapped,
			output: out{Expected: count(12000), SelfReported: true, Read: count(12000), Sizes: []validate.Size{{Users: 30000, Read: 41000, At: noon}}},
			want:   []string{"dropped@size"},
		},
		{
			name: "mapped, and of an earlier one it is not known what was read", reason: "no number is not a number of 0",
			policy: mapped,
			output: out{Expected: count(12000), SelfReported: true, Read: count(12000), Sizes: []validate.Size{
				{Users: 29000, At: noon.Add(-time.Hour)}, {Users: 30000, Read: 41000, At: noon},
			}},
			want: []string{"dropped@size"},
		},
		{
			name: "mapped ids to come, read now", reason: "what was read at the very time may be the same",
			policy: mapped,
			output: out{Expected: count(12001), SelfReported: true, Read: count(12001), Sizes: []validate.Size{
				{Users: 30000, Read: 41000, At: noon.Add(-time.Hour)}, {Users: 9000, Read: 12001, At: noon},
			}},
			want: []string{"dropped@size"},
		},
		{
			name: "already stored", reason: "Admit is no Check",
			output: out{Expected: count(5), Stored: count(5)}, want: []string{"unverified@"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.output.Sizes) > 0 {
				c.output.At = noon
			}
			report, err := validate.Admit(t.Context(), c.policy, c.output)
			if c.want == nil {
				c.want = []string{}
			}
			require.Equal(t, c.want, found(report), "%s\n%v", c.reason, report)
			require.Equal(t, len(c.want) == 0, err == nil)
		})
	}
}

// TestManySides walks all combinations of a few sizes on four sides against a
// plain restatement of the rule for the zero policy: everything measured must be
// equal, and above zero.
func TestManySides(t *testing.T) {
	sizes := []int64{-1, 0, 1, 999, 1000, 10000, 10001} // -1: not measured
	side := func(n int64) validate.Summary {
		if n < 0 {
			return validate.Summary{}
		}
		return count(n)
	}
	for _, expected := range sizes {
		for _, read := range sizes {
			for _, written := range sizes {
				for _, stored := range sizes {
					same := expected >= 0 && stored == expected && (read < 0 || read == expected) && (written < 0 || written == expected)
					_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
						Expected: side(expected), Read: side(read), Written: side(written), Stored: side(stored),
					})
					require.Equal(t, same && stored > 0, err == nil, fmt.Sprint(expected, read, written, stored))
				}
			}
		}
	}
}

// TestAdviceDecides: the tolerance that is said to decide a check does.
func TestAdviceDecides(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	advice := regexp.MustCompile(`tolerance of ([0-9.]+)%`)
	advised := 0
	for range 2000 {
		n := 1 + random.Int64N(int64(1)<<(1+random.IntN(40)))
		out := validate.Output{
			Expected: validate.Moving(count(n), count(n+random.Int64N(1+n/50))),
			Stored:   validate.Estimate(n+random.Int64N(1+n/100), 0.001+0.05*random.Float64()),
		}
		_, err := validate.Check(t.Context(), validate.Policy{}, out)
		found := advice.FindStringSubmatch(fmt.Sprint(err))
		if found == nil {
			continue // decided already, or nothing below 100% decides it
		}
		advised++
		percent, err := strconv.ParseFloat(found[1], 64)
		require.NoError(t, err)
		_, err = validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(percent / 100)}, out)
		require.NoError(t, err)
	}
	require.Greater(t, advised, 1000)
}

// TestMarginsAddUp: they do to the largest number there is, not to a negative one.
func TestMarginsAddUp(t *testing.T) {
	most := validate.Tolerance{Surplus: validate.Margin{Users: math.MaxInt64}}
	_, err := validate.Check(t.Context(), validate.Policy{Reading: most, Tolerance: most}, validate.Output{
		Expected: digest(numbered(1001)).Summary(), Read: count(1500), Stored: digest(numbered(2001)[500:]).Summary(),
	})
	require.ErrorIs(t, err, validate.Different)
}

// TestInputErrorText: an empty string is said to be empty, any other value is
// shown.
func TestInputErrorText(t *testing.T) {
	for want, value := range map[string]any{"F is empty, want x": "", "F is abc, want x": "abc", "F is 0, want x": 0} {
		require.Equal(t, want, (&validate.InputError{Field: "F", Value: value, Want: "x"}).Error())
	}
}

// TestOneMargin: a user in place of another is one short and one surplus, and
// passes only where both are allowed.
func TestOneMargin(t *testing.T) {
	margin := validate.Margin{Share: 0.2}
	for _, users := range []int{1000, 100_000} { // all of them are sampled, and some
		source, stored := numbered(users), numbered(users + users/10)[users/10:]
		for _, c := range []struct {
			tolerance validate.Tolerance
			passes    bool
		}{
			{validate.Tolerance{Short: margin, Surplus: margin}, true},
			{validate.Tolerance{Short: margin}, false},
			{validate.Tolerance{Surplus: margin}, false},
		} {
			_, err := validate.Check(t.Context(), validate.Policy{Tolerance: c.tolerance}, validate.Output{
				Expected: digest(source).Summary(), Stored: digest(stored).Summary(),
			})
			require.Equal(t, c.passes, err == nil, "%v", err)
			require.Equal(t, !c.passes, errors.Is(err, validate.Different), "%v", err)
		}
		_, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Tolerance{Short: margin}}, validate.Output{
			Expected: digest(source).Summary(), Stored: digest(source[users/10:]).Summary(),
		})
		require.NoError(t, err, "lost, and none in place of them")
	}
}
