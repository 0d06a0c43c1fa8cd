package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A cause explains why two sides hold other users.
type cause struct {
	kind   Kind
	detail string
	first  int64 // of a Truncated: how many users are there
}

// A mismatch is two sides, counted, that hold other users, of which the one before
// was digested.
type mismatch struct {
	algorithm    sketch.Algorithm
	verb         string // what the step did: read, stored
	whose        string // whose users are missing: of the source, or those read or mapped
	source       *snapshot
	common       *comparison // nil where the other side is an engine's fingerprint
	users        int64
	sum          sketch.Sum
	missingUsers int64      // the source's users less those of the other side
	missing      sketch.Sum // the same of their sums
}

// newMismatch returns nil where the side before was not digested.
func newMismatch(p *pair) *mismatch {
	source := p.before.digest
	if source == nil {
		return nil
	}
	d := &mismatch{
		algorithm: source.algorithm(), verb: p.stage.done(), whose: p.whose(), source: source,
		users: p.after.lower, sum: p.after.fingerprint.Sum,
		missingUsers: source.users - p.after.lower,
		missing:      source.algorithm().Subtract(source.sum, p.after.fingerprint.Sum),
	}
	if p.after.digest != nil {
		d.common = compare(source, p.after.digest, p.distinct)
	}
	return d
}

// explain looks for causes: first for those that sums prove, then for what the
// samples make likely. The extent is exact where sums account for every row.
func (d *mismatch) explain() (causes []cause, x extent) {
	if d == nil || d.users == 0 || d.common.lacksRepeats() {
		return nil, x
	}
	marks := d.source.marks(d.algorithm)
	if c, ok := d.prefixes(marks); ok {
		kept := c.first // none but those, if not all
		if kept == 0 {
			kept = d.source.users
		}
		if c.kind == Repeated && kept < d.source.users && slices.ContainsFunc(d.source.sample.Users, func(u sketch.Sampled) bool { return u.Count > 1 }) {
			return []cause{c}, x // the rest of the source may hold them, too
		}
		return []cause{c}, accounted(d.source.users-kept, d.users-kept)
	}
	if !d.common.keepsOnce() { // else sums take each repeat for a loss
		runs, ok := d.solve(marks, make([]int64, len(marks)-1))
		if !ok && d.common != nil {
			runs, ok = d.solve(marks, d.common.pages(marks))
		}
		if ok {
			var missing, foreign int64
			for _, r := range runs {
				missing += max(0, -r.times) * r.users()
				foreign += max(0, r.times) * r.users()
			}
			return d.named(runs), accounted(missing, foreign)
		}
	}
	if d.common != nil {
		causes = d.likely(d.common)
	}
	return causes, x
}

func accounted(missing, foreign int64) extent {
	return extent{missing: rows{missing, missing}, foreign: rows{foreign, foreign}, exact: true}
}

// marks returns the checkpoints from the first user to the last. Where the sample
// holds every user and none twice, there is one after each.
func (s *snapshot) marks(a sketch.Algorithm) []sketch.Checkpoint {
	marks := []sketch.Checkpoint{{}}
	if s.sample.Floor == 0 && int64(len(s.sample.Users)) == s.users {
		var at sketch.Checkpoint
		for _, u := range s.sample.ByPosition() {
			at.Users++
			at.Sum = a.Add(at.Sum, a.Sum(u.Hash))
			marks = append(marks, at)
		}
		return marks
	}
	for _, c := range s.checkpoints.List {
		if c.Users < s.users {
			marks = append(marks, c)
		}
	}
	return append(marks, sketch.Checkpoint{Users: s.users, Sum: s.sum})
}

// prefixes finds what is there to be the first users once or several times.
func (d *mismatch) prefixes(marks []sketch.Checkpoint) (cause, bool) {
	for _, m := range marks[1:] {
		if d.users%m.Users != 0 || d.algorithm.Times(d.users/m.Users, m.Sum) != d.sum {
			continue
		}
		times, all := d.users/m.Users, m.Users == d.source.users
		switch {
		case times == 1 && !all && (m.Users >= capLevel && isCap(m.Users, nil) || !d.endLost().plausible()):
			return cause{Truncated, fmt.Sprintf("exactly the first %s of %s", thousands(m.Users), counted(d.source.users, "user")), m.Users}, true
		case times > 1 && all:
			return cause{Repeated, fmt.Sprintf("all %s %s %s %s", counted(m.Users, "user"), areOrIs(m.Users), d.verb, often(times)), 0}, true
		case times > 1:
			return cause{Repeated, fmt.Sprintf("the first %s of %s %s %s %s, and no others", counted(m.Users, "user"), d.whose, areOrIs(m.Users), d.verb, often(times)), m.Users}, true
		}
	}
	return cause{}, false
}

