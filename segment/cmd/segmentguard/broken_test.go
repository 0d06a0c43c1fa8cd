package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func (d *desk) exec(statement string) {
	d.t.Helper()
	result, err := d.db.ExecContext(d.t.Context(), statement)
	require.NoError(d.t, err)
	if strings.HasPrefix(statement, "UPDATE") {
		n, err := result.RowsAffected()
		require.NoError(d.t, err)
		require.Positive(d.t, n, statement)
	}
}

// TestDamage: what cannot be read is named, and the command that check prints repairs it.
func TestDamage(t *testing.T) {
	d := newDesk(t)
	d.exec("UPDATE segmentguard_segments SET state = x'0400000000' WHERE segment = 'site-b/cars'")
	d.exec("UPDATE segmentguard_segments SET segment = 'nameless' WHERE segment = 'site-b/wine'")
	d.exec("UPDATE segmentguard_log SET report = '[' WHERE id = (SELECT max(id) FROM segmentguard_log WHERE report IS NOT NULL)")
	require.Contains(t, d.says(affected, "show", "site-b/cars"), "damaged")
	require.Contains(t, d.says(affected, "status", "--limit", "0"), "damaged")
	require.Contains(t, d.refuses("accept", "--why", "x", "site-b/cars"), "damaged")
	require.Contains(t, d.says(unsure, "check"), "2 cannot be read")
	out := d.says(unsure, "check", "--log")
	require.Contains(t, out, "3 cannot be read")
	var c checkOutput
	d.into(&c, unsure, "check", "--log")
	require.Len(t, c.Damaged, 3)
	n := 0
	for line := range strings.Lines(out) {
		if args, ok := strings.CutPrefix(strings.TrimSpace(line), "segmentguard "); ok {
			before := d.dump()
			d.says(well, append(strings.Fields(args), "--dry-run")...)
			require.Equal(t, before, d.dump())
			require.Contains(t, d.says(well, strings.Fields(args)...), "Done.")
			n++
		}
	}
	require.Equal(t, 3, n)
	require.Contains(t, d.says(well, "check", "--log"), "0 cannot be read")
}

// TestLedgersThatAreNone: one line says what is wrong, and what to do.
func TestLedgersThatAreNone(t *testing.T) {
	fresh := emptyDesk(t)
	newer := newDesk(t)
	newer.exec("INSERT INTO segmentguard_schema (version, at) VALUES (99, 0)")
	gone := emptyDesk(t)
	gone.dsn = filepath.Join(t.TempDir(), "none.db")
	folder := emptyDesk(t)
	folder.dsn = t.TempDir()
	text := emptyDesk(t)
	text.dsn = filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text.dsn, []byte(strings.Repeat("no database\n", 100)), 0o600))
	unnamed := emptyDesk(t)
	unnamed.dsn = ""
	for want, d := range map[string]*desk{
		"segmentguard migrate": fresh, "version 99": newer, "there is no file": gone, "is a folder": folder, "not a database": text, "set SEGMENTGUARD_DSN": unnamed,
	} {
		for _, args := range [][]string{{"status"}, {"show", "a/b"}, {"log"}, {"builds"}, {"accept", "--why", "x", "a/b"}, {"mute", "--why", "x", "--until", "+1h", "a/b"}, {"serve", "--port", "0"}, {"report", "-"}} {
			code, out, errs := d.run(args...)
			require.Equal(t, unsure, code, args)
			require.Empty(t, out, args)
			require.Contains(t, errs, want, args)
		}
	}
	require.NoFileExists(t, gone.dsn, "a misspelled path makes no ledger")
	require.Contains(t, fresh.says(unsure, "check"), "Schema and rights: ")
	require.Contains(t, newer.says(unsure, "check"), "version 99")
	code, _, errs := newer.run("migrate")
	require.Equal(t, unsure, code)
	require.Contains(t, errs, "version 99")
	require.Contains(t, fresh.says(well, "migrate"), "ready")
	require.Contains(t, fresh.says(well, "migrate"), "ready", "again")
	require.Contains(t, gone.says(well, "migrate"), "ready")
	require.FileExists(t, gone.dsn)
}

