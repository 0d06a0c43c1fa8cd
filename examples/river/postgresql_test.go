package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// A server is a PostgreSQL of the tests' own, on a socket in a temporary folder.
type server struct {
	folder    string
	process   *exec.Cmd
	input     io.Closer
	databases int
}

var shared server // of all tests; the first one that needs it starts it

// newDatabase makes one with the tables of River and the ledger.
func newDatabase(t *testing.T) (dsn string, pool *pgxpool.Pool) {
	t.Helper()
	if shared.process == nil {
		shared.start(t)
	}
	shared.databases++
	name := fmt.Sprintf("test%d", shared.databases)
	_, err := shared.connect(t, "postgres").Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	pool = shared.connect(t, name)
	_, err = migrate(t.Context(), pool)
	require.NoError(t, err)
	return shared.dsn(name), pool
}

func (s *server) dsn(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", s.folder, database)
}

func (s *server) connect(t *testing.T, database string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.dsn(database))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// start returns when the server accepts connections.
func (s *server) start(t *testing.T) {
	t.Helper()
	binaries := installed(t)
	var err error
	s.folder, err = os.MkdirTemp("", "river") //nolint:usetesting // it outlives the test, and is short enough for a socket
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context()) // so does the server
	as, data := &syscall.SysProcAttr{Credential: s.login(t)}, filepath.Join(s.folder, "data")

	initdb := exec.CommandContext(ctx, filepath.Join(binaries, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, s.folder
	text, err := initdb.CombinedOutput()
	require.NoError(t, err, string(text))

	// It stops when its standard input ends, also by the tests' own death.
	s.process = exec.CommandContext(ctx, "sh", "-c", `"$@" & cat >/dev/null; kill -QUIT $!; wait`, "sh",
		filepath.Join(binaries, "postgres"), "-D", data, "-k", s.folder, "-c", "listen_addresses=", "-c", "fsync=off")
	s.process.SysProcAttr, s.process.Dir = as, s.folder
	s.input, err = s.process.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	pool := s.connect(t, "postgres")
	eventually(t, "the server accepts connections", func() bool { return pool.Ping(t.Context()) == nil })
}

func (s *server) stop() error {
	if s.process == nil {
		return nil
	}
	return errors.Join(s.input.Close(), s.process.Wait(), os.RemoveAll(s.folder))
}

// installed finds a PostgreSQL, and skips on a developer's machine what
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
func (s *server) login(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, errors.Join(errUID, errGID, os.Chown(s.folder, int(uid), int(gid))))
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("never: "+what))
	defer cancel()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		case <-ticks.C:
		}
	}
}
