package servertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// StartPostgreSQL starts a PostgreSQL of the newest version that is installed,
// with more settings such as "fsync=on". It listens on a socket in its folder and
// on no port; host=Folder user=postgres connects to it. Its collation is that of a
// language, the least like bytes: what must sort by bytes has to say so.
func StartPostgreSQL(settings ...string) (*Server, error) { return postgreSQL(false, settings) }

// StartStandby starts a PostgreSQL that only reads: it waits for ever for a
// primary that is not there.
func StartStandby() (*Server, error) { return postgreSQL(true, nil) }

func postgreSQL(standby bool, settings []string) (*Server, error) {
	binaries, err := postgreSQLBinaries()
	if err != nil {
		return nil, err
	}
	s, err := New("postgresql", "postgres")
	if err != nil {
		return nil, err
	}
	s.Quit = syscall.SIGQUIT // SIGKILL would leave shared memory behind
	data := filepath.Join(s.Folder, "data")
	if err := s.Run(filepath.Join(binaries, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--no-sync", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if standby {
		if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	args := []string{"-D", data, "-k", s.Folder}
	for _, setting := range append([]string{"listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=200",
		"shared_buffers=256MB", "max_wal_size=4GB"}, settings...) {
		args = append(args, "-c", setting)
	}
	ready := func(ctx context.Context) error {
		return exec.CommandContext(ctx, filepath.Join(binaries, "pg_isready"), "-q", "-h", s.Folder).Run()
	}
	return s, s.Start(ready, filepath.Join(binaries, "postgres"), args...)
}

// postgreSQLBinaries finds the folder of the newest installation.
func postgreSQLBinaries() (string, error) {
	var best string
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		if version(path) > version(best) {
			best = path
		}
	}
	if best == "" {
		best, _ = exec.LookPath("initdb")
	}
	if best == "" {
		return "", Missing("initdb", "postgresql")
	}
	return filepath.Dir(best), nil
}

// version returns the number in ".../15/bin/initdb", 0 without one.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}
