package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// small is the incident with one segment above the limit, one below, and a
// chain each way.
func small() world {
	w := world{
		users:   12_000,
		uploads: []upload{{id("a", "cars"), 10_500, 0}, {id("a", "pets"), 300, 1}},
		copies: []segment.Job{
			segment.Copy(id("b", "cars"), id("a", "cars")),
			segment.Copy(id("b", "pets"), id("a", "pets")),
		},
	}
	w.extend("b", "pets-like", id("b", "pets"), 0.98)
	w.chained = []segment.Job{segment.Copy(id("a", "pets-like"), id("b", "pets-like"))}
	return w
}

func TestIncident(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), small(), &out, io.Discard))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, []string{
		"without segmentguard: 3 live segments lost users, 0 jobs failed",
		"with segmentguard: 0 live segments lost users, 4 jobs failed",
	}, lines[len(lines)-2:], "cars capped, pets-like emptied and copied empty; each of the two faulty jobs fails in both nights")
	require.Contains(t, out.String(), "site-b/cars: stored 10,000 of 10,500 users (4.8% short, 0 allowed), lost while reading: exactly the first 10,000 of 10,500 users; capped at 10,000, a known limit (Elasticsearch index.max_result_window, …) (discarded: the live segment keeps its users)\n")
	require.Contains(t, out.String(), " users (100% short, 0 allowed) (discarded: the live segment keeps its users)\n")
}

// TestLostIsSeen: the exit status and the second line are able to tell that a
// guarded segment lost users.
func TestLostIsSeen(t *testing.T) {
	var out bytes.Buffer
	require.ErrorIs(t, compare(&out, &replay{days: make([]day, lastDay)}, &replay{guarded: true, lost: 1, days: make([]day, lastDay)}), errLost)
	require.True(t, strings.HasSuffix(out.String(), "with segmentguard: 1 live segments lost users, 0 jobs failed\n"))
}

// TestGuardedDatabase asks the database itself what is left of the guarded
// replay: all users, one alert a segment, and no staged rows.
func TestGuardedDatabase(t *testing.T) {
	dir, w := t.TempDir(), small()
	r, err := play(t.Context(), dir, w, w.population(), true, io.Discard)
	require.NoError(t, err)
	require.Zero(t, r.lost)
	db, err := open(t.Context(), filepath.Join(dir, "again.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), "ATTACH ? AS played", filepath.Join(dir, "guarded-true.db"))
	require.NoError(t, err)
	for query, want := range map[string]string{
		"SELECT segment FROM played.alerts ORDER BY segment":                                                                           "site-b/cars site-b/pets-like",
		"SELECT count(*) FROM played.members JOIN played.live USING (generation) WHERE segment = 'site-b/cars'":                        "10500",
		"SELECT count(*) FROM played.members WHERE generation NOT IN (SELECT generation FROM played.live)":                             "0",
		"SELECT count(*) FROM played.segmentguard_attempts WHERE state = 'rejected'":                                                   "4",
		"SELECT count(DISTINCT error) FROM played.results WHERE error IS NOT NULL":                                                     "2",
		"SELECT count(*) FROM played.sizes s JOIN played.sizes b USING (segment) WHERE b.day = 3 AND s.day > 3 AND s.users <> b.users": "0",
	} {
		got, err := collect(db.QueryContext(t.Context(), query))
		require.NoError(t, err)
		require.Equal(t, want, strings.Join(got, " "), query)
	}
}
