package segmenttest_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/segmenttest"
)

// The example's job is right: it passes with every fault.
func TestExampleIsRight(t *testing.T) { segmenttest.TestJob(t, copySegment) }

// unguarded is the example's job without its guard.
func unguarded(ctx context.Context, s *segmenttest.Store) error {
	staged := s.Stage()
	for page, err := range s.Pages(ctx) {
		if err != nil {
			return err
		}
		if err := staged.Write(ctx, page); err != nil {
			return err
		}
	}
	return staged.Publish(ctx)
}

const child = "SEGMENTTEST_CHILD"

// TestUnguarded fails. It runs in a process of its own, that of TestJobFails.
func TestUnguarded(t *testing.T) {
	if os.Getenv(child) == "" {
		t.Skip("fails by design")
	}
	t.Run("two", func(t *testing.T) {
		segmenttest.TestJob(t, unguarded, segmenttest.StopsAt10000, segmenttest.LagsAWhile)
	})
	t.Run("all", func(t *testing.T) { segmenttest.TestJob(t, unguarded) })
}

// TestJobFails: what a test prints of a job that lets a fault through: one
// subtest a fault, only that one fails, and it says why.
func TestJobFails(t *testing.T) {
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUnguarded$", "-test.v")
	test.Env = append(os.Environ(), child+"=1")
	printed, err := test.CombinedOutput()
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed, "%s", printed)
	for _, says := range []string{
		"--- FAIL: TestUnguarded",
		"--- PASS: TestUnguarded/two/Healthy",
		"--- FAIL: TestUnguarded/two/StopsAt10000",
		"The read ends after 10,000 users without an error",
		"StopsAt10000: the fault went through: the job reported success, want an error that is capped. Live are 10,000 users where 12,310 users should be: 2,310 users missing.",
		"--- PASS: TestUnguarded/two/LagsAWhile",
	} {
		require.Contains(t, string(printed), says)
	}
	require.Regexp(t, `\bsuite_test\.go:\d+: StopsAt10000: `, string(printed), "the line is that of the user's test")
	require.NotContains(t, string(printed), "TestUnguarded/two/DropsPage", "only the faults that are named are tried")
	for _, f := range segmenttest.Faults() {
		require.Contains(t, string(printed), "TestUnguarded/all/"+f.String(), "without names, all are")
	}
}
