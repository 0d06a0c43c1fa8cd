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

// A Memory is a Ledger for tests and first steps: it forgets all when the
// process ends. The zero Memory is not ready, NewMemory is.
type Memory struct {
	mu       sync.Mutex
	segments map[ID]*SegmentState
	attempts map[runKey]map[int]Record // the last record of each attempt
	alerts   map[ID]AlertState
}

type runKey struct {
	segment ID
	run     string
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{segments: map[ID]*SegmentState{}, attempts: map[runKey]map[int]Record{}, alerts: map[ID]AlertState{}}
}

// Sizes implements History.
func (m *Memory) Sizes(ctx context.Context, id ID, n int) ([]validate.Size, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.segments[id]
	if !ok {
		return nil, nil
	}
	return slices.Clone(t.Sizes[max(0, len(t.Sizes)-max(n, 0)):]), nil
}

// Record implements History.
func (m *Memory) Record(ctx context.Context, r Record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	attempts := m.attempts[runKey{r.Segment, r.RunID}]
	for newer := range attempts {
		if newer > r.Attempt && r.State.goesLive() {
			return fmt.Errorf("%s: attempt %d of run %s is %w by attempt %d", r.Segment, r.Attempt, r.RunID, ErrSuperseded, newer)
		}
	}
	if state := attempts[r.Attempt].State; state == RunCommitted || state == RunObserved {
		return fmt.Errorf("%s: attempt %d of run %s is %w: it is live already", r.Segment, r.Attempt, r.RunID, ErrSuperseded)
	}
	if attempts == nil {
		attempts = map[int]Record{}
		m.attempts[runKey{r.Segment, r.RunID}] = attempts
	}
	attempts[r.Attempt] = r
	m.tracked(r.Segment).Record(r)
	return nil
}

// tracked is what is known of a segment, from here on also if nothing was.
func (m *Memory) tracked(id ID) *SegmentState {
	t, ok := m.segments[id]
	if !ok {
		t = &SegmentState{Segment: id}
		m.segments[id] = t
	}
	return t
}

// last is the last attempt of a run, whose size somebody has a word on.
func (m *Memory) last(id ID, run string) (Record, error) {
	attempts := m.attempts[runKey{id, run}]
	if len(attempts) == 0 {
		return Record{}, fmt.Errorf("no record of run %q", run)
	}
	return attempts[slices.Max(slices.Collect(maps.Keys(attempts)))], nil
}

// Accept implements Ledger.
func (m *Memory) Accept(ctx context.Context, id ID, a Acceptance) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.last(id, a.RunID)
	if err == nil {
		err = m.tracked(id).Accept(r, a)
	}
	if err != nil {
		return fmt.Errorf("segment: accept: %s: %w", id, err)
	}
	m.close(id)
	return nil
}

// Suspect implements Ledger.
func (m *Memory) Suspect(ctx context.Context, id ID, s Suspicion) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.last(id, s.RunID)
	if err != nil {
		return fmt.Errorf("segment: suspect: %s: %w", id, err)
	}
	m.tracked(id).Suspect(r)
	return nil
}

// Import implements Ledger.
func (m *Memory) Import(ctx context.Context, sizes []SizeImport) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, i := range sizes {
		if err := i.Validate(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range sizes {
		m.tracked(i.Segment).Import(i.Sizes)
	}
	return nil
}

// Forget implements Ledger.
func (m *Memory) Forget(ctx context.Context, ids ...ID) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.segments, id)
		m.close(id)
	}
	return nil
}

func (m *Memory) close(id ID) {
	if s, ok := m.alerts[id]; ok {
		s.Open = nil
		m.alerts[id] = s
	}
}

// Segments implements Ledger. It yields what was known when it began.
func (m *Memory) Segments(ctx context.Context) iter.Seq2[SegmentState, error] {
	return all(ctx, func() (found []SegmentState) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, id := range sorted(m.segments) {
			t := *m.segments[id]
			t.Sizes = slices.Clone(t.Sizes)
			found = append(found, t)
		}
		return found
	})
}

// Attempts implements Ledger. It yields what was known when it began.
func (m *Memory) Attempts(ctx context.Context, f LogFilter) iter.Seq2[Record, error] {
	return all(ctx, func() (found []Record) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, attempts := range m.attempts {
			for _, r := range attempts {
				if f.Match(&r) {
					found = append(found, r)
				}
			}
		}
		slices.SortFunc(found, Record.compare)
		return found
	})
}

// Alerts implements Ledger. It yields what was known when it began.
func (m *Memory) Alerts(ctx context.Context) iter.Seq2[AlertState, error] {
	return all(ctx, func() (found []AlertState) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, id := range sorted(m.alerts) {
			found = append(found, m.alerts[id])
		}
		return found
	})
}

// ChangeAlerts implements Ledger.
func (m *Memory) ChangeAlerts(ctx context.Context, ids []ID, change func(*AlertState)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		s := m.alerts[id]
		s.Segment = id
		change(&s)
		if s.IsZero() {
			delete(m.alerts, id)
		} else {
			m.alerts[id] = s
		}
	}
	return nil
}

// all yields what list returns, until the context ends.
func all[T any](ctx context.Context, list func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range list() {
			if ctx.Err() != nil {
				break
			}
			if !yield(item, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			var none T
			yield(none, context.Cause(ctx))
		}
	}
}

func sorted[V any](m map[ID]V) []ID { return slices.SortedFunc(maps.Keys(m), ID.Compare) }
