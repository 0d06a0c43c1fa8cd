package segment

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A sweeper is one sweep on its way.
type sweeper struct {
	monitor *Monitor
	sweep   Sweep
	open    map[ID]openAlert // the alerts, as they were when it began

	mu       sync.Mutex
	findings map[ID]*found
	detailed []*found             // of the findings, those with details
	damaged  []*Damage            // rows of the ledger of which nobody knows whose they are
	untold   map[ID]Alert         // that the ledger cannot keep
	healthy  map[ID]wellness      // of the segments with an alert
	counted  map[alertGroup]int64 // the alerts that are open when it ends; nil: not known
	stored   []fall
	read     []fall
	settled  []Record // commits whose outcome was unknown
	learned  []Record // after which nobody knew what is live
	seen     []seenSize
	plans    []planned
	first    []ID // that no run wrote, and no sweep saw before
	unlisted []unlisted
	answers  []answer      // of stores that runs were submitted to
	waited   time.Duration // in vain, for commit rows
}

func (m *Monitor) newSweeper(ctx context.Context) (*sweeper, error) {
	w := &sweeper{
		monitor:  m,
		sweep:    Sweep{At: m.config.Now().UTC(), Findings: []SegmentFinding{}, Incidents: []Incident{}},
		open:     map[ID]openAlert{},
		findings: map[ID]*found{},
		untold:   map[ID]Alert{},
		healthy:  map[ID]wellness{},
	}
	for s, err := range m.config.Ledger.Segments(ctx, SegmentFilter{Store: &m.config.Store, Affected: true}) {
		if err != nil {
			return w, wrap("reading the alerts", err)
		}
		if a := s.Alert.Open; a != nil {
			w.open[s.Segment] = openAlert{a.RunID, a.Attempt, a.At}
		}
	}
	return w, nil
}

// An openAlert is what a sweep holds of an alert that was open when it began.
type openAlert struct {
	run     string // empty: a sweep found it
	attempt int
	at      time.Time
}

// A wellness is what a sweep has to say of a segment with an alert that it found
// healthy.
type wellness struct {
	inside bool // not only within what is allowed, but half-way inside
	known  bool // the store holds what the last run left live
	last   lastRun
}

// A lastRun is what is known of the last run of a segment.
type lastRun struct {
	committed bool
	number    int64
	run       string
	at        time.Time
}

// after reports whether the run began later than what an alert is about. Where one
// of them has no number, the times tell.
func (l *lastRun) after(a *Alert) bool {
	switch {
	case !l.committed:
		return false
	case l.number != 0 && a.Number != 0:
		return a.Number < l.number
	}
	return l.run != a.RunID && l.at.After(a.At)
}

// A tally is what was found in one batch of segments.
type tally struct {
	segments, healthy, unwatched, submitted, missing, ageUnknown int

	findings     []*found
	well         map[ID]wellness
	stored, read []fall
	settled      []Record
	learned      []Record
	seen         []seenSize
	plans        []planned
	first        []ID
	unlisted     []unlisted
	answers      []answer
}

func (w *sweeper) add(t *tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep.Segments += t.segments
	w.sweep.Healthy += t.healthy
	w.sweep.Unwatched += t.unwatched
	w.sweep.Submitted += t.submitted
	w.sweep.Missing += t.missing
	w.sweep.AgeUnknown += t.ageUnknown
	w.stored = append(w.stored, t.stored...)
	w.read = append(w.read, t.read...)
	w.settled = append(w.settled, t.settled...)
	w.learned = append(w.learned, t.learned...)
	w.plans = append(w.plans, t.plans...)
	w.first = append(w.first, t.first...)
	if w.seen = append(w.seen, t.seen...); len(w.seen) > 2*mostKept {
		w.seen = longestUnknown(w.seen)
	}
	w.unlisted = append(w.unlisted, t.unlisted...)
	w.answers = append(w.answers, t.answers...)
	for _, f := range t.findings {
		w.hold(f)
	}
	maps.Copy(w.healthy, t.well)
}

