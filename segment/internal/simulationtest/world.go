package simulationtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// wait is how long a guard may wait for one answer.
const wait = 30 * time.Second

// wait returns how long the process may wait for one answer; 0: as long as it likes.
func (p *process) wait() time.Duration {
	if strings.HasPrefix(p.name, "job") {
		return wait
	}
	return 0
}

// A world is one plan on its way.
type world struct {
	plan      plan
	scheduler *scheduler
	ledger    segment.Ledger
	store     store
	locks     map[segment.ID]*transaction
	place     string // as the rules name the store
	unlocked  chan struct{}
	outputs   map[string]*output
	hearing   sync.Mutex      // an alerter that was slow goes on when its time has come, without a turn
	held      map[string]held // by the alerter, by their labels
	onsets    map[segment.ID]int
	isOpen    map[segment.ID]bool // by the ledger
	told      []segment.Alert
	tells     map[string]int  // how often people were told by a mark of an onset
	verdicts  map[string]bool // attempts that somebody tried to record as rejected
	results   []result
	violation string

	processed map[segment.ID]int64     // the latest number of what a store that answers later shows
	accepted  map[acceptedSize]bool    // by a human
	forgotten map[segment.ID]bool      // by a human
	ended     map[segment.ID]time.Time // when a human ended its alert last
}

// A result is what an attempt came to.
type result struct {
	output *output
	way    way
	begun  time.Time
	ended  time.Time
	err    error
	clean  bool // no fault was planned for its process
}

// A platform is the guards and the monitor of a world: they find it in the context of
// each call.
type platform struct {
	guards  map[time.Duration]*segment.Guard
	monitor *segment.Monitor
}

func newPlatform(p *plan) (*platform, error) {
	f, seed := &platform{guards: make(map[time.Duration]*segment.Guard)}, p.seed
	var err error
	for _, skew := range skews {
		if f.guards[skew], err = segment.NewGuard(segment.GuardConfig{
			Ledger: ledger{}, Alerter: alerterOf(seed), Rules: p.rules(segment.Rule{Store: storeOf(seed)}), Now: func() time.Time { return time.Now().Add(skew) },
			TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
		}); err != nil {
			return nil, err
		}
	}
	f.monitor, err = segment.NewMonitor(segment.MonitorConfig{
		Ledger: ledger{}, Alerter: alerterOf(seed), TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
		Rules: p.rules(segment.Rule{MaxAge: restful + p.rest}), Store: storeOf(seed),
	})
	return f, err
}

// restful is for how long no segment is stale at the end of a world, which stands still
// for a day.
const restful = 7 * 24 * time.Hour

// storeOf returns the store that the rules of a world name; half of them name none.
func storeOf(seed uint64) string { return []string{"", "crm"}[seed%2] }

func (p *plan) rules(r segment.Rule) func(context.Context, segment.Job) (segment.Rule, error) {
	return func(_ context.Context, j segment.Job) (segment.Rule, error) { return p.rule(r, j.To), nil }
}

// run lets a world happen, and judges it. open returns its ledger; nil: it is a Memory.
func run(t *testing.T, p plan, keep bool, open func(*testing.T) segment.Ledger) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		f, err := newPlatform(&p)
		if err != nil {
			t.Fatal(err)
		}
		w = &world{
			plan: p, scheduler: newScheduler(p.seed, keep), processed: map[segment.ID]int64{}, accepted: map[acceptedSize]bool{}, forgotten: map[segment.ID]bool{}, ended: map[segment.ID]time.Time{},
			store: store{live: map[segment.ID]map[string]int64{}, staged: map[string]int64{}},
			place: storeOf(p.seed), locks: map[segment.ID]*transaction{}, unlocked: make(chan struct{}), outputs: map[string]*output{}, held: map[string]held{}, onsets: map[segment.ID]int{}, tells: map[string]int{}, isOpen: map[segment.ID]bool{}, verdicts: map[string]bool{},
		}
		if w.ledger = segment.NewMemory(); open != nil {
			w.ledger = open(t)
		}
		w.history(t)
		for i, j := range p.jobs {
			w.prepare(i, j)
		}
		for i, j := range p.jobs {
			w.spawn(fmt.Sprint("job", i), j.start, j.faults, func(ctx context.Context, process *process) { w.job(ctx, f, process, i, j) })
		}
		for i, s := range p.sweeps {
			w.spawn(fmt.Sprint("sweep", i), s.start, s.faults, func(ctx context.Context, process *process) {
				process.slow = s.slow
				_ = w.sweep(ctx, f)
			})
		}
		w.spawnSettlers(f)
		for i, h := range p.humans {
			w.spawn(fmt.Sprint("human", i), h.start, h.faults, func(ctx context.Context, process *process) { w.human(ctx, process, &h) })
		}
		for i, at := range []time.Duration{12 * time.Hour, 24 * time.Hour, 30 * time.Hour} {
			w.spawn(fmt.Sprint("last sweep", i), p.rest+at, nil, func(ctx context.Context, p *process) {
				if err := w.sweep(ctx, f); err != nil {
					w.violate("%s: %v", p.name, err)
				}
			})
		}
		w.scheduler.run()
		w.judge()
	})
	return w
}

