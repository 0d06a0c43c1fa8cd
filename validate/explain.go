package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A cause explains why two sides hold other users.
type cause struct {
	kind   Kind
	detail string
	first  int64 // of a Truncated: how many users are there
}

// An explanation is all that is known of a mismatch.
type explanation struct {
	causes []cause
	proven bool  // the causes account for every user
	moved  int64 // then: how many users are there in place of others
	common *comparison
}

// A mismatch is two sides, counted, that hold other users.
type mismatch struct {
	algorithm    algorithm
	verb         string // what the step did: read, stored
	source       *snapshot
	stored       *snapshot // nil: an engine's fingerprint
	users        int64
	sum          sum
	missingUsers int64 // the source's users less those stored
	missing      sum   // the same of their sums
}

// explain looks for causes: first for those that sums prove, then for what the
// samples make likely.
func explain(s stage, before, after *Summary, distinct bool) explanation {
	source, stored := before.digest, after.digest
	if source == nil {
		return explanation{}
	}
	d := mismatch{
		algorithm: source.algorithm(),
		verb:      done[s],
		source:    source, stored: stored,
		users: after.lower, sum: after.fingerprint.Sum,
	}
	d.missingUsers = source.users - d.users
	d.missing = d.algorithm.subtract(source.sum, d.sum)
	var e explanation
	if stored != nil {
		e.common = compare(source, stored, distinct)
	}
	if d.users == 0 || e.common.keepsOnce() || d.prove(&e) || e.common == nil {
		return e
	}
	e.causes = d.guess(e.common)
	return e
}

// prove reports whether sums account for the whole mismatch.
func (d *mismatch) prove(e *explanation) bool {
	marks := d.source.marks(d.algorithm)
	if c, ok := d.prefixes(marks); ok {
		e.causes, e.proven = []cause{c}, true
		e.moved = max(0, d.users-cmp.Or(c.first, d.source.users))
		return true
	}
	runs, ok := d.residue(marks, d.missing, d.missingUsers)
	if !ok && e.common != nil {
		runs, ok = d.guided(marks, e.common)
	}
	if !ok {
		return false
	}
	var lost, extra int64
	for _, r := range runs {
		lost += max(0, -r.times) * r.users()
		extra += max(0, r.times) * r.users()
	}
	e.proven, e.moved = true, min(lost, extra)
	e.causes = d.told(runs)
	return true
}

// marks are the checkpoints from the first user to the last. Where the sample
// holds every user and none twice, there is one after each.
func (s *snapshot) marks(a algorithm) []checkpoint {
	marks := []checkpoint{{}}
	if s.sample.floor == 0 && int64(len(s.sample.users)) == s.users {
		var at checkpoint
		for _, u := range s.sample.byPosition() {
			at.users++
			at.sum = a.add(at.sum, a.sum(u.hash))
			marks = append(marks, at)
		}
		return marks
	}
	for _, c := range s.checkpoints.list {
		if c.users > marks[len(marks)-1].users && c.users < s.users {
			marks = append(marks, c)
		}
	}
	return append(marks, checkpoint{users: s.users, sum: s.sum})
}

func (s *sample) byPosition() []sampled {
	return slices.SortedFunc(slices.Values(s.users), func(a, b sampled) int { return cmp.Compare(a.first, b.first) })
}

// sum is what a user with this hash adds.
func (a algorithm) sum(h hash128) sum {
	if a == xxh3Sum {
		return sum{h.low, h.high}
	}
	return sum{h.high >> 32, h.high & 0xffffffff, h.low >> 32, h.low & 0xffffffff}
}

// prefixes finds what is there to be the first users once or several times.
func (d *mismatch) prefixes(marks []checkpoint) (cause, bool) {
	for _, m := range marks[1:] {
		if d.users%m.users != 0 || d.algorithm.times(uint64(d.users/m.users), m.sum) != d.sum { //nolint:gosec // not negative
			continue
		}
		times, all := d.users/m.users, m.users == d.source.users
		switch {
		case times == 1 && !all && (isCap(m.users, nil) || !d.luck(d.missingUsers, 1, true).plausible()):
			return cause{Truncated, fmt.Sprintf("exactly the first %s of %s", thousands(m.users), counted(d.source.users, "user")), m.users}, true
		case times > 1 && all:
			return cause{Repeated, fmt.Sprintf("all %s are %s %s", counted(m.users, "user"), d.verb, often(times)), 0}, true
		case times > 1:
			return cause{Repeated, fmt.Sprintf("the source's first %s are %s %s, and no others", counted(m.users, "user"), d.verb, often(times)), m.users}, true
		}
	}
	return cause{}, false
}

