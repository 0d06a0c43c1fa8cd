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
			if size.Vouched || size.Level == LevelNew {
				return since, false // somebody said so
			}
		}
		if days == 0 {
			continue
		}
		run = run && now.users == users
		switch {
		case run:
			same++
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
