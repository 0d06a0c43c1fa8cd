package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

func TestStatus(t *testing.T) {
	d := newDesk(t)
	out := d.says(affected, "status", "--limit", "3")
	for _, want := range []string{"24 live segments hold too few users, 28 are protected.", "13 minutes ago", "2024.11.3", "site-d/boats", "Next: segmentguard show site-d/boats", "by mira: known, the vendor is on it"} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "site-d/gardens", "three were asked for")
	var s statusOutput
	d.into(&s, affected, "status", "--limit", "0")
	require.Len(t, s.Segments, s.Affected)
	require.Equal(t, 52, s.Affected)
	require.Equal(t, s.Affected, s.Live+s.Protected)
	require.Len(t, s.Incidents, 2)
	sum := 0
	for _, b := range s.Builds {
		sum += b.Segments
	}
	require.Equal(t, s.Affected, sum)
	d.into(&s, affected, "status", "--group", "site-c", "--job-kind", "copy")
	require.Len(t, s.Segments, s.Selected)
	for _, r := range s.Segments {
		require.Equal(t, "site-c", r.Segment.SiteGroup)
	}
	require.Contains(t, d.refuses("status", "--kind", "bad"), "there are empty")
	require.Contains(t, d.refuses("status", "--limit", "-1"), "--limit is -1")
}

// TestNothingReadsAsWell: where nobody looked, nothing is called well.
func TestNothingReadsAsWell(t *testing.T) {
	d := emptyDesk(t)
	d.migrate()
	require.Contains(t, d.says(unsure, "status"), "may be anything but fine")
	require.Contains(t, d.says(unsure, "check"), "may be anything but fine")
	sweep := segment.SweepNumbers{At: d.now.Add(-time.Hour), Complete: true, Segments: 7, Healthy: 7}
	require.NoError(t, d.ledger.KeepSweep(t.Context(), sweep))
	require.Contains(t, d.says(well, "status"), "7 segments, 7 healthy")
	d.says(well, "check")
	d.now = d.now.Add(2 * time.Hour)
	require.Contains(t, d.says(unsure, "status"), "overdue")
	require.Contains(t, d.refuses("show", "site-a/cars"), "nothing is known of site-a/cars")
}

func TestShow(t *testing.T) {
	d := newDesk(t)
	out := d.says(affected, "show", "site-b/cars")
	for _, want := range []string{
		"site-b/cars: protected", "customers not hit", "159,799 users at 2024-03-17 00:11", "117,085–231,601", "177,084", "rejected",
		"planned from 2024-03-19 to 2024-03-22: 63,919–95,879 users, by jonas: a vendor leaves", "three vendors were merged into this one", "site-a/cars",
	} {
		require.Contains(t, out, want)
	}
	var s showOutput
	d.into(&s, affected, "show", "site-b/cars")
	require.Equal(t, int64(159_799), s.Good.Users)
	require.Equal(t, []int64{117_085, 231_601}, []int64{s.NextLow, s.NextHigh})
	require.Len(t, s.Sizes, 30)
	require.Equal(t, segment.RunRejected, s.Runs[0].State)
	require.Equal(t, "site-a/cars", s.Upstream[0].Segment.String())
	require.Equal(t, segment.ActionPlanned, s.Decisions[0].Action)
	d.into(&s, affected, "show", "site-a/boats-like")
	require.Len(t, s.Downstream, 3)
	d.says(well, "show", "site-c/cars")
	require.Contains(t, d.refuses("show", "cars"), `no "/"`)
	require.Contains(t, d.refuses("show", "/"), "empty")
}

// TestShowInAStore: a segment is looked for where nobody named the store.
func TestShowInAStore(t *testing.T) {
	d := emptyDesk(t)
	d.migrate()
	id := segment.ID{SiteGroup: "-site", Name: "a 'b'"}
	require.NoError(t, segment.Import(t.Context(), d.ledger, []segment.SizeImport{{Segment: id, Store: "c|rm", Sizes: sizesUpTo(d.now, 3)}}))
	var s showOutput
	d.into(&s, well, "show", "--", "-site/a 'b'")
	require.Equal(t, "c|rm", s.Store)
	d.into(&s, well, "show", "--store", "c|rm", "--", "-site/a 'b'")
	require.Equal(t, "c|rm", s.Store)
	require.Equal(t, `segmentguard show --store 'c|rm' -- '-site/a '\''b'\'''`, commandAbout("show", id.In("c|rm")))
	require.Contains(t, d.refuses("show", "--store", "other", "--", "-site/a 'b'"), "nothing is known")
}

func TestLog(t *testing.T) {
	d := newDesk(t)
	out := d.says(well, "log", "--limit", "2")
	require.Equal(t, 4, strings.Count(out, "\n"), out)
	require.Contains(t, out, "and more")
	var l logOutput
	d.into(&l, well, "log", "--limit", "0")
	require.False(t, l.More)
	all := len(l.Entries)
	require.True(t, slices.IsSortedFunc(l.Entries[2:], func(a, b entryOutput) int { return b.At.Compare(a.At) }), "but for what was dated back")
	d.into(&l, well, "log", "--action", "accepted")
	require.Equal(t, "jonas", l.Entries[0].By)
	d.into(&l, well, "log", "--since", "-3h", "--limit", "0")
	require.Less(t, len(l.Entries), all)
	require.NotEmpty(t, l.Entries)
	for _, e := range l.Entries {
		require.False(t, e.At.Before(d.now.Add(-3*time.Hour)))
	}
	d.into(&l, well, "log", "site-b/cars", "--build", fleettest.Broken, "--limit", "0")
	for _, e := range l.Entries {
		require.Equal(t, []string{"site-b/cars", fleettest.Broken}, []string{e.Segment.String(), e.Build})
	}
	require.NotEmpty(t, l.Entries)
	d.into(&l, well, "log", "--run", "nobody's")
	require.Empty(t, l.Entries)
	require.Contains(t, d.says(well, "log", "--run", "nobody's"), "nothing like that")
	require.Contains(t, d.refuses("log", "--action", "eaten"), "there are recorded, opened")
	require.Contains(t, d.refuses("log", "--since", "yesterday"), "2024-03-18T03:00Z")
}

