package validate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// The oracle of bands works out, plainly and in logarithms, what the docs say of them:
//
//   - Points are the last sizes before the output, above zero and by one counter, the last one of each UTC day,
//     30 at most. Sizes exactly on a known limit are left out where another lies more than
//     2% above it, unless more than three of four lie on it, or one of them was accepted.
//   - References are the size before, the median of the last seven, and the tamer of the
//     sizes of the same weekday one and two weeks ago (half a day off, or of that UTC day).
//   - A move is to the size before, or to the same weekday a week earlier where that is
//     smaller; the usual one is the third-largest, the largest one is to the size before.
//   - The edges lie beyond the lowest and the highest reference by four usual moves, at
//     least 0.18 down and 0.22 up, 0.105 where fourteen points or more moved by 1% usually
//     and by 2% at most; below fourteen points, by what lies between that and a start of
//     0.50 and 0.60, in proportion, unless five or more never moved by more than 2%.
//   - They widen with the square root of the days since the size before, four at most and
//     up to the first size off the history; then they end at 0.60 and 0.65, for sizes of
//     100 and more; and are two standard errors of a count at least.
//   - From fourteen points on, the step from the size before is bounded too: by its floor,
//     twice the largest move, and two standard errors of a count.
//
// Then it judges the size by that, and reads the sentence.

// A moment is a size at a time.
type moment struct {
	users    float64
	at       time.Time
	accepted bool
}

func (m moment) day() int64 { return m.at.Unix() / 86400 }

// A naiveBand is what the docs allow.
type naiveBand struct {
	points                                          []moment
	low, high, lowest, highest, usual, largest, gap float64
}

// pointsOf returns the points of a history.
func pointsOf(history []validate.Size, counter string) (points []moment) {
	for i, size := range history {
		again := slices.ContainsFunc(history[i+1:], func(s validate.Size) bool {
			return s.Users > 0 && s.Counter == counter && s.At.Unix()/86400 == size.At.Unix()/86400
		})
		if size.Users > 0 && size.Counter == counter && !again {
			points = append(points, moment{float64(size.Users), size.At, size.Level == validate.LevelNew})
		}
	}
	points = points[max(0, len(points)-30):]
	count := func(is func(moment) bool) (n int) {
		for _, p := range points {
			if is(p) {
				n++
			}
		}
		return n
	}
	cut := func(p moment) bool {
		on, over := count(func(q moment) bool { return q.users == p.users }), count(func(q moment) bool { return q.users > 1.02*p.users })
		accepted := count(func(q moment) bool { return q.users == p.users && q.accepted }) > 0
		return isLimit(int64(p.users)) && !accepted && over > 0 && on <= 3*over
	}
	return slices.DeleteFunc(slices.Clone(points), cut)
}

func middle(users []float64) float64 {
	users = slices.Sorted(slices.Values(users))
	return (users[(len(users)-1)/2] + users[len(users)/2]) / 2
}

// weekday returns the sizes of about a time: the closest within half a day, and the last
// one of its UTC day.
func (b *naiveBand) weekday(at time.Time) (sizes []float64) {
	best := 12*time.Hour + 1
	for _, p := range b.points {
		if off := p.at.Sub(at).Abs(); off <= best && off <= 12*time.Hour {
			best, sizes = off, []float64{p.users}
		}
	}
	for _, p := range b.points {
		if p.day() == at.Unix()/86400 {
			sizes = append(sizes, p.users)
		}
	}
	return sizes
}

// refer sets the references.
func (b *naiveBand) refer(now time.Time) {
	var last []float64
	for _, p := range b.points[max(0, len(b.points)-7):] {
		last = append(last, p.users)
	}
	low := []float64{last[len(last)-1], middle(last)}
	high := slices.Clone(low)
	one, two := b.weekday(now.AddDate(0, 0, -7)), b.weekday(now.AddDate(0, 0, -14))
	switch {
	case len(one) > 0 && len(two) > 0:
		low = append(low, max(slices.Min(one), slices.Min(two)))
		high = append(high, min(slices.Max(one), slices.Max(two)))
	case len(one)+len(two) > 0:
		low, high = append(low, append(one, two...)...), append(high, append(one, two...)...)
	}
	b.lowest, b.highest = slices.Min(low), slices.Max(high)
}

