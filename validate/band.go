package validate

import (
	"math"
	"slices"
	"time"
)

// A Band is the range of sizes that an output's history allows. It needs one
// earlier size and widens while there are fewer than fourteen. The zero Band
// says that no history was there to judge by.
//
// The method: of each UTC day the last size counts. Three references (the size
// before, the median of the last seven, the same weekday one and two weeks ago) span
// a range, widened on both sides by four times the segment's usual move, within bounds
// that keep a halving out and everyday noise in: at least 0.18 down and 0.22 up in
// logarithms, or 0.105 where fourteen sizes or more never moved by more than 2%, and
// usually by 1% at most. Against 174 public series of daily list sizes it gave fewer
// false alarms and a higher recall than z-scores and fixed percentages.
type Band struct {
	Low      int64   `json:"low"`      // the smallest size allowed
	High     int64   `json:"high"`     // the largest size allowed
	Lowest   float64 `json:"lowest"`   // the lowest of the references
	Highest  float64 `json:"highest"`  // the highest of the references
	Usual    float64 `json:"usual"`    // the usual move between sizes, as a share: 0.06 is 6%
	Largest  float64 `json:"largest"`  // the largest one
	Points   int     `json:"points"`   // sizes judged by, one a day, at most 30; 0: none
	Previous int64   `json:"previous"` // the size before
}

// IsZero reports that there is no band.
func (b Band) IsZero() bool { return b.Points == 0 }

const (
	bandPoints = 30           // sizes looked back on
	warm       = 14           // sizes until the margins are no longer widened
	tepid      = 5            // sizes until they are not widened where no move was large
	day        = 24 * 60 * 60 // seconds
	week       = 7 * day
	sameDay    = day / 2 // how far off "the same weekday" may be
)

// An edge is how far beyond the references a size may lie, in natural
// logarithms: 0.2 is 18% down or 22% up. start holds at one size and shrinks
// to floor at fourteen.
type edge struct{ floor, start, most float64 }

var (
	dropEdge = edge{floor: 0.18, start: 0.50, most: 0.60}
	riseEdge = edge{floor: 0.22, start: 0.60, most: 0.65}
)

// Of a segment that hardly moves, the edges are nearer.
const stillFloor = 0.105

const (
	onePercent  = 0.01 + rounding
	twoPercents = 0.02 + rounding
)

// A motion is how a segment moved between sizes, as shares and in logarithms.
type motion struct{ usual, largest, lnUsual, lnLargest float64 }

// least returns the floor of an edge for n sizes that moved like that.
func (e edge) least(n int, m motion) float64 {
	if n >= warm && m.usual <= onePercent && m.largest <= twoPercents {
		return stillFloor
	}
	return e.floor
}

// A point is a size at a time in seconds: comparing times as numbers is most of
// what keeps a check below a microsecond.
type point struct{ users, at int64 }

// A window is the points that a baseline is made of, oldest first.
type window struct {
	all      [bandPoints]point
	first    int
	accepted uint32 // one bit for each of all at whose size somebody accepted the segment
}

func (w *window) points() []point { return w.all[w.first:] }

func (w *window) prepend(p point) {
	w.first--
	w.all[w.first] = p
}

// takes reports whether a size at a time before all others is of another UTC day:
// of several on one day, as of hourly runs, the last one counts.
func (w *window) takes(at int64) bool {
	return w.first == bandPoints || w.first > 0 && at/day != w.all[w.first].at/day
}

// newWindow keeps the last sizes above zero by one counter, one a day, but none that a
// limit cut.
func newWindow(history []Size, counter string, caps capSet) (positive window) {
	positive.first = bandPoints
	var largest int64
	least := int64(math.MaxInt64)
	for i := len(history) - 1; i >= 0 && positive.first > 0; i-- {
		size := &history[i]
		if size.Users <= 0 || size.Counter != counter {
			continue
		}
		if at := size.At.Unix(); positive.takes(at) {
			positive.prepend(point{size.Users, at})
			if size.Level == LevelNew {
				positive.accepted |= 1 << positive.first
			}
			largest, least = max(largest, size.Users), min(least, size.Users)
		}
	}
	if float64(largest) <= 1.02*float64(least) {
		return positive
	}
	return positive.uncut(largest, caps)
}

