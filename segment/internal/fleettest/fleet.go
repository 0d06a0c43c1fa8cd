// Package fleettest fills a ledger with a fleet as people would meet it at three in
// the morning: a month of nights, a deployment with two bugs, what guards and a sweep
// found, and what somebody decided.
package fleettest

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// Now is the time of the fleet: three in the morning after the deployment.
var Now = time.Date(2024, 3, 18, 3, 10, 0, 0, time.UTC)

// Builds of the jobs: the second has two bugs.
const (
	Healthy = "2024.11.2"
	Broken  = "2024.11.3"
)

// Hostile are names that a page must show as what they are.
var Hostile = []segment.ID{
	{SiteGroup: "site-x", Name: `<script>alert("x")</script><b>bold</b>`},
	{SiteGroup: "site-x", Name: "terminal\x1b[31mred\x1b[0m\nsecond line"},
	{SiteGroup: "site-x", Name: "right\u202eot tfel\u2066"},
	{SiteGroup: `site/"x' onmouseover='y`, Name: "javascript:alert(1)"},
	{SiteGroup: "site-x", Name: strings.Repeat("long", 256)},
}

// A Fleet is what Fill made.
type Fleet struct {
	Jobs  []segment.Job
	Sweep segment.Sweep
}

// Topics are what segments are about.
var Topics = []string{"boats", "books", "cars", "gardens", "hiking", "movies", "music", "pets", "recipes", "sports", "travel", "wine"}

// A world is a fleet while it is filled.
type world struct {
	ledger segment.Ledger
	guard  *segment.Guard
	now    time.Time
	again  int // the attempt
	random *rand.Rand
	fleet  *Fleet
	level  map[segment.ID]float64
	live   map[segment.ID]int64
}

type quiet struct{}

func (quiet) Tell(context.Context, []segment.Alert, []segment.Alert) error { return nil }

// Fill fills a ledger, the same each time.
func Fill(ctx context.Context, l segment.Ledger) (*Fleet, error) {
	w := &world{
		ledger: l, random: rand.New(rand.NewPCG(3, 18)), fleet: &Fleet{}, //nolint:gosec // no secrets
		level: map[segment.ID]float64{}, live: map[segment.ID]int64{},
	}
	var err error
	w.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: l, Alerter: quiet{}, Now: w.clock, Rules: rules})
	if err != nil {
		return nil, err
	}
	w.jobs()
	for day := 30; day >= 0; day-- {
		w.now = Now.AddDate(0, 0, -day).Add(-3 * time.Hour)
		for i := range w.fleet.Jobs {
			if err := w.run(ctx, &w.fleet.Jobs[i], day == 0); err != nil {
				return nil, err
			}
		}
		if day == 10 {
			if err := w.decide(ctx); err != nil {
				return nil, err
			}
		}
	}
	w.now = Now.Add(-14 * time.Minute)
	if err := w.sweep(ctx); err != nil {
		return nil, err
	}
	w.now = Now
	if err := w.plan(ctx); err != nil {
		return nil, err
	}
	return w.fleet, segment.MuteAlerts(ctx, l, segment.Mute{
		Segment: segment.ID{SiteGroup: "site-d", Name: "wine"}, Until: Now.Add(12 * time.Hour),
		Decision: segment.Decision{By: "mira", Why: "known, the vendor is on it", At: Now.Add(-5 * time.Minute)},
	})
}

func (w *world) clock() time.Time {
	w.now = w.now.Add(time.Second)
	return w.now
}

func rules(context.Context, segment.Job) (segment.Rule, error) {
	return segment.Rule{Runbook: "https://runbooks.example/segments", Drift: validate.Within(0.02)}, nil
}

// jobs makes lookalikes on one site, and copies of them on the others.
func (w *world) jobs() {
	for _, topic := range Topics {
		seed, like := segment.ID{SiteGroup: "site-a", Name: topic}, segment.ID{SiteGroup: "site-a", Name: topic + "-like"}
		w.fleet.Jobs = append(w.fleet.Jobs, segment.Lookalike(like, seed))
		for _, site := range []string{"site-b", "site-c", "site-d"} {
			w.fleet.Jobs = append(w.fleet.Jobs, segment.Copy(segment.ID{SiteGroup: site, Name: topic}, seed),
				segment.Copy(segment.ID{SiteGroup: site, Name: topic + "-like"}, like))
		}
	}
	for _, id := range Hostile {
		w.fleet.Jobs = append(w.fleet.Jobs, segment.Copy(id, segment.ID{SiteGroup: "site-a", Name: "cars"}))
	}
	for _, j := range w.fleet.Jobs {
		for _, id := range append(slices.Clone(j.From), j.To) {
			if _, known := w.level[id]; !known {
				w.level[id] = math.Exp(9 + 3*w.random.Float64())
			}
		}
	}
}

