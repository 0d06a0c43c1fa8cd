package segment

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/validate"
)

// A MonitorConfig is what a Monitor judges by and where it reports to.
type MonitorConfig struct {
	// Ledger is what the guards write. It is required, and the monitor writes to
	// it: alerts, sizes of segments that no guard stands before, and outcomes of
	// commits that nobody knew.
	Ledger Ledger
	// Rules finds what holds for a segment, by the job that writes it, as in
	// Config; a segment that no job writes is asked for with a Job that has To
	// alone. It is called for each segment, from several goroutines. nil: the
	// zero Rule for all.
	Rules func(context.Context, Job) (Rule, error)
	// Jobs are all jobs that write segments: by them a segment's trouble is
	// traced to what it was made from. nil: not traced.
	Jobs []Job
	// Counter is what counts the current sizes, as in Run.Counter: sizes are only
	// compared with those of the same counter.
	Counter string
	// Alerter tells people. nil: LogAlerter(Logger).
	Alerter Alerter

	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	Logger         *slog.Logger         // nil: no logs, but for alerts without an Alerter
}

// A Monitor watches all segments: what no job's own check can see, as a segment
// that shrank with no job running, or many that stopped at one size. It is safe
// for concurrent use, and monitors on many machines may share a ledger.
type Monitor struct {
	config    MonitorConfig
	validator *validate.Validator
	jobs      map[ID]*Job // by what they write
	tracer    trace.Tracer
	affected  metric.Int64Histogram
	alerts    desk
}

// NewMonitor returns a Monitor, or an error if there is no ledger or an
// instrument cannot be created.
func NewMonitor(c MonitorConfig) (*Monitor, error) {
	if c.Ledger == nil {
		return nil, fmt.Errorf("segment: new monitor: %w", badInput("MonitorConfig.Ledger", "nil", "the ledger that the guards write"))
	}
	validator, err := silent()
	if err != nil {
		return nil, fmt.Errorf("segment: new monitor: %w", err)
	}
	affected, err := affectedHistogram(c.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("segment: new monitor: %w", err)
	}
	if c.Alerter == nil {
		c.Alerter = LogAlerter(c.Logger)
	}
	tracers := c.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	m := &Monitor{
		config:    c,
		validator: validator,
		jobs:      make(map[ID]*Job, len(c.Jobs)),
		tracer:    tracers.Tracer(scope, trace.WithInstrumentationVersion(version)),
		affected:  affected,
		alerts:    desk{c.Ledger, c.Alerter},
	}
	for i := range c.Jobs {
		m.jobs[c.Jobs[i].To] = &c.Jobs[i]
	}
	return m, nil
}

// job is what writes a segment, as far as it is known.
func (m *Monitor) job(id ID, last *Attempt) Job {
	if job, ok := m.jobs[id]; ok {
		return *job
	}
	return Job{ID: last.Job, Kind: last.Kind, To: id}
}

// rule is what holds for a segment.
func (m *Monitor) rule(ctx context.Context, job Job) (rule Rule, err error) {
	if m.config.Rules == nil {
		return Rule{}, nil
	}
	if rule, err = m.config.Rules(ctx, job); err != nil {
		return Rule{}, fmt.Errorf("finding the rule of %s: %w", job.To, err)
	}
	return rule, rule.problem()
}

// Sweep judges the current sizes of all segments, which come in byte order of
// the ids' texts, by what the ledger knows of each: the last run that went live,
// and the history. It alerts once for each affected segment and fault, resolves
// what it alerted before and is healthy now, and says which incidents there are.
//
// List every segment, the empty ones too: a listing by GROUP BY leaves those
// out, and they count as missing.
//
// The sweep is valid even with an error, as far as it came: what was found until
// then has been alerted. Without an error every segment was judged, and every
// alert told. A sweep whose sizes come out of order ends with an *OrderError.
func (m *Monitor) Sweep(ctx context.Context, sizes iter.Seq2[Current, error]) (Sweep, error) {
	ctx, span := m.tracer.Start(ctx, "sweep segments")
	defer span.End()
	w, err := m.watch(ctx)
	if err == nil {
		err = w.walk(ctx, sizes)
		err = join(err, w.conclude(ctx, err == nil))
	}
	m.tell(ctx, span, &w.sweep, err)
	return w.sweep, wrap("segment: sweep", err)
}

// batchSize is how many segments are judged at a time: enough for handing them
// on to cost nothing.
const batchSize = 256

