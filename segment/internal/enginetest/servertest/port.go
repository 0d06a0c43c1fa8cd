package servertest

import (
	"fmt"
	"net"
	"sync/atomic"
)

// The ports that servers of tests listen on, below those that systems give to
// outgoing connections.
const firstPort, ports = 21_000, 11_000

var lastPort atomic.Int64

// Port returns a port of 127.0.0.1 that is free, below 32768, and that neither
// this nor another process that runs tests was given.
func Port() (int, error) {
	for range ports {
		port := firstPort + int(lastPort.Add(1))%ports
		if !reserve(port) {
			continue
		}
		if l, err := net.Listen("tcp", Address(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", firstPort, firstPort+ports-1)
}

// Address returns the address of a port of this machine.
func Address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Listen listens on a port of its own, in this process.
func Listen() (net.Listener, error) {
	port, err := Port()
	if err != nil {
		return nil, err
	}
	return net.Listen("tcp", Address(port))
}
