// Package simulationtest hunts for schedules that break the guard's promises. A
// world of jobs, sweeps and people is made from one seed; a scheduler lets one of
// its processes go on at a time, and hands over at every call of the ledger, the
// store and the alerter. What calls may do (fail, hang, be applied and not
// answered, come late, end their process) is planned, so that a world that breaks
// a promise can be made smaller and still breaks it.
//
// At rest, two sweeps and a day after the last fault, a world must show that: who
// returned nil was right and is live, and what was rejected was recorded, or somebody
// tried to; the ledger's live size is the store's, or not
// known, or somebody is told; what is wrong is told, and what people were told is
// what the alerter holds, no more and no less; nobody was told of it more than once, and once
// more for each fault of the world, and of no member of an incident before the incident; no alert stands where the last run is right and live; a
// baseline holds verified sizes alone. On the way a transaction must bring what its guard
// counted in it, no run may go over one that began later, nothing live may be discarded, nobody may wait beyond the bounds, only a
// sweep may end that nobody knows what is live, an alert may end where the store is
// right alone, and be told to be over where it is, and in a world without a fault there
// is no page, a run that is alone passes, and each is superseded for a reason.
//
// TestPlantedBugs builds the simulator over code with a piece of the protocol left
// out. Each bug, and the number of worlds within which it must be found (in brackets
// the seed, from 1 on, that found it first, of two at a time):
//
//	the commit row is not locked                             200 (8)
//	what is stored is counted before the lock                200 (8)
//	a lease is not renewed                                  1000 (6)
//	a lease that was taken over counts                      4000 (1000)
//	any run that went live meanwhile supersedes              200 (52)
//	an older run goes over a later one that may be live     4000 (52)
//	an older run's failure opens an alert                   4000 (8)
//	a pass closes the alert of a later run                  4000 (5)
//	a pass closes an unknown                                4000 (109)
//	what overtakes is not noticed                            200 (31)
//	the generation stands still                              200 (31)
//	a commit without an answer did not work                 2000 (111)
//	an output of which nothing is known is discarded        2000 (412)
//	a record is skipped after a hang                        1000 (102)
//	a wait without a bound                                  2000 (28)
//	nobody ends what a later run made over                  6000 (23)
//	what is told is written down before                     4000 (80)
//	what the alerter may have heard is forgotten            4000 (708)
//	a claim is not renewed                                  4000 (200)
//	a member without its incident                           4000 (15)
//	members are told though their incident was not          4000 (647)
//	what was told is not written down                        200 (1)
//	a mark is lowered                                       4000 (12)
//	a deep fall is relearned                                4000 (416)
//	what is just below a limit is relearned                 4000 (263)
//	a member of an incident is relearned                    4000 (405)
//	what was made from an affected one is relearned         4000 (1155)
//	of what is relearned nobody is told                     4000 (437)
//	the level before does not pass                          4000 (340)
//	what was submitted is settled without a look            1000 (20)
//	a number from before is a sign                          4000 (5)
//	a run waits for its store for ever                      1000 (5)
//
// One world in eight has a store that answers hours later, runs that are submitted to it,
// and processes that settle them.
//
// One world in fifty is of weeks: a fault stands for eight to eleven nights, while
// nothing but the history says how many users there should be, and is then repaired.
// Under Relearn only a fall by a third that nothing explains may go live, on its
// eighth day, and must, as must the repair; whatever else goes live was accepted.
//
// People are processes, too: they accept what an alert is about, suspect and import
// sizes, and forget segments. They excuse only what they decided.
//
// The same worlds happen over a ledger in SQLite, step by step as over Memory
// (TestWorldsInSQLite of package enginetest). What an engine adds, isolation, locks and
// lost clients, is forced in every order by TestTwoRuns and TestVanishedClient there.
//
// What it does not show: what a store applies after its process was given up (the
// next sweep finds it), and two commits without a number.
package simulationtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// A fault is what one call of a process does instead of working.
type fault string

// The faults.
const (
	fails  fault = "fails"                       // without an effect
	lost   fault = "is applied, its answer lost" // and fails
	hangs  fault = "hangs"                       // until its context ends, without an effect
	late   fault = "hangs and is applied late"   // five minutes after
	pauses fault = "pauses for 3 minutes"        // with the whole process, beyond a lease
	kills  fault = "ends the process before"     // without an effect
	killed fault = "ends the process after"      // with its effect
)

var (
	errFault  = errors.New("connection reset")
	errKilled = errors.New("the process was killed")
)

// A process is one goroutine of the world, with all that it calls from others.
type process struct {
	world  *world
	id     int
	name   string
	calls  int
	faults map[int]fault // by the number of the call
	dead   atomic.Bool
	cancel context.CancelFunc
	onKill []func()
	thaws  atomic.Int64 // when the process goes on after a pause, in nanoseconds
	number int64        // that the ledger gave it last
	does   decision     // of a human
	slow   bool         // the alerter is slow to answer it
	skewed bool         // its clock is wrong
}

type processKey struct{}