// endLost returns the chance that losses at random leave just the first users. Where
// the other side keeps no repeats, only users that are wholly absent count as lost.
func (d *mismatch) endLost() luck {
	users, lost := d.source.users, d.missingUsers
	if c := d.common; c.keepsOnce() {
		users, lost = int64(len(c.users)), int64(c.absent)
	}
	end := run{from: users - lost, to: users}
	return luckOf(end, []run{end}, users)
}

func often(times int64) string {
	if times == 2 {
		return "twice"
	}
	return thousands(times) + " times"
}

// A run is a stretch of the source that is there more or less often than in it.
type run struct {
	from, to int64 // the users after the first from, up to the to-th
	times    int64 // -1: missing; 1: once too often
}

func (r run) users() int64 { return r.to - r.from }

func (r run) String() string {
	if r.users() == 1 {
		return thousands(r.to)
	}
	return thousands(r.from+1) + "–" + thousands(r.to)
}

// solve finds the runs of a mismatch of which it is known, or assumed, how often
// each page is there more than it should be: if the sums then leave one run of
// pages, or one page in place of another, those are it, too.
func (d *mismatch) solve(marks []sketch.Checkpoint, pages []int64) (runs []run, ok bool) {
	missing, users := d.missing, d.missingUsers
	for i, times := range pages {
		page := d.algorithm.Subtract(marks[i+1].Sum, marks[i].Sum)
		missing = d.algorithm.Add(missing, d.algorithm.Times(times, page))
		users += times * (marks[i+1].Users - marks[i].Users)
	}
	rest, ok := d.residue(marks, missing, users)
	if !ok {
		return nil, false
	}
	for i, times := range pages {
		page := run{marks[i].Users, marks[i+1].Users, times}
		for _, r := range rest {
			if r.from <= page.from && page.to <= r.to {
				page.times += r.times
			}
		}
		if n := len(runs); n > 0 && runs[n-1].to == page.from && runs[n-1].times == page.times {
			runs[n-1].to = page.to
		} else if page.times != 0 {
			runs = append(runs, page)
		}
	}
	return runs, true
}

// residue explains a sum of so many missing users by one run that is missing or
// repeated, or by one page in place of another.
func (d *mismatch) residue(marks []sketch.Checkpoint, missing sketch.Sum, users int64) ([]run, bool) {
	switch {
	case users == 0 && missing == sketch.Sum{}:
		return nil, true
	case users == 0:
		return d.exchanged(marks, missing)
	case users < 0:
		r, ok := d.between(marks, d.algorithm.Subtract(sketch.Sum{}, missing), -users)
		r.times = 1
		return []run{r}, ok
	}
	r, ok := d.between(marks, missing, users)
	r.times = -1
	return []run{r}, ok
}

// between finds the two checkpoints, so many users apart, between which a sum
// was added.
func (d *mismatch) between(marks []sketch.Checkpoint, added sketch.Sum, users int64) (run, bool) {
	to := 0
	for _, m := range marks {
		for to < len(marks) && marks[to].Users-m.Users < users {
			to++
		}
		if to < len(marks) && marks[to].Users-m.Users == users && d.algorithm.Subtract(marks[to].Sum, m.Sum) == added {
			return run{from: m.Users, to: marks[to].Users}, true
		}
	}
	return run{}, false
}

// exchanged finds the page that is there once more in place of another.
func (d *mismatch) exchanged(marks []sketch.Checkpoint, missing sketch.Sum) ([]run, bool) {
	pages := make(map[sketch.Sum]int, len(marks))
	for i := 1; i < len(marks); i++ {
		pages[d.algorithm.Subtract(marks[i].Sum, marks[i-1].Sum)] = i
	}
	for i := 1; i < len(marks); i++ {
		page := d.algorithm.Subtract(marks[i].Sum, marks[i-1].Sum)
		lost, ok := pages[d.algorithm.Add(missing, page)]
		if ok && marks[lost].Users-marks[lost-1].Users == marks[i].Users-marks[i-1].Users {
			return []run{
				{marks[lost-1].Users, marks[lost].Users, -1},
				{marks[i-1].Users, marks[i].Users, 1},
			}, true
		}
	}
	return nil, false
}

