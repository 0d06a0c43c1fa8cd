// Package commandtest_test runs the command segmentguard as people do, on real servers.
package commandtest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestMain(m *testing.M) { enginetest.Main(m, nil) }

// A desk is somebody on call with the command, and a ledger.
type desk struct {
	t        testing.TB
	program  string
	database enginetest.Database
	dsn      string
	ledger   *sqlsegment.Ledger
}

// TestCommand builds the command once, for all that is tried with it.
func TestCommand(t *testing.T) {
	program := buildCommand(t)
	for _, e := range enginetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			everyCommand(newDesk(t, program, e.New(t)))
		})
	}
	t.Run("rights", func(t *testing.T) { rights(newDesk(t, program, enginetest.PostgreSQL.New(t))) })
	t.Run("lost connection", func(t *testing.T) { lostConnection(newDesk(t, program, enginetest.PostgreSQL.New(t))) })
}

func buildCommand(t testing.TB) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "segmentguard")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = "../../../cmd/segmentguard" // whose module replaces nothing: the workspace does
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

func newDesk(t *testing.T, program string, d enginetest.Database) *desk {
	t.Helper()
	if d.Dialect == sqlsegment.SQLite {
		_, err := d.Open(t).ExecContext(t.Context(), "CREATE TABLE of_others (id INTEGER)")
		require.NoError(t, err)
	}
	desk := &desk{t: t, program: program, database: d, dsn: d.DSN}
	require.Contains(t, desk.fails("status"), "segmentguard migrate", "there are no tables yet")
	require.Contains(t, desk.says(0, "migrate"), "ready")
	desk.ledger = d.History(t)
	return desk
}

func (d *desk) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(d.t.Context(), d.program, args...)
	c.Env = append(os.Environ(), "SEGMENTGUARD_DSN="+d.dsn, "USER=mira")
	return c
}

// run returns the exit status, and what was printed.
func (d *desk) run(stdin string, args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	c := d.command(args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String(), errs.String()
	}
	require.NoError(d.t, err)
	return 0, out.String(), errs.String()
}

func (d *desk) says(want int, args ...string) string {
	d.t.Helper()
	code, out, errs := d.run("", args...)
	require.Empty(d.t, errs, "%q", args)
	require.Equal(d.t, want, code, "%q: %s", args, out)
	return out
}

// fails runs what cannot be done, and returns the one line that says why.
func (d *desk) fails(args ...string) string {
	d.t.Helper()
	code, _, errs := d.run("", args...)
	require.Equal(d.t, 2, code, "%q", args)
	require.Equal(d.t, 1, strings.Count(errs, "\n"), errs)
	return errs
}

// exec changes the database behind the ledger's back.
func (d *desk) exec(statement string) {
	d.t.Helper()
	_, err := d.database.Open(d.t).ExecContext(d.t.Context(), statement)
	require.NoError(d.t, err)
}

var hostile = segment.ID{SiteGroup: "site-x", Name: "\x1b[31mred\n\u202e" + strings.Repeat("long", 200)}

// fill keeps twenty sizes of some segments, and has runs of a build that stops at 10,000.
func (d *desk) fill() {
	d.t.Helper()
	ctx, now := d.t.Context(), time.Now().UTC().Add(-time.Hour)
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: d.ledger, Alerter: quiet{}, Now: func() time.Time { return now }})
	require.NoError(d.t, err)
	ids := []segment.ID{hostile}
	for _, name := range []string{"boats", "books", "cars", "movies", "music", "wine"} {
		ids = append(ids, segment.ID{SiteGroup: "site-b", Name: name})
	}
	var imports []segment.SizeImport
	for _, id := range ids {
		var sizes []validate.Size
		for day := range 20 {
			sizes = append(sizes, validate.Size{At: now.AddDate(0, 0, day-20), Users: int64(20_000 + 10*day)})
		}
		imports = append(imports, segment.SizeImport{Segment: id, Sizes: sizes})
	}
	require.NoError(d.t, segment.Import(ctx, d.ledger, imports))
	for i, id := range ids[:5] {
		done := func(context.Context) error { return nil }
		run := segment.Run{
			ID: "tonight", Build: "9", Job: segment.Copy(id, segment.ID{SiteGroup: "site-a", Name: "all"}), Expected: validate.Count(20_200),
			Stored: func(context.Context) (validate.Summary, error) { return validate.Count(10_000), nil },
		}
		if run.Live = i%2 == 0; !run.Live {
			run.Staging = segment.Staging{Commit: done, Discard: done}
		}
		require.NoError(d.t, guard.Begin(ctx, &run))
		_, err := guard.Commit(ctx, run)
		require.Error(d.t, err)
	}
	require.NoError(d.t, d.ledger.KeepSweep(ctx, segment.SweepNumbers{At: now, Complete: true, Segments: 7, Healthy: 2, Affected: 5}))
	require.NoError(d.t, d.ledger.Change(ctx, []segment.Key{{}}, func(s *segment.SegmentState) error {
		s.Log = append(s.Log, segment.LogEntry{At: now, Action: segment.ActionTripped, Text: "5 live segments have proven faults", Mark: &segment.Mark{JobKind: "copy", Build: "9"}})
		return nil
	}))
}