// history lets each segment have been right for a while.
func (w *world) history(t *testing.T) {
	for _, id := range w.segments() {
		var last int64
		for day := range 8 {
			last = 10_000 + int64(day*13)
			r := segment.Record{
				Segment: id, Store: w.place, RunID: fmt.Sprint("history", day), State: segment.RunCommitted, JobID: "job", JobKind: segment.JobKindCopy,
				Users: last, At: time.Now().AddDate(0, 0, day-8),
			}
			if err := w.ledger.Record(t.Context(), r); err != nil {
				w.violate("history: %v", err)
			}
		}
		w.store.live[id] = map[string]int64{"history": last}
		w.outputs["history"] = &output{attempt: "history"}
	}
}

func (w *world) segments() []segment.ID {
	ids := map[segment.ID]bool{}
	for _, j := range w.plan.jobs {
		ids[j.segment] = true
	}
	return sortedKeys(ids)
}

func (w *world) violate(format string, args ...any) {
	w.scheduler.mu.Lock()
	defer w.scheduler.mu.Unlock()
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
	}
}

// spawn starts a process after a while.
func (w *world) spawn(name string, after time.Duration, faults map[int]fault, do func(context.Context, *process)) {
	s := w.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &process{world: w, id: s.spawned, name: name, faults: faults}
	s.spawned++
	s.running++
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), processKey{}, p))
	p.cancel = cancel
	go func() {
		defer func() {
			cancel()
			s.mu.Lock()
			s.running--
			s.mu.Unlock()
			s.arrive()
		}()
		growStack()
		time.Sleep(after)
		do(ctx, p)
	}()
}

// growStack makes the stack as large as a guard needs it, at once and while it is
// empty: to copy it again and again takes a tenth of a world's time.
//
//go:noinline
func growStack() {
	var space [24 << 10]byte
	runtime.KeepAlive(&space)
}

const mostAttempts = 4

func attemptName(job, attempt int) string { return fmt.Sprintf("job%d/%d", job, attempt) }

// prepare makes the outputs of all attempts at a job.
func (w *world) prepare(i int, j jobPlan) {
	for attempt := range mostAttempts {
		o := &output{id: j.segment, attempt: attemptName(i, attempt), users: j.users, right: j.right, night: j.night}
		for _, planned := range j.faults {
			o.tainted = o.tainted || planned == late || planned == pauses
		}
		w.outputs[o.attempt] = o
	}
}

// job runs a job, again where that may help.
func (w *world) job(ctx context.Context, f *platform, p *process, i int, j jobPlan) {
	p.skewed = j.skew != 0
	for attempt := range mostAttempts {
		o := w.outputs[attemptName(i, attempt)]
		begun := time.Now()
		timed, cancel := context.WithTimeout(ctx, time.Hour)
		attempted := w.attempt
		if j.way == later {
			attempted = w.submit
		}
		err := attempted(timed, f, p, i, attempt, j, o)
		cancel()
		if p.dead.Load() {
			return
		}
		p.say("attempt %d: %v", attempt, err)
		w.scheduler.mu.Lock()
		w.results = append(w.results, result{o, j.way, begun, time.Now(), err, len(j.faults) == 0 && j.users == j.right})
		w.scheduler.mu.Unlock()
		if !segment.Retryable(err) {
			return
		}
		time.Sleep(j.retry)
	}
}

