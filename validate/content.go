package validate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A pair is two sides whose users are compared, and what the steps between them
// allow.
type pair struct {
	stage          stage
	before, after  *Summary
	users          int64 // before, each once where distinct users are compared
	short, surplus int64 // how many may be missing, and how many there that should not be
	tolerances     []Tolerance
	distinct       bool  // the store keeps a user once
	from           stage // what the job did to the side before
	named          bool  // that side is not as large as the expected one
	mapped         bool  // and its ids are not those of the source
}

// content compares which users the sides of a step hold. Where some ids have no
// counterpart they differ by design, and a side that was only counted has none
// to compare.
func (j *judge) content(s *step) {
	if m := s.after.moved; m != nil && s.after.usable() && m.before.identified() {
		j.shifting(s, m)
	}
	if !s.after.identified() {
		return
	}
	before, other := j.known(s.stage, s.after.fingerprint.Hash)
	switch {
	case before != nil:
		p := j.pair(s, before)
		j.users(&p)
	case other != nil:
		j.unlike(s, other)
	}
}

// shifting judges a side that changed while it was read back: its users, who are
// known for two moments, are those of neither.
func (j *judge) shifting(s *step, m *movement) {
	if before, other := j.known(s.stage, m.before.fingerprint.Hash); before != nil || other != nil {
		j.unverified(s.stage, "%s changed while it was read back (%s, and then %s that are not the same): compare it when it is at rest",
			s.stage.done(), m.before.amount(), m.after.amount())
	}
}

// users compares two sides with fingerprints by one hash.
func (j *judge) users(p *pair) {
	switch {
	case p.before.moved != nil:
		j.moved(p)
	case p.before.fingerprint != p.after.fingerprint:
		j.differs(p)
	case p.before.lower != p.after.lower:
		j.unverified(p.stage, "%s and %s have equal fingerprints, which cannot be: one side was measured wrongly", p.before.amount(), p.after.amount())
	case p.stage == storing:
		j.vouch(p)
	}
}

// vouch records that just the expected users are stored, where Stored is proven to
// hold those of the side before it, and that side those of Expected.
func (j *judge) vouch(p *pair) {
	expected := &j.out.Expected
	if j.shared { // of two sides that are one measurement
		return
	}
	if p.before == expected || j.policy.Mapping == (Ratio{}) && expected.identified() &&
		expected.fingerprint == p.before.fingerprint && expected.lower == p.before.lower {
		j.report.SameUsers = true
	}
}

// unlike judges a side whose users cannot be compared with those of any side
// before it, as their fingerprints are by other hashes. Where Expected and Stored
// are by one hash, these decide on the whole way, and it is enough to count here.
// Before the write nobody knows whether they will be.
func (j *judge) unlike(s *step, other *Summary) {
	expected, stored := &j.out.Expected, &j.out.Stored
	wholeWay := j.policy.Mapping == (Ratio{}) && expected.identified() && stored.identified() &&
		expected.fingerprint.Hash == stored.fingerprint.Hash && stored.fingerprint.Hash != ""
	if wholeWay || j.admitting || j.hashes {
		return
	}
	j.hashes = true // once: the next step would repeat it with the sides exchanged
	j.unverified(s.stage, "fingerprints by different hashes (%q and %q) say nothing of each other: "+
		"take both by validate.MD5, which NewDigest and every engine (sqlsegment.Portable) can make", other.hash(), s.after.hash())
}

// sameUsers reports that fingerprints prove the sides of the step to be equal.
func (s *step) sameUsers() bool {
	return s.before.identified() && s.before.fingerprint == s.after.fingerprint && s.before.lower == s.after.lower
}

// pair returns a step with the side before it whose users are compared, and what
// the steps between the two may lose.
func (j *judge) pair(s *step, before *Summary) pair {
	p := pair{stage: s.stage, before: before, after: s.after, distinct: s.stage == storing && j.policy.Distinct}
	p.from, p.named = j.whence(before, p.distinct)
	p.mapped = p.from == mapping && j.policy.Mapping != (Ratio{})
	if s.stage != reading && p.before == &j.out.Expected && j.out.Read.usable() {
		p.tolerances = append(p.tolerances, j.policy.Reading)
	}
	p.tolerances = append(p.tolerances, s.tolerance)
	users := p.before.lower
	if p.distinct {
		users = p.before.distinct().lower
	}
	p.allow(users)
	return p
}