// judge judges one segment.
func (w *sweeper) judge(ctx context.Context, p *pair, t *tally) error {
	if p.state.Damaged != nil {
		t.segments += min(p.listed, 1)
		t.findings = append(t.findings, newFound(p.current, p.listed, new(damagedFinding(&p.state))))
		return nil //nolint:nilerr // it is what was found
	}
	waits := p.state.Submitted != nil
	if waits {
		w.answer(p, t)
	}
	if p.listed == 0 && w.absent(p, t) {
		return w.judgeNeverRun(ctx, p, t)
	}
	t.segments++
	if waits && p.listed <= 1 {
		t.submitted++
		return nil
	}
	rule, err := w.monitor.rule(ctx, p.current.Segment, &p.state.Last)
	if err != nil {
		return err
	}
	e := w.examine(p, &rule)
	w.age(&e, &rule, t)
	settled := p.listed > 0 && e.settle(t)
	refused := p.state.Last.Live && p.state.untold()
	if e.unwatched() && p.listed <= 1 && e.stale == nil && !refused {
		t.unwatched++
		e.keep(t, nil)
		return nil
	}
	e.falls(t)
	w.note(ctx, &e, refused, settled, t)
	return nil
}

// note judges what is stored, and notes what it finds, or that all is well.
func (w *sweeper) note(ctx context.Context, e *examination, refused, settled bool, t *tally) {
	f, report := w.wrong(ctx, e, refused)
	if report != nil {
		e.excused(t, report)
	}
	if report == nil || report.Passed() {
		e.keep(t, report)
	}
	if f == nil {
		t.healthy++
		w.well(ctx, e, e.pair.listed > 0 && e.learn(t) || settled, t)
		return
	}
	t.findings = append(t.findings, f)
	if e.pair.listed == 1 && !f.refused { // of what is proven it may be well
		e.out.Sizes = nil
		w.well(ctx, e, settled, t)
	}
}

// wrong returns what is wrong with a segment; nil: nothing is. It also returns the report
// of what was found, if only what explains why it is right. refused says that its last
// run is live, was refused, and has no alert.
func (w *sweeper) wrong(ctx context.Context, e *examination, refused bool) (f *found, report *validate.Report) {
	p := e.pair
	if p.listed > 1 || e.stale != nil || !validate.NoFindings(&e.policy, &e.out) {
		report = new(e.check(ctx, w.monitor.validator))
		if !explained(report) {
			return newFound(p.current, p.listed, new(newFinding(&p.state, p.current.Segment, *report))), report
		}
	}
	if refused {
		f = newFound(p.current, p.listed, new(refusedFinding(&p.state, p.current)))
		f.refused = true
	}
	return f, report
}

// explained reports whether a report passed, and what was found only says why.
func explained(r *validate.Report) bool {
	return r.Passed() && !slices.ContainsFunc(r.Findings, func(f validate.Finding) bool { return !f.Explains })
}

// well notes how well a segment is that has an alert. learned says that it is known
// by now what its last run left live.
func (w *sweeper) well(ctx context.Context, e *examination, learned bool, t *tally) {
	id, last := e.pair.current.Segment, &e.pair.state.Last
	if _, alerted := w.open[id]; !alerted {
		return
	}
	if t.well == nil {
		t.well = map[ID]wellness{}
	}
	t.well[id] = wellness{
		inside: e.inside(ctx, w.monitor.validator), known: e.known || learned,
		last: lastRun{last.State == RunCommitted, last.Number, last.RunID, last.At},
	}
}

// absent judges a segment that is not listed, and reports whether there is no more to
// say of it: not where it counts as empty.
func (w *sweeper) absent(p *pair, t *tally) bool {
	missing := p.state.everLive() && !w.new(&p.state)
	t.unlisted = append(t.unlisted, unlisted{p.state.Segment, missing})
	switch {
	case !missing:
		return true
	case !w.monitor.config.AbsentIsEmpty:
		t.missing++
		t.findings = append(t.findings, newFound(p.current, 0, new(missingFinding(&p.state))))
		return true
	}
	p.current = CurrentSize{Segment: p.state.Segment, Stored: validate.Count(0)}
	return false
}

// inside reports whether the size is not only within what is allowed, but half-way
// inside: what hovers at a limit is neither well nor affected anew.
func (e *examination) inside(ctx context.Context, v *validate.Validator) bool {
	policy := e.policy
	for _, m := range []*validate.Margin{&policy.Tolerance.Short, &policy.Tolerance.Surplus} {
		m.Users, m.Share = m.Users/2, m.Share/2
	}
	report, err := v.Check(ctx, policy, e.out)
	if err != nil {
		return false
	}
	band, users := &report.Band, float64(e.out.Stored.Users())
	return band.IsZero() || users >= (float64(band.Low)+band.Lowest)/2 && users <= (float64(band.High)+band.Highest)/2
}

