package enginetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A Mortal is a PostgreSQL of a test's own, which the test kills and starts
// again. A transaction that sets synchronous_commit to on waits for ever when it
// commits: it is durable, and a standby that is not there would have to say so.
type Mortal struct{ server *server }

// NewMortal starts one. It is stopped when the test ends.
func NewMortal(t testing.TB) *Mortal {
	t.Helper()
	s, err := newServer(false, "-c", "synchronous_standby_names=nobody", "-c", "synchronous_commit=local")
	requireInstalled(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return &Mortal{s}
}

// New makes an empty database in it.
func (m *Mortal) New(t testing.TB) Database {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	m.server.admin(t, "CREATE DATABASE "+name)
	return Database{sqlsegment.PostgreSQL, "pgx", m.server.dsn(name)}
}

// Kill ends the server and the processes of all its sessions with SIGKILL, at
// once: none can tidy up, and none notices that the others are gone.
func (m *Mortal) Kill() error {
	main := m.server.process.Process
	if err := main.Signal(syscall.SIGSTOP); err != nil { // it must not start more
		return err
	}
	children, err := childrenOf(main.Pid)
	for _, pid := range children {
		err = errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
	}
	err = errors.Join(err, main.Kill())
	<-m.server.ended
	for _, pid := range children {
		for alive(pid) {
		}
	}
	return err
}

// Restart starts it again over the same data.
func (m *Mortal) Restart(t testing.TB) {
	t.Helper()
	require.NoError(t, m.server.launch(m.server.process.Path, m.server.process.SysProcAttr))
}

func childrenOf(parent int) (children []int, err error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		state, ppid := processState(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if ppid == parent && state != "Z" {
			children = append(children, pid)
		}
	}
	if err == nil && len(children) == 0 {
		err = errors.New("no child processes in /proc")
	}
	return children, err
}

// alive is false for a zombie, too: it holds on to nothing.
func alive(pid int) bool {
	state, _ := processState(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z"
}

// processState reads what follows the name, which may hold anything, in
// parentheses; nothing of a process that is gone.
func processState(path string) (state string, parent int) {
	stat, _ := os.ReadFile(path)
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}
