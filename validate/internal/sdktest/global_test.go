package sdktest

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/segmentguard/segmentguard/validate"
)

// TestGlobalProviders: the package's Check and Admit tell the global providers,
// those too that are set only after the first check.
func TestGlobalProviders(t *testing.T) {
	out := validate.Output{Expected: count(5), Stored: count(5)}
	_, err := validate.Check(t.Context(), validate.Policy{}, out)
	require.NoError(t, err)

	b := newBench(t)
	traces, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	defer otel.SetTracerProvider(traces) // the other tests show that none need be set
	defer otel.SetMeterProvider(meters)
	otel.SetTracerProvider(b.traces)
	otel.SetMeterProvider(b.meters)
	_, err = validate.Check(t.Context(), validate.Policy{}, out)
	require.NoError(t, err)
	_, err = validate.Admit(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Read: count(5)})
	require.NoError(t, err)
	spans := b.spans.Ended()
	require.Len(t, spans, 2)
	require.Equal(t, "check output", spans[0].Name())
	require.Equal(t, "admit output", spans[1].Name())
	require.Contains(t, b.metrics(t), "segmentguard.check.duration s")
}

// TestEachListenerAlone: one listener is told, though the others are turned off.
func TestEachListenerAlone(t *testing.T) {
	out := validate.Output{Expected: count(5), Stored: count(4)}
	noTraces, noMeters := tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider()
	b := newBench(t)
	var log strings.Builder
	for _, c := range []validate.Config{
		{TracerProvider: b.traces, MeterProvider: noMeters},
		{TracerProvider: noTraces, MeterProvider: b.meters},
		{TracerProvider: noTraces, MeterProvider: noMeters, Logger: slog.New(slog.NewTextHandler(&log, nil))},
	} {
		v, err := validate.New(c)
		require.NoError(t, err)
		_, err = v.Check(t.Context(), validate.Policy{}, out)
		require.ErrorIs(t, err, validate.Short)
	}
	require.Len(t, b.spans.Ended(), 1)
	require.Len(t, b.metrics(t), 2)
	require.Equal(t, 1, strings.Count(log.String(), "output checked"))
}

// TestOneOfTwoMeasured: each histogram is told, though a view drops the other; and
// no shortfall where one side is not known.
func TestOneOfTwoMeasured(t *testing.T) {
	const duration, shortfall = "segmentguard.check.duration", "segmentguard.check.shortfall"
	for dropped, told := range map[string]string{duration: shortfall + " {user}", shortfall: duration + " s"} {
		b := newBench(t)
		b.reader = metric.NewManualReader()
		b.meters = metric.NewMeterProvider(metric.WithReader(b.reader), metric.WithView(
			metric.NewView(metric.Instrument{Name: dropped}, metric.Stream{Aggregation: metric.AggregationDrop{}})))
		_, err := b.validator(t).Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5)})
		require.NoError(t, err)
		require.Len(t, b.metrics(t), 1)
		require.Contains(t, b.metrics(t), told)
	}
	b := newBench(t)
	for _, out := range []validate.Output{{Expected: count(5)}, {Expected: validate.Unknown(), Stored: count(5)}} {
		_, err := b.validator(t).Check(t.Context(), validate.Policy{}, out)
		require.ErrorIs(t, err, validate.Unverified)
	}
	require.NotContains(t, b.metrics(t), shortfall+" {user}")
}