// whose says of whom the users of the side before are: of the source, as long as they
// are all of it and have its ids.
func (p *pair) whose() string {
	if p.named || p.mapped {
		return "those " + given(p.from)
	}
	return "the source"
}

// known returns the nearest side before a step whose users are known by the given
// hash, and the nearest by another hash; nil where there is none. Beyond a Mapping
// are other ids.
func (j *judge) known(before stage, by Hash) (same, other *Summary) {
	nearest := [...]*Summary{&j.out.Written, &j.out.Read, &j.out.Expected}
	sides := nearest[:]
	switch {
	case before == reading:
		sides = nearest[2:]
	case before == mapping && j.policy.Mapping == (Ratio{}):
		sides = nearest[1:]
	case before == mapping:
		sides = nil
	case j.policy.Mapping != (Ratio{}):
		sides = nearest[:1]
	}
	for _, s := range sides {
		switch {
		case !s.usable() || s.hash() == "" && !s.identified():
		case by != "" && s.hash() == by:
			return s, other
		case other == nil:
			other = s
		}
	}
	return nil, other
}

// identified reports whether a side says which users it holds.
func (s *Summary) identified() bool { return s.usable() && s.fingerprint != Fingerprint{} }

// printed reports whether an engine's fingerprint is all that is known of a side's users:
// its number is of rows, some of which may be repeats.
func (s *Summary) printed() bool {
	if s.moved != nil {
		return s.moved.before.identified() && !s.moved.told
	}
	return s.identified() && s.digest == nil
}

// allow sets how many users there are before the steps, and so how many they may
// lose, or add to all that may be there by then.
func (p *pair) allow(users int64) {
	p.users, p.short, p.surplus = users, 0, 0
	for _, t := range p.tolerances {
		p.short = plus(p.short, t.Short.allowed(users))
		p.surplus = plus(p.surplus, t.Surplus.allowed(plus(users, p.surplus)))
	}
}

// outside reports that there are fewer or more users than allowed, whoever they
// are.
func (p *pair) outside() bool {
	off := p.before.lower - p.after.lower
	return off > p.short || -off > p.surplus
}

// An extent is by how much two sides differ: in rows, or in distinct users where
// these are compared. A row too often of a user of the source is foreign, too.
type extent struct {
	missing, foreign rows
	exact            bool
	guessed          bool  // that no more are missing or foreign is by chance
	often            int64 // rows of the foreign user with most of them, as far as is known
	unsure           int64 // users that came more often than they are stored, if they are
}

func (x *extent) none() bool { return x.exact && x.missing.most == 0 && x.foreign.most == 0 }

// differs judges two sides that hold other users.
func (j *judge) differs(p *pair) {
	d := newMismatch(p)
	causes, x := d.explain()
	proven := x.exact
	digests := d != nil && d.common != nil
	there, can := j.inPlace(p)
	switch {
	case there != nil:
		causes, x = there.causes(p), there.extent()
	case proven && !p.distinct:
	case digests:
		t := diff(p.before.digest, p.after.digest)
		x = p.compared(t, d.common, j.present)
		if x.unsure > 0 && p.after.remeasure != nil {
			j.ask = t
		}
	default:
		x = p.printed()
	}
	j.again = j.again || !digests && !can && (p.before.remeasure != nil || p.after.remeasure != nil)
	if x.none() {
		j.vouch(p)
		return
	}
	j.extent(p, &x, causes, proven, d)
}

