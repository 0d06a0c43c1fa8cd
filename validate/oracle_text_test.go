package validate_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// Every sentence of a report has one of the forms below, and is held against the
// truth. A number with "at least" or "up to" is a bound.

// A claim is one sentence, read.
type claim struct {
	*world
	t        *testing.T
	at       int
	side     *truth // nil: of no step
	nearest  *truth
	known    *truth
	distinct bool // distinct users are compared at the step
	m        map[string]string
	text     string
}

// A form is how a sentence is read, and what must be true of it.
type form struct {
	kinds string
	text  *regexp.Regexp
	check func(c *claim)
}

// says makes a form. In its text, N:x is a number or two, A:x an amount of users, P:x
// a share in percent, V what a step does, W whose users, G what was done before.
func says(kinds, text string, check func(*claim)) form {
	for _, token := range []struct{ of, is string }{
		{`A:(\w+)`, `(?P<$1>(?:about )?[\d,]+(?: to [\d,]+)?) (?P<${1}Distinct>distinct )?users?(?: ± [\d.e+]+%)?`},
		{`N:(\w+)`, `(?P<$1>(?:about )?[\d,]+(?: to [\d,]+)?)`},
		{`D:(\w+)`, `(?P<$1>(?:about )?[\d,]+(?:–[\d,]+)?)`},
		{`P:(\w+)`, `(?P<$1>under 0\.1%|over 99\.9%|[\d.]+%)`},
		{`\bV\b`, `(?:read|mapped|stored)`},
		{`\bW\b`, `of (?:the source|those read|those mapped)`},
		{`\bG\b`, `(?P<given>expected|read|mapped)`},
	} {
		text = regexp.MustCompile(token.of).ReplaceAllString(text, token.is)
	}
	return form{kinds, regexp.MustCompile("^" + text + "$"), check}
}

const (
	lackAndExcess = `(?P<lackLeast>at least )?N:lack (?:is|are) missing \(N:lackAllowed allowed\) and (?P<excessLeast>at least )?N:excess (?:is|are) V that should not be \(N:excessAllowed allowed\)(?:, one of them N:often times)?`
	strangers     = `of N:none (?P<sampled>sampled )?users? W none is V: these are others, or their ids are written in another way \(case, spaces, a prefix\)`
	bySample      = `(?:; by the sample likely [\d.]+% to [\d.]+% W are missing)?`
	howDiffering  = `(?:: (?:` + strangers + `|` + lackAndExcess + bySample + `|their fingerprints differ, and a Digest on both sides would tell by how many))?`
	mayBeWithin   = `N:missing of (?:about )?N:all (?:distinct )?users? may be missing \(N:short allowed\), and N:foreign may be V that should not be \(N:surplus allowed\)`
	byChanceIn    = `\(by chance: (?:under )?1 in 10\^\d+\)`
	runsOf        = `(?P<runs>[\d,–and ]+?(?: and \d+ more runs?)?)`
)

var forms = slices.Concat(countForms, contentForms, causeForms, otherForms)

var countForms = []form{
	says("short", `V N:after of A:before(?P<taken> read| mapped)? \((?P<share>about |at least )?P:percent short, N:allowed allowed\)`, (*claim).short),
	says("surplus", `V A:after where N:before (?:was|were) G \((?:(?P<share>about |at least )?P:percent surplus, )?N:allowed allowed\)`, (*claim).surplus),
	says("short surplus", `mapped N:after of A:before(?P<taken> read)? \((?:P:percent, )?(?:N:band allowed, )?[\d.e+]+% to [\d.e+]+%(?: allowed)?\)`, (*claim).mappedOf),
	says("short", `read (?P<most>at most )?N:after distinct users? of A:before \(N:allowed allowed\)`, (*claim).readDistinct),
	says("unverified", `V A:after (?:where N:before (?:was|were) G|from A:from): the counters' error of N:error users? \(three standard errors\) is too wide where (?:exactly )?N:limits (?:is|are) allowed; an exact count(?:, or taking in each user once \(TeeOnce\),| or a tolerance of [\d.]+%)? would decide it`, (*claim).estimated),
	says("unverified", `mapped A:after of a source that moved from D:from to D:to, of which [\d.e+]+% to [\d.e+]+% are allowed: to count what was read \(Output.Read\) would decide it`, (*claim).movedMapped),
	says("unverified", `V A:after of a source that moved from D:from to D:to: by the counts of those in the source before and after (?:none|up to N:lost) may be missing, and (?:none|up to N:twice) may be there too often \(N:short and N:surplus allowed\); Digests of the source before and after, and of what was \w+, would decide it`, (*claim).movedCount),
	says("unverified", `V A:after where N:before (?:was|were) G, and no more is known: an exact count would decide it`, (*claim).bounded),
	says("unverified", `V A:after, and no more is known, where (?:exactly )?N:limits (?:is|are) allowed: an exact count would decide it`, (*claim).bounded),
	says("unverified", `V N:after of A:before(?P<taken> read| mapped)?, some of which may be repeats: a Digest of these would tell how many distinct users there are`, (*claim).bounded),
}

