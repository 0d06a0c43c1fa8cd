package segment

import (
	"cmp"
	"context"
	"crypto/rand"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Memory is a Ledger for tests and first steps: what it knows is gone when the
// process ends. Use NewMemory to make one; the zero Memory is not ready.
type Memory struct {
	mu       sync.Mutex
	segments map[Key]*SegmentState
	attempts map[runKey]map[int]RunState // the last state of each attempt
	log      []LogEntry
	rows     map[Key]CommitRow
	numbers  int64 // the last one

	identity  string
	incidents map[string]*Incident
	mutes     []Mute
	sweeps    []SweepNumbers
	jobs      []Job // in order of their IDs
	plans     map[string]*memoryPlan
}

type runKey struct {
	key   Key
	runID string
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		segments: map[Key]*SegmentState{}, attempts: map[runKey]map[int]RunState{}, rows: map[Key]CommitRow{},
		identity: rand.Text(), incidents: map[string]*Incident{}, plans: map[string]*memoryPlan{},
	}
}

// State implements Recorder.
func (m *Memory) State(ctx context.Context, key Key) (SegmentState, error) {
	if ctx.Err() != nil {
		return SegmentState{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.segments[key]; ok {
		return s.clone(), nil
	}
	return SegmentState{Segment: key.Segment, Store: key.Store}, nil
}

// Record implements Recorder.
func (m *Memory) Record(ctx context.Context, r Record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	attempts := m.attempts[runKey{r.Key(), r.RunID}]
	newest := -1
	for attempt := range attempts {
		newest = max(newest, attempt)
	}
	if err := r.Superseded(newest, attempts[r.Attempt]); err != nil {
		return err
	}
	if r.State.GoesLive() {
		row := m.row(r.Key())
		if err := row.GoLive(&r); err != nil {
			return err
		}
		m.rows[r.Key()] = row
	}
	if attempts == nil {
		attempts = map[int]RunState{}
		m.attempts[runKey{r.Key(), r.RunID}] = attempts
	}
	attempts[r.Attempt], r.Hold = r.State, Hold{}
	logged := r
	logged.Submitted = nil
	m.log = append(m.log, LogEntry{Segment: r.Segment, Store: r.Store, At: r.At, Action: ActionRecorded, RunID: r.RunID, Record: &logged})
	s, ok := m.segments[r.Key()]
	if !ok {
		s = &SegmentState{Segment: r.Segment, Store: r.Store}
	}
	s.Record(r)
	m.log = append(m.log, s.Log...)
	if s.Log = nil; !s.IsZero() {
		m.segments[r.Key()] = s
	}
	return nil
}

// row returns a segment's commit row as it is now.
func (m *Memory) row(key Key) CommitRow {
	row := m.rows[key]
	row.Now, row.Seen = time.Now(), row.Generation
	return row
}

// Lock implements Recorder.
func (m *Memory) Lock(ctx context.Context, key Key, change func(*CommitRow) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.row(key)
	if err := change(&row); err != nil {
		return err
	}
	m.rows[key] = row
	return nil
}

// Next implements Ledger.
func (m *Memory) Next(ctx context.Context, key Key) (Start, error) {
	if ctx.Err() != nil {
		return Start{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.numbers++
	return Start{Number: m.numbers, Generation: m.rows[key].Generation}, nil
}

// Change implements Ledger.
func (m *Memory) Change(ctx context.Context, keys []Key, change func(*SegmentState) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	keys = slices.Compact(slices.SortedFunc(slices.Values(keys), Key.Compare))
	changed := make([]SegmentState, len(keys))
	for i, key := range keys {
		changed[i].Segment, changed[i].Store = key.Segment, key.Store
		if s, ok := m.segments[key]; ok {
			changed[i] = s.clone()
		}
		if err := change(&changed[i]); err != nil {
			return err
		}
	}
	for i := range changed {
		s := &changed[i]
		m.log = append(m.log, s.Log...)
		if s.Log = nil; s.IsZero() {
			delete(m.segments, s.Key())
		} else {
			m.segments[s.Key()] = s
		}
	}
	return nil
}

// Segments implements Ledger. It yields what is known when it begins.
func (m *Memory) Segments(ctx context.Context, f SegmentFilter) iter.Seq2[SegmentState, error] {
	return yieldAll(ctx, func() (found []SegmentState) {
		m.mu.Lock()
		defer m.mu.Unlock()
		var keys []Key
		for key, s := range m.segments {
			if f.Match(s) {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, Key.Compare)
		for _, key := range keys[:min(len(keys), cmp.Or(f.Limit, len(keys)))] {
			found = append(found, m.segments[key].clone())
		}
		return found
	})
}

// clone returns a copy that shares nothing with s that anybody changes.
func (s *SegmentState) clone() SegmentState {
	c := *s
	c.Sizes, c.Candidates, c.Excuses, c.Runs.Times = slices.Clone(s.Sizes), slices.Clone(s.Candidates), slices.Clone(s.Excuses), slices.Clone(s.Runs.Times)
	c.Alert = s.Alert.clone()
	if s.Submitted != nil {
		c.Submitted = new(*s.Submitted)
	}
	return c
}

// Log implements Ledger. It yields what was written when it begins.
func (m *Memory) Log(ctx context.Context, f LogFilter) iter.Seq2[LogEntry, error] {
	return yieldAll(ctx, func() (found []LogEntry) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i := range m.log {
			if f.Match(&m.log[i]) {
				found = append(found, f.bared(m.log[i]))
			}
		}
		if f.Limit > 0 {
			found = found[max(0, len(found)-f.Limit):]
		}
		return found
	})
}

// Identity implements Ledger.
func (m *Memory) Identity(ctx context.Context) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return m.identity, nil
}

// Incidents implements Ledger. It yields what is known when it begins.
func (m *Memory) Incidents(ctx context.Context, f IncidentFilter) iter.Seq2[Incident, error] {
	return yieldAll(ctx, func() (found []Incident) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, i := range m.incidents {
			if f.Match(i) {
				found = append(found, m.counted(i, f.Bare))
			}
		}
		slices.SortFunc(found, func(a, b Incident) int { return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID)) })
		return found
	})
}