// move sets the usual and the largest move, in logarithms.
func (b *naiveBand) move() {
	var all []float64
	for i, p := range b.points[:len(b.points)-1] {
		next := b.points[i+1]
		off := func(q moment) float64 { return math.Abs(math.Log(next.users / q.users)) }
		move := off(p)
		b.largest = max(b.largest, move)
		for _, q := range b.points[:i+1] {
			if q.at.Sub(next.at.AddDate(0, 0, -7)).Abs() <= 12*time.Hour {
				move = min(move, off(q))
				break
			}
		}
		all = append(all, move)
	}
	slices.Sort(all)
	if len(all) >= 3 {
		b.usual = all[len(all)-3]
	}
}

// newNaiveBand returns the band at a time of a segment that was off its history since
// another.
func newNaiveBand(points []moment, now, off time.Time) *naiveBand {
	b := &naiveBand{points: points}
	b.refer(now)
	b.move()
	last := points[len(points)-1]
	b.gap = math.Sqrt(min(4, max(1, off.Sub(last.at).Hours()/24)))
	b.low = b.lowest * math.Exp(-b.margin(0.18, 0.50, 0.60))
	b.high = b.highest * math.Exp(b.margin(0.22, 0.60, 0.65))
	if len(points) >= 14 {
		b.low = max(b.low, last.users*math.Exp(-b.step(0.18)))
		b.high = min(b.high, last.users*math.Exp(b.step(0.22)))
	}
	return b
}

const slack = 1e-9

func (b *naiveBand) floor(ordinary float64) float64 {
	if len(b.points) >= 14 && math.Expm1(b.usual) <= 0.01+slack && math.Expm1(b.largest) <= 0.02+slack {
		return 0.105
	}
	return ordinary
}

func (b *naiveBand) margin(floor, start, most float64) float64 {
	n := float64(len(b.points))
	margin := max(b.floor(floor), 4*b.usual)
	if n < 14 && (n < 5 || math.Expm1(b.largest) > 0.02+slack) {
		margin = max(margin, floor+(1-n/14)*(start-floor))
	}
	margin *= b.gap
	if b.lowest >= 100 {
		margin = min(margin, most)
	}
	return max(margin, 2/math.Sqrt(b.lowest))
}

func (b *naiveBand) step(floor float64) float64 {
	return max(b.floor(floor)*b.gap, 2*b.largest*b.gap, 2/math.Sqrt(b.points[len(b.points)-1].users))
}

// allows reports whether the band allows a number, and whether that is too close to tell.
func (b *naiveBand) allows(n int64) (allowed, near bool) {
	x := float64(n)
	by := func(edge float64) bool { return math.Abs(x-edge) <= 1e-6*edge }
	return b.low <= x && x <= b.high, by(b.low) || by(b.high)
}

// A sizing is one output that is judged by the sizes before it.
type sizing struct {
	random *rand.Rand
	policy validate.Policy
	output validate.Output
	report validate.Report
	users  int64
	band   *naiveBand // nil: none
}

func (s *sizing) oneIn(n int) bool { return s.random.IntN(n) == 0 }

