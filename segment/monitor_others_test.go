package segment_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A house has a ledger, stores that hold segments, and monitors that list them.
type house struct {
	t       *testing.T
	ledger  *segment.Memory
	alerter *recorder
	now     time.Time
	stores  map[string]map[string]int64 // users, by segment
}

func newHouse(t *testing.T) *house {
	return &house{t: t, ledger: segment.NewMemory(), alerter: newRecorder(), now: time.Date(2024, 3, 18, 0, 0, 0, 0, time.UTC), stores: map[string]map[string]int64{}}
}

// fill has a guarded run make a segment in a store, whose rule names it so.
func (h *house) fill(store, named, name string, users int64) {
	h.t.Helper()
	if h.stores[store] == nil {
		h.stores[store] = map[string]int64{}
	}
	guard, err := segment.NewGuard(segment.GuardConfig{
		Ledger: h.ledger, Alerter: h.alerter, Now: func() time.Time { return h.now },
		Rules: func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{Store: named}, nil },
	})
	require.NoError(h.t, err)
	_, err = guard.Do(h.t.Context(), segment.Run{ID: fmt.Sprint("run into ", store, h.now), Job: segment.Copy(seg(name), seg("source"))}, func(_ context.Context, run *segment.Run) error {
		run.Expected = validate.Count(users)
		run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(users), nil }
		run.Staging.Commit = func(context.Context) error { h.stores[store][name] = users; return nil }
		return nil
	})
	require.NoError(h.t, err)
}

func (h *house) monitor(named string) *segment.Monitor {
	m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h.ledger, Alerter: h.alerter, Store: named, Now: func() time.Time { return h.now }})
	require.NoError(h.t, err)
	return m
}

// sweep lists a store but for the segments left out.
func (h *house) sweep(m *segment.Monitor, store string, but ...string) (segment.Sweep, error) {
	var all []segment.CurrentSize
	for name, users := range h.stores[store] {
		if !slices.Contains(but, name) {
			all = append(all, segment.CurrentSize{Segment: seg(name), Stored: validate.Count(users)})
		}
	}
	slices.SortFunc(all, func(a, b segment.CurrentSize) int { return a.Segment.Compare(b.Segment) })
	return m.Sweep(h.t.Context(), listed(all, nil))
}

// fillTwo fills two stores that share some names, with other sizes.
func (h *house) fillTwo(named func(store string) string) {
	shared := int64(1000)
	if named("ads") != named("crm") {
		shared = 20
	}
	for i := range 8 {
		h.fill("crm", named("crm"), fmt.Sprint("only in crm ", i), 1000)
		h.fill("crm", named("crm"), fmt.Sprint("in both ", i), 1000)
	}
	for i := range 8 {
		h.fill("ads", named("ads"), fmt.Sprint("only in ads ", i), 500)
		h.fill("ads", named("ads"), fmt.Sprint("in both ", i), shared)
	}
	h.now = h.now.Add(2 * time.Hour)
}

// Two monitors of two stores over one ledger leave each other alone.
func TestTwoStoresOneLedger(t *testing.T) {
	h := newHouse(t)
	h.fillTwo(func(store string) string { return store })
	crm, ads := h.monitor("crm"), h.monitor("ads")
	for range 24 { // 12 hours
		for m, store := range map[*segment.Monitor]string{crm: "crm", ads: "ads"} {
			s, err := h.sweep(m, store)
			require.NoError(t, err)
			require.True(t, s.Complete)
			require.Equal(t, []int{16, 16}, []int{s.Segments, s.Healthy})
		}
		h.now = h.now.Add(30 * time.Minute)
	}
	require.Empty(t, h.alerter.news())
	for _, store := range []string{"", "crm", "ads"} {
		known := 0
		for s, err := range h.ledger.Segments(t.Context(), segment.SegmentFilter{Store: &store}) {
			require.NoError(t, err)
			require.Equal(t, store, s.Last.Store)
			known++
		}
		require.Equal(t, map[string]int{"": 0, "crm": 16, "ads": 16}[store], known)
	}
}

// What is wrong in one store is told with its name, ended by its own monitor alone, and
// not by a run into another store.
func TestFaultInOneStore(t *testing.T) {
	h := newHouse(t)
	h.fillTwo(func(store string) string { return store })
	crm, ads := h.monitor("crm"), h.monitor("ads")
	h.stores["crm"]["in both 1"] = 10
	_, err := h.sweep(crm, "crm")
	require.NoError(t, err)
	open := func() (keys []segment.Key) {
		for s, err := range h.ledger.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
			require.NoError(t, err)
			require.Equal(t, s.Store, s.Alert.Open.Store)
			require.Contains(t, s.Alert.Open.Text, "site-a/in both 1 in crm")
			keys = append(keys, s.Key())
		}
		return keys
	}
	want := []segment.Key{seg("in both 1").In("crm")}
	require.Equal(t, want, open())
	for range 4 {
		h.now = h.now.Add(time.Hour)
		_, err := h.sweep(ads, "ads")
		require.NoError(t, err)
	}
	h.fill("ads", "ads", "in both 1", 20)
	require.Equal(t, want, open(), "nobody looked at it")
	h.now = h.now.Add(2 * time.Hour)
	h.fill("crm", "crm", "in both 1", 1000)
	for range 2 {
		h.now = h.now.Add(2 * time.Hour)
		_, err := h.sweep(crm, "crm")
		require.NoError(t, err)
	}
	require.Empty(t, open())
}

