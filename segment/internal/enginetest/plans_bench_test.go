package enginetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// BenchmarkPlan keeps a plan of a million steps, in chains of four, and measures what a
// page and a worker ask of it.
func BenchmarkPlan(b *testing.B) {
	for _, e := range enginetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			l := e.New(b).History(b)
			begun := time.Now()
			require.NoError(b, l.KeepPlan(b.Context(), segment.PlanRecord{ID: "p", Planned: segment.Decision{By: "ann", Why: "w", At: start}, Steps: 1e6}, aMillion))
			b.Logf("%s: keeping a million steps: %v", e.Name, time.Since(begun))
			for name, do := range map[string]func(n int) error{
				"count": func(int) error {
					_, err := l.CountSteps(b.Context(), "p")
					return err
				},
				"page": func(n int) error {
					for _, err := range l.Steps(b.Context(), segment.StepFilter{Plan: "p", After: n * 7919 % 999_000, Limit: 200}) {
						if err != nil {
							return err
						}
					}
					return nil
				},
				"done page": func(int) error {
					for _, err := range l.Steps(b.Context(), segment.StepFilter{Plan: "p", State: segment.StepDone, Limit: 200}) {
						if err != nil {
							return err
						}
					}
					return nil
				},
				"step": func(n int) error {
					s, err := rerun.StartStep(b.Context(), l, "p", 4*n+1, segment.StepProgress{RunID: "r"})
					if err == nil {
						_, err = rerun.EndStep(b.Context(), l, s, start)
					}
					return err
				},
			} {
				b.Run(name, func(b *testing.B) {
					for n := 0; b.Loop(); n++ {
						if err := do(n); err != nil && name != "step" { // of which some are done
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

// aMillion yields the steps of a plan.
func aMillion(yield func(segment.PlanStep) bool) {
	id := func(n int) segment.ID { return segment.ID{SiteGroup: "site", Name: fmt.Sprintf("segment-%07d", n)} }
	for n := 1; n <= 1e6; n++ {
		s := segment.PlanStep{Number: n, Job: segment.Copy(id(n), id(n-1)), Users: int64(n), Progress: segment.StepProgress{State: segment.StepWaiting}}
		if n%4 != 1 {
			s.After, s.Progress.Waits = []int{n - 1}, 1
		}
		if n%4 != 0 {
			s.Next = []int{n + 1}
		}
		if !yield(s) {
			return
		}
	}
}
