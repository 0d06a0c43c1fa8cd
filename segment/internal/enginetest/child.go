package enginetest

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

const (
	childVariable    = "SEGMENTGUARD_TEST_CHILD"
	databaseVariable = "SEGMENTGUARD_TEST_DATABASE"
)

// A Child is this process, if it is one of several in a test. Parent and child
// talk in lines.
type Child struct {
	Database Database
	Args     []string
	input    *bufio.Reader
}

// Say tells the parent.
func (c *Child) Say(line string) error {
	_, err := fmt.Println(line)
	return err
}

// Listen waits until the parent speaks. It fails once the parent is gone.
func (c *Child) Listen() (string, error) {
	line, err := c.input.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// Open returns a pool and a history on it.
func (c *Child) Open() (*sql.DB, *sqlsegment.Ledger, error) {
	db, err := sql.Open(c.Database.Driver, c.Database.DSN)
	if err != nil {
		return nil, nil, err
	}
	h, err := sqlsegment.NewLedger(db, c.Database.Dialect)
	return db, h, err
}

func runChild(run func(*Child) error) int {
	c := &Child{Args: os.Args[1:], input: bufio.NewReader(os.Stdin)}
	err := json.Unmarshal([]byte(os.Getenv(databaseVariable)), &c.Database)
	if err == nil && run == nil {
		err = errors.New("no such child")
	}
	if err == nil {
		err = run(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A Process is a child as its parent sees it.
type Process struct {
	process *servertest.Process
	input   io.WriteCloser
	output  *bufio.Reader
	errors  strings.Builder // read it only when the child has ended
}

// Start runs one of the children that TestMain named, this binary again. It is
// killed when the test ends, if it is still there.
func (d Database) Start(t testing.TB, child string, args ...string) *Process {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	database, err := json.Marshal(d)
	require.NoError(t, err)
	command := exec.Command(binary, args...)
	command.Env = append(os.Environ(), childVariable+"="+child, databaseVariable+"="+string(database))
	p := &Process{}
	command.Stderr = &p.errors
	p.input, err = command.StdinPipe()
	require.NoError(t, err)
	output, said, err := os.Pipe() // not StdoutPipe, which loses what is not read when the child ends
	require.NoError(t, err)
	command.Stdout, p.output = said, bufio.NewReader(output)
	p.process, err = servertest.Start(command)
	require.NoError(t, errors.Join(err, said.Close()))
	t.Cleanup(func() {
		require.NoError(t, errors.Join(p.process.Signal(syscall.SIGKILL), output.Close()))
	})
	return p
}

// Expect waits for the child to say just that.
func (p *Process) Expect(t testing.TB, line string) {
	t.Helper()
	require.Equal(t, line, p.Listen(t))
}

// Listen waits for the child to say something.
func (p *Process) Listen(t testing.TB) string {
	t.Helper()
	said, err := p.output.ReadString('\n')
	if err != nil {
		require.FailNow(t, "child ended", "%v %v: %s", err, p.process.Wait(), p.errors.String())
	}
	return strings.TrimSuffix(said, "\n")
}

// Say tells the child.
func (p *Process) Say(t testing.TB, line string) {
	t.Helper()
	_, err := io.WriteString(p.input, line+"\n")
	require.NoError(t, err)
}

// Stop stops the child where it is: it is gone without a word, with its connections
// open.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, p.process.Stop())
}

// Kill ends the child with SIGKILL: it can tidy up nothing.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.process.Signal(syscall.SIGKILL))
	require.True(t, p.process.EndedBy(syscall.SIGKILL), "it had ended before: %v", p.process.Wait())
}

// End waits for the child to end by itself, without an error.
func (p *Process) End(t testing.TB) {
	t.Helper()
	require.NoError(t, p.process.Wait(), "%s", &p.errors)
}
