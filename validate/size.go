package validate

import "fmt"

// size judges how many users there are against the segment's history.
func (j *judge) size(s *Summary) {
	if !s.usable() {
		return
	}
	if s != &j.out.Read {
		j.readCap()
	}
	if j.brief && calm(s, j.out.History, j.out.Counter, j.policy.Caps) {
		return
	}
	window := newWindow(j.out.History, j.out.Counter, j.policy.Caps)
	points := window.points()
	if len(points) == 0 {
		j.noHistory(s)
		return
	}
	j.report.Band = newBand(points, j.out.At)
	j.inBand(s, &j.report.Band)
}

// noHistory is for an output whose size nothing can vouch for.
func (j *judge) noHistory(s *Summary) {
	if !j.out.Expected.IsUnknown() || s.upper == 0 { // nothing at all is judged by empty
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
	case s.upper == 0:
		j.dropped(Fail, "nothing is stored, after %s before", counted(band.Previous, "user"))
		if !j.found(Empty) {
			j.add(Finding{Kind: Empty, Step: stages[sizing], Detail: "nothing is stored"})
		}
	case j.onCapBelow(s, band.Lowest):
		j.dropped(Fail, "%s", band.drop(s))
		j.addCap(sizing, s, Fail)
	case above(band.Low, s.upper, noise):
		j.dropped(j.offHistory(), "%s", band.drop(s))
		if s.counted() {
			j.addCap(sizing, s, j.offHistory())
		}
	case above(s.lower, band.High, noise):
		j.add(Finding{Kind: Risen, Step: stages[sizing], Severity: j.offHistory(), Detail: band.rise(s)})
	case !within(s, band.Low, band.High, noise):
		j.add(Finding{
			Kind: Unverified, Step: stages[sizing], Severity: j.offHistory(),
			Detail: fmt.Sprintf("%s is too coarse for the %s to %s users that its history allows", s.amount(), thousands(band.Low), thousands(band.High)),
		})
	}
}

func (j *judge) dropped(severity Severity, format string, args ...any) {
	j.add(Finding{Kind: Dropped, Step: stages[sizing], Severity: severity, Detail: fmt.Sprintf(format, args...)})
}

// addCap names the limit that a size is exactly on, unless a step did already.
func (j *judge) addCap(at stage, s *Summary, severity Severity) {
	if caps := capsAt(s.lower, j.policy.Caps); len(caps) > 0 && !j.found(Capped) {
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
		return isCap(s.lower, j.policy.Caps)
	}
	for _, c := range j.policy.Caps {
		if c.Users == s.lower {
			return true
		}
	}
	return false
}

// readCap looks at what was read: mapped ids hide a limit on the reading from
// the stored size.
func (j *judge) readCap() {
	read := &j.out.Read
	if !read.usable() || !read.counted() || read.lower < capLevel || !isCap(read.lower, j.policy.Caps) {
		return
	}
	reads := newWindow(j.readSizes(), j.out.Counter, j.policy.Caps)
	points := reads.points()
	if len(points) == 0 {
		return
	}
	if lowest, _ := references(points, j.out.At.Unix()); lowest > 1.02*float64(read.lower) {
		j.add(Finding{
			Kind: Dropped, Step: stages[reading],
			Detail: fmt.Sprintf("read %s, at least %s in the last week", read.amount(), counted(int64(lowest), "user")),
		})
		j.addCap(reading, read, Fail)
	}
}

// readSizes is the history of what was read: the job's own count, whatever
// counted what is stored.
func (j *judge) readSizes() []Size {
	reads := make([]Size, 0, len(j.out.History))
	for i := range j.out.History {
		if size := &j.out.History[i]; size.Read > 0 {
			reads = append(reads, Size{Users: size.Read, At: size.At, Counter: j.out.Counter})
		}
	}
	return reads
}

// offHistory is what a size off its history leads to. Where nothing else speaks
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

// drop is the sentence for a size below the band.
func (b *Band) drop(s *Summary) string {
	size := float64(s.upper)
	if size < b.Lowest {
		return fmt.Sprintf("%s, %s below its lowest of the last week (%s); %s", s.amount(), percent(b.Lowest-size, b.Lowest), thousands(int64(b.Lowest)), b.moves())
	}
	return fmt.Sprintf("%s, %s below the size before (%s); %s", s.amount(), percent(float64(b.Previous)-size, float64(b.Previous)), thousands(b.Previous), b.moves())
}

// rise is the sentence for a size above the band.
func (b *Band) rise(s *Summary) string {
	size := float64(s.lower)
	if size > b.Highest {
		return fmt.Sprintf("%s, %s above its highest of the last week (%s); %s", s.amount(), percentAbove(size-b.Highest, b.Highest), thousands(int64(b.Highest)), b.moves())
	}
	return fmt.Sprintf("%s, %s above the size before (%s); %s", s.amount(), percentAbove(size-float64(b.Previous), float64(b.Previous)), thousands(b.Previous), b.moves())
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
	if side.upper == 0 && !j.policy.AllowEmpty {
		j.add(Finding{Kind: Empty, Step: stages[reading], Detail: "there is nothing to store, and the policy wants at least one user"})
	}
	if side != &j.out.Written && !j.policy.Mapping.isZero() {
		j.out.History = j.readSizes()
	}
	j.size(side)
}
