package simulationtest

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
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
	var next, steps, faults, runs, attempts, sweeps, failed atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for shard := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				sim, err := New(nil)
				require.NoError(t, err)
				for i := next.Add(1) - 1; i < int64(n) && failed.Load() == 0; i = next.Add(1) - 1 {
					p := newPlan(first + uint64(i))
					w := sim.run(t, p, false)
					steps.Add(int64(w.scheduler.steps))
					faults.Add(int64(w.scheduler.faults))
					runs.Add(int64(len(p.jobs)))
					attempts.Add(int64(len(w.results)))
					sweeps.Add(int64(len(p.sweeps) + 3))
					if w.violation != "" && failed.Add(1) == 1 {
						sim.show(t, p, w.violation)
					}
				}
			})
		})
	}
	wg.Wait()
	mean := func(n *atomic.Int64) float64 { return float64(n.Load()) / float64(next.Load()) }
	t.Logf("%d worlds in %v; a world has %.1f runs in %.1f attempts, %.1f sweeps, %.2f faults, %.0f steps", next.Load(), time.Since(began).Round(time.Millisecond),
		mean(&runs), mean(&attempts), mean(&sweeps), mean(&faults), mean(&steps))
}

// TestSeedsThatFailed tries the worlds that broke a promise once, as large as they were.
func TestSeedsThatFailed(t *testing.T) {
	sim, err := New(nil)
	require.NoError(t, err)
	for _, seed := range []uint64{
		6189,   // of two failures the later one was closed by a run that began between them
		37535,  // a sweep waited for a transaction that held a commit row for ever
		61192,  // an alert that the ledger did not keep, about a size as one that a human had accepted: no sweep found it
		43950,  // a run without staging stood still beyond its lease, and told of the users of the next one
		607727, // a live run whose lease was taken over wrote over the next one, which then vouched for it
		9961,   // a live run that had waited for the one before it was said to be overtaken, and what it left live to be as before
		518448, // a run was killed after its write, and left as many users as a human then accepted
		401690, // of a fault that came back nobody was told, as it was not known that the alerter had heard the end of the one before
		10326,  // what was told without the ledger took the place of what it held: wrong was the simulator's alerter
		40365,  // nobody ended that a run went over another one, in a store without staging
	} {
		p := largePlan(seed)
		require.Empty(t, sim.run(t, p, false).violation, "seed %d", seed)
		p.humans = nil // as it was when it failed
		require.Empty(t, sim.run(t, p, false).violation, "seed %d, without humans", seed)
	}
	for _, seed := range []uint64{
		1328,    // an incident that rang again was told twice to an alerter that keeps none
		83328,   // a run that was submitted was settled early by what one brought that died without a word
		105,     // a run that was submitted was settled early by what the one before it brought, as that was not there at the first look
		506342,  // what a run wrote down late of what the alerter had heard took the place of what it heard later: an alert stood that nobody ended
		2012977, // a run that had taken over from one that was lost did not see that its own lease was taken over, and an older one went live over it
	} {
		require.Empty(t, sim.run(t, newPlan(seed), false).violation, "seed %d", seed)
	}
}

// show makes a world that breaks a promise smaller, and fails with it.
func (s *Simulator) show(t *testing.T, p plan, violation string) {
	t.Helper()
	if os.Getenv("SEGMENTGUARD_SHRINK") == "0" {
		t.Errorf("seed %d: %s", p.seed, violation)
		return
	}
	small := shrink(p, func(p plan) bool { return s.run(t, p, false).violation != "" })
	w := s.run(t, small, true)
	t.Errorf("seed %d: %s\nmade smaller: %s\n%s\n%s", p.seed, violation, w.violation, small.String(), strings.Join(w.scheduler.trace, "\n"))
}

// TestWorldsAreTheSameTwice: a seed is a world, step by step.
func TestWorldsAreTheSameTwice(t *testing.T) {
	sim, err := New(nil)
	require.NoError(t, err)
	n := uint64(1000)
	if testing.Short() {
		n = 100
	}
	for seed := range n {
		once, again := sim.run(t, newPlan(seed), false), sim.run(t, newPlan(seed), false)
		require.Equal(t, once.scheduler.hash, again.scheduler.hash, "seed %d", seed)
	}
}

// TestShrink: what is left of a world in which a run is overtaken is the two runs that
// it takes, and at most one thing that is wrong with them.
func TestShrink(t *testing.T) {
	sim, err := New(nil)
	require.NoError(t, err)
	overtakes := func(p plan) bool {
		return slices.ContainsFunc(sim.run(t, p, false).results, func(r result) bool { return errors.Is(r.err, segment.ErrOvertaken) })
	}
	tried := 0
	for seed := uint64(1); tried < 3; seed++ {
		p := newPlan(seed)
		if !overtakes(p) {
			continue
		}
		tried++
		small := shrink(p, overtakes)
		require.True(t, overtakes(small))
		require.Len(t, small.jobs, 2, "%s", small.String())
		require.LessOrEqual(t, small.size(), 3, "%s", small.String())
	}
}