var contentForms = []form{
	says("different", `V as many (?:distinct )?users as (?:were )?G, but not the same ones`+howDiffering, (*claim).asMany),
	says("different", `V A:after where N:before were G, but not the right ones`+howDiffering, (*claim).others),
	says("different", `V other distinct users than (?:were )?G`+howDiffering, (*claim).lackExcess),
	says("different", strangers, (*claim).lackExcess),
	says("different", `(?P<lackLeast>at least )?N:lack (?:is|are) missing \(N:lackAllowed allowed\)`, (*claim).lackExcess),
	says("different", `(?P<excessLeast>at least )?N:excess (?:is|are) V that should not be \(N:excessAllowed allowed\)(?:, one of them N:often times)?`, (*claim).lackExcess),
	says("short", `V at least N:fewer distinct users? fewer than the about N:before that were G \(N:allowed allowed\)`, func(c *claim) { c.is(c.n("fewer") <= c.known.size(true)-c.side.size(true)) }),
	says("surplus", `V at least N:more distinct users? more than the about N:before that were G \(N:allowed allowed\)`, func(c *claim) { c.is(c.n("more") <= c.side.size(true)-c.known.size(true)) }),
	says("unverified", `the users differ, and fingerprints alone cannot show by how many: `+mayBeWithin+`; a Digest on both sides would decide it`, (*claim).mayBe),
	says("unverified", `fingerprints do not tell distinct users from repeats: a Digest on both sides does(?:; `+strangers+`)?`, (*claim).lackExcess),
	says("unverified", `N:unsure users? came more often than V, as repeats or because they are missing, which digests do not tell, so that `+mayBeWithin+`: to ask the store for these \(Summary.WithRemeasure, InQuestion\), or to digest each once \(TeeOnce\), would decide it`, (*claim).unsure),
	says("unverified", `too many users came more often than V, or are missing, to tell them one by one, so that `+mayBeWithin+`: to digest each once \(TeeOnce\), or Digest.Resolve on both sides and a store that can be asked \(Summary.WithRemeasure, InQuestion\), would decide it`+bySample, (*claim).mayBe),
	says("unverified", `more users differ than could be told one by one, so that `+mayBeWithin+`: Digest.Resolve\((?P<resolve>\d+)\) on both sides would decide it(?:; `+strangers+`)?`+bySample, (*claim).resolve),
	says("short", `V A:after, and (?P<lackLeast>at least )?N:lack in the source before and after (?:is|are) missing \(N:lackAllowed allowed\)`, (*claim).lackExcess),
	says("surplus", `V A:after, and (?P<excessLeast>at least )?N:excess more than the source held before or after \(N:excessAllowed allowed\)`, (*claim).lackExcess),
	says("unverified", `V A:after of a source that moved from N:from to N:to \(up to N:left left, up to N:joined joined\), and (?:too many differ to compare them one by one \(Digest.Resolve takes more\)|repeats that the store does not keep look like missing users \(TeeOnce leaves them out\)): of those in the source before and after N:missing may be missing, and N:foreign may be there that it held neither before nor after \(N:short and N:surplus allowed\)`, (*claim).movedUnclear),
	says("unverified", `the source moved from N:from to A:to, and a fingerprint alone cannot show who in the source before and after is missing: a Digest of what was V can`, func(c *claim) { c.is(c.known.after != nil && !c.side.digested()) }),
	says("unverified", `fingerprints by different hashes \("[^"]+" and "[^"]+"\) say nothing of each other: take both by validate.MD5, which NewDigest and every engine \(sqlsegment.Portable\) can make`, func(c *claim) { c.is(c.side.identified() && c.known == nil) }),
}