// draw makes a history with a rhythm of its own, and a size that is near it or not.
func (s *sizing) draw() {
	r := s.random
	level := math.Pow(10, 0.5+6*r.Float64())
	if s.oneIn(8) {
		limits := validate.KnownCaps()
		level = float64(limits[r.IntN(len(limits))].Users)
	}
	noise := []float64{0, 0.003, 0.02, 0.1, 0.4}[r.IntN(5)]
	weekly := []float64{1, 1, 1, 0.5, 3}[r.IntN(5)]
	trend := []float64{1, 1, 1, 0.98, 1.05}[r.IntN(5)]
	hours := []float64{24, 24, 24, 6, 50, 24 * 7}[r.IntN(6)]
	at := noon.AddDate(0, 0, -90+r.IntN(20))
	for range r.IntN(75) {
		at = at.Add(time.Duration((hours+3*r.NormFloat64()*float64(r.IntN(2)))*3600) * time.Second)
		users := level * math.Exp(noise*r.NormFloat64())
		if at.Weekday() == time.Sunday {
			users *= weekly
		}
		size := validate.Size{Users: int64(users), At: at}
		s.oddities(&size, level)
		s.output.Sizes = append(s.output.Sizes, size)
		level = max(1, level*trend)
	}
	slices.SortStableFunc(s.output.Sizes, func(a, b validate.Size) int { return a.At.Compare(b.At) })
	last := noon.AddDate(0, 0, -90)
	if n := len(s.output.Sizes); n > 0 {
		last = s.output.Sizes[n-1].At
	}
	s.output.At = last.Add(time.Duration(float64(time.Hour) * 24 * []float64{0, 0.2, 1, 1, 1, 2.5, 6, 27.9, 28.1, 40}[r.IntN(10)]))
	s.users = int64(level * math.Exp([]float64{0.02, 0.15, 0.3, 0.8}[r.IntN(4)]*r.NormFloat64()))
	s.vouch()
}

// oddities are days that are empty, cut, counted by another, or accepted.
func (s *sizing) oddities(size *validate.Size, level float64) {
	switch s.random.IntN(40) {
	case 0:
		size.Users = 0
	case 1:
		size.Counter = "another"
	case 2:
		size.Users = int64(level * 5 * s.random.Float64())
	case 3:
		size.Users = []int64{1000, 5000, 10_000, 50_000}[s.random.IntN(4)]
	case 4:
		size.Level = validate.LevelNew
		if s.oneIn(2) {
			size.Users = []int64{1000, 5000, 10_000, 50_000}[s.random.IntN(4)]
		}
	}
}

// vouch draws who says how many users there should be, and what leads to what.
func (s *sizing) vouch() {
	s.policy.OffHistory = []validate.OffHistory{validate.OffHistoryUnvouched, validate.OffHistoryFails, validate.OffHistoryWarns}[s.random.IntN(3)]
	s.output.Stored, s.output.Expected = validate.Count(s.users), validate.Count(s.users)
	s.output.SelfReported = s.oneIn(3)
	if s.oneIn(2) {
		s.output.Expected = validate.Unknown()
	}
	if n := len(s.output.Sizes); n > 0 && s.oneIn(5) { // rejected since, by which the band widens no more
		last := s.output.Sizes[n-1].At
		at := last.Add(time.Duration(s.random.Int64N(int64(s.output.At.Sub(last)) + 1)).Truncate(time.Second))
		s.output.Candidates = []validate.Size{{Users: 1 + s.users, At: at, Level: validate.LevelOff}}
	}
}

// off is when the segment was first off its history, now where it was not.
func (s *sizing) off(points []moment) time.Time {
	for _, c := range s.output.Candidates {
		if c.At.Unix() > points[len(points)-1].at.Unix() {
			return c.At
		}
	}
	return s.output.At
}

// before returns the sizes by which the output is judged: those of its own time only
// where there are no others.
func (s *sizing) before() []validate.Size {
	earlier := slices.DeleteFunc(slices.Clone(s.output.Sizes), func(size validate.Size) bool { return !size.At.Before(s.output.At) })
	if len(earlier) == 0 {
		return s.output.Sizes
	}
	return earlier
}

// former reports whether the size is as before a new level of the last 30 days.
func (s *sizing) former() (is, near bool) {
	sizes := s.before()
	for i := len(sizes) - 1; i > 0 && s.output.At.Unix()-sizes[i].At.Unix() <= 30*86400; i-- {
		if sizes[i].Level != validate.LevelNew || sizes[i].Counter != "" {
			continue
		}
		for i > 0 && sizes[i-1].Level == validate.LevelNew {
			i--
		}
		points := pointsOf(sizes[:i], "")
		if len(points) == 0 {
			continue
		}
		weeks := math.Ceil(float64(s.output.At.Unix()-sizes[i].At.Unix()) / (7 * 86400))
		then := time.Unix(s.output.At.Unix(), 0).Add(-time.Duration(weeks) * 7 * 24 * time.Hour)
		ok, near := newNaiveBand(points, then, then).allows(s.users)
		if ok || near {
			return ok, near
		}
	}
	return false, false
}

