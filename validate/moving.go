package validate

import "fmt"

// A churn is how a side differs from a source that moved while it was read, in
// rows; see [Moving] for the formulas.
type churn struct {
	lost    rows // there before and after, and missing
	foreign rows // there, and neither before nor after, or not as often
}

// moved judges the users of a side against those of a source that moved. Whoever
// left the source or joined it meanwhile may be there or not.
func (j *judge) moved(p *pair) {
	m, verb := p.before.moved, p.stage.done()
	if p.after.digest == nil {
		j.again = j.again || p.after.remeasure != nil
		if j.doubted(p.stage) { // by the numbers, with the same advice
			return
		}
		j.unverified(p.stage, "the source moved from %s to %s, and a fingerprint alone cannot show who in the source before and after is missing: a Digest of what was %s can",
			m.before.number(), m.after.amount(), verb)
		return
	}
	c := newChurn(m.before.digest, m.after.digest, p.after.digest, p.distinct)
	told := j.miscounted(p.stage, false)
	if told && c.lost.least > p.short {
		j.hint(p.stage, fmt.Sprintf("%s in the source before and after %s missing", c.lost.atLeast(), areOrIs(c.lost.least)))
	}
	if c.lost.least > p.short && !told {
		j.add(Finding{Kind: Short, Step: p.stage.String(), Detail: fmt.Sprintf("%s %s, and %s in the source before and after %s missing (%s allowed)",
			verb, p.after.amount(), c.lost.atLeast(), areOrIs(c.lost.least), thousands(p.short))})
	}
	if c.foreign.least > p.surplus && !told {
		j.add(Finding{Kind: Surplus, Step: p.stage.String(), Detail: fmt.Sprintf("%s %s, and %s more than the source held before or after (%s allowed)",
			verb, p.after.amount(), c.foreign.atLeast(), thousands(p.surplus))})
	}
	if c.lost.unclear(p.short) || c.foreign.unclear(p.surplus) {
		why := "too many differ to compare them one by one (Digest.Resolve takes more)"
		if p.distinct {
			why = "repeats that the store does not keep look like missing users (TeeOnce leaves them out)"
		}
		j.unverified(p.stage, "%s %s of a source that moved from %s to %s (up to %s left, up to %s joined), and %s: of those in the source before and after %s may be missing, and %s may be there that it held neither before nor after (%s and %s allowed)",
			verb, p.after.amount(), m.before.dashed(), m.after.dashed(), thousands(m.before.lower-m.common), thousands(m.all-m.before.lower), why,
			c.lost, c.foreign, thousands(p.short), thousands(p.surplus))
	}
}

// newChurn compares three digests by one hash. Where a store keeps a user once,
// distinct counts each user once; the tables, which count rows, are then no more
// than upper bounds, unless the source was digested so, too.
func newChurn(before, after, side *snapshot, distinct bool) (c churn) {
	var whole bool
	if c, whole = sampledChurn(before, after, side, distinct); whole {
		return c
	}
	left, right := diff(before, side), diff(after, side)
	if !left.exact || !right.exact {
		c.lost.most = min(left.missing.most, right.missing.most)
		c.foreign.most = min(left.foreign.most, right.foreign.most)
		return c
	}
	var lost, foreign int64
	for _, u := range left.users {
		other := right.times(u.Key)
		lost += max(0, min(u.Times, other))
		foreign += max(0, min(-u.Times, -other))
	}
	c.lost.most, c.foreign.most = lost, foreign
	switch {
	case !distinct:
		c.lost.least, c.foreign.least = lost, foreign
	case before.once && after.once: // what is missing is no repeat
		c.lost.least = lost
	}
	return c
}

// sampledChurn compares the users that all three samples would hold. They are all
// there are, if the samples dropped none, and else at least so many.
func sampledChurn(before, after, side *snapshot, distinct bool) (c churn, whole bool) {
	floor := max(before.sample.Floor, after.sample.Floor, side.sample.Floor)
	for _, u := range before.sample.Users {
		if u.Hash.High >= floor {
			there := times(side.sample.Count(u.Hash), distinct)
			c.lost.least += max(0, min(times(u.Count, distinct), times(after.sample.Count(u.Hash), distinct))-there)
		}
	}
	for _, u := range side.sample.Users {
		if u.Hash.High >= floor {
			held := max(before.sample.Count(u.Hash), after.sample.Count(u.Hash))
			c.foreign.least += max(0, times(u.Count, distinct)-times(held, distinct))
		}
	}
	c.lost.most, c.foreign.most = c.lost.least, c.foreign.least
	return c, floor == 0
}

// unclear reports whether the number may be within what is allowed, and may not.
func (r rows) unclear(allowed int64) bool { return r.least <= allowed && allowed < r.most }

func (r rows) atLeast() string {
	if r.least < r.most {
		return "at least " + thousands(r.least)
	}
	return thousands(r.least)
}

func (r rows) String() string {
	if r.least < r.most {
		return thousands(r.least) + " to " + thousands(r.most)
	}
	return thousands(r.least)
}

func areOrIs(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
