package enginetest

import "syscall"

// attributes let the server run as login, and die with the thread that started
// it, so that it does not outlive even a killed test.
func attributes(login *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: login, Pdeathsig: syscall.SIGQUIT}
}
