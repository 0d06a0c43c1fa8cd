package simulationtest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A humanPlan is somebody who looks at a segment once, and decides.
type humanPlan struct {
	segment segment.ID
	does    decision
	start   time.Duration
	faults  map[int]fault
}

// A decision is what a human does.
type decision string

// The decisions.
const (
	accepts  decision = "accepts what the alert is about"
	suspects decision = "suspects the last size"
	imports  decision = "imports sizes"
	forgets  decision = "forgets the segment"
)

// addHumans adds people to one world in four. They are drawn by themselves: a seed
// has the same jobs with and without them.
func (p *plan) addHumans() {
	r := rand.New(rand.NewPCG(p.seed, 3))
	if r.IntN(4) > 0 {
		return
	}
	for range 1 + r.IntN(3) {
		h := humanPlan{
			segment: p.jobs[r.IntN(len(p.jobs))].segment, does: []decision{accepts, accepts, suspects, imports, forgets}[r.IntN(5)],
			start: time.Duration(r.IntN(int(active + time.Hour))), faults: map[int]fault{},
		}
		if p.faulty() && r.IntN(4) == 0 {
			h.faults[r.IntN(3)] = []fault{fails, lost, hangs, pauses, kills, killed}[r.IntN(6)]
		}
		p.humans = append(p.humans, h)
	}
}

// human looks at a segment, and decides.
func (w *world) human(ctx context.Context, p *process, h *humanPlan) {
	p.does = h.does
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	d := segment.Decision{By: p.name, Why: string(h.does), At: time.Now()}
	var err error
	switch h.does {
	case accepts, suspects:
		state, known := w.look(ctx, h.segment)
		open := state.Alert.Open
		switch {
		case !known:
		case h.does == suspects && state.Last.RunID != "":
			_, err = segment.Suspect(ctx, ledger{}, segment.Selection{Keys: []segment.Key{h.segment.In(w.place)}, RunID: state.Last.RunID}, d)
		case h.does == accepts && open != nil && open.RunID != "":
			_, err = segment.Accept(ctx, ledger{}, segment.Selection{Keys: []segment.Key{h.segment.In(w.place)}, RunID: open.RunID}, d)
		}
	case imports:
		size := validate.Size{Users: 10_050, At: time.Now().AddDate(0, 0, -20)}
		err = segment.Import(ctx, ledger{}, []segment.SizeImport{{Segment: h.segment, Store: w.place, Sizes: []validate.Size{size}}})
	case forgets:
		err = segment.Forget(ctx, ledger{}, segment.Selection{Keys: []segment.Key{h.segment.In(w.place)}}, d)
	}
	p.say("%s: %v", h.does, err)
}

// look reads what is at hand of a segment.
func (w *world) look(ctx context.Context, id segment.ID) (state segment.SegmentState, known bool) {
	for s, err := range (ledger{}).Segments(ctx, segment.SegmentFilter{}) {
		if err == nil && s.Segment == id {
			state, known = s, true
		}
	}
	return state, known
}

// decided notes what a human made of a segment, which the world is judged by.
func (w *world) decided(does decision, before *segment.Alert, after *segment.SegmentState) {
	if before != nil && after.Alert.Open == nil {
		w.ended[after.Segment] = time.Now()
	}
	switch does { //nolint:exhaustive // the others change nothing that is judged
	case forgets:
		w.forgotten[after.Segment] = true
	case accepts:
		for _, size := range after.Sizes {
			w.accepted[acceptedSize{after.Segment, size.Users}] = true
		}
	}
}

type acceptedSize struct {
	segment segment.ID
	users   int64
}

// excused reports whether a human said that the segment may be as it is.
func (w *world) excused(id segment.ID, live map[string]int64) bool {
	return w.forgotten[id] || w.accepted[acceptedSize{id, total(live)}]
}

// verified reports whether a size may be in a baseline: a sweep keeps what it sees of
// a segment that was forgotten, as of one without a guard.
func (w *world) verified(id segment.ID, s *validate.Size) bool {
	return s.Users >= 10_000 && s.Users < 10_200 || w.accepted[acceptedSize{id, s.Users}] || w.forgotten[id] && s.Unguarded || w.learned(id, s.Users)
}

// misled reports whether a human accepted a size that is none of a good run, by which
// good ones may seem to be wrong, or forgot what is known of the segment.
func (w *world) misled(id segment.ID) bool {
	for a := range w.accepted {
		if a.segment == id && (a.users < 10_000 || a.users >= 10_200) {
			return true
		}
	}
	return w.forgotten[id]
}
