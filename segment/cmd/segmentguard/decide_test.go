package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func sizesUpTo(now time.Time, n int) (sizes []validate.Size) {
	for day := range n {
		sizes = append(sizes, validate.Size{At: now.AddDate(0, 0, day-n), Users: int64(1000 + day)})
	}
	return sizes
}

// decisions are all there are, and what the log says of them.
var decisions = []struct {
	args   []string
	action segment.Action
	says   []string
	rerun  []string
}{
	{[]string{"accept", "site-b/cars"}, segment.ActionAccepted, []string{"its alert ends: page, capped", "10,000 users", "although it is proven wrong"}, []string{"site-b/cars"}},
	{[]string{"accept", "--run", "2024-03-18", "site-b/cars"}, segment.ActionAccepted, []string{"10,000 users"}, []string{"site-b/cars"}},
	{[]string{"accept", "site-d/boats"}, segment.ActionAccepted, []string{"10,000 users"}, nil},
	{[]string{"accept", "--low-share", "0.4", "--high-share", "0.6", "--until", "+3d", "site-c/cars"}, segment.ActionPlanned, []string{"planned from 2024-03-18 to 2024-03-21"}, nil},
	{[]string{"accept", "--low", "1", "--high", "5", "--from", "2024-03-20", "--until", "2024-03-21", "--for-good", "--group", "site-c"}, segment.ActionPlanned, []string{"1–5 users"}, nil},
	{[]string{"suspect", "--run", "2024-03-17", "site-c/cars"}, segment.ActionSuspected, []string{"1 size is taken out"}, []string{"site-c/cars"}},
	{[]string{"suspect", "--from", "2024-03-10", "--until", "2024-03-12", "site-c/cars"}, segment.ActionSuspected, []string{"2 sizes are taken out"}, []string{"site-c/cars"}},
	{[]string{"suspect", "--from", "2024-03-10", "site-c/cars"}, segment.ActionSuspected, []string{"9 sizes are taken out"}, []string{"site-c/cars"}},
	{[]string{"false-alarm", "site-b/cars"}, segment.ActionFalseAlarm, []string{"its alert ends"}, []string{"site-b/cars"}},
	{[]string{"false-alarm", "site-c/recipes", "site-d/boats"}, segment.ActionFalseAlarm, []string{"2 segments"}, nil},
	{[]string{"mute", "--until", "+3h", "site-b/cars"}, segment.ActionMuted, []string{"nobody is told of its alert"}, nil},
	{[]string{"mute", "--until", "+3h", "--kind", "capped", "--group", "site-b"}, segment.ActionMuted, []string{"site group site-b", "nobody is told"}, nil},
	{[]string{"unmute", "site-d/wine"}, segment.ActionUnmuted, []string{"people are told of its alert again"}, nil},
	{[]string{"rename", "site-c/cars", "site-c/vehicles"}, segment.ActionRenamed, []string{"site-c/vehicles", "31 sizes go along"}, nil},
	{[]string{"forget", "site-b/cars", "site-c/cars"}, segment.ActionForgotten, []string{"all that is known is dropped: 31 sizes", "its alert ends"}, nil},
	{[]string{"forget", "--group", "site-x"}, segment.ActionForgotten, []string{"all that is known is dropped"}, nil},
}

// TestDecisions: what a dry run says is what happens then, and only then.
func TestDecisions(t *testing.T) {
	for _, c := range decisions {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			d := newDesk(t)
			before := d.dump()
			dry := d.says(well, append(c.args, "--dry-run")...)
			require.Equal(t, before, d.dump(), "a dry run changes nothing")
			require.Contains(t, dry, "Nothing was changed: it is a dry run.")
			require.Contains(t, d.refuses(c.args...), "--why")
			var would, did changeOutput
			d.into(&would, well, append(c.args, "--dry-run", "--why", "it's fine")...)
			d.into(&did, well, append(c.args, "--by", "jonas", "--why", "it's fine")...)
			require.NotEqual(t, before, d.dump())
			require.Equal(t, would.Changes, did.Changes)
			require.Equal(t, would.Rerun, did.Rerun)
			require.True(t, did.Done)
			for _, says := range c.says {
				require.Contains(t, dry, says)
			}
			var rerun []string
			for _, r := range did.Rerun {
				rerun = append(rerun, r.Segment.String())
			}
			require.Equal(t, c.rerun, rerun)
			var l logOutput
			d.into(&l, well, "log", "--action", string(c.action), "--limit", "1")
			require.Equal(t, "jonas", l.Entries[0].By)
			require.Contains(t, l.Entries[0].Text, "it's fine")
		})
	}
}