// TestDSN: each form reaches its engine, and no word of a password is printed.
func TestDSN(t *testing.T) {
	const secret = "s3cr#t:/@p%w"
	for dsn, want := range map[string]string{
		"postgres://ann:s3cr#t:/@p%w@127.0.0.1:1/x":                "one of PostgreSQL",
		"postgres://ann:s3cr%23t%3A%2F%40p%25w@127.0.0.1:1/x":      "cannot connect",
		"postgresql://ann:s3cr%23t@127.0.0.1:1/x?sslmode=odd":      "one of PostgreSQL",
		"host=127.0.0.1 port=1 user=ann password='s3cr#t:/@p%w'":   "cannot connect",
		"host=127.0.0.1 port=nine user=ann password=s3cr#t:/@p%w":  "one of PostgreSQL",
		"mysql://ann:s3cr%23t%3A%2F%40p%25w@127.0.0.1:1/x":         "cannot connect",
		"mariadb://ann:s3cr#t:/@p%w@127.0.0.1:1/x":                 "one of MySQL",
		"mysql://ann:s3cr%23t@127.0.0.1:1":                         "names no database",
		"mysql://ann:s3cr%23t@127.0.0.1:1/x?parseTime=s3cr%23t%3A": "one of MySQL",
		"ann:s3cr#t:/@p%w@tcp(127.0.0.1:1)/x":                      "cannot connect",
		"ann:s3cr#t:/@p%w@unix(/none)/x":                           "cannot connect",
		"ann:s3cr#t:/@p%w@tcp(127.0.0.1:1/x":                       "one of MySQL",
		"file:%zz?password=s3cr#t":                                 "one of SQLite",
		"redis://ann:s3cr%23t@host":                                "there is no file",
	} {
		d := emptyDesk(t)
		d.dsn = dsn
		code, out, errs := d.run("status")
		require.Equal(t, unsure, code, dsn)
		require.Empty(t, out)
		require.Contains(t, errs, want, dsn)
		for _, part := range []string{secret, "s3cr#t", "s3cr%23t", "/@p"} {
			require.NotContains(t, errs, part, dsn)
		}
	}
}

// TestSQLiteDSN: each way to name a file finds the same.
func TestSQLiteDSN(t *testing.T) {
	d := newDesk(t)
	odd := filepath.Join(t.TempDir(), "a?b#c%20d.db")
	ledger, err := os.ReadFile(d.path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(odd, ledger, 0o600))
	escaped := strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(odd)
	for _, dsn := range []string{odd, "file:" + escaped, "file://" + escaped, "file://localhost" + escaped, "sqlite:" + odd, "sqlite://" + odd, "file:" + escaped + "?_pragma=busy_timeout(1000)"} {
		d.dsn = dsn
		d.says(affected, "status")
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// TestPipes: that nobody reads the output any more is no fault, and keeps no decision
// from being taken; that a disk is full is one.
func TestPipes(t *testing.T) {
	d := newDesk(t)
	run := func(err error, args ...string) (int, string) {
		env := func(name string) string { return map[string]string{"SEGMENTGUARD_DSN": d.dsn, "USER": "mira"}[name] }
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: newPrinter(brokenWriter{err}, env), err: newPrinter(&errs, env), env: env, now: d.clock}
		return run2(t, a, args), errs.String()
	}
	code, errs := run(&os.PathError{Op: "write", Err: syscall.EPIPE}, "status")
	require.Equal(t, affected, code)
	require.Empty(t, errs)
	code, errs = run(&os.PathError{Op: "write", Err: syscall.EPIPE}, "accept", "--why", "x", "site-b/cars")
	require.Equal(t, well, code)
	require.Empty(t, errs)
	d.says(well, "show", "site-b/cars")
	code, errs = run(errors.New("no space left"), "status")
	require.Equal(t, unsure, code)
	require.Contains(t, errs, "writing the output: no space left")
}

// TestRules: a file of rules is read without a ledger.
func TestRules(t *testing.T) {
	d := emptyDesk(t)
	d.dsn = ""
	d.stdin = `[{"name": "all"}]`
	require.Equal(t, "Rules of -: fine\n", d.says(well, "check", "--rules", "-"))
	d.stdin = `[{"name": "all", "polcy": {}}]`
	require.Contains(t, d.says(unsure, "check", "--rules", "-"), `polcy`)
	var c checkOutput
	d.stdin = `[`
	d.into(&c, unsure, "check", "--rules", "-")
	require.False(t, c.OK)
	require.Contains(t, c.Rules, "line 1")
}