var causeForms = []form{
	says("truncated", `exactly the first N:first of A:of`, (*claim).firstOnly),
	says("truncated", `(?P<likely>likely )?nothing after (?P<about>about )?the first N:first of A:of(?:: of N:there sampled ones? there none is V `+byChanceIn+`)?`, (*claim).nothingAfter),
	says("gap", `users? `+runsOf+` W (?:is|are) missing`, (*claim).missingRuns),
	says("gap", `likely (?:a run of users is|runs of users are) missing, within users `+runsOf+` W: of N:there sampled ones? there none is V `+byChanceIn, (*claim).likelyRuns),
	says("repeated", `all N:all users? (?:is|are) V (?P<times>twice|[\d,]+ times)`, (*claim).allRepeated),
	says("repeated", `the first N:first users? W (?:is|are) V (?P<times>twice|[\d,]+ times), and no others`, (*claim).firstRepeated),
	says("repeated", `users? `+runsOf+` W (?:is|are) V (?P<times>twice|[\d,]+(?: to [\d,]+)? times)`, (*claim).repeatedRuns),
	says("repeated", `of N:looked (?P<sampled>sampled )?users? W N:repeated (?:is|are) V more often than they came`, (*claim).oftener),
}

var otherForms = []form{
	says("empty", `nothing is stored(?:, and the policy wants at least one user|, and nothing vouches for that)?`, func(c *claim) {
		for _, side := range c.sides[1:] {
			if c.side == side || c.side == nil {
				c.is(side.side.Users() == 0)
			}
		}
	}),
	says("unverified", `nothing is stored where 0 to N:before were G: nobody knows if there were any`, func(c *claim) { c.is(len(c.sides[3].users) == 0 || !c.sides[3].exact()) }),
	says("unverified", `stored A:after: nobody knows if anything is there`, func(c *claim) { c.is(!c.sides[3].exact()) }),
	says("unverified", `ids are mapped \(Policy.Mapping\), and it was not measured how many were written \(Output.Written\)`, func(c *claim) { c.is(c.mapped() && !c.sides[2].measured()) }),
	says("capped", `capped at N:limit, a known limit \(.+\)`, func(c *claim) {
		side := c.side
		if side == nil {
			side = c.sides[3]
		}
		c.is(side.size(false) == c.n("limit") && isLimit(c.n("limit")))
	}),
	says("dropped", `0 users, where there were N:before before`, func(c *claim) {
		c.is(len(c.sides[3].users) == 0 && slices.ContainsFunc(c.output.Sizes, func(s validate.Size) bool { return s.Users == c.n("before") }))
	}),
	says("dropped risen", `A:after, P:percent (?P<way>above|below) (?:its lowest of the last week|its highest of the last week|the size before) \(N:reference\); (?:.*, so N:low to N:high are allowed|.*)`, (*claim).offHistory),
	says("dropped", `read A:after, at least A:before in the last week`, func(c *claim) { c.is(c.n("after") < c.n("before")) }),
	says("dropped risen", `(?:mapped|stored) P:percent of the A:whole that were read, where P:low to P:high are allowed by the rates of N:points earlier sizes?`, (*claim).rate),
	says("unverified", `nothing vouches for the size: expected is not known, and there is no earlier size above zero(?: by ids)?`, func(c *claim) {
		c.is(len(c.points()) == 0 && c.sides[0].side.IsUnknown() && strings.HasSuffix(c.text, "by ids") == (c.output.Counter != ""))
	}),
	says("unverified", `A:after is too coarse for the N:low to N:high users that its history allows`, func(c *claim) { c.is(!c.sides[3].exact()) }),
}

