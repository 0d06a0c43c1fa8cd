package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// newDatabase starts a PostgreSQL of the test's own, on a socket in a temporary
// folder, and makes the tables.
func newDatabase(t *testing.T) (dsn string, pool *pgxpool.Pool) {
	t.Helper()
	binaries := installed(t)
	folder, err := os.MkdirTemp("", "river") // t.TempDir is too long a path for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	data, dsn := filepath.Join(folder, "data"), fmt.Sprintf("host=%s user=postgres dbname=postgres", folder)
	as := &syscall.SysProcAttr{Credential: login(t, folder)}

	initdb := exec.Command(filepath.Join(binaries, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, folder
	text, err := initdb.CombinedOutput()
	require.NoError(t, err, string(text))
	// It stops when its standard input ends, also by the test's own death.
	server := exec.Command("sh", "-c", `"$@" & cat >/dev/null; kill -QUIT $!; wait`, "sh",
		filepath.Join(binaries, "postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off")
	server.SysProcAttr, server.Dir = as, folder
	input, err := server.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { require.NoError(t, errors.Join(input.Close(), server.Wait())) })

	pool, err = pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	eventually(t, "the server accepts connections", func() bool { return pool.Ping(t.Context()) == nil })
	require.NoError(t, migrate(t.Context(), pool))
	return dsn, pool
}

// installed finds the newest PostgreSQL, and skips on a developer's machine what
// must not be skipped on a build's.
func installed(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 && os.Getenv("CI") == "" {
		t.Skip("PostgreSQL is not installed: apt-get install postgresql")
	}
	require.NotEmpty(t, found, "apt-get install postgresql")
	return filepath.Dir(slices.Max(found))
}

// login is who the server runs as, nil for who we are: it refuses to run as root.
func login(t *testing.T, folder string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, errors.Join(errUID, errGID, os.Chown(folder, int(uid), int(gid))))
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("never: "+what))
	defer cancel()
	for ticks := time.NewTicker(20 * time.Millisecond); !so(); {
		select {
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		case <-ticks.C:
		}
	}
}