// uncut returns the window without the sizes that a limit cut.
func (w *window) uncut(largest int64, caps capSet) window {
	kept := window{first: bandPoints}
	for _, p := range slices.Backward(w.points()) {
		if !clearlyAbove(largest, p.users) || !caps.has(p.users) || w.accepts(p.users) || !w.cutAt(p.users) {
			kept.prepend(p)
		}
	}
	return kept
}

// accepts reports whether somebody accepted the segment at a size: a limit there is none
// for it.
func (w *window) accepts(users int64) bool {
	for i := w.first; i < len(w.all); i++ {
		if w.accepted>>i&1 == 1 && w.all[i].users == users {
			return true
		}
	}
	return false
}

// cutAt reports that sizes exactly on a limit are the fault, as others lie
// clearly above it: judged by them the repair would be the anomaly. Where more
// than three in four lie on it, that is the segment's size, and a spike must not
// turn it into a fault for as long as it is remembered.
func (w *window) cutAt(limit int64) bool {
	on, over := 0, 0
	for _, p := range w.points() {
		switch {
		case p.users == limit:
			on++
		case clearlyAbove(p.users, limit):
			over++
		}
	}
	return on <= 3*over // one lies on it at least, so that none above is too few
}

// clearlyAbove keeps ordinary moves around a number apart from a cap at it.
func clearlyAbove(size, cap int64) bool { return float64(size) > 1.02*float64(cap) }

// newBand returns the band at the time at, by one point or more.
func newBand(points []point, at time.Time) Band { return bandAfter(points, at, at) }

// bandAfter returns the band at the time at of a segment that was first seen off its
// history at the time seen. It widens with the days of which nothing is known; a fault
// does not come right by standing for some nights.
func bandAfter(points []point, at, seen time.Time) Band {
	now, previous := at.Unix(), points[len(points)-1]
	low, high := references(points, now)
	moved := moves(points)
	gap := math.Sqrt(min(max(float64(seen.Unix()-previous.at)/day, 1), 4))
	n := len(points)
	band := Band{
		Low:      wholeUsers(math.Ceil((1 - rounding) * low * math.Exp(-dropEdge.margin(n, moved, gap, low)))),
		High:     wholeUsers(math.Floor((1 + rounding) * high * math.Exp(riseEdge.margin(n, moved, gap, low)))),
		Lowest:   low,
		Highest:  high,
		Usual:    moved.usual,
		Largest:  moved.largest,
		Points:   n,
		Previous: previous.users,
	}
	if n >= warm {
		band.narrow(gap, moved)
	}
	return band
}

// narrow bounds the step from the size before, once enough steps are known:
// references a week apart must not hide a jump of twice the largest ever seen.
func (b *Band) narrow(gap float64, m motion) {
	size := float64(b.Previous)
	step := func(e edge) float64 { return max(e.least(b.Points, m)*gap, 2*m.lnLargest*gap, 2/math.Sqrt(size)) }
	b.Low = max(b.Low, wholeUsers(math.Ceil((1-rounding)*size*math.Exp(-step(dropEdge)))))
	b.High = min(b.High, wholeUsers(math.Floor((1+rounding)*size*math.Exp(step(riseEdge)))))
}

// calm reports that a size at a time is within the band for certain, without working
// it out. Whatever came earlier, no band is narrower around the size before than the
// lowest floor of its edges.
func calm(s *Summary, at time.Time, history []Size, counter string, caps capSet) bool {
	i := len(history) - 1
	for i >= 0 && (history[i].Users <= 0 || history[i].Counter != counter) {
		i--
	}
	if i < 0 || at.Sub(history[i].At) > usable || !s.counted() || caps.has(s.lower) || caps.has(history[i].Users) {
		return false
	}
	users, previous := float64(s.lower), float64(history[i].Users)
	return users >= calmest.low*previous && users <= calmest.high*previous && users < 1<<60 // edges beyond int64 are cut
}