// size is that of a segment tonight: it moves a little, less on weekends.
func (w *world) size(id segment.ID) int64 {
	w.level[id] *= math.Exp(0.012 * w.random.NormFloat64())
	if day := w.now.Weekday(); day == time.Saturday || day == time.Sunday {
		return int64(w.level[id] * 0.94)
	}
	return int64(w.level[id])
}

// run runs a job once. Tonight's build reads 10,000 users and no more, and models put
// out nothing for some topics.
func (w *world) run(ctx context.Context, j *segment.Job, tonight bool) error {
	expected := w.size(j.To)
	stored, build := expected, Healthy
	run := segment.Run{ID: w.now.Format("2006-01-02"), Attempt: w.again, Job: *j, Expected: validate.Count(expected)}
	if tonight {
		build = Broken
		switch {
		case j.Kind == segment.JobKindLookalike && len(j.To.Name)%2 == 0:
			stored, run.Expected = 0, validate.Unknown()
		case j.Kind == segment.JobKindCopy && j.To.SiteGroup != "site-c":
			stored = min(stored, 10_000)
		}
	}
	run.Build = build
	run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil }
	if j.To.SiteGroup == "site-d" || j.To.SiteGroup == "site-x" { // stores without staging
		run.Live = true
	} else {
		run.Staging = segment.Staging{Commit: func(context.Context) error { return nil }, Discard: func(context.Context) error { return nil }}
	}
	err := w.guard.Begin(ctx, &run)
	if err == nil {
		_, err = w.guard.Commit(ctx, run)
	}
	if err == nil || run.Live {
		w.live[j.To] = stored
	}
	if err != nil && !tonight {
		return fmt.Errorf("a night that should pass: %w", err)
	}
	return nil
}

// decide is what somebody decided ten days ago.
func (w *world) decide(ctx context.Context) error {
	id := segment.ID{SiteGroup: "site-b", Name: "cars"}
	w.level[id] *= 3
	for i := range w.fleet.Jobs {
		j := &w.fleet.Jobs[i]
		if j.To != id {
			continue
		}
		w.now, w.again = w.now.Add(time.Hour), 1
		_ = w.run(ctx, j, false) // it is off its history
		w.again = 0
	}
	tonight := func(id segment.ID) segment.Selection {
		return segment.Selection{Keys: []segment.Key{id.In("")}, RunID: w.now.Format("2006-01-02")}
	}
	_, err := segment.Accept(ctx, w.ledger, tonight(id), segment.Decision{By: "jonas", Why: "three vendors were merged into this one", At: w.now.Add(time.Hour)})
	if err != nil {
		return err
	}
	other := segment.ID{SiteGroup: "site-b", Name: "boats"}
	_, err = segment.Suspect(ctx, w.ledger, tonight(other), segment.Decision{By: "mira", Why: "the source was being moved", At: w.now.Add(time.Hour)})
	return err
}

// plan is what somebody expects of the next days.
func (w *world) plan(ctx context.Context) error {
	_, err := segment.AcceptWithin(ctx, w.ledger, segment.Selection{Keys: []segment.Key{(segment.ID{SiteGroup: "site-b", Name: "cars"}).In("")}},
		validate.Excuse{LowShare: 0.4, HighShare: 0.6, From: Now.AddDate(0, 0, 1), Until: Now.AddDate(0, 0, 4)},
		segment.Decision{By: "jonas", Why: "a vendor leaves", At: Now.Add(-time.Minute)})
	return err
}

// sweep looks at all segments: of one store some users are gone, with no job running.
func (w *world) sweep(ctx context.Context) error {
	w.live[segment.ID{SiteGroup: "site-c", Name: "recipes"}] /= 2
	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: w.ledger, Alerter: quiet{}, Now: w.clock, Jobs: w.fleet.Jobs, Rules: rules})
	if err != nil {
		return err
	}
	ids := make([]segment.ID, 0, len(w.live))
	for id := range w.live {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, segment.ID.Compare)
	var sizes iter.Seq2[segment.CurrentSize, error] = func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range ids {
			if !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(w.live[id])}, nil) {
				return
			}
		}
	}
	w.fleet.Sweep, err = m.Sweep(ctx, sizes)
	return err
}
