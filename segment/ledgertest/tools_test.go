package ledgertest_test

import (
	"context"
	"iter"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// A badTools is what a bad ledger does in place of what tools ask for.
type badTools struct {
	counts    func([]segment.AlertCount) []segment.AlertCount
	keepSweep func(*memory, segment.SweepNumbers) error
	keepJobs  func(*memory, []segment.Job) error
	jobs      func(*segment.JobFilter)
}

func (b *badLedger) CountAlerts(ctx context.Context) ([]segment.AlertCount, error) {
	counts, err := b.memory.CountAlerts(b.heard(ctx, "CountAlerts"))
	if b.tools.counts != nil {
		counts = b.tools.counts(counts)
	}
	return counts, err
}

func (b *badLedger) Sweeps(ctx context.Context, n int) ([]segment.SweepNumbers, error) {
	return b.memory.Sweeps(b.heard(ctx, "Sweeps"), n)
}

func (b *badLedger) KeepSweep(ctx context.Context, s segment.SweepNumbers) error {
	if b.tools.keepSweep != nil && ctx.Err() == nil {
		return b.tools.keepSweep(b.memory, s)
	}
	return b.memory.KeepSweep(b.heard(ctx, "KeepSweep"), s)
}

func (b *badLedger) Jobs(ctx context.Context, f segment.JobFilter) iter.Seq2[segment.Job, error] {
	if b.tools.jobs != nil {
		b.tools.jobs(&f)
	}
	return b.memory.Jobs(b.heard(ctx, "Jobs"), f)
}

func (b *badLedger) KeepJobs(ctx context.Context, jobs []segment.Job) error {
	if b.tools.keepJobs != nil && ctx.Err() == nil {
		return b.tools.keepJobs(b.memory, jobs)
	}
	return b.memory.KeepJobs(b.heard(ctx, "KeepJobs"), jobs)
}

var badForTools = []badLedgerOf{
	{"counts each alert twice", "a page says what is not so", &badLedger{tools: badTools{counts: func(counts []segment.AlertCount) []segment.AlertCount {
		for i := range counts {
			counts[i].Alerts *= 2
		}
		return counts
	}}}, "alert_counts"},
	{"counts by the mildest", "what people were told is worse", &badLedger{tools: badTools{counts: func(counts []segment.AlertCount) []segment.AlertCount {
		for i := range counts {
			counts[i].Level = segment.LevelProtected
		}
		return counts
	}}}, "alert_counts"},
	{"keeps the first of two sweeps", "the numbers are those of the last", &badLedger{tools: badTools{keepSweep: func(m *memory, s segment.SweepNumbers) error {
		known, err := m.Sweeps(background, 1<<20)
		if slices.ContainsFunc(known, func(k segment.SweepNumbers) bool { return k.Store == s.Store && k.At.Equal(s.At) }) {
			return nil
		}
		if err == nil {
			err = m.KeepSweep(background, s)
		}
		return err
	}}}, "sweeps"},
	{"forgets incomplete sweeps", "the last one did not come to its end", &badLedger{tools: badTools{keepSweep: func(m *memory, s segment.SweepNumbers) error {
		s.Complete = true
		return m.KeepSweep(background, s)
	}}}, "sweeps"},
	{"keeps jobs that are gone", "they would be run again", &badLedger{tools: badTools{keepJobs: func(m *memory, jobs []segment.Job) error {
		for j := range m.Jobs(background, segment.JobFilter{}) {
			if !slices.ContainsFunc(jobs, func(k segment.Job) bool { return k.ID == j.ID }) {
				jobs = append(slices.Clone(jobs), j)
			}
		}
		return m.KeepJobs(background, jobs)
	}}}, "jobs"},
	{"takes readers for writers", "what is downstream is not found", &badLedger{tools: badTools{jobs: func(f *segment.JobFilter) { f.From = segment.ID{} }}}, "jobs"},
	{"counts alerts after the end", "who was told to stop says so", &badLedger{deaf: "CountAlerts"}, "tools,_cancelled"},
	{"lists sweeps after the end", "who was told to stop says so", &badLedger{deaf: "Sweeps"}, "tools,_cancelled"},
	{"keeps sweeps after the end", "who was told to stop says so", &badLedger{deaf: "KeepSweep"}, "tools,_cancelled"},
	{"lists jobs after the end", "who was told to stop says so", &badLedger{deaf: "Jobs"}, "tools,_cancelled"},
	{"keeps jobs after the end", "who was told to stop says so", &badLedger{deaf: "KeepJobs"}, "tools,_cancelled"},
}
