package validate

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// usable is how long a size that passed is a measure for the next one.
const usable = 28 * day * time.Second

// size judges how many users there are against the segment's history.
func (j *judge) size(s *Summary) {
	if !s.usable() {
		return
	}
	if read := &j.out.Read; s != read && j.out.Delta == nil && read.lower >= capLevel && slices.ContainsFunc(j.out.Sizes, func(size Size) bool { return size.Read > read.lower }) {
		j.readCap()
	}
	history := j.out.before()
	if !j.brief || !calm(s, j.out.At, history, j.out.Counter, j.policy.limits()) {
		j.inHistory(s, history)
	}
	if s.counted() && s.lower > 0 {
		j.unchanged(s.lower, history)
		j.leaking(s, history)
	}
}

func (j *judge) inHistory(s *Summary, history []Size) {
	window := newWindow(history, j.out.Counter, j.policy.limits())
	points := window.points()
	switch {
	case s.upper == 0:
		j.emptied()
	case len(points) == 0:
		j.noHistory()
	case j.out.At.Unix()-points[len(points)-1].at > int64(usable/time.Second):
		j.outdated(s, points)
		return
	}
	if len(points) == 0 {
		return
	}
	j.report.Band = bandAfter(points, j.out.At, j.firstOff(points))
	if s.upper > 0 {
		j.inBand(s, &j.report.Band)
	}
}

// firstOff returns when the segment was first off the history that the points are of;
// now, where it was not. With Policy.Relearn only what is not learned counts: a small
// step may go live before that.
func (j *judge) firstOff(points []point) time.Time {
	for i := range j.out.Candidates {
		size := &j.out.Candidates[i]
		off := size.Level == LevelApart || size.Level == LevelOff && (j.policy.Relearn == 0 || j.out.Apart || j.unlearnable(size))
		if off && size.Counter == j.out.Counter && size.At.Unix() > points[len(points)-1].at {
			return size.At
		}
	}
	return j.out.At
}

// vouched reports whether another than the job itself says how many users there are.
func (j *judge) vouched() bool {
	if d := j.out.Delta; d != nil && (!d.Last.usable() || d.Whole.lower < d.Last.upper) { // of those who are gone no source speaks
		return false
	}
	return j.out.Expected.usable() && !j.out.SelfReported
}

// emptied fails an output without users after there were any, whatever counted
// them.
func (j *judge) emptied() {
	severity, explains := Fail, false
	if j.policy.AllowEmpty && j.vouched() && j.out.Expected.upper == 0 || j.excusesEmpty() {
		severity, explains = Warn, true // an independent word that there is nobody, and it is allowed
	}
	for _, size := range slices.Backward(j.out.Sizes) {
		if size.Users == 0 {
			continue
		}
		j.add(Finding{
			Kind: Dropped, Step: sizing.String(), Severity: severity, Explains: explains,
			Detail: fmt.Sprintf("0 users, where there were %s before", thousands(size.Users)),
		})
		if severity == Fail && !j.found(Empty) {
			j.add(Finding{Kind: Empty, Step: sizing.String(), Detail: "nothing is stored"})
		}
		return
	}
}

// noHistory judges an output whose size nothing can vouch for.
func (j *judge) noHistory() {
	if !j.out.Expected.IsUnknown() {
		return
	}
	by := ""
	if j.out.Counter != "" {
		by = " by " + j.out.Counter
	}
	j.unverified(sizing, "nothing vouches for the size: expected is not known, and there is no earlier size above zero%s", by)
}

// outdated judges an output after four weeks without a size that passed: an
// independent Expected alone can tell how many users there should be. But where runs
// were rejected since, what was there before them is what a repair brings back.
func (j *judge) outdated(s *Summary, points []point) {
	last := points[len(points)-1]
	at := time.Unix(last.at, 0).UTC()
	if j.vouched() {
		return
	}
	if rejected := latestOf(j.out.Candidates, j.out.Counter); rejected != nil && rejected.At.After(at) && j.out.At.Sub(rejected.At) <= usable {
		if band := bandBefore(points, j.out.At, at); band.Low <= s.lower && s.upper <= band.High {
			j.report.Level = LevelFormer
			j.add(Finding{
				Kind: Unverified, Step: sizing.String(), Severity: Warn, Explains: true,
				Detail: fmt.Sprintf("%s, as on %s, before those that were rejected since", s.amount(), at.Format(time.DateOnly)),
			})
			return
		}
	}
	j.add(Finding{
		Kind: Unverified, Step: sizing.String(), Severity: j.offHistory(),
		Detail: fmt.Sprintf("there is no usable history: the last size that passed (%s) is of %s, %s before, and no independent count says how many users there should be",
			thousands(last.users), at.Format(time.DateOnly), counted((j.out.At.Unix()-last.at)/day, "day")),
	})
}

