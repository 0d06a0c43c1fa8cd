package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/internal/loop"
)

const (
	leakDays = 28
	leakRate = 0.97 // of the day before
)

// slow prints how slow faults are found: a leak of 3% a day within four weeks, a size
// that froze, a job that stopped.
func slow(b *strings.Builder, all []series) {
	leaking, tickets, control := leaks(all)
	fmt.Fprintf(b, "\nSlow faults, found in percent.\n\nwhat\ttries\tfound\tby its own ticket\twithout a fault\t\n−3%% a day, in %d days\t%d\t%.2f\t%.2f\t%.2f\t\n",
		leakDays, leaking.decisions, leaking.percent(), tickets.percent(), control.percent())
	for _, within := range []int{7, 14, 28} {
		var frozen share
		for _, s := range all {
			for from := 60; from+leakDays < len(s.sizes); from += leakDays {
				if moves(s.sizes[from-30 : from]) {
					frozen.add(freezes(remembered(s.sizes[:from]), s.sizes[from-1]) <= within)
				}
			}
		}
		fmt.Fprintf(b, "frozen for %d days, where seven in ten changed\t%d\t%.2f\t%.2f\t\t\n", within, frozen.decisions, frozen.percent(), frozen.percent())
	}
	stopped(b, all)
}

// leaks counts leaks that are found in any way, those that get a ticket of their own,
// and the same days without a leak.
func leaks(all []series) (leaking, tickets, control share) {
	for _, s := range all {
		for from := 100; from+leakDays < len(s.sizes) && s.median >= 100; from += leakDays {
			base := remembered(s.sizes[:from])
			days := s.sizes[from : from+leakDays]
			rejected, leaks := fallen(base, days, leakRate)
			leaking.add(rejected || leaks)
			tickets.add(leaks)
			_, leaks = fallen(base, days, 1)
			control.add(leaks)
		}
	}
	return leaking, tickets, control
}

// moves reports whether at least seven in ten sizes differ from the one before.
func moves(sizes []validate.Size) bool {
	n := 0
	for i := range sizes[1:] {
		if sizes[i].Users != sizes[i+1].Users {
			n++
		}
	}
	return 10*n >= 7*(len(sizes)-1)
}

// remembered returns a baseline of sizes that all passed.
func remembered(sizes []validate.Size) (b validate.Baseline) {
	b.Add(sizes...)
	return b
}

// fallen walks on from a baseline, each day lower by a rate, and reports whether a run
// was rejected and whether the segment was found to leak that did not before.
func fallen(base validate.Baseline, days []validate.Size, rate float64) (rejected, leaking bool) {
	s := loop.Segment{Policy: validate.Policy{AllowEmpty: true}}
	s.Baseline.Add(base.Sizes...)
	share, before := 1.0, false
	for i, day := range days {
		share *= rate
		r := s.Run(loop.Daily(int64(math.Round(share*float64(day.Users))), day.At))
		rejected = rejected || rate < 1 && !r.Passed()
		switch now := found(&r, validate.Leaking); {
		case i == 0:
			before = now
		case now && !before:
			leaking = true
		}
	}
	return rejected, leaking
}

// freezes returns after how many days it is found that a size does not change.
func freezes(base validate.Baseline, size validate.Size) (days int) {
	s := loop.Segment{Policy: validate.Policy{AllowEmpty: true}}
	s.Baseline.Add(base.Sizes...)
	for days < 60 {
		days++
		if r := s.Run(loop.Daily(size.Users, size.At.AddDate(0, 0, days))); found(&r, validate.Frozen) {
			break
		}
	}
	return days
}

// stopped prints how often a gap of the real series is called stale, and how soon a job
// is that stopped.
func stopped(b *strings.Builder, all []series) {
	var gaps, judged, found share // found: in days, of jobs that stopped
	for _, s := range all {
		var runs validate.Runs
		for i := range s.sizes {
			runs.Good = s.sizes[i].At
			runs.Times = append(runs.Times, runs.Good)
			_, known := runs.Stale(runs.Good)
			judged.add(known)
			if known && i+1 < len(s.sizes) {
				gaps.add(isStale(runs, s.sizes[i+1].At))
			}
		}
		for days := 1; days < 100; days++ {
			if isStale(runs, runs.Good.AddDate(0, 0, days)) {
				found.decisions, found.alarms = found.decisions+1, found.alarms+days
				break
			}
		}
	}
	fmt.Fprintf(b, "\nStale: of 100 gaps between runs %.3f are called so; of 100 runs %.2f have enough before them to judge by; a job that stopped is found after %.1f days.\n",
		gaps.percent(), judged.percent(), found.percent()/100)
}

func isStale(runs validate.Runs, at time.Time) bool {
	f, _ := runs.Stale(at)
	return f != nil
}
