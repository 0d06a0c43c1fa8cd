package segment

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/segmentguard/segmentguard/validate"
)

// The gauges of a monitor keep their values from one sweep to the next.
type gauges struct {
	segments metric.Int64Gauge
	alerts   metric.Int64Gauge
	duration metric.Float64Gauge
	complete metric.Int64Gauge
	store    []attribute.KeyValue // of each value

	mu     sync.Mutex
	groups map[alertGroup]int64 // all that have a value: one that is not set again would keep its last one
}

// An alertGroup is of open alerts that are counted together.
type alertGroup struct {
	urgency Urgency
	kind    validate.Kind
}

func newGauges(meters metric.MeterProvider, store string) (*gauges, error) {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	meter := meters.Meter(scope, metric.WithInstrumentationVersion(version))
	g := gauges{groups: map[alertGroup]int64{}, store: storeAttribute(store)}
	for _, kind := range validate.Kinds() {
		g.groups[alertGroup{Page, kind}], g.groups[alertGroup{Ticket, kind}] = 0, 0
	}
	errs := make([]error, 4)
	g.segments, errs[0] = meter.Int64Gauge("segmentguard.segment.count", metric.WithUnit("{segment}"),
		metric.WithDescription("Segments by state, as the last complete sweep found them."))
	g.alerts, errs[1] = meter.Int64Gauge("segmentguard.alert.count", metric.WithUnit("{alert}"),
		metric.WithDescription("Alerts of segments that are open in the ledger, those of guards too, at the end of the last sweep."))
	g.duration, errs[2] = meter.Float64Gauge("segmentguard.sweep.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the last sweep took, complete or not."))
	g.complete, errs[3] = meter.Int64Gauge("segmentguard.sweep.last_complete_timestamp", metric.WithUnit("s"),
		metric.WithDescription("When the last complete sweep began, in Unix time."))
	return &g, errors.Join(errs...)
}

// record keeps the numbers of a sweep. One that is not complete leaves those of
// segments as they were: it has not seen all of them.
func (g *gauges) record(ctx context.Context, w *sweeper, took time.Duration, complete bool) {
	g.duration.Record(ctx, took.Seconds(), metric.WithAttributes(g.store...))
	if w.counted != nil {
		g.recordAlerts(ctx, w.counted)
	}
	if !complete {
		return
	}
	for state, n := range w.sweep.states() {
		g.segments.Record(ctx, int64(n), metric.WithAttributes(g.store...), metric.WithAttributes(attribute.String("segmentguard.segment.state", state)))
	}
	g.complete.Record(ctx, w.sweep.At.Unix(), metric.WithAttributes(g.store...))
}

func (g *gauges) recordAlerts(ctx context.Context, open map[alertGroup]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for group := range open {
		g.groups[group] = 0
	}
	for group := range g.groups {
		g.alerts.Record(ctx, open[group], metric.WithAttributes(g.store...), metric.WithAttributes(
			attribute.String("segmentguard.alert.severity", string(group.urgency)),
			attribute.String("segmentguard.alert.kind", string(group.kind)),
		))
	}
}

// states returns how many segments are in each state. Each segment is in one.
func (s *Sweep) states() map[string]int {
	return map[string]int{"healthy": s.Healthy, "affected": len(s.Affected) - s.Missing, "missing": s.Missing, "unwatched": s.Unwatched, "submitted": s.Submitted}
}

// countOpen counts the alerts that are open in the ledger: by now, and not only
// for what this sweep found. Where nobody wants to know, it does not ask.
func (w *sweeper) countOpen(ctx context.Context) error {
	m := w.monitor
	if m.config.Logger == nil && !m.gauges.alerts.Enabled(ctx) {
		return nil
	}
	open := map[alertGroup]int64{}
	for s, err := range m.config.Ledger.Segments(ctx, SegmentFilter{Store: &m.config.Store, Affected: true}) {
		if err != nil {
			return wrap("counting the open alerts", err)
		}
		if a := s.Alert.Open; a != nil {
			open[alertGroup{a.Urgency, a.Kind}]++
		}
	}
	for _, a := range w.untold { // those that it cannot keep are open, too
		open[alertGroup{a.Urgency, a.Kind}]++
	}
	w.counted = open
	return nil
}

// report puts what a sweep found on its span, into the metrics and into the log.
func (w *sweeper) report(ctx context.Context, span trace.Span, took time.Duration, err error) {
	m := w.monitor
	complete := err == nil && w.sweep.Complete
	m.gauges.record(ctx, w, took, complete)
	w.annotate(span, err)
	if m.config.Logger != nil {
		w.log(ctx, took, complete, err)
	}
}

func (w *sweeper) annotate(span trace.Span, err error) {
	s := &w.sweep
	span.SetAttributes(w.monitor.gauges.store...)
	span.SetAttributes(
		attribute.Int("segmentguard.segments", s.Segments),
		attribute.Int("segmentguard.segments.healthy", s.Healthy),
		attribute.Int("segmentguard.segments.unwatched", s.Unwatched),
		attribute.Int("segmentguard.segments.missing", s.Missing),
		attribute.Int("segmentguard.segments.affected", len(s.Affected)),
		attribute.String("segmentguard.verdict", sweepVerdict(s, err)),
	)
	switch {
	case err != nil:
		span.SetAttributes(attribute.String("error.type", "incomplete"))
		span.SetStatus(codes.Error, err.Error())
	case len(s.Findings) > 0:
		span.SetAttributes(attribute.String("error.type", string(s.Findings[0].Kind)))
		span.SetStatus(codes.Error, strconv.Itoa(len(s.Affected))+" segments affected")
	}
}

// log writes one line with the numbers of the sweep.
func (w *sweeper) log(ctx context.Context, took time.Duration, complete bool, err error) {
	attrs := []slog.Attr{slog.Int("segments", w.sweep.Segments)}
	states := w.sweep.states()
	for _, state := range slices.Sorted(maps.Keys(states)) {
		attrs = append(attrs, slog.Int(state, states[state]))
	}
	attrs = append(attrs, slog.Int("incidents", len(w.sweep.Incidents)))
	if w.counted != nil {
		open := map[Urgency]int64{Page: 0, Ticket: 0}
		for group, n := range w.counted {
			open[group.urgency] += n
		}
		attrs = append(attrs, slog.Int64("open_pages", open[Page]), slog.Int64("open_tickets", open[Ticket]))
	}
	attrs = append(attrs, slog.Duration("took", took))
	if complete {
		w.monitor.config.Logger.LogAttrs(ctx, slog.LevelInfo, "swept all segments", attrs...)
		return
	}
	w.monitor.config.Logger.LogAttrs(ctx, slog.LevelWarn, "sweep is incomplete: what it did not see may be anything but fine",
		append(attrs, slog.Any("error", err))...)
}

// sweepVerdict tells what was not looked at apart from what is fine.
func sweepVerdict(s *Sweep, err error) string {
	switch {
	case len(s.Affected) > 0:
		return "failed"
	case err != nil || !s.Complete:
		return "unverified"
	}
	return "passed"
}
