package validate

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A size that used to change and does not any more is frozen where chance hardly
// explains it: with p the share of moves before, from one UTC day to the next, that
// changed nothing, where r days in a row have the same size and p^r is below
// frozenBelow.
const (
	frozenBelow = 1e-6
	frozenMoves = 20 // at least known before
)

// unchanged adds a finding where the segment is frozen. The word of an independent
// Expected, of now or of the size before, is worth more than any chance.
func (j *judge) unchanged(users int64, history []Size) {
	last := latestOf(history, j.out.Counter)
	if last == nil || last.Users != users || last.Vouched || j.vouched() || j.report.Level != LevelUsual {
		return
	}
	since := last.At
	if last.Level != LevelFrozen { // once found, it stays until something moves
		var found bool
		if since, found = frozen(users, history, j.out.Counter, j.out.At); !found {
			return
		}
	} else {
		for _, size := range slices.Backward(history) {
			if size.Counter == j.out.Counter && size.Users > 0 && size.Users != users {
				break
			}
			since = size.At
		}
	}
	j.report.Level = LevelFrozen
	j.add(Finding{
		Kind: Frozen, Step: sizing.String(), Severity: Warn,
		Detail: fmt.Sprintf("exactly %s since %s, for %s, where it changed nearly every day before", counted(users, "user"),
			since.UTC().Format(time.DateOnly), counted(int64(j.out.At.Sub(since)/(day*time.Second)), "day")),
	})
}

// frozen reports whether a size of now has not changed for longer than chance
// explains, and since when.
func frozen(users int64, history []Size, counter string, at time.Time) (since time.Time, found bool) {
	same, moves, unmoved := 0, 0, 0
	next := point{users, at.Unix()} // the daily size after the one that is looked at
	run := true
	for i := len(history) - 1; i >= 0; i-- {
		size := &history[i]
		if size.Users <= 0 || size.Counter != counter {
			continue
		}
		now := point{size.Users, size.At.Unix()}
		days := next.at/day - now.at/day
		if run && now.users == users {
			since = size.At
			if size.confirmed() {
				return since, false
			}
		}
		if days == 0 {
			continue
		}
		run = run && now.users == users
		switch {
		case run:
			same++
		case same == 0: // it moved since the day before, as nearly always
			return since, false
		case days > 1: // how often it moves from day to day is not known by it
		case now.users == next.users:
			moves, unmoved = moves+1, unmoved+1
		default:
			moves++
		}
		next = now
	}
	p := float64(unmoved+1) / float64(moves+2)
	return since, moves >= frozenMoves && math.Pow(p, float64(same)) < frozenBelow
}

// confirmed reports whether somebody said that the size is right.
func (s *Size) confirmed() bool { return s.Vouched || s.Level == LevelNew }

// A segment leaks where the median of its last seven daily sizes lies below that of
// four weeks ago by more than leakFloor, and more than twice the largest change over
// four weeks in the 120 days before, of which leakChanges are known at least; and where
// each of the last two weeks was lower by more than leakWeek, as a step is no leak.
const (
	leakFloor   = 0.20
	leakOver    = 28 * day
	leakBack    = 120 * day
	leakChanges = 3
	leakWeek    = 0.06
)

// leaking adds a finding where the segment leaks.
func (j *judge) leaking(s *Summary, history []Size) {
	users, now := s.lower, j.out.At.Unix()
	if !mayLeak(users, history, now) {
		return
	}
	d := newDaily(point{users, now}, history, j.out.Counter)
	fall, usual, ok := d.leak(now)
	if !ok || fall <= max(leakFloor, 2*usual) {
		return
	}
	recent, _ := d.level(now)
	f := Finding{
		Kind: Leaking, Step: sizing.String(), Severity: Warn,
		Detail: fmt.Sprintf("%s are the median of the last week, %s below that of four weeks ago; in the months before it never changed by more than %s in four weeks",
			counted(wholeUsers(recent), "user"), roughly(fall, 1), roughly(usual, 1)),
	}
	if excuse := j.excuse(s); excuse != nil {
		f.Explains, f.Hint = true, "excused until "+excuse.Until.UTC().Format("2006-01-02")
	}
	j.add(f)
}