// extent judges by how much two sides differ, with what explains it.
func (j *judge) extent(p *pair, x *extent, causes []cause, proven bool, d *mismatch) {
	if p.distinct && !j.miscounted(p.stage, false) {
		j.countDistinct(p, x)
	}
	if len(causes) > 0 { // a known cause is better than a likely one
		j.hint(p.stage, "")
	}
	j.causes(causes, p)
	if !j.miscounted(p.stage, p.outside()) {
		j.exchanged(p, x, d)
	} else if !proven {
		j.besides(p, x, d)
	}
}

// compared returns by how much two digested sides differ.
func (p *pair) compared(t *Difference, c *comparison, present []sketch.User) extent {
	if p.distinct {
		return p.distinctly(t, c, present)
	}
	net := p.before.lower - p.after.lower
	least := max(t.missing.least, c.missing, c.surplus+net)
	x := extent{
		missing: rows{least, max(t.missing.most, least)},
		foreign: rows{least - net, max(t.foreign.most, least-net)},
		exact:   t.exact, guessed: !t.exact,
	}
	for _, u := range t.users {
		x.often = max(x.often, -u.Times)
	}
	return x
}

// distinctly compares users each of whom counts once. A difference of rows says of a
// user how many more came than are stored, and so not yet whether any is: that is
// known of sampled ones, of those that were asked for (present), and of all where
// each came once.
func (p *pair) distinctly(t *Difference, c *comparison, present []sketch.User) (x extent) {
	switch source, stored := p.before.digest, p.after.digest; {
	case c.whole:
		x.missing, x.foreign, x.exact = rows{c.missing, c.missing}, rows{c.surplus, c.surplus}, true
	case t.exact:
		x = told(t, newHeld(t, source, stored, present), p.short > 0)
	default:
		there := c.held - c.missing + c.foreign
		x.guessed = true
		x.missing = spread(c.missing, c.held, source.distinctWithin(), t.missing.most)
		x.foreign = spread(c.foreign, there, stored.storedWithin(), t.foreign.most)
	}
	if x.exact {
		p.allow(p.after.digest.stored() + x.missing.most - x.foreign.most)
	}
	return x
}

// told returns by how many distinct users two sides differ of whom each user is known
// that one side has more often. Where some may be missing, as many of those whose place
// in the store is not known are as of the sampled ones, at five standard errors.
func told(t *Difference, there held, some bool) (x extent) {
	var known, missing, foreign, strange int64
	for _, u := range t.users {
		n, ok := there.times(u)
		switch {
		case !ok && u.Times > 0:
			x.unsure++
		case !ok:
			strange++
		case n == 0:
			missing++
		case n+u.Times == 0:
			foreign++
		}
		if ok && u.Times > 0 {
			known++
		}
	}
	x.missing = rows{missing, missing + x.unsure}
	if some {
		all := known + x.unsure
		x.missing = spread(missing, known, rows{all, all}, missing+x.unsure)
	}
	x.foreign = rows{foreign, foreign + strange}
	x.exact = x.unsure == 0 && strange == 0
	return x
}

// A held tells how often a store holds users of whom one side has more: of sampled ones,
// of those whom the store was asked for, and of all where each was digested once.
type held struct {
	sampled        map[uint64]int64
	present        []sketch.User // nil: the store was not asked
	source, stored *snapshot
}

func newHeld(t *Difference, source, stored *snapshot, present []sketch.User) held {
	h := held{sampled: map[uint64]int64{}, present: present, source: source, stored: stored}
	for _, u := range source.sample.Users {
		h.sampled[u.Hash.Key()] = u.Count - t.times(u.Hash.Key())
	}
	for _, u := range stored.sample.Users {
		h.sampled[u.Hash.Key()] = u.Count
	}
	return h
}

func (h *held) times(u sketch.User) (n int64, known bool) {
	n, known = h.sampled[u.Key]
	switch {
	case known:
	case h.present != nil:
		return timesOf(h.present, u.Key), true
	case h.source.once && u.Times > 0:
		return 0, true
	case h.stored.once && u.Times < 0:
		return 1, true
	}
	return n, known
}

// stored returns how many distinct users a store holds that keeps each once. Only
// where its sample shows that it does not is that an estimate.
func (s *snapshot) stored() int64 {
	if s.keepsEachOnce() {
		return s.users
	}
	distinct := s.distinct()
	return distinct.lower
}

