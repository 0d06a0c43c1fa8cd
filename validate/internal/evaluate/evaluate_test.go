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

// What the method must hold on the real series that are kept here, of lists
// rebuilt daily.
func TestTargets(t *testing.T) {
	all, err := load(volumes)
	require.NoError(t, err)
	require.Len(t, all, 53)
	results := map[int]result{}
	for _, n := range []int{1, 2, 3, 5, 30} {
		results[n] = walk(of(all, "set", "all"), n, methods[0])
	}
	long := results[30]
	require.Greater(t, long.all.decisions, 20_000)
	require.LessOrEqual(t, long.quiet.percent(), 0.08, "an alarm a day in a fleet of a thousand, and people stop looking")
	require.LessOrEqual(t, long.all.percent(), 0.2)
	for _, c := range []struct {
		history     int
		fault       string
		least       float64
		atLeastSeen int
	}{
		{30, "empty", 99.9, 10_000}, {30, "cap at 10,000", 99.85, 3000}, {30, "half", 98.5, 10_000},
		{1, "half", 98.5, 10_000}, {2, "half", 98.5, 10_000}, {3, "half", 98.5, 10_000}, {5, "half", 98.5, 10_000},
		{1, "empty", 99.9, 10_000}, {1, "cap at 10,000", 99.85, 3000},
	} {
		found := results[c.history].found
		for i, f := range faults {
			if f.name == c.fault {
				require.GreaterOrEqual(t, found[i].percent(), c.least, "%s after %d sizes", c.fault, c.history)
				require.Greater(t, found[i].decisions, c.atLeastSeen)
			}
		}
	}
}

// What the README says of the method is what comes out.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	all, err := load(volumes)
	require.NoError(t, err)
	require.Contains(t, string(readme), fmt.Sprintf("real daily sizes of %d lists", len(all)))
	for known, sizes := range map[int]string{30: "30 sizes", 1: "1 size"} {
		r := walk(of(all, "set", "all"), known, methods[0])
		cells := []string{"| segmentguard, " + sizes + " known", fmt.Sprintf("%.2f", r.quiet.percent())}
		for i, f := range faults {
			if f.name == "−20%" || f.name == "+30%" {
				continue // the method is not made for them
			}
			if r.found[i].alarms == r.found[i].decisions {
				cells = append(cells, "100%")
			} else {
				cells = append(cells, fmt.Sprintf("%.2f%%", r.found[i].percent()))
			}
		}
		require.Contains(t, string(readme), strings.Join(cells, " | ")+" |")
	}
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

func TestRunPrintsAllMethods(t *testing.T) {
	var b strings.Builder
	methods, lengths = methods[:2], []int{30}
	require.NoError(t, run(&b, volumes, "set", "all"))
	require.Contains(t, b.String(), "\nsegmentguard\n")
	require.Contains(t, b.String(), "\nfixed ±50%\n")
	require.ErrorContains(t, run(&b, t.TempDir(), "set", "all"), "volumes-series.csv")
}