// sentence reads what a finding says, and holds it against the truth.
func (w *world) sentence(t *testing.T, f *validate.Finding, at int) {
	c := claim{world: w, t: t, at: at, text: f.Detail, distinct: w.policy.Distinct && at == 3}
	if at > 0 {
		c.side = w.sides[at]
		c.nearest, c.known = w.before(at)
	}
	for _, form := range forms {
		m := form.text.FindStringSubmatch(f.Detail)
		if m == nil || !slices.Contains(strings.Fields(form.kinds), string(f.Kind)) {
			continue
		}
		c.m = map[string]string{}
		for i, name := range form.text.SubexpNames() {
			if m[i] != "" {
				c.m[name] = m[i]
			}
		}
		form.check(&c)
		c.whose()
		c.hint(f.Hint)
		return
	}
	if f.Step == "size" {
		return // what histories say has tests of its own
	}
	require.Fail(t, "a sentence of no known form", "%s at %q: %s\n%s", f.Kind, f.Step, f.Detail, w)
}

var hintForms = []struct {
	text  *regexp.Regexp
	check func(c *claim, n []int64)
}{
	{regexp.MustCompile(`^exactly ([\d,]+) × ([\d,]+), a known limit \(.+\): (each page or shard may have been cut there|the last page, which was not full, may be lost)$`), func(c *claim, n []int64) {
		c.is(n[0]*n[1] == c.side.size(false) && isLimit(n[1]))
	}},
	{regexp.MustCompile(`^exactly a known limit \(.+\), and as round as the number it is a part of$`), func(c *claim, _ []int64) { c.is(isLimit(c.side.size(false))) }},
	{regexp.MustCompile(`^as chance may have it with so few$`), func(c *claim, _ []int64) { c.is(c.mapped() && c.nearest.size(false) <= 1000) }},
	{regexp.MustCompile(`^each of ([\d,]+) (?:sampled )?users? is \w+ once, as a store does that keeps a user once: Policy.Distinct compares distinct users$`), func(c *claim, n []int64) {
		c.is(n[0] <= c.known.size(true) && (n[0] < c.known.size(true) || c.known.lacks(c.side, true) == 0))
	}},
	{regexp.MustCompile(`^users that came again count once \(Policy.Distinct\), and the source's own number must count them so$`), func(c *claim, _ []int64) { c.is(c.side.size(true) < c.side.size(false)) }},
	{regexp.MustCompile(`^(at least )?([\d,]+) in the source before and after (?:is|are) missing$`), func(c *claim, n []int64) {
		c.m = map[string]string{"lack": fmt.Sprint(n[1]), "lackLeast": map[bool]string{true: "yes"}[n[0] == 1]}
		c.lackExcess()
	}},
}

func (c *claim) hint(text string) {
	for _, form := range hintForms {
		m := form.text.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		var n []int64
		for _, group := range m[1:] {
			switch group {
			case "":
				n = append(n, 0)
			case "at least ":
				n = append(n, 1)
			default:
				n = append(n, num(group))
			}
		}
		c.text += ", " + text
		form.check(c, n)
		return
	}
	require.Empty(c.t, text, "a hint of no known form\n%s", c.world)
}

// is fails the test where the sentence is untrue.
func (c *claim) is(so bool) {
	c.t.Helper()
	require.True(c.t, so, "untrue: %s\n%s", c.text, c.world)
}