// storedWithin returns stored with the error of its estimate.
func (s *snapshot) storedWithin() rows {
	if s.keepsEachOnce() {
		return rows{s.users, s.users}
	}
	return s.distinctWithin()
}

// keepsEachOnce reports whether no sampled user is there more than once.
func (s *snapshot) keepsEachOnce() bool {
	return !slices.ContainsFunc(s.sample.Users, func(u sketch.Sampled) bool { return u.Count > 1 })
}

// distinctWithin returns how many distinct users there are, at five standard errors
// where that is an estimate.
func (s *snapshot) distinctWithin() rows {
	distinct := s.distinct()
	off := int64(math.Ceil(5 * distinct.relErr * float64(distinct.lower)))
	return rows{max(0, distinct.lower-off), min(s.users, distinct.upper+off)}
}

// spread returns how many of all users are, of whom there are so many, where so many
// of the sampled ones are: no fewer than these, and no more than at most.
func spread(found, sampled int64, users rows, most int64) rows {
	if sampled == 0 || sampled == users.most {
		return rows{found, most}
	}
	low, high := atLeastAndMost(float64(found)/float64(sampled), int(sampled))
	least := max(found, int64(low*float64(users.least)))
	return rows{least, max(least, min(most, int64(math.Ceil(high*float64(users.most)))))}
}

// printed returns by how much two sides differ of which one is an engine's
// fingerprint: by its number of users at least, and one in place of another if that
// is right.
func (p *pair) printed() extent {
	source := p.before.digest
	if p.distinct && (source == nil || !source.sample.Whole()) {
		return extent{missing: rows{0, p.users}, foreign: rows{0, p.after.lower}}
	}
	if p.distinct && source.onceEach() == p.after.fingerprint {
		return extent{exact: true}
	}
	net := p.users - p.after.lower
	x := extent{missing: rows{max(0, net), p.users}, foreign: rows{max(0, -net), p.after.lower}}
	if net == 0 {
		x.missing.least, x.foreign.least = 1, 1
	}
	return x
}

// countDistinct judges how many distinct users are stored.
func (j *judge) countDistinct(p *pair, x *extent) {
	fewer, more := x.missing.least-x.foreign.most, x.foreign.least-x.missing.most
	verb, noun := p.stage.done(), p.noun()
	switch {
	case fewer > p.short && x.exact:
		j.add(Finding{Kind: Short, Step: p.stage.String(), Detail: fmt.Sprintf("%s %s of %s%s (%s short, %s allowed)", verb, thousands(p.users-fewer),
			counted(p.users, noun), taken(p.from, p.named), percent(float64(fewer), float64(p.users)), thousands(p.short))})
	case fewer > p.short:
		j.add(Finding{Kind: Short, Step: p.stage.String(), Detail: fmt.Sprintf("%s at least %s fewer than the about %s that were %s (%s allowed)", verb, counted(fewer, noun),
			thousands(p.users), given(p.from), thousands(p.short))})
	case more > p.surplus && x.exact:
		j.add(Finding{Kind: Surplus, Step: p.stage.String(), Detail: fmt.Sprintf("%s %s where %s were %s (%s allowed)", verb,
			counted(p.users+more, noun), thousands(p.users), given(p.from), thousands(p.surplus))})
	case more > p.surplus:
		j.add(Finding{Kind: Surplus, Step: p.stage.String(), Detail: fmt.Sprintf("%s at least %s more than the about %s that were %s (%s allowed)", verb, counted(more, noun),
			thousands(p.users), given(p.from), thousands(p.surplus))})
	}
}

// causes adds what explains a difference. Where the tolerance allows that, it is
// a warning, but never the first users up to a limit: no tolerance is meant for
// that.
func (j *judge) causes(causes []cause, p *pair) {
	for _, c := range causes {
		f := Finding{Kind: c.kind, Step: p.stage.String(), Detail: c.detail, Severity: Warn}
		if j.miscounted(p.stage, p.outside()) || p.short <= 0 && p.surplus <= 0 || c.kind == Truncated && j.policy.limits().has(c.first) {
			f.Severity = Fail
		}
		j.add(f)
	}
}