// calmest are the lowest floors as shares of the size before, drawn in by a thousandth, so
// that rounding makes no band narrower.
var calmest = struct{ low, high float64 }{1.001 * math.Exp(-stillFloor), 0.999 * math.Exp(stillFloor)}

// margin returns how far beyond the references a size may be, for n known sizes.
func (e edge) margin(n int, m motion, gap, lowest float64) float64 {
	margin := max(e.least(n, m), 4*m.lnUsual)
	if n < tepid || n < warm && m.largest > twoPercents {
		margin = max(margin, e.floor+(1-float64(n)/warm)*(e.start-e.floor))
	}
	margin *= gap
	if lowest >= 100 { // small segments move by more than any cap on their moves
		margin = min(margin, e.most)
	}
	return max(margin, 2/math.Sqrt(lowest)) // two standard errors of a count by chance
}

// references returns the lowest and the highest size to compare with. Of the same
// weekday one and two weeks ago the tamer one counts on either side, so that
// one bad week does not widen the band.
func references(points []point, at int64) (low, high float64) {
	last := float64(points[len(points)-1].users)
	middle := median(points[max(0, len(points)-7):])
	low, high = min(last, middle), max(last, middle)
	oneLow, oneHigh := near(points, at-week)
	twoLow, twoHigh := near(points, at-2*week)
	switch {
	case oneLow > 0 && twoLow > 0:
		return min(low, float64(max(oneLow, twoLow))), max(high, float64(min(oneHigh, twoHigh)))
	case oneLow > 0:
		return min(low, float64(oneLow)), max(high, float64(oneHigh))
	case twoLow > 0:
		return min(low, float64(twoLow)), max(high, float64(twoHigh))
	}
	return low, high
}

// near returns the size closest to a time, at most half a day from it, and the one of
// its UTC day, which is another where a job runs several times a day: the smaller and
// the larger. Both are 0 where there is none.
func near(points []point, at int64) (low, high int64) {
	best := int64(sameDay + 1)
	var closest, today int64
	for i := len(points) - 1; i >= 0 && points[i].at > at-day; i-- {
		p := &points[i]
		if off := max(p.at-at, at-p.at); off < best {
			best, closest = off, p.users
		}
		if today == 0 && p.at/day == at/day {
			today = p.users
		}
	}
	if closest == 0 || today == 0 {
		return closest + today, closest + today
	}
	return min(closest, today), max(closest, today)
}

func median(points []point) float64 {
	var users [7]int64
	for i := range points {
		users[i] = points[i].users
	}
	sorted := users[:len(points)]
	slices.Sort(sorted)
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return float64(sorted[half])
	}
	return float64(sorted[half-1])/2 + float64(sorted[half])/2
}

// moves returns the usual and the largest change between sizes, in logarithms. A
// move is to the size before, or to the same weekday a week earlier where that
// is smaller: a weekly rhythm is no news. The usual one is the third-largest,
// so that two odd days do not blunt the check.
func moves(points []point) motion {
	var first, second, third, step float64 = 1, 1, 1, 1
	weekly := 0
	for i := 1; i < len(points); i++ {
		r := ratio(points[i].users, points[i-1].users)
		if r <= third { // a week earlier or not, it is not among the largest
			continue
		}
		step = max(step, r)
		target := points[i].at - week
		for points[weekly].at < target-sameDay { // ends at i at the latest
			weekly++
		}
		if points[weekly].at <= target+sameDay {
			r = min(r, ratio(points[i].users, points[weekly].users))
		}
		switch {
		case r > first:
			first, second, third = r, first, second
		case r > second:
			second, third = r, second
		case r > third:
			third = r
		}
	}
	return motion{third - 1, step - 1, math.Log(third), math.Log(step)}
}

func ratio(a, b int64) float64 { return float64(max(a, b)) / float64(min(a, b)) }

// rounding is what logarithms may lose, so that a whole number stays one.
const rounding = 1e-9

// wholeUsers keeps the conversion from overflowing.
func wholeUsers(x float64) int64 {
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(x)
}
