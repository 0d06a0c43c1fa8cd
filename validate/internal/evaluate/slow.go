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
	var leaks, control, tickets share
	var frozen [4]share
	for _, s := range all {
		for from := 100; from+leakDays < len(s.sizes); from += leakDays {
			if s.median < 100 {
				continue
			}
			base := remembered(s.sizes[:from])
			days := s.sizes[from : from+leakDays]
			rejected, leaking := fallen(base, days, leakRate)
			leaks.add(rejected || leaking)
			tickets.add(leaking)
			_, leaking = fallen(base, days, 1)
			control.add(leaking)
		}
		for from := 60; from+len(frozen)*7 < len(s.sizes); from += leakDays {
			day := freezes(remembered(s.sizes[:from]), s.sizes[from-1], s.sizes[from-1].At)
			for i := range frozen {
				frozen[i].add(day <= 7*(i+1))
			}
		}
	}
	fmt.Fprintf(b, "\nSlow faults, found in percent.\n\nwhat\ttries\tfound\tby its own ticket\twithout a fault\t\n−3%% a day, in %d days\t%d\t%.2f\t%.2f\t%.2f\t\n",
		leakDays, leaks.decisions, leaks.percent(), tickets.percent(), control.percent())
	for i, f := range frozen {
		fmt.Fprintf(b, "frozen for %d days\t%d\t%.2f\t%.2f\t\t\n", 7*(i+1), f.decisions, f.percent(), f.percent())
	}
	stopped(b, all)
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
func freezes(base validate.Baseline, size validate.Size, at time.Time) (days int) {
	s := loop.Segment{Policy: validate.Policy{AllowEmpty: true}}
	s.Baseline.Add(base.Sizes...)
	for days < 60 {
		days++
		if r := s.Run(loop.Daily(size.Users, at.AddDate(0, 0, days))); found(&r, validate.Frozen) {
			break
		}
	}
	return days
}

// stopped prints how often a gap of the real series is called stale, and how soon a job
// is that stopped.
func stopped(b *strings.Builder, all []series) {
	var gaps, judged share
	days, stops := 0, 0
	for _, s := range all {
		for i := 1; i <= len(s.sizes); i++ {
			var times []time.Time
			for _, size := range s.sizes[max(0, i-11):i] {
				times = append(times, size.At)
			}
			runs := validate.Runs{Times: times, Good: times[len(times)-1]}
			last := times[len(times)-1]
			_, known := runs.Stale(last)
			judged.add(known)
			if !known {
				continue
			}
			if i < len(s.sizes) {
				f, _ := runs.Stale(s.sizes[i].At)
				gaps.add(f != nil)
				continue
			}
			for d := 1; d < 100; d++ {
				if f, _ := runs.Stale(last.AddDate(0, 0, d)); f != nil {
					days, stops = days+d, stops+1
					break
				}
			}
		}
	}
	fmt.Fprintf(b, "\nStale: of 100 gaps between runs %.3f are called so; of 100 runs %.2f have enough before them to judge by; a job that stopped is found after %.1f days.\n",
		gaps.percent(), judged.percent(), float64(days)/float64(stops))
}
