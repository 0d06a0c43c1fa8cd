package validate_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/validate"
)

// Without a recording span, and with the global providers unset, as in a job
// that has no telemetry.
func BenchmarkCheck(b *testing.B) {
	for name, out := range map[string]validate.Output{
		"counts":  {Name: "site-b/cars", Expected: count(50000), Stored: count(50000)},
		"history": {Name: "site-b/cars", Expected: count(50000), Stored: count(50000), Sizes: flat(30, 50100), At: noon},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := validate.Check(b.Context(), validate.Policy{}, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestCheckAllocates(t *testing.T) {
	out := validate.Output{Name: "site-b/cars", Expected: count(50000), Stored: count(50000), Sizes: flat(30, 50100), At: noon}
	ctx := t.Context()
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := validate.Check(ctx, validate.Policy{}, out); err != nil {
			t.Error(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a check, want none", allocs)
	}
}
