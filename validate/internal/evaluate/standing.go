package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/internal/loop"
)

// A standing is a fault that stays until somebody repairs it.
type standing struct {
	name string
	at   int64 // what the segment had before, to which its sizes are scaled; 0: as it is
	read bool  // ids are mapped, and it is known how many were read
	of   func(users int64, random *rand.Rand) (stored, read int64)
}

var standings = []standing{
	{"a lookalike at 30%, its seed truncated", 0, false, func(users int64, _ *rand.Rand) (int64, int64) { return users * 3 / 10, 0 }},
	{"10,000 read, mapped at 87%", 12_600, true, func(int64, *rand.Rand) (int64, int64) { return 8700, 10_000 }},
	{"9,950 to 9,999", 14_000, false, func(_ int64, random *rand.Rand) (int64, int64) { return 9950 + random.Int64N(50), 0 }},
	{"half the shards", 0, false, func(users int64, _ *rand.Rand) (int64, int64) { return users / 2, 0 }},
}

// A rhythm is how often a broken job runs on each of 35 days.
type rhythm struct {
	name string
	runs int
	gap  time.Duration
}

var rhythms = []rhythm{{"daily", 1, 0}, {"hourly", 24, time.Hour}, {"ten retries a night", 10, 5 * time.Minute}}

const standingDays = 35

// An ordeal is what became of tries of one fault in one rhythm.
type ordeal struct {
	tries      int // whose first night was rejected: what the band passes needs no learning
	live       int // of them those in which a broken run went live
	relearned  int // and those in which it was learned as a level
	unrepaired int // those in which the repair was rejected
}

// standFast prints what becomes of standing faults under Relearn.
func standFast(b *strings.Builder, all []series) {
	b.WriteString("\nStanding faults of 35 days under Relearn 7, where the first night was rejected: of how many tries.\n\nfault\thow often\ttries\tlive\trelearned\trepair rejected\t\n")
	for _, fault := range standings {
		for _, rhythm := range rhythms {
			o := ordeals(all, fault, rhythm.runs, rhythm.gap)
			fmt.Fprintf(b, "%s\t%s\t%d\t%d\t%d\t%d\t\n", fault.name, rhythm.name, o.tries, o.live, o.relearned, o.unrepaired)
		}
	}
}

// ordeals breaks all series, of 100 users or more, every few months.
func ordeals(all []series, fault standing, runs int, gap time.Duration) (o ordeal) {
	for _, s := range all {
		for from := 60; from+standingDays < len(s.sizes) && s.median >= 100; from += 4 * standingDays {
			if s.sizes[from-1].Users >= 100 {
				o.stand(s.sizes, from, fault, runs, gap)
			}
		}
	}
	return o
}

// stand breaks a segment from a day on, and repairs it after 35 days: as many users are
// there as before.
func (o *ordeal) stand(sizes []validate.Size, from int, fault standing, runs int, gap time.Duration) {
	s := loop.Segment{Policy: validate.Policy{AllowEmpty: true, Relearn: 7}}
	random := rand.New(rand.NewPCG(uint64(from), 5)) //nolint:gosec // the same numbers each time
	scale := 1.0
	if fault.at != 0 {
		scale = float64(fault.at) / float64(max(1, sizes[from-1].Users))
	}
	scaled := func(size validate.Size) int64 { return int64(scale * float64(size.Users)) }
	var last validate.Size
	for _, size := range sizes[:from] {
		last = validate.Size{Users: scaled(size), Read: scaled(size) * 100 / 87, At: size.At}
		s.Baseline.Add(last)
	}
	if fault.read {
		s.Policy.Mapping = validate.Ratio{Min: 0.5, Max: 1}
	}
	live, relearned := false, false
	for i := range standingDays {
		night := last.At.AddDate(0, 0, 1+i)
		stored, read := fault.of(scaled(sizes[from+i]), random)
		for k := range runs {
			r := s.Run(mapped(stored, read, night.Add(time.Duration(k)*gap)))
			if r.Passed() && i == 0 {
				return
			}
			live, relearned = live || r.Passed(), relearned || r.Level == validate.LevelNew
		}
	}
	if !fault.read {
		last.Read = 0
	}
	r := s.Run(mapped(last.Users, last.Read, last.At.AddDate(0, 0, 1+standingDays)))
	o.tries++
	for n, is := range map[*int]bool{&o.live: live, &o.relearned: relearned, &o.unrepaired: !r.Passed()} {
		if is {
			*n++
		}
	}
}

// mapped returns the output of a job that has nothing but its own word for what it
// read; 0: it has only one for what it stored.
func mapped(stored, read int64, at time.Time) validate.Output {
	out := loop.Daily(stored, at)
	out.Expected, out.SelfReported = validate.Count(stored), true
	if read > 0 {
		out.Expected, out.Read, out.Written = validate.Unknown(), validate.Count(read), validate.Count(stored)
	}
	return out
}
