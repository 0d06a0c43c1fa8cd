package validate

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// An Excuse allows sizes off the history for a while, as for a migration that is
// planned: those from LowShare to HighShare of the segment's last size before From, or
// from Low to High users. It excuses [Dropped], [Risen] and [Leaking] by history, with
// a warning, and nothing else: no size on a limit, nothing short or foreign, nothing
// unverified, stale or frozen, and none of it empty unless Empty says so.
type Excuse struct {
	Low       int64     `json:"low,omitempty"`        // users
	High      int64     `json:"high,omitempty"`       // users; 0: shares are meant
	LowShare  float64   `json:"low_share,omitempty"`  // 0.4 is 40% of the last size
	HighShare float64   `json:"high_share,omitempty"` // 0: users are meant
	Empty     bool      `json:"empty,omitempty"`      // no users at all are excused, too, or alone where there is no range
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`              // after From, by 31 days at most
	ForGood   bool      `json:"for_good,omitempty"` // the first size within is a new level; false: the baseline goes on without it
}

// longestExcuse is a month: what holds for longer is to be accepted.
const longestExcuse = 31 * day * time.Second

// Validate returns an *InputError that names what is wrong.
func (e Excuse) Validate() error {
	if problem := e.problem("Excuse"); problem != nil {
		return problem
	}
	return nil
}

func (e *Excuse) problem(field string) *InputError {
	switch {
	case e.From.IsZero(), e.Until.IsZero():
		return badInput(field+".Until", fmt.Sprintf("%s to %s", e.From.Format(time.RFC3339), e.Until.Format(time.RFC3339)), "both ends of the time in which sizes are excused")
	case timeProblem(field+".From", e.From) != nil:
		return timeProblem(field+".From", e.From)
	case timeProblem(field+".Until", e.Until) != nil:
		return timeProblem(field+".Until", e.Until)
	case !e.Until.After(e.From) || e.Until.Sub(e.From) > longestExcuse:
		return badInput(field+".Until", e.Until.Format(time.RFC3339), "a time after From, by 31 days at most")
	}
	return e.rangeProblem(field)
}

func (e *Excuse) rangeProblem(field string) *InputError {
	shares, users := e.LowShare != 0 || e.HighShare != 0, e.Low != 0 || e.High != 0
	switch {
	case shares && users:
		return badInput(field+".HighShare", e.HighShare, "none where there is a range of users")
	case shares && (!(e.LowShare >= 0) || !(e.HighShare >= e.LowShare) || math.IsInf(e.HighShare, 0)): // NaN is neither
		return badInput(field+".HighShare", fmt.Sprintf("%v to %v", e.LowShare, e.HighShare), "0 <= LowShare <= HighShare, and finite")
	case e.Low < 0 || e.High < e.Low:
		return badInput(field+".High", fmt.Sprintf("%d to %d", e.Low, e.High), "0 <= Low <= High")
	case !shares && !users && !e.Empty:
		return badInput(field+".High", 0, "a range of users or of shares, or Empty")
	}
	return nil
}

// Covers reports whether a number of users is within the range, where the last size
// before From was of last users. It leaves the time to the caller.
func (e Excuse) Covers(users, last int64) bool {
	low, high := e.users(last)
	return users >= low && users <= high && users > 0 || users == 0 && e.Empty
}

// users returns the range, where the last size before it was of so many.
func (e *Excuse) users(last int64) (low, high int64) {
	if e.HighShare != 0 {
		return shareOf(last, e.LowShare, math.Ceil, -1), shareOf(last, e.HighShare, math.Floor, +1)
	}
	return e.Low, e.High
}

// excuse returns the excuse that covers a size now, nil if none does.
func (j *judge) excuse(s *Summary) *Excuse {
	for _, e := range j.excuses() {
		var last int64
		if size := latestOf(until(j.out.before(), e.From), j.out.Counter); size != nil {
			last = size.Users
		}
		if low, high := e.users(last); s.lower > 0 && s.lower >= low && s.upper <= high {
			return &e
		}
	}
	return nil
}

// excusesEmpty reports whether no users at all are excused now. Such a size is no
// level of its own, whatever the excuse says.
func (j *judge) excusesEmpty() bool {
	for _, e := range j.excuses() {
		if e.Empty {
			j.report.Level, j.report.Excuse = LevelExcused, &e
			return true
		}
	}
	return false
}

// excuses returns the excuses of now.
func (j *judge) excuses() (now []Excuse) {
	for _, e := range j.out.Excuses {
		if !j.out.At.Before(e.From) && j.out.At.Before(e.Until) {
			now = append(now, e)
		}
	}
	return now
}

// until returns the sizes before a time.
func until(history []Size, at time.Time) []Size {
	n, _ := slices.BinarySearchFunc(history, at, func(size Size, at time.Time) int { return size.At.Compare(at) })
	return history[:n]
}
