// Package servertest starts the servers that tests talk to, as processes of the
// test: each with its data in a temporary folder, and on a socket in it or on a
// port of 127.0.0.1. It imports no driver.
//
//	program, err := servertest.Find("redis-server", "redis-server")
//	servertest.Require(t, err) // skips where it is not installed
//	s, err := servertest.New("redis", "")
//	require.NoError(t, err)
//	socket := filepath.Join(s.Folder, "socket")
//	require.NoError(t, s.Start(dial(socket), program, "--port", "0", "--unixsocket", socket))
//	t.Cleanup(func() { require.NoError(t, s.Close()) })
package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A Server is a process with a folder for all its data.
type Server struct {
	*Process // nil before Start

	Folder string         // owned by who runs the server
	Quit   syscall.Signal // ends the server at once, as nobody needs its data; 0: SIGKILL

	login   *syscall.Credential
	program string
	args    []string
	ready   func(context.Context) error
}

// New makes the folder of a server. Where we are root, account owns it and runs
// the server, as most servers refuse to run as root; an empty account stands for
// whoever we are.
func New(name, account string) (*Server, error) {
	folder, err := os.MkdirTemp("", "segmentguard-"+name+"-")
	if err != nil {
		return nil, err
	}
	s := &Server{Folder: folder}
	if err := s.owned(account); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) owned(account string) error {
	if os.Geteuid() != 0 || account == "" {
		return nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return err
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	s.login = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(errUID, errGID, os.Chown(s.Folder, int(uid), int(gid)))
}

// command returns a program's command, to be run by who runs the server.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.SysProcAttr, c.Dir = &syscall.SysProcAttr{Credential: s.login}, s.Folder
	return c
}

// Run runs a program to its end, such as one that prepares the server's data.
func (s *Server) Run(program string, args ...string) error {
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// Start starts the server and waits until ready returns nil, a minute at most.
// It calls ready again and again. If it fails it leaves nothing behind, and its
// error says what the server printed.
func (s *Server) Start(ready func(context.Context) error, program string, args ...string) error {
	s.ready, s.program, s.args = ready, program, args
	if err := s.Restart(); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Restart starts the server again over the same data, after it has ended, as
// Start did.
func (s *Server) Restart() (err error) {
	var log bytes.Buffer // what writes to it ends before Wait returns
	c := s.command(s.program, s.args...)
	c.Stdout, c.Stderr = &log, &log
	if s.Process, err = Start(c); err != nil {
		return err
	}
	if err := s.answers(); err != nil {
		return fmt.Errorf("%s did not start: %w: %s", s.program, errors.Join(err, s.quit()), log.String())
	}
	return nil
}

func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.Ended():
			return errors.Join(err, s.Wait())
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (s *Server) quit() error {
	if s.Process == nil {
		return nil
	}
	if s.Quit != 0 {
		return s.Signal(s.Quit)
	}
	return s.Signal(syscall.SIGKILL)
}

// Close ends the server, if it runs, and removes its folder.
func (s *Server) Close() error { return errors.Join(s.quit(), os.RemoveAll(s.Folder)) }

var running struct {
	sync.Mutex

	servers []*Server
}

// Shared returns a function that starts a server when it is first called, for
// all tests of this process. CloseShared closes it.
func Shared(start func() (*Server, error)) func() (*Server, error) {
	return sync.OnceValues(func() (*Server, error) {
		s, err := start()
		if err == nil {
			running.Lock()
			running.servers = append(running.servers, s)
			running.Unlock()
		}
		return s, err
	})
}

// CloseShared closes the servers that are shared. TestMain calls it after the
// tests.
func CloseShared() (err error) {
	running.Lock()
	defer running.Unlock()
	for _, s := range running.servers {
		err = errors.Join(err, s.Close())
	}
	running.servers = nil
	return err
}
