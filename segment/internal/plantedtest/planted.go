// Package plantedtest shows that tests find what they are for: it builds them over
// code with a bug in it, and wants them to fail.
package plantedtest

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Variable asks for the tests with planted bugs: 1 for all, or a part of a bug's
// name. They take minutes.
const Variable = "SEGMENTGUARD_PLANTED"

// A Bug is a piece of code, and what it would be if somebody got it wrong.
type Bug struct {
	Name      string
	File      string // below the folder
	Code, Bug string
	Tests     string // the package whose tests find it, as from that of the calling test; empty: that one
}

// Find runs go test in the package that the bug names, over the bug in a file below
// folder, with more variables and arguments. It fails the test if that passes, and
// otherwise returns what it printed. Where the bug is not asked for, it checks only that
// the code is still there, and skips the test.
func Find(t *testing.T, folder string, b Bug, env []string, args ...string) string {
	t.Helper()
	original, err := filepath.Abs(filepath.Join(folder, b.File))
	require.NoError(t, err)
	code, err := os.ReadFile(original) //nolint:gosec // the test names it
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(code), b.Code), "the code changed, and the bug must change with it")
	if asked := os.Getenv(Variable); asked == "" || asked != "1" && !strings.Contains(b.Name, asked) {
		t.Skip(Variable + " does not ask for it")
	}
	broken := filepath.Join(t.TempDir(), filepath.Base(b.File))
	require.NoError(t, os.WriteFile(broken, []byte(strings.Replace(string(code), b.Code, b.Bug, 1)), 0o600)) //nolint:gosec // in a folder of the test's
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replaced, 0o600))
	c := exec.CommandContext(t.Context(), "go", append([]string{"test", "-overlay=" + overlay}, append(args, cmp.Or(b.Tests, "."))...)...) //nolint:gosec // as the test has them
	c.Env = append(append(os.Environ(), Variable+"="), env...)
	out, err := c.CombinedOutput()
	require.Error(t, err, "no test finds it")
	require.NotContains(t, string(out), "[build failed]")
	return string(out)
}
