package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
)

// portsVariable asks this binary to print ports and to hold them until its
// input ends.
const portsVariable = "SEGMENTGUARD_TEST_PORTS"

func TestMain(m *testing.M) {
	if os.Getenv(portsVariable) == "" {
		os.Exit(m.Run())
	}
	for range 50 {
		port, err := servertest.Port()
		if err != nil {
			panic(err)
		}
		fmt.Println(port)
	}
	fmt.Println("end")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A verdict is a test that is told to skip or to fail.
type verdict struct {
	testing.TB

	text string
}

func (v *verdict) Helper()          {}
func (v *verdict) Skip(args ...any) { v.text = "skipped: " + fmt.Sprint(args...) }
func (v *verdict) Fatal(args ...any) {
	v.text = "failed: " + fmt.Sprint(args...)
}

func TestRequire(t *testing.T) {
	_, missing := servertest.Find("no-such-server", "no-such-package")
	for _, c := range []struct {
		reason string
		ci     string
		err    error
		want   string
	}{
		{"it is there", "true", nil, ""},
		{"a developer's machine need not have it", "", missing, "skipped: no-such-server is not installed: apt-get install no-such-package"},
		{"a build's must", "true", missing, "failed: no-such-server is not installed: apt-get install no-such-package"},
		{"it is there and does not start", "", errors.New("no memory"), "failed: no memory"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			v := &verdict{}
			servertest.Require(v, c.err)
			require.Equal(t, c.want, v.text)
		})
	}
}

func shell(t *testing.T) string {
	t.Helper()
	program, err := servertest.Find("sh", "dash")
	require.NoError(t, err)
	return program
}

func newServer(t *testing.T) *servertest.Server {
	t.Helper()
	s, err := servertest.New("shell", "")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoDirExists(t, s.Folder)
	})
	return s
}

// ready returns nil once the server wrote a file of that name.
func ready(s *servertest.Server) func(context.Context) error {
	return func(context.Context) error {
		_, err := os.Stat(filepath.Join(s.Folder, "ready"))
		return err
	}
}

func TestServer(t *testing.T) {
	s := newServer(t)
	require.ErrorContains(t, s.Run(shell(t), "-c", "echo no space; exit 3"), "exit status 3: no space")
	require.NoError(t, s.Run(shell(t), "-c", "echo prepared > data"))
	require.NoError(t, s.Start(ready(s), shell(t), "-c", "cat data >> log; > ready; read forever < /dev/zero"))
	require.NoError(t, s.Signal(syscall.SIGTERM))
	require.True(t, s.EndedBy(syscall.SIGTERM))
	require.False(t, s.EndedBy(syscall.SIGKILL))
	require.NoError(t, s.Signal(syscall.SIGTERM), "it has ended already")
	require.NoError(t, os.Remove(filepath.Join(s.Folder, "ready")))
	require.NoError(t, s.Restart())
	log, err := os.ReadFile(filepath.Join(s.Folder, "log"))
	require.NoError(t, err)
	require.Equal(t, "prepared\nprepared\n", string(log))
}

func TestServerDoesNotStart(t *testing.T) {
	s := newServer(t)
	err := s.Start(ready(s), shell(t), "-c", "echo bad setting >&2; exit 3")
	require.ErrorContains(t, err, "sh did not start")
	require.ErrorContains(t, err, "exit status 3: bad setting")
	require.NoDirExists(t, s.Folder)

	s = newServer(t)
	require.ErrorIs(t, s.Start(ready(s), filepath.Join(s.Folder, "none")), os.ErrNotExist)
	require.NoDirExists(t, s.Folder)
}

func TestKillWithChildren(t *testing.T) {
	s := newServer(t)
	require.NoError(t, s.Start(ready(s), shell(t), "-c", "cat /dev/zero > /dev/null & echo $! > child; > ready; wait"))
	var child int
	text, err := os.ReadFile(filepath.Join(s.Folder, "child"))
	require.NoError(t, err)
	_, err = fmt.Sscan(string(text), &child)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(child, 0))
	require.NoError(t, s.KillWithChildren())
	require.True(t, s.EndedBy(syscall.SIGKILL))
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
	require.True(t, len(stat) == 0 || strings.Contains(string(stat), ") Z "), "%s", stat)
}

// Two processes at once are given no port twice, though neither listens.
func TestPorts(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	ports := map[string]bool{}
	for range 2 {
		c := exec.Command(binary)
		c.Env = append(os.Environ(), portsVariable+"=1")
		input, err := c.StdinPipe()
		require.NoError(t, err)
		output, said, err := os.Pipe()
		require.NoError(t, err)
		c.Stdout = said
		p, err := servertest.Start(c)
		require.NoError(t, errors.Join(err, said.Close()))
		defer func() { require.NoError(t, errors.Join(input.Close(), p.Wait(), output.Close())) }()
		for {
			var port string
			_, err := fmt.Fscanln(output, &port)
			require.NoError(t, err)
			if port == "end" {
				break
			}
			require.NotContains(t, ports, port)
			ports[port] = true
		}
	}
	require.Len(t, ports, 100)
	l, err := servertest.Listen()
	require.NoError(t, err)
	address, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.Less(t, address.Port, 32_768)
	require.NotContains(t, ports, fmt.Sprint(address.Port))
	require.NoError(t, l.Close())
}

// PostgreSQL refuses to run as root, and says what is wrong with its settings.
func TestPostgreSQL(t *testing.T) {
	s, err := servertest.StartPostgreSQL("fsync=off")
	servertest.Require(t, err)
	require.FileExists(t, filepath.Join(s.Folder, ".s.PGSQL.5432"))
	require.NoError(t, s.Close())

	_, err = servertest.StartPostgreSQL("fsync=perhaps")
	require.ErrorContains(t, err, `parameter "fsync" requires a Boolean value`)
}

// One server is started for all who ask.
func TestShared(t *testing.T) {
	started := 0
	shared := servertest.Shared(func() (*servertest.Server, error) {
		started++
		s, err := servertest.New("shell", "")
		if err != nil {
			return nil, err
		}
		return s, s.Start(ready(s), shell(t), "-c", "> ready; read forever < /dev/zero")
	})
	one, err := shared()
	require.NoError(t, err)
	two, err := shared()
	require.NoError(t, err)
	require.Same(t, one, two)
	require.Equal(t, 1, started)
	require.NoError(t, servertest.CloseShared())
	require.NoDirExists(t, one.Folder)
	require.True(t, one.EndedBy(syscall.SIGKILL))
}
