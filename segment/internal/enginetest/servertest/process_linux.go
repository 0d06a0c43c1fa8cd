package servertest

import (
	"net"
	"strconv"
	"sync"
	"syscall"
)

func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }

// reserved holds what keeps ports for this process until it ends.
var reserved sync.Map

// reserve reports whether no other process that runs tests has this port. A
// socket without a file, of the port's name, says so: a server that is about to
// listen does not listen yet.
func reserve(port int) bool {
	l, err := net.Listen("unix", "@segmentguard-port-"+strconv.Itoa(port))
	if err == nil {
		reserved.Store(port, l)
	}
	return err == nil
}