// named makes causes of runs that sums prove.
func (d *mismatch) named(runs []run) (causes []cause) {
	var missing, repeated []run
	for _, r := range runs {
		if r.times < 0 {
			missing = append(missing, r)
		} else {
			repeated = append(repeated, r)
		}
	}
	missing, _ = unlikely(missing, d.source.users)
	if n := len(missing); n > 0 && missing[n-1].to == d.source.users {
		first := missing[n-1].from
		causes = append(causes, cause{Truncated, fmt.Sprintf("nothing after the first %s of %s", thousands(first), counted(d.source.users, "user")), first})
		missing = missing[:n-1]
	}
	if len(missing) > 0 {
		causes = append(causes, cause{Gap, d.list(missing) + " missing", 0})
	}
	if len(repeated) > 0 {
		causes = append(causes, cause{Repeated, fmt.Sprintf("%s %s %s", d.list(repeated), d.verb, howOften(repeated)), 0})
	}
	return causes
}

// howOften returns how many times runs are there that are repeated.
func howOften(repeated []run) string {
	byTimes := func(a, b run) int { return cmp.Compare(a.times, b.times) }
	least, most := slices.MinFunc(repeated, byTimes).times+1, slices.MaxFunc(repeated, byTimes).times+1
	if least == most {
		return often(least)
	}
	return thousands(least) + " to " + thousands(most) + " times"
}

// list names the first few runs.
func (d *mismatch) list(runs []run) string {
	if len(runs) == 1 && runs[0].users() == 1 {
		return "user " + runs[0].String() + " of " + d.whose + " is"
	}
	return "users " + places(runs) + " of " + d.whose + " are"
}

func places(runs []run) string {
	const most = 5
	names := make([]string, 0, most)
	for _, r := range runs[:min(len(runs), most)] {
		names = append(names, r.String())
	}
	if more := len(runs) - most; more > 0 {
		names = append(names, counted(int64(more), "more run"))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// likely returns the causes that the samples make likely, with the chance that
// losses at random look like them. Repeated users are certain: each sampled one is.
func (d *mismatch) likely(c *comparison) (causes []cause) {
	causes = d.lost(c)
	if c.whole && c.repeated > 0 || c.repeated >= fewest {
		causes = append(causes, cause{kind: Repeated, detail: fmt.Sprintf("of %s of %s %s %s %s more often than they came",
			c.looked(), d.whose, thousands(int64(c.repeated)), areOrIs(int64(c.repeated)), d.verb)})
	}
	return causes
}

// lost returns causes for users missing one after the other.
func (d *mismatch) lost(c *comparison) (causes []cause) {
	missing, chance := unlikely(c.gaps(), int64(len(c.users)))
	if n := len(missing); n > 0 && missing[n-1].to == int64(len(c.users)) {
		causes = append(causes, d.cutAt(c, missing[n-1], chance))
		missing = missing[:n-1]
	}
	if len(missing) == 0 {
		return causes
	}
	what := "a run of users is"
	if len(missing) > 1 {
		what = "runs of users are"
	}
	var sampled int64
	for i, r := range missing {
		sampled += r.users()
		missing[i] = run{from: c.users[r.from].first, to: c.users[r.to-1].first + 1}
	}
	detail := fmt.Sprintf("likely %s missing, within users %s of %s: of %s there none is %s (by chance: %s)",
		what, places(missing), d.whose, counted(sampled, "sampled one"), d.verb, chance)
	if c.whole {
		detail = d.list(missing) + " missing"
	}
	return append(causes, cause{kind: Gap, detail: detail})
}

// cutAt returns the cause for a lost end: at the very number of users that are there, where
// nothing else was lost, and else at about the last sampled user that is there.
func (d *mismatch) cutAt(c *comparison, end run, chance luck) cause {
	at, about := c.users[end.from-1].first+1, "about " // not all are missing, which is no likely cause
	if at <= d.users && d.users <= c.users[end.from].first && c.surplus == 0 && int64(c.absent) == end.users() {
		at, about = d.users, ""
	}
	if c.whole {
		return cause{Truncated, fmt.Sprintf("nothing after the first %s of %s", thousands(at), counted(d.source.users, "user")), at}
	}
	return cause{Truncated, fmt.Sprintf("likely nothing after %sthe first %s of %s: of %s there none is %s (by chance: %s)",
		about, thousands(at), counted(d.source.users, "user"), counted(end.users(), "sampled one"), d.verb, chance), at}
}