// walk goes through the sizes and the ledger side by side. One goroutine reads,
// the others judge, and finish what was read even if the reading fails.
func (w *watch) walk(ctx context.Context, sizes iter.Seq2[Current, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group errgroup.Group
	judges := runtime.GOMAXPROCS(0)
	batches, spare := make(chan []pair, judges), make(chan []pair, 2*judges+1)
	for range judges {
		group.Go(func() error {
			for batch := range batches {
				if err := w.judgeAll(ctx, batch); err != nil {
					cancel(err)
					return err
				}
				spare <- batch[:0]
			}
			return nil
		})
	}
	for range cap(spare) {
		spare <- make([]pair, 0, batchSize)
	}
	err := w.feed(ctx, sizes, batches, spare)
	close(batches)
	return cmp.Or(group.Wait(), err)
}

// feed hands what it reads to those who judge, in batches that they give back.
func (w *watch) feed(ctx context.Context, sizes iter.Seq2[Current, error], batches chan<- []pair, spare <-chan []pair) error {
	batch := <-spare
	for p, err := range w.pairs(ctx, sizes) {
		if err != nil {
			return join(err, hand(ctx, batches, batch))
		}
		if batch = append(batch, p); len(batch) == batchSize {
			if err := hand(ctx, batches, batch); err != nil {
				return err
			}
			batch = <-spare
		}
	}
	return hand(ctx, batches, batch)
}

// hand gives a batch to whoever takes it next.
func hand[T any](ctx context.Context, batches chan<- []T, batch []T) error {
	select {
	case batches <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A pair is what the store and the ledger hold of one segment.
type pair struct {
	current Current
	tracked Tracked
	listed  int // how often the store's sizes name it
}

// pairs joins the current sizes with the ledger. What only one of the two knows
// is a pair, too.
func (w *watch) pairs(ctx context.Context, sizes iter.Seq2[Current, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		ledger := open(ctx, inOrder("ledger", w.monitor.config.Ledger.Segments(ctx), func(t *Tracked) ID { return t.Segment }))
		defer ledger.stop()
		for p, err := range once(inOrder("current sizes", sizes, func(c *Current) ID { return c.Segment })) {
			if err != nil {
				yield(pair{}, err)
				return
			}
			if !ledger.upTo(func(id ID) bool { return id.Compare(p.current.Segment) >= 0 }, yield) {
				return
			}
			p.tracked = ledger.take(p.current.Segment)
			if !yield(p, nil) {
				return
			}
		}
		ledger.upTo(func(ID) bool { return false }, yield)
	}
}

// A cursor is a place in the ledger. Another goroutine reads ahead of it.
type cursor struct {
	batches <-chan []Tracked
	ended   <-chan error // how the reading ended, after the last batch
	stop    func()

	batch []Tracked
	err   error
}

func open(ctx context.Context, ledger iter.Seq2[Tracked, error]) *cursor {
	ctx, cancel := context.WithCancel(ctx)
	batches, ended := make(chan []Tracked, 2), make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(batches)
		ended <- readAhead(ctx, ledger, batches)
	})
	c := &cursor{batches: batches, ended: ended, stop: func() {
		cancel()
		reading.Wait()
	}}
	c.step()
	return c
}

// readAhead hands on the ledger in batches.
func readAhead(ctx context.Context, ledger iter.Seq2[Tracked, error], batches chan<- []Tracked) error {
	batch := make([]Tracked, 0, batchSize)
	for t, err := range ledger {
		if err != nil {
			return join(err, hand(ctx, batches, batch))
		}
		if batch = append(batch, t); len(batch) == batchSize {
			if err := hand(ctx, batches, batch); err != nil {
				return err
			}
			batch = make([]Tracked, 0, batchSize)
		}
	}
	return hand(ctx, batches, batch)
}

// step goes on to the next segment.
func (c *cursor) step() {
	if len(c.batch) > 0 {
		c.batch = c.batch[1:]
	}
	for more := true; len(c.batch) == 0 && more; {
		if c.batch, more = <-c.batches; !more {
			c.err = <-c.ended
		}
	}
}

// upTo yields what only the ledger knows, until a place is reached. It reports
// whether to go on.
func (c *cursor) upTo(reached func(ID) bool, yield func(pair, error) bool) bool {
	for ; len(c.batch) > 0 && !reached(c.batch[0].Segment); c.step() {
		if !yield(pair{tracked: c.batch[0]}, nil) {
			return false
		}
	}
	if c.err != nil {
		yield(pair{}, c.err)
	}
	return c.err == nil
}

// take is what the ledger knows of a segment, if it is there.
func (c *cursor) take(id ID) (found Tracked) {
	if len(c.batch) > 0 && c.batch[0].Segment == id {
		found = c.batch[0]
		c.step()
	}
	return found
}

// once makes one pair of a segment that is listed several times. What came
// before an error is yielded before it.
func once(sizes iter.Seq2[Current, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		var held pair
		for current, err := range sizes {
			if err == nil && held.listed > 0 && held.current.Segment == current.Segment {
				held.listed++
				continue
			}
			if held.listed > 0 && !yield(held, nil) {
				return
			}
			if err != nil {
				yield(pair{}, err)
				return
			}
			held = pair{current: current, listed: 1}
		}
		if held.listed > 0 {
			yield(held, nil)
		}
	}
}

// inOrder ends a sequence of segments with an error where it leaves its order.
// Equal neighbours are let through.
func inOrder[T any](name string, items iter.Seq2[T, error], id func(*T) ID) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var before ID
		begun := false
		for item, err := range items {
			var none T
			if err != nil {
				yield(none, wrap("reading the "+name, err))
				return
			}
			at := id(&item)
			if begun && before.Compare(at) > 0 {
				yield(none, &OrderError{name, before, at})
				return
			}
			if !yield(item, nil) {
				return
			}
			before, begun = at, true
		}
	}
}