// everLive reports whether the segment should be in the store: of one whose
// first run was rejected nothing is.
func (t *SegmentState) everLive() bool {
	return len(t.Sizes) > 0 || t.Last.State.live() || t.Last.State == RunUnknown
}

// new reports whether the segment came to be so late that the store may have been
// listed before.
func (w *sweeper) new(t *SegmentState) bool {
	return len(t.Sizes) <= 1 && t.Last.At.After(w.sweep.At.Add(-uncertain))
}

// missingFinding returns the finding of a segment that is not listed. The last size of it
// that is known is at stake.
func missingFinding(t *SegmentState) SegmentFinding {
	r := validate.Report{Expected: validate.Unknown(), Findings: []validate.Finding{{
		Kind: validate.Unverified, Severity: validate.Fail,
		Detail: "it is not among the current sizes: deleted, or empty in a listing that leaves empty segments out",
	}}}
	if n := len(t.Sizes); n > 0 {
		r.Expected = validate.Count(t.Sizes[n-1].Users)
	}
	if t.Live != nil {
		r.Expected = validate.Count(t.Live.Users)
	}
	c := newFinding(t, t.Segment, r)
	c.missing = true
	c.judge()
	return c
}

// refusedFinding is of a segment in which a run is live that its guard refused, and
// could tell nobody of: whatever its size looks like, it was found wrong.
func refusedFinding(t *SegmentState, current CurrentSize) SegmentFinding {
	r := validate.Report{Expected: validate.Unknown(), Stored: current.Stored, Findings: []validate.Finding{{
		Kind: validate.Unverified, Severity: validate.Fail,
		Detail: fmt.Sprintf("run %s, attempt %d, is recorded as %s, is live all the same, as the store has no staging, and no alert says so; next: its report in the log, then run it again, or accept its size", t.Last.RunID, t.Last.Attempt, t.Last.State),
	}}}
	if n := len(t.Sizes); n > 0 {
		r.Expected = validate.Count(t.Sizes[n-1].Users)
	}
	c := newFinding(t, current.Segment, r)
	c.refused = true
	c.judge()
	return c
}

// damagedFinding says what of a segment cannot be read: it is never judged as one
// without a history.
func damagedFinding(t *SegmentState) SegmentFinding {
	return newFinding(t, t.Segment, validate.Report{Findings: []validate.Finding{{
		Kind: validate.Unverified, Severity: validate.Fail, Cause: t.Damaged,
		Detail: "what the ledger holds of it cannot be read: " + t.Damaged.Error(),
	}}})
}

// An examination is of one segment that has a current size.
type examination struct {
	pair   *pair
	at     time.Time
	since  time.Time       // when what is live came to be; at, where that is not known
	sizes  []validate.Size // its baseline before now, by the same counter or not
	known  bool            // the last run says how many users are live
	right  bool            // somebody said that the size is right, whatever the history
	policy validate.Policy
	out    validate.Output
	stale  *validate.Finding // there was no good run for too long; nil: not, or not judged
	aged   bool              // it was judged
}

// examine says by what the segment is to be judged. What the last run left live
// is expected, and is no part of the baseline: a size must not vouch for itself.
// That word is the platform's own, so a size off its history counts.
func (w *sweeper) examine(p *pair, rule *Rule) examination {
	e := examination{pair: p, at: p.current.At}
	if e.at.IsZero() {
		e.at = w.sweep.At
	}
	e.since, e.sizes = e.at, before(p.state.Sizes, e.at)
	e.policy = validate.Policy{
		Tolerance: rule.Drift, Caps: rule.Policy.Caps, OffHistory: rule.Policy.OffHistory,
		AllowEmpty: true, // where that is what the last run left, or a human accepted
	}
	e.out = validate.Output{
		JobKind:      string(p.state.Last.JobKind),
		Expected:     validate.Unknown(),
		SelfReported: true,
		Stored:       p.current.Stored,
		Sizes:        e.sizes,
		Counter:      w.monitor.config.Counter,
		At:           e.at,
		Candidates:   before(p.state.Candidates, e.at),
		Excuses:      p.state.excuses(),
	}
	e.stale, e.aged = p.state.Runs.stale(w.sweep.At, rule.MaxAge)
	if last, ok := e.latest(e.sizes); ok && last.Users == 0 && p.current.Stored == validate.Count(0) { // accepted, or passed
		e.out.Expected, e.out.Sizes = validate.Count(0), nil
		e.right = true
	}
	if p.state.Live == nil || p.state.Last.State == RunPassed || p.state.Last.State == RunUnknown {
		return e
	}
	live := *p.state.Live
	if live.Counter != e.out.Counter || e.at.Before(live.At.Add(rule.Lag.Max)) {
		return e
	}
	e.right = e.right || slices.ContainsFunc(e.sizes, func(s validate.Size) bool { return s.Level == validate.LevelNew && same(s, live) })
	if e.out.Sizes = nil; !e.right {
		e.out.Sizes = before(e.sizes, live.At.Add(-1))
	}
	if e.since = live.At; e.overtaken(live) {
		return e
	}
	e.known, e.out.Expected, e.out.At = true, validate.Count(live.Users), live.At
	e.out.Candidates = before(e.out.Candidates, live.At)
	return e
}