// of returns the process that a context is of.
func of(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

// A turn is a process that waits until it may go on.
type turn struct {
	process *process
	what    string
	round   int
	hand    chan fault
}

// A scheduler lets one process go on at a time, in an order that a seed decides.
type scheduler struct {
	random  *rand.Rand
	mu      sync.Mutex
	waiting []*turn
	unused  []*turn // to wait with again
	running int     // processes that have not ended
	spawned int
	round   int
	arrived chan struct{}

	steps, faults int
	hash          uint64
	trace         []string // nil: not kept
	keep          bool
}

func newScheduler(seed uint64, keep bool) *scheduler {
	return &scheduler{random: rand.New(rand.NewPCG(seed, 2)), arrived: make(chan struct{}, 1), keep: keep}
}

// arrive wakes the scheduler.
func (s *scheduler) arrive() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// wait waits for the process's turn and returns the fault that is planned for it.
func (s *scheduler) wait(ctx context.Context, p *process, what string) (fault, error) {
	s.mu.Lock()
	t := s.newTurn()
	t.process, t.what, t.round = p, what, s.round
	s.waiting = append(s.waiting, t)
	s.mu.Unlock()
	s.arrive()
	select {
	case f := <-t.hand:
		s.mu.Lock()
		s.unused = append(s.unused, t)
		s.mu.Unlock()
		return f, nil
	case <-ctx.Done():
		s.mu.Lock()
		s.waiting = slices.DeleteFunc(s.waiting, func(other *turn) bool { return other == t })
		s.mu.Unlock()
		return "", context.Cause(ctx)
	}
}

func (s *scheduler) newTurn() *turn {
	n := len(s.unused)
	if n == 0 {
		return &turn{hand: make(chan fault)}
	}
	t := s.unused[n-1]
	s.unused = s.unused[:n-1]
	return t
}

// run hands over until all processes have ended.
func (s *scheduler) run() {
	for {
		synctest.Wait()
		s.mu.Lock()
		s.round++
		if s.running == 0 {
			s.mu.Unlock()
			return
		}
		t := s.next()
		s.mu.Unlock()
		if t == nil {
			<-s.arrived // time goes on to the next timer
			continue
		}
		p := t.process
		f := p.faults[p.calls]
		if t.what == "alerter" && f == late {
			f = hangs // an alerter that hears later what is no longer so is another story
		}
		p.calls++
		s.note(p, t.what, f)
		t.hand <- f
	}
}

// next takes one of those who wait.
func (s *scheduler) next() *turn {
	if len(s.waiting) == 0 {
		return nil
	}
	slices.SortFunc(s.waiting, func(a, b *turn) int {
		return cmp.Or(cmp.Compare(a.process.id, b.process.id), cmp.Compare(a.round, b.round), cmp.Compare(a.what, b.what))
	})
	i := s.random.IntN(len(s.waiting))
	t := s.waiting[i]
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return t
}

// note adds a step to the trace.
func (s *scheduler) note(p *process, what string, f fault) {
	s.steps++
	if f != "" {
		s.faults++
	}
	s.mix(uint64(p.id), uint64(time.Now().UnixNano()))
	s.mixText(what)
	s.mixText(string(f))
	if s.keep {
		s.trace = append(s.trace, fmt.Sprintf("%s %-10s %s %s", time.Now().UTC().Format("02 15:04:05.000"), p.name, what, f))
	}
}

// mix adds numbers to the hash of all steps, by FNV-1a.
func (s *scheduler) mix(numbers ...uint64) {
	for _, n := range numbers {
		s.hash = (s.hash ^ n) * 1099511628211
	}
}

func (s *scheduler) mixText(text string) {
	for i := range len(text) {
		s.mix(uint64(text[i]))
	}
	s.mix(uint64(len(text)))
}

// say adds a line to the trace that is no step.
func (p *process) say(format string, args ...any) {
	if s := p.world.scheduler; s.keep {
		s.mu.Lock()
		s.trace = append(s.trace, fmt.Sprintf("%s %-10s   %s", time.Now().UTC().Format("02 15:04:05.000"), p.name, fmt.Sprintf(format, args...)))
		s.mu.Unlock()
	}
}

// call waits for the process's turn and does what is planned for it. bound is how
// long whoever calls may wait for an answer; 0: as long as it likes.
func (p *process) call(ctx context.Context, what string, bound time.Duration, do func() error) error {
	f, err := p.world.scheduler.wait(ctx, p, what)
	if f == pauses {
		p.thaws.Store(time.Now().Add(3 * time.Minute).UnixNano())
	}
	if paused := time.Until(time.Unix(0, p.thaws.Load())); paused > 0 {
		time.Sleep(paused)
		_, err = p.world.scheduler.wait(ctx, p, what+", after a pause")
	}
	switch {
	case p.dead.Load():
		return errKilled
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	switch f {
	case fails:
		return errFault
	case lost:
		return errors.Join(do(), errFault)
	case hangs, late:
		since := time.Now()
		<-ctx.Done()
		if waited := time.Since(since); bound > 0 && waited > bound+time.Second && !p.dead.Load() {
			p.world.violate("%s waited %v for %s, want at most %v", p.name, waited, what, bound)
		}
		if f == late && !p.dead.Load() {
			p.world.spawn("late", 5*time.Minute, nil, func(ctx context.Context, q *process) { _ = q.call(ctx, what, 0, do) })
		}
		return context.Cause(ctx)
	case pauses: // by now
	case kills:
		p.kill()
		return errKilled
	case killed:
		err := do()
		p.kill()
		return errors.Join(err, errKilled)
	}
	return do()
}

// kill cuts the process off: what it still does has no effect.
func (p *process) kill() {
	p.dead.Store(true)
	p.cancel()
	for _, f := range p.onKill {
		f()
	}
}