// TestRefusals: what cannot be decided changes nothing, and says why.
func TestRefusals(t *testing.T) {
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(file, []byte("site-b/cars\nnothing\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, args := range map[string][]string{
		"which segments":         {"accept"},
		"one of --group":         {"accept", "--group", "site-b", "site-b/cars"},
		"no alert is open":       {"accept", "site-b/cars", "site-c/cars"},
		"no record of run":       {"accept", "--run", "none", "site-b/cars"},
		"until when":             {"accept", "--low", "1", "--high", "2", "site-b/cars"},
		"Excuse.":                {"accept", "--low", "3", "--high", "2", "--until", "+1d", "site-b/cars"},
		"want a time":            {"accept", "--until", "soon", "site-b/cars"},
		"Selection.SiteGroup":    {"forget", "--group", "site-bb"},
		"nothing is known":       {"forget", "site-b/cars", "site-b/carz"},
		"line 2: segment: id":    {"accept", "--file", file},
		"names no segment":       {"accept", "--file", empty},
		"no such file":           {"accept", "--file", empty + ".none"},
		"no alert is open for":   {"false-alarm", "site-c/cars"},
		"no such segment":        {"false-alarm", "--group", "site-a", "--store", "none"},
		"there is no kind":       {"mute", "--until", "+1h", "--kind", "odd"},
		"nobody is deaf":         {"mute", "--until", "+1h"},
		"by --until":             {"mute", "site-b/cars"},
		"after Decision.At":      {"mute", "--until", "-1h", "site-b/cars"},
		"no mute is just like":   {"unmute", "site-b/cars"},
		"two segments":           {"rename", "site-b/cars", "site-b/"},
		"FROM and TO":            {"rename", "site-b/cars"},
		"nothing is known of":    {"rename", "site-b/none", "site-b/some"},
		"Selection.RunID":        {"suspect", "site-b/cars"},
		"nothing to change":      {"suspect", "--from", "2020-01-01", "--until", "2020-01-02", "site-b/cars"},
		"damaged":                {"repair", "site-b/cars"},
		"nothing of site group":  {"repair", "--group", "site-b"},
		"accepts 1 arg(s)":       {"resume"},
		"is not there":           {"repair", "--entry", "1"},
		"unknown flag: --nope":   {"accept", "--nope"},
		"who decides":            {"accept", "--by", "", "site-b/cars"},
		"unknown command":        {"acept"},
		"the number of an entry": {"repair", "--entry", "x"},
	} {
		if len(args) > 1 {
			args = append(args, "--why", "x")
		}
		require.Contains(t, d.refuses(args...), want, "%q", args)
	}
}

// TestKeepGoing: somebody may have others decided about where one cannot be.
func TestKeepGoing(t *testing.T) {
	d := newDesk(t)
	code, out, errs := d.run("accept", "--keep-going", "--why", "x", "site-b/cars", "site-c/cars")
	require.Equal(t, unsure, code)
	require.Contains(t, errs, "site-c/cars: no alert is open")
	require.Contains(t, out, "Done.")
	require.Contains(t, out, "To be run again")
	d.says(well, "show", "site-b/cars")
	var c changeOutput
	code, out, _ = d.run("accept", "--keep-going", "--why", "x", "--json", "site-b/cars")
	require.Equal(t, unsure, code)
	require.NoError(t, unmarshal(out, &c))
	require.Contains(t, c.Error, "no alert is open")
}

// TestFiles: segments come from a file or a pipe.
func TestFiles(t *testing.T) {
	d := newDesk(t)
	d.stdin = "site-b/cars\r\n\nsite-b/wine\n"
	require.Contains(t, d.says(well, "accept", "--why", "x", "--file", "-"), "2 segments")
	d.stdin = "site-c/cars\tsite-c/vehicles\nsite-c/boats\tsite-c/ships\n"
	require.Contains(t, d.says(well, "rename", "--why", "x", "--file", "-"), "4 segments")
	d.says(well, "show", "site-c/ships")
	d.stdin = "site-c/cars site-c/vehicles\n"
	require.Contains(t, d.refuses("rename", "--why", "x", "--file", "-"), "line 1: want FROM and TO with a tab")
}

func TestImport(t *testing.T) {
	d := newDesk(t)
	d.stdin = "users,segment,at,counter\n500,site-n/new,2024-03-17T03:00:00Z,c\n510,site-n/new,2024-03-18T03:00:00+01:00,c\n"
	require.Contains(t, d.says(well, "import", "--dry-run", "-"), "it becomes known, with 2 sizes")
	require.Contains(t, d.refuses("show", "site-n/new"), "nothing is known")
	require.Contains(t, d.says(well, "import", "--why", "backfill", "-"), "Done.")
	var s showOutput
	d.into(&s, well, "show", "site-n/new")
	require.Equal(t, []int64{500, 510}, []int64{s.Sizes[0].Users, s.Sizes[1].Users})
	require.True(t, s.Sizes[0].Unguarded)
	require.Contains(t, d.refuses("import", "--why", "backfill", "-"), "nothing to change")
	for file, want := range map[string]string{
		"":                                 "empty",
		"segment,users\n":                  "no column at",
		"segment,at,users,colour\n":        `column "colour"`,
		"segment,at,at,users\n":            "there twice",
		"segment,at,users\nx,y,z\n":        "line 2: segment: id",
		"segment,at,users\na/b,monday,1\n": "line 2: at is",
		"segment,at,users\na/b,2024-03-17T03:00:00Z,many\n":           "line 2: users is",
		"segment,at,users\na/b,2024-03-17T03:00:00Z,-1\n":             "0 or more users",
		"segment,at,users\na/b,2024-03-17T03:00:00Z\n":                "wrong number of fields",
		"segment,at,users\na/b,2024-03-17T03:00:00Z,1\na/c,later,1\n": "line 3: at is",
	} {
		d.stdin = file
		require.Contains(t, d.refuses("import", "--why", "x", "-"), want, file)
	}
}

// TestGroupInAStore: of a group in one store only what is there is meant.
func TestGroupInAStore(t *testing.T) {
	d := emptyDesk(t)
	d.migrate()
	for _, store := range []string{"", "crm"} {
		for _, name := range []string{"cars", "wine"} {
			id := segment.ID{SiteGroup: "site-a", Name: name}
			require.NoError(t, segment.Import(t.Context(), d.ledger, []segment.SizeImport{{Segment: id, Store: store, Sizes: sizesUpTo(d.now, 3)}}))
		}
	}
	require.Contains(t, d.says(well, "forget", "--dry-run", "--group", "site-a"), "4 segments")
	require.Contains(t, d.says(well, "forget", "--dry-run", "--group", "site-a", "--store", "crm"), "2 segments")
	require.Contains(t, d.says(well, "forget", "--dry-run", "--group", "site-a", "--store", ""), "2 segments")
	require.Contains(t, d.says(well, "forget", "--why", "x", "--store", "crm", "site-a/cars"), "1 segment")
	require.Contains(t, d.says(well, "forget", "--dry-run", "--group", "site-a"), "3 segments")
	require.Contains(t, d.says(well, "forget", "--why", "x", "--store", "", "site-a/wine"), "1 segment")
	require.Contains(t, d.refuses("forget", "--why", "x", "site-a/wine"), "name it by --store crm", "it is there alone")
}
