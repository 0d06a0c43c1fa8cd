package validate

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// TestDelegate: a provider that somebody has set is never taken for none.
func TestDelegate(t *testing.T) {
	require.NotNil(t, delegate(otel.GetTracerProvider()), "this test sets none")
	require.NotNil(t, unset)
	require.Nil(t, delegate(tracenoop.NewTracerProvider()))
	require.Nil(t, delegate(new(pointed)))
}

type pointed struct{ tracenoop.TracerProvider }

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