// miscounted reports that the number of users of a step did not pass, or of any step
// where it lies on the way.
func (j *judge) miscounted(at stage, onTheWay bool) bool {
	for i := range j.report.Findings {
		f := &j.report.Findings[i]
		if (f.Kind == Short || f.Kind == Surplus) && f.fails() && (onTheWay || f.Step == at.String()) {
			return true
		}
	}
	return false
}

// exchanged judges which users are missing and which should not be there, where
// their number passes.
func (j *judge) exchanged(p *pair, x *extent, d *mismatch) {
	switch {
	case x.missing.least > p.short, x.foreign.least > p.surplus:
		j.add(Finding{Kind: Different, Step: p.stage.String(), Detail: j.difference(p, x, d)})
	case j.doubted(p.stage): // by the numbers, which is no other doubt
	case x.missing.most > p.short, x.foreign.most > p.surplus, x.guessed && (p.short <= 0 || p.surplus <= 0):
		text := j.unclear(p, x)
		if none := d.strangers(); none != "" {
			text += "; " + none
		}
		j.unverified(p.stage, "%s", text+d.sampled(x))
	}
}

// unsure reports whether it was said, if only as a warning, that a step could not be
// verified.
func (j *judge) unsure(at stage) bool {
	return slices.ContainsFunc(j.report.Findings, func(f Finding) bool { return f.Kind == Unverified && f.Step == at.String() })
}

// doubted reports whether it was said that a step could not be verified.
func (j *judge) doubted(at stage) bool {
	return slices.ContainsFunc(j.report.Findings, func(f Finding) bool { return f.Kind == Unverified && f.fails() && f.Step == at.String() })
}

// besides judges what the number of users, which did not pass, has not told: with too
// few, who should not be there; with too many, who is missing.
func (j *judge) besides(p *pair, x *extent, d *mismatch) {
	var text string
	switch fewer := p.before.lower > p.after.lower; {
	case fewer && x.foreign.least > p.surplus:
		text = p.excess(x)
	case !fewer && x.missing.least > p.short:
		text = p.lack(x)
	default:
		if d != nil && d.common.lacksRepeats() {
			j.hint(p.stage, fmt.Sprintf("each of %s is %s once, as a store does that keeps a user once: Policy.Distinct compares distinct users",
				d.common.looked(), p.stage.done()))
		}
		return
	}
	j.add(Finding{Kind: Different, Step: p.stage.String(), Detail: cmp.Or(d.strangers(), text)})
}

// difference says how the users differ of whom the number passes.
func (j *judge) difference(p *pair, x *extent, d *mismatch) string {
	verb, stored := p.stage.done(), p.after.lower
	if p.distinct {
		stored = p.users - x.missing.least + x.foreign.least
	}
	as := given(p.from)
	if p.from != whole {
		as = "were " + as
	}
	text := fmt.Sprintf("%s as many %ss as %s, but not the same ones", verb, p.noun(), as)
	switch {
	case p.distinct && !x.exact:
		text = fmt.Sprintf("%s other %ss than %s", verb, p.noun(), as)
	case stored != p.users:
		text = fmt.Sprintf("%s %s where %s were %s, but not the right ones", verb, counted(stored, p.noun()), thousands(p.users), given(p.from))
	}
	if none := d.strangers(); none != "" {
		return text + ": " + none
	}
	switch {
	case !x.exact && (p.before.digest == nil || p.after.digest == nil):
		return text + ": their fingerprints differ, and a Digest on both sides would tell by how many"
	case !x.exact && x.missing.least <= 1 && x.foreign.least <= 1:
		return text // nobody knows more than that
	}
	return text + ": " + p.lack(x) + " and " + p.excess(x) + d.sampled(x)
}

// lack says how many users are missing.
func (p *pair) lack(x *extent) string {
	return fmt.Sprintf("%s %s missing (%s allowed)", x.missing.atLeast(), areOrIs(x.missing.least), thousands(p.short))
}

