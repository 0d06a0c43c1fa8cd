package segment

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

// A MonitorConfig is what a Monitor judges by and where it reports to.
type MonitorConfig struct {
	// Ledger is the one that the guards write. It is required. The monitor writes
	// to it: alerts, sizes of segments that no guard stands before, and what became
	// of commits whose outcome was unknown.
	Ledger Ledger
	// Rules returns the rule of a segment, by the job that writes it, as in
	// GuardConfig; for a segment that no job writes it is called with a Job that
	// has To alone. It is called for each segment, from several goroutines. nil:
	// the zero Rule for all.
	Rules func(context.Context, Job) (Rule, error)
	// Jobs are all jobs that write segments: by them a segment's trouble is
	// traced to what it was made from. The first sweep keeps them in the ledger, in the
	// place of those that were there. nil: not traced.
	Jobs []Job
	// Counter is what counts the current sizes, as in Run.Counter: sizes are only
	// compared with those of the same counter.
	Counter string
	// Store names the store that is listed, as Rule.Store does; empty: the one that
	// nobody named. A monitor judges and ends only what is known of its own. Each store
	// needs a monitor of its own with another Store. Where two that list different
	// segments have the same, each takes what the other one lists for missing: once each
	// listed, in three sweeps, what the other one lacked in between, their sweeps return
	// an error that says so, and take nothing for missing. One that lists a part of what
	// another one does is not told from a store that lost the rest.
	Store string
	// AbsentIsEmpty takes a segment that is not listed for an empty one, as a listing
	// by GROUP BY, or of a store that drops empty sets, leaves those out.
	AbsentIsEmpty bool
	// Alerter tells people. nil: LogAlerter(Logger).
	Alerter Alerter
	// Now returns the time of a sweep. nil: time.Now.
	Now func() time.Time

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
	gauges    *gauges
	notifier  *notifier
	jobsKept  atomic.Bool  // the ledger has config.Jobs
	name      string       // no other monitor has it
	sweeps    atomic.Int64 // those whose listing was complete
}

// NewMonitor returns a Monitor, or an error if there is no ledger or an
// instrument cannot be created.
func NewMonitor(c MonitorConfig) (*Monitor, error) {
	if c.Ledger == nil {
		return nil, fmt.Errorf("segment: new monitor: %w", badInput("MonitorConfig.Ledger", "nil", "the ledger that the guards write"))
	}
	if err := checkStore("MonitorConfig.Store", c.Store); err != nil {
		return nil, fmt.Errorf("segment: new monitor: %w", err)
	}
	validator, err := newSilent()
	if err != nil {
		return nil, fmt.Errorf("segment: new monitor: %w", err)
	}
	gauges, err := newGauges(c.MeterProvider, c.Store)
	if err != nil {
		return nil, fmt.Errorf("segment: new monitor: %w", err)
	}
	if c.Alerter == nil {
		c.Alerter = LogAlerter(c.Logger)
	}
	if c.Now == nil {
		c.Now = time.Now
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
		gauges:    gauges,
		notifier:  newNotifier(c.Ledger, c.Alerter, defaultTimeout, 0, c.Now),
	}
	m.name = rand.Text()
	m.notifier.store = &m.config.Store
	for i := range c.Jobs {
		m.jobs[c.Jobs[i].To] = &c.Jobs[i]
	}
	return m, nil
}

// job returns the job that writes a segment, as far as it is known.
func (m *Monitor) job(id ID, last *Record) Job {
	if job, ok := m.jobs[id]; ok {
		return *job
	}
	return Job{ID: last.JobID, Kind: last.JobKind, To: id}
}

// key returns the key of a segment of the store that is listed.
func (m *Monitor) key(id ID) Key { return id.In(m.config.Store) }

func (m *Monitor) keys(ids []ID) []Key {
	keys := make([]Key, len(ids))
	for i, id := range ids {
		keys[i] = m.key(id)
	}
	return keys
}

// rule returns the rule of a segment.
func (m *Monitor) rule(ctx context.Context, id ID, last *Record) (rule Rule, err error) {
	if m.config.Rules == nil {
		return Rule{}, nil
	}
	job := m.job(id, last)
	if rule, err = m.config.Rules(ctx, job); err != nil {
		return Rule{}, fmt.Errorf("finding the rule of %s: %w", job.To, err)
	}
	return rule, rule.check()
}

// Sweep judges the current sizes of all segments, which come in byte order of
// the ids' texts, by what the ledger knows of each: the last run that went live,
// and the history. It alerts once for each affected segment and fault, resolves
// what it alerted before and is healthy now, and says which incidents there are.
//
// List every segment, the empty ones too: a listing by GROUP BY leaves those
// out, and they count as missing, unless AbsentIsEmpty is set. Sizes of segments that no guard stands before
// are kept once a day, those first of which nothing was known for longest, and at
// most 100,000 a sweep.
//
// The sweep is valid even with an error, as far as it came: what was found until
// then has been alerted. Without an error every segment was judged, and every
// alert told. A sweep whose sizes come out of order ends with an *OrderError.
func (m *Monitor) Sweep(ctx context.Context, sizes iter.Seq2[CurrentSize, error]) (Sweep, error) {
	if sizes == nil {
		return Sweep{}, fmt.Errorf("segment: sweep: %w", badInput("sizes", "nil", "the current sizes of all segments"))
	}
	ctx, span := m.tracer.Start(ctx, "sweep segments")
	defer span.End()
	began := time.Now()
	w, err := m.newSweeper(ctx)
	if err == nil {
		err = w.walk(ctx, sizes)
		err = join(err, w.conclude(ctx, err == nil))
		err = join(err, m.keepNumbers(ctx, &w.sweep))
	}
	w.report(ctx, span, time.Since(began), err)
	return w.sweep, wrap("segment: sweep", err)
}
