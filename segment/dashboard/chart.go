package dashboard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A pointKind says what a size in a chart is.
type pointKind string

const (
	pointGood      pointKind = "good"      // in the baseline
	pointSeen      pointKind = "seen"      // in the baseline, and no check passed it
	pointRejected  pointKind = "rejected"  // kept out, or live and wrong
	pointAccepted  pointKind = "accepted"  // somebody said that it is right
	pointSuspected pointKind = "suspected" // somebody said that it is not
	pointExpected  pointKind = "expected"  // what the source said at the last run
	pointLive      pointKind = "live"      // what is live now
	pointAllowed   pointKind = "allowed"   // no size, but the band
)

// A point is a size at a time, and what was allowed then.
type point struct {
	At    time.Time
	Users int64
	Kind  pointKind
	Band  validate.Band
}

// A series is what a chart of one segment shows.
type series struct {
	Name    string
	Points  []point // in order of time
	Planned []validate.Excuse
	Next    validate.Band // what the next size may be
	Now     time.Time
}

// A chart is a series in the units of a drawing.
type chart struct {
	ID            string // of its name and description, once in a page
	Class         string // which width of the window it is for
	Width, Height int
	Left, Right   float64 // of the plot
	Top, Bottom   float64
	Title, Desc   string
	Bands         []string // paths
	Line          string   // a path through the sizes of the baseline
	Planned       []box
	Marks         []mark
	Across, Up    []tick
	Live          *tick
}

type tick struct {
	At    float64
	Label string
}

type box struct {
	X, Y, Width, Height float64
	Title               string
}

// A mark is a point; its kind has a form, not only a colour.
type mark struct {
	Kind  pointKind
	X, Y  float64
	Path  string // of forms that are no circle
	Title string
}

// A frame places times and sizes.
type frame struct {
	*chart

	from, to time.Time
	most     float64
}

func (f *frame) x(t time.Time) float64 {
	share := float64(t.Sub(f.from)) / float64(f.to.Sub(f.from))
	return round(f.Left + min(max(share, 0), 1)*(f.Right-f.Left))
}

