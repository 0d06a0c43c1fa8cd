package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// small is the incident with one segment above the limit, one below, and from
// each a chain that runs both ways.
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
	w.extend("b", "cars-like", id("b", "cars"), 0.975)
	w.chained = []segment.Job{
		segment.Copy(id("a", "pets-like"), id("b", "pets-like")),
		segment.Copy(id("a", "cars-like"), id("b", "cars-like")),
	}
	return w
}

func TestIncident(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	require.NoError(t, playBoth(t.Context(), dir, small(), show{}, &out, io.Discard))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, []string{
		"without segmentguard: 5 live segments lost users, 0 jobs failed",
		"with segmentguard: 0 live segments lost users, 6 jobs failed",
	}, lines[len(lines)-2:], "cars capped, two lookalikes emptied and copied empty; each of the three faulty jobs fails in both nights")
	require.Contains(t, out.String(), "customers not hit: the live segment keeps its users; site-b/cars: stored 10,000 of 10,500 users (4.8% short, 0 allowed), lost while reading: exactly the first 10,000 of 10,500 users; capped at 10,000, a known limit (Elasticsearch index.max_result_window, …); build ")
	require.Contains(t, out.String(), " users (100% short, 0 allowed); build ")
	require.Regexp(t, `night 4, hour \+24 +6 succeeded +10,300 \(5 segments short\) +0 +3 succeeded, 3 failed +13,614 +3\n`, out.String(), "both timelines side by side")
	_, recovery, _ := strings.Cut(out.String(), "\nWITHOUT SEGMENTGUARD nobody")
	recovery, _, _ = strings.Cut(recovery, "\n\nwithout segmentguard: ")
	require.Equal(t, wantRecovery, "WITHOUT SEGMENTGUARD nobody"+recovery)
	requireDatabases(t, dir)
}

// The cars' lookalike finds two users less as long as the copy it reads is
// short, which is from hour 63 to hour 145; one plan has it right at once.
const wantRecovery = `WITHOUT SEGMENTGUARD nobody knows which segments are short. Jobs are rerun kind by kind:

  hour  51: lookalike modeling is fixed: some of its jobs       1 rerun,  4 segments still short
  hour  63: more reports: all lookalike jobs                    2 rerun,  4 segments still short
  hour  93: SegmentCopy was fixed at hour 74: all copy jobs     4 rerun,  2 segments still short
  hour 145: all lookalike jobs again, then all copy jobs        6 rerun,  0 segments still short

  users missing after hour                                          48      51      63      93     145
  copy site-a/cars to site-b/cars                                  500     500     500       0       0
  lookalike site-b/pets to site-b/pets-like                        171       0       0       0       0
  lookalike site-b/cars to site-b/cars-like                      1,236   1,236       2       2       0
  copy site-b/pets-like to site-a/pets-like                        171     171     171       0       0
  copy site-b/cars-like to site-a/cars-like                      1,236   1,236   1,236       2       0

  A lookalike rerun from a copy that is still short is short again, and so is every copy of it.

WITH SEGMENTGUARD all is known, and waits for the fixes. Hour 74, both are deployed:

  Rerun 5 jobs for 3 affected segments, 11,907 users at stake.
  By kind: 3 copy, 2 lookalike.
  By site group: 3 site-b, 2 site-a.
  2 can start at once; the longest chain has 3 steps.

    1. copy site-a/cars to site-b/cars: affected, 10,500 users at stake
    2. lookalike site-b/cars to site-b/cars-like: affected, 1,236 users at stake, reads site-b/cars; after 1
    3. lookalike site-b/pets to site-b/pets-like: affected, 171 users at stake
    4. copy site-b/cars-like to site-a/cars-like: reads site-b/cars-like; after 2
    5. copy site-b/pets-like to site-a/pets-like: reads site-b/pets-like; after 3

  Every rerun is guarded. Outcome: 5 done

                       somebody notices        everything is right again
without segmentguard   hour 46, by customers   hour 145, after 13 reruns
with segmentguard      hour 24, by 3 alerts    hour 74, after 5 reruns`