func (j *judge) inBand(s *Summary, band *Band) {
	noise := 3 * float64(s.upper) * s.relErr
	switch {
	case s.counted() && band.Lowest > 1.02*float64(s.lower) && j.onCap(s.lower):
		j.dropped("%s", band.drop(s))
		j.addCap(sizing, s, Fail)
	case float64(band.Low-s.upper) > noise: // both are 0 or more
		severity := j.off(sizing, Dropped, s, band.drop(s))
		if s.counted() {
			j.addCap(sizing, s, severity)
		}
	case float64(s.lower-band.High) > noise:
		j.off(sizing, Risen, s, band.rise(s))
	case noise > 0 || s.lower < s.upper:
		if (limits{band.Low, band.High}).allow(s, noise) {
			return
		}
		severity := j.offHistory()
		if j.doubt(s, s) == Warn {
			severity = Warn
		}
		j.add(Finding{
			Kind: Unverified, Step: sizing.String(), Severity: severity,
			Detail: fmt.Sprintf("%s is too coarse for the %s to %s users that its history allows", s.amount(), thousands(band.Low), thousands(band.High)),
		})
	}
}

func (j *judge) dropped(format string, args ...any) {
	j.add(Finding{Kind: Dropped, Step: sizing.String(), Detail: fmt.Sprintf(format, args...)})
}

// addCap names the limit that a size is exactly on, unless a step did already.
func (j *judge) addCap(at stage, s *Summary, severity Severity) {
	if caps := j.policy.limits().at(s.lower); len(caps) > 0 && !j.found(Capped) {
		j.add(capFinding(at, caps, severity))
	}
}

// onCap reports a size exactly on a limit, which says something where the segment was
// clearly above it. Small known limits are round numbers that small segments meet by
// chance; the policy's own are meant.
func (j *judge) onCap(users int64) bool {
	if users >= capLevel {
		return j.policy.limits().has(users)
	}
	return j.policy.limits().owns(users)
}

// readCap looks at what was read: mapped ids hide a limit on the reading from
// the stored size.
func (j *judge) readCap() {
	read := &j.out.Read
	if !read.usable() || !read.counted() || !j.policy.limits().has(read.lower) {
		return
	}
	reads := newWindow(j.reads(j.out.Sizes), j.out.Counter, j.policy.limits())
	points := reads.points()
	if len(points) == 0 {
		return
	}
	if lowest, _ := references(points, j.out.At.Unix()); lowest > 1.02*float64(read.lower) {
		j.add(Finding{
			Kind: Dropped, Step: reading.String(),
			Detail: fmt.Sprintf("read %s, at least %s in the last week", read.amount(), counted(wholeUsers(lowest), "user")),
		})
		j.addCap(reading, read, Fail)
	}
}

// reads returns what was read for sizes: the job's own count, whatever counted what
// is stored.
func (j *judge) reads(sizes []Size) []Size {
	reads := make([]Size, 0, len(sizes))
	for _, size := range sizes {
		if size.Read > 0 {
			size.Users, size.Counter = size.Read, j.out.Counter
			reads = append(reads, size)
		}
	}
	return reads
}

// offHistory returns what a size off its history leads to. Where nothing else speaks
// for the size at all, the history alone decides, whatever the policy says.
func (j *judge) offHistory() Severity {
	switch {
	case j.out.Expected.IsUnknown(), j.policy.OffHistory == OffHistoryFails:
		return Fail
	case j.policy.OffHistory == OffHistoryWarns, j.vouched():
		return Warn
	}
	return Fail
}

// drop returns the sentence for a size below the band, or on a limit.
func (b *Band) drop(s *Summary) string {
	size, from, of := float64(s.upper), float64(b.Previous), "the size before"
	if size < b.Lowest {
		from, of = b.Lowest, "its lowest of the last week"
	}
	return fmt.Sprintf("%s, %s below %s (%s); %s", s.amount(), roughly(from-size, from), of, thousands(wholeUsers(from)), b.why(s, from-size, size))
}

// rise returns the sentence for a size above the band.
func (b *Band) rise(s *Summary) string {
	size, from, of := float64(s.lower), float64(b.Previous), "the size before"
	if size > b.Highest {
		from, of = b.Highest, "its highest of the last week"
	}
	return fmt.Sprintf("%s, %s above %s (%s); %s", s.amount(), roughly(size-from, from), of, thousands(wholeUsers(from)), b.why(s, size-from, from))
}

// why says what the band comes from, and what it is, where a size is outside that
// moved by a part of a whole.
func (b *Band) why(s *Summary, part, whole float64) string {
	text := b.moves(part / whole)
	if s.upper < b.Low || s.lower > b.High {
		low, high := threeDigits(b.Low), threeDigits(b.High)
		if s.upper >= low && s.lower <= high { // rounded, they would allow it
			low, high = b.Low, b.High
		}
		return fmt.Sprintf("%s, so %s to %s are allowed", text, thousands(low), thousands(high))
	}
	return text
}

