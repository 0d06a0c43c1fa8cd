package validate

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// TestSilent: a provider whose spans reach somebody is never taken for none.
func TestSilent(t *testing.T) {
	require.NotNil(t, silent(otel.GetTracerProvider()), "this test sets none")
	require.NotNil(t, unset)
	require.NotNil(t, silent(tracenoop.NewTracerProvider()), "spans of this one reach nobody either")
	require.Nil(t, silent(&heard{}), "a valid span may be exported")
	require.Nil(t, silent(uncomparable{}), "comparing it with another provider would panic")
}

// heard starts spans that have an identity.
type heard struct{ embedded.TracerProvider }

func (h *heard) Tracer(string, ...trace.TracerOption) trace.Tracer { return hearing{} }

type hearing struct{ embedded.Tracer }

func (hearing) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	return ctx, trace.SpanFromContext(ctx)
}

type uncomparable struct {
	tracenoop.TracerProvider

	_ []func()
}

// TestNobodyListens: while no provider is set, a check costs no more than one by
// the zero Validator.
func TestNobodyListens(t *testing.T) {
	out := Output{Expected: Count(5), Stored: Count(5)}
	allocs := func(check func() (Report, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := check(); err != nil {
				panic(err)
			}
		})
	}
	require.InDelta(t,
		allocs(func() (Report, error) { return new(Validator).Check(t.Context(), Policy{}, out) }),
		allocs(func() (Report, error) { return Check(t.Context(), Policy{}, out) }), 0)
}