// want returns what should be found of the size: a kind and a severity, or nothing; or
// that it is too close to tell.
func (s *sizing) want() (want string, near bool) {
	unknown := s.output.Expected.IsUnknown()
	vouched := !unknown && !s.output.SelfReported
	severity := "fail"
	if !unknown && (s.policy.OffHistory == validate.OffHistoryWarns || s.policy.OffHistory != validate.OffHistoryFails && vouched) {
		severity = "warn"
	}
	points := pointsOf(s.before(), "")
	switch {
	case s.users == 0:
		return "", true // said by others
	case len(points) == 0 && unknown:
		return "unverified fail", false
	case len(points) == 0:
		return "", false
	case s.output.At.Unix()-points[len(points)-1].at.Unix() > 28*86400:
		return map[bool]string{true: "", false: "unverified " + severity}[vouched], len(s.output.Candidates) > 0
	}
	s.band = newNaiveBand(points, s.output.At, s.off(points))
	if isLimit(s.users) && s.users >= 1000 && s.band.lowest > 1.02*float64(s.users) {
		return "dropped fail", false
	}
	allowed, near := s.band.allows(s.users)
	if allowed || near {
		return "", near
	}
	if former, almost := s.former(); former || almost {
		severity, near = "warn", almost
	}
	if float64(s.users) < s.band.low {
		return "dropped " + severity, near
	}
	return "risen " + severity, near
}

// TestBandOracle holds bands, verdicts and sentences to the docs' formulas, over random
// histories: thousands, or as many as ORACLE says.
func TestBandOracle(t *testing.T) {
	total := 4000
	if testing.Short() || underRace {
		total = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("ORACLE")); err == nil {
		total = n
	}
	from, _ := strconv.ParseUint(os.Getenv("ORACLE_FROM"), 10, 64)
	said, quiet := map[string]int{}, validate.Validator{}
	for n := range total {
		seed := from + uint64(n)
		s := &sizing{random: rand.New(rand.NewPCG(seed, 91))}
		s.draw()
		s.report, _ = quiet.Check(t.Context(), s.policy, s.output)
		want, near := s.want()
		got, text := "", ""
		for _, f := range s.report.Findings {
			if f.Step == "size" && (f.Kind == validate.Dropped || f.Kind == validate.Risen || f.Kind == validate.Unverified) {
				got, text = string(f.Kind)+" "+string(f.Severity), f.Detail
			}
		}
		world := fmt.Sprintf("seed %d\n%s", seed, s)
		if !near {
			require.Equal(t, want, got, world)
		}
		require.Equal(t, s.band == nil, s.report.Band.IsZero() || s.users == 0, world)
		if s.band != nil {
			s.hold(t, text, world)
		}
		said[got]++
	}
	t.Log(total, "histories:", said)
	require.Greater(t, min(said["dropped fail"], said["dropped warn"], said["risen fail"], said["risen warn"], said["unverified fail"]), total/200)
}

func (s *sizing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d at %s, %+v\n", s.users, s.output.At.Format(time.RFC3339), s.policy.OffHistory)
	for _, size := range append(slices.Clone(s.output.Sizes), s.output.Candidates...) {
		fmt.Fprintf(&b, "%s %s: %d %s %s\n", size.At.Weekday(), size.At.Format(time.RFC3339), size.Users, size.Counter, size.Level)
	}
	if n := s.band; n != nil {
		fmt.Fprintf(&b, "want %v to %v, of %v and %v, %v and %v, %d points\n", n.low, n.high, n.lowest, n.highest, math.Expm1(n.usual), math.Expm1(n.largest), len(n.points))
	}
	type plain validate.Band // without its own String
	fmt.Fprintf(&b, "got  %+v\n", plain(s.report.Band))
	return b.String() + s.report.String()
}

