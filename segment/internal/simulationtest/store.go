package simulationtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// A store holds, for each segment, what each run's output left of it there, and
// what is staged.
type store struct {
	live   map[segment.ID]map[string]int64 // users by the attempt that wrote them
	staged map[string]int64                // by attempt
}

func total(users map[string]int64) (n int64) {
	for _, u := range users {
		n += u
	}
	return n
}

// An output is what one attempt writes.
type output struct {
	id      segment.ID
	attempt string // its run and attempt
	number  atomic.Int64
	until   atomic.Int64 // when the store is to have answered; 0: at once
	users   int64        // that it writes
	right   int64        // that it should write
	night   int          // in a world of weeks
	tainted bool         // it may land after whoever waits for it gave it up
	landed  bool
}

// goLive puts an output in the place of what was there.
func (w *world) goLive(o *output, users map[string]int64) {
	for attempt := range w.store.live[o.id] {
		if over := w.outputs[attempt]; over != nil && over != o && !o.tainted && over.landed && o.number.Load() != 0 && o.number.Load() < over.number.Load() {
			w.violate("%s went live over %s, which began later", o.attempt, attempt)
		}
	}
	o.landed = true
	w.store.live[o.id] = users
}

// staging returns how an output goes live that is written aside.
func (w *world) staging(p *process, o *output) segment.Staging {
	return segment.Staging{
		Commit: func(ctx context.Context) error {
			return p.call(ctx, "store: commit", 0, func() error {
				n, there := w.store.staged[o.attempt]
				if !there {
					return errors.New("nothing is staged")
				}
				w.goLive(o, map[string]int64{o.attempt: n})
				delete(w.store.staged, o.attempt)
				return nil
			})
		},
		Discard: func(ctx context.Context) error {
			return p.call(ctx, "store: discard", wait, func() error {
				if _, live := w.store.live[o.id][o.attempt]; live {
					w.violate("%s was discarded, and is live", o.attempt)
				}
				delete(w.store.staged, o.attempt)
				return nil
			})
		},
	}
}

// A transaction is a job's own, as of a database at READ COMMITTED: it sees what
// others committed and what it wrote itself, and takes out what it saw.
type transaction struct {
	world   *world
	process *process
	output  *output
	deleted map[string]bool
	wrote   int64
	counted int64 // what the guard read back last
	row     *segment.CommitRow
	record  *segment.Record
	over    bool
}

// sees returns what the transaction reads.
func (tx *transaction) sees() map[string]int64 {
	seen := maps.Clone(tx.world.store.live[tx.output.id])
	maps.DeleteFunc(seen, func(attempt string, _ int64) bool { return tx.deleted[attempt] })
	if seen == nil {
		seen = map[string]int64{}
	}
	if tx.wrote > 0 {
		seen[tx.output.attempt] = tx.wrote
	}
	return seen
}

// reads begins to count: a statement reads what was there when it began.
func (tx *transaction) reads() func() int64 {
	tx.counted = total(tx.sees())
	return func() int64 { return tx.counted }
}