// excess says how many users are there that should not be.
func (p *pair) excess(x *extent) string {
	often := ""
	if x.often > 1 && 10*x.often >= x.foreign.least {
		often = fmt.Sprintf(", one of them %s times", thousands(x.often))
	}
	return fmt.Sprintf("%s %s %s that should not be (%s allowed)%s", x.foreign.atLeast(), areOrIs(x.foreign.least), p.stage.done(), thousands(p.surplus), often)
}

// unclear says why nobody knows whether the users differ by more than is allowed, and
// what would tell.
func (j *judge) unclear(p *pair, x *extent) string {
	about := ""
	if p.distinct && (p.before.digest == nil || !p.before.digest.sample.Whole()) {
		about = "about "
	}
	within := fmt.Sprintf("%s of %s%s may be missing (%s allowed), and %s may be %s that should not be (%s allowed)",
		x.missing, about, counted(p.users, p.noun()), thousands(p.short), x.foreign, p.stage.done(), thousands(p.surplus))
	switch {
	case p.before.digest == nil || p.after.digest == nil:
		if p.distinct {
			return "fingerprints do not tell distinct users from repeats: a Digest on both sides does"
		}
		return "the users differ, and fingerprints alone cannot show by how many: " + within + "; a Digest on both sides would decide it"
	case x.unsure > 0:
		return fmt.Sprintf("%s came more often than %s, as repeats or because they are missing, which digests do not tell, so that %s: to ask the store for these (Summary.WithRemeasure, InQuestion), or to digest each once (TeeOnce), would decide it",
			counted(x.unsure, "user"), p.stage.done(), within)
	case p.distinct:
		return "too many users came more often than " + p.stage.done() + ", or are missing, to tell them one by one, so that " + within +
			": to digest each once (TeeOnce), or Digest.Resolve on both sides and a store that can be asked (Summary.WithRemeasure, InQuestion), would decide it"
	}
	return "more users differ than could be told one by one, so that " + within + ": " + x.resolve()
}

// resolve says what tells all users that differ, where too many do.
func (x *extent) resolve() string {
	if n := plus(x.missing.most, x.foreign.most); n <= sketch.MaxReach {
		return fmt.Sprintf("Digest.Resolve(%d) on both sides would decide it", n)
	}
	return "they are more than Digest.Resolve takes, and the ids themselves must be compared"
}

// noun says what the pair counts.
func (p *pair) noun() string {
	if p.distinct {
		return "distinct user"
	}
	return "user"
}

// strangers describes a side on which none of the source's sampled users is; empty if
// one is.
func (d *mismatch) strangers() string {
	if d == nil || d.common == nil || d.common.absent < len(d.common.users) || len(d.common.users) == 0 || d.users == 0 {
		return ""
	}
	return fmt.Sprintf("of %s of %s none is %s: these are others, or their ids are written in another way (case, spaces, a prefix)", d.common.looked(), d.whose, d.verb)
}

// sampled adds what the sample tells of how many are missing, where that is not known
// exactly, and not part of the bounds yet.
func (d *mismatch) sampled(x *extent) string {
	if x.exact || x.unsure > 0 || d == nil || d.common == nil || d.common.differing() < fewest {
		return ""
	}
	low, high := d.common.shareMissing()
	return fmt.Sprintf("; by the sample likely %.1f%% to %.1f%% of %s are missing", 100*low, 100*high, d.whose)
}

// hint sets the likely story of a Short.
func (j *judge) hint(at stage, hint string) {
	for i := range j.report.Findings {
		if f := &j.report.Findings[i]; f.Kind == Short && f.Step == at.String() {
			f.Hint = hint
		}
	}
}

// onceEach returns the fingerprint of the distinct users, as long as all are held.
func (s *snapshot) onceEach() Fingerprint {
	a, f := s.algorithm(), Fingerprint{Hash: s.hash}
	for _, u := range s.sample.Users {
		f.Sum = a.Add(f.Sum, a.Sum(u.Hash))
	}
	return f
}