// mayLeak reports whether it is worth working out if a segment leaks: a million may be
// asked at a time, of whom next to none has lost a fifth.
func mayLeak(users int64, history []Size, now int64) bool {
	if len(history) == 0 || history[0].At.Unix() > now-2*leakOver {
		return false
	}
	least, most := users, int64(0)
	for _, size := range slices.Backward(history) {
		switch age := now - size.At.Unix(); {
		case size.Level == LevelNew || size.Level == LevelFormer:
			return true
		case age < week:
			least = min(least, size.Users)
		case age >= leakOver+week:
			return float64(least) < (1-leakFloor)*float64(most)
		case age >= leakOver:
			most = max(most, size.Users)
		}
	}
	return float64(least) < (1-leakFloor)*float64(most)
}

// A daily holds the sizes of days, the last one first.
type daily []point

// newDaily returns the last size of each UTC day, on the level of now: sizes of before
// a new level are scaled by it, as that is no leak.
func newDaily(now point, history []Size, counter string) daily {
	d := make(daily, 1, 100)
	d[0] = now
	scale, level := 1.0, int64(0)
	for i := len(history) - 1; i >= 0 && now.at-history[i].At.Unix() <= leakOver+leakBack+week; i-- {
		size := &history[i]
		if size.Users <= 0 || size.Counter != counter {
			continue
		}
		if level > 0 {
			scale *= float64(level) / float64(size.Users)
			level = 0
		}
		if size.Level == LevelNew || size.Level == LevelFormer {
			level = size.Users
		}
		if at := size.At.Unix(); at/day != d[len(d)-1].at/day {
			d = append(d, point{wholeUsers(math.Round(scale * float64(size.Users))), at})
		}
	}
	return d
}

// level returns the median of the week that ends at a time; where older sizes are kept
// only now and then, of those within a week of its middle.
func (d daily) level(at int64) (users float64, ok bool) {
	from, to, least := at-week, at, 4
	if d[0].at-at > keptDaily-week {
		middle := at - week/2
		from, to, least = middle-week-sameDay, middle+week+sameDay, 2
	}
	var sizes [15]int64
	n := 0
	for _, p := range d {
		if p.at > from && p.at <= to && n < len(sizes) {
			sizes[n] = p.users
			n++
		}
	}
	if n < least {
		return 0, false
	}
	slices.Sort(sizes[:n])
	return float64(sizes[(n-1)/2])/2 + float64(sizes[n/2])/2, true
}

// falling reports whether each of the last two weeks lies below the one before, so that
// it is no step that was passed.
func (d daily) falling(now int64) bool {
	last, ok := d.level(now)
	for at := now - week; ok && at >= now-2*week; at -= week {
		before, known := d.level(at)
		if ok = known && last < (1-leakWeek)*before; ok {
			last = before
		}
	}
	return ok
}

// leak returns by which share the last week lies below that of four weeks ago, and the
// largest such change before that, up or down.
func (d daily) leak(now int64) (fall, usual float64, ok bool) {
	change := func(at int64) (float64, bool) {
		later, okLater := d.level(at)
		earlier, okEarlier := d.level(at - leakOver)
		return 1 - later/earlier, okLater && okEarlier
	}
	if fall, ok = change(now); !ok || fall <= leakFloor || !d.falling(now) {
		return 0, 0, false
	}
	changes := 0
	for at := now - leakOver; at-leakOver >= now-leakOver-leakBack; at -= week {
		if before, known := change(at); known {
			changes++
			usual = max(usual, before, 1-1/(1-before))
		}
	}
	return fall, usual, changes >= leakChanges
}
