package validate

import (
	"cmp"
	"fmt"
	"math"
)

// A pair is two sides whose users are compared, and what the steps between them
// allow.
type pair struct {
	stage          stage
	before, after  *Summary
	short, surplus int64
	distinct       bool
}

// content compares which users the sides of a step hold. Where some ids have no
// counterpart they differ by design, and a side that was only counted has none
// to compare.
func (j *judge) content(s *step) {
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

// users compares two sides with fingerprints by one hash.
func (j *judge) users(p *pair) {
	switch {
	case p.before.moved != nil:
		j.moved(p)
	case p.before.fingerprint != p.after.fingerprint:
		j.differs(p)
	case p.before.lower != p.after.lower:
		j.unverified(p.stage, "equal fingerprints of %s and %s cannot be: one side was measured wrongly", p.before.amount(), p.after.amount())
	case p.stage == storing:
		j.vouch(p)
	}
}

// vouch records that just the expected users are stored, where Stored is proven to
// hold those of the side before it, and that side those of Expected.
func (j *judge) vouch(p *pair) {
	expected := &j.out.Expected
	if p.before == expected || j.policy.Mapping.isZero() && expected.identified() &&
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
	wholeWay := j.policy.Mapping.isZero() && expected.identified() && stored.identified() &&
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
	if s.stage != reading && p.before == &j.out.Expected && !j.out.Read.IsZero() {
		p.allow(j.policy.Reading)
	}
	p.allow(s.tolerance)
	return p
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
	case before == mapping && j.policy.Mapping.isZero():
		sides = nearest[1:]
	case before == mapping:
		sides = nil
	case !j.policy.Mapping.isZero():
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

// allow adds what one more step may lose, or add to all that may be there by
// then.
func (p *pair) allow(t Tolerance) {
	p.short = plus(p.short, t.Short.allowed(p.users()))
	p.surplus = plus(p.surplus, t.Surplus.allowed(plus(p.users(), p.surplus)))
}

// users returns how many there were before the step.
func (p *pair) users() int64 {
	if p.distinct {
		before := p.before.distinct()
		return before.lower
	}
	return p.before.lower
}

// exact reports that not one user may differ.
func (p *pair) exact() bool { return p.short <= 0 && p.surplus <= 0 }

// outside reports that there are fewer or more users than allowed, whoever they
// are.
func (p *pair) outside() bool {
	off := p.before.lower - p.after.lower
	return off > p.short || -off > p.surplus
}

// differs judges two sides that hold other users.
func (j *judge) differs(p *pair) {
	e := explain(p.stage, p.before, p.after, p.distinct)
	j.again = j.again || e.common == nil && (p.before.remeasure != nil || p.after.remeasure != nil)
	if p.distinct && j.keptOnce(p, &e) {
		return
	}
	if len(e.causes) > 0 { // a known story is better than a likely one
		j.hint(p.stage, "")
	}
	wrongCount := j.miscounted(p.stage) || !p.distinct && p.outside()
	j.causes(e.causes, p, wrongCount)
	switch {
	case !wrongCount:
		j.exchanged(p, &e)
	case !e.proven && e.common != nil:
		j.besides(p, e.common)
	}
}

// causes adds what explains a difference. Where the tolerance allows that, it is
// a warning, but never the first users up to a limit: no tolerance is meant for
// that.
func (j *judge) causes(causes []cause, p *pair, wrongCount bool) {
	for _, c := range causes {
		f := Finding{Kind: c.kind, Step: p.stage.String(), Detail: c.detail, Severity: Warn}
		if wrongCount || p.exact() || c.kind == Truncated && j.policy.limits().has(c.first) {
			f.Severity = Fail
		}
		j.add(f)
	}
}

// miscounted reports that the count of a step did not pass.
func (j *judge) miscounted(at stage) bool {
	for i := range j.report.Findings {
		f := &j.report.Findings[i]
		if f.fails() && f.Step == at.String() && (f.Kind == Short || f.Kind == Surplus) {
			return true
		}
	}
	return false
}

// exchanged judges users that are there in place of others, where their number
// passes. Each is one short and one surplus: more than either margin proves the
// sides to be different, and more than both may be cannot be told.
func (j *judge) exchanged(p *pair, e *explanation) {
	least, most := e.exchanged(p)
	allowed := max(p.short, p.surplus)
	switch {
	case p.exact(), least > min(p.short, p.surplus):
		j.add(Finding{Kind: Different, Step: p.stage.String(), Detail: e.difference(p)})
	case most > allowed && e.common == nil:
		j.unverified(p.stage, "the users differ, and fingerprints alone cannot show whether by more than the %s allowed: a Digest on both sides can", thousands(allowed))
	case most > allowed:
		j.unverified(p.stage, "the users differ, by up to %s as far as the samples show, where %s allowed: a tolerance of %s would decide it",
			thousands(most), were(allowed), counted(most, "user"))
	}
}

func were(n int64) string {
	if n == 1 {
		return "1 is"
	}
	return thousands(n) + " are"
}

// exchanged returns how many users are there in place of others, at least and at
// most: those that are missing, less the number by which the side is smaller. It
// does not go by the users that came in their place: a thousand of them may be one
// user a thousand times.
func (e *explanation) exchanged(p *pair) (least, most int64) {
	c := e.common
	switch {
	case e.proven:
		return e.moved, e.moved
	case c == nil:
		return 0, math.MaxInt64
	case c.whole:
		moved := min(c.missing, c.surplus)
		return moved, moved
	case len(c.users) == 0:
		return 0, p.users()
	}
	found, fewer, unseen := c.missing, max(0, p.before.lower-p.after.lower), c.unseen(p.before.digest)
	if p.distinct { // each user counts once, so both sides show it
		found, fewer, unseen = min(c.missing, c.surplus), 0, 0
	}
	low, high := bounds(float64(found)/float64(c.held), len(c.users))
	users := float64(p.users())
	least = max(0, int64(math.Ceil(low*users))-fewer)
	most = max(0, int64(math.Ceil(high*users))-fewer) + unseen
	if loss := float64(fewer) / users; !p.distinct && c.lacks(loss) {
		most = min(most, c.strangersAtMost(users)+unseen)
	}
	return least, min(most, p.users())
}

// lacks reports that no more of the sampled users are missing than a loss of
// that share makes likely. Then what came in place of others speaks for how many
// those are: how many are missing says too little, next to a loss that is known.
func (c *comparison) lacks(share float64) bool {
	expected := share * float64(c.held)
	return float64(c.missing) <= expected+3*math.Sqrt(expected)
}

// strangersAtMost returns how many users of so many the other side may hold that
// the source does not, or not as often.
func (c *comparison) strangersAtMost(users float64) int64 {
	_, high := bounds(min(1, float64(c.surplus)/float64(c.held)), len(c.users))
	return int64(math.Ceil(high * users))
}

// difference says how the users differ that are as many as they should be.
func (e *explanation) difference(p *pair) string {
	text := p.stage.done() + " as many users as expected, but not the same ones"
	switch c := e.common; {
	case e.proven:
		return text + ": " + counted(e.moved, "user") + " replaced"
	case c == nil || c.missing == 0 && c.surplus == 0:
		return text
	case c.absent == len(c.users):
		return text + ": " + c.strangers(p.stage.done())
	default:
		replaced := cmp.Or(min(c.missing, c.surplus), max(c.missing, c.surplus))
		return text + ": " + c.share(replaced, c.held, p.users()) + " replaced"
	}
}

// strangers describes a side that holds none of the source's users.
func (c *comparison) strangers(verb string) string {
	what := "sampled user"
	if c.whole {
		what = "user"
	}
	return fmt.Sprintf("of %s of the source none is %s; ids written in another way (case, spaces, a prefix) are other users", counted(int64(len(c.users)), what), verb)
}

// besides adds what else is wrong where the number of users is wrong, too:
// users that the source does not hold, in place of some that it does.
func (j *judge) besides(p *pair, c *comparison) {
	verb := p.stage.done()
	switch {
	case c.foreign > 0 && c.missing > 0 && c.absent == len(c.users):
		j.add(Finding{Kind: Different, Step: p.stage.String(), Detail: c.strangers(verb)})
	case c.foreign > 0 && c.missing > 0:
		j.add(Finding{Kind: Different, Step: p.stage.String(), Detail: c.share(c.foreign, c.foreign+c.held-c.missing, p.after.lower) + " are " + verb + " that the source does not hold"})
	case c.lacksRepeats():
		j.hint(p.stage, "each user is "+verb+" once, as a store does that keeps a user once: Policy.Distinct compares distinct users")
	}
}

// hint sets the likely story of a Short.
func (j *judge) hint(at stage, hint string) {
	for i := range j.report.Findings {
		if f := &j.report.Findings[i]; f.Kind == Short && f.Step == at.String() {
			f.Hint = hint
		}
	}
}

// keptOnce reports that two sides hold the same distinct users, or that this
// cannot be known.
func (j *judge) keptOnce(p *pair, e *explanation) bool {
	switch c := e.common; {
	case c != nil && c.whole:
		if c.missing > 0 || c.surplus > 0 {
			return false
		}
		j.vouch(p)
		return true
	case c != nil:
		return c.missing == 0 && c.surplus == 0 // as far as the samples show; the counts decide
	case p.before.digest != nil && p.before.digest.onceEach() == p.after.fingerprint:
		j.vouch(p)
		return true
	case p.before.digest == nil || p.before.digest.sample.Floor > 0:
		j.unverified(p.stage, "fingerprints say nothing about distinct users: a Digest on both sides does")
		return true
	}
	return false
}

// onceEach returns the fingerprint of the distinct users, as long as all are held.
func (s *snapshot) onceEach() Fingerprint {
	if s.sample.Floor > 0 {
		return Fingerprint{}
	}
	a, f := s.algorithm(), Fingerprint{Hash: s.hash}
	for _, u := range s.sample.Users {
		f.Sum = a.Add(f.Sum, a.Sum(u.Hash))
	}
	return f
}

// sharesMeasurement reports that two sides are one and the same digest.
func sharesMeasurement(a, b *Summary) bool {
	return a.digest != nil && b.digest != nil && a.digest.origin == b.digest.origin
}
