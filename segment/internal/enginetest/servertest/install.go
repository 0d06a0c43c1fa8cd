package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

var errNotInstalled = errors.New("not installed")

// Missing returns the error of a program that is not installed. It names the
// Debian package that brings it.
func Missing(program, debian string) error {
	return fmt.Errorf("%s is %w: apt-get install %s", program, errNotInstalled, debian)
}

// Find returns the path of a program, and looks also where Debian puts servers.
// Its error is one of Missing.
func Find(program, debian string) (string, error) {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", Missing(program, debian)
}

// MaySkip reports whether err says that a program is not installed, which Require skips
// a test for.
func MaySkip(err error) bool { return errors.Is(err, errNotInstalled) && os.Getenv("CI") == "" }

// Require skips the test if err says that a program is not installed, and fails
// it for any other error. Where CI is set it fails for both: what a developer's
// machine may skip, a build's may not.
func Require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case MaySkip(err):
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
