//go:build unix && !linux

package enginetest

import "syscall"

// attributes let the server run as login.
func attributes(login *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: login}
}
