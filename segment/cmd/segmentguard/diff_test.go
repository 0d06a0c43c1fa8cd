package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// idFiles writes two files: of the users of a source, and of the first 10,000, one of
// which is there twice, and a stranger.
func idFiles(t *testing.T) (expected, stored string) {
	t.Helper()
	var all, cut strings.Builder
	for i := range 12_345 {
		fmt.Fprintf(&all, "user-%d\n", i)
		if i < 10_000 {
			fmt.Fprintf(&cut, "user-%d\n", i)
		}
	}
	cut.WriteString("user-7\nstranger\n")
	expected, stored = filepath.Join(t.TempDir(), "expected"), filepath.Join(t.TempDir(), "stored")
	require.NoError(t, os.WriteFile(expected, []byte(all.String()), 0o600))
	require.NoError(t, os.WriteFile(stored, []byte(cut.String()), 0o600))
	return expected, stored
}

func TestDiffOfFiles(t *testing.T) {
	d := emptyDesk(t)
	d.dsn = "" // it is not asked for
	expected, stored := idFiles(t)
	ids := filepath.Join(t.TempDir(), "differing")
	code, out, errs := d.run("diff", "--ids", ids, expected, stored)
	require.Empty(t, errs)
	require.Equal(t, affected, code)
	require.True(t, strings.HasPrefix(out, "Of 12,345 users expected, 2,345 are missing; 2 of the 10,002 stored should not be there.\n"), out)
	written, err := os.ReadFile(ids)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(written), "\n"), "\n")
	require.Len(t, lines, 2347)
	require.Equal(t, "-user-10000", lines[0])
	require.ElementsMatch(t, []string{"+user-7", "+stranger"}, lines[2345:])
	info, err := os.Stat(ids)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "ids are users")

	code, out, errs = d.run("diff", "--json", expected, stored)
	require.Empty(t, errs)
	require.Equal(t, affected, code)
	var said diffOutput
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	require.Equal(t, between{2345, 2345}, said.Missing)
	require.Equal(t, between{2, 2}, said.Foreign)
	require.True(t, said.Exact)

	code, out, _ = d.run("diff", expected, expected)
	require.Equal(t, well, code)
	require.Contains(t, out, "Both hold the same 12,345 users.")
}

func TestDiffOfQueries(t *testing.T) {
	d := emptyDesk(t)
	_, stored := idFiles(t)
	_, err := d.db.ExecContext(t.Context(), "CREATE TABLE cars AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT 'user-' || i AS id FROM n")
	require.NoError(t, err)
	code, out, errs := d.run("diff", "SELECT id FROM cars", stored)
	require.Empty(t, errs)
	require.Equal(t, affected, code)
	require.Contains(t, out, "Of 10,000 users expected, 0 are missing; 2 of the 10,002 stored should not be there.")
	other := d.dsn
	d.dsn = ""
	code, out, errs = d.run("diff", "--expected-dsn", other, "--stored-dsn", other, "SELECT id FROM cars", "select id from cars where id <> 'user-3'")
	require.Empty(t, errs)
	require.Equal(t, affected, code)
	require.Contains(t, out, "Of 10,000 users expected, 1 is missing")
}

// TestDiffTellsNoPassword: not of any DSN that it was given.
func TestDiffTellsNoPassword(t *testing.T) {
	d := emptyDesk(t)
	_, stored := idFiles(t)
	const dsn = "guard:hunter2secret@db/segments"
	for _, args := range [][]string{
		{"diff", stored, "SELECT 1"}, {"diff", "--expected-dsn", dsn, "SELECT 1", stored}, {"diff", "--stored-dsn", "postgres://" + dsn, stored, "SELECT 1"},
	} {
		d.dsn = dsn
		code, out, errs := d.run(args...)
		require.Equal(t, unsure, code, args)
		require.NotContains(t, out+errs, "hunter2secret", args)
	}
}

func TestDiffRefuses(t *testing.T) {
	d := emptyDesk(t)
	expected, stored := idFiles(t)
	ids := filepath.Join(t.TempDir(), "differing")
	require.NoError(t, os.WriteFile(ids, []byte("of yesterday\n"), 0o600))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no such file", []string{expected, filepath.Join(t.TempDir(), "none")}},
		{"both sides are standard input", []string{"-", "-"}},
		{"can be read once", []string{"--ids", ids, "-", stored}},
		{"--page is 0", []string{"--page", "0", expected, stored}},
		{"no such table: nowhere", []string{"SELECT id FROM nowhere", stored}},
		{"--stored-dsn", []string{"--dsn", "", expected, "SELECT 1"}},
	} {
		if c.want == "--stored-dsn" {
			d.dsn = ""
		}
		code, out, errs := d.run(append([]string{"diff"}, c.args...)...)
		require.Equal(t, unsure, code, c.want)
		require.Empty(t, out, c.want)
		require.Contains(t, errs, c.want)
	}
	kept, err := os.ReadFile(ids)
	require.NoError(t, err)
	require.Equal(t, "of yesterday\n", string(kept))
}
