package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// A Process is a program that this process started. On Linux it does not
// outlive this process, even one that is killed.
type Process struct {
	command *exec.Cmd
	ended   chan struct{}
	err     error // once ended
}

// Start starts a program. It takes the command for itself, and sets what the
// program's end depends on in its SysProcAttr.
func Start(command *exec.Cmd) (*Process, error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithParent(command.SysProcAttr)
	p := &Process{command, make(chan struct{}), nil}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the parent that the program dies with is this thread
		err := command.Start()
		started <- err
		if err == nil {
			p.err = command.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Ended returns a channel that is closed once the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits until the program has ended, and returns what exec.Cmd's Wait does.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Stop stops the program where it is: what it holds it holds on to, and it does not
// answer any more.
func (p *Process) Stop() error { return p.command.Process.Signal(syscall.SIGSTOP) }

// Signal sends a signal, and waits until the program has ended by it. It returns
// nil also where the program had ended before.
func (p *Process) Signal(signal syscall.Signal) error {
	err := p.command.Process.Signal(signal)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// EndedBy reports whether a signal ended the program, which it waits for.
func (p *Process) EndedBy(signal syscall.Signal) bool {
	<-p.ended
	status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}

// KillWithChildren ends the program and all that it started with SIGKILL, at
// once: none can tidy up, and none notices that the others are gone. It reads
// /proc, which Linux has.
func (p *Process) KillWithChildren() error {
	main := p.command.Process
	if err := main.Signal(syscall.SIGSTOP); err != nil { // it must not start more
		return err
	}
	children, err := childrenOf(main.Pid)
	for _, pid := range children {
		err = errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
	}
	err = errors.Join(err, p.Signal(syscall.SIGKILL))
	for _, pid := range children {
		for alive(pid) {
			runtime.Gosched()
		}
	}
	return err
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

// alive returns false for a zombie, too: it holds on to nothing.
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