// hold compares the band's numbers, and those of the sentence.
func (s *sizing) hold(t *testing.T, text, world string) {
	t.Helper()
	b, got := s.band, s.report.Band
	alike := func(want, got float64) bool { return math.Abs(want-got) <= 1e-9*max(1, want) }
	whole := func(want float64, got int64) bool { return math.Abs(want-float64(got)) < 1+1e-9*want }
	require.True(t, whole(math.Ceil(b.low*(1-slack)), got.Low) && whole(math.Floor(min(math.MaxInt64, b.high*(1+slack))), got.High), world)
	require.True(t, alike(b.lowest, got.Lowest) && alike(b.highest, got.Highest), world)
	require.True(t, alike(math.Expm1(b.usual), got.Usual) && alike(math.Expm1(b.largest), got.Largest), world)
	require.True(t, len(b.points) == got.Points && b.points[len(b.points)-1].users == float64(got.Previous), world)
	if m := bandSentence.FindStringSubmatch(text); m != nil {
		s.read(t, m, world)
	} else {
		require.Empty(t, text, world)
	}
}

var bandSentence = regexp.MustCompile(`^([\d,]+) users?, ((?:over |under )?\S+) (below|above) (its lowest of the last week|its highest of the last week|the size before) \(([\d,]+)\); ` +
	`(?:only 1 earlier size is known|in (\d+) sizes it never moved|in (\d+) sizes it (never|seldom) moved by more than (\S+?))(?:, so ([\d,]+) to ([\d,]+) are allowed)?$`)

// read holds a sentence against the naive band.
func (s *sizing) read(t *testing.T, m []string, world string) {
	t.Helper()
	b, users := s.band, float64(s.users)
	require.Equal(t, s.users, num(m[1]), world)
	from := map[string]float64{"its lowest of the last week": b.lowest, "its highest of the last week": b.highest, "the size before": b.points[len(b.points)-1].users}[m[4]]
	require.Equal(t, int64(from), num(m[5]), world)
	part, of := from-users, from
	if m[3] == "above" {
		part = users - from
	}
	require.Positive(t, part, world)
	s.share(t, m[2], part/of, world)
	require.True(t, part >= of || !strings.HasPrefix(m[2], "100"), "a part is never all\n%s", world)
	ratio := part / from // of a fall: how much smaller; as a move, by how much the larger is larger
	if m[3] == "below" {
		ratio = part / users
	}
	largest, usual := math.Expm1(b.largest), math.Expm1(b.usual)
	switch {
	case m[6]+m[7] == "":
		require.Len(t, b.points, 1, world)
	case m[6] != "":
		require.Equal(t, int64(len(b.points)), num(m[6]), world)
		require.Less(t, largest, 0.0001, world)
	case m[8] == "never":
		require.Equal(t, int64(len(b.points)), num(m[7]), world)
		require.Less(t, largest, ratio, world)
		s.share(t, m[9], max(largest, 0.001), world) // in steps of a tenth
	default:
		require.GreaterOrEqual(t, largest, ratio*(1-slack), world)
		s.share(t, m[9], max(usual, 0.001), world)
	}
	outside := users < b.low || users > b.high
	require.Equal(t, outside, m[10] != "", world)
	if outside {
		low, high := num(m[10]), num(m[11])
		require.True(t, s.users < low || s.users > high, "rounded, they would allow it\n%s", world)
		require.InDelta(t, b.low, float64(low), 1+0.005*b.low, world)
		require.InDelta(t, b.high, float64(high), 1+0.005*b.high, world)
	}
}

// share holds a percentage of two digits, or one decimal, against what it is.
func (s *sizing) share(t *testing.T, said string, is float64, world string) {
	t.Helper()
	switch said {
	case "under 0.1%":
		require.True(t, is > 0 && is < 0.001, world)
		return
	case "over 99.9%":
		require.True(t, is > 0.999 && is < 1, world)
		return
	}
	p, err := strconv.ParseFloat(strings.TrimSuffix(said, "%"), 64)
	require.NoError(t, err, world)
	off := 0.0501
	if !strings.Contains(said, ".") {
		off = 0.501
	}
	require.InDelta(t, 100*is, p, off, world)
}
