package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/internal/loop"
)

// A reaction is what people do about sizes that were rejected.
type reaction struct {
	name    string
	relearn int
	human   func(r *validate.Report, size validate.Size) bool // accepts it the next day
}

var reactions = []reaction{
	{"nobody", 0, func(*validate.Report, validate.Size) bool { return false }},
	{"a human the next day", 0, func(*validate.Report, validate.Size) bool { return true }},
	{"Relearn 7, and a human for deeper falls", 7, func(r *validate.Report, size validate.Size) bool {
		return float64(size.Users) < 0.6*float64(r.Band.Previous) || !r.Proven() // there is no usable history
	}},
}

// A course is how a segment, or many, fared under a guard.
type course struct {
	runs, rejections, accepts int
	empty                     int // of the rejections those of days that were really empty, or cut at a limit
	lockout                   int // the most rejections in a row
	days                      int
	leaks, freezes            int // tickets: days on which one began
}

func (c *course) add(other course) {
	c.runs += other.runs
	c.rejections += other.rejections
	c.accepts += other.accepts
	c.empty += other.empty
	c.lockout = max(c.lockout, other.lockout)
	c.days += other.days
	c.leaks += other.leaks
	c.freezes += other.freezes
}

func (c *course) aYear(n int) float64 { return 365 * float64(n) / float64(c.days) }

// closed prints how a guard does that keeps rejected sizes out.
func closed(b *strings.Builder, all []series) {
	b.WriteString("\nAs a guard has it, one size imported.\n\nwho acts\truns\trejected per 100\tand really empty or capped\tlongest lock-out\taccepts a year\tleaking a year\tfrozen a year\t\n")
	for _, r := range reactions {
		var c course
		for i := range all {
			c.add(follow(all[i].sizes, r))
		}
		fmt.Fprintf(b, "%s\t%d\t%.3f\t%.3f\t%d\t%.2f\t%.2f\t%.2f\t\n", r.name, c.runs,
			100*float64(c.rejections)/float64(c.runs), 100*float64(c.empty)/float64(c.runs), c.lockout,
			c.aYear(c.accepts), c.aYear(c.leaks), c.aYear(c.freezes))
	}
}

// follow has a guard judge all sizes but the first, which is imported.
func follow(sizes []validate.Size, people reaction) (c course) {
	s := loop.Segment{Policy: validate.Policy{AllowEmpty: true, Relearn: people.relearn}}
	s.Import(sizes[0])
	c.days = int(sizes[len(sizes)-1].At.Sub(sizes[0].At) / (24 * time.Hour))
	inRow, leaking, frozen := 0, false, false
	var yesterday *validate.Size // rejected, and to be accepted
	for _, size := range sizes[1:] {
		if yesterday != nil {
			s.Baseline.Accept(*yesterday)
			c.accepts++
			yesterday = nil
		}
		out := loop.Daily(size.Users, size.At)
		r := s.Run(out)
		c.runs++
		c.leaks += begins(&leaking, found(&r, validate.Leaking))
		c.freezes += begins(&frozen, found(&r, validate.Frozen))
		switch {
		case r.Passed():
			inRow = 0
			continue
		case size.Users == 0 || found(&r, validate.Capped):
			c.empty++
		default:
			c.rejections++
		}
		inRow++
		c.lockout = max(c.lockout, inRow)
		if rejected := loop.Size(&out); people.human(&r, rejected) {
			yesterday = &rejected
		}
	}
	return c
}

func begins(before *bool, now bool) int {
	began := now && !*before
	*before = now
	if began {
		return 1
	}
	return 0
}

func found(r *validate.Report, kind validate.Kind) bool {
	for _, f := range r.Findings {
		if f.Kind == kind {
			return true
		}
	}
	return false
}
