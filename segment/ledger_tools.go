package segment

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// An AlertCount says how many open alerts have all of this in common. Urgency, Kind
// and Level are the worst of the onset, as people were told.
type AlertCount struct {
	SiteGroup string
	Store     string
	Urgency   Urgency
	Kind      validate.Kind
	Level     Level
	JobKind   JobKind
	Build     string
	Incident  string
	Alerts    int
	Users     int64 // at stake in all of them
}

// A SweepNumbers is what a ledger keeps of a sweep.
type SweepNumbers struct {
	Store     string    `json:"store,omitempty"` // of the monitor
	At        time.Time `json:"at"`
	Complete  bool      `json:"complete"`
	Segments  int       `json:"segments"`
	Healthy   int       `json:"healthy"`
	Affected  int       `json:"affected"`
	Unwatched int       `json:"unwatched"`
	Missing   int       `json:"missing"`
}

// numbers returns what a ledger keeps of a sweep.
func (s *Sweep) numbers(store string) SweepNumbers {
	return SweepNumbers{
		Store: store, At: s.At, Complete: s.Complete, Segments: s.Segments, Healthy: s.Healthy,
		Affected: len(s.Affected), Unwatched: s.Unwatched, Missing: s.Missing,
	}
}

// A JobFilter selects jobs; the zero JobFilter selects all.
type JobFilter struct {
	To    ID  // that write this segment; zero: any
	From  ID  // that read this segment; zero: any
	Limit int // at most so many; 0: all
}

// Match reports whether f selects j. It leaves Limit to the caller.
func (f *JobFilter) Match(j *Job) bool {
	return allows(f.To, j.To) && (f.From.IsZero() || slices.Contains(j.From, f.From))
}

// CountAlerts implements Ledger.
func (m *Memory) CountAlerts(ctx context.Context) ([]AlertCount, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[AlertCount]AlertCount{}
	for _, s := range m.segments {
		a := s.Alert.Open
		if a == nil {
			continue
		}
		worst := s.Alert.toldBy()
		is := AlertCount{
			SiteGroup: s.Segment.SiteGroup, Store: s.Store, Urgency: worst.Urgency, Kind: worst.Kind, Level: worst.Level,
			JobKind: a.Job.Kind, Build: a.Build, Incident: s.Alert.Incident,
		}
		c := cmp.Or(counts[is], is)
		c.Alerts++
		c.Users += a.Users
		counts[is] = c
	}
	return slices.Collect(maps.Values(counts)), nil
}

// Sweeps implements Ledger.
func (m *Memory) Sweeps(ctx context.Context, n int) ([]SweepNumbers, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	sweeps := slices.Clone(m.sweeps)
	slices.SortStableFunc(sweeps, func(a, b SweepNumbers) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Store, b.Store)) })
	return sweeps[:min(max(n, 0), len(sweeps))], nil
}

// KeepSweep implements Ledger.
func (m *Memory) KeepSweep(ctx context.Context, s SweepNumbers) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweeps = slices.DeleteFunc(m.sweeps, func(known SweepNumbers) bool { return known.Store == s.Store && known.At.Equal(s.At) })
	m.sweeps = append(m.sweeps, s)
	return nil
}

// Jobs implements Ledger. It yields what is known when it begins.
func (m *Memory) Jobs(ctx context.Context, f JobFilter) iter.Seq2[Job, error] {
	return yieldAll(ctx, func() (found []Job) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, j := range m.jobs {
			if f.Match(&j) {
				found = append(found, j)
			}
		}
		return found[:min(len(found), cmp.Or(f.Limit, len(found)))]
	})
}

// KeepJobs implements Ledger.
func (m *Memory) KeepJobs(ctx context.Context, jobs []Job) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs = slices.CompactFunc(slices.SortedFunc(slices.Values(jobs), func(a, b Job) int { return cmp.Compare(a.ID, b.ID) }),
		func(a, b Job) bool { return a.ID == b.ID })
	return nil
}

// toldBy returns by which urgency, kind and level people were told of what is open, or
// would be, where nobody was.
func (s *AlertState) toldBy() Mark {
	switch {
	case s.Open == nil:
		return Mark{}
	case len(s.Marks) == 0:
		return s.Open.mark()
	}
	return s.worst()
}
