package enginetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A server is a PostgreSQL of this process: it listens on a socket in its own
// folder and on no port.
type server struct {
	folder  string
	standby bool // in recovery for ever, waiting for a primary that is not there
	args    []string
	process *exec.Cmd
	ended   chan error // holds what Wait returned
}

var (
	errNotInstalled = errors.New("a server is not installed")
	errNoPostgreSQL = fmt.Errorf("%w: apt-get install postgresql", errNotInstalled)

	sharedPostgreSQL = sync.OnceValues(startServer)
	databases        atomic.Int64
)

// createPostgreSQL makes a database in the shared server.
func createPostgreSQL(t testing.TB) (driver, dsn string) {
	t.Helper()
	s, err := sharedPostgreSQL()
	requireInstalled(t, err)
	name := fmt.Sprintf("test%d", databases.Add(1))
	s.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return "pgx", s.dsn(name)
}

// requireInstalled skips on a developer's machine what must not be skipped on a
// build's.
func requireInstalled(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNotInstalled) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// Standby starts a PostgreSQL that only reads, as a replica does.
func Standby(t testing.TB) Database {
	t.Helper()
	s, err := newServer(true)
	requireInstalled(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return Database{sqlsegment.PostgreSQL, "pgx", s.dsn("postgres")}
}

// Durable starts a PostgreSQL set up as for production: nothing that it answers
// for is lost when the machine goes down.
func Durable(t testing.TB) Database {
	t.Helper()
	s, err := newServer(false, "-c", "fsync=on", "-c", "full_page_writes=on", "-c", "shared_buffers=2GB", "-c", "max_wal_size=8GB")
	requireInstalled(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return Database{sqlsegment.PostgreSQL, "pgx", s.dsn("postgres")}
}

func (s *server) dsn(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", s.folder, database)
}

func (s *server) admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", s.dsn("postgres"))
	require.NoError(t, err)
	_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
	require.NoError(t, errors.Join(err, db.Close()))
}

// startServer starts the one that Main stops.
func startServer() (*server, error) {
	s, err := newServer(false)
	if err == nil {
		running.Lock()
		running.servers = append(running.servers, s)
		running.Unlock()
	}
	return s, err
}

// newServer takes a minute at most, and leaves nothing behind if it fails.
func newServer(standby bool, args ...string) (*server, error) {
	binaries, err := binaries()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "segmentguard-postgresql-")
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder, standby: standby, args: args}
	if err := s.start(binaries); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// binaries finds the newest installation.
func binaries() (string, error) {
	var best string
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		if version(path) > version(best) {
			best = path
		}
	}
	if best == "" {
		best, _ = exec.LookPath("initdb")
	}
	if best == "" {
		return "", errors.Join(errNoPostgreSQL, err)
	}
	return filepath.Dir(best), nil
}

// version is the number in ".../15/bin/initdb", 0 without one.
func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// start makes a cluster and waits until it accepts connections.
func (s *server) start(binaries string) error {
	login, err := s.login()
	if err != nil {
		return err
	}
	data := filepath.Join(s.folder, "data")
	if err := s.initialise(binaries, data, login); err != nil {
		return err
	}
	if s.standby {
		if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600); err != nil {
			return err
		}
	}
	s.args = append([]string{"-D", data, "-k", s.folder,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
		"-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"}, s.args...)
	return s.launch(filepath.Join(binaries, "postgres"), attributes(login))
}

func (s *server) launch(binary string, attributes *syscall.SysProcAttr) error {
	s.process = exec.Command(binary, s.args...)
	s.process.SysProcAttr, s.process.Dir = attributes, s.folder
	s.ended = make(chan error, 1)
	return s.run()
}

// initialise makes an empty cluster. Its collation is that of a language, the
// least like bytes: what must sort by bytes has to say so.
func (s *server) initialise(binaries, data string, login *syscall.Credential) error {
	initdb := exec.Command(filepath.Join(binaries, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--no-sync", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: login}, s.folder
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return nil
}

// login is who the server runs as, nil for who we are: it refuses to run as root.
func (s *server) login() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(s.folder, int(uid), int(gid))
}

// run starts the server and reads its log until it is ready.
func (s *server) run() error {
	log, write := io.Pipe()
	s.process.Stderr = write
	ready := make(chan error, 1)
	go s.supervise(write, ready)
	if err := <-ready; err != nil {
		return err
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = s.process.Process.Kill() })
	defer timeout.Stop()
	var text strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "ready to accept") {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return nil
		}
		text.WriteString(lines.Text() + "\n")
	}
	return fmt.Errorf("postgres did not start: %w: %s", <-s.ended, text.String())
}

// supervise keeps its thread as long as the server runs, as attributes wants it.
func (s *server) supervise(log io.Closer, ready chan<- error) {
	runtime.LockOSThread()
	if err := s.process.Start(); err != nil {
		ready <- err
		return
	}
	ready <- nil
	s.ended <- s.process.Wait()
	_ = log.Close()
}

// stop ends the server at once: nobody needs its data.
func (s *server) stop() error {
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil {
		return errors.Join(err, os.RemoveAll(s.folder))
	}
	<-s.ended // its exit status after SIGQUIT is not news
	return os.RemoveAll(s.folder)
}