// attempt makes one attempt at a job.
func (w *world) attempt(ctx context.Context, f *platform, p *process, i, attempt int, j jobPlan, o *output) error {
	guard := f.guards[j.skew]
	run := segment.Run{
		ID: fmt.Sprint("job", i), Attempt: attempt, Build: "v1", Job: segment.Copy(j.segment, w.plan.from(j.segment)),
		Expected: validate.Count(j.right), Read: validate.Count(j.right),
	}
	if j.unseen {
		run.Expected, run.Read = validate.Unknown(), validate.Count(j.users)
	}
	counted := func(users func() int64) func(context.Context) (validate.Summary, error) {
		return func(ctx context.Context) (sum validate.Summary, err error) {
			time.Sleep(j.counts)
			err = p.call(ctx, "store: count", 0, func() error { sum = validate.Count(users()); return nil })
			return sum, err
		}
	}
	if j.way == inside {
		tx := &transaction{world: w, process: p, output: o, deleted: map[string]bool{}}
		p.onKill = append(p.onKill, func() {
			w.spawn("rollback", j.retry, nil, func(ctx context.Context, q *process) { _ = q.call(ctx, "tx: rollback", 0, tx.rollback) })
		})
		run.Staging = tx.staging()
		run.Stored = func(ctx context.Context) (validate.Summary, error) { return counted(tx.reads())(ctx) }
		_, err := guard.Do(ctx, run, func(ctx context.Context, _ *segment.Run) error {
			o.number.Store(p.number)
			time.Sleep(j.takes)
			return tx.write(ctx, o.users)
		})
		return err
	}
	run.Live = j.way == direct
	run.Stored = counted(func() int64 { return w.store.staged[o.attempt] })
	if run.Live {
		run.Stored = counted(func() int64 { return total(w.store.live[o.id]) })
	} else {
		run.Staging = w.staging(p, o)
	}
	_, err := guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
		o.number.Store(p.number)
		if run.Live {
			return w.writeLive(ctx, p, j, o)
		}
		time.Sleep(j.takes)
		return p.call(ctx, "store: stage", 0, func() error { w.store.staged[o.attempt] = o.users; return nil })
	})
	return err
}

// writeLive takes out what is there and writes in two steps.
func (w *world) writeLive(ctx context.Context, p *process, j jobPlan, o *output) error {
	if err := p.call(ctx, "store: clear", 0, func() error { w.store.live[o.id] = map[string]int64{}; return nil }); err != nil {
		return err
	}
	for half := range 2 {
		time.Sleep(j.takes / 2)
		err := p.call(ctx, "store: write", 0, func() error {
			users := w.store.live[o.id]
			users[o.attempt] += o.users/2 + int64(half)*(o.users%2)
			if half == 1 {
				w.goLive(o, users)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep judges what the store holds.
func (w *world) sweep(ctx context.Context, f *platform) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	_, err := f.monitor.Sweep(ctx, w.listing(ctx))
	return err
}

func (w *world) listing(ctx context.Context) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range w.segments() {
			var users int64
			err := of(ctx).call(ctx, "store: list", 0, func() error { users = total(w.store.live[id]); return nil })
			if !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(users)}, err) || err != nil {
				return
			}
		}
	}
}

// judge holds the world, now that it is at rest, against the guard's promises.
func (w *world) judge() {
	for s, err := range w.ledger.Segments(context.Background(), segment.SegmentFilter{}) {
		if err != nil {
			w.violate("%v", err)
		}
		w.judgeSubmitted(&s)
		if s.Segment.SiteGroup == "g" {
			w.judgeSegment(&s)
		}
		w.judgeTold(&s)
	}
	for _, r := range w.results {
		w.judgeResult(&r)
	}
	w.judgeCalm()
	w.judgeWeeks()
}

func (w *world) judgeSegment(s *segment.SegmentState) {
	live := w.store.live[s.Segment]
	users, well := total(live), w.well(live)
	switch {
	case s.Live != nil && s.Live.Users != users && s.Alert.Open == nil && !w.accepted[acceptedSize{s.Segment, users}]:
		w.violate("%s: the ledger says that %d users are live, the store has %d, and nobody is told", s.Segment, s.Live.Users, users)
	case !well && s.Alert.Open == nil && !w.excused(s.Segment, live):
		w.violate("%s: live is %v, and nobody is told", s.Segment, live)
	}
	for _, size := range s.Sizes {
		if !w.verified(s.Segment, &size) {
			w.violate("%s: %d users are in the baseline, which nobody verified", s.Segment, size.Users)
		}
	}
	open, last := s.Alert.Open, w.last(s)
	if open == nil && last != nil && errors.Is(last.err, validate.Short) && last.way != direct && last.way != later && !w.toldOf(last.output.attempt) && !w.ended[s.Segment].After(last.ended) {
		w.violate("%s: the last run failed, and nobody was told: %v", s.Segment, last.err)
	}
	if open != nil && well && s.Live != nil && w.lastIsRight(s) && !w.misled(s.Segment) {
		w.violate("%s: the last run is right and live, the store is well, and the alert stands: %s", s.Segment, open.Text)
	}
}

