package simulationtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// later is the way of a run that ends before its store shows what it wrote.
const later way = "submitted"

// answersWithin is how long a store may take that answers later.
const answersWithin = 3 * time.Hour

// addLater gives one world in eight a segment in a store that answers later, and
// processes that settle its runs. It draws by itself, as thin does.
func (p *plan) addLater() {
	r := rand.New(rand.NewPCG(p.seed, 6))
	if r.IntN(8) > 0 {
		return
	}
	calm, equal := !p.faulty(), r.IntN(3) == 0
	for range 2 + r.IntN(3) {
		j := jobPlan{
			segment: segment.ID{SiteGroup: "g", Name: "l"}, way: later, start: time.Duration(r.IntN(int(active))), takes: time.Duration(r.IntN(int(2 * time.Minute))),
			right: 10_000, retry: time.Duration(r.IntN(int(5 * time.Minute))), faults: map[int]fault{}, answers: time.Duration(r.IntN(int(answersWithin - 10*time.Minute))),
		}
		if !equal {
			j.right += int64(r.IntN(100))
		}
		j.users = j.right
		if !calm && r.IntN(4) == 0 {
			j.users = j.right * 6 / 10
		}
		if !calm && r.IntN(4) == 0 {
			j.faults[r.IntN(14)] = []fault{fails, lost, hangs, late, pauses, kills, killed}[r.IntN(7)]
		}
		p.jobs = append(p.jobs, j)
	}
	for range 2 + r.IntN(4) {
		s := sweepPlan{start: time.Duration(r.IntN(int(active + 4*time.Hour))), faults: map[int]fault{}}
		if !calm && r.IntN(4) == 0 {
			s.faults[r.IntN(8)] = []fault{fails, lost, hangs, pauses, kills, killed}[r.IntN(6)]
		}
		p.settles = append(p.settles, s)
	}
}

// fewerSettles returns plans with one settler less, or one fault.
func (p *plan) fewerSettles() (plans []plan) {
	for i, s := range p.settles {
		less := *p
		less.settles = slices.Delete(slices.Clone(p.settles), i, i+1)
		plans = append(plans, less)
		if len(s.faults) > 0 {
			less.settles = slices.Clone(p.settles)
			less.settles[i].faults = nil
			plans = append(plans, less)
		}
	}
	return plans
}

// upload hands an output to the store, which shows it later.
func (w *world) upload(ctx context.Context, p *process, j jobPlan, o *output) error {
	time.Sleep(j.takes)
	return p.call(ctx, "store: upload", 0, func() error {
		w.spawn("processing", j.answers, nil, func(ctx context.Context, q *process) {
			_ = q.call(ctx, "store: process", 0, func() error {
				if number := o.number.Load(); number >= w.processed[o.id] { // the later upload holds
					w.processed[o.id] = number
					w.goLive(o, map[string]int64{o.attempt: o.users})
				}
				return nil
			})
		})
		return nil
	})
}

// submit makes an attempt that ends with what it uploaded.
func (w *world) submit(ctx context.Context, f *platform, p *process, i, attempt int, j jobPlan, o *output) error {
	guard := f.guards[j.skew]
	run := segment.Run{
		ID: fmt.Sprint("job", i), Attempt: attempt, Build: "v1", Job: segment.Copy(j.segment, w.plan.from(j.segment)),
		Expected: validate.Count(j.right), Read: validate.Count(j.right), Live: true,
	}
	_, err := guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
		o.number.Store(p.number)
		if err := w.upload(ctx, p, j, o); err != nil {
			return err
		}
		o.until.Store(time.Now().Add(answersWithin).UnixNano())
		return guard.Submit(ctx, *run, time.Now().Add(j.skew+answersWithin))
	})
	return err
}

// settle settles what was submitted.
func (w *world) settle(ctx context.Context, f *platform) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	p := of(ctx)
	settled, err := f.guards[0].Settle(ctx, func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
		var users int64
		err := p.call(ctx, "store: size", 0, func() error { users = total(w.store.live[s.Segment]); return nil })
		return validate.Count(users), err
	})
	p.say("settled %+v: %v", settled, err)
}

// settles wants a run that somebody settled as right to be what the store shows.
func (w *world) settles(p *process, r *segment.Record) {
	if r.State != segment.RunCommitted || !strings.HasPrefix(p.name, "settle") {
		return
	}
	live, attempt := w.store.live[r.Segment], fmt.Sprintf("%s/%d", r.RunID, r.Attempt)
	shown := false
	for other := range live { // a later one that was killed before it could say so may be there
		shown = shown || other == attempt || w.outputs[other].number.Load() > w.outputs[attempt].number.Load()
	}
	early := time.Now().UnixNano() < w.outputs[attempt].until.Load() // from then on a number is all that there is
	if early && !shown || !w.well(live) || total(live) != r.Users {
		w.violate("%s settled run %s with %d users as right, and live is %v", p.name, r.RunID, r.Users, live)
	}
}

// judgeSubmitted wants no run to wait any more.
func (w *world) judgeSubmitted(s *segment.SegmentState) {
	if s.Submitted != nil {
		w.violate("%s: run %s waits for its store still", s.Segment, s.Submitted.RunID)
	}
}

// spawnSettlers starts the processes that settle, and those that do so when all is at
// rest.
func (w *world) spawnSettlers(f *platform) {
	for i, s := range w.plan.settles {
		w.spawn(fmt.Sprint("settle", i), s.start, s.faults, func(ctx context.Context, _ *process) { w.settle(ctx, f) })
	}
	submits := slices.ContainsFunc(w.plan.jobs, func(j jobPlan) bool { return j.way == later })
	if len(w.plan.settles) == 0 && !submits { // with all of them left out a run would wait for ever
		return
	}
	for i, at := range []time.Duration{11 * time.Hour, 23 * time.Hour} {
		w.spawn(fmt.Sprint("settle last", i), w.plan.rest+at, nil, func(ctx context.Context, _ *process) { w.settle(ctx, f) })
	}
}
