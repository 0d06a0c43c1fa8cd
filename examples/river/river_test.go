package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test's own program be the workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping postgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// The program from its start to its end, and again when all is done.
func TestLead(t *testing.T) {
	dsn, pool := newDatabase(t)
	o := options{dsn: dsn, plan: "night", workers: 3, timeout: time.Minute}
	var out strings.Builder
	require.NoError(t, lead(t.Context(), o, &out))
	require.Contains(t, out.String(), "Rerun 40 jobs for 10 affected segments, 10,000 users at stake.")
	require.Contains(t, out.String(), "\n40 done, 0 running, 0 waiting, 0 unverified, 0 failed, 0 cancelled\n")
	rows, err := pool.Query(t.Context(), "SELECT id, made, (SELECT count(*) FROM segment_user u WHERE u.segment = s.id) FROM segment s ORDER BY id")
	require.NoError(t, err)
	var name string
	var made, users int
	_, err = pgx.ForEachRow(rows, []any{&name, &made, &users}, func() error {
		want := 1
		if strings.HasPrefix(name, "site-a/seed-") {
			want = 0
		}
		require.Equal(t, want, made, "how often %s was made", name)
		require.GreaterOrEqual(t, users, usersPerSeed, name)
		return nil
	})
	require.NoError(t, err)

	out.Reset()
	require.NoError(t, lead(t.Context(), o, &out))
	require.Contains(t, out.String(), "\n\n40 done,", "at once")
	var attempts int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT sum(attempt) FROM segmentguard_steps").Scan(&attempts))
	require.Equal(t, 40, attempts)
}

// A plan of which a step failed goes on when the program is started again.
func TestGoesOn(t *testing.T) {
	dsn, pool := newDatabase(t)
	require.NoError(t, createPlatform(t.Context(), pool))
	_, err := pool.Exec(t.Context(), `ALTER TABLE segment ADD CONSTRAINT broken CHECK (id <> 'site-b/wide-3' OR made = 0);
		CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.max_attempts = 1; RETURN NEW; END';
		CREATE TRIGGER once BEFORE INSERT ON river_job FOR EACH ROW EXECUTE FUNCTION once()`)
	require.NoError(t, err)
	o := options{dsn: dsn, plan: "night", workers: 1, timeout: time.Minute}
	var out strings.Builder
	require.ErrorContains(t, lead(t.Context(), o, &out), "38 done, 1 failed, 1 blocked")
	require.Contains(t, out.String(), "\n38 done, 0 running, 0 waiting, 0 unverified, 1 failed, 1 cancelled\n")
	_, err = pool.Exec(t.Context(), "ALTER TABLE segment DROP CONSTRAINT broken")
	require.NoError(t, err)
	require.NoError(t, lead(t.Context(), o, &out))
}
