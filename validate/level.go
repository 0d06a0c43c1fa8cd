package validate

import (
	"fmt"
	"slices"
	"time"
)

// A Level is what a size is to the history it was judged by. A [Baseline] says what
// is remembered of each.
type Level string

// The levels. Anything but the zero Level comes with a finding that says why.
const (
	LevelUsual   Level = ""        // as its history has it, or there is none to judge by
	LevelOff     Level = "off"     // off its history, and nothing else is known to be wrong: it fails, or an independent Expected vouches for it
	LevelExcused Level = "excused" // off its history, and excused for a while: see Excuse
	LevelFormer  Level = "former"  // as it was before a new level, not more than 30 days ago: it passes, with a warning
	LevelNew     Level = "new"     // accepted, relearned or vouched for: normal from now on
	LevelFrozen  Level = "frozen"  // the very size of before, where it used to change
	LevelApart   Level = "apart"   // off its history as LevelOff, of an output that nothing is learned from: see Output.Apart
)

const (
	formerFor   = 30 * day // how long the level before a new one passes
	vouchedDays = 7        // UTC days until a level that an independent Expected vouches for is normal
	deepest     = 0.6      // of the last good size: what is below is never relearned
	underCap    = 0.98     // of a limit: what is above, up to the limit, is never relearned
)

// off adds a finding for a size, or a rate, off its history, and returns its severity:
// a warning where somebody or something said that it may be.
func (j *judge) off(at stage, kind Kind, s *Summary, detail string) Severity {
	f := Finding{Kind: kind, Step: at.String(), Severity: j.offHistory(), Detail: detail}
	level := LevelOff
	if since, ok := j.former(at, s); ok {
		level, f.Severity, f.Explains = LevelFormer, Warn, true
		f.Hint = "as before the level of " + since.UTC().Format(time.DateOnly)
	} else if excuse := j.excuse(s); excuse != nil {
		level, f.Severity, f.Explains = LevelExcused, Warn, true
		f.Hint = "excused until " + excuse.Until.UTC().Format(time.RFC3339)
		j.report.Excuse = excuse
		if excuse.ForGood {
			level = LevelNew
		}
	}
	if j.report.Level != LevelOff { // of size and rate, one may be excused and the other off
		j.report.Level = level
	}
	j.add(f)
	return f.Severity
}

// points returns a history as the points of a band, of sizes or of rates.
func (j *judge) points(at stage, history []Size) window {
	if at == mapping {
		return j.rates(history)
	}
	return newWindow(history, j.out.Counter, j.policy.limits())
}

// former reports whether a size is within what was allowed before a new level that is
// not older than 30 days, and when that came: a repair or a rollback is no anomaly.
// Where one new level follows another, the level before all of them counts.
func (j *judge) former(at stage, s *Summary) (since time.Time, ok bool) {
	history, now := j.out.before(), j.out.At.Unix()
	for i := len(history) - 1; i > 0; i-- {
		last := history[i].At.Unix()
		if now-last > formerFor {
			break
		}
		if history[i].Level != LevelNew || history[i].Counter != j.out.Counter {
			continue
		}
		for i > 0 && history[i-1].Level == LevelNew {
			i--
		}
		w := j.points(at, history[:i])
		points := w.points()
		if len(points) == 0 {
			continue
		}
		if band := bandBefore(points, j.out.At, history[i].At); band.Low <= s.lower && s.upper <= band.High {
			return history[i].At, true
		}
	}
	return time.Time{}, false
}

// bandBefore returns the band that held at a time before, on the same day of the week
// as now.
func bandBefore(points []point, now, before time.Time) Band {
	weeks := (now.Unix() - before.Unix() + week - 1) / week
	return newBand(points, time.Unix(now.Unix()-weeks*week, 0))
}

