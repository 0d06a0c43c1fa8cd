package simulationtest

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// worlds returns how many worlds a test is to try.
func worlds(t *testing.T) int {
	n := 2000
	if testing.Short() {
		n = 300
	}
	if text := os.Getenv("SEGMENTGUARD_WORLDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return n
}

// TestWorlds tries worlds one after another, from the seed in SEGMENTGUARD_SEED or
// else from 1. One that breaks a promise is made smaller and shown.
func TestWorlds(t *testing.T) {
	n, first := worlds(t), uint64(1)
	if text := os.Getenv("SEGMENTGUARD_SEED"); text != "" {
		var err error
		first, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	var next, steps, faults, jobs, sweeps, failed atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for shard := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				f, err := newPlatform()
				require.NoError(t, err)
				for i := next.Add(1) - 1; i < int64(n) && failed.Load() == 0; i = next.Add(1) - 1 {
					p := newPlan(first + uint64(i))
					w := run(t, f, p, false, nil)
					steps.Add(int64(w.scheduler.steps))
					faults.Add(int64(w.scheduler.faults))
					jobs.Add(int64(len(w.results)))
					sweeps.Add(int64(len(p.sweeps) + 3))
					if w.violation != "" && failed.Add(1) == 1 {
						show(t, f, p, w.violation)
					}
				}
			})
		})
	}
	wg.Wait()
	t.Logf("%d worlds in %v; a world has %.1f attempts, %.1f sweeps, %.2f faults, %.0f steps", next.Load(), time.Since(began).Round(time.Millisecond),
		float64(jobs.Load())/float64(next.Load()), float64(sweeps.Load())/float64(next.Load()), float64(faults.Load())/float64(next.Load()), float64(steps.Load())/float64(next.Load()))
}

// TestSeedsThatFailed tries the worlds that broke a promise once.
func TestSeedsThatFailed(t *testing.T) {
	f, err := newPlatform()
	require.NoError(t, err)
	for _, seed := range []uint64{
		6189,  // of two failures the later one was closed by a run that began between them
		37535, // a sweep waited for a transaction that held a commit row for ever
		40365, // nobody ended that a run went over another one, in a store without staging
	} {
		require.Empty(t, run(t, f, newPlan(seed), false, nil).violation, "seed %d", seed)
	}
}

// show makes a world that breaks a promise smaller, and fails with it.
func show(t *testing.T, f *platform, p plan, violation string) {
	t.Helper()
	if os.Getenv("SEGMENTGUARD_SHRINK") == "0" {
		t.Errorf("seed %d: %s", p.seed, violation)
		return
	}
	small := shrink(p, func(p plan) bool { return run(t, f, p, false, nil).violation != "" })
	w := run(t, f, small, true, nil)
	t.Errorf("seed %d: %s\nmade smaller: %s\n%s\n%s", p.seed, violation, w.violation, small.String(), strings.Join(w.scheduler.trace, "\n"))
}

// TestWorldsAreTheSameTwice: a seed is a world, step by step.
func TestWorldsAreTheSameTwice(t *testing.T) {
	f, err := newPlatform()
	require.NoError(t, err)
	n := uint64(1000)
	if testing.Short() {
		n = 100
	}
	for seed := range n {
		once, again := run(t, f, newPlan(seed), false, nil), run(t, f, newPlan(seed), false, nil)
		require.Equal(t, once.scheduler.hash, again.scheduler.hash, "seed %d", seed)
	}
}