// TestActions: the list of actions has each that the log has.
func TestActions(t *testing.T) {
	text, err := os.ReadFile("../../ledger.go")
	require.NoError(t, err)
	require.Len(t, actions, strings.Count(string(text), " Action = "))
}

func TestBuilds(t *testing.T) {
	d := newDesk(t)
	var b buildsOutput
	d.into(&b, well, "builds")
	require.Len(t, b.Builds, 2)
	require.Equal(t, fleettest.Broken, b.Builds[0].Build)
	require.Equal(t, []int{77, 46, 47, 24}, []int{b.Builds[0].Runs, b.Builds[0].Failed, b.Builds[0].Affected, b.Builds[0].Live})
	require.InDelta(t, 46.0/77, b.Builds[0].Share, 1e-9)
	d.into(&b, well, "builds", "--since", "-3d", "--job-kind", "lookalike")
	require.Len(t, b.Builds, 2)
	require.Zero(t, b.Builds[1].Failed, "that of before has no bug")
	require.Contains(t, d.says(well, "builds"), "59.7%")
}

// TestRefusedBuild: a build that is refused is said to be, until somebody resumes it.
func TestRefusedBuild(t *testing.T) {
	d := newDesk(t)
	require.Contains(t, d.refuses("resume", "--why", "x", "--job-kind", "copy", fleettest.Broken), "guards do not refuse")
	require.NoError(t, d.ledger.Change(t.Context(), []segment.Key{{}}, func(s *segment.SegmentState) error {
		s.Log = append(s.Log, segment.LogEntry{At: d.now.Add(-time.Hour), Action: segment.ActionTripped, Text: "7 live segments have proven faults", Mark: &segment.Mark{JobKind: "copy", Build: fleettest.Broken}})
		return nil
	}))
	require.Contains(t, d.says(well, "builds"), "segmentguard resume --why WHY --job-kind copy "+fleettest.Broken)
	require.Contains(t, d.refuses("resume", "--why", "x", "--job-kind", "lookalike", fleettest.Broken), "guards do not refuse")
	require.Contains(t, d.says(well, "resume", "--why", "x", "--job-kind", "copy", fleettest.Broken), "Done.")
	require.NotContains(t, d.says(well, "builds"), "resume")
}

func TestReport(t *testing.T) {
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "r.html")
	require.Contains(t, d.says(well, "report", file), "Wrote "+file)
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(page), "24 live segments hold too few users")
	require.Equal(t, string(page), d.says(well, "report", "-"))
	require.Contains(t, d.refuses("report", filepath.Join(t.TempDir(), "no", "folder.html")), "writing")
	require.NoError(t, os.WriteFile(file, []byte("before"), 0o600))
	_, err = d.db.ExecContext(t.Context(), "DROP TABLE segmentguard_log")
	require.NoError(t, err)
	code, _, errs := d.run("report", file)
	require.Equal(t, unsure, code, errs)
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "before", string(kept), "what is there is left")
}

func TestServe(t *testing.T) {
	d := newDesk(t)
	for host, want := range map[string]int{"": http.StatusOK, "localhost:1": http.StatusOK, "127.0.0.1": http.StatusOK, "evil.example": http.StatusMisdirectedRequest, "127.0.0.1.evil.example:80": http.StatusMisdirectedRequest} {
		require.Equal(t, want, d.served(host), host)
	}
}

// TestHostileNames: whatever a name holds, a terminal shows it as what it is.
func TestHostileNames(t *testing.T) {
	d := newDesk(t)
	for _, id := range fleettest.Hostile {
		for _, args := range [][]string{{"show", id.String()}, {"log", id.String()}, {"accept", "--dry-run", id.String()}, {"false-alarm", "--dry-run", id.String()}, {"mute", "--until", "+1h", "--dry-run", id.String()}} {
			code, out, errs := d.run(args...)
			require.True(t, code != unsure || strings.Contains(errs, "no alert is open"), errs)
			requirePrintable(t, out+errs)
		}
	}
	for _, args := range [][]string{{"status", "--limit", "0"}, {"log", "--limit", "0"}, {"builds"}, {"check", "--log"}, {"show", "site-x/\x1b[31m\nno\u202eone"}, {"log", "--run", "\x1b"}, {"\x1b[2J"}, {"status", "--build", "\n"}, {"status", "--json", "--limit", "0"}, {"log", "--json", "--limit", "0"}, {"show", "--json", fleettest.Hostile[2].String()}} {
		_, out, errs := d.run(args...)
		requirePrintable(t, out+errs)
	}
}

func requirePrintable(t *testing.T, out string) {
	t.Helper()
	require.NotEmpty(t, out)
	for _, r := range out {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q in %q", r, out)
	}
}