// overtaken reports that the size was counted before the last run went live, as
// it is the one of before: a run has the time at which it was judged, and may
// have gone live after the store was listed. That explains an hour at most.
func (e *examination) overtaken(live validate.Size) bool {
	previous, ok := e.latest(e.out.Sizes)
	return ok && e.at.Sub(live.At) < uncertain && e.out.Stored.Users() == previous.Users && previous.Users != live.Users
}

// latest returns the last of some sizes by the counter of the current one.
func (e *examination) latest(sizes []validate.Size) (validate.Size, bool) {
	for _, size := range slices.Backward(sizes) {
		if size.Counter == e.out.Counter {
			return size, true
		}
	}
	return validate.Size{}, false
}

func (e *examination) check(ctx context.Context, v *validate.Validator) validate.Report {
	report, _ := v.Check(ctx, e.policy, e.out) // the error says nothing that the report does not
	if e.stale != nil {
		report.Findings = append(report.Findings, *e.stale)
		slices.SortStableFunc(report.Findings, func(a, b validate.Finding) int { return a.Kind.Compare(b.Kind) })
	}
	if n := e.pair.listed; n > 1 {
		report.Findings = append(report.Findings, validate.Finding{
			Kind: validate.Unverified, Severity: validate.Fail,
			Detail: fmt.Sprintf("it is listed %d times among the current sizes, the first time with %s", n, e.out.Stored),
		})
	}
	return report
}

// before returns the sizes up to a time.
func before(sizes []validate.Size, at time.Time) []validate.Size {
	n := len(sizes)
	for n > 0 && sizes[n-1].At.After(at) {
		n--
	}
	return sizes[:n]
}

// unwatched reports whether there is nothing to judge the segment by. That is no
// pass.
func (e *examination) unwatched() bool {
	return !e.known && !slices.ContainsFunc(e.sizes, func(s validate.Size) bool { return s.Counter == e.out.Counter && s.Users > 0 })
}

// freshly is how long a size stands for today: daily jobs do not run at just the
// same time every day. Of hourly sweeps it keeps sizes that are five hours of the day
// apart, so that all hours are known after 19 days, and the largest move between two is
// more than half of a rhythm of day and night (four hours: just half): twice that is allowed.
const freshly = 19 * time.Hour

// A seenSize is the size of a segment that no run tells.
type seenSize struct {
	segment ID
	size    validate.Size
	known   time.Time // of when the last known size is; zero: none is
}

// mostKept is how many sightings a sweep keeps, so that neither its memory nor
// what it writes grows with the segments that no guard stands before.
const mostKept = 100_000

// longestUnknown returns those to keep: sweeps take turns where there are more.
func longestUnknown(seen []seenSize) []seenSize {
	slices.SortFunc(seen, func(a, b seenSize) int {
		return cmp.Or(a.known.Compare(b.known), a.segment.Compare(b.segment))
	})
	return seen[:min(len(seen), mostKept)]
}

// keep adds the current size to what is to be kept, where no run tells it, and no
// excuse. report is what was found; nil: nothing.
func (e *examination) keep(t *tally, report *validate.Report) {
	stored := &e.out.Stored
	if e.pair.listed == 0 || e.pair.state.guarded(e.out.Counter) || stored.IsUnknown() || stored.IsZero() {
		return
	}
	size := validate.Size{Users: stored.Users(), At: e.at, Counter: e.out.Counter}
	if report != nil {
		size.Level = report.Level
	}
	latest, ok := e.latest(e.sizes)
	if ok && e.at.Sub(latest.At) < freshly && size.Level != validate.LevelNew || size.Level == validate.LevelExcused {
		return
	}
	t.seen = append(t.seen, seenSize{e.pair.current.Segment, size, latest.At})
}