func (tx *transaction) write(ctx context.Context, users int64) error {
	err := tx.process.call(ctx, "tx: delete", 0, func() error {
		for attempt := range tx.world.store.live[tx.output.id] {
			tx.deleted[attempt] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.process.call(ctx, "tx: insert", 0, func() error { tx.wrote = users; return nil })
}

func (tx *transaction) State(ctx context.Context, key segment.Key) (s segment.SegmentState, err error) {
	err = tx.process.call(ctx, "tx: state", wait, func() error {
		s, err = tx.world.ledger.State(context.WithoutCancel(ctx), key)
		return err
	})
	return s, err
}

// Lock holds the row until the transaction is over.
func (tx *transaction) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	return tx.world.locked(withID(ctx, key.Segment), tx.process, tx, "tx: lock", func() error {
		tx.world.locks[key.Segment] = tx
		return tx.world.ledger.Lock(context.WithoutCancel(ctx), key, func(c *segment.CommitRow) error {
			row := *c
			if err := change(&row); err != nil {
				return err
			}
			tx.row = &row
			return nil
		})
	})
}

// Record writes down what is recorded with the data.
func (tx *transaction) Record(ctx context.Context, r segment.Record) error {
	return tx.process.call(ctx, "tx: record "+string(r.State), wait, func() error {
		if tx.row == nil {
			return errors.New("recorded without the lock")
		}
		row, checked := *tx.row, r
		if err := row.GoLive(&checked); err != nil {
			return err
		}
		tx.record = &r
		return nil
	})
}

// staging returns how the transaction ends.
func (tx *transaction) staging() segment.Staging {
	return segment.Staging{
		Tx:      tx,
		Commit:  func(ctx context.Context) error { return tx.process.call(ctx, "tx: commit", 0, tx.commit) },
		Discard: func(ctx context.Context) error { return tx.process.call(ctx, "tx: rollback", wait, tx.rollback) },
	}
}

func (tx *transaction) commit() error {
	if tx.over {
		return errors.New("the transaction is over")
	}
	defer func() { _ = tx.rollback() }()
	w, id := tx.world, tx.output.id
	if tx.record != nil {
		if err := w.ledger.Lock(context.Background(), id.In(w.place), func(c *segment.CommitRow) error { *c = *tx.row; return nil }); err != nil {
			return err
		}
		if err := w.ledger.Record(context.Background(), *tx.record); err != nil {
			return err
		}
	}
	seen := tx.sees()
	if n := total(seen); tx.record != nil && n != tx.counted && !w.landsLate(id) {
		w.violate("%s was verified with %d users, and went live with %d: %v", tx.output.attempt, tx.counted, n, seen)
	}
	w.goLive(tx.output, seen)
	return nil
}

func (tx *transaction) rollback() error {
	tx.over = true
	if tx.world.locks[tx.output.id] == tx {
		delete(tx.world.locks, tx.output.id)
		close(tx.world.unlocked)
		tx.world.unlocked = make(chan struct{})
	}
	return nil
}

// locked makes a call that needs a commit row, which a transaction may hold.
func (w *world) locked(ctx context.Context, p *process, tx *transaction, what string, do func() error) error {
	for {
		var free chan struct{}
		err := p.call(ctx, what, p.wait(), func() error {
			if holder := w.locks[idOf(ctx)]; holder != nil && holder != tx {
				free = w.unlocked
				return nil
			}
			return do()
		})
		if free == nil || err != nil {
			return err
		}
		since := time.Now()
		select {
		case <-free:
		case <-ctx.Done():
			if waited := time.Since(since); p.wait() > 0 && waited > wait+time.Second && !p.dead.Load() {
				w.violate("%s waited %v for a lock", p.name, waited)
			}
			return context.Cause(ctx)
		}
	}
}

// A ledger is the world's, as the process of each call finds it.
type ledger struct{}

func (ledger) State(ctx context.Context, key segment.Key) (s segment.SegmentState, err error) {
	p := of(ctx)
	err = p.call(ctx, "state", p.wait(), func() error {
		s, err = p.world.ledger.State(context.WithoutCancel(ctx), key)
		return err
	})
	return s, err
}

func (ledger) Record(ctx context.Context, r segment.Record) error {
	p := of(ctx)
	if r.State == segment.RunRejected {
		p.world.scheduler.mu.Lock()
		p.world.verdicts[fmt.Sprint(r.RunID, "/", r.Attempt)] = true
		p.world.scheduler.mu.Unlock()
	}
	do := func() error {
		err := p.world.ledger.Record(context.WithoutCancel(ctx), r)
		if err == nil {
			p.world.settles(p, &r)
		}
		return err
	}
	if r.State.GoesLive() {
		return p.world.locked(withID(ctx, r.Segment), p, nil, "record "+string(r.State), do)
	}
	return p.call(ctx, "record "+string(r.State), p.wait(), do)
}

func (ledger) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	p := of(ctx)
	return p.world.locked(withID(ctx, key.Segment), p, nil, "lock", func() error {
		return p.world.ledger.Lock(context.WithoutCancel(ctx), key, change)
	})
}

func (ledger) Next(ctx context.Context, key segment.Key) (start segment.Start, err error) {
	p := of(ctx)
	err = p.call(ctx, "next", p.wait(), func() error {
		start, err = p.world.ledger.Next(context.WithoutCancel(ctx), key)
		p.number = start.Number
		return err
	})
	return start, err
}

func (ledger) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	p := of(ctx)
	return p.call(ctx, "change", p.wait(), func() error {
		return p.world.ledger.Change(context.WithoutCancel(ctx), keys, func(s *segment.SegmentState) error {
			before, unsettled, entries := s.Alert.Open, s.Alert.Unsettled, len(s.Log)
			err := change(s)
			if p.does != "" {
				p.world.decided(p.does, before, s)
			}
			p.world.changed(p, before, s, s.Log[entries:])
			if unsettled && s.Alert.Open == nil && p.wait() > 0 {
				p.world.violate("%s ended an alert that nobody knows what is live, and did not look: %s", p.name, before.Text)
			}
			if a := s.Alert.Open; a != nil && a.Protected() && a.Number != 0 && a.Number < s.Number && (before == nil || before.RunID != a.RunID) && p.wait() > 0 {
				p.world.violate("%s opened an alert about itself, and one that began later is live: %s", p.name, a.Text)
			}
			return err
		})
	})
}