func num(text string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// n returns a number of the sentence; of two, the first.
func (c *claim) n(name string) int64 {
	low, _ := c.span(name)
	return low
}

// span returns a number of the sentence, or two.
func (c *claim) span(name string) (low, high int64) {
	text, two, both := strings.Cut(strings.Replace(strings.TrimPrefix(c.m[name], "about "), "–", " to ", 1), " to ")
	low = num(text)
	high = low
	if both {
		high = num(two)
	}
	return low, high
}

// whose holds of whom a sentence speaks: where ids are mapped, those mapped are not of
// the source, and nor do those read speak for it who are not as many.
func (c *claim) whose() {
	switch {
	case strings.Contains(c.text, " of those mapped"):
		c.is(c.known == c.sides[2])
	case strings.Contains(c.text, " of those read"):
		c.is(c.known == c.sides[1])
	case strings.Contains(c.text, " of the source "):
		c.is(c.known == nil || c.known != c.sides[2] || !c.mapped())
	}
}

// number holds a number of a sentence against the side that it is of: it is what was
// measured, and the truth where that was counted.
func (c *claim) number(name string, side *truth, distinct bool) {
	c.t.Helper()
	low, high := c.span(name)
	measured, most := side.side.Range()
	estimated := strings.HasPrefix(c.m[name], "about ")
	if !distinct {
		c.is(low == measured && high == most && estimated == (side.side.RelErr() > 0))
	}
	if !estimated && side.exact() && side.tells(distinct) && low == high {
		c.is(low == side.size(distinct) || side.how == "digest, print" && low == side.size(false)) // before the look only its rows are known
	}
}

// of returns the side that a number of the sentence is of: by its name; where none is
// said, the expected one, or one as large.
func (c *claim) of(name string) *truth {
	switch said := strings.TrimSpace(c.m["taken"] + c.m["given"]); said {
	case "read":
		return c.sides[1]
	case "mapped":
		return c.sides[2]
	case "expected":
		return c.sides[0]
	}
	low, high := c.span(name)
	said := c.m["beforeDistinct"]+c.m["afterDistinct"] != ""
	for _, side := range []*truth{c.nearest, c.known} {
		if said && side != nil && side.digested() && side.size(true) == low {
			return side
		}
	}
	for _, side := range []*truth{c.nearest, c.sides[1], c.sides[2]} {
		if side == nil {
			continue
		}
		estimated := strings.HasPrefix(c.m[name], "about ")
		if from, to := side.side.Range(); from == low && to == high && estimated == (side.side.RelErr() > 0) {
			return side
		}
	}
	return c.sides[0]
}

// percent holds a share in a sentence: part of whole, with one decimal.
func (c *claim) percent(part, whole float64) {
	c.t.Helper()
	said, exact := c.m["percent"], 100*part/whole
	switch said {
	case "under 0.1%":
		c.is(exact > 0 && exact < 0.1)
	case "over 99.9%":
		c.is(exact < 100 && exact > 99.9)
	default:
		p, err := strconv.ParseFloat(strings.TrimSuffix(said, "%"), 64)
		require.NoError(c.t, err)
		c.is(math.Abs(p-exact) <= 0.0501 || p >= 100 && math.Abs(p-exact) <= 0.501)
		c.is((said == "100%") == (part == whole) || part > whole)
	}
}

func (c *claim) short() {
	distinct := c.m["beforeDistinct"] != ""
	c.is(distinct == c.distinct || c.distinct)
	c.is(strings.HasPrefix(c.text, [...]string{1: "read ", 2: "mapped ", 3: "stored "}[c.at]))
	c.number("after", c.side, distinct)
	c.number("before", c.of("before"), distinct)
	before, _ := c.span("before")
	_, after := c.span("after")
	c.percent(float64(before-after), float64(before))
	c.share()
}

// share holds "about" and "at least" before a share: for estimates, and for what lies
// within bounds.
func (c *claim) share() {
	if _, after := c.span("after"); after == 0 {
		c.is(c.m["share"] == "" && c.m["percent"] == "100%")
		return
	}
	estimated := strings.HasPrefix(c.m["before"], "about ") || strings.HasPrefix(c.m["after"], "about ")
	ranges := strings.Contains(c.m["before"]+c.m["after"], " to ")
	c.is((c.m["share"] == "about ") == estimated)
	c.is((c.m["share"] == "at least ") == (ranges && !estimated))
}

func (c *claim) surplus() {
	distinct := c.m["afterDistinct"] != ""
	c.number("after", c.side, distinct)
	if of := c.of("before"); !distinct || of.tells(true) {
		c.number("before", of, distinct)
	}
	after, _ := c.span("after")
	if _, before := c.span("before"); c.m["percent"] != "" {
		c.percent(float64(after-before), float64(before))
		c.share()
	}
}

func (c *claim) mappedOf() {
	c.number("after", c.side, false)
	c.number("before", c.of("before"), false)
	low, high := c.span("before")
	ratio := c.policy.Mapping
	fewest, most := int64(math.Ceil(ratio.Min*float64(low)-1e-9)), int64(math.Floor(ratio.Max*float64(high)+1e-9))
	if c.m["band"] == "" { // of so few no number is within
		c.is(fewest > most)
		return
	}
	least, greatest := c.span("band")
	if c.nearest.after != nil { // of all who were there at either time
		c.is(least <= fewest && greatest >= most)
		return
	}
	c.is(least == fewest && greatest == most)
}

func (c *claim) readDistinct() {
	c.number("before", c.nearest, false)
	if c.m["most"] == "" {
		c.is(c.n("after") == c.side.size(true))
	} else {
		c.is(c.n("after") >= c.side.size(true))
	}
}

func (c *claim) estimated() {
	c.is(!c.side.exact() || !c.nearest.exact() || c.distinct)
	c.number("after", c.side, c.m["afterDistinct"] != "" || c.distinct)
}

func (c *claim) bounded() {
	c.number("after", c.side, c.distinct)
	c.is(c.side.how == "bounded" || c.nearest.how == "bounded" || c.distinct)
}

func (c *claim) movedCount() {
	distinct := c.m["afterDistinct"] != ""
	c.number("after", c.side, distinct)
	least, most := c.nearest.side.Range() // bounds of a source that stood still may differ, too
	c.is(least < most || c.nearest.after != nil)
	source := c.nearest
	if source.after == nil || source.how != "count" && !source.identified() {
		return
	}
	if !strings.Contains(c.m["from"]+c.m["to"], "about") {
		distinct = distinct && source.digested() // else it is taken to have counted them
		c.is(c.n("from") == source.size(distinct) && c.n("to") == source.after.size(distinct))
	}
}

func (c *claim) movedMapped() {
	c.number("after", c.side, false)
	least, most := c.nearest.side.Range()
	c.is(c.mapped() && !c.sides[1].measured() && (least < most || c.nearest.after != nil))
}

func (c *claim) movedUnclear() {
	c.number("after", c.side, c.distinct)
	c.is(c.n("from") == c.known.size(false) && c.n("to") == c.known.after.size(false))
	c.is(c.n("left") >= c.known.foreign(c.known.after, false)*0+c.known.lacksAfter() && c.n("joined") >= c.known.joined())
	c.mayBe()
}

// lacksAfter and joined are how many rows left a source that moved, and joined it.
func (t *truth) lacksAfter() int64 { return newTruth("", t.users).lacks(t.after, false) }
func (t *truth) joined() int64     { return newTruth("", t.users).foreign(t.after, false) }

func (c *claim) asMany() {
	of := c.of("")
	c.is(of.size(c.distinct) == c.side.size(c.distinct))
	c.is(strings.Contains(c.text, " as many distinct users as ") == c.distinct)
	c.lackExcess()
}

func (c *claim) others() {
	c.is((c.m["afterDistinct"] != "") == c.distinct)
	c.is(c.n("before") == c.of("before").size(c.distinct) && c.n("after") == c.side.size(c.distinct))
	c.lackExcess()
}

// lackExcess holds how many are missing, how many there that should not be, and of how
// many none is there.
func (c *claim) lackExcess() {
	missing, foreign := c.known.lacks(c.side, c.distinct), c.known.foreign(c.side, c.distinct)
	if c.m["lack"] != "" {
		c.bound(c.m["lackLeast"] != "", c.n("lack"), missing)
	}
	if c.m["excess"] != "" {
		c.bound(c.m["excessLeast"] != "", c.n("excess"), foreign)
	}
	if c.m["often"] != "" {
		c.is(slices.ContainsFunc(c.side.users, func(u string) bool { return int64(c.side.times[u]-c.known.times[u]) == c.n("often") }))
	}
	if c.m["none"] != "" {
		c.is((c.m["sampled"] == "") == (c.n("none") == c.known.size(true)))
		c.is(c.m["sampled"] != "" || c.known.lacks(c.side, true) == c.known.size(true))
		c.is(c.known.lacks(c.side, true) >= c.n("none"))
	}
}

func (c *claim) bound(least bool, said, is int64) {
	c.t.Helper()
	c.is(said == is || least && said <= is)
}

// mayBe holds between which numbers users may be missing or foreign.
func (c *claim) mayBe() {
	least, most := c.span("missing")
	missing := c.known.lacks(c.side, c.distinct)
	c.is(least <= missing && missing <= most)
	least, most = c.span("foreign")
	foreign := c.known.foreign(c.side, c.distinct)
	c.is(least <= foreign && foreign <= most)
}

func (c *claim) unsure() {
	var oftener int64
	for u, times := range c.known.times {
		if times > c.side.times[u] {
			oftener++
		}
	}
	c.is(c.n("unsure") <= oftener)
	c.mayBe()
}

func (c *claim) resolve() {
	c.mayBe()
	c.is(c.n("resolve") >= c.known.lacks(c.side, false)+c.known.foreign(c.side, false))
}

func (c *claim) firstOnly() {
	c.number("of", c.known, false)
	head := newTruth("head", c.known.users[:c.n("first")])
	c.is(head.lacks(c.side, c.distinct)+head.foreign(c.side, c.distinct) == 0)
}

func (c *claim) nothingAfter() {
	c.number("of", c.known, false)
	n := c.n("first")
	if c.m["likely"] != "" {
		c.is(n < c.known.size(false))
		return
	}
	head := newTruth("head", c.known.users[:n])
	for _, u := range c.known.users[n:] {
		c.is(head.times[u] > 0 || c.side.times[u] == 0)
	}
}

// stretches are the runs of a sentence, by positions in the source.
func (c *claim) stretches() (all [][]string) {
	text, _, _ := strings.Cut(strings.ReplaceAll(c.m["runs"], " more", "; more"), " more")
	for _, run := range strings.FieldsFunc(strings.ReplaceAll(text, " and ", "; "), func(r rune) bool { return r == ' ' || r == ';' }) {
		from, to, two := strings.Cut(strings.Trim(run, ","), "–")
		if !two {
			to = from
		}
		all = append(all, c.known.users[num(from)-1:num(to)])
	}
	if strings.Contains(c.m["runs"], "more run") { // how many more there are is none of them
		all = all[:len(all)-1]
	}
	return all
}

func (c *claim) missingRuns() {
	for _, run := range c.stretches() {
		for _, u := range run {
			c.is(min(c.side.times[u], 1) < c.known.times[u])
		}
	}
}

// likelyRuns: of a run that is likely missing some users are.
func (c *claim) likelyRuns() {
	var missing int64
	for _, run := range c.stretches() {
		for _, u := range run {
			if c.side.times[u] == 0 {
				missing++
			}
		}
	}
	c.is(missing >= c.n("there"))
}

// often is how many times at least something is said to be there.
func (c *claim) often() int {
	if c.m["times"] == "twice" {
		return 2
	}
	from, _, _ := strings.Cut(strings.TrimSuffix(c.m["times"], " times"), " to ")
	return int(num(from))
}

func (c *claim) allRepeated() {
	times := c.often()
	c.is(c.n("all") == c.known.size(false))
	for u, n := range c.known.times {
		c.is(c.side.times[u] == n*times)
	}
}

func (c *claim) firstRepeated() {
	times := c.often()
	head := newTruth("head", slices.Repeat(c.known.users[:c.n("first")], times))
	c.is(head.lacks(c.side, false)+head.foreign(c.side, false) == 0)
}

// repeatedRuns: the source has each user of such a run less often than is said.
func (c *claim) repeatedRuns() {
	least := c.often()
	for _, run := range c.stretches() {
		for _, u := range run {
			c.is(c.side.times[u] >= least)
		}
	}
}

func (c *claim) oftener() {
	var oftener int64
	for u, n := range c.known.times {
		if c.side.times[u] > n {
			oftener++
		}
	}
	c.is(c.n("repeated") <= oftener && c.n("looked") <= c.known.size(true))
	c.is(c.m["sampled"] != "" || c.n("repeated") == oftener)
}

func (c *claim) offHistory() {
	c.number("after", c.sides[3], false)
	least, most := c.span("after")
	if c.m["low"] != "" {
		c.is(threeDigits(c.n("low"), c.report.Band.Low) && threeDigits(c.n("high"), c.report.Band.High))
	}
	reference := float64(c.n("reference"))
	if c.m["way"] == "below" {
		c.is(float64(most) < reference)
	} else {
		c.is(float64(least) > reference-1)
	}
}

// threeDigits reports whether said is a number to three digits.
func threeDigits(said, is int64) bool { return math.Abs(float64(said-is)) <= 0.005*float64(is) }

func (c *claim) rate() {
	c.is(c.n("whole") == c.sides[1].size(false))
	if c.sides[3].exact() {
		c.percent(float64(c.sides[3].size(false)), float64(c.n("whole")))
	}
	var rates []float64
	for _, s := range c.output.Sizes {
		if s.Read > 0 && s.Users >= 30 && s.Counter == c.output.Counter {
			rates = append(rates, float64(s.Users)/float64(s.Read))
		}
	}
	c.is(int64(min(len(rates), 30)) == c.n("points"))
}