func (d *mismatch) luck(lost, runs int64, end bool) luck {
	return luckOf(d.source.users, lost, lost, runs, end)
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

func (r run) String() string { return thousands(r.from+1) + "–" + thousands(r.to) }

// residue explains a sum of so many missing users by one run that is missing or
// repeated, or by one page in place of another.
func (d *mismatch) residue(marks []checkpoint, missing sum, users int64) ([]run, bool) {
	switch {
	case users == 0 && missing == sum{}:
		return nil, true
	case users == 0:
		return d.exchanged(marks, missing)
	case users < 0:
		r, ok := d.between(marks, d.algorithm.subtract(sum{}, missing), -users)
		r.times = 1
		return []run{r}, ok
	}
	r, ok := d.between(marks, missing, users)
	r.times = -1
	return []run{r}, ok
}

// between finds the two checkpoints, so many users apart, between which a sum
// was added.
func (d *mismatch) between(marks []checkpoint, added sum, users int64) (run, bool) {
	to := 0
	for _, m := range marks {
		for to < len(marks) && marks[to].users-m.users < users {
			to++
		}
		for k := to; k < len(marks) && marks[k].users-m.users == users; k++ {
			if d.algorithm.subtract(marks[k].sum, m.sum) == added {
				return run{from: m.users, to: marks[k].users}, true
			}
		}
	}
	return run{}, false
}

// exchanged finds the page that is there once more in place of another.
func (d *mismatch) exchanged(marks []checkpoint, missing sum) ([]run, bool) {
	pages := make(map[sum]int, len(marks))
	for i := 1; i < len(marks); i++ {
		pages[d.algorithm.subtract(marks[i].sum, marks[i-1].sum)] = i
	}
	for i := 1; i < len(marks); i++ {
		page := d.algorithm.subtract(marks[i].sum, marks[i-1].sum)
		lost, ok := pages[d.algorithm.add(missing, page)]
		if ok && marks[lost].users-marks[lost-1].users == marks[i].users-marks[i-1].users {
			return []run{
				{marks[lost-1].users, marks[lost].users, -1},
				{marks[i-1].users, marks[i].users, 1},
			}, true
		}
	}
	return nil, false
}

// guided takes from the samples which pages look missing or repeated, all their
// sampled users alike, and then proves or refutes it by the sums, up to one run
// in which there was no sampled user.
func (d *mismatch) guided(marks []checkpoint, c *comparison) ([]run, bool) {
	var runs []run
	missing, users := d.missing, d.missingUsers
	next := 0
	for i := 1; i < len(marks); i++ {
		page := run{from: marks[i-1].users, to: marks[i].users}
		begin := next
		for next < len(c.users) && c.users[next].first < page.to {
			next++
		}
		if page.times = c.alike(begin, next); page.times == 0 {
			continue
		}
		held := d.algorithm.subtract(marks[i].sum, marks[i-1].sum)
		if page.times < 0 {
			missing = d.algorithm.subtract(missing, held)
		} else {
			missing = d.algorithm.add(missing, d.algorithm.times(uint64(page.times), held))
		}
		users += page.times * page.users()
		runs = append(runs, page)
	}
	if len(runs) == 0 {
		return nil, false
	}
	rest, ok := d.residue(marks, missing, users)
	return joined(append(runs, rest...)), ok
}

// joined makes one run of those that follow each other.
func joined(runs []run) []run {
	slices.SortFunc(runs, func(a, b run) int { return cmp.Or(cmp.Compare(a.times, b.times), cmp.Compare(a.from, b.from)) })
	var all []run
	for _, r := range runs {
		if n := len(all); n > 0 && all[n-1].to == r.from && all[n-1].times == r.times {
			all[n-1].to = r.to
			continue
		}
		all = append(all, r)
	}
	return all
}

// told makes causes of runs. Few users missing here and there are no lost page.
func (d *mismatch) told(runs []run) (causes []cause) {
	var missing, repeated []run
	var lost int64
	for _, r := range runs {
		if r.times < 0 {
			missing = append(missing, r)
			lost += r.users()
		} else {
			repeated = append(repeated, r)
		}
	}
	if n := len(missing); n > 0 && !d.luck(lost, int64(n), false).plausible() {
		if missing[n-1].to == d.source.users {
			first := missing[n-1].from
			causes = append(causes, cause{Truncated, fmt.Sprintf("nothing after the first %s of %s", thousands(first), counted(d.source.users, "user")), first})
			missing = missing[:n-1]
		}
		if len(missing) > 0 {
			causes = append(causes, cause{Gap, fmt.Sprintf("users %s of the source are missing", list(missing)), 0})
		}
	}
	for _, r := range repeated {
		causes = append(causes, cause{Repeated, fmt.Sprintf("users %s of the source are %s %s", r, d.verb, often(r.times+1)), 0})
	}
	return causes
}

// list names the first few runs.
func list(runs []run) string {
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