func (f *frame) y(users float64) float64 {
	return round(f.Bottom - min(max(users/f.most, 0), 1)*(f.Bottom-f.Top))
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// newChart draws a series. The scale of sizes begins at 0, so that a half looks like
// a half.
func newChart(s *series, id, class string, width, height int) *chart {
	c := &chart{
		ID: id, Class: class, Width: width, Height: height,
		Left: 58, Right: float64(width) - 14, Top: 14, Bottom: float64(height) - 30,
		Title: "Sizes of " + text.Short(text.Visible(s.Name)), Desc: s.describe(),
	}
	f := &frame{chart: c}
	f.from, f.to = s.times()
	f.most = s.most()
	f.ticks()
	f.bands(s)
	f.line(s)
	for _, e := range s.Planned {
		x, y := f.x(e.From), f.y(float64(e.High))
		c.Planned = append(c.Planned, box{x, y, max(f.x(e.Until)-x, 2), max(f.y(float64(e.Low))-y, 2), fleet.Planned(&e)})
	}
	for i := range s.Points {
		f.mark(&s.Points[i])
	}
	return c
}

func (s *series) times() (from, to time.Time) {
	from, to = s.Now, s.Now
	for _, p := range s.Points {
		from = earlier(from, p.At)
	}
	for _, e := range s.Planned {
		if e.Until.After(to) {
			to = e.Until
		}
	}
	if room := to.Sub(from) / 50; room > 0 {
		return from.Add(-room), to.Add(room)
	}
	return from.AddDate(0, 0, -1), to.AddDate(0, 0, 1)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// most returns the top of the scale. A band that is wide for want of sizes does not
// press these to the ground.
func (s *series) most() float64 {
	var users, allowed int64 = 1, 0
	for _, p := range s.Points {
		users, allowed = max(users, p.Users), max(allowed, p.Band.High)
	}
	for _, e := range s.Planned {
		users = max(users, e.High)
	}
	allowed = max(allowed, s.Next.High)
	return 1.08 * max(float64(users), min(float64(allowed), 1.6*float64(users)))
}

// ticks writes some four round sizes, and as many days as there is room for.
func (f *frame) ticks() {
	unit := math.Pow(10, math.Floor(math.Log10(f.most/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if f.most/(unit*m) <= 5 {
			unit *= m
			break
		}
	}
	unit = max(unit, 1)
	for v := 0.0; v <= f.most; v += unit {
		f.Up = append(f.Up, tick{f.y(v), brief(v)})
	}
	n := max(2, f.Width/150)
	days := max(1, int(math.Ceil(f.to.Sub(f.from).Hours()/24/float64(n))))
	form := "2 Jan"
	if f.to.Sub(f.from) < 48*time.Hour {
		form = "2 Jan 15:04"
	}
	for t := f.from.Truncate(24*time.Hour).AddDate(0, 0, 1); t.Before(f.to); t = t.AddDate(0, 0, days) {
		if x := f.x(t); x < f.Right-22 && x > f.Left+10 {
			f.Across = append(f.Across, tick{x, t.Format(form)})
		}
	}
}

// brief returns a number of users for a scale.
func brief(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "bn"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", v/unit.size), ".0") + unit.name
		}
	}
	return fmt.Sprintf("%.0f", v)
}

// bands draws what was allowed at each time; where there was nothing to judge by it
// is broken.
func (f *frame) bands(s *series) {
	var upper, lower []string
	flush := func() {
		if len(upper) > 1 {
			slices.Reverse(lower)
			f.Bands = append(f.Bands, "M"+strings.Join(upper, "L")+"L"+strings.Join(lower, "L")+"Z")
		}
		upper, lower = nil, nil
	}
	add := func(t time.Time, b validate.Band) {
		x := f.x(t)
		upper = append(upper, fmt.Sprintf("%g %g", x, f.y(float64(b.High))))
		lower = append(lower, fmt.Sprintf("%g %g", x, f.y(float64(b.Low))))
	}
	for _, p := range s.Points {
		switch {
		case p.Kind != pointGood && p.Kind != pointSeen && p.Kind != pointRejected:
		case p.Band.IsZero():
			flush()
		default:
			add(p.At, p.Band)
		}
	}
	if !s.Next.IsZero() {
		add(s.Now, s.Next)
	}
	flush()
}

func (f *frame) line(s *series) {
	var parts []string
	for _, p := range s.Points {
		if p.Kind == pointGood || p.Kind == pointSeen {
			parts = append(parts, fmt.Sprintf("%g %g", f.x(p.At), f.y(float64(p.Users))))
		}
	}
	if len(parts) > 1 {
		f.Line = "M" + strings.Join(parts, "L")
	}
}

func (f *frame) mark(p *point) {
	x, y := f.x(p.At), f.y(float64(p.Users))
	m := mark{Kind: p.Kind, X: x, Y: y, Title: p.String()}
	switch p.Kind {
	case pointRejected:
		m.Path = fmt.Sprintf("M%g %gl9 9m0 -9l-9 9", x-4.5, y-4.5)
	case pointSuspected:
		m.Path = fmt.Sprintf("M%g %gl5 9h-10z", x, y-5)
	case pointExpected:
		m.Path = fmt.Sprintf("M%g %gl6 6l-6 6l-6 -6z", x, y-6)
	case pointLive:
		f.Live = &tick{y, m.Title}
		return
	case pointGood, pointSeen, pointAccepted, pointAllowed:
	}
	f.Marks = append(f.Marks, m)
}

func (p *point) String() string {
	said := fmt.Sprintf("%s: %s, %s", p.At.UTC().Format("2006-01-02 15:04"), validate.Count(p.Users), p.word())
	if allowed := p.allowed(); allowed != "" {
		said += ", allowed " + allowed
	}
	return said
}

func (p *point) word() string {
	switch p.Kind {
	case pointGood:
		return "passed"
	case pointSeen:
		return "seen in the store or imported"
	case pointExpected:
		return "expected by the source"
	case pointLive:
		return "live now"
	case pointRejected, pointAccepted, pointSuspected, pointAllowed:
	}
	return string(p.Kind)
}

func (p *point) allowed() string { return fleet.Allowed(p.Band) }

// describe says in words what the drawing shows.
func (s *series) describe() string {
	var good []point
	rejected := 0
	for _, p := range s.Points {
		switch p.Kind {
		case pointGood, pointSeen:
			good = append(good, p)
		case pointRejected:
			rejected++
		case pointAccepted, pointSuspected, pointExpected, pointLive, pointAllowed:
		}
	}
	if len(good) == 0 {
		return "No good size is known. " + text.Count(rejected, "size") + " rejected."
	}
	users := func(a, b point) int { return cmp.Compare(a.Users, b.Users) }
	last := good[len(good)-1]
	said := fmt.Sprintf("%s from %s to %s, between %s and %s users, the last %s.", text.Count(len(good), "good size"),
		good[0].At.UTC().Format("2006-01-02"), last.At.UTC().Format("2006-01-02"),
		text.Thousands(slices.MinFunc(good, users).Users), text.Thousands(slices.MaxFunc(good, users).Users), text.Thousands(last.Users))
	if rejected > 0 {
		said += " " + text.Count(rejected, "size") + " rejected."
	}
	if next := fleet.Allowed(s.Next); next != "" {
		said += " The next may have " + next + " users."
	}
	return said + " The table below has them all."
}

// A spark is the sizes of a segment in a row of a table.
type spark struct {
	Path, Name, X, Y string
	Kept             bool // the last one was kept out
}

// newSpark draws the last sizes; nil where there are too few.
func newSpark(s *segment.SegmentState) *spark {
	const width, height, most = 88.0, 20.0, 30
	sizes := s.Sizes[max(0, len(s.Sizes)-most):]
	if len(sizes) < 2 {
		return nil
	}
	users := make([]int64, 0, len(sizes)+1)
	for _, size := range sizes {
		users = append(users, size.Users)
	}
	name := fmt.Sprintf("the last %s good sizes, %s to %s users", text.Thousands(int64(len(sizes))), text.Thousands(slices.Min(users)), text.Thousands(slices.Max(users)))
	kept := false
	if a := s.Alert.Open; a != nil && !a.Report.Stored.IsZero() && !a.Report.Stored.IsUnknown() {
		users = append(users, a.Report.Stored.Users())
		name += ", then " + text.Thousands(a.Report.Stored.Users())
		if kept = a.Protected(); kept {
			name += ", which were kept out"
		}
	}
	top := float64(max(1, slices.Max(users)))
	parts := make([]string, len(users))
	var x, y float64
	for i, u := range users {
		x, y = round(2+float64(i)*(width-5)/float64(len(users)-1)), round(height-2-float64(u)/top*(height-4))
		parts[i] = fmt.Sprintf("%g %g", x, y)
	}
	return &spark{"M" + strings.Join(parts, "L"), name, fmt.Sprint(x), fmt.Sprint(y), kept}
}
