package segmenttest

import (
	"context"
	"testing"
	"testing/synctest"
)

// A Job runs a user's job against a store: from reading the source to publishing
// or not. It is called once for each attempt and returns what the job returns.
type Job func(ctx context.Context, s *Store) error

// TestJob runs the job against a healthy store and then against one with each of
// the faults, all of [Faults] if none are given, in a subtest of its own.
func TestJob(t *testing.T, job Job, faults ...Fault) {
	t.Helper()
	if len(faults) == 0 {
		faults = Faults()
	}
	for _, f := range append([]Fault{healthy}, faults...) {
		t.Run(f.String(), func(t *testing.T) {
			t.Helper() // so that what is said names the line of the user's test
			t.Log(f.why)
			if problem := tryInBubble(t, job, f); problem != "" {
				t.Errorf("%v: %s", f, problem)
			}
		})
	}
}

func tryInBubble(t *testing.T, job Job, f Fault) (problem string) {
	synctest.Test(t, func(t *testing.T) { problem = try(t.Context(), job, f) })
	return problem
}