// well reports whether what is live is one output, and that as it should be.
func (w *world) well(live map[string]int64) bool {
	for attempt, n := range live {
		o := w.outputs[attempt]
		if len(live) > 1 || attempt != "history" && (o == nil || n != o.right) {
			return false
		}
	}
	return len(live) == 1
}

// toldOf reports whether people were told of an attempt, by whom ever.
func (w *world) toldOf(attempt string) bool {
	return slices.ContainsFunc(w.told, func(a segment.Alert) bool { return fmt.Sprintf("%s/%d", a.RunID, a.Attempt) == attempt })
}

// last returns what the attempt came to that began last at a segment; nil where
// that is not known.
func (w *world) last(s *segment.SegmentState) (last *result) {
	for i := range w.results {
		if r := &w.results[i]; r.output.id == s.Segment && (last == nil || r.output.number.Load() > last.output.number.Load()) {
			last = r
		}
	}
	for _, o := range w.outputs { // one that was killed, and told of nothing, may have begun later
		if last != nil && o.id == s.Segment && o.number.Load() > last.output.number.Load() {
			return nil
		}
	}
	return last
}

// lastIsRight reports whether the attempt that began last at a segment returned
// nil, and is what is live.
func (w *world) lastIsRight(s *segment.SegmentState) bool {
	last := w.last(s)
	if last == nil || last.way == later && s.Last.State != segment.RunCommitted { // its time was over before the store answered
		return false
	}
	_, live := w.store.live[s.Segment][last.output.attempt]
	return last.err == nil && live
}

func (w *world) judgeResult(r *result) {
	o := r.output
	_, isLive := errors.AsType[*segment.LiveError](r.err)
	_, unknown := errors.AsType[*segment.UnknownError](r.err)
	switch {
	case r.err == nil && r.way == later: // what became of it is known later
	case errors.Is(r.err, validate.Short) && r.way != later && !w.verdicts[o.attempt]:
		w.violate("%s was rejected, and nobody tried to record it: %v", o.attempt, r.err)
	case r.err == nil && o.users != o.right && !w.mayPass(o):
		w.violate("%s stored %d of %d users and returned nil", o.attempt, o.users, o.right)
	case r.err == nil && !o.landed:
		w.violate("%s returned nil and did not go live", o.attempt)
	case r.err != nil && o.landed && !isLive && !unknown && r.way != direct && r.way != later && !o.tainted:
		w.violate("%s is live and returned %v", o.attempt, r.err)
	}
}

func (w *world) writesLive(id segment.ID) bool {
	return slices.ContainsFunc(w.plan.jobs, func(j jobPlan) bool { return j.segment == id && (j.way == direct || j.way == later) })
}

// judgeCalm holds a world in which nothing went wrong against what it may expect.
func (w *world) judgeCalm() {
	if w.plan.faulty() {
		return
	}
	for _, a := range w.told { // a sweep may see what a run without staging has half written
		if a.Urgency == segment.Page && (a.RunID != "" || !w.writesLive(a.Segment)) {
			w.violate("a page, though all is well: %s", a.Text)
		}
	}
	for i := range w.results {
		w.judgeRefused(&w.results[i])
		if r := &w.results[i]; r.err != nil && w.alone(i) {
			w.violate("%s was right and alone, and returned %v", r.output.attempt, r.err)
		}
	}
	for _, id := range w.segments() {
		if _, still := w.store.live[id]["history"]; still {
			w.violate("%s: nothing went live", id)
		}
	}
}

// alone reports whether no other attempt at the segment was on its way meanwhile.
func (w *world) alone(i int) bool {
	r := &w.results[i]
	for k := range w.results {
		other := &w.results[k]
		if i != k && other.output.id == r.output.id && !other.ended.Before(r.begun) && !other.begun.After(r.ended) {
			return false
		}
	}
	return true
}

// judgeRefused wants a reason for what a run without a fault was refused for.
func (w *world) judgeRefused(r *result) {
	_, isLive := errors.AsType[*segment.LiveError](r.err)
	if isLive || r.err != nil && strings.Contains(r.err.Error(), "took its lease over") {
		w.violate("%s was about to go live all the time, and returned %v", r.output.attempt, r.err)
	}
	if !errors.Is(r.err, segment.ErrSuperseded) {
		return
	}
	for _, o := range w.outputs {
		if o.id == r.output.id && o.landed && o.number.Load() > r.output.number.Load() {
			return
		}
	}
	w.violate("%s is superseded by nothing: %v", r.output.attempt, r.err)
}