// TestLostIsSeen: the exit status and the second line are able to tell that a
// guarded segment lost users.
func TestLostIsSeen(t *testing.T) {
	var out bytes.Buffer
	nights := make([]night, lastNight)
	require.ErrorIs(t, compare(&out, &replay{nights: nights}, &replay{guarded: true, lost: 1, nights: nights}), errLost)
	require.True(t, strings.HasSuffix(out.String(), "with segmentguard: 1 live segments lost users, 0 jobs failed\n"))
}

// requireDatabases asks the databases themselves what the replays left: what is
// printed is true there.
func requireDatabases(t *testing.T, dir string) {
	t.Helper()
	without, with := played(t, dir, false), played(t, dir, true)
	for _, test := range []struct {
		query, without, with, reason string
	}{
		{"SELECT count(*) FROM (SELECT * FROM whole EXCEPT SELECT segment, user FROM live JOIN members USING (generation))", "0", "0", "nobody is missing at the end"},
		{"SELECT count(*) FROM (SELECT segment, user FROM live JOIN members USING (generation) WHERE segment IN (SELECT segment FROM whole) EXCEPT SELECT * FROM whole)", "0", "0", "and nobody is there who was not"},
		{"SELECT count(DISTINCT segment) FROM whole", "6", "6", "that is said of all that jobs write"},
		{"SELECT count(*) FROM members WHERE generation NOT IN (SELECT generation FROM live)", "0", "0", "no staged rows are left"},
		{"SELECT coalesce(group_concat(DISTINCT hour), '') FROM missing", "24,48,51,63,93", "", "without the guard somebody is missing from the first night until the last wave, with it never"},
		{"SELECT coalesce(group_concat(hour), '') FROM looks WHERE alerts > 0", "", "24,48", "one alert a segment"},
		{"SELECT group_concat(DISTINCT live) FROM looks WHERE hour <= 48", "13614,10300", "13614", "of 10,500 copied users and 300, and of twice 1,236 and 171 who are like them, 500 and all lookalikes are gone"},
		{"SELECT max(alerts) FROM looks", "0", "3", "until the plan resolved them all"},
		{"SELECT count(*) FROM alerts", "0", "0", "which it did"},
		{"SELECT group_concat(n) FROM (SELECT count(*) n FROM results WHERE hour > 48 GROUP BY hour ORDER BY hour)", "1,2,4,6", "5", "the reruns of each wave, and of the plan"},
		{"SELECT count(*) FROM results WHERE hour > 48 AND error IS NOT NULL", "0", "0", "none of which failed"},
		{"SELECT count(DISTINCT error) FROM results", "0", "3", "each faulty job says its own"},
	} {
		for db, want := range map[*sql.DB]string{without: test.without, with: test.with} {
			var got string
			require.NoError(t, db.QueryRowContext(t.Context(), test.query).Scan(&got), test.query)
			require.Equal(t, want, got, test.reason)
		}
	}
	attempts, err := collect(with.QueryContext(t.Context(), "SELECT state || ' ' || count(*) FROM segmentguard_log WHERE state <> 'passed' GROUP BY state ORDER BY state"))
	require.NoError(t, err)
	require.Equal(t, []string{"committed 29", "rejected 6"}, attempts, "five nights of six jobs, and the five of the plan")
}

func played(t *testing.T, dir string, guarded bool) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, fmt.Sprintf("guarded-%t.db", guarded)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestShow: the report is of the night before anything is repaired, the dashboard of
// what is right again.
func TestShow(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "report.html")
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, small(), show{file, "127.0.0.1:0"}, io.Discard, writer)
		writer.CloseWithError(io.EOF)
		ended <- err
	}()
	address := ""
	for lines := bufio.NewScanner(reader); address == "" && lines.Scan(); {
		if _, after, found := strings.Cut(lines.Text(), "The dashboard is at "); found {
			address = strings.Fields(after)[0]
		}
	}
	require.NotEmpty(t, address, "where it is")
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(report), "No live segment holds too few users, 3 are protected.")
	require.Contains(t, string(report), "site-b/cars-like")
	require.Contains(t, get(t, address), "No segment is known to be affected.")
	require.Contains(t, get(t, address+"plan"), "5 of 5 steps done: everything affected was made again.")
	interrupt()
	require.NoError(t, <-ended)
}

func get(t *testing.T, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