type quiet struct{}

func (quiet) Tell(context.Context, []segment.Alert, []segment.Alert) error { return nil }

// everyCommand runs each command once, in an order in which somebody may.
func everyCommand(d *desk) {
	t := d.t
	d.fill()
	require.Contains(t, d.says(1, "status"), "3 live segments hold too few users, 2 are protected.")
	require.Contains(t, d.says(1, "show", "site-b/boats"), "10,000")
	require.Contains(t, d.says(1, "show", hostile.String()), `\x1b[31mred\n\u202e`)
	require.Contains(t, d.says(0, "log"), "opened")
	require.Contains(t, d.says(0, "builds"), "100.0%")
	require.Contains(t, d.says(0, "check", "--log"), "0 cannot be read")
	report := filepath.Join(t.TempDir(), "report.html")
	require.Contains(t, d.says(0, "report", report), "Wrote")
	d.serves()
	for _, args := range [][]string{
		{"accept", hostile.String()},
		{"accept", "--low-share", "0.5", "--high-share", "2", "--until", "+3d", "site-b/cars"},
		{"suspect", "--from", "-10d", "site-b/cars"},
		{"false-alarm", "site-b/boats"},
		{"mute", "--until", "+3h", "--group", "site-b"},
		{"unmute", "--group", "site-b"},
		{"rename", "site-b/wine", "site-b/vino"},
		{"forget", "site-b/vino"},
		{"resume", "--job-kind", "copy", "9"},
	} {
		before := d.says(0, "log", "--limit", "0", "--json")
		require.Contains(t, d.says(0, append(args, "--dry-run")...), "it is a dry run")
		require.Equal(t, before, d.says(0, "log", "--limit", "0", "--json"), "%q", args)
		require.Contains(t, d.says(0, append(args, "--why", "it's fine")...), "Done.", "%q", args)
		require.NotEqual(t, before, d.says(0, "log", "--limit", "0", "--json"), "%q", args)
	}
	code, out, errs := d.run("segment,at,users\nsite-n/new,2024-03-18T03:00:00Z,5\n", "import", "--why", "backfill", "-")
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "Done.")
	d.exec(d.database.SQL(`UPDATE segmentguard_segments SET state = '\x0400000000' WHERE segment = 'site-b/music'`, `UPDATE segmentguard_segments SET state = x'0400000000' WHERE segment = 'site-b/music'`))
	require.Contains(t, d.says(2, "check"), "segmentguard repair --why WHY site-b/music")
	require.Contains(t, d.says(0, "repair", "--why", "the disk", "site-b/music"), "what cannot be read is dropped")
	require.Contains(t, d.says(0, "check"), "0 cannot be read")
	require.Contains(t, d.says(1, "status", "--json"), `"affected": 3`)
	d.exec("INSERT INTO segmentguard_schema (version, at) VALUES (99, " + d.database.SQL("now()", "0") + ")")
	require.Contains(t, d.fails("status"), "version 99")
	require.Contains(t, d.fails("accept", "--why", "x", "site-b/books"), "version 99")
	require.Contains(t, d.fails("migrate"), "version 99")
}