// guarded reports whether runs tell the segment's sizes by a counter.
func (t *SegmentState) guarded(counter string) bool {
	return t.Last.RunID != "" && t.Last.Counter == counter
}

// falls notes a fall of what is stored, and of what the last run had read, for
// the signature of a limit over many segments. It is a fall from before the last
// run, however long ago that was.
func (e *examination) falls(t *tally) {
	counter := func(s *validate.Size) int64 {
		if s.Counter != e.out.Counter {
			return 0
		}
		return s.Users
	}
	id, last := e.pair.current.Segment, &e.pair.state.Last
	if stored := &e.out.Stored; exact(stored) {
		if was, ok := earlier(e.out.Sizes, e.since, counter); ok && fell(was, stored.Users()) {
			t.stored = append(t.stored, fall{was, stored.Users(), id, last.RunID, e.kept(), last.Users == stored.Users()})
		}
	}
	if read := last.Read; read > 0 && last.State.live() {
		was, ok := earlier(before(e.sizes, last.At.Add(-1)), last.At, func(s *validate.Size) int64 { return s.Read })
		if ok && fell(was, read) {
			t.read = append(t.read, fall{was, read, id, last.RunID, e.kept(), true})
		}
	}
}

// kept reports whether the baseline holds the size of the last run.
func (e *examination) kept() bool {
	last := &e.pair.state.Last
	size := validate.Size{Users: last.Users, Read: last.Read, At: last.At, Counter: last.Counter}
	return last.State.live() && slices.ContainsFunc(e.sizes, func(s validate.Size) bool { return same(s, size) })
}

// earlier returns the last size above zero that is not of the same day, or else the
// one before the last.
func earlier(sizes []validate.Size, at time.Time, users func(*validate.Size) int64) (int64, bool) {
	fallback, seen := int64(0), 0
	for i := len(sizes) - 1; i >= 0; i-- {
		n := users(&sizes[i])
		if n == 0 {
			continue
		}
		if at.Sub(sizes[i].At) >= freshly {
			return n, true
		}
		if seen++; seen <= 2 {
			fallback = n
		}
	}
	return fallback, seen > 0
}

// uncertain is how long a run may be on its way between accepted and committed.
const uncertain = time.Hour

// settle finds out what became of a commit of which nobody knew, and reports
// whether it did: if just as many users are there as that run stored, and as no
// other size explains, it is live; if there are as many as before, it is not.
func (e *examination) settle(t *tally) bool {
	last, stored := &e.pair.state.Last, &e.out.Stored
	if last.State != RunUnknown && last.State != RunPassed || !e.sure() {
		return false
	}
	r := *last
	r.Segment, r.Store, r.Settled, r.Overlapped = e.pair.current.Segment, e.pair.state.Store, true, false
	switch users, previous := stored.Users(), e.previous(); {
	case users == last.Users && users != previous:
		r.State = RunCommitted
	case users == previous && users != last.Users:
		r.State = RunRejected
		e.live(t, r)
	default:
		return false
	}
	t.settled = append(t.settled, r)
	return true
}

// live notes what is live after a run, as the store has it.
func (e *examination) live(t *tally, last Record) {
	last.Segment, last.Users, last.At = e.pair.current.Segment, e.out.Stored.Users(), e.at
	t.learned = append(t.learned, last)
}

// sure reports whether what is stored was counted exactly, as the last run counted
// it, and long after that.
func (e *examination) sure() bool {
	last, stored := &e.pair.state.Last, &e.out.Stored
	return !stored.IsUnknown() && !stored.IsZero() && exact(stored) && last.Counter == e.out.Counter && e.at.Sub(last.At) >= uncertain
}

// previous returns the size before the last run; -1: there was none.
func (e *examination) previous() int64 {
	if latest, ok := e.latest(e.sizes); ok {
		return latest.Users
	}
	return -1
}

// learn finds out what is live where nobody knew, and reports whether it did: a
// size that is healthy, unless it is yet to be settled which of two it is.
func (e *examination) learn(t *tally) bool {
	last := &e.pair.state.Last
	open := last.State == RunUnknown || last.State == RunPassed
	if e.pair.state.Live != nil || last.RunID == "" || !e.sure() || open && (e.out.Stored.Users() != last.Users || last.Users != e.previous()) {
		return false
	}
	e.live(t, *last)
	return true
}
