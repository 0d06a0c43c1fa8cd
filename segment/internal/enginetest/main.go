package enginetest

import (
	"fmt"
	"os"
	"testing"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
)

// Main serves TestMain: it runs the tests and stops the servers that they used.
// In a child it runs that instead.
func Main(m *testing.M, children map[string]func(*Child) error) {
	if name := os.Getenv(childVariable); name != "" {
		os.Exit(runChild(children[name]))
	}
	if err := checkAsked(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := servertest.CloseShared(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping servers:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}
