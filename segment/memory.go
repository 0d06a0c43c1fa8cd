package segment

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/segmentguard/segmentguard/validate"
)

// keptSizes is how many sizes a ledger keeps of a segment's baseline: twice
// what a size is judged by.
const keptSizes = 60

// A Memory is a Ledger for tests and first steps: it forgets all when the
// process ends. The zero Memory is not ready, NewMemory is.
type Memory struct {
	mu       sync.Mutex
	segments map[ID]*track
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{segments: map[ID]*track{}} }

// A track is what the memory knows of one segment.
type track struct {
	attempts map[attemptKey]Record
	newest   map[string]int // by run
	sizes    []validate.Size
	last     Record
	accepted *Acceptance
}

type attemptKey struct {
	run     string
	attempt int
}

// Sizes implements History.
func (m *Memory) Sizes(_ context.Context, id ID, n int) ([]validate.Size, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.segments[id]
	if !ok {
		return nil, nil
	}
	return slices.Clone(t.sizes[max(0, len(t.sizes)-max(n, 0)):]), nil
}

// Record implements History.
func (m *Memory) Record(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.segments[r.Segment]
	if !ok {
		t = &track{attempts: map[attemptKey]Record{}, newest: map[string]int{}}
		m.segments[r.Segment] = t
	}
	return t.record(r)
}

func (t *track) record(r Record) error {
	key := attemptKey{r.Run, r.Attempt}
	if newest, known := t.newest[r.Run]; known && newest > r.Attempt && r.State.goesLive() {
		return fmt.Errorf("%s: attempt %d of run %s is %w by attempt %d", r.Segment, r.Attempt, r.Run, ErrSuperseded, newest)
	}
	if state := t.attempts[key].State; state == Committed || state == Observed {
		return fmt.Errorf("%s: attempt %d of run %s is %w: it is live already", r.Segment, r.Attempt, r.Run, ErrSuperseded)
	}
	t.attempts[key], t.last = r, r
	t.newest[r.Run] = max(t.newest[r.Run], r.Attempt)
	if r.InBaseline() {
		t.keep(r.Size())
	}
	return nil
}

// keep adds a size to the baseline, in order of time: a guard whose clock is
// behind must not make the history bad input.
func (t *track) keep(size validate.Size) {
	i, _ := slices.BinarySearchFunc(t.sizes, size, func(a, b validate.Size) int {
		if a.At.After(b.At) {
			return 1
		}
		return -1
	})
	t.sizes = slices.Insert(t.sizes, i, size)
	t.sizes = t.sizes[max(0, len(t.sizes)-keptSizes):]
}

// Accept implements Ledger.
func (m *Memory) Accept(_ context.Context, id ID, a Acceptance) error {
	if err := a.problem(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.segments[id]
	if !ok {
		return fmt.Errorf("segment: accept: %s: no record of this segment", id)
	}
	attempt, ok := t.newest[a.Run]
	if !ok {
		return fmt.Errorf("segment: accept: %s: no record of run %q", id, a.Run)
	}
	r := t.attempts[attemptKey{a.Run, attempt}]
	if r.Report.Stored.IsZero() || r.Report.Stored.IsUnknown() {
		return fmt.Errorf("segment: accept: %s: run %q: its size was never read back", id, a.Run)
	}
	t.sizes, t.accepted = []validate.Size{r.Size()}, &a
	return nil
}

// Segments implements Ledger. It yields what was known when it began.
func (m *Memory) Segments(ctx context.Context) iter.Seq2[Tracked, error] {
	return func(yield func(Tracked, error) bool) {
		for _, t := range m.tracked() {
			if ctx.Err() != nil {
				yield(Tracked{}, context.Cause(ctx))
				return
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (m *Memory) tracked() []Tracked {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Tracked, 0, len(m.segments))
	for _, id := range slices.SortedFunc(maps.Keys(m.segments), ID.Compare) {
		t := m.segments[id]
		all = append(all, Tracked{Segment: id, Sizes: slices.Clone(t.sizes), Last: t.last, Accepted: t.accepted})
	}
	return all
}