// settle says at last what a size off its history is: nothing of its own where
// something else is wrong, and a new level where it stood for long enough.
func (j *judge) settle() {
	r := j.report
	if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.fails() && f.Kind != Dropped && f.Kind != Risen }) {
		r.Level, r.Excuse = LevelUsual, nil
	}
	switch {
	case r.Level != LevelOff:
		return
	case j.out.Apart:
		r.Level = LevelApart
		return
	}
	vouched, days := j.vouched() && !r.fails(), j.policy.Relearn
	if vouched {
		days = vouchedDays - 1 // and today
	}
	level := j.standing(vouched)
	if days == 0 || len(level) < days {
		return
	}
	r.Level, r.NewLevel = LevelNew, level
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Kind == Dropped || f.Kind == Risen {
			f.Severity, f.Explains = Warn, vouched
			f.Hint = fmt.Sprintf("as on %s since %s: its level from now on", counted(int64(len(level)), "day"), level[0].At.UTC().Format(time.DateOnly))
		}
	}
}

// standing returns the last candidates, one of each UTC day before the output's, that
// are one level with the output: each is within the band of those before it. Unless
// they are vouched for, no candidate may be of a sort that is never relearned: a fall
// that was too deep, of a segment that grows, is not for long.
func (j *judge) standing(vouched bool) (level []Size) {
	now := j.now()
	if !vouched && j.unlearnable(&now) {
		return nil
	}
	for _, size := range j.earlier(vouched) {
		if n := len(level); n > 0 && level[n-1].At.Unix()/day == size.At.Unix()/day {
			level = level[:n-1] // of one day the last counts
		}
		switch {
		case size.Level != LevelOff: // proven wrong, or apart
			level = nil
			continue
		case !vouched && j.unlearnable(&size):
			return nil // whatever came of it since
		case len(level) > 0 && !j.oneLevel(level, &size):
			level = nil
		}
		size.Level = LevelNew
		level = append(level, size)
	}
	if len(level) == 0 || !j.oneLevel(level, &now) {
		return nil
	}
	return level
}

// earlier returns the candidates, or those that are vouched for, of earlier UTC days
// than the output's, and later than the last good size.
func (j *judge) earlier(vouched bool) (candidates []Size) {
	last := latestOf(j.out.before(), j.out.Counter)
	for _, size := range j.out.Candidates {
		of := size.Counter == j.out.Counter && (size.Vouched || !vouched)
		if of && size.At.Unix()/day < j.out.At.Unix()/day && (last == nil || size.At.After(last.At)) {
			candidates = append(candidates, size)
		}
	}
	return candidates
}

// now returns the size of the output.
func (j *judge) now() Size {
	now := Size{Users: j.out.whole().lower, At: j.out.At}
	if j.admitting {
		now.Users = j.comes().lower
	}
	if read := &j.out.Read; read.usable() && j.out.Delta == nil {
		now.Read = read.lower
	}
	return now
}

// oneLevel reports whether a size is within the band of those before it, and so is,
// where ids are mapped, its rate.
func (j *judge) oneLevel(before []Size, size *Size) bool {
	within := func(at stage, users int64) bool {
		w := j.points(at, before)
		if len(w.points()) == 0 {
			return at == mapping
		}
		band := newBand(w.points(), size.At)
		return band.Low <= users && users <= band.High
	}
	if !within(sizing, size.Users) {
		return false
	}
	if j.policy.Mapping == (Ratio{}) || size.Read == 0 {
		return true
	}
	return within(mapping, scaled(size, j.out.Read.lower))
}

// unlearnable reports whether a size is of a sort that is never relearned: a deep fall,
// or just below a limit, which stops a job that counts in pages, or drops repeats.
func (j *judge) unlearnable(size *Size) bool {
	w := newWindow(j.out.before(), j.out.Counter, j.policy.limits())
	points := w.points()
	if len(points) == 0 {
		return true
	}
	good := max(float64(points[len(points)-1].users), median(points[max(0, len(points)-7):]))
	caps := j.policy.limits()
	return float64(size.Users) < deepest*good || caps.under(size.Users) || caps.under(size.Read)
}