func (ledger) Identity(ctx context.Context) (name string, err error) {
	p := of(ctx)
	err = p.call(ctx, "identity", p.wait(), func() error {
		name, err = p.world.ledger.Identity(context.WithoutCancel(ctx))
		return err
	})
	return name, err
}

func (ledger) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	return listed(ctx, "incidents", func(m segment.Ledger) iter.Seq2[segment.Incident, error] { return m.Incidents(context.Background(), f) })
}

func (ledger) ChangeIncident(ctx context.Context, id string, change func(*segment.Incident) error) error {
	p := of(ctx)
	return p.call(ctx, "change incident", p.wait(), func() error {
		return p.world.ledger.ChangeIncident(context.WithoutCancel(ctx), id, change)
	})
}

func (ledger) Mutes(ctx context.Context) (mutes []segment.Mute, err error) {
	p := of(ctx)
	err = p.call(ctx, "mutes", p.wait(), func() error {
		mutes, err = p.world.ledger.Mutes(context.WithoutCancel(ctx))
		return err
	})
	return mutes, err
}

func (ledger) ChangeMutes(ctx context.Context, change func([]segment.Mute) ([]segment.Mute, error)) error {
	p := of(ctx)
	return p.call(ctx, "change mutes", p.wait(), func() error {
		return p.world.ledger.ChangeMutes(context.WithoutCancel(ctx), change)
	})
}

// CountAlerts and those below are for tools: nothing that guards and monitors do
// depends on them, so they take no turn.
func (ledger) CountAlerts(ctx context.Context) ([]segment.AlertCount, error) {
	return of(ctx).world.ledger.CountAlerts(context.WithoutCancel(ctx))
}

func (ledger) Sweeps(ctx context.Context, n int) ([]segment.SweepNumbers, error) {
	return of(ctx).world.ledger.Sweeps(context.WithoutCancel(ctx), n)
}

func (ledger) KeepSweep(ctx context.Context, s segment.SweepNumbers) error {
	return of(ctx).world.ledger.KeepSweep(context.WithoutCancel(ctx), s)
}

func (ledger) Jobs(ctx context.Context, f segment.JobFilter) iter.Seq2[segment.Job, error] {
	return of(ctx).world.ledger.Jobs(context.WithoutCancel(ctx), f)
}

func (ledger) KeepJobs(ctx context.Context, jobs []segment.Job) error {
	return of(ctx).world.ledger.KeepJobs(context.WithoutCancel(ctx), jobs)
}

func (ledger) Plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	return of(ctx).world.ledger.Plans(context.WithoutCancel(ctx), f)
}

func (ledger) KeepPlan(ctx context.Context, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	return of(ctx).world.ledger.KeepPlan(context.WithoutCancel(ctx), p, steps)
}

func (ledger) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	return of(ctx).world.ledger.Steps(context.WithoutCancel(ctx), f)
}

func (ledger) CountSteps(ctx context.Context, plan string) (map[segment.StepState]int, error) {
	return of(ctx).world.ledger.CountSteps(context.WithoutCancel(ctx), plan)
}

func (ledger) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	return of(ctx).world.ledger.ChangeSteps(context.WithoutCancel(ctx), plan, numbers, change)
}

func (ledger) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return listed(ctx, "segments", func(m segment.Ledger) iter.Seq2[segment.SegmentState, error] {
		return m.Segments(context.Background(), f)
	})
}

func (ledger) Log(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	return listed(ctx, "log", func(m segment.Ledger) iter.Seq2[segment.LogEntry, error] { return m.Log(context.Background(), f) })
}

// listed reads a sequence in one step.
func listed[T any](ctx context.Context, what string, list func(segment.Ledger) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		p := of(ctx)
		var items []T
		err := p.call(ctx, what, p.wait(), func() error {
			for item, err := range list(p.world.ledger) {
				if err != nil {
					return err
				}
				items = append(items, item)
			}
			return nil
		})
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

func sortedKeys[V any](m map[segment.ID]V) []segment.ID {
	return slices.SortedFunc(maps.Keys(m), segment.ID.Compare)
}

type idKey struct{}

func withID(ctx context.Context, id segment.ID) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

func idOf(ctx context.Context) segment.ID { id, _ := ctx.Value(idKey{}).(segment.ID); return id }
