package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

const volumes = "../../../testdata/volumes"

// TestHalves: no source is in both halves, and none changes sides.
func TestHalves(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	require.Len(t, all, 53)
	require.Len(t, of(all, "set", "choose"), 7)
	require.Len(t, of(all, "set", "test"), 46)
	require.Equal(t, "choose", halfOf("trickest/resolvers"))
	require.Equal(t, "test", halfOf("lord-alfred/ipranges"))
}

// What the method must hold on real series of lists rebuilt daily: those that are kept
// here, and with a history of good sizes those of the half that chose no margin.
func TestTargets(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	results := map[int]result{}
	for _, n := range []int{1, 7, 30} {
		results[n] = walk(of(all, "set", "test"), n, methods[0])
	}
	long := results[30]
	require.Greater(t, long.all.decisions, 20_000)
	require.LessOrEqual(t, long.quiet.percent(), 0.05, "an alarm a day in a fleet of a thousand, and people stop looking")
	require.LessOrEqual(t, long.all.percent(), 0.1)
	for _, c := range []struct {
		history     int
		fault       string
		least       float64
		atLeastSeen int
	}{
		{30, "empty", 99.9, 10_000}, {30, "cap at 10,000", 99.85, 3000}, {30, "half", 99.2, 10_000},
		{30, "−20%", 93, 10_000}, {30, "+30%", 93, 10_000}, {7, "−20%", 75, 10_000}, {7, "+30%", 75, 10_000},
		{1, "half", 98.5, 10_000}, {7, "half", 99.2, 10_000}, {1, "empty", 99.9, 10_000}, {1, "cap at 10,000", 99.85, 3000},
	} {
		for i, f := range faults {
			if f.name == c.fault {
				found := results[c.history].found[i]
				require.GreaterOrEqual(t, found.percent(), c.least, "%s after %d sizes", c.fault, c.history)
				require.Greater(t, found.decisions, c.atLeastSeen)
			}
		}
	}
}

// TestClosedLoop: what a guard rejects, and how long, where it keeps rejected sizes out.
func TestClosedLoop(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	for i, most := range []float64{100, 0.2, 0.4} { // rejections per 100 runs
		var c course
		for k := range all {
			c.add(follow(all[k].sizes, reactions[i]))
		}
		require.Greater(t, c.runs, 25_000)
		require.LessOrEqual(t, 100*float64(c.rejections)/float64(c.runs), most, reactions[i].name)
		if i > 0 {
			require.LessOrEqual(t, c.lockout, 14, reactions[i].name)
			require.LessOrEqual(t, c.aYear(c.accepts), 2.0, reactions[i].name)
			require.LessOrEqual(t, c.aYear(c.leaks), 0.25, reactions[i].name)
		}
	}
}

// TestLeaks: a leak of 3% a day is found within four weeks, and days that do not leak
// are not said to.
func TestLeaks(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	leaks, _, control := leaks(all)
	require.Greater(t, leaks.decisions, 500)
	require.GreaterOrEqual(t, leaks.percent(), 95.0)
	require.LessOrEqual(t, control.percent(), 0.2)
}

// TestStandingFaults: none of them goes live under Relearn, and each repair does.
func TestStandingFaults(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	for _, fault := range standings {
		for _, rhythm := range rhythms {
			if testing.Short() && rhythm.runs > 1 {
				continue
			}
			o := ordeals(all, fault, rhythm.runs, rhythm.gap)
			require.Greater(t, o.tries, 100, fault.name)
			o.tries = 0
			require.Zero(t, o, "%s, %s", fault.name, rhythm.name)
		}
	}
}

// What the README says of the method is what comes out, of the half of the data by
// which nothing was chosen.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	all, err := load(volumes)
	require.NoError(t, err)
	all = of(all, "set", "test")
	require.Contains(t, string(readme), fmt.Sprintf("real daily sizes of %d lists", len(all)))
	for known, sizes := range map[int]string{30: "30 sizes known", 7: "7 sizes known", 1: "1 size known"} {
		r := walk(all, known, methods[0])
		cells := []string{"| " + sizes, fmt.Sprintf("%.2f", r.quiet.percent())}
		for i := range faults {
			if r.found[i].alarms == r.found[i].decisions {
				cells = append(cells, "100%")
			} else {
				cells = append(cells, fmt.Sprintf("%.1f%%", r.found[i].percent()))
			}
		}
		require.Contains(t, string(readme), strings.Join(cells, " | ")+" |")
	}
	for i, name := range []string{"nobody", "a human the next day", "`Relearn: 7`, and a human for deeper falls"} {
		var c course
		for k := range all {
			c.add(follow(all[k].sizes, reactions[i]))
		}
		require.Contains(t, string(readme), fmt.Sprintf("| %s | %.2f | %d | %.1f |", name, 100*float64(c.rejections)/float64(c.runs), c.lockout, c.aYear(c.accepts)))
	}
	leaks, _, control := leaks(all)
	require.Contains(t, string(readme), fmt.Sprintf("%.0f%% of %d leaks of 3%% a day within four weeks, and %.1f%% of the same weeks without one", leaks.percent(), leaks.decisions, control.percent()))
}

// The usual methods as they are meant, by hand.
func TestMethods(t *testing.T) {
	day := time.Date(2024, 3, 18, 0, 0, 0, 0, time.UTC)
	sizes := func(users ...int64) (all []validate.Size) {
		for i, n := range users {
			all = append(all, validate.Size{Users: n, At: day.AddDate(0, 0, i)})
		}
		return all
	}
	judged := func(users int64) validate.Size { return validate.Size{Users: users, At: day.AddDate(0, 0, 20)} }
	require.False(t, fixed(sizes(7, 100), judged(50)))
	require.True(t, fixed(sizes(7, 100), judged(49)))
	require.False(t, sigmas(sizes(90, 100, 110), judged(130)), "mean 100, deviation 10")
	require.True(t, sigmas(sizes(90, 100, 110), judged(131)))
	require.False(t, sigmas(sizes(100, 100, 100), judged(0)), "zero variance is never an anomaly to it")
	require.False(t, checked(sizes(90, 100, 110), judged(95)))
	require.True(t, checked(sizes(90, 100, 110), judged(0)))
}

func TestRunPrintsAll(t *testing.T) {
	defer func(all []method, by []int, often []rhythm) { methods, lengths, rhythms = all, by, often }(methods, lengths, rhythms)
	var b strings.Builder
	methods, lengths, rhythms = methods[:2], []int{30}, rhythms[:1]
	require.NoError(t, run(&b, volumes, "set", "choose"))
	require.Contains(t, b.String(), "\nsegmentguard\n")
	require.Contains(t, b.String(), "\nfixed ±50%\n")
	require.Regexp(t, "a human the next day +[0-9]", b.String())
	require.Contains(t, b.String(), "half the shards")
	require.Contains(t, b.String(), "Stale: ")
	require.ErrorContains(t, run(&b, t.TempDir(), "set", "all"), "volumes-series.csv")
	require.ErrorContains(t, run(&b, volumes, "flow", "all"), `no series of kind "flow"`)
}