// moves says how the segment moved so far, where it now moved by a ratio.
func (b *Band) moves(ratio float64) string {
	switch {
	case b.Points == 1:
		return "only 1 earlier size is known"
	case b.Largest < 0.00005:
		return fmt.Sprintf("in %d sizes it never moved", b.Points)
	case b.Largest < ratio:
		return fmt.Sprintf("in %d sizes it never moved by more than %s", b.Points, move(b.Largest))
	}
	return fmt.Sprintf("in %d sizes it seldom moved by more than %s", b.Points, move(b.Usual))
}

// move writes a move in two digits, and none below a tenth of a percent.
func move(share float64) string {
	if share >= 0.0995 {
		return fmt.Sprintf("%.0f%%", 100*share)
	}
	return percent(max(share, 0.001), 1)
}

// roughly writes part of whole in two digits, and never rounds a part to nothing or
// to all.
func roughly(part, whole float64) string {
	if p := 100 * part / whole; p >= 9.95 && p < 99.5 || part > whole {
		return fmt.Sprintf("%.0f%%", p)
	}
	return percent(part, whole)
}

// threeDigits rounds a number for reading.
func threeDigits(n int64) int64 {
	unit := int64(1)
	for n/unit >= 1000 {
		unit *= 10
	}
	if n > math.MaxInt64-unit {
		return n
	}
	return (n + unit/2) / unit * unit
}

// comes returns the side that says, before the first write, how many users there will
// be.
func (j *judge) comes() *Summary {
	return firstUsable(&j.out.Written, firstUsable(&j.out.Read, &j.out.Expected))
}

// coming judges, before the first write, the size that the output will have:
// where ids are still to be mapped, by what was read at earlier times.
func (j *judge) coming() {
	side := j.comes()
	if !side.usable() {
		j.unverified(whole, "expected is unknown and nothing is read yet: there is nothing to judge before the first write")
		return
	}
	if side.upper == 0 {
		j.nothing(reading, "there is nothing to store")
	}
	if side.upper > 0 && side != &j.out.Written && j.policy.Mapping != (Ratio{}) {
		j.out.Sizes, j.out.Candidates = j.reads(j.out.Sizes), j.reads(j.out.Candidates)
	}
	j.size(side)
}

// rate judges, where ids are mapped, how many of those that were read are there,
// against how many of those that were read at earlier times. Of a read that was cut,
// or a mapping that is off its own band, the rate is no further news.
func (j *judge) rate(side *Summary) {
	read := &j.out.Read
	known := read.usable() && read.counted() && read.lower > 0 && side.usable() && side.upper > 0
	if !known || j.miscounted(mapping, false) || j.found(Dropped) {
		return
	}
	rates := j.rates(j.out.before())
	points := rates.points()
	if len(points) == 0 || j.out.At.Unix()-points[len(points)-1].at > int64(usable/time.Second) {
		return
	}
	band := bandAfter(points, j.out.At, j.firstOff(points))
	noise := 3 * float64(side.upper) * side.relErr
	kind := Dropped
	if above(side.lower, band.High, noise) {
		kind = Risen
	} else if !above(band.Low, side.upper, noise) {
		return
	}
	share := func(users int64) string { return percentAbove(float64(users), float64(read.lower)) }
	verb := mapping.done()
	if side == &j.out.Stored {
		verb = storing.done()
	}
	j.off(mapping, kind, side, fmt.Sprintf("%s %s of the %s that were read, where %s to %s are allowed by the rates of %s",
		verb, share(side.lower), counted(read.lower, "user"), share(band.Low), share(band.High), counted(int64(band.Points), "earlier size")))
}

// rates returns a history of sizes as points, each scaled to as many users as were
// read now: the band of such sizes is that of the rates. Sizes below 30 users are left
// out, as the rate of so few is mostly chance.
func (j *judge) rates(history []Size) window {
	rates := window{first: bandPoints}
	for _, size := range slices.Backward(history) {
		at := size.At.Unix()
		if size.Read > 0 && size.Users >= 30 && size.Counter == j.out.Counter && rates.takes(at) {
			rates.prepend(point{scaled(&size, j.out.Read.lower), at})
		}
	}
	return rates
}

// scaled returns how many users a size would have, had so many been read.
func scaled(size *Size, read int64) int64 {
	return max(1, wholeUsers(math.Round(float64(size.Users)/float64(size.Read)*float64(read))))
}

// latestOf returns the last size above zero by a counter, nil if there is none.
func latestOf(history []Size, counter string) *Size {
	for i := len(history) - 1; i >= 0; i-- {
		if size := &history[i]; size.Users > 0 && size.Counter == counter {
			return size
		}
	}
	return nil
}
