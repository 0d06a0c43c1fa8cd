package enginetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A daemon is a server of this process, with all its data in a folder of its
// own.
type daemon struct {
	driver, dsn string                      // of its main database
	ready       func(context.Context) error // asks whether it answers; nil: its main database
	folder      string
	port        int // where it listens on one
	login       *syscall.Credential
	process     *exec.Cmd
	ended       chan error
	log         bytes.Buffer // read it only when ended
}

// newDaemon makes the folder, owned by who is to run the server: most refuse to
// run as root. An empty account is whoever we are.
func newDaemon(name, account string) (*daemon, error) {
	folder, err := os.MkdirTemp("", "segmentguard-"+name+"-")
	if err != nil {
		return nil, err
	}
	d := &daemon{folder: folder, ended: make(chan error, 1)}
	if os.Geteuid() != 0 || account == "" {
		return d, nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return nil, err
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	d.login = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return d, errors.Join(errUID, errGID, os.Chown(folder, int(uid), int(gid)))
}

// run starts the server and waits until it answers, a minute at most.
func (d *daemon) run(binary string, args ...string) error {
	d.process = exec.Command(binary, args...)
	d.process.SysProcAttr, d.process.Dir = attributes(d.login), d.folder
	d.process.Stdout, d.process.Stderr = &d.log, &d.log
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // as attributes wants it
		err := d.process.Start()
		started <- err
		if err == nil {
			d.ended <- d.process.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	return d.answers()
}

func (d *daemon) answers() error {
	ready := d.ready
	if ready == nil {
		db, err := sql.Open(d.driver, d.dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		ready = db.PingContext
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case ended := <-d.ended:
			return fmt.Errorf("the server ended: %w: %s", ended, d.log.String())
		case <-ctx.Done():
			return errors.Join(err, d.kill())
		case <-tick.C:
		}
	}
}

// kill ends the server at once: nobody needs its data.
func (d *daemon) kill() error {
	err := d.process.Process.Kill()
	<-d.ended
	return err
}

func (d *daemon) stop() error { return errors.Join(d.kill(), os.RemoveAll(d.folder)) }

// shared starts a daemon once, for all tests; Main stops it.
func shared(start func() (*daemon, error)) func() (*daemon, error) {
	return sync.OnceValues(func() (*daemon, error) {
		d, err := start()
		if err == nil {
			running.Lock()
			running.servers = append(running.servers, d)
			running.Unlock()
		}
		return d, err
	})
}

var running struct {
	sync.Mutex
	servers []interface{ stop() error }
}

func stopAll() (err error) {
	running.Lock()
	defer running.Unlock()
	for _, s := range running.servers {
		err = errors.Join(err, s.stop())
	}
	return err
}

// lookPath finds a server's program where Debian puts it, too.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// command runs a program to its end, as who the daemon runs.
func (d *daemon) command(binary string, args ...string) error {
	c := exec.Command(binary, args...)
	c.SysProcAttr, c.Dir = &syscall.SysProcAttr{Credential: d.login}, d.folder
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", binary, err, out)
	}
	return nil
}

// database makes an empty database in a server, gone when the test ends.
func (d *daemon) database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	d.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { d.admin(t, "DROP DATABASE "+name) })
	return name
}

func (d *daemon) admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn)
	require.NoError(t, err)
	_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
	require.NoError(t, errors.Join(err, db.Close()))
}