// serves has the dashboard served until it is interrupted.
func (d *desk) serves() {
	d.t.Helper()
	c := d.command("serve", "--port", "0")
	out, err := c.StdoutPipe()
	require.NoError(d.t, err)
	require.NoError(d.t, c.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(d.t, err)
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, strings.Fields(line)[4], nil)
	require.NoError(d.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(d.t, errors.Join(err, resp.Body.Close()))
	require.Contains(d.t, string(page), "3 live segments hold too few users")
	require.NoError(d.t, c.Process.Signal(syscall.SIGINT))
	require.NoError(d.t, c.Wait(), "it ends well")
}

// rights: who may not read learns nothing, who may not write changes nothing.
func rights(d *desk) {
	t := d.t
	d.fill()
	role := fmt.Sprintf("reader%d", time.Now().UnixNano())
	d.exec("CREATE ROLE " + role + " LOGIN")
	t.Cleanup(func() {
		db := d.database.Open(t)
		_, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role)
		require.NoError(t, err)
		_, err = db.ExecContext(context.WithoutCancel(t.Context()), "DROP ROLE "+role)
		require.NoError(t, err)
	})
	owner := d.dsn
	reader := strings.Replace(owner, "user=postgres", "user="+role, 1)
	d.dsn = reader
	for _, args := range [][]string{{"status"}, {"show", "site-b/boats"}, {"log"}, {"builds"}, {"accept", "--why", "x", "site-b/boats"}, {"report", "-"}} {
		require.Contains(t, d.fails(args...), "permission denied", "%q", args)
	}
	require.Contains(t, d.says(2, "check"), "permission denied")
	d.dsn = owner
	d.exec("GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role)
	before := d.says(0, "log", "--limit", "0", "--json")
	d.dsn = reader
	d.says(1, "status")
	d.says(1, "show", "site-b/boats")
	for _, args := range [][]string{{"accept", "site-b/boats"}, {"forget", "site-b/boats"}, {"mute", "--until", "+1h", "site-b/boats"}, {"false-alarm", "site-b/boats"}, {"rename", "site-b/boats", "site-b/ships"}} {
		require.Contains(t, d.says(0, append(args, "--dry-run")...), "it is a dry run", "to look takes no right to write")
		require.Contains(t, d.fails(append(args, "--why", "x")...), "permission denied", "%q", args)
	}
	d.dsn = owner
	require.Equal(t, before, d.says(0, "log", "--limit", "0", "--json"), "nothing was changed")
}

// lostConnection: a server ends the connection amid a decision about thousands. Each
// segment was changed as a whole or not at all, and the same command does the rest.
func lostConnection(d *desk) {
	t := d.t
	var imports []segment.SizeImport
	at := time.Now().UTC().Add(-time.Hour)
	for i := range 2500 {
		imports = append(imports, segment.SizeImport{Segment: segment.ID{SiteGroup: "big", Name: fmt.Sprintf("%04d", i)}, Sizes: []validate.Size{{At: at, Users: 7}}})
	}
	require.NoError(t, segment.Import(t.Context(), d.ledger, imports))
	d.exec(`CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.segment = 'big/1500' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$`)
	d.exec("CREATE TRIGGER cut BEFORE INSERT ON segmentguard_log FOR EACH ROW EXECUTE FUNCTION cut()")
	code, out, errs := d.run("", "forget", "--why", "the customer left", "--group", "big")
	require.Equal(t, 2, code)
	require.Equal(t, 1, strings.Count(errs, "\n"), errs)
	require.Contains(t, errs, "not all was done")
	require.Contains(t, errs, "give the same command again")
	require.NotContains(t, out, "Done.")
	require.Equal(t, 1500, d.known(), "a thousand at a time")
	require.Len(t, d.forgotten(), 1000)
	d.exec("DROP TRIGGER cut ON segmentguard_log")
	require.Contains(t, d.says(0, "forget", "--why", "the customer left", "--group", "big"), "This changes 1,500 segments")
	require.Zero(t, d.known())
	require.Len(t, d.forgotten(), 2500)
}

// known returns of how many segments something is known.
func (d *desk) known() (n int) {
	d.t.Helper()
	for s, err := range d.ledger.Segments(d.t.Context(), segment.SegmentFilter{}) {
		require.NoError(d.t, err)
		require.Len(d.t, s.Sizes, 1, "what is left is whole")
		n++
	}
	return n
}

func (d *desk) forgotten() map[segment.ID]bool {
	d.t.Helper()
	found := map[segment.ID]bool{}
	for e, err := range d.ledger.Log(d.t.Context(), segment.LogFilter{Action: segment.ActionForgotten}) {
		require.NoError(d.t, err)
		require.False(d.t, found[e.Segment], "once")
		found[e.Segment] = true
	}
	return found
}