// ChangeIncident implements Ledger.
func (m *Memory) ChangeIncident(ctx context.Context, id string, change func(*Incident) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.incidents[id]
	if known == nil {
		known = &Incident{ID: id}
	}
	changed := m.counted(known, false)
	if err := change(&changed); err != nil {
		return err
	}
	m.log = append(m.log, changed.Log...)
	changed.Log = nil
	m.incidents[id] = &changed
	return nil
}

// counted returns a copy of an incident with its members counted, unless it is
// wanted bare.
func (m *Memory) counted(i *Incident, bare bool) Incident {
	c := *i
	c.Rings, c.Told, c.Members = slices.Clone(i.Rings), slices.Clone(i.Told), Members{}
	for _, s := range m.segments {
		if !bare && s.Alert.Incident == i.ID {
			c.Members.Add(s)
		}
	}
	return c
}

// Mutes implements Ledger.
func (m *Memory) Mutes(ctx context.Context) ([]Mute, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mutes), nil
}

// ChangeMutes implements Ledger.
func (m *Memory) ChangeMutes(ctx context.Context, change func([]Mute) ([]Mute, error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	mutes, err := change(slices.Clone(m.mutes))
	if err == nil {
		m.mutes = mutes
	}
	return err
}

// yieldAll yields what list returns, until the context ends.
func yieldAll[T any](ctx context.Context, list func() []T) iter.Seq2[T, error] {
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

// sorted returns the keys of a map in order.
func sorted[K interface {
	comparable
	Compare(other K) int
}, V any](m map[K]V) []K {
	return slices.SortedFunc(maps.Keys(m), K.Compare)
}
