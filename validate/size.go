package validate

import (
	"fmt"
	"math"
	"slices"
)

// size judges how many users there are against the segment's history.
func (j *judge) size(s *Summary) {
	if !s.usable() {
		return
	}
	if s != &j.out.Read {
		j.readCap()
	}
	history := j.out.before()
	if j.brief && calm(s, history, j.out.Counter, j.policy.limits()) {
		return
	}
	window := newWindow(history, j.out.Counter, j.policy.limits())
	points := window.points()
	if len(points) > 0 {
		j.report.Band = newBand(points, j.out.At)
	}
	switch {
	case s.upper == 0:
		j.emptied()
	case len(points) == 0:
		j.noHistory()
	default:
		j.inBand(s, &j.report.Band)
	}
}

// emptied fails an output without users after there were any, whatever counted
// them.
func (j *judge) emptied() {
	severity := Fail
	if expected := &j.out.Expected; j.policy.AllowEmpty && expected.usable() && expected.upper == 0 && !j.out.SelfReported {
		severity = Warn // an independent word that there is nobody, and it is allowed
	}
	for _, size := range slices.Backward(j.out.Sizes) {
		if size.Users == 0 {
			continue
		}
		j.dropped(severity, "0 users, after %s before", thousands(size.Users))
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
	j.unverified(sizing, "the size is vouched for by nothing: expected is unknown, and there is no earlier size above zero%s", by)
}

func (j *judge) inBand(s *Summary, band *Band) {
	noise := 3 * float64(s.upper) * s.relErr
	switch {
	case j.onCapBelow(s, band.Lowest):
		j.dropped(Fail, "%s", band.drop(s))
		j.addCap(sizing, s, Fail)
	case above(band.Low, s.upper, noise):
		j.dropped(j.offHistory(), "%s", band.drop(s))
		if s.counted() {
			j.addCap(sizing, s, j.offHistory())
		}
	case above(s.lower, band.High, noise):
		j.add(Finding{Kind: Risen, Step: sizing.String(), Severity: j.offHistory(), Detail: band.rise(s)})
	case !limits{band.Low, band.High}.allow(s, noise):
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

func (j *judge) dropped(severity Severity, format string, args ...any) {
	j.add(Finding{Kind: Dropped, Step: sizing.String(), Severity: severity, Detail: fmt.Sprintf(format, args...)})
}

// addCap names the limit that a size is exactly on, unless a step did already.
func (j *judge) addCap(at stage, s *Summary, severity Severity) {
	if caps := j.policy.limits().at(s.lower); len(caps) > 0 && !j.found(Capped) {
		j.add(capFinding(at, caps, severity))
	}
}

// onCapBelow reports a size exactly on a limit while the segment was clearly
// above it. Small known limits are round numbers that small segments meet by
// chance; the policy's own are meant.
func (j *judge) onCapBelow(s *Summary, lowest float64) bool {
	if !s.counted() || lowest <= 1.02*float64(s.lower) {
		return false
	}
	if s.lower >= capLevel {
		return j.policy.limits().has(s.lower)
	}
	return j.policy.limits().owns(s.lower)
}

// readCap looks at what was read: mapped ids hide a limit on the reading from
// the stored size.
func (j *judge) readCap() {
	read := &j.out.Read
	if !read.usable() || !read.counted() || read.lower < capLevel || !j.policy.limits().has(read.lower) {
		return
	}
	reads := newWindow(j.readSizes(), j.out.Counter, j.policy.limits())
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

// readSizes returns the history of what was read: the job's own count, whatever
// counted what is stored.
func (j *judge) readSizes() []Size {
	reads := make([]Size, 0, len(j.out.Sizes))
	for i := range j.out.Sizes {
		if size := &j.out.Sizes[i]; size.Read > 0 {
			reads = append(reads, Size{Users: size.Read, At: size.At, Counter: j.out.Counter})
		}
	}
	return reads
}

// offHistory returns what a size off its history leads to. Where nothing else speaks
// for the size at all, the history alone decides, whatever the policy says.
func (j *judge) offHistory() Severity {
	vouched := j.out.Expected.usable() && !j.out.SelfReported
	switch {
	case j.out.Expected.IsUnknown(), j.policy.OffHistory == OffHistoryFails:
		return Fail
	case j.policy.OffHistory == OffHistoryWarns, vouched:
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
	return fmt.Sprintf("%s, %s below %s (%s); %s", s.amount(), percent(from-size, from), of, thousands(wholeUsers(from)), b.why(s))
}

// rise returns the sentence for a size above the band.
func (b *Band) rise(s *Summary) string {
	size, from, of := float64(s.lower), float64(b.Previous), "the size before"
	if size > b.Highest {
		from, of = b.Highest, "its highest of the last week"
	}
	return fmt.Sprintf("%s, %s above %s (%s); %s", s.amount(), percentAbove(size-from, from), of, thousands(wholeUsers(from)), b.why(s))
}

// why says what the band is, where the size is outside, and what it comes from.
func (b *Band) why(s *Summary) string {
	if s.upper < b.Low || s.lower > b.High {
		return fmt.Sprintf("%s, so %s to %s are allowed", b.moves(), thousands(b.Low), thousands(b.High))
	}
	return b.moves()
}

func (b *Band) moves() string {
	if b.Points < 4 {
		return "only " + counted(int64(b.Points), "earlier size") + " known"
	}
	if b.Usual < 0.0005 {
		return "it hardly ever moves"
	}
	return fmt.Sprintf("usual moves are within %.2g%%", 100*b.Usual)
}

// coming judges, before the first write, the size that the output will have:
// where ids are still to be mapped, by what was read at earlier times.
func (j *judge) coming() {
	side := firstUsable(&j.out.Written, &j.out.Read, &j.out.Expected)
	if !side.usable() {
		j.unverified(whole, "expected is unknown and nothing is read yet: there is nothing to judge before the first write")
		return
	}
	if side.upper == 0 {
		j.nothing(reading, "there is nothing to store")
	}
	if side.upper > 0 && side != &j.out.Written && !j.policy.Mapping.isZero() {
		j.out.Sizes = j.readSizes()
	}
	j.size(side)
}

// rate judges, where ids are mapped, how many of those that were read are there,
// against how many of those that were read at earlier times. Of a read that was cut,
// or a mapping that is off its own band, the rate is no further news.
func (j *judge) rate(side *Summary) {
	read := &j.out.Read
	known := read.usable() && read.counted() && read.lower > 0 && side.usable() && side.upper > 0
	if j.policy.Mapping.isZero() || !known || j.miscounted(mapping, false) || j.found(Dropped) {
		return
	}
	rates := j.rates(read.lower)
	if len(rates.points()) == 0 {
		return
	}
	band := newBand(rates.points(), j.out.At)
	noise := 3 * float64(side.upper) * side.relErr
	f := Finding{Kind: Dropped, Step: mapping.String(), Severity: j.offHistory()}
	if above(side.lower, band.High, noise) {
		f.Kind = Risen
	} else if !above(band.Low, side.upper, noise) {
		return
	}
	share := func(users int64) string { return percentAbove(float64(users), float64(read.lower)) }
	f.Detail = fmt.Sprintf("%s of the %s that were read, where %s to %s are allowed by the rates of %s",
		share(side.lower), counted(read.lower, "user"), share(band.Low), share(band.High), counted(int64(band.Points), "earlier size"))
	j.add(f)
}

// rates returns the earlier sizes, each scaled to so many users read: the band of
// such sizes is that of the rates. Sizes below 30 users are left out, as the rate of
// so few is mostly chance.
func (j *judge) rates(read int64) window {
	rates := window{first: bandPoints}
	for _, size := range slices.Backward(j.out.before()) {
		if size.Read > 0 && size.Users >= 30 && size.Counter == j.out.Counter && rates.first > 0 {
			scaled := float64(size.Users) / float64(size.Read) * float64(read)
			rates.prepend(point{max(1, wholeUsers(math.Round(scaled))), size.At.Unix()})
		}
	}
	return rates
}
