package main

import "github.com/segmentguard/segmentguard/validate"

// A fault changes a size; ok tells whether it does anything to it worth finding.
type fault struct {
	name string
	of   func(users int64, median float64) (broken int64, ok bool)
}

var faults = []fault{
	{"empty", func(users int64, _ float64) (int64, bool) { return 0, users > 0 }},
	{"cap at 10,000", func(users int64, _ float64) (int64, bool) { return 10_000, users > 20_000 }},
	{"half", func(users int64, median float64) (int64, bool) { return users / 2, median >= 100 }},
	{"−20%", func(users int64, median float64) (int64, bool) { return users * 4 / 5, median >= 100 }},
	{"×2", func(users int64, median float64) (int64, bool) { return users * 2, median >= 100 }},
	{"+30%", func(users int64, median float64) (int64, bool) { return users * 13 / 10, median >= 100 }},
}

// A share is how many of some decisions were alarms.
type share struct{ alarms, decisions int }

func (s *share) add(alarm bool) {
	s.decisions++
	if alarm {
		s.alarms++
	}
}

func (s share) percent() float64 { return 100 * float64(s.alarms) / float64(s.decisions) }

// A result is how a method did with histories of one length.
type result struct {
	quiet, all share   // alarms on days without an event, and on all days
	found      []share // by fault
}

// walk judges each day of each series by the n sizes before it: as it was, and
// on days without an event also as each fault would have left it.
func walk(all []series, n int, m method) result {
	r := result{found: make([]share, len(faults))}
	for _, s := range all {
		for i := n; i < len(s.sizes); i++ {
			history, size := s.sizes[i-n:i], s.sizes[i]
			alarm := m.off(history, size)
			r.all.add(alarm)
			if s.event[i] {
				continue
			}
			r.quiet.add(alarm)
			for k, f := range faults {
				if broken, ok := f.of(size.Users, s.median); ok {
					r.found[k].add(m.off(history, validate.Size{Users: broken, At: size.At}))
				}
			}
		}
	}
	return r
}