const twoMonitors = "two monitors write this ledger; set MonitorConfig.Store"

// Two that leave the store empty are told so, soon, and by then have said once each that
// the other one's segments are missing.
func TestTwoMonitorsWithoutAStore(t *testing.T) {
	for name, empty := range map[string]bool{"missing": false, "taken for empty": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.fillTwo(func(string) string { return "" })
			monitors := map[string]*segment.Monitor{}
			for _, store := range []string{"crm", "ads"} {
				m, err := segment.NewMonitor(segment.MonitorConfig{Ledger: h.ledger, Alerter: h.alerter, AbsentIsEmpty: empty, Now: func() time.Time { return h.now }})
				require.NoError(t, err)
				monitors[store] = m
			}
			for i := range 24 {
				for _, store := range []string{"crm", "ads"} {
					s, err := h.sweep(monitors[store], store)
					if i < 2 {
						require.NoError(t, err)
						continue
					}
					require.ErrorContains(t, err, twoMonitors)
					require.False(t, s.Complete)
					require.Zero(t, s.Missing)
				}
				if h.now = h.now.Add(30 * time.Minute); i == 1 {
					require.NotEmpty(t, h.alerter.news())
				}
			}
			require.Empty(t, h.alerter.news(), "from then on nobody is told that anything is missing")
		})
	}
}

// One monitor is never taken for two, whatever its listing does, and whenever it is
// started anew.
func TestOneMonitorWhoseListingChanges(t *testing.T) {
	for seed := range uint64(24) {
		h := newHouse(t)
		h.fillTwo(func(string) string { return "" })
		r := rand.New(rand.NewPCG(seed, 0))
		m := h.monitor("")
		for i := range 12 {
			if r.IntN(4) == 0 || seed%4 == 0 { // as a program that sweeps once and ends
				m = h.monitor("")
			}
			but := []string{"only in crm 0", "in both 0"}
			switch seed % 3 {
			case 0: // blue and green
				but = but[i%2 : i%2+1]
			case 1:
				but = but[r.IntN(2):]
			default:
				but = []string{fmt.Sprint("in both ", r.IntN(8)), fmt.Sprint("only in crm ", r.IntN(8))}
			}
			_, err := h.sweep(m, "crm", but...)
			require.NoError(t, err, "seed %d, sweep %d", seed, i)
			h.now = h.now.Add(time.Hour)
		}
	}
}

// Replicas that see the same store are never taken for monitors of two: a segment that
// is missing at one moment, and another one at the next, is missing for both.
func TestReplicasOfOneMonitor(t *testing.T) {
	for seed := range uint64(24) {
		h := newHouse(t)
		h.fillTwo(func(string) string { return "" })
		r := rand.New(rand.NewPCG(seed, 1))
		replicas := []*segment.Monitor{h.monitor(""), h.monitor(""), h.monitor("")}[:2+seed%2]
		var but []string
		for i := range 30 {
			switch seed % 4 {
			case 0: // the segments are made anew one after the other
				but = []string{fmt.Sprint("in both ", i%8)}
			case 1: // what comes and goes at its own times
				if r.IntN(3) == 0 {
					but = []string{fmt.Sprint("in both ", r.IntN(8)), fmt.Sprint("only in crm ", r.IntN(8))}
				}
			case 2: // lost for good
				but = []string{"in both 1", "in both 2"}
			default: // lost one after the other
				but = append(but, fmt.Sprint("in both ", i%7))
			}
			_, err := h.sweep(replicas[i%len(replicas)], "crm", but...)
			require.NoError(t, err, "seed %d, sweep %d", seed, i)
			h.now = h.now.Add(time.Hour / 2)
		}
	}
}

// A store's name that no database could keep is refused at once.
func TestStoreRefused(t *testing.T) {
	_, err := segment.NewMonitor(segment.MonitorConfig{Ledger: segment.NewMemory(), Store: "\xff"})
	require.ErrorContains(t, err, "MonitorConfig.Store")
	b := newBench(t)
	b.rule(segment.Rule{Store: "\xff"})
	_, err = b.commit()
	require.ErrorContains(t, err, "Rule.Store")
	require.ErrorContains(t, err, "UTF-8")
}
